//! What planning costs, in things looked at, and what goes when nobody needs it any more.

use super::*;
use crate::supervisor::plan::{Demands, Planner};
use std::collections::BTreeMap;
use tessera_model::GlobalName;
use tessera_model::limits::{RESERVATIONS_MAX, RESOURCES_MAX};
use tessera_model::reservation::MEMORY;

fn demands() -> Demands {
    Demands::of(&spec(1), JobId(1), &name("mia"))
}

fn asking(names: impl IntoIterator<Item = String>) -> JobSpec {
    let mut asks = spec(1);
    asks.reservation.amounts = names.into_iter().map(|name| (name, 1)).collect();
    asks
}

fn end_and_remove(w: &mut World, job: JobId) {
    w.act(Action::Kill, Target::Job(job)).expect("allowed");
    w.step(Input::Clean { jobs: vec![job] });
    assert!(w.engine.job(job).is_none());
}

/// Answers what one more thing costs.
fn cost(w: &mut World, step: impl FnOnce(&mut World)) -> u64 {
    let before = w.engine.planner.asked();
    step(w);
    w.engine.planner.asked() - before
}

#[test]
fn names_that_no_host_has_use_up_nothing() {
    let mut w = World::new();
    w.connect_with(1, 4, Identity::User, &[(MEMORY, 64)]);
    w.say(1, FromWorker::Inventory(Vec::new()));
    for job in 0..2 * RESOURCES_MAX / RESERVATIONS_MAX {
        let names = (0..RESERVATIONS_MAX).map(|n| format!("host.r{job}x{n}"));
        w.submit(asking(names));
    }
    w.submit(asking([MEMORY.to_owned()]));
    assert_eq!(w.order().0, 1);
}

#[test]
fn a_farm_bounds_how_many_resources_its_jobs_reserve() {
    let names: Vec<String> = (0..=RESOURCES_MAX).map(|n| format!("host.r{n}")).collect();
    let has: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 0)).collect();
    let mut w = World::new();
    w.connect_with(1, 4, Identity::User, &has);
    let mut jobs = Vec::new();
    for name in &names[..RESOURCES_MAX] {
        jobs.push(w.submit(asking([name.clone()])));
    }
    let last = || asking([names[RESOURCES_MAX].clone()]);
    let denied = w.try_submit("mia", last(), None);
    assert!(
        matches!(
            denied,
            Err(Denied::Invalid {
                field: "reservations",
                ..
            })
        ),
        "{denied:?}"
    );
    // What nobody reserves any more makes room.
    end_and_remove(&mut w, jobs[7]);
    w.submit(last());
}

#[test]
fn a_resource_that_comes_with_a_host_counts_from_then_on() {
    let mut w = World::new();
    w.connect(1, 4);
    w.submit(asking(["host.gpus".to_owned()]));
    assert!(w.said.is_empty());
    w.connect_with(2, 1, Identity::User, &[("host.gpus", 0)]);
    w.say(2, FromWorker::Inventory(Vec::new()));
    w.connect_with(3, 1, Identity::User, &[("host.gpus", 1)]);
    w.say(3, FromWorker::Inventory(Vec::new()));
    assert_eq!(w.order().0, 3);
}

#[test]
fn a_class_goes_with_its_last_job() {
    let mut w = World::new();
    let (first, second) = (w.submit(spec(1)), w.submit(spec(2)));
    assert_eq!(w.engine.planner.classes(), 1);
    let patch = Box::new(JobPatch {
        hosts: Some(["rnd1".to_owned()].into()),
        ..JobPatch::default()
    });
    w.step(Input::Modify {
        by: person("mia"),
        job: first,
        patch,
    });
    assert_eq!(w.engine.planner.classes(), 2);
    end_and_remove(&mut w, first);
    end_and_remove(&mut w, second);
    assert_eq!(w.engine.planner.classes(), 0);
}

/// Connects hosts of which none has enough memory, and answers what a job costs that wants some.
fn cost_among_idle_hosts(hosts: u8) -> u64 {
    let mut w = World::new();
    for number in 1..=hosts {
        w.connect_with(number, 4, Identity::User, &[(MEMORY, 8)]);
        w.say(number, FromWorker::Inventory(Vec::new()));
    }
    let mut wants = asking([MEMORY.to_owned()]);
    wants.reservation.amounts.insert(MEMORY.to_owned(), 9);
    w.submit(wants.clone());
    let cost = cost(&mut w, |w| _ = w.submit(wants));
    assert!(w.said.is_empty());
    cost
}

