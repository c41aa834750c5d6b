//! The farm and its time: what happens next, a turn of the supervisor, what it ordered, and on.

mod kept;
mod observe;
mod report;
mod restart;
pub(crate) mod stage;

use crate::host::Host;
use crate::measure::{Samples, Spent, resident_bytes};
use crate::metered::{Meter, Metered, Reading};
use crate::nothing::Nothing;
use crate::options::{Options, StoreKind};
use crate::plan::{HOSTS_AT_MS, Plan, RESTART_MS, Trouble};
use crate::report::{Fill, Memory, Restart};
use crate::{BenchError, chance};
use stage::{Event, Stage};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tessera_engine::supervisor::{Answer, Input, Submission, WideJobs};
use tessera_model::msg::{FromWorker, ToWorker};
use tessera_model::{HostId, JobId, Principal, Proof};
use tessera_spec::SubmissionDraft;
use tessera_store::Store;
use tessera_store::memory::MemoryDisk;
use tessera_store::sqlite::SqliteStore;
use tessera_supervisor::driven::{Driven, Turned};
use tessera_wire::convert::{
    decode_from_worker, decode_to_worker, encode_from_worker, encode_to_worker,
};

/// The file of the store.
const STORE_FILE: &str = "tessera.db";
/// How often a worker says that it is there.
const HEARTBEAT_MS: u64 = 10_000;
/// How long after a supervisor that was killed came back its hosts come.
const AGAIN_MS: (u64, u64) = (100, 3_000);
/// Time of the farm without the end of a frame after which nothing more is expected.
const STALL_MS: u64 = 2 * 3_600_000;
/// Time of the farm after which a run ends.
const VIRTUAL_MAX_MS: u64 = 30 * 24 * 3_600_000;
/// Time of the farm between two counts of the frames that are over.
const COUNT_EVERY_MS: u64 = 500;
/// Turns between two looks at the real time.
const LOOK_EVERY: u64 = 256;

/// What was measured when the hosts came: what follows is the farm at work.
#[derive(Debug, Clone, Default)]
struct Mark {
    spent: Spent,
    reading: Reading,
    looked_at: u64,
    placements: u64,
}

/// What was asked of the supervisor.
#[derive(Debug, Clone, Copy)]
enum Asked {
    /// To take a job of the plan.
    Job(usize),
    /// What somebody said on the real farm.
    Word,
}

/// The farm.
pub(crate) struct World {
    options: Options,
    farm_slots: u64,
    stage: Stage,
    hosts: Vec<Host>,
    /// Absent while it is dead.
    driven: Option<Driven>,
    folder: TempDir,
    disk: MemoryDisk,
    meter: Meter,
    /// What waits for its answer.
    asked: VecDeque<Asked>,
    /// The number of the next job.
    next_job: u64,
    /// What is still to be submitted or said, and when the last of it.
    coming: usize,
    last_coming_ms: u64,
    played: kept::Played,
    submitted_frames: u64,
    /// Hosts with something to say.
    talking: Vec<u32>,
    samples: Samples,
    spent: Spent,
    turn_us: Vec<u32>,
    /// What engines before this one looked at.
    looked_before: u64,
    mark: Mark,
    placements: u64,
    hash: u64,
    /// Slot time while nobody was busy with counting: offered, taken, working.
    slot_ms: [u64; 3],
    /// The same of what was offered and worked while frames waited.
    waiting_ms: [u64; 2],
    /// What users had got when half was done.
    half: Option<Vec<(u64, u64)>>,
    memory: Memory,
    fill: Option<Fill>,
    restart: Option<Restart>,
    /// When the supervisor that came back had been busy how long; until it gives out a frame.
    dispatching_from: Option<Duration>,
    began: Instant,
    is_cut: bool,
    /// When the frames that are over are counted again.
    count_at_ms: u64,
}

impl World {
    /// Opens an empty farm, lets its hosts join and plans what will happen.
    pub(crate) fn new(options: &Options) -> Result<Self, BenchError> {
        Self::of(options, Plan::of(options))
    }

