//! Who has more instances than its `cpus`: jobs that may at random, and the judge of it. The judge counts what runs and reads what is told;
//! of how the engine tells primary from secondary it knows nothing.

use crate::client::principal;
use crate::rng::Rng;
use crate::tally::Tally;
use crate::world::Request;
use std::collections::{BTreeMap, BTreeSet};
use tessera_engine::supervisor::why::Kind;
use tessera_engine::supervisor::{
    Change, Effect, Engine, Event, Input, Job, JobPatch, Output, SmartShare, kind,
};
use tessera_model::job::CPUS_ALL;
use tessera_model::{
    Agenda, FrameRun, InstanceNo, JobId, JobKind, JobSpec, Order, Reservation, Split, WorkStatus,
};

/// Instances that a job of the simulated farm may have at most.
const LIMIT: u32 = 8;

/// Answers what the supervisor's configuration says.
pub(crate) fn configured(is_tried: bool) -> SmartShare {
    SmartShare {
        is_on: is_tried,
        limit: LIMIT,
        ..SmartShare::OFF
    }
}

fn most(rng: &mut Rng) -> u32 {
    match rng.chance(20) {
        true => CPUS_ALL,
        false => u32::try_from(rng.between(0, 10)).unwrap_or(0),
    }
}

/// An agenda of many items.
pub(crate) fn long(rng: &mut Rng) -> Agenda {
    let run = FrameRun {
        start: 1,
        step: 1,
        count: u32::try_from(rng.between(20, 40)).unwrap_or(20),
    };
    Agenda::new(vec![run], Split::Chunk(1), Order::Ascend, 0)
        .unwrap_or_else(|_| unreachable!("few frames"))
}

/// Lets a new job have more than its `cpus`.
pub(crate) fn make_growing(rng: &mut Rng, spec: &mut JobSpec) {
    if spec.why_not_grow().is_some() || rng.chance(30) {
        return;
    }
    spec.max_cpus = Some(most(rng));
    if rng.chance(70) {
        // Such that many of them want the same.
        spec.cpus = 1;
        spec.kind = JobKind::CmdRange(long(rng));
        ask_for_any_host(spec);
    }
}

/// Has a job take one slot of any host that its cluster lets it have.
pub(crate) fn ask_for_any_host(spec: &mut JobSpec) {
    spec.reservation = Reservation::default();
    (spec.restrictions, spec.requirements) = (None, None);
    for names in [
        &mut spec.hosts,
        &mut spec.omithosts,
        &mut spec.groups,
        &mut spec.omitgroups,
    ] {
        names.clear();
    }
}

/// Lets a job have more or less.
pub(crate) fn change(rng: &mut Rng, engine: &Engine) -> Option<Request> {
    let jobs: Vec<&Job> = engine.jobs().collect();
    let job = rng.pick(&jobs).filter(|job| !job.is_cmdline())?;
    let patch = Box::new(JobPatch {
        max_cpus: Some(most(rng)),
        ..JobPatch::default()
    });
    Some(Request {
        input: Input::Modify {
            by: principal(true),
            job: job.id,
            patch,
        },
        ticket: None,
    })
}

/// Says whether it is told of somebody who leaves that it is secondary.
pub(crate) fn is_of_secondary(event: &Event) -> bool {
    event.kind == kind::INSTANCE_PREEMPTED && event.text.contains("secondary")
}

/// Counts the instances of a job that have a host.
pub(crate) fn placed(job: &Job) -> usize {
    job.instances_in(WorkStatus::Running) + job.instances_in(WorkStatus::Suspended)
}

/// Watches who grows, and who is made smaller.
#[derive(Debug, Default)]
pub struct Judge {
    /// How many instances each job had when the last input was handled.
    before: BTreeMap<JobId, usize>,
    /// Who was told to leave and has not yet.
    leaving: BTreeSet<(JobId, InstanceNo)>,
}

impl Judge {
    /// The supervisor's process begins.
    pub fn restarted(&mut self, engine: &Engine) {
        self.before = engine.jobs().map(|job| (job.id, placed(job))).collect();
        self.leaving.clear();
    }

