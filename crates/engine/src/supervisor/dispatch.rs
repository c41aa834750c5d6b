//! From ready items to running ones: placing instances, giving them items, taking slots back; and the setters through
//! which every state of a job changes.

use super::act::bare;
use super::gpu_slots::is_without_gpus;
use super::host::Host;
use super::io::{Change, Effect, StartOrder, kind};
use super::items::{ItemCore, Size};
use super::job::{Launch, Orders, Phase};
use super::judging::Judging;
use super::plan::{Place, Placement};
use super::preempt::MADE_PER_TURN_MAX;
use super::report::STOPS;
use super::share::{Stake, second_place};
use super::time::Timer;
use super::wide::empties::Empties;
use super::wrangle::HELD;
use super::{About, Algorithm, Engine, Job, Turn, gang};
use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tessera_model::host::LIMITS_PROPERTY;
use tessera_model::msg::{LaunchKey, Run, RunLimits, ToWorker};
use tessera_model::reservation::{MEMORY_UNIT, PROCESSORS};
use tessera_model::{
    Attempt, HostFacts, HostId, InstanceNo, InstanceStatus, ItemIndex, ItemStatus, JobFlag, JobId,
    JobSpec, KernelLimits, LaunchNo, Taken, WorkStatus,
};

/// How long an item that was given ahead may wait behind the current one before it is taken back, where the job's other instances have
/// nothing else to take.
const AHEAD_PATIENCE: Duration = Duration::from_millis(500);
/// The same while they have: only its place in the order is late. The word that it is over may be late as well, when much is over at once.
const AHEAD_PATIENCE_BUSY: Duration = Duration::from_secs(5);

impl Engine {
    /// Places what can be placed.
    pub(super) fn dispatch(&mut self, t: &mut Turn<'_>) {
        if self.is_stopped() {
            // What the planner would look at is still to be looked at when that is over. No host is kept for nobody meanwhile.
            self.keep_for_nobody(t);
            return;
        }
        let wanted = RefCell::new(BTreeSet::new());
        let mut left = MADE_PER_TURN_MAX;
        let mut tries = gang::Tries::default();
        while !self.is_farm_paced() {
            if self.start_gang(t, &wanted, &mut tries) {
                continue;
            }
            let judge = Judging {
                jobs: &self.jobs,
                hosts: &self.hosts,
                credentials: &self.credentials,
                empties: Empties {
                    jobs: &self.jobs,
                    launches: &self.launches,
                    algorithm: self.config.queue_algorithm,
                    weights: &self.config.cluster_weights,
                    now: t.now,
                },
                now: t.now,
                wanted: &wanted,
            };
            if let Some(placement) = self.planner.next(&judge) {
                self.place(t, placement);
            } else if self.let_wide_go(t) || self.preempt(t, &wanted, &mut left) {
                tries.anew();
            } else {
                break;
            }
        }
        // That the farm's rate ended the turn is no reason to keep a host for nobody, nor room.
        self.keep_for_nobody(t);
        for id in wanted.into_inner() {
            self.start_check(t, &id);
        }
    }

    /// Keeps neither hosts nor room for who does not want it any more, whether something may start now or not.
    fn keep_for_nobody(&mut self, t: &mut Turn<'_>) {
        if self.preempts_anybody() {
            self.give_up_unwanted(t);
            self.note_changed();
        }
        self.let_wide_go(t);
    }

