//! How many instances the jobs of one process group may have at once.

use super::*;

fn world(default: Option<u32>, named: &[(&str, Option<u32>)]) -> World {
    let named = named.iter().map(|(user, limit)| (name(user), *limit));
    let config = Config {
        pgrp_limits: UserLimits {
            default,
            named: named.collect(),
        },
        ..Config::default()
    };
    let mut w = World::new();
    w.engine = Engine::new(config);
    w
}

/// Makes a job with so many instances, in the process group of another or its own.
fn member(cpus: u32, pgrp: Option<JobId>, limit: Option<u32>) -> JobSpec {
    let mut spec = JobSpec {
        cpus,
        pgrp,
        ..spec(8)
    };
    spec.limits.pgrp = limit;
    spec
}

fn limit_to(w: &mut World, job: JobId, limit: Option<u32>) {
    let patch = Box::new(JobPatch {
        pgrp_limit: Some(limit),
        ..JobPatch::default()
    });
    let by = person("mia");
    let done = w.step(Input::Modify { by, job, patch });
    assert_eq!(done, Some(Ok(Answer::Done)));
}

#[test]
fn the_jobs_of_a_group_share_its_limit_and_others_go_on() {
    let mut w = world(None, &[]);
    w.connect(1, 20);
    let leader = w.submit(member(8, None, Some(3)));
    let orders = [0; 3].map(|_| w.order());
    assert_eq!(orders.map(|it| it.1.job), [leader; 3]);
    assert!(w.said.is_empty());
    // Others of the group wait with it, whatever they ask for and however good they are.
    let second = w.submit(JobSpec {
        priority: 1,
        omithosts: ["elsewhere".to_owned()].into(),
        ..member(2, Some(leader), None)
    });
    assert!(w.said.is_empty());
    let other = w.submit(member(2, None, None));
    assert_eq!([0; 2].map(|_| w.order().1.job), [other; 2]);
    // What is ending still counts, until nothing of it is left; then the best of the group is next.
    let first = orders[0].1;
    w.act(Action::Interrupt, Target::Instance(leader, first.instance))
        .expect("allowed");
    w.said.clear();
    w.wait(1);
    assert!(w.said.is_empty());
    w.gone(1, first);
    assert_eq!(w.order().1.job, second);
    assert!(w.said.is_empty());
    assert_eq!(w.engine.group_of_job(second), Some((3, Some(3))));
}

#[test]
fn the_least_that_is_said_counts_and_one_that_is_lowered_ends_nothing() {
    let mut w = world(Some(4), &[("tom", None), ("eve", Some(0))]);
    w.connect(1, 20);
    let leader = w.submit(member(8, None, Some(6)));
    let orders = [0; 4].map(|_| w.order());
    assert!(w.said.is_empty(), "the supervisor says 4");
    let second = w.submit(member(8, Some(leader), Some(2)));
    assert!(w.said.is_empty());
    assert_eq!(w.engine.group_of_job(leader), Some((4, Some(2))));
    for order in &orders[..2] {
        w.act(
            Action::Interrupt,
            Target::Instance(leader, order.1.instance),
        )
        .expect("allowed");
        w.gone(1, order.1);
    }
    w.said.clear();
    w.wait(1);
    assert!(w.said.is_empty(), "2 are there and 2 may be");
    limit_to(&mut w, second, None);
    assert_eq!([0; 2].map(|_| w.order().1.job), [leader; 2]);
    assert!(w.said.is_empty());
    w.try_submit("tom", member(8, None, None), None)
        .expect("taken");
    assert_eq!([0; 8].map(|_| w.order().1.job.0), [3; 8]);
    w.try_submit("eve", member(1, None, None), None)
        .expect("taken");
    assert!(w.said.is_empty());
    let why = w.engine.why(JobId(4)).expect("there").remove(0);
    let hint = why.hint.expect("one");
    assert!(hint.starts_with("supervisor_pgrp_subjob_limits"), "{hint}");
}