    /// Opens an empty farm for a plan.
    pub(crate) fn of(options: &Options, plan: Plan) -> Result<Self, BenchError> {
        let before = resident_bytes();
        let folder = tempfile::Builder::new()
            .prefix("tessera-bench-")
            .tempdir_in(&options.folder)
            .map_err(|source| BenchError::Io {
                doing: "make a folder in",
                path: options.folder.clone(),
                source,
            })?;
        let mut stage = Stage::new(options.seed, plan);
        for (number, job) in stage.plan.jobs.clone().iter().enumerate() {
            stage.at(job.at_ms, Event::Submit(number));
        }
        let kept = stage.plan.kept.clone();
        match &kept {
            None => {
                for host in 0..options.hosts {
                    stage.at(HOSTS_AT_MS, Event::Connect(host));
                }
            }
            Some(farm) => kept::stage_farm(&mut stage, farm),
        }
        for (at_ms, trouble) in stage.plan.troubles.clone() {
            stage.at(at_ms, Event::Trouble(trouble));
        }
        let hosts: Vec<Host> = match &kept {
            None => {
                let hosts = (0..options.hosts).zip(&stage.plan.memory);
                hosts
                    .map(|(index, memory)| Host::new(index, options.slots, *memory))
                    .collect()
            }
            Some(farm) => {
                let hosts = (0..).zip(&farm.hosts);
                hosts
                    .map(|(index, host)| Host::like(index, &host.facts))
                    .collect()
            }
        };
        let jobs = stage.plan.jobs.iter().map(|job| job.at_ms);
        let words = kept.iter().flat_map(|farm| &farm.words);
        let coming: Vec<u64> = jobs.chain(words.map(|word| word.at_ms)).collect();
        let mut world = Self {
            options: options.clone(),
            farm_slots: hosts.iter().map(|host| u64::from(host.slots())).sum(),
            stage,
            hosts,
            driven: None,
            folder,
            disk: MemoryDisk::new(),
            meter: Meter::default(),
            asked: VecDeque::new(),
            next_job: 1,
            coming: coming.len(),
            last_coming_ms: coming.into_iter().max().unwrap_or(0),
            played: kept::Played::default(),
            submitted_frames: 0,
            talking: Vec::new(),
            samples: Samples::default(),
            spent: Spent::default(),
            turn_us: Vec::new(),
            looked_before: 0,
            mark: Mark::default(),
            placements: 0,
            hash: 0xcbf2_9ce4_8422_2325,
            slot_ms: [0; 3],
            waiting_ms: [0; 2],
            half: None,
            memory: Memory {
                before,
                ..Memory::default()
            },
            fill: None,
            restart: None,
            dispatching_from: None,
            began: Instant::now(),
            is_cut: false,
            count_at_ms: 0,
        };
        let mut driven = world.open()?;
        let names: Vec<(HostId, String)> = world
            .hosts
            .iter()
            .map(|host| (host.id(), host.name()))
            .collect();
        driven.enrol(&names).map_err(|what| world.wrong(what))?;
        world.driven = Some(driven);
        Ok(world)
    }

    fn wrong(&self, what: String) -> BenchError {
        BenchError::Wrong {
            at_ms: self.stage.now_ms,
            what,
        }
    }

    fn store_path(&self) -> PathBuf {
        self.folder.path().join("store").join(STORE_FILE)
    }

    /// Starts the supervisor on its store.
    fn open(&self) -> Result<Driven, BenchError> {
        let store: Box<dyn Store> = match self.options.store {
            StoreKind::Sqlite => Box::new(SqliteStore::open(&self.store_path())?),
            StoreKind::Memory => Box::new(self.disk.open()),
            StoreKind::Nothing => Box::new(Nothing::default()),
        };
        let store = Metered::boxed(store, &self.meter);
        let licences = self.stage.plan.licences;
        let licences = licences.and_then(|n| Some((crate::plan::LICENCE.parse().ok()?, n)));
        let made = || tessera_engine::supervisor::Config {
            global_resources: licences.into_iter().collect(),
            wide_jobs: WideJobs {
                hosts_percent: self.options.wide_hosts,
                ..WideJobs::default()
            },
            ..Default::default()
        };
        let kept = self.stage.plan.kept.as_ref();
        let config = kept.map_or_else(made, |farm| farm.config.clone());
        let keys = self.folder.path().join("keys");
        Ok(Driven::open(store, config, &keys, self.stage.now())?)
    }

    /// Copies the store to where it is to be kept, if it is.
    pub(crate) fn keep(&self) -> Result<(), BenchError> {
        if let Some(to) = &self.options.keep {
            tessera_store::sqlite::backup(&self.store_path(), to)?;
        }
        Ok(())
    }

