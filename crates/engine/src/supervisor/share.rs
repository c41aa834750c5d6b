//! SmartShare: where nobody wants the room, a job has more instances than its `cpus` say, up to its `max_cpus`.
//!
//! Of a job's instances that run, as many as `cpus` says are primary, those with the smallest numbers; the others are secondary. Nothing of
//! that is kept: it follows from how many run. What a job's next instance would be is its [`Stake`]; a job whose next one would be
//! secondary is of another class of the planner, which asks it after everything primary (`plan::second`), the jobs with the fewest secondary
//! ones first. For whoever stands before them they leave as what is preempted does (`preempt`): for anything primary, and for jobs that have
//! at least two fewer. Beneath a limit they make room at the end of an item.

use super::io::Denied;
use super::job::Phase;
use super::plan::Place;
use super::{Engine, Job, Launch};
use std::collections::BTreeSet;
use tessera_model::job::CPUS_ALL;
use tessera_model::msg::LaunchKey;
use tessera_model::{InstanceNo, JobId, JobSpec};

/// What a site says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmartShare {
    /// Whether secondary instances start at all (`supervisor_smart_share_mode`).
    pub is_on: bool,
    /// The `max_cpus` of jobs that say nothing (`supervisor_default_max_cpus`).
    pub default: u32,
    /// The largest that a job can have (`supervisor_max_cpus_limit`).
    pub limit: u32,
}

impl SmartShare {
    /// Instances that a job may have at most where the site says nothing.
    pub const LIMIT: u32 = 100;

    /// No job has secondary instances.
    pub const OFF: Self = Self {
        is_on: false,
        default: 0,
        limit: Self::LIMIT,
    };

    /// Jobs that ask for secondary instances have them.
    pub const ASKED: Self = Self {
        is_on: true,
        ..Self::OFF
    };

    /// Answers what a job's `max_cpus` is that says this of it.
    #[must_use]
    pub fn most(&self, said: Option<u32>) -> u32 {
        said.unwrap_or(self.default).min(self.limit)
    }
}

/// What a job's next instance would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stake {
    /// One of its `cpus`.
    #[default]
    Primary,
    /// One more than those, beside so many.
    Secondary(u32),
}

/// Before all secondary instances in the order of places: worse than the worst priority.
const PLACES: u32 = 1 << 20;
/// Places of jobs that have as many secondary ones, by their priorities: more than there are priorities.
const PLACES_A_LEVEL: u32 = 1 << 14;
/// Secondary instances of a job that are told apart.
const LEVEL_MAX: u32 = (u32::MAX - PLACES) / PLACES_A_LEVEL - 1;

/// Answers the first place that a job has with so many secondary instances, as a priority.
pub(super) fn level_place(level: u32) -> u32 {
    PLACES + level.min(LEVEL_MAX) * PLACES_A_LEVEL
}

/// Answers where a job stands among the ready ones with its next instance, that one being secondary.
pub(super) fn second_place(job: &Job, level: u32) -> Place {
    let priority = job.spec.priority.min(PLACES_A_LEVEL - 1);
    (level_place(level) + priority, job.order, job.id)
}

impl Job {
    /// Answers what its next instance would be.
    #[must_use]
    pub fn stake(&self) -> Stake {
        let placed = u32::try_from(self.instances.placed().len()).unwrap_or(u32::MAX);
        match placed.checked_sub(self.spec.primaries()) {
            Some(level) if self.spec.grows() => Stake::Secondary(level),
            Some(_) | None => Stake::Primary,
        }
    }

    /// Answers, of an instance that runs and is secondary, how many of the job's secondary ones come before it.
    #[must_use]
    pub fn level_of(&self, no: InstanceNo) -> Option<u32> {
        let placed = self.instances.placed();
        if !self.spec.grows() || !placed.contains(no.0) {
            return None;
        }
        let before = u32::try_from(placed.rank(no.0) - 1).unwrap_or(u32::MAX);
        before.checked_sub(self.spec.primaries())
    }

    /// Counts its secondary instances.
    #[must_use]
    pub fn secondaries(&self) -> u32 {
        match self.stake() {
            Stake::Primary => 0,
            Stake::Secondary(level) => level,
        }
    }

    /// Answers for how many instances it may ask at a time.
    pub(super) fn asks_at_once(&self) -> u64 {
        let placed = self.instances.placed().len();
        match self.stake {
            Stake::Primary if self.spec.grows() => {
                u64::from(self.spec.primaries()).saturating_sub(placed)
            }
            Stake::Primary => u64::MAX,
            Stake::Secondary(_) => 1,
        }
    }
}

/// Says whether a launch is what its instance has, and goes on.
fn stays(job: &Job, launch: &Launch) -> bool {
    let instance = job.instance(launch.key.instance);
    let is_its = instance.and_then(|it| it.status.launch()) == Some(launch.key.launch);
    is_its && launch.phase == Phase::Open
}

/// Refuses secondary instances to a job that never has any.
pub(super) fn may_ask(spec: &JobSpec, most: Option<u32>) -> Result<(), Denied> {
    let why = spec
        .why_not_grow()
        .filter(|_| most.is_some_and(|most| most > 0));
    why.map_or(Ok(()), |why| {
        Err(Denied::Invalid {
            field: "max_cpus",
            why: format!("it has no secondary instances: {why}; leave it out"),
        })
    })
}

impl Engine {
    /// Puts there how many instances a job may have, as far as it or the site says so.
    ///
    /// # Errors
    /// When it asks for more than its `cpus` and never has more.
    pub(super) fn share_out(&self, spec: &mut JobSpec) -> Result<(), Denied> {
        may_ask(spec, spec.max_cpus)?;
        let can = spec.why_not_grow().is_none();
        let most = self.config.smart_share.most(spec.max_cpus);
        spec.max_cpus = Some(if can { most } else { 0 });
        Ok(())
    }

