//! What of the farm's own resources is for a host (`license_host.*`) or has a part on each (`scoped.*`).

use super::*;
use crate::supervisor::why::Kind;
use tessera_model::{GlobalName, Reservation};

const SHAKE: &str = "license_host.shake";
const IO: &str = "scoped.io";

fn global(text: &str) -> GlobalName {
    text.parse().expect("a good name")
}

fn world(all: &[(&str, u64)]) -> World {
    let all = all.iter().map(|(name, amount)| (global(name), *amount));
    let config = Config {
        global_resources: all.collect(),
        ..Config::default()
    };
    let mut w = World::new();
    w.engine = Engine::new(config);
    w
}

/// A job of so many instances that wants one of each.
fn wanting(cpus: u32, wants: &[&str]) -> JobSpec {
    let wants = wants.iter();
    let scoped = wants.clone().filter(|name| global(name).is_scoped());
    JobSpec {
        cpus,
        reservation: Reservation {
            amounts: scoped.map(|name| ((*name).to_owned(), 1)).collect(),
            global: wants.map(|name| (global(name), 1)).collect(),
            ..Reservation::default()
        },
        ..spec(cpus)
    }
}

/// Takes the starts that were said: on which host which job.
fn started(w: &mut World) -> Vec<(u8, u64)> {
    let said = std::mem::take(&mut w.said).into_iter();
    let mut all: Vec<(u8, u64)> = said
        .filter_map(|(host, said)| match said {
            ToWorker::Start { key, .. } => Some((host.0[0], key.job.0)),
            _ => None,
        })
        .collect();
    all.sort_unstable();
    all
}

fn held(w: &World, name: &str) -> u64 {
    w.engine.globals().held(&global(name))
}

/// Ends all that a job has on a host.
fn end_on(w: &mut World, number: u8, job: JobId) {
    let launches = w.engine.launches_of(job);
    let there = launches.filter(|it| it.host == host(number));
    let runs: Vec<_> = there
        .filter_map(|it| Some((number, it.key, it.current?)))
        .collect();
    for order in runs {
        w.end(order, End::Exit(0));
        w.gone(number, order.1);
    }
}

#[test]
fn one_is_for_all_that_runs_on_a_host_and_comes_back_with_the_last() {
    // What the farm counts alone and what a licence server says are given out alike.
    one_for_a_host(SHAKE);
    one_for_a_host("global_host.scratch");
}

fn one_for_a_host(name: &str) {
    let mut w = world(&[(name, 1)]);
    w.connect(1, 3);
    w.connect(2, 3);
    let job = w.submit(wanting(2, &[name]));
    let first = started(&mut w);
    let (on, other) = (first[0].0, 3 - first[0].0);
    assert_eq!(first, [(on, 1), (on, 1)], "both where the one is");
    assert_eq!(held(&w, name), 1);
    // Another job shares it there, and goes nowhere else.
    let second = w.submit(wanting(3, &[name]));
    assert_eq!(started(&mut w), [(on, 2)]);
    let why = w.engine.why(second).expect("there");
    let why = why.iter().find(|it| it.kind == Kind::ResourceInUse);
    assert_eq!(
        why.map(|it| it.text.clone()),
        Some(format!("{name} 1/1 held by job 1 (1), job 2 (1)"))
    );
    // Room on that host is enough; what ends there gives nothing back as long as something is left.
    end_on(&mut w, on, job);
    assert_eq!(started(&mut w), [(on, 2), (on, 2)]);
    assert_eq!(held(&w, name), 1);
    w.submit(wanting(1, &[name]));
    assert_eq!(started(&mut w), []);
    w.act(Action::Kill, Target::Job(second)).expect("allowed");
    let keys: Vec<_> = w.engine.launches_of(second).map(|it| it.key).collect();
    w.said.clear();
    w.gone(on, keys[0]);
    assert_eq!(started(&mut w), [(on, 3)], "it is there still");
    keys[1..].iter().for_each(|key| w.gone(on, *key));
    end_on(&mut w, on, JobId(3));
    assert_eq!(held(&w, name), 0);
    // Free again, it may go anywhere.
    w.submit(JobSpec {
        hosts: [format!("rnd{other}")].into(),
        ..wanting(1, &[name])
    });
    assert_eq!(started(&mut w), [(other, 4)]);
}

#[test]
fn what_is_lacking_besides_keeps_a_job_off_the_hosts_that_have_one() {
    let mut w = world(&[(SHAKE, 1), ("license.nuke", 1)]);
    w.connect(1, 8);
    w.connect(2, 8);
    let job = w.submit(wanting(1, &[SHAKE, "license.nuke"]));
    let on = started(&mut w)[0].0;
    w.submit(wanting(1, &[SHAKE, "license.nuke"]));
    assert_eq!(started(&mut w), []);
    w.submit(wanting(1, &[SHAKE]));
    assert_eq!(started(&mut w), [(on, 3)]);
    // The other one is free again, and the unit is still where the third job runs.
    end_on(&mut w, on, job);
    assert_eq!(started(&mut w), [(on, 2)]);
}

