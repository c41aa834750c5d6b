//! An instance: a logon and the attempts that run in it. It runs what the template says, and nothing else.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tessera_ticket::{PathMap, Step, Template, Ticket};
use tessera_windows::program::{Command, ProgramError};

use crate::os::{Bounds, Given, Os, StartError, Tree as _, Used};
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
    manner: Manner<O::Bounds>,
    attempts: Vec<Attempt<O::Tree>>,
    is_over: bool,
    /// What could not be taken back.
    left: Vec<String>,
}

/// How the programs of an instance are run.
#[derive(Debug)]
pub struct Manner<B> {
    /// 0 to 19; more is less.
    pub nice: u8,
    /// How paths of other systems are called here.
    pub paths: PathMap,
    /// Where its processes are noted.
    pub notes: PathBuf,
    /// What all of them together are kept to, if to anything.
    pub bounds: Option<B>,
}

/// A program that was begun and not forgotten.
struct Attempt<T> {
    item: u32,
    attempt: u32,
    tree: T,
    /// How often the instance had been refused memory when it began.
    refused_before: u64,
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

/// How an attempt is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// Processes that are alive.
    pub alive: u32,
    /// What all its processes have used.
    pub used: Used,
    /// Whether the instance was refused memory since it began.
    pub is_out_of_memory: bool,
}

impl<O: Os> Instance<O> {
    /// Makes one of a logon.
    pub fn new(
        os: &Arc<O>,
        session: Session<O>,
        ticket: Ticket,
        template: Template,
        manner: Manner<O::Bounds>,
    ) -> Self {
        Self {
            os: Arc::clone(os),
            session,
            ticket,
            template,
            manner,
            attempts: Vec::new(),
            is_over: false,
            left: Vec::new(),
        }
    }

    /// Answers how often it was refused memory so far.
    fn refused(&self) -> u64 {
        self.manner.bounds.as_ref().map_or(0, Bounds::refused)
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
        let notes = self.manner.notes.clone();
        let refused_before = self.refused();
        let bounds = self.manner.bounds.as_ref();
        let note = |pid: u32, born: u64| note(&notes, pid, born);
        let begun = self
            .os
            .start(parts.token, parts.station, bounds, &command, &note, peer);
        let (tree, given) = begun.map_err(|error| match error {
            StartError::Program(error) => failed(step_of(&error), error.code()),
            StartError::Note(error) => failed(Step::Prepare, error.raw_os_error().unwrap_or(0)),
            StartError::System(error) => failed(Step::Exec, error.raw_os_error().unwrap_or(0)),
        })?;
        let (pid, born) = tree.main();
        self.attempts.push(Attempt {
            item,
            attempt,
            tree,
            refused_before,
        });
        Ok(Begun { pid, born, given })
    }

    /// Answers the command of an item, by the rule of the template.
    fn command(&self, item: u32, attempt: u32) -> Result<Command, Failed> {
        let failed = |step| Failed { step, errno: 0 };
        if !self.ticket.allows(item) {
            return Err(failed(Step::NotAllowed));
        }
        let argv = self.template.argv_of(item, &self.manner.paths);
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
            self.template.cwd_here(&self.manner.paths)
        };
        Ok(Command {
            argv,
            env: env.0,
            directory,
            nice: self.manner.nice,
        })
    }

    fn find(&self, item: u32, attempt: u32) -> Option<&Attempt<O::Tree>> {
        let mut all = self.attempts.iter();
        all.find(|it| (it.item, it.attempt) == (item, attempt))
    }

    /// Ends an attempt now; that there is none is fine.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&self, item: u32, attempt: u32) -> io::Result<()> {
        self.find(item, attempt).map_or(Ok(()), |it| it.tree.kill())
    }

    /// Stops an attempt where it is, or lets it go on; that there is none is fine.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn suspend(&self, item: u32, attempt: u32, is: bool) -> io::Result<()> {
        self.find(item, attempt)
            .map_or(Ok(()), |it| it.tree.set_suspended(is))
    }

    /// Answers how an attempt is. Who can't be counted counts as alive; one that is not there has used nothing.
    pub fn look(&self, item: u32, attempt: u32) -> Look {
        let Some(it) = self.find(item, attempt) else {
            return Look::default();
        };
        Look {
            alive: it.tree.alive().unwrap_or(1),
            used: it.tree.used(),
            is_out_of_memory: self.refused() > it.refused_before,
        }
    }

    /// Forgets an attempt; what is left of it ends.
    pub fn forget(&mut self, item: u32, attempt: u32) {
        self.attempts
            .retain(|it| (it.item, it.attempt) != (item, attempt));
    }

    /// Ends everything, in reverse; answers whether nothing is left, and what could not be taken back, for people.
    pub fn end(&mut self, logons: &Mutex<()>) -> (bool, Vec<String>) {
        if self.is_over {
            return (true, self.left.clone());
        }
        let deadline = Instant::now() + END_TIME;
        for it in &self.attempts {
            // Who can't be ended so is looked for below, and dies with its job object.
            let _ = it.tree.kill();
        }
        while !self.is_empty() {
            if Instant::now() >= deadline {
                let what = format!("processes of launch {} do not end", self.ticket.key);
                return (false, vec![what]);
            }
            std::thread::sleep(PAUSE);
        }
        self.attempts.clear();
        drop(self.manner.bounds.take());
        self.is_over = true;
        self.left = self.session.end(logons);
        // What stays is looked at again at the next start.
        let _ = std::fs::remove_file(&self.manner.notes);
        (true, self.left.clone())
    }

    fn is_empty(&self) -> bool {
        self.attempts
            .iter()
            .all(|it| it.tree.alive().unwrap_or(1) == 0)
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
