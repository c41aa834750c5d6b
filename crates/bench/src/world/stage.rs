//! What hosts share: the time, what happens next, what frames are fated to, what has been counted.

use crate::chance;
use crate::plan::{Plan, Trouble};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;
use tessera_engine::Now;
use tessera_model::msg::{LaunchKey, Run};
use tessera_model::state::End;
use tessera_model::{ItemIndex, JobId, Timestamp};

/// The farm's time begins then, in milliseconds since 1970.
const WALL_MS: i64 = 1_800_000_000_000;
/// How long a frame runs that fails in a storm.
const FAILS_AFTER_MS: u64 = 1_000;

/// Something that will happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// A job is submitted.
    Submit(usize),
    /// A host connects.
    Connect(u32),
    /// A host says that it is there, if it said nothing else.
    Heartbeat(u32),
    /// A launcher has done it.
    Launched(u32, LaunchKey),
    /// The time of a process is over.
    Over(u32, LaunchKey),
    /// An item that waited was given up.
    GivenUp(u32, LaunchKey, Run),
    /// Nothing of a launch is left.
    Gone(u32, LaunchKey),
    /// Something goes wrong.
    Trouble(Trouble),
    /// The supervisor is started again.
    Revive,
    /// The connection of a host is gone.
    Away(u32),
    /// A host that was away is there again.
    Back(u32),
    /// Somebody says something.
    Word(usize),
}

/// The stage.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) now_ms: u64,
    pub(crate) seed: u64,
    pub(crate) plan: Plan,
    /// The plans of the jobs that there are.
    pub(crate) jobs: BTreeMap<JobId, usize>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    serial: u64,
    /// Slots of hosts that are there: offered, taken, working.
    pub(crate) slots: [u64; 3],
    pub(crate) begun: u64,
    pub(crate) ended_well: u64,
    /// Those of them on hosts that nobody reached: they count nothing.
    unheard: u64,
    pub(crate) ended_badly: u64,
    pub(crate) ended_by_farm: u64,
    /// Frames that failed for good.
    pub(crate) failed: u64,
    pub(crate) overlaps: u64,
    /// When a frame ended last.
    pub(crate) last_end_ms: u64,
    /// Slot time by user.
    pub(crate) used_ms: BTreeMap<u64, u64>,
    alive: BTreeMap<(JobId, ItemIndex), u32>,
    failures: BTreeMap<(JobId, ItemIndex), u32>,
    /// How often items of kept jobs ended by themselves, where the next run may be another.
    own_ends: BTreeMap<(JobId, ItemIndex), u32>,
}

impl Stage {
    pub(crate) fn new(seed: u64, plan: Plan) -> Self {
        Self {
            now_ms: 0,
            seed,
            plan,
            jobs: BTreeMap::new(),
            events: BinaryHeap::new(),
            serial: 0,
            slots: [0; 3],
            begun: 0,
            ended_well: 0,
            unheard: 0,
            ended_badly: 0,
            ended_by_farm: 0,
            failed: 0,
            overlaps: 0,
            last_end_ms: 0,
            used_ms: BTreeMap::new(),
            alive: BTreeMap::new(),
            failures: BTreeMap::new(),
            own_ends: BTreeMap::new(),
        }
    }

    /// Answers both times.
    pub(crate) fn now(&self) -> Now {
        Now {
            wall: self.wall(self.now_ms),
            elapsed: Duration::from_millis(self.now_ms),
        }
    }

    pub(crate) fn wall(&self, at_ms: u64) -> Timestamp {
        let zero_ms = self.plan.kept.as_ref().map_or(WALL_MS, |it| it.zero_ms);
        Timestamp(zero_ms.saturating_add(i64::try_from(at_ms).unwrap_or(i64::MAX / 2)))
    }

    /// Puts an event in; answers its number.
    pub(crate) fn at(&mut self, at_ms: u64, event: Event) -> u64 {
        self.serial += 1;
        self.events.push(Reverse((at_ms, self.serial, event)));
        self.serial
    }

