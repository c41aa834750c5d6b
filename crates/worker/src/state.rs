//! The worker's directories and the lock that keeps a second worker away.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tessera_model::msg::LaunchKey;
use tessera_model::{InstanceNo, JobId, LaunchNo};

use crate::error::WorkerError;
use crate::os;

/// `worker/` of the state, held by this process alone.
#[derive(Debug)]
pub(crate) struct StateDir {
    worker: PathBuf,
    /// Held as long as this lives; the file itself stays.
    _lock: File,
}

impl StateDir {
    /// Answers where the configuration is kept.
    pub(crate) fn config_path(state: &Path) -> PathBuf {
        state.join("worker/worker.toml")
    }

    /// Makes the directories (0700) and takes the lock.
    pub(crate) fn open(state: &Path) -> Result<Self, WorkerError> {
        let worker = state.join("worker");
        make_private(&worker)?;
        make_private(&worker.join("spool"))?;
        let lock = lock(&worker.join("lock"))?;
        Ok(Self {
            worker,
            _lock: lock,
        })
    }

    /// Answers where key and certificates are.
    pub(crate) fn identity(&self) -> &Path {
        &self.worker
    }

    /// Answers where launches keep their output.
    pub(crate) fn spool(&self) -> Spool {
        Spool {
            root: self.worker.join("spool"),
        }
    }
}

/// Where launches keep their output: `<spool>/<job>/<instance>.<launch>/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spool {
    root: PathBuf,
}

impl Spool {
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn dir(&self, key: LaunchKey) -> PathBuf {
        self.root
            .join(key.job.to_string())
            .join(format!("{}.{}", key.instance, key.launch))
    }

    /// Reads the launch that a directory is of; the names of others are none of ours.
    pub(crate) fn key_of(job: &str, launch: &str) -> Option<LaunchKey> {
        let (instance, launch) = launch.split_once('.')?;
        Some(LaunchKey {
            job: JobId(number(job)?),
            instance: InstanceNo(number(instance)?),
            launch: LaunchNo(number(launch)?),
        })
    }
}

/// Reads a number that is written as it is printed: no sign, no leading zero.
pub(crate) fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let is_plain = text.bytes().all(|it| it.is_ascii_digit());
    (is_plain && (text == "0" || !text.starts_with('0')))
        .then(|| text.parse().ok())
        .flatten()
}

/// Makes a directory with all above it, and sees to it that it is private and ours.
fn make_private(path: &Path) -> Result<(), WorkerError> {
    let made = os::dirs().create(path);
    made.map_err(WorkerError::state("make the directory", path))?;
    let found = path
        .symlink_metadata()
        .map_err(WorkerError::state("look at", path))?;
    if !found.is_dir() {
        let source = io::ErrorKind::NotADirectory.into();
        return Err(WorkerError::State {
            what: "use",
            path: path.to_owned(),
            source,
        });
    }
    os::claim(path)
}

fn lock(path: &Path) -> Result<File, WorkerError> {
    let mut options = os::to_write();
    let file = options
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(WorkerError::state("open the lock", path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(WorkerError::AlreadyRunning {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(WorkerError::state("lock", path)(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_private_and_one_workers() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(dir.path().join("worker")).expect("makes");
        let first = StateDir::open(dir.path()).expect("opens");
        #[cfg(unix)]
        for path in [first.identity().to_owned(), first.spool().root().to_owned()] {
            let found = path.metadata().expect("is there");
            let mode = std::os::unix::fs::MetadataExt::mode(&found);
            assert_eq!(mode & 0o7777, 0o700, "{}", path.display());
        }
        let second = StateDir::open(dir.path());
        assert!(matches!(second, Err(WorkerError::AlreadyRunning { .. })));
        drop(first);
        assert!(StateDir::open(dir.path()).is_ok());
    }

    #[test]
    fn directories_name_their_launch() {
        let key = LaunchKey {
            job: JobId(12),
            instance: InstanceNo(0),
            launch: LaunchNo(3),
        };
        let spool = Spool {
            root: PathBuf::from("/s"),
        };
        assert_eq!(spool.dir(key), Path::new("/s/12/0.3"));
        assert_eq!(Spool::key_of("12", "0.3"), Some(key));
        for (job, launch) in [
            ("x", "0.3"),
            ("12", "03"),
            ("12", "0.03"),
            ("+1", "0.3"),
            ("1", "0.3.4"),
        ] {
            assert_eq!(Spool::key_of(job, launch), None, "{job}/{launch}");
        }
    }
}
