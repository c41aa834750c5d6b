//! What goes into the supervisor's engine and what comes out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tessera_model::WhileActive;
use tessera_model::action::Refused;
use tessera_model::credential::{CredentialId, KeyId};
use tessera_model::msg::{AttemptEnd, FromWorker, LaunchKey, Run, RunLimits, ToWorker};
use tessera_model::{
    Action, Attempt, HostFacts, HostId, InstanceNo, ItemIndex, JobId, JobSpec, Principal,
    Timestamp, UserName, WorkStatus,
};

/// Counts the connections of a worker; what is said on an older one is ignored.
pub type SessionId = u64;

/// One thing that happened outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A client submits a job. Answered by [`Answer::Submitted`].
    Submit(Box<Submission>),
    /// A client acts on jobs, instances or items. Answered by [`Answer::Acted`].
    Act {
        /// Who.
        by: Principal,
        /// What; not `modify`.
        action: Action,
        /// On what; every target is tried, one refusal stops no other.
        targets: Vec<Target>,
    },
    /// A client changes a job.
    Modify {
        /// Who.
        by: Principal,
        /// Which.
        job: JobId,
        /// Into what.
        patch: Box<JobPatch>,
    },
    /// A client locks or unlocks a host altogether: a locked one finishes what it has and is given nothing.
    Lock {
        /// Who (an administrator).
        by: Principal,
        /// Which.
        host: HostId,
        /// Locked from now on, or not.
        is_locked: bool,
    },
    /// A client locks or unlocks some slots of a host, until some time, or gives it a calendar.
    LockWish {
        /// Who (an administrator).
        by: Principal,
        /// Which.
        host: HostId,
        /// What.
        wish: Box<super::locks::LockWish>,
    },
    /// A client locks a host for as long as somebody is active there; unlocking takes that back.
    LockWhileActive {
        /// Who (an administrator).
        by: Principal,
        /// Which.
        host: HostId,
        /// By which rule.
        rule: WhileActive,
    },
    /// A client forgets a host.
    RemoveHost {
        /// Who (an administrator).
        by: Principal,
        /// Which.
        host: HostId,
        /// Also one that is connected: it is sent away, and what it had is put back.
        is_forced: bool,
    },
    /// A client sets a mode of maintenance of the whole farm, or unsets it.
    Mode {
        /// Who (an administrator).
        by: Principal,
        /// Which.
        mode: super::modes::Mode,
        /// Why it is set; nothing unsets it.
        note: Option<String>,
    },
    /// A client says something of one of the farm's own resources.
    Global {
        /// Who (an administrator).
        by: Principal,
        /// Which.
        name: tessera_model::GlobalName,
        /// What.
        wish: super::global::GlobalWish,
    },
    /// A client wants something with a registered password.
    Credential {
        /// Who.
        by: Principal,
        /// What.
        wish: CredentialWish,
    },
    /// A worker's `Hello` came over a connection whose certificate names this host.
    Connected {
        /// Which.
        host: HostId,
        /// The connection; larger than any before.
        session: SessionId,
        /// What it says of itself.
        facts: Box<HostFacts>,
    },
    /// A worker said something after its `Hello`.
    Said {
        /// Which.
        host: HostId,
        /// On which connection.
        session: SessionId,
        /// What.
        what: Box<FromWorker>,
    },
    /// A worker's connection ended.
    Disconnected {
        /// Which.
        host: HostId,
        /// Which connection.
        session: SessionId,
    },
    /// Removes ended jobs (retention); those that have not ended are left.
    Clean {
        /// Which.
        jobs: Vec<JobId>,
    },
    /// Time has passed; due when [`super::Engine::next_deadline`] says.
    Tick,
}

/// What is wanted with a registered password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialWish {
    /// Keep it, in place of an older one, and have it checked once.
    Register(Box<Registration>),
    /// Have it checked again.
    Check(CredentialId),
    /// Forget it, here and on every worker.
    Revoke(CredentialId),
}

/// A password, sealed by a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Whose.
    pub id: CredentialId,
    /// The account's domain; empty for accounts of the hosts themselves.
    pub domain: String,
    /// The account's SID, if the client knows it; else empty.
    pub sid: String,
    /// One more than that of the last registration or revocation.
    pub sequence: u64,
    /// When it was sealed.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// The sealed password for each key.
    pub sealed: BTreeMap<KeyId, Vec<u8>>,
}

