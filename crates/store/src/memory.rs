//! A store in memory, for the simulator and for tests: the same answers as a real one, and faults on request.
//!
//! [`MemoryDisk`] is what outlives a process: drop the [`MemoryStore`], ask the disk for another, and a restart is
//! played. What is put off by a real backend is done at once here.

use crate::error::StoreError;
use crate::rows::{
    AttemptRow, CredentialRow, CredentialSealRow, HostRow, InstanceRow, ItemsRow, JobRow,
    JoinTokenRow, JournalRow, LaunchRow, PoolKeyRow, TokenRow,
};
use crate::store::{
    Batch, Committed, EndedJob, Epoch, Events, HistoryRow, Loaded, Reader, Store, TableUsage,
    Usage, Write,
};
use crate::{READ_LIMIT_MAX, SEGMENT_ITEMS};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a commit is to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails and nothing of it is kept.
    BeforeDurable,
    /// It fails to its caller, but is kept: the answer got lost.
    AfterDurable,
    /// It finds no space; nothing of it is kept.
    NoSpace,
}

/// What a process leaves behind. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug, Default)]
struct Disk {
    epoch: u64,
    tables: Tables,
    log: Log,
    faults: VecDeque<Fault>,
    commits: u64,
}

impl MemoryDisk {
    /// Makes an empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the store on it. Others that are open stay so; the lease tells who may write.
    #[must_use]
    pub fn open(&self) -> MemoryStore {
        MemoryStore { disk: self.clone() }
    }

    /// Makes the next commit fail so; asked several times, the next ones, in order.
    pub fn fail_next(&self, fault: Fault) {
        self.lock().faults.push_back(fault);
    }

    /// Answers how many faults are still to come.
    #[must_use]
    pub fn faults_left(&self) -> usize {
        self.lock().faults.len()
    }

    /// Answers how many batches became durable.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.lock().commits
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        // A panic elsewhere leaves whole batches: they are put in only when they are ready.
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A store on a [`MemoryDisk`].
#[derive(Debug)]
pub struct MemoryStore {
    disk: MemoryDisk,
}

impl MemoryStore {
    /// Makes a store on a disk of its own.
    #[must_use]
    pub fn new() -> Self {
        MemoryDisk::new().open()
    }

    /// Answers its disk.
    #[must_use]
    pub fn disk(&self) -> MemoryDisk {
        self.disk.clone()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for MemoryStore {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        let disk = self.disk.lock();
        disk.tables.loaded(disk.log.last_seq)
    }

    fn commit(&mut self, batch: &Batch) -> Result<Committed, StoreError> {
        let mut disk = self.disk.lock();
        let fault = disk.faults.pop_front();
        if let Some(fault @ (Fault::BeforeDurable | Fault::NoSpace)) = fault {
            return Err(fault.error());
        }
        if batch.epoch.0 != disk.epoch {
            return Err(StoreError::StaleEpoch {
                epoch: batch.epoch.0,
            });
        }
        let first_seq = disk.log.last_seq + 1;
        let mut turn = Turn::new(disk.tables.clone(), first_seq);
        for write in &batch.writes {
            turn.apply(write)?;
        }
        let Turn { tables, later, .. } = turn.finish()?;
        disk.tables = tables;
        for step in later {
            let Disk { log, tables, .. } = &mut *disk;
            log.apply(step, tables, first_seq);
        }
        disk.commits += 1;
        match fault {
            Some(fault) => Err(fault.error()),
            None => Ok(Committed {
                first_seq,
                last_seq: disk.log.last_seq,
            }),
        }
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(MemoryReader {
            disk: self.disk.clone(),
        }))
    }

