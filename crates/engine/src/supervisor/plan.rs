//! The planner: which job gets a free slot. This one goes by priority, then age; the interface is what a cleverer one fills.
//!
//! Matching is by class, not by scanning: jobs with the same demands on a host share a class, each class keeps its ready
//! jobs in order, and an event asks just the heads of the classes that it touched. **Invariant:** the cost of one event
//! does not grow with the number of queued items or of idle hosts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use tessera_model::{HostId, JobId, JobSpec};

/// What a job's match with a host depends on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Demands {
    /// Only these host names; empty: any.
    pub hosts: BTreeSet<String>,
    /// Never these.
    pub omithosts: BTreeSet<String>,
}

impl Demands {
    /// Answers the demands of a job.
    #[must_use]
    pub fn of(spec: &JobSpec) -> Self {
        Self {
            hosts: spec.hosts.clone(),
            omithosts: spec.omithosts.clone(),
        }
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
    ready: BTreeSet<Place>,
}

/// A decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Which job gets an instance started.
    pub job: JobId,
    /// Where.
    pub host: HostId,
}

/// Ready jobs and open hosts.
#[derive(Debug, Clone, Default)]
pub struct Planner {
    classes: Vec<Class>,
    by_demands: BTreeMap<Demands, usize>,
    open: BTreeSet<(Reverse<u32>, HostId)>,
    free: BTreeMap<HostId, (u32, String)>,
    by_name: BTreeMap<String, BTreeSet<HostId>>,
    dirty_classes: BTreeSet<usize>,
    dirty_hosts: BTreeSet<HostId>,
}

impl Planner {
    /// Answers the class of these demands, new if need be.
    pub fn class(&mut self, demands: Demands) -> usize {
        if let Some(class) = self.by_demands.get(&demands) {
            return *class;
        }
        let class = self.classes.len();
        self.classes.push(Class {
            demands: demands.clone(),
            ready: BTreeSet::new(),
        });
        self.by_demands.insert(demands, class);
        class
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
            }
        } else {
            ready.remove(&place);
        }
    }

    /// Tells how many slots a host can give away; 0 closes it.
    pub fn set_free(&mut self, host: HostId, name: &str, free: u32) {
        if let Some((before, old_name)) = self.free.remove(&host) {
            self.open.remove(&(Reverse(before), host));
            if let Some(hosts) = self.by_name.get_mut(&old_name) {
                hosts.remove(&host);
                if hosts.is_empty() {
                    self.by_name.remove(&old_name);
                }
            }
        }
        if free > 0 {
            self.free.insert(host, (free, name.to_owned()));
            self.open.insert((Reverse(free), host));
            self.by_name
                .entry(name.to_owned())
                .or_default()
                .insert(host);
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
                Some(job) => return Some(Placement { job, host }),
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

    fn job_for(&self, host: HostId, fits: &impl Fn(JobId, HostId) -> bool) -> Option<JobId> {
        let (_, name) = self.free.get(&host)?;
        self.classes
            .iter()
            .filter(|class| !class.ready.is_empty() && class.demands.admit(name))
            .filter_map(|class| class.ready.iter().find(|place| fits(place.2, host)))
            .min()
            .map(|place| place.2)
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

    fn host_for(&self, class: usize, fits: &impl Fn(JobId, HostId) -> bool) -> Option<Placement> {
        let class = &self.classes[class];
        if self.open.is_empty() {
            return None;
        }
        class.ready.iter().find_map(|&(_, _, job)| {
            self.open_for(&class.demands, |host| fits(job, host))
                .map(|host| Placement { job, host })
        })
    }

    /// Answers the emptiest open host that serves these demands and passes `fits`.
    fn open_for(&self, demands: &Demands, fits: impl Fn(HostId) -> bool) -> Option<HostId> {
        if demands.hosts.is_empty() {
            let admitted = |host: &HostId| {
                self.free
                    .get(host)
                    .is_some_and(|(_, name)| demands.admit(name))
            };
            return self
                .open
                .iter()
                .map(|(_, host)| *host)
                .find(|host| admitted(host) && fits(*host));
        }
        let named = demands.hosts.iter().filter(|name| demands.admit(name));
        let open = named
            .filter_map(|name| self.by_name.get(name))
            .flatten()
            .copied();
        open.filter(|host| fits(*host))
            .max_by_key(|host| (self.free.get(host).map(|(free, _)| *free), Reverse(*host)))
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
        ahead.truncate(limit);
        ahead.into_iter().map(|place| place.2).collect()
    }

    /// Says whether the job is among the ready ones; for the engine's own check.
    #[must_use]
    pub fn is_ready(&self, class: usize, place: Place) -> bool {
        self.classes[class].ready.contains(&place)
    }

    /// Answers what it believes a host can give away; for the engine's own check.
    #[must_use]
    pub fn free_of(&self, host: HostId) -> u32 {
        self.free.get(&host).map_or(0, |(free, _)| *free)
    }

    /// Counts the ready jobs; for the engine's own check.
    #[must_use]
    pub fn ready_jobs(&self) -> usize {
        self.classes.iter().map(|class| class.ready.len()).sum()
    }
}