    pub(super) fn place(&mut self, t: &mut Turn<'_>, placement: Placement) {
        let Placement {
            job: id,
            host: host_id,
            class,
        } = placement;
        let next = self.jobs.get(&id).zip(self.hosts.get(&host_id));
        let next = next.and_then(|(job, host)| {
            let size = job.size_of(class)?;
            let (no, item) = job.next_instance_on(size, host_id)?;
            Some((no, item, Arc::new(self.takes(job, size, host))))
        });
        let (Some((no, item, taken)), Some(host)) = (next, self.hosts.get_mut(&host_id)) else {
            // The index said ready and is wrong: mend it rather than ask for ever.
            self.index_job(id);
            self.refresh_host(host_id);
            return;
        };
        // What is kept for this one among it.
        let has = |(name, amount): (&String, &u64)| host.unused_of(name) >= *amount;
        let slots = u64::from(taken.slots);
        debug_assert!(host.unused_of(PROCESSORS) >= slots && taken.amounts.iter().all(has));
        let kept = u64::from(host.gpu_slots()) * u64::from(is_without_gpus(&taken));
        debug_assert!(host.unused_of(PROCESSORS) >= slots + kept);
        let mut global = taken.global.iter();
        debug_assert!(global.all(|(name, amount)| self.globals.can_give(name, *amount, host_id)));
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let Some(instance) = job.instances.get_mut(no) else {
            return;
        };
        instance.launch_last = LaunchNo(instance.launch_last.0 + 1);
        instance.last_host = Some(host_id);
        if job.spec.is_once_a_host() {
            job.visited.insert(host_id, no);
        }
        let key = LaunchKey {
            job: id,
            instance: no,
            launch: instance.launch_last,
        };
        let first = Run {
            item,
            attempt: Attempt(job.items.get(item).attempt.0 + 1),
        };
        let launch = Launch {
            key,
            host: host_id,
            account: host
                .facts
                .identity
                .account_for(job.owner.as_str())
                .to_owned(),
            taken: Arc::clone(&taken),
            mode: host.facts.identity.word(),
            phase: Phase::Open,
            current: None,
            ahead: VecDeque::new(),
            current_since: t.now.wall,
            current_started: None,
            progress: None,
            since: t.now.wall,
            is_started: false,
            ahead_max: 0,
            ahead_since: Duration::ZERO,
            is_watched: false,
            orders: Orders::started(host.session, first),
        };
        host.launches.insert(key, Arc::clone(&taken));
        let host_name = host.facts.name.clone();
        let session = host.session;
        t.event(
            kind::INSTANCE_ASSIGNED,
            About::launch(key, host_id),
            format!(
                "instance {id}.{no} goes to {host_name} as {}",
                launch.account
            ),
        );
        let order = StartOrder {
            key,
            owner: job.owner.clone(),
            proof: job.proof.clone(),
            account: launch.account.clone(),
            mode: launch.mode,
            spec: Arc::clone(&job.spec),
            taken,
            kernel: kernel_limits(&job.spec, &launch.taken, &host.facts),
            variables: host.variables_for(&launch.taken),
            limits: limits_of(&job.spec),
            run: first,
        };
        self.launches.insert(key, launch);
        self.count_in(&order.owner);
        self.count_group_in(id);
        self.count_share_in(id, order.taken.slots);
        self.note_start(id, &order.taken);
        let emptied = self.planner.kept_on(host_id);
        if emptied.is_some_and(|it| it.class == class) {
            self.leaving.stays(key);
        }
        self.wide_placed(class, host_id);
        self.refresh_host(host_id);
        self.set_instance(
            t,
            id,
            no,
            InstanceStatus::Running {
                host: host_id,
                launch: key.launch,
            },
        );
        let run = self.assign(t, key, item);
        debug_assert_eq!(run, Some(order.run));
        self.send_credential(t, host_id, &order.owner);
        if let Some(session) = session {
            t.effect(Effect::Start {
                host: host_id,
                session,
                order: Box::new(order),
            });
        }
        self.settle(t, id);
    }

    /// Makes an item the current one of a launch, or the last of those given ahead when it has a current one, with the next
    /// attempt number.
    fn assign(&mut self, t: &mut Turn<'_>, key: LaunchKey, item: ItemIndex) -> Option<Run> {
        let launch = self.launches.get_mut(&key)?;
        let job = self.jobs.get_mut(&key.job)?;
        let mut core = job.items.get(item);
        core.attempt = Attempt(core.attempt.0 + 1);
        core.status = ItemStatus::Running;
        let run = Run {
            item,
            attempt: core.attempt,
        };
        if launch.current.is_none() {
            launch.current = Some(run);
            launch.current_since = t.now.wall;
            launch.current_started = None;
            launch.progress = None;
        } else {
            launch.ahead.push_back(run);
        }
        job.started.get_or_insert(t.now.wall);
        let host = launch.host;
        t.change(Change::Launch(key));
        self.set_item(
            t,
            key.job,
            item,
            core,
            About::run(key, host, run),
            kind::ITEM_ASSIGNED,
            String::new(),
        );
        Some(run)
    }

