//! How a worker is started, and what comes of it together with its configuration.

use std::path::PathBuf;

use tessera_model::limits::SLOTS_MAX;
use tessera_model::{Identity, ServedSettings, SettingsInUse};

use crate::chain;
use crate::config::{Config, Own, ProxyMode};
use crate::desk::Stamp;
use crate::error::WorkerError;
use crate::os;
use crate::served;
use crate::state::StateDir;

/// How a worker is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The directory of all that the farm keeps on this host; the worker's part is `worker/` in it.
    pub state: PathBuf,
    /// Whether a launcher starts instances, or the worker's own user.
    pub mode: Mode,
    /// `HOST:PORT` of the supervisor; else `qb_supervisor` of the configuration.
    pub supervisor: Option<String>,
    /// Slots to offer; else `worker_cpus` of the configuration; 0 for one per core.
    pub slots: Option<u32>,
    /// The name that the host goes by; else `worker_name` of the configuration, else the system's.
    pub name: Option<String>,
    /// The `tessera-launch` program (desktop mode); else looked for beside this program and in `PATH`.
    pub launch_binary: Option<PathBuf>,
    /// The configuration file, which must exist; else `worker/worker.toml` in the state, if it exists.
    pub config: Option<PathBuf>,
}

/// In which way a worker exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Beside a privileged launcher.
    Service {
        /// The launcher's socket; `run/launcher.sock` in the state by default.
        launcher_socket: Option<PathBuf>,
    },
    /// In a user's session, all jobs as that user.
    Desktop,
}

/// Everything decided before the worker starts.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) state: PathBuf,
    pub(crate) chain_mode: chain::Mode,
    /// The user of a desktop worker.
    pub(crate) desktop_user: Option<String>,
    pub(crate) supervisor: String,
    /// Slots that it was started with, whatever is configured; 0 for one per core.
    pub(crate) slots: Option<u32>,
    pub(crate) name: String,
    /// What the host's own file says.
    pub(crate) own: Own,
    /// What holds: that, and what the supervisor serves.
    pub(crate) config: Config,
    /// What this worker began with: some of it holds until it ends.
    pub(crate) began: Config,
    /// What is said of what the supervisor serves.
    pub(crate) in_use: SettingsInUse,
    /// Where that is from, though the file may be missing.
    pub(crate) config_path: PathBuf,
    /// The file as it was before it was read.
    pub(crate) config_seen: Stamp,
}

impl Options {
    /// Reads the configuration, and settles what options and configuration leave open.
    pub(crate) fn resolve(&self) -> Result<Settings, WorkerError> {
        let path = self.config_path();
        let config_seen = Stamp::of(&path);
        let own = match &self.config {
            Some(path) => Own::read(path)?,
            None => Own::read_if_there(&path)?.unwrap_or_default(),
        };
        let kept = served::kept(&self.state, own.lookup());
        let (config, in_use) = served::together(&own, kept.as_ref(), None, self.slots);
        let supervisor = self
            .supervisor
            .clone()
            .or_else(|| config.qb_supervisor.clone());
        let supervisor = supervisor.ok_or_else(|| WorkerError::NoSupervisor {
            config: path.clone(),
        })?;
        let name = self.name.clone().or_else(|| config.worker_name.clone());
        Ok(Settings {
            state: self.state.clone(),
            chain_mode: chain::Mode::of(self, &config)?,
            desktop_user: match self.mode {
                Mode::Desktop => Some(os::own_account()?),
                Mode::Service { .. } => None,
            },
            supervisor: with_port(&supervisor),
            slots: self.slots,
            name: name.unwrap_or_else(host_name),
            own,
            began: config.clone(),
            config,
            in_use,
            config_path: path,
            config_seen,
        })
    }

    /// Answers where the configuration is, if there is one.
    pub(crate) fn config_path(&self) -> PathBuf {
        let usual = || StateDir::config_path(&self.state);
        self.config.clone().unwrap_or_else(usual)
    }
}

