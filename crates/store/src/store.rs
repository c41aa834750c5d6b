//! The traits and what goes through them.

use crate::error::StoreError;
use crate::rows::{
    AttemptRow, CredentialRow, CredentialSealRow, HostRow, InstanceRow, ItemsRow, JobRow,
    JobStateRow, JoinTokenRow, JournalRow, LaunchRow, PoolKeyRow, TokenRow,
};
use std::collections::BTreeMap;

/// Numbers the leases of a store; only ever grows. A batch with an older one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

/// The writer's side: one at a time, synchronous.
pub trait Store: Send {
    /// Reads the whole picture, as of the last commit.
    ///
    /// # Errors
    /// When the disk or the data is bad.
    fn load(&mut self) -> Result<Loaded, StoreError>;

    /// Makes a batch durable, whole or not at all. Its writes take effect in their order.
    ///
    /// # Errors
    /// [`StoreError::StaleEpoch`] when the lease was taken by another; [`StoreError::NoSpace`], [`StoreError::ReadOnly`]
    /// when the disk won't take it; [`StoreError::Unknown`], [`StoreError::Invalid`], [`StoreError::Taken`] when the
    /// batch makes no sense.
    fn commit(&mut self, batch: &Batch) -> Result<Committed, StoreError>;

    /// Opens another connection, for another thread, that sees what is committed.
    ///
    /// # Errors
    /// When it can't be opened.
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError>;

    /// Takes the lease for `holder`; leases taken before end.
    ///
    /// # Errors
    /// [`StoreError::Held`] when another process has the store, or when the disk won't take it.
    fn lease(&mut self, holder: &str) -> Result<Epoch, StoreError>;

    /// Carries out a bounded portion of what is put off: rows left by removed jobs and pruned history. Each commit does
    /// a smaller portion by itself. Answers whether there is more.
    ///
    /// # Errors
    /// When the disk won't take it.
    fn tidy(&mut self) -> Result<bool, StoreError>;
}

/// What becomes durable together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// The writer's lease.
    pub epoch: Epoch,
    /// When, in milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// What, in this order.
    pub writes: Vec<Write>,
}

/// One write of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Inserts a job or replaces its whole row.
    Job(JobRow),
    /// Changes the hot columns of a job that exists.
    JobState(JobStateRow),
    /// Removes a job with its items, instances, launches, attempts, key and the journal rows of earlier batches (this
    /// batch's, which tell of the removal, stay until they are pruned). Attempts and journal rows go in portions, see
    /// [`Store::tidy`].
    JobRemove(u64),
    /// Writes a segment of a job's items; cells of journal rows before it have no effect on it any more.
    Items {
        /// The job.
        job: u64,
        /// Which segment.
        segment: u32,
        /// 1 to [`crate::SEGMENT_ITEMS`] cells.
        cells: Vec<u64>,
    },
    /// Inserts or replaces an instance.
    Instance(InstanceRow),
    /// Inserts or replaces a launch.
    Launch(LaunchRow),
    /// Removes a launch, if it is there.
    LaunchRemove {
        /// The job.
        job: u64,
        /// Which of its instances.
        instance: u32,
        /// Which start of it.
        launch: u32,
    },
    /// Inserts or replaces a host.
    Host(HostRow),
    /// Removes a host, if it is there.
    HostRemove([u8; 16]),
    /// Appends an attempt; one that is kept already (same job, item and attempt) stays as it is.
    Attempt(AttemptRow),
    /// Appends to the journal, with the next sequence number.
    Journal(JournalRow),
    /// Inserts or replaces a token, by id.
    Token(TokenRow),
    /// Notes when a token was used last; one that is not kept (any more) stays away.
    TokenUsed {
        /// The token.
        id: String,
        /// When, in milliseconds since 1970.
        at_ms: i64,
    },
    /// Removes a token, if it is there.
    TokenRemove(String),
    /// Inserts or replaces a join token, by hash.
    JoinToken(JoinTokenRow),
    /// Removes a join token, if it is there.
    JoinTokenRemove([u8; 32]),
    /// Inserts or replaces a registered password, but for what is sealed.
    Credential(CredentialRow),
    /// Inserts or replaces what is sealed to a key.
    CredentialSeal(CredentialSealRow),
    /// Removes what is sealed to a key, if it is there.
    CredentialSealRemove {
        /// `user` or `proxy`.
        kind: String,
        /// The account's name.
        account: String,
        /// The pool.
        pool: String,
        /// The key's fingerprint.
        key: [u8; 16],
    },
    /// Replaces the keys of a host by these, all of which name it.
    PoolKeys {
        /// The host.
        host: [u8; 16],
        /// Its keys.
        keys: Vec<PoolKeyRow>,
    },
    /// Sets a fact of the farm.
    Meta {
        /// Its name.
        key: String,
        /// Its value.
        value: String,
    },
    /// Forgets journal rows with smaller numbers, but for those of jobs that have not ended. Item states are not
    /// touched. Goes in portions, see [`Store::tidy`].
    PruneJournal {
        /// The first that stays.
        before_seq: u64,
    },
}

/// The numbers of a batch's journal rows: `first_seq..=last_seq`, empty (`first_seq == last_seq + 1`) when it had none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The first.
    pub first_seq: u64,
    /// The last; also the newest of the whole journal.
    pub last_seq: u64,
}

