//! The SQLite backend: one file in write-ahead mode, every commit flushed to the disk (`synchronous=FULL`), one process
//! that writes (a lock file beside it), any number of connections that read.
//!
//! **Items.** Packed segments lie in `items`. A cell that comes with a journal row is durable with it and waits in
//! memory; when a segment has gathered many or old ones, the next transaction packs them into it. So a cell costs
//! nothing beside its row, and a start reads the segments and a short end of the journal.

mod items;
mod load;
mod look;
mod map;
mod place;
mod reader;
mod schema;
mod tidy;
mod write;

use crate::error::StoreError;
use crate::store::{Batch, Committed, Epoch, Loaded, Reader, Store};
use map::{Failure, of_sqlite};
use rusqlite::{Connection, TransactionBehavior};
use std::path::{Path, PathBuf};

/// A store in an SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    file: PathBuf,
    db: Connection,
    tails: items::Tails,
    /// Whether rows of removed jobs or pruned history may be left.
    is_untidy: bool,
    // Last, so that the database is closed before another process gets in.
    lock: place::Lock,
}

impl SqliteStore {
    /// Opens the store in `file`, makes it when there is none (mode 0600, its directory 0700), and brings its schema up
    /// to date.
    ///
    /// # Errors
    /// [`StoreError::Held`] when another process has it, [`StoreError::Network`] and [`StoreError::Exposed`] when the
    /// place is not safe, [`StoreError::NewerSchema`] and [`StoreError::Foreign`] when the file is not for this program.
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        place::prepare_dir(file)?;
        let lock = place::Lock::take(file)?;
        let db = schema::open_writer(file)?;
        Ok(Self {
            file: file.into(),
            db,
            tails: items::Tails::default(),
            is_untidy: true,
            lock,
        })
    }

    /// Copies the committed state to `to`; see [`backup`].
    ///
    /// # Errors
    /// When `to` can't be written.
    pub fn backup(&self, to: &Path) -> Result<(), StoreError> {
        backup(&self.file, to)
    }

    /// Answers the database's path.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Bounds the database's size, so that tests can fill it. It counts until the store is closed.
    ///
    /// # Errors
    /// When SQLite refuses.
    #[cfg(feature = "conformance")]
    pub fn set_max_pages(&mut self, pages: u32) -> Result<u32, StoreError> {
        self.db
            .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |row| {
                row.get(0)
            })
            .map_err(|error| of_sqlite(error, &self.file))
    }

    fn try_commit(&mut self, batch: &Batch) -> Result<Committed, Failure> {
        self.tails.know(&self.db)?;
        let tx = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let last = check_epoch(&tx, batch.epoch)?;
        let mut writer = write::Writer::new(&tx, last, &mut self.tails);
        for write in &batch.writes {
            writer.apply(write)?;
        }
        let done = writer.finish()?;
        let mut is_untidy = self.is_untidy || done.left_something;
        if is_untidy {
            is_untidy = tidy::portion(&tx, tidy::ROWS_PER_COMMIT)?;
        }
        tx.commit()?;
        self.is_untidy = is_untidy;
        Ok(Committed {
            first_seq: last + 1,
            last_seq: done.last_seq,
        })
    }

    fn try_lease(&mut self, holder: &str) -> Result<Epoch, Failure> {
        self.tails.know(&self.db)?;
        let tx = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let sql = "UPDATE lease SET epoch = epoch + 1, holder = ?1 WHERE shard = 0 RETURNING epoch";
        let epoch = tx.query_row(sql, [holder], |row| map::number(row, 0))?;
        tx.commit()?;
        Ok(Epoch(epoch))
    }

    fn try_tidy(&mut self) -> Result<bool, Failure> {
        let tx = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let is_untidy = tidy::portion(&tx, tidy::ROWS_PER_TIDY)?;
        tx.commit()?;
        Ok(is_untidy)
    }
}

/// Answers the newest journal number if `epoch` is the lease's.
fn check_epoch(tx: &Connection, epoch: Epoch) -> Result<u64, Failure> {
    let mut lease = tx.prepare_cached("SELECT epoch, last_seq FROM lease WHERE shard = 0")?;
    let (current, last) =
        lease.query_row([], |row| Ok((map::number(row, 0)?, map::number(row, 1)?)))?;
    if current == epoch.0 {
        Ok(last)
    } else {
        Err(StoreError::StaleEpoch { epoch: epoch.0 }.into())
    }
}

impl Store for SqliteStore {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        load::all(&mut self.db).map_err(|failure| failure.about(&self.file))
    }

    fn commit(&mut self, batch: &Batch) -> Result<Committed, StoreError> {
        self.try_commit(batch).map_err(|failure| {
            // What was counted on the way was rolled back.
            self.tails.forget();
            failure.about(&self.file)
        })
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(SqliteReader::open(&self.file)?))
    }

    fn lease(&mut self, holder: &str) -> Result<Epoch, StoreError> {
        self.lock.say(holder)?;
        self.try_lease(holder)
            .map_err(|failure| failure.about(&self.file))
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        if self.is_untidy {
            self.is_untidy = self
                .try_tidy()
                .map_err(|failure| failure.about(&self.file))?;
        }
        Ok(self.is_untidy)
    }
}

pub use look::Look;
pub use reader::SqliteReader;

/// Copies the committed state of the store in `file` to `to`, while a supervisor may be using it. `to` appears whole
/// (mode 0600) or not at all, and replaces what was there.
///
/// # Errors
/// When `file` can't be read or `to` can't be written.
pub fn backup(file: &Path, to: &Path) -> Result<(), StoreError> {
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    remove_if_there(&part)?;
    let result = copy(file, &part).and_then(|()| publish(&part, to));
    if result.is_err() {
        // The error that matters is the first.
        let _ = remove_if_there(&part);
    }
    result
}

fn copy(file: &Path, part: &Path) -> Result<(), StoreError> {
    let from = schema::open_reader(file)?;
    drop(place::open_private(part)?);
    let copied = || -> rusqlite::Result<()> {
        let mut to = Connection::open(part)?;
        // All pages in one step: one consistent picture, and no start over when the supervisor commits meanwhile.
        rusqlite::backup::Backup::new(&from, &mut to)?.step(-1)?;
        Ok(())
    };
    copied().map_err(|error| of_sqlite(error, part))
}

fn publish(part: &Path, to: &Path) -> Result<(), StoreError> {
    let about = |error| place::of_io(error, to);
    place::open_private(part)?.sync_all().map_err(about)?;
    std::fs::rename(part, to).map_err(about)?;
    #[cfg(unix)]
    std::fs::File::open(place::parent(to))
        .and_then(|dir| dir.sync_all())
        .map_err(about)?;
    Ok(())
}

fn remove_if_there(file: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(place::of_io(error, file))
        }
        _ => Ok(()),
    }
}
