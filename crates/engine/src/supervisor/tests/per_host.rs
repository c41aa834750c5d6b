//! How many instances of a job one host may have at once.

use super::*;

fn spread(cpus: u32, most: u32) -> JobSpec {
    let mut spec = JobSpec { cpus, ..spec(40) };
    spec.limits.per_host = Some(most);
    spec
}

/// Takes the orders that were said, and counts them by host.
fn started(w: &mut World) -> Vec<u8> {
    let mut hosts: Vec<u8> = std::mem::take(&mut w.said)
        .into_iter()
        .filter(|(_, said)| matches!(said, ToWorker::Start { .. }))
        .map(|(host, _)| host.0[0])
        .collect();
    hosts.sort_unstable();
    hosts
}

#[test]
fn a_host_has_no_more_instances_of_a_job_than_it_may_and_takes_others() {
    let mut w = World::new();
    w.connect(1, 8);
    w.connect(2, 8);
    let job = w.submit(spread(8, 2));
    assert_eq!(started(&mut w), [1, 1, 2, 2]);
    // A host that comes is given some at once.
    w.connect(3, 8);
    assert_eq!(started(&mut w), [3, 3]);
    let other = w.submit(JobSpec {
        cpus: 18,
        ..spec(40)
    });
    let orders = std::mem::take(&mut w.said);
    assert_eq!(orders.len(), 18, "each host has 6 left");
    // What is ending still counts there.
    let of_job = w.engine.launches_of(job).next().expect("one").clone();
    w.act(
        Action::Interrupt,
        Target::Instance(job, of_job.key.instance),
    )
    .expect("allowed");
    w.said.clear();
    w.wait(1);
    assert!(w.said.is_empty());
    let host = of_job.host.0[0];
    w.gone(host, of_job.key);
    assert_eq!(started(&mut w), [host]);
    assert_eq!(w.engine.launches_of(other).count(), 18);
}

#[test]
pub(super) fn why_says_how_many_are_there_and_what_it_says_lets_the_job_run() {
    let mut w = World::new();
    w.connect(1, 8);
    let job = w.submit(spread(2, 1));
    assert_eq!(started(&mut w), [1]);
    let why = w.engine.why(job).expect("there");
    let why = why.iter().find(|it| it.kind == why::Kind::HostLimit);
    let why = why.expect("said");
    assert_eq!(
        why.text,
        "1 of the 1 instances that one host may have of it are on rnd1"
    );
    let hint = why.hint.as_deref().expect("one");
    assert!(hint.contains("--per-host N"), "{hint}");
    let patch = Box::new(JobPatch {
        per_host: Some(Some(2)),
        ..JobPatch::default()
    });
    let by = person("mia");
    w.step(Input::Modify { by, job, patch });
    assert_eq!(started(&mut w), [1]);
}

/// Answers what it costs that another's instance ends beside so many hosts that have all that they may.
fn cost_among_full_hosts(hosts: u8) -> u64 {
    let mut w = World::new();
    for number in 1..=hosts {
        w.connect(number, 4);
    }
    w.submit(spread(39, 1));
    assert_eq!(started(&mut w).len(), usize::from(hosts));
    w.try_submit(
        "tom",
        JobSpec {
            priority: 1,
            ..spec(1)
        },
        None,
    )
    .expect("taken");
    let order = w.order();
    w.end(order, End::Exit(0));
    w.said.clear();
    let before = w.engine.asked();
    w.gone(order.0, order.1);
    assert!(w.said.is_empty());
    w.engine.asked() - before
}

#[test]
fn hosts_that_have_all_that_they_may_are_not_asked_again_and_again() {
    assert_eq!(cost_among_full_hosts(2), cost_among_full_hosts(30));
}