    pub(crate) fn after(&mut self, ms: u64, event: Event) -> u64 {
        self.at(self.now_ms + ms.max(1), event)
    }

    /// Answers when something happens next.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.events.peek().map(|Reverse((at_ms, ..))| *at_ms)
    }

    /// Takes what happens now, if something does, with its number.
    pub(crate) fn take(&mut self) -> Option<(u64, Event)> {
        if self.next_at()? > self.now_ms {
            return None;
        }
        self.events
            .pop()
            .map(|Reverse((_, number, event))| (number, event))
    }

    pub(crate) fn plan_of(&self, job: JobId) -> Option<&crate::plan::JobPlan> {
        self.plan.jobs.get(*self.jobs.get(&job)?)
    }

    pub(crate) fn slots_of(&self, job: JobId) -> u64 {
        self.plan_of(job).map_or(1, |plan| plan.slots.into())
    }

    /// Answers how long a run takes and how it ends.
    pub(crate) fn fate(&self, job: JobId, run: Run) -> (u64, End) {
        if let Some(kept) = self.plan_of(job).and_then(|plan| plan.kept.as_ref()) {
            let ends = self.own_ends.get(&(job, run.item)).copied();
            return kept.fates.of(run.item.0, ends.unwrap_or(0));
        }
        let of = [11, job.0, run.item.0.into(), run.attempt.0.into()];
        let storm = self.plan.storm;
        let storm = storm.filter(|(from, to, _)| (*from..*to).contains(&self.now_ms));
        if storm.is_some_and(|(_, _, percent)| chance::is(percent, self.seed, &of)) {
            return (FAILS_AFTER_MS, End::Exit(1));
        }
        let takes = self.plan_of(job).map_or((1_000, 1_000), |it| it.takes_ms);
        (chance::between(takes, self.seed, &of), End::Exit(0))
    }

    /// Counts a process that begins.
    pub(crate) fn begun(&mut self, job: JobId, item: ItemIndex) {
        self.begun += 1;
        let alive = self.alive.entry((job, item)).or_default();
        *alive += 1;
        if *alive > 1 {
            self.overlaps += 1;
        }
    }

    /// Counts a process that ends; whether its host is one that nobody reaches.
    pub(crate) fn ended(&mut self, job: JobId, item: ItemIndex, end: &End, is_lost: bool) {
        if let Some(alive) = self.alive.get_mut(&(job, item)) {
            *alive -= 1;
            if *alive == 0 {
                self.alive.remove(&(job, item));
            }
        }
        self.last_end_ms = self.now_ms;
        let plan = self.plan_of(job);
        let retries = plan.map_or(0, crate::plan::JobPlan::retries);
        let kept = plan.and_then(|plan| plan.kept.as_ref());
        let has_more = kept.is_some_and(|kept| kept.fates.has_more(item.0));
        if has_more && !is_lost && end.outcome() != tessera_model::state::Outcome::Interrupted {
            *self.own_ends.entry((job, item)).or_default() += 1;
        }
        match end {
            End::Exit(0) => {
                self.ended_well += 1;
                self.unheard += u64::from(is_lost);
            }
            End::Asked | End::Limit(_) | End::Lost => self.ended_by_farm += 1,
            End::Exit(_)
            | End::Signal(_)
            | End::NotStarted(_)
            | End::OutOfMemory { .. }
            | End::ShepherdEnded { .. } => {
                self.ended_badly += 1;
                let failures = self.failures.entry((job, item)).or_default();
                *failures += 1;
                self.failed += u64::from(*failures == retries + 1);
            }
        }
    }

    /// Adds slot time to what a job's user has got.
    pub(crate) fn used(&mut self, job: JobId, slot_ms: u64) {
        let user = self.plan_of(job).map_or(0, |plan| plan.user);
        *self.used_ms.entry(user).or_default() += slot_ms;
    }

    /// Counts the frames that are over, as hosts see it.
    pub(crate) fn ends(&self) -> u64 {
        self.ended_well - self.unheard + self.failed
    }
}
