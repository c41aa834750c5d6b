//! Processes that a command starts and ends: by their id, never by name.

use crate::error::CliError;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep, timeout};

/// Pause between looks at processes that are ending.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// A daemon that ends when this process does: it holds the other end of its standard input.
#[derive(Debug)]
pub(crate) struct Daemon {
    /// What it is called in messages.
    pub(crate) name: &'static str,
    child: Child,
    _leash: Option<ChildStdin>,
}

impl Daemon {
    /// Starts it in a process group of its own, so that Ctrl-C reaches this process alone.
    pub(crate) fn start(name: &'static str, mut command: Command) -> Result<Self, CliError> {
        command.stdin(Stdio::piped()).process_group(0);
        let mut child = command.spawn().map_err(|error| {
            let program = command
                .as_std()
                .get_program()
                .to_string_lossy()
                .into_owned();
            CliError::failed(format!("can't start the {name} ({program}): {error}"))
        })?;
        let leash = child.stdin.take();
        Ok(Self {
            name,
            child,
            _leash: leash,
        })
    }

    /// Answers its process id while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for its end and says how it ended.
    pub(crate) async fn ended(&mut self) -> CliError {
        match self.child.wait().await {
            Ok(status) => CliError::failed(format!("the {} ended by itself: {status}", self.name)),
            Err(error) => CliError::failed(format!("lost the {}: {error}", self.name)),
        }
    }

    /// Says whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end, waits so long, then kills it.
    pub(crate) async fn stop(&mut self, patience: Duration) {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        if timeout(patience, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }

    /// Kills it at once.
    pub(crate) async fn kill(&mut self) {
        let _ = self.child.kill().await;
    }
}

/// A process that can't be taken for a later one with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pid: i32,
    /// When it began, in ticks since the system did.
    began: u64,
}

/// Answers the fields of `/proc/PID/stat` from the state on; the name before them may hold anything.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

fn process(pid: u32) -> Option<Process> {
    let fields = stat(pid)?;
    let is_zombie = fields
        .first()
        .is_some_and(|state| state == "Z" || state == "X");
    let began = fields.get(19)?.parse().ok()?;
    (!is_zombie).then_some(Process {
        pid: i32::try_from(pid).ok()?,
        began,
    })
}

/// Answers when a process began, in ticks since the system did, while it lives.
pub(crate) fn began(pid: u32) -> Option<u64> {
    process(pid).map(|found| found.began)
}

fn all_pids() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Answers each process with its parent.
fn parents() -> BTreeMap<u32, u32> {
    let pids = all_pids().into_iter();
    pids.filter_map(|pid| Some((pid, stat(pid)?.get(1)?.parse().ok()?)))
        .collect()
}

/// Answers what descends from these processes, themselves left out.
pub(crate) fn descendants(of: &[u32]) -> Vec<Process> {
    let parents = parents();
    let mut found = of.to_vec();
    let mut place = 0;
    while let Some(pid) = found.get(place).copied() {
        found.extend(
            parents
                .iter()
                .filter(|(_, parent)| **parent == pid)
                .map(|(child, _)| *child),
        );
        place += 1;
    }
    found
        .into_iter()
        .skip(of.len())
        .filter_map(process)
        .collect()
}

/// Answers the processes one of whose arguments begins with this path: daemons of a farm with that folder.
pub(crate) fn naming(path: &Path) -> Vec<Process> {
    let pids = all_pids()
        .into_iter()
        .filter(|pid| *pid != std::process::id());
    let names = |pid: &u32| {
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        arguments
            .split(|byte| *byte == 0)
            .any(|argument| argument.starts_with(path.as_os_str().as_bytes()))
    };
    pids.filter(names).filter_map(process).collect()
}

impl Process {
    /// Answers its number.
    pub(crate) fn pid(&self) -> u32 {
        u32::try_from(self.pid).unwrap_or(0)
    }

    fn is_there(&self) -> bool {
        process(self.pid()).is_some_and(|now| now == *self)
    }
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.pid.fmt(f)
    }
}

/// Waits until these processes are gone, then kills those that are left.
pub(crate) async fn gone(mut processes: Vec<Process>, patience: Duration) {
    let deadline = Instant::now() + patience;
    loop {
        processes.retain(Process::is_there);
        if processes.is_empty() {
            return;
        }
        if Instant::now() >= deadline {
            break;
        }
        sleep(LOOK_PAUSE).await;
    }
    for process in &processes {
        let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
    }
    sleep(LOOK_PAUSE).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_end_is_killed() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        let pid = child.id().expect("it runs");
        let found = descendants(&[std::process::id()]);
        let own = i32::try_from(pid).expect("a pid");
        let sleeper: Vec<Process> = found
            .into_iter()
            .filter(|process| process.pid == own)
            .collect();
        assert_eq!(sleeper.len(), 1);
        gone(sleeper, Duration::ZERO).await;
        let status = child.wait().await.expect("it ended");
        assert!(!status.success());
    }

    #[test]
    fn this_process_has_a_parent() {
        assert!(parents().contains_key(&std::process::id()));
        assert!(naming(Path::new("/no/such/folder/of/a/farm")).is_empty());
    }
}
