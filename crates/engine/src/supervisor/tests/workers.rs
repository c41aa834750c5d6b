//! What workers say, and what follows when they say nothing.

use super::*;

fn started(key: LaunchKey) -> Report {
    Report::Started {
        key,
        account: "mia".into(),
        uid: 1000,
        containment: "cgroup2".into(),
    }
}

#[test]
fn a_job_runs_item_after_item_in_one_instance() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(3));
    assert_eq!(w.status(job), WorkStatus::Running);
    for item in 0..3 {
        let order = w.order();
        assert_eq!(
            order.2,
            Run {
                item: ItemIndex(item),
                attempt: Attempt(1)
            }
        );
        w.end(order, End::Exit(0));
    }
    let (_, close) = w.heard();
    assert!(matches!(close, ToWorker::Close { .. }), "{close:?}");
    assert_eq!(w.status(job), WorkStatus::Complete);
    assert_eq!(
        w.engine.host(host(1)).map(Host::used),
        Some(1),
        "the slot is in use until nothing is left"
    );
    let key = w.engine.launches().next().expect("closing").key;
    w.gone(1, key);
    assert_eq!(w.engine.host(host(1)).map(Host::free), Some(1));
}

#[test]
fn hosts_and_omithosts_are_kept() {
    let mut w = World::new();
    w.connect(1, 2);
    w.connect(2, 2);
    w.submit(JobSpec {
        hosts: ["rnd2".to_owned()].into(),
        ..spec(1)
    });
    assert_eq!(w.order().0, 2);
    w.submit(JobSpec {
        omithosts: ["rnd2".to_owned()].into(),
        ..spec(1)
    });
    assert_eq!(w.order().0, 1);
    let nowhere = w.submit(JobSpec {
        hosts: ["rnd9".to_owned()].into(),
        ..spec(1)
    });
    assert!(w.said.is_empty());
    let why = w.engine.why(nowhere).expect("there");
    assert_eq!((why[0].kind, why[0].count), (why::Kind::NotAmongHosts, 2));
}

#[test]
fn a_failed_item_is_retried_after_its_delay_as_often_as_it_may() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(JobSpec {
        retrywork: 1,
        retrywork_delay: Duration::from_secs(10),
        ..spec(1)
    });
    let first = w.order();
    w.end(first, End::Exit(3));
    assert_eq!(w.item(job, 0), ItemStatus::Waiting);
    assert_eq!(w.status(job), WorkStatus::Waiting);
    w.gone(1, first.1);
    w.said.clear();
    w.wait(9);
    assert!(w.said.is_empty());
    w.wait(1);
    let second = w.order();
    assert_eq!(second.2.attempt, Attempt(2));
    w.end(second, End::Signal(11));
    assert_eq!(w.status(job), WorkStatus::Failed);
}

#[test]
fn a_cmdline_instance_is_retried_as_a_whole() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(JobSpec {
        kind: JobKind::CmdLine,
        retrysubjob: 1,
        ..spec(1)
    });
    let first = w.order();
    w.end(first, End::Exit(1));
    w.gone(1, first.1);
    w.said.remove(0);
    let second = w.order();
    assert_eq!((second.1.launch.0, second.2.attempt), (2, Attempt(2)));
    w.end(second, End::Exit(1));
    assert_eq!(w.status(job), WorkStatus::Failed);
}

#[test]
fn what_is_not_the_current_attempt_changes_nothing() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(2));
    let first = w.order();
    w.act(Action::Interrupt, Target::Items(job, vec![ItemIndex(0)]))
        .expect("allowed");
    assert!(matches!(w.heard().1, ToWorker::EndItem { .. }));
    assert_eq!(w.item(job, 0), ItemStatus::Pending);
    // It ended well just before the signal: the person's word counts, the frame is done again.
    w.end(first, End::Exit(0));
    assert_eq!(w.item(job, 0), ItemStatus::Running);
    let second = w.order();
    assert_eq!(
        second.2,
        Run {
            item: ItemIndex(0),
            attempt: Attempt(2)
        }
    );
    w.end(first, End::Exit(0));
    assert_eq!(
        w.item(job, 0),
        ItemStatus::Running,
        "a report of attempt 1 changed attempt 2"
    );
}

