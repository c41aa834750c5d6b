//! Private files: made whole or not at all, readable by their owner only, refused when others could read them.

use super::PkiError;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Largest key or certificate file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Names the file in an error of the system's.
fn failed(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> PkiError {
    move |source| PkiError::File {
        doing,
        path: path.to_owned(),
        source,
    }
}

/// Makes the folder with mode 0700 if it is missing, and refuses one that others may write to.
pub(super) fn make_private_dir(dir: &Path) -> Result<(), PkiError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(dir)
        .map_err(failed("make the folder", dir))?;
    refuse_mode(
        dir,
        &fs::metadata(dir).map_err(failed("look at", dir))?,
        0o022,
    )
}

/// Writes a new private file; one that exists is left alone.
pub(super) fn create(dir: &Path, name: &str, content: &[u8]) -> Result<(), PkiError> {
    let (temporary, path) = (write_temporary(dir, name, content)?, dir.join(name));
    let linked = fs::hard_link(&temporary, &path);
    let _unneeded = fs::remove_file(&temporary);
    match linked {
        Ok(()) => sync_dir(dir),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(PkiError::Exists { path }),
        Err(error) => Err(failed("write", &path)(error)),
    }
}

/// Writes a private file in the place of one that may exist; a crash leaves the one or the other.
pub(super) fn replace(dir: &Path, name: &str, content: &[u8]) -> Result<(), PkiError> {
    let (temporary, path) = (write_temporary(dir, name, content)?, dir.join(name));
    if let Err(error) = fs::rename(&temporary, &path) {
        let _unneeded = fs::remove_file(&temporary);
        return Err(failed("write", &path)(error));
    }
    sync_dir(dir)
}

/// Reads a private file; `None` if there is none.
pub(super) fn read(dir: &Path, name: &str) -> Result<Option<Vec<u8>>, PkiError> {
    let path = dir.join(name);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", &path)(error)),
    };
    refuse_mode(
        &path,
        &file.metadata().map_err(failed("look at", &path))?,
        0o077,
    )?;
    let mut content = Vec::new();
    file.take(FILE_BYTES_MAX)
        .read_to_end(&mut content)
        .map_err(failed("read", &path))?;
    Ok(Some(content))
}

/// What others than owner and group have in a mode.
pub(super) const OF_OTHERS: u32 = 0o007;

/// Reads a file wherever it is, and refuses one whose mode has something of `forbidden`.
pub(super) fn read_at(path: &Path, forbidden: u32) -> Result<Vec<u8>, PkiError> {
    let file = File::open(path).map_err(failed("read", path))?;
    let metadata = file.metadata().map_err(failed("look at", path))?;
    refuse_mode(path, &metadata, forbidden)?;
    let mut content = Vec::new();
    file.take(FILE_BYTES_MAX)
        .read_to_end(&mut content)
        .map_err(failed("read", path))?;
    Ok(content)
}

/// Writes `content` to a fresh file beside `name`, durable, mode 0600 from its first moment.
fn write_temporary(dir: &Path, name: &str, content: &[u8]) -> Result<PathBuf, PkiError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(PkiError::Random)?;
    let path = dir.join(format!(".{name}.{:016x}", u64::from_le_bytes(random)));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path).map_err(failed("create", &path))?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    written.map_err(|error| {
        let _unneeded = fs::remove_file(&path);
        failed("write", &path)(error)
    })?;
    Ok(path)
}

/// Makes the names in a folder durable.
#[cfg(unix)]
fn sync_dir(dir: &Path) -> Result<(), PkiError> {
    File::open(dir)
        .and_then(|file| file.sync_all())
        .map_err(failed("sync", dir))
}

/// Names need no extra step here.
#[cfg(not(unix))]
fn sync_dir(_dir: &Path) -> Result<(), PkiError> {
    Ok(())
}

/// Refuses what grants one of `forbidden` to others.
#[cfg(unix)]
fn refuse_mode(path: &Path, metadata: &fs::Metadata, forbidden: u32) -> Result<(), PkiError> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777;
    if mode & forbidden == 0 {
        Ok(())
    } else {
        Err(PkiError::OpenToOthers {
            path: path.to_owned(),
            mode,
        })
    }
}

/// Access lists decide there, and the installer sets them on the folder.
#[cfg(not(unix))]
fn refuse_mode(_: &Path, _: &fs::Metadata, _: u32) -> Result<(), PkiError> {
    Ok(())
}
