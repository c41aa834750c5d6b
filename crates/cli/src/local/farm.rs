//! A farm of this machine as child processes: for `up`, the demo and the benchmark.
//!
//! As root it is `tessera-launch supervise`, which runs every daemon under its own account; as anybody else it is a
//! supervisor and a desktop worker of that user.

use super::processes::{self, Daemon};
use super::{is_root, programs, socket_below};
use crate::Exit;
use crate::error::CliError;
use std::fs::{DirBuilder, File, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tessera_api::Client;
use tessera_api::types::HostRow;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

/// Longest wait for a daemon to serve.
const READY_PATIENCE: Duration = Duration::from_secs(30);
/// Longest wait for a daemon to end when it was asked to.
const STOP_PATIENCE: Duration = Duration::from_secs(15);
/// Longest wait for the processes of an ephemeral farm that its daemons leave.
const REST_PATIENCE: Duration = Duration::from_secs(5);
/// Pause between looks at what is starting.
const LOOK_PAUSE: Duration = Duration::from_millis(10);
/// Longest path of a farm's folder, in bytes: the sockets below it have little room in the system's addresses.
const STATE_BYTES_MAX: usize = 80;
/// Most bytes of a daemon's log that an error shows.
const LOG_SHOWN_BYTES: usize = 2_000;

/// Which farm to run.
#[derive(Debug, Clone)]
pub(crate) struct FarmOptions {
    /// Everything of it goes there.
    pub(crate) state: PathBuf,
    /// Where the supervisor listens.
    pub(crate) listen: SocketAddr,
    /// The supervisor's Unix socket, when it is not the usual one below the state.
    pub(crate) socket: Option<PathBuf>,
    /// Slots of the worker.
    pub(crate) slots: Option<u32>,
    /// The program `tessera-launch`.
    pub(crate) launch: PathBuf,
    /// Whether nothing of it may be left when it stops.
    pub(crate) is_ephemeral: bool,
    /// Whether the daemons' words go to files in the folder `log` instead of the screen.
    pub(crate) is_quiet: bool,
}

/// A farm that runs.
#[derive(Debug)]
pub(crate) struct Farm {
    options: FarmOptions,
    daemons: Vec<Daemon>,
    /// Where in its file what each daemon says in this run begins, in bytes.
    log_begins: [usize; LOGS.len()],
}

/// Daemons whose words go to a file when the screen is not for them.
const LOGS: [&str; 3] = ["supervise", "supervisor", "worker"];

impl Farm {
    /// Starts it; it does not serve yet.
    pub(crate) async fn start(options: FarmOptions) -> Result<Self, CliError> {
        let mut farm = Self::new(options)?;
        match farm.bring_up().await {
            Ok(()) => Ok(farm),
            Err(error) => {
                farm.stop().await;
                Err(error)
            }
        }
    }

    /// Makes a farm of which nothing runs yet.
    ///
    /// # Errors
    /// When its folder can't be used.
    pub(crate) fn new(options: FarmOptions) -> Result<Self, CliError> {
        if options.state.as_os_str().len() > STATE_BYTES_MAX {
            let said = format!(
                "{} is too long a path: sockets are made below it",
                options.state.display()
            );
            return Err(CliError::usage(said).hint(format!(
                "at most {STATE_BYTES_MAX} bytes; see --state or TMPDIR"
            )));
        }
        let size = |name| std::fs::metadata(log_path(&options, name)).map_or(0, |it| it.len());
        let log_begins = LOGS.map(|name| usize::try_from(size(name)).unwrap_or(usize::MAX));
        Ok(Self {
            options,
            daemons: Vec::new(),
            log_begins,
        })
    }

    /// Starts its daemons. Who gives up waiting for this, or sees it fail, must still stop the farm.
    ///
    /// # Errors
    /// When one of them does not start.
    pub(crate) async fn bring_up(&mut self) -> Result<(), CliError> {
        self.refuse_second()?;
        if is_root() {
            self.start_as_root()
        } else {
            self.start_as_user().await
        }
    }

    fn start_as_root(&mut self) -> Result<(), CliError> {
        let mut command = Command::new(&self.options.launch);
        command
            .arg("supervise")
            .arg("--state")
            .arg(&self.options.state);
        command.arg("--tessera").arg(programs::own()?);
        command.arg("--listen").arg(self.options.listen.to_string());
        if let Some(slots) = self.options.slots {
            command.arg("--slots").arg(slots.to_string());
        }
        if self.options.is_ephemeral {
            command.arg("--ephemeral");
        }
        self.words_to("supervise", &mut command)?;
        self.daemons.push(Daemon::start("farm", command)?);
        Ok(())
    }

    async fn start_as_user(&mut self) -> Result<(), CliError> {
        let state = self.options.state.clone();
        private_folder(&state)?;
        // What an earlier supervisor wrote says nothing about this one.
        let _ = std::fs::remove_file(self.address_path());
        let mut command = self.daemon("supervisor")?;
        command.arg("--listen").arg(self.options.listen.to_string());
        command.arg("--socket").arg(self.socket());
        if let Some(folder) = self.socket().parent() {
            private_folder(folder)?;
        }
        self.daemons.push(Daemon::start("supervisor", command)?);
        self.until_served().await?;
        if !state.join("worker/cert.pem").exists() {
            self.join().await?;
        }
        let mut command = self.daemon("worker")?;
        command
            .arg("--desktop")
            .arg("--launch")
            .arg(&self.options.launch);
        command.arg("--connect").arg(self.address()?);
        if let Some(slots) = self.options.slots {
            command.arg("--slots").arg(slots.to_string());
        }
        self.daemons.push(Daemon::start("worker", command)?);
        Ok(())
    }

    /// Refuses to start when a supervisor answers on the socket already.
    fn refuse_second(&self) -> Result<(), CliError> {
        let socket = self.socket();
        if std::os::unix::net::UnixStream::connect(&socket).is_err() {
            return Ok(());
        }
        let said = format!(
            "a farm runs already: a supervisor answers at {}",
            socket.display()
        );
        Err(CliError::new(Exit::State, said)
            .hint("use it, end it first, or name another folder with --state DIR"))
    }

    /// Answers the command line of one of this program's daemons.
    fn daemon(&self, which: &str) -> Result<Command, CliError> {
        let mut command = Command::new(programs::own()?);
        command
            .arg(which)
            .arg("--state")
            .arg(&self.options.state)
            .arg("--ends-with-parent");
        self.words_to(which, &mut command)?;
        Ok(command)
    }

    /// Enrols this host as a desktop of the caller.
    async fn join(&self) -> Result<(), CliError> {
        let mut command = Command::new(programs::own()?);
        command
            .args(["join", "--local", "--desktop", "--state"])
            .arg(&self.options.state);
        command
            .arg("--socket")
            .arg(self.socket())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = command.output().await;
        let output =
            output.map_err(|error| CliError::failed(format!("can't enrol this host: {error}")))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let mut error = CliError::failed("can't enrol this host with its own supervisor");
        error.details = said.lines().map(str::to_owned).collect();
        Err(error)
    }

    /// Sends what a daemon says to its file, if that is wanted.
    fn words_to(&self, name: &str, command: &mut Command) -> Result<(), CliError> {
        if !self.options.is_quiet {
            return Ok(());
        }
        let file = self.log_file(name)?;
        let second = file
            .try_clone()
            .map_err(|error| CliError::failed(format!("log file: {error}")))?;
        command.stdout(file).stderr(second);
        Ok(())
    }

    fn log_file(&self, name: &str) -> Result<File, CliError> {
        private_folder(&self.options.state.join("log"))?;
        let path = log_path(&self.options, name);
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path);
        file.map_err(|error| CliError::failed(format!("can't write {}: {error}", path.display())))
    }

    /// Answers the supervisor's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.options
            .socket
            .clone()
            .unwrap_or_else(|| socket_below(&self.options.state))
    }

    /// Answers a client of it, over the socket.
    pub(crate) fn client(&self) -> Client {
        Client::unix(self.socket())
    }

    /// Answers the file in which the supervisor writes its address when it serves.
    fn address_path(&self) -> PathBuf {
        self.options.state.join("run/supervisor.addr")
    }

    /// Answers `host:port` of the supervisor.
    pub(crate) fn address(&self) -> Result<String, CliError> {
        let path = self.address_path();
        let text = std::fs::read_to_string(&path);
        let text = text
            .map_err(|error| CliError::failed(format!("can't read {}: {error}", path.display())))?;
        let address = text.trim();
        match address.parse::<SocketAddr>() {
            Ok(bound) if bound.ip().is_unspecified() => Ok(format!("127.0.0.1:{}", bound.port())),
            _ => Ok(address.to_owned()),
        }
    }

    /// Waits until the supervisor serves.
    pub(crate) async fn until_served(&mut self) -> Result<Client, CliError> {
        let client = self.client();
        let deadline = Instant::now() + READY_PATIENCE;
        loop {
            let problem = match client.health().await {
                Ok(_) if self.address_path().exists() => return Ok(client),
                Ok(_) => "it writes no address".to_owned(),
                Err(error) => error.to_string(),
            };
            if Instant::now() >= deadline {
                return Err(self.with_words(CliError::failed(format!(
                    "the supervisor does not start: {problem}"
                ))));
            }
            self.still_runs().await?;
            sleep(LOOK_PAUSE).await;
        }
    }

    /// Waits until the worker is up, and answers its host.
    pub(crate) async fn until_up(&mut self) -> Result<HostRow, CliError> {
        let client = self.client();
        let deadline = Instant::now() + READY_PATIENCE;
        loop {
            let hosts = client.hosts().await?.hosts;
            if let Some(host) = hosts.iter().find(|host| host.status == "up") {
                return Ok(host.clone());
            }
            if Instant::now() >= deadline {
                let reason = hosts.into_iter().find_map(|host| host.reason);
                let said = reason.unwrap_or_else(|| "it does not connect".to_owned());
                return Err(
                    self.with_words(CliError::failed(format!("the worker is not ready: {said}")))
                );
            }
            self.still_runs().await?;
            sleep(LOOK_PAUSE).await;
        }
    }

    async fn still_runs(&mut self) -> Result<(), CliError> {
        for place in 0..self.daemons.len() {
            let Some(daemon) = self.daemons.get_mut(place) else {
                break;
            };
            if !daemon.is_running() {
                let error = daemon.ended().await;
                return Err(self.with_words(error));
            }
        }
        Ok(())
    }

    /// Waits until one of the daemons has ended by itself.
    pub(crate) async fn until_ended(&mut self) -> CliError {
        loop {
            if let Err(error) = self.still_runs().await {
                return error;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Adds the last words of the daemons to an error, when they went to files.
    fn with_words(&self, mut error: CliError) -> CliError {
        if !self.options.is_quiet {
            return error;
        }
        for (name, begun) in LOGS.into_iter().zip(self.log_begins) {
            let Ok(text) = std::fs::read(log_path(&self.options, name)) else {
                continue;
            };
            // What is before that is of earlier runs, and says nothing of why this one does not start.
            let from = text.len().saturating_sub(LOG_SHOWN_BYTES).max(begun);
            let tail = text.get(from..).unwrap_or_default();
            let tail = String::from_utf8_lossy(tail);
            let lines = tail.lines().rev().take(8).collect::<Vec<_>>();
            error.details.extend(
                lines
                    .into_iter()
                    .rev()
                    .map(|line| format!("{name}: {line}")),
            );
        }
        error
    }

    /// Answers the process ids of its daemons, with their names.
    pub(crate) fn pids(&self) -> Vec<(&'static str, u32)> {
        self.daemons
            .iter()
            .filter_map(|daemon| Some((daemon.name, daemon.pid()?)))
            .collect()
    }

    /// Stops it: the last started daemon first. Of an ephemeral farm nothing is left.
    pub(crate) async fn stop(&mut self) {
        let pids: Vec<u32> = self.pids().into_iter().map(|(_, pid)| pid).collect();
        let mut left = if self.options.is_ephemeral {
            processes::descendants(&pids)
        } else {
            Vec::new()
        };
        while let Some(mut daemon) = self.daemons.pop() {
            daemon.stop(STOP_PATIENCE).await;
        }
        if self.options.is_ephemeral {
            left.extend(processes::naming(&self.options.state));
            processes::gone(left, REST_PATIENCE).await;
        }
    }

    /// Kills its daemons at once.
    pub(crate) async fn kill(&mut self) {
        while let Some(mut daemon) = self.daemons.pop() {
            daemon.kill().await;
        }
    }
}

fn log_path(options: &FarmOptions, name: &str) -> PathBuf {
    options.state.join(format!("log/{name}.log"))
}

/// Makes a folder that only its owner may enter, and those above it; one that is there stays as it is.
pub(crate) fn private_folder(path: &Path) -> Result<(), CliError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| {
        CliError::failed(format!("can't make the folder {}: {error}", path.display()))
            .hint("name another with --state DIR")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_earlier_runs_said_is_no_reason() {
        let dir = tempfile::tempdir().expect("a folder");
        let options = FarmOptions {
            state: dir.path().to_owned(),
            listen: "127.0.0.1:0".parse().expect("an address"),
            socket: None,
            slots: None,
            launch: PathBuf::from("/nonexistent"),
            is_ephemeral: false,
            is_quiet: true,
        };
        let log = log_path(&options, "worker");
        std::fs::create_dir(dir.path().join("log")).expect("made");
        std::fs::write(&log, "stale trouble\n").expect("written");
        let farm = Farm::new(options).expect("good options");
        let said = farm.with_words(CliError::failed("it ends")).details;
        assert!(said.is_empty(), "{said:?}");
        std::fs::write(&log, "stale trouble\nfresh trouble\n").expect("written");
        let said = farm.with_words(CliError::failed("it ends")).details;
        assert_eq!(said, ["worker: fresh trouble"]);
    }
}
