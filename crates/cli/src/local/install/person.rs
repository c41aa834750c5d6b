//! The desktop worker of somebody else, for root. What is the person's is touched as the person only: root has it done by this program under
//! their account.

use super::half::Half;
use super::system::System;
use super::work::Work;
use crate::args::{WorkerPart, WorkerPlace};
use crate::error::CliError;
use crate::local::programs;
use nix::unistd::User;
use std::cell::Cell;

/// Looks at work that is to end between two restarts of the worker that has it.
pub(super) const LOOKS_PER_RESTART: u32 = 20;

/// The desktop worker of somebody else.
#[derive(Debug)]
pub(super) struct DesktopOf {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) home: String,
    pub(super) tessera: String,
    /// The folder of their farm, when it is not the usual one.
    pub(super) state: Option<String>,
    /// How a program is run under their account.
    pub(super) way: Way,
    /// How often it was asked to end what runs.
    pub(super) ends: Cell<u32>,
}

/// How a program is run under a person's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    all(target_os = "macos", not(test)),
    expect(
        dead_code,
        reason = "only Linux's own way, and tests, are that of Linux"
    )
)]
pub(super) enum Way {
    /// By `runuser`, with the way to their service manager.
    Linux,
    /// By `launchctl asuser` and `sudo`, so that it is where their agents are.
    Mac,
}

/// The way of this system.
#[cfg(target_os = "linux")]
const OWN_WAY: Way = Way::Linux;
/// The way of this system.
#[cfg(target_os = "macos")]
const OWN_WAY: Way = Way::Mac;

impl DesktopOf {
    /// Answers the desktop of the person that root means: of who is named, else of who is behind sudo.
    pub(super) fn meant(place: &WorkerPlace) -> Result<Self, CliError> {
        let behind = || std::env::var("SUDO_USER").ok();
        let name = place.user.clone().or_else(behind).ok_or_else(|| {
            CliError::usage("whose desktop is meant?").hint("name the person: --user NAME")
        })?;
        let user = User::from_name(&name).ok().flatten();
        let user = user.filter(|user| !user.uid.is_root()).ok_or_else(|| {
            CliError::usage(format!("{name} is no person's account on this host"))
                .hint("name the person whose desktop it is: --user NAME")
        })?;
        let state = place.desktop_state.as_ref();
        Ok(Self {
            name: user.name,
            uid: user.uid.as_raw(),
            home: user.dir.to_string_lossy().into_owned(),
            tessera: programs::own()?.to_string_lossy().into_owned(),
            state: state.map(|state| state.display().to_string()),
            way: OWN_WAY,
            ends: Cell::new(0),
        })
    }

    /// Answers what a command line under their account begins with, and the variables that lead to their service manager.
    fn way(&self) -> (Vec<String>, Vec<String>) {
        let Self { name, uid, .. } = self;
        let words = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect();
        match self.way {
            Way::Linux => {
                let runtime = format!("/run/user/{uid}");
                let bus = format!("DBUS_SESSION_BUS_ADDRESS=unix:path={runtime}/bus");
                (
                    words(&["runuser", "-u", name, "--", "env", "-i"]),
                    vec![
                        "PATH=/usr/local/bin:/usr/bin:/bin".to_owned(),
                        format!("XDG_RUNTIME_DIR={runtime}"),
                        bus,
                    ],
                )
            }
            Way::Mac => {
                let uid = uid.to_string();
                let asuser = ["/bin/launchctl", "asuser", &uid, "/usr/bin/sudo", "-n"];
                let rest = ["-u", name, "--", "/usr/bin/env", "-i"];
                (
                    words(&[&asuser[..], &rest[..]].concat()),
                    vec!["PATH=/usr/bin:/bin:/usr/sbin:/sbin".to_owned()],
                )
            }
        }
    }

    /// Answers a command line under their account, with an environment of theirs and nothing of root's.
    pub(super) fn words(&self, part: &str) -> Vec<String> {
        let (mut words, more) = self.way();
        words.extend([
            format!("HOME={}", self.home),
            format!("USER={}", self.name),
            format!("LOGNAME={}", self.name),
        ]);
        words.extend(more);
        words.extend([&self.tessera, "worker", "part", part].map(str::to_owned));
        if let Some(state) = &self.state {
            words.extend(["--state".to_owned(), state.clone()]);
        }
        words
    }

    fn ask(&self, system: &mut dyn System, part: &str) -> Result<String, CliError> {
        let words = self.words(part);
        let answer = system.ask(&words.iter().map(String::as_str).collect::<Vec<_>>());
        match answer {
            Ok(answer) if answer.is_good => Ok(answer.said),
            Ok(answer) => Err(self.error(part, &answer.said)),
            Err(error) => Err(self.error(part, &error)),
        }
    }

