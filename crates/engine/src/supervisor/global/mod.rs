//! The farm's own resources, `global.*`, `license.*` and kin: how many there are, how many others use, and which launches have them.
//!
//! What launches have is read off their hosts (`Host::takers`): each time something of a host changes it is brought in line, so that
//! nothing is given back twice or forgotten, whatever way an attempt ends. What is free is told to the planner, behind whose gates
//! jobs wait that want more.
//!
//! **Invariant:** an instance starts only with what is free; what is taken is more than there is only when there became less, others
//! use more, or a host comes back with what the farm had given up.

mod set;
mod why;

pub use set::{GlobalWish, Outside};
pub use why::Holders;

use super::{Engine, Host};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tessera_model::msg::LaunchKey;
use tessera_model::{
    GlobalName, HostId, HostState, InstanceNo, JobId, LaunchNo, Taken, Timestamp, UserName,
};

/// What was said of a resource while the farm runs; kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalRecord {
    /// Which.
    pub name: GlobalName,
    /// How many there are, if it was said.
    pub total: Option<u64>,
    /// How many others use, if it was said.
    pub others: Option<Others>,
    /// When something of it was said last.
    pub at: Timestamp,
    /// Who said it.
    pub by: UserName,
}

/// How many of a resource are used by others than the farm's jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Others {
    /// How many.
    pub used: u64,
    /// When it was said.
    pub at: Timestamp,
    /// Until when it counts; nothing: until it is said anew.
    pub until: Option<Timestamp>,
    /// That time is over: it counts no more.
    pub is_over: bool,
}

/// What launches have of one resource.
#[derive(Debug, Clone, Default)]
struct Held {
    sum: u64,
    /// With the host that says that it has the launch: what another says of it changes nothing there.
    by: BTreeMap<(HostId, LaunchKey), u64>,
}

impl Held {
    /// Says whether a launch of a host has some.
    fn is_on(&self, host: HostId) -> bool {
        let all = LaunchKey {
            job: JobId(0),
            instance: InstanceNo(0),
            launch: LaunchNo(0),
        };
        let mut from = self.by.range((host, all)..).map(|((on, _), _)| *on);
        from.next() == Some(host)
    }
}

/// All resources of the farm itself.
#[derive(Debug, Clone, Default)]
pub struct Globals {
    /// What the farm may have of each at most (`supervisor_global_resources`).
    configured: BTreeMap<GlobalName, u64>,
    set: BTreeMap<GlobalName, GlobalRecord>,
    held: BTreeMap<GlobalName, Held>,
    /// Until when what was said of others counts (monotonic time).
    due: BTreeMap<GlobalName, std::time::Duration>,
    /// Which launches of each host have something.
    by_host: BTreeMap<HostId, BTreeMap<LaunchKey, Arc<Taken>>>,
}

impl Globals {
    pub(super) fn new(configured: BTreeMap<GlobalName, u64>) -> Self {
        Self {
            configured,
            ..Self::default()
        }
    }