#[test]
fn a_restart_and_a_lost_host_count_by_host() {
    let mut w = world(&[(SHAKE, 2)]);
    w.connect(1, 2);
    w.connect(2, 2);
    w.submit(wanting(4, &[SHAKE]));
    assert_eq!(started(&mut w).len(), 4);
    assert_eq!(held(&w, SHAKE), 2);
    let now = Now {
        wall: Timestamp(0),
        elapsed: Duration::ZERO,
    };
    let config = Config {
        global_resources: [(global(SHAKE), 2)].into(),
        ..Config::default()
    };
    w.engine = Engine::restore(config, now, w.engine.image()).expect("whole");
    assert_eq!(w.engine.faults(), Vec::<String>::new());
    assert_eq!(held(&w, SHAKE), 2);
    w.wait_in_silence(301);
    assert_eq!(held(&w, SHAKE), 0, "both hosts are given up");
}

#[test]
fn when_more_hosts_have_one_than_may_nothing_starts_there_either() {
    let mut w = world(&[(SHAKE, 2)]);
    w.connect(1, 2);
    w.connect(2, 2);
    w.submit(wanting(2, &[SHAKE]));
    let first = started(&mut w);
    // Each of them on a host of its own, and room on both.
    let on: Vec<u8> = first.iter().map(|(host, _)| *host).collect();
    let other = if on.contains(&2) { 1 } else { 2 };
    if on[0] == on[1] {
        w.submit(JobSpec {
            hosts: [format!("rnd{other}")].into(),
            ..wanting(1, &[SHAKE])
        });
        assert_eq!(started(&mut w).len(), 1);
    }
    assert_eq!(held(&w, SHAKE), 2);
    let say = |w: &mut World, total: u64| {
        let wish = GlobalWish::Set {
            total: Some(total),
            used: None,
            ttl: None,
        };
        let (by, name) = (person("root"), global(SHAKE));
        w.step(Input::Global { by, name, wish });
    };
    say(&mut w, 1);
    let waiting = w.submit(wanting(1, &[SHAKE]));
    assert_eq!(started(&mut w), [], "two hosts have one, and one may");
    say(&mut w, 2);
    let all = started(&mut w);
    assert_eq!(
        all.iter().map(|(_, job)| *job).collect::<Vec<_>>(),
        [waiting.0]
    );
}

#[test]
fn of_a_scoped_one_a_host_gives_its_part_and_the_farm_all_together() {
    let mut w = world(&[(IO, 3)]);
    for (number, part) in [(1, 1), (2, 1), (3, 2)] {
        w.connect_with(number, 8, Identity::User, &[(IO, part)]);
        w.say(number, FromWorker::Inventory(Vec::new()));
    }
    w.connect(4, 8);
    let job = w.submit(wanting(8, &[IO]));
    let hosts: Vec<u8> = started(&mut w).iter().map(|(host, _)| *host).collect();
    assert_eq!(hosts.len(), 3, "the farm has 3");
    assert!(!hosts.contains(&4), "it has no part");
    assert!(hosts.iter().filter(|host| **host == 1).count() <= 1);
    let why = w.engine.why(job).expect("there");
    let of = |kind: Kind| why.iter().find(|it| it.kind == kind).expect("said");
    assert_eq!(
        of(Kind::ResourceInUse).text,
        "scoped.io 3/3 held by job 1 (3)"
    );
    assert_eq!(
        of(Kind::TooSmall).text,
        "scoped.io of rnd4 is 0 in all; 1 asked"
    );
    // More for the farm: then the parts of the hosts are what is left.
    let wish = GlobalWish::Set {
        total: Some(9),
        used: None,
        ttl: None,
    };
    w.engine = Engine::restore(
        Config::default(),
        Now {
            wall: Timestamp(0),
            elapsed: Duration::ZERO,
        },
        w.engine.image(),
    )
    .expect("whole");
    w.step(Input::Global {
        by: person("root"),
        name: global(IO),
        wish,
    });
    assert_eq!(w.engine.globals().free(&global(IO)), 6);
}

/// Answers what it costs that something else ends beside so many hosts and jobs that wait for what is for a host.
fn cost_beside_waiting(hosts: u8, jobs: u32) -> u64 {
    let mut w = world(&[(SHAKE, 1)]);
    for number in 1..=hosts {
        w.connect(number, 2);
    }
    w.submit(wanting(2, &[SHAKE]));
    assert_eq!(started(&mut w).len(), 2);
    for _ in 0..jobs {
        w.submit(wanting(1, &[SHAKE]));
    }
    w.try_submit("tom", spec(1), None).expect("taken");
    let order = w.order();
    w.end(order, End::Exit(0));
    w.said.clear();
    let before = w.engine.asked();
    w.gone(order.0, order.1);
    assert_eq!(started(&mut w), []);
    w.engine.asked() - before
}

#[test]
fn who_waits_for_what_is_for_a_host_is_not_looked_at_meanwhile() {
    assert_eq!(cost_beside_waiting(3, 2), cost_beside_waiting(30, 100));
}
