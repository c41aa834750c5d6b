//! What people ask for.

use super::*;

#[test]
fn better_priority_goes_first_then_age_then_top() {
    let mut w = World::new();
    let old = w.submit(spec(1));
    let young = w.submit(spec(1));
    let urgent = w.submit(JobSpec {
        priority: 1,
        ..spec(1)
    });
    let last = w.submit(spec(1));
    w.act(Action::Top, Target::Job(last)).expect("allowed");
    w.connect(1, 4);
    let order: Vec<JobId> = (0..4).map(|_| w.order().1.job).collect();
    assert_eq!(order, [urgent, last, old, young]);
}

#[test]
fn an_interrupted_item_waits_until_its_old_processes_are_gone() {
    let mut w = World::new();
    w.connect(1, 1);
    w.connect(2, 1);
    let job = w.submit(spec(1));
    let order = w.order();
    w.act(Action::Interrupt, Target::Job(job)).expect("allowed");
    assert!(matches!(w.heard().1, ToWorker::Close { .. }));
    assert!(
        w.said.is_empty(),
        "started again before the old one was gone: {:?}",
        w.said
    );
    w.end(order, End::Asked);
    assert_eq!(w.order().2.attempt, Attempt(2));
}

#[test]
fn others_may_not_act_on_a_job() {
    let mut w = World::new();
    let job = w.submit(spec(1));
    let denied = w.act_as("eve", Action::Kill, Target::Job(job));
    assert!(
        matches!(denied, Err(Denied::Forbidden { .. })),
        "{denied:?}"
    );
    assert_eq!(w.status(job), WorkStatus::Pending);
    w.act_as("root", Action::Kill, Target::Job(job))
        .expect("an administrator may");
    assert_eq!(w.status(job), WorkStatus::Killed);
    let submission = Submission {
        by: person("eve"),
        spec: spec(1),
        owner: Some(name("mia")),
        key: None,
        is_blocked: false,
    };
    let denied = w.step(Input::Submit(Box::new(submission)));
    assert!(
        matches!(denied, Some(Err(Denied::Forbidden { .. }))),
        "{denied:?}"
    );
}

#[test]
fn a_submission_sent_twice_exists_once() {
    let mut w = World::new();
    let first = w.try_submit("mia", spec(1), Some("k"));
    let again = w.try_submit("mia", spec(1), Some("k"));
    assert_eq!(
        first,
        Ok(Answer::Submitted {
            job: JobId(1),
            existed: false
        })
    );
    assert_eq!(
        again,
        Ok(Answer::Submitted {
            job: JobId(1),
            existed: true
        })
    );
    let other = w.try_submit("bob", spec(1), Some("k"));
    assert_eq!(
        other,
        Ok(Answer::Submitted {
            job: JobId(2),
            existed: false
        }),
        "keys are each user's own"
    );
}

#[test]
fn suspended_work_is_resumed_or_killed() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(2));
    let order = w.order();
    w.act(Action::Suspend, Target::Job(job)).expect("allowed");
    assert_eq!(w.heard().1, ToWorker::Suspend(order.1));
    assert_eq!(
        (w.status(job), w.item(job, 0)),
        (WorkStatus::Suspended, ItemStatus::Suspended)
    );
    w.act(Action::Resume, Target::Job(job)).expect("allowed");
    assert_eq!(w.heard().1, ToWorker::Resume(order.1));
    w.act(Action::Suspend, Target::Job(job)).expect("allowed");
    w.said.clear();
    w.act(Action::Kill, Target::Job(job)).expect("allowed");
    assert!(matches!(w.heard().1, ToWorker::Close { .. }));
    assert_eq!(w.status(job), WorkStatus::Killed);
}

#[test]
fn a_retired_instance_finishes_its_item_and_others_go_on() {
    let mut w = World::new();
    w.connect(1, 2);
    let job = w.submit(JobSpec { cpus: 2, ..spec(4) });
    let (first, second) = (w.order(), w.order());
    w.act(Action::Retire, Target::Instance(job, InstanceNo(0)))
        .expect("allowed");
    assert!(w.said.is_empty());
    w.end(first, End::Exit(0));
    assert!(matches!(w.heard().1, ToWorker::Close { .. }));
    w.gone(1, first.1);
    assert!(
        w.said.is_empty(),
        "a retired instance came back: {:?}",
        w.said
    );
    let mut order = second;
    for _ in 0..2 {
        w.end(order, End::Exit(0));
        order = w.order();
    }
    w.end(order, End::Exit(0));
    assert_eq!(w.status(job), WorkStatus::Complete);
}

