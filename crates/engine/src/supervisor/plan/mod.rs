//! The planner: which job gets a free slot. A host takes first what is nearest to its cluster, of that what is of the share that has least for
//! its weight, where the site says so ([`shares`]), of that what has the best priority, of that the oldest ([`super::Algorithm`]).
//!
//! Matching is by class, not by scanning: jobs with the same demands on a host share a class, each class keeps its ready
//! jobs in order, and an event asks just the heads of the classes that it touched. A class goes with its last job.
//! **Invariant:** the cost of one event does not grow with the number of queued items or of idle hosts; tests count it
//! ([`Planner::asked`]).

mod ahead;
pub mod asks;
mod class;
mod demands;
mod dirty;
mod gang;
mod gates;
mod globals;
mod judge;
mod kept;
mod lanes;
mod operands;
mod prefers;
mod ready;
mod resources;
mod second;
mod shares;
mod standing;

pub use ahead::Ahead;
pub use demands::Demands;
pub use judge::Judge;
pub use kept::{Emptied, Keeping, Until, Waited};
pub use prefers::Prefers;
pub use second::AFTER_ALL;
pub use shares::{InTurn, OUTSIDE, Part, Stand};

use super::host::Traits;
use super::{Algorithm, Host};
use class::{Class, Free, Shape};
use dirty::Dirty;
use gang::Gangs;
use gates::{Gates, Kind};
use kept::{CLASSES_BEHIND_MAX, JOBS_BEHIND_MAX, Kept};
use operands::Operands;
use resources::Resources;
use second::Second;
use shares::Shares;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tessera_model::requirements::Operand;
use tessera_model::{ClusterChoice, ClusterPath, HostId, JobId, UserName};

/// The order of ready jobs: priority, place in it, id.
pub type Place = (u32, i64, JobId);

