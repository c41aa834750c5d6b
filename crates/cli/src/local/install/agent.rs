//! Desktop mode on macOS: a LaunchAgent of the person who is logged in, which launchd starts at log-in and ends at log-out.
//!
//! What a worker runs there ends with it, so it is restarted only where that is asked for.

use super::half::{Half, LOOKS_MAX, STEADY_LOOKS};
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
/// Looks at work that is to end between two restarts of the worker that has it.
const LOOKS_PER_RESTART: u32 = 20;

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

/// How launchd sees the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    is_loaded: bool,
    /// Its process, while it runs.
    process: Option<String>,
}

impl Agent {
    fn domain(&self) -> String {
        format!("gui/{}", self.uid)
    }

    fn target(&self) -> String {
        format!("{}/{LABEL}", self.domain())
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

    fn look(&self, system: &mut dyn System) -> Result<Seen, CliError> {
        let answer = system
            .ask(&["launchctl", "print", &self.target()])
            .map_err(CliError::failed)?;
        Ok(seen(answer.is_good, &answer.said))
    }

    fn bootstrap(&self) -> [String; 4] {
        let path = self.plist_path().to_string_lossy().into_owned();
        ["launchctl".into(), "bootstrap".into(), self.domain(), path]
    }

    /// Has launchd forget it, which ends it; taken back, it is there again.
    fn unload(&self, work: &mut Work) -> Result<(), CliError> {
        if !self.look(work.system)?.is_loaded {
            return Ok(());
        }
        let back = self.bootstrap();
        let back = back.each_ref().map(String::as_str);
        // It can answer that it is still at it.
        let told = work.run(&["launchctl", "bootout", &self.target()], Some(&back));
        if work.is_dry {
            return told;
        }
        for _ in 0..LOOKS_MAX {
            if !self.look(work.system)?.is_loaded {
                return Ok(());
            }
            work.system.pause();
        }
        told?;
        let text = format!("launchd does not let go of {}", self.target());
        Err(CliError::failed(text))
    }

    fn is_up_to_date(&self, system: &mut dyn System) -> Result<bool, CliError> {
        let old = system.read(&self.plist_path()).map_err(CliError::failed)?;
        Ok(old == Some(self.plist()?))
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
        let is_running = self.look(system)?.process.is_some();
        if is_running && !self.is_up_to_date(system)? && self.launches(system)? > 0 {
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
        Ok(system.exists(&self.plist_path()) || self.look(system)?.is_loaded)
    }

    fn is_running(&self, system: &mut dyn System) -> Result<bool, CliError> {
        if self.look(system)?.process.is_some() {
            return Ok(true);
        }
        let lock = self.state.join("worker/lock");
        Ok(system.lock_holder(&lock).is_some())
    }

    fn prepare(&self, work: &mut Work) -> Result<(), CliError> {
        let text = self.plist()?;
        if !self.is_up_to_date(work.system)? {
            // What launchd has read is what was there before.
            self.unload(work)?;
        }
        work.write(&self.plist_path(), &text, 0o644)
    }

    fn start(&self, work: &mut Work) -> Result<(), CliError> {
        if !self.has_session(work.system)? {
            let said =
                "note: you are not logged in at the screen: the worker starts at your next log-in";
            work.system.say(said);
            return Ok(());
        }
        let seen = self.look(work.system)?;
        if seen.process.is_some() {
            let said = format!(
                "it runs already; a new program counts from its next start, which ends what it runs: \
                 launchctl kickstart -k {}",
                self.target()
            );
            work.system.say(&said);
            return Ok(());
        }
        let target = self.target();
        // Somebody may have switched it off, which launchd keeps over restarts.
        work.run(&["launchctl", "enable", &target], None)?;
        if seen.is_loaded {
            return work.run(&["launchctl", "kickstart", &target], None);
        }
        let words = self.bootstrap();
        let back = ["launchctl", "bootout", &target];
        work.run(&words.each_ref().map(String::as_str), Some(&back))
    }

    fn stop(&self, work: &mut Work) -> Result<(), CliError> {
        self.unload(work)?;
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
        let (mut steady, mut last) = (0, None);
        for _ in 0..LOOKS_MAX {
            let now = self.look(system)?.process;
            steady = match &now {
                Some(_) if now == last => steady + 1,
                Some(_) => 1,
                None => 0,
            };
            if steady >= STEADY_LOOKS {
                return Ok(());
            }
            last = now;
            system.pause();
        }
        Err(
            CliError::failed("the worker does not come up, or does not stay up")
                .hint(format!("tail '{}'", self.log_path().display()))
                .hint(format!("launchctl print {}", self.target())),
        )
    }

    fn launches(&self, system: &mut dyn System) -> Result<usize, CliError> {
        system.launches(&self.state).map_err(CliError::failed)
    }

    /// Has the worker started again: what it runs ends with it, and the new one has the farm put it back.
    fn end_launches(&self, system: &mut dyn System) -> Result<(), CliError> {
        let before = self.ends.replace(self.ends.get().saturating_add(1));
        if before % LOOKS_PER_RESTART != 0 {
            return Ok(());
        }
        if self.look(system)?.process.is_none() {
            return Err(CliError::new(
                Exit::State,
                "the worker that has them was not started by launchd, so it can't be started again",
            )
            .hint("end it with Ctrl-C where it runs"));
        }
        let words = ["launchctl", "kickstart", "-k", &self.target()];
        system.run(&words).map_err(CliError::failed)
    }
}

/// Reads what `launchctl print` says of an agent. Lines of parts of it are further in than its own.
fn seen(is_good: bool, said: &str) -> Seen {
    let own = |line: &&str| line.starts_with('\t') && !line.starts_with("\t\t");
    let field = |name: &str| {
        let mut lines = said.lines().filter(own);
        lines.find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(" = "))
    };
    let is_running = is_good && field("state") == Some("running");
    Seen {
        is_loaded: is_good,
        process: field("pid").filter(|_| is_running).map(str::to_owned),
    }
}

/// Answers a path as text of a property list.
///
/// # Errors
/// When it is not absolute, or holds what no such file can.
fn value(path: &Path) -> Result<String, CliError> {
    let text = path.to_str().unwrap_or_default();
    if !text.starts_with('/') || text.chars().any(char::is_control) {
        let said = format!("{} can't be named in a property list", path.display());
        return Err(
            CliError::usage(said).hint("choose an absolute path without control characters")
        );
    }
    let text = text.trim_end_matches('/');
    Ok(text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;"))
}

#[cfg(test)]
#[path = "agent/tests.rs"]
mod tests;
