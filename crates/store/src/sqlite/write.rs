//! One batch, inside its transaction.

use super::items::{Pending, Tails};
use super::map::{Failure, exact, measure};
use crate::error::StoreError;
use crate::rows::{
    AttemptRow, CredentialRow, CredentialSealRow, HostRow, InstanceRow, JobRow, JobStateRow,
    JoinTokenRow, JournalRow, LaunchRow, PoolKeyRow, TokenRow,
};
use crate::store::Write;
use rusqlite::{Connection, ToSql, params};
use std::collections::HashSet;

/// What is known at the end of a batch.
pub(super) struct Done {
    /// The newest journal number.
    pub(super) last_seq: u64,
    /// Whether rows are left to be deleted later.
    pub(super) left_something: bool,
}

/// Carries out the writes of a batch.
pub(super) struct Writer<'a> {
    tx: &'a Connection,
    before: u64,
    seq: u64,
    left_something: bool,
    prune_before: Option<u64>,
    pending: Pending,
    tails: &'a mut Tails,
    /// Jobs that this batch has found in the store.
    seen: HashSet<u64>,
}

impl<'a> Writer<'a> {
    /// Begins after the journal row `last`.
    pub(super) fn new(tx: &'a Connection, last: u64, tails: &'a mut Tails) -> Self {
        let pending = Pending::default();
        Self {
            tx,
            before: last,
            seq: last,
            left_something: false,
            prune_before: None,
            pending,
            tails,
            seen: HashSet::new(),
        }
    }

    /// Carries out one write.
    pub(super) fn apply(&mut self, write: &Write) -> Result<(), Failure> {
        match write {
            Write::Job(row) => self.job(row),
            Write::JobState(row) => self.job_state(row),
            Write::JobRemove(job) => self.job_remove(*job),
            Write::Items { job, segment, cells } => self.items(*job, *segment, cells),
            Write::Instance(row) => self.instance(row),
            Write::Launch(row) => self.launch(row),
            Write::LaunchRemove { job, instance, launch } => self.run(
                "DELETE FROM launches WHERE job = ?1 AND instance = ?2 AND launch = ?3",
                params![exact("launch.job", *job)?, instance, launch],
            ),
            Write::Host(row) => self.host(row),
            Write::HostRemove(id) => self.run("DELETE FROM hosts WHERE id = ?1", params![id]),
            Write::Attempt(row) => self.attempt(row),
            Write::Journal(row) => self.journal(row),
            Write::Token(row) => self.token(row),
            Write::TokenUsed { id, at_ms } => self.run(
                "UPDATE tokens SET last_used_ms = ?2 WHERE id = ?1",
                params![id, at_ms],
            ),
            Write::TokenRemove(id) => self.run("DELETE FROM tokens WHERE id = ?1", params![id]),
            Write::JoinToken(row) => self.join_token(row),
            Write::JoinTokenRemove(hash) => self.run("DELETE FROM join_tokens WHERE sha256 = ?1", params![hash]),
            Write::Credential(row) => self.credential(row),
            Write::CredentialSeal(row) => self.credential_seal(row),
            Write::CredentialSealRemove { kind, account, pool, key } => self.run(
                "DELETE FROM credential_seals WHERE kind = ?1 AND account = ?2 AND pool = ?3 AND key = ?4",
                params![kind, account, pool, key],
            ),
            Write::PoolKeys { host, keys } => self.pool_keys(host, keys),
            Write::Meta { key, value } => self.run(
                "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                params![key, value],
            ),
            Write::PruneJournal { before_seq } => {
                self.prune(*before_seq);
                Ok(())
            }
        }
    }

    /// Writes what was gathered.
    pub(super) fn finish(self) -> Result<Done, Failure> {
        let Self { tx, tails, seq, .. } = self;
        tails.take(tx, self.pending, seq)?;
        if let Some(before) = self.prune_before {
            // What is forgotten must be packed. Rare, and little: cells do not get old.
            tails.fold_older(tx, before, usize::MAX, seq)?;
            tx.prepare_cached(
                "UPDATE lease SET pruned_before = max(pruned_before, ?1), prune_cursor = 0 WHERE shard = 0",
            )?
            .execute([exact("journal.seq", before)?])?;
        }
        tx.prepare_cached("UPDATE lease SET last_seq = ?1, folded_before = ?2 WHERE shard = 0")?
            .execute(params![
                exact("journal.seq", seq)?,
                exact("journal.seq", tails.folded_before(seq))?
            ])?;
        Ok(Done {
            last_seq: seq,
            left_something: self.left_something,
        })
    }

