//! An instance: a session and the attempts that run in it. It runs what the template says, and nothing else.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tessera_ticket::{PathMap, Step, Template, Ticket};

use crate::notes::note;
use crate::system::{Failed, Program, System, Tree as _, Used};

/// The most attempts of an instance at once.
const ATTEMPTS_MAX: usize = 8;
/// How long what is left may take to end.
const END_TIME: Duration = Duration::from_secs(20);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// What an instance is.
pub struct Instance<S: System> {
    system: Arc<S>,
    session: S::Session,
    what: What,
    attempts: Vec<Attempt<S::Tree>>,
    is_over: bool,
    /// What could not be taken back.
    left: Vec<String>,
}

/// What runs in an instance, and how.
#[derive(Debug)]
pub struct What {
    /// Its ticket, checked.
    pub ticket: Ticket,
    /// What runs.
    pub template: Template,
    /// 0 to 19; more is less.
    pub nice: u8,
    /// How paths of other systems are called here.
    pub paths: PathMap,
    /// Where its processes are noted.
    pub notes: PathBuf,
}

/// A program that was begun and not forgotten.
struct Attempt<T> {
    item: u32,
    attempt: u32,
    tree: T,
    /// How often the session had been refused memory when it began.
    refused_before: u64,
}

/// How an attempt is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// Processes that are alive.
    pub alive: u32,
    /// What all its processes have used.
    pub used: Used,
    /// Whether the session was refused memory since it began.
    pub is_out_of_memory: bool,
}

impl<S: System> Instance<S> {
    /// Makes one of a session.
    pub fn new(system: &Arc<S>, session: S::Session, what: What) -> Self {
        Self {
            system: Arc::clone(system),
            session,
            what,
            attempts: Vec::new(),
            is_over: false,
            left: Vec::new(),
        }
    }

    /// Runs an item; answers its main process, and what the worker is given.
    ///
    /// # Errors
    /// Where it failed; then it has not run.
    pub fn run(
        &mut self,
        item: u32,
        attempt: u32,
        peer: &S::Peer,
    ) -> Result<((u32, u64), S::Given), Failed> {
        if self.is_over {
            return Err(Step::StarterLost.into());
        }
        if self.attempts.len() >= ATTEMPTS_MAX || self.find(item, attempt).is_some() {
            return Err(Step::Busy.into());
        }
        let program = self.program(item, attempt)?;
        let refused_before = self.system.refused_memory(&self.session);
        let notes = &self.what.notes;
        let note = |pid: u32, born: u64| note(notes, pid, born);
        let (tree, given) = self.system.start(&self.session, program, &note, peer)?;
        let main = tree.main();
        self.attempts.push(Attempt {
            item,
            attempt,
            tree,
            refused_before,
        });
        Ok((main, given))
    }

    /// Answers the program of an item, by the rule of the template.
    fn program(&self, item: u32, attempt: u32) -> Result<Program<'_>, Failed> {
        let What {
            ticket,
            template,
            nice,
            paths,
            ..
        } = &self.what;
        if !ticket.allows(item) {
            return Err(Step::NotAllowed.into());
        }
        let argv = template.argv_of(item, paths).ok();
        let argv = argv.filter(|it| !it.is_empty()).ok_or(Step::Command)?;
        let base = self.system.base(&self.session);
        let farm: String = ticket.farm.iter().map(|it| format!("{it:02x}")).collect();
        let of_host = [("TESSERA_FARM".to_owned(), farm)];
        let of_job = template.env.iter().cloned();
        let of_farm = template.farm_env(ticket.key, item, attempt);
        let mut env = Vec::new();
        let all = base.env.into_iter().chain(of_host).chain(of_job);
        for (name, value) in all.chain(of_farm) {
            set::<S>(&mut env, name, value);
        }
        let directory = if template.cwd.is_empty() {
            base.home
        } else {
            template.cwd_here(paths)
        };
        Ok(Program {
            argv,
            env,
            directory,
            nice: *nice,
            template,
        })
    }

    fn find(&self, item: u32, attempt: u32) -> Option<&Attempt<S::Tree>> {
        let mut all = self.attempts.iter();
        all.find(|it| (it.item, it.attempt) == (item, attempt))
    }

    /// Does something with the processes of an attempt; that there is none is fine.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn with(
        &self,
        item: u32,
        attempt: u32,
        what: impl FnOnce(&S::Tree) -> io::Result<()>,
    ) -> io::Result<()> {
        self.find(item, attempt).map_or(Ok(()), |it| what(&it.tree))
    }

    /// Answers how an attempt is. Who can't be counted counts as alive; one that is not there has used nothing.
    pub fn look(&self, item: u32, attempt: u32) -> Look {
        let Some(it) = self.find(item, attempt) else {
            return Look::default();
        };
        let refused = self.system.refused_memory(&self.session);
        Look {
            alive: it.tree.alive().unwrap_or(1),
            used: it.tree.used(),
            is_out_of_memory: refused > it.refused_before,
        }
    }

    /// Ends what is left of an attempt and forgets it; what does not end at once is ended with the instance.
    pub fn forget(&mut self, item: u32, attempt: u32) {
        self.attempts.retain(|it| {
            (it.item, it.attempt) != (item, attempt) || {
                // Who can't be ended is looked for again.
                let _ = it.tree.kill();
                it.tree.alive().unwrap_or(1) > 0
            }
        });
    }

    /// Ends everything, in reverse; answers whether nothing is left, and what could not be taken back, for people.
    pub fn end(&mut self) -> (bool, Vec<String>) {
        if self.is_over {
            return (true, self.left.clone());
        }
        let deadline = Instant::now() + END_TIME;
        while !self.kill_all() {
            if Instant::now() >= deadline {
                let key = self.what.ticket.key;
                let what = format!("processes of launch {key} do not end");
                return (false, vec![what]);
            }
            std::thread::sleep(PAUSE);
        }
        self.attempts.clear();
        self.is_over = true;
        self.left = self.system.end(&mut self.session);
        // What stays is looked at again at the next start.
        let _ = std::fs::remove_file(&self.what.notes);
        (true, self.left.clone())
    }

    /// Ends all that is found; says whether nobody was.
    fn kill_all(&self) -> bool {
        let mut is_clear = true;
        for it in &self.attempts {
            // Who can't be ended is looked for again.
            let _ = it.tree.kill();
            is_clear &= it.tree.alive().unwrap_or(1) == 0;
        }
        is_clear
    }

    /// Answers as whom it runs.
    pub fn account(&self) -> String {
        self.system.account(&self.session)
    }
}

/// Sets a variable; each is there once.
fn set<S: System>(all: &mut Vec<(String, String)>, name: String, value: String) {
    let is_it = |known: &str| match S::IS_CASE_BLIND {
        true => known.eq_ignore_ascii_case(&name),
        false => known == name,
    };
    match all.iter_mut().find(|(known, _)| is_it(known)) {
        Some(known) => known.1 = value,
        None => all.push((name, value)),
    }
}
