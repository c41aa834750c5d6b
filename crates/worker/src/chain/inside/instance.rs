//! One instance: its attempts in order, until it is told to close or the worker ends.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use tessera_ticket::shepherd::ITEMS_MAX;
use tessera_ticket::{EndCause, EndKind, PathMap, Step, Template, Ticket};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::attempt::{Attempt, Files, News, refuse};
use super::{Failed, Program, System};
use crate::chain::{RunItem, ShepherdEvent};

/// Orders that may wait; an instance has few at a time.
const WAITING_MAX: usize = 64;

/// What an instance is told.
#[derive(Debug)]
pub(crate) enum Order {
    Run(RunItem, Files),
    End {
        item: u32,
        attempt: u32,
        grace: Duration,
        cause: EndCause,
    },
    SetSuspended(bool),
    Close,
}

/// What an instance is and what its items have in common.
pub(crate) struct Instance<S: System> {
    pub(crate) system: S,
    pub(crate) ticket: Ticket,
    pub(crate) template: Template,
    /// The variables that every item starts from.
    pub(crate) env: Vec<(String, String)>,
    /// The working directory where the job names none.
    pub(crate) home: String,
    /// 0 to 19; more is less.
    pub(crate) nice: u8,
    /// How paths of other systems are called here.
    pub(crate) paths: PathMap,
    /// The private directory, removed with all that is in it at the end, if there is one of this worker's.
    pub(crate) tmp: Option<PathBuf>,
    /// Where it is noted who the main processes are.
    pub(crate) processes: PathBuf,
}

/// The way to an instance and what it says.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) events: UnboundedReceiver<ShepherdEvent>,
}

impl<S: System> Instance<S> {
    /// Begins it. When nobody can tell it anything any more all that it runs is ended, and nothing is recorded: the worker
    /// has ended, and the next one finds its items lost. `over` is dropped when nothing of it is left.
    pub(crate) fn begin(self, over: watch::Sender<()>) -> Handle {
        let (orders, inbox) = mpsc::channel(WAITING_MAX);
        let (said, events) = mpsc::unbounded_channel();
        let (news, heard) = mpsc::unbounded_channel();
        let running = Running {
            what: self,
            said,
            news,
            next_id: 0,
            attempts: Vec::new(),
            held: VecDeque::new(),
            is_suspended: false,
            is_closing: false,
        };
        tokio::spawn(async move {
            running.serve(inbox, heard).await;
            drop(over);
        });
        Handle { orders, events }
    }

    fn program(&self, run: &RunItem) -> Result<Program, Failed> {
        let failed = |step| Failed { step, errno: 0 };
        if !self.ticket.allows(run.item) {
            return Err(failed(Step::NotAllowed));
        }
        let argv = self.template.argv_of(run.item, &self.paths);
        let argv = argv.ok().filter(|it| !it.is_empty());
        let argv = argv.ok_or_else(|| failed(Step::Command))?;
        let mut env = Variables(self.env.clone());
        for (name, value) in &self.template.env {
            env.set(name, value);
        }
        for (name, value) in self
            .template
            .farm_env(self.ticket.key, run.item, run.attempt)
        {
            env.set(&name, &value);
        }
        let cwd = if self.template.cwd.is_empty() {
            self.home.clone()
        } else {
            self.template.cwd_here(&self.paths)
        };
        Ok(Program {
            run: (run.item, run.attempt),
            argv,
            env: env.0,
            cwd,
            nice: self.nice,
        })
    }
}

/// Variables, each once. Names that differ in case only are the same on Windows.
struct Variables(Vec<(String, String)>);

