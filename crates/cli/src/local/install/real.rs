//! This host.

#[cfg(target_os = "linux")]
#[path = "real/linux.rs"]
mod holders;
#[cfg(target_os = "macos")]
#[path = "real/macos.rs"]
mod holders;

#[cfg(target_os = "linux")]
pub(crate) use holders::lock_holder;

use super::system::{Answer, System};
use crate::error::CliError;
use crate::out::text;
use crate::run::Context;
use nix::unistd::User;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Where root's commands are; nothing is searched for elsewhere.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What a person's service manager is reached by.
const PASSED_ON: [&str; 6] = [
    "HOME",
    "USER",
    "LOGNAME",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
];
/// The most bytes of a unit, a policy or a record.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The most launches that are looked at.
const LAUNCHES_MAX: usize = 65_536;

/// The system of this host; steps are printed as they are done, or collected for JSON.
pub(super) struct Real<'a> {
    context: &'a Context,
    /// What was said.
    pub(super) said: Vec<String>,
    /// The host that was locked at the farm.
    locked: Option<String>,
}

impl<'a> Real<'a> {
    pub(super) fn new(context: &'a Context) -> Self {
        Self {
            context,
            said: Vec::new(),
            locked: None,
        }
    }

    /// Locks this host's worker at the farm; answers the host's id, unless it was locked before.
    async fn lock_own(&self, is_desktop: bool) -> Result<Option<String>, CliError> {
        let client = self.context.client()?;
        let own = nix::unistd::gethostname()
            .ok()
            .and_then(|name| name.into_string().ok())
            .unwrap_or_default();
        let hosts = client.hosts().await?.hosts;
        let mut found = hosts.into_iter().filter(|host| {
            is_own_name(&host.name, &own)
                && host.status == "up"
                && (host.mode == "desktop") == is_desktop
        });
        let failed = |said: String| Err(CliError::failed(said));
        match (found.next(), found.next()) {
            (Some(host), None) if host.is_locked => Ok(None),
            (Some(host), None) => {
                client.lock_host(&host.id).await?;
                Ok(Some(host.id))
            }
            (None, _) => failed(format!("no host {own} is connected to the farm")),
            (Some(_), Some(_)) => failed(format!("several hosts {own} are connected to the farm")),
        }
    }

    async fn unlock_own(&self, id: &str) -> Result<(), CliError> {
        Ok(self.context.client()?.unlock_host(id).await?)
    }
}

