//! Questions of people, on a connection of their own.

use super::map::{self, Failure, of_sqlite};
use super::{schema, tidy};
use crate::READ_LIMIT_MAX;
use crate::error::StoreError;
use crate::rows::{AttemptRow, JobRow};
use crate::store::{EndedJob, Events, HistoryRow, Reader, TableUsage, Usage};
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};
use std::path::{Path, PathBuf};

/// Tables that are counted.
const TABLES: &[&str] = &[
    "jobs",
    "items",
    "instances",
    "launches",
    "attempts",
    "journal",
    "removed",
    "hosts",
    "tokens",
    "join_tokens",
    "credentials",
    "credential_seals",
    "pool_keys",
    "meta",
];

/// A connection that only reads.
#[derive(Debug)]
pub struct SqliteReader {
    pub(super) file: PathBuf,
    pub(super) db: Connection,
}

impl SqliteReader {
    /// Opens the store in `file` for reading, while a supervisor may be using it.
    ///
    /// # Errors
    /// When there is none, it can't be read, or its schema is not this program's.
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            file: file.into(),
            db: schema::open_reader(file)?,
        })
    }

    pub(super) fn rows<T, P: Params>(
        &self,
        sql: &str,
        values: P,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let all = || {
            self.db
                .prepare_cached(sql)?
                .query_map(values, read)?
                .collect::<rusqlite::Result<_>>()
        };
        all().map_err(|error| of_sqlite(error, &self.file))
    }

    fn answer<T>(
        &self,
        get: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        // One picture for several statements.
        let all = || {
            let tx = self.db.unchecked_transaction()?;
            let answer = get(&tx)?;
            tx.commit()?;
            Ok(answer)
        };
        all().map_err(|failure: Failure| failure.about(&self.file))
    }
}

/// A job's id from outside as SQLite's; one that no job can have finds nothing.
fn id(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(-1)
}

