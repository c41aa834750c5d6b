//! Gangs: jobs whose instances start all at once or not at all (flag `grid`).
//!
//! Owns when a gang starts and where each of its instances goes. As long as none of its instances is on a host a gang *gathers*: no host
//! takes one of them by itself, and nothing is held for those that found room; all start in one turn, or none. From then on each that comes
//! back starts by itself, as in any job. Nothing of it is stored: it follows from the states of the instances. Which hosts are emptied for
//! a gang is `wide`'s to say. **Invariant:** an instance of a gang starts only in a turn in which all of it start, or while another of its
//! instances is on a host.

mod why;

use super::items::Size;
use super::judging::Judging;
use super::pace::Paced;
use super::plan::{Demands, Judge as _, Placement};
use super::time::Timer;
use super::wide::empties::Empties;
use super::{Engine, Globals, Host, Job, Turn};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tessera_model::credential::CredentialId;
use tessera_model::msg::LaunchKey;
use tessera_model::reservation::PROCESSORS;
use tessera_model::{GlobalName, HostId, InstanceNo, JobId, LaunchNo, WorkStatus};

/// Gangs that are looked at in a turn, the first ones.
pub(super) const GANGS_MAX: usize = 256;
/// How often hosts are asked in a turn whether they have room for a gang, for all gangs together.
pub(super) const TRIES_MAX: usize = 64;

/// Registered passwords that must be checked before a host is given work with them.
type Wanted = RefCell<BTreeSet<CredentialId>>;

impl Job {
    /// Says whether its instances start all at once and none of them is on a host.
    pub(super) fn is_gathering(&self) -> bool {
        let there = [WorkStatus::Running, WorkStatus::Suspended];
        self.spec.is_gang() && there.iter().all(|it| self.instances_in(*it) == 0)
    }

    /// Counts the instances that start together: those that have not ended, and no more than there are items that have not.
    pub(super) fn gang(&self) -> u32 {
        let instances = self.instances.wanted() - self.instances.ended();
        let items = self.items.len() - self.items.ended();
        u32::try_from(instances).unwrap_or(u32::MAX).min(items)
    }

    /// Counts those of them that could start now if there were room.
    pub(super) fn gang_ready(&self) -> u32 {
        let ready = Size::ALL.map(|size| self.waiting_of(size)).iter().sum();
        let ready = self.instances.pending().len().min(ready);
        u32::try_from(ready).unwrap_or(u32::MAX)
    }

    /// Says whether nothing of its own keeps some of a gang from starting with the others; of other jobs always.
    pub(super) fn is_all_ready(&self) -> bool {
        !self.is_gathering() || self.gang_ready() >= self.gang()
    }
}

/// What was asked for gangs in a turn.
#[derive(Debug)]
pub(super) struct Tries {
    left: usize,
    /// Those for which there is too little, whatever starts before them.
    vain: BTreeSet<JobId>,
}

impl Default for Tries {
    fn default() -> Self {
        Self {
            left: TRIES_MAX,
            vain: BTreeSet::new(),
        }
    }
}

impl Tries {
    /// There may be room again where there was none; what all may cost stays.
    pub(super) fn anew(&mut self) {
        self.vain.clear();
    }
}

/// How much of a gang there is room for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lack {
    /// For so many of its instances.
    pub(super) room: u32,
    /// Whether hosts were left out since something that stands before it starts there.
    is_contested: bool,
}

impl Engine {
    /// Starts all of the first gang for which there is room now. Says whether there was one.
    pub(super) fn start_gang(
        &mut self,
        t: &mut Turn<'_>,
        wanted: &Wanted,
        tries: &mut Tries,
    ) -> bool {
        let mut gangs = self.planner.gangs(GANGS_MAX);
        // Those first whose share has least for its weight.
        gangs.sort_by_key(|(_, class)| self.planner.part(self.planner.share_of(*class)));
        for (_, class) in gangs {
            let demands = self.planner.demands(class);
            let (slots, gang) = (u64::from(demands.slots), demands.gang);
            let job = gang.and_then(|id| self.jobs.get(&id));
            let Some(job) = job.filter(|job| !tries.vain.contains(&job.id) && job.is_gathering())
            else {
                continue;
            };
            let (id, count) = (job.id, job.gang());
            let is_small = self.planner.free_slots() < slots.saturating_mul(count.into());
            if is_small || !self.may_start_together(id, count) {
                tries.vain.insert(id);
                continue;
            }
            let Some(left) = tries.left.checked_sub(1) else {
                return false;
            };
            tries.left = left;
            match self.room_for_all(id, wanted) {
                Ok(places) => {
                    debug_assert_eq!(places.len(), count as usize);
                    places.into_iter().for_each(|place| self.place(t, place));
                    return true;
                }
                Err(lack) if !lack.is_contested => _ = tries.vain.insert(id),
                Err(_) => {}
            }
        }
        false
    }

