//! The core: one thread that owns engine and store, and through which everything passes that changes the farm.
//!
//! A turn takes what has arrived (bounded in number and time), feeds the engine, commits all changes in one transaction,
//! and only then sends orders and answers. **Invariant:** nothing that a turn decided leaves this thread before its
//! commit. **Invariant:** after a commit that failed memory is rebuilt from the store and every worker connects anew.

pub mod driven;
mod emit;
mod handle;
mod request;
mod take;
mod trouble;

pub(crate) use emit::Sink;
pub(crate) use handle::{CoreHandle, Unavailable};
pub(crate) use request::{EnrolRefused, Unwelcome, View};
pub(crate) use trouble::{Health, Trouble};

use crate::clock::Clock;
use crate::error::SupervisorError;
use crate::events::Hub;
use crate::metrics::Counts;
use crate::persist::load::{META_FARM, Picture, picture};
use crate::persist::{Changed, Ledger};
use crate::tickets::Tickets;
use emit::Sessions;
use request::Request;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use take::refuse;
use tessera_engine::supervisor::{Config, Effect, Engine, Input, SessionId};
use tessera_model::{HostId, JobId};
use tessera_store::{Batch, Committed, Epoch, JoinTokenRow, Store, Write};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Requests that wait for their turn; who sends one more waits.
const QUEUE_MAX: usize = 8_192;
/// Requests of one turn.
const TURN_REQUESTS_MAX: usize = 2_048;
/// How long a turn goes on taking requests.
const TURN_TIME_MAX: Duration = Duration::from_millis(5);
/// Pause between two tries of a store that refused a commit.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// Join tokens that may be open at a time.
const JOIN_TOKENS_MAX: usize = 10_000;

/// What the core is made of.
pub(crate) struct Parts {
    /// The store, its lease taken.
    pub(crate) store: Box<dyn Store>,
    /// The lease.
    pub(crate) epoch: Epoch,
    /// The engine's configuration.
    pub(crate) config: Config,
    /// Signs tickets.
    pub(crate) tickets: Tickets,
    /// Where events go.
    pub(crate) hub: Arc<Hub>,
    /// Where it is said whether all is well.
    pub(crate) health: Arc<Health>,
    /// What is counted.
    pub(crate) counts: Arc<Counts>,
    /// Jobs whose logs are to be removed.
    pub(crate) removed_jobs: mpsc::UnboundedSender<JobId>,
    /// The farm's id, which the store must be of.
    pub(crate) farm: String,
}

/// What the store had that is others' business.
struct Opened {
    tokens: Vec<tessera_store::TokenRow>,
    notify: BTreeMap<String, String>,
    trends: BTreeMap<String, String>,
}

/// The thread's own.
struct Core {
    parts: Parts,
    clock: Clock,
    /// How long a turn goes on taking requests.
    turn_time: Duration,
    engine: Engine,
    ledger: Ledger,
    join_tokens: BTreeMap<[u8; 32], JoinTokenRow>,
    sessions: Sessions,
    last_session: SessionId,
    trouble: Option<Trouble>,
    /// Another supervisor has the store now: this one must end.
    is_deposed: bool,
}

/// Gives an answer, or says why there is none.
type Release = Box<dyn FnOnce(Result<(), Unavailable>) + Send>;

/// What waits for the commit of a turn.
#[derive(Default)]
struct Turn {
    changed: Changed,
    effects: Vec<Effect>,
    extra: Vec<Write>,
    passing: Vec<tessera_api::types::Event>,
    answers: Vec<Release>,
    /// Connections to take up when the turn is durable.
    arrivals: Vec<(HostId, SessionId, Sink)>,
    is_last: bool,
}

/// What a started core answers with.
pub(crate) struct Started {
    /// The way to it.
    pub(crate) handle: CoreHandle,
    /// Tokens of clients, as the store has them.
    pub(crate) tokens: Vec<tessera_store::TokenRow>,
    /// What channels kept.
    pub(crate) notify: BTreeMap<String, String>,
    /// How the last days went.
    pub(crate) trends: BTreeMap<String, String>,
    /// The thread; ends after [`CoreHandle::stop`].
    pub(crate) thread: std::thread::JoinHandle<()>,
}