    /// Repeats what their half said: its first line, and the others below.
    fn error(&self, part: &str, said: &str) -> CliError {
        let mut lines = said.lines().map(str::trim);
        let first = lines.next().unwrap_or_default();
        let first = first.strip_prefix("error: ").unwrap_or(first);
        let said = format!("the desktop worker of {} ({part}): {first}", self.name);
        let mut error = CliError::failed(said);
        for line in lines {
            match line.strip_prefix("hint: ") {
                Some(hint) => error.hints.push(format!("as {}: {hint}", self.name)),
                None => error.details.push(line.to_owned()),
            }
        }
        error
    }

    fn is(&self, system: &mut dyn System, part: &str) -> Result<bool, CliError> {
        Ok(self.ask(system, part)? == "yes")
    }

    fn run(&self, work: &mut Work, part: &str, back: Option<&str>) -> Result<(), CliError> {
        let words = self.words(part);
        let back = back.map(|back| self.words(back));
        let refs: Vec<&str> = words.iter().map(String::as_str).collect();
        let back: Option<Vec<&str>> = back
            .as_ref()
            .map(|back| back.iter().map(String::as_str).collect());
        work.run(&refs, back.as_deref())
    }
}

impl Half for DesktopOf {
    fn word(&self) -> &'static str {
        "desktop"
    }

    fn check(&self, system: &mut dyn System) -> Result<(), CliError> {
        self.ask(system, "check").map(drop)
    }

    fn is_joined(&self, system: &mut dyn System) -> Result<bool, CliError> {
        self.is(system, "joined")
    }

    fn join_command(&self) -> String {
        let state = self.state.iter().map(|state| format!(" --state {state}"));
        format!(
            // While the service is connected its name is taken.
            "as {1}: tessera join --desktop --name HOST-desktop{0} STRING",
            state.collect::<String>(),
            self.name
        )
    }

    fn is_installed(&self, system: &mut dyn System) -> Result<bool, CliError> {
        self.is(system, "installed")
    }

    fn is_running(&self, system: &mut dyn System) -> Result<bool, CliError> {
        self.is(system, "running")
    }

    fn prepare(&self, work: &mut Work) -> Result<(), CliError> {
        let was_there = self.is_installed(work.system)?;
        self.run(work, "prepare", (!was_there).then_some("remove"))
    }

    fn start(&self, work: &mut Work) -> Result<(), CliError> {
        let was_up = self.is_running(work.system)?;
        self.run(work, "start", (!was_up).then_some("stop"))
    }

    fn stop(&self, work: &mut Work) -> Result<(), CliError> {
        if !self.is_installed(work.system)? && !self.is_running(work.system)? {
            return Ok(());
        }
        self.run(work, "stop", Some("restore"))
    }

    fn remove(&self, work: &mut Work) -> Result<(), CliError> {
        self.run(work, "remove", Some("prepare"))
    }

    fn diagnose(&self, system: &mut dyn System) -> Result<(), CliError> {
        self.ask(system, "diagnose").map(drop)
    }

    fn launches(&self, system: &mut dyn System) -> Result<usize, CliError> {
        let said = self.ask(system, "count")?;
        said.parse().map_err(|_| self.error("count", &said))
    }

    /// On a Mac that restarts their worker, so it is not done at each look; each part is a process of its own, which could not count.
    fn end_launches(&self, system: &mut dyn System) -> Result<(), CliError> {
        let before = self.ends.replace(self.ends.get().saturating_add(1));
        if self.way == Way::Mac && !before.is_multiple_of(LOOKS_PER_RESTART) {
            return Ok(());
        }
        self.ask(system, "end").map(drop)
    }
}

/// Carries out a part of a switch with the caller's own desktop; answers what is told to root's half.
pub(super) fn carry_out(
    half: &dyn Half,
    part: WorkerPart,
    system: &mut dyn System,
) -> Result<String, CliError> {
    let yes = |is: bool| if is { "yes\n" } else { "no\n" }.to_owned();
    Ok(match part {
        WorkerPart::Check => half.check(system).map(|()| String::new())?,
        WorkerPart::Joined => yes(half.is_joined(system)?),
        WorkerPart::Installed => yes(half.is_installed(system)?),
        WorkerPart::Running => yes(half.is_running(system)?),
        WorkerPart::Count => format!("{}\n", half.launches(system)?),
        WorkerPart::End => half.end_launches(system).map(|()| String::new())?,
        WorkerPart::Diagnose => half.diagnose(system).map(|()| String::new())?,
        change => {
            let mut work = Work::new(system, false);
            work.whole(|work| match change {
                WorkerPart::Prepare => half.prepare(work),
                WorkerPart::Start => half.start(work),
                WorkerPart::Stop => half.stop(work),
                WorkerPart::Restore => half.prepare(work).and_then(|()| half.start(work)),
                _ => half.remove(work),
            })?;
            String::new()
        }
    })
}
