//! Service mode on macOS: two LaunchDaemons, the launcher as root and the worker under an account of its own, and the accounts.
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
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const LAUNCH: &str = include_str!("../../../../../contrib/launchd/tessera.launch.plist");
const WORKER: &str = include_str!("../../../../../contrib/launchd/tessera.worker.daemon.plist");
/// Where daemons of the system's are.
const FOLDER: &str = "/Library/LaunchDaemons";
/// The paths that stand in the files of `contrib`.
const USUAL_LAUNCH: &str = "/usr/local/bin/tessera-maclaunch";
const USUAL_TESSERA: &str = "/usr/local/bin/tessera";
const USUAL_STATE: &str = "/Library/Application Support/Tessera";
/// The worker's account, and that of jobs in mode proxy: names that begin so are the system's own on macOS.
const ACCOUNTS: [&str; 2] = ["_tessera", "_tessera-job"];
/// Numbers for such accounts.
const IDS: std::ops::Range<u32> = 300..400;

/// The daemons of this Mac.
#[derive(Debug)]
pub(super) struct MacService {
    pub(super) tessera: PathBuf,
    pub(super) launch: PathBuf,
    pub(super) state: PathBuf,
    /// How often it was asked to end what runs.
    pub(super) ends: Cell<u32>,
}

impl MacService {
    fn launcher(&self) -> Job {
        job("tessera.launch")
    }

    fn worker(&self) -> Job {
        job("tessera.worker.daemon")
    }

    fn fill(&self, text: &str) -> Result<String, CliError> {
        let put = |path: &Path| value(path).map(|it| format!("<string>{it}"));
        // The longer name first: the shorter one is its beginning.
        Ok(text
            .replace(&format!("<string>{USUAL_LAUNCH}"), "\0launch")
            .replace(&format!("<string>{USUAL_TESSERA}"), &put(&self.tessera)?)
            .replace("\0launch", &put(&self.launch)?)
            .replace(&format!("<string>{USUAL_STATE}"), &put(&self.state)?))
    }

    fn files(&self) -> Result<[(Job, String); 2], CliError> {
        let launch = self.fill(LAUNCH)?;
        Ok([
            (self.launcher(), launch),
            (self.worker(), self.fill(WORKER)?),
        ])
    }

    /// Makes an account without a password, in which nobody can log in; taken back, it is not there again.
    fn make_account(work: &mut Work, name: &str) -> Result<(), CliError> {
        if work.system.has_account(name) {
            return Ok(());
        }
        let id = free_id(work.system)?.to_string();
        let (user, group) = (format!("/Users/{name}"), format!("/Groups/{name}"));
        let create = |path: &str, more: &[&str]| -> Vec<String> {
            let words = ["dscl", ".", "-create", path].into_iter();
            words
                .chain(more.iter().copied())
                .map(str::to_owned)
                .collect()
        };
        let steps = [
            (create(&group, &[]), Some(&group)),
            (create(&group, &["PrimaryGroupID", &id]), None),
            (create(&user, &[]), Some(&user)),
            (create(&user, &["UniqueID", &id]), None),
            (create(&user, &["PrimaryGroupID", &id]), None),
            (create(&user, &["UserShell", "/usr/bin/false"]), None),
            (create(&user, &["NFSHomeDirectory", "/var/empty"]), None),
            (create(&user, &["RealName", "Tessera"]), None),
            (create(&user, &["Password", "*"]), None),
            (create(&user, &["IsHidden", "1"]), None),
        ];
        for (words, made) in &steps {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let back = made.map(|path| ["dscl", ".", "-delete", path.as_str()]);
            work.run(&words, back.as_ref().map(|it| &it[..]))?;
        }
        Ok(())
    }
}

fn job(label: &'static str) -> Job {
    Job {
        domain: "system".to_owned(),
        label,
        plist: Path::new(FOLDER).join(format!("{label}.plist")),
    }
}

/// Answers a number that is neither an account's nor a group's.
fn free_id(system: &mut dyn System) -> Result<u32, CliError> {
    let mut used = BTreeSet::new();
    for (folder, name) in [("/Users", "UniqueID"), ("/Groups", "PrimaryGroupID")] {
        let answer = system.ask(&["dscl", ".", "-list", folder, name]);
        let answer = answer.map_err(CliError::failed)?;
        if !answer.is_good {
            return Err(CliError::failed(format!(
                "which accounts there are can't be said: {}",
                answer.said
            )));
        }
        used.extend(ids(&answer.said));
    }
    IDS.clone().find(|id| !used.contains(id)).ok_or_else(|| {
        CliError::failed(format!(
            "no number from {} to {} is free for an account",
            IDS.start, IDS.end
        ))
    })
}

/// Reads the numbers of a list: a name, blanks, a number.
fn ids(said: &str) -> impl Iterator<Item = u32> {
    let number = |line: &str| line.split_whitespace().last()?.parse().ok();
    said.lines().filter_map(number)
}