#[test]
fn a_locked_host_finishes_what_it_has() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(2));
    let order = w.order();
    let denied = w.step(Input::Lock {
        by: person("mia"),
        host: host(1),
        is_locked: true,
    });
    assert!(
        matches!(denied, Some(Err(Denied::Forbidden { .. }))),
        "{denied:?}"
    );
    w.step(Input::Lock {
        by: person("root"),
        host: host(1),
        is_locked: true,
    });
    w.end(order, End::Exit(0));
    assert!(matches!(w.heard().1, ToWorker::Close { .. }));
    w.gone(1, order.1);
    assert!(w.said.is_empty());
    assert!(
        w.engine
            .why(job)
            .expect("there")
            .iter()
            .any(|r| r.kind == why::Kind::HostLocked)
    );
    w.step(Input::Lock {
        by: person("root"),
        host: host(1),
        is_locked: false,
    });
    assert_eq!(w.order().2.item, ItemIndex(1));
}

#[test]
fn only_the_host_that_an_instance_or_frame_leaves_is_barred() {
    for by_frame in [false, true] {
        let mut w = World::new();
        for number in 1..=3 {
            w.connect(number, 1);
        }
        let job = w.submit(JobSpec { cpus: 3, ..spec(9) });
        let all = [w.order(), w.order(), w.order()];
        let left = all[1];
        let target = if by_frame {
            Target::Items(job, vec![left.2.item])
        } else {
            Target::Instance(job, left.1.instance)
        };
        w.act(Action::Migrate, target).expect("allowed");
        let bars = &w.engine.job(job).expect("there").bars;
        let barred: Vec<u8> = bars.iter().map(|(host, _)| host.0[0]).collect();
        assert_eq!(barred, [left.0]);
    }
}

#[test]
fn a_migrated_frame_runs_on_another_host() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(5));
    let first = w.order();
    w.act(Action::Migrate, Target::Items(job, vec![first.2.item]))
        .expect("allowed");
    assert!(matches!(w.heard().1, ToWorker::EndItem { .. }));
    w.end(first, End::Asked);
    let told = w.heard().1;
    assert!(matches!(told, ToWorker::Close { .. }), "{told:?}");
    w.gone(1, first.1);
    assert!(w.said.is_empty(), "{:?}", w.said);
    w.connect(2, 1);
    let again = w.order();
    assert_eq!(
        (again.0, again.2.item, again.2.attempt),
        (2, first.2.item, Attempt(2))
    );
}

#[test]
fn a_migrated_job_keeps_off_the_host_that_it_left() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(1));
    let order = w.order();
    w.act(Action::Migrate, Target::Job(job)).expect("allowed");
    w.said.clear();
    w.end(order, End::Asked);
    w.gone(1, order.1);
    assert!(w.said.is_empty());
    assert!(
        w.engine
            .why(job)
            .expect("there")
            .iter()
            .any(|r| r.kind == why::Kind::Migrated)
    );
    w.wait(1200);
    assert_eq!(w.order().0, 1);
}

/// As the documentation says: it is on no record.
#[test]
fn for_how_long_a_job_keeps_off_is_told_and_a_restart_forgets_it() {
    let mut w = World::new();
    w.engine.config.migrate_timeout = Duration::from_secs(180);
    w.connect(1, 1);
    let job = w.submit(spec(1));
    let order = w.order();
    w.act(Action::Migrate, Target::Job(job)).expect("allowed");
    w.said.clear();
    w.end(order, End::Asked);
    w.gone(1, order.1);
    let reasons = w.engine.why(job).expect("there");
    let told = reasons.iter().find(|it| it.kind == why::Kind::Migrated);
    let hint = told.and_then(|it| it.hint.as_deref()).unwrap_or_default();
    assert_eq!(
        hint,
        "it may go back there in 3 min (supervisor_migrate_timeout)"
    );
    let (now, image) = (w.engine.now, w.engine.image());
    w.engine = Engine::restore(Config::default(), now, image).expect("whole");
    w.connect(1, 1);
    assert_eq!(w.order().0, 1);
}

