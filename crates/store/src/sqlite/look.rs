//! A store as it is at one moment, for who reads it through and leaves no trace: not a byte of the database, no log beside it.
//!
//! Leaves the ordinary questions of people to [`super::reader`].

use super::map::{self, of_sqlite};
use super::reader::SqliteReader;
use super::{load, place, schema, tidy};
use crate::READ_LIMIT_MAX;
use crate::error::StoreError;
use crate::rows::AttemptRow;
use crate::store::{HistoryRow, Loaded, Reader as _};
use rusqlite::params_from_iter;
use rusqlite::types::Value;
use std::ffi::OsString;
use std::path::Path;

/// What a writer has beside the database for as long as it has it open, and leaves when it is killed.
const LOG_SUFFIX: &str = "-wal";

/// One picture of a store. While a supervisor has the store open, its log can't be cut back as long as this lives.
#[derive(Debug)]
pub struct Look {
    reader: SqliteReader,
    /// Size and time of the database when nobody had it open.
    alone: Option<Stamp>,
}

/// What changes when somebody writes to a file.
type Stamp = (u64, Option<std::time::SystemTime>);

impl Look {
    /// Opens the store in `file`, also while a supervisor uses it, also one that was killed.
    ///
    /// # Errors
    /// When there is none, it can't be read, or its schema is not this program's: it is not brought up to date.
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        let has_log = Path::new(&log_of(file)).exists();
        let (db, alone) = if has_log {
            (schema::open_reader(file)?, None)
        } else {
            let stamp = stamp(file)?;
            (schema::open_alone(file)?, Some(stamp))
        };
        db.execute_batch("BEGIN")
            .map_err(|error| of_sqlite(error, file))?;
        let file = file.into();
        let reader = SqliteReader { file, db };
        Ok(Self { reader, alone })
    }

    /// Reads all but journal and attempts.
    ///
    /// # Errors
    /// When the disk or the data is bad.
    pub fn load(&self) -> Result<Loaded, StoreError> {
        load::within(&self.reader.db).map_err(|failure| failure.about(&self.reader.file))
    }

    /// Reads what is kept of the journal of these kinds after `seq`, oldest first.
    ///
    /// # Errors
    /// When the disk or the data is bad.
    pub fn journal(
        &self,
        kinds: &[&str],
        seq: u64,
        limit: u32,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        let marks = vec!["?"; kinds.len()].join(", ");
        let sql = format!(
            "SELECT {} FROM journal WHERE seq > ? AND kind IN ({marks}) ORDER BY seq LIMIT ?",
            map::JOURNAL_COLUMNS
        );
        let seq = i64::try_from(seq).unwrap_or(i64::MAX);
        let mut values = vec![Value::from(seq)];
        values.extend(kinds.iter().map(|kind| Value::from((*kind).to_owned())));
        values.push(Value::from(limit.min(READ_LIMIT_MAX)));
        self.reader
            .rows(&sql, params_from_iter(values), map::history)
    }

    /// Answers since when the journal is whole, if older lines were forgotten (milliseconds since 1970).
    ///
    /// # Errors
    /// When the disk or the data is bad.
    pub fn forgotten_before(&self) -> Result<Option<i64>, StoreError> {
        let db = &self.reader.db;
        let oldest = tidy::oldest_seq(db).map_err(|error| of_sqlite(error, &self.reader.file))?;
        if oldest == 0 {
            return Ok(None);
        }
        let sql = "SELECT at_ms FROM journal WHERE seq > ?1 ORDER BY seq LIMIT 1";
        let oldest = i64::try_from(oldest).unwrap_or(i64::MAX);
        let first = self.reader.rows(sql, [oldest], |row| row.get(0))?;
        Ok(Some(first.first().copied().unwrap_or(i64::MAX)))
    }

    /// Reads attempts of a job in the order of (item, attempt), after `after`.
    ///
    /// # Errors
    /// When the disk or the data is bad.
    pub fn attempts(
        &mut self,
        job: u64,
        after: Option<(u32, u32)>,
        limit: u32,
    ) -> Result<Vec<AttemptRow>, StoreError> {
        self.reader.attempts(job, None, after, limit)
    }

    /// Says whether all that was read is of one moment: nobody began to write to a store that nobody used.
    ///
    /// # Errors
    /// When the file can't be looked at.
    pub fn is_of_one_moment(&self) -> Result<bool, StoreError> {
        let file = &self.reader.file;
        Ok(match self.alone {
            None => true,
            Some(before) => before == stamp(file)? && !Path::new(&log_of(file)).exists(),
        })
    }
}

fn log_of(file: &Path) -> OsString {
    let mut name = file.as_os_str().to_owned();
    name.push(LOG_SUFFIX);
    name
}

fn stamp(file: &Path) -> Result<Stamp, StoreError> {
    let of = std::fs::metadata(file).map_err(|error| place::of_io(error, file))?;
    Ok((of.len(), of.modified().ok()))
}
