//! A flood of small jobs in front of which a wide one waits: when faults are over, one that needs all slots of a host is submitted, and
//! small ones that stand behind it come without end until it has started. That has to be within a bound.

use crate::client;
use crate::world::{Request, World};
use std::time::Duration;
use tessera_engine::supervisor::{Engine, Input, Job, WideJobs};
use tessera_model::{ItemStatus, JobSpec, More};

/// Simulated time within which it has to start: what stands before it, and the longest that runs.
const BOUND_MS: u64 = 90 * 60_000;
/// Small jobs that always have something ready.
const READY_JOBS: usize = 4;
/// The name of the wide one.
const WIDE: &str = "wide";

/// What became of the flood.
#[derive(Debug, Default)]
pub(crate) struct Flood {
    /// When the wide job was there first.
    since: Option<u64>,
    is_over: bool,
    serial: u32,
}

/// Answers for which jobs the simulated farm empties hosts: soon, and for many, when that is tried at all.
pub(crate) fn configured(is_tried: bool) -> WideJobs {
    WideJobs {
        after: Duration::from_secs(10),
        hosts_percent: if is_tried { 50 } else { 0 },
        from_percent: 25,
    }
}

fn is_small(job: &Job) -> bool {
    job.spec.name.starts_with("small") && job.next_instance().is_some()
}

impl World {
    /// Submits what the flood is made of, when it is time for it.
    pub(crate) fn flood(&mut self) {
        if !self.plan.wide || !self.is_calm() || self.flood.is_over {
            return;
        }
        let Some(engine) = self.engine() else {
            return;
        };
        let is_there = engine.jobs().any(|job| job.spec.name == WIDE);
        let ready = engine.jobs().filter(|job| is_small(job)).count();
        let is_weighted = self.plan.weights;
        if !is_there {
            let slots = client::SLOTS_MAX;
            let wants_whole = self.rng.chance(50);
            self.submit_plain(WIDE.to_owned(), |spec| {
                spec.reservation.slots = slots;
                if wants_whole {
                    spec.reservation.more = More::WholeHost;
                }
                spec.priority = 1;
                spec.cpus = 1;
                if is_weighted {
                    spec.cluster = crate::weights::FLOODED.parse().unwrap_or_default();
                }
            });
        }
        for _ in ready..READY_JOBS {
            self.flood.serial += 1;
            let name = format!("small{}", self.flood.serial);
            self.submit_plain(name, |spec| {
                spec.priority = 9999;
                if is_weighted {
                    // Of another share, and of the best priority there: it would come before the wide one at each other slot.
                    spec.cluster = crate::weights::FLOODING.parse().unwrap_or_default();
                    spec.priority = 1;
                }
            });
        }
    }

    /// Submits a job that any host may run.
    fn submit_plain(&mut self, name: String, change: impl FnOnce(&mut JobSpec)) {
        let mut submission = client::submission(&mut self.rng, 0);
        submission.key = Some(name.clone());
        submission.is_blocked = false;
        let spec = &mut submission.spec;
        spec.name = name;
        spec.reservation = Default::default();
        spec.hosts.clear();
        spec.omithosts.clear();
        spec.groups.clear();
        spec.omitgroups.clear();
        spec.cluster = Default::default();
        (spec.restrictions, spec.requirements) = (None, None);
        change(spec);
        self.request(Request {
            input: Input::Submit(Box::new(submission)),
            ticket: None,
        });
    }

    /// Looks whether the wide job has started.
    ///
    /// # Errors
    /// When that takes longer than the bound.
    pub(crate) fn judge_flood(&mut self) -> Result<(), String> {
        if !self.plan.wide {
            return Ok(());
        }
        let Some(engine) = self.engine() else {
            return Ok(());
        };
        let is_emptied = engine
            .hosts()
            .any(|host| engine.emptied_for(host.id).is_some());
        let started = engine.jobs().find(|job| job.spec.name == WIDE);
        let started = started.map(has_started);
        if is_emptied {
            self.tally.add("seen: a host is emptied for a wide job");
        }
        match (started, self.flood.is_over) {
            (Some(true), false) => {
                self.flood.is_over = true;
                self.tally.add("seen: a wide job started under a flood");
            }
            (Some(false), _) => {
                let since = *self.flood.since.get_or_insert(self.now);
                if self.now > since + BOUND_MS {
                    let stuck = self.stuck();
                    return Err(format!("a wide job waits for {BOUND_MS} ms: {stuck}"));
                }
            }
            (Some(true) | None, _) => {}
        }
        Ok(())
    }

    /// Says whether there is nothing more to come of it.
    pub(crate) fn is_flood_over(&self) -> bool {
        !self.plan.wide || self.flood.is_over
    }
}

fn has_started(job: &Job) -> bool {
    job.started.is_some() || job.items().count(ItemStatus::Running) > 0
}

/// Says of a farm that nothing is emptied there any more.
///
/// # Errors
/// When a host is.
pub(crate) fn all_let_go(engine: &Engine) -> Result<(), String> {
    let mut hosts = engine.hosts();
    let kept = hosts.find(|host| engine.emptied_for(host.id).is_some());
    kept.map_or(Ok(()), |host| {
        Err(format!("{} is emptied for nobody", host.facts.name))
    })
}