    /// Says whether so many instances of a job may start at once by all limits and rates; where a rate says no, sees to it that it is
    /// asked again.
    fn may_start_together(&mut self, id: JobId, count: u32) -> bool {
        let Some(job) = self.jobs.get(&id) else {
            return false;
        };
        let mut is_paced = false;
        for whose in paces_of(job) {
            if let Some((left, due)) = self.starts_left(&whose)
                && left < u64::from(count)
            {
                is_paced = true;
                if let Some(due) = due {
                    self.timers.set(due, Timer::Paced(whose));
                }
            }
        }
        !is_paced && self.instances_left(id) >= count
    }

    /// Answers how many more instances of a job its owner and its process group may have.
    pub(super) fn instances_left(&self, id: JobId) -> u32 {
        let Some(job) = self.jobs.get(&id) else {
            return 0;
        };
        let of_owner = self.config.user_limits.of(&job.owner);
        let of_owner = of_owner.map(|limit| limit.saturating_sub(self.running_of(&job.owner)));
        let (running, limit) = self.group_of_job(id).unwrap_or_default();
        let of_group = limit.map(|limit| limit.saturating_sub(running));
        of_owner
            .into_iter()
            .chain(of_group)
            .min()
            .unwrap_or(u32::MAX)
    }

    /// Answers where each instance of a gang starts.
    ///
    /// # Errors
    /// There is not room for all of them.
    fn room_for_all(&mut self, id: JobId, wanted: &Wanted) -> Result<Vec<Placement>, Lack> {
        let mut asked = 0;
        let found = self.look_for_room(id, wanted, &mut asked);
        self.planner.count(asked);
        found
    }

    fn look_for_room(
        &self,
        id: JobId,
        wanted: &Wanted,
        asked: &mut u64,
    ) -> Result<Vec<Placement>, Lack> {
        let nothing = Lack {
            room: 0,
            is_contested: false,
        };
        let job = self.jobs.get(&id).ok_or(nothing)?;
        let mut search = Search {
            engine: self,
            job,
            judge: self.judging(wanted),
            hosts: BTreeMap::new(),
            globals: Wants::of(job, &self.globals),
            places: Vec::new(),
            is_contested: false,
            looked_at: 0,
        };
        let count = job.gang() as usize;
        // What ran out of memory before what fits in more places.
        for size in [Size::Grown, Size::Plain] {
            let left = count - search.places.len();
            let waiting = usize::try_from(job.waiting_of(size)).unwrap_or(usize::MAX);
            if let Some(class) = job.class_of(size) {
                search.fill(class, size, left.min(waiting), asked);
            }
        }
        *asked += search.looked_at;
        if search.places.len() < count {
            return Err(Lack {
                room: u32::try_from(search.places.len()).unwrap_or(u32::MAX),
                is_contested: search.is_contested,
            });
        }
        Ok(search.places)
    }
}

/// Answers whose rates say how quickly instances of a job start.
fn paces_of(job: &Job) -> Vec<Paced> {
    let resources = job.spec.reservation.global.keys().cloned();
    let all = [Paced::Farm, Paced::Job(job.id)].into_iter();
    all.chain(resources.map(Paced::Resource)).collect()
}

/// Looks for room for all of a gang: hosts as they would be with those of its instances that have found theirs.
struct Search<'a> {
    engine: &'a Engine,
    job: &'a Job,
    judge: Judging<'a>,
    hosts: BTreeMap<HostId, Host>,
    globals: Wants<'a>,
    places: Vec<Placement>,
    is_contested: bool,
    looked_at: u64,
}