/// What a class that was taken needs besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewClass {
    /// Its number.
    pub number: usize,
    /// It names a resource that none did before: every host must be told of anew ([`Planner::set_free`]).
    pub is_new_resource: bool,
    /// It reads something of hosts that none did before: every host must say it ([`Planner::operands`]).
    pub is_new_operand: bool,
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
    /// By number; a number that no job has is in `vacant`.
    classes: Vec<Class>,
    vacant: Vec<usize>,
    by_demands: BTreeMap<Demands, usize>,
    /// Classes by whose they are.
    by_owner: BTreeMap<UserName, BTreeSet<usize>>,
    /// Whose classes are not asked.
    held: BTreeSet<UserName>,
    /// Classes with a ready job, behind what they want of the farm's own resources.
    gates: Gates,
    resources: Resources,
    operands: Operands,
    /// Classes that ask host by host.
    asking_each: BTreeSet<usize>,
    /// Which of them asked a host in vain that has not changed since, and perhaps some that are no more.
    unmet: BTreeMap<HostId, BTreeSet<usize>>,
    /// Process groups that have a limit, by their jobs.
    lanes: BTreeMap<JobId, JobId>,
    /// Those that have all that they may.
    shut: BTreeSet<JobId>,
    /// Classes in which they have ready jobs.
    by_group: BTreeMap<JobId, BTreeSet<usize>>,
    algorithm: Algorithm,
    shares: Shares,
    kept: Kept,
    gangs: Gangs,
    /// Those that come after all others.
    second: Second,
    /// By cluster, where that matters.
    open: BTreeMap<ClusterPath, BTreeMap<Shape, BTreeSet<HostId>>>,
    free: BTreeMap<HostId, Free>,
    /// The slots of all of them.
    free_slots: u64,
    by_name: BTreeMap<String, BTreeSet<HostId>>,
    dirty_classes: Dirty,
    dirty_hosts: BTreeSet<HostId>,
    /// Classes that no host took when they were asked.
    in_vain: BTreeSet<usize>,
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
            _ if class.demands.is_secondary => AFTER_ALL,
            Algorithm::Queue | Algorithm::Priority => 0,
            Algorithm::Cluster if class.demands.is_elite => 0,
            Algorithm::Cluster => self.shares.distance(&class.demands, &host.cluster),
        }
    }

    /// Answers what the classes are kept under which have the same clusters and share as this one.
    fn kind_of(&self, class: usize) -> Kind {
        let choice = match self.algorithm {
            Algorithm::Queue | Algorithm::Priority => ClusterChoice::default(),
            // As near to all hosts as nothing else is.
            Algorithm::Cluster if self.classes[class].demands.is_elite => ClusterChoice::nowhere(),
            Algorithm::Cluster => self.classes[class].demands.cluster.clone(),
        };
        (choice, self.classes[class].share)
    }

    /// Answers the classes that have a ready job and do not wait for one of the farm's own resources.
    fn active(&self) -> impl Iterator<Item = usize> + '_ {
        let kinds = self.gates.kinds().chain(self.gates.half_open());
        kinds.flatten().map(|(_, class)| *class)
    }

    /// Notes that another of its jobs is the first, or that it has none.
    fn set_head(&mut self, class: usize, before: Option<Place>) {
        let after = self.head(class);
        if before == after {
            return;
        }
        if self.classes[class].demands.is_secondary {
            self.second.set_head(class, before, after);
            return;
        }
        if after.is_none() {
            self.ask_those_after(class);
        }
        if self.classes[class].may_be_wide() {
            self.kept.set_head(class, before, after);
        }
        if self.classes[class].demands.gang.is_some() {
            self.gangs.set_head(class, before, after);
        }
        let kind = self.kind_of(class);
        let gate = self.classes[class].gate;
        self.gates.set_head(gate, &kind, class, (before, after));
    }

    /// Answers the cluster that hosts of that kind are kept under.
    fn cluster_of(&self, host: &Traits) -> ClusterPath {
        match self.algorithm {
            Algorithm::Queue | Algorithm::Priority => ClusterPath::default(),
            Algorithm::Cluster => host.cluster.clone(),
        }
    }

    /// Gives a job the class of these demands, new if need be.
    pub fn take_class(&mut self, demands: Demands) -> NewClass {
        if let Some(class) = self.by_demands.get(&demands) {
            self.classes[*class].users += 1;
            return NewClass {
                number: *class,
                is_new_resource: false,
                is_new_operand: false,
            };
        }
        let mut is_new_resource = false;
        for name in demands.amounts.keys() {
            is_new_resource |= self.resources.want(name);
        }
        let wants = self.resources.by_number(&demands.amounts);
        let (mut class, is_new_operand) = Class::new(demands.clone(), wants, &mut self.operands);
        class.gate = self.gates.take(&demands.global);
        class.share = self.shares.of(&demands);
        let asks_each = class.asks_each;
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
        if asks_each {
            self.asking_each.insert(number);
        }
        let owner = demands.owner.clone();
        self.by_owner.entry(owner).or_default().insert(number);
        self.by_demands.insert(demands, number);
        NewClass {
            number,
            is_new_resource,
            is_new_operand,
        }
    }

    /// A job has this class no more; it must not be among its ready ones. With its last job the class goes.
    pub fn drop_class(&mut self, number: usize) {
        let class = &mut self.classes[number];
        class.users -= 1;
        if class.users > 0 {
            return;
        }
        debug_assert!(class.ready.is_empty());
        self.in_vain.remove(&number);
        self.dirty_classes.remove(number);
        self.second.dirty.remove(number);
        self.by_demands.remove(&class.demands);
        if let Some(classes) = self.by_owner.get_mut(&class.demands.owner) {
            classes.remove(&number);
            if classes.is_empty() {
                self.by_owner.remove(&class.demands.owner);
            }
        }
        for name in class.demands.amounts.keys() {
            self.resources.unwant(name);
        }
        self.operands.unwant(class.reads());
        self.gates.drop(class.gate);
        self.asking_each.remove(&number);
        self.let_go_of_class(number);
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
        let (mut is_new, mut is_other) = (false, false);
        // First what it has, so that what stays keeps its number.
        for name in after {
            let (has_number, is_first) = self.resources.report(name);
            is_new |= has_number;
            is_other |= is_first;
        }
        for name in before {
            is_other |= self.resources.unreport(name);
        }
        if is_new || is_other {
            for (demands, number) in &self.by_demands {
                let class = &mut self.classes[*number];
                class.wants = self.resources.by_number(&demands.amounts);
            }
        }
        is_new
    }

    /// Says whether what moves on a host may matter to some job.
    #[must_use]
    pub fn asks_each(&self) -> bool {
        !self.asking_each.is_empty()
    }

    /// Answers what a host says of itself because some class reads it.
    pub fn operands(&self) -> impl Iterator<Item = &Operand> {
        self.operands.all()
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

    /// Puts a job among the ready ones of its class or takes it away. Says whether it is one that was none.
    pub fn set_ready(&mut self, class: usize, place: Place, is_ready: bool) -> bool {
        let before = self.head(class);
        let group = self.lanes.get(&place.2).copied();
        let ready = &mut self.classes[class].ready;
        let is_other = match (group, is_ready) {
            (None, true) => ready.insert(place),
            (None, false) => ready.remove(&place),
            (Some(group), true) => ready.insert_into(group, place, self.shut.contains(&group)),
            (Some(group), false) => ready.remove_from(group, &place),
        };
        if !is_other {
            return false;
        }
        let is_last = ready.is_empty();
        if let Some(group) = group {
            self.note_lane(group, class);
        }
        self.set_head(class, before);
        if is_ready && !group.is_some_and(|group| self.shut.contains(&group)) {
            self.touch_class(class);
        } else if is_last {
            self.dirty_classes.remove(class);
            self.second.dirty.remove(class);
        }
        if is_last {
            self.set_waited(class, Waited::default());
        }
        is_ready
    }

    /// Tells how many slots a host can give away, 0 closes it, how many of them are not for jobs without GPUs, whether nothing is there, and
    /// how much of other resources.
    pub fn set_free(
        &mut self,
        host: HostId,
        name: &str,
        traits: &Arc<Traits>,
        (slots, kept, is_idle): (u32, u32, bool),
        free_of: impl Fn(&str) -> u64,
    ) {
        if let Some(before) = self.free.remove(&host) {
            self.free_slots -= u64::from(before.shape.0.0);
            self.forget_unmet(host, &before.shape);
            self.close(host, &before.shape);
            take_from(&mut self.by_name, &before.name, host);
        }
        if slots > 0 {
            let mut amounts = vec![0; self.resources.places()];
            for (resource, number) in self.resources.numbers() {
                amounts[number] = free_of(resource);
            }
            let shape = (
                Reverse(slots),
                amounts,
                Arc::clone(traits),
                is_idle,
                kept.min(slots),
            );
            self.open_as(host, &shape);
            let name = name.to_owned();
            self.by_name.entry(name.clone()).or_default().insert(host);
            self.free.insert(host, Free { shape, name });
            self.free_slots += u64::from(slots);
            self.dirty_hosts.insert(host);
        }
    }

    /// Tells that a host says more or less of itself than before, and is what it was: nobody is asked for that.
    pub fn set_kind(&mut self, host: HostId, traits: &Arc<Traits>) {
        if let Some(mut free) = self.free.remove(&host) {
            self.forget_unmet(host, &free.shape);
            self.close(host, &free.shape);
            free.shape.2 = Arc::clone(traits);
            self.open_as(host, &free.shape);
            self.free.insert(host, free);
        }
    }

    /// Something moved on a host: those that ask host by host ask it again.
    fn forget_unmet(&mut self, host: HostId, shape: &Shape) {
        for class in self.unmet.remove(&host).into_iter().flatten() {
            self.classes[class].forget_unmet(host, shape);
        }
    }

    fn open_as(&mut self, host: HostId, shape: &Shape) {
        let open = self.open.entry(self.cluster_of(&shape.2)).or_default();
        open.entry(shape.clone()).or_default().insert(host);
    }

    fn close(&mut self, host: HostId, shape: &Shape) {
        let cluster = self.cluster_of(&shape.2);
        if let Some(open) = self.open.get_mut(&cluster) {
            take_from(open, shape, host);
            if open.is_empty() {
                self.open.remove(&cluster);
            }
        }
    }

    /// Holds back the jobs of somebody, or lets them go.
    pub fn set_held(&mut self, owner: &UserName, is_held: bool) {
        if self.held.contains(owner) == is_held {
            return;
        }
        let classes: Vec<usize> = self
            .by_owner
            .get(owner)
            .into_iter()
            .flatten()
            .copied()
            .collect();
        let before: Vec<Option<Place>> = classes.iter().map(|class| self.head(*class)).collect();
        if is_held {
            self.held.insert(owner.clone());
        } else {
            self.held.remove(owner);
        }
        for (class, before) in classes.into_iter().zip(before) {
            self.set_head(class, before);
            self.touch_class(class);
        }
    }

    /// Answers the first job of a class that may be asked.
    fn head(&self, class: usize) -> Option<Place> {
        let class = &self.classes[class];
        let first = class.ready.first().copied();
        first.filter(|_| !self.held.contains(&class.demands.owner))
    }

    /// Answers the next placement. Call [`Self::set_ready`] and [`Self::set_free`] before the next.
    pub fn next(&mut self, judge: &impl Judge) -> Option<Placement> {
        let mut asked = 0;
        let found = self.next_counting(judge, &mut asked);
        self.asked = self.asked.saturating_add(asked);
        found
    }

    /// Counts what was looked at since the beginning: classes for a host, alike hosts for a class, jobs for either. The cost of
    /// planning, whatever the machine.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.asked
    }

    fn next_counting(&mut self, judge: &impl Judge, asked: &mut u64) -> Option<Placement> {
        while let Some(host) = self.dirty_hosts.first().copied() {
            match self.job_for(host, judge, asked) {
                Some(placement) => return Some(placement),
                None => {
                    self.dirty_hosts.remove(&host);
                    self.second.note_host(host);
                }
            }
        }
        // All open hosts have been asked: what is left are jobs that became ready since, or that waited for one of the farm's own
        // resources.
        while let Some((place, class)) = self.next_class(asked) {
            let host = self.host_for(class, judge, asked);
            // The host may have something better to do.
            let found = host.and_then(|host| self.job_for(host, judge, asked));
            if found.is_some() {
                return found;
            }
            self.in_vain.insert(class);
            self.dirty_classes.remove(class);
            self.gates.asked(self.classes[class].gate, place, class);
        }
        // All that is primary has been asked.
        self.next_second(judge, asked)
    }

    /// Answers the class with the best job of those that something happened to.
    fn next_class(&mut self, asked: &mut u64) -> Option<(Place, usize)> {
        if self.open.is_empty() {
            // A host that opens is asked itself.
            let opened = self.gates.forget_opened();
            self.in_vain.extend(opened);
        }
        let opened = self.gates.next_opened(asked);
        while let Some((place, class)) = self.dirty_classes.first() {
            // With the class: a job with items of either size stands in two.
            if opened.is_some_and(|opened| opened < (place, class)) {
                break;
            }
            *asked += 1;
            let is_shut = self.gates.is_shut(self.classes[class].gate);
            match self.head(class).filter(|_| !is_shut) {
                Some(head) if head == place => return Some((place, class)),
                // Its first job was placed or taken away meanwhile.
                Some(head) => self.dirty_classes.add(class, head),
                None => self.dirty_classes.remove(class),
            }
        }
        opened
    }

    /// Answers the best job for a host.
    fn job_for(&mut self, host: HostId, judge: &impl Judge, asked: &mut u64) -> Option<Placement> {
        let mut unmet = Vec::new();
        let found = self.best_for(host, judge, asked, &mut unmet);
        self.note_unmet(unmet);
        found
    }

    fn note_unmet(&mut self, unmet: Vec<(usize, HostId, Shape)>) {
        for (class, host, shape) in unmet {
            self.unmet.entry(host).or_default().insert(class);
            self.classes[class].note_unmet(host, shape);
        }
    }

    fn best_for(
        &self,
        host: HostId,
        judge: &impl Judge,
        asked: &mut u64,
        unmet: &mut Vec<(usize, HostId, Shape)>,
    ) -> Option<Placement> {
        let free = self.free.get(&host)?;
        let shared = self.gates.kinds_on(host, asked);
        let kinds = self.gates.kinds().chain(shared);
        let kinds = kinds.filter_map(|heads| {
            let (head, number) = *heads.first()?;
            let stand = self.stand(&self.classes[number], &free.shape.2, head);
            Some((stand, self.turn_of(stand), heads))
        });
        let mut kinds: Vec<_> = kinds.collect();
        *asked += kinds.len().saturating_sub(1) as u64;
        kinds.sort_by_key(|(_, (distance, part, _), _)| (*distance, *part));
        let mut best: Option<(InTurn, usize)> = None;
        let keeping = self.keeping(host, &free.shape.2);
        // What stands behind those that the host is emptied for is asked within bounds: mostly nothing of it is over in time.
        let (mut classes_behind, jobs_max) = match keeping {
            Some(_) => (CLASSES_BEHIND_MAX, JOBS_BEHIND_MAX),
            None => (usize::MAX, usize::MAX),
        };
        for (stand, (distance, part, _), heads) in kinds {
            // None that comes after the best one so far.
            let is_before = |place: Place, best: Option<(InTurn, usize)>| {
                best.is_none_or(|(best, _)| (distance, part, place) < best)
            };
            for &(head, number) in heads {
                if !is_before(head, best) {
                    break;
                }
                *asked += 1;
                let class = &self.classes[number];
                let stand = Stand {
                    place: head,
                    ..stand
                };
                if keeping.is_some_and(|it| !it.lets_in(number, stand)) {
                    if classes_behind == 0 {
                        break;
                    }
                    classes_behind -= 1;
                }
                if class.is_gathering(judge) || !class.suits(host, free, judge) {
                    continue;
                }
                if !class.is_met_at(host, judge) {
                    unmet.push((number, host, free.shape.clone()));
                    continue;
                }
                let ready = class.ready.iter().take_while(|it| is_before(**it, best));
                let first = ready.take(jobs_max).find(|place| {
                    *asked += 1;
                    judge.fits(place.2, number, host) && self.lets_in(number, **place, host, judge)
                });
                let found = first.map(|place| ((distance, part, *place), number));
                best = found.or(best);
            }
        }
        best.map(|((.., (_, _, job)), class)| Placement { job, host, class })
    }

    /// Answers the nearest, and of those the emptiest, open host that a job of the class can go to.
    fn host_for(&mut self, number: usize, judge: &impl Judge, asked: &mut u64) -> Option<HostId> {
        let mut unmet = Vec::new();
        let found = self.nearest_for(number, judge, asked, &mut unmet);
        self.note_unmet(unmet);
        found
    }

    fn nearest_for(
        &self,
        number: usize,
        judge: &impl Judge,
        asked: &mut u64,
        unmet: &mut Vec<(usize, HostId, Shape)>,
    ) -> Option<HostId> {
        let class = &self.classes[number];
        if class.is_gathering(judge) {
            return None;
        }
        let (mut shapes, mut each) = (0, 0);
        // Walked once, whatever the number of jobs: what was found for one is kept for the next.
        let open = self.open_for(class, &mut shapes).filter(|host| {
            each += 1;
            let head = class.ready.first();
            if !class.may_go_to(*host, judge)
                || !head.is_some_and(|head| self.lets_in(number, *head, *host, judge))
            {
                return false;
            }
            let Some(free) = self.free.get(host).filter(|_| class.asks_each) else {
                return true;
            };
            if class.is_unmet_at(*host, &free.shape) {
                return false;
            }
            let is_met = class.is_met_at(*host, judge);
            if !is_met {
                unmet.push((number, *host, free.shape.clone()));
            }
            is_met
        });
        let mut open: Box<dyn Iterator<Item = HostId>> = match &class.demands.prefers {
            Some(prefers) if class.is_choosing_each() || self.gates.is_half_open(class.gate) => {
                let mut all: Vec<HostId> = open.collect();
                all.sort_by_cached_key(|host| judge.rank(prefers, *host));
                Box::new(all.into_iter())
            }
            Some(_) | None => Box::new(open),
        };
        let mut seen: Vec<HostId> = Vec::new();
        let mut found = None;
        for &place in &class.ready {
            let mut may = |host: &HostId| {
                *asked += 1;
                judge.fits(place.2, number, *host) && self.lets_in(number, place, *host, judge)
            };
            let known = seen.iter().copied().find(&mut may);
            found = known.or_else(|| open.by_ref().inspect(|host| seen.push(*host)).find(may));
            if found.is_some() || seen.is_empty() {
                break;
            }
        }
        drop(open);
        *asked += shapes + each;
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
        let is_half_open = self.gates.is_half_open(class.gate);
        if demands.hosts.is_empty() && !is_half_open {
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
            let alike = alike.filter(move |(shape, hosts)| {
                *shapes += 1;
                class.fits(shape) && class.unmet_of(shape) < hosts.len()
            });
            if let Some(prefers) = class.prefers_shape() {
                let mut alike: Vec<_> = alike.collect();
                alike.sort_by_cached_key(|(shape, _)| prefers.rank(shape));
                let hosts = alike.into_iter().flat_map(|(_, hosts)| hosts).copied();
                return Box::new(hosts.filter(admitted));
            }
            return Box::new(alike.flat_map(|(_, hosts)| hosts).copied().filter(admitted));
        }
        let open: BTreeSet<HostId> = if is_half_open {
            self.gates.only_on(class.gate)
        } else {
            let named = demands.hosts.iter();
            let named = named.filter_map(|name| self.by_name.get(name));
            named.flatten().copied().collect()
        };
        let serving = open.into_iter().filter_map(|host| {
            *shapes += 1;
            let free = self.free.get(&host).filter(|it| demands.admit(&it.name))?;
            let shape = &free.shape;
            let distance = self.distance(class, &shape.2);
            class.fits(shape).then_some((distance, shape.0, host))
        });
        let mut serving: Vec<_> = serving.collect();
        serving.sort_unstable();
        Box::new(serving.into_iter().map(|(_, _, host)| host))
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

    /// Answers what it believes a host can give away: slots, those of them that are not for jobs without GPUs, whether nothing is there, and
    /// the amount of a resource that somebody reserves; for the engine's own check.
    #[must_use]
    pub fn free_of(&self, host: HostId) -> ((u32, u32), bool, BTreeMap<&str, u64>) {
        let Some(Free { shape, .. }) = self.free.get(&host) else {
            return ((0, 0), false, BTreeMap::new());
        };
        let amount = |number: usize| shape.1.get(number).copied().unwrap_or(0);
        let amounts = self.resources.numbers();
        let amounts = amounts.map(|(name, number)| (name, amount(number)));
        ((shape.0.0, shape.4), shape.3, amounts.collect())
    }

    /// Counts the ready jobs, those that are held back among them; for the engine's own check.
    #[must_use]
    pub fn ready_jobs(&self) -> usize {
        let classes = self.by_demands.values();
        classes.map(|class| self.classes[*class].ready.len()).sum()
    }

    /// Says whether somebody's jobs are held back; for the engine's own check.
    #[must_use]
    pub fn is_held(&self, owner: &UserName) -> bool {
        self.held.contains(owner)
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