#[test]
fn a_refused_account_waits_in_badlogin_and_is_released_by_a_change() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(1));
    let (_, key, _) = w.order();
    let refusal = Refusal {
        code: "no_such_account".into(),
        text: "no account mia on rnd1".into(),
    };
    w.report(1, Report::Refused { key, refusal });
    assert_eq!(w.status(job), WorkStatus::Badlogin);
    assert_eq!(w.engine.host(host(1)).map(Host::free), Some(1));
    let why = w.engine.why(job).expect("there");
    assert!(
        why.iter()
            .any(|r| r.kind == why::Kind::AccountRefused && r.text.contains("no account mia")),
        "{why:?}"
    );
    // Another host may know the account.
    w.connect(2, 1);
    let order = w.order();
    assert_eq!(order.0, 2);
    w.end(order, End::Exit(0));
    assert_eq!(w.status(job), WorkStatus::Complete);
    assert_eq!(
        w.engine
            .job(job)
            .unwrap()
            .items()
            .get(ItemIndex(0))
            .retries_used,
        0
    );
}

#[test]
fn a_refused_account_is_tried_again_after_a_while() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(1));
    for pause in [60, 120, 240] {
        let (_, key, _) = w.order();
        let refusal = Refusal {
            code: "account_denied".into(),
            text: "denied".into(),
        };
        w.report(1, Report::Refused { key, refusal });
        assert_eq!(w.status(job), WorkStatus::Badlogin);
        w.wait(pause - 1);
        assert!(w.said.is_empty(), "tried again before {pause}s");
        w.wait(1);
    }
    assert_eq!(w.order().2.attempt, Attempt(4));
}

#[test]
fn a_directory_that_does_not_answer_is_no_badlogin() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(1));
    let (_, key, _) = w.order();
    let refusal = Refusal {
        code: "directory_unavailable".into(),
        text: "LDAP is away".into(),
    };
    w.report(1, Report::Refused { key, refusal });
    assert_eq!(w.status(job), WorkStatus::Waiting);
    w.wait(2);
    assert_eq!(w.order().2.attempt, Attempt(2));
}

#[test]
fn a_lost_host_puts_work_back_once_and_ends_it_when_it_returns() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(1));
    let (_, key, run) = w.order();
    w.report(1, started(key));
    w.disconnect(1);
    w.connect(2, 1);
    w.wait(299);
    assert!(w.said.is_empty());
    w.wait(1);
    let second = w.order();
    assert_eq!((second.0, second.2.attempt), (2, Attempt(2)));
    assert_eq!(
        w.engine
            .job(job)
            .unwrap()
            .items()
            .get(ItemIndex(0))
            .retries_used,
        0,
        "a lost host used a retry"
    );
    w.connect_as(1, 1, Identity::User);
    let old = LaunchInventory {
        key,
        current: Some(run),
        is_closing: false,
        is_suspended: false,
        ahead: Vec::new(),
    };
    w.say(1, FromWorker::Inventory(vec![old]));
    assert_eq!(
        w.heard(),
        (
            host(1),
            ToWorker::Close {
                key,
                grace: Duration::ZERO
            }
        )
    );
    assert_eq!(
        w.engine.host(host(1)).map(Host::free),
        Some(0),
        "what is left there keeps its slot"
    );
    w.end((1, key, run), End::Exit(0));
    assert_eq!(
        w.item(job, 0),
        ItemStatus::Running,
        "the older attempt counted"
    );
    w.gone(1, key);
    assert_eq!(w.engine.host(host(1)).map(Host::free), Some(1));
    w.end(second, End::Exit(0));
    assert_eq!(w.status(job), WorkStatus::Complete);
}

#[test]
fn an_order_that_got_lost_is_given_again() {
    let mut w = World::new();
    w.connect(1, 1);
    w.submit(spec(2));
    let first = w.order();
    w.end(first, End::Exit(0));
    let lost = w.order();
    w.disconnect(1);
    w.connect_as(1, 1, Identity::User);
    let idle = LaunchInventory {
        key: lost.1,
        current: None,
        is_closing: false,
        is_suspended: false,
        ahead: Vec::new(),
    };
    w.say(1, FromWorker::Inventory(vec![idle]));
    assert_eq!(w.order(), lost);
    assert!(w.said.is_empty());
}

