//! The supervisor's engine: all jobs, hosts and launches of the farm, and what follows from each thing that happens.
//!
//! [`Engine::handle`] takes one input and answers what must be made durable and then done. Its parts: `submit`, `act` and `unblock`
//! (people), `connection`, `report`, `inventory` and `identity` (workers), `credential`, `checking`, `register` and `reseal` (registered passwords), `deps` (what waits for what), `dispatch` (placing instances), `judging` (what the planner asks for that), `limits` (how much one person may run), `locks` (of hosts), `modes` (of the farm), `losses` (items that lose their shepherds), `pgrp` (how much one process group), `pace` (how quickly instances start), `gang` (what starts all at once), `failing` (when a job stops), `preempt` (who makes room for others), `reserve` (what they take of hosts), `global` (of the farm itself), `weights` (parts of the farm that clusters have), `wide` (hosts that are emptied for wide jobs), `wrangle` (whether a host or a job is at fault), `time` (what is about time), `why` (reasons), `image`
//! (what the store keeps), `check` (what must always hold).
//!
//! **Invariant:** an item has at most one current attempt, and the launch that has it is known. **Invariant:** a slot is
//! free only when nothing of its launch is left, or its host was given up. **Invariant:** nothing here reads a clock.

mod act;
mod check;
mod checking;
mod connection;
pub mod credential;
pub mod deps;
mod dispatch;
mod failing;
mod gang;
pub mod global;
mod gpu_slots;
mod host;
mod identity;
mod image;
mod instances;
mod inventory;
mod io;
pub mod items;
mod job;
mod judging;
mod limits;
mod locks;
mod losses;
mod modes;
mod pace;
mod pgrp;
pub mod plan;
mod preempt;
mod register;
mod report;
mod reseal;
pub mod reserve;
mod share;
mod submit;
#[cfg(test)]
mod tests;
mod time;
pub mod told;
mod unblock;
pub mod weights;
pub mod why;
pub mod wide;
pub mod wrangle;

pub use credential::{Credential, CredentialRecord, Credentials, Found, Gate};
pub use deps::Waits;
pub use global::{GlobalRecord, GlobalWish, Globals, Others, Outside};
pub use host::{Host, RefusedAccount, Traits};
pub use image::{
    BadImage, CredentialImage, HostImage, Image, InstanceImage, JobImage, JobRow, LaunchImage,
};
pub use io::{
    Acted, Answer, AttemptRecord, Change, CredentialWish, Denied, Effect, Event, Input, JobPatch,
    Output, Registration, SessionId, StartOrder, Submission, Target, kind,
};
pub use job::{Grown, Instance, Job, Launch, Phase};
pub use limits::UserLimits;
pub use locks::{LockOrder, LockWish};
pub use modes::{Mode, ModeRecord, Modes};
pub use pace::FarmRates;
pub use preempt::{MADE_PER_TURN_MAX, PreemptPolicy, REST};
pub use share::{SmartShare, Stake};
pub use weights::ClusterWeights;
pub use wide::{EmptiedFor, WideJobs};
pub use wrangle::Wrangling;

use crate::Now;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tessera_model::msg::{LaunchKey, ToWorker};
use tessera_model::{HostId, JobId, Timestamp, UserName};

