//! Jobs whose instances start all at once: some at random, and the judge of it. The judge counts what was assigned in a turn and what runs
//! after it; of how the engine looks for room it knows nothing.

use crate::rng::Rng;
use crate::share;
use crate::tally::Tally;
use std::collections::{BTreeMap, BTreeSet};
use tessera_engine::supervisor::{Change, Engine, Job, JobPatch, Output, kind};
use tessera_model::{JobFlag, JobId, JobSpec, WorkStatus};

/// The most instances that start together: the hosts have as many slots together, also when each offers less than it has.
const GANG_MAX: u32 = 3;

/// Makes some jobs such that start all at once, of what the farm can have room for.
pub(crate) fn make_gang(rng: &mut Rng, spec: &mut JobSpec) {
    if !rng.chance(35) {
        return;
    }
    spec.flags.insert(JobFlag::Grid);
    spec.cpus = u32::try_from(rng.between(2, GANG_MAX.into())).unwrap_or(2);
    share::ask_for_any_host(spec);
    spec.cluster = Default::default();
}

/// Leaves of what somebody changes of such a job what lets it fit.
pub(crate) fn changed(job: &Job, patch: JobPatch) -> JobPatch {
    if !job.spec.is_gang() {
        return patch;
    }
    JobPatch {
        cpus: patch.cpus.map(|cpus| cpus.min(GANG_MAX)),
        priority: patch.priority,
        ..JobPatch::default()
    }
}

/// Watches what starts.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    /// Those that have started all at once.
    started: BTreeSet<JobId>,
}

impl Judge {
    /// The supervisor has handled an input.
    ///
    /// # Errors
    /// When some of a gang started, and not all.
    pub(crate) fn handled(
        &mut self,
        tally: &mut Tally,
        engine: &Engine,
        output: &Output,
    ) -> Result<(), String> {
        let mut assigned: BTreeMap<JobId, u32> = BTreeMap::new();
        for change in &output.changes {
            if let Change::Event(event) = change
                && let (kind::INSTANCE_ASSIGNED, Some(job)) = (event.kind, event.job)
            {
                *assigned.entry(job).or_insert(0) += 1;
            }
        }
        for (id, count) in assigned {
            let job = engine.job(id).filter(|job| job.spec.is_gang());
            if let Some(job) = job {
                self.started_some(tally, job, count)?;
            }
        }
        let waits = |job: &Job| {
            job.spec.is_gang() && job.status() == WorkStatus::Pending && running(job) == 0
        };
        if engine.jobs().any(waits) {
            tally.add("seen: a gang waits for room");
        }
        Ok(())
    }

    fn started_some(&mut self, tally: &mut Tally, job: &Job, count: u32) -> Result<(), String> {
        let there = running(job);
        if there > count {
            tally.add("seen: one of a gang starts again beside the others");
            return Ok(());
        }
        let all = unended(job);
        if count != all {
            let id = job.id;
            return Err(format!("{count} of the {all} of gang {id} started"));
        }
        if all > 1 {
            tally.add(match self.started.insert(job.id) {
                true => "seen: a gang starts all at once",
                false => "seen: a gang starts all at once again",
            });
        }
        Ok(())
    }
}

/// Counts its instances that are on hosts, those that `cpus` made surplus left out.
fn running(job: &Job) -> u32 {
    let there = [WorkStatus::Running, WorkStatus::Suspended];
    let count: usize = there.iter().map(|it| job.instances_in(*it)).sum();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Counts the instances that have not ended, no more than it has items that have not.
fn unended(job: &Job) -> u32 {
    let wanted = job.spec.instances() as usize;
    let all = job.instances().iter().take(wanted);
    let instances = all.filter(|it| !it.status.kind().is_ended()).count();
    let items = job.items().indices();
    let items = items.filter(|item| !job.items().get(*item).status.is_ended());
    u32::try_from(instances.min(items.count())).unwrap_or(u32::MAX)
}
