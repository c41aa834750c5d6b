//! The launcher: what it is asked on a connection, from a ticket's signature to the end of its instance.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tessera_audit::Audit;
use tessera_ticket::launcher::Capabilities;
use tessera_ticket::pipe::{Answer, Ask};
use tessera_ticket::{LaunchKey, Refusal, SLOT_MAX, Template, Ticket};

use crate::config::{Config, Rules};
use crate::frames::Port;
use crate::held::Held;
use crate::instance::{Instance, Look, What};
use crate::nonces::Nonces;
use crate::notes::noted;
use crate::patience::is_worth_saying;
use crate::records::{Record, Records, Was};
use crate::system::{Chosen, Refused, System, Tree as _, Wanted};

/// The most instances at once, those of which something is left among them.
const INSTANCES_MAX: usize = SLOT_MAX as usize;
/// Where processes are noted, below the launcher's directory.
const LAUNCHES: &str = "launches";
/// What is said of what did not end.
const STILL_RUNS: &str = "something of it still runs";

type Shared<S> = Arc<Mutex<Instance<S>>>;

/// The launcher of a host.
pub struct Launcher<S: System> {
    system: Arc<S>,
    config: Config,
    nonces: Mutex<Nonces>,
    records: Records,
    audit: Mutex<Audit>,
    table: Mutex<Table<S>>,
    /// Told when more is left than was.
    more_left: Condvar,
}

/// What there is of launches, and so which accounts are taken.
struct Table<S: System> {
    alive: BTreeMap<LaunchKey, Alive<S>>,
    /// Of launches that are over.
    held: Held,
}

/// A launch that has begun.
struct Alive<S: System> {
    /// The account that no other launch may have.
    own: Option<String>,
    /// Not there yet while the account is become.
    instance: Option<Shared<S>>,
    /// What is on record of its session.
    record: Option<Record>,
}

impl<S: System> Table<S> {
    /// Says whether a launch is alive that has an account for its own, or something is left of one that had.
    fn is_taken(&self, account: &str) -> bool {
        let is_it = |it: &Alive<S>| it.own.as_deref() == Some(account);
        self.held.has(account) || self.alive.values().any(is_it)
    }
}

/// The instance of a connection.
pub struct Own<S: System> {
    key: LaunchKey,
    instance: Shared<S>,
}

/// What a start is for, when its ticket has been checked.
struct Checked<S: System> {
    ticket: Ticket,
    template: Template,
    rules: Rules<S::Policy>,
    name: S::Name,
}

/// What of a start the worker says.
struct Manner<'a, S: System> {
    nice: u8,
    token: u64,
    peer: &'a S::Peer,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unwritable(error: &io::Error) -> Refusal {
    let errno = error.raw_os_error().unwrap_or(0);
    Refusal::StateUnwritable { errno }
}

impl<S: System> Launcher<S> {
    /// Opens what is kept, and ends and takes back what an earlier launcher has left.
    ///
    /// # Errors
    /// A sentence on what can't be used.
    pub fn new(system: Arc<S>, config: Config) -> Result<Self, String> {
        let dir = &config.dir;
        let failed = |what: &str| {
            let what = format!("{}: {what}", dir.display());
            move |error: io::Error| format!("{what}: {error}")
        };
        std::fs::create_dir_all(dir.join(LAUNCHES)).map_err(failed("launches"))?;
        let nonces = Nonces::open(dir, system.wall_ms()).map_err(failed("nonces"))?;
        let records = Records::open(dir).map_err(failed("logons"))?;
        let audit = Audit::open(dir).map_err(failed("audit.log"))?;
        let launcher = Self {
            nonces: Mutex::new(nonces),
            records,
            audit: Mutex::new(audit),
            table: Mutex::new(Table {
                alive: BTreeMap::new(),
                held: Held::default(),
            }),
            more_left: Condvar::new(),
            system,
            config,
        };
        launcher.end_left().map_err(|error| error.to_string())?;
        launcher.hold_left()?;
        launcher.clear(Instant::now());
        Ok(launcher)
    }

    /// Ends what is noted and still alive; what does not end stays noted.
    fn end_left(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(self.config.dir.join(LAUNCHES))? {
            self.end_noted(&entry?.path())?;
        }
        Ok(())
    }