    /// The supervisor has handled an input.
    ///
    /// # Errors
    /// When a job has more than it may, has more while something primary waits, or was left with less than its `cpus`.
    pub fn handled(
        &mut self,
        tally: &mut Tally,
        engine: &Engine,
        output: &Output,
    ) -> Result<(), String> {
        let mut started: BTreeMap<JobId, usize> = BTreeMap::new();
        for effect in &output.effects {
            if let Effect::Start { order, .. } = effect {
                *started.entry(order.key.job).or_default() += 1;
            }
        }
        let mut left = BTreeSet::new();
        for change in &output.changes {
            let Change::Event(event) = change else {
                continue;
            };
            let Some(who) = event.job.zip(event.instance) else {
                continue;
            };
            if event.kind == kind::INSTANCE_SPARED {
                self.leaving.remove(&who);
            } else if is_of_secondary(event) {
                tally.add(match event.text.contains("its job has") {
                    true => "seen: a secondary instance left for a job with fewer",
                    false => "seen: a secondary instance left for a primary one",
                });
                self.leaving.insert(who);
                left.insert(who.0);
            }
        }
        for id in left {
            self.left(engine, id, started.get(&id).copied().unwrap_or(0))?;
        }
        let mut has_grown = false;
        for id in started.keys() {
            has_grown |= self.grew(engine, *id)?;
        }
        if has_grown {
            tally.add("seen: a secondary instance");
            primaries_first(engine)?;
        }
        self.before = engine.jobs().map(|job| (job.id, placed(job))).collect();
        let stays = |(id, no): &(JobId, InstanceNo)| {
            let instance = engine.job(*id).and_then(|job| job.instance(*no));
            instance.is_some_and(|it| it.status.kind() == WorkStatus::Running)
        };
        self.leaving.retain(stays);
        Ok(())
    }

    /// Some of a job leave as secondary ones: as many as its `cpus` stay.
    fn left(&self, engine: &Engine, id: JobId, started: usize) -> Result<(), String> {
        let Some(job) = engine.job(id) else {
            return Ok(());
        };
        let had = self.before.get(&id).copied().unwrap_or(0) + started;
        let leaving = self.leaving.iter().filter(|(of, _)| *of == id).count();
        let own = job.spec.cpus.min(job.spec.items()) as usize;
        if had < own + leaving {
            return Err(format!(
                "job {id} had {had} instances, {leaving} leave for others, and its cpus are {own}"
            ));
        }
        Ok(())
    }

    /// Something of a job has started. Says whether it has more than its `cpus` by that.
    fn grew(&self, engine: &Engine, id: JobId) -> Result<bool, String> {
        let Some(job) = engine.job(id) else {
            return Ok(false);
        };
        let (has, had) = (placed(job), self.before.get(&id).copied().unwrap_or(0));
        let own = job.spec.cpus.min(job.spec.items()) as usize;
        if has <= own || has <= had {
            return Ok(false);
        }
        let asked = job.spec.max_cpus.unwrap_or(0).min(LIMIT) as usize;
        if has > asked || job.is_cmdline() {
            return Err(format!(
                "job {id} has {has} instances, its cpus are {own}, and it may have {asked}"
            ));
        }
        Ok(true)
    }
}

/// Something secondary has started: nothing primary waits that any host would take.
fn primaries_first(engine: &Engine) -> Result<(), String> {
    for job in engine.jobs().filter(|job| is_plain(&job.spec)) {
        let own = job.spec.cpus.min(job.spec.items()) as usize;
        if placed(job) >= own || job.next_instance().is_none() {
            continue;
        }
        let reasons = engine.why(job.id).unwrap_or_default();
        if !reasons.iter().any(|reason| is_of_its_own(reason.kind)) {
            return Err(format!(
                "something secondary starts, and job {} waits for its own: {reasons:?}",
                job.id
            ));
        }
    }
    Ok(())
}

/// Says whether a job asks for nothing that only some hosts have, and is held by nothing but room.
pub(crate) fn is_plain(spec: &JobSpec) -> bool {
    let sets = [&spec.hosts, &spec.omithosts, &spec.groups, &spec.omitgroups];
    spec.reservation == Reservation::default()
        && sets.iter().all(|set| set.is_empty())
        && spec.restrictions.is_none()
        && spec.requirements.is_none()
        && spec.limits == tessera_model::JobLimits::default()
}

/// Says whether a job may wait beside a free slot for that reason.
pub(crate) fn is_of_its_own(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Stopped
            | Kind::UserLimit
            | Kind::GroupLimit
            | Kind::StartRate
            | Kind::Ending
            | Kind::NotInCluster
            | Kind::HostRestricted
            | Kind::AccountRefused
            | Kind::CredentialCheck
            | Kind::Migrated
            | Kind::RanThere
            | Kind::Wrangled
            // What is kept there for GPUs goes to what has some, also to what is secondary.
            | Kind::GpuSlots
            | Kind::Emptied
            | Kind::ReservedForJob
            // It has room coming to it; what was made for somebody secondary before it waited is theirs.
            | Kind::Preempting
    )
}