    /// Says whether a host has given more of what a launch has than it offers now, what is about to end left out: it was told to offer
    /// less, or keeps more for GPUs. What runs goes on, and no such launch takes another item until the rest fits.
    fn is_overfull(&self, host: &Host, taken: &Taken) -> bool {
        let stays = |key: &LaunchKey| {
            let launch = self.launches.get(key);
            launch.is_some_and(|it| !matches!(it.phase, Phase::Closing | Phase::Finishing(_)))
        };
        let staying = || host.launches.iter().filter(|(key, _)| stays(key));
        let slots = || staying().fold(0, |sum: u32, (_, taken)| sum.saturating_add(taken.slots));
        let amount = |name: &String| {
            let amounts = staying().filter_map(|(_, taken)| taken.amounts.get(name));
            amounts.fold(0, |sum: u64, amount| sum.saturating_add(*amount))
        };
        let is_short_of = |name: &String| {
            let total = host.total_of(name);
            host.used_of(name) > total && amount(name) > total
        };
        let kept = match is_without_gpus(taken) {
            true => host.gpu_slots(),
            false => 0,
        };
        let offered = host.open_slots().saturating_sub(kept);
        (host.used() > offered && slots() > offered) || taken.amounts.keys().any(is_short_of)
    }

    /// Says whether a launch may take another item where it is: its host may have its job's, and offers what it has, and the farm has
    /// as much of its own resources and starts something at all.
    pub(super) fn may_stay(&self, key: LaunchKey) -> bool {
        let Some(launch) = self.launches.get(&key).filter(|_| !self.is_stopped()) else {
            return false;
        };
        let pair = self.hosts.get(&launch.host).zip(self.jobs.get(&key.job));
        pair.is_some_and(|(host, job)| {
            host.may_keep(job.owner.as_str())
                && host.suits(self.planner.demands(job.class))
                && !self.is_overfull(host, &launch.taken)
                && !self.is_over_its_share(&launch.taken)
                && self.may_go_on(key, job, host)
        })
    }

    /// Gives an idle launch its next item, or ends it; gives one whose items are over quickly another ahead.
    pub(super) fn advance(&mut self, t: &mut Turn<'_>, key: LaunchKey) {
        let Some(launch) = self.launches.get(&key) else {
            return;
        };
        let (host_id, phase) = (launch.host, launch.phase);
        let is_idle = launch.current.is_none();
        let job = self.jobs.get(&key.job);
        let taken = Arc::clone(&launch.taken);
        let may_stay = self.may_stay(key);
        let owns = job.and_then(|job| job.instance(key.instance)).is_some_and(|instance| {
            matches!(instance.status, InstanceStatus::Running { launch, .. } if launch == key.launch)
        });
        if !is_idle {
            if phase == Phase::Open && owns && may_stay {
                if self.evens_out(t, key) {
                    self.take_host_from(t, key, false);
                } else {
                    self.give_ahead(t, key, host_id);
                }
            }
            return;
        }
        match phase {
            Phase::Closing => {}
            Phase::Open if owns && may_stay => {
                match job.and_then(|job| job.next_item(key.instance, &taken)) {
                    Some(_) if self.leaves_instead(t, key) => {}
                    Some(_) if self.makes_room_beneath(key) || self.evens_out(t, key) => {
                        self.close(t, key, WorkStatus::Pending, Duration::ZERO);
                    }
                    Some(item) => {
                        if let Some(run) = self.assign(t, key, item) {
                            self.send_run(t, key, host_id, run);
                        }
                        self.advance(t, key);
                    }
                    None => self.close(t, key, WorkStatus::Pending, Duration::ZERO),
                }
            }
            Phase::Open => self.close(t, key, WorkStatus::Pending, Duration::ZERO),
            Phase::Finishing(next) => self.close(t, key, next, Duration::ZERO),
        }
    }

    /// Gives a launch with a current item others to run right after it, while the job has more ready items than instances:
    /// what the others could take at once is left to them.
    fn give_ahead(&mut self, t: &mut Turn<'_>, key: LaunchKey, host: HostId) {
        loop {
            let Some(launch) = self.launches.get_mut(&key) else {
                return;
            };
            if launch.ahead.len() >= launch.ahead_max {
                return;
            }
            if launch.ahead.is_empty() {
                launch.ahead_since = t.now.elapsed;
            }
            let job = self.jobs.get(&key.job).filter(|job| !job.is_cmdline());
            let job = job.filter(|job| job.has_more_than_it_takes());
            let item = job.and_then(|job| job.next_item(key.instance, &launch.taken));
            let Some(run) = item.and_then(|item| self.assign(t, key, item)) else {
                return;
            };
            self.send_run(t, key, host, run);
            self.watch_ahead(t, key);
        }
    }