/// A validated job with who asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Who asked, proven.
    pub by: Principal,
    /// What.
    pub spec: JobSpec,
    /// The owner; `None` means `by`. Another needs an administrator.
    pub owner: Option<UserName>,
    /// Sent twice with the same key, a submission exists once (per owner).
    pub key: Option<String>,
    /// Begin blocked.
    pub is_blocked: bool,
}

/// What an action is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A job with all it has.
    Job(JobId),
    /// An instance, `12345.0`.
    Instance(JobId, InstanceNo),
    /// Items, by their places.
    Items(JobId, Vec<ItemIndex>),
}

impl Target {
    /// Answers the job it is about.
    #[must_use]
    pub fn job(&self) -> JobId {
        match self {
            Self::Job(job) | Self::Instance(job, _) | Self::Items(job, _) => *job,
        }
    }
}

/// Changes to a job; `None` leaves a field as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the fields of JobSpec")]
pub struct JobPatch {
    pub name: Option<String>,
    pub priority: Option<u32>,
    pub cpus: Option<u32>,
    /// How many it may have where nobody else wants the room; 0: no more than `cpus`.
    pub max_cpus: Option<u32>,
    pub reservation: Option<tessera_model::Reservation>,
    pub hosts: Option<BTreeSet<String>>,
    pub omithosts: Option<BTreeSet<String>>,
    pub cluster: Option<tessera_model::ClusterChoice>,
    pub restrictions: Option<Option<tessera_model::Restriction>>,
    pub requirements: Option<Option<Arc<tessera_model::Requirement>>>,
    pub host_order: Option<Option<Arc<tessera_model::HostOrder>>>,
    pub groups: Option<BTreeSet<String>>,
    pub omitgroups: Option<BTreeSet<String>>,
    pub retrywork: Option<u32>,
    pub retrywork_delay: Option<Duration>,
    pub retrysubjob: Option<u32>,
    pub retry_oom: Option<u32>,
    pub pgrp_limit: Option<Option<u32>>,
    pub per_host: Option<Option<u32>>,
    pub start_rate: Option<Option<tessera_model::StartRate>>,
    pub timelimit: Option<Option<Duration>>,
    pub agendatimelimit: Option<Option<Duration>>,
    pub silence_limit: Option<Option<Duration>>,
    pub after: Option<Option<tessera_model::After>>,
    pub mail: Option<Option<tessera_model::JobMail>>,
    pub webhooks: Option<tessera_model::JobWebhooks>,
    pub max_failures: Option<u32>,
    pub notes: Option<String>,
}

/// What came of one input.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// For the client, released after the commit.
    pub answer: Option<Result<Answer, Denied>>,
    /// What must be durable before anything of this output leaves the process.
    pub changes: Vec<Change>,
    /// What is carried out after that, in this order.
    pub effects: Vec<Effect>,
}

/// A client's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The job exists.
    Submitted {
        /// Its id.
        job: JobId,
        /// Whether it existed before (same key).
        existed: bool,
    },
    /// What came of each target, in their order.
    Acted(Vec<(Target, Result<Acted, Denied>)>),
    /// Done.
    Done,
}

/// How much an action changed of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Acted {
    /// Items changed.
    pub items: u32,
    /// Instances changed.
    pub instances: u32,
}

