//! What each action does to work that runs: what its worker is told, and what becomes of it (`docs/states.md`).

use super::*;

fn one(job: JobId, item: u32) -> Target {
    Target::Items(job, vec![ItemIndex(item)])
}

#[test]
fn requeued_work_is_blocked_and_then_runs_with_the_next_attempt() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(1));
    let first = w.order();
    let denied = w.act(Action::Requeue, Target::Job(job));
    assert!(matches!(denied, Err(Denied::State { .. })), "{denied:?}");
    assert!(w.said.is_empty(), "what runs is left alone: {:?}", w.said);
    w.end(first, End::Exit(1));
    w.gone(1, first.1);
    w.said.clear();
    w.act(Action::Requeue, Target::Job(job)).expect("allowed");
    assert_eq!(w.status(job), WorkStatus::Blocked);
    assert_eq!(w.item(job, 0), ItemStatus::Blocked);
    w.wait(60);
    assert!(w.said.is_empty(), "blocked work was run: {:?}", w.said);
    w.act(Action::Unblock, Target::Job(job)).expect("allowed");
    let again = w.order();
    assert_eq!(again.2.attempt, Attempt(2));
    w.end(again, End::Exit(0));
    assert_eq!(w.status(job), WorkStatus::Complete);
}

#[test]
fn an_end_counts_only_from_the_launch_that_has_the_run() {
    let mut w = World::new();
    w.connect(1, 1);
    w.connect(2, 1);
    let two = JobSpec { cpus: 2, ..spec(2) };
    let job = w.submit(two);
    let (first, second) = (w.order(), w.order());
    assert_ne!(first.0, second.0);
    // The first host says of its own launch that the other's item ended.
    w.end((first.0, first.1, second.2), End::Exit(0));
    assert_eq!(w.item(job, second.2.item.0), ItemStatus::Running);
    w.end(second, End::Exit(1));
    assert_eq!(w.item(job, second.2.item.0), ItemStatus::Failed);
    w.end(first, End::Exit(0));
    assert_eq!(w.item(job, first.2.item.0), ItemStatus::Complete);
}

#[test]
fn an_item_requeued_alone_leaves_the_others() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(2));
    let first = w.order();
    w.end(first, End::Exit(0));
    let second = w.order();
    w.act(Action::Requeue, one(job, 0)).expect("allowed");
    w.act(Action::Unblock, one(job, 0)).expect("allowed");
    w.end(second, End::Exit(0));
    let again = w.order().2;
    let expected = Run {
        item: ItemIndex(0),
        attempt: Attempt(2),
    };
    assert_eq!(again, expected);
    assert_eq!(w.item(job, 1), ItemStatus::Complete);
}

#[test]
fn top_and_bottom_change_who_goes_next() {
    let mut w = World::new();
    let jobs: Vec<JobId> = (0..4).map(|_| w.submit(spec(1))).collect();
    w.act(Action::Bottom, Target::Job(jobs[0]))
        .expect("allowed");
    w.act(Action::Bottom, Target::Job(jobs[2]))
        .expect("allowed");
    w.act(Action::Top, Target::Job(jobs[3])).expect("allowed");
    w.connect(1, 4);
    let order: Vec<JobId> = (0..4).map(|_| w.order().1.job).collect();
    assert_eq!(order, [jobs[3], jobs[1], jobs[0], jobs[2]]);
}

#[test]
fn bottom_takes_back_a_top_and_never_beats_priority() {
    let mut w = World::new();
    let first = w.submit(spec(1));
    let second = w.submit(spec(1));
    let late = w.submit(JobSpec {
        priority: 1,
        ..spec(1)
    });
    w.act(Action::Top, Target::Job(second)).expect("allowed");
    w.act(Action::Bottom, Target::Job(second)).expect("allowed");
    w.act(Action::Bottom, Target::Job(late)).expect("allowed");
    w.connect(1, 3);
    let order: Vec<JobId> = (0..3).map(|_| w.order().1.job).collect();
    assert_eq!(order, [late, first, second]);
}

