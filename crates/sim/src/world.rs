//! The world: a queue of things that will happen, the supervisor, the hosts and the network between them.

use crate::check::Checker;
use crate::client::{self, Client};
use crate::durable::Durable;
use crate::gang;
use crate::gpu_slots;
use crate::host::Host;
use crate::limits;
use crate::preempt;
use crate::rng::Rng;
use crate::share;
use crate::shared;
use crate::tally::Tally;
use crate::waits::Judge;
use crate::weights;
use crate::wide;
use crate::wrangle;
use std::collections::BTreeMap;
use std::time::Duration;
use tessera_engine::Now;
use tessera_engine::supervisor::{Engine, Input, PreemptPolicy};
use tessera_engine::worker;
use tessera_model::Timestamp;
use tessera_model::msg::{FromWorker, LaunchKey, ToWorker};

/// Wall time at the start: any date.
const EPOCH_MS: i64 = 1_800_000_000_000;
/// Inputs that the supervisor takes in one turn, at most.
pub(crate) const TURN_MAX: u64 = 6;
/// Simulated time after which, without faults, everything must have ended.
const CALM_MS: u64 = 6 * 3_600_000;
/// Events of one run, at most; more is a livelock.
const EVENTS_MAX: u64 = 4_000_000;
/// Memory of a host in MiB, from and to; the least is as much as a job may reserve.
const HOST_MEMORY: (u64, u64) = (client::MEMORY_MAX, 3 * client::MEMORY_MAX);

/// How hard a run is.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Hosts.
    pub hosts: u8,
    /// Jobs that the client submits.
    pub jobs: u32,
    /// How long faults go on, in simulated milliseconds.
    pub faults_ms: u64,
    /// Whether jobs wait for each other.
    pub waits: bool,
    /// How many instances the client may have at once.
    pub user_limit: Option<u32>,
    /// Whether jobs want of the farm's own resources.
    pub shares: bool,
    /// Whether jobs and their process groups are limited, and starts.
    pub limits: bool,
    /// What happens when work waits for what stands lower.
    pub preempt: PreemptPolicy,
    /// Whether hosts are desktops, where some jobs end their own shepherd each time.
    pub desktops: bool,
    /// Whether hosts are emptied for wide jobs, and a flood is tried.
    pub wide: bool,
    /// Whether a host is bad, and some jobs are, and the farm tells them apart.
    pub wrangle: bool,
    /// Whether the instances of some jobs start all at once.
    pub grid: bool,
    /// Whether jobs have secondary instances.
    pub grow: bool,
    /// Whether hosts keep slots for GPUs that nobody has.
    pub gpu_slots: bool,
    /// Whether clusters share the farm by weight.
    pub weights: bool,
    /// A bug planted into the harness; the checks must find it.
    pub bug: Option<Bug>,
    /// Print everything that happens.
    pub trace: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            hosts: 3,
            jobs: 12,
            faults_ms: 1_500_000,
            waits: false,
            user_limit: None,
            shares: false,
            limits: false,
            preempt: PreemptPolicy::Disabled,
            desktops: false,
            wide: false,
            wrangle: false,
            grid: false,
            grow: false,
            gpu_slots: false,
            weights: false,
            bug: None,
            trace: false,
        }
    }
}

/// A bug of a daemon's, planted to see that it would be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Effects are carried out before the commit.
    EffectsBeforeCommit,
    /// The worker forgets the records in its spool over a restart.
    SpoolForgotten,
    /// A worker takes a lost connection to its shepherd as proof that nothing is left.
    LossIsProof,
    /// A worker does not name what is being ended on a new connection.
    ClosingUnsaid,
}

/// Something that will happen.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    ToSupervisor {
        host: usize,
        session: u64,
        what: FromWorker,
    },
    ToWorker {
        host: usize,
        session: u64,
        what: ToWorker,
    },
    Worker {
        host: usize,
        incarnation: u64,
        input: worker::Input,
    },
    WorkerTick {
        host: usize,
        incarnation: u64,
    },
    WorkerUp {
        host: usize,
    },
    Connect {
        host: usize,
        incarnation: u64,
    },
    /// The worker says on the same connection what it is and has, as it does when its facts have changed.
    HelloAgain {
        host: usize,
        session: u64,
    },
    Launch {
        host: usize,
        incarnation: u64,
        key: LaunchKey,
    },
    ProcessEnd {
        host: usize,
        key: LaunchKey,
        generation: u64,
    },
    Turn,
    Tick,
    SupervisorUp,
    Client,
    Fault,
}