    /// Answers what to say of a job's `max_cpus` when it is submitted, if it is not what it looks like.
    #[must_use]
    pub fn share_warning(&self, spec: &JobSpec) -> Option<String> {
        let SmartShare { is_on, limit, .. } = self.config.smart_share;
        let asked = spec.max_cpus.filter(|most| *most > spec.cpus)?;
        if !is_on {
            let why = "the farm starts no secondary instances (supervisor_smart_share_mode)";
            return Some(format!("it has no more instances than its cpus: {why}"));
        }
        let is_more = asked != CPUS_ALL && asked > limit;
        is_more.then(|| {
            format!(
                "max-cpus {asked}: the farm lets a job have {limit} (supervisor_max_cpus_limit)"
            )
        })
    }

    /// Says whether a job's next instance may start as what it would be.
    pub(super) fn may_have_next(&self, job: &Job) -> bool {
        let share = &self.config.smart_share;
        match job.stake {
            Stake::Primary => true,
            Stake::Secondary(_) => {
                share.is_on && job.instances.placed().len() < u64::from(share.limit)
            }
        }
    }

    /// Brings what the planner knows of a job's next instance in line with its instances.
    pub(super) fn restake(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let (before, stake) = (job.stake, job.stake());
        if before == stake {
            return;
        }
        self.unready(id);
        let is_other = (before == Stake::Primary) != (stake == Stake::Primary);
        if let Some(job) = self.jobs.get_mut(&id) {
            job.stake = stake;
        }
        if is_other {
            self.reclass(id);
        }
        self.note_levels(id);
    }

    /// Which of a job's instances are secondary, and how far, is another: those of its hosts that may leave are noted anew.
    pub(super) fn note_levels(&mut self, id: JobId) {
        if !self.jobs.get(&id).is_some_and(|job| job.spec.grows()) {
            return;
        }
        let hosts: Vec<_> = self.launches_of(id).map(|launch| launch.host).collect();
        for host in hosts {
            self.note_standing(host);
        }
    }

    /// Answers, of an instance that runs and is secondary, how many of the job's secondary ones come before it: of those that stay, where it
    /// stays itself. What leaves is none of a job's `cpus` any more.
    #[must_use]
    pub fn level_of(&self, job: &Job, no: InstanceNo) -> Option<u32> {
        if !job.spec.grows() {
            return None;
        }
        let mut staying = self.launches_of(job.id).filter(|launch| stays(job, launch));
        match staying.position(|launch| launch.key.instance == no) {
            Some(before) => {
                let before = u32::try_from(before).unwrap_or(u32::MAX);
                before.checked_sub(job.spec.primaries())
            }
            None => job.level_of(no),
        }
    }

    /// Answers which of a job's instances that run are secondary: those that [`Self::level_of`] knows a level of, all at once.
    #[must_use]
    pub fn secondaries_of(&self, job: &Job) -> BTreeSet<InstanceNo> {
        if !job.spec.grows() {
            return BTreeSet::new();
        }
        let mut left = job.spec.primaries();
        let is_secondary = |launch: &&Launch| {
            if !stays(job, launch) {
                return job.level_of(launch.key.instance).is_some();
            }
            let is_primary = left > 0;
            left = left.saturating_sub(1);
            !is_primary
        };
        let launches = self.launches_of(job.id).filter(is_secondary);
        launches.map(|launch| launch.key.instance).collect()
    }

    /// Gives a job the class of what it demands now.
    fn reclass(&mut self, id: JobId) {
        let Some(demands) = self.jobs.get(&id).map(Job::demands) else {
            return;
        };
        let class = self.take_class(demands);
        if let Some(job) = self.jobs.get_mut(&id) {
            let before = std::mem::replace(&mut job.class, class);
            self.planner.drop_class(before);
        }
        self.regrow(id, true);
    }

    /// Says whether a launch is of a secondary instance that makes room beneath a limit, for a primary one that waits there.
    pub(super) fn makes_room_beneath(&self, key: LaunchKey) -> bool {
        let pair = self.jobs.get(&key.job).zip(self.launches.get(&key));
        let Some((job, launch)) = pair else {
            return false;
        };
        if self.level_of(job, key.instance).is_none() {
            return false;
        }
        let owner = &job.owner;
        let is_wanted = (self.reached_by(owner).is_some()
            && self.planner.is_limited_with_primaries(owner))
            || (self.group_is_full(job) && self.planner.group_has_primaries(job.id))
            || (launch.taken.global.keys()).any(|name| self.planner.is_short_for_primaries(name));
        // One at a time: what the first leaves may be enough.
        let leaves = |launch: &Launch| launch.phase != Phase::Open;
        is_wanted && !self.launches_of(job.id).any(leaves)
    }

    /// Says why a secondary instance leaves for another job.
    pub(super) fn why_not_secondary(&self, victim: &Job, job: &Job) -> String {
        match job.stake {
            Stake::Primary => format!(
                "it is secondary: beyond the {} cpus of its job",
                victim.spec.cpus
            ),
            Stake::Secondary(level) => {
                let has = victim.secondaries();
                format!(
                    "its job has {has} secondary instances, job {} has {level}",
                    job.id
                )
            }
        }
    }

    fn group_is_full(&self, job: &Job) -> bool {
        let group = self.group_of_job(job.id);
        group.is_some_and(|(has, limit)| limit.is_some_and(|limit| has >= limit))
    }
}
