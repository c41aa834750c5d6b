//! A launcher's own record, of all systems: JSON lines, each with the digest of the one before it ([`tessera_ticket::AuditChain`]).
//!
//! It is two logs. What happened stands in `audit.log`: starts, the policy they were judged by, what was left. What somebody asked for
//! and led to nothing stands in `audit-asked.log`, which whoever asks often enough can fill; it pushes nothing out of the other. When
//! it is put aside, a line of the other says so with the digest of its last line, so that neither can be taken away unseen.
#![forbid(unsafe_code)]

mod log;
mod verify;

use std::io;
use std::path::Path;

use log::Log;
pub use verify::verify;

/// What happened.
const HAPPENED: &str = "audit.log";
/// What was asked for.
const ASKED: &str = "audit-asked.log";
/// At this size a file is put aside and a new one begins, chained to its last line.
const SIZE_MAX: u64 = 64 << 20;
/// How many files of what happened are kept beside the one that is written: some hundred thousand starts each.
const HAPPENED_OLD: u32 = 7;
/// How many files of what was asked for are kept so.
const ASKED_OLD: u32 = 1;
/// The event that tells of a file that was put aside.
const PUT_ASIDE: &str = "put_aside";

/// Both logs.
#[derive(Debug)]
pub struct Audit {
    happened: Log,
    asked: Log,
    /// The last line of the file of `asked` of which `happened` says that it is put aside.
    told: Option<String>,
}

impl Audit {
    /// Opens the logs in the launcher's directory and takes up their chains; a line that a crash cut short told of nothing that
    /// happened and is cut off.
    ///
    /// # Errors
    /// When they can't be read or written, or the end of one holds no line.
    pub fn open(dir: &Path) -> io::Result<Self> {
        Self::open_with(dir, SIZE_MAX, SIZE_MAX)
    }

    fn open_with(dir: &Path, happened_max: u64, asked_max: u64) -> io::Result<Self> {
        Ok(Self {
            happened: Log::open(dir, HAPPENED, HAPPENED_OLD, happened_max)?,
            asked: Log::open(dir, ASKED, ASKED_OLD, asked_max)?,
            told: None,
        })
    }

    /// Adds a line about what happens; durable after the next [`Audit::flush`]. What it tells may happen before that only if it is no
    /// more than the end of what an earlier line told.
    pub fn add(&mut self, wall_ms: u64, event: &str, fields: &[(&str, &str)]) {
        self.happened.add(wall_ms, event, fields);
    }

    /// Adds a line about what somebody asked for, and what came of it that is nothing; written by the next [`Audit::flush`],
    /// durable after the next [`Audit::settle`] at the latest.
    pub fn add_asked(&mut self, wall_ms: u64, event: &str, fields: &[(&str, &str)]) {
        self.asked.add(wall_ms, event, fields);
    }

    /// Writes what was added. It is not durable yet.
    ///
    /// # Errors
    /// When the disk does not take it, or lines were lost before; then nothing that the lines tell may happen.
    pub fn write(&mut self, wall_ms: u64) -> io::Result<()> {
        self.flush_to(wall_ms, false)
    }

    /// Writes what was added, and makes durable what happens.
    ///
    /// # Errors
    /// When the disk does not take it, or lines were lost before; then nothing that the lines tell may happen.
    pub fn flush(&mut self, wall_ms: u64) -> io::Result<()> {
        self.flush_to(wall_ms, true)
    }

    fn flush_to(&mut self, wall_ms: u64, is_durable: bool) -> io::Result<()> {
        let told = self.put_aside_asked(wall_ms);
        let happened = self.happened.flush(wall_ms, is_durable);
        let asked = told.and_then(|()| self.asked.flush(wall_ms, false));
        happened.and(asked)
    }

    /// Makes what was asked for durable, too.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn settle(&mut self, wall_ms: u64) -> io::Result<()> {
        self.flush(wall_ms)?;
        self.asked.settle()
    }

    /// Puts the log of what was asked for aside when it is full, once the other has that on the disk.
    fn put_aside_asked(&mut self, wall_ms: u64) -> io::Result<()> {
        if !self.asked.is_full_for_more() {
            return Ok(());
        }
        self.asked.settle()?;
        let last = self.asked.last_written();
        // Once, however often it is tried on a full disk.
        if self.told.as_deref() != Some(last) {
            let fields = [("log", ASKED), ("last", last)];
            self.happened.add(wall_ms, PUT_ASIDE, &fields);
            self.told = Some(last.to_owned());
        }
        self.happened.flush(wall_ms, true)?;
        self.asked.put_aside()
    }
}

#[cfg(test)]
mod tests;