/// What an administrator may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How long a host may be away before its work is put back (`worker_lost_timeout`).
    pub worker_lost_timeout: Duration,
    /// What happens to the work of a lost host then (`on_host_lost`).
    pub on_host_lost: OnHostLost,
    /// How long a connected worker may be silent before its connection is given up.
    pub heartbeat_timeout: Duration,
    /// Pause before an account that a host refused is tried there again; doubles up to [`Config::RECHECK_MAX`].
    pub identity_recheck: Duration,
    /// How long a migrated job keeps off the host that it left (`supervisor_migrate_timeout`).
    pub migrate_timeout: Duration,
    /// Whether people without a good registered password may not submit on a farm that needs one (`enforce_password`).
    pub enforce_password: bool,
    /// Days that a registered password is good for at most (`credential_days`).
    pub credential_days: u32,
    /// By what a host chooses among jobs (`supervisor_queue_algorithm`).
    pub queue_algorithm: Algorithm,
    /// Which clusters have parts of the farm by weight (`supervisor_cluster_weights`).
    pub cluster_weights: ClusterWeights,
    /// How many instances one person may have at once.
    pub user_limits: UserLimits,
    /// How many instances one process group of theirs may have at once.
    pub pgrp_limits: UserLimits,
    /// How quickly instances may start.
    pub start_rates: FarmRates,
    /// What happens when work waits for what stands lower (`supervisor_preempt_policy`).
    pub preempt_policy: PreemptPolicy,
    /// Which jobs have more instances than they need where nobody wants the room.
    pub smart_share: SmartShare,
    /// What the farm may have of its own resources at most (`supervisor_global_resources`).
    pub global_resources: BTreeMap<tessera_model::GlobalName, u64>,
    /// For which jobs hosts are emptied, and how many.
    pub wide_jobs: WideJobs,
    /// When hosts and jobs are at fault for what fails; by itself the engine blames nobody.
    pub wrangling: Wrangling,
}

impl Config {
    /// Longest pause between two tries of a refused account on a host.
    pub const RECHECK_MAX: Duration = Duration::from_secs(15 * 60);
    /// Longest pause before an instance is started again that was lost through no fault of its job.
    pub const LOSS_PAUSE_MAX: Duration = Duration::from_secs(5 * 60);
}

impl Default for Config {
    fn default() -> Self {
        Self {
            worker_lost_timeout: Duration::from_secs(5 * 60),
            on_host_lost: OnHostLost::Requeue,
            heartbeat_timeout: Duration::from_secs(40),
            identity_recheck: Duration::from_secs(60),
            migrate_timeout: Duration::from_secs(1200),
            enforce_password: false,
            credential_days: 90,
            queue_algorithm: Algorithm::default(),
            cluster_weights: ClusterWeights::default(),
            user_limits: UserLimits::default(),
            pgrp_limits: UserLimits::default(),
            start_rates: FarmRates::default(),
            preempt_policy: PreemptPolicy::default(),
            smart_share: SmartShare::OFF,
            global_resources: BTreeMap::new(),
            wide_jobs: WideJobs::default(),
            wrangling: Wrangling::OFF,
        }
    }
}

/// By what a host chooses among the jobs that may run there; Qube!'s words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// By age.
    Queue,
    /// By priority, then age.
    Priority,
    /// By how near they are to the host's cluster, then priority, then age.
    #[default]
    Cluster,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Queue, Self::Priority, Self::Cluster];

    /// Answers the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Priority => "priority",
            Self::Cluster => "cluster",
        }
    }
}

/// What happens to the work of a host that is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnHostLost {
    /// Its items are run elsewhere, with the next attempt number.
    Requeue,
    /// They wait until the host is back or somebody interrupts them.
    Hold,
}

/// The farm, as the supervisor knows it.
#[derive(Debug, Clone)]
pub struct Engine {
    config: Config,
    next_job: u64,
    jobs: BTreeMap<JobId, Job>,
    hosts: BTreeMap<HostId, Host>,
    launches: BTreeMap<LaunchKey, Launch>,
    by_key: BTreeMap<(UserName, String), JobId>,
    /// Who waits for what.
    deps: deps::Deps,
    /// Jobs with an instance in `badlogin`, and perhaps some that had one.
    badlogins: BTreeSet<JobId>,
    credentials: Credentials,
    /// Hosts that use registered passwords.
    takers: BTreeSet<HostId>,
    /// Hosts by their memory in MiB.
    memories: BTreeSet<(u64, HostId)>,
    /// Jobs with items that ran out of memory.
    grown_jobs: BTreeSet<JobId>,
    /// Launches that are not gone, by owner.
    running: BTreeMap<UserName, u32>,
    groups: pgrp::Groups,
    /// The last starts of what may start so quickly only.
    starts: pace::Starts,
    planner: plan::Planner,
    preempts: preempt::Preempts,
    /// Launches that leave for a share which has less.
    leaving: weights::Leaving,
    globals: Globals,
    modes: Modes,
    looks: wide::Looks,
    timers: time::Timers,
    /// When the last input came.
    now: Now,
}