#[test]
fn more_instances_take_more_items_and_fewer_give_them_back() {
    let mut w = World::new();
    w.connect(1, 4);
    let job = w.submit(spec(10));
    let first = w.order();
    let patch = |cpus| {
        Box::new(JobPatch {
            cpus: Some(cpus),
            ..JobPatch::default()
        })
    };
    w.step(Input::Modify {
        by: person("mia"),
        job,
        patch: patch(3),
    });
    let (second, third) = (w.order(), w.order());
    assert_eq!([first.2.item.0, second.2.item.0, third.2.item.0], [0, 1, 2]);
    w.step(Input::Modify {
        by: person("mia"),
        job,
        patch: patch(1),
    });
    assert!(w.said.is_empty());
    w.end(third, End::Exit(0));
    assert!(matches!(w.heard().1, ToWorker::Close { .. }));
    w.gone(1, third.1);
    assert!(w.said.is_empty());
    assert_eq!(
        w.engine.job(job).unwrap().instances_in(WorkStatus::Running),
        1
    );
}

#[test]
fn only_ended_jobs_without_processes_are_removed() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(1));
    let order = w.order();
    assert!(matches!(
        w.act(Action::Remove, Target::Job(job)),
        Err(Denied::State { .. })
    ));
    w.end(order, End::Exit(0));
    assert!(
        matches!(
            w.act(Action::Remove, Target::Job(job)),
            Err(Denied::State { .. })
        ),
        "its launch is there"
    );
    w.gone(1, order.1);
    w.act(Action::Remove, Target::Job(job)).expect("allowed");
    assert!(w.engine.job(job).is_none());
    let denied = w.act(Action::Kill, Target::Job(job));
    assert_eq!(denied, Err(Denied::NoJob(job)));
}

#[test]
fn a_killed_item_alone_is_retried_alone() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(3));
    let first = w.order();
    w.act(Action::Kill, Target::Items(job, vec![ItemIndex(0)]))
        .expect("allowed");
    assert!(matches!(w.heard().1, ToWorker::EndItem { .. }));
    w.end(first, End::Asked);
    for _ in 1..3 {
        let order = w.order();
        w.end(order, End::Exit(0));
    }
    assert_eq!(w.status(job), WorkStatus::Killed);
    w.gone(1, first.1);
    w.said.clear();
    w.act(Action::Retry, Target::Job(job)).expect("allowed");
    let order = w.order();
    assert_eq!(
        order.2,
        Run {
            item: ItemIndex(0),
            attempt: Attempt(2)
        }
    );
    w.end(order, End::Exit(0));
    assert_eq!(w.status(job), WorkStatus::Complete);
}

#[test]
fn retrying_an_unfinished_job_leaves_alone_what_is_complete() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(3));
    let first = w.order();
    w.end(first, End::Exit(0));
    let second = w.order();
    let denied = w.act(Action::Retry, Target::Job(job));
    assert!(matches!(denied, Err(Denied::State { .. })), "{denied:?}");
    w.end(second, End::Exit(1));
    w.act(Action::Retry, Target::Job(job))
        .expect("one has failed");
    assert_eq!(w.item(job, 0), ItemStatus::Complete);
    assert_eq!(w.item(job, 1), ItemStatus::Pending);
}

#[test]
fn a_frame_of_a_blocked_job_starts_when_it_is_unblocked() {
    let mut w = World::new();
    w.connect(1, 4);
    for is_pending in [false, true] {
        let job = w.submit(JobSpec { cpus: 2, ..spec(4) });
        let first = [w.order(), w.order()];
        let acted = w.act(Action::Block, Target::Job(job)).expect("allowed");
        assert_eq!((acted.items, acted.instances), (4, 2));
        w.said.clear();
        for order in first {
            w.end(order, End::Asked);
            w.gone(1, order.1);
        }
        let third = || Target::Items(job, vec![ItemIndex(2)]);
        if is_pending {
            w.act(Action::Unblock, third()).expect("allowed");
            let order = w.order();
            w.act(Action::Block, Target::Instance(job, order.1.instance))
                .expect("allowed");
            w.said.clear();
            w.end(order, End::Asked);
            w.gone(1, order.1);
            assert_eq!(
                (w.item(job, 2), w.status(job)),
                (ItemStatus::Pending, WorkStatus::Blocked)
            );
        }
        let acted = w.act(Action::Unblock, third()).expect("allowed");
        assert_eq!((acted.items, acted.instances), (u32::from(!is_pending), 1));
        assert_eq!(w.order().2.item, ItemIndex(2));
        assert!(w.said.is_empty(), "the others stay blocked");
        let denied = w.act(Action::Unblock, third()).expect_err("it runs");
        assert!(
            denied.to_string().ends_with("it is not blocked (running)"),
            "{denied}"
        );
        w.act(Action::Kill, Target::Job(job)).expect("allowed");
        w.said.clear();
    }
}
