//! What the engine says of jobs and hosts when the planner asks: accounts, passwords, bars, what moves on a host.

use super::credential::{Credentials, Gate};
use super::plan::asks::Asks;
use super::plan::{Judge, Keeping, Prefers};
use super::wide::empties::Empties;
use super::{Host, Job};
use crate::Now;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tessera_model::credential::CredentialId;
use tessera_model::requirements::Rank;
use tessera_model::{HostId, JobId, UserName};

/// What the planner does not know of jobs and hosts.
pub(super) struct Judging<'a> {
    pub(super) jobs: &'a BTreeMap<JobId, Job>,
    pub(super) hosts: &'a BTreeMap<HostId, Host>,
    pub(super) credentials: &'a Credentials,
    pub(super) empties: Empties<'a>,
    pub(super) now: Now,
    /// Registered passwords that must be checked before a host is given work with them.
    pub(super) wanted: &'a RefCell<BTreeSet<CredentialId>>,
}

impl Judge for Judging<'_> {
    fn fits(&self, job: JobId, class: usize, host: HostId) -> bool {
        let (Some(job), Some(known)) = (self.jobs.get(&job), self.hosts.get(&host)) else {
            return false;
        };
        let bars = |(bar, until): &(HostId, Duration)| *bar == host && *until > self.now.elapsed;
        let is_next = || {
            let size = job.size_of(class);
            size.is_some_and(|size| job.next_instance_on(size, host).is_some())
        };
        !job.bars.iter().any(bars)
            && !known.has_stray_of(job.id)
            && (!job.spec.is_once_a_host() || is_next())
    }

    fn is_gathering(&self, job: JobId) -> bool {
        self.jobs.get(&job).is_some_and(Job::is_gathering)
    }

    fn is_over_in_time(
        &self,
        job: JobId,
        class: usize,
        host: HostId,
        keeping: &Keeping<'_>,
    ) -> bool {
        let (Some(job), Some(host)) = (self.jobs.get(&job), self.hosts.get(&host)) else {
            return false;
        };
        job.size_of(class).is_some_and(|size| {
            let takes = super::reserve::takes(job, size, host);
            self.empties
                .is_over_in_time(job, &takes, host, keeping, None)
        })
    }

    fn admits(&self, owner: &UserName, host: HostId) -> bool {
        let Some(host) = self.hosts.get(&host) else {
            return false;
        };
        let account = host.facts.identity.account_for(owner.as_str());
        host.facts.admits(owner.as_str())
            && !host.refuses(account)
            && match self.credentials.gate(host, owner, self.now) {
                Gate::Open => true,
                Gate::Wait(id) => {
                    self.wanted.borrow_mut().insert(id);
                    false
                }
                Gate::Shut(_) => false,
            }
    }

    fn meets(&self, asks: &Asks, host: HostId) -> bool {
        let host = self.hosts.get(&host);
        host.is_some_and(|host| asks.met_now(host, self.jobs))
    }

    fn has(&self, resource: &str, amount: u64, host: HostId) -> bool {
        let host = self.hosts.get(&host);
        host.is_some_and(|host| host.free_of(resource) >= amount)
    }

    fn has_room(&self, job: JobId, most: u32, host: HostId) -> bool {
        let host = self.hosts.get(&host);
        host.is_some_and(|host| host.instances_of(job) < most)
    }

    fn rank(&self, prefers: &Prefers, host: HostId) -> Rank {
        let host = self.hosts.get(&host);
        host.map_or_else(Rank::default, |host| prefers.rank_now(host, self.jobs))
    }
}
