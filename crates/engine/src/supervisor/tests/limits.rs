//! How many instances one person may have at once.

use super::*;

fn world(default: Option<u32>, named: &[(&str, Option<u32>)]) -> World {
    let named = named.iter().map(|(user, limit)| (name(user), *limit));
    let config = Config {
        user_limits: UserLimits {
            default,
            named: named.collect(),
        },
        ..Config::default()
    };
    let mut w = World::new();
    w.engine = Engine::new(config);
    w
}

fn wide(cpus: u32) -> JobSpec {
    JobSpec { cpus, ..spec(8) }
}

#[test]
fn nobody_has_more_instances_than_they_may_and_others_go_on() {
    let mut w = world(Some(2), &[("tom", Some(3)), ("root", None)]);
    w.connect(1, 20);
    let job = w.submit(wide(8));
    let first = w.order();
    assert_eq!(first.1.job, job);
    assert_eq!(w.order().1.job, job);
    assert!(w.said.is_empty());
    // Another job of hers, of another kind, waits as well.
    let other = w.submit(JobSpec {
        omithosts: ["elsewhere".to_owned()].into(),
        priority: 1,
        ..spec(1)
    });
    assert!(w.said.is_empty());
    w.try_submit("tom", wide(8), None).expect("taken");
    assert_eq!([0; 3].map(|_| w.order().1.job.0), [3; 3]);
    w.try_submit("root", wide(8), None).expect("taken");
    assert_eq!([0; 8].map(|_| w.order().1.job.0), [4; 8]);
    assert!(w.said.is_empty());
    // What is ending still counts, until nothing of it is left.
    w.act(Action::Interrupt, Target::Instance(job, first.1.instance))
        .expect("allowed");
    w.said.clear();
    w.wait(1);
    assert!(w.said.is_empty());
    w.gone(1, first.1);
    assert_eq!(w.order().1.job, other, "the better one of hers");
    assert!(w.said.is_empty());
}

#[test]
pub(super) fn why_says_the_limit_and_what_it_says_lets_the_job_run() {
    let mut w = world(Some(1), &[]);
    w.connect(1, 4);
    w.submit(spec(1));
    let first = w.order();
    let job = w.submit(spec(1));
    let why = w.engine.why(job).expect("there").remove(0);
    assert_eq!(why.kind, why::Kind::UserLimit);
    assert_eq!(why.text, "user limit 1/1: mia may have 1 instances at once");
    assert!(
        why.hint
            .is_some_and(|it| it.contains("supervisor_default_user_subjob_limit"))
    );
    let others = w.engine.why(job).expect("there");
    assert!(
        others.iter().all(|it| it.kind != why::Kind::BehindJobs),
        "{others:?}"
    );
    w.end(first, End::Exit(0));
    w.said.clear();
    w.gone(1, first.1);
    assert_eq!(w.order().1.job, job);
}

#[test]
fn a_limit_of_none_lets_nothing_start() {
    let mut w = world(None, &[("mia", Some(0))]);
    w.connect(1, 4);
    let job = w.submit(spec(1));
    assert!(w.said.is_empty());
    let why = w.engine.why(job).expect("there").remove(0);
    assert!(
        why.hint
            .is_some_and(|it| it.contains("supervisor_user_subjob_limits"))
    );
}

#[test]
fn a_restart_counts_what_runs_and_a_lower_limit_ends_nothing() {
    let mut w = world(Some(3), &[]);
    w.connect(1, 4);
    w.submit(wide(8));
    let orders: Vec<_> = (0..3).map(|_| w.order()).collect();
    let now = Now {
        wall: Timestamp(0),
        elapsed: Duration::ZERO,
    };
    let lower = Config {
        user_limits: UserLimits {
            default: Some(1),
            ..UserLimits::default()
        },
        ..Config::default()
    };
    w.engine = Engine::restore(lower, now, w.engine.image()).expect("whole");
    assert_eq!(w.engine.running_of(&name("mia")), 3);
    assert_eq!(w.engine.faults(), Vec::<String>::new());
    assert_eq!(orders.len(), w.engine.launches().count());
}

/// Answers what the start of another's job costs beside so many jobs of somebody who has all that they may.
fn cost_beside_held(jobs: u32) -> u64 {
    let mut w = world(None, &[("mia", Some(1))]);
    w.connect(1, 4);
    for _ in 0..=jobs {
        w.submit(spec(1));
    }
    w.said.clear();
    let before = w.engine.asked();
    w.try_submit("tom", spec(1), None).expect("taken");
    w.order();
    w.engine.asked() - before
}

#[test]
fn jobs_that_are_held_back_cost_nothing() {
    assert_eq!(cost_beside_held(1), cost_beside_held(100));
}