#[test]
pub(super) fn why_says_who_has_the_instances_and_what_it_says_lets_the_job_run() {
    let mut w = world(None, &[]);
    w.connect(1, 20);
    let leader = w.submit(member(2, None, None));
    w.order();
    w.order();
    let limited = w.submit(member(1, Some(leader), Some(2)));
    let job = w.submit(member(1, Some(leader), None));
    let why = w.engine.why(job).expect("there");
    assert_eq!(why[0].kind, why::Kind::GroupLimit);
    assert_eq!(
        why[0].text,
        format!(
            "process group limit 2/2: the jobs of group {leader} may have 2 instances at once, held by job {leader} (2)"
        )
    );
    let others = why.iter().filter(|it| it.kind == why::Kind::BehindJobs);
    assert_eq!(others.count(), 0);
    let hint = why[0].hint.as_deref().expect("one");
    let modify = format!("tessera modify {limited} --pgrp-limit N");
    assert!(hint.contains(&modify), "{hint}");
    assert!(w.said.is_empty());
    limit_to(&mut w, limited, Some(4));
    assert_eq!([0; 2].map(|_| w.order().1.job), [limited, job]);
}

#[test]
fn a_limit_goes_with_the_job_that_says_it_and_a_group_with_its_last_job() {
    let mut w = world(None, &[]);
    w.connect(1, 20);
    let leader = w.submit(member(1, None, Some(1)));
    let order = w.order();
    let second = w.submit(member(3, Some(leader), None));
    assert!(w.said.is_empty());
    w.act(Action::Kill, Target::Job(leader)).expect("allowed");
    w.gone(1, order.1);
    w.said
        .retain(|(_, said)| matches!(said, ToWorker::Start { .. }));
    assert_eq!(w.order().1.job, second);
    assert!(w.said.is_empty(), "an ended job still says it");
    w.step(Input::Clean { jobs: vec![leader] });
    assert!(w.engine.job(leader).is_none());
    assert_eq!([0; 2].map(|_| w.order().1.job), [second; 2]);
    assert_eq!(w.engine.group_of_job(second), Some((3, None)));
}

#[test]
fn a_restart_counts_what_runs_of_a_group() {
    let mut w = world(Some(3), &[]);
    w.connect(1, 20);
    let leader = w.submit(member(8, None, None));
    w.submit(member(8, Some(leader), Some(2)));
    let now = Now {
        wall: Timestamp(0),
        elapsed: Duration::ZERO,
    };
    let config = Config {
        pgrp_limits: UserLimits {
            default: Some(3),
            ..UserLimits::default()
        },
        ..Config::default()
    };
    w.engine = Engine::restore(config, now, w.engine.image()).expect("whole");
    assert_eq!(w.engine.faults(), Vec::<String>::new());
    assert_eq!(w.engine.group_of_job(leader), Some((3, Some(2))));
}

/// Answers what the start of another's job costs, and the next start of a group, beside so many jobs of the group that wait.
fn costs_beside_held(jobs: u32) -> [u64; 2] {
    let mut w = world(None, &[]);
    w.connect(1, 4);
    let leader = w.submit(member(1, None, Some(1)));
    let first = w.order();
    for _ in 0..jobs {
        w.submit(member(1, Some(leader), None));
    }
    assert!(w.said.is_empty());
    let before = w.engine.asked();
    w.try_submit("tom", spec(1), None).expect("taken");
    w.order();
    let other = w.engine.asked() - before;
    w.act(Action::Kill, Target::Job(leader)).expect("allowed");
    w.said.clear();
    let before = w.engine.asked();
    w.gone(1, first.1);
    assert_eq!(w.order().1.job, JobId(leader.0 + 1));
    [other, w.engine.asked() - before]
}

#[test]
fn a_group_that_is_held_back_costs_nothing_and_its_next_start_the_same() {
    assert_eq!(costs_beside_held(2), costs_beside_held(200));
}