    /// Lets the time pass until the scenario has shown enough.
    pub(crate) fn run(&mut self) -> Result<(), BenchError> {
        while let Some(at_ms) = self.next_at() {
            if self.is_over(at_ms) {
                break;
            }
            self.pass(at_ms);
            while let Some((number, event)) = self.stage.take() {
                self.happen(number, event)?;
            }
            self.say()?;
            while self.wants_turn() {
                self.turn()?;
                self.say()?;
            }
            self.observe();
        }
        self.sample();
        Ok(())
    }

    /// Answers when something happens next.
    fn next_at(&self) -> Option<u64> {
        let deadline = self.driven.as_ref().and_then(Driven::next_deadline);
        let deadline = deadline.map(|at| {
            let whole = u64::try_from(at.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX);
            whole.max(self.stage.now_ms)
        });
        self.stage.next_at().into_iter().chain(deadline).min()
    }

    fn is_over(&mut self, at_ms: u64) -> bool {
        if (self.turn_us.len() as u64).is_multiple_of(LOOK_EVERY)
            && self.began.elapsed() > Duration::from_secs(60 * u64::from(self.options.minutes))
        {
            self.is_cut = true;
        }
        if self.stage.plan.kept.is_some() {
            return self.is_cut || self.is_played_out(at_ms);
        }
        let until = self.stage.plan.until;
        let is_started = self.stage.now_ms > HOSTS_AT_MS;
        let has_shown = self.has_ended(until.ends) || (until.is_full && self.fill.is_some());
        let is_stalled = at_ms > self.stage.last_end_ms.max(HOSTS_AT_MS) + STALL_MS;
        self.is_cut || (is_started && has_shown) || is_stalled || at_ms > VIRTUAL_MAX_MS
    }

    /// Says whether so many frames are over, as the supervisor sees it: reports may be under way, or count nothing.
    fn has_ended(&mut self, ends: u64) -> bool {
        if self.stage.ends() < ends || self.stage.now_ms < self.count_at_ms {
            return false;
        }
        self.count_at_ms = self.stage.now_ms + COUNT_EVERY_MS;
        let jobs = self.driven.iter().flat_map(|driven| driven.engine().jobs());
        jobs.map(|job| u64::from(job.items().ended())).sum::<u64>() >= ends
    }

    /// Moves the clock, adds up what the slots did meanwhile.
    fn pass(&mut self, at_ms: u64) {
        let passed = at_ms.saturating_sub(self.stage.now_ms);
        let slots = self.stage.slots;
        for (sum, count) in self.slot_ms.iter_mut().zip(slots) {
            *sum += count * passed;
        }
        if self.open_frames() > self.stage.begun - self.ended() {
            self.waiting_ms[0] += slots[0] * passed;
            self.waiting_ms[1] += slots[2] * passed;
        }
        if self.stage.now_ms < HOSTS_AT_MS && at_ms >= HOSTS_AT_MS {
            self.mark();
        }
        self.stage.now_ms = at_ms.max(self.stage.now_ms);
        if let Some(driven) = &mut self.driven {
            driven.set_time(self.stage.now());
        }
    }

    /// Counts the processes that have ended.
    fn ended(&self) -> u64 {
        self.stage.ended_well + self.stage.ended_badly + self.stage.ended_by_farm
    }

    /// Counts the frames that have not ended for good.
    fn open_frames(&self) -> u64 {
        let over = self.stage.ends() + self.played.given_up;
        self.submitted_frames.saturating_sub(over)
    }

    /// The queue is there, the hosts come: from now on the farm is at work.
    fn mark(&mut self) {
        let now = resident_bytes();
        self.memory.queued = now.saturating_sub(self.memory.before);
        self.mark = Mark {
            spent: self.spent,
            reading: self.meter.read().clone(),
            looked_at: self.looked_at(),
            placements: self.placements,
        };
    }

    fn looked_at(&self) -> u64 {
        let engine = self.driven.as_ref().map(Driven::engine);
        self.looked_before + engine.map_or(0, tessera_engine::supervisor::Engine::asked)
    }