/// The time and the output of one input.
struct Turn<'a> {
    now: Now,
    out: &'a mut Output,
}

impl Turn<'_> {
    fn change(&mut self, change: Change) {
        if self.out.changes.last() != Some(&change) {
            self.out.changes.push(change);
        }
    }

    fn effect(&mut self, effect: Effect) {
        self.out.effects.push(effect);
    }

    fn event(&mut self, kind: &'static str, about: About, text: String) {
        self.record(kind, about, None, text);
    }

    fn record(&mut self, kind: &'static str, about: About, core: Option<u64>, text: String) {
        self.out.changes.push(Change::Event(Box::new(Event {
            at: self.now.wall,
            kind,
            job: about.job,
            instance: about.instance,
            item: about.item,
            attempt: about.attempt,
            host: about.host,
            actor: about.actor,
            core,
            text,
        })));
    }
}

/// What an event is about.
#[derive(Debug, Clone, Default)]
struct About {
    job: Option<JobId>,
    instance: Option<tessera_model::InstanceNo>,
    item: Option<tessera_model::ItemIndex>,
    attempt: Option<tessera_model::Attempt>,
    host: Option<HostId>,
    actor: Option<UserName>,
}

impl About {
    fn job(job: JobId) -> Self {
        Self {
            job: Some(job),
            ..Self::default()
        }
    }

    fn host(host: HostId) -> Self {
        Self {
            host: Some(host),
            ..Self::default()
        }
    }

    fn launch(key: LaunchKey, host: HostId) -> Self {
        Self {
            job: Some(key.job),
            instance: Some(key.instance),
            host: Some(host),
            ..Self::default()
        }
    }

    fn run(key: LaunchKey, host: HostId, run: tessera_model::msg::Run) -> Self {
        Self {
            item: Some(run.item),
            attempt: Some(run.attempt),
            ..Self::launch(key, host)
        }
    }

    fn by(mut self, actor: &UserName) -> Self {
        self.actor = Some(actor.clone());
        self
    }
}

