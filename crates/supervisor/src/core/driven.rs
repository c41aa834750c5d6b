//! The core without its thread, its clock and its sockets, for who brings all three: the benchmark of a whole farm.
//!
//! Everything else is the supervisor's own: requests are taken in turns, each turn is one transaction of the real store, and
//! orders, signed tickets among them, come out after its commit.

use super::emit::Sink;
use super::request::{EnrolRefused, Request};
use super::{Core, Health, Parts, TURN_REQUESTS_MAX};
use crate::clock::Clock;
use crate::error::SupervisorError;
use crate::events::Hub;
use crate::persist::rows::Enrolment;
use crate::tickets::Tickets;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tessera_engine::Now;
use tessera_engine::supervisor::{Answer, Config, Denied, Engine, Input, SessionId};
use tessera_model::msg::{FromWorker, ToWorker};
use tessera_model::{HostFacts, HostId, JobId};
use tessera_store::{JoinTokenRow, Store};
use tessera_wire::pki::{DispatchKey, FarmCa};
use tokio::sync::{mpsc, oneshot};

/// How long the token is good that hosts join with.
const INVITED_MS: i64 = 3_600_000;

/// A core that is driven by hand.
pub struct Driven {
    core: Core,
    queue: VecDeque<Request>,
    to_workers: mpsc::UnboundedSender<(HostId, Vec<ToWorker>)>,
    said: mpsc::UnboundedReceiver<(HostId, Vec<ToWorker>)>,
    greeted: Vec<(HostId, Greeting)>,
    asked: VecDeque<oneshot::Receiver<super::request::Reply>>,
    /// Nobody keeps logs here.
    _removed: mpsc::UnboundedReceiver<JobId>,
}

type Greeting = oneshot::Receiver<Result<SessionId, super::Unwelcome>>;

/// What came of a turn.
#[derive(Debug, Default)]
pub struct Turned {
    /// Requests that it took.
    pub requests: usize,
    /// Messages to workers, those to one together.
    pub orders: Vec<(HostId, Vec<ToWorker>)>,
    /// Connections that it took up, with their numbers.
    pub sessions: Vec<(HostId, SessionId)>,
    /// Answers to [`Driven::ask`], in the order of the questions.
    pub answers: Vec<Result<Answer, Denied>>,
    /// How long the engine took (real time).
    pub decided: Duration,
    /// How long rows, commit, tickets and answers took (real time).
    pub carried_out: Duration,
}

impl Driven {
    /// Reads the store; keys are made in `keys` when there are none.
    ///
    /// # Errors
    /// As when a supervisor starts.
    pub fn open(
        mut store: Box<dyn Store>,
        config: Config,
        keys: &Path,
        now: Now,
    ) -> Result<Self, SupervisorError> {
        let ca = FarmCa::open_or_create(keys)?;
        let dispatch = DispatchKey::open_or_create(keys)?;
        let epoch = store.lease(&format!("process {}", std::process::id()))?;
        let (removed_jobs, removed) = mpsc::unbounded_channel();
        let parts = Parts {
            store,
            epoch,
            config,
            tickets: Tickets::new(ca.farm_id(), &dispatch),
            hub: Arc::new(Hub::default()),
            health: Arc::new(Health::default()),
            counts: Arc::default(),
            removed_jobs,
            farm: ca.farm_id().to_string(),
        };
        // The same requests make the same turns, however fast the machine is.
        let (core, _tokens) = Core::open(parts, Clock::Set(now), Duration::MAX)?;
        let (to_workers, said) = mpsc::unbounded_channel();
        Ok(Self {
            core,
            queue: VecDeque::new(),
            to_workers,
            said,
            greeted: Vec::new(),
            asked: VecDeque::new(),
            _removed: removed,
        })
    }

    /// Sets the time.
    pub fn set_time(&mut self, now: Now) {
        self.core.clock = Clock::Set(now);
    }

