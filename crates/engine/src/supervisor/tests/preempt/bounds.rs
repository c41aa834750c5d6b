//! No more leave than may start: limits and rates.

use super::*;

#[test]
fn no_more_leave_than_somebody_may_start() {
    let mut w = World::new();
    let licence: tessera_model::GlobalName = "license.a".parse().expect("a name");
    w.engine = Engine::new(Config {
        preempt_policy: PreemptPolicy::Aggressive,
        user_limits: UserLimits {
            default: None,
            named: [(name("tom"), Some(2))].into(),
        },
        global_resources: [(licence.clone(), 3)].into(),
        ..Config::default()
    });
    w.connect(1, 8);
    w.submit(with(9, 8, 8));
    w.said.clear();
    w.try_submit("tom", with(1, 8, 8), None).expect("taken");
    assert_eq!(closed(&mut w).len(), 2, "his limit");
    let mut licensed = with(2, 8, 8);
    licensed.reservation.global.insert(licence, 1);
    w.submit(licensed);
    assert_eq!(closed(&mut w).len(), 3, "there are three licences");
}

/// A farm of eight slots, full of what stands lower, with rates of starts.
fn full(farm: Option<&str>, of_licence: Option<&str>) -> World {
    let rate = |text: &str| text.parse().expect("a rate");
    let licence: tessera_model::GlobalName = "license.a".parse().expect("a name");
    let mut w = World::new();
    w.engine = Engine::new(Config {
        preempt_policy: PreemptPolicy::Aggressive,
        start_rates: FarmRates {
            farm: farm.map(rate),
            resources: of_licence
                .map(|it| (licence.clone(), rate(it)))
                .into_iter()
                .collect(),
        },
        global_resources: [(licence, 20)].into(),
        ..Config::default()
    });
    w.connect(1, 4);
    w.connect(2, 4);
    w.submit(with(9, 8, 8));
    w.said.clear();
    w
}

#[test]
fn no_more_leave_than_a_rate_lets_start() {
    let mut w = full(Some("9/10s"), None);
    w.submit(with(1, 8, 8));
    assert_eq!(closed(&mut w).len(), 1, "one of nine is left");
    w.submit(with(2, 8, 8));
    assert_eq!(closed(&mut w).len(), 0);
    w.wait(10);
    assert_eq!(closed(&mut w).len(), 7, "the others may start, too");
    let mut w = full(None, None);
    let mut paced = with(1, 8, 8);
    paced.limits.start_rate = Some("2/10s".parse().expect("a rate"));
    w.submit(paced);
    assert_eq!(closed(&mut w).len(), 2, "its own");
    let mut w = full(None, Some("3/10s"));
    for _ in 0..2 {
        let mut licensed = with(2, 8, 8);
        licensed
            .reservation
            .global
            .insert("license.a".parse().expect("a name"), 1);
        w.submit(licensed);
    }
    assert_eq!(closed(&mut w).len(), 3, "that of what they reserve");
}

#[test]
fn room_that_is_there_before_a_rate_lets_its_job_start_waits_for_it() {
    let licensed = |w: &mut World, host: &str| {
        let mut spec = with(1, 8, 1);
        spec.hosts.insert(host.to_owned());
        let licence = "license.a".parse().expect("a name");
        spec.reservation.global.insert(licence, 1);
        w.submit(spec)
    };
    let starts = |w: &mut World| -> Vec<JobId> {
        let said = std::mem::take(&mut w.said).into_iter();
        let keys = said.filter_map(|(_, what)| match what {
            ToWorker::Start { key, .. } => Some(key.job),
            ToWorker::Close { key, .. } => panic!("{key:?} leaves, too"),
            _ => None,
        });
        keys.collect()
    };
    let mut w = full(None, Some("1/10s"));
    let first = licensed(&mut w, "rnd1");
    let victims = closed(&mut w);
    assert_eq!(victims.len(), 1);
    let other = licensed(&mut w, "rnd3");
    w.connect(3, 1);
    assert_eq!(starts(&mut w), [other]);
    w.gone(1, victims[0]);
    assert_eq!(
        starts(&mut w),
        [],
        "the rate has no start left, and the room is kept"
    );
    w.wait(10);
    assert_eq!(starts(&mut w), [first]);
}

#[test]
fn no_more_leave_than_a_group_or_a_host_may_have() {
    let mut w = full(None, None);
    let mut first = with(1, 8, 8);
    first.limits.pgrp = Some(3);
    let leader = w.submit(first);
    w.submit(JobSpec {
        pgrp: Some(leader),
        ..with(2, 8, 8)
    });
    assert_eq!(closed(&mut w).len(), 3, "one limit for both");
    let mut w = full(None, None);
    let mut spread = with(1, 8, 8);
    spread.limits.per_host = Some(1);
    w.submit(spread);
    assert_eq!(closed(&mut w).len(), 2, "one of each host");
}
