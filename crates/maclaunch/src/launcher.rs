//! The launcher: what it is asked on a connection, from a ticket's signature to the end of its instance.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tessera_rules::account::{Account, judge};
use tessera_rules::host::{Asked, asked, capabilities};
use tessera_ticket::launcher::Capabilities;
use tessera_ticket::pipe::{Answer, Ask};
use tessera_ticket::{
    AccountName, LaunchKey, Mode, ProxyAccount, Refusal, SLOT_MAX, Step, Template, Ticket,
};
use tessera_winlaunch::audit::Audit;
use tessera_winlaunch::nonces::Nonces;

use crate::config::{Config, Rules, tmp};
use crate::instance::{Instance, Parts, noted};
use crate::os::{Os, Tree as _};

/// The most instances at once.
const INSTANCES_MAX: usize = SLOT_MAX as usize;
/// Where processes are noted, below the launcher's directory.
const LAUNCHES: &str = "launches";
/// How what runs is kept together.
const CONTAINMENT: &str = "session";

type Shared<O> = Arc<Mutex<Instance<O>>>;

/// The launcher of a host.
pub struct Launcher<O: Os> {
    os: Arc<O>,
    config: Config,
    nonces: Mutex<Nonces>,
    audit: Mutex<Audit>,
    /// Launches that are not over; without an instance while the account is looked up.
    alive: Mutex<BTreeMap<LaunchKey, Option<Shared<O>>>>,
}

/// The instance of a connection.
pub struct Own<O: Os> {
    key: LaunchKey,
    instance: Shared<O>,
}