/// Reads the store and starts the thread.
///
/// # Errors
/// When the store can't be read, or is another farm's.
pub(crate) fn start(parts: Parts, runtime: Handle) -> Result<Started, SupervisorError> {
    let (core, opened) = Core::open(parts, Clock::start(), TURN_TIME_MAX)?;
    let (queue, requests) = mpsc::channel(QUEUE_MAX);
    let thread = std::thread::Builder::new()
        .name("tessera-core".into())
        .spawn(move || core.run(requests, &runtime))
        .map_err(SupervisorError::io(
            "start the core's thread of",
            "this process",
        ))?;
    Ok(Started {
        handle: CoreHandle::new(queue),
        tokens: opened.tokens,
        notify: opened.notify,
        trends: opened.trends,
        thread,
    })
}

/// A store that is put under another farm's keys would let strangers in: refused.
fn check_farm(parts: &mut Parts, found: &Picture) -> Result<(), SupervisorError> {
    match &found.farm {
        Some(farm) if *farm != parts.farm => Err(SupervisorError::Picture(format!(
            "it is of farm {farm}, the keys are of farm {}; put back the keys or the store that belong together",
            parts.farm
        ))),
        Some(_) => Ok(()),
        None => {
            let write = Write::Meta {
                key: META_FARM.into(),
                value: parts.farm.clone(),
            };
            let batch = Batch {
                epoch: parts.epoch,
                at_ms: crate::clock::wall().0,
                writes: vec![write],
            };
            parts.store.commit(&batch)?;
            Ok(())
        }
    }
}

impl Core {
    /// Reads the store; answers the tokens of clients that it has beside.
    fn open(
        mut parts: Parts,
        clock: Clock,
        turn_time: Duration,
    ) -> Result<(Self, Opened), SupervisorError> {
        let mut found = picture(parts.store.load()?).map_err(SupervisorError::Picture)?;
        check_farm(&mut parts, &found)?;
        let opened = Opened {
            tokens: std::mem::take(&mut found.tokens),
            notify: std::mem::take(&mut found.notify),
            trends: std::mem::take(&mut found.trends),
        };
        let mut core = Self {
            clock,
            turn_time,
            engine: Engine::new(parts.config.clone()),
            ledger: Ledger::default(),
            join_tokens: BTreeMap::new(),
            sessions: Sessions::default(),
            last_session: 0,
            trouble: None,
            is_deposed: false,
            parts,
        };
        core.take_up(found)?;
        Ok((core, opened))
    }

    /// Makes memory what the store said.
    fn take_up(&mut self, found: Picture) -> Result<(), SupervisorError> {
        let ledger = Ledger::of(&found);
        for (id, enrolment) in &found.enrolled {
            self.parts.hub.name_host(*id, &enrolment.name);
        }
        self.join_tokens = found
            .join_tokens
            .into_iter()
            .map(|row| (row.sha256, row))
            .collect();
        self.parts.hub.committed(found.last_seq);
        self.engine = Engine::restore(self.parts.config.clone(), self.clock.now(), found.image)?;
        self.ledger = ledger;
        Ok(())
    }

    fn run(mut self, mut requests: mpsc::Receiver<Request>, runtime: &Handle) {
        loop {
            let wait = self.wait();
            let first = match wait {
                None => runtime.block_on(requests.recv()).map(Some),
                Some(time) => match runtime
                    .block_on(async { tokio::time::timeout(time, requests.recv()).await })
                {
                    Ok(request) => request.map(Some),
                    Err(_elapsed) => Some(None),
                },
            };
            // All ways to the core are gone: nobody can ask any more.
            let Some(first) = first else { return };
            let turn = self.gather(first, || requests.try_recv().ok());
            let is_last = turn.is_last;
            self.finish(turn);
            if is_last || self.is_deposed {
                return;
            }
        }
    }

    /// Answers how long there is nothing to do by itself.
    fn wait(&self) -> Option<Duration> {
        let now = self.clock.now().elapsed;
        match &self.trouble {
            Some(trouble) => Some(trouble.probe_at.saturating_sub(now)),
            None => self.engine.next_deadline().map(|at| at.saturating_sub(now)),
        }
    }