/// The whole picture. Rows are in the order of their keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loaded {
    /// Number of the newest journal row ever written; 0 when there was none.
    pub last_seq: u64,
    /// All jobs.
    pub jobs: Vec<JobRow>,
    /// The items of each job that has segments.
    pub items: Vec<ItemsRow>,
    /// All instances.
    pub instances: Vec<InstanceRow>,
    /// All launches.
    pub launches: Vec<LaunchRow>,
    /// All hosts.
    pub hosts: Vec<HostRow>,
    /// All tokens.
    pub tokens: Vec<TokenRow>,
    /// All join tokens.
    pub join_tokens: Vec<JoinTokenRow>,
    /// All registered passwords.
    pub credentials: Vec<CredentialRow>,
    /// What is sealed, by account and key.
    pub credential_seals: Vec<CredentialSealRow>,
    /// The keys of workers, by host and place.
    pub pool_keys: Vec<PoolKeyRow>,
    /// Facts of the farm.
    pub meta: BTreeMap<String, String>,
}

/// The readers' side: committed data only. Limits are capped at [`crate::READ_LIMIT_MAX`].
pub trait Reader: Send {
    /// Reads the history of a job, or of one of its items, after `after_seq`, oldest first.
    ///
    /// # Errors
    /// When the disk or the data is bad.
    fn history(
        &mut self,
        job: u64,
        item: Option<u32>,
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<HistoryRow>, StoreError>;

    /// Reads what happened to a job as a whole, neither to an instance nor to an item of it, after `after_seq`, oldest first.
    ///
    /// # Errors
    /// When the disk or the data is bad.
    fn history_of_whole(
        &mut self,
        job: u64,
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<HistoryRow>, StoreError>;

    /// Reads what was journalled after `seq`, oldest first.
    ///
    /// # Errors
    /// When the disk or the data is bad.
    fn events_after(&mut self, seq: u64, limit: u32) -> Result<Events, StoreError>;

    /// Answers the number of the newest journal row ever written; 0 when there was none.
    ///
    /// # Errors
    /// When the disk or the data is bad.
    fn last_seq(&mut self) -> Result<u64, StoreError>;

    /// Reads attempts of a job, or of one of its items, in the order of (item, attempt), after `after`.
    ///
    /// # Errors
    /// When the disk or the data is bad.
    fn attempts(
        &mut self,
        job: u64,
        item: Option<u32>,
        after: Option<(u32, u32)>,
        limit: u32,
    ) -> Result<Vec<AttemptRow>, StoreError>;

    /// Reads the latest kept attempt of each item from `from_item` on; items without one are left out.
    ///
    /// # Errors
    /// When the disk or the data is bad.
    fn attempts_latest(
        &mut self,
        job: u64,
        from_item: u32,
        limit: u32,
    ) -> Result<Vec<AttemptRow>, StoreError>;

    /// Reads attempts on a host that ended at `from_ms` or later, by when they ended.
    ///
    /// # Errors
    /// When the disk or the data is bad.
    fn attempts_on(
        &mut self,
        host: [u8; 16],
        from_ms: i64,
        limit: u32,
    ) -> Result<Vec<AttemptRow>, StoreError>;

    /// Reads a job's row.
    ///
    /// # Errors
    /// When the disk or the data is bad.
    fn job_row(&mut self, id: u64) -> Result<Option<JobRow>, StoreError>;

    /// Answers the first number to keep if what was journalled before `before_ms` is to go; `None` when nothing is older.
    ///
    /// # Errors
    /// When the disk or the data is bad.
    fn journal_prunable(&mut self, before_ms: i64) -> Result<Option<u64>, StoreError>;

    /// Lists jobs that ended before `before_ms`, the longest ended first.
    ///
    /// # Errors
    /// When the disk or the data is bad.
    fn ended_jobs(&mut self, before_ms: i64, limit: u32) -> Result<Vec<EndedJob>, StoreError>;

    /// Counts what is kept. Reads every table through: seconds for tens of millions of rows.
    ///
    /// # Errors
    /// When the disk or the data is bad.
    fn usage(&mut self) -> Result<Usage, StoreError>;
}

/// A journal row with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRow {
    /// Its number.
    pub seq: u64,
    /// The row.
    pub row: JournalRow,
}

/// What follows a sequence number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Events {
    /// These, and perhaps more when there are as many as asked for.
    Rows(Vec<HistoryRow>),
    /// It can't be told: rows after the number were pruned, or the number is from the future (another or a restored
    /// store). The reader must start over from the present state.
    Pruned {
        /// The oldest number from which events can be told completely.
        oldest_seq: u64,
    },
}

/// A job that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedJob {
    /// Which.
    pub id: u64,
    /// When.
    pub ended_ms: i64,
    /// Whose.
    pub owner: String,
    /// Its name.
    pub name: String,
}

/// How much is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes on the disk, logs of transactions included.
    pub bytes: u64,
    /// Bytes of them that the next rows will use again.
    pub free_bytes: u64,
    /// By table.
    pub tables: Vec<TableUsage>,
}

/// How much a table keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableUsage {
    /// Its name.
    pub table: &'static str,
    /// Its rows.
    pub rows: u64,
}
