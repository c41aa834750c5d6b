//! Bad hosts and bad jobs told apart: who is at fault, what is tried again and how often, and what becomes of it.

mod bounds;
mod hosts;
mod jobs;

pub(super) use hosts::why_says_which_hosts_a_job_keeps_off_and_what_it_says_helps;

use super::*;
use tessera_model::ItemIndex;
use why::Kind;

/// Failures in a row that it takes here.
const N: u32 = 3;

type Order = (u8, LaunchKey, Run);

/// A farm of hosts with so many slots each, on which hosts and jobs are told apart.
fn farm(slots: &[u32]) -> World {
    farm_with(slots, Wrangling::default())
}

fn farm_with(slots: &[u32], wrangling: Wrangling) -> World {
    let mut w = World::new();
    w.engine = Engine::new(config(wrangling));
    for (number, slots) in (1..).zip(slots) {
        w.connect(number, *slots);
    }
    w
}

fn config(wrangling: Wrangling) -> Config {
    let failures = wrangling.failures.min(N);
    Config {
        wrangling: Wrangling {
            failures,
            ..wrangling
        },
        ..Config::default()
    }
}

impl World {
    /// Does what workers are told, one thing after another, until nothing is said any more; answers what ran.
    fn play(&mut self, mut end: impl FnMut(Order) -> End) -> Vec<Order> {
        let mut ran = Vec::new();
        while !self.said.is_empty() {
            assert!(ran.len() < 2_000, "it goes on without end");
            match self.heard() {
                (host, ToWorker::Start { key, run, .. } | ToWorker::Run { key, run }) => {
                    let order = (host.0[0], key, run);
                    let is_there = |it: &Launch| it.runs().any(|it| it == run);
                    if self.engine.launch(key).is_some_and(is_there) {
                        ran.push(order);
                        self.end(order, end(order));
                    }
                }
                (host, ToWorker::Close { key, .. }) => self.gone(host.0[0], key),
                (host, ToWorker::EndItem { key, run, .. }) => {
                    self.end((host.0[0], key, run), End::Asked);
                }
                _ => {}
            }
        }
        ran
    }

    /// The same on a farm of which some hosts are bad.
    fn play_with_bad(&mut self, bad: &[u8]) -> Vec<Order> {
        self.play(|(host, ..)| End::Exit(i32::from(bad.contains(&host))))
    }

    fn told_of(&self, kind: &str, words: &str) -> usize {
        let is_it = |it: &&Event| it.kind == kind && it.text.contains(words);
        self.told.iter().filter(is_it).count()
    }

    fn kept_off(&self, job: JobId) -> Vec<u8> {
        let (job, now) = (
            self.engine.job(job).expect("there"),
            self.engine.now.elapsed,
        );
        let hosts = self.engine.hosts().map(|it| it.id);
        let off = hosts.filter(|it| job.wrangle.kept_off(*it, now).is_some());
        off.map(|it| it.0[0]).collect()
    }

    fn count(&self, job: JobId, status: ItemStatus) -> u32 {
        self.engine.job(job).expect("there").items().count(status)
    }

    fn begin_anew(&mut self) {
        let now = Now {
            wall: Timestamp(i64::try_from(self.ms).expect("a time")),
            elapsed: Duration::from_millis(self.ms),
        };
        let image = self.engine.image();
        let config = self.engine.config.clone();
        self.engine = Engine::restore(config, now, image.clone()).expect("whole");
        assert_eq!(self.engine.image(), image);
        assert_eq!(self.engine.faults(), Vec::<String>::new());
    }
}

/// A job of frames that take one slot each.
fn frames(frames: u32, cpus: u32) -> JobSpec {
    JobSpec {
        cpus,
        ..spec(frames)
    }
}

fn on(ran: &[Order], host: u8) -> usize {
    ran.iter().filter(|(it, ..)| *it == host).count()
}

fn of(ran: &[Order], item: u32) -> Vec<u8> {
    let of_it = ran.iter().filter(|(.., run)| run.item == ItemIndex(item));
    of_it.map(|(host, ..)| *host).collect()
}