/// The supervisor's process, when there is one.
pub(crate) struct Supervisor {
    pub(crate) engine: Engine,
    pub(crate) inbox: Vec<Request>,
    pub(crate) sessions: u64,
    pub(crate) is_turn_due: bool,
}

/// An input, with the client's request that waits for its answer.
pub(crate) struct Request {
    pub(crate) input: Input,
    pub(crate) ticket: Option<u64>,
}

/// The simulated world.
pub struct World {
    pub(crate) rng: Rng,
    pub(crate) plan: Plan,
    pub(crate) now: u64,
    pub(crate) wall_step: i64,
    pub(crate) events: BTreeMap<(u64, u64), Event>,
    pub(crate) serial: u64,
    pub(crate) supervisor: Option<Supervisor>,
    pub(crate) disk: Durable,
    pub(crate) hosts: Vec<Host>,
    pub(crate) client: Client,
    pub(crate) checker: Checker,
    pub(crate) judge: Judge,
    pub(crate) shared: shared::Judge,
    pub(crate) limits: limits::Judge,
    pub(crate) preempts: preempt::Judge,
    pub(crate) share: share::Judge,
    pub(crate) flood: wide::Flood,
    pub(crate) wrangles: wrangle::Judge,
    pub(crate) gangs: gang::Judge,
    pub(crate) weights: weights::Judge,
    /// What happened how often.
    pub tally: Tally,
}

impl World {
    /// Makes a world; nothing has happened yet.
    #[must_use]
    pub fn new(seed: u64, plan: Plan) -> Self {
        let mut rng = Rng::new(seed);
        let slots = |rng: &mut Rng| u32::try_from(rng.between(1, 3)).unwrap_or(1);
        let hosts = (1..=plan.hosts)
            .map(|n| Host::new(n, slots(&mut rng)))
            .collect();
        let mut hosts: Vec<Host> = hosts;
        for host in &mut hosts {
            host.memory = rng.between(HOST_MEMORY.0, HOST_MEMORY.1);
        }
        // Jobs may name the first host only, and must fit on it.
        if let Some(first) = hosts.first_mut() {
            first.slots = first.slots.max(client::SLOTS_MAX);
        }
        if plan.gpu_slots {
            hosts.iter_mut().for_each(gpu_slots::keep_some);
        }
        Self {
            rng,
            now: 0,
            wall_step: 0,
            events: BTreeMap::new(),
            serial: 0,
            supervisor: None,
            disk: Durable::default(),
            hosts,
            client: Client::new(&plan),
            checker: Checker::default(),
            judge: Judge::default(),
            shared: shared::Judge::default(),
            limits: limits::Judge::default(),
            preempts: preempt::Judge::default(),
            share: share::Judge::default(),
            flood: wide::Flood::default(),
            wrangles: wrangle::Judge::default(),
            gangs: gang::Judge::default(),
            weights: weights::Judge::default(),
            tally: Tally::default(),
            plan,
        }
    }