    /// Takes what waits, feeds the engine with it, and with the time when that is due. Nothing of it is durable yet.
    fn gather(
        &mut self,
        first: Option<Request>,
        mut more: impl FnMut() -> Option<Request>,
    ) -> Turn {
        self.probe();
        let began = Instant::now();
        let mut turn = Turn::default();
        let mut next = first;
        for _ in 0..TURN_REQUESTS_MAX {
            let Some(request) = next.take().or_else(&mut more) else {
                break;
            };
            self.take(&mut turn, request);
            if turn.is_last || began.elapsed() >= self.turn_time {
                break;
            }
        }
        let now = self.clock.now();
        if self.trouble.is_none()
            && self
                .engine
                .next_deadline()
                .is_some_and(|at| at <= now.elapsed)
        {
            let out = self.engine.handle(now, Input::Tick);
            turn.changed.add(out.changes);
            turn.effects.extend(out.effects);
        }
        turn
    }

    fn take(&mut self, turn: &mut Turn, request: Request) {
        match request {
            Request::Read(reading)
                if self
                    .trouble
                    .as_ref()
                    .is_some_and(|trouble| trouble.is_blind) =>
            {
                let why = self
                    .trouble
                    .as_ref()
                    .map_or_else(Unavailable::ending, Trouble::unavailable);
                reading.answer(Err(why));
            }
            Request::Read(mut reading) => {
                reading.look(&View {
                    engine: &self.engine,
                    now: self.clock.now(),
                    enrolled: &self.ledger.enrolled,
                    join_tokens: &self.join_tokens,
                });
                turn.answers
                    .push(Box::new(move |outcome| reading.answer(outcome)));
            }
            Request::Stop => turn.is_last = true,
            request => match self.trouble.as_ref().map(Trouble::unavailable) {
                Some(why) => refuse(request, &why),
                None => self.take_change(turn, request),
            },
        }
    }

    /// Commits a turn, then lets out what it decided.
    fn finish(&mut self, mut turn: Turn) {
        let mut writes = self.ledger.writes(&self.engine, &turn.changed);
        writes.append(&mut turn.extra);
        if writes.is_empty() {
            self.release(turn, None);
            return;
        }
        let batch = Batch {
            epoch: self.parts.epoch,
            at_ms: self.clock.now().wall.0,
            writes,
        };
        let began = Instant::now();
        match self.parts.store.commit(&batch) {
            Ok(committed) => {
                self.parts.counts.committed(began.elapsed());
                self.release(turn, Some(committed));
            }
            Err(error) => {
                self.parts.counts.commit_refused();
                let why = Unavailable::of(&error);
                self.discard(&error);
                turn.answers
                    .into_iter()
                    .for_each(|answer| answer(Err(why.clone())));
            }
        }
    }

    fn release(&mut self, turn: Turn, committed: Option<Committed>) {
        for (host, session, sink) in turn.arrivals {
            self.sessions.open(host, session, sink);
        }
        // Before the answers: who was answered and then asks for what comes *from now on* must not hear of the past.
        if let Some(committed) = committed {
            self.publish(&turn.changed, committed);
        }
        for answer in turn.answers {
            answer(Ok(()));
        }
        turn.passing
            .into_iter()
            .for_each(|event| self.parts.hub.publish(event));
        self.emit(turn.effects);
    }

    fn publish(&self, changed: &Changed, committed: Committed) {
        let hub = &self.parts.hub;
        for id in changed.hosts() {
            if let Some(host) = self.engine.host(*id) {
                hub.name_host(*id, &host.facts.name);
            }
        }
        hub.committed(committed.last_seq);
        let counts = &self.parts.counts;
        counts.note(&changed.events, &changed.attempts, &self.engine);
        if hub.is_heard() {
            for (seq, event) in (committed.first_seq..).zip(&changed.events) {
                hub.publish(hub.event(Some(seq), crate::persist::rows::journal_row(event, true)));
            }
        }
    }

    fn emit(&mut self, effects: Vec<Effect>) {
        let now = self.clock.now().wall;
        for lost in self.sessions.carry_out(
            effects,
            now,
            &mut self.parts.tickets,
            &self.parts.removed_jobs,
        ) {
            tracing::warn!(host = %lost, "the worker does not take its messages; its connection is closed");
        }
    }
}
