//! The farm's own resources, `global.*` and `license.*`: how many there are, how many others use, and which launches have them.
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
use tessera_model::{GlobalName, HostId, HostState, Taken, Timestamp, UserName};

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

    /// Answers the launches that have some, with how many.
    pub fn holders(&self, name: &GlobalName) -> impl Iterator<Item = (LaunchKey, u64)> + '_ {
        let held = self.held.get(name).into_iter();
        held.flat_map(|held| held.by.iter().map(|((_, key), amount)| (*key, *amount)))
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
                let had = held.by.insert((host, *key), *amount).unwrap_or(0);
                held.sum = held.sum.saturating_sub(had).saturating_add(*amount);
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
        held.sum = held.sum.saturating_sub(amount);
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
        for name in self.globals.note(id, now.unwrap_or_default()) {
            self.tell_free(&name);
        }
    }

    /// Tells the planner how much of a resource is free.
    fn tell_free(&mut self, name: &GlobalName) {
        let free = self.globals.free(name);
        self.planner.set_global(name, free);
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
        let staying = staying.filter(|(key, _)| !is_leaving(key));
        staying.fold(0, |sum, (_, amount)| sum.saturating_add(amount))
    }

    /// Says what is wrong with what launches have of the farm's own resources.
    pub(super) fn check_globals(&self, faults: &mut Vec<String>) {
        let mut held: BTreeMap<&GlobalName, u64> = BTreeMap::new();
        let takers: Vec<_> = self.hosts.values().map(Host::global_takers).collect();
        for taken in takers.iter().flat_map(BTreeMap::values) {
            for (name, amount) in &taken.global {
                *held.entry(name).or_insert(0) += amount;
            }
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
            let (free, told) = (self.globals.free(name), self.planner.global_of(name));
            if free != told {
                faults.push(format!(
                    "{free} of {name} are free, the planner thinks {told}"
                ));
            }
        }
        faults.extend(self.planner.gate_faults());
    }
}