    /// Orders a launch to run an item.
    pub(super) fn send_run(&mut self, t: &mut Turn<'_>, key: LaunchKey, host: HostId, run: Run) {
        let session = self.session_of(host);
        if let Some(launch) = self.launches.get_mut(&key) {
            launch.orders.sent(run, session);
        }
        self.send(t, host, ToWorker::Run { key, run });
    }

    fn watch_ahead(&mut self, t: &mut Turn<'_>, key: LaunchKey) {
        if let Some(launch) = self.launches.get_mut(&key)
            && !std::mem::replace(&mut launch.is_watched, true)
        {
            let due = t.now.elapsed + AHEAD_PATIENCE;
            self.timers.set(due, Timer::Ahead(key));
        }
    }

    /// Items that were given ahead and wait for long behind a slow one go back to where other instances can take them.
    pub(super) fn ahead_over(&mut self, t: &mut Turn<'_>, key: LaunchKey) {
        let job = self.jobs.get(&key.job);
        let Some(launch) = self.launches.get_mut(&key) else {
            return;
        };
        let patience = match job.is_some_and(super::Job::has_more_than_it_takes) {
            true => AHEAD_PATIENCE_BUSY,
            false => AHEAD_PATIENCE,
        };
        let due = launch.ahead_since + patience;
        launch.is_watched = !launch.ahead.is_empty() && due > t.now.elapsed;
        if launch.is_watched {
            // The others may have nothing to take by then.
            let due = due.min(t.now.elapsed + AHEAD_PATIENCE);
            self.timers.set(due, Timer::Ahead(key));
        } else if !launch.ahead.is_empty() {
            launch.ahead_max = 0;
            self.recall(t, key);
            self.settle(t, key.job);
        }
    }

    /// Takes back what a launch was given ahead; it may start again when the worker has said that it did not. What ended before
    /// the worker heard of it counts (`report`).
    pub(super) fn recall(&mut self, t: &mut Turn<'_>, key: LaunchKey) {
        let Some(launch) = self.launches.get(&key) else {
            return;
        };
        let host = launch.host;
        // The last first, so that none of them begins meanwhile.
        for run in launch.ahead.iter().rev().copied().collect::<Vec<_>>() {
            if self.is_current(key.job, run) {
                self.recall_one(t, key, host, run);
            }
        }
    }