    fn lease(&mut self, _holder: &str) -> Result<Epoch, StoreError> {
        let mut disk = self.disk.lock();
        disk.epoch += 1;
        Ok(Epoch(disk.epoch))
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        Ok(false)
    }
}

impl Fault {
    fn error(self) -> StoreError {
        let file = PathBuf::from("(memory)");
        match self {
            Self::NoSpace => StoreError::NoSpace {
                file,
                source: io::Error::from(io::ErrorKind::StorageFull).into(),
            },
            Self::BeforeDurable => StoreError::Backend {
                file,
                source: "planned fault: nothing was kept".into(),
            },
            Self::AfterDurable => StoreError::Backend {
                file,
                source: "planned fault: the answer was lost".into(),
            },
        }
    }
}

/// What is cloned for every batch, so that a bad one leaves nothing.
#[derive(Debug, Clone, Default)]
struct Tables {
    jobs: BTreeMap<u64, Arc<JobRow>>,
    items: BTreeMap<(u64, u32), Arc<Vec<u64>>>,
    instances: BTreeMap<(u64, u32), Arc<InstanceRow>>,
    launches: BTreeMap<(u64, u32, u32), Arc<LaunchRow>>,
    hosts: BTreeMap<[u8; 16], Arc<HostRow>>,
    tokens: BTreeMap<String, Arc<TokenRow>>,
    join_tokens: BTreeMap<[u8; 32], Arc<JoinTokenRow>>,
    credentials: BTreeMap<(String, String, String), Arc<CredentialRow>>,
    credential_seals: BTreeMap<(String, String, String, [u8; 16]), Arc<CredentialSealRow>>,
    pool_keys: BTreeMap<([u8; 16], u32), Arc<PoolKeyRow>>,
    meta: BTreeMap<String, String>,
}

impl Tables {
    fn loaded(&self, last_seq: u64) -> Result<Loaded, StoreError> {
        fn rows<K, R: Clone>(map: &BTreeMap<K, Arc<R>>) -> Vec<R> {
            map.values().map(|row| R::clone(row)).collect()
        }
        Ok(Loaded {
            last_seq,
            jobs: rows(&self.jobs),
            items: self.all_items()?,
            instances: rows(&self.instances),
            launches: rows(&self.launches),
            hosts: rows(&self.hosts),
            tokens: rows(&self.tokens),
            join_tokens: rows(&self.join_tokens),
            credentials: rows(&self.credentials),
            credential_seals: rows(&self.credential_seals),
            pool_keys: rows(&self.pool_keys),
            meta: self.meta.clone(),
        })
    }

    fn all_items(&self) -> Result<Vec<ItemsRow>, StoreError> {
        let mut all: Vec<ItemsRow> = Vec::new();
        for ((job, segment), cells) in &self.items {
            if all.last().is_none_or(|last| last.job != *job) {
                all.push(ItemsRow {
                    job: *job,
                    cells: Vec::new(),
                });
            }
            let Some(last) = all.last_mut() else { continue };
            if last.cells.len() != *segment as usize * SEGMENT_ITEMS as usize {
                let key = format!("segment {segment} of job {job}");
                return Err(StoreError::Unknown {
                    what: "segment of items before",
                    key,
                });
            }
            last.cells.extend_from_slice(cells);
        }
        Ok(all)
    }

    fn remove_job(&mut self, job: u64) {
        self.jobs.remove(&job);
        self.items.retain(|key, _| key.0 != job);
        self.instances.retain(|key, _| key.0 != job);
        self.launches.retain(|key, _| key.0 != job);
    }
}

/// What only grows, and is changed only when the batch is known to be good.
#[derive(Debug, Default)]
struct Log {
    last_seq: u64,
    pruned_before: u64,
    journal: BTreeMap<u64, JournalRow>,
    attempts: BTreeMap<(u64, u32, u32), AttemptRow>,
}

/// A change of the log.
enum Step {
    Journal(JournalRow),
    Attempt(AttemptRow),
    Remove(u64),
    Prune(u64),
}

impl Log {
    fn apply(&mut self, step: Step, tables: &Tables, first_seq: u64) {
        match step {
            Step::Journal(row) => {
                self.last_seq += 1;
                self.journal.insert(self.last_seq, row);
            }
            Step::Attempt(row) => {
                self.attempts
                    .entry((row.job, row.item, row.attempt))
                    .or_insert(row);
            }
            Step::Remove(job) => {
                self.attempts.retain(|key, _| key.0 != job);
                self.journal
                    .retain(|seq, row| *seq >= first_seq || row.job != Some(job));
            }
            Step::Prune(before) => {
                self.pruned_before = self.pruned_before.max(before.min(self.last_seq + 1));
                let is_open = |job: &u64| {
                    tables
                        .jobs
                        .get(job)
                        .is_some_and(|job| job.ended_ms.is_none())
                };
                let end = self.pruned_before;
                self.journal
                    .retain(|seq, row| *seq >= end || row.job.as_ref().is_some_and(is_open));
            }
        }
    }

    fn oldest_seq(&self) -> u64 {
        self.pruned_before.saturating_sub(1)
    }
}

/// One batch on a copy of the tables.
struct Turn {
    tables: Tables,
    later: Vec<Step>,
    cells: BTreeMap<(u64, u32), BTreeMap<u32, u64>>,
    first_seq: u64,
}

impl Turn {
    fn new(tables: Tables, first_seq: u64) -> Self {
        Self {
            tables,
            later: Vec::new(),
            cells: BTreeMap::new(),
            first_seq,
        }
    }