#[test]
fn a_running_item_set_complete_or_failed_is_ended_and_stays_so() {
    let cases = [
        (Action::Complete, ItemStatus::Complete, WorkStatus::Complete),
        (Action::Fail, ItemStatus::Failed, WorkStatus::Failed),
    ];
    for (action, item, whole) in cases {
        let mut w = World::new();
        w.connect(1, 1);
        let job = w.submit(spec(2));
        let first = w.order();
        w.act(action, one(job, 0)).expect("allowed");
        let told = w.heard().1;
        assert!(matches!(told, ToWorker::EndItem { .. }), "{told:?}");
        assert!(w.said.is_empty(), "{action:?}: {:?}", w.said);
        assert_eq!(w.item(job, 0), item, "at once");
        // However it ends: the person's word stays.
        w.end(first, End::Signal(15));
        assert_eq!(w.item(job, 0), item);
        let second = w.order();
        assert_eq!(second.2.item, ItemIndex(1));
        w.end(second, End::Exit(0));
        assert_eq!(w.status(job), whole, "{action:?}");
    }
}

#[test]
fn a_running_job_set_complete_or_failed_is_ended_whole() {
    let cases = [
        (Action::Complete, ItemStatus::Complete, WorkStatus::Complete),
        (Action::Fail, ItemStatus::Failed, WorkStatus::Failed),
    ];
    for (action, item, whole) in cases {
        let mut w = World::new();
        w.connect(1, 1);
        let job = w.submit(JobSpec {
            retrywork: 3,
            retrysubjob: 3,
            ..spec(2)
        });
        let first = w.order();
        w.act(action, Target::Job(job)).expect("allowed");
        let told = w.heard().1;
        assert!(matches!(told, ToWorker::Close { .. }), "{told:?}");
        assert_eq!(w.status(job), whole, "{action:?}, at once");
        w.end(first, End::Asked);
        w.gone(1, first.1);
        w.wait(60);
        assert!(w.said.is_empty(), "{action:?} was undone: {:?}", w.said);
        assert_eq!([w.item(job, 0), w.item(job, 1)], [item; 2], "{action:?}");
        assert_eq!(w.engine.host(host(1)).map(Host::free), Some(1));
    }
}

#[test]
fn a_preempted_instance_finishes_its_item_and_gives_up_its_place() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(2));
    let first = w.order();
    let other = w.submit(JobSpec {
        priority: 1,
        ..spec(1)
    });
    let denied = w.act(Action::Preempt, one(job, 0));
    assert!(matches!(denied, Err(Denied::State { .. })), "{denied:?}");
    w.act(Action::Preempt, Target::Instance(job, InstanceNo(0)))
        .expect("allowed");
    assert!(w.said.is_empty(), "its item is finished: {:?}", w.said);
    w.end(first, End::Exit(0));
    assert_eq!(w.item(job, 0), ItemStatus::Complete);
    let told = w.heard().1;
    assert!(matches!(told, ToWorker::Close { .. }), "{told:?}");
    w.gone(1, first.1);
    let urgent = w.order();
    assert_eq!(urgent.1.job, other);
    w.end(urgent, End::Exit(0));
    assert!(matches!(w.heard().1, ToWorker::Close { .. }));
    w.gone(1, urgent.1);
    let second = w.order();
    assert_eq!((second.1.job, second.2.item), (job, ItemIndex(1)));
    assert_ne!(second.1.launch, first.1.launch, "it is another launch");
}

#[test]
fn migrated_work_goes_on_elsewhere_once_it_is_gone() {
    let mut w = World::new();
    w.connect(1, 1);
    w.connect(2, 1);
    let job = w.submit(spec(1));
    let first = w.order();
    w.act(Action::Migrate, Target::Job(job)).expect("allowed");
    let (at, told) = w.heard();
    assert_eq!(at, host(first.0));
    assert!(matches!(told, ToWorker::Close { .. }), "{told:?}");
    assert!(w.said.is_empty(), "too early: {:?}", w.said);
    w.end(first, End::Asked);
    let second = w.order();
    assert_ne!(second.0, first.0);
    assert_eq!(second.2.attempt, Attempt(2));
}
