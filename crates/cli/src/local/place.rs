//! Where a farm keeps what it has on this host, and who may set it up.

use crate::error::CliError;
use std::path::PathBuf;

/// Answers a folder that a variable names.
fn named(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

/// Says whether the caller is root.
#[cfg(unix)]
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Refuses who can't make a host a service's.
#[cfg(unix)]
pub(crate) fn may_enrol_service() -> Result<(), CliError> {
    if is_root() {
        return Ok(());
    }
    Err(CliError::usage("only root can enrol a host as a service")
        .hint("run it with sudo, or with --desktop for a worker that runs jobs as you"))
}

#[cfg(target_os = "linux")]
mod system {
    use super::{PathBuf, is_root, named};

    /// Answers the folder of the farm of a service.
    pub(crate) fn system_state() -> PathBuf {
        PathBuf::from("/var/lib/tessera")
    }

    /// Answers the folder of the caller's own farm, if the caller has a home.
    pub(crate) fn user_state() -> Option<PathBuf> {
        let state =
            named("XDG_STATE_HOME").or_else(|| named("HOME").map(|home| home.join(".local/state")));
        state.map(|state| state.join("tessera"))
    }

    /// Answers the folder that holds for the caller: the service's for root, else their own.
    pub(crate) fn default_state() -> PathBuf {
        let own = if is_root() { None } else { user_state() };
        own.unwrap_or_else(system_state)
    }
}

#[cfg(target_os = "macos")]
mod system {
    use super::{PathBuf, is_root, named};

    /// Answers the folder of the farm of a service.
    pub(crate) fn system_state() -> PathBuf {
        PathBuf::from("/Library/Application Support/Tessera")
    }

    /// Answers the folder of the caller's own farm, if the caller has a home.
    pub(crate) fn user_state() -> Option<PathBuf> {
        named("HOME").map(|home| home.join("Library/Application Support/Tessera"))
    }

    /// Answers the folder that holds for the caller: the service's for root, else their own.
    pub(crate) fn default_state() -> PathBuf {
        let own = if is_root() { None } else { user_state() };
        own.unwrap_or_else(system_state)
    }
}

#[cfg(windows)]
mod system {
    use super::{CliError, PathBuf, named};

    /// Answers the folder of the farm of a service.
    pub(crate) fn system_state() -> PathBuf {
        named("ProgramData")
            .unwrap_or_else(|| PathBuf::from(r"C:\ProgramData"))
            .join("Tessera")
    }

    /// Answers the folder of the caller's own farm, if the caller has a profile.
    pub(crate) fn user_state() -> Option<PathBuf> {
        named("LOCALAPPDATA").map(|data| data.join("Tessera"))
    }

    /// Answers the folder that holds for the caller: workers run for the caller here, so it is their own.
    pub(crate) fn default_state() -> PathBuf {
        user_state().unwrap_or_else(system_state)
    }

    /// Refuses who can't make a host a service's.
    pub(crate) fn may_enrol_service() -> Result<(), CliError> {
        if is_administrator() {
            return Ok(());
        }
        Err(
            CliError::usage("only an administrator can enrol a host as a service")
                .hint("open the terminal by \"Run as administrator\", or give --desktop for a worker that runs jobs as you"),
        )
    }

    /// Says whether the caller has an administrator's rights right now.
    pub(crate) fn is_administrator() -> bool {
        tessera_windows::account().is_ok_and(|it| it.is_elevated)
    }
}

#[cfg(windows)]
pub(crate) use system::is_administrator;
#[cfg(windows)]
pub(crate) use system::may_enrol_service;
pub(crate) use system::{default_state, system_state, user_state};
