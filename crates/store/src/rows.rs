//! The rows, as plain data. Times are milliseconds since 1970 UTC, by the supervisor's clock unless said; words and
//! JSON texts are the supervisor's.

/// How many of a job's items are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the states' own names")]
pub struct StateCounts {
    pub pending: u32,
    pub blocked: u32,
    pub waiting: u32,
    pub running: u32,
    pub suspended: u32,
    pub complete: u32,
    pub failed: u32,
    pub killed: u32,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobRow {
    /// Its id; counts up over the life of a farm and is never used again.
    pub id: u64,
    /// For people.
    pub name: String,
    /// The job type's word.
    pub kind: String,
    /// Whose it is.
    pub owner: String,
    /// The state's word.
    pub state: String,
    /// 1 (served first) to 9999.
    pub priority: u32,
    /// Its place among jobs of one priority; smaller is served first.
    pub order: i64,
    /// When it was submitted.
    pub submitted_ms: i64,
    /// When something of it first ran.
    pub started_ms: Option<i64>,
    /// When it ended; none while it has not.
    pub ended_ms: Option<i64>,
    /// Its items by state.
    pub counts: StateCounts,
    /// The submission's idempotency key; unique among the jobs of an owner.
    pub key: Option<String>,
    /// The description, as JSON.
    pub spec: String,
    /// The format number of `spec`.
    pub spec_format: i64,
    /// Number of instances asked for.
    pub cpus: u32,
    /// Number of items.
    pub items: u32,
    /// Free text.
    pub notes: String,
}

impl JobRow {
    /// Answers the columns that change while the job runs.
    #[must_use]
    pub fn state_row(&self) -> JobStateRow {
        JobStateRow {
            id: self.id,
            state: self.state.clone(),
            priority: self.priority,
            order: self.order,
            started_ms: self.started_ms,
            ended_ms: self.ended_ms,
            counts: self.counts,
        }
    }

    /// Puts changed columns in; those of another job are refused by doing nothing.
    pub fn set_state(&mut self, row: &JobStateRow) {
        if self.id == row.id {
            self.state.clone_from(&row.state);
            self.priority = row.priority;
            self.order = row.order;
            self.started_ms = row.started_ms;
            self.ended_ms = row.ended_ms;
            self.counts = row.counts;
        }
    }
}

/// The columns of a job that change while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the fields of JobRow")]
pub struct JobStateRow {
    pub id: u64,
    pub state: String,
    pub priority: u32,
    pub order: i64,
    pub started_ms: Option<i64>,
    pub ended_ms: Option<i64>,
    pub counts: StateCounts,
}

/// All items of a job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ItemsRow {
    /// The job.
    pub job: u64,
    /// A packed state per item, in their order.
    pub cells: Vec<u64>,
}

/// An instance of a job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstanceRow {
    /// The job.
    pub job: u64,
    /// Its number in the job.
    pub instance: u32,
    /// The state's word.
    pub state: String,
    /// What else belongs to the state, as JSON.
    pub detail: String,
    /// The number of its latest launch; 0 when it had none.
    pub launch_last: u32,
    /// Retries of the instance that were used.
    pub retries_used: u32,
}

/// A launch that a host has, or may have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LaunchRow {
    /// The job.
    pub job: u64,
    /// Which of its instances.
    pub instance: u32,
    /// Which start of it.
    pub launch: u32,
    /// The host's id.
    pub host: [u8; 16],
    /// The phase's word.
    pub phase: String,
    /// The item that runs in it.
    pub item: Option<u32>,
    /// The attempt of that item.
    pub attempt: Option<u32>,
    /// The account that it runs as.
    pub account: String,
    /// `proxy`, `user` or `desktop`.
    pub mode: String,
    /// When the phase began.
    pub since_ms: i64,
    /// What else belongs to it, as JSON.
    pub detail: String,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostRow {
    /// Its id.
    pub id: [u8; 16],
    /// Its name.
    pub name: String,
    /// The state's word.
    pub state: String,
    /// Whether it is given nothing new.
    pub is_locked: bool,
    /// What its worker said of it, as JSON.
    pub facts: String,
    /// When it enrolled.
    pub enrolled_ms: i64,
    /// When it was last heard of.
    pub seen_ms: i64,
    /// SHA-256 of its certificate.
    pub fingerprint: Option<[u8; 32]>,
}

