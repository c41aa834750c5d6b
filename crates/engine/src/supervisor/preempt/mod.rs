//! Preemption by policy: when work waits and what stands lower has what it waits for, the least of that leaves, and the room is kept
//! for whom it was made.
//!
//! Where a job stands on a host is its distance from the host's cluster, then its priority ([`Standing`]); age is no reason to end
//! anything. What waits in vain is asked again when it changes, and each host when something there changes: `search` finds who
//! leaves (`index`, `pick`), `make` has them leave and keeps their room (`claims`), `why` tells of it, `check` what must hold.
//!
//! **Invariant:** nobody leaves for an equal, nor for more than is wanted. **Invariant:** while nothing stands lower than what waits,
//! an event costs a look at each cluster.

mod bounds;
mod check;
mod claims;
mod index;
mod make;
mod pick;
mod search;
mod why;

use super::dispatch::place_of;
use super::items::Size;
use super::plan::OUTSIDE;
use super::time::Timer;
use super::{Engine, Host, Job, Launch, Turn};
use bounds::Room;
use claims::Claims;
use index::Index;
pub(super) use make::instance_name;
pub(super) use search::{Wanted, kept_beside, names_of};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tessera_model::{HostId, InstanceNo, InstanceStatus, JobId};

/// Instances that leave for others in one turn, at most, and claims that are made in it.
pub const MADE_PER_TURN_MAX: usize = 32;
/// How long an instance that was preempted is left alone from its next start on.
pub const REST: Duration = Duration::from_secs(120);

/// Distance and priority of the best that is not elite.
const ELITE: (usize, u32) = (0, 1);

/// What happens when work waits for what stands lower (`supervisor_preempt_policy`); Qube!'s words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PreemptPolicy {
    /// It waits.
    #[default]
    Disabled,
    /// Who must leave leaves when its current item is done.
    Passive,
    /// Who must leave is ended; its item is put back and uses up no retry.
    Aggressive,
}

impl PreemptPolicy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Disabled, Self::Passive, Self::Aggressive];

    /// Answers the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Passive => "passive",
            Self::Aggressive => "aggressive",
        }
    }
}

/// When who must leave leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    AtEnd,
    AtOnce,
    /// At the end of its item, when a person says so: the policy has it stay.
    ByHand,
}

/// Where a job stands on a host; the least is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Standing {
    /// How far it is from the host's cluster.
    distance: usize,
    /// Its priority.
    priority: u32,
    /// In which share it is.
    share: usize,
}

impl Standing {
    /// Lower than anything stands.
    const LOWEST: Self = Self {
        distance: usize::MAX,
        priority: u32::MAX,
        share: OUTSIDE,
    };

    /// Says whether it stands lower than another that may have its room by that: it is further, or of a worse priority within the share. Of
    /// another share nobody leaves for who is as far: who has most for its weight is another one as soon as he has left.
    fn gives_way_to(&self, other: &Self) -> bool {
        let is_alike = self.share == other.share || other.share == OUTSIDE;
        self.distance > other.distance
            || (self.distance == other.distance && is_alike && self.priority > other.priority)
    }
}

/// What the engine keeps for it; nothing of it outlives the process.
#[derive(Debug, Clone, Default)]
pub(super) struct Preempts {
    /// Hosts by what may leave there as the policy says.
    usual: Index,
    /// Hosts by what may be ended there, where the policy ends nothing: for elite jobs.
    at_once: Index,
    claims: Claims,
    /// Instances that were preempted: until when they are left alone, once they have started again (monotonic time).
    rests: BTreeMap<(JobId, InstanceNo), Option<Duration>>,
    /// Jobs with something that waits since they were asked last.
    jobs: BTreeSet<JobId>,
    /// Hosts where something changed since it was noted what may leave there.
    changed: BTreeSet<HostId>,
    /// Those that changed since they were asked last.
    hosts: BTreeSet<HostId>,
    /// The same of those on which there are claims, and of jobs that have some.
    claimed: BTreeSet<HostId>,
    claiming: BTreeSet<JobId>,
    /// Classes that wait for a rate to leave more starts before room is made for them; some may be others by then.
    paced: BTreeSet<usize>,
    looked_at: u64,
}

impl Preempts {
    /// Counts what was looked at since the beginning.
    pub(super) fn looked_at(&self) -> u64 {
        self.looked_at
    }
}

impl Engine {
    /// Counts the instances for which room is being made.
    #[must_use]
    pub fn claims(&self) -> usize {
        self.preempts.claims.len()
    }

    /// Counts those of a job.
    pub(super) fn claims_of(&self, id: JobId) -> u64 {
        self.preempts.claims.of(id).count() as u64
    }

