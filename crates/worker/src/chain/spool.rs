//! The files of an instance's spool directory: made here, written by the shepherd through descriptors.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use tessera_ticket::{
    EXIT_RECORD_LEN, ExitRecord, INDEX_RECORD_LEN, INDEX_RECORDS_MAX, IndexRecord,
};

use super::ChainError;
use crate::os;

/// A file of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolFile {
    /// Standard output, raw.
    Out,
    /// Standard error, raw.
    Err,
    /// The order in which the two arrived: [`IndexRecord`]s.
    Index,
    /// The exit record; empty until the attempt has ended.
    Exit,
}

impl SpoolFile {
    const ALL: [Self; 4] = [Self::Out, Self::Err, Self::Index, Self::Exit];

    fn ending(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Err => "err",
            Self::Index => "idx",
            Self::Exit => "exit",
        }
    }
}

/// Returns the path of a file of an attempt: `<dir>/<item>.<attempt>.<ending>`.
pub fn spool_path(dir: &Path, item: u32, attempt: u32, file: SpoolFile) -> PathBuf {
    dir.join(format!("{item}.{attempt}.{}", file.ending()))
}

/// Reads how an attempt ended; `None` while there is no whole record.
///
/// # Errors
/// When the file is there but can't be read.
pub fn read_exit(dir: &Path, item: u32, attempt: u32) -> io::Result<Option<ExitRecord>> {
    let Some(bytes) = read_some(
        &spool_path(dir, item, attempt, SpoolFile::Exit),
        EXIT_RECORD_LEN,
    )?
    else {
        return Ok(None);
    };
    Ok(ExitRecord::decode(&bytes)
        .ok()
        .filter(|it| (it.item, it.attempt) == (item, attempt)))
}

/// Reads the order of arrival of an attempt's output, as far as it is written; empty when there is none.
///
/// # Errors
/// When the file is there but can't be read.
pub fn read_index(dir: &Path, item: u32, attempt: u32) -> io::Result<Vec<IndexRecord>> {
    let max = INDEX_RECORD_LEN * INDEX_RECORDS_MAX as usize;
    let bytes = read_some(&spool_path(dir, item, attempt, SpoolFile::Index), max)?;
    let bytes = bytes.unwrap_or_default();
    Ok(bytes
        .chunks_exact(INDEX_RECORD_LEN)
        .map_while(|it| IndexRecord::decode(it).ok())
        .collect())
}

fn read_some(path: &Path, max: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match os::to_read().open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut bytes = Vec::new();
    file.take(max as u64).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Makes the four files of an attempt, in the order that the shepherd expects them.
pub(super) fn make_files(dir: &Path, item: u32, attempt: u32) -> Result<[File; 4], ChainError> {
    let mut made = Vec::with_capacity(SpoolFile::ALL.len());
    for file in SpoolFile::ALL {
        match new_file(&spool_path(dir, item, attempt, file)) {
            Ok(it) => made.push(it),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(ChainError::AlreadyRan { item, attempt });
            }
            Err(e) => return Err(ChainError::io("making the attempt's files in the spool")(e)),
        }
    }
    made.try_into()
        .map_err(|_| ChainError::AlreadyRan { item, attempt })
}

/// Makes the four files of an attempt out of those of another that is forgotten, whose output was empty: renaming spares
/// the file system an allocation and a removal each. The record in them is the other attempt's, so it does not count.
///
/// What can't be had that way is made new.
pub(super) fn reuse_files(
    dir: &Path,
    item: u32,
    attempt: u32,
    spare: (u32, u32),
) -> Result<[File; 4], ChainError> {
    let mut made = Vec::with_capacity(SpoolFile::ALL.len());
    for file in SpoolFile::ALL {
        let path = spool_path(dir, item, attempt, file);
        let old = spool_path(dir, spare.0, spare.1, file);
        if path.symlink_metadata().is_ok() {
            return Err(ChainError::AlreadyRan { item, attempt });
        }
        let renamed = std::fs::rename(old, &path).and_then(|()| open_spare(&path, file));
        let opened = match renamed {
            Err(e) if e.kind() == io::ErrorKind::NotFound => new_file(&path),
            other => other,
        };
        made.push(opened.map_err(ChainError::io("making the attempt's files in the spool"))?);
    }
    made.try_into()
        .map_err(|_| ChainError::AlreadyRan { item, attempt })
}

fn open_spare(path: &Path, file: SpoolFile) -> io::Result<File> {
    let opened = os::to_write().read(true).open(path)?;
    // The record is overwritten whole; of output nothing may be left.
    if file != SpoolFile::Exit && opened.metadata()?.len() > 0 {
        opened.set_len(0)?;
    }
    Ok(opened)
}

pub(super) fn new_file(path: &Path) -> io::Result<File> {
    os::to_write().read(true).create_new(true).open(path)
}
