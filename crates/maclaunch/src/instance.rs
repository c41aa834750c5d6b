//! An instance: an account, its private directory, and the attempts that run as it. It runs what the template says, and nothing
//! else.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tessera_rules::account::{Account, base_env};
use tessera_rules::policy::Policy;
use tessera_ticket::{PathMap, Step, Template, Ticket};

use crate::order::{Failed, Order};
use crate::os::{Begun, Os, Tree as _, Used};

/// The most attempts of an instance at once.
const ATTEMPTS_MAX: usize = 8;
/// How long what is left may take to end.
const END_TIME: Duration = Duration::from_secs(20);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(5);
/// The language of who says none: macOS has no `C.UTF-8` of old.
const LANG: &str = "en_US.UTF-8";

/// What an instance is.
pub struct Instance<O: Os> {
    os: Arc<O>,
    account: Account,
    ticket: Ticket,
    template: Template,
    nice: u8,
    path: String,
    paths: PathMap,
    /// The private directory.
    private: PathBuf,
    /// Where its processes are noted.
    notes: PathBuf,
    attempts: Vec<(u32, u32, O::Tree)>,
    is_over: bool,
}

/// What an instance is made of.
#[derive(Debug)]
pub struct Parts {
    /// As whom.
    pub account: Account,
    /// Its ticket, checked.
    pub ticket: Ticket,
    /// What runs.
    pub template: Template,
    /// 0 to 19; more is less.
    pub nice: u8,
    /// Its private directory, which is made.
    pub private: PathBuf,
    /// Where its processes are noted.
    pub notes: PathBuf,
}

impl<O: Os> Instance<O> {
    /// Makes one, and its private directory.
    ///
    /// # Errors
    /// When that can't be made.
    pub fn new(os: &Arc<O>, parts: Parts, policy: &Policy) -> io::Result<Self> {
        let Parts {
            account,
            ticket,
            template,
            nice,
            private,
            notes,
        } = parts;
        os.make_private(&private, &account)?;
        Ok(Self {
            os: Arc::clone(os),
            account,
            ticket,
            template,
            nice,
            path: policy.path.clone(),
            paths: policy.paths.clone(),
            private,
            notes,
            attempts: Vec::new(),
            is_over: false,
        })
    }

    /// Runs an item; answers its main process, and what the worker is given.
    ///
    /// # Errors
    /// Where it failed; then it has not run.
    pub fn run(&mut self, item: u32, attempt: u32) -> Result<((u32, u64), O::Given), Failed> {
        let failed = |step| Failed { step, errno: 0 };
        if self.is_over {
            return Err(failed(Step::StarterLost));
        }
        if self.attempts.len() >= ATTEMPTS_MAX || self.find(item, attempt).is_some() {
            return Err(failed(Step::Busy));
        }
        let order = self.order(item, attempt)?;
        let notes = self.notes.clone();
        let note = |pid: u32, born: u64| note(&notes, pid, born);
        let begun = self.os.start(&order, &self.template, self.nice, &note)?;
        let Begun { tree, given } = begun;
        let main = tree.main();
        self.attempts.push((item, attempt, tree));
        Ok((main, given))
    }

    /// Answers the order of an item, by the rule of the template.
    fn order(&self, item: u32, attempt: u32) -> Result<Order, Failed> {
        let failed = |step| Failed { step, errno: 0 };
        if !self.ticket.allows(item) {
            return Err(failed(Step::NotAllowed));
        }
        let argv = self.template.argv_of(item, &self.paths);
        let argv = argv.ok().filter(|it| !it.is_empty());
        let argv = argv.ok_or(failed(Step::Command))?;
        let private = self.private.to_string_lossy();
        let mut env: Vec<(String, String)> = Vec::new();
        let base = base_env(&self.account, &self.path, Some(&private));
        let base = base.iter().filter_map(|it| {
            let (name, value) = it.to_str().ok()?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        });
        let farm: String = self
            .ticket
            .farm
            .iter()
            .map(|it| format!("{it:02x}"))
            .collect();
        let own = [
            ("LANG".to_owned(), LANG.to_owned()),
            ("TESSERA_FARM".to_owned(), farm),
        ];
        let of_job = self.template.env.iter().cloned();
        let of_farm = self.template.farm_env(self.ticket.key, item, attempt);
        for (name, value) in base.chain(own).chain(of_job).chain(of_farm) {
            match env.iter_mut().find(|(known, _)| *known == name) {
                Some(known) => known.1 = value,
                None => env.push((name, value)),
            }
        }
        let directory = if self.template.cwd.is_empty() {
            self.account.home.clone()
        } else {
            self.template.cwd_here(&self.paths)
        };
        Ok(Order {
            name: self.account.name.clone(),
            uid: self.account.identity.uid,
            gid: self.account.identity.gid,
            directory,
            argv,
            env,
        })
    }

