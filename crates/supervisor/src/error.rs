//! Why a supervisor does not start or has to stop.

use crate::config::ConfigError;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use tessera_engine::supervisor::BadImage;
use tessera_store::StoreError;
use tessera_wire::pki::PkiError;

/// Why a supervisor does not start or has to stop.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// A folder of the state is not safe to use.
    #[error("{} {why}; {hint}", path.display())]
    Unsafe {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What to do.
        hint: String,
    },
    /// Another supervisor has this state.
    #[error(
        "{} is held by another supervisor ({holder}); stop that one first, or choose another --state", path.display()
    )]
    AlreadyRunning {
        /// The lock file.
        path: PathBuf,
        /// What the other wrote about itself.
        holder: String,
    },
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store can't be opened or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the store holds makes no farm.
    #[error(
        "the store can't be understood: {0}; restore a backup, or ask for help with the file as it is"
    )]
    Picture(String),
    /// What the store holds does not fit together.
    #[error("the store's parts do not fit together; restore a backup")]
    Image(#[from] BadImage),
    /// Keys and certificates can't be made or read.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The address can't be listened on.
    #[error(
        "can't listen on {address}; is another supervisor there? choose another port with --listen or supervisor_port"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file or folder can't be used.
    #[error("can't {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The core of the supervisor ended by a fault of the program.
    #[error(
        "the supervisor's core stopped ({0}); start it again: nothing that was acknowledged is lost"
    )]
    CoreStopped(String),
}

impl SupervisorError {
    /// Names what was tried with a file, for `map_err`.
    pub(crate) fn io(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }
}