/// Why a client's wish is not granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No such job.
    #[error("there is no job {0}")]
    NoJob(JobId),
    /// No such instance.
    #[error("job {0} has no instance {1}")]
    NoInstance(JobId, InstanceNo),
    /// No such item.
    #[error("job {0} has no item #{number}", number = u64::from(.1.0) + 1)]
    NoItem(JobId, ItemIndex),
    /// No such host.
    #[error("there is no host {0}")]
    NoHost(HostId),
    /// Not theirs.
    #[error("{by} may not {what}: {why}")]
    Forbidden {
        /// Who asked.
        by: UserName,
        /// What they asked for, in words.
        what: String,
        /// Who may.
        why: String,
    },
    /// Not in this state.
    #[error("can't {action} {what}: {why}")]
    State {
        /// What was asked.
        action: Action,
        /// Of what, in words.
        what: String,
        /// Why not.
        why: Refused,
    },
    /// Not in this state, for a reason of the host's.
    #[error("can't remove host {0}: it is connected; stop its worker first, or force it")]
    HostConnected(HostId),
    /// A job to wait for does not exist, or the like.
    #[error("{field}: {why}")]
    Invalid {
        /// The field of the submission.
        field: &'static str,
        /// Why.
        why: String,
    },
    /// No such resource.
    #[error("the farm has no {0}")]
    NoResource(tessera_model::GlobalName),
    /// No password is registered.
    #[error("no password is registered for {0}")]
    NoCredential(CredentialId),
    /// It was sealed for a number that is taken.
    #[error(
        "the password for {id} was sealed for another number than {next}: somebody registered or revoked it meanwhile"
    )]
    CredentialMoved {
        /// Whose.
        id: CredentialId,
        /// The number to seal for.
        next: u64,
    },
    /// It can't be checked now.
    #[error("the password for {id} can't be checked now: {why}")]
    CredentialBusy {
        /// Whose.
        id: CredentialId,
        /// Why.
        why: String,
    },
    /// Without a good password nobody may submit (`enforce_password`).
    #[error("{owner} has no good registered password: {why}")]
    NoPassword {
        /// Whose job it would be.
        owner: UserName,
        /// What is wrong.
        why: String,
    },
    /// The farm takes no submissions (`reject_submit`).
    #[error("{why}")]
    Rejected {
        /// Who said so, and why.
        why: String,
    },
    /// The same key with another job.
    #[error("key {key:?} was used by {owner} for another submission (job {job})")]
    KeyReused {
        /// The key.
        key: String,
        /// Whose.
        owner: UserName,
        /// Which job has it.
        job: JobId,
    },
}

/// Something that must be durable. What is named by key is read from the engine when the transaction is written, so that
/// several changes of one thing in a turn cost one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A job is new or its description changed: write all of it ([`super::Engine::job_image`]), items included.
    JobWhole(JobId),
    /// Its derived state, counts or order changed: write its row.
    JobRow(JobId),
    /// What is kept of its waiting changed: write its description, without items and instances.
    JobSpec(JobId),
    /// It is gone with everything that it had.
    JobRemoved(JobId),
    /// Many of its items changed at once: write all segments.
    ItemsRefold(JobId),
    /// An instance changed.
    Instance(JobId, InstanceNo),
    /// A launch is new or changed, or is gone when the engine has it no more.
    Launch(LaunchKey),
    /// A host is new or changed, or is gone when the engine has it no more.
    Host(HostId),
    /// A registered password is new or changed, but for what is sealed.
    Credential(CredentialId),
    /// What is sealed to a key is new, or is gone when the engine has it no more.
    CredentialSeal(CredentialId, KeyId),
    /// A mode of maintenance was set or unset: write all of them ([`super::Engine::modes`]).
    Modes,
    /// Something was said of the farm's own resources: write all of it ([`super::Globals::records`]).
    Globals,
    /// The keys of a host changed, or are gone when the engine has them no more.
    PoolKeys(HostId),
    /// An attempt is over: a row of history.
    Attempt(Box<AttemptRecord>),
    /// Something to read in `hist`, to follow as an event, and, when it has a `core`, to replay at start.
    Event(Box<Event>),
}

/// A line of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What kind: `job.submitted`, `job.running`, `job.ended`, `job.action`, `instance.started`, `item.started`,
    /// `item.ended`, `item.changed`, `host.up` … ([`kind`]).
    pub kind: &'static str,
    /// Of which job.
    pub job: Option<JobId>,
    /// Of which instance.
    pub instance: Option<InstanceNo>,
    /// Of which item.
    pub item: Option<ItemIndex>,
    /// Which attempt.
    pub attempt: Option<Attempt>,
    /// On which host.
    pub host: Option<HostId>,
    /// Who did it, when somebody did.
    pub actor: Option<UserName>,
    /// The item's packed state after it ([`super::items::ItemCore::pack`]).
    pub core: Option<u64>,
    /// A sentence.
    pub text: String,
}

