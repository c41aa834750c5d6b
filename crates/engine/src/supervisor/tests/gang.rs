//! Jobs whose instances start all at once or not at all (`grid`).

use super::*;
use tessera_model::{JobFlag, StartRate};

/// A gang of so many instances of a slot with so many frames.
pub(super) fn gang(instances: u32, frames: u32) -> JobSpec {
    JobSpec {
        cpus: instances,
        flags: [JobFlag::Grid].into(),
        ..spec(frames)
    }
}

/// The same of a command that each instance runs.
fn command(instances: u32) -> JobSpec {
    JobSpec {
        kind: JobKind::CmdLine,
        ..gang(instances, 1)
    }
}

impl World {
    /// Takes all that was said; answers what started of a job.
    fn started_of(&mut self, job: JobId) -> Vec<(u8, LaunchKey, Run)> {
        let said = std::mem::take(&mut self.said).into_iter();
        let starts = said.filter_map(|(host, what)| match what {
            ToWorker::Start { key, run, .. } if key.job == job => Some((host.0[0], key, run)),
            _ => None,
        });
        starts.collect()
    }

    /// Takes all that was said; answers what was told to end.
    fn closed(&mut self) -> Vec<LaunchKey> {
        let said = std::mem::take(&mut self.said).into_iter();
        let closed = said.filter_map(|(_, what)| match what {
            ToWorker::Close { key, .. } => Some(key),
            _ => None,
        });
        closed.collect()
    }

    /// Submits a job of another's that takes a slot.
    fn small(&mut self) -> (JobId, (u8, LaunchKey, Run)) {
        let Ok(Answer::Submitted { job, .. }) = self.try_submit("tom", spec(1), None) else {
            panic!("not submitted");
        };
        let order = self.started_of(job);
        (job, *order.first().expect("it started"))
    }
}

#[test]
fn all_instances_start_in_one_turn_or_none() {
    let mut w = World::new();
    w.connect(1, 2);
    w.connect(2, 2);
    let (_, order) = w.small();
    let job = w.submit(gang(4, 9));
    assert_eq!(w.started_of(job), [], "there is room for three");
    w.finish(order, End::Exit(0));
    let starts = w.started_of(job);
    let hosts: Vec<u8> = starts.iter().map(|(host, ..)| *host).collect();
    assert_eq!(hosts, [1, 1, 2, 2]);
    assert_eq!(w.status(job), WorkStatus::Running);
}

#[test]
fn what_there_is_room_for_goes_to_others_and_of_two_gangs_neither_has_a_part() {
    let mut w = World::new();
    w.connect(1, 4);
    let (_, order) = w.small();
    let first = w.submit(gang(4, 4));
    let second = w.submit(gang(4, 4));
    // It holds none of the three slots that are free.
    let (_, other) = w.small();
    w.finish(order, End::Exit(0));
    assert!(w.started_of(second).is_empty());
    w.finish(other, End::Exit(0));
    let starts = w.started_of(first);
    assert_eq!(starts.len(), 4);
    for start in starts {
        assert_eq!(w.engine.launches_of(second).count(), 0);
        w.finish(start, End::Exit(0));
    }
    assert_eq!(w.engine.launches_of(second).count(), 4);
}

#[test]
fn what_stands_before_a_gang_starts_before_it_and_what_stands_behind_after() {
    let mut w = World::new();
    w.connect(1, 2);
    w.lock(1, true);
    let behind = w.submit(spec(1));
    let first = JobSpec {
        priority: 5,
        ..gang(2, 2)
    };
    let first = w.submit(first);
    let before = JobSpec {
        priority: 1,
        ..spec(1)
    };
    let before = w.submit(before);
    w.lock(1, false);
    // One slot is the better job's, and one alone is of no use to the gang.
    let count = |w: &World, job| w.engine.launches_of(job).count();
    assert_eq!([before, first, behind].map(|it| count(&w, it)), [1, 0, 1]);
    let orders: Vec<_> = std::mem::take(&mut w.said);
    for (host, what) in orders {
        if let ToWorker::Start { key, run, .. } = what {
            w.finish((host.0[0], key, run), End::Exit(0));
        }
    }
    assert_eq!(count(&w, first), 2);
}

#[test]
fn one_that_is_lost_starts_again_by_itself_while_others_run() {
    let mut w = World::new();
    w.connect(1, 1);
    w.connect(2, 1);
    let job = w.submit(gang(2, 8));
    assert_eq!(w.started_of(job).len(), 2);
    w.disconnect(2);
    w.wait(301);
    assert_eq!(w.engine.launches_of(job).count(), 1, "the other goes on");
    w.connect(3, 1);
    let again = w.started_of(job);
    assert_eq!(again.len(), 1, "{again:?}");
    assert_eq!(again[0].0, 3);
}

