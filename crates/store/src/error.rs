//! What can go wrong, by what the caller can do about it.

use std::path::PathBuf;

/// The cause that a backend gives, for the log.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why the store did not do something. Nothing of a refused batch is kept, and the store stays usable unless said.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the store.
    #[error(
        "{file} is held by another supervisor ({holder}); stop that one first, or give this one a state directory of its own"
    )]
    Held {
        /// The lock file.
        file: PathBuf,
        /// What the other wrote about itself.
        holder: String,
    },
    /// A newer lease was taken: this holder is no longer the writer and must stop.
    #[error(
        "the lease with epoch {epoch} is no longer valid; this supervisor must stop or take the lease again"
    )]
    StaleEpoch {
        /// The batch's epoch.
        epoch: u64,
    },
    /// The schema is of a newer program.
    #[error(
        "{file} has schema {found}, this program knows up to {known}; use the newer program, or restore a backup"
    )]
    NewerSchema {
        /// The database.
        file: PathBuf,
        /// Its schema's number.
        found: i64,
        /// The newest number known here.
        known: i64,
    },
    /// The file is a database of another program.
    #[error("{file} is not a Tessera store; move it away or choose another state directory")]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// The place is on a network file system, where a write-ahead log is not safe.
    #[error(
        "{dir} is on a network file system ({kind}), which can corrupt the store; choose a directory on a local disk"
    )]
    Network {
        /// The directory.
        dir: PathBuf,
        /// The file system's name.
        kind: String,
    },
    /// Others could put their own files in the store's place.
    #[error(
        "{dir} can be written by others (mode {mode:o}); `chmod go-w` it or choose a directory of your own"
    )]
    Exposed {
        /// The directory.
        dir: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The disk is full, or can't be written.
    #[error("no space to write {file}; free some on its disk: nothing that was committed is lost")]
    NoSpace {
        /// The database.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: Cause,
    },
    /// The file or its directory can't be written.
    #[error(
        "{file} is read-only; check the owner and mode of it and its directory, and how its disk is mounted"
    )]
    ReadOnly {
        /// The database.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: Cause,
    },
    /// The file is damaged.
    #[error("{file} is damaged; restore a backup (the damaged file is left as it is)")]
    Damaged {
        /// The database.
        file: PathBuf,
        /// What was found.
        #[source]
        source: Cause,
    },
    /// A row is about something that isn't kept: a fault of the caller.
    #[error("there is no {what} {key} in the store")]
    Unknown {
        /// What kind of thing.
        what: &'static str,
        /// Which.
        key: String,
    },
    /// A value that can't be kept: a fault of the caller.
    #[error("{field} can't be {value}: {why}")]
    Invalid {
        /// Which field of which row.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        why: &'static str,
    },
    /// Another row has this value, which must be unique.
    #[error("another row has this value, which must be unique")]
    Taken {
        /// Which rule.
        #[source]
        source: Cause,
    },
    /// Anything else that the system or the backend says.
    #[error("the store {file} failed")]
    Backend {
        /// The database, or the file that it is about.
        file: PathBuf,
        /// What was said.
        #[source]
        source: Cause,
    },
}

impl StoreError {
    /// Says whether the same batch may succeed later, when somebody made room or mended the disk.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::NoSpace { .. } | Self::ReadOnly { .. } | Self::Backend { .. }
        )
    }
}