    /// Answers what the engine knows.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.core.engine
    }

    /// Answers how many requests wait for a turn.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Lets hosts join, as with one token for all of them, in turns of their own.
    ///
    /// # Errors
    /// In words, when one is not let in.
    pub fn enrol(&mut self, hosts: &[(HostId, String)]) -> Result<(), String> {
        let (token, now) = ([7; 32], self.core.clock.now().wall.0);
        let row = JoinTokenRow {
            sha256: token,
            note: "benchmark".into(),
            created_ms: now,
            expires_ms: now + INVITED_MS,
            uses_left: u32::try_from(hosts.len()).unwrap_or(u32::MAX),
        };
        let (reply, _kept) = oneshot::channel();
        self.queue.push_back(Request::KeepJoinToken {
            row,
            told: Vec::new(),
            reply,
        });
        let mut answers = Vec::with_capacity(hosts.len());
        for (host, name) in hosts {
            let (reply, answer) = oneshot::channel();
            answers.push((name, answer));
            self.queue.push_back(Request::Enrol {
                token,
                host: *host,
                enrolment: Enrolment {
                    name: name.clone(),
                    at_ms: now,
                    fingerprint: None,
                },
                reply,
            });
        }
        while !self.queue.is_empty() {
            self.turn()?;
        }
        for (name, mut answer) in answers {
            let refused = match answer.try_recv() {
                Ok(Ok(Ok(()))) => continue,
                Ok(Ok(Err(EnrolRefused::BadToken))) => "its token is none".to_owned(),
                Ok(Ok(Err(EnrolRefused::NameTaken))) => "its name is taken".to_owned(),
                Ok(Err(why)) => why.to_string(),
                Err(_) => "nobody answered".to_owned(),
            };
            return Err(format!("host {name} can't join: {refused}"));
        }
        Ok(())
    }

    /// A worker says hello; its session comes with the turn.
    pub fn connect(&mut self, host: HostId, facts: HostFacts) {
        let (reply, answer) = oneshot::channel();
        self.greeted.push((host, answer));
        self.queue.push_back(Request::Connect {
            host,
            fingerprint: [0; 32],
            facts: Box::new(facts),
            sink: Sink::Driver(self.to_workers.clone()),
            reply,
        });
    }

    /// A worker says something on its connection.
    pub fn hear(&mut self, host: HostId, session: SessionId, what: FromWorker) {
        self.queue.push_back(Request::Worker(Input::Said {
            host,
            session,
            what: Box::new(what),
        }));
    }

    /// A worker's connection ends.
    pub fn hang_up(&mut self, host: HostId, session: SessionId) {
        self.queue
            .push_back(Request::Worker(Input::Disconnected { host, session }));
    }

    /// A client wants something; the answer comes with the turn.
    pub fn ask(&mut self, input: Input) {
        let (reply, answer) = oneshot::channel();
        self.asked.push_back(answer);
        self.queue.push_back(Request::Client { input, reply });
    }

    /// Answers when the engine wants a turn though nothing happens (elapsed time).
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.core.engine.next_deadline()
    }

    /// Takes a turn: what waits, at most as much as a turn of the supervisor takes.
    ///
    /// # Errors
    /// In words, when the store refused it: nothing of it happened.
    pub fn turn(&mut self) -> Result<Turned, String> {
        let waited = self.queue.len();
        let began = Instant::now();
        let queue = &mut self.queue;
        let turn = self.core.gather(None, || queue.pop_front());
        let decided = began.elapsed();
        self.core.finish(turn);
        let carried_out = began.elapsed().saturating_sub(decided);
        if let Some(trouble) = &self.core.trouble {
            return Err(trouble.unavailable().to_string());
        }
        let mut turned = Turned {
            requests: waited - self.queue.len(),
            decided,
            carried_out,
            ..Turned::default()
        };
        debug_assert!(turned.requests <= TURN_REQUESTS_MAX);
        while let Ok(orders) = self.said.try_recv() {
            turned.orders.push(orders);
        }
        self.collect(&mut turned)?;
        Ok(turned)
    }

    /// Takes the answers that have come.
    fn collect(&mut self, turned: &mut Turned) -> Result<(), String> {
        let mut open = Vec::new();
        for (host, mut greeting) in std::mem::take(&mut self.greeted) {
            match greeting.try_recv() {
                Ok(Ok(session)) => turned.sessions.push((host, session)),
                Ok(Err(why)) => return Err(format!("host {host} is sent away: {why}")),
                Err(_) => open.push((host, greeting)),
            }
        }
        self.greeted = open;
        while let Some(answer) = self.asked.front_mut() {
            match answer.try_recv() {
                Ok(Ok(answer)) => turned.answers.push(answer),
                Ok(Err(why)) => return Err(why.to_string()),
                Err(oneshot::error::TryRecvError::Empty) => break,
                Err(oneshot::error::TryRecvError::Closed) => {
                    return Err("a turn was lost with its answers".to_owned());
                }
            }
            self.asked.pop_front();
        }
        Ok(())
    }
}

impl std::fmt::Debug for Driven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driven")
            .field("waiting", &self.queue.len())
            .finish_non_exhaustive()
    }
}
