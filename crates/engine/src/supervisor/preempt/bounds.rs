//! How much room may be made: no more claims than instances may start, by every limit and rate there is. Who would leave for one more
//! would leave for nothing.
//!
//! What holds for all jobs of a class (its owner's limit, the farm's own resources, their rates and the farm's) is asked once for it, not job
//! by job. A rate leaves more when time has passed: a timer has the classes asked again that it kept from claims.

use crate::supervisor::deps::group_of;
use crate::supervisor::items::Size;
use crate::supervisor::pace::Paced;
use crate::supervisor::time::Timer;
use crate::supervisor::{Engine, Host, Job};
use std::time::Duration;

/// Whether there may be one more claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// There may.
    Some,
    /// Not before something else happens.
    None,
    /// Not before that time (monotonic), when a rate leaves more starts.
    At(Duration),
}

impl Engine {
    /// Says whether more instances of a job wait than room is being made for, and it may have one more.
    pub(super) fn wants_more(&self, job: &Job, size: Size) -> bool {
        let room = |class| self.room_of_class(class) == Room::Some;
        job.class_of(size).is_some_and(room) && self.room_of_job(job, size) == Room::Some
    }

    /// Says whether a class may have one more claim, as far as that is the same for all its jobs.
    pub(super) fn room_of_class(&self, class: usize) -> Room {
        self.room_of_class_beside(class, 0)
    }

    /// Says whether as many of a class may start besides all claims as it is made room for otherwise, and one more.
    pub(in crate::supervisor) fn has_room_beside(&self, class: usize, others: u64) -> bool {
        self.room_of_class_beside(class, others) == Room::Some
    }

    fn room_of_class_beside(&self, class: usize, others: u64) -> Room {
        let demands = self.planner.demands(class);
        let claims = &self.preempts.claims;
        let limit = self.config.user_limits.of(&demands.owner);
        let has = u64::from(self.running_of(&demands.owner));
        let has = has + u64::from(claims.of_owner(&demands.owner)) + others;
        let is_enough = |(name, amount): (&_, &u64)| {
            let all = amount.saturating_mul(others.saturating_add(1));
            self.globals.free(name) >= claims.of_global(name).saturating_add(all)
        };
        if limit.is_some_and(|limit| has >= u64::from(limit))
            || !demands.global.iter().all(is_enough)
        {
            return Room::None;
        }
        let resources = demands.global.keys();
        let resources = resources.map(|it| {
            let wanting = u64::from(claims.wanting(it));
            (Paced::Resource(it.clone()), wanting + others)
        });
        let farm = (Paced::Farm, claims.len() as u64 + others);
        self.room_by_rates([farm].into_iter().chain(resources))
    }

    /// Says whether a job may have one more claim, as far as that is its own.
    pub(super) fn room_of_job(&self, job: &Job, size: Size) -> Room {
        let claims = &self.preempts.claims;
        let of_size = claims.of(job.id).filter(|(_, claim)| claim.size == size);
        let made = of_size.count() as u64;
        let all = claims.of(job.id).count() as u64;
        let (of_group, limit) = self.group_of_job(job.id).unwrap_or_default();
        let of_group = u64::from(of_group) + u64::from(claims.of_group(group_of(job)));
        let wants = job.waiting_of(size) > made && job.instances.pending().len() > all;
        if !wants || limit.is_some_and(|limit| of_group >= u64::from(limit)) {
            return Room::None;
        }
        self.room_by_rates([(Paced::Job(job.id), all)])
    }

    /// Says whether rates leave a start more than there are claims of each.
    fn room_by_rates(&self, all: impl IntoIterator<Item = (Paced, u64)>) -> Room {
        let left = all.into_iter().filter_map(|(whose, claims)| {
            let (left, next) = self.starts_left(&whose)?;
            (claims >= left).then_some(next)
        });
        // More starts than none are left at some time, unless claims are as many as the rate.
        let next = left.reduce(|one, other| one.zip(other).map(|(one, other)| one.max(other)));
        match next {
            None => Room::Some,
            Some(None) => Room::None,
            Some(Some(at)) => Room::At(at),
        }
    }

    /// Says whether a host has all instances of a job that it may, with those for which room is made there.
    pub(super) fn has_all_on(&self, class: usize, host: &Host) -> bool {
        let per_host = self.planner.demands(class).per_host;
        per_host.is_some_and(|(job, most)| {
            let claims = self.preempts.claims.on(host.id);
            let claims = claims.filter(|(_, claim)| claim.job == job).count();
            u64::from(host.instances_of(job)) + claims as u64 >= u64::from(most)
        })
    }

    /// Has a class asked again when a rate leaves more starts.
    pub(super) fn ask_later(&mut self, class: usize, at: Duration) {
        self.preempts.paced.insert(class);
        self.timers.set(at, Timer::Preempt);
    }

    /// The classes that a rate kept from claims are asked again.
    pub(in super::super) fn ask_paced(&mut self) {
        for class in std::mem::take(&mut self.preempts.paced) {
            self.note_in_vain(class);
        }
    }
}