    fn run(&self, sql: &str, values: &[&dyn ToSql]) -> Result<(), Failure> {
        self.tx.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    fn has_job(&mut self, job: u64) -> Result<bool, Failure> {
        if !self.seen.contains(&job) && super::items::job_exists(self.tx, exact("job", job)?)? {
            self.seen.insert(job);
        }
        Ok(self.seen.contains(&job))
    }

    fn need_job(&mut self, job: u64) -> Result<(), Failure> {
        if self.has_job(job)? {
            Ok(())
        } else {
            Err(StoreError::Unknown {
                what: "job",
                key: job.to_string(),
            }
            .into())
        }
    }

    fn job(&mut self, row: &JobRow) -> Result<(), Failure> {
        let id = exact("job.id", row.id)?;
        self.run(
            "INSERT INTO jobs (id, name, kind, owner, submitted_ms, key, spec, spec_format, cpus, items, notes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, kind = excluded.kind, owner = excluded.owner,
                submitted_ms = excluded.submitted_ms, key = excluded.key, spec = excluded.spec,
                spec_format = excluded.spec_format, cpus = excluded.cpus, items = excluded.items,
                notes = excluded.notes",
            params![
                id,
                row.name,
                row.kind,
                row.owner,
                row.submitted_ms,
                row.key,
                row.spec,
                row.spec_format,
                row.cpus,
                row.items,
                row.notes
            ],
        )?;
        self.run(
            "INSERT OR IGNORE INTO job_states VALUES (?1, '', 0, 0, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0)",
            params![id],
        )?;
        self.job_state(&row.state_row())
    }

    fn job_state(&mut self, row: &JobStateRow) -> Result<(), Failure> {
        let counts = &row.counts;
        let changed = self
            .tx
            .prepare_cached(
                "UPDATE job_states SET state = ?2, priority = ?3, place = ?4, started_ms = ?5, ended_ms = ?6,
                    pending = ?7, blocked = ?8, waiting = ?9, running = ?10, suspended = ?11, complete = ?12,
                    failed = ?13, killed = ?14
                 WHERE id = ?1",
            )?
            .execute(params![
                exact("job.id", row.id)?,
                row.state,
                row.priority,
                row.order,
                row.started_ms,
                row.ended_ms,
                counts.pending,
                counts.blocked,
                counts.waiting,
                counts.running,
                counts.suspended,
                counts.complete,
                counts.failed,
                counts.killed
            ])?;
        if changed == 1 {
            Ok(())
        } else {
            Err(StoreError::Unknown {
                what: "job",
                key: row.id.to_string(),
            }
            .into())
        }
    }

    fn job_remove(&mut self, job: u64) -> Result<(), Failure> {
        let id = exact("job.id", job)?;
        for sql in [
            "DELETE FROM jobs WHERE id = ?1",
            "DELETE FROM job_states WHERE id = ?1",
            "DELETE FROM items WHERE job = ?1",
            "DELETE FROM instances WHERE job = ?1",
            "DELETE FROM launches WHERE job = ?1",
        ] {
            self.run(sql, params![id])?;
        }
        let before_seq = exact("journal.seq", self.before + 1)?;
        self.run(
            "INSERT OR REPLACE INTO removed VALUES (?1, ?2)",
            params![id, before_seq],
        )?;
        self.left_something = true;
        self.seen.remove(&job);
        self.pending.forget_job(job);
        self.tails.forget_job(job);
        Ok(())
    }

    fn items(&mut self, job: u64, segment: u32, cells: &[u64]) -> Result<(), Failure> {
        self.need_job(job)?;
        self.pending.forget_segment(job, segment);
        self.tails.replace(self.tx, (job, segment), self.seq, cells)
    }

    fn instance(&mut self, row: &InstanceRow) -> Result<(), Failure> {
        self.need_job(row.job)?;
        self.run(
            "INSERT OR REPLACE INTO instances VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                exact("instance.job", row.job)?,
                row.instance,
                row.state,
                row.detail,
                row.launch_last,
                row.retries_used
            ],
        )
    }