impl System for Real<'_> {
    fn say(&mut self, line: &str) {
        if !self.context.json {
            // A reader that went away hears nothing more; what is done is done nevertheless.
            let _ = self.context.print(&format!("{}\n", text::safe(line)));
        }
        self.said.push(line.to_owned());
    }

    #[cfg(target_os = "linux")]
    fn has_systemd(&mut self) -> bool {
        Path::new("/run/systemd/system").is_dir()
    }

    #[cfg(target_os = "linux")]
    fn no_manager(&mut self) -> Option<CliError> {
        (!self.has_systemd()).then(super::systemd::is_missing)
    }

    #[cfg(target_os = "linux")]
    fn has_user_manager(&mut self) -> bool {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        runtime.is_some_and(|it| it.is_absolute() && it.join("systemd/private").exists())
    }

    fn ask(&mut self, words: &[&str]) -> Result<Answer, String> {
        let output = command(words)?;
        let said = if output.status.success() || output.stderr.is_empty() {
            output.stdout
        } else {
            output.stderr
        };
        Ok(Answer {
            is_good: output.status.success(),
            said: String::from_utf8_lossy(&said).trim().to_owned(),
        })
    }

    fn run(&mut self, words: &[&str]) -> Result<(), String> {
        let output = command(words)?;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            self.say(&format!("  {line}"));
        }
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let line = words.join(" ");
        Err(if said.is_empty() {
            format!("{line}: {}", output.status)
        } else {
            format!("{line}: {said}")
        })
    }

    fn read(&mut self, path: &Path) -> Result<Option<String>, String> {
        let named = |error: std::io::Error| format!("{}: {error}", path.display());
        let file = match OpenOptions::new().read(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(named(error)),
        };
        let mut text = String::new();
        file.take(FILE_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(named)?;
        Ok(Some(text))
    }

    fn write(&mut self, path: &Path, text: &str, mode: u32) -> Result<(), String> {
        let named = |error: std::io::Error| format!("can't write {}: {error}", path.display());
        let folder = path.parent().unwrap_or(Path::new("/"));
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(folder)
            .map_err(named)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let partial = folder.join(format!(".{name}.new{}", std::process::id()));
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(&partial)?;
            file.write_all(text.as_bytes())?;
            let allow = std::os::unix::fs::PermissionsExt::from_mode(mode);
            file.set_permissions(allow)?;
            file.sync_all()?;
            std::fs::rename(&partial, path)
        };
        write().map_err(|error| {
            let _ = std::fs::remove_file(&partial);
            named(error)
        })
    }

    fn remove(&mut self, path: &Path) -> Result<(), String> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(format!("can't remove {}: {error}", path.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn exists(&mut self, path: &Path) -> bool {
        path.symlink_metadata().is_ok()
    }

    fn has_account(&mut self, name: &str) -> bool {
        matches!(User::from_name(name), Ok(Some(_)))
    }

    fn program_problem(&mut self, path: &Path) -> Option<String> {
        let real = match std::fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) => return Some(error.to_string()),
        };
        real.ancestors()
            .find_map(|part| part_problem(part, part == real))
    }

    fn lock_holder(&mut self, path: &Path) -> Option<i32> {
        holders::lock_holder(path)
    }

    fn launches(&mut self, state: &Path) -> Result<usize, String> {
        Ok(launch_folders(state)?.len())
    }

    #[cfg(target_os = "linux")]
    fn end_launches(&mut self, state: &Path) -> Result<(), String> {
        holders::end_launches(state)
    }

    fn lock_host(&mut self, is_desktop: bool) -> Result<(), String> {
        let done = self.context.block_on(self.lock_own(is_desktop));
        self.locked = done.map_err(|error| error.message)?;
        Ok(())
    }

    fn unlock_host(&mut self) -> Result<(), String> {
        let Some(id) = self.locked.take() else {
            return Ok(());
        };
        let done = self.context.block_on(self.unlock_own(&id));
        done.map_err(|error| error.message)
    }

    fn pause(&mut self) {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Says whether a host of the farm is this one: of its two modes one has joined under a longer name.
fn is_own_name(name: &str, own: &str) -> bool {
    name.strip_prefix(own)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Runs a command with nothing of this process's environment but what a person's service manager is reached by.
fn command(words: &[&str]) -> Result<std::process::Output, String> {
    let (program, rest) = words.split_first().ok_or("no command")?;
    let mut command = Command::new(program);
    command
        .args(rest)
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null());
    for name in PASSED_ON {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .output()
        .map_err(|error| format!("can't run {program}: {error}"))
}

/// Says what is wrong with a part of a privileged program's path.
fn part_problem(part: &Path, is_last: bool) -> Option<String> {
    let found = match part.metadata() {
        Ok(found) => found,
        Err(error) => return Some(format!("{}: {error}", part.display())),
    };
    let (owner, mode) = (found.uid(), found.mode());
    if owner != 0 {
        return Some(format!(
            "{} belongs to uid {owner}, not to root",
            part.display()
        ));
    }
    if mode & 0o022 != 0 {
        return Some(format!(
            "{} can be written by others than root",
            part.display()
        ));
    }
    if mode & 0o001 == 0 {
        let what = if is_last { "run" } else { "enter" };
        return Some(format!(
            "the daemons' accounts can't {what} {}",
            part.display()
        ));
    }
    None
}

/// Answers the folders of launches that run, or whose end is not acknowledged: they have a file `limits`.
fn launch_folders(state: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for job in entries(&state.join("worker/spool"))? {
        for launch in entries(&job)? {
            if launch.join("limits").exists() {
                found.push(launch);
            }
            if found.len() >= LAUNCHES_MAX {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// Answers what is in a folder; nothing if it is none, or went away.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    match std::fs::read_dir(folder) {
        Ok(entries) => Ok(entries
            .flatten()
            .take(LAUNCHES_MAX)
            .map(|entry| entry.path())
            .collect()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(format!("can't look into {}: {error}", folder.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_of_a_host_are_its_own() {
        assert!(is_own_name("rnd042", "rnd042") && is_own_name("rnd042-desktop", "rnd042"));
        assert!(!is_own_name("rnd0421", "rnd042") && !is_own_name("rnd04", "rnd042"));
    }

    #[test]
    fn launches_are_counted_until_they_are_acknowledged() {
        let state = tempfile::tempdir().expect("a folder");
        let none = launch_folders(state.path()).expect("readable");
        assert!(none.is_empty());
        for (launch, has_limits) in [("12/0.1", true), ("12/1.3", false), ("13/0.1", true)] {
            let folder = state.path().join("worker/spool").join(launch);
            std::fs::create_dir_all(&folder).expect("made");
            if has_limits {
                std::fs::write(folder.join("limits"), "").expect("written");
            }
        }
        assert_eq!(launch_folders(state.path()).expect("readable").len(), 2);
    }

    #[test]
    fn programs_that_others_can_change_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("p");
        std::fs::write(&program, "").expect("written");
        let context = Context::new(crate::args::Global {
            supervisor: None,
            json: true,
            color: crate::args::Colour::Never,
        });
        // The folder for what is temporary can be written by everybody.
        assert!(Real::new(&context).program_problem(&program).is_some());
        assert!(
            Real::new(&context)
                .program_problem(Path::new("/none"))
                .is_some()
        );
        assert_eq!(
            Real::new(&context).program_problem(Path::new("/usr/bin/env")),
            None
        );
    }
}
