//! The schema: migrations forward, in order, each in one transaction; how a connection is set up.

use super::map::of_sqlite;
use super::place;
use crate::error::StoreError;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::path::Path;
use std::time::Duration;

/// Marks a database as ours (`PRAGMA application_id`): the letters `Tess`.
pub(super) const APPLICATION_ID: i32 = 0x5465_7373;
/// The migrations; the n-th leads to schema n. What was released is never edited.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_first.sql"),
    include_str!("../../migrations/0002_memory_limit.sql"),
    include_str!("../../migrations/0003_credentials.sql"),
    include_str!("../../migrations/0004_attempts_by_host.sql"),
    include_str!("../../migrations/0005_history_of_whole.sql"),
];

/// How long a statement waits for another process's lock (a backup, a person with `sqlite3`).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements that are kept; more than there are different ones.
const STATEMENTS: usize = 96;
/// Page cache of the writer in KiB.
const WRITER_CACHE_KIB: i32 = 16 * 1024;
/// Page cache of a reader in KiB.
const READER_CACHE_KIB: i32 = 4 * 1024;
/// Pages in the write-ahead log after which a commit copies them into the database.
const CHECKPOINT_PAGES: i32 = 4_000;
/// Size to which the write-ahead log is cut back after a burst, in bytes.
const WAL_KEEP_BYTES: i64 = 32 * 1024 * 1024;

/// Opens the one connection that writes, and brings the schema up to date.
pub(super) fn open_writer(file: &Path) -> Result<Connection, StoreError> {
    // Closed again before SQLite opens it: closing any descriptor of a file gives this process's locks on it up.
    drop(place::open_private(file)?);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = open(file, flags, WRITER_CACHE_KIB)?;
    let found = check(&db, file)?;
    set_up_writer(&db).map_err(|error| of_sqlite(error, file))?;
    migrate(&mut db, found).map_err(|error| of_sqlite(error, file))?;
    Ok(db)
}

/// Opens a connection that only reads.
pub(super) fn open_reader(file: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    reader(open(file, flags, READER_CACHE_KIB)?, file)
}

/// Opens a connection to a database that nobody uses: even to read, SQLite would make a log beside it else, and leave it there.
pub(super) fn open_alone(file: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let mut uri = String::from("file:");
    for byte in file.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte));
            }
            other => uri += &format!("%{other:02X}"),
        }
    }
    uri += "?immutable=1";
    reader(open(Path::new(&uri), flags, READER_CACHE_KIB)?, file)
}

/// Refuses what is not ours, and what is of another schema than this program's.
fn reader(db: Connection, file: &Path) -> Result<Connection, StoreError> {
    let found = check(&db, file)?;
    if found < newest() {
        let source = format!(
            "it has schema {found}; start the supervisor once to bring it to {}",
            newest()
        )
        .into();
        return Err(StoreError::Backend {
            file: file.into(),
            source,
        });
    }
    Ok(db)
}

fn open(file: &Path, flags: OpenFlags, cache_kib: i32) -> Result<Connection, StoreError> {
    let set_up = || -> rusqlite::Result<Connection> {
        let db = Connection::open_with_flags(file, flags)?;
        db.busy_timeout(BUSY_TIMEOUT)?;
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        db.pragma_update(None, "cache_size", -cache_kib)?;
        db.pragma_update(None, "trusted_schema", false)?;
        Ok(db)
    };
    set_up().map_err(|error| of_sqlite(error, file))
}

fn set_up_writer(db: &Connection) -> rusqlite::Result<()> {
    // `journal_mode` answers with the mode that it has then.
    db.query_row("PRAGMA journal_mode = WAL", [], |row| {
        row.get::<_, String>(0)
    })?;
    db.pragma_update(None, "synchronous", "FULL")?;
    // Rows of jobs are removed in portions, on purpose after the job.
    db.pragma_update(None, "foreign_keys", false)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.query_row(
        &format!("PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}"),
        [],
        |row| row.get::<_, i64>(0),
    )?;
    db.query_row(
        &format!("PRAGMA journal_size_limit = {WAL_KEEP_BYTES}"),
        [],
        |row| row.get::<_, i64>(0),
    )?;
    Ok(())
}

/// Answers the schema's number; refuses what is not ours or newer than this program.
fn check(db: &Connection, file: &Path) -> Result<i64, StoreError> {
    let get = |sql: &str| {
        db.query_row(sql, [], |row| row.get::<_, i64>(0))
            .map_err(|error| of_sqlite(error, file))
    };
    let found = get("PRAGMA user_version")?;
    let is_empty = get("SELECT count(*) FROM sqlite_schema")? == 0 && found == 0;
    if !is_empty && get("PRAGMA application_id")? != i64::from(APPLICATION_ID) {
        return Err(StoreError::Foreign { file: file.into() });
    }
    if found > newest() {
        return Err(StoreError::NewerSchema {
            file: file.into(),
            found,
            known: newest(),
        });
    }
    Ok(found)
}

/// Answers the number of the newest schema known here.
pub(super) fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

fn migrate(db: &mut Connection, found: i64) -> rusqlite::Result<()> {
    let done = usize::try_from(found).unwrap_or(0);
    for (number, sql) in (1_i64..).zip(MIGRATIONS).skip(done) {
        let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        change.execute_batch(sql)?;
        change.pragma_update(None, "application_id", APPLICATION_ID)?;
        change.pragma_update(None, "user_version", number)?;
        change.commit()?;
    }
    Ok(())
}