#[test]
fn idle_hosts_that_are_alike_cost_as_much_as_one() {
    assert_eq!(cost_among_idle_hosts(1), cost_among_idle_hosts(200));
}

/// Queues jobs behind a full host, and answers what the end of an instance costs.
fn cost_of_an_end(jobs: u32, frames: u32) -> u64 {
    let mut w = World::new();
    w.connect(1, 1);
    w.submit(spec(1));
    for _ in 0..jobs {
        w.submit(spec(frames));
    }
    let order = w.order();
    w.end(order, End::Exit(0));
    let cost = cost(&mut w, |w| w.gone(1, order.1));
    assert!(matches!(w.heard().1, ToWorker::Close { .. }));
    w.order();
    cost
}

#[test]
fn queued_work_costs_nothing() {
    assert_eq!(cost_of_an_end(1, 1), cost_of_an_end(100, 1));
    assert_eq!(cost_of_an_end(1, 1), cost_of_an_end(10, 10_000));
}

/// Makes as many classes with a job each that no host can serve, and answers what it costs to ask about all of them.
fn cost_of_all_classes(classes: u64) -> u64 {
    let mut planner = Planner::default();
    planner.set_free(host(1), "rnd1", &Default::default(), (1, 0, false), |_| 0);
    for n in 0..classes {
        let demands = Demands {
            hosts: [format!("other{n}")].into(),
            ..demands()
        };
        let class = planner.take_class(demands).number;
        planner.set_ready(class, (5, 0, JobId(n)), true);
    }
    assert_eq!(planner.next(&|_, _| true), None);
    let before = planner.asked();
    planner.touch_all();
    assert_eq!(planner.next(&|_, _| true), None);
    planner.asked() - before
}

#[test]
fn to_ask_about_everything_costs_as_much_as_there_are_classes() {
    assert_eq!(cost_of_all_classes(400), 4 * cost_of_all_classes(100));
}

#[test]
fn hosts_are_walked_once_for_all_jobs_of_a_class() {
    let mut planner = Planner::default();
    let class = planner.take_class(demands()).number;
    let (hosts, jobs) = (20u8, 50);
    for number in 1..=hosts {
        planner.set_free(
            host(number),
            "rnd",
            &Default::default(),
            (u32::from(number), 0, false),
            |_| 0,
        );
    }
    assert_eq!(planner.next(&|_, _| true), None);
    for n in 0..jobs {
        planner.set_ready(class, (5, 0, JobId(n)), true);
    }
    let before = planner.asked();
    assert_eq!(planner.next(&|_, _| false), None);
    // The class itself, each kind of host and each host once, each job with each host.
    let hosts = u64::from(hosts);
    assert_eq!(planner.asked() - before, 1 + 2 * hosts + hosts * jobs);
}

#[test]
fn the_best_job_of_all_classes_is_the_next() {
    let mut planner = Planner::default();
    let mut classes = BTreeMap::new();
    for n in 0..4u64 {
        let mut demands = demands();
        demands.omithosts.insert(format!("other{n}"));
        let class = planner.take_class(demands).number;
        classes.insert(n, class);
        planner.set_ready(class, (u32::try_from(9 - n).unwrap(), 0, JobId(n)), true);
    }
    // Its head was the best and goes before anybody asks; another comes that is better than all.
    planner.set_ready(classes[&3], (6, 0, JobId(3)), false);
    planner.set_ready(classes[&0], (1, 0, JobId(9)), true);
    planner.set_free(host(1), "rnd1", &Default::default(), (1, 0, false), |_| 0);
    assert_eq!(planner.next(&|_, _| true).map(|it| it.job), Some(JobId(9)));
    planner.set_ready(classes[&0], (1, 0, JobId(9)), false);
    assert_eq!(planner.next(&|_, _| true).map(|it| it.job), Some(JobId(2)));
    planner.set_free(host(1), "", &Default::default(), (0, 0, false), |_| 0);
    planner.set_free(host(2), "rnd2", &Default::default(), (1, 0, false), |_| 0);
    planner.set_ready(classes[&2], (7, 0, JobId(2)), false);
    assert_eq!(planner.next(&|_, _| true).map(|it| it.job), Some(JobId(1)));
}

