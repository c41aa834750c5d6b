//! The planner: which job gets a free slot. A host takes first what is nearest to its cluster, of that what has the best priority,
//! of that the oldest ([`super::Algorithm`]).
//!
//! Matching is by class, not by scanning: jobs with the same demands on a host share a class, each class keeps its ready
//! jobs in order, and an event asks just the heads of the classes that it touched. A class goes with its last job.
//! **Invariant:** the cost of one event does not grow with the number of queued items or of idle hosts; tests count it
//! ([`Planner::asked`]).

mod resources;

use super::host::Traits;
use super::{Algorithm, Host};
use resources::Resources;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tessera_model::reservation::MEMORY;
use tessera_model::{ClusterChoice, ClusterPath, HostId, JobId, JobSpec, Restriction};

/// What a job's match with a host depends on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Demands {
    /// Only these host names; empty: any.
    pub hosts: BTreeSet<String>,
    /// Never these.
    pub omithosts: BTreeSet<String>,
    /// The clusters of the jobs.
    pub cluster: ClusterChoice,
    /// Only hosts in one of these clusters.
    pub restrictions: Option<Restriction>,
    /// Only hosts in one of these groups; empty: any.
    pub groups: BTreeSet<String>,
    /// Never hosts in one of these.
    pub omitgroups: BTreeSet<String>,
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
            cluster: spec.cluster.clone(),
            restrictions: spec.restrictions.clone(),
            groups: spec.groups.clone(),
            omitgroups: spec.omitgroups.clone(),
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

    /// Says whether they allow a host of that name.
    #[must_use]
    pub fn admit(&self, host: &str) -> bool {
        (self.hosts.is_empty() || self.hosts.contains(host)) && !self.omithosts.contains(host)
    }

    /// Says whether they allow a host of that kind.
    #[must_use]
    pub fn suit(&self, host: &Traits) -> bool {
        let is_among = self.groups.is_empty() || !self.groups.is_disjoint(&host.groups);
        let restrictions = self.restrictions.as_ref();
        is_among
            && self.omitgroups.is_disjoint(&host.groups)
            && restrictions.is_none_or(|it| it.admits(&host.cluster))
            && host.takes.admits(&self.cluster)
    }
}

/// The order of ready jobs: priority, place in it, id.
pub type Place = (u32, i64, JobId);

/// Jobs with the same demands.
#[derive(Debug, Clone)]
struct Class {
    demands: Demands,
    /// Amounts by the number of the resource; nothing when one of them is not to be had anywhere.
    wants: Option<Vec<(usize, u64)>>,
    /// How many jobs have it, ready or not.
    users: usize,
    ready: BTreeSet<Place>,
}

/// What an open host can give away.
#[derive(Debug, Clone)]
struct Free {
    shape: Shape,
    name: String,
}

/// Hosts that can give away the same and are of a kind are alike for every class: the most slots first, then by the amounts of
/// the resources that somebody reserves, by their numbers.
type Shape = (Reverse<u32>, Vec<u64>, Arc<Traits>);

impl Class {
    fn fits(&self, (Reverse(slots), amounts, traits): &Shape) -> bool {
        let has = |&(resource, amount): &(usize, u64)| {
            amounts.get(resource).is_some_and(|free| *free >= amount)
        };
        let wants = self.wants.as_ref();
        *slots >= self.demands.slots
            && wants.is_some_and(|wants| wants.iter().all(has))
            && self.demands.suit(traits)
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

/// Classes to be asked about, the one with the best job first.
#[derive(Debug, Clone, Default)]
struct Dirty {
    by_class: BTreeMap<usize, Place>,
    in_order: BTreeSet<(Place, usize)>,
}

impl Dirty {
    fn add(&mut self, class: usize, head: Place) {
        self.remove(class);
        self.by_class.insert(class, head);
        self.in_order.insert((head, class));
    }

    fn remove(&mut self, class: usize) {
        if let Some(head) = self.by_class.remove(&class) {
            self.in_order.remove(&(head, class));
        }
    }

    fn first(&self) -> Option<(Place, usize)> {
        self.in_order.first().copied()
    }
}

/// Ready jobs and open hosts.
#[derive(Debug, Clone, Default)]
pub struct Planner {
    /// By number; a number that no job has is in `vacant`.
    classes: Vec<Class>,
    vacant: Vec<usize>,
    by_demands: BTreeMap<Demands, usize>,
    /// Classes with a ready job.
    active: BTreeSet<usize>,
    resources: Resources,
    algorithm: Algorithm,
    /// By cluster, where that matters.
    open: BTreeMap<ClusterPath, BTreeMap<Shape, BTreeSet<HostId>>>,
    free: BTreeMap<HostId, Free>,
    by_name: BTreeMap<String, BTreeSet<HostId>>,
    dirty_classes: Dirty,
    dirty_hosts: BTreeSet<HostId>,
    asked: u64,
}

impl Planner {
    /// Makes one that knows neither jobs nor hosts.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            ..Self::default()
        }
    }

