//! Desktop mode: a unit of the person's own service manager, or an autostart entry where there is none. What is the
//! person's is touched as the person only: root has it done by this program under their account.

use super::half::Half;
use super::system::System;
use super::systemd::{is_up, wait_steady};
use super::units::{AUTOSTART_ENTRY, Paths, WORKER_UNIT};
use super::work::Work;
use crate::error::CliError;
use std::path::PathBuf;

const SYSTEMCTL: [&str; 2] = ["systemctl", "--user"];

/// The desktop worker of the caller.
#[derive(Debug)]
pub(super) struct OwnDesktop {
    pub(super) paths: Paths,
    /// The folder where the caller's farm is when none is named.
    pub(super) usual_state: PathBuf,
    /// The folder of the caller's configuration.
    pub(super) config: PathBuf,
    pub(super) is_root: bool,
}

impl OwnDesktop {
    fn unit_path(&self) -> PathBuf {
        self.config.join("systemd/user").join(WORKER_UNIT)
    }

    fn entry_path(&self) -> PathBuf {
        self.config.join("autostart").join(AUTOSTART_ENTRY)
    }

    fn has_unit(&self, system: &mut dyn System) -> bool {
        system.has_user_manager() && system.exists(&self.unit_path())
    }

    /// Changes the unit; taken back, it is read again, and restarted if it ran.
    fn change_unit(
        &self,
        work: &mut Work,
        change: impl FnOnce(&mut Work) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        const RELOAD: [&str; 3] = ["systemctl", "--user", "daemon-reload"];
        if is_up(work.system, &SYSTEMCTL, WORKER_UNIT)? {
            work.at_the_end_of_undo(&["systemctl", "--user", "restart", WORKER_UNIT]);
        }
        work.at_the_end_of_undo(&RELOAD);
        change(work)?;
        work.run(&RELOAD, None)
    }
}

impl Half for OwnDesktop {
    fn word(&self) -> &'static str {
        "desktop"
    }

    fn check(&self, system: &mut dyn System) -> Result<(), CliError> {
        if self.is_root {
            return Err(
                CliError::usage("a desktop worker runs as a person, never as root")
                    .hint("run it as that person, or as root with --user NAME"),
            );
        }
        let holder = system.lock_holder(&self.paths.below("worker/lock"));
        let Some(pid) = holder else { return Ok(()) };
        if self.has_unit(system) && is_up(system, &SYSTEMCTL, WORKER_UNIT)? {
            return Ok(());
        }
        Err(CliError::new(
            crate::Exit::State,
            format!("a worker of yours runs already (process {pid}), and no unit started it"),
        )
        .hint("end it, or `tessera up`, with Ctrl-C where it runs"))
    }

    fn is_joined(&self, system: &mut dyn System) -> Result<bool, CliError> {
        Ok(system.exists(&self.paths.below("worker/cert.pem")))
    }

    fn join_command(&self) -> String {
        let state = if self.paths.state() == self.usual_state {
            String::new()
        } else {
            format!(" --state {}", self.paths.state().display())
        };
        format!("tessera join --desktop{state} STRING")
    }

    fn is_installed(&self, system: &mut dyn System) -> Result<bool, CliError> {
        Ok(system.exists(&self.unit_path()) || system.exists(&self.entry_path()))
    }

    fn is_running(&self, system: &mut dyn System) -> Result<bool, CliError> {
        if self.has_unit(system) && is_up(system, &SYSTEMCTL, WORKER_UNIT)? {
            return Ok(true);
        }
        let lock = self.paths.below("worker/lock");
        Ok(system.lock_holder(&lock).is_some())
    }

    fn prepare(&self, work: &mut Work) -> Result<(), CliError> {
        if !work.system.has_user_manager() {
            let text = self.paths.autostart(&self.usual_state);
            return work.write(&self.entry_path(), &text, 0o644);
        }
        let text = self.paths.desktop_unit(&self.usual_state);
        self.change_unit(work, |work| work.write(&self.unit_path(), &text, 0o644))
    }

    fn start(&self, work: &mut Work) -> Result<(), CliError> {
        if !work.system.has_user_manager() {
            let said = "note: you have no service manager of your own (systemd --user): the worker starts at your next \
                        login; before that: tessera worker --desktop";
            work.system.say(said);
            return Ok(());
        }
        let is_on = work
            .system
            .ask(&["systemctl", "--user", "is-enabled", WORKER_UNIT]);
        let was_on = is_on.is_ok_and(|it| it.said == "enabled");
        let back = ["systemctl", "--user", "disable", WORKER_UNIT];
        work.run(
            &["systemctl", "--user", "enable", WORKER_UNIT],
            (!was_on).then_some(&back[..]),
        )?;
        let was_up = is_up(work.system, &SYSTEMCTL, WORKER_UNIT)?;
        let back = ["systemctl", "--user", "stop", WORKER_UNIT];
        work.run(
            &["systemctl", "--user", "restart", WORKER_UNIT],
            (!was_up).then_some(&back[..]),
        )
    }

    fn stop(&self, work: &mut Work) -> Result<(), CliError> {
        if self.has_unit(work.system) {
            if is_up(work.system, &SYSTEMCTL, WORKER_UNIT)? {
                work.run(
                    &["systemctl", "--user", "stop", WORKER_UNIT],
                    Some(&["systemctl", "--user", "start", WORKER_UNIT]),
                )?;
            }
            work.run(
                &["systemctl", "--user", "disable", WORKER_UNIT],
                Some(&["systemctl", "--user", "enable", WORKER_UNIT]),
            )?;
        }
        work.remove(&self.entry_path())?;
        // One that the autostart entry, or a hand, started.
        let holder = work
            .system
            .lock_holder(&self.paths.below("worker/lock"))
            .filter(|_| !work.is_dry);
        if let Some(pid) = holder {
            let words = self.paths.tessera().to_string_lossy().into_owned();
            let again = ["setsid", "--fork", &words, "worker", "--desktop"];
            work.run(&["kill", &pid.to_string()], Some(&again))?;
        }
        Ok(())
    }

    fn remove(&self, work: &mut Work) -> Result<(), CliError> {
        work.remove(&self.entry_path())?;
        if work.system.has_user_manager() {
            return self.change_unit(work, |work| work.remove(&self.unit_path()));
        }
        work.remove(&self.unit_path())
    }

    fn diagnose(&self, system: &mut dyn System) -> Result<(), CliError> {
        if !self.has_unit(system) {
            return Ok(());
        }
        wait_steady(system, &SYSTEMCTL, &[WORKER_UNIT])
            .map_err(|error| error.hint(format!("journalctl --user -e -u {WORKER_UNIT}")))
    }

    fn launches(&self, system: &mut dyn System) -> Result<usize, CliError> {
        system
            .launches(self.paths.state())
            .map_err(CliError::failed)
    }

    fn end_launches(&self, system: &mut dyn System) -> Result<(), CliError> {
        system
            .end_launches(self.paths.state())
            .map_err(CliError::failed)
    }
}