    /// Answers the names of all that is known, by name: those that have a total, and those that launches have.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&GlobalName> {
        let said = self.configured.keys().chain(self.set.keys());
        said.chain(self.held.keys()).collect()
    }

    /// Answers what the configuration says that the farm may have of it.
    #[must_use]
    pub fn configured(&self, name: &GlobalName) -> Option<u64> {
        self.configured.get(name).copied()
    }

    /// Answers what was said of it while the farm runs.
    #[must_use]
    pub fn record(&self, name: &GlobalName) -> Option<&GlobalRecord> {
        self.set.get(name)
    }

    /// Answers all that was said while the farm runs.
    pub fn records(&self) -> impl Iterator<Item = &GlobalRecord> {
        self.set.values()
    }

    fn said(&self, name: &GlobalName) -> Option<u64> {
        self.set.get(name).and_then(|record| record.total)
    }

    /// Answers how many the farm's jobs may have together at most, nothing when nobody has said.
    #[must_use]
    pub fn total(&self, name: &GlobalName) -> Option<u64> {
        match (self.configured(name), self.said(name)) {
            (Some(allotted), Some(there)) => Some(allotted.min(there)),
            (one, other) => one.or(other),
        }
    }

    /// Answers how many others use, as far as it counts.
    #[must_use]
    pub fn others(&self, name: &GlobalName) -> u64 {
        let others = self.set.get(name).and_then(|record| record.others);
        others.filter(|it| !it.is_over).map_or(0, |it| it.used)
    }

    /// Answers how many the farm's launches have.
    #[must_use]
    pub fn held(&self, name: &GlobalName) -> u64 {
        self.held.get(name).map_or(0, |held| held.sum)
    }

    /// Answers the launches that have some, with the host that says so and how many; one that all share which run on a host, each has.
    pub fn holders(
        &self,
        name: &GlobalName,
    ) -> impl Iterator<Item = (HostId, LaunchKey, u64)> + '_ {
        let held = self.held.get(name).into_iter();
        held.flat_map(|held| {
            held.by
                .iter()
                .map(|((host, key), amount)| (*host, *key, *amount))
        })
    }

    /// Answers those of which all that runs on a host has one together, and says whether it has.
    fn units_of(&self, host: HostId, names: &BTreeSet<GlobalName>) -> Vec<(GlobalName, bool)> {
        let names = names.iter().filter(|name| name.is_per_host());
        let has = |name: &GlobalName| self.held.get(name).is_some_and(|held| held.is_on(host));
        names.map(|name| (name.clone(), has(name))).collect()
    }

    /// Says whether a launch can have so many on a host.
    pub(super) fn can_give(&self, name: &GlobalName, amount: u64, host: HostId) -> bool {
        let is_shared = name.is_per_host();
        let has = self.held.get(name).is_some_and(|held| held.is_on(host));
        self.free(name) >= amount || (is_shared && has && !self.is_over(name, self.held(name)))
    }

    /// Says whether a launch on a host has one that all share which run there, so that no other is needed.
    pub(super) fn is_shared_on(&self, name: &GlobalName, host: HostId) -> bool {
        let has = self.held.get(name).is_some_and(|held| held.is_on(host));
        name.is_per_host() && has && !self.is_over(name, self.held(name))
    }

    /// Answers how many are left when so many are held. What others use is taken first from what is not the farm's: of 120 that there
    /// are 100 may be the farm's; 50 that it has and 30 that others use leave it 40.
    fn left(&self, name: &GlobalName, held: u64) -> Option<u64> {
        let others = self.others(name);
        let allotted = self.configured(name);
        let there = self.said(name).or(allotted)?;
        let of_all = there.saturating_sub(held).saturating_sub(others);
        let of_farm = allotted.map_or(u64::MAX, |allotted| allotted.saturating_sub(held));
        Some(of_all.min(of_farm))
    }

    /// Answers how many can be given away now.
    #[must_use]
    pub fn free(&self, name: &GlobalName) -> u64 {
        self.left(name, self.held(name)).unwrap_or(0)
    }

    /// Says whether more is taken than there is, when so many are held.
    fn is_over(&self, name: &GlobalName, held: u64) -> bool {
        let others = self.others(name);
        let allotted = self.configured(name);
        let there = self.said(name).or(allotted);
        there.is_some_and(|there| held.saturating_add(others) > there)
            || allotted.is_some_and(|allotted| held > allotted)
    }

    /// Brings what the launches of a host have in line with what it has now. Answers the resources of which something changed.
    fn note(&mut self, host: HostId, now: BTreeMap<LaunchKey, Arc<Taken>>) -> BTreeSet<GlobalName> {
        let before = self.by_host.remove(&host).unwrap_or_default();
        let mut moved = BTreeSet::new();
        for (key, taken) in before.iter().filter(|(key, _)| !now.contains_key(key)) {
            for name in taken.global.keys() {
                self.give_back((host, *key), name);
                moved.insert(name.clone());
            }
        }
        for (key, taken) in now.iter().filter(|(key, _)| !before.contains_key(key)) {
            for (name, amount) in &taken.global {
                let held = self.held.entry(name.clone()).or_default();
                let is_shared = name.is_per_host() && held.is_on(host);
                let had = held.by.insert((host, *key), *amount).unwrap_or(0);
                if !is_shared {
                    held.sum = held.sum.saturating_sub(had).saturating_add(*amount);
                }
                moved.insert(name.clone());
            }
        }
        if !now.is_empty() {
            self.by_host.insert(host, now);
        }
        moved
    }

    fn give_back(&mut self, key: (HostId, LaunchKey), name: &GlobalName) {
        let Some(held) = self.held.get_mut(name) else {
            return;
        };
        let amount = held.by.remove(&key).unwrap_or(0);
        if !(name.is_per_host() && held.is_on(key.0)) {
            held.sum = held.sum.saturating_sub(amount);
        }
        if held.by.is_empty() {
            self.held.remove(name);
        }
    }
}

impl Host {
    /// Answers its launches that have something of the farm's own resources. What the farm has given up of a lost host has nothing any
    /// more, until that host says that it lives.
    fn global_takers(&self) -> BTreeMap<LaunchKey, Arc<Taken>> {
        let given_up = self
            .given_up
            .iter()
            .filter(|_| self.state != HostState::Down);
        let all = self.launches.iter().chain(&self.strays).chain(given_up);
        let all = all.filter(|(_, taken)| !taken.global.is_empty());
        all.map(|(key, taken)| (*key, Arc::clone(taken))).collect()
    }
}