    /// Says whether nothing of what is noted there is alive any more.
    fn end_noted(&self, path: &Path) -> io::Result<bool> {
        let all = match noted(path) {
            Ok(all) => all,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(error),
        };
        let mut is_gone = true;
        for (pid, born) in all {
            is_gone &= self.system.end_left(pid, born);
        }
        if is_gone {
            std::fs::remove_file(path)?;
        }
        Ok(is_gone)
    }

    fn notes(&self, key: &str) -> PathBuf {
        self.config.dir.join(LAUNCHES).join(key)
    }

    /// Holds what an earlier launcher has left of its sessions: it is due at once, or a little later where something of it just did not end.
    fn hold_left(&self) -> Result<(), String> {
        for (key, was) in self.records.all()? {
            match was {
                Was::Whole(record) if self.notes(&key).exists() => {
                    self.say_left(&key, STILL_RUNS);
                    let held = &mut lock(&self.table).held;
                    held.hold_back(&key, record, Instant::now());
                }
                Was::Whole(record) => {
                    let held = &mut lock(&self.table).held;
                    held.hold(key, record, Instant::now());
                }
                // Cut off in the middle of being written: nothing had begun.
                Was::CutOff => {
                    self.records.strike(&key);
                    self.say_left(&key, "its record was cut off while it was written");
                }
            }
        }
        Ok(())
    }

    /// Tries to take back what is left of launches that are over and due by `now`. What can't be taken back stays on record and its
    /// account taken, and is tried again later.
    pub fn clear(&self, now: Instant) {
        let due = lock(&self.table).held.due_by(now);
        for (key, record) in due {
            match self.clear_one(&key, &record) {
                Ok(()) => {
                    self.records.strike(&key);
                    lock(&self.table).held.free(&key);
                    self.say("cleared", &[("launch", &key)]);
                }
                Err(what) => {
                    let tries = lock(&self.table).held.put_off(&key, Instant::now());
                    if is_worth_saying(tries) {
                        self.say_left(&key, &format!("as {}: {what}", record.account));
                    }
                }
            }
        }
    }

    fn clear_one(&self, key: &str, record: &Record) -> Result<(), String> {
        let notes = self.notes(key);
        match self.end_noted(&notes) {
            Ok(true) => self.system.take_back(record),
            Ok(false) => Err(STILL_RUNS.to_owned()),
            Err(error) => Err(format!("{}: {error}", notes.display())),
        }
    }

    /// Takes back what is left, as soon as it can be, for as long as the process lives.
    pub fn keep_clearing(&self) -> ! {
        loop {
            self.clear(Instant::now());
            let table = lock(&self.table);
            let due = table.held.due();
            let pause = due.map(|due| due.saturating_duration_since(Instant::now()));
            // Woken too early it finds that nothing is due.
            drop(match pause {
                None => self.more_left.wait(table).ok(),
                Some(pause) => {
                    let waited = self.more_left.wait_timeout(table, pause);
                    waited.ok().map(|(table, _)| table)
                }
            });
        }
    }

    /// Puts something that happened on record. It has happened, whether or not that can be written.
    fn say(&self, event: &str, fields: &[(&str, &str)]) {
        let now = self.system.wall_ms();
        let mut audit = lock(&self.audit);
        audit.add(now, event, fields);
        let _ = audit.flush(now);
    }

    /// Puts on record what was asked for and not done.
    fn say_refused(&self, fields: &[(&str, &str)]) {
        let now = self.system.wall_ms();
        let mut audit = lock(&self.audit);
        audit.add_asked(now, "refused", fields);
        let _ = audit.settle(now);
    }

    fn say_left(&self, key: &str, problems: &str) {
        self.say("left", &[("launch", key), ("problems", problems)]);
    }

    /// Answers a connection until it closes; then its instance is ended.
    pub fn converse(&self, port: &mut impl Port<S>, peer: &S::Peer) {
        let mut own = None;
        // Whatever goes wrong with the connection is its end.
        while let Ok(Some(ask)) = port.hear() {
            let (answer, given) = self.answer(ask, &mut own, peer);
            if port.tell(&answer, given.as_ref()).is_err() {
                break;
            }
        }
        if let Some(own) = own {
            self.end(&own);
        }
    }

