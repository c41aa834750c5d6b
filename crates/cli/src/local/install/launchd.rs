//! What is asked of launchd: whether a job of it is there and runs, to take one in, to let one go.

use super::half::{LOOKS_MAX, STEADY_LOOKS};
use super::system::System;
use super::work::Work;
use crate::error::CliError;
use std::path::{Path, PathBuf};

/// A job of launchd's: an agent of a person's, or a daemon of the system's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    /// Whose: `gui/UID` or `system`.
    pub(super) domain: String,
    pub(super) label: &'static str,
    /// Its file.
    pub(super) plist: PathBuf,
}

/// How launchd sees a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) is_loaded: bool,
    /// Its process, while it runs.
    pub(super) process: Option<String>,
}

impl Job {
    pub(super) fn target(&self) -> String {
        format!("{}/{}", self.domain, self.label)
    }

    pub(super) fn look(&self, system: &mut dyn System) -> Result<Seen, CliError> {
        let answer = system
            .ask(&["launchctl", "print", &self.target()])
            .map_err(CliError::failed)?;
        Ok(seen(answer.is_good, &answer.said))
    }

    fn bootstrap(&self) -> [String; 4] {
        let path = self.plist.to_string_lossy().into_owned();
        let domain = self.domain.clone();
        ["launchctl".into(), "bootstrap".into(), domain, path]
    }

    /// Writes its file. If that changes, launchd forgets the job first: what it has read is what was there before.
    pub(super) fn write(&self, work: &mut Work, text: &str) -> Result<(), CliError> {
        if !self.is_up_to_date(work.system, text)? {
            self.unload(work)?;
        }
        work.write(&self.plist, text, 0o644)
    }

    pub(super) fn is_up_to_date(
        &self,
        system: &mut dyn System,
        text: &str,
    ) -> Result<bool, CliError> {
        let old = system.read(&self.plist).map_err(CliError::failed)?;
        Ok(old.as_deref() == Some(text))
    }

    /// Has launchd forget it, which ends it; taken back, it is there again.
    pub(super) fn unload(&self, work: &mut Work) -> Result<(), CliError> {
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

    /// Has launchd start it, now and from now on, unless it runs; says whether it had run.
    pub(super) fn load(&self, work: &mut Work) -> Result<bool, CliError> {
        let seen = self.look(work.system)?;
        if seen.process.is_some() {
            return Ok(true);
        }
        let target = self.target();
        // Somebody may have switched it off, which launchd keeps over restarts.
        work.run(&["launchctl", "enable", &target], None)?;
        if seen.is_loaded {
            work.run(&["launchctl", "kickstart", &target], None)?;
            return Ok(false);
        }
        let words = self.bootstrap();
        let back = ["launchctl", "bootout", &target];
        work.run(&words.each_ref().map(String::as_str), Some(&back))?;
        Ok(false)
    }

    /// Waits until it runs, and has not been started again for some looks; says whether it does.
    pub(super) fn is_steady(&self, system: &mut dyn System) -> Result<bool, CliError> {
        let (mut steady, mut last) = (0, None);
        for _ in 0..LOOKS_MAX {
            let now = self.look(system)?.process;
            steady = match &now {
                Some(_) if now == last => steady + 1,
                Some(_) => 1,
                None => 0,
            };
            if steady >= STEADY_LOOKS {
                return Ok(true);
            }
            last = now;
            system.pause();
        }
        Ok(false)
    }

    /// Has it ended and started again.
    pub(super) fn restart(&self, system: &mut dyn System) -> Result<(), CliError> {
        let words = ["launchctl", "kickstart", "-k", &self.target()];
        system.run(&words).map_err(CliError::failed)
    }
}

/// Reads what `launchctl print` says of an agent. Lines of parts of it are further in than its own.
pub(super) fn seen(is_good: bool, said: &str) -> Seen {
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
pub(super) fn value(path: &Path) -> Result<String, CliError> {
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