#[test]
fn a_start_that_got_lost_is_made_again_with_new_numbers() {
    let mut w = World::new();
    w.connect(1, 1);
    w.submit(spec(1));
    let (_, key, run) = w.order();
    w.disconnect(1);
    w.connect_as(1, 1, Identity::User);
    w.say(1, FromWorker::Inventory(Vec::new()));
    let (_, again, rerun) = w.order();
    assert!(again.launch > key.launch && rerun.attempt > run.attempt);
}

/// What a worker says when its facts have changed: all that it says on a new connection.
fn hello_again(w: &mut World, number: u8, launches: Vec<LaunchInventory>) {
    let facts = w.engine.host(host(number)).expect("there").facts.clone();
    w.say(number, FromWorker::Hello(facts));
    w.say(number, FromWorker::Inventory(launches));
}

#[test]
fn a_start_on_its_way_is_not_given_up_because_a_worker_says_anew_what_it_has() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(1));
    let order = w.order();
    hello_again(&mut w, 1, Vec::new());
    assert!(w.said.is_empty(), "{:?}", w.said);
    assert_eq!(w.engine.host(host(1)).map(Host::free), Some(0));
    w.end(order, End::Exit(0));
    assert_eq!(w.status(job), WorkStatus::Complete);
}

#[test]
fn an_item_on_its_way_is_held_until_its_worker_has_ended_it() {
    let mut w = World::new();
    w.connect(1, 2);
    let job = w.submit(spec(2));
    let first = w.order();
    w.end(first, End::Exit(0));
    let second = w.order();
    w.act(Action::Interrupt, Target::Items(job, vec![ItemIndex(1)]))
        .expect("allowed");
    w.said.clear();
    let has = |current| LaunchInventory {
        key: first.1,
        current,
        is_closing: false,
        is_suspended: false,
        ahead: Vec::new(),
    };
    // It has not heard of the second item, nor of its end.
    hello_again(&mut w, 1, vec![has(None)]);
    assert!(w.said.is_empty(), "{:?}", w.said);
    w.end(second, End::Asked);
    assert_eq!(w.order().2.attempt, Attempt(2));
}

#[test]
fn a_launch_that_lives_and_was_given_up_keeps_its_slot_until_it_is_ended() {
    let mut w = World::new();
    w.connect(1, 2);
    let key = LaunchKey {
        job: JobId(7),
        instance: InstanceNo(0),
        launch: Default::default(),
    };
    let started = started(key);
    w.report(1, started.clone());
    let grace = Duration::ZERO;
    assert_eq!(w.heard(), (host(1), ToWorker::Close { key, grace }));
    w.report(1, started);
    assert!(w.said.is_empty(), "it is told once: {:?}", w.said);
    assert_eq!(w.engine.host(host(1)).map(Host::free), Some(0));
    w.gone(1, key);
    assert_eq!(w.engine.host(host(1)).map(Host::free), Some(2));
}

#[test]
fn a_silent_worker_is_disconnected() {
    let mut w = World::new();
    w.connect(1, 1);
    w.wait_in_silence(39);
    w.say(1, FromWorker::Heartbeat);
    w.wait_in_silence(39);
    assert!(w.engine.host(host(1)).is_some_and(Host::is_connected));
    w.wait_in_silence(1);
    assert!(w.engine.host(host(1)).is_some_and(|h| !h.is_connected()));
}

#[test]
fn an_image_restores_to_the_same_farm() {
    let mut w = World::new();
    w.connect(1, 2);
    let job = w.submit(JobSpec { cpus: 2, ..spec(5) });
    let order = w.order();
    w.end(order, End::Exit(1));
    w.submit(JobSpec {
        after: Some(tessera_model::after::Tree::One(
            tessera_model::after::Term::job(job),
        )),
        ..spec(1)
    });
    w.act(Action::Block, Target::Items(job, vec![ItemIndex(4)]))
        .expect("allowed");
    let now = Now {
        wall: Timestamp(0),
        elapsed: Duration::ZERO,
    };
    let restored = Engine::restore(Config::default(), now, w.engine.image()).expect("a good image");
    assert_eq!(restored.image(), w.engine.image());
    assert_eq!(restored.faults(), Vec::<String>::new());
}

fn quickly(end: End) -> AttemptEnd {
    AttemptEnd {
        elapsed: Duration::from_millis(100),
        ..ended(end)
    }
}