    fn apply(&mut self, write: &Write) -> Result<(), StoreError> {
        match write {
            Write::Job(row) => return self.job(row),
            Write::JobState(row) => {
                let job = self
                    .tables
                    .jobs
                    .get_mut(&row.id)
                    .ok_or_else(|| unknown_job(row.id))?;
                Arc::make_mut(job).set_state(row);
            }
            Write::JobRemove(job) => {
                limit("job.id", *job)?;
                self.tables.remove_job(*job);
                self.cells.retain(|key, _| key.0 != *job);
                // What this batch said before it goes with it, but for the journal.
                self.later
                    .retain(|step| !matches!(step, Step::Attempt(row) if row.job == *job));
                self.later.push(Step::Remove(*job));
            }
            Write::Items {
                job,
                segment,
                cells,
            } => return self.items(*job, *segment, cells),
            Write::Instance(row) => {
                self.need_job(row.job)?;
                self.tables
                    .instances
                    .insert((row.job, row.instance), Arc::new(row.clone()));
            }
            Write::Launch(row) => {
                self.need_job(row.job)?;
                self.tables
                    .launches
                    .insert((row.job, row.instance, row.launch), Arc::new(row.clone()));
            }
            Write::LaunchRemove {
                job,
                instance,
                launch,
            } => {
                self.tables.launches.remove(&(*job, *instance, *launch));
            }
            Write::Host(row) => {
                self.tables.hosts.insert(row.id, Arc::new(row.clone()));
            }
            Write::HostRemove(id) => {
                self.tables.hosts.remove(id);
            }
            Write::Attempt(row) => {
                if self.tables.jobs.contains_key(&row.job) {
                    self.later.push(Step::Attempt(row.bounded()));
                }
            }
            Write::Journal(row) => return self.journal(row),
            Write::Token(row) => return self.token(row),
            Write::TokenUsed { id, at_ms } => {
                if let Some(row) = self.tables.tokens.get_mut(id) {
                    Arc::make_mut(row).last_used_ms = Some(*at_ms);
                }
            }
            Write::TokenRemove(id) => {
                self.tables.tokens.remove(id);
            }
            Write::JoinToken(row) => {
                self.tables
                    .join_tokens
                    .insert(row.sha256, Arc::new(row.clone()));
            }
            Write::JoinTokenRemove(hash) => {
                self.tables.join_tokens.remove(hash);
            }
            Write::Credential(row) => {
                let key = (row.kind.clone(), row.account.clone(), row.pool.clone());
                self.tables.credentials.insert(key, Arc::new(row.clone()));
            }
            Write::CredentialSeal(row) => {
                let (kind, account, pool) =
                    (row.kind.clone(), row.account.clone(), row.pool.clone());
                let key = (kind, account, pool, row.key);
                self.tables
                    .credential_seals
                    .insert(key, Arc::new(row.clone()));
            }
            Write::CredentialSealRemove {
                kind,
                account,
                pool,
                key,
            } => {
                let key = (kind.clone(), account.clone(), pool.clone(), *key);
                self.tables.credential_seals.remove(&key);
            }
            Write::PoolKeys { host, keys } => {
                self.tables.pool_keys.retain(|(of, _), _| of != host);
                for row in keys {
                    let row = PoolKeyRow {
                        host: *host,
                        ..row.clone()
                    };
                    let place = (row.host, row.place);
                    self.tables.pool_keys.insert(place, Arc::new(row));
                }
            }
            Write::Meta { key, value } => {
                self.tables.meta.insert(key.clone(), value.clone());
            }
            Write::PruneJournal { before_seq } => {
                let rows = self
                    .later
                    .iter()
                    .filter(|step| matches!(step, Step::Journal(_)))
                    .count() as u64;
                self.later
                    .push(Step::Prune((*before_seq).min(self.first_seq + rows)));
            }
        }
        Ok(())
    }

    fn need_job(&self, job: u64) -> Result<(), StoreError> {
        if self.tables.jobs.contains_key(&job) {
            Ok(())
        } else {
            Err(unknown_job(job))
        }
    }

    fn job(&mut self, row: &JobRow) -> Result<(), StoreError> {
        limit("job.id", row.id)?;
        let is_same =
            |other: &JobRow| other.id != row.id && other.owner == row.owner && other.key == row.key;
        if row.key.is_some() && self.tables.jobs.values().any(|other| is_same(other)) {
            return Err(StoreError::Taken {
                source: "owner and key of a job".into(),
            });
        }
        self.tables.jobs.insert(row.id, Arc::new(row.clone()));
        Ok(())
    }

