//! Rows to columns and back, and what SQLite's errors mean here.

use crate::cells::BadCells;
use crate::error::StoreError;
use crate::rows::{
    AttemptRow, CredentialRow, CredentialSealRow, HostRow, InstanceRow, JobRow, JoinTokenRow,
    JournalRow, LaunchRow, PoolKeyRow, StateCounts, TokenRow,
};
use crate::store::HistoryRow;
use rusqlite::{ErrorCode, Row, ffi, types};
use std::path::Path;

/// Errors on the way through a transaction; the file's name comes to them at its edge.
#[derive(Debug)]
pub(super) enum Failure {
    /// SQLite's.
    Sqlite(rusqlite::Error),
    /// Ours.
    Ours(StoreError),
    /// Packed items that can't be unpacked.
    Cells(BadCells),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Ours(error)
    }
}

impl From<BadCells> for Failure {
    fn from(error: BadCells) -> Self {
        Self::Cells(error)
    }
}

impl Failure {
    /// Makes the store's error of it.
    pub(super) fn about(self, file: &Path) -> StoreError {
        match self {
            Self::Ours(error) => error,
            Self::Cells(error) => StoreError::Damaged {
                file: file.into(),
                source: error.into(),
            },
            Self::Sqlite(error) => of_sqlite(error, file),
        }
    }
}

/// Sorts SQLite's error by what the caller can do.
pub(super) fn of_sqlite(error: rusqlite::Error, file: &Path) -> StoreError {
    let (code, extended) = match &error {
        rusqlite::Error::SqliteFailure(inner, _) => (Some(inner.code), inner.extended_code),
        _ => (None, 0),
    };
    let file = file.into();
    match code {
        Some(ErrorCode::DiskFull) => StoreError::NoSpace {
            file,
            source: error.into(),
        },
        Some(ErrorCode::SystemIoFailure) if is_write_failure(extended) => StoreError::NoSpace {
            file,
            source: error.into(),
        },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreError::ReadOnly {
            file,
            source: error.into(),
        },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged {
            file,
            source: error.into(),
        },
        Some(ErrorCode::ConstraintViolation) => StoreError::Taken {
            source: error.into(),
        },
        _ => match error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..) => StoreError::Damaged {
                file,
                source: error.into(),
            },
            _ => StoreError::Backend {
                file,
                source: error.into(),
            },
        },
    }
}

/// Says whether a failed IO was one that needs room: quotas and file size limits show up so, and full shared memory.
fn is_write_failure(extended: i32) -> bool {
    matches!(
        extended,
        ffi::SQLITE_IOERR_WRITE
            | ffi::SQLITE_IOERR_FSYNC
            | ffi::SQLITE_IOERR_DIR_FSYNC
            | ffi::SQLITE_IOERR_SHMSIZE
            | ffi::SQLITE_IOERR_SHMMAP
    )
}

/// Converts a number that must be exact.
pub(super) fn exact(field: &'static str, value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Invalid {
        field,
        value: value.to_string(),
        why: "the largest number is 2^63 - 1",
    })
}

