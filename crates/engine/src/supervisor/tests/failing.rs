//! Jobs that stop when so many of their items failed.

use super::*;
use why::Kind;

fn stopping(frames: u32, cpus: u32, max_failures: u32) -> JobSpec {
    JobSpec {
        cpus,
        max_failures,
        ..spec(frames)
    }
}

/// Ends an item and answers what comes next to any worker.
fn next(w: &mut World, order: (u8, LaunchKey, Run), status: i32) -> Option<(u8, LaunchKey, Run)> {
    w.end(order, End::Exit(status));
    begun(w)
}

fn begun(w: &mut World) -> Option<(u8, LaunchKey, Run)> {
    let runs = |what: &ToWorker| matches!(what, ToWorker::Start { .. } | ToWorker::Run { .. });
    w.said.retain(|(_, what)| runs(what));
    (!w.said.is_empty()).then(|| w.order())
}

#[test]
fn a_job_stops_when_as_many_frames_failed_as_may() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(stopping(10, 1, 3));
    let mut order = w.order();
    for status in [1, 0, 1] {
        order = next(&mut w, order, status).expect("it goes on");
    }
    assert_eq!(next(&mut w, order, 1), None, "the third");
    w.gone(1, order.1);
    assert_eq!(w.status(job), WorkStatus::Failed);
    assert!(w.said.is_empty());
    let told = w.engine.why(job).expect("there").remove(0);
    assert_eq!(told.kind, Kind::InstanceFailed);
    let text = "its instance failed: 3 of the job's frames failed (max-failures 3)";
    assert_eq!(told.text, text);
    // Whoever retries it lets it go on, with as many failures as may be.
    w.act(Action::Retry, Target::Job(job)).expect("allowed");
    let mut order = w.order();
    for status in [1, 1, 0] {
        order = next(&mut w, order, status).expect("it goes on");
    }
    assert_eq!(next(&mut w, order, 1), None);
    assert_eq!(w.status(job), WorkStatus::Failed);
}

#[test]
fn what_runs_is_finished_and_nothing_else_begins() {
    let mut w = World::new();
    w.connect(1, 2);
    let job = w.submit(stopping(10, 4, 1));
    let (first, second) = (w.order(), w.order());
    assert_eq!(
        next(&mut w, first, 1),
        None,
        "the place is free and stays so"
    );
    w.gone(1, first.1);
    assert!(w.said.is_empty());
    assert_eq!(w.status(job), WorkStatus::Running);
    assert_eq!(w.item(job, second.2.item.0), ItemStatus::Running);
    assert_eq!(next(&mut w, second, 0), None);
    w.gone(1, second.1);
    assert_eq!(w.item(job, second.2.item.0), ItemStatus::Complete);
    assert_eq!(w.status(job), WorkStatus::Failed);
    // Others have the host.
    let other = w.submit(spec(1));
    assert_eq!(w.order().1.job, other);
}

#[test]
fn a_host_that_is_lost_meanwhile_lets_nothing_begin_again() {
    let mut w = World::new();
    w.connect(1, 1);
    w.connect(2, 1);
    let job = w.submit(stopping(10, 2, 1));
    let (first, second) = (w.order(), w.order());
    assert_eq!(next(&mut w, first, 1), None);
    w.gone(first.0, first.1);
    w.disconnect(second.0);
    w.wait(301);
    assert!(w.said.is_empty(), "{:?}", w.said);
    assert_eq!(w.status(job), WorkStatus::Failed);
    assert_eq!(w.item(job, second.2.item.0), ItemStatus::Pending);
}

#[test]
fn a_restart_forgets_neither_that_it_stops_nor_why() {
    let mut w = World::new();
    w.connect(1, 2);
    let job = w.submit(stopping(10, 2, 1));
    let (first, second) = (w.order(), w.order());
    w.end(first, End::Exit(1));
    let now = Now {
        wall: Timestamp(0),
        elapsed: Duration::from_millis(w.ms),
    };
    let image = w.engine.image();
    w.engine = Engine::restore(Config::default(), now, image.clone()).expect("whole");
    assert_eq!(w.engine.image(), image);
    let phase = w.engine.launch(second.1).expect("there").phase;
    assert_eq!(phase, Phase::Finishing(WorkStatus::Failed));
    let reason = w.engine.job(job).expect("there").instances()[0]
        .failure
        .clone();
    assert!(reason.is_some_and(|it| it.contains("max-failures 1")));
}

#[test]
fn commands_of_their_own_stop_too_and_retries_come_first() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(JobSpec {
        kind: JobKind::CmdLine,
        retrywork: 1,
        ..stopping(5, 5, 2)
    });
    let mut order = Some(w.order());
    let mut runs = 0;
    while let Some(it) = order {
        runs += 1;
        order = next(&mut w, it, 1);
        if order.is_none() {
            w.gone(1, it.1);
            order = begun(&mut w);
        }
    }
    assert_eq!(runs, 4, "two commands, each twice");
    assert_eq!(w.status(job), WorkStatus::Failed);
}