impl Variables {
    fn set(&mut self, name: &str, value: &str) {
        let is_same = |known: &str| {
            if cfg!(windows) {
                known.eq_ignore_ascii_case(name)
            } else {
                known == name
            }
        };
        match self.0.iter_mut().find(|(known, _)| is_same(known)) {
            Some(known) => value.clone_into(&mut known.1),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
    }
}

struct Running<S: System> {
    what: Instance<S>,
    said: UnboundedSender<ShepherdEvent>,
    news: UnboundedSender<News>,
    next_id: u64,
    attempts: Vec<Attempt<S::Tree>>,
    /// What begins when nothing is left of the items before it.
    held: VecDeque<(RunItem, Files)>,
    is_suspended: bool,
    is_closing: bool,
}

impl<S: System> Running<S> {
    async fn serve(mut self, mut inbox: mpsc::Receiver<Order>, mut heard: UnboundedReceiver<News>) {
        loop {
            let deadline = self.attempts.iter().filter_map(Attempt::deadline).min();
            tokio::select! {
                order = inbox.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => return self.abandon(heard).await,
                },
                Some(news) = heard.recv() => self.hear(news),
                () = until(deadline) => {}
            }
            if !self.look().await {
                return self.abandon(heard).await;
            }
            if self.is_closing && self.attempts.is_empty() {
                self.clear();
                self.say(ShepherdEvent::Closing);
                return;
            }
        }
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Run(run, files) => self.run(run, files).await,
            Order::End {
                item,
                attempt,
                grace,
                cause,
            } => self.end(item, attempt, grace, cause),
            Order::SetSuspended(is) => {
                self.is_suspended = is;
                self.attempts.iter().for_each(|it| it.set_suspended(is));
                let event = if is {
                    ShepherdEvent::Suspended
                } else {
                    ShepherdEvent::Resumed
                };
                self.say(event);
            }
            Order::Close => {
                self.is_closing = true;
                for (run, files) in std::mem::take(&mut self.held) {
                    self.refuse(&run, files, Step::Cancelled);
                }
                for it in &mut self.attempts {
                    it.end(EndCause::Close, Duration::ZERO);
                }
            }
        }
    }

    async fn run(&mut self, run: RunItem, files: Files) {
        if self.is_closing {
            self.refuse(&run, files, Step::Cancelled);
        } else if self.attempts.len() + self.held.len() >= ITEMS_MAX {
            self.refuse(&run, files, Step::Busy);
        } else if self.is_suspended || run.next && !self.attempts.is_empty() {
            self.held.push_back((run, files));
        } else {
            self.begin(run, files).await;
        }
    }

    async fn begin(&mut self, run: RunItem, files: Files) {
        let program = match self.what.program(&run) {
            Ok(program) => program,
            Err(failed) => return self.refuse_as(&run, files, failed),
        };
        let system = self.what.system.clone();
        let started = tokio::task::spawn_blocking(move || system.start(&program)).await;
        let begun = match started {
            Ok(Ok(begun)) => begun,
            Ok(Err(failed)) => return self.refuse_as(&run, files, failed),
            Err(_) => return self.refuse(&run, files, Step::Prepare),
        };
        let id = self.next_id;
        self.next_id += 1;
        let attempt = Attempt::new(id, run, files, begun, &self.news);
        let (pid, born) = attempt.main();
        self.note(pid, born);
        self.attempts.push(attempt);
        self.say(ShepherdEvent::ItemStarted {
            item: run.item,
            attempt: run.attempt,
            pid,
        });
    }

    /// Notes a main process, so that a later worker can see that it is gone.
    fn note(&self, pid: u32, born: u64) {
        use std::io::Write as _;
        let mut options = crate::os::to_write();
        let opened = options.append(true).create(true).open(&self.what.processes);
        if let Err(error) = opened.and_then(|mut it| writeln!(it, "{pid} {born}")) {
            tracing::warn!(path = %self.what.processes.display(), %error, "a process could not be noted");
        }
    }

    fn end(&mut self, item: u32, attempt: u32, grace: Duration, cause: EndCause) {
        if let Some(it) = self.attempts.iter_mut().find(|it| it.is(item, attempt)) {
            return it.end(cause, grace);
        }
        let held = self
            .held
            .iter()
            .position(|(run, _)| (run.item, run.attempt) == (item, attempt));
        if let Some((run, files)) = held.and_then(|at| self.held.remove(at)) {
            self.refuse(&run, files, Step::Cancelled);
        }
    }

    fn hear(&mut self, news: News) {
        let (News::Ended(id, _) | News::Drained(id)) = news;
        if let Some(it) = self.attempts.iter_mut().find(|it| it.id == id) {
            it.hear(news);
        }
    }

    /// Finishes what is over and begins what waited for it; says whether the instance goes on.
    async fn look(&mut self) -> bool {
        let now = Instant::now();
        let over: Vec<u64> = self
            .attempts
            .iter_mut()
            .filter_map(|it| it.look(now).then_some(it.id))
            .collect();
        if !over.is_empty() && self.is_lost().await {
            return false;
        }
        let over: Vec<_> = self
            .attempts
            .extract_if(.., |it| over.contains(&it.id))
            .collect();
        for it in over {
            let record = it.finish();
            self.say(told(record));
        }
        while self.attempts.is_empty() && !self.is_suspended {
            let Some((run, files)) = self.held.pop_front() else {
                return true;
            };
            self.begin(run, files).await;
        }
        true
    }

    async fn is_lost(&self) -> bool {
        let system = self.what.system.clone();
        let asked = tokio::task::spawn_blocking(move || system.is_lost()).await;
        asked.unwrap_or(false)
    }

    fn refuse(&self, run: &RunItem, files: Files, step: Step) {
        self.refuse_as(run, files, Failed { step, errno: 0 });
    }

    fn refuse_as(&self, run: &RunItem, files: Files, failed: Failed) {
        self.say(told(refuse(run, files, failed)));
    }

    fn say(&self, event: ShepherdEvent) {
        // Nobody listens when the worker ends. There are at most a few events for each order, which are bounded.
        let _ = self.said.send(event);
    }

    /// Ends everything without a word.
    async fn abandon(mut self, mut heard: UnboundedReceiver<News>) {
        for it in &mut self.attempts {
            it.end(EndCause::Other, Duration::ZERO);
        }
        loop {
            let now = Instant::now();
            self.attempts.retain_mut(|it| !it.look(now));
            if self.attempts.is_empty() {
                return self.clear();
            }
            let deadline = self.attempts.iter().filter_map(Attempt::deadline).min();
            tokio::select! {
                Some(news) = heard.recv() => self.hear(news),
                () = until(deadline) => {}
            }
        }
    }

    fn clear(&self) {
        let Some(tmp) = &self.what.tmp else { return };
        if let Err(error) = std::fs::remove_dir_all(tmp)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %tmp.display(), %error, "a private directory could not be removed");
        }
    }
}

fn told(record: tessera_ticket::ExitRecord) -> ShepherdEvent {
    match record.kind {
        EndKind::NotStarted { step, errno } => ShepherdEvent::ItemNotStarted {
            item: record.item,
            attempt: record.attempt,
            step,
            errno,
        },
        EndKind::Exited { .. } | EndKind::Signalled { .. } => ShepherdEvent::ItemEnded(record),
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