    fn items(&mut self, job: u64, segment: u32, cells: &[u64]) -> Result<(), StoreError> {
        self.need_job(job)?;
        if cells.is_empty()
            || cells.len() > SEGMENT_ITEMS as usize
            || segment > u32::MAX / SEGMENT_ITEMS
        {
            return Err(StoreError::Invalid {
                field: "items.cells",
                value: format!("{} cells of segment {segment}", cells.len()),
                why: "a segment has 1 to 4096 cells, a job 2^32 items",
            });
        }
        self.cells.remove(&(job, segment));
        self.tables
            .items
            .insert((job, segment), Arc::new(cells.to_vec()));
        Ok(())
    }

    fn journal(&mut self, row: &JournalRow) -> Result<(), StoreError> {
        if let Some(job) = row.job {
            limit("journal.job", job)?;
        }
        match (row.cell, row.job, row.item) {
            (None, _, _) => {}
            (Some(cell), Some(job), Some(item)) => {
                self.cells
                    .entry((job, item / SEGMENT_ITEMS))
                    .or_default()
                    .insert(item % SEGMENT_ITEMS, cell);
            }
            (Some(cell), _, _) => {
                let why = "a cell needs its job and item";
                return Err(StoreError::Invalid {
                    field: "journal.cell",
                    value: cell.to_string(),
                    why,
                });
            }
        }
        self.later.push(Step::Journal(row.clone()));
        Ok(())
    }

    fn token(&mut self, row: &TokenRow) -> Result<(), StoreError> {
        if self
            .tables
            .tokens
            .values()
            .any(|other| other.id != row.id && other.sha256 == row.sha256)
        {
            return Err(StoreError::Taken {
                source: "hash of a token".into(),
            });
        }
        self.tables
            .tokens
            .insert(row.id.clone(), Arc::new(row.clone()));
        Ok(())
    }

    /// Puts the cells in; those of a job that is not kept are dropped.
    fn finish(mut self) -> Result<Self, StoreError> {
        for (&(job, segment), cells) in &self.cells {
            if !self.tables.jobs.contains_key(&job) {
                continue;
            }
            let mut kept = self
                .tables
                .items
                .get_mut(&(job, segment))
                .map(Arc::make_mut);
            for (place, cell) in cells {
                match kept.as_mut().and_then(|kept| kept.get_mut(*place as usize)) {
                    Some(kept) => *kept = *cell,
                    None => {
                        let item =
                            u64::from(segment) * u64::from(SEGMENT_ITEMS) + u64::from(*place);
                        return Err(StoreError::Unknown {
                            what: "item",
                            key: format!("#{item} of job {job}"),
                        });
                    }
                }
            }
        }
        Ok(self)
    }
}

fn unknown_job(job: u64) -> StoreError {
    StoreError::Unknown {
        what: "job",
        key: job.to_string(),
    }
}

fn limit(field: &'static str, value: u64) -> Result<(), StoreError> {
    if i64::try_from(value).is_ok() {
        return Ok(());
    }
    Err(StoreError::Invalid {
        field,
        value: value.to_string(),
        why: "the largest number is 2^63 - 1",
    })
}

/// Reads a [`MemoryDisk`].
#[derive(Debug)]
struct MemoryReader {
    disk: MemoryDisk,
}

fn cap(limit: u32) -> usize {
    limit.min(READ_LIMIT_MAX) as usize
}

fn entry((seq, row): (&u64, &JournalRow)) -> HistoryRow {
    HistoryRow {
        seq: *seq,
        row: row.clone(),
    }
}

impl Reader for MemoryReader {
    fn history(
        &mut self,
        job: u64,
        item: Option<u32>,
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        let disk = self.disk.lock();
        let is_wanted =
            |row: &JournalRow| row.job == Some(job) && (item.is_none() || row.item == item);
        let rows = disk
            .log
            .journal
            .range(after_seq.saturating_add(1)..)
            .filter(|(_, row)| is_wanted(row));
        Ok(rows.take(cap(limit)).map(entry).collect())
    }

    fn history_of_whole(
        &mut self,
        job: u64,
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        let disk = self.disk.lock();
        let is_wanted =
            |row: &JournalRow| row.job == Some(job) && row.item.is_none() && row.instance.is_none();
        let after = after_seq.saturating_add(1);
        let rows = disk.log.journal.range(after..);
        let rows = rows.filter(|(_, row)| is_wanted(row));
        Ok(rows.take(cap(limit)).map(entry).collect())
    }