    /// Answers the simulated time in milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now
    }

    /// Runs until everything has ended.
    ///
    /// # Errors
    /// What must hold and did not.
    pub fn run(&mut self) -> Result<(), String> {
        self.at(0, Event::SupervisorUp);
        for host in 0..self.hosts.len() {
            self.at(5, Event::WorkerUp { host });
        }
        self.at(10, Event::Client);
        self.at(1_000, Event::Fault);
        for _ in 0..EVENTS_MAX {
            let Some(((at, _), event)) = self.events.pop_first() else {
                return Err("nothing happens any more".into());
            };
            self.now = self.now.max(at);
            self.happen(event)?;
            self.judge_flood()?;
            if self.is_over() {
                return self.checker.at_end(&self.disk, &self.hosts, self.engine());
            }
            if self.now > self.plan.faults_ms + CALM_MS {
                return Err(format!(
                    "not over {CALM_MS} ms after the last fault: {}",
                    self.stuck()
                ));
            }
        }
        Err(format!("{EVENTS_MAX} events and no end: {}", self.stuck()))
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.now >= self.plan.faults_ms
    }

    pub(crate) fn engine(&self) -> Option<&Engine> {
        self.supervisor
            .as_ref()
            .map(|supervisor| &supervisor.engine)
    }

    pub(crate) fn is_over(&self) -> bool {
        let quiet = |host: &Host| {
            host.spool.is_empty()
                && host.shepherds.is_empty()
                && host
                    .worker
                    .as_ref()
                    .is_some_and(|w| w.unacknowledged() == 0 && w.launches().next().is_none())
        };
        self.is_calm()
            && self.client.is_done()
            && self.is_flood_over()
            && self.hosts.iter().all(quiet)
            && self.supervisor.as_ref().is_some_and(|s| {
                s.inbox.is_empty()
                    && s.engine.launches().next().is_none()
                    && s.engine.jobs().all(|job| job.status().is_ended())
            })
    }

    /// Says what has not ended, for a failure.
    pub(crate) fn stuck(&self) -> String {
        let Some(engine) = self.engine() else {
            return "no supervisor".into();
        };
        let jobs: Vec<String> = engine
            .jobs()
            .filter(|job| !job.status().is_ended())
            .map(|job| {
                let why: Vec<String> = engine
                    .why(job.id)
                    .unwrap_or_default()
                    .into_iter()
                    .map(|r| format!("{}: {}", r.kind.word(), r.text))
                    .collect();
                format!(
                    "job {} {} {:?} [{}]",
                    job.id,
                    job.status(),
                    job.items().counts(),
                    why.join("; ")
                )
            })
            .collect();
        let launches: Vec<String> = engine
            .launches()
            .map(|l| format!("{} on {} {:?} {:?}", l.key, l.host, l.phase, l.current))
            .collect();
        let spools: Vec<String> = self
            .hosts
            .iter()
            .map(|h| {
                format!(
                    "{}: {} in spool, {} shepherds",
                    h.name,
                    h.spool.len(),
                    h.shepherds.len()
                )
            })
            .collect();
        format!(
            "{jobs:?} launches {launches:?} {spools:?} client {}",
            self.client.state()
        )
    }

    pub(crate) fn clock(&self) -> Now {
        let wall = EPOCH_MS + self.wall_step + i64::try_from(self.now).unwrap_or(0);
        Now {
            wall: Timestamp(wall),
            elapsed: Duration::from_millis(self.now),
        }
    }

    pub(crate) fn at(&mut self, delay: u64, event: Event) {
        self.serial += 1;
        self.events.insert((self.now + delay, self.serial), event);
    }

    pub(crate) fn happen(&mut self, event: Event) -> Result<(), String> {
        if self.plan.trace {
            eprintln!("{:>9} {event:?}", self.now);
        }
        match event {
            Event::ToSupervisor {
                host,
                session,
                what,
            } => self.arrive(host, session, what),
            Event::ToWorker {
                host,
                session,
                what,
            } => {
                if self.hosts[host].session == Some(session) {
                    return self.feed(host, worker::Input::Said(Box::new(what)));
                }
            }
            Event::Worker {
                host,
                incarnation,
                input,
            } => {
                if self.hosts[host].incarnation == incarnation {
                    return self.feed(host, input);
                }
            }
            Event::WorkerTick { host, incarnation } => {
                if self.hosts[host].incarnation == incarnation {
                    return self.feed(host, worker::Input::Tick);
                }
            }
            Event::WorkerUp { host } => return self.worker_up(host),
            Event::Connect { host, incarnation } => return self.connect(host, incarnation),
            Event::HelloAgain { host, session } => return self.hello_again(host, session),
            Event::Launch {
                host,
                incarnation,
                key,
            } => return self.launch(host, incarnation, key),
            Event::ProcessEnd {
                host,
                key,
                generation,
            } => self.process_end(host, key, generation)?,
            Event::Turn => return self.turn(),
            Event::Tick => self.request(Request {
                input: Input::Tick,
                ticket: None,
            }),
            Event::SupervisorUp => self.supervisor_up()?,
            Event::Client => self.client_acts(),
            Event::Fault => self.fault()?,
        }
        Ok(())
    }
}
