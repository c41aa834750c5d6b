//! Jobs that are at fault.

use super::*;

#[test]
fn a_job_that_fails_wherever_it_is_tried_is_blocked_with_the_reason() {
    let mut w = farm(&[1, 1, 1, 1, 1]);
    let job = w.submit(frames(100, 1));
    let ran = w.play(|_| End::Exit(1));
    assert_eq!(
        ran.len(),
        3 * N as usize,
        "three times on each of three hosts"
    );
    assert_eq!(w.status(job), WorkStatus::Blocked);
    let hosts: std::collections::BTreeSet<u8> = ran.iter().map(|it| it.0).collect();
    let names: Vec<String> = hosts.iter().map(|it| format!("rnd{it}")).collect();
    let why = format!(
        "3 of its frames failed in a row on each of {}, and none succeeded anywhere",
        names.join(", ")
    );
    let told = w.engine.why(job).expect("there").remove(0);
    assert_eq!(
        (told.kind, told.text),
        (Kind::Blocked, format!("blocked by the farm: {why}"))
    );
    let blocked = |it: &Event| it.kind == kind::JOB_STATUS && it.text == "blocked";
    assert_eq!(
        w.told.iter().filter(|it| blocked(it)).count(),
        1,
        "told once"
    );
    assert_eq!(w.told_of(kind::JOB_ACTION, "blocked by the farm"), 1);
    assert_eq!(w.told_of(kind::HOST_WRANGLED, ""), 0);
    // A restart forgets neither that nor why.
    w.begin_anew();
    let known = w.engine.job(job).expect("there");
    assert_eq!(w.engine.why_blamed(known), Some(why.as_str()));
    (1..=5).for_each(|number| w.connect(number, 1));
    assert!(w.said.is_empty());
    // Who unblocks it has it go on, on all hosts.
    let hint = told.hint.expect("a way out");
    w.follow(&hint, "unblock");
    let ran = w.play(|_| End::Exit(0));
    assert_eq!(ran.len(), 100 - N as usize);
    w.follow(&hint, "retry");
    w.play(|_| End::Exit(0));
    assert_eq!(w.status(job), WorkStatus::Complete);
    assert_eq!(w.engine.why_blamed(w.engine.job(job).expect("there")), None);
}

#[test]
fn where_there_are_two_hosts_both_are_enough() {
    let mut w = farm(&[1, 1]);
    let job = w.submit(frames(100, 2));
    let ran = w.play(|_| End::Exit(1));
    assert_eq!(w.status(job), WorkStatus::Blocked);
    assert!(ran.len() <= 4 * N as usize, "{}", ran.len());
}

#[test]
fn a_host_that_is_away_could_take_it_yet() {
    let mut w = farm(&[1, 1, 1]);
    w.disconnect(3);
    let job = w.submit(frames(30, 1));
    w.play(|_| End::Exit(1));
    assert_ne!(w.status(job), WorkStatus::Blocked);
}

#[test]
fn what_has_succeeded_once_is_not_blocked_after_a_restart_neither() {
    for restarts in [false, true] {
        let mut w = farm(&[1, 1, 1]);
        let job = w.submit(frames(60, 1));
        let order = w.order();
        w.end(order, End::Exit(0));
        if restarts {
            w.said.clear();
            w.gone_all();
            w.begin_anew();
            (1..=3).for_each(|number| w.connect(number, 1));
        }
        w.play(|_| End::Exit(1));
        assert_eq!(w.status(job), WorkStatus::Failed, "{restarts}");
        assert_eq!(w.told_of(kind::JOB_ACTION, "blocked by the farm"), 0);
    }
}

impl World {
    /// Ends what runs, as its host was lost in good order.
    fn gone_all(&mut self) {
        let all: Vec<_> = self.engine.launches().map(|it| (it.host, it.key)).collect();
        for (host, key) in all {
            self.gone(host.0[0], key);
        }
        self.said.clear();
    }
}