    /// Takes back what was given ahead of a job and waits for others again: it has not begun, so it must not.
    pub(super) fn recall_shut(&mut self, t: &mut Turn<'_>, id: JobId) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let ahead = self.launches_of(id).flat_map(|launch| {
            let runs = launch.ahead.iter().rev();
            runs.map(|run| (launch.key, launch.host, *run))
        });
        let shut = ahead.filter(|(.., run)| job.items.is_shut(run.item));
        for (key, host, run) in shut.collect::<Vec<_>>() {
            if self.is_current(id, run) {
                self.recall_one(t, key, host, run);
            }
        }
    }

    fn recall_one(&mut self, t: &mut Turn<'_>, key: LaunchKey, host: HostId, run: Run) {
        let Some(job) = self.jobs.get_mut(&key.job) else {
            return;
        };
        let mut core = job.items.get(run.item);
        core.status = ItemStatus::Pending;
        job.items.hold(run.item);
        let text = "taken back before it began".to_owned();
        self.set_item(
            t,
            key.job,
            run.item,
            core,
            About::job(key.job),
            kind::ITEM_CHANGED,
            text,
        );
        if let Some(job) = self.jobs.get_mut(&key.job) {
            job.items.take_back(run.item);
        }
        let grace = Duration::ZERO;
        self.send(t, host, ToWorker::EndItem { key, run, grace });
    }

    /// Tells a launch to end; its instance becomes `next` at once, its slot is free when it is gone.
    pub(super) fn close(
        &mut self,
        t: &mut Turn<'_>,
        key: LaunchKey,
        next: WorkStatus,
        grace: Duration,
    ) {
        let Some(launch) = self.launches.get_mut(&key) else {
            return;
        };
        let host = launch.host;
        let is_held = launch.phase == HELD && next == WorkStatus::Pending;
        let next = if is_held { WorkStatus::Blocked } else { next };
        if launch.phase != Phase::Closing {
            self.recall(t, key);
            let Some(launch) = self.launches.get_mut(&key) else {
                return;
            };
            launch.phase = Phase::Closing;
            t.change(Change::Launch(key));
            self.send(t, host, ToWorker::Close { key, grace });
        }
        self.leave_launch(t, key, bare(next));
    }

    /// Takes an instance off its launch, if it still is on it. Of a job that stopped it has failed, of one that
    /// is at fault it is blocked, whatever became of the launch.
    pub(super) fn leave_launch(
        &mut self,
        t: &mut Turn<'_>,
        key: LaunchKey,
        status: InstanceStatus,
    ) {
        let instance = self
            .jobs
            .get(&key.job)
            .and_then(|job| job.instance(key.instance));
        if instance.is_some_and(|instance| instance.status.launch() == Some(key.launch)) {
            let phase = self.launches.get(&key).map(|it| it.phase);
            let status = match phase.filter(|_| !status.kind().is_ended()) {
                Some(STOPS) => InstanceStatus::Failed,
                Some(HELD) => InstanceStatus::Blocked,
                Some(_) | None => status,
            };
            self.set_instance(t, key.job, key.instance, status);
        }
    }

    /// Changes an item, with a line of history; the only way an item changes while the farm runs.
    #[expect(
        clippy::too_many_arguments,
        reason = "one line of history needs them all"
    )]
    pub(super) fn set_item(
        &mut self,
        t: &mut Turn<'_>,
        id: JobId,
        item: ItemIndex,
        core: ItemCore,
        mut about: About,
        kind: &'static str,
        text: String,
    ) {
        let before = self.seen(id, item);
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.items.set(item, core);
        if let Some(before) = before {
            self.item_moved(id, item, before);
            self.own_item_moved(id, before.0, core.status);
        }
        about.item = Some(item);
        about.attempt = Some(core.attempt);
        t.record(kind, about, Some(core.pack()), text);
        t.change(Change::JobRow(id));
    }

    /// Changes an instance; the only way an instance changes while the farm runs.
    pub(super) fn set_instance(
        &mut self,
        t: &mut Turn<'_>,
        id: JobId,
        no: InstanceNo,
        status: InstanceStatus,
    ) {
        let (word, noted) = (status.kind(), status.clone());
        let job = self.jobs.get_mut(&id);
        if !job.is_some_and(|job| job.instances.set(no, status)) {
            return;
        }
        self.note_instance(id, no, &noted);
        if word == WorkStatus::Badlogin {
            self.badlogins.insert(id);
        }
        t.change(Change::Instance(id, no));
        self.instance_moved(id, no);
    }

    /// Brings instances, derived state and index of a job in line with its items. Called after anything changed in it.
    pub(super) fn settle(&mut self, t: &mut Turn<'_>, id: JobId) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let is_over = job.items.ended() == job.items.len();
        // Each launch that ends after that comes here, too.
        let idle: Vec<InstanceNo> = match is_over {
            true => job.instances.idle().collect(),
            false => Vec::new(),
        };
        for no in idle {
            self.set_instance(t, id, no, InstanceStatus::Complete);
        }
        self.bar_job(t, id);
        self.refresh_job(t, id);
    }

    /// Derives the state of a job anew and tells who needs to know.
    pub(super) fn refresh_job(&mut self, t: &mut Turn<'_>, id: JobId) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let before = job.status;
        if job.derive_status().is_ended() {
            self.unwatch(id);
            self.told_no_more(id);
        } else {
            self.watch(id);
        }
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let status = job.derive_status();
        job.status = status;
        if status != before {
            job.ended = status.is_ended().then_some(t.now.wall);
            t.change(Change::JobRow(id));
            t.event(kind::JOB_STATUS, About::job(id), status.word().to_owned());
            if status.is_ended() {
                t.effect(Effect::JobEnded { job: id, status });
            }
        }
        self.index_job(id);
        if status.is_ended() != before.is_ended() {
            self.items_left(id);
        }
        if status.is_ended() {
            self.forget_wrangling(id);
        }
        self.job_moved(id);
    }

    /// Tells the planner whether the job is ready.
    pub(super) fn index_job(&mut self, id: JobId) {
        self.restake(id);
        let job = self.jobs.get(&id);
        if job.is_some_and(|job| job.grown.map(|grown| grown.growth) != job.items.growth_max()) {
            self.unready(id);
            self.regrow(id, false);
        }
        let algorithm = self.config.queue_algorithm;
        let mut is_new = false;
        if let Some(job) = self.jobs.get(&id) {
            for size in Size::ALL {
                let is_ready = self.may_start(job, size);
                if let Some(class) = job.class_of(size) {
                    let place = place_of(algorithm, job);
                    is_new |= self.planner.set_ready(class, place, is_ready);
                }
            }
        }
        self.note_index(id, is_new);
    }

    /// Says whether a job has an instance with something of that size to do, and may start one now.
    pub(super) fn may_start(&self, job: &Job, size: Size) -> bool {
        job.next_instance_of(size).is_some()
            && job.is_all_ready()
            && !self.is_job_paced(job)
            && self.may_have_next(job)
    }

    /// Takes the job out of the planner's index, before its class or place changes.
    pub(super) fn unready(&mut self, id: JobId) {
        let algorithm = self.config.queue_algorithm;
        if let Some(job) = self.jobs.get(&id) {
            for class in Size::ALL.into_iter().filter_map(|size| job.class_of(size)) {
                self.planner
                    .set_ready(class, place_of(algorithm, job), false);
            }
        }
    }
}

