//! An instance: a logon and the attempts that run in it. It runs what the template says, and nothing else.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tessera_ticket::{PathMap, Step, Template, Ticket};
use tessera_windows::program::{Command, ProgramError};

use crate::os::{Given, Os, StartError, Tree as _, Used};
use crate::session::Session;

/// The most attempts of an instance at once.
const ATTEMPTS_MAX: usize = 8;
/// How long what is left may take to end.
const END_TIME: Duration = Duration::from_secs(20);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(5);
/// Where jobs work that name no directory.
const HOME: &str = "USERPROFILE";

/// What an instance is.
pub struct Instance<O: Os> {
    os: Arc<O>,
    session: Session<O>,
    ticket: Ticket,
    template: Template,
    nice: u8,
    paths: PathMap,
    /// Where its processes are noted.
    notes: PathBuf,
    attempts: Vec<(u32, u32, O::Tree)>,
    is_over: bool,
}

/// A step that failed, with the system's number for the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed {
    /// Which.
    pub step: Step,
    /// The system's number, or 0.
    pub errno: i32,
}

/// A program that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// The main process' number.
    pub pid: u32,
    /// When it was born.
    pub born: u64,
    /// The worker's handles.
    pub given: Given,
}

impl<O: Os> Instance<O> {
    /// Makes one of a logon.
    pub fn new(
        os: &Arc<O>,
        session: Session<O>,
        ticket: Ticket,
        template: Template,
        nice: u8,
        paths: PathMap,
        notes: PathBuf,
    ) -> Self {
        Self {
            os: Arc::clone(os),
            session,
            ticket,
            template,
            nice,
            paths,
            notes,
            attempts: Vec::new(),
            is_over: false,
        }
    }

    /// Runs an item.
    ///
    /// # Errors
    /// Where it failed; then it has not run.
    pub fn run(&mut self, item: u32, attempt: u32, peer: &O::Peer) -> Result<Begun, Failed> {
        let failed = |step, errno| Failed { step, errno };
        if self.is_over {
            return Err(failed(Step::StarterLost, 0));
        }
        if self.attempts.len() >= ATTEMPTS_MAX || self.find(item, attempt).is_some() {
            return Err(failed(Step::Busy, 0));
        }
        let command = self.command(item, attempt)?;
        let parts = self.session.parts();
        let parts = parts.ok_or(failed(Step::StarterLost, 0))?;
        let notes = self.notes.clone();
        let note = |pid: u32, born: u64| note(&notes, pid, born);
        let begun = self
            .os
            .start(parts.token, parts.station, &command, &note, peer);
        let (tree, given) = begun.map_err(|error| match error {
            StartError::Program(error) => failed(step_of(&error), error.code()),
            StartError::Note(error) => failed(Step::Prepare, error.raw_os_error().unwrap_or(0)),
            StartError::System(error) => failed(Step::Exec, error.raw_os_error().unwrap_or(0)),
        })?;
        let (pid, born) = tree.main();
        self.attempts.push((item, attempt, tree));
        Ok(Begun { pid, born, given })
    }

    /// Answers the command of an item, by the rule of the template.
    fn command(&self, item: u32, attempt: u32) -> Result<Command, Failed> {
        let failed = |step| Failed { step, errno: 0 };
        if !self.ticket.allows(item) {
            return Err(failed(Step::NotAllowed));
        }
        let argv = self.template.argv_of(item, &self.paths);
        let argv = argv.ok().filter(|it| !it.is_empty());
        let argv = argv.ok_or(failed(Step::Command))?;
        let parts = self.session.parts().ok_or(failed(Step::StarterLost))?;
        let mut env = Variables(parts.variables.to_vec());
        if let Some(private) = self.session.private() {
            let private = private.to_string_lossy();
            env.set("TEMP", &private);
            env.set("TMP", &private);
        }
        let farm: String = self
            .ticket
            .farm
            .iter()
            .map(|it| format!("{it:02x}"))
            .collect();
        env.set("TESSERA_FARM", &farm);
        let of_job = self.template.env.iter().cloned();
        let of_farm = self.template.farm_env(self.ticket.key, item, attempt);
        for (name, value) in of_job.chain(of_farm) {
            env.set(&name, &value);
        }
        let directory = if self.template.cwd.is_empty() {
            env.get(HOME).unwrap_or(r"C:\").to_owned()
        } else {
            self.template.cwd_here(&self.paths)
        };
        Ok(Command {
            argv,
            env: env.0,
            directory,
            nice: self.nice,
        })
    }

    fn find(&self, item: u32, attempt: u32) -> Option<&O::Tree> {
        let mut all = self.attempts.iter();
        let found = all.find(|it| (it.0, it.1) == (item, attempt));
        found.map(|(_, _, tree)| tree)
    }

    /// Ends an attempt now; that there is none is fine.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&self, item: u32, attempt: u32) -> io::Result<()> {
        self.find(item, attempt).map_or(Ok(()), |it| it.kill())
    }

