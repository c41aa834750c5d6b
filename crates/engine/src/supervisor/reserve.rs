//! What instances take of hosts, and how items that ran out of memory ask for more of it.
//!
//! An instance takes what its job reserves when it is placed and has it until nothing of it is left on its host
//! (`Host::launches`, `Host::strays`): all sums are made from those, so that nothing is given back twice. Items that ran out
//! of memory wait in a class of their own with larger demands, so that the others of their job go on where they fit.

use super::credential::takes_credential;
use super::items::{ItemCore, NIBBLE_MAX, Size};
use super::job::Grown;
use super::plan::Demands;
use super::{Engine, Host, Job};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tessera_model::gpu::{GPUS, free_gpus};
use tessera_model::reservation::{MEMORY, PROCESSORS};
use tessera_model::{HostId, HostState, JobId, More, Taken};

/// Each try after an attempt that ran out of memory asks for this part more than the one before: a half.
pub const GROWTH_PART: u64 = 2;

/// Answers what is asked for, in MiB, with that growth: never more than the largest host has, never
/// less than the job reserves.
#[must_use]
pub fn grown(reserved: u64, growth: u8, largest: u64) -> u64 {
    let mut asked = reserved;
    for _ in 0..growth {
        if asked >= largest {
            break;
        }
        asked = asked.saturating_add(asked.div_ceil(GROWTH_PART));
    }
    asked.min(largest).max(reserved)
}

/// Answers what an instance of that size takes of a host when it is placed there.
pub(super) fn takes(job: &Job, size: Size, host: &Host) -> Taken {
    let reservation = &job.spec.reservation;
    let mut amounts = reservation.amounts.clone();
    let grown = job.grown.filter(|_| size == Size::Grown);
    if let Some(memory) = grown.and_then(|grown| grown.memory) {
        amounts.insert(MEMORY.to_owned(), memory);
    }
    let least = reservation.slots;
    // What it needs at least may be kept for GPUs that it does not have; what it takes beside is not.
    let spare = || host.spare_slots(amounts.get(GPUS).copied().unwrap_or(0));
    let slots = match reservation.more {
        More::Nothing => least,
        More::Free => least.max(spare()),
        More::UpTo(most) => least.max(spare().min(most)),
        More::WholeHost => least.max(host.open_slots()),
    };
    let gpus = host.gpus_for(amounts.get(GPUS).copied().unwrap_or(0));
    Taken {
        slots,
        is_alone: reservation.is_whole_host(),
        amounts,
        gpus,
        global: reservation.global.clone(),
    }
}

impl Engine {
    /// Gives a job the class of these demands; hosts are told of anew when they name a resource that none did before. What is
    /// taken must be given back ([`super::plan::Planner::drop_class`]).
    pub(super) fn take_class(&mut self, demands: Demands) -> usize {
        let class = self.planner.take_class(demands);
        if class.is_new_operand {
            self.refresh_traits();
        }
        if class.is_new_resource {
            self.refresh_hosts();
        }
        class.number
    }

    /// Has every host say what somebody reads of it now.
    fn refresh_traits(&mut self) {
        for (id, host) in &mut self.hosts {
            if host.set_traits(self.planner.operands()) {
                self.planner.set_kind(*id, &host.traits);
            }
        }
    }

    fn refresh_hosts(&mut self) {
        let hosts: Vec<HostId> = self.hosts.keys().copied().collect();
        hosts.into_iter().for_each(|host| self.refresh_host(host));
    }

    /// Notes what a host has that had this before, or that it is no more; whatever else of it changed, too.
    pub(super) fn note_resources(&mut self, id: HostId, before: &BTreeMap<String, u64>) {
        if let Some(host) = self.hosts.get_mut(&id) {
            host.set_traits(self.planner.operands());
        }
        if self.hosts.get(&id).is_some_and(takes_credential) {
            self.takers.insert(id);
        } else {
            self.takers.remove(&id);
        }
        let memory = |all: &BTreeMap<String, u64>| all.get(MEMORY).copied().unwrap_or(0);
        self.memories.remove(&(memory(before), id));
        let nothing = BTreeMap::new();
        let after = self.hosts.get(&id).map(|host| &host.facts.resources);
        if let Some(after) = after {
            self.memories.insert((memory(after), id));
        }
        let after = after.unwrap_or(&nothing);
        if self.planner.set_resources(before.keys(), after.keys()) {
            self.refresh_hosts();
        }
        self.regrow_all();
    }