impl Search<'_> {
    /// Places as many instances of that size as there is room for, no more than are wanted; a host as many as it takes.
    fn fill(&mut self, class: usize, size: Size, wanted: usize, asked: &mut u64) {
        let most = self.places.len() + wanted;
        if wanted == 0 {
            return;
        }
        let engine = self.engine;
        let judge = self.engine.judging(self.judge.wanted);
        engine.planner.offer(class, &judge, asked, |id| {
            if self.may_have(class, id) {
                while self.places.len() < most && self.put(class, size, id) {}
            }
            self.places.len() < most
        });
    }

    /// Says whether a host may have some of the gang in its turn.
    fn may_have(&mut self, class: usize, id: HostId) -> bool {
        let (engine, job) = (self.engine, self.job);
        let Some(host) = engine.hosts.get(&id) else {
            return false;
        };
        if !self.judge.fits(job.id, class, id) {
            return false;
        }
        let empties = engine.empties();
        let turn = |job: &Job| engine.planner.turn_of(empties.stand(job, host.traits()));
        let next = engine.planner.next_on(id, &self.judge, &mut self.looked_at);
        let next = next.and_then(|next| engine.jobs.get(&next.job));
        let is_contested = next.is_some_and(|next| turn(next) < turn(job));
        self.is_contested |= is_contested;
        !is_contested
    }

    /// Puts one more instance on a host, as far as the search goes; says whether there was room.
    fn put(&mut self, class: usize, size: Size, id: HostId) -> bool {
        let (engine, job) = (self.engine, self.job);
        let Some(known) = engine.hosts.get(&id) else {
            return false;
        };
        let host = self.hosts.entry(id).or_insert_with(|| known.clone());
        let demands = engine.planner.demands(class);
        if !has_room(engine, demands, host) {
            return false;
        }
        let taken = super::reserve::takes(job, size, host);
        let keeping = engine.planner.keeping(id, host.traits());
        let is_let_in = keeping.is_none_or(|keeping| {
            let empties: Empties<'_> = engine.empties();
            let stand = empties.stand(job, host.traits());
            keeping.lets_in(class, stand)
                || empties.is_over_in_time(job, &taken, host, &keeping, None)
        });
        if !is_let_in || !self.globals.take(id) {
            return false;
        }
        let number = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        host.launches
            .insert(imagined(job.id, number), Arc::new(taken));
        self.places.push(Placement {
            job: job.id,
            host: id,
            class,
        });
        true
    }
}

/// Answers the launch that an instance would be, for as long as somebody imagines it.
pub(super) fn imagined(job: JobId, number: u32) -> LaunchKey {
    LaunchKey {
        job,
        instance: InstanceNo(number),
        launch: LaunchNo(u32::MAX),
    }
}

/// Says whether a host, as it is or is imagined, has room for one more with these demands.
pub(super) fn has_room(engine: &Engine, demands: &Demands, host: &Host) -> bool {
    let mut amounts = demands.amounts.iter();
    let asks = demands.asks.as_ref();
    host.is_open()
        && host.free_for(demands, PROCESSORS) >= u64::from(demands.slots)
        && (!demands.wants_whole || host.is_idle())
        && amounts.all(|(name, amount)| host.free_of(name) >= *amount)
        && host.has_place_for(demands)
        && asks.is_none_or(|asks| asks.met_now(host, &engine.jobs))
}

/// What of the farm's own resources a gang wants and there is.
struct Wants<'a> {
    globals: &'a Globals,
    each: &'a BTreeMap<GlobalName, u64>,
    left: BTreeMap<&'a GlobalName, u64>,
    /// Hosts with an instance that has one of those which all share that run there.
    has: BTreeSet<(&'a GlobalName, HostId)>,
}

impl<'a> Wants<'a> {
    fn of(job: &'a Job, globals: &'a Globals) -> Self {
        let each = &job.spec.reservation.global;
        Self {
            globals,
            each,
            left: each.keys().map(|it| (it, globals.free(it))).collect(),
            has: BTreeSet::new(),
        }
    }

    /// Takes what one more instance on a host wants; says whether there was enough of all.
    fn take(&mut self, host: HostId) -> bool {
        let is_there = |name: &'a GlobalName| {
            self.has.contains(&(name, host)) || self.globals.is_shared_on(name, host)
        };
        let each = self.each.iter();
        let wants: Vec<_> = each.filter(|(name, _)| !is_there(name)).collect();
        let left = |name: &GlobalName| self.left.get(name).copied().unwrap_or(0);
        if wants.iter().any(|(name, amount)| left(name) < **amount) {
            return false;
        }
        for (name, amount) in wants {
            self.left.entry(name).and_modify(|left| *left -= amount);
            if name.is_per_host() {
                self.has.insert((name, host));
            }
        }
        true
    }
}