#[test]
fn none_is_as_many_as_there_are() {
    let mut w = World::new();
    w.connect(1, 1);
    w.submit(stopping(3, 1, 0));
    let order = w.order();
    let order = next(&mut w, order, 1).expect("it goes on");
    let order = next(&mut w, order, 1).expect("it goes on");
    assert_eq!(next(&mut w, order, 1), None);
}

#[test]
fn what_leaves_its_host_stops_with_the_others() {
    for is_asked in [true, false] {
        let mut w = World::new();
        w.engine = Engine::new(Config {
            preempt_policy: PreemptPolicy::Passive,
            ..Config::default()
        });
        w.connect(1, 2);
        let job = w.submit(stopping(10, 2, 1));
        let (first, second) = (w.order(), w.order());
        let urgent = if is_asked {
            let target = Target::Instance(job, second.1.instance);
            w.act(Action::Preempt, target).expect("allowed");
            None
        } else {
            let spec = JobSpec {
                priority: 1,
                ..spec(1)
            };
            Some(w.submit(spec))
        };
        let leaves = |w: &World, order: (u8, LaunchKey, Run)| {
            let launch = w.engine.launch(order.1).expect("there");
            launch.phase == Phase::Finishing(WorkStatus::Pending)
        };
        let (leaving, other) = match leaves(&w, second) {
            true => (second, first),
            false => (first, second),
        };
        assert!(leaves(&w, leaving));
        assert_eq!(next(&mut w, other, 1), None);
        w.gone(1, other.1);
        // Who wanted room has that of the other, and who would have left for it stays no longer than its frame.
        assert_eq!(begun(&mut w).map(|it| it.1.job), urgent);
        let phase = w.engine.launch(leaving.1).expect("there").phase;
        assert_eq!(phase, Phase::Finishing(WorkStatus::Failed));
        assert_eq!(next(&mut w, leaving, 0), None);
        w.gone(1, leaving.1);
        assert_eq!(begun(&mut w), None);
        assert_eq!(w.status(job), WorkStatus::Failed);
    }
}

#[test]
fn no_instance_of_a_job_that_stops_is_tried_again() {
    let mut w = World::new();
    w.connect(1, 3);
    let job = w.submit(JobSpec {
        kind: JobKind::CmdLine,
        retrysubjob: 1,
        ..stopping(3, 3, 1)
    });
    let (first, second, third) = (w.order(), w.order(), w.order());
    assert_eq!(next(&mut w, first, 1), None);
    w.gone(1, first.1);
    let again = w.order();
    assert_eq!(again.1.instance, first.1.instance, "it is retried once");
    assert_eq!(next(&mut w, again, 1), None);
    w.gone(1, again.1);
    assert_eq!(next(&mut w, second, 1), None);
    w.gone(1, second.1);
    let cause = GoneCause::StarterLost;
    w.report(
        1,
        Report::Gone {
            key: third.1,
            cause,
        },
    );
    assert_eq!(begun(&mut w), None);
    assert_eq!(w.status(job), WorkStatus::Failed);
    assert_eq!(w.item(job, second.2.item.0), ItemStatus::Failed);
}

#[test]
fn what_its_host_refuses_of_a_job_that_stops_is_not_tried_again() {
    let mut w = World::new();
    w.connect(1, 2);
    let job = w.submit(stopping(10, 2, 1));
    let (first, second) = (w.order(), w.order());
    assert_eq!(next(&mut w, first, 1), None);
    w.gone(1, first.1);
    let refusal = Refusal {
        code: "busy".into(),
        text: "the launcher is busy".into(),
    };
    assert!(refusal.is_passing());
    w.report(
        1,
        Report::Refused {
            key: second.1,
            refusal,
        },
    );
    w.wait(10);
    assert_eq!(begun(&mut w), None);
    assert_eq!(w.status(job), WorkStatus::Failed);
}

#[test]
fn who_retries_while_others_finish_has_all_of_them_go_on() {
    for is_whole in [true, false] {
        let mut w = World::new();
        w.connect(1, 4);
        let job = w.submit(stopping(20, 4, 1));
        let orders = [w.order(), w.order(), w.order(), w.order()];
        assert_eq!(next(&mut w, orders[0], 1), None);
        w.gone(1, orders[0].1);
        let target = match is_whole {
            true => Target::Job(job),
            false => Target::Items(job, vec![orders[0].2.item]),
        };
        w.act(Action::Retry, target).expect("allowed");
        let again = begun(&mut w).expect("the place is free");
        assert_eq!(again.2.item, orders[0].2.item);
        for order in &orders[1..] {
            let it = next(&mut w, *order, 0).expect("it goes on");
            assert_eq!(it.1, order.1, "where it was");
        }
        let it = w.engine.job(job).expect("there");
        assert_eq!(it.instances_in(WorkStatus::Running), 4);
        assert!(it.instances().iter().all(|it| it.failure.is_none()));
        // It stops again when one more fails.
        w.end(again, End::Exit(1));
        let stops = |it: &Launch| it.phase == Phase::Finishing(WorkStatus::Failed);
        assert_eq!(w.engine.launches_of(job).filter(|it| stops(it)).count(), 3);
    }
}
