//! What the worker decides, one situation at a time.

use super::*;
use tessera_model::msg::{LaunchKey, Run, RunLimits};
use tessera_model::{Attempt, InstanceNo, ItemIndex, JobId, LaunchNo, Timestamp};

const KEY: LaunchKey = LaunchKey {
    job: JobId(7),
    instance: InstanceNo(0),
    launch: LaunchNo(1),
};
const RUN: Run = Run {
    item: ItemIndex(0),
    attempt: Attempt(1),
};
const NEXT: Run = Run {
    item: ItemIndex(1),
    attempt: Attempt(1),
};

fn at(seconds: u64) -> Now {
    Now {
        wall: Timestamp(i64::try_from(seconds * 1000).unwrap()),
        elapsed: Duration::from_secs(seconds),
    }
}

fn start(limits: RunLimits) -> Input {
    let message = ToWorker::Start {
        key: KEY,
        ticket: vec![1],
        signature: vec![2],
        template: vec![3],
        limits,
        run: RUN,
    };
    Input::Said(Box::new(message))
}

fn said(message: ToWorker) -> Input {
    Input::Said(Box::new(message))
}

fn started() -> Input {
    Input::Started {
        key: KEY,
        account: "mia".into(),
        uid: 1000,
        containment: "cgroup2".into(),
    }
}

fn ended(run: Run, end: End) -> Input {
    let end = AttemptEnd::nothing_ran(end, at(0).wall);
    Input::ItemEnded { key: KEY, run, end }
}

/// A connected worker with one running item.
fn running(limits: RunLimits) -> Worker {
    let mut worker = Worker::new();
    worker.handle(at(0), Input::Connected);
    worker.handle(at(0), start(limits));
    worker.handle(at(0), started());
    worker
}

fn reports(effects: &[Effect]) -> Vec<&Report> {
    let report = |effect| match effect {
        &Effect::Send(FromWorker::Report { ref report, .. }) => Some(report),
        _ => None,
    };
    effects.iter().filter_map(report).collect()
}

#[test]
fn an_item_runs_when_its_shepherd_is_there_and_another_after_it() {
    let mut worker = Worker::new();
    worker.handle(at(0), Input::Connected);
    assert!(matches!(
        worker.handle(at(0), start(RunLimits::default()))[..],
        [Effect::Start { .. }]
    ));
    let effects = worker.handle(at(0), started());
    assert!(
        matches!(
            effects[..],
            [Effect::Send(_), Effect::RunItem { run: RUN, .. }]
        ),
        "{effects:?}"
    );
    let effects = worker.handle(at(1), ended(RUN, End::Exit(0)));
    assert!(matches!(
        reports(&effects)[..],
        [Report::ItemEnded { run: RUN, .. }]
    ));
    let effects = worker.handle(
        at(1),
        said(ToWorker::Run {
            key: KEY,
            run: NEXT,
        }),
    );
    assert!(matches!(effects[..], [Effect::RunItem { run: NEXT, .. }]));
}

#[test]
fn reports_are_repeated_in_order_until_they_are_acknowledged() {
    let mut worker = running(RunLimits::default());
    worker.handle(at(1), Input::Disconnected);
    assert!(
        worker.handle(at(1), ended(RUN, End::Exit(0))).is_empty(),
        "said something without a connection"
    );
    let effects = worker.handle(at(2), Input::Connected);
    assert!(matches!(
        reports(&effects)[..],
        [Report::Started { .. }, Report::ItemEnded { .. }]
    ));
    assert!(matches!(
        effects.last(),
        Some(Effect::Send(FromWorker::Inventory(_)))
    ));
    assert_eq!(
        worker.handle(at(2), said(ToWorker::Ack(2))),
        [Effect::ForgetItem { key: KEY, run: RUN }]
    );
    let effects = worker.handle(at(3), Input::Connected);
    assert!(reports(&effects).is_empty());
}