    /// Stops an attempt where it is, or lets it go on; that there is none is fine.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn suspend(&self, item: u32, attempt: u32, is: bool) -> io::Result<()> {
        self.find(item, attempt)
            .map_or(Ok(()), |it| it.set_suspended(is))
    }

    /// Answers how many processes of an attempt are alive and what it has used. Who can't be counted counts as alive.
    pub fn look(&self, item: u32, attempt: u32) -> (u32, Used) {
        let found = self.find(item, attempt);
        found.map_or((0, Used::default()), |it| {
            (it.alive().unwrap_or(1), it.used())
        })
    }

    /// Forgets an attempt; what is left of it ends.
    pub fn forget(&mut self, item: u32, attempt: u32) {
        self.attempts.retain(|it| (it.0, it.1) != (item, attempt));
    }

    /// Ends everything, in reverse; answers whether nothing is left, and what could not be taken back, for people.
    pub fn end(&mut self, logons: &Mutex<()>) -> (bool, Vec<String>) {
        if self.is_over {
            return (true, Vec::new());
        }
        let deadline = Instant::now() + END_TIME;
        for (_, _, tree) in &self.attempts {
            // Who can't be ended so is looked for below, and dies with its job object.
            let _ = tree.kill();
        }
        while !self.is_empty() {
            if Instant::now() >= deadline {
                let what = format!("processes of launch {} do not end", self.ticket.key);
                return (false, vec![what]);
            }
            std::thread::sleep(PAUSE);
        }
        self.attempts.clear();
        self.is_over = true;
        let problems = self.session.end(logons);
        // What stays is looked at again at the next start.
        let _ = std::fs::remove_file(&self.notes);
        (true, problems)
    }

    fn is_empty(&self) -> bool {
        self.attempts
            .iter()
            .all(|(_, _, tree)| tree.alive().unwrap_or(1) == 0)
    }

    /// Answers as whom it runs.
    pub fn account(&self) -> String {
        self.session.name().asked(&self.os.host())
    }
}

/// Answers at which step a command was none.
fn step_of(error: &ProgramError) -> Step {
    match error {
        ProgramError::Directory { .. } => Step::Directory,
        ProgramError::Search(_) => Step::Exec,
        ProgramError::Arguments(_) | ProgramError::Variables(_) => Step::Command,
    }
}

/// Notes a process, durably: it has not run yet.
fn note(path: &std::path::Path, pid: u32, born: u64) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.append(true).create(true).open(path)?;
    writeln!(file, "{pid} {born}")?;
    file.sync_data()
}

/// Reads what was noted: numbers and births.
///
/// # Errors
/// When the file can't be read.
pub fn noted(path: &std::path::Path) -> io::Result<Vec<(u32, u64)>> {
    let text = std::fs::read_to_string(path)?;
    let pairs = text.lines().filter_map(|line| {
        let (pid, born) = line.split_once(' ')?;
        Some((pid.parse().ok()?, born.parse().ok()?))
    });
    Ok(pairs.collect())
}

/// Variables, each once: names that differ in case are the same.
struct Variables(Vec<(String, String)>);

impl Variables {
    fn set(&mut self, name: &str, value: &str) {
        let mut all = self.0.iter_mut();
        match all.find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some(known) => value.clone_into(&mut known.1),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.0.iter();
        let found = all.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}