    /// Answers a question; what the worker is given beside the answer to [`Ask::Run`] comes with it.
    pub fn answer(
        &self,
        ask: Ask,
        own: &mut Option<Own<S>>,
        peer: &S::Peer,
    ) -> (Answer, Option<S::Given>) {
        let answer = match ask {
            Ask::Capabilities => Answer::Capabilities(self.capabilities()),
            Ask::Start {
                ticket,
                signature,
                template,
                nice,
                token,
            } => {
                let manner = Manner { nice, token, peer };
                self.begin((&ticket, &signature, &template), &manner, own)
            }
            Ask::Gone { key } => match self.gone(key) {
                Ok(()) => Answer::Done,
                Err(refusal) => self.refused(&refusal, None),
            },
            Ask::Run { .. }
            | Ask::End { .. }
            | Ask::Kill { .. }
            | Ask::Suspend { .. }
            | Ask::Look { .. }
            | Ask::Forget { .. } => match own {
                Some(own) => return self.of_instance(&ask, &own.instance, peer),
                None => self.refused(&Refusal::Busy, None),
            },
        };
        (answer, None)
    }

    fn begin(
        &self,
        signed: (&[u8], &[u8; 64], &[u8]),
        manner: &Manner<'_, S>,
        own: &mut Option<Own<S>>,
    ) -> Answer {
        if own.is_some() {
            return self.refused(&Refusal::Busy, None);
        }
        let checked = match self.check(signed) {
            Ok(checked) => checked,
            Err((refusal, ticket)) => return self.refused(&refusal, ticket.as_deref()),
        };
        let key = checked.ticket.key;
        let named = checked.ticket.clone();
        match self.start(checked, manner) {
            Ok(instance) => {
                let account = lock(&instance).account();
                *own = Some(Own { key, instance });
                Answer::Started { account }
            }
            Err(Refused { refusal, left }) => {
                self.remove(key, &left);
                if !left.is_empty() {
                    self.say_left(&key.to_string(), &left.join("; "));
                }
                self.refused(&refusal, Some(&named))
            }
        }
    }

    fn of_instance(
        &self,
        ask: &Ask,
        instance: &Shared<S>,
        peer: &S::Peer,
    ) -> (Answer, Option<S::Given>) {
        let mut instance = lock(instance);
        let done = |result: io::Result<()>| match result {
            Ok(()) => Answer::Done,
            Err(error) => self.refused(&unwritable(&error), None),
        };
        let answer = match *ask {
            Ask::Run { item, attempt } => match instance.run(item, attempt, peer) {
                Ok(((pid, born), given)) => {
                    let [process, out, err] = S::numbers(&given);
                    let running = Answer::Running {
                        pid,
                        born,
                        process,
                        out,
                        err,
                    };
                    return (running, Some(given));
                }
                Err(failed) => Answer::NotStarted {
                    step: failed.step,
                    errno: failed.errno,
                },
            },
            Ask::End { item, attempt } => done(instance.with(item, attempt, |it| it.ask_to_end())),
            Ask::Kill { item, attempt } => done(instance.with(item, attempt, |it| it.kill())),
            Ask::Suspend { item, attempt, is } => {
                done(instance.with(item, attempt, |it| it.set_suspended(is)))
            }
            Ask::Look { item, attempt } => {
                let Look {
                    alive,
                    used,
                    is_out_of_memory,
                } = instance.look(item, attempt);
                Answer::State {
                    alive,
                    user_us: used.user_us,
                    system_us: used.system_us,
                    memory_max: used.memory_max,
                    is_out_of_memory,
                }
            }
            Ask::Forget { item, attempt } => {
                instance.forget(item, attempt);
                Answer::Done
            }
            // The caller has answered these.
            Ask::Capabilities | Ask::Start { .. } | Ask::Gone { .. } => Answer::Done,
        };
        (answer, None)
    }

