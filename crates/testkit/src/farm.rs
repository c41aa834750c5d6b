//! A farm of real daemons as `tessera up` makes it for root, in a folder of its own.

use crate::processes::{self, Process};
use crate::wait;
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a farm may take to be ready.
const READY: Duration = Duration::from_secs(60);
/// How long one command may take.
const END: Duration = Duration::from_secs(60);

/// The parts of a farm that can be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The supervisor.
    Supervisor,
    /// The worker.
    Worker,
    /// The launcher.
    Launcher,
    /// One of the shepherds.
    Shepherd,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 4] = [
        Self::Supervisor,
        Self::Worker,
        Self::Launcher,
        Self::Shepherd,
    ];
}

/// A running farm.
pub struct Farm {
    folder: tempfile::TempDir,
    programs: PathBuf,
    child: Child,
    shepherd_uid: u32,
}

impl Farm {
    /// Starts a farm with so many slots; `programs` holds both binaries.
    ///
    /// # Errors
    /// When it is not ready in time; its output is in the error.
    pub fn start(programs: &Path, slots: u32) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("tessera-farm-")
            .tempdir()
            .context("a temporary folder")?;
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o711))?;
        let log = std::fs::File::create(folder.path().join("daemons.log"))?;
        // A port that stays the same when the supervisor is started again.
        let address = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .to_string();
        let child = Command::new(programs.join("tessera-launch"))
            .args([
                "supervise",
                "--listen",
                &address,
                "--ephemeral",
                "--slots",
                &slots.to_string(),
                "--state",
            ])
            .arg(folder.path().join("state"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("tessera-launch supervise")?;
        let mut farm = Self {
            folder,
            programs: programs.to_owned(),
            child,
            shepherd_uid: u32::MAX,
        };
        wait::until("a host that is up", READY, || farm.is_ready()).with_context(|| farm.log())?;
        let shepherd = nix::unistd::User::from_name("tessera-shepherd")?
            .context("no account tessera-shepherd")?;
        farm.shepherd_uid = shepherd.uid.as_raw();
        Ok(farm)
    }

    fn is_ready(&mut self) -> Result<Option<()>> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the farm ended at its start: {status}");
        }
        if !self.socket().exists() {
            return Ok(None);
        }
        let Ok(hosts) = self.json(&["hosts"]) else {
            return Ok(None);
        };
        let hosts = hosts["hosts"].as_array().cloned().unwrap_or_default();
        Ok(hosts
            .iter()
            .any(|host| host["status"] == "up")
            .then_some(()))
    }

    /// Answers the folder of the farm; it goes with the farm.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn socket(&self) -> PathBuf {
        self.folder().join("state/run/supervisor.sock")
    }

    /// Answers what the daemons printed.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("daemons.log")).unwrap_or_default()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.programs.join("tessera"));
        command
            .arg("--supervisor")
            .arg(format!("unix:{}", self.socket().display()))
            .stdin(Stdio::null());
        command
    }

    /// Runs `tessera` and answers what it printed.
    ///
    /// # Errors
    /// When it fails; what it said is in the error.
    pub fn tessera(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command().args(arguments).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "tessera {arguments:?}: {} {said}",
            output.status
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs `tessera` with a text to read, and answers what it printed and whether it went well.
    ///
    /// # Errors
    /// When it can't be run.
    pub fn tessera_hearing(&self, arguments: &[&str], text: &str) -> Result<(String, bool)> {
        let mut command = self.command();
        command
            .args(arguments)
            .env("XDG_CONFIG_HOME", self.folder().join("config"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut input = child.stdin.take().context("a pipe")?;
        input.write_all(text.as_bytes())?;
        drop(input);
        let output = child.wait_with_output()?;
        let said = [output.stdout, output.stderr].concat();
        let is_well = output.status.success();
        Ok((String::from_utf8_lossy(&said).into_owned(), is_well))
    }

    /// Runs `tessera … --json` and answers the value.
    ///
    /// # Errors
    /// When it fails or does not print JSON.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        // In front: behind `--` it would be a word of a job's command.
        let text = self.tessera(&[&["--json"], arguments].concat())?;
        serde_json::from_str(&text).with_context(|| format!("{arguments:?} printed {text:?}"))
    }

    /// The same, tried again while the supervisor is being restarted.
    ///
    /// # Errors
    /// When it fails for long.
    pub fn json_soon(&self, arguments: &[&str]) -> Result<Value> {
        wait::until(&arguments.join(" "), END, || Ok(self.json(arguments).ok()))
    }

    /// Writes the log of a frame to a file, as it was printed.
    ///
    /// # Errors
    /// When it fails; what it said is in the error.
    pub fn log_to(&self, place: &str, file: &Path) -> Result<()> {
        let output = self
            .command()
            .args(["log", place])
            .stdout(std::fs::File::create(file)?)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "tessera log {place}: {said}");
        Ok(())
    }

    /// Answers the processes that are this part of this farm.
    #[must_use]
    pub fn processes_of(&self, part: Part) -> Vec<Process> {
        let state = self.folder().join("state").display().to_string();
        let is_part = |process: &Process| {
            let mine = process.command.contains(&state) && !process.is_zombie;
            let is_shepherd = process.uid == self.shepherd_uid;
            mine && match part {
                Part::Supervisor => process.command.contains("supervisor --state"),
                Part::Worker => process.command.contains("worker --state"),
                Part::Launcher => process.command.contains("launcher --state") && !is_shepherd,
                Part::Shepherd => is_shepherd,
            }
        };
        processes::all().into_iter().filter(is_part).collect()
    }

    /// Answers what is left of the farm and its jobs: whatever names its folder.
    #[must_use]
    pub fn leftovers(folder: &Path) -> Vec<Process> {
        let folder = folder.display().to_string();
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        processes::all()
            .into_iter()
            .filter(|p| p.pid != own && !p.is_zombie && p.command.contains(&folder))
            .collect()
    }

    /// Ends the farm and waits for its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(&mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id())?;
        _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        wait::until("the end of the farm", END, || Ok(self.child.try_wait()?)).map(|_| ())
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) && self.stop().is_err() {
            _ = self.child.kill();
            _ = self.child.wait();
        }
    }
}