    fn launch(&mut self, row: &LaunchRow) -> Result<(), Failure> {
        self.need_job(row.job)?;
        self.run(
            "INSERT OR REPLACE INTO launches VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                exact("launch.job", row.job)?,
                row.instance,
                row.launch,
                row.host,
                row.phase,
                row.item,
                row.attempt,
                row.account,
                row.mode,
                row.since_ms,
                row.detail
            ],
        )
    }

    fn host(&mut self, row: &HostRow) -> Result<(), Failure> {
        self.run(
            "INSERT OR REPLACE INTO hosts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                row.id,
                row.name,
                row.state,
                row.is_locked,
                row.facts,
                row.enrolled_ms,
                row.seen_ms,
                row.fingerprint
            ],
        )
    }

    fn attempt(&mut self, row: &AttemptRow) -> Result<(), Failure> {
        if !self.has_job(row.job)? {
            return Ok(());
        }
        self.run(
            "INSERT OR IGNORE INTO attempts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
                ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25)",
            params![
                exact("attempt.job", row.job)?,
                row.item,
                row.attempt,
                row.instance,
                row.launch,
                row.host,
                row.host_name,
                row.account,
                row.assigned_ms,
                row.started_ms,
                row.ended_ms,
                row.outcome,
                row.exit_code,
                row.signal,
                row.reason,
                measure(row.elapsed_ms),
                measure(row.cpu_ms),
                measure(row.peak_memory),
                measure(row.out_printed),
                measure(row.out_kept),
                measure(row.err_printed),
                measure(row.err_kept),
                row.leftovers,
                row.counted,
                row.memory_limit.map(measure)
            ],
        )
    }

    fn journal(&mut self, row: &JournalRow) -> Result<(), Failure> {
        self.seq += 1;
        if let Some(cell) = row.cell {
            self.pending.put(self.seq, row.job, row.item, cell)?;
        }
        self.run(
            "INSERT INTO journal VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                exact("journal.seq", self.seq)?,
                row.at_ms,
                row.kind,
                row.job.map(|job| exact("journal.job", job)).transpose()?,
                row.instance,
                row.item,
                row.attempt,
                row.host,
                row.actor,
                row.cell.map(u64::cast_signed),
                row.text
            ],
        )
    }

    fn token(&mut self, row: &TokenRow) -> Result<(), Failure> {
        self.run(
            "INSERT INTO tokens VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (id) DO UPDATE SET sha256 = excluded.sha256, user = excluded.user,
                is_admin = excluded.is_admin, note = excluded.note, created_ms = excluded.created_ms,
                expires_ms = excluded.expires_ms, last_used_ms = excluded.last_used_ms",
            params![
                row.id,
                row.sha256,
                row.user,
                row.is_admin,
                row.note,
                row.created_ms,
                row.expires_ms,
                row.last_used_ms
            ],
        )
    }

    fn join_token(&mut self, row: &JoinTokenRow) -> Result<(), Failure> {
        self.run(
            "INSERT OR REPLACE INTO join_tokens VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                row.sha256,
                row.note,
                row.created_ms,
                row.expires_ms,
                row.uses_left
            ],
        )
    }

    fn credential(&mut self, row: &CredentialRow) -> Result<(), Failure> {
        self.run(
            "INSERT OR REPLACE INTO credentials VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,
                ?15, ?16)",
            params![
                row.kind,
                row.account,
                row.pool,
                row.domain,
                row.sid,
                row.sid_found,
                exact("credential.sequence", row.sequence)?,
                row.checks,
                row.created_ms,
                row.expires_ms,
                row.by_user,
                row.is_revoked,
                row.verdict,
                row.checked_ms,
                row.checked_host,
                row.checked_detail
            ],
        )
    }

    fn credential_seal(&mut self, row: &CredentialSealRow) -> Result<(), Failure> {
        self.run(
            "INSERT OR REPLACE INTO credential_seals VALUES (?1, ?2, ?3, ?4, ?5)",
            params![row.kind, row.account, row.pool, row.key, row.sealed],
        )
    }

    fn pool_keys(&mut self, host: &[u8; 16], keys: &[PoolKeyRow]) -> Result<(), Failure> {
        self.run("DELETE FROM pool_keys WHERE host = ?1", params![host])?;
        for row in keys {
            self.run(
                "INSERT OR REPLACE INTO pool_keys VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    host,
                    row.place,
                    row.pool,
                    row.key,
                    row.public,
                    row.created_ms
                ],
            )?;
        }
        Ok(())
    }

    fn prune(&mut self, before_seq: u64) {
        let before = before_seq.min(self.seq + 1);
        self.prune_before = Some(self.prune_before.map_or(before, |other| other.max(before)));
        self.left_something = true;
    }
}
