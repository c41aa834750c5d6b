//! What the planner leaves to the engine to say.

use super::asks::Asks;
use super::kept::Keeping;
use super::prefers::Prefers;
use tessera_model::requirements::Rank;
use tessera_model::{HostId, JobId, UserName};

/// Answers what the planner does not know of jobs and hosts.
pub trait Judge {
    /// Says whether a job can go to a host with what it has of a class, for reasons that the class does not know (a bar after a migration).
    fn fits(&self, job: JobId, class: usize, host: HostId) -> bool;

    /// Says whether a job starts nothing by itself on any host: its instances start all at once, and none has yet.
    fn is_gathering(&self, _job: JobId) -> bool {
        false
    }

    /// Says whether what a job would start on a host that is emptied for others is over in time, or leaves room enough for them.
    fn is_over_in_time(
        &self,
        _job: JobId,
        _class: usize,
        _host: HostId,
        _keeping: &Keeping<'_>,
    ) -> bool {
        false
    }

    /// Says whether a host takes jobs of an owner.
    fn admits(&self, _owner: &UserName, _host: HostId) -> bool {
        true
    }

    /// Says whether a host meets now what a class asks, whose answer is not the same for all alike.
    fn meets(&self, _asks: &Asks, _host: HostId) -> bool {
        true
    }

    /// Says whether a host has so much of a resource that has no number.
    fn has(&self, _resource: &str, _amount: u64, _host: HostId) -> bool {
        true
    }

    /// Says whether a host has fewer instances of a job than so many.
    fn has_room(&self, _job: JobId, _most: u32, _host: HostId) -> bool {
        true
    }

    /// Ranks a host as it is now.
    fn rank(&self, _prefers: &Prefers, _host: HostId) -> Rank {
        Rank::default()
    }
}

impl<F: Fn(JobId, HostId) -> bool> Judge for F {
    fn fits(&self, job: JobId, _class: usize, host: HostId) -> bool {
        self(job, host)
    }
}