/// What a start is for, when its ticket has been checked.
struct Checked {
    ticket: Ticket,
    template: Template,
    rules: Rules,
    name: AccountName,
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
        let audit = Audit::open(dir).map_err(failed("audit.log"))?;
        let launcher = Self {
            nonces: Mutex::new(nonces),
            audit: Mutex::new(audit),
            alive: Mutex::default(),
            os,
            config,
        };
        launcher.end_left().map_err(|error| error.to_string())?;
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
            is_gone &= self.os.end_left(pid, born);
        }
        if is_gone {
            std::fs::remove_file(path)?;
        }
        Ok(is_gone)
    }

    fn notes(&self, key: LaunchKey) -> PathBuf {
        self.config.dir.join(LAUNCHES).join(key.to_string())
    }

    /// Answers a question; what the worker is given beside the answer to [`Ask::Run`] comes with it.
    pub fn answer(&self, ask: Ask, own: &mut Option<Own<O>>) -> (Answer, Option<O::Given>) {
        let answer = match ask {
            Ask::Capabilities => Answer::Capabilities(self.capabilities()),
            Ask::Start {
                ticket,
                signature,
                template,
                nice,
                token: _,
            } => self.begin((&ticket, &signature, &template), nice, own),
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
                Some(own) => return self.of_instance(&ask, &own.instance),
                None => self.refused(&Refusal::Busy, None),
            },
        };
        (answer, None)
    }

    fn begin(
        &self,
        signed: (&[u8], &[u8; 64], &[u8]),
        nice: u8,
        own: &mut Option<Own<O>>,
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
        match self.start(checked, nice) {
            Ok(instance) => {
                let account = lock(&instance).account();
                *own = Some(Own { key, instance });
                Answer::Started { account }
            }
            Err(refusal) => {
                lock(&self.alive).remove(&key);
                self.refused(&refusal, Some(&named))
            }
        }
    }

    fn of_instance(&self, ask: &Ask, instance: &Shared<O>) -> (Answer, Option<O::Given>) {
        let mut instance = lock(instance);
        let done = |result: io::Result<()>| match result {
            Ok(()) => Answer::Done,
            Err(error) => self.refused(&unwritable(&error), None),
        };
        let answer = match *ask {
            Ask::Run { item, attempt } => match instance.run(item, attempt) {
                Ok(((pid, born), given)) => {
                    let running = Answer::Running {
                        pid,
                        born,
                        process: 0,
                        out: 0,
                        err: 0,
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
                let (alive, used) = instance.look(item, attempt);
                Answer::State {
                    alive,
                    user_us: used.user_us,
                    system_us: used.system_us,
                    memory_max: used.memory_max,
                    // Nothing limits an instance's memory on this system.
                    is_out_of_memory: false,
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
    ) -> Result<(Template, AccountName), Refusal> {
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
        let name = match asked(ticket, policy, false)? {
            Asked::Named(name) => name,
            Asked::Slot(_) => return Err(Refusal::SlotsWithoutGroups),
        };
        let template = ticket.check_template(template)?;
        // From here on the ticket is used up, whatever comes of it.
        self.take(ticket, now)?;
        Ok((template, name))
    }

    /// Uses a ticket up: its nonce is durable, and nothing of its launch is alive.
    fn take(&self, ticket: &Ticket, now: u64) -> Result<(), Refusal> {
        let mut alive = lock(&self.alive);
        if alive.contains_key(&ticket.key) || alive.len() >= INSTANCES_MAX {
            return Err(Refusal::Busy);
        }
        lock(&self.nonces).take(ticket, now)?;
        alive.insert(ticket.key, None);
        Ok(())
    }

    /// Looks the account up, judges it, and makes its instance. What is to happen is on record before.
    fn start(&self, checked: Checked, nice: u8) -> Result<Shared<O>, Refusal> {
        let Checked {
            ticket,
            template,
            rules,
            name,
        } = checked;
        let key = ticket.key;
        let account = self.account(&name, ticket.mode, &rules)?;
        let fields = [
            ("launch", key.to_string()),
            ("principal", ticket.principal.clone()),
            ("proven", ticket.proven.clone()),
            ("mode", ticket.mode.name().to_owned()),
            ("account", account.name.clone()),
            ("identity", account.in_words()),
            ("template", ticket.template.to_string()),
        ];
        let fields = fields
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let noted = lock(&self.audit).add(self.os.wall_ms(), "start", &fields);
        noted.map_err(|error| unwritable(&error))?;
        let parts = Parts {
            account,
            ticket,
            template,
            nice,
            private: tmp(&rules.policy).join(key.to_string()),
            notes: self.notes(key),
        };
        let instance = Instance::new(&self.os, parts, &rules.policy);
        let instance = instance.map_err(|error| Refusal::BecomingUserFailed {
            step: Step::PrivateDirectory,
            errno: error.raw_os_error().unwrap_or(0),
        })?;
        let instance = Arc::new(Mutex::new(instance));
        lock(&self.alive).insert(key, Some(Arc::clone(&instance)));
        Ok(instance)
    }

    /// Judges an account by what the user directory says of it.
    fn account(&self, name: &AccountName, mode: Mode, rules: &Rules) -> Result<Account, Refusal> {
        let policy = &rules.policy;
        let found = self.os.look_up(name)?;
        // Without it nobody could say that the worker's own account is not the one that is asked for.
        let worker = self.os.look_up(&policy.worker_account)?;
        let daemons = [worker.uid];
        let account = judge(&found, name, mode, policy, &daemons, self.os.wall_ms())?;
        // The kernel asks the user directory for the groups of a process here, so none can be taken from it.
        match account.stripped.first() {
            Some(group) => Err(Refusal::GroupDenied {
                group: group.clone(),
            }),
            None => Ok(account),
        }
    }

    /// Ends the instance of a connection; what does not end stays known, and is not vouched for.
    pub fn end(&self, own: &Own<O>) {
        let (is_over, problems) = lock(&own.instance).end();
        if is_over {
            lock(&self.alive).remove(&own.key);
        }
        let said = problems.join("; ");
        let fields = [
            ("launch", &*own.key.to_string()),
            ("problems", said.as_str()),
        ];
        // It has ended, whether or not that can be written.
        let _ = lock(&self.audit).add(self.os.wall_ms(), "end", &fields);
    }

    /// Returns when nothing of a launch is alive, and none of it starts again.
    fn gone(&self, key: LaunchKey) -> Result<(), Refusal> {
        lock(&self.nonces).bar(key, self.os.wall_ms())?;
        let known = lock(&self.alive).get(&key).cloned();
        match known {
            Some(Some(instance)) => {
                let (is_over, _) = lock(&instance).end();
                if !is_over {
                    return Err(Refusal::Busy);
                }
                lock(&self.alive).remove(&key);
            }
            // Its account is being looked up. Nothing can be said of it before that is over.
            Some(None) => return Err(Refusal::Busy),
            None => {}
        }
        match self.end_noted(&self.notes(key)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::Busy),
            Err(error) => Err(unwritable(&error)),
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
        // It is refused, whether or not that can be written.
        let _ = lock(&self.audit).add(self.os.wall_ms(), "refused", &fields);
        Answer::Refused {
            code: refusal.code().to_owned(),
            text,
            hint: refusal.hint().to_owned(),
        }
    }

    /// Says what this host can do.
    pub fn capabilities(&self) -> Capabilities {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let rules = match self.config.rules() {
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
        let proxy = match &policy.proxy_account {
            Some(ProxyAccount::One(name)) => self.os.look_up(name),
            Some(ProxyAccount::PerSlot { .. }) => Err(Refusal::SlotsWithoutGroups),
            None => Err(Refusal::NoSuchAccount),
        };
        let worker = self.os.look_up(&policy.worker_account);
        let daemons: Vec<u32> = worker.iter().map(|it| it.uid).collect();
        let what = capabilities(policy, &daemons, proxy.as_ref(), self.os.wall_ms());
        Capabilities {
            containment: CONTAINMENT.to_owned(),
            // There is no such promise on macOS.
            no_new_privs: false,
            version,
            ..what
        }
    }
}