#[test]
fn when_none_runs_any_more_they_start_together_again() {
    let mut w = World::new();
    w.connect(1, 1);
    w.connect(2, 1);
    let job = w.submit(command(2));
    let starts = w.started_of(job);
    w.act(Action::Interrupt, Target::Job(job)).expect("allowed");
    w.gone(1, starts[0].1);
    assert_eq!(w.started_of(job), [], "the other host is not free yet");
    // What is read from the store knows no more and no less.
    w.restart();
    w.connect_as(1, 1, Identity::User);
    w.say(1, FromWorker::Inventory(Vec::new()));
    assert_eq!(w.started_of(job), []);
    w.connect(2, 1);
    w.wait(1);
    assert_eq!(w.started_of(job).len(), 2);
}

#[test]
fn no_more_start_than_owner_licences_and_rates_let_start_at_once() {
    let rate: StartRate = "3/10s".parse().expect("a rate");
    let mut w = World::new();
    w.engine = Engine::new(Config {
        user_limits: UserLimits {
            default: Some(3),
            ..UserLimits::default()
        },
        global_resources: [("license.sim".parse().expect("a name"), 3)].into(),
        start_rates: FarmRates {
            farm: Some(rate),
            ..FarmRates::default()
        },
        ..Config::default()
    });
    w.connect(1, 8);
    let own = w.submit(spec(1));
    let order = w.started_of(own)[0];
    let mut wants = gang(3, 3);
    wants.reservation.global = [("license.sim".parse().expect("a name"), 1)].into();
    let job = w.submit(wants);
    assert_eq!(w.started_of(job), [], "its owner may have two more");
    w.finish(order, End::Exit(0));
    assert_eq!(w.started_of(job), [], "two more may start now");
    w.wait(9);
    assert_eq!(w.started_of(job), []);
    w.wait(2);
    assert_eq!(w.started_of(job).len(), 3);
}

#[test]
fn licences_are_there_for_all_of_it_or_it_waits() {
    let mut w = World::new();
    w.engine = Engine::new(Config {
        global_resources: [("license.sim".parse().expect("a name"), 3)].into(),
        ..Config::default()
    });
    w.connect(1, 8);
    let wants = |spec: JobSpec| {
        let mut spec = spec;
        spec.reservation.global = [("license.sim".parse().expect("a name"), 1)].into();
        spec
    };
    let other = w.submit(wants(spec(1)));
    let order = w.started_of(other)[0];
    let job = w.submit(wants(gang(3, 3)));
    assert_eq!(w.started_of(job), []);
    w.finish(order, End::Exit(0));
    assert_eq!(w.started_of(job).len(), 3);
}

#[test]
fn one_that_asks_to_be_alone_of_its_job_needs_a_host_for_each() {
    let mut w = World::new();
    w.connect(1, 8);
    let mut alone = gang(2, 2);
    let asks = tessera_model::Requirement::parse("not (job.id in host.duty.id)").expect("good");
    alone.requirements = Some(std::sync::Arc::new(asks));
    let job = w.submit(alone);
    assert_eq!(w.started_of(job), []);
    w.connect(2, 8);
    let starts = w.started_of(job);
    let hosts: Vec<u8> = starts.iter().map(|(host, ..)| *host).collect();
    assert_eq!(hosts.len(), 2);
    assert_ne!(hosts[0], hosts[1]);
}

#[test]
fn nobody_leaves_for_a_gang_and_none_of_it_for_others() {
    let mut w = World::new();
    w.engine = Engine::new(Config {
        preempt_policy: PreemptPolicy::Aggressive,
        ..Config::default()
    });
    w.connect(1, 2);
    let of = |priority: u32, spec: JobSpec| JobSpec { priority, ..spec };
    let other = w.submit(of(9, spec(9)));
    let order = w.started_of(other)[0];
    let job = w.submit(of(5, gang(2, 4)));
    w.wait(5);
    assert_eq!(w.closed(), [], "nobody leaves");
    w.act(Action::Kill, Target::Job(other)).expect("allowed");
    w.gone(1, order.1);
    assert_eq!(w.started_of(job).len(), 2);
    w.submit(of(1, spec(1)));
    w.wait(5);
    assert_eq!(w.closed(), [], "none of it leaves");
}

/// The sentence that all its reasons begin with.
fn said(count: u32, rest: &str) -> String {
    format!("all {count} instances start at once (grid), {rest}")
}