    fn find(&self, item: u32, attempt: u32) -> Option<&O::Tree> {
        let mut all = self.attempts.iter();
        let found = all.find(|it| (it.0, it.1) == (item, attempt));
        found.map(|(_, _, tree)| tree)
    }

    /// Does something with an attempt; that there is none is fine.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn with(
        &self,
        item: u32,
        attempt: u32,
        what: impl FnOnce(&O::Tree) -> io::Result<()>,
    ) -> io::Result<()> {
        self.find(item, attempt).map_or(Ok(()), what)
    }

    /// Answers how many processes of an attempt are alive and what it has used. Who can't be counted counts as alive.
    pub fn look(&self, item: u32, attempt: u32) -> (u32, Used) {
        let found = self.find(item, attempt);
        found.map_or((0, Used::default()), |it| {
            (it.alive().unwrap_or(1), it.used())
        })
    }

    /// Forgets an attempt of which nothing is left; else it is ended with the instance.
    pub fn forget(&mut self, item: u32, attempt: u32) {
        self.attempts.retain(|(known, number, tree)| {
            (*known, *number) != (item, attempt) || tree.alive().unwrap_or(1) > 0
        });
    }

    /// Ends everything; answers whether nothing is left, and what could not be taken back, for people.
    pub fn end(&mut self) -> (bool, Vec<String>) {
        if self.is_over {
            return (true, Vec::new());
        }
        let deadline = Instant::now() + END_TIME;
        while !self.kill_all() {
            if Instant::now() >= deadline {
                let what = format!("processes of launch {} do not end", self.ticket.key);
                return (false, vec![what]);
            }
            std::thread::sleep(PAUSE);
        }
        self.attempts.clear();
        self.is_over = true;
        let removed = self.os.remove_private(&self.private, &self.account);
        // What stays is looked at again at the next start.
        let _ = std::fs::remove_file(&self.notes);
        let problem = removed.err().map(|error| {
            let path = self.private.display();
            format!("private directory {path}: {error}")
        });
        (true, problem.into_iter().collect())
    }

    /// Ends whom a walk finds; says whether it found nobody.
    fn kill_all(&self) -> bool {
        let mut is_clear = true;
        for (_, _, tree) in &self.attempts {
            // Who can't be ended is looked for again.
            let _ = tree.kill();
            is_clear &= tree.alive().unwrap_or(1) == 0;
        }
        is_clear
    }

    /// Answers the name of the account that it runs as.
    pub fn account(&self) -> String {
        self.account.name.clone()
    }
}

/// Notes a process, durably: it has not run yet.
fn note(path: &Path, pid: u32, born: u64) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.append(true).create(true).open(path)?;
    writeln!(file, "{pid} {born}")?;
    file.sync_data()
}

/// Reads what was noted: numbers and births.
///
/// # Errors
/// When the file can't be read.
pub fn noted(path: &Path) -> io::Result<Vec<(u32, u64)>> {
    let text = std::fs::read_to_string(path)?;
    let pairs = text.lines().filter_map(|line| {
        let (pid, born) = line.split_once(' ')?;
        Some((pid.parse().ok()?, born.parse().ok()?))
    });
    Ok(pairs.collect())
}