/// Kinds of events.
#[expect(missing_docs, reason = "the words say it")]
pub mod kind {
    pub const JOB_SUBMITTED: &str = "job.submitted";
    pub const JOB_STATUS: &str = "job.status";
    pub const JOB_ACTION: &str = "job.action";
    pub const JOB_ITEMS: &str = "job.items";
    pub const JOB_MODIFIED: &str = "job.modified";
    pub const JOB_REMOVED: &str = "job.removed";
    pub const JOB_STRANDED: &str = "job.stranded";
    pub const JOB_PREEMPTS: &str = "job.preempts";
    pub const INSTANCE_ASSIGNED: &str = "instance.assigned";
    pub const INSTANCE_STARTED: &str = "instance.started";
    pub const INSTANCE_REFUSED: &str = "instance.refused";
    pub const INSTANCE_ENDED: &str = "instance.ended";
    pub const INSTANCE_PREEMPTED: &str = "instance.preempted";
    pub const INSTANCE_SPARED: &str = "instance.spared";
    pub const ITEM_ASSIGNED: &str = "item.assigned";
    pub const ITEM_ENDED: &str = "item.ended";
    pub const ITEM_CHANGED: &str = "item.changed";
    pub const HOST_UP: &str = "host.up";
    pub const HOST_AWAY: &str = "host.away";
    pub const HOST_DOWN: &str = "host.down";
    pub const HOST_PANIC: &str = "host.panic";
    pub const HOST_LOCKED: &str = "host.locked";
    pub const HOST_UNLOCKED: &str = "host.unlocked";
    pub const HOST_WRANGLED: &str = "host.wrangled";
    pub const HOST_DRAINED: &str = "host.drained";
    pub const HOST_REMOVED: &str = "host.removed";
    pub const HOST_RESERVED: &str = "host.reserved";
    pub const HOST_RELEASED: &str = "host.released";
    pub const CREDENTIAL_REGISTERED: &str = "credential.registered";
    pub const CREDENTIAL_CHECKED: &str = "credential.checked";
    pub const CREDENTIAL_REVOKED: &str = "credential.revoked";
    pub const FARM_MODE: &str = "farm.mode";
    pub const RESOURCE_SET: &str = "resource.set";
    pub const RESOURCE_REMOVED: &str = "resource.removed";
    pub const RESOURCE_EXPIRED: &str = "resource.expired";
}

/// One attempt, over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// Where it ran: job, instance and launch.
    pub key: LaunchKey,
    /// What.
    pub run: Run,
    /// On which host.
    pub host: HostId,
    /// The host's name then.
    pub host_name: String,
    /// The account that it ran as, as the host said.
    pub account: String,
    /// When it was assigned.
    pub assigned: Timestamp,
    /// When its record was closed.
    pub ended: Timestamp,
    /// How it ended, with what was measured; `None` when it is not known (its host was lost).
    pub end: Option<AttemptEnd>,
    /// Why it is over, in words, when how it ended is not known.
    pub why: String,
    /// Whether the end counted: it was the item's current attempt.
    pub counted: bool,
}

/// Something to carry out once the changes are durable. Each is safe to repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Say this to a worker, if that connection is still there.
    Send {
        /// To which.
        host: HostId,
        /// On which connection.
        session: SessionId,
        /// What.
        message: ToWorker,
    },
    /// Sign a ticket and send [`ToWorker::Start`].
    Start {
        /// To which.
        host: HostId,
        /// On which connection.
        session: SessionId,
        /// What to start.
        order: Box<StartOrder>,
    },
    /// Close that connection; the worker comes again.
    Disconnect {
        /// Which.
        host: HostId,
        /// Which connection.
        session: SessionId,
    },
    /// A job has ended.
    JobEnded {
        /// Which.
        job: JobId,
        /// How.
        status: WorkStatus,
    },
    /// Remove the logs of a job that is gone.
    RemoveLogs(JobId),
}

/// What a ticket is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartOrder {
    /// Which start of which instance.
    pub key: LaunchKey,
    /// Whose job.
    pub owner: UserName,
    /// How the owner was proven at submission, for the ticket and audit.
    pub proof: String,
    /// The account to run as on that host.
    pub account: String,
    /// `proxy`, `user` or `desktop`.
    pub mode: &'static str,
    /// The job's description.
    pub spec: Arc<JobSpec>,
    /// What it takes of the host.
    pub taken: Arc<tessera_model::Taken>,
    /// What the kernel keeps it to.
    pub kernel: tessera_model::KernelLimits,
    /// Variables that keep its programs to what it took: they win over the job's own of the same name.
    pub variables: Vec<(&'static str, String)>,
    /// Limits for the worker.
    pub limits: RunLimits,
    /// The first item.
    pub run: Run,
}