    /// Answers how far the jobs of a class are from a host.
    fn distance(&self, class: &Class, host: &Traits) -> usize {
        match self.algorithm {
            Algorithm::Queue | Algorithm::Priority => 0,
            Algorithm::Cluster => class.demands.cluster.distance(&host.cluster),
        }
    }

    /// Answers the cluster that hosts of that kind are kept under.
    fn cluster_of(&self, host: &Traits) -> ClusterPath {
        match self.algorithm {
            Algorithm::Queue | Algorithm::Priority => ClusterPath::default(),
            Algorithm::Cluster => host.cluster.clone(),
        }
    }

    /// Gives a job the class of these demands, new if need be, and says whether it names a resource that none did before: then
    /// every host must be told of anew ([`Self::set_free`]).
    pub fn take_class(&mut self, demands: Demands) -> (usize, bool) {
        if let Some(class) = self.by_demands.get(&demands) {
            self.classes[*class].users += 1;
            return (*class, false);
        }
        let mut is_new = false;
        for name in demands.amounts.keys() {
            is_new |= self.resources.want(name);
        }
        let class = Class {
            wants: self.resources.by_number(&demands.amounts),
            demands: demands.clone(),
            users: 1,
            ready: BTreeSet::new(),
        };
        let number = match self.vacant.pop() {
            Some(number) => {
                self.classes[number] = class;
                number
            }
            None => {
                self.classes.push(class);
                self.classes.len() - 1
            }
        };
        self.by_demands.insert(demands, number);
        (number, is_new)
    }

    /// A job has this class no more; it must not be among its ready ones. With its last job the class goes.
    pub fn drop_class(&mut self, number: usize) {
        let class = &mut self.classes[number];
        class.users -= 1;
        if class.users > 0 {
            return;
        }
        debug_assert!(class.ready.is_empty());
        class.ready.clear();
        self.active.remove(&number);
        self.dirty_classes.remove(number);
        self.by_demands.remove(&class.demands);
        for name in class.demands.amounts.keys() {
            self.resources.unwant(name);
        }
        self.vacant.push(number);
    }