impl Engine {
    /// Answers the farm's own resources.
    #[must_use]
    pub fn globals(&self) -> &Globals {
        &self.globals
    }

    /// Notes what the launches of a host have of the farm's own resources now, or that it is no more.
    pub(super) fn note_globals(&mut self, id: HostId) {
        let now = self.hosts.get(&id).map(Host::global_takers);
        let moved = self.globals.note(id, now.unwrap_or_default());
        for (name, has) in self.globals.units_of(id, &moved) {
            self.planner.set_unit(&name, id, has);
        }
        for name in moved {
            self.tell_free(&name);
        }
    }

    /// Tells the planner how much of a resource is free.
    pub(super) fn tell_free(&mut self, name: &GlobalName) {
        let free = self.free_to_start(name);
        let is_over = self.is_over_for_hosts(name);
        self.planner.set_global(name, free, is_over);
    }

    /// Says whether more hosts have one than may, of a resource that is for a host: nothing more starts there either.
    fn is_over_for_hosts(&self, name: &GlobalName) -> bool {
        name.is_per_host() && self.globals.is_over(name, self.globals.held(name))
    }

    /// Answers how much of a resource can be given to an instance that starts now: nothing while no other may start.
    fn free_to_start(&self, name: &GlobalName) -> u64 {
        if self.is_resource_paced(name) {
            return 0;
        }
        self.globals.free(name)
    }

    /// Says whether a launch must leave after its item because more is taken of what it has than there is. Those that are leaving
    /// already don't count, so that no more leave than must.
    pub(super) fn is_over_its_share(&self, taken: &Taken) -> bool {
        taken.global.keys().any(|name| {
            self.globals.is_over(name, self.globals.held(name))
                && self.globals.is_over(name, self.stays(name))
        })
    }

    /// Answers how many are held by launches that are not leaving.
    fn stays(&self, name: &GlobalName) -> u64 {
        let is_leaving = |key: &LaunchKey| {
            let launch = self.launches.get(key);
            launch.is_none_or(|launch| launch.phase != super::Phase::Open)
        };
        let staying = self.globals.holders(name);
        let staying = staying.filter(|(_, key, _)| !is_leaving(key));
        sum_of(name, staying.map(|(host, _, amount)| (host, amount)))
    }

    /// Says what is wrong with what launches have of the farm's own resources.
    pub(super) fn check_globals(&self, faults: &mut Vec<String>) {
        let takers = self.hosts.values();
        let takers: Vec<_> = takers.map(|host| (host.id, host.global_takers())).collect();
        let mut by_name: BTreeMap<&GlobalName, Vec<(HostId, u64)>> = BTreeMap::new();
        for (host, taken) in &takers {
            for (name, amount) in taken.values().flat_map(|taken| &taken.global) {
                by_name.entry(name).or_default().push((*host, *amount));
            }
        }
        let mut held: BTreeMap<&GlobalName, u64> = BTreeMap::new();
        for (name, amounts) in by_name {
            let on: BTreeSet<HostId> = amounts.iter().map(|(host, _)| *host).collect();
            let thinks = self.planner.units(name);
            if name.is_per_host() && on != thinks {
                faults.push(format!("{on:?} have {name}, the planner thinks {thinks:?}"));
            }
            held.insert(name, sum_of(name, amounts.into_iter()));
        }
        let names: BTreeSet<_> = self.globals.names();
        for name in names.into_iter().chain(held.keys().copied()) {
            let has = held.get(name).copied().unwrap_or(0);
            let thinks = self.globals.held(name);
            if has != thinks {
                faults.push(format!(
                    "{has} of {name} are held, the farm thinks {thinks}"
                ));
            }
            let (free, told) = (self.free_to_start(name), self.planner.global_of(name));
            if self.is_over_for_hosts(name) != self.planner.is_over(name) {
                faults.push(format!(
                    "the planner is wrong about too many hosts with {name}"
                ));
            }
            if free != told {
                faults.push(format!(
                    "{free} of {name} are free, the planner thinks {told}"
                ));
            }
        }
        faults.extend(self.planner.gate_faults());
    }
}

/// Adds up what launches have of a resource, by their hosts: of one that is for a host, the hosts.
fn sum_of(name: &GlobalName, amounts: impl Iterator<Item = (HostId, u64)>) -> u64 {
    if name.is_per_host() {
        let hosts: BTreeSet<HostId> = amounts.map(|(host, _)| host).collect();
        return hosts.len() as u64;
    }
    amounts.fold(0, |sum: u64, (_, amount)| sum.saturating_add(amount))
}
