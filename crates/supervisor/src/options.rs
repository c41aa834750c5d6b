//! What a supervisor is started with.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What a supervisor is started with; the rest is in its configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Folder of the farm's state; `supervisor/` and `run/` below it are used.
    pub state: PathBuf,
    /// Where clients and workers connect to; `None`: every address, at `supervisor_port`. Port 0 takes a free one.
    pub listen: Option<SocketAddr>,
    /// The Unix socket for clients on this host; `None`: `run/supervisor.sock` below the state.
    pub socket: Option<PathBuf>,
    /// The configuration; `None`: `supervisor.toml` below the state, if there is one.
    pub config: Option<PathBuf>,
}

impl Options {
    /// Makes the options of a farm that keeps everything below one folder.
    #[must_use]
    pub fn new(state: impl Into<PathBuf>) -> Self {
        Self {
            state: state.into(),
            listen: None,
            socket: None,
            config: None,
        }
    }

    /// Answers where the Unix socket is.
    #[must_use]
    pub fn socket_path(&self) -> PathBuf {
        self.socket
            .clone()
            .unwrap_or_else(|| self.run_dir().join("supervisor.sock"))
    }

    /// Answers the folder of what lives only while the supervisor does.
    #[must_use]
    pub fn run_dir(&self) -> PathBuf {
        self.state.join("run")
    }

    /// Answers the file with the address that is listened on.
    #[must_use]
    pub fn address_path(&self) -> PathBuf {
        self.run_dir().join("supervisor.addr")
    }

    /// Answers the supervisor's own folder: store, keys, logs.
    #[must_use]
    pub fn own_dir(&self) -> PathBuf {
        self.state.join("supervisor")
    }

    /// Answers where the configuration of all workers is, unless the configuration says it: beside that, or in the state.
    #[must_use]
    pub fn workers_path(&self) -> PathBuf {
        let beside = self.config.as_ref().and_then(|path| path.parent());
        beside.unwrap_or(&self.state).join("workers.toml")
    }

    /// Answers the configuration file to read, if there is one.
    #[must_use]
    pub fn config_path(&self) -> Option<PathBuf> {
        let usual = || Some(self.state.join("supervisor.toml")).filter(|path| Path::exists(path));
        self.config.clone().or_else(usual)
    }

    /// Answers the file that says whom to tell, which need not be there: beside the configuration.
    #[must_use]
    pub fn notify_path(&self) -> PathBuf {
        let beside = self.config.as_deref().and_then(Path::parent);
        beside.unwrap_or(&self.state).join("notify.toml")
    }
}