/// A worker that was given five quick items of a job of nine at once, whose first one is over.
fn with_five(w: &mut World) -> (u8, LaunchKey, Vec<Run>) {
    let (number, key, run) = w.order();
    let elapsed = Duration::from_millis(1);
    let end = AttemptEnd {
        elapsed,
        ..ended(End::Exit(0))
    };
    w.report(number, Report::ItemEnded { key, run, end });
    let given = (0..5).map(|_| w.order().2).collect();
    (number, key, given)
}

#[test]
fn very_quick_items_are_given_several_ahead_and_all_come_back_when_one_is_slow() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(9));
    let (number, key, given) = with_five(&mut w);
    let items: Vec<u32> = given.iter().map(|run| run.item.0).collect();
    assert_eq!(items, [1, 2, 3, 4, 5]);
    assert!(w.said.is_empty(), "{:?}", w.said);
    // The job has others to give out meanwhile.
    w.wait(4);
    assert!(w.said.is_empty(), "{:?}", w.said);
    w.wait(1);
    let grace = Duration::ZERO;
    for &run in given[1..].iter().rev() {
        assert_eq!(w.heard().1, ToWorker::EndItem { key, run, grace });
    }
    for &run in &given[1..] {
        assert_eq!(w.item(job, run.item.0), ItemStatus::Pending);
        let end = quickly(End::Asked);
        w.report(number, Report::ItemEnded { key, run, end });
    }
    assert_eq!(w.item(job, 1), ItemStatus::Running);
    assert!(w.said.is_empty(), "{:?}", w.said);
}

/// A worker with five quick items of a job of nine, whose word about the first of them is late: the other four are taken back.
fn with_four_taken_back(w: &mut World, job: JobId) -> (u8, LaunchKey, Vec<Run>) {
    let (number, key, given) = with_five(w);
    w.wait(5);
    for &run in given[1..].iter().rev() {
        let grace = Duration::ZERO;
        assert_eq!(w.heard().1, ToWorker::EndItem { key, run, grace });
        assert_eq!(w.item(job, run.item.0), ItemStatus::Pending);
    }
    (number, key, given)
}

#[test]
fn what_ended_before_its_worker_heard_that_it_is_taken_back_is_not_run_again() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(9));
    let (number, key, given) = with_four_taken_back(&mut w, job);
    let ends = [
        (given[0], End::Exit(0), ItemStatus::Complete),
        (given[1], End::Exit(0), ItemStatus::Complete),
        (given[2], End::Exit(3), ItemStatus::Failed),
        // It is given out again at once.
        (given[3], End::Asked, ItemStatus::Running),
    ];
    for (run, end, status) in ends {
        let end = quickly(end);
        w.report(number, Report::ItemEnded { key, run, end });
        assert_eq!(w.item(job, run.item.0), status, "{run:?}");
    }
    // None of those that ended by themselves is given out again; the others are.
    w.said
        .retain(|(_, said)| !matches!(said, ToWorker::EndItem { .. }));
    let mut again = Vec::new();
    while !w.said.is_empty() {
        let (_, _, run) = w.order();
        again.push((run.item, run.attempt));
        let end = quickly(End::Exit(0));
        w.report(number, Report::ItemEnded { key, run, end });
    }
    let ran = |run: &Run| again.iter().any(|(item, _)| *item == run.item);
    assert!(!given[..3].iter().any(ran), "{again:?}");
    assert!(again.contains(&(given[3].item, Attempt(2))), "{again:?}");
    assert!(!ran(&given[4]), "nobody knows yet whether it began");
}