/// An attempt that is over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttemptRow {
    /// The job.
    pub job: u64,
    /// The item's place in it.
    pub item: u32,
    /// Which attempt of the item.
    pub attempt: u32,
    /// The instance that ran it.
    pub instance: u32,
    /// Which launch of the instance.
    pub launch: u32,
    /// The host's id.
    pub host: [u8; 16],
    /// The host's name then.
    pub host_name: String,
    /// The account that it ran as.
    pub account: String,
    /// When it was assigned.
    pub assigned_ms: i64,
    /// When its process was started, by the host's clock; none when it never was or is not known.
    pub started_ms: Option<i64>,
    /// When its record was closed.
    pub ended_ms: i64,
    /// How it ended, a word.
    pub outcome: String,
    /// The process's exit status.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Why, in words, where that needs saying.
    pub reason: Option<String>,
    /// How long it ran, by a monotonic clock, in milliseconds.
    pub elapsed_ms: u64,
    /// CPU time of its processes in milliseconds.
    pub cpu_ms: u64,
    /// Largest resident size of one of its processes in bytes.
    pub peak_memory: u64,
    /// Bytes printed to stdout.
    pub out_printed: u64,
    /// Bytes of them that were kept.
    pub out_kept: u64,
    /// Bytes printed to stderr.
    pub err_printed: u64,
    /// Bytes of them that were kept.
    pub err_kept: u64,
    /// Processes that were left at its end, and killed.
    pub leftovers: u32,
    /// Whether its end counted.
    pub counted: bool,
    /// The most memory that the kernel let it have, in bytes, when it ended for want of it; 0: its host had none left.
    pub memory_limit: Option<u64>,
}

impl AttemptRow {
    /// Answers the row as it is kept: a worker's measures are capped at 2^63 - 1.
    pub(crate) fn bounded(&self) -> Self {
        const MAX: u64 = i64::MAX.cast_unsigned();
        Self {
            elapsed_ms: self.elapsed_ms.min(MAX),
            cpu_ms: self.cpu_ms.min(MAX),
            peak_memory: self.peak_memory.min(MAX),
            out_printed: self.out_printed.min(MAX),
            out_kept: self.out_kept.min(MAX),
            err_printed: self.err_printed.min(MAX),
            err_kept: self.err_kept.min(MAX),
            memory_limit: self.memory_limit.map(|bytes| bytes.min(MAX)),
            ..self.clone()
        }
    }
}

/// A line of history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JournalRow {
    /// When.
    pub at_ms: i64,
    /// What kind, a word.
    pub kind: String,
    /// Of which job.
    pub job: Option<u64>,
    /// Of which instance.
    pub instance: Option<u32>,
    /// Of which item.
    pub item: Option<u32>,
    /// Which attempt.
    pub attempt: Option<u32>,
    /// On which host.
    pub host: Option<[u8; 16]>,
    /// Who did it.
    pub actor: Option<String>,
    /// The packed state of `job`'s `item` from now on; needs both.
    pub cell: Option<u64>,
    /// A sentence.
    pub text: String,
}

/// A client's token; only its hash is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenRow {
    /// Its public name.
    pub id: String,
    /// SHA-256 of the secret; unique.
    pub sha256: [u8; 32],
    /// Whom it stands for.
    pub user: String,
    /// Whether it may act on everything.
    pub is_admin: bool,
    /// What it is for.
    pub note: String,
    /// When it was made.
    pub created_ms: i64,
    /// When it ends.
    pub expires_ms: Option<i64>,
    /// When it was last used, coarsely.
    pub last_used_ms: Option<i64>,
}

/// A token with which a host may enrol; only its hash is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JoinTokenRow {
    /// SHA-256 of the secret.
    pub sha256: [u8; 32],
    /// What it is for.
    pub note: String,
    /// When it was made.
    pub created_ms: i64,
    /// When it ends.
    pub expires_ms: i64,
    /// How often it may still be used; 1 when it is made.
    pub uses_left: u32,
}

/// A registered password, but for what is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CredentialRow {
    /// `user` or `proxy`.
    pub kind: String,
    /// The account's name.
    pub account: String,
    /// The pool of workers.
    pub pool: String,
    /// The account's domain.
    pub domain: String,
    /// The SID that it was sealed for, or nothing.
    pub sid: String,
    /// The SID that the first check found, or nothing.
    pub sid_found: String,
    /// Counts registrations and revocations.
    pub sequence: u64,
    /// Counts checks.
    pub checks: u32,
    /// When it was sealed.
    pub created_ms: i64,
    /// When it ends.
    pub expires_ms: i64,
    /// Who registered or revoked it.
    pub by_user: String,
    /// Whether it is a tombstone.
    pub is_revoked: bool,
    /// What the last check found, a word.
    pub verdict: Option<String>,
    /// When that was.
    pub checked_ms: Option<i64>,
    /// The name of the host that checked.
    pub checked_host: String,
    /// What the system said there.
    pub checked_detail: String,
}

/// A password, sealed to one key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CredentialSealRow {
    /// `user` or `proxy`.
    pub kind: String,
    /// The account's name.
    pub account: String,
    /// The pool of workers.
    pub pool: String,
    /// The key's fingerprint.
    pub key: [u8; 16],
    /// What is sealed.
    pub sealed: Vec<u8>,
}

/// A worker's public key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolKeyRow {
    /// The host's id.
    pub host: [u8; 16],
    /// Its place among the host's keys; 0 is the current one.
    pub place: u32,
    /// The pool that the worker is of.
    pub pool: String,
    /// The key's fingerprint.
    pub key: [u8; 16],
    /// The key.
    pub public: [u8; 32],
    /// When it was made.
    pub created_ms: i64,
}
