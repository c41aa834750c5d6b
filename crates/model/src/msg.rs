//! What supervisor and worker say to each other, as plain values; `wire` carries them.
//!
//! The rules that keep every frame:
//! - a [`Report`] has a number that grows over the life of the worker's process; the worker repeats it, in order, on every
//!   new connection until it is acknowledged, and keeps what it needs to say it again over its own restarts;
//! - an order is sent only once; after a new connection the worker says what it has ([`FromWorker::Inventory`], after the
//!   unacknowledged reports), and the supervisor orders again what is missing; it says so on the same connection, too, when
//!   its facts have changed, and then may not have heard yet of what was ordered on that connection;
//! - a report counts only while its attempt is the item's current one.

use crate::credential::{
    CredentialChecked, CredentialId, KeyId, PoolKey, PoolKeys, SealedCredential,
};
use crate::desk::WhileActive;
use crate::host::{HostFacts, Refusal};
use crate::ids::{Attempt, InstanceNo, ItemIndex, JobId, LaunchNo};
use crate::settings::ServedSettings;
use crate::state::{End, Limit};
use crate::time::Timestamp;
use std::fmt;
use std::time::Duration;

/// One start of an instance on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaunchKey {
    /// The job.
    pub job: JobId,
    /// Which of its instances.
    pub instance: InstanceNo,
    /// Which start of it.
    pub launch: LaunchNo,
}

impl fmt::Display for LaunchKey {
    /// Prints `12345.0.1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.job, self.instance, self.launch)
    }
}

/// One run of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    /// The item.
    pub item: ItemIndex,
    /// Its attempt.
    pub attempt: Attempt,
}

/// What a worker keeps while a launch lives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunLimits {
    /// Longest run of the launch.
    pub timelimit: Option<Duration>,
    /// Longest run of an item.
    pub agendatimelimit: Option<Duration>,
    /// Longest silence of an item.
    pub silence_limit: Option<Duration>,
    /// Time between the polite signal and the kill.
    pub grace: Duration,
    /// Bytes per stream that are kept.
    pub output_limit: u64,
    /// Pattern of progress.
    pub progress: Option<String>,
}

/// From the supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToWorker {
    /// Start an instance, then run this item in it.
    Start {
        /// Which.
        key: LaunchKey,
        /// The signed ticket, opaque to the worker.
        ticket: Vec<u8>,
        /// Its signature.
        signature: Vec<u8>,
        /// The template of what runs, opaque to the worker, covered by the ticket's digest.
        template: Vec<u8>,
        /// Limits that the worker watches.
        limits: RunLimits,
        /// The first item.
        run: Run,
    },
    /// Run an item in an instance, at once or when its current one has ended.
    Run {
        /// Where.
        key: LaunchKey,
        /// What.
        run: Run,
    },
    /// End the processes of an item; the instance stays.
    EndItem {
        /// Where.
        key: LaunchKey,
        /// What; a stale attempt is ignored.
        run: Run,
        /// Time between the polite signal and the kill.
        grace: Duration,
    },
    /// End the instance and what runs in it.
    Close {
        /// Which.
        key: LaunchKey,
        /// Time between the polite signal and the kill.
        grace: Duration,
    },
    /// Stop the processes of an instance.
    Suspend(LaunchKey),
    /// Let them go on.
    Resume(LaunchKey),
    /// All reports up to this number are durable.
    Ack(u64),
    /// Have this sealed password ready for launches; checked, it is tried with one logon and
    /// [`FromWorker::CredentialChecked`] answers.
    Credential {
        /// The password, sealed to a key of this worker.
        credential: Box<SealedCredential>,
        /// Whether to try it now.
        is_check: bool,
    },
    /// Forget passwords of this account up to this number and close what was opened with them.
    CredentialRevoked {
        /// Whose.
        id: CredentialId,
        /// The number of the revocation.
        sequence: u64,
    },
    /// Seal a password that you can read for another key as well, if your host lets you.
    Reseal {
        /// The password, sealed to a key of this worker.
        credential: Box<SealedCredential>,
        /// For whom.
        to: PoolKey,
    },
    /// Nothing is sealed to this older key of yours alone any more: destroy it.
    RetireKey(KeyId),
    /// Take no new work while somebody is active at the host, or do again; said on every new connection.
    LockWhileActive(Option<WhileActive>),
    /// What the farm sets for this worker, all of it; said on every new connection to a worker that takes it, and when it changes.
    /// The worker says in its facts what it took.
    Settings(Box<ServedSettings>),
}

