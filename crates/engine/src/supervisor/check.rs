//! What must always hold of the engine's memory. Tests and the simulator ask after every step; it scans everything, so
//! daemons don't.

use super::dispatch::place_of;
use super::items::Size;
use super::job::Phase;
use super::{Engine, Job};
use std::collections::BTreeMap;
use std::sync::Arc;
use tessera_model::msg::LaunchKey;
use tessera_model::reservation::MEMORY;
use tessera_model::{InstanceStatus, ItemIndex, Taken};

impl Engine {
    /// Says everything that is wrong.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut holders: BTreeMap<(u64, ItemIndex), Vec<LaunchKey>> = BTreeMap::new();
        for launch in self.launches.values() {
            for run in launch.runs() {
                holders
                    .entry((launch.key.job.0, run.item))
                    .or_default()
                    .push(launch.key);
            }
            self.check_launch(launch.key, &mut faults);
        }
        for job in self.jobs.values() {
            self.check_job(job, &holders, &mut faults);
        }
        self.check_hosts(&mut faults);
        self.check_classes(&mut faults);
        self.check_globals(&mut faults);
        self.check_waits_of_all(&mut faults);
        self.check_limits(&mut faults);
        self.check_groups(&mut faults);
        self.check_shares(&mut faults);
        self.check_preempts(&mut faults);
        self.check_wide(&mut faults);
        self.check_wrangling(&mut faults);
        let sizes = |job: &&Job| Size::ALL.map(|size| self.may_start(job, size));
        let ready = self.jobs.values();
        let ready = ready.flat_map(|job| sizes(&job)).filter(|it| *it).count();
        if ready != self.planner.ready_jobs() {
            faults.push(format!(
                "{} jobs in the planner, {ready} ready",
                self.planner.ready_jobs()
            ));
        }
        faults
    }

    /// Everybody has as many instances as are counted, and who has all that they may is held back.
    fn check_limits(&self, faults: &mut Vec<String>) {
        let mut running: BTreeMap<_, u32> = BTreeMap::new();
        let owners = self
            .launches
            .keys()
            .filter_map(|key| self.jobs.get(&key.job));
        owners.for_each(|job| *running.entry(job.owner.clone()).or_insert(0) += 1);
        if running != self.running {
            faults.push(format!(
                "people have {running:?}, counted are {:?}",
                self.running
            ));
        }
        for owner in self.jobs.values().map(|job| &job.owner) {
            let is_held = self.reached_by(owner).is_some();
            if is_held != self.planner.is_held(owner) {
                faults.push(format!(
                    "jobs of {owner} held back: {is_held}, the planner thinks otherwise"
                ));
            }
        }
    }

    /// Each class has the jobs that it counts, and there is none without.
    fn check_classes(&self, faults: &mut Vec<String>) {
        let mut users: BTreeMap<usize, usize> = BTreeMap::new();
        for job in self.jobs.values() {
            let classes = Size::ALL.into_iter().filter_map(|size| job.class_of(size));
            classes.for_each(|class| *users.entry(class).or_insert(0) += 1);
        }
        let (has, counts) = (users.len(), self.planner.classes());
        if has != counts {
            faults.push(format!("jobs have {has} classes, the planner {counts}"));
        }
        for (class, users) in users {
            let counted = self.planner.users(class);
            if users != counted {
                faults.push(format!(
                    "class {class} has {users} jobs, the planner counts {counted}"
                ));
            }
        }
    }

    fn check_launch(&self, key: LaunchKey, faults: &mut Vec<String>) {
        let Some(launch) = self.launches.get(&key) else {
            return;
        };
        let Some(job) = self.jobs.get(&key.job) else {
            faults.push(format!("launch {key} of no job"));
            return;
        };
        if !self
            .hosts
            .get(&launch.host)
            .is_some_and(|host| host.launches.get(&key) == Some(&launch.taken))
        {
            faults.push(format!(
                "launch {key} not on its host, or with something else"
            ));
        }
        let owned = job
            .instance(key.instance)
            .is_some_and(|i| i.status.launch() == Some(key.launch));
        if !owned && launch.phase != Phase::Closing {
            faults.push(format!(
                "launch {key} is {:?} and no instance is on it",
                launch.phase
            ));
        }
        for run in launch.runs() {
            let core = job.items.get(run.item);
            let current = core.status.is_active() && core.attempt == run.attempt;
            if run.attempt > core.attempt {
                faults.push(format!(
                    "{key} runs attempt {} of item {}, newest is {}",
                    run.attempt, run.item, core.attempt
                ));
            }
            if !current && !job.items.is_held(run.item) {
                faults.push(format!(
                    "{key} still has item {}, which nothing holds back",
                    run.item
                ));
            }
            if owned && !current && launch.phase != Phase::Closing && core.status.is_active() {
                faults.push(format!(
                    "item {} of {key} is active with another attempt",
                    run.item
                ));
            }
        }
    }

    fn check_job(
        &self,
        job: &Job,
        holders: &BTreeMap<(u64, ItemIndex), Vec<LaunchKey>>,
        faults: &mut Vec<String>,
    ) {
        let id = job.id;
        if let Some(fault) = job.items.fault() {
            faults.push(format!("job {id}: {fault}"));
        }
        for item in job.items.indices() {
            let core = job.items.get(item);
            let held_by = holders
                .get(&(id.0, item))
                .map_or(&[] as &[LaunchKey], Vec::as_slice);
            if core.status.is_active() && held_by.len() != 1 {
                faults.push(format!(
                    "item {id}#{item} is {} on {} launches",
                    core.status,
                    held_by.len()
                ));
            }
            if held_by.len() > 1 {
                faults.push(format!("item {id}#{item} is on {held_by:?}"));
            }
            if job.items.is_held(item) && held_by.is_empty() {
                faults.push(format!("item {id}#{item} is held by nothing"));
            }
        }
        faults.extend(job.instances.fault(job.spec.instances()));
        for instance in job.instances.iter() {
            let (InstanceStatus::Running { host, launch }
            | InstanceStatus::Suspended { host, launch }) = instance.status
            else {
                continue;
            };
            let key = LaunchKey {
                job: id,
                instance: instance.no,
                launch,
            };
            if self
                .launches
                .get(&key)
                .is_none_or(|launch| launch.host != host)
            {
                faults.push(format!(
                    "instance {id}.{} is on launch {launch}, which is not there",
                    instance.no
                ));
            }
        }
        if job.status != job.derive_status() {
            faults.push(format!(
                "job {id} is {}, should be {}",
                job.status,
                job.derive_status()
            ));
        }
        if job.stake != job.stake() {
            let stake = (job.stake, job.stake());
            faults.push(format!(
                "job {id} has the stake {:?}, should be {:?}",
                stake.0, stake.1
            ));
        }
        for size in Size::ALL {
            let is_ready = self.may_start(job, size);
            let class = job.class_of(size);
            let place = place_of(self.config.queue_algorithm, job);
            let thinks = class.is_some_and(|class| self.planner.is_ready(class, place));
            if is_ready != thinks {
                faults.push(format!(
                    "job {id} ready ({size:?}): {is_ready}, the planner thinks otherwise"
                ));
            }
        }
        let is_known = self.grown_jobs.contains(&id);
        if job.grown.map(|grown| grown.growth) != job.items.growth_max()
            || job.grown.is_some() != is_known
        {
            faults.push(format!(
                "job {id}: {:?} for items that ran out of memory {:?} times",
                job.grown,
                job.items.growth_max()
            ));
        }
    }

    fn check_hosts(&self, faults: &mut Vec<String>) {
        for host in self.hosts.values() {
            let ((slots, kept), is_idle, amounts) = self.planner.free_of(host.id);
            let name = &host.facts.name;
            if slots != host.free() {
                let free = host.free();
                faults.push(format!(
                    "{name} has {free} free slots, the planner thinks {slots}"
                ));
            }
            if kept != host.gpu_slots().min(slots) {
                let own = host.gpu_slots();
                faults.push(format!(
                    "{name} keeps {own} slots for GPUs, the planner thinks {kept}"
                ));
            }
            if slots > 0 && is_idle != host.is_idle() {
                faults.push(format!(
                    "{name} is idle: {is_idle}, the planner thinks otherwise"
                ));
            }
            let is_alone = |(key, taken): (&LaunchKey, &Arc<Taken>)| taken.is_alone.then_some(*key);
            let alone = host.launches.iter().find_map(is_alone);
            if let Some(alone) = alone.filter(|_| host.launches.len() > 1) {
                let others = host.launches.len() - 1;
                faults.push(format!(
                    "{alone} has {name} to itself, and {others} others are there"
                ));
            }
            for (resource, amount) in amounts {
                let free = host.free_of(resource);
                if free != amount {
                    faults.push(format!(
                        "{name} has {free} of {resource} free, the planner thinks {amount}"
                    ));
                }
            }
            if !self.memories.contains(&(host.total_of(MEMORY), host.id)) {
                faults.push(format!("the memory of {name} is not known"));
            }
            if let Some(key) = host
                .launches
                .keys()
                .find(|key| !self.launches.contains_key(key))
            {
                faults.push(format!(
                    "{} has launch {key}, which is not there",
                    host.facts.name
                ));
            }
        }
    }
}