#[test]
fn an_order_repeated_for_an_item_that_has_ended_starts_nothing() {
    let mut worker = running(RunLimits::default());
    worker.handle(at(1), ended(RUN, End::Exit(0)));
    assert!(
        worker
            .handle(at(1), said(ToWorker::Run { key: KEY, run: RUN }))
            .is_empty()
    );
    assert!(worker.handle(at(1), start(RunLimits::default())).is_empty());
}

#[test]
fn limits_end_what_is_over_them_and_say_which() {
    let second = Some(Duration::from_secs(10));
    let limits = RunLimits {
        agendatimelimit: second,
        ..RunLimits::default()
    };
    let mut worker = running(limits);
    assert_eq!(worker.next_deadline(), Some(Duration::from_secs(10)));
    assert!(worker.handle(at(9), Input::Tick).is_empty());
    let effects = worker.handle(at(10), Input::Tick);
    assert!(matches!(
        effects[..],
        [Effect::EndItem {
            run: RUN,
            limit: Some(Limit::ItemTime),
            ..
        }]
    ));
    assert!(worker.handle(at(11), Input::Tick).is_empty(), "ended twice");
    let effects = worker.handle(at(12), ended(RUN, End::Signal(15)));
    let [Report::ItemEnded { end, .. }] = reports(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(end.end, End::Limit(Limit::ItemTime));
}

#[test]
fn silence_is_broken_by_output_and_not_counted_while_suspended() {
    let limits = RunLimits {
        silence_limit: Some(Duration::from_secs(10)),
        ..RunLimits::default()
    };
    let mut worker = running(limits);
    worker.handle(at(8), Input::Printed { key: KEY, run: RUN });
    assert!(worker.handle(at(17), Input::Tick).is_empty());
    worker.handle(at(17), said(ToWorker::Suspend(KEY)));
    assert!(worker.handle(at(100), Input::Tick).is_empty());
    worker.handle(at(100), said(ToWorker::Resume(KEY)));
    assert!(worker.handle(at(100), Input::Tick).is_empty());
    let effects = worker.handle(at(101), Input::Tick);
    assert!(
        matches!(
            effects[..],
            [Effect::EndItem {
                limit: Some(Limit::Silence),
                ..
            }]
        ),
        "{effects:?}"
    );
}

#[test]
fn a_timelimit_ends_the_instance_with_what_runs_in_it() {
    let limits = RunLimits {
        timelimit: Some(Duration::from_secs(5)),
        ..RunLimits::default()
    };
    let mut worker = running(limits);
    assert!(matches!(
        worker.handle(at(5), Input::Tick)[..],
        [Effect::EndItem { .. }]
    ));
    let effects = worker.handle(at(6), ended(RUN, End::Signal(9)));
    assert!(
        matches!(effects.first(), Some(Effect::CloseShepherd { .. })),
        "{effects:?}"
    );
    let effects = worker.handle(at(6), Input::Gone(KEY));
    let expected = Report::Gone {
        key: KEY,
        cause: GoneCause::Limit(Limit::InstanceTime),
    };
    assert_eq!(reports(&effects), [&expected]);
}

#[test]
fn closing_before_the_shepherd_is_there_runs_nothing() {
    let mut worker = Worker::new();
    worker.handle(at(0), Input::Connected);
    worker.handle(at(0), start(RunLimits::default()));
    let effects = worker.handle(
        at(0),
        said(ToWorker::Close {
            key: KEY,
            grace: Duration::ZERO,
        }),
    );
    assert!(matches!(
        reports(&effects)[..],
        [Report::ItemEnded {
            end: AttemptEnd {
                end: End::Asked,
                ..
            },
            ..
        }]
    ));
    let effects = worker.handle(at(1), started());
    assert!(
        effects.contains(&Effect::CloseShepherd { key: KEY }),
        "{effects:?}"
    );
    assert!(
        !effects
            .iter()
            .any(|effect| matches!(effect, Effect::RunItem { .. }))
    );
}

#[test]
fn a_lost_shepherd_must_be_proven_gone_before_that_is_said() {
    let mut worker = running(RunLimits::default());
    assert_eq!(
        worker.handle(at(1), Input::ShepherdLost(KEY)),
        [Effect::ProveGone(KEY)]
    );
    let effects = worker.handle(at(2), Input::Gone(KEY));
    assert_eq!(
        reports(&effects),
        [&Report::Gone {
            key: KEY,
            cause: GoneCause::ShepherdLost
        }]
    );
    assert_eq!(worker.launches().count(), 0);
}

#[test]
fn a_new_worker_takes_up_what_lives_and_tells_what_ended() {
    let mut worker = Worker::new();
    let end = AttemptEnd::nothing_ran(End::Exit(0), at(0).wall);
    let found = Found {
        key: KEY,
        limits: RunLimits {
            agendatimelimit: Some(Duration::from_secs(100)),
            ..RunLimits::default()
        },
        is_alive: true,
        current: Some(NEXT),
        current_elapsed: Duration::from_secs(30),
        elapsed: Duration::from_secs(60),
        is_suspended: false,
        is_starter_lost: false,
        suspended: Duration::ZERO,
        current_suspended: Duration::ZERO,
        ended: vec![(RUN, end)],
    };
    assert!(worker.adopt(at(1000), found.clone()).is_empty());
    assert_eq!(worker.next_deadline(), Some(Duration::from_secs(1070)));
    let effects = worker.handle(at(1000), Input::Connected);
    assert!(matches!(
        reports(&effects)[..],
        [Report::ItemEnded { run: RUN, .. }]
    ));
    let mut other = Worker::new();
    let dead = Found {
        is_alive: false,
        current: None,
        ..found
    };
    assert_eq!(other.adopt(at(0), dead), [Effect::ProveGone(KEY)]);
}

/// A launch with limits of 100 s for its item and 200 s for all, of 60 s and 30 s of age.
fn found_with_limits() -> Found {
    let limits = RunLimits {
        timelimit: Some(Duration::from_secs(200)),
        agendatimelimit: Some(Duration::from_secs(100)),
        ..RunLimits::default()
    };
    Found {
        key: KEY,
        limits,
        is_alive: true,
        current: Some(RUN),
        current_elapsed: Duration::from_secs(30),
        elapsed: Duration::from_secs(60),
        is_suspended: false,
        is_starter_lost: false,
        suspended: Duration::ZERO,
        current_suspended: Duration::ZERO,
        ended: Vec::new(),
    }
}

#[test]
fn what_was_suspended_before_a_restart_counts_towards_no_limit() {
    let mut worker = Worker::new();
    let found = Found {
        suspended: Duration::from_secs(50),
        current_suspended: Duration::from_secs(20),
        ..found_with_limits()
    };
    worker.adopt(at(1000), found.clone());
    // 10 s of the item's 100 have counted.
    assert_eq!(worker.next_deadline(), Some(Duration::from_secs(1090)));
    worker.handle(at(1090), Input::Tick);
    // And 10 s of the launch's 200, up to when the worker came.
    assert_eq!(worker.next_deadline(), Some(Duration::from_secs(1190)));

    let mut worker = Worker::new();
    let found = Found {
        is_suspended: true,
        ..found
    };
    worker.adopt(at(1000), found);
    assert_eq!(worker.next_deadline(), None, "it is suspended still");
    worker.handle(at(1500), said(ToWorker::Resume(KEY)));
    assert_eq!(worker.next_deadline(), Some(Duration::from_secs(1590)));
}

#[test]
fn a_new_worker_gives_a_launch_without_starter_no_more_items() {
    let found = Found {
        is_starter_lost: true,
        ..found_with_limits()
    };
    let mut worker = Worker::new();
    assert!(worker.adopt(at(0), found.clone()).is_empty());
    assert!(worker.launches().all(|it| it.is_closing));
    let effects = worker.handle(at(1), ended(RUN, End::Exit(0)));
    assert!(effects.contains(&Effect::CloseShepherd { key: KEY }));
    let mut worker = Worker::new();
    let idle = Found {
        current: None,
        ..found
    };
    let effects = worker.adopt(at(0), idle);
    assert_eq!(effects, [Effect::CloseShepherd { key: KEY }]);
}

/// A worker whose launch lost its starter while an item runs, which goes on.
fn without_starter(limits: RunLimits) -> Worker {
    let mut worker = running(limits);
    assert!(worker.handle(at(1), Input::StarterLost(KEY)).is_empty());
    worker
}

#[test]
fn a_launch_without_starter_can_be_suspended_and_given_back() {
    let closed = |suspends| Input::Closed {
        is_closed: suspends,
        suspends,
    };
    let mut worker = without_starter(RunLimits::default());
    let effects = worker.handle(at(2), closed(true));
    assert_eq!(suspensions(&effects), [true]);
    let effects = worker.handle(at(3), closed(false));
    assert_eq!(suspensions(&effects), [false]);
    let effects = worker.handle(at(4), Input::GiveBack(KEY));
    assert!(
        matches!(effects[..], [Effect::EndItem { run: RUN, .. }]),
        "{effects:?}"
    );
    // What is being ended is neither ended twice nor kept from its end.
    assert!(worker.handle(at(5), Input::GiveBack(KEY)).is_empty());
    assert!(worker.handle(at(6), closed(true)).is_empty());
    let effects = worker.handle(at(7), ended(RUN, End::Signal(15)));
    assert!(effects.contains(&Effect::CloseShepherd { key: KEY }));
    let [Report::ItemEnded { end, .. }] = reports(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(end.end, End::Asked);
}

#[test]
fn who_ends_the_own_starter_escapes_no_limit() {
    for (limits, limit) in [
        (
            RunLimits {
                agendatimelimit: Some(Duration::from_secs(10)),
                ..RunLimits::default()
            },
            Limit::ItemTime,
        ),
        (
            RunLimits {
                timelimit: Some(Duration::from_secs(10)),
                ..RunLimits::default()
            },
            Limit::InstanceTime,
        ),
        (
            RunLimits {
                silence_limit: Some(Duration::from_secs(10)),
                ..RunLimits::default()
            },
            Limit::Silence,
        ),
    ] {
        let mut worker = without_starter(limits);
        assert!(worker.handle(at(9), Input::Tick).is_empty());
        let effects = worker.handle(at(10), Input::Tick);
        assert!(
            matches!(&effects[..], [Effect::EndItem { limit: Some(it), .. }] if *it == limit),
            "{effects:?}"
        );
        assert!(worker.handle(at(20), Input::Tick).is_empty(), "once");
        assert_eq!(worker.next_deadline(), None);
    }
}

/// A running worker that was also given an item ahead.
fn with_one_ahead() -> Worker {
    let mut worker = running(RunLimits::default());
    let effects = worker.handle(
        at(1),
        said(ToWorker::Run {
            key: KEY,
            run: NEXT,
        }),
    );
    assert!(
        matches!(
            effects[..],
            [Effect::RunItem {
                run: NEXT,
                next: true,
                ..
            }]
        ),
        "{effects:?}"
    );
    worker
}

#[test]
fn an_item_given_ahead_is_made_ready_and_begins_without_a_word() {
    let mut worker = with_one_ahead();
    assert_eq!(
        worker.launches().next().map(|launch| launch.ahead),
        Some(vec![NEXT])
    );
    worker.handle(at(1), Input::Disconnected);
    let effects = worker.handle(at(2), ended(RUN, End::Exit(0)));
    assert_eq!(effects, [], "its shepherd begins it");
    let launch = worker.launches().next().unwrap();
    assert_eq!((launch.current, launch.ahead), (Some(NEXT), Vec::new()));
}

fn end_next(worker: &mut Worker) -> Vec<Effect> {
    worker.handle(
        at(1),
        said(ToWorker::EndItem {
            key: KEY,
            run: NEXT,
            grace: Duration::from_secs(30),
        }),
    )
}

#[test]
fn an_item_taken_back_is_given_up_first_and_told_when_it_is_over() {
    let mut worker = with_one_ahead();
    let effects = end_next(&mut worker);
    let expected = Effect::EndItem {
        key: KEY,
        run: NEXT,
        grace: RunLimits::default().grace,
        limit: None,
    };
    assert_eq!(effects, [expected]);
    assert!(end_next(&mut worker).is_empty(), "told twice");
    // The current one may end before: what is given up is not begun.
    let effects = worker.handle(at(2), ended(RUN, End::Exit(0)));
    assert!(
        matches!(reports(&effects)[..], [Report::ItemEnded { run: RUN, .. }]) && effects.len() == 1,
        "{effects:?}"
    );
    let effects = worker.handle(at(2), ended(NEXT, End::Exit(0)));
    let [Report::ItemEnded { run: NEXT, end, .. }] = reports(&effects)[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(end.end, End::Asked, "what was given up did nothing");
}

#[test]
fn an_item_given_ahead_goes_back_when_its_launch_ends() {
    let mut worker = with_one_ahead();
    let grace = Duration::ZERO;
    let effects = worker.handle(at(2), said(ToWorker::Close { key: KEY, grace }));
    assert!(
        matches!(
            effects[..],
            [
                Effect::EndItem { run: RUN, .. },
                Effect::EndItem { run: NEXT, .. }
            ]
        ),
        "{effects:?}"
    );
    let effects = worker.handle(at(2), ended(NEXT, End::Asked));
    assert!(
        matches!(reports(&effects)[..], [Report::ItemEnded { run: NEXT, .. }])
            && effects.len() == 1,
        "{effects:?}"
    );
    let effects = worker.handle(at(2), ended(RUN, End::Asked));
    assert!(
        matches!(effects[0], Effect::CloseShepherd { key: KEY }),
        "{effects:?}"
    );
}

#[test]
fn an_item_given_ahead_goes_back_when_its_shepherd_is_lost() {
    let mut worker = with_one_ahead();
    let effects = worker.handle(at(2), Input::ShepherdLost(KEY));
    assert_eq!(effects, [Effect::ProveGone(KEY)]);
    let effects = worker.handle(at(3), Input::Gone(KEY));
    assert!(
        matches!(
            reports(&effects)[..],
            [Report::ItemEnded { run: NEXT, .. }, Report::Gone { .. }]
        ),
        "{effects:?}"
    );
}

const THIRD: Run = Run {
    item: ItemIndex(2),
    attempt: Attempt(1),
};

#[test]
fn only_the_first_of_those_given_ahead_is_made_ready() {
    let mut worker = with_one_ahead();
    let run = said(ToWorker::Run {
        key: KEY,
        run: THIRD,
    });
    assert!(worker.handle(at(1), run.clone()).is_empty());
    assert!(worker.handle(at(1), run).is_empty(), "taken twice");
    let launch = worker.launches().next().unwrap();
    assert_eq!(launch.ahead, [NEXT, THIRD]);
    let effects = worker.handle(at(2), ended(RUN, End::Exit(0)));
    assert!(
        matches!(
            effects[..],
            [
                Effect::RunItem {
                    run: THIRD,
                    next: true,
                    ..
                },
                Effect::Send(_)
            ]
        ),
        "{effects:?}"
    );
}

#[test]
fn what_follows_waits_until_the_first_is_given_up() {
    let mut worker = with_one_ahead();
    let run = said(ToWorker::Run {
        key: KEY,
        run: THIRD,
    });
    worker.handle(at(1), run);
    end_next(&mut worker);
    let effects = worker.handle(at(2), ended(RUN, End::Exit(0)));
    assert_eq!(
        reports(&effects).len(),
        effects.len(),
        "what is given up still has the starter: {effects:?}"
    );
    let effects = worker.handle(at(2), ended(NEXT, End::Asked));
    assert!(
        matches!(
            effects[0],
            Effect::RunItem {
                run: THIRD,
                next: false,
                ..
            }
        ),
        "{effects:?}"
    );
}

fn suspensions(effects: &[Effect]) -> Vec<bool> {
    let told = effects.iter().filter_map(|effect| match effect {
        Effect::SetSuspended { is_suspended, .. } => Some(*is_suspended),
        _ => None,
    });
    told.collect()
}

#[test]
fn what_the_farm_and_the_owner_want_suspended_goes_on_when_neither_does() {
    let closed = |suspends| Input::Closed {
        is_closed: suspends,
        suspends,
    };
    let mut worker = running(RunLimits::default());
    let mut feed = |second, input| suspensions(&worker.handle(at(second), input));
    assert_eq!(feed(1, closed(true)), [true]);
    assert_eq!(feed(2, said(ToWorker::Suspend(KEY))), []);
    assert_eq!(feed(3, closed(false)), []);
    assert_eq!(feed(4, closed(true)), []);
    assert_eq!(feed(5, said(ToWorker::Resume(KEY))), []);
    assert_eq!(feed(6, closed(false)), [false]);
    // The farm hears of its own only: else it would have what its owner stopped go on.
    worker.handle(at(7), closed(true));
    assert!(worker.launches().all(|it| !it.is_suspended));
    worker.handle(at(8), said(ToWorker::Suspend(KEY)));
    assert!(worker.launches().all(|it| it.is_suspended));
}

#[test]
fn no_limit_counts_while_the_owner_has_it_suspended() {
    let limits = RunLimits {
        agendatimelimit: Some(Duration::from_secs(10)),
        ..RunLimits::default()
    };
    let mut worker = running(limits);
    let closed = |suspends| Input::Closed {
        is_closed: suspends,
        suspends,
    };
    worker.handle(at(5), closed(true));
    assert!(worker.handle(at(500), Input::Tick).is_empty());
    worker.handle(at(500), closed(false));
    let effects = worker.handle(at(502), Input::Tick);
    assert!(effects.is_empty(), "{effects:?}");
    let effects = worker.handle(at(506), Input::Tick);
    assert!(
        matches!(
            effects[..],
            [Effect::EndItem {
                limit: Some(Limit::ItemTime),
                ..
            }]
        ),
        "{effects:?}"
    );
}

#[test]
fn a_launch_that_is_given_back_ends_by_nobodys_fault() {
    let mut worker = running(RunLimits::default());
    worker.handle(
        at(1),
        said(ToWorker::Run {
            key: KEY,
            run: NEXT,
        }),
    );
    let effects = worker.handle(at(2), Input::GiveBack(KEY));
    assert!(
        effects.iter().any(|it| matches!(
            it,
            Effect::EndItem {
                run: RUN,
                limit: None,
                ..
            }
        )),
        "{effects:?}"
    );
    assert!(
        worker.handle(at(3), Input::GiveBack(KEY)).is_empty(),
        "ended twice"
    );
    let effects = worker.handle(at(4), ended(RUN, End::Signal(15)));
    let [Report::ItemEnded { end, .. }] = reports(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(end.end, End::Asked);
    let effects = worker.handle(at(5), Input::Gone(KEY));
    let gone = reports(&effects).into_iter().any(|it| {
        matches!(
            it,
            Report::Gone {
                cause: GoneCause::Closed,
                ..
            }
        )
    });
    assert!(gone, "{effects:?}");
}

#[test]
fn a_closed_host_takes_neither_instances_nor_items() {
    let mut worker = running(RunLimits::default());
    worker.handle(
        at(1),
        Input::Closed {
            is_closed: true,
            suspends: false,
        },
    );
    let effects = worker.handle(
        at(2),
        said(ToWorker::Run {
            key: KEY,
            run: NEXT,
        }),
    );
    let [Report::ItemEnded { run: NEXT, end, .. }] = reports(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(end.end, End::Asked);
    let other = LaunchKey {
        job: JobId(8),
        ..KEY
    };
    let order = ToWorker::Start {
        key: other,
        ticket: vec![1],
        signature: vec![2],
        template: vec![3],
        limits: RunLimits::default(),
        run: RUN,
    };
    let effects = worker.handle(at(3), said(order));
    let [Report::Refused { key, refusal }] = reports(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!((*key, refusal.code.as_str()), (other, "owner_active"));
    assert!(refusal.is_passing());
}