/// A job of which one item runs for long on a third host, and all that is tried elsewhere has failed.
fn with_a_slow_one() -> (World, JobId, Order) {
    let mut w = farm(&[1, 1, 1]);
    let job = w.submit(frames(40, 3));
    let orders: Vec<Order> = (0..3).map(|_| w.order()).collect();
    let slow = orders[2];
    for order in &orders[..2] {
        w.end(*order, End::Exit(1));
    }
    w.config_hosts(2);
    w.play(|_| End::Exit(1));
    (w, job, slow)
}

#[test]
fn what_runs_is_finished_and_its_instances_are_blocked_then() {
    for how in ["ends", "is lost", "is preempted"] {
        let (mut w, job, slow) = with_a_slow_one();
        assert_eq!(w.status(job), WorkStatus::Running, "the slow one runs");
        let phase = w.engine.launch(slow.1).expect("there").phase;
        assert_eq!(phase, Phase::Finishing(WorkStatus::Blocked));
        match how {
            "ends" => {
                w.end(slow, End::Exit(1));
                w.gone(slow.0, slow.1);
            }
            "is lost" => {
                let cause = GoneCause::ShepherdLost;
                w.report(slow.0, Report::Gone { key: slow.1, cause });
            }
            _ => {
                let target = Target::Instance(job, slow.1.instance);
                w.act(Action::Preempt, target).expect("allowed");
                w.end(slow, End::Exit(1));
                w.gone(slow.0, slow.1);
            }
        }
        w.said
            .retain(|(_, what)| matches!(what, ToWorker::Start { .. } | ToWorker::Run { .. }));
        w.wait(60);
        assert_eq!(w.status(job), WorkStatus::Blocked, "{how}");
        assert!(w.said.is_empty(), "{how}: {:?}", w.said);
    }
}

impl World {
    /// From now on so many hosts prove that a job is at fault.
    fn config_hosts(&mut self, hosts: u32) {
        self.engine.config.wrangling.hosts = hosts;
    }
}

#[test]
fn who_unblocks_while_something_is_finished_has_it_go_on_too() {
    let (mut w, job, slow) = with_a_slow_one();
    w.act(Action::Unblock, Target::Job(job)).expect("allowed");
    let launch = w.engine.launch(slow.1).expect("there");
    assert_eq!(launch.phase, Phase::Open);
    let job = w.engine.job(job).expect("there");
    assert!(job.instances().iter().all(|it| it.failure.is_none()));
}

#[test]
fn commands_of_their_own_go_elsewhere_with_their_instances() {
    let mut w = farm(&[1, 1]);
    let job = w.submit(JobSpec {
        kind: JobKind::CmdLine,
        retrysubjob: 1,
        ..frames(8, 8)
    });
    let ran = w.play_with_bad(&[1]);
    assert_eq!(w.status(job), WorkStatus::Complete);
    assert_eq!(on(&ran, 1), N as usize);
    let instances = w.engine.job(job).expect("there").instances().to_vec();
    assert!(
        instances.iter().all(|it| it.failure.is_none()),
        "{instances:?}"
    );
    // And are blocked when all of them fail.
    let job = w.submit(JobSpec {
        kind: JobKind::CmdLine,
        ..frames(30, 30)
    });
    w.play(|_| End::Exit(1));
    assert_eq!(w.status(job), WorkStatus::Blocked);
    let told = w.reason(job, Kind::Blocked);
    w.follow(&told.hint.expect("a way out"), "unblock");
    assert!(w.begins(job));
}

#[test]
fn a_job_that_stops_after_fewer_failures_stops_and_one_after_more_is_moved_first() {
    let of = |max_failures| JobSpec {
        max_failures,
        ..frames(20, 1)
    };
    let mut w = farm(&[1, 1]);
    let few = w.submit(of(2));
    w.play(|_| End::Exit(1));
    assert_eq!(w.status(few), WorkStatus::Failed);
    assert_eq!(w.told_of(kind::JOB_ACTION, "keeps off"), 0);
    let many = w.submit(of(N));
    let mut first = None;
    w.play(|(host, ..)| End::Exit(i32::from(host == *first.get_or_insert(host))));
    assert_eq!(w.status(many), WorkStatus::Complete);
}
