//! A made-up host: the logic of a real worker with a launcher, shepherds and processes that are only played.

use crate::chance;
use crate::world::stage::{Event, Stage};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tessera_engine::supervisor::SessionId;
use tessera_engine::worker::{Effect, Input, Worker};
use tessera_model::msg::{AttemptEnd, FromWorker, LaunchKey, Run, ToWorker};
use tessera_model::reservation::MEMORY;
use tessera_model::state::{End, Limit};
use tessera_model::{HostFacts, HostId, Identity};

/// Milliseconds of a launch, from the order until the instance is there.
const LAUNCH_MS: (u64, u64) = (20, 60);
/// Milliseconds of the end of one.
const CLOSE_MS: u64 = 5;
/// Milliseconds from the signal to the end of a process.
const END_MS: u64 = 50;
/// The uid that frames run under.
const UID: u32 = 999;

/// A host.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) index: u32,
    slots: u32,
    memory: u64,
    /// What is known of the real one that it stands for.
    kept: Option<Arc<HostFacts>>,
    worker: Worker,
    /// Its connection, when it has one.
    pub(crate) session: Option<SessionId>,
    /// It was heard of, and may be again.
    pub(crate) is_known: bool,
    /// Nobody reaches it.
    pub(crate) is_lost: bool,
    launches: BTreeMap<LaunchKey, Launch>,
    /// What it says next.
    pub(crate) outbox: Vec<FromWorker>,
    /// When it said something last.
    pub(crate) said_ms: u64,
}

/// An instance on it.
#[derive(Debug)]
struct Launch {
    since_ms: u64,
    slots: u64,
    process: Option<Process>,
    /// Begins when the process before it ends.
    held: Option<Run>,
}

/// A process of an item.
#[derive(Debug)]
struct Process {
    run: Run,
    since_ms: u64,
    end: End,
    /// An end that was planned for another is void.
    generation: u64,
}

impl Host {
    pub(crate) fn new(index: u32, slots: u32, memory: u64) -> Self {
        Self {
            index,
            slots,
            memory,
            kept: None,
            worker: Worker::new(),
            session: None,
            is_known: false,
            is_lost: false,
            launches: BTreeMap::new(),
            outbox: Vec::new(),
            said_ms: 0,
        }
    }

    /// Makes one that stands for a real one.
    pub(crate) fn like(index: u32, facts: &Arc<HostFacts>) -> Self {
        Self {
            kept: Some(Arc::clone(facts)),
            ..Self::new(index, facts.slots, 0)
        }
    }

    pub(crate) fn slots(&self) -> u32 {
        self.slots
    }

