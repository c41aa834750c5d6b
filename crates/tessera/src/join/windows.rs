//! Folders of the state on Windows: below the user's profile, whose access list lets nobody else in.

use std::convert::Infallible;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::windows::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use tessera_cli::CliError;

use super::{CONFIG_BYTES_MAX, file_error, read_error};

/// Opens a link itself and not what it leads to (`FILE_FLAG_OPEN_REPARSE_POINT`).
const OPEN_LINK: u32 = 0x0020_0000;

/// Another account: there is none here, a worker is its user's.
pub(super) type Owner = Infallible;

/// Answers the account with this name: none, see [`Owner`].
pub(super) fn owner_of(_account: &str) -> Option<Owner> {
    None
}

/// Answers how to make a directory; its access is that of the one above.
pub(super) fn new_dir() -> DirBuilder {
    DirBuilder::new()
}

/// Makes a directory and those above it.
pub(super) fn make_dir(path: &Path, _mode: u32) -> Result<(), CliError> {
    fs::create_dir_all(path).map_err(|error| file_error(path, &error))
}

/// Says what to run next for a service; `state` is what says where it is.
pub(super) fn service_next(_at: &Path, state: &str) -> String {
    format!("next, as an administrator: tessera worker install --mode service{state}\n")
}

/// Answers the name that the host gives itself.
pub(super) fn host_name() -> String {
    let name = gethostname::gethostname().into_string().ok();
    name.filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// A folder of this user's.
pub(super) struct Folder {
    pub(super) path: PathBuf,
}

impl Folder {
    pub(super) fn open(path: &Path, _owner: Option<Owner>) -> Result<Self, CliError> {
        let found = fs::symlink_metadata(path).map_err(|error| file_error(path, &error))?;
        if !found.is_dir() {
            let error = ErrorKind::NotADirectory.into();
            return Err(file_error(path, &error));
        }
        let path = path.to_owned();
        Ok(Self { path })
    }

    /// Reads a small file; `None` if there is none.
    pub(super) fn read(&self, name: &str) -> Result<Option<String>, CliError> {
        let path = self.path.join(name);
        let read = || -> io::Result<Option<String>> {
            let mut options = OpenOptions::new();
            let file = match options.read(true).custom_flags(OPEN_LINK).open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            if !file.metadata()?.is_file() {
                return Err(io::Error::other("is not a plain file"));
            }
            let mut text = String::new();
            file.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text)?;
            if text.len() as u64 > CONFIG_BYTES_MAX {
                return Err(ErrorKind::FileTooLarge.into());
            }
            Ok(Some(text))
        };
        read().map_err(|error| read_error(&path, &error))
    }

    /// Writes a file in the place of the old one, at once and durably.
    pub(super) fn replace(&self, name: &str, _mode: u32, text: &str) -> Result<(), CliError> {
        let partial = self.path.join(format!(".{name}.new{}", std::process::id()));
        let path = self.path.join(name);
        let write = || -> io::Result<()> {
            // One that an earlier process of this number left.
            match fs::remove_file(&partial) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).open(&partial)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            drop(file);
            fs::rename(&partial, &path)
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&partial);
            file_error(&path, &error)
        })
    }

    /// Gives the folder to its owner, who has it already.
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "as on Unix")]
    pub(super) fn give_away(&self) -> Result<(), CliError> {
        Ok(())
    }
}
