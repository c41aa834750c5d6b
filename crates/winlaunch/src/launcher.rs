//! The launcher: what it is asked on a connection, from a ticket's signature to the end of its instance.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tessera_ticket::launcher::Capabilities;
use tessera_ticket::pipe::{Answer, Ask};
use tessera_ticket::{
    AccountName, KernelLimits, LaunchKey, Mode, ProxyAccount, Refusal, SLOT_MAX, Template, Ticket,
};
use tessera_windows::limits::Limits;

use crate::audit::Audit;
use crate::config::{Config, Rules};
use crate::frames::{hear, tell};
use crate::held::Held;
use crate::instance::{Instance, Look, Manner, noted};
use crate::left::{Record, Records, Was, take_back};
use crate::name::{Authority, Name};
use crate::nonces::Nonces;
use crate::os::Os;
use crate::patience::is_worth_saying;
use crate::policy::Logon;
use crate::session::{Refused, Session, Wanted};

/// The most instances at once.
const INSTANCES_MAX: usize = SLOT_MAX as usize;
/// Where processes are noted, below the launcher's directory.
const LAUNCHES: &str = "launches";

type Shared<O> = Arc<Mutex<Instance<O>>>;

/// The launcher of a host.
pub struct Launcher<O: Os> {
    os: Arc<O>,
    config: Config,
    nonces: Mutex<Nonces>,
    records: Records,
    audit: Mutex<Audit>,
    /// Held by the one that logs on or off.
    logons: Mutex<()>,
    table: Mutex<Table<O>>,
    /// Told when more is left than was.
    more_left: Condvar,
}

/// What there is of launches, and so which accounts of slots are taken.
struct Table<O: Os> {
    alive: BTreeMap<LaunchKey, Alive<O>>,
    /// Of launches that are over.
    held: Held,
}

/// What a start is for, when its ticket has been checked.
struct Checked {
    ticket: Ticket,
    template: Template,
    rules: Rules,
    name: Name,
}

/// Whom a ticket asks for.
enum Whom<'a> {
    Named(Name),
    /// Any account of these that nobody has.
    Slot(&'a ProxyAccount, &'a Authority),
}

/// A launch that has begun.
struct Alive<O: Os> {
    /// The account of a slot that is its own.
    account: Option<String>,
    /// Not there yet while it is logged on.
    instance: Option<Shared<O>>,
    /// What is on record of its logon.
    record: Option<Record>,
}

impl<O: Os> Table<O> {
    /// Answers the first account of a slot of which no launch is alive, and of whose launches nothing is left.
    fn free_account(&self, proxy: &ProxyAccount) -> Option<AccountName> {
        let is_taken = |name: &AccountName| {
            let is_it = |it: &Alive<O>| it.account.as_deref() == Some(name.as_str());
            self.held.has(name.as_str()) || self.alive.values().any(is_it)
        };
        let mut all = (1..=SLOT_MAX).filter_map(|slot| proxy.of_slot(slot));
        all.find(|name| !is_taken(name))
    }
}

/// The instance of a connection.
struct Own<O: Os> {
    key: LaunchKey,
    instance: Shared<O>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unwritable(error: &io::Error) -> Refusal {
    let errno = error.raw_os_error().unwrap_or(0);
    Refusal::StateUnwritable { errno }
}

impl<O: Os> Launcher<O> {
    /// Opens what is kept, and ends what an earlier launcher has left.
    ///
    /// # Errors
    /// A sentence on what can't be used.
    pub fn new(os: Arc<O>, config: Config) -> Result<Self, String> {
        let dir = &config.dir;
        let failed = |what: &str| {
            let what = format!("{}: {what}", dir.display());
            move |error: io::Error| format!("{what}: {error}")
        };
        std::fs::create_dir_all(dir.join(LAUNCHES)).map_err(failed("launches"))?;
        let nonces = Nonces::open(dir, os.wall_ms()).map_err(failed("nonces"))?;
        let records = Records::open(dir).map_err(failed("logons"))?;
        let audit = Audit::open(dir).map_err(failed("audit.log"))?;
        let launcher = Self {
            nonces: Mutex::new(nonces),
            records,
            audit: Mutex::new(audit),
            logons: Mutex::new(()),
            table: Mutex::new(Table {
                alive: BTreeMap::new(),
                held: Held::default(),
            }),
            more_left: Condvar::new(),
            os,
            config,
        };
        launcher.end_left().map_err(|error| error.to_string())?;
        launcher.hold_left()?;
        launcher.clear(Instant::now());
        Ok(launcher)
    }