    /// Asks anew for what items want that ran out of memory: there may be another largest host for them.
    pub(super) fn regrow_all(&mut self) {
        for job in self.grown_jobs.clone() {
            self.unready(job);
            self.regrow(job, true);
            self.index_job(job);
        }
    }

    /// Answers the memory, in MiB, of the largest host that a job may go to, is not lost, and has all else that the job reserves.
    fn largest_for(&self, job: &Job) -> u64 {
        let mut demands = job.demands();
        demands.amounts.remove(MEMORY);
        self.largest_that_serves(job, &demands).unwrap_or(0)
    }

    /// Says whether some host can ever give a job that much memory: what it asks of hosts besides may want them fuller than that leaves
    /// them.
    fn is_served(&self, job: &Job, asked: u64) -> bool {
        let demands = job.demands().grown(Some(asked));
        self.largest_that_serves(job, &demands).is_some()
    }

    /// Answers the memory of the largest host that a job may go to with these demands, is not lost, and has all of them.
    fn largest_that_serves(&self, job: &Job, demands: &Demands) -> Option<u64> {
        let serves = |host: &Host| {
            let mut amounts = demands.amounts.iter();
            host.suits(demands)
                && host.facts.admits(job.owner.as_str())
                && host.state != HostState::Down
                && host.total_for(demands, PROCESSORS) >= u64::from(demands.slots)
                && amounts.all(|(name, amount)| host.total_of(name) >= *amount)
        };
        let least = demands.amounts.get(MEMORY).copied().unwrap_or(0);
        // The largest first: mostly it is the one.
        let memories = self.memories.iter().rev();
        let mut memories = memories.take_while(|(memory, _)| *memory >= least);
        let found = memories.find(|(_, id)| self.hosts.get(id).is_some_and(serves));
        found.map(|(memory, _)| *memory)
    }

    /// Brings what the items of a job ask for that ran out of memory in line with them; `anew` when more than they changed.
    /// The job must not be in the planner's index of that class when it changes.
    pub(super) fn regrow(&mut self, id: JobId, anew: bool) {
        let Some(job) = self.jobs.get(&id) else {
            self.grown_jobs.remove(&id);
            return;
        };
        let growth = job.items.growth_max();
        if job.grown.map(|grown| grown.growth) == growth && !anew {
            return;
        }
        let grown = growth.map(|growth| {
            let largest = self.largest_for(job);
            let memory = job.spec.reservation.memory();
            let memory = memory.map(|memory| grown(memory, growth, largest));
            (growth, memory, job.demands().grown(memory))
        });
        let grown = grown.map(|(growth, memory, demands)| Grown {
            growth,
            memory,
            class: self.take_class(demands),
        });
        self.drop_grown(id);
        if grown.is_some() {
            self.grown_jobs.insert(id);
        } else {
            self.grown_jobs.remove(&id);
        }
        if let Some(job) = self.jobs.get_mut(&id) {
            job.grown = grown;
        }
    }

    /// Gives back the class of a job's items that ran out of memory, before it has another or goes.
    pub(super) fn drop_grown(&mut self, id: JobId) {
        let job = self.jobs.get_mut(&id);
        if let Some(grown) = job.and_then(|job| job.grown.take()) {
            self.planner.drop_class(grown.class);
        }
    }