/// Answers where a job stands among the ready ones.
pub(super) fn place_of(algorithm: Algorithm, job: &Job) -> Place {
    match job.stake {
        Stake::Primary => place_as_primary(algorithm, job),
        Stake::Secondary(level) => second_place(job, level),
    }
}

/// Answers where what is primary of a job stands.
pub(super) fn place_as_primary(algorithm: Algorithm, job: &Job) -> Place {
    let priority = match algorithm {
        // Better than the best that a job can have.
        _ if job.spec.flags.contains(&JobFlag::Elite) => 0,
        Algorithm::Queue => 1,
        Algorithm::Priority | Algorithm::Cluster => job.spec.priority,
    };
    (priority, job.order, job.id)
}

/// What the kernel keeps an instance to: what it took, where its job said so itself.
/// Of that only what the host says that it can keep it to: its launcher refuses the rest.
fn kernel_limits(spec: &JobSpec, taken: &Taken, host: &HostFacts) -> KernelLimits {
    let can = host.properties.get(LIMITS_PROPERTY);
    let can = |word| can.is_some_and(|all| all.split(',').any(|it| it.trim() == word));
    let bytes = |mebibytes: u64| mebibytes.saturating_mul(MEMORY_UNIT);
    let slots = (!spec.reservation.is_one_slot()).then_some(taken.slots);
    KernelLimits {
        memory: taken.memory().map(bytes).filter(|_| can("memory")),
        processes: slots.filter(|_| can("pids")),
        weight: slots.filter(|_| can("cpu")),
    }
}

fn limits_of(spec: &JobSpec) -> RunLimits {
    RunLimits {
        timelimit: spec.timelimit,
        agendatimelimit: spec.agendatimelimit,
        silence_limit: spec.silence_limit,
        grace: spec.grace,
        output_limit: spec.output_limit,
        progress: spec.progress.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_model::Reservation;
    use tessera_model::reservation::MEMORY;

    #[test]
    fn an_instance_is_kept_to_what_its_host_can_keep_it_to() {
        let reservation = Reservation {
            slots: 2,
            amounts: [(MEMORY.to_owned(), 8)].into(),
            ..Reservation::default()
        };
        let taken = Taken {
            slots: 2,
            amounts: reservation.amounts.clone(),
            ..Taken::default()
        };
        let mut spec = crate::supervisor::tests::spec(1);
        spec.reservation = reservation;
        let of = |can: Option<&str>| {
            let can = can.map(|can| (LIMITS_PROPERTY.to_owned(), can.to_owned()));
            let host = HostFacts {
                properties: can.into_iter().collect(),
                ..HostFacts::default()
            };
            kernel_limits(&spec, &taken, &host)
        };
        let all = KernelLimits {
            memory: Some(8 << 20),
            processes: Some(2),
            weight: Some(2),
        };
        assert_eq!(of(Some("memory,pids,cpu")), all);
        let no_memory = KernelLimits {
            memory: None,
            ..all
        };
        assert_eq!(of(Some("pids,cpu")), no_memory);
        let only_memory = KernelLimits {
            memory: Some(8 << 20),
            ..KernelLimits::default()
        };
        assert_eq!(of(Some("memory")), only_memory);
        assert_eq!(of(None), KernelLimits::default());
    }
}