/// From a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromWorker {
    /// First of a connection.
    Hello(HostFacts),
    /// After the unacknowledged reports of a new connection: every launch that this worker has.
    Inventory(Vec<LaunchInventory>),
    /// Something that must not be lost.
    Report {
        /// Grows by one over the life of the worker's process.
        seq: u64,
        /// What happened.
        report: Report,
    },
    /// Something that may be lost: an item's process exists.
    ItemStarted {
        /// Where.
        key: LaunchKey,
        /// What.
        run: Run,
        /// When.
        at: Timestamp,
    },
    /// Something that may be lost: progress of an item in percent.
    Progress {
        /// Where.
        key: LaunchKey,
        /// What.
        run: Run,
        /// 0 to 100.
        percent: u8,
    },
    /// I am here.
    Heartbeat,
    /// After the `Hello` of a worker that needs registered passwords, and again when they change: its keys.
    PoolKeys(PoolKeys),
    /// What came of a password that was to be checked, or that a launch tried.
    CredentialChecked(CredentialChecked),
    /// A password, sealed for another key.
    Resealed {
        /// Whose.
        id: CredentialId,
        /// Of which registration.
        sequence: u64,
        /// To which key.
        to: KeyId,
        /// The sealed password, or why it was not done.
        sealed: Result<Vec<u8>, String>,
    },
    /// Something that may be lost: for how long nobody has touched a host that is closed while somebody is active.
    Idle(Duration),
}

/// A launch as its worker sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchInventory {
    /// Which.
    pub key: LaunchKey,
    /// What runs in it.
    pub current: Option<Run>,
    /// What it runs next without being asked, in order.
    pub ahead: Vec<Run>,
    /// Whether it is ending and takes no more items.
    pub is_closing: bool,
    /// Whether it is suspended.
    pub is_suspended: bool,
}

/// What a worker tells until it is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The instance exists; items run as this account.
    Started {
        /// Which.
        key: LaunchKey,
        /// The account, as the launcher resolved it.
        account: String,
        /// Its uid.
        uid: u32,
        /// How what runs is kept together: `cgroup` or `session`.
        containment: String,
    },
    /// Nothing was started, and why; the launch is over.
    Refused {
        /// Which.
        key: LaunchKey,
        /// Why.
        refusal: Refusal,
    },
    /// An item's processes have ended, all of them.
    ItemEnded {
        /// Where.
        key: LaunchKey,
        /// What.
        run: Run,
        /// How.
        end: AttemptEnd,
    },
    /// Nothing of the launch is left on the host.
    Gone {
        /// Which.
        key: LaunchKey,
        /// Why it went.
        cause: GoneCause,
    },
}

impl Report {
    /// Answers the launch it is about.
    #[must_use]
    pub fn key(&self) -> LaunchKey {
        match self {
            Self::Started { key, .. }
            | Self::Refused { key, .. }
            | Self::ItemEnded { key, .. }
            | Self::Gone { key, .. } => *key,
        }
    }
}

/// The end of an attempt with what was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptEnd {
    /// How.
    pub end: End,
    /// When its process was started, by the host's clock.
    pub started: Timestamp,
    /// How long it ran, by a monotonic clock.
    pub elapsed: Duration,
    /// CPU time, user and system, of its processes.
    pub cpu: Duration,
    /// Largest resident size of one of its processes, in bytes.
    pub peak_memory: u64,
    /// Bytes that it printed to stdout and stderr (kept or not).
    pub printed: [u64; 2],
    /// Bytes of the log that were kept, per stream.
    pub kept: [u64; 2],
    /// Processes that were left when its main process ended, and were killed.
    pub leftovers: u32,
}

impl AttemptEnd {
    /// Makes the end of an attempt of which nothing ran, or of which nobody knows more than this.
    #[must_use]
    pub fn nothing_ran(end: End, at: Timestamp) -> Self {
        Self {
            end,
            started: at,
            elapsed: Duration::ZERO,
            cpu: Duration::ZERO,
            peak_memory: 0,
            printed: [0; 2],
            kept: [0; 2],
            leftovers: 0,
        }
    }
}

/// Why a launch is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GoneCause {
    /// It was closed.
    Closed,
    /// Its timelimit was over.
    Limit(Limit),
    /// The job ended its own starter.
    StarterLost,
    /// The shepherd was lost; no fault of the job.
    ShepherdLost,
    /// The worker never had it (an order that got lost).
    Unknown,
}
