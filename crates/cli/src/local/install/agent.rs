//! Desktop mode on macOS: a LaunchAgent of the person who is logged in, which launchd starts at log-in and ends at log-out.
//!
//! What a worker runs there ends with it, so it is restarted only where that is asked for.

use super::half::Half;
use super::launchd::{Job, value};
use super::person::LOOKS_PER_RESTART;
use super::system::System;
use super::work::Work;
use crate::Exit;
use crate::error::CliError;
use std::cell::Cell;
use std::path::{Path, PathBuf};

/// What launchd knows the worker by.
pub(super) const LABEL: &str = "tessera.worker";
/// The agent as it is in `contrib`, with the usual paths.
const PLIST: &str = include_str!("../../../../../contrib/launchd/tessera.worker.plist");
const USUAL_TESSERA: &str = "<string>/usr/local/bin/tessera</string>";
const LAST_WORD: &str = "<string>--desktop</string>";
const NO_LOG: &str = "<key>StandardErrorPath</key>\n\t<string>/dev/null</string>";

/// The agent of the caller.
#[derive(Debug)]
pub(super) struct Agent {
    /// This program.
    pub(super) tessera: PathBuf,
    /// The caller's home.
    pub(super) home: PathBuf,
    /// The folder of the farm.
    pub(super) state: PathBuf,
    /// The folder of the farm when none is named.
    pub(super) usual_state: PathBuf,
    pub(super) uid: u32,
    /// How often it was asked to end what runs.
    pub(super) ends: Cell<u32>,
}

impl Agent {
    fn domain(&self) -> String {
        format!("gui/{}", self.uid)
    }

    fn job(&self) -> Job {
        Job {
            domain: self.domain(),
            label: LABEL,
            plist: self.plist_path(),
        }
    }

    fn plist_path(&self) -> PathBuf {
        let folder = self.home.join("Library/LaunchAgents");
        folder.join(format!("{LABEL}.plist"))
    }

    /// Answers where the worker's complaints go.
    pub(super) fn log_path(&self) -> PathBuf {
        self.home.join("Library/Logs/tessera.worker.log")
    }

    /// Answers the agent's file, with this host's paths.
    fn plist(&self) -> Result<String, CliError> {
        let string = |path: &Path| value(path).map(|it| format!("<string>{it}</string>"));
        let mut words = LAST_WORD.to_owned();
        if self.state != self.usual_state {
            let state = string(&self.state)?;
            words += &format!("\n\t\t<string>--state</string>\n\t\t{state}");
        }
        let log = string(&self.log_path())?;
        let log = format!("<key>StandardErrorPath</key>\n\t{log}");
        Ok(PLIST
            .replace(USUAL_TESSERA, &string(&self.tessera)?)
            .replace(LAST_WORD, &words)
            .replace(NO_LOG, &log))
    }

    /// Says whether the person is logged in at the screen: else launchd has no place for their agents.
    fn has_session(&self, system: &mut dyn System) -> Result<bool, CliError> {
        let answer = system.ask(&["launchctl", "print", &self.domain()]);
        answer.map(|it| it.is_good).map_err(CliError::failed)
    }
}

impl Half for Agent {
    fn word(&self) -> &'static str {
        "desktop"
    }

    fn check(&self, system: &mut dyn System) -> Result<(), CliError> {
        if self.uid == 0 {
            return Err(
                CliError::usage("a desktop worker runs as a person, never as root")
                    .hint("run it as that person, without sudo"),
            );
        }
        let is_running = self.job().look(system)?.process.is_some();
        if is_running
            && !self.job().is_up_to_date(system, &self.plist()?)?
            && self.launches(system)? > 0
        {
            return Err(CliError::new(
                Exit::State,
                "the worker runs instances of jobs, and has to be restarted, which would end them",
            )
            .hint("tessera worker uninstall --mode desktop --wait, and install it again"));
        }
        let holder = system.lock_holder(&self.state.join("worker/lock"));
        let Some(pid) = holder.filter(|_| !is_running) else {
            return Ok(());
        };
        Err(CliError::new(
            Exit::State,
            format!("a worker of yours runs already (process {pid}), and launchd did not start it"),
        )
        .hint("end it with Ctrl-C where it runs"))
    }

    fn is_joined(&self, system: &mut dyn System) -> Result<bool, CliError> {
        Ok(system.exists(&self.state.join("worker/cert.pem")))
    }

    fn join_command(&self) -> String {
        let state = if self.state == self.usual_state {
            String::new()
        } else {
            format!(" --state '{}'", self.state.display())
        };
        format!("tessera join --desktop{state} STRING")
    }

    fn is_installed(&self, system: &mut dyn System) -> Result<bool, CliError> {
        Ok(system.exists(&self.plist_path()) || self.job().look(system)?.is_loaded)
    }

    fn is_running(&self, system: &mut dyn System) -> Result<bool, CliError> {
        if self.job().look(system)?.process.is_some() {
            return Ok(true);
        }
        let lock = self.state.join("worker/lock");
        Ok(system.lock_holder(&lock).is_some())
    }

    fn prepare(&self, work: &mut Work) -> Result<(), CliError> {
        self.job().write(work, &self.plist()?)
    }

    fn start(&self, work: &mut Work) -> Result<(), CliError> {
        if !self.has_session(work.system)? {
            let said =
                "note: you are not logged in at the screen: the worker starts at your next log-in";
            work.system.say(said);
            return Ok(());
        }
        if self.job().load(work)? {
            let said = format!(
                "it runs already; a new program counts from its next start, which ends what it runs: \
                 launchctl kickstart -k {}",
                self.job().target()
            );
            work.system.say(&said);
        }
        Ok(())
    }

    /// Without its file launchd does not start it at the next log-in either.
    fn stop(&self, work: &mut Work) -> Result<(), CliError> {
        self.job().unload(work)?;
        self.remove(work)?;
        // One that a hand started.
        let lock = self.state.join("worker/lock");
        let holder = work.system.lock_holder(&lock).filter(|_| !work.is_dry);
        match holder {
            Some(pid) => work.run(&["kill", &pid.to_string()], None),
            None => Ok(()),
        }
    }

    fn remove(&self, work: &mut Work) -> Result<(), CliError> {
        work.remove(&self.plist_path())
    }

    fn diagnose(&self, system: &mut dyn System) -> Result<(), CliError> {
        if !self.has_session(system)? {
            return Ok(());
        }
        if self.job().is_steady(system)? {
            return Ok(());
        }
        Err(
            CliError::failed("the worker does not come up, or does not stay up")
                .hint(format!("tail '{}'", self.log_path().display()))
                .hint(format!("launchctl print {}", self.job().target())),
        )
    }

    fn launches(&self, system: &mut dyn System) -> Result<usize, CliError> {
        system.launches(&self.state).map_err(CliError::failed)
    }

    /// Has the worker started again: what it runs ends with it, and the new one has the farm put it back.
    fn end_launches(&self, system: &mut dyn System) -> Result<(), CliError> {
        let before = self.ends.replace(self.ends.get().saturating_add(1));
        if !before.is_multiple_of(LOOKS_PER_RESTART) {
            return Ok(());
        }
        if self.job().look(system)?.process.is_none() {
            return Err(CliError::new(
                Exit::State,
                "the worker that has them was not started by launchd, so it can't be started again",
            )
            .hint("end it with Ctrl-C where it runs"));
        }
        self.job().restart(system)
    }
}

#[cfg(test)]
#[path = "agent/tests.rs"]
pub(super) mod tests;