/// Converts a measure, which somebody else's program may have made up: too large becomes the largest.
pub(super) fn measure(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Reads a number that is never negative.
pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

fn number_opt(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    match row.get_ref(column)? {
        types::ValueRef::Null => Ok(None),
        _ => number(row, column).map(Some),
    }
}

pub(super) const JOB_COLUMNS: &str = "j.id, j.name, j.kind, j.owner, s.state, s.priority, s.place, j.submitted_ms, \
    s.started_ms, s.ended_ms, s.pending, s.blocked, s.waiting, s.running, s.suspended, s.complete, s.failed, s.killed, \
    j.key, j.spec, j.spec_format, j.cpus, j.items, j.notes";

pub(super) fn job(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    Ok(JobRow {
        id: number(row, 0)?,
        name: row.get(1)?,
        kind: row.get(2)?,
        owner: row.get(3)?,
        state: row.get(4)?,
        priority: row.get(5)?,
        order: row.get(6)?,
        submitted_ms: row.get(7)?,
        started_ms: row.get(8)?,
        ended_ms: row.get(9)?,
        counts: StateCounts {
            pending: row.get(10)?,
            blocked: row.get(11)?,
            waiting: row.get(12)?,
            running: row.get(13)?,
            suspended: row.get(14)?,
            complete: row.get(15)?,
            failed: row.get(16)?,
            killed: row.get(17)?,
        },
        key: row.get(18)?,
        spec: row.get(19)?,
        spec_format: row.get(20)?,
        cpus: row.get(21)?,
        items: row.get(22)?,
        notes: row.get(23)?,
    })
}

pub(super) const INSTANCE_COLUMNS: &str = "job, instance, state, detail, launch_last, retries_used";

pub(super) fn instance(row: &Row<'_>) -> rusqlite::Result<InstanceRow> {
    Ok(InstanceRow {
        job: number(row, 0)?,
        instance: row.get(1)?,
        state: row.get(2)?,
        detail: row.get(3)?,
        launch_last: row.get(4)?,
        retries_used: row.get(5)?,
    })
}

pub(super) const LAUNCH_COLUMNS: &str =
    "job, instance, launch, host, phase, item, attempt, account, mode, since_ms, detail";

pub(super) fn launch(row: &Row<'_>) -> rusqlite::Result<LaunchRow> {
    Ok(LaunchRow {
        job: number(row, 0)?,
        instance: row.get(1)?,
        launch: row.get(2)?,
        host: row.get(3)?,
        phase: row.get(4)?,
        item: row.get(5)?,
        attempt: row.get(6)?,
        account: row.get(7)?,
        mode: row.get(8)?,
        since_ms: row.get(9)?,
        detail: row.get(10)?,
    })
}

pub(super) const HOST_COLUMNS: &str =
    "id, name, state, locked, facts, enrolled_ms, seen_ms, fingerprint";

pub(super) fn host(row: &Row<'_>) -> rusqlite::Result<HostRow> {
    Ok(HostRow {
        id: row.get(0)?,
        name: row.get(1)?,
        state: row.get(2)?,
        is_locked: row.get(3)?,
        facts: row.get(4)?,
        enrolled_ms: row.get(5)?,
        seen_ms: row.get(6)?,
        fingerprint: row.get(7)?,
    })
}

pub(super) const ATTEMPT_COLUMNS: &str = "job, item, attempt, instance, launch, host, host_name, account, assigned_ms, \
    started_ms, ended_ms, outcome, exit_code, signal, reason, elapsed_ms, cpu_ms, peak_memory, out_printed, out_kept, \
    err_printed, err_kept, leftovers, counted, memory_limit";

pub(super) fn attempt(row: &Row<'_>) -> rusqlite::Result<AttemptRow> {
    Ok(AttemptRow {
        job: number(row, 0)?,
        item: row.get(1)?,
        attempt: row.get(2)?,
        instance: row.get(3)?,
        launch: row.get(4)?,
        host: row.get(5)?,
        host_name: row.get(6)?,
        account: row.get(7)?,
        assigned_ms: row.get(8)?,
        started_ms: row.get(9)?,
        ended_ms: row.get(10)?,
        outcome: row.get(11)?,
        exit_code: row.get(12)?,
        signal: row.get(13)?,
        reason: row.get(14)?,
        elapsed_ms: number(row, 15)?,
        cpu_ms: number(row, 16)?,
        peak_memory: number(row, 17)?,
        out_printed: number(row, 18)?,
        out_kept: number(row, 19)?,
        err_printed: number(row, 20)?,
        err_kept: number(row, 21)?,
        leftovers: row.get(22)?,
        counted: row.get(23)?,
        memory_limit: number_opt(row, 24)?,
    })
}

pub(super) const JOURNAL_COLUMNS: &str =
    "seq, at_ms, kind, job, instance, item, attempt, host, actor, cell, text";

pub(super) fn history(row: &Row<'_>) -> rusqlite::Result<HistoryRow> {
    let seq = number(row, 0)?;
    let row = JournalRow {
        at_ms: row.get(1)?,
        kind: row.get(2)?,
        job: number_opt(row, 3)?,
        instance: row.get(4)?,
        item: row.get(5)?,
        attempt: row.get(6)?,
        host: row.get(7)?,
        actor: row.get(8)?,
        cell: row.get::<_, Option<i64>>(9)?.map(i64::cast_unsigned),
        text: row.get(10)?,
    };
    Ok(HistoryRow { seq, row })
}

pub(super) const TOKEN_COLUMNS: &str =
    "id, sha256, user, is_admin, note, created_ms, expires_ms, last_used_ms";

pub(super) fn token(row: &Row<'_>) -> rusqlite::Result<TokenRow> {
    Ok(TokenRow {
        id: row.get(0)?,
        sha256: row.get(1)?,
        user: row.get(2)?,
        is_admin: row.get(3)?,
        note: row.get(4)?,
        created_ms: row.get(5)?,
        expires_ms: row.get(6)?,
        last_used_ms: row.get(7)?,
    })
}

pub(super) const JOIN_TOKEN_COLUMNS: &str = "sha256, note, created_ms, expires_ms, uses_left";

pub(super) fn join_token(row: &Row<'_>) -> rusqlite::Result<JoinTokenRow> {
    Ok(JoinTokenRow {
        sha256: row.get(0)?,
        note: row.get(1)?,
        created_ms: row.get(2)?,
        expires_ms: row.get(3)?,
        uses_left: row.get(4)?,
    })
}

pub(super) const CREDENTIAL_COLUMNS: &str = "kind, account, pool, domain, sid, sid_found, sequence, checks, created_ms, \
     expires_ms, by_user, is_revoked, verdict, checked_ms, checked_host, checked_detail";

pub(super) fn credential(row: &Row<'_>) -> rusqlite::Result<CredentialRow> {
    Ok(CredentialRow {
        kind: row.get(0)?,
        account: row.get(1)?,
        pool: row.get(2)?,
        domain: row.get(3)?,
        sid: row.get(4)?,
        sid_found: row.get(5)?,
        sequence: number(row, 6)?,
        checks: row.get(7)?,
        created_ms: row.get(8)?,
        expires_ms: row.get(9)?,
        by_user: row.get(10)?,
        is_revoked: row.get(11)?,
        verdict: row.get(12)?,
        checked_ms: row.get(13)?,
        checked_host: row.get(14)?,
        checked_detail: row.get(15)?,
    })
}

pub(super) const CREDENTIAL_SEAL_COLUMNS: &str = "kind, account, pool, key, sealed";

pub(super) fn credential_seal(row: &Row<'_>) -> rusqlite::Result<CredentialSealRow> {
    Ok(CredentialSealRow {
        kind: row.get(0)?,
        account: row.get(1)?,
        pool: row.get(2)?,
        key: row.get(3)?,
        sealed: row.get(4)?,
    })
}

pub(super) const POOL_KEY_COLUMNS: &str = "host, place, pool, key, public, created_ms";

pub(super) fn pool_key(row: &Row<'_>) -> rusqlite::Result<PoolKeyRow> {
    Ok(PoolKeyRow {
        host: row.get(0)?,
        place: row.get(1)?,
        pool: row.get(2)?,
        key: row.get(3)?,
        public: row.get(4)?,
        created_ms: row.get(5)?,
    })
}