    fn happen(&mut self, number: u64, event: Event) -> Result<(), BenchError> {
        match event {
            Event::Submit(job) => self.submit(job)?,
            Event::Connect(host) => self.connect(host)?,
            Event::Heartbeat(host) => self.heartbeat(host),
            Event::Launched(host, key) => self.with(host, |host, stage| host.launched(stage, key)),
            Event::Over(host, key) => self.with(host, |host, stage| host.over(stage, key, number)),
            Event::GivenUp(host, key, run) => {
                self.with(host, |host, stage| host.given_up(stage, key, run));
            }
            Event::Gone(host, key) => self.with(host, |host, stage| host.gone(stage, key)),
            Event::Trouble(Trouble::Kill) => self.kill()?,
            Event::Trouble(Trouble::Lose) => self.lose(true),
            Event::Trouble(Trouble::Find) => self.lose(false),
            Event::Revive => self.revive()?,
            Event::Away(host) => self.away(host),
            Event::Back(host) => self.back(host)?,
            Event::Word(word) => self.word(word),
        }
        Ok(())
    }

    /// Lets a host do something, and notes it when it has something to say.
    fn with(&mut self, index: u32, act: impl FnOnce(&mut Host, &mut Stage)) {
        if let Some(host) = self.hosts.get_mut(index as usize) {
            let was_silent = host.outbox.is_empty();
            act(host, &mut self.stage);
            if was_silent && !host.outbox.is_empty() {
                self.talking.push(index);
            }
        }
    }

    fn submit(&mut self, number: usize) -> Result<(), BenchError> {
        let Some(plan) = self.stage.plan.jobs.get(number).cloned() else {
            return Ok(());
        };
        let Some(driven) = &mut self.driven else {
            // A client tries again.
            self.stage.after(1_000, Event::Submit(number));
            return Ok(());
        };
        self.submitted_frames += u64::from(plan.frames);
        self.asked.push_back(Asked::Job(number));
        self.coming = self.coming.saturating_sub(1);
        if let Some(job) = &plan.kept {
            let submission = self.played.submission(job, JobId(self.next_job));
            self.next_job += 1;
            driven.ask(Input::Submit(Box::new(submission)));
            return Ok(());
        }
        self.next_job += 1;
        let name = self.stage.plan.user_name(plan.user);
        let request = plan.request(number);
        let said = |what: String| BenchError::Wrong {
            at_ms: self.stage.now_ms,
            what,
        };
        let validated = SubmissionDraft::from(request)
            .validate()
            .map_err(|errors| said(format!("a job of the plan is refused: {errors:?}")))?;
        let uid = u32::try_from(1_000 + plan.user).unwrap_or(1_000);
        let by = Principal {
            name: name
                .parse()
                .map_err(|error| said(format!("user {name}: {error}")))?,
            proof: Proof::Peer { uid },
            is_admin: false,
        };
        driven.ask(Input::Submit(Box::new(Submission {
            by,
            spec: validated.spec,
            owner: validated.owner,
            key: validated.key,
            is_blocked: validated.is_blocked,
        })));
        Ok(())
    }

    fn connect(&mut self, index: u32) -> Result<(), BenchError> {
        let Some(host) = self.hosts.get(index as usize) else {
            return Ok(());
        };
        if host.is_lost || host.session.is_some() {
            return Ok(());
        }
        let Some(driven) = &mut self.driven else {
            self.stage.after(RESTART_MS, Event::Connect(index));
            return Ok(());
        };
        let bytes = encode_from_worker(&[FromWorker::Hello(host.facts())]);
        let began = Instant::now();
        let heard = decode_from_worker(&bytes);
        self.spent.wire += began.elapsed();
        self.spent.wire_bytes += bytes.len() as u64;
        let hello = heard
            .ok()
            .and_then(|heard| heard.messages.into_iter().next());
        match hello {
            Some(FromWorker::Hello(facts)) => driven.connect(host.id(), facts),
            other => return Err(self.wrong(format!("a hello is read as {other:?}"))),
        }
        Ok(())
    }

    fn heartbeat(&mut self, index: u32) {
        let now_ms = self.stage.now_ms;
        let host = self.hosts.get(index as usize);
        let Some(host) = host.filter(|host| host.session.is_some()) else {
            return;
        };
        if now_ms - host.said_ms >= HEARTBEAT_MS {
            self.with(index, |host, _| host.heartbeat());
        }
        self.stage.after(HEARTBEAT_MS, Event::Heartbeat(index));
    }