    pub(crate) fn id(&self) -> HostId {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&self.index.to_be_bytes());
        HostId(id)
    }

    /// Answers the number of the host with that id.
    pub(crate) fn index_of(id: HostId) -> usize {
        let [a, b, c, d, ..] = id.0;
        u32::from_be_bytes([a, b, c, d]) as usize
    }

    pub(crate) fn name(&self) -> String {
        let kept = self.kept.as_ref();
        kept.map_or_else(|| format!("rnd{:06}", self.index), |it| it.name.clone())
    }

    /// Answers what its worker says of it.
    pub(crate) fn facts(&self) -> HostFacts {
        if let Some(kept) = &self.kept {
            return (**kept).clone();
        }
        HostFacts {
            name: self.name(),
            slots: self.slots,
            resources: [
                ("host.cpus".to_owned(), u64::from(self.slots)),
                (MEMORY.to_owned(), self.memory),
                ("host.swap".to_owned(), 0),
            ]
            .into(),
            properties: [("host.os".to_owned(), "linux".to_owned())].into(),
            identity: Identity::Proxy("tessera-job".to_owned()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..HostFacts::default()
        }
    }

    /// Its connection was taken up.
    pub(crate) fn greeted(&mut self, stage: &mut Stage, session: SessionId) {
        self.session = Some(session);
        if !std::mem::replace(&mut self.is_known, true) {
            self.count(stage, true);
        }
        self.feed(stage, Input::Connected);
    }

    /// Its connection is gone, with what was on its way.
    pub(crate) fn cut(&mut self, stage: &mut Stage) {
        self.session = None;
        self.outbox.clear();
        self.feed(stage, Input::Disconnected);
    }

    /// Nobody reaches it any more, or somebody does again.
    pub(crate) fn set_lost(&mut self, stage: &mut Stage, is_lost: bool) {
        if self.is_lost == is_lost {
            return;
        }
        if is_lost {
            self.cut(stage);
            self.count(stage, false);
        }
        self.is_lost = is_lost;
        if !is_lost {
            self.count(stage, true);
        }
    }

    /// Adds its slots to those of the farm, or takes them away.
    fn count(&self, stage: &mut Stage, is_more: bool) {
        let taken = self.launches.values().map(|launch| launch.slots).sum();
        let works = |launch: &&Launch| launch.process.is_some();
        let working = self.launches.values().filter(works);
        let working = working.map(|launch| launch.slots).sum();
        let counts = [u64::from(self.slots), taken, working];
        for (count, by) in stage.slots.iter_mut().zip(counts) {
            *count = if is_more { *count + by } else { *count - by };
        }
    }

    /// It was told something.
    pub(crate) fn told(&mut self, stage: &mut Stage, message: ToWorker) {
        self.feed(stage, Input::Said(Box::new(message)));
    }

    pub(crate) fn heartbeat(&mut self) {
        self.outbox.push(FromWorker::Heartbeat);
    }

    fn feed(&mut self, stage: &mut Stage, input: Input) {
        for effect in self.worker.handle(stage.now(), input) {
            self.carry_out(stage, effect);
        }
    }

    fn carry_out(&mut self, stage: &mut Stage, effect: Effect) {
        match effect {
            Effect::Send(what) => {
                if self.session.is_some() {
                    self.outbox.push(what);
                }
            }
            Effect::Start { key, .. } => {
                let launch = Launch {
                    since_ms: stage.now_ms,
                    slots: stage.slots_of(key.job),
                    process: None,
                    held: None,
                };
                self.take(stage, &launch, true);
                self.launches.insert(key, launch);
                let of = [10, key.job.0, key.instance.0.into(), key.launch.0.into()];
                let after = chance::between(LAUNCH_MS, stage.seed, &of);
                stage.after(after, Event::Launched(self.index, key));
            }
            Effect::RunItem { key, run, .. } => self.run(stage, key, run),
            Effect::EndItem {
                key, run, limit, ..
            } => self.end(stage, key, run, limit),
            Effect::CloseShepherd { key } | Effect::ProveGone(key) => {
                stage.after(CLOSE_MS, Event::Gone(self.index, key));
            }
            // No scenario suspends, and there are no files.
            Effect::SetSuspended { .. } | Effect::ForgetItem { .. } | Effect::ForgetLaunch(_) => {}
        }
    }

    fn take(&self, stage: &mut Stage, launch: &Launch, is_more: bool) {
        if self.is_lost {
            return;
        }
        let taken = &mut stage.slots[1];
        *taken = if is_more {
            *taken + launch.slots
        } else {
            *taken - launch.slots
        };
    }

    fn work(&self, stage: &mut Stage, slots: u64, is_more: bool) {
        if self.is_lost {
            return;
        }
        let working = &mut stage.slots[2];
        *working = if is_more {
            *working + slots
        } else {
            *working - slots
        };
    }

    /// The launcher has done it.
    pub(crate) fn launched(&mut self, stage: &mut Stage, key: LaunchKey) {
        let started = Input::Started {
            key,
            account: "tessera-job".to_owned(),
            uid: UID,
            containment: "cgroup2".to_owned(),
        };
        self.feed(stage, started);
    }

    /// Nothing of a launch is left.
    pub(crate) fn gone(&mut self, stage: &mut Stage, key: LaunchKey) {
        let Some(mut launch) = self.launches.remove(&key) else {
            return;
        };
        if let Some(process) = launch.process.take() {
            self.work(stage, launch.slots, false);
            stage.ended(key.job, process.run.item, &End::Asked, self.is_lost);
        }
        self.take(stage, &launch, false);
        stage.used(key.job, launch.slots * (stage.now_ms - launch.since_ms));
        self.feed(stage, Input::Gone(key));
    }

    fn run(&mut self, stage: &mut Stage, key: LaunchKey, run: Run) {
        let Some(launch) = self.launches.get_mut(&key) else {
            return;
        };
        if launch.process.is_some() {
            launch.held = Some(run);
            return;
        }
        self.begin(stage, key, run);
        self.feed(stage, Input::ItemStarted { key, run });
    }

    /// Begins the process of an item.
    fn begin(&mut self, stage: &mut Stage, key: LaunchKey, run: Run) {
        let (takes_ms, end) = stage.fate(key.job, run);
        let generation = stage.after(takes_ms, Event::Over(self.index, key));
        let Some(launch) = self.launches.get_mut(&key) else {
            return;
        };
        let slots = launch.slots;
        launch.process = Some(Process {
            run,
            since_ms: stage.now_ms,
            end,
            generation,
        });
        self.work(stage, slots, true);
        stage.begun(key.job, run.item);
    }

    /// The time of a process is over, if it still is that one.
    pub(crate) fn over(&mut self, stage: &mut Stage, key: LaunchKey, generation: u64) {
        let Some(launch) = self.launches.get_mut(&key) else {
            return;
        };
        let is_it = |process: &mut Process| process.generation == generation;
        let Some(process) = launch.process.take_if(is_it) else {
            return;
        };
        let (slots, next) = (launch.slots, launch.held.take());
        self.work(stage, slots, false);
        stage.ended(key.job, process.run.item, &process.end, self.is_lost);
        let ran = Duration::from_millis(stage.now_ms - process.since_ms);
        let end = AttemptEnd {
            started: stage.wall(process.since_ms),
            elapsed: ran,
            cpu: ran,
            peak_memory: 1 << 30,
            printed: [2_000, 0],
            kept: [2_000, 0],
            ..AttemptEnd::nothing_ran(process.end, stage.wall(stage.now_ms))
        };
        if let Some(next) = next {
            self.begin(stage, key, next);
        }
        let run = process.run;
        self.feed(stage, Input::ItemEnded { key, run, end });
        if let Some(run) = next {
            self.feed(stage, Input::ItemStarted { key, run });
        }
    }

    fn end(&mut self, stage: &mut Stage, key: LaunchKey, run: Run, limit: Option<Limit>) {
        let Some(launch) = self.launches.get_mut(&key) else {
            return;
        };
        if launch.held.take_if(|held| *held == run).is_some() {
            stage.after(1, Event::GivenUp(self.index, key, run));
            return;
        }
        if let Some(process) = launch.process.as_mut().filter(|it| it.run == run) {
            process.end = limit.map_or(End::Asked, End::Limit);
            process.generation = stage.after(END_MS, Event::Over(self.index, key));
        }
    }

    /// An item that waited was given up.
    pub(crate) fn given_up(&mut self, stage: &mut Stage, key: LaunchKey, run: Run) {
        let end = AttemptEnd::nothing_ran(End::Asked, stage.wall(stage.now_ms));
        self.feed(stage, Input::ItemEnded { key, run, end });
    }

    /// Adds up what the launches that are there have used so far.
    pub(crate) fn used(&self, now_ms: u64) -> impl Iterator<Item = (tessera_model::JobId, u64)> {
        let used = move |launch: &Launch| launch.slots * (now_ms - launch.since_ms);
        let launches = self.launches.iter();
        launches.map(move |(key, launch)| (key.job, used(launch)))
    }
}
