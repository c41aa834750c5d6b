//! Whether a launcher starts instances or the worker's own user.

use std::path::{Path, PathBuf};

use tessera_ticket::PathMap;

use crate::chain::Owner;
use crate::config::Config;
use crate::error::WorkerError;
use crate::options::{self, Options};
use crate::os;

const LAUNCH_PROGRAM: &str = "tessera-launch";

/// How instances are started on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Through the privileged launcher beside the worker.
    Service {
        /// Its socket.
        launcher_socket: PathBuf,
        /// Added to the niceness of what runs, 0 to 19.
        nice: u8,
    },
    /// As the worker's own user.
    Desktop {
        /// The `tessera-launch` program.
        launch_binary: PathBuf,
        /// That user, and whom they let in.
        owner: Owner,
        /// Variables of the session that jobs see beside the usual ones.
        variables: Vec<String>,
        /// Where instances have their private directories; made (0700) if missing.
        tmp: PathBuf,
        /// Added to the niceness of what runs, 0 to 19.
        nice: u8,
        /// How paths of other systems are called here.
        paths: PathMap,
    },
}

impl Mode {
    /// Settles what the options leave open.
    pub(crate) fn of(options: &Options, config: &Config) -> Result<Self, WorkerError> {
        let nice = config.proxy_nice_value;
        match &options.mode {
            options::Mode::Service { launcher_socket } => {
                let default = || options.state.join("run/launcher.sock");
                let launcher_socket = launcher_socket.clone().unwrap_or_else(default);
                if !config.worker_path_map.is_empty() {
                    tracing::warn!(
                        "worker_path_map is for desktop workers: here it changes nothing; \
                         write path_map lines into the launcher's policy, which is root's"
                    );
                }
                Ok(Self::Service {
                    launcher_socket,
                    nice,
                })
            }
            options::Mode::Desktop if os::is_privileged() => Err(WorkerError::DesktopAsRoot),
            options::Mode::Desktop => {
                let found = options.launch_binary.clone().or_else(find_launch_binary);
                let launch_binary = found.ok_or(WorkerError::NoLaunchBinary)?;
                Ok(Self::Desktop {
                    launch_binary,
                    owner: Owner {
                        user: os::own_account()?,
                        config: options.config_path(),
                    },
                    variables: config.desktop_environment.clone(),
                    tmp: options.state.join("worker/tmp"),
                    nice,
                    paths: config.worker_path_map.clone(),
                })
            }
        }
    }

    /// Says what it means that capabilities can't be had, and what to do.
    pub(crate) fn no_answer(&self, cause: &str) -> String {
        match self {
            Self::Service { .. } => {
                format!("the launcher does not answer ({cause}); see whether tessera-launch runs")
            }
            Self::Desktop { .. } => {
                format!(
                    "tessera-launch does not answer ({cause}); see whether it is of this release"
                )
            }
        }
    }
}

fn find_launch_binary() -> Option<PathBuf> {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|it| Some(it.parent()?.to_owned()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside
        .into_iter()
        .chain(std::env::split_paths(&path).filter(|it| it.is_absolute()))
        .map(|dir| dir.join(LAUNCH_PROGRAM))
        .find(|it| is_program(it))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}