    fn lose(&mut self, is_lost: bool) {
        for index in (0..self.options.hosts).step_by(2) {
            self.with(index, |host, stage| host.set_lost(stage, is_lost));
            if !is_lost {
                let after = chance::between(AGAIN_MS, self.options.seed, &[20, index.into()]);
                self.stage.after(after, Event::Connect(index));
            }
        }
    }

    /// Carries what hosts say to the supervisor.
    fn say(&mut self) -> Result<(), BenchError> {
        for index in std::mem::take(&mut self.talking) {
            let Some(host) = self.hosts.get_mut(index as usize) else {
                continue;
            };
            let messages = std::mem::take(&mut host.outbox);
            let (Some(session), Some(driven)) = (host.session, &mut self.driven) else {
                continue;
            };
            host.said_ms = self.stage.now_ms;
            let bytes = encode_from_worker(&messages);
            let began = Instant::now();
            let heard = decode_from_worker(&bytes);
            self.spent.wire += began.elapsed();
            self.spent.wire_bytes += bytes.len() as u64;
            let id = host.id();
            match heard {
                Ok(heard) if heard.messages == messages => {
                    for what in heard.messages {
                        driven.hear(id, session, what);
                    }
                }
                other => {
                    return Err(self.wrong(format!("{messages:?} is read as {other:?}")));
                }
            }
        }
        Ok(())
    }

    fn wants_turn(&self) -> bool {
        let now = self.stage.now().elapsed;
        self.driven.as_ref().is_some_and(|driven| {
            driven.waiting() > 0 || driven.next_deadline().is_some_and(|at| at <= now)
        })
    }

    fn turn(&mut self) -> Result<(), BenchError> {
        let Some(driven) = &mut self.driven else {
            return Ok(());
        };
        let turned = driven.turn().map_err(|what| BenchError::Wrong {
            at_ms: self.stage.now_ms,
            what,
        })?;
        self.spent.events += turned.requests as u64;
        self.spent.turns += 1;
        self.spent.decided += turned.decided;
        self.spent.carried_out += turned.carried_out;
        let took = (turned.decided + turned.carried_out).as_micros();
        self.turn_us.push(u32::try_from(took).unwrap_or(u32::MAX));
        self.take_answers(turned)
    }

    fn take_answers(&mut self, turned: Turned) -> Result<(), BenchError> {
        for answer in turned.answers {
            let asked = self.asked.pop_front();
            match (answer, asked) {
                (Ok(Answer::Submitted { job, .. }), Some(Asked::Job(number))) => {
                    self.stage.jobs.insert(job, number);
                }
                (answer, Some(Asked::Word)) => self.said(&answer),
                (other, asked) => {
                    return Err(self.wrong(format!("{asked:?} is refused: {other:?}")));
                }
            }
        }
        for (id, session) in turned.sessions {
            let index = u32::try_from(Host::index_of(id)).unwrap_or(u32::MAX);
            self.with(index, |host, stage| host.greeted(stage, session));
            if self.stage.plan.kept.is_none() {
                self.stage.after(HEARTBEAT_MS, Event::Heartbeat(index));
            }
        }
        for (id, messages) in turned.orders {
            self.deliver(id, &messages)?;
        }
        Ok(())
    }

    /// Carries what a host is told to it.
    fn deliver(&mut self, id: HostId, messages: &[ToWorker]) -> Result<(), BenchError> {
        let began = Instant::now();
        let bytes = encode_to_worker(messages);
        self.spent.wire += began.elapsed();
        self.spent.wire_bytes += bytes.len() as u64;
        let told = match decode_to_worker(&bytes) {
            Ok(told) if told.messages == messages => told.messages,
            other => return Err(self.wrong(format!("{messages:?} is read as {other:?}"))),
        };
        let index = u32::try_from(Host::index_of(id)).unwrap_or(u32::MAX);
        for message in told {
            if let ToWorker::Start { key, run, .. } | ToWorker::Run { key, run } = &message {
                let words = [key.job.0, key.instance.0.into(), key.launch.0.into()];
                let run = [u64::from(run.item.0), run.attempt.0.into()];
                self.place(index, &words, run);
            }
            self.with(index, |host, stage| {
                if host.session.is_some() {
                    host.told(stage, message);
                }
            });
        }
        Ok(())
    }
}

/// Answers milliseconds in seconds.
fn seconds(ms: u64) -> f64 {
    crate::measure::figure(ms) / 1e3
}
