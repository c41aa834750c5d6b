//! What the farm has and does now, in numbers.

use crate::core::View;
use std::collections::BTreeMap;
use tessera_model::{HostState, ItemStatus, JobId, Timestamp, WorkStatus};

/// The host's memory among its resources, in MiB.
const MEMORY: &str = "host.memory";
/// States of a host, as a label says them.
pub(crate) const HOST_STATES: [&str; 4] = ["up", "away", "down", "panic"];

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// When, by the wall clock.
    pub(crate) at: Timestamp,
    /// Slots of the hosts that are up.
    pub(crate) slots: u64,
    /// Slots in use, on any host.
    pub(crate) slots_used: u64,
    /// Memory of the hosts that are up, in MiB.
    pub(crate) memory: u64,
    /// Memory that is reserved, on any host, in MiB.
    pub(crate) memory_used: u64,
    /// Hosts by [`HOST_STATES`].
    pub(crate) hosts: [u64; 4],
    /// Hosts that are locked, whatever their state.
    pub(crate) hosts_locked: u64,
    /// Jobs by [`WorkStatus::ALL`].
    pub(crate) jobs: [u64; 9],
    /// Items by [`ItemStatus::ALL`].
    pub(crate) items: [u64; 8],
    /// Since when the job waits that waits longest for its first frame, in milliseconds.
    pub(crate) oldest_wait_ms: u64,
}

impl Figures {
    /// Looks at the farm.
    pub(crate) fn of(view: &View<'_>) -> Self {
        let mut found = Self {
            at: view.now.wall,
            ..Self::default()
        };
        for host in view.engine.hosts() {
            let place = match host.state {
                HostState::Up => 0,
                HostState::Away => 1,
                HostState::Down => 2,
                HostState::Panic(_) => 3,
            };
            found.hosts[place] += 1;
            found.hosts_locked += u64::from(host.is_locked());
            found.slots_used += u64::from(host.used());
            found.memory_used = found.memory_used.saturating_add(host.used_of(MEMORY));
            if place == 0 {
                found.slots += u64::from(host.facts.slots);
                found.memory = found.memory.saturating_add(host.total_of(MEMORY));
            }
        }
        for job in view.engine.jobs() {
            found.add_job(job);
        }
        found
    }

    fn add_job(&mut self, job: &tessera_engine::supervisor::Job) {
        let status = job.status();
        for (count, state) in self.jobs.iter_mut().zip(WorkStatus::ALL) {
            *count += u64::from(state == status);
        }
        for (count, state) in self.items.iter_mut().zip(ItemStatus::ALL) {
            *count += u64::from(job.items().count_shown(state));
        }
        if status == WorkStatus::Pending && job.started.is_none() {
            let waited = self.at.0.saturating_sub(job.submitted.0);
            let waited = u64::try_from(waited).unwrap_or(0);
            self.oldest_wait_ms = self.oldest_wait_ms.max(waited);
        }
    }

    /// Answers the items in a state.
    pub(crate) fn items_in(&self, wanted: ItemStatus) -> u64 {
        let states = ItemStatus::ALL.iter().zip(self.items);
        states
            .filter(|(state, _)| **state == wanted)
            .map(|(_, count)| count)
            .sum()
    }
}

/// Who has how many slots now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Shares {
    /// By the owner of the job.
    pub(crate) users: BTreeMap<String, u64>,
    /// By the job.
    pub(crate) jobs: BTreeMap<u64, u64>,
}

impl Shares {
    /// Looks at what runs.
    pub(crate) fn of(view: &View<'_>) -> Self {
        let mut found = Self::default();
        for launch in view.engine.launches() {
            let slots = u64::from(launch.taken.slots);
            let JobId(job) = launch.key.job;
            *found.jobs.entry(job).or_default() += slots;
            if let Some(job) = view.engine.job(launch.key.job) {
                *found.users.entry(job.owner.to_string()).or_default() += slots;
            }
        }
        found
    }
}