#[test]
fn a_job_in_two_classes_is_asked_in_both_when_what_both_wait_for_comes() {
    let mut planner = Planner::default();
    let licence: GlobalName = "license.nuke".parse().expect("a name");
    let mut of_hosts = |host: &str| {
        let demands = Demands {
            hosts: [host.to_owned()].into(),
            global: [(licence.clone(), 1)].into(),
            ..demands()
        };
        planner.take_class(demands).number
    };
    // Its items that ran out of memory want another host than those that did not.
    let (plain, grown) = (of_hosts("small"), of_hosts("large"));
    assert!(plain < grown);
    planner.set_free(host(1), "small", &Default::default(), (1, 0, false), |_| 0);
    let place = (5, 0, JobId(1));
    planner.set_ready(plain, place, true);
    assert_eq!(planner.next(&|_, _| true), None, "nobody has a licence");
    planner.set_global(&licence, 1, false);
    planner.set_ready(grown, place, true);
    let found = planner.next(&|_, _| true).expect("the small host is free");
    assert_eq!((found.job, found.class), (JobId(1), plain));
}

/// Queues jobs of somebody whose account the idle host refuses, and answers what another's job costs that goes there.
fn cost_beside_refused(jobs: u32) -> u64 {
    let mut w = World::new();
    // Full, so that hers wait for it.
    w.connect(2, 1);
    w.try_submit("tom", spec(1), None).expect("taken");
    w.order();
    w.connect(1, 2);
    w.submit(spec(1));
    let (number, key, _) = w.order();
    let refusal = Refusal {
        code: "no_such_account".into(),
        text: "no account mia".into(),
    };
    w.report(number, Report::Refused { key, refusal });
    for _ in 0..jobs {
        w.submit(spec(1));
    }
    w.said.clear();
    let cost = cost(&mut w, |w| _ = w.try_submit("tom", spec(1), None));
    assert_eq!(w.order().0, 1);
    cost
}

#[test]
fn jobs_of_a_refused_account_cost_as_much_as_one() {
    assert_eq!(cost_beside_refused(1), cost_beside_refused(100));
}

/// Makes as many classes with a job each, and answers what a host costs that may take any of them.
fn cost_of_a_host(classes: u64) -> u64 {
    let mut planner = Planner::default();
    for n in 0..classes {
        let mut demands = demands();
        demands.omithosts.insert(format!("other{n}"));
        let class = planner.take_class(demands).number;
        planner.set_ready(class, (5, 0, JobId(n)), true);
    }
    assert_eq!(planner.next(&|_, _| true), None);
    planner.set_free(host(1), "rnd1", &Default::default(), (1, 0, false), |_| 0);
    let before = planner.asked();
    assert_eq!(planner.next(&|_, _| true).map(|it| it.job), Some(JobId(0)));
    planner.asked() - before
}

#[test]
fn a_host_asks_no_class_behind_the_one_that_it_serves() {
    assert_eq!(cost_of_a_host(1), cost_of_a_host(200));
}

#[test]
fn a_resource_beyond_the_bound_is_planned_host_by_host() {
    let names: Vec<String> = (0..=RESOURCES_MAX).map(|n| format!("host.r{n}")).collect();
    let mut w = World::new();
    w.connect(1, 1);
    // Reserved while no host has any of them, so that all are let in.
    let mut jobs = Vec::new();
    for name in &names {
        jobs.push(w.submit(asking([name.clone()])));
    }
    w.submit(spec(1));
    assert_eq!(w.order().0, 1);
    let has: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    w.connect_with(2, 4_000, Identity::User, &has);
    w.say(2, FromWorker::Inventory(Vec::new()));
    let started: Vec<_> = jobs.iter().map(|_| w.order()).collect();
    // Numbers are given by name, so that the last of them got none.
    let last = (0..names.len()).max_by_key(|n| &names[*n]).expect("some");
    let order = *started
        .iter()
        .find(|it| it.1.job == jobs[last])
        .expect("it runs, too");
    let another = w.try_submit("mia", asking([names[last].clone()]), None);
    assert!(
        another.is_err(),
        "as many are reserved as may be: {another:?}"
    );
    assert_eq!(
        w.engine.host(host(2)).expect("there").free_of(&names[last]),
        0
    );
    w.end(order, End::Exit(0));
    w.gone(2, order.1);
    assert_eq!(
        w.engine.host(host(2)).expect("there").free_of(&names[last]),
        1
    );
}

/// Answers what a job without a GPU costs that comes beside so many idle hosts which keep all of their slots.
fn cost_beside_kept(hosts: u8) -> u64 {
    let mut w = World::new();
    for number in 1..=hosts {
        w.keeping(number, (2, 1, 2), &[]);
    }
    let cost = cost(&mut w, |w| _ = w.submit(spec(1)));
    assert!(w.said.is_empty(), "{:?}", w.said);
    cost
}

#[test]
fn hosts_that_keep_their_slots_for_gpus_cost_as_much_as_one() {
    assert_eq!(cost_beside_kept(1), cost_beside_kept(100));
}
