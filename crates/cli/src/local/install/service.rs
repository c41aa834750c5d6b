//! Service mode: units of the system, accounts without passwords, folders with their owners, a policy.

use super::half::Half;
use super::system::System;
use super::systemd::{is_up, wait_steady};
use super::units::{LAUNCH_UNIT, PACKAGE_FOLDER, Paths, SUPERVISOR_UNIT, UNIT_FOLDER, WORKER_UNIT};
use super::work::Work;
use crate::Exit;
use crate::error::CliError;
use std::path::{Path, PathBuf};

const SYSTEMCTL: [&str; 1] = ["systemctl"];
const SUPERVISOR: &str = "tessera-supervisor";
const WORKER: &str = "tessera";
const SHEPHERD: &str = "tessera-shepherd";
const JOB: &str = "tessera-job";
/// Places that daemons of their own accounts can't enter, or that their units shut off.
const CLOSED: [&str; 4] = ["/home", "/root", "/run/user", "/tmp"];
/// Written where there is no policy; keys that are missing have the launcher's own defaults.
const POLICY: &str = "\
# Who jobs may run as on this host. Only root can change this file; the farm can't.
# modes: proxy (the proxy account), user (the user the job belongs to), or both.
# Keys that are not here have their defaults, the denied groups for instance: see docs/install.md.
modes = proxy, user
proxy_account = tessera-job
uid_min = 1000
";

/// Which daemons of a host are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Daemons {
    /// Launcher and worker.
    Worker,
    /// The supervisor.
    Supervisor,
}

/// The worker of a service, or the supervisor.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) paths: Paths,
    pub(super) daemons: Daemons,
}

impl Service {
    /// Answers the units in the order of their start, with their texts.
    fn units(&self) -> Vec<(&'static str, String)> {
        match self.daemons {
            Daemons::Worker => vec![
                (LAUNCH_UNIT, self.paths.launch_unit()),
                (WORKER_UNIT, self.paths.worker_unit()),
            ],
            Daemons::Supervisor => vec![(SUPERVISOR_UNIT, self.paths.supervisor_unit())],
        }
    }

