//! A few seeds as an ordinary test (thousands run in `cargo xtask sim`), the seeds that once failed, and the planted bugs
//! that must be found.

use tessera_engine::supervisor::PreemptPolicy;
use tessera_sim::{Bug, Plan, run};

/// Seeds that once showed a bug, with what it was.
const REGRESSIONS: &[(u64, &str)] = &[
    (
        7,
        "an action that failed for one item left the derived state of the job behind",
    ),
    (
        5,
        "an item that ran out of memory asked for what only a host had that was too small for its job otherwise",
    ),
    (
        3,
        "a start on its way was given up because its worker said anew what it had; both starts ran",
    ),
    (
        24,
        "a host that was removed and came back was given an item that it still ran",
    ),
    (
        101,
        "a surplus instance that was blocked kept its job from ending",
    ),
    (
        119,
        "a lost host that came back was given an item that it still ran",
    ),
];

#[test]
fn seeds_that_once_failed_pass() {
    for (seed, what) in REGRESSIONS {
        if let Err(fault) = run(*seed, &Plan::default()) {
            panic!("{fault} (once: {what})");
        }
    }
}

#[test]
fn some_seeds_pass() {
    for seed in 10_000..10_040 {
        if let Err(fault) = run(seed, &Plan::default()) {
            panic!("{fault}");
        }
    }
}

#[test]
fn jobs_that_wait_for_each_other_start_in_order_and_all_end() {
    let plan = Plan {
        waits: true,
        ..Plan::default()
    };
    // Items that a job left undone when its instances were killed were waited for without end.
    let once = [149, 209];
    for seed in once.into_iter().chain(20_000..20_040) {
        if let Err(fault) = run(seed, &plan) {
            panic!("{fault}");
        }
    }
}

/// Runs farms of these seeds; answers in how many of them each of these was seen.
///
/// # Panics
/// When a farm does what it must not.
fn count<const N: usize>(
    seeds: std::ops::Range<u64>,
    seen: [&str; N],
    plan: impl Fn(u64) -> Plan,
) -> [usize; N] {
    let mut often = [0; N];
    for seed in seeds {
        let tally = run(seed, &plan(seed)).unwrap_or_else(|fault| panic!("{fault}"));
        let has = seen.map(|what| usize::from(tally.0.contains_key(what)));
        (0..N).for_each(|at| often[at] += has[at]);
    }
    often
}

#[test]
fn a_wide_job_starts_in_bounded_time_under_a_flood() {
    for seed in 60_000..60_030 {
        let plan = Plan {
            waits: seed % 2 == 1,
            wide: true,
            ..Plan::default()
        };
        match run(seed, &plan) {
            Ok(tally) => assert!(
                tally
                    .0
                    .contains_key("seen: a wide job started under a flood")
            ),
            Err(fault) => panic!("{fault}"),
        }
    }
}

#[test]
fn jobs_grow_where_nobody_waits_and_give_it_back() {
    let seen = [
        "seen: a secondary instance",
        "seen: a secondary instance left for a primary one",
        "seen: a secondary instance left for a job with fewer",
    ];
    let often = count(70_000..70_040, seen, |seed| Plan {
        hosts: 4,
        grow: true,
        preempt: PreemptPolicy::ALL[usize::try_from(seed % 3).unwrap_or(0)],
        waits: seed % 2 == 1,
        shares: seed % 4 >= 2,
        limits: seed % 5 == 3,
        user_limit: (seed % 4 == 1).then_some(4),
        ..Plan::default()
    });
    assert!(
        often[0] >= 20 && often[1] >= 5 && often[2] >= 1,
        "{often:?} of {seen:?}"
    );
}

#[test]
fn nobody_has_more_instances_than_they_may_and_all_jobs_end() {
    for seed in 30_000..30_030 {
        let plan = Plan {
            waits: seed % 2 == 1,
            user_limit: Some(u32::try_from(1 + seed % 3).unwrap_or(1)),
            ..Plan::default()
        };
        match run(seed, &plan) {
            Ok(tally) => assert!(tally.0.contains_key("seen: a user at the limit")),
            Err(fault) => panic!("{fault}"),
        }
    }
}

#[test]
fn no_group_job_or_farm_has_or_starts_more_than_it_may_and_all_jobs_end() {
    let seen = [
        "seen: a process group at its limit",
        "seen: a host with all that it may have of a job",
        "seen: as many starts as may be",
        "seen: a licence shared on a host",
        "seen: all of what is scoped is given",
    ];
    let often = count(40_000..40_040, seen, |seed| Plan {
        limits: true,
        waits: seed % 2 == 1,
        shares: seed % 4 >= 2,
        ..Plan::default()
    });
    assert!(
        often.iter().all(|times| *times > 10),
        "{often:?} of 40 farms"
    );
}