/// A bound from outside as SQLite's.
fn key(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl Reader for SqliteReader {
    fn history(
        &mut self,
        job: u64,
        item: Option<u32>,
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        let which = if item.is_some() {
            "AND item = ?4"
        } else {
            "AND ?4 IS NULL"
        };
        let sql = format!(
            "SELECT {} FROM journal WHERE job = ?1 AND seq > ?2 {which} ORDER BY seq LIMIT ?3",
            map::JOURNAL_COLUMNS
        );
        self.rows(
            &sql,
            params![id(job), key(after_seq), limit.min(READ_LIMIT_MAX), item],
            map::history,
        )
    }

    fn history_of_whole(
        &mut self,
        job: u64,
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        // As the index `journal_whole` has it, word by word, so that it is used.
        let sql = format!(
            "SELECT {} FROM journal WHERE job = ?1 AND seq > ?2 AND item IS NULL AND instance IS NULL
             ORDER BY seq LIMIT ?3",
            map::JOURNAL_COLUMNS
        );
        self.rows(
            &sql,
            params![id(job), key(after_seq), limit.min(READ_LIMIT_MAX)],
            map::history,
        )
    }

    fn events_after(&mut self, seq: u64, limit: u32) -> Result<Events, StoreError> {
        let limit = limit.min(READ_LIMIT_MAX);
        self.answer(|tx| {
            let oldest_seq = tidy::oldest_seq(tx)?;
            if seq < oldest_seq || seq > last_seq(tx)? {
                return Ok(Events::Pruned { oldest_seq });
            }
            let sql = format!(
                "SELECT {} FROM journal WHERE seq > ?1 ORDER BY seq LIMIT ?2",
                map::JOURNAL_COLUMNS
            );
            let mut statement = tx.prepare_cached(&sql)?;
            let rows = statement.query_map(params![key(seq), limit], map::history)?;
            Ok(Events::Rows(rows.collect::<rusqlite::Result<_>>()?))
        })
    }

    fn last_seq(&mut self) -> Result<u64, StoreError> {
        last_seq(&self.db).map_err(|error| of_sqlite(error, &self.file))
    }

    fn attempts(
        &mut self,
        job: u64,
        item: Option<u32>,
        after: Option<(u32, u32)>,
        limit: u32,
    ) -> Result<Vec<AttemptRow>, StoreError> {
        let which = if item.is_some() {
            "AND item = ?5"
        } else {
            "AND ?5 IS NULL"
        };
        let sql = format!(
            "SELECT {} FROM attempts WHERE job = ?1 AND (item, attempt) > (?2, ?3) {which} ORDER BY item, attempt
             LIMIT ?4",
            map::ATTEMPT_COLUMNS
        );
        let (after_item, after_attempt) = after.map_or((-1, -1), |(item, attempt)| {
            (i64::from(item), i64::from(attempt))
        });
        let values = params![
            id(job),
            after_item,
            after_attempt,
            limit.min(READ_LIMIT_MAX),
            item
        ];
        self.rows(&sql, values, map::attempt)
    }

    fn attempts_latest(
        &mut self,
        job: u64,
        from_item: u32,
        limit: u32,
    ) -> Result<Vec<AttemptRow>, StoreError> {
        let sql = format!(
            "SELECT {} FROM attempts a WHERE job = ?1 AND item >= ?2 AND attempt =
                (SELECT max(b.attempt) FROM attempts b WHERE b.job = a.job AND b.item = a.item)
             ORDER BY item LIMIT ?3",
            map::ATTEMPT_COLUMNS
        );
        self.rows(
            &sql,
            params![id(job), from_item, limit.min(READ_LIMIT_MAX)],
            map::attempt,
        )
    }

    fn attempts_on(
        &mut self,
        host: [u8; 16],
        from_ms: i64,
        limit: u32,
    ) -> Result<Vec<AttemptRow>, StoreError> {
        let sql = format!(
            "SELECT {} FROM attempts WHERE host = ?1 AND ended_ms >= ?2 ORDER BY ended_ms, job, item, attempt LIMIT ?3",
            map::ATTEMPT_COLUMNS
        );
        self.rows(
            &sql,
            params![host, from_ms, limit.min(READ_LIMIT_MAX)],
            map::attempt,
        )
    }

    fn job_row(&mut self, id: u64) -> Result<Option<JobRow>, StoreError> {
        let sql = format!(
            "SELECT {} FROM jobs j JOIN job_states s ON s.id = j.id WHERE j.id = ?1",
            map::JOB_COLUMNS
        );
        Ok(self.rows(&sql, params![self::id(id)], map::job)?.pop())
    }

    fn journal_prunable(&mut self, before_ms: i64) -> Result<Option<u64>, StoreError> {
        self.answer(|tx| {
            let (oldest, last) = (tidy::oldest_seq(tx)?, last_seq(tx)?);
            let first = first_since(tx, before_ms, oldest + 1, last + 1)?;
            Ok((first > oldest + 1).then_some(first))
        })
    }

    fn ended_jobs(&mut self, before_ms: i64, limit: u32) -> Result<Vec<EndedJob>, StoreError> {
        self.rows(
            "SELECT j.id, s.ended_ms, j.owner, j.name FROM job_states s JOIN jobs j ON j.id = s.id
             WHERE s.ended_ms IS NOT NULL AND s.ended_ms < ?1 ORDER BY s.ended_ms, j.id LIMIT ?2",
            params![before_ms, limit.min(READ_LIMIT_MAX)],
            |row| {
                Ok(EndedJob {
                    id: map::number(row, 0)?,
                    ended_ms: row.get(1)?,
                    owner: row.get(2)?,
                    name: row.get(3)?,
                })
            },
        )
    }

    fn usage(&mut self) -> Result<Usage, StoreError> {
        let mut usage = self.answer(|tx| {
            let get = |sql: &str| tx.query_row(sql, [], |row| map::number(row, 0));
            let page = get("PRAGMA page_size")?;
            let mut tables = Vec::with_capacity(TABLES.len());
            for table in TABLES {
                tables.push(TableUsage {
                    table,
                    rows: get(&format!("SELECT count(*) FROM {table}"))?,
                });
            }
            let free_bytes = get("PRAGMA freelist_count")? * page;
            Ok(Usage {
                bytes: get("PRAGMA page_count")? * page,
                free_bytes,
                tables,
            })
        })?;
        let mut log = self.file.as_os_str().to_owned();
        log.push("-wal");
        usage.bytes += std::fs::metadata(log).map_or(0, |log| log.len());
        Ok(usage)
    }
}

fn last_seq(db: &Connection) -> rusqlite::Result<u64> {
    db.prepare_cached("SELECT last_seq FROM lease WHERE shard = 0")?
        .query_row([], |row| map::number(row, 0))
}

/// Finds the first number in `low..high` whose row is not older than `before_ms`, or `high`, by halving: numbers grow
/// with time. Where the clock was set back the answer is one of the places where old meets new.
fn first_since(
    tx: &Connection,
    before_ms: i64,
    mut low: u64,
    mut high: u64,
) -> Result<u64, Failure> {
    let mut next = tx.prepare_cached(
        "SELECT seq, at_ms FROM journal WHERE seq >= ?1 AND seq < ?2 ORDER BY seq LIMIT 1",
    )?;
    while low < high {
        let middle = low + (high - low) / 2;
        let found = next
            .query_row(params![key(middle), key(high)], |row| {
                Ok((map::number(row, 0)?, row.get::<_, i64>(1)?))
            })
            .optional()?;
        match found {
            Some((seq, at_ms)) if at_ms < before_ms => low = seq + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}
