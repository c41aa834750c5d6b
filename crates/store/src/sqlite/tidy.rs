//! What is put off: a removed job may have had millions of rows, and pruned history too; deleting them at once would
//! hold every commit up.

use super::map::{self, Failure};
use rusqlite::{Connection, OptionalExtension as _, params};

/// Rows that a commit deletes besides its own work; about a millisecond.
pub(super) const ROWS_PER_COMMIT: u32 = 256;
/// Rows that one call of `tidy` deletes; some ten milliseconds.
pub(super) const ROWS_PER_TIDY: u32 = 4096;

/// Deletes up to `limit` rows; answers whether there may be more.
pub(super) fn portion(tx: &Connection, limit: u32) -> Result<bool, Failure> {
    let left = prune(tx, removed_jobs(tx, limit)?)?;
    Ok(left == 0)
}

/// Deletes what removed jobs left; answers how much of the limit is left.
fn removed_jobs(tx: &Connection, limit: u32) -> Result<u32, Failure> {
    let mut left = limit;
    while left > 0 {
        let next = tx
            .prepare_cached("SELECT job, before_seq FROM removed ORDER BY job LIMIT 1")?
            .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
            .optional()?;
        let Some((job, before)) = next else { break };
        left -= delete_attempts(tx, job, left)?.min(left);
        left -= delete_journal(tx, job, before, left)?.min(left);
        if left > 0 {
            tx.prepare_cached("DELETE FROM removed WHERE job = ?1")?
                .execute([job])?;
            // Many jobs with few rows are work, too.
            left -= 1;
        }
    }
    Ok(left)
}

fn delete_attempts(tx: &Connection, job: i64, limit: u32) -> Result<u32, Failure> {
    let deleted = tx
        .prepare_cached(
            "DELETE FROM attempts WHERE job = ?1 AND (job, item, attempt) IN
                (SELECT job, item, attempt FROM attempts WHERE job = ?1 ORDER BY item, attempt LIMIT ?2)",
        )?
        .execute(params![job, limit])?;
    Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
}

fn delete_journal(tx: &Connection, job: i64, before: i64, limit: u32) -> Result<u32, Failure> {
    let deleted = tx
        .prepare_cached(
            "DELETE FROM journal WHERE seq IN
                (SELECT seq FROM journal WHERE job = ?1 AND seq < ?2 ORDER BY seq LIMIT ?3)",
        )?
        .execute(params![job, before, limit])?;
    Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
}

/// Goes on through the history that is to be forgotten; answers how much of the limit is left.
fn prune(tx: &Connection, limit: u32) -> Result<u32, Failure> {
    let (before, cursor) = tx
        .prepare_cached("SELECT pruned_before, prune_cursor FROM lease WHERE shard = 0")?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    if limit == 0 || cursor >= before {
        return Ok(limit);
    }
    // The next rows in their order, looked at once each: those of jobs that have not ended stay.
    let (looked, next) = tx
        .prepare_cached(
            "SELECT count(*), max(seq) FROM
                (SELECT seq FROM journal WHERE seq >= ?1 AND seq < ?2 ORDER BY seq LIMIT ?3)",
        )?
        .query_row(params![cursor, before, limit], |row| {
            Ok((row.get::<_, u32>(0)?, row.get::<_, Option<i64>>(1)?))
        })?;
    let end = if looked < limit {
        before
    } else {
        next.map_or(before, |last| last + 1)
    };
    tx.prepare_cached(
        "DELETE FROM journal WHERE seq >= ?1 AND seq < ?2
            AND NOT EXISTS (SELECT 1 FROM job_states s WHERE s.id = journal.job AND s.ended_ms IS NULL)",
    )?
    .execute(params![cursor, end])?;
    tx.prepare_cached("UPDATE lease SET prune_cursor = ?1 WHERE shard = 0")?
        .execute([end])?;
    Ok(limit - looked.min(limit))
}

/// Answers from which number on events can be told completely.
pub(super) fn oldest_seq(tx: &Connection) -> rusqlite::Result<u64> {
    tx.prepare_cached("SELECT max(pruned_before - 1, 0) FROM lease WHERE shard = 0")?
        .query_row([], |row| map::number(row, 0))
}
