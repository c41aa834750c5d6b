//! How quickly instances start.

use super::*;
use crate::supervisor::why::Kind;
use tessera_model::{GlobalName, Reservation};

const LICENCE: &str = "license.nuke";

fn licence() -> GlobalName {
    LICENCE.parse().expect("a good name")
}

fn world(farm: Option<&str>, of_licence: Option<&str>) -> World {
    let rate = |text: &str| text.parse().expect("a good rate");
    let config = Config {
        start_rates: FarmRates {
            farm: farm.map(rate),
            resources: of_licence
                .map(|it| (licence(), rate(it)))
                .into_iter()
                .collect(),
        },
        global_resources: [(licence(), 20)].into(),
        ..Config::default()
    };
    let mut w = World::new();
    w.engine = Engine::new(config);
    w
}

fn wide(rate: Option<&str>) -> JobSpec {
    let mut spec = JobSpec { cpus: 8, ..spec(8) };
    spec.limits.start_rate = rate.map(|rate| rate.parse().expect("a good rate"));
    spec
}

fn with_licence() -> JobSpec {
    JobSpec {
        reservation: Reservation {
            global: [(licence(), 1)].into(),
            ..Reservation::default()
        },
        ..wide(None)
    }
}

impl World {
    /// Counts the instances that were told to start since it was asked last, by job.
    fn take_starts(&mut self) -> Vec<u64> {
        let said = std::mem::take(&mut self.said).into_iter();
        let mut jobs: Vec<u64> = said
            .filter_map(|(_, said)| match said {
                ToWorker::Start { key, .. } => Some(key.job.0),
                _ => None,
            })
            .collect();
        jobs.sort_unstable();
        jobs
    }

    fn at(&mut self, ms: u64) {
        self.ms = ms;
        self.step(Input::Tick);
    }

    fn due_ms(&self) -> Option<u128> {
        self.engine.next_deadline().map(|due| due.as_millis())
    }
}

#[test]
fn a_job_starts_no_quicker_than_it_says_and_others_go_on() {
    let mut w = World::new();
    w.connect(1, 40);
    w.at(1_000);
    w.submit(wide(Some("2/10s")));
    assert_eq!(w.take_starts(), [1, 1]);
    w.submit(wide(None));
    assert_eq!(w.take_starts(), [2; 8]);
    assert_eq!(w.due_ms(), Some(11_000), "it sleeps until then");
    w.at(10_999);
    assert!(w.take_starts().is_empty());
    w.at(11_000);
    assert_eq!(w.take_starts(), [1, 1]);
    // Of any ten seconds, not of those that the clock begins.
    let mut last = 11_000;
    while w.take_starts().is_empty() {
        last += 500;
        w.at(last);
    }
    assert_eq!(last, 21_000);
}

#[test]
pub(super) fn the_farm_starts_no_quicker_than_it_may_the_best_first() {
    let mut w = world(Some("3/s"), None);
    w.connect(1, 40);
    w.submit(wide(None));
    assert_eq!(w.take_starts(), [1; 3]);
    w.submit(JobSpec {
        priority: 1,
        ..wide(None)
    });
    assert!(w.take_starts().is_empty());
    let why = w.engine.why(JobId(2)).expect("there").remove(0);
    assert_eq!(why.kind, Kind::StartRate);
    assert_eq!(
        why.text,
        "start rate 3/s of the farm is used up; the next instance may start in 1s"
    );
    w.at(1_000);
    assert_eq!(w.take_starts(), [2; 3]);
    w.at(1_999);
    assert!(w.take_starts().is_empty());
    w.at(2_000);
    assert_eq!(w.take_starts(), [2; 3]);
}

#[test]
fn room_that_was_made_is_given_out_no_quicker_than_the_farm_may_start() {
    let mut w = world(None, None);
    w.engine = Engine::new(Config {
        start_rates: FarmRates {
            farm: Some("2/10s".parse().expect("a good rate")),
            ..FarmRates::default()
        },
        preempt_policy: PreemptPolicy::Aggressive,
        ..Config::default()
    });
    w.connect(1, 2);
    w.submit(wide(None));
    assert_eq!(w.take_starts(), [1; 2]);
    w.at(5_000);
    w.connect(2, 1);
    w.at(10_000);
    assert_eq!(w.take_starts(), [1]);
    w.submit(JobSpec {
        priority: 1,
        ..wide(None)
    });
    let left: Vec<_> = w
        .engine
        .launches()
        .map(|it| (it.host.0[0], it.key))
        .collect();
    w.said.clear();
    // All leave at once; one start is left of these ten seconds.
    left.into_iter().for_each(|(host, key)| w.gone(host, key));
    assert_eq!(w.take_starts(), [2]);
    w.at(19_999);
    assert!(w.take_starts().is_empty());
    w.at(20_000);
    assert_eq!(w.take_starts(), [2; 2]);
}