    /// Checks everything about a start that needs no account.
    fn check(
        &self,
        (ticket, signature, template): (&[u8], &[u8; 64], &[u8]),
    ) -> Result<Checked<S>, (Refusal, Option<Box<Ticket>>)> {
        let rules = self.config.rules::<S>().map_err(|it| (it, None))?;
        let ticket = Ticket::verify(ticket, signature, &rules.keys);
        let ticket = ticket.map_err(|error| (Refusal::from(&error), None))?;
        match self.check_ticket(&ticket, template, &rules) {
            Ok((template, name)) => Ok(Checked {
                ticket,
                template,
                rules,
                name,
            }),
            Err(refusal) => Err((refusal, Some(Box::new(ticket)))),
        }
    }

    fn check_ticket(
        &self,
        ticket: &Ticket,
        template: &[u8],
        rules: &Rules<S::Policy>,
    ) -> Result<(Template, S::Name), Refusal> {
        if ticket.farm != self.config.farm {
            return Err(Refusal::TicketNotForThisFarm);
        }
        if ticket.host != self.config.host {
            return Err(Refusal::TicketNotForThisHost);
        }
        let now = self.system.wall_ms();
        ticket.check_times(now)?;
        lock(&self.nonces).check(ticket)?;
        let asked = self.system.asked(ticket, &rules.policy)?;
        let template = ticket.check_template(template)?;
        // From here on the ticket is used up, whatever comes of it.
        let name = self.take(ticket, now, asked)?;
        Ok((template, name))
    }

    /// Uses a ticket up: its nonce is durable, nothing of its launch is alive, and an account of the launcher's choice is its own.
    fn take(&self, ticket: &Ticket, now: u64, asked: S::Asked) -> Result<S::Name, Refusal> {
        let mut table = lock(&self.table);
        let all = table.alive.len() + table.held.made();
        if table.alive.contains_key(&ticket.key) || all >= INSTANCES_MAX {
            return Err(Refusal::Busy);
        }
        let is_taken = |account: &str| table.is_taken(account);
        let Chosen { name, own } = self.system.choose(asked, &is_taken)?;
        lock(&self.nonces).take(ticket, now)?;
        let begun = Alive {
            own,
            instance: None,
            record: None,
        };
        table.alive.insert(ticket.key, begun);
        Ok(name)
    }

    /// Forgets a launch that is over. Where something of it could not be taken back, its account stays taken and that is tried again.
    fn remove(&self, key: LaunchKey, problems: &[String]) {
        let mut table = lock(&self.table);
        let Some(record) = table.alive.remove(&key).and_then(|it| it.record) else {
            return;
        };
        let key = key.to_string();
        if problems.is_empty() {
            self.records.strike(&key);
        } else {
            table.held.hold_back(&key, record, Instant::now());
            self.more_left.notify_all();
        }
    }

    /// Has the account become. What is to happen is on record before.
    fn start(&self, checked: Checked<S>, manner: &Manner<'_, S>) -> Result<Shared<S>, Refused> {
        let Checked {
            ticket,
            template,
            rules: Rules { policy, .. },
            name,
        } = checked;
        let who = self.system.who(name, ticket.mode, &policy)?;
        self.say_start(&ticket, &who)?;
        let key = ticket.key.to_string();
        let started = self.start_on_record((ticket, template, policy), who, manner);
        started.inspect_err(|it| {
            // The record says that it starts.
            self.say("failed", &[("launch", &key), ("code", it.refusal.code())]);
        })
    }

    fn start_on_record(
        &self,
        (ticket, template, policy): (Ticket, Template, S::Policy),
        who: S::Who,
        manner: &Manner<'_, S>,
    ) -> Result<Shared<S>, Refused> {
        let key = ticket.key;
        let wanted = Wanted {
            key,
            ticket: &ticket,
            policy: &policy,
            private: S::tmp(&policy, &self.config.state).join(key.to_string()),
            token: manner.token,
            peer: manner.peer,
        };
        let record = self.system.record(&who, &wanted);
        let recorded = self.records.add(&key.to_string(), &record);
        recorded.map_err(|error| unwritable(&error))?;
        if let Some(alive) = lock(&self.table).alive.get_mut(&key) {
            alive.record = Some(record);
        }
        let session = self.system.begin(who, &wanted)?;
        let what = What {
            nice: manner.nice,
            paths: S::paths(&policy).clone(),
            notes: self.notes(&key.to_string()),
            ticket,
            template,
        };
        let instance = Instance::new(&self.system, session, what);
        let instance = Arc::new(Mutex::new(instance));
        if let Some(alive) = lock(&self.table).alive.get_mut(&key) {
            alive.instance = Some(Arc::clone(&instance));
        }
        Ok(instance)
    }