    /// Makes room for what waits, as far as one turn may, and gives out what was made. Says whether the planner is to be asked again.
    pub(super) fn preempt(&mut self, t: &mut Turn<'_>, wanted: &Wanted, left: &mut usize) -> bool {
        let in_vain = self.planner.take_in_vain();
        if !self.preempts_anybody() {
            return false;
        }
        self.note_changed();
        for class in in_vain {
            self.note_in_vain(class);
        }
        if self.settle_claims(t, wanted) || self.ask_jobs(t, wanted, left) {
            return true;
        }
        let is_moved = self.ask_hosts(t, wanted, left);
        if *left == 0 {
            // The next turn goes on.
            self.timers.set(t.now.elapsed, Timer::Preempt);
        }
        is_moved
    }

    /// Says whether somebody may have to leave for others at all.
    pub(super) fn preempts_anybody(&self) -> bool {
        // What is secondary leaves whatever the policy is.
        self.config.preempt_policy != PreemptPolicy::Disabled || self.config.smart_share.is_on
    }

    /// Says whether the policy lets a launch leave at the end of its item for who waits, and it is not secondary.
    pub(super) fn may_leave_by_policy(&self, launch: &Launch, host: &Host) -> bool {
        let standing = self.may_leave(launch, host, Manner::AtEnd);
        self.config.preempt_policy != PreemptPolicy::Disabled
            && standing.is_some_and(|it| it.share != OUTSIDE)
    }

    /// Answers how room is made for a job.
    fn manner_for(&self, job: &Job) -> Manner {
        match self.config.preempt_policy {
            PreemptPolicy::Disabled => Manner::AtEnd,
            PreemptPolicy::Passive if !is_elite(job) => Manner::AtEnd,
            PreemptPolicy::Passive | PreemptPolicy::Aggressive => Manner::AtOnce,
        }
    }

    /// No host took the jobs of a class: the first that wants more than is made for it is asked. What is behind it demands the same.
    fn note_in_vain(&mut self, class: usize) {
        let first = self.first_that_wants_more(class);
        self.preempts.jobs.extend(first);
    }

    /// Makes room for jobs with something that waits, the best first.
    fn ask_jobs(&mut self, t: &mut Turn<'_>, wanted: &Wanted, left: &mut usize) -> bool {
        let mut asked: Vec<JobId> = std::mem::take(&mut self.preempts.jobs)
            .into_iter()
            .collect();
        let algorithm = self.config.queue_algorithm;
        asked.sort_by_key(|id| self.jobs.get(id).map(|job| place_of(algorithm, job)));
        let mut is_moved = false;
        for id in asked {
            while *left > 0 && self.make_room(t, id, None, wanted, left) {
                is_moved = true;
            }
            if *left == 0 {
                self.preempts.jobs.insert(id);
            } else {
                self.wait_for_rates(id);
            }
        }
        is_moved
    }

    /// A job has as much room as it may have now: where a rate says so, its classes are asked again when that leaves more.
    fn wait_for_rates(&mut self, id: JobId) {
        for size in Size::ALL {
            let Some(job) = self.jobs.get(&id) else {
                return;
            };
            let Some(class) = job.class_of(size) else {
                continue;
            };
            let rooms = [self.room_of_class(class), self.room_of_job(job, size)];
            let later = match rooms {
                [Room::None, _] | [_, Room::None] | [Room::Some, Room::Some] => None,
                [Room::At(one), Room::At(other)] => Some(one.max(other)),
                [Room::At(at), Room::Some] | [Room::Some, Room::At(at)] => Some(at),
            };
            if let Some(at) = later {
                self.ask_later(class, at);
            }
        }
    }

    /// Makes room on hosts where something changed, for what stands before the lowest there.
    fn ask_hosts(&mut self, t: &mut Turn<'_>, wanted: &Wanted, left: &mut usize) -> bool {
        while *left > 0 {
            let Some(host) = self.preempts.hosts.pop_first() else {
                return false;
            };
            if self.ask_host(t, host, wanted, left) {
                // It may give away more; the planner is asked first.
                self.preempts.hosts.insert(host);
                return true;
            }
        }
        false
    }

    fn ask_host(
        &mut self,
        t: &mut Turn<'_>,
        host: HostId,
        wanted: &Wanted,
        left: &mut usize,
    ) -> bool {
        let classes = self.classes_before(host);
        classes.into_iter().any(|class| {
            let first = self.first_that_wants_more(class);
            first.is_some_and(|id| self.make_room(t, id, Some(host), wanted, left))
        })
    }

    /// Answers the classes that come before what may leave on a host, the best first.
    fn classes_before(&mut self, host: HostId) -> Vec<usize> {
        let looked_at = &mut self.preempts.looked_at;
        let mut classes = Vec::new();
        let places = self.preempts.usual.places_of(host);
        if let Some(place) = places.first() {
            let is_before = |distance, priority, share| {
                let own = Standing {
                    distance,
                    priority,
                    share,
                };
                places.iter().any(|it| it.lowest.gives_way_to(&own))
            };
            classes = self
                .planner
                .waiting_before(&place.cluster, is_before, looked_at);
        }
        if let Some(place) = self.preempts.at_once.places_of(host).first() {
            // Only elite jobs are before that.
            let is_elite = |distance, priority, _| (distance, priority) < ELITE;
            let elite = self
                .planner
                .waiting_before(&place.cluster, is_elite, looked_at);
            classes.splice(0..0, elite);
        }
        classes
    }