    /// Holds what an earlier launcher has left of its logons: it is tried at once to take it back.
    fn hold_left(&self) -> Result<(), String> {
        for (key, was) in self.records.all()? {
            match was {
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
                        self.say_left(&key, &format!("as {}: {what}", record.name));
                    }
                }
            }
        }
    }

    fn clear_one(&self, key: &str, record: &Record) -> Result<(), String> {
        let notes = self.config.dir.join(LAUNCHES).join(key);
        match self.end_noted(&notes) {
            Ok(true) => {}
            Ok(false) => return Err("something of it still runs".to_owned()),
            Err(error) => return Err(format!("{}: {error}", notes.display())),
        }
        let _one = lock(&self.logons);
        take_back(&self.os, record)
    }

    /// Takes back what is left, as soon as it can be, for as long as the process lives.
    pub fn keep_clearing(&self) -> ! {
        loop {
            self.clear(Instant::now());
            let table = lock(&self.table);
            let pause = table
                .held
                .due()
                .map(|due| due.saturating_duration_since(Instant::now()));
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
        let _ = lock(&self.audit).add(self.os.wall_ms(), event, fields);
    }

    fn say_left(&self, key: &str, problems: &str) {
        self.say("left", &[("launch", key), ("problems", problems)]);
    }

    /// Ends what is noted and still alive; what does not end stays noted.
    fn end_left(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(self.config.dir.join(LAUNCHES))? {
            self.end_noted(&entry?.path())?;
        }
        Ok(())
    }

    /// Says whether nothing of what is noted there is alive any more.
    fn end_noted(&self, path: &std::path::Path) -> io::Result<bool> {
        let all = match noted(path) {
            Ok(all) => all,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(error),
        };
        let mut is_gone = true;
        for (pid, born) in all {
            is_gone &= self.os.end_process(pid, born);
        }
        if is_gone {
            std::fs::remove_file(path)?;
        }
        Ok(is_gone)
    }

    fn notes(&self, key: LaunchKey) -> PathBuf {
        self.config.dir.join(LAUNCHES).join(key.to_string())
    }

    /// Answers a connection until it closes; then its instance is ended.
    pub fn converse(&self, stream: &mut (impl Read + Write), peer: &O::Peer) {
        let mut own = None;
        // Whatever goes wrong with the connection is its end.
        while let Ok(Some(ask)) = hear(stream) {
            let answer = self.answer(ask, &mut own, peer);
            if tell(stream, &answer).is_err() {
                break;
            }
        }
        if let Some(own) = own {
            self.end(&own);
        }
    }

    fn answer(&self, ask: Ask, own: &mut Option<Own<O>>, peer: &O::Peer) -> Answer {
        match ask {
            Ask::Capabilities => Answer::Capabilities(self.capabilities()),
            Ask::Start {
                ticket,
                signature,
                template,
                nice,
                token,
            } => {
                if own.is_some() {
                    return self.refused(&Refusal::Busy, None);
                }
                let checked = match self.check(&ticket, &signature, &template) {
                    Ok(checked) => checked,
                    Err((refusal, ticket)) => return self.refused(&refusal, ticket.as_deref()),
                };
                let key = checked.ticket.key;
                let named = checked.ticket.clone();
                match self.start(checked, nice, token, peer) {
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
                Some(own) => self.of_instance(&ask, &own.instance, peer),
                None => self.refused(&Refusal::Busy, None),
            },
        }
    }

    fn of_instance(&self, ask: &Ask, instance: &Shared<O>, peer: &O::Peer) -> Answer {
        let mut instance = lock(instance);
        let done = |result: io::Result<()>| match result {
            Ok(()) => Answer::Done,
            Err(error) => self.refused(&unwritable(&error), None),
        };
        match *ask {
            Ask::Run { item, attempt } => match instance.run(item, attempt, peer) {
                Ok(begun) => Answer::Running {
                    pid: begun.pid,
                    born: begun.born,
                    process: begun.given.process,
                    out: begun.given.out,
                    err: begun.given.err,
                },
                Err(failed) => Answer::NotStarted {
                    step: failed.step,
                    errno: failed.errno,
                },
            },
            Ask::Kill { item, attempt } => done(instance.kill(item, attempt)),
            Ask::Suspend { item, attempt, is } => done(instance.suspend(item, attempt, is)),
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
            // Programs have no common way to be asked.
            Ask::End { .. } => Answer::Done,
            // The caller has answered these.
            Ask::Capabilities | Ask::Start { .. } | Ask::Gone { .. } => Answer::Done,
        }
    }

    /// Checks everything about a start that needs no account.
    fn check(
        &self,
        ticket: &[u8],
        signature: &[u8; 64],
        template: &[u8],
    ) -> Result<Checked, (Refusal, Option<Box<Ticket>>)> {
        let rules = self.config.rules().map_err(|it| (it, None))?;
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
        rules: &Rules,
    ) -> Result<(Template, Name), Refusal> {
        if ticket.farm != self.config.farm {
            return Err(Refusal::TicketNotForThisFarm);
        }
        if ticket.host != self.config.host {
            return Err(Refusal::TicketNotForThisHost);
        }
        let now = self.os.wall_ms();
        ticket.check_times(now)?;
        lock(&self.nonces).check(ticket)?;
        let policy = &rules.policy;
        if !policy.allows(ticket.mode) {
            let mode = ticket.mode.name();
            return Err(Refusal::ModeNotAllowed { mode });
        }
        let template = ticket.check_template(template)?;
        let name_of = |account: &AccountName, authority: &Authority| Name {
            authority: authority.clone(),
            account: account.to_string(),
        };
        let whom = match (ticket.mode, &policy.proxy) {
            (Mode::Proxy, Some(proxy)) if proxy.to_string() == ticket.account => match proxy {
                ProxyAccount::One(one) => Whom::Named(name_of(one, &policy.proxy_domain)),
                ProxyAccount::PerSlot { .. } => Whom::Slot(proxy, &policy.proxy_domain),
            },
            (Mode::Proxy, proxy) => {
                let proxy = proxy.as_ref();
                let proxy = proxy.map_or_else(|| "not set".to_owned(), ToString::to_string);
                return Err(Refusal::ProxyMismatch { proxy });
            }
            (Mode::User | Mode::Desktop, _) => {
                let account = ticket.account.parse::<AccountName>();
                let account = account.map_err(|_| Refusal::NameInvalid)?;
                Whom::Named(name_of(&account, &policy.domain))
            }
        };
        // From here on the ticket is used up, whatever comes of it.
        let name = self.take(ticket, now, whom)?;
        Ok((template, name))
    }

    /// Uses a ticket up: its nonce is durable, nothing of its launch is alive, and an account of a slot is its own.
    fn take(&self, ticket: &Ticket, now: u64, whom: Whom<'_>) -> Result<Name, Refusal> {
        let mut table = lock(&self.table);
        let all = table.alive.len() + table.held.len();
        if table.alive.contains_key(&ticket.key) || all >= INSTANCES_MAX {
            return Err(Refusal::Busy);
        }
        let (name, account) = match whom {
            Whom::Named(name) => (name, None),
            Whom::Slot(proxy, authority) => {
                let free = table.free_account(proxy).ok_or(Refusal::NoFreeAccount)?;
                let (authority, account) = (authority.clone(), free.to_string());
                let own = Some(account.clone());
                (Name { authority, account }, own)
            }
        };
        lock(&self.nonces).take(ticket, now)?;
        let begun = Alive {
            account,
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

    /// Logs the account on. What is to happen is on record before.
    fn start(
        &self,
        checked: Checked,
        nice: u8,
        token: u64,
        peer: &O::Peer,
    ) -> Result<Shared<O>, Refused> {
        let Checked {
            ticket,
            template,
            rules,
            name,
        } = checked;
        let key = ticket.key;
        let digest = ticket.template.to_string();
        let fields = [
            ("launch", key.to_string()),
            ("principal", ticket.principal.clone()),
            ("proven", ticket.proven.clone()),
            ("mode", ticket.mode.name().to_owned()),
            ("account", name.asked(&self.os.host())),
            ("template", digest),
        ];
        let fields = fields
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let noted = lock(&self.audit).add(self.os.wall_ms(), "start", &fields);
        noted.map_err(|error| unwritable(&error))?;
        let wanted = Wanted {
            name,
            mode: ticket.mode,
            token,
            private: self.config.tmp(&rules.policy).join(key.to_string()),
            station: format!("tessera-{key}"),
            policy: &rules.policy,
        };
        let manner = Manner {
            nice,
            bounds: self.bound(ticket.limits)?,
            notes: self.notes(key),
            paths: rules.policy.paths.clone(),
        };
        let record = Record {
            name: wanted.name.clone(),
            is_made: wanted.mode == Mode::Proxy && rules.policy.proxy_logon == Logon::Dynamic,
            private: wanted.private.clone(),
        };
        let recorded = self.records.add(&key.to_string(), &record);
        recorded.map_err(|error| unwritable(&error))?;
        if let Some(alive) = lock(&self.table).alive.get_mut(&key) {
            alive.record = Some(record);
        }
        let session = Session::begin(&self.os, peer, &wanted, &self.logons)?;
        let instance = Instance::new(&self.os, session, ticket, template, manner);
        let instance = Arc::new(Mutex::new(instance));
        if let Some(alive) = lock(&self.table).alive.get_mut(&key) {
            alive.instance = Some(Arc::clone(&instance));
        }
        Ok(instance)
    }

    /// Makes what an instance is kept to, as was signed. What can't be kept starts nothing: it was promised to others.
    fn bound(&self, limits: KernelLimits) -> Result<Option<O::Bounds>, Refusal> {
        let limits = Limits {
            memory: limits.memory,
            processes: limits.pids,
            weight: limits.cpu_weight,
        };
        if limits.is_none() {
            return Ok(None);
        }
        let made = self.os.bound(&limits).map_err(|error| {
            let errno = error.raw_os_error().unwrap_or(0);
            Refusal::ContainmentFailed { errno }
        })?;
        Ok(Some(made))
    }

    /// Ends an instance; what does not end stays known, and is not vouched for.
    fn end(&self, own: &Own<O>) {
        let (is_over, problems) = lock(&own.instance).end(&self.logons);
        if is_over {
            self.remove(own.key, &problems);
        }
        let (key, said) = (own.key.to_string(), problems.join("; "));
        self.say("end", &[("launch", &key), ("problems", &said)]);
    }

    /// Returns when nothing of a launch is alive, and none of it starts again.
    fn gone(&self, key: LaunchKey) -> Result<(), Refusal> {
        lock(&self.nonces).bar(key, self.os.wall_ms())?;
        let table = lock(&self.table);
        let known = table.alive.get(&key).map(|it| it.instance.clone());
        drop(table);
        match known {
            Some(Some(instance)) => {
                let (is_over, problems) = lock(&instance).end(&self.logons);
                if !is_over {
                    return Err(Refusal::Busy);
                }
                self.remove(key, &problems);
            }
            // It is being logged on. Nothing can be said of it before that is over.
            Some(None) => return Err(Refusal::Busy),
            None => {}
        }
        match self.end_noted(&self.notes(key)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::Busy),
            Err(error) => Err(unwritable(&error)),
        }
    }

    /// Ends everything; for the end of the launcher.
    pub fn end_all(&self) {
        let table = lock(&self.table);
        let all: Vec<(LaunchKey, Shared<O>)> = table
            .alive
            .iter()
            .filter_map(|(key, it)| Some((*key, it.instance.clone()?)))
            .collect();
        drop(table);
        for (key, instance) in all {
            let (is_over, problems) = lock(&instance).end(&self.logons);
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
        let text = refusal.sentence(&self.os.host(), &what, account);
        let fields = [
            ("launch", what.as_str()),
            ("principal", principal),
            ("account", account),
            ("code", refusal.code()),
            ("text", &text),
        ];
        self.say("refused", &fields);
        Answer::Refused {
            code: refusal.code().to_owned(),
            text,
            hint: refusal.hint().to_owned(),
        }
    }

    /// Says what this host can do.
    pub fn capabilities(&self) -> Capabilities {
        capabilities_of(&*self.os, &self.config)
    }
}

/// Says what a host with these rules can do.
pub fn capabilities_of<O: Os>(os: &O, config: &Config) -> Capabilities {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let rules = match config.rules() {
        Ok(rules) => rules,
        Err(refusal) => {
            return Capabilities {
                proxy_problem: refusal.reason_and_hint(),
                version,
                ..Capabilities::default()
            };
        }
    };
    let policy = &rules.policy;
    let problem = match &policy.proxy {
        None => "not set".to_owned(),
        // Made when it is needed.
        Some(ProxyAccount::PerSlot { .. }) => String::new(),
        Some(ProxyAccount::One(account)) => {
            let name = Name {
                authority: policy.proxy_domain.clone(),
                account: account.to_string(),
            };
            problem_of(os, &name)
        }
    };
    let proxy = policy.proxy.as_ref();
    Capabilities {
        containment: "job".to_owned(),
        modes: policy.modes.iter().map(|it| it.name().to_owned()).collect(),
        proxy_account: proxy.map(ToString::to_string).unwrap_or_default(),
        proxy_uid: None,
        proxy_problem: problem,
        uid_min: 0,
        no_new_privs: true,
        version,
        limits: os.limits(),
        logons: policy.logons(),
    }
}

fn problem_of<O: Os>(os: &O, name: &Name) -> String {
    let judged = os.look_up(name).map_err(crate::judge::refusal_of);
    let judged = judged.and_then(|sid| {
        let own = os.own().map_err(|_| Refusal::IdentityMismatch)?;
        crate::judge::never(&sid, &[], &own)
    });
    judged
        .err()
        .map_or_else(String::new, |it| it.code().to_owned())
}