impl Engine {
    /// Makes an empty farm.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mut engine = Self {
            planner: plan::Planner::new(config.queue_algorithm)
                .sharing(config.cluster_weights.clone()),
            globals: Globals::new(config.global_resources.clone()),
            config,
            next_job: 1,
            jobs: BTreeMap::new(),
            hosts: BTreeMap::new(),
            launches: BTreeMap::new(),
            by_key: BTreeMap::new(),
            deps: deps::Deps::default(),
            badlogins: BTreeSet::new(),
            credentials: Credentials::default(),
            takers: BTreeSet::new(),
            memories: BTreeSet::new(),
            grown_jobs: BTreeSet::new(),
            running: BTreeMap::new(),
            modes: Modes::new(),
            groups: pgrp::Groups::default(),
            starts: pace::Starts::default(),
            preempts: preempt::Preempts::default(),
            leaving: weights::Leaving::default(),
            looks: wide::Looks::default(),
            timers: time::Timers::default(),
            now: Now {
                wall: Timestamp(0),
                elapsed: Duration::ZERO,
            },
        };
        engine.tell_all_free();
        engine
    }

    /// Takes one input; memory has changed when it returns.
    pub fn handle(&mut self, now: Now, input: Input) -> Output {
        self.now = now;
        let mut out = Output::default();
        let mut turn = Turn { now, out: &mut out };
        let t = &mut turn;
        let answer = match input {
            Input::Submit(submission) => Some(self.submit(t, *submission)),
            Input::Act {
                by,
                action,
                targets,
            } => Some(Ok(self.act(t, &by, action, targets))),
            Input::Modify { by, job, patch } => Some(self.modify(t, &by, job, &patch)),
            Input::Lock {
                by,
                host,
                is_locked,
            } => Some(self.lock(t, &by, host, is_locked)),
            Input::Mode { by, mode, note } => Some(self.set_mode(t, &by, mode, note.as_deref())),
            Input::LockWish { by, host, wish } => Some(self.lock_wish(t, &by, host, *wish)),
            Input::LockWhileActive { by, host, rule } => {
                Some(self.lock_while_active(t, &by, host, rule))
            }
            Input::RemoveHost {
                by,
                host,
                is_forced,
            } => Some(self.remove_host(t, &by, host, is_forced)),
            Input::Global { by, name, wish } => Some(self.global_wish(t, &by, &name, &wish)),
            Input::Credential { by, wish } => Some(self.credential_wish(t, &by, wish)),
            Input::Clean { jobs } => {
                jobs.into_iter().for_each(|job| self.clean(t, job));
                Some(Ok(Answer::Done))
            }
            Input::Connected {
                host,
                session,
                facts,
            } => {
                self.connected(t, host, session, *facts);
                None
            }
            Input::Said {
                host,
                session,
                what,
            } => {
                self.said(t, host, session, *what);
                None
            }
            Input::Disconnected { host, session } => {
                self.disconnected(t, host, session);
                None
            }
            Input::Tick => None,
        };
        self.pass_time(t);
        self.settle_waiters(t);
        self.dispatch(t);
        if self.look_for_wide(t) {
            self.dispatch(t);
        }
        self.watch_wide(now);
        debug_assert!(self.deps.is_settled(), "starting something ends nothing");
        out.answer = answer;
        out
    }

    /// Answers when [`Input::Tick`] is due at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// Answers the number that the next job will get.
    #[must_use]
    pub fn next_job(&self) -> u64 {
        self.next_job
    }

    /// Counts what the planner has looked at since the beginning ([`plan::Planner::asked`]), and what was to make room for others.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.planner.asked() + self.preempts.looked_at()
    }

    /// Counts what was looked at of what waits for what since the beginning; the cost of dependencies, whatever the machine.
    #[must_use]
    pub fn waits_looked_at(&self) -> u64 {
        self.deps.looked_at()
    }

    /// Answers a job.
    #[must_use]
    pub fn job(&self, job: JobId) -> Option<&Job> {
        self.jobs.get(&job)
    }

    /// Answers all jobs, by id.
    pub fn jobs(&self) -> impl DoubleEndedIterator<Item = &Job> {
        self.jobs.values()
    }

    /// Answers jobs with ids from `from` on, by id.
    pub fn jobs_from(&self, from: JobId) -> impl Iterator<Item = &Job> {
        self.jobs.range(from..).map(|(_, job)| job)
    }

    /// Answers a host.
    #[must_use]
    pub fn host(&self, host: HostId) -> Option<&Host> {
        self.hosts.get(&host)
    }

    /// Answers all hosts, by id.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.values()
    }

    /// Answers a launch that is not gone.
    #[must_use]
    pub fn launch(&self, key: LaunchKey) -> Option<&Launch> {
        self.launches.get(&key)
    }

    /// Answers all launches that are not gone.
    pub fn launches(&self) -> impl Iterator<Item = &Launch> {
        self.launches.values()
    }

    /// Answers the launches of a job that are not gone.
    pub fn launches_of(&self, job: JobId) -> impl Iterator<Item = &Launch> {
        let key = |job| LaunchKey {
            job,
            instance: Default::default(),
            launch: Default::default(),
        };
        self.launches
            .range(key(job)..key(JobId(job.0 + 1)))
            .map(|(_, launch)| launch)
    }

    /// Says this to the worker of a host, if it is connected.
    fn send(&self, t: &mut Turn<'_>, host: HostId, message: ToWorker) {
        if let Some(session) = self.session_of(host) {
            t.effect(Effect::Send {
                host,
                session,
                message,
            });
        }
    }

    /// Tells the planner what a host can give away now.
    fn refresh_host(&mut self, host: HostId) {
        self.note_globals(host);
        match self.hosts.get(&host) {
            Some(known) => {
                let free_of = |resource: &str| known.free_of(resource);
                let (name, free) = (
                    &known.facts.name,
                    (known.free(), known.gpu_slots(), known.is_idle()),
                );
                self.planner
                    .set_free(host, name, &known.traits, free, free_of);
            }
            None => self
                .planner
                .set_free(host, "", &Default::default(), (0, 0, false), |_| 0),
        }
        self.note_standing(host);
    }
}