    fn names(&self) -> Vec<&'static str> {
        self.units().into_iter().map(|(name, _)| name).collect()
    }

    fn accounts(&self) -> &'static [&'static str] {
        match self.daemons {
            Daemons::Worker => &[WORKER, SHEPHERD, JOB],
            Daemons::Supervisor => &[SUPERVISOR],
        }
    }

    /// Answers folders below the state with owner, group and mode. In `run` the sockets are: sticky, so that no daemon
    /// replaces another's.
    fn folders(
        &self,
        has_supervisor: bool,
    ) -> Vec<(&'static str, &'static str, &'static str, &'static str)> {
        let run_group = if has_supervisor { SUPERVISOR } else { "root" };
        let mut folders = vec![
            ("", "root", "root", "0755"),
            ("run", "root", run_group, "1775"),
        ];
        match self.daemons {
            Daemons::Worker => folders.extend([
                ("launcher", "root", "root", "0700"),
                ("worker", WORKER, WORKER, "0700"),
            ]),
            Daemons::Supervisor => folders.push(("supervisor", SUPERVISOR, SUPERVISOR, "0700")),
        }
        folders
    }

    fn make_accounts(&self, work: &mut Work) -> Result<(), CliError> {
        for name in self.accounts() {
            if work.system.has_account(name) {
                continue;
            }
            let shell = if work.system.exists(Path::new("/usr/sbin/nologin")) {
                "/usr/sbin/nologin"
            } else {
                "/bin/false"
            };
            let words = [
                "useradd",
                "--system",
                "--user-group",
                "--no-create-home",
                "--home-dir",
                "/nonexistent",
                "--shell",
                shell,
                name,
            ];
            // Stays if something fails later, as after `tessera up`: what it owned would be somebody else's some day.
            work.run(&words, None)?;
        }
        Ok(())
    }

    fn make_folders(&self, work: &mut Work) -> Result<(), CliError> {
        let has_supervisor =
            self.daemons == Daemons::Supervisor || work.system.has_account(SUPERVISOR);
        for (name, owner, group, mode) in self.folders(has_supervisor) {
            let path = self.paths.below(name);
            let path = path.to_string_lossy();
            let path = path.trim_end_matches('/');
            work.run(
                &["install", "-d", "-o", owner, "-g", group, "-m", mode, path],
                None,
            )?;
        }
        Ok(())
    }

    /// Changes unit files and has systemd read them; taken back, they are read again and what ran by them is restarted.
    fn change_units(
        &self,
        work: &mut Work,
        change: impl FnOnce(&mut Work) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        const RELOAD: [&str; 2] = ["systemctl", "daemon-reload"];
        if !work.system.has_systemd() {
            return change(work);
        }
        for unit in self.names() {
            if is_up(work.system, &SYSTEMCTL, unit)? {
                work.at_the_end_of_undo(&["systemctl", "restart", unit]);
            }
        }
        work.at_the_end_of_undo(&RELOAD);
        change(work)?;
        work.run(&RELOAD, None)
    }

    fn path_of(unit: &str) -> PathBuf {
        Path::new(UNIT_FOLDER).join(unit)
    }

    /// Answers where a package has a unit.
    fn packaged(unit: &str) -> PathBuf {
        Path::new(PACKAGE_FOLDER).join(unit)
    }

    /// Writes a unit; where a package brings the very same, that one is used, so that the package's next version holds.
    fn write_unit(work: &mut Work, unit: &str, text: &str) -> Result<(), CliError> {
        let packaged = work.system.read(&Self::packaged(unit));
        if packaged.map_err(CliError::failed)?.as_deref() == Some(text) {
            return work.remove(&Self::path_of(unit));
        }
        work.write(&Self::path_of(unit), text, 0o644)
    }

    /// Says whether a unit is there to be started: written here, or a package's that is enabled.
    fn has_unit(system: &mut dyn System, unit: &str) -> bool {
        if system.exists(&Self::path_of(unit)) {
            return true;
        }
        let is_packaged = system.exists(&Self::packaged(unit));
        let mut is_on = || system.ask(&["systemctl", "is-enabled", unit]);
        is_packaged && is_on().is_ok_and(|it| it.said == "enabled")
    }

    /// Makes accounts, folders and the policy.
    pub(super) fn make_place(&self, work: &mut Work) -> Result<(), CliError> {
        self.make_accounts(work)?;
        self.make_folders(work)?;
        let policy = self.paths.below("launcher/policy");
        if self.daemons == Daemons::Worker && !work.system.exists(&policy) {
            work.write(&policy, POLICY, 0o644)?;
        }
        Ok(())
    }

    /// Refuses beside daemons that somebody else runs on the same folder.
    fn refuse_second(&self, system: &mut dyn System) -> Result<(), CliError> {
        if self.is_running(system)? {
            return Ok(());
        }
        if self.daemons == Daemons::Supervisor {
            return Ok(());
        }
        for lock in ["worker/lock", "launcher/lock"] {
            if let Some(pid) = system.lock_holder(&self.paths.below(lock)) {
                let said = format!(
                    "a worker runs on {} already (process {pid}), and no unit started it",
                    self.paths.state().display()
                );
                return Err(CliError::new(Exit::State, said)
                    .hint("end `tessera up` with Ctrl-C, or whatever else started it"));
            }
        }
        Ok(())
    }
}

