//! The system as it is.

use super::host::{Host, Service, State};
use super::steps::WORKER;
use crate::local::is_administrator;
use crate::run::Context;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tessera_windows::{ServiceSpec, ServiceState, Sid};

/// What stands in what starts at a log-on.
const AUTOSTART: &str = "Tessera worker";
/// The launcher's program.
const LAUNCH_PROGRAM: &str = "tessera-winlaunch.exe";
/// Folders of programs that only administrators can write.
const PROGRAM_FOLDERS: [&str; 3] = ["ProgramFiles", "ProgramW6432", "ProgramFiles(x86)"];

/// This host.
pub(super) struct Real<'a> {
    context: &'a Context,
    /// What was said, for programs.
    pub(super) said: Vec<String>,
}

impl<'a> Real<'a> {
    pub(super) fn new(context: &'a Context) -> Self {
        let said = Vec::new();
        Self { context, said }
    }

    /// Tells the person a step.
    pub(super) fn tell(&mut self, line: &str) {
        if !self.context.json {
            // Who can't be told is not kept from having it done.
            let _ = self.context.print(&format!("{line}\n"));
        }
        self.said.push(line.to_owned());
    }
}

fn sentence<T>(result: io::Result<T>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

/// Makes the folders of a service, with access lists of their own: the launcher's for the system and administrators only, the
/// worker's also for the account of that service. `ProgramData` lets everybody make folders, so one that is there already and
/// somebody else's is refused.
///
/// # Errors
/// A sentence that names the folder.
pub fn prepare_state(state: &Path) -> Result<(), String> {
    let worker = sentence(tessera_windows::service_sid(WORKER))?;
    let ours = "O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)";
    let own = sentence(tessera_windows::Token::own().and_then(|it| it.user()))?;
    let trusted = [Sid::system(), Sid::administrators(), own];
    let folders = [
        (state.to_owned(), format!("{ours}(A;;FX;;;{worker})")),
        (state.join("launcher"), ours.to_owned()),
        (
            state.join("worker"),
            format!("{ours}(A;OICI;0x1301bf;;;{worker})"),
        ),
    ];
    for (path, list) in folders {
        let failed = |error: io::Error| format!("{}: {error}", path.display());
        if path.symlink_metadata().is_ok() {
            let owner = tessera_windows::owner_of(&path).map_err(failed)?;
            if !trusted.contains(&owner) {
                return Err(format!(
                    "{}: belongs to {owner}; move it away, so that an administrator's can be made",
                    path.display()
                ));
            }
        }
        std::fs::create_dir_all(&path).map_err(failed)?;
        tessera_windows::protect(&path, &list).map_err(failed)?;
    }
    Ok(())
}

impl Host for Real<'_> {
    fn say(&mut self, line: &str) {
        self.tell(line);
    }

    fn is_administrator(&mut self) -> bool {
        is_administrator()
    }

    fn programs(&mut self) -> Result<(PathBuf, PathBuf), String> {
        let own = sentence(std::env::current_exe())?;
        let launch = own.with_file_name(LAUNCH_PROGRAM);
        if launch.is_file() {
            return Ok((own, launch));
        }
        Err(format!(
            "{} is not there; both programs come from one build",
            launch.display()
        ))
    }

    fn program_problem(&mut self, path: &Path) -> Option<String> {
        let path = path.to_string_lossy().to_lowercase();
        let is_below = |variable: &&str| {
            let folder = std::env::var(variable).unwrap_or_default().to_lowercase();
            !folder.is_empty() && path.starts_with(&format!("{folder}\\"))
        };
        let is_safe = PROGRAM_FOLDERS.iter().any(is_below);
        (!is_safe).then(|| "others than administrators may be able to change it".to_owned())
    }

    fn exists(&mut self, path: &Path) -> bool {
        path.exists()
    }

    fn count(&mut self, path: &Path) -> Result<usize, String> {
        match std::fs::read_dir(path) {
            Ok(all) => Ok(all.count()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    fn service(&mut self, name: &str) -> Result<Option<State>, String> {
        let state = sentence(tessera_windows::service_state(name))?;
        Ok(state.map(|state| match state {
            ServiceState::Running { .. } => State::Running,
            ServiceState::Stopped => State::Stopped,
            ServiceState::Between => State::Between,
        }))
    }

    fn install(&mut self, service: &Service) -> Result<Vec<String>, String> {
        let texts = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
        sentence(tessera_windows::install_service(&ServiceSpec {
            name: service.name.to_owned(),
            title: service.title.to_owned(),
            description: service.description.to_owned(),
            command: service.command.clone(),
            account: service.account.map(str::to_owned),
            privileges: texts(service.privileges),
            needs: service.needs.map(|it| texts(&[it])).unwrap_or_default(),
        }))
    }

    fn start(&mut self, name: &str) -> Result<(), String> {
        sentence(tessera_windows::start_service(name))
    }

    fn stop(&mut self, name: &str) -> Result<(), String> {
        sentence(tessera_windows::stop_service(name))
    }

    fn delete(&mut self, name: &str) -> Result<(), String> {
        sentence(tessera_windows::delete_service(name))
    }

    fn protect(&mut self, state: &Path) -> Result<(), String> {
        prepare_state(state)
    }

    fn autostart(&mut self) -> Result<Option<String>, String> {
        sentence(tessera_windows::autostart(AUTOSTART))
    }

    fn set_autostart(&mut self, command: Option<&str>) -> Result<(), String> {
        sentence(tessera_windows::set_autostart(AUTOSTART, command))
    }

    fn pause(&mut self) {
        std::thread::sleep(Duration::from_secs(1));
    }
}
