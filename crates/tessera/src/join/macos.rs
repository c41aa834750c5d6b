//! Folders of the state on macOS: below the user's home, and theirs alone (0700).

use nix::fcntl::OFlag;
use std::convert::Infallible;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use tessera_cli::CliError;

use super::{CONFIG_BYTES_MAX, file_error, read_error};

/// No link is followed, and a pipe in a file's place is not waited for.
const PLAIN: OFlag = OFlag::O_NOFOLLOW.union(OFlag::O_NONBLOCK);

/// Another account: there is none here, a worker is its user's.
pub(super) type Owner = Infallible;

/// Answers the account with this name: none, see [`Owner`].
pub(super) fn owner_of(_account: &str) -> Option<Owner> {
    None
}

/// Answers how to make a directory that is this process's alone.
pub(super) fn new_dir() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

/// Makes a directory and those above it.
pub(super) fn make_dir(path: &Path, mode: u32) -> Result<(), CliError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(mode);
    builder
        .create(path)
        .map_err(|error| file_error(path, &error))
}

/// Says what to run next for a service; the command line refuses it before.
pub(super) fn service_next(_at: &Path, _state: &str) -> String {
    String::new()
}

/// Answers the name that the host gives itself.
pub(super) fn host_name() -> String {
    let name = nix::unistd::gethostname()
        .ok()
        .and_then(|it| it.into_string().ok());
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
        let error = if !found.is_dir() {
            Some(ErrorKind::NotADirectory.into())
        } else if found.uid() != nix::unistd::geteuid().as_raw() {
            Some(io::Error::other("it belongs to somebody else"))
        } else {
            None
        };
        if let Some(error) = error {
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
            let file = match options.read(true).custom_flags(PLAIN.bits()).open(&path) {
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
    pub(super) fn replace(&self, name: &str, mode: u32, text: &str) -> Result<(), CliError> {
        let partial = self.path.join(format!(".{name}.new{}", std::process::id()));
        let path = self.path.join(name);
        let write = || -> io::Result<()> {
            // One that an earlier process of this number left.
            match fs::remove_file(&partial) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            let mut options = OpenOptions::new();
            let mut file = options
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(&partial)?;
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
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "as on Linux")]
    pub(super) fn give_away(&self) -> Result<(), CliError> {
        Ok(())
    }
}