impl Half for MacService {
    fn word(&self) -> &'static str {
        "service"
    }

    fn check(&self, system: &mut dyn System) -> Result<(), CliError> {
        for program in [&self.tessera, &self.launch] {
            if let Some(problem) = system.program_problem(program) {
                let said = format!("{} can't be a service: {problem}", program.display());
                return Err(CliError::new(Exit::Denied, said).hint(
                    "put both programs where only root can write, such as /usr/local/bin of root's",
                ));
            }
        }
        let is_running = self.is_running(system)?;
        let mut is_new = false;
        for (job, text) in self.files()? {
            is_new |= !job.is_up_to_date(system, &text)?;
        }
        if is_running && is_new && self.launches(system)? > 0 {
            return Err(CliError::new(
                Exit::State,
                "the worker runs instances of jobs, and has to be restarted, which would end them",
            )
            .hint("sudo tessera worker uninstall --mode service --wait, and install it again"));
        }
        let holder = system.lock_holder(&self.state.join("worker/lock"));
        match holder.filter(|_| !is_running) {
            Some(pid) => Err(CliError::new(
                Exit::State,
                format!("a worker runs already (process {pid}), and launchd did not start it"),
            )
            .hint("end it first")),
            None => Ok(()),
        }
    }

    fn is_joined(&self, system: &mut dyn System) -> Result<bool, CliError> {
        let mut is = |name: &str| system.exists(&self.state.join(name));
        Ok(is("launcher/dispatch.pub") && is("worker/cert.pem"))
    }

    fn join_command(&self) -> String {
        let state = if self.state == Path::new(USUAL_STATE) {
            String::new()
        } else {
            format!(" --state '{}'", self.state.display())
        };
        format!("sudo tessera join{state} STRING")
    }

    fn is_installed(&self, system: &mut dyn System) -> Result<bool, CliError> {
        let files = [self.launcher(), self.worker()];
        Ok(files.iter().any(|it| system.exists(&it.plist)))
    }

    fn is_running(&self, system: &mut dyn System) -> Result<bool, CliError> {
        let is_up = self.launcher().look(system)?.process.is_some();
        Ok(is_up && self.worker().look(system)?.process.is_some())
    }

    fn prepare(&self, work: &mut Work) -> Result<(), CliError> {
        for name in ACCOUNTS {
            Self::make_account(work, name)?;
        }
        let [worker, _] = ACCOUNTS;
        for (owner, group, mode, name) in [
            ("root", "wheel", "0755", ""),
            ("root", "wheel", "0755", "run"),
            ("root", "wheel", "0700", "launcher"),
            (worker, worker, "0700", "worker"),
        ] {
            let path = self.state.join(name).to_string_lossy().into_owned();
            let path = path.trim_end_matches('/');
            let words = ["install", "-d", "-o", owner, "-g", group, "-m", mode, path];
            work.run(&words, None)?;
        }
        for (job, text) in self.files()? {
            job.write(work, &text)?;
        }
        Ok(())
    }

    fn start(&self, work: &mut Work) -> Result<(), CliError> {
        if !self.is_joined(work.system)? {
            return Ok(());
        }
        self.launcher().load(work)?;
        if self.worker().load(work)? {
            let said = format!(
                "it runs already; new programs count from their next start, which ends what runs: \
                 sudo launchctl kickstart -k {}",
                self.launcher().target()
            );
            work.system.say(&said);
        }
        Ok(())
    }

    /// Without their files launchd does not start them at the next boot either.
    fn stop(&self, work: &mut Work) -> Result<(), CliError> {
        self.worker().unload(work)?;
        self.launcher().unload(work)?;
        self.remove(work)
    }

    fn remove(&self, work: &mut Work) -> Result<(), CliError> {
        work.remove(&self.worker().plist)?;
        work.remove(&self.launcher().plist)
    }

    fn diagnose(&self, system: &mut dyn System) -> Result<(), CliError> {
        let launch_log = PathBuf::from("/Library/Logs/tessera.launch.log");
        let worker_log = self.state.join("worker/worker.log");
        for (job, log) in [(self.launcher(), launch_log), (self.worker(), worker_log)] {
            if !job.is_steady(system)? {
                let said = format!("{} does not come up, or does not stay up", job.label);
                return Err(CliError::failed(said)
                    .hint(format!("sudo tail '{}'", log.display()))
                    .hint(format!("launchctl print {}", job.target())));
            }
        }
        Ok(())
    }

    fn launches(&self, system: &mut dyn System) -> Result<usize, CliError> {
        system.launches(&self.state).map_err(CliError::failed)
    }

    /// Has the worker started again: what it runs ends with it, and the new one has the farm put it back.
    fn end_launches(&self, system: &mut dyn System) -> Result<(), CliError> {
        let before = self.ends.replace(self.ends.get().saturating_add(1));
        if before.is_multiple_of(LOOKS_PER_RESTART) {
            self.worker().restart(system)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "daemons/switch_tests.rs"]
mod switch_tests;
#[cfg(test)]
#[path = "daemons/tests.rs"]
mod tests;