#[test]
fn what_somebody_ended_while_it_was_taken_back_stays_as_they_want_it() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(9));
    let (number, key, given) = with_four_taken_back(&mut w, job);
    let item = |run: Run| Target::Items(job, vec![run.item]);
    w.act(Action::Kill, item(given[1])).expect("allowed");
    // Who retries it wants it to run with what the job says by then.
    w.act(Action::Kill, item(given[2])).expect("allowed");
    w.act(Action::Retry, item(given[2])).expect("allowed");
    for run in [given[0], given[1], given[2]] {
        let end = quickly(End::Exit(0));
        w.report(number, Report::ItemEnded { key, run, end });
    }
    assert_eq!(w.item(job, given[1].item.0), ItemStatus::Killed);
    assert_eq!(w.item(job, given[2].item.0), ItemStatus::Pending);
    for run in [given[3], given[4]] {
        let end = quickly(End::Asked);
        w.report(number, Report::ItemEnded { key, run, end });
    }
    w.said
        .retain(|(_, said)| !matches!(said, ToWorker::EndItem { .. }));
    let mut again = Vec::new();
    while !w.said.is_empty() {
        match w.heard().1 {
            ToWorker::Start { key, run, .. } | ToWorker::Run { key, run } => {
                again.push((run.item, run.attempt));
                let end = quickly(End::Exit(0));
                w.report(number, Report::ItemEnded { key, run, end });
            }
            ToWorker::Close { key, .. } => w.gone(number, key),
            said => panic!("{said:?}"),
        }
    }
    assert!(again.contains(&(given[2].item, Attempt(2))), "{again:?}");
    assert!(!again.iter().any(|(item, _)| *item == given[1].item));
}

#[test]
fn an_item_given_ahead_does_not_wait_long_behind_a_slow_one() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(4));
    let (number, key, run) = w.order();
    let end = quickly(End::Exit(0));
    w.report(number, Report::ItemEnded { key, run, end });
    let (_, _, slow) = w.order();
    let (_, _, ahead) = w.order();
    assert_eq!((slow.item.0, ahead.item.0), (1, 2));
    assert_eq!(w.item(job, 2), ItemStatus::Running);
    w.wait(1);
    let grace = Duration::ZERO;
    assert_eq!(
        w.heard().1,
        ToWorker::EndItem {
            key,
            run: ahead,
            grace
        }
    );
    assert_eq!(w.item(job, 2), ItemStatus::Pending);
    let end = quickly(End::Asked);
    w.report(
        number,
        Report::ItemEnded {
            key,
            run: ahead,
            end,
        },
    );
    // Another instance takes it at once.
    w.connect(2, 1);
    let patch = Box::new(JobPatch {
        cpus: Some(2),
        ..JobPatch::default()
    });
    w.step(Input::Modify {
        by: person("mia"),
        job,
        patch,
    });
    let (number, _, run) = w.order();
    assert_eq!((number, run.item.0, run.attempt), (2, 2, Attempt(2)));
    assert!(
        w.said.is_empty(),
        "a slow launch was given one ahead: {:?}",
        w.said
    );
}

#[test]
fn slow_items_are_given_one_by_one() {
    let mut w = World::new();
    w.connect(1, 1);
    w.submit(spec(5));
    let first = w.order();
    w.end(first, End::Exit(0));
    w.order();
    assert!(w.said.is_empty());
}

#[test]
fn what_could_not_be_started_is_named() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(JobSpec {
        command: vec!["povrayy".into()],
        ..spec(1)
    });
    let order = w.order();
    let now = Now {
        wall: Timestamp(0),
        elapsed: Duration::from_millis(w.ms),
    };
    let end = ended(End::NotStarted("exec: No such file or directory".into()));
    let report = Report::ItemEnded {
        key: order.1,
        run: order.2,
        end,
    };
    let session = w.engine.session_of(host(1)).expect("connected");
    let what = Box::new(FromWorker::Report { seq: 9, report });
    let out = w.engine.handle(
        now,
        Input::Said {
            host: host(1),
            session,
            what,
        },
    );
    let said = |change: &Change| match change {
        Change::Event(event) => event.text.contains("can't run povrayy: No such file"),
        _ => false,
    };
    assert!(out.changes.iter().any(said), "{:?}", out.changes);
    assert_eq!(w.status(job), WorkStatus::Failed);
}

#[test]
fn a_desktop_runs_its_own_persons_jobs_only() {
    let mut w = World::new();
    w.connect_as(1, 1, Identity::Desktop("bob".into()));
    w.say(1, FromWorker::Inventory(Vec::new()));
    let job = w.submit(spec(1));
    assert!(w.said.is_empty(), "mia's job went to bob's desktop");
    let why = w.engine.why(job).expect("there");
    assert!(
        why.iter().any(|r| r.kind == why::Kind::OtherDesktop),
        "{why:?}"
    );
    w.connect_as(2, 1, Identity::Desktop("mia".into()));
    w.say(2, FromWorker::Inventory(Vec::new()));
    assert_eq!(w.order().0, 2);
}