    /// Answers tries used and growth of an item that ran out of memory on a launch with that much of it (MiB): the next try has
    /// more. Nothing when no host has more, or the tries are used up.
    fn next_oom(&self, job: &Job, core: ItemCore, had: Option<u64>) -> Option<(u8, u8)> {
        let tries = core.ooms.checked_add(1)?;
        if u32::from(tries) > job.spec.retry_oom || tries > NIBBLE_MAX {
            return None;
        }
        let (Some(reserved), Some(had)) = (job.spec.reservation.memory(), had) else {
            return Some((tries, core.growth));
        };
        let largest = self.largest_for(job);
        let mut growths = core.growth + 1..=NIBBLE_MAX;
        let growth = growths.find(|growth| grown(reserved, *growth, largest) > had)?;
        let asked = grown(reserved, growth, largest);
        self.is_served(job, asked).then_some((tries, growth))
    }

    /// Answers what comes after an item ran out of memory: tries used and growth when it is tried again, and the words for it.
    pub(super) fn after_oom(
        &self,
        id: JobId,
        core: ItemCore,
        had: Option<u64>,
    ) -> (Option<(u8, u8)>, String) {
        let Some(job) = self.jobs.get(&id) else {
            return (None, String::new());
        };
        let limit = job.spec.retry_oom;
        let (largest, reserved) = (self.largest_for(job), job.spec.reservation.memory());
        let next = self.next_oom(job, core, had);
        let words = match (next, reserved) {
            (Some((tries, growth)), Some(reserved)) => {
                let asked = grown(reserved, growth, largest);
                format!(", try {tries} of {limit} with {asked} MiB")
            }
            (Some((tries, _)), None) => {
                format!(", try {tries} of {limit}; no host.memory is reserved")
            }
            (None, Some(_)) if largest == 0 => {
                ", no host that it may use always has the rest for it".to_owned()
            }
            (None, Some(_)) if had.is_some_and(|had| had >= largest) => {
                format!(", no host that it may use has more than {largest} MiB")
            }
            (None, Some(reserved)) if u32::from(core.ooms) < limit && core.ooms < NIBBLE_MAX => {
                let growth = core.growth.saturating_add(1);
                let asked = grown(reserved, growth, largest);
                format!(", no host that it may use can be as it requires with {asked} MiB for it")
            }
            (None, _) if limit == 0 => ", and it is not tried again (retry-oom)".to_owned(),
            (None, _) => format!(", all {limit} tries with more memory are used up (retry-oom)"),
        };
        (next, words)
    }

    /// Answers what an instance of that size takes of a host when it is placed there.
    pub(super) fn takes(&self, job: &Job, size: Size, host: &Host) -> Taken {
        takes(job, size, host)
    }

    /// Answers what a launch has that its host's worker names and the farm has given up: what is remembered of it; else, as
    /// after a restart of the supervisor, all that the host has, since nobody knows and it is being ended anyway.
    pub(super) fn taken_by_stray(
        &self,
        host: HostId,
        key: tessera_model::msg::LaunchKey,
    ) -> Arc<Taken> {
        let remembered = self
            .hosts
            .get(&host)
            .and_then(|host| host.given_up.get(&key));
        if let Some(taken) = remembered {
            return Arc::clone(taken);
        }
        let all = self.hosts.get(&host).map(|host| Taken {
            slots: host.facts.slots,
            is_alone: false,
            amounts: host.facts.resources.clone(),
            gpus: free_gpus(host.total_of(GPUS), &BTreeSet::new(), u64::MAX),
            // Of the farm, what its job reserves now: the best that anybody knows.
            global: (self.jobs.get(&key.job))
                .map(|job| job.spec.reservation.global.clone())
                .unwrap_or_default(),
        });
        Arc::new(all.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::grown;

    #[test]
    fn each_try_asks_for_half_as_much_again_up_to_the_largest_host() {
        let asked = |growth| grown(8_192, growth, 65_536);
        let all: Vec<u64> = (0..=7).map(asked).collect();
        assert_eq!(
            all,
            [
                8_192, 12_288, 18_432, 27_648, 41_472, 62_208, 65_536, 65_536
            ]
        );
        // What rounds down would never grow.
        assert_eq!(grown(1, 1, 100), 2);
        // No host has even what is reserved: it stays so.
        assert_eq!(grown(8_192, 3, 4_096), 8_192);
        assert_eq!(grown(u64::MAX - 9, 255, u64::MAX), u64::MAX);
    }
}