impl Settings {
    /// Takes what the supervisor serves. What of it can't change while the worker runs holds from its next start; the rest at once.
    pub(crate) fn take(&mut self, served: &ServedSettings) {
        let began = Some(&self.began);
        (self.config, self.in_use) = served::together(&self.own, Some(served), began, self.slots);
    }

    /// Answers the slots to offer.
    pub(crate) fn slots(&self) -> u32 {
        let slots = self.slots.unwrap_or(self.config.worker_cpus);
        if slots == 0 { cores() } else { slots }.min(SLOTS_MAX)
    }

    /// Answers the execution mode that the local configuration asks for, if it asks for one.
    pub(crate) fn wanted_mode(&self) -> Option<ProxyMode> {
        self.config.proxy_execution_mode
    }

    /// Answers who jobs run as on a desktop.
    pub(crate) fn desktop_identity(&self) -> Option<Identity> {
        self.desktop_user.clone().map(Identity::Desktop)
    }
}

/// Answers the cores that the system lets this process use.
pub(crate) fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores).unwrap_or(SLOTS_MAX)
}

fn host_name() -> String {
    let name = os::host_name().unwrap_or_default();
    if name.is_empty() {
        "localhost".to_owned()
    } else {
        name
    }
}

fn with_port(supervisor: &str) -> String {
    let has_port = match supervisor.rsplit_once(':') {
        Some((host, port)) => {
            port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']'))
        }
        None => false,
    };
    match (
        has_port,
        supervisor.contains(':') && !supervisor.starts_with('['),
    ) {
        (true, _) => supervisor.to_owned(),
        (false, true) => format!("[{supervisor}]:{}", tessera_wire::PORT_DEFAULT),
        (false, false) => format!("{supervisor}:{}", tessera_wire::PORT_DEFAULT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supervisor_without_port_gets_the_default() {
        assert_eq!(with_port("farm"), "farm:7433");
        assert_eq!(with_port("farm:1"), "farm:1");
        assert_eq!(with_port("10.0.0.1"), "10.0.0.1:7433");
        assert_eq!(with_port("fe80::1"), "[fe80::1]:7433");
        assert_eq!(with_port("[fe80::1]"), "[fe80::1]:7433");
        assert_eq!(with_port("[fe80::1]:5"), "[fe80::1]:5");
    }

    #[test]
    fn a_desktop_worker_of_root_is_refused() {
        if !os::is_privileged() {
            return;
        }
        let options = Options {
            state: PathBuf::from("/nonexistent"),
            mode: Mode::Desktop,
            supervisor: Some("farm".to_owned()),
            slots: None,
            name: None,
            launch_binary: None,
            config: None,
        };
        assert!(matches!(options.resolve(), Err(WorkerError::DesktopAsRoot)));
    }

    #[test]
    fn options_come_before_the_configuration() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("w.toml");
        let text = "qb_supervisor = \"a\"\nworker_cpus = 3\nworker_name = \"n\"\n";
        std::fs::write(&file, text).expect("writes");
        let mut options = Options {
            state: dir.path().to_owned(),
            mode: Mode::Service {
                launcher_socket: None,
            },
            supervisor: None,
            slots: None,
            name: None,
            launch_binary: None,
            config: Some(file),
        };
        let settings = options.resolve().expect("resolves");
        assert_eq!(
            (settings.supervisor.as_str(), settings.slots()),
            ("a:7433", 3)
        );
        assert_eq!(settings.name, "n");
        options.supervisor = Some("b:9".to_owned());
        options.slots = Some(0);
        let settings = options.resolve().expect("resolves");
        assert_eq!(
            (settings.supervisor.as_str(), settings.slots()),
            ("b:9", cores())
        );
        options.supervisor = None;
        options.config = None;
        assert!(matches!(
            options.resolve(),
            Err(WorkerError::NoSupervisor { .. })
        ));
    }
}