    /// Answers the first job of a class that wants more than is made for it.
    fn first_that_wants_more(&mut self, class: usize) -> Option<JobId> {
        self.preempts.looked_at += 1;
        let mut later = None;
        let found = match self.room_of_class(class) {
            Room::Some => self.first_with_room(class, &mut later),
            Room::None => None,
            Room::At(at) => {
                later = Some(at);
                None
            }
        };
        if let Some(at) = later.filter(|_| self.planner.waiting_for_hosts(class).next().is_some()) {
            self.ask_later(class, at);
        }
        found
    }

    /// Answers the first job of a class of its own that may have one more claim; `later` is when the first may that a rate keeps from it.
    fn first_with_room(&mut self, class: usize, later: &mut Option<Duration>) -> Option<JobId> {
        let mut looked_at = 0;
        let mut has_room = |job: &&Job| {
            let mut sizes = Size::ALL.into_iter();
            sizes.any(|size| {
                let is_of = job.class_of(size) == Some(class);
                match is_of.then(|| self.room_of_job(job, size)) {
                    Some(Room::Some) => true,
                    Some(Room::At(at)) => {
                        *later = Some(later.map_or(at, |it| it.min(at)));
                        false
                    }
                    Some(Room::None) | None => false,
                }
            })
        };
        let found = {
            let mut jobs = self
                .planner
                .waiting_for_hosts(class)
                .filter_map(|(.., id)| {
                    looked_at += 1;
                    self.jobs.get(&id)
                });
            jobs.find(|job| has_room(job)).map(|job| job.id)
        };
        self.preempts.looked_at += looked_at;
        found
    }

    /// Something of a host changed.
    pub(super) fn note_standing(&mut self, id: HostId) {
        if self.preempts_anybody() {
            self.preempts.changed.insert(id);
        }
    }

    /// Notes what may leave hosts where something changed; they are asked.
    pub(in crate::supervisor) fn note_changed(&mut self) {
        for id in std::mem::take(&mut self.preempts.changed) {
            let (usual, at_once) = self.places_on(id);
            self.preempts.usual.set(id, usual);
            self.preempts.at_once.set(id, at_once);
            self.preempts.hosts.insert(id);
            if self.preempts.claims.has_some_on(id) {
                self.preempts.claimed.insert(id);
            }
        }
    }

    /// A job is another than before on hosts: its priority or its clusters changed.
    pub(super) fn note_modified(&mut self, id: JobId) {
        if self.preempts_anybody() {
            let hosts: BTreeSet<HostId> = self.launches_of(id).map(|it| it.host).collect();
            hosts.into_iter().for_each(|host| self.note_standing(host));
            self.preempts.jobs.insert(id);
            self.note_index(id, false);
        }
    }

    /// The planner was told of a job; `is_new` when it waits since.
    pub(super) fn note_index(&mut self, id: JobId, is_new: bool) {
        if is_new && self.preempts_anybody() {
            self.preempts.jobs.insert(id);
        }
        if self.preempts.claims.has_some_of(id) {
            self.preempts.claiming.insert(id);
        }
    }

    /// An instance is in another state.
    pub(super) fn note_instance(&mut self, id: JobId, no: InstanceNo, status: &InstanceStatus) {
        if !self.preempts_anybody() {
            return;
        }
        match status {
            InstanceStatus::Pending => _ = self.preempts.jobs.insert(id),
            InstanceStatus::Running { host, .. } => {
                let until = self.now.elapsed + REST;
                if let Some(rest) = self.preempts.rests.get_mut(&(id, no)) {
                    *rest = Some(until);
                    self.timers.set(until, Timer::Rested(id, no));
                }
                self.note_standing(*host);
            }
            InstanceStatus::Complete | InstanceStatus::Failed | InstanceStatus::Killed => {
                self.preempts.rests.remove(&(id, no));
            }
            InstanceStatus::Suspended { host, .. } => self.note_standing(*host),
            InstanceStatus::Blocked
            | InstanceStatus::Waiting { .. }
            | InstanceStatus::Badlogin(_) => {}
        }
    }

    /// An instance that was preempted has run for long enough to be asked like others.
    pub(super) fn rest_over(&mut self, id: JobId, no: InstanceNo) {
        let until = self.preempts.rests.get(&(id, no)).copied().flatten();
        if until.is_none_or(|until| until > self.now.elapsed) {
            return;
        }
        self.preempts.rests.remove(&(id, no));
        let instance = self.jobs.get(&id).and_then(|job| job.instance(no));
        if let Some(InstanceStatus::Running { host, .. }) = instance.map(|it| it.status.clone()) {
            self.note_standing(host);
        }
    }
}

fn is_elite(job: &Job) -> bool {
    job.spec.flags.contains(&tessera_model::JobFlag::Elite)
}
