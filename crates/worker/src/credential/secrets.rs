//! Keys in files of this process's account. On Windows the system protects them besides; see the crate's `os`.

use super::SecretStore;
use crate::os;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Largest entry in bytes.
const ENTRY_BYTES_MAX: u64 = 16 * 1024;

/// Entries are files of mode 0600 in a directory of this process's own.
#[derive(Debug, Clone)]
pub struct FileSecrets {
    dir: PathBuf,
}

impl FileSecrets {
    /// Takes a directory, and makes it (0700) if it is not there.
    ///
    /// # Errors
    /// When it can't be made, or is another's.
    pub fn open(dir: &Path) -> io::Result<Self> {
        os::dirs().create(dir)?;
        os::claim(dir).map_err(io::Error::other)?;
        Ok(Self {
            dir: dir.to_owned(),
        })
    }
}

impl SecretStore for FileSecrets {
    fn read(&self, name: &str) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let file = match os::to_read().open(self.dir.join(name)) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let length = usize::try_from(file.metadata()?.len().min(ENTRY_BYTES_MAX));
        // With room from the start: a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(length.unwrap_or_default() + 1));
        file.take(ENTRY_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        write_whole(&self.dir, name, bytes)
    }
}

/// Writes a private file so that there is the old one or the new one, also after a power cut.
pub(super) fn write_whole(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let (path, fresh) = (dir.join(name), dir.join(format!("{name}.new")));
    let mut file = os::to_write().create(true).truncate(true).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&fresh, &path)?;
    #[cfg(unix)]
    fs::File::open(dir)?.sync_all()?;
    Ok(())
}