#[test]
pub(super) fn why_says_for_how_many_there_is_room_and_what_it_says_lets_the_job_run() {
    let mut w = World::new();
    w.connect(1, 2);
    let (other, order) = w.small();
    let job = w.submit(gang(2, 4));
    let reason = w.reason(job, why::Kind::Grid);
    assert_eq!(reason.text, said(2, "and there is room for 1 now"));
    let hint = reason.hint.expect("a way out");
    assert!(
        hint.starts_with("it starts when there is room for all"),
        "{hint}"
    );
    let all = w.engine.why(job).expect("there");
    let in_turn = all.iter().find(|it| it.text.contains("in its turn"));
    assert_eq!(in_turn, None, "it would not take one of it");
    w.finish(order, End::Exit(0));
    assert_eq!(w.status(other), WorkStatus::Complete);
    assert_eq!(w.started_of(job).len(), 2);
}

#[test]
fn why_says_what_can_never_be_and_what_lets_it_do_with_fewer() {
    let mut w = World::new();
    w.connect(1, 2);
    let job = w.submit(gang(3, 4));
    let reason = w.reason(job, why::Kind::Grid);
    let most = "and the hosts that it may use have room for 2 if nothing else runs there";
    assert_eq!(reason.text, said(3, most));
    let hint = format!(
        "it starts when there are more hosts; tessera modify {job} --cpus 2 does with fewer"
    );
    assert_eq!(reason.hint, Some(hint));
    let too_large = w.engine.gang_too_large(&gang(3, 4), &name("mia"));
    assert_eq!(too_large, Some(said(3, most)));
    assert_eq!(w.engine.gang_too_large(&gang(2, 4), &name("mia")), None);
    let patch = JobPatch {
        cpus: Some(2),
        ..JobPatch::default()
    };
    let by = person("mia");
    let patch = Box::new(patch);
    w.step(Input::Modify { by, job, patch });
    assert_eq!(w.started_of(job).len(), 2);
}

#[test]
fn why_says_that_some_can_not_start_yet_and_that_a_limit_is_too_low() {
    let mut w = World::new();
    w.connect(1, 4);
    let blocked = w.submit(command(2));
    let starts = w.started_of(blocked);
    for action in [Action::Block, Action::Unblock] {
        let target = match action {
            Action::Block => Target::Job(blocked),
            _ => Target::Instance(blocked, InstanceNo(0)),
        };
        w.act(action, target).expect("allowed");
    }
    starts.iter().for_each(|(host, key, _)| w.gone(*host, *key));
    let reason = w.reason(blocked, why::Kind::Grid);
    let text = "and 1 of them can now: the others wait for something else";
    assert_eq!(reason.text, said(2, text));
    assert_eq!(w.started_of(blocked), []);
    w.act(Action::Unblock, Target::Job(blocked))
        .expect("allowed");
    assert_eq!(w.started_of(blocked).len(), 2);
    let limited = JobSpec {
        limits: tessera_model::JobLimits {
            pgrp: Some(1),
            ..Default::default()
        },
        ..gang(2, 2)
    };
    let text = said(2, "and its process group may have 1 at once");
    let too_large = w.engine.gang_too_large(&limited, &name("mia"));
    assert_eq!(too_large, Some(text.clone()));
    let limited = w.submit(limited);
    assert_eq!(w.reason(limited, why::Kind::Grid).text, text);
}

/// Answers what the end of a small job costs on a farm of so many hosts whose free slots are too few for gangs that wait.
fn cost_of_an_end(hosts: u8) -> u64 {
    let mut w = World::new();
    (1..=hosts).for_each(|number| w.connect(number, 2));
    let orders: Vec<_> = (0..2 * u32::from(hosts)).map(|_| w.small().1).collect();
    for _ in 0..8 {
        w.submit(gang(3, 3));
    }
    // Enough for one is free, and of no use to it.
    let mut large = gang(2, 2);
    large.reservation.slots = 2;
    w.submit(large);
    for number in [1, 2] {
        let order = orders.iter().find(|(host, ..)| *host == number);
        w.finish(*order.expect("it has one"), End::Exit(0));
    }
    let before = w.engine.asked();
    let order = orders.iter().find(|(host, ..)| *host == 3);
    w.submit(spec(1));
    w.finish(*order.expect("it has one"), End::Exit(0));
    w.engine.asked() - before
}

#[test]
fn what_an_event_costs_beside_gangs_that_wait_does_not_grow_with_the_farm() {
    let (few, many) = (cost_of_an_end(8), cost_of_an_end(120));
    assert_eq!(few, many);
    assert!(many < 200, "{many}");
}
