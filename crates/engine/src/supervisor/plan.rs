//! The planner: which job gets a free slot. This one goes by priority, then age; the interface is what a cleverer one fills.
//!
//! Matching is by class, not by scanning: jobs with the same demands on a host share a class, each class keeps its ready
//! jobs in order, and an event asks just the heads of the classes that it touched. **Invariant:** the cost of one event
//! does not grow with the number of queued items or of idle hosts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use tessera_model::reservation::MEMORY;
use tessera_model::{HostId, JobId, JobSpec};

/// What a job's match with a host depends on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Demands {
    /// Only these host names; empty: any.
    pub hosts: BTreeSet<String>,
    /// Never these.
    pub omithosts: BTreeSet<String>,
    /// Slots.
    pub slots: u32,
    /// Amounts of other resources.
    pub amounts: BTreeMap<String, u64>,
    /// Whether they are of items that ran out of memory, which their jobs have apart from the others.
    pub is_grown: bool,
}

impl Demands {
    /// Answers the demands of a job.
    #[must_use]
    pub fn of(spec: &JobSpec) -> Self {
        Self {
            hosts: spec.hosts.clone(),
            omithosts: spec.omithosts.clone(),
            slots: spec.reservation.slots,
            amounts: spec.reservation.amounts.clone(),
            is_grown: false,
        }
    }

    /// Answers those of items that ran out of memory: with so many MiB, when the job reserves memory at all.
    #[must_use]
    pub fn grown(spec: &JobSpec, memory: Option<u64>) -> Self {
        let mut demands = Self::of(spec);
        demands.is_grown = true;
        if let Some(memory) = memory {
            demands.amounts.insert(MEMORY.to_owned(), memory);
        }
        demands
    }

    /// Says whether a host of that name can serve them.
    #[must_use]
    pub fn admit(&self, host: &str) -> bool {
        (self.hosts.is_empty() || self.hosts.contains(host)) && !self.omithosts.contains(host)
    }
}

/// The order of ready jobs: priority, place in it, id.
pub type Place = (u32, i64, JobId);

#[derive(Debug, Clone)]
struct Class {
    demands: Demands,
    /// Amounts by the number of the resource.
    wants: Vec<(usize, u64)>,
    ready: BTreeSet<Place>,
}

/// What an open host can give away.
#[derive(Debug, Clone)]
struct Free {
    shape: Shape,
    name: String,
}

/// Hosts that can give away the same are alike for every class: the most slots first, then by the amounts of the resources
/// that somebody reserves, by their numbers.
type Shape = (Reverse<u32>, Vec<u64>);

impl Class {
    fn fits(&self, (Reverse(slots), amounts): &Shape) -> bool {
        let has = |&(resource, amount): &(usize, u64)| {
            amounts.get(resource).is_some_and(|free| *free >= amount)
        };
        *slots >= self.demands.slots && self.wants.iter().all(has)
    }
}

/// A decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Which job gets an instance started.
    pub job: JobId,
    /// Where.
    pub host: HostId,
    /// With which demands.
    pub class: usize,
}

/// Ready jobs and open hosts.
#[derive(Debug, Clone, Default)]
pub struct Planner {
    classes: Vec<Class>,
    by_demands: BTreeMap<Demands, usize>,
    /// Classes with a ready job.
    active: BTreeSet<usize>,
    /// Resources that some class reserves, and their numbers.
    resources: BTreeMap<String, usize>,
    open: BTreeMap<Shape, BTreeSet<HostId>>,
    free: BTreeMap<HostId, Free>,
    by_name: BTreeMap<String, BTreeSet<HostId>>,
    dirty_classes: BTreeSet<usize>,
    dirty_hosts: BTreeSet<HostId>,
}