impl Half for Service {
    fn word(&self) -> &'static str {
        "service"
    }

    fn check(&self, system: &mut dyn System) -> Result<(), CliError> {
        let state = self.paths.state();
        if let Some(closed) = CLOSED.iter().find(|it| state.starts_with(it)) {
            let said = format!(
                "{} is below {closed}, which the daemons' accounts can't use",
                state.display()
            );
            return Err(CliError::usage(said)
                .hint("leave --state out for /var/lib/tessera, or name a folder elsewhere"));
        }
        for path in [self.paths.tessera(), self.paths.launch()] {
            if let Some(problem) = system.program_problem(path) {
                let said = format!("{}: {problem}", path.display());
                return Err(CliError::new(Exit::Denied, said).hint(
                    "put both programs where only root writes, and run the one from there: \
                     sudo install -m 755 tessera tessera-launch /usr/local/bin/",
                ));
            }
        }
        self.refuse_second(system)
    }

    fn is_joined(&self, system: &mut dyn System) -> Result<bool, CliError> {
        Ok(match self.daemons {
            Daemons::Worker => {
                system.exists(&self.paths.below("worker/cert.pem"))
                    && system.exists(&self.paths.below("launcher/dispatch.pub"))
            }
            // It makes its own keys.
            Daemons::Supervisor => true,
        })
    }

    fn join_command(&self) -> String {
        let state = match self.paths.state() {
            usual if usual == super::super::system_state() => String::new(),
            other => format!(" --state {}", other.display()),
        };
        format!("sudo tessera join{state} STRING")
    }

    fn is_installed(&self, system: &mut dyn System) -> Result<bool, CliError> {
        let units = self.names();
        Ok(units.iter().all(|unit| Self::has_unit(system, unit)))
    }

    fn is_running(&self, system: &mut dyn System) -> Result<bool, CliError> {
        if !system.has_systemd() {
            return Ok(false);
        }
        for unit in self.names() {
            if is_up(system, &SYSTEMCTL, unit)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn prepare(&self, work: &mut Work) -> Result<(), CliError> {
        self.make_place(work)?;
        self.change_units(work, |work| {
            for (unit, text) in self.units() {
                Self::write_unit(work, unit, &text)?;
            }
            Ok(())
        })
    }

    fn start(&self, work: &mut Work) -> Result<(), CliError> {
        for unit in self.names() {
            let back = ["systemctl", "disable", unit];
            let is_on = work.system.ask(&["systemctl", "is-enabled", unit]);
            let was_on = is_on.is_ok_and(|it| it.said == "enabled");
            work.run(
                &["systemctl", "enable", unit],
                (!was_on).then_some(&back[..]),
            )?;
        }
        if !work.system.has_systemd() {
            return Ok(());
        }
        for unit in self.names() {
            // Restart, not start: what runs was begun by an older unit, perhaps. No job ends by it.
            let back = ["systemctl", "stop", unit];
            let was_up = is_up(work.system, &SYSTEMCTL, unit)?;
            work.run(
                &["systemctl", "restart", unit],
                (!was_up).then_some(&back[..]),
            )?;
        }
        Ok(())
    }

    fn stop(&self, work: &mut Work) -> Result<(), CliError> {
        let is_booted = work.system.has_systemd();
        // The worker before the launcher that it leans on.
        for unit in self.names().into_iter().rev() {
            if is_booted && is_up(work.system, &SYSTEMCTL, unit)? {
                work.run(
                    &["systemctl", "stop", unit],
                    Some(&["systemctl", "start", unit]),
                )?;
            }
            let is_on = work.system.ask(&["systemctl", "is-enabled", unit]);
            if is_on.is_ok_and(|it| it.said == "enabled") {
                work.run(
                    &["systemctl", "disable", unit],
                    Some(&["systemctl", "enable", unit]),
                )?;
            }
        }
        Ok(())
    }

    fn remove(&self, work: &mut Work) -> Result<(), CliError> {
        self.change_units(work, |work| {
            for unit in self.names() {
                work.remove(&Self::path_of(unit))?;
            }
            Ok(())
        })
    }

    fn diagnose(&self, system: &mut dyn System) -> Result<(), CliError> {
        let units = self.names();
        let journal = format!("sudo journalctl -e -u {}", units.join(" -u "));
        wait_steady(system, &SYSTEMCTL, &units).map_err(|error| error.hint(journal))?;
        if self.daemons == Daemons::Supervisor {
            return Ok(());
        }
        let launch = self.paths.launch().to_string_lossy().into_owned();
        let state = self.paths.state().to_string_lossy().into_owned();
        let answer = system.ask(&[&launch, "check", "--state", &state]);
        let answer = answer.map_err(CliError::failed)?;
        if answer.is_good {
            return Ok(());
        }
        Err(
            CliError::failed(format!("the launcher can't do its work: {}", answer.said))
                .hint("sudo tessera doctor"),
        )
    }

    fn launches(&self, system: &mut dyn System) -> Result<usize, CliError> {
        match self.daemons {
            Daemons::Worker => system
                .launches(self.paths.state())
                .map_err(CliError::failed),
            Daemons::Supervisor => Ok(0),
        }
    }

    fn end_launches(&self, system: &mut dyn System) -> Result<(), CliError> {
        system
            .end_launches(self.paths.state())
            .map_err(CliError::failed)
    }
}