#[test]
fn what_reserves_a_resource_starts_no_quicker_than_its_server_likes() {
    let mut w = world(None, Some("1/30s"));
    w.connect(1, 40);
    w.submit(with_licence());
    assert_eq!(w.take_starts(), [1]);
    w.submit(wide(None));
    assert_eq!(w.take_starts(), [2; 8], "these need none");
    w.submit(with_licence());
    assert!(w.take_starts().is_empty());
    let why = w.engine.why(JobId(3)).expect("there").remove(0);
    assert_eq!(
        (why.kind, why.text.as_str()),
        (
            Kind::StartRate,
            "start rate 1/30s of what reserves license.nuke is used up; the next instance may start in 30s"
        )
    );
    // Somebody who says how many there are opens nothing.
    let wish = GlobalWish::Set {
        total: Some(10),
        used: None,
        ttl: None,
    };
    w.step(Input::Global {
        by: person("root"),
        name: licence(),
        wish,
    });
    assert!(w.take_starts().is_empty());
    w.at(30_000);
    assert_eq!(w.take_starts(), [1]);
}

#[test]
fn another_rate_holds_at_once_and_none_lets_all_go() {
    let mut w = World::new();
    w.connect(1, 40);
    let job = w.submit(wide(Some("1/min")));
    assert_eq!(w.take_starts(), [1]);
    let change = |w: &mut World, rate: Option<&str>| {
        let rate = rate.map(|rate| rate.parse().expect("a good rate"));
        let patch = Box::new(JobPatch {
            start_rate: Some(rate),
            ..JobPatch::default()
        });
        let by = person("mia");
        let done = w.step(Input::Modify { by, job, patch });
        assert_eq!(done, Some(Ok(Answer::Done)));
    };
    change(&mut w, Some("1/5s"));
    assert!(w.take_starts().is_empty());
    assert_eq!(w.due_ms(), Some(5_000));
    w.at(5_000);
    assert_eq!(w.take_starts(), [1]);
    let why = w.engine.why(job).expect("there");
    let why = why.iter().find(|it| it.kind == Kind::StartRate);
    let hint = why.and_then(|it| it.hint.clone()).expect("one");
    assert!(hint.contains("tessera modify 1 --start-rate"), "{hint}");
    change(&mut w, None);
    assert_eq!(w.take_starts(), [1; 6]);
}

#[test]
fn a_restart_forgets_no_start() {
    let mut w = World::new();
    w.connect(1, 40);
    w.submit(wide(Some("2/10s")));
    assert_eq!(w.take_starts(), [1, 1]);
    w.at(4_000);
    let now = Now {
        wall: Timestamp(4_000),
        elapsed: Duration::from_millis(4_000),
    };
    w.engine = Engine::restore(Config::default(), now, w.engine.image()).expect("whole");
    assert_eq!(w.engine.faults(), Vec::<String>::new());
    w.connect(2, 40);
    assert!(w.take_starts().is_empty());
    w.at(13_999);
    assert!(w.take_starts().is_empty());
    w.at(14_000);
    assert_eq!(w.take_starts(), [1, 1]);
}

/// Answers what a step of time costs beside so many jobs that started as many as they may.
fn cost_beside_paced(jobs: u32) -> u64 {
    let mut w = World::new();
    w.connect(1, 255);
    for _ in 0..jobs {
        w.submit(wide(Some("1/min")));
    }
    assert_eq!(w.take_starts().len(), jobs as usize);
    let before = w.engine.asked();
    w.try_submit("tom", spec(1), None).expect("taken");
    assert_eq!(w.take_starts().len(), 1);
    w.at(1_000);
    w.engine.asked() - before
}

#[test]
fn jobs_that_wait_for_their_time_cost_nothing_meanwhile() {
    assert_eq!(cost_beside_paced(2), cost_beside_paced(100));
}