    fn say_start(&self, ticket: &Ticket, who: &S::Who) -> Result<(), Refusal> {
        let mut fields = vec![
            ("launch", ticket.key.to_string()),
            ("principal", ticket.principal.clone()),
            ("proven", ticket.proven.clone()),
            ("mode", ticket.mode.name().to_owned()),
        ];
        fields.extend(self.system.in_words(who));
        fields.push(("template", ticket.template.to_string()));
        let fields = fields.iter().map(|(name, value)| (*name, value.as_str()));
        let fields: Vec<(&str, &str)> = fields.collect();
        let now = self.system.wall_ms();
        let mut audit = lock(&self.audit);
        audit.add(now, "start", &fields);
        audit.flush(now).map_err(|error| unwritable(&error))
    }

    /// Ends the instance of a connection; what does not end stays known, and is not vouched for.
    pub fn end(&self, own: &Own<S>) {
        let (is_over, problems) = lock(&own.instance).end();
        if is_over {
            self.remove(own.key, &problems);
        }
        let (key, said) = (own.key.to_string(), problems.join("; "));
        self.say("end", &[("launch", &key), ("problems", &said)]);
    }

    /// Returns when nothing of a launch is alive, and none of it starts again.
    fn gone(&self, key: LaunchKey) -> Result<(), Refusal> {
        lock(&self.nonces).bar(key, self.system.wall_ms())?;
        let table = lock(&self.table);
        let known = table.alive.get(&key).map(|it| it.instance.clone());
        drop(table);
        match known {
            Some(Some(instance)) => {
                let (is_over, problems) = lock(&instance).end();
                if !is_over {
                    return Err(Refusal::Busy);
                }
                self.remove(key, &problems);
            }
            // Its account is being become. Nothing can be said of it before that is over.
            Some(None) => return Err(Refusal::Busy),
            None => {}
        }
        match self.end_noted(&self.notes(&key.to_string())) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::Busy),
            Err(error) => Err(unwritable(&error)),
        }
    }

    /// Ends everything; for the end of the launcher.
    pub fn end_all(&self) {
        let table = lock(&self.table);
        let all: Vec<(LaunchKey, Shared<S>)> = table
            .alive
            .iter()
            .filter_map(|(key, it)| Some((*key, it.instance.clone()?)))
            .collect();
        drop(table);
        for (key, instance) in all {
            let (is_over, problems) = lock(&instance).end();
            if is_over {
                self.remove(key, &problems);
            }
        }
    }

    fn refused(&self, refusal: &Refusal, ticket: Option<&Ticket>) -> Answer {
        let what = ticket.map_or_else(
            || "an instance".to_owned(),
            |it| format!("{}.{}", it.key.job, it.key.instance),
        );
        let account = ticket.map_or("unknown", |it| it.account.as_str());
        let principal = ticket.map_or("", |it| it.principal.as_str());
        let text = refusal.sentence(&self.system.host(), &what, account);
        let fields = [
            ("launch", what.as_str()),
            ("principal", principal),
            ("account", account),
            ("code", refusal.code()),
            ("text", &text),
        ];
        self.say_refused(&fields);
        Answer::Refused {
            code: refusal.code().to_owned(),
            text,
            hint: refusal.hint().to_owned(),
        }
    }

    /// Says what this host can do.
    pub fn capabilities(&self) -> Capabilities {
        capabilities_of(&*self.system, &self.config)
    }
}

/// Says what a host with these rules can do.
pub fn capabilities_of<S: System>(system: &S, config: &Config) -> Capabilities {
    let what = match config.rules::<S>() {
        Ok(rules) => system.capabilities(&rules.policy),
        Err(refusal) => Capabilities {
            proxy_problem: refusal.reason_and_hint(),
            ..Capabilities::default()
        },
    };
    Capabilities {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..what
    }
}
