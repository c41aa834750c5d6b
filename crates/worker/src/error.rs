//! Why a worker can't run at all.

use std::io;
use std::path::PathBuf;

use crate::config::ConfigError;

/// Why a worker can't run. What may mend itself (supervisor, launcher, certificate, disk) is not here.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A desktop worker runs jobs as its own user, and that must not be root.
    #[cfg_attr(
        unix,
        error(
            "a desktop worker can't run as root: its jobs would be root's; start it as a user, or use service mode"
        )
    )]
    #[cfg_attr(
        windows,
        error(
            "a desktop worker can't run with an administrator's rights: its jobs would have them, too; start it without \
             \"Run as administrator\""
        )
    )]
    DesktopAsRoot,
    /// The system itself would talk to the network.
    #[cfg(windows)]
    #[error(
        "the worker runs as LocalSystem, which nothing that talks to the network should; tessera worker install --mode service \
         gives it an account of its own"
    )]
    ServiceAsSystem,
    /// Root itself would talk to the network.
    #[cfg(target_os = "macos")]
    #[error(
        "the worker runs as root, which nothing that talks to the network should; tessera worker install --mode service gives it \
         an account of its own"
    )]
    ServiceAsRoot,
    /// What is kept of registered passwords can't be used.
    #[error(transparent)]
    Vault(#[from] crate::credential::VaultError),
    /// This process' account has no name.
    #[error("uid {uid} has no account on this host, so its jobs would have no owner; create one")]
    NoAccount {
        /// The account's number.
        uid: String,
    },
    /// Another worker uses the state directory.
    #[error("another worker runs with {}; end it first, or give this one its own --state", path.display())]
    AlreadyRunning {
        /// The lock that it holds.
        path: PathBuf,
    },
    /// A directory of the state belongs to somebody else.
    #[error("{} belongs to uid {owner}, not to this worker (uid {uid}); give it to this worker's account", path.display())]
    ForeignState {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who this is.
        uid: u32,
    },
    /// A file or directory of the state can't be used.
    #[error("can't {what} {}", path.display())]
    State {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Signals can't be listened to.
    #[error("can't listen for signals")]
    Signals(#[source] io::Error),
    /// The configuration has a mistake.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No supervisor is named.
    #[error("no supervisor is named: join the farm first (tessera join STRING), or give --connect HOST:PORT, or set qb_supervisor in {}", config.display())]
    NoSupervisor {
        /// Where it could be set.
        config: PathBuf,
    },
    /// The program that starts instances was not found.
    #[error(
        "tessera-launch was found neither beside this program nor in PATH; install it, or give --launch PATH"
    )]
    NoLaunchBinary,
}

impl WorkerError {
    /// Wraps a system error; to be used as `map_err(WorkerError::state("open", &path))`.
    pub(crate) fn state(
        what: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::State {
            what,
            path: path.to_owned(),
            source,
        }
    }
}
