//! From what was named on the command line to the file of a store.

use super::ReplayError;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// What every file of SQLite begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// How addresses of PostgreSQL begin.
const POSTGRES: [&str; 2] = ["postgres://", "postgresql://"];

/// A store, and the configuration that lies with it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) file: PathBuf,
    pub(super) config: Option<PathBuf>,
}

/// Finds the store that is meant: a file, or the folder of a farm.
pub(super) fn find(source: &Path) -> Result<Found, ReplayError> {
    let named = source.to_string_lossy();
    if POSTGRES.iter().any(|it| named.starts_with(it)) {
        return Err(ReplayError::Postgres);
    }
    let is_dir = std::fs::metadata(source).map_err(|error| unreadable(source, error))?;
    let (file, config) = if is_dir.is_dir() {
        let (store, config) = tessera_supervisor::kept::places(source);
        if !store.exists() {
            return Err(ReplayError::NoStoreIn {
                folder: source.to_owned(),
                looked_for: store,
            });
        }
        (store, Some(config).filter(|it| it.exists()))
    } else {
        (source.to_owned(), None)
    };
    let mut magic = Vec::new();
    let opened = std::fs::File::open(&file).map_err(|error| unreadable(&file, error))?;
    opened
        .take(MAGIC.len() as u64)
        .read_to_end(&mut magic)
        .map_err(|error| unreadable(&file, error))?;
    if magic != MAGIC {
        return Err(ReplayError::NotAStore { file });
    }
    Ok(Found { file, config })
}

fn unreadable(path: &Path, source: std::io::Error) -> ReplayError {
    let path = path.to_owned();
    match source.kind() {
        std::io::ErrorKind::NotFound => ReplayError::Missing { path },
        _ => ReplayError::Unreadable { path, source },
    }
}