impl Planner {
    /// Answers the class of these demands, new if need be, and whether it names a resource that none did before: then every
    /// host must be told of anew ([`Self::set_free`]).
    pub fn class(&mut self, demands: Demands) -> (usize, bool) {
        if let Some(class) = self.by_demands.get(&demands) {
            return (*class, false);
        }
        let class = self.classes.len();
        let known = self.resources.len();
        let mut wants = Vec::with_capacity(demands.amounts.len());
        for (resource, amount) in &demands.amounts {
            let next = self.resources.len();
            let number = *self.resources.entry(resource.clone()).or_insert(next);
            wants.push((number, *amount));
        }
        self.classes.push(Class {
            demands: demands.clone(),
            wants,
            ready: BTreeSet::new(),
        });
        self.by_demands.insert(demands, class);
        (class, self.resources.len() > known)
    }

    /// Answers what a class demands.
    #[must_use]
    pub fn demands(&self, class: usize) -> &Demands {
        &self.classes[class].demands
    }

    /// Counts the different resources that jobs reserve, with those of `more` among them.
    #[must_use]
    pub fn resources_with(&self, more: &BTreeMap<String, u64>) -> usize {
        let new = more
            .keys()
            .filter(|name| !self.resources.contains_key(*name));
        self.resources.len() + new.count()
    }

    /// Says whether hosts of that name can serve the class.
    #[must_use]
    pub fn admits(&self, class: usize, host: &str) -> bool {
        self.classes[class].demands.admit(host)
    }

    /// Puts a job among the ready ones of its class or takes it away.
    pub fn set_ready(&mut self, class: usize, place: Place, is_ready: bool) {
        let ready = &mut self.classes[class].ready;
        if is_ready {
            if ready.insert(place) {
                self.dirty_classes.insert(class);
                self.active.insert(class);
            }
        } else if ready.remove(&place) && ready.is_empty() {
            self.active.remove(&class);
        }
    }

    /// Tells how many slots a host can give away, 0 closes it, and how much of other resources.
    pub fn set_free(
        &mut self,
        host: HostId,
        name: &str,
        slots: u32,
        free_of: impl Fn(&str) -> u64,
    ) {
        if let Some(before) = self.free.remove(&host) {
            take_from(&mut self.open, &before.shape, host);
            take_from(&mut self.by_name, &before.name, host);
        }
        if slots > 0 {
            let mut amounts = vec![0; self.resources.len()];
            for (resource, number) in &self.resources {
                amounts[*number] = free_of(resource);
            }
            let shape = (Reverse(slots), amounts);
            self.open.entry(shape.clone()).or_default().insert(host);
            let name = name.to_owned();
            self.by_name.entry(name.clone()).or_default().insert(host);
            self.free.insert(host, Free { shape, name });
            self.dirty_hosts.insert(host);
        }
    }

    /// Asks again about a job or host whose other conditions changed.
    pub fn touch_class(&mut self, class: usize) {
        self.dirty_classes.insert(class);
    }

    /// Asks again about everything: a condition changed that many jobs may have waited for.
    pub fn touch_all(&mut self) {
        self.dirty_classes.extend(0..self.classes.len());
    }

    /// Answers the next placement; `fits` says whether a job can go to a host for reasons that the class does not know
    /// (an account refused there, a bar after a migration). Call [`Self::set_ready`] and [`Self::set_free`] before the next.
    pub fn next(&mut self, fits: impl Fn(JobId, HostId) -> bool) -> Option<Placement> {
        while let Some(host) = self.dirty_hosts.first().copied() {
            match self.job_for(host, &fits) {
                Some(placement) => return Some(placement),
                None => _ = self.dirty_hosts.remove(&host),
            }
        }
        // All open hosts have been asked: what is left are jobs that became ready since.
        while let Some(class) = self.best_dirty_class() {
            match self.host_for(class, &fits) {
                Some(placement) => return Some(placement),
                None => _ = self.dirty_classes.remove(&class),
            }
        }
        None
    }

    fn job_for(&self, host: HostId, fits: &impl Fn(JobId, HostId) -> bool) -> Option<Placement> {
        let free = self.free.get(&host)?;
        let serves = |class: &Class| class.demands.admit(&free.name) && class.fits(&free.shape);
        self.active
            .iter()
            .map(|class| (*class, &self.classes[*class]))
            .filter(|(_, class)| serves(class))
            .filter_map(|(number, class)| {
                let first = class.ready.iter().find(|place| fits(place.2, host))?;
                Some((*first, number))
            })
            .min()
            .map(|((_, _, job), class)| Placement { job, host, class })
    }