#[test]
fn what_the_farm_has_is_never_given_twice_and_all_of_it_comes_back() {
    let mut waited = 0;
    for seed in 30_000..30_040 {
        let plan = Plan {
            shares: true,
            waits: seed % 4 == 0,
            ..Plan::default()
        };
        match run(seed, &plan) {
            Ok(tally) => {
                let has_waited = tally.0.contains_key("seen: a job waits for a licence");
                waited += u32::from(has_waited);
            }
            Err(fault) => panic!("{fault}"),
        }
    }
    assert!(waited > 20, "in {waited} of 40 farms only");
}

#[test]
fn who_is_preempted_stands_lower_and_goes_on_and_all_jobs_end() {
    for policy in [PreemptPolicy::Passive, PreemptPolicy::Aggressive] {
        let mut preempted = 0;
        for seed in 40_000..40_030 {
            let plan = Plan {
                preempt: policy,
                shares: seed % 2 == 0,
                ..Plan::default()
            };
            match run(seed, &plan) {
                Ok(tally) => {
                    let goes_on = tally.0.contains_key("seen: preempted work goes on");
                    preempted += u32::from(goes_on);
                }
                Err(fault) => panic!("{policy:?}: {fault}"),
            }
        }
        assert!(preempted > 15, "in {preempted} of 30 farms only");
    }
}

#[test]
fn who_is_to_blame_is_blamed_nobody_else_is_and_all_jobs_end() {
    let seen = [
        "seen: a job keeps off a bad host",
        "seen: put back for another host",
        "seen: a job blocked by the farm",
        "seen: a host locked by the farm",
    ];
    let often = count(70_000..70_040, seen, |seed| Plan {
        wrangle: true,
        waits: seed % 2 == 1,
        limits: seed % 5 == 3,
        preempt: PreemptPolicy::ALL[usize::try_from(seed % 3).unwrap_or(0)],
        ..Plan::default()
    });
    assert!(
        often.iter().all(|times| *times > 5),
        "{often:?} of 40 farms"
    );
}

#[test]
fn all_of_a_gang_start_at_once_or_none_and_all_jobs_end() {
    let seen = [
        "seen: a gang waits for room",
        "seen: a gang starts all at once",
        "seen: a gang starts all at once again",
        "seen: one of a gang starts again beside the others",
    ];
    let often = count(80_000..80_040, seen, |seed| Plan {
        grid: true,
        waits: seed % 2 == 1,
        wide: seed % 3 == 0,
        shares: seed % 4 >= 2,
        wrangle: seed % 5 == 2 && seed % 3 != 0,
        preempt: PreemptPolicy::ALL[usize::try_from(seed % 3).unwrap_or(0)],
        ..Plan::default()
    });
    assert!(
        often.iter().all(|times| *times > 10),
        "{often:?} of 40 farms"
    );
}

#[test]
fn slots_kept_for_gpus_go_to_nobody_without_and_all_jobs_end() {
    let seen = [
        "seen: placed beside slots kept for GPUs",
        "seen: slots kept for GPUs go to who has some",
    ];
    let often = count(90_000..90_060, seen, |seed| Plan {
        gpu_slots: true,
        grow: seed % 4 == 1,
        grid: seed % 7 == 4,
        waits: seed % 2 == 1,
        wide: seed % 3 == 0,
        preempt: PreemptPolicy::ALL[usize::try_from(seed % 3).unwrap_or(0)],
        ..Plan::default()
    });
    assert!(
        often.iter().all(|times| *times > 20),
        "{often:?} of 60 farms"
    );
}

#[test]
fn each_share_has_its_turn_and_all_jobs_end() {
    let seen = [
        "seen: a share waits for its turn",
        "seen: a share comes before a better priority",
        "seen: somebody leaves for a share that has less",
    ];
    let often = count(90_000..90_040, seen, |seed| Plan {
        weights: true,
        jobs: 16,
        waits: seed % 2 == 1,
        wide: seed % 3 == 0,
        limits: seed % 5 == 3,
        grow: seed % 7 == 6,
        preempt: PreemptPolicy::ALL[usize::try_from(seed / 2 % 3).unwrap_or(0)],
        ..Plan::default()
    });
    assert!(
        often[0] > 20 && often[1] > 20 && often[2] > 5,
        "{often:?} of 40 farms"
    );
}

#[test]
fn the_same_seed_does_the_same() {
    let first = run(5, &Plan::default());
    assert!(first.is_ok());
    assert_eq!(first, run(5, &Plan::default()));
}

#[test]
fn planted_bugs_are_found() {
    for bug in [
        Bug::EffectsBeforeCommit,
        Bug::SpoolForgotten,
        Bug::LossIsProof,
        Bug::ClosingUnsaid,
    ] {
        let plan = Plan {
            bug: Some(bug),
            ..Plan::default()
        };
        let found = (1..=100).any(|seed| run(seed, &plan).is_err());
        assert!(found, "{bug:?} passed 100 seeds");
    }
}

#[test]
fn a_job_that_ends_its_own_shepherd_each_time_ends() {
    for seed in 40_000..40_008 {
        let plan = Plan {
            desktops: true,
            ..Plan::default()
        };
        match run(seed, &plan) {
            Ok(tally) => assert!(tally.0.contains_key("seen: a job ended its own shepherd")),
            Err(fault) => panic!("{fault}"),
        }
    }
}