    /// Counts the classes that jobs have.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.by_demands.len()
    }

    /// Tells which resources a host had and which it has. Says whether one of them counts that did not before: then every host
    /// must be told of anew ([`Self::set_free`]).
    pub fn set_resources<'a>(
        &mut self,
        before: impl Iterator<Item = &'a String>,
        after: impl Iterator<Item = &'a String>,
    ) -> bool {
        let (mut is_new, mut is_less) = (false, false);
        // First what it has, so that what stays keeps its number.
        for name in after {
            is_new |= self.resources.report(name);
        }
        for name in before {
            is_less |= self.resources.unreport(name);
        }
        if is_new || is_less {
            for (demands, number) in &self.by_demands {
                let class = &mut self.classes[*number];
                class.wants = self.resources.by_number(&demands.amounts);
            }
        }
        is_new
    }

    /// Answers what a class demands.
    #[must_use]
    pub fn demands(&self, class: usize) -> &Demands {
        &self.classes[class].demands
    }

    /// Counts the different resources that jobs reserve and hosts have, with those of `more` among them.
    #[must_use]
    pub fn resources_with(&self, more: &BTreeMap<String, u64>) -> usize {
        self.resources.len_with(more)
    }

    /// Puts a job among the ready ones of its class or takes it away.
    pub fn set_ready(&mut self, class: usize, place: Place, is_ready: bool) {
        let ready = &mut self.classes[class].ready;
        if is_ready {
            if ready.insert(place) {
                self.active.insert(class);
                self.touch_class(class);
            }
        } else if ready.remove(&place) && ready.is_empty() {
            self.active.remove(&class);
            self.dirty_classes.remove(class);
        }
    }

    /// Tells how many slots a host can give away, 0 closes it, and how much of other resources.
    pub fn set_free(
        &mut self,
        host: HostId,
        name: &str,
        traits: &Arc<Traits>,
        slots: u32,
        free_of: impl Fn(&str) -> u64,
    ) {
        if let Some(before) = self.free.remove(&host) {
            let cluster = self.cluster_of(&before.shape.2);
            if let Some(open) = self.open.get_mut(&cluster) {
                take_from(open, &before.shape, host);
                if open.is_empty() {
                    self.open.remove(&cluster);
                }
            }
            take_from(&mut self.by_name, &before.name, host);
        }
        if slots > 0 {
            let mut amounts = vec![0; self.resources.places()];
            for (resource, number) in self.resources.numbers() {
                amounts[number] = free_of(resource);
            }
            let shape = (Reverse(slots), amounts, Arc::clone(traits));
            let open = self.open.entry(self.cluster_of(traits)).or_default();
            open.entry(shape.clone()).or_default().insert(host);
            let name = name.to_owned();
            self.by_name.entry(name.clone()).or_default().insert(host);
            self.free.insert(host, Free { shape, name });
            self.dirty_hosts.insert(host);
        }
    }

    /// Asks again about a class whose other conditions changed.
    pub fn touch_class(&mut self, class: usize) {
        if let Some(head) = self.head(class) {
            self.dirty_classes.add(class, head);
        }
    }

    /// Asks again about everything: a condition changed that many jobs may have waited for.
    pub fn touch_all(&mut self) {
        for class in self.active.clone() {
            self.touch_class(class);
        }
    }

    fn head(&self, class: usize) -> Option<Place> {
        self.classes[class].ready.first().copied()
    }

    /// Answers the next placement; `fits` says whether a job can go to a host for reasons that the class does not know
    /// (an account refused there, a bar after a migration). Call [`Self::set_ready`] and [`Self::set_free`] before the next.
    pub fn next(&mut self, fits: impl Fn(JobId, HostId) -> bool) -> Option<Placement> {
        let mut asked = 0;
        let found = self.next_counting(fits, &mut asked);
        self.asked = self.asked.saturating_add(asked);
        found
    }

    /// Counts what was looked at since the beginning: classes for a host, alike hosts for a class, jobs for either. The cost of
    /// planning, whatever the machine.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.asked
    }

    fn next_counting(
        &mut self,
        fits: impl Fn(JobId, HostId) -> bool,
        asked: &mut u64,
    ) -> Option<Placement> {
        while let Some(host) = self.dirty_hosts.first().copied() {
            match self.job_for(host, &fits, asked) {
                Some(placement) => return Some(placement),
                None => _ = self.dirty_hosts.remove(&host),
            }
        }
        // All open hosts have been asked: what is left are jobs that became ready since.
        while let Some((place, class)) = self.dirty_classes.first() {
            *asked += 1;
            match self.head(class) {
                Some(head) if head == place => {}
                // Its first job was placed or taken away meanwhile.
                Some(head) => {
                    self.dirty_classes.add(class, head);
                    continue;
                }
                None => {
                    self.dirty_classes.remove(class);
                    continue;
                }
            }
            match self.host_for(class, &fits, asked) {
                // The host may have something better to do.
                Some(host) => return self.job_for(host, &fits, asked),
                None => self.dirty_classes.remove(class),
            }
        }
        None
    }

    fn job_for(
        &self,
        host: HostId,
        fits: &impl Fn(JobId, HostId) -> bool,
        asked: &mut u64,
    ) -> Option<Placement> {
        let free = self.free.get(&host)?;
        let mut best: Option<(usize, Place, usize)> = None;
        for &number in &self.active {
            *asked += 1;
            let class = &self.classes[number];
            if !class.demands.admit(&free.name) || !class.fits(&free.shape) {
                continue;
            }
            let distance = self.distance(class, &free.shape.2);
            // None that comes after the best one so far.
            let before = |place: &&Place| {
                best.is_none_or(|(nearest, best, _)| (distance, **place) < (nearest, best))
            };
            let mut ready = class.ready.iter().take_while(before);
            let first = ready.find(|place| {
                *asked += 1;
                fits(place.2, host)
            });
            best = first.map(|place| (distance, *place, number)).or(best);
        }
        best.map(|(_, (_, _, job), class)| Placement { job, host, class })
    }

    /// Answers the nearest, and of those the emptiest, open host that a job of the class can go to.
    fn host_for(
        &self,
        number: usize,
        fits: &impl Fn(JobId, HostId) -> bool,
        asked: &mut u64,
    ) -> Option<HostId> {
        let class = &self.classes[number];
        let mut shapes = 0;
        // Walked once, whatever the number of jobs: what was found for one is kept for the next.
        let mut open = self.open_for(class, &mut shapes);
        let mut seen: Vec<HostId> = Vec::new();
        let mut found = None;
        for &(_, _, job) in &class.ready {
            let mut may = |host: &HostId| {
                *asked += 1;
                fits(job, *host)
            };
            let known = seen.iter().copied().find(&mut may);
            found = known.or_else(|| open.by_ref().inspect(|host| seen.push(*host)).find(may));
            if found.is_some() || seen.is_empty() {
                break;
            }
        }
        drop(open);
        *asked += shapes;
        found
    }

    /// Answers the open hosts that can give a class what it demands, the nearest first, of those the emptiest. Hosts that are
    /// alike are asked about their amounts once; counts how many kinds of them were.
    fn open_for<'a>(
        &'a self,
        class: &'a Class,
        shapes: &'a mut u64,
    ) -> Box<dyn Iterator<Item = HostId> + 'a> {
        let demands = &class.demands;
        if demands.hosts.is_empty() {
            let mut clusters: Vec<_> = self.open.iter().collect();
            if clusters.len() > 1 {
                *shapes += clusters.len() as u64;
                clusters.sort_by_cached_key(|(cluster, _)| demands.cluster.distance(cluster));
            }
            let admitted = |host: &HostId| {
                let free = self.free.get(host);
                free.is_some_and(|free| demands.admit(&free.name))
            };
            let alike = clusters.into_iter().flat_map(|(_, alike)| alike);
            let alike = alike.filter(move |(shape, _)| {
                *shapes += 1;
                class.fits(shape)
            });
            return Box::new(alike.flat_map(|(_, hosts)| hosts).copied().filter(admitted));
        }
        let named = demands.hosts.iter().filter(|name| demands.admit(name));
        let open = named
            .filter_map(|name| self.by_name.get(name))
            .flatten()
            .copied();
        let serving = open.filter_map(|host| {
            *shapes += 1;
            let shape = &self.free.get(&host)?.shape;
            let distance = self.distance(class, &shape.2);
            class.fits(shape).then_some((distance, shape.0, host))
        });
        let mut serving: Vec<_> = serving.collect();
        serving.sort_unstable();
        Box::new(serving.into_iter().map(|(_, _, host)| host))
    }

    /// Answers the ready jobs that come before one of a class on a host, the first of them, each with how much nearer it is.
    #[must_use]
    pub fn before(
        &self,
        class: usize,
        place: Place,
        host: &Host,
        limit: usize,
    ) -> Vec<(usize, JobId)> {
        let own = self.distance(&self.classes[class], host.traits());
        let mut ahead: Vec<(usize, Place)> = Vec::new();
        for class in &self.active {
            let class = &self.classes[*class];
            let distance = self.distance(class, host.traits());
            if distance > own || !host.suits(&class.demands) {
                continue;
            }
            let is_before = |it: &&Place| distance < own || **it < place;
            let first = class.ready.iter().take_while(is_before).take(limit);
            ahead.extend(first.map(|place| (distance, *place)));
        }
        ahead.sort_unstable();
        // A job with items of either size stands in two classes.
        ahead.dedup();
        ahead.truncate(limit);
        let nearer = |(distance, (_, _, job))| (own - distance, job);
        ahead.into_iter().map(nearer).collect()
    }

    /// Says whether the job is among the ready ones; for the engine's own check.
    #[must_use]
    pub fn is_ready(&self, class: usize, place: Place) -> bool {
        self.classes[class].ready.contains(&place)
    }

    /// Answers how many jobs have a class; for the engine's own check.
    #[must_use]
    pub fn users(&self, class: usize) -> usize {
        self.classes[class].users
    }

    /// Answers what it believes a host can give away: slots, and the amount of a resource that somebody reserves; for the
    /// engine's own check.
    #[must_use]
    pub fn free_of(&self, host: HostId) -> (u32, BTreeMap<&str, u64>) {
        let Some(Free { shape, .. }) = self.free.get(&host) else {
            return (0, BTreeMap::new());
        };
        let amount = |number: usize| shape.1.get(number).copied().unwrap_or(0);
        let amounts = self.resources.numbers();
        let amounts = amounts.map(|(name, number)| (name, amount(number)));
        (shape.0.0, amounts.collect())
    }

    /// Counts the ready jobs; for the engine's own check.
    #[must_use]
    pub fn ready_jobs(&self) -> usize {
        self.active
            .iter()
            .map(|class| self.classes[*class].ready.len())
            .sum()
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