    fn best_dirty_class(&self) -> Option<usize> {
        let head = |class: &usize| self.classes[*class].ready.first().copied();
        let with_head = self
            .dirty_classes
            .iter()
            .filter_map(|class| Some((head(class)?, *class)));
        with_head
            .min()
            .map(|(_, class)| class)
            .or_else(|| self.dirty_classes.first().copied())
    }

    fn host_for(&self, number: usize, fits: &impl Fn(JobId, HostId) -> bool) -> Option<Placement> {
        let class = &self.classes[number];
        if self.open.is_empty() {
            return None;
        }
        // Asked once, not for each job: where no host has what the class demands, its jobs need not be looked at.
        self.open_for(class, |_| true)?;
        class.ready.iter().find_map(|&(_, _, job)| {
            let host = self.open_for(class, |host| fits(job, host))?;
            Some(Placement {
                job,
                host,
                class: number,
            })
        })
    }

    /// Answers the emptiest open host that serves a class and passes `fits`. Hosts that are alike are asked about their
    /// amounts once.
    fn open_for(&self, class: &Class, fits: impl Fn(HostId) -> bool) -> Option<HostId> {
        let demands = &class.demands;
        if demands.hosts.is_empty() {
            let admitted = |host: &HostId| {
                let free = self.free.get(host);
                free.is_some_and(|free| demands.admit(&free.name))
            };
            let alike = self.open.iter().filter(|(shape, _)| class.fits(shape));
            return alike
                .flat_map(|(_, hosts)| hosts)
                .copied()
                .find(|host| admitted(host) && fits(*host));
        }
        let named = demands.hosts.iter().filter(|name| demands.admit(name));
        let open = named
            .filter_map(|name| self.by_name.get(name))
            .flatten()
            .copied();
        let shape = |host: &HostId| self.free.get(host).map(|free| &free.shape);
        open.filter(|host| shape(host).is_some_and(|shape| class.fits(shape)) && fits(*host))
            .min_by_key(|host| (shape(host).map(|(slots, _)| *slots), *host))
    }

    /// Answers the ready jobs of a class that come before `place`, at most `limit`.
    #[must_use]
    pub fn before(&self, place: Place, limit: usize) -> Vec<JobId> {
        let mut ahead: Vec<Place> = self
            .classes
            .iter()
            .flat_map(|class| class.ready.range(..place).take(limit))
            .copied()
            .collect();
        ahead.sort_unstable();
        // A job with items of either size stands in two classes.
        ahead.dedup();
        ahead.truncate(limit);
        ahead.into_iter().map(|place| place.2).collect()
    }

    /// Says whether the job is among the ready ones; for the engine's own check.
    #[must_use]
    pub fn is_ready(&self, class: usize, place: Place) -> bool {
        self.classes[class].ready.contains(&place)
    }

    /// Answers what it believes a host can give away: slots, and the amount of a resource that somebody reserves; for the
    /// engine's own check.
    #[must_use]
    pub fn free_of(&self, host: HostId) -> (u32, BTreeMap<&str, u64>) {
        let Some(Free { shape, .. }) = self.free.get(&host) else {
            return (0, BTreeMap::new());
        };
        let amount = |number: &usize| shape.1.get(*number).copied().unwrap_or(0);
        let amounts = self.resources.iter();
        let amounts = amounts.map(|(name, number)| (name.as_str(), amount(number)));
        (shape.0.0, amounts.collect())
    }

    /// Counts the ready jobs; for the engine's own check.
    #[must_use]
    pub fn ready_jobs(&self) -> usize {
        self.classes.iter().map(|class| class.ready.len()).sum()
    }
}

/// Takes a host out of a set of alike ones, and the set away with its last.
fn take_from<K: Ord>(sets: &mut BTreeMap<K, BTreeSet<HostId>>, key: &K, host: HostId) {
    if let Some(hosts) = sets.get_mut(key) {
        hosts.remove(&host);
        if hosts.is_empty() {
            sets.remove(key);
        }
    }
}