    fn events_after(&mut self, seq: u64, limit: u32) -> Result<Events, StoreError> {
        let disk = self.disk.lock();
        let oldest_seq = disk.log.oldest_seq();
        if seq < oldest_seq || seq > disk.log.last_seq {
            return Ok(Events::Pruned { oldest_seq });
        }
        Ok(Events::Rows(
            disk.log
                .journal
                .range(seq + 1..)
                .take(cap(limit))
                .map(entry)
                .collect(),
        ))
    }

    fn last_seq(&mut self) -> Result<u64, StoreError> {
        Ok(self.disk.lock().log.last_seq)
    }

    fn attempts(
        &mut self,
        job: u64,
        item: Option<u32>,
        after: Option<(u32, u32)>,
        limit: u32,
    ) -> Result<Vec<AttemptRow>, StoreError> {
        let disk = self.disk.lock();
        let rows = disk
            .log
            .attempts
            .range((job, 0, 0)..=(job, u32::MAX, u32::MAX))
            .map(|(_, row)| row);
        let rows = rows.filter(|row| item.is_none_or(|item| row.item == item));
        let rows = rows.filter(|row| after.is_none_or(|after| (row.item, row.attempt) > after));
        Ok(rows.take(cap(limit)).cloned().collect())
    }

    fn attempts_latest(
        &mut self,
        job: u64,
        from_item: u32,
        limit: u32,
    ) -> Result<Vec<AttemptRow>, StoreError> {
        let disk = self.disk.lock();
        let mut latest = BTreeMap::new();
        for ((_, item, _), row) in disk
            .log
            .attempts
            .range((job, from_item, 0)..=(job, u32::MAX, u32::MAX))
        {
            latest.insert(*item, row);
        }
        Ok(latest.into_values().take(cap(limit)).cloned().collect())
    }

    fn attempts_on(
        &mut self,
        host: [u8; 16],
        from_ms: i64,
        limit: u32,
    ) -> Result<Vec<AttemptRow>, StoreError> {
        let disk = self.disk.lock();
        let there = disk.log.attempts.values();
        let there = there.filter(|row| row.host == host && row.ended_ms >= from_ms);
        let mut rows: Vec<AttemptRow> = there.cloned().collect();
        rows.sort_by_key(|row| (row.ended_ms, row.job, row.item, row.attempt));
        rows.truncate(cap(limit));
        Ok(rows)
    }

    fn job_row(&mut self, id: u64) -> Result<Option<JobRow>, StoreError> {
        Ok(self
            .disk
            .lock()
            .tables
            .jobs
            .get(&id)
            .map(|row| JobRow::clone(row)))
    }

    fn journal_prunable(&mut self, before_ms: i64) -> Result<Option<u64>, StoreError> {
        let disk = self.disk.lock();
        let first = disk.log.oldest_seq() + 1;
        let old = disk
            .log
            .journal
            .range(first..)
            .take_while(|(_, row)| row.at_ms < before_ms);
        Ok(old.last().map(|(seq, _)| seq + 1))
    }

    fn ended_jobs(&mut self, before_ms: i64, limit: u32) -> Result<Vec<EndedJob>, StoreError> {
        let disk = self.disk.lock();
        let ended = |job: &Arc<JobRow>| {
            let ended_ms = job.ended_ms.filter(|ended| *ended < before_ms)?;
            Some(EndedJob {
                id: job.id,
                ended_ms,
                owner: job.owner.clone(),
                name: job.name.clone(),
            })
        };
        let mut jobs: Vec<EndedJob> = disk.tables.jobs.values().filter_map(ended).collect();
        jobs.sort_by_key(|job| (job.ended_ms, job.id));
        jobs.truncate(cap(limit));
        Ok(jobs)
    }

    fn usage(&mut self) -> Result<Usage, StoreError> {
        let disk = self.disk.lock();
        let Tables {
            jobs,
            items,
            instances,
            launches,
            hosts,
            tokens,
            join_tokens,
            credentials,
            credential_seals,
            pool_keys,
            meta,
        } = &disk.tables;
        let counts = [
            ("jobs", jobs.len()),
            ("items", items.len()),
            ("instances", instances.len()),
            ("launches", launches.len()),
            ("attempts", disk.log.attempts.len()),
            ("journal", disk.log.journal.len()),
            ("hosts", hosts.len()),
            ("tokens", tokens.len()),
            ("join_tokens", join_tokens.len()),
            ("credentials", credentials.len()),
            ("credential_seals", credential_seals.len()),
            ("pool_keys", pool_keys.len()),
            ("meta", meta.len()),
        ];
        let tables = counts
            .map(|(table, rows)| TableUsage {
                table,
                rows: rows as u64,
            })
            .to_vec();
        Ok(Usage {
            bytes: 0,
            free_bytes: 0,
            tables,
        })
    }
}
