//! What Windows does its own way of what a launcher does: whom a ticket may name, and a logon for each instance.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tessera_keeper::{
    Base, Chosen, Failed, Note, Program, Record, Refused, System, Wanted as Asking,
};
use tessera_ticket::launcher::Capabilities;
use tessera_ticket::{
    AccountName, KernelLimits, Mode, PathMap, ProxyAccount, Refusal, SLOT_MAX, Step, Ticket,
};
use tessera_windows::limits::Limits;
use tessera_windows::program::{Command, ProgramError};

use crate::left::take_back;
use crate::name::{Authority, Name};
use crate::os::{Bounds as _, Given, Os, StartError};
use crate::policy::{Logon, POLICY_MAX, Policy};
use crate::session::{Session, Wanted};

/// Where jobs work that name no directory.
const HOME: &str = "USERPROFILE";

/// A host with Windows.
pub struct Host<O: Os> {
    os: Arc<O>,
    /// Held by the one that logs on or off.
    logons: Mutex<()>,
}

/// Whom a ticket asks for.
#[derive(Debug)]
pub enum Asked {
    /// This account.
    Named(Name),
    /// Any account of these that nobody has.
    Slot(ProxyAccount, Authority),
}

/// A logon, and what its programs are kept to.
pub struct Seat<O: Os> {
    session: Session<O>,
    /// What all of them together are kept to, if to anything.
    bounds: Option<O::Bounds>,
}

impl<O: Os> Host<O> {
    /// Makes it of the system.
    pub fn new(os: Arc<O>) -> Self {
        let logons = Mutex::default();
        Self { os, logons }
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

    /// Says what stands against an account; nothing when it is empty.
    fn problem_of(&self, name: &Name) -> String {
        let judged = self.os.look_up(name).map_err(crate::judge::refusal_of);
        let judged = judged.and_then(|sid| {
            let own = self.os.own().map_err(|_| Refusal::IdentityMismatch)?;
            crate::judge::never(&sid, &[], &own)
        });
        judged
            .err()
            .map_or_else(String::new, |it| it.code().to_owned())
    }
}

impl<O: Os> System for Host<O> {
    type Policy = Policy;
    type Asked = Asked;
    type Name = Name;
    type Who = Name;
    type Session = Seat<O>;
    type Tree = O::Tree;
    type Given = Given;
    type Peer = O::Peer;

    const POLICY_MAX: usize = POLICY_MAX;
    const IS_CASE_BLIND: bool = true;

    fn wall_ms(&self) -> u64 {
        self.os.wall_ms()
    }

    fn host(&self) -> String {
        self.os.host()
    }

    fn policy(text: &str) -> Result<Policy, String> {
        Policy::parse(text)
    }

    fn paths(policy: &Policy) -> &PathMap {
        &policy.paths
    }

    fn tmp(policy: &Policy, state: &Path) -> PathBuf {
        let usual = || state.join("tmp");
        policy.tmp_dir.as_ref().map_or_else(usual, PathBuf::from)
    }

    fn capabilities(&self, policy: &Policy) -> Capabilities {
        let proxy = policy.proxy.as_ref();
        let problem = match proxy {
            None => "not set".to_owned(),
            // Made when it is needed.
            Some(ProxyAccount::PerSlot { .. }) => String::new(),
            Some(ProxyAccount::One(account)) => {
                self.problem_of(&name_of(account, &policy.proxy_domain))
            }
        };
        Capabilities {
            containment: "job".to_owned(),
            modes: policy.modes.iter().map(|it| it.name().to_owned()).collect(),
            proxy_account: proxy.map(ToString::to_string).unwrap_or_default(),
            proxy_problem: problem,
            no_new_privs: true,
            limits: self.os.limits(),
            logons: policy.logons(),
            ..Capabilities::default()
        }
    }

    fn asked(&self, ticket: &Ticket, policy: &Policy) -> Result<Asked, Refusal> {
        if !policy.allows(ticket.mode) {
            let mode = ticket.mode.name();
            return Err(Refusal::ModeNotAllowed { mode });
        }
        let domain = &policy.proxy_domain;
        match (ticket.mode, &policy.proxy) {
            (Mode::Proxy, Some(proxy)) if proxy.to_string() == ticket.account => Ok(match proxy {
                ProxyAccount::One(one) => Asked::Named(name_of(one, domain)),
                ProxyAccount::PerSlot { .. } => Asked::Slot(proxy.clone(), domain.clone()),
            }),
            (Mode::Proxy, proxy) => {
                let proxy = proxy.as_ref();
                let proxy = proxy.map_or_else(|| "not set".to_owned(), ToString::to_string);
                Err(Refusal::ProxyMismatch { proxy })
            }
            (Mode::User | Mode::Desktop, _) => {
                let account = ticket.account.parse::<AccountName>();
                let account = account.map_err(|_| Refusal::NameInvalid)?;
                Ok(Asked::Named(name_of(&account, &policy.domain)))
            }
        }
    }

    fn choose(
        &self,
        asked: Asked,
        is_taken: &dyn Fn(&str) -> bool,
    ) -> Result<Chosen<Name>, Refusal> {
        let (proxy, authority) = match asked {
            Asked::Named(name) => return Ok(Chosen { name, own: None }),
            Asked::Slot(proxy, authority) => (proxy, authority),
        };
        let all = (1..=SLOT_MAX).filter_map(|slot| proxy.of_slot(slot));
        let mut all = all.map(|account| name_of(&account, &authority));
        let free = all.find(|name| !is_taken(&name.to_string()));
        let name = free.ok_or(Refusal::NoFreeAccount)?;
        let own = Some(name.to_string());
        Ok(Chosen { name, own })
    }

    /// It is looked up and judged with its token.
    fn who(&self, name: Name, _: Mode, _: &Policy) -> Result<Name, Refusal> {
        Ok(name)
    }

    fn in_words(&self, name: &Name) -> Vec<(&'static str, String)> {
        vec![("account", name.asked(&self.os.host()))]
    }

    fn record(&self, name: &Name, wanted: &Asking<'_, Self>) -> Record {
        let is_proxy = wanted.ticket.mode == Mode::Proxy;
        Record {
            account: name.to_string(),
            is_made: is_proxy && wanted.policy.proxy_logon == Logon::Dynamic,
            private: wanted.private.clone(),
        }
    }

    fn begin(&self, name: Name, wanted: &Asking<'_, Self>) -> Result<Seat<O>, Refused> {
        let bounds = self.bound(wanted.ticket.limits)?;
        let logon = Wanted {
            name,
            mode: wanted.ticket.mode,
            token: wanted.token,
            private: wanted.private.clone(),
            station: format!("tessera-{}", wanted.key),
            policy: wanted.policy,
        };
        let session = Session::begin(&self.os, wanted.peer, &logon, &self.logons)?;
        Ok(Seat { session, bounds })
    }

    fn account(&self, seat: &Seat<O>) -> String {
        seat.session.name().asked(&self.os.host())
    }

    fn base(&self, seat: &Seat<O>) -> Base {
        let own = seat.session.parts();
        let mut env = own.map(|it| it.variables.to_vec()).unwrap_or_default();
        let home = env
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(HOME))
            .map_or_else(|| r"C:\".to_owned(), |(_, home)| home.clone());
        if let Some(private) = seat.session.private() {
            let private = private.to_string_lossy();
            env.extend(["TEMP", "TMP"].map(|name| (name.to_owned(), private.to_string())));
        }
        Base { env, home }
    }

    fn start(
        &self,
        seat: &Seat<O>,
        program: Program<'_>,
        note: Note<'_>,
        peer: &O::Peer,
    ) -> Result<(O::Tree, Given), Failed> {
        let parts = seat.session.parts().ok_or(Step::StarterLost)?;
        let command = Command {
            argv: program.argv,
            env: program.env,
            directory: program.directory,
            nice: program.nice,
        };
        let bounds = seat.bounds.as_ref();
        let begun = self
            .os
            .start(parts.token, parts.station, bounds, &command, note, peer);
        begun.map_err(|error| match error {
            StartError::Program(error) => Failed {
                step: step_of(&error),
                errno: error.code(),
            },
            StartError::Note(error) => Failed::at(Step::Prepare, &error),
            StartError::System(error) => Failed::at(Step::Exec, &error),
        })
    }

    fn numbers(given: &Given) -> [u64; 3] {
        [given.process, given.out, given.err]
    }

    fn refused_memory(&self, seat: &Seat<O>) -> u64 {
        seat.bounds.as_ref().map_or(0, |it| it.refused())
    }

    fn end(&self, seat: &mut Seat<O>) -> Vec<String> {
        drop(seat.bounds.take());
        seat.session.end(&self.logons)
    }

    fn take_back(&self, record: &Record) -> Result<(), String> {
        take_back(&self.os, record, &self.logons)
    }

    fn end_left(&self, pid: u32, born: u64) -> bool {
        self.os.end_process(pid, born)
    }
}

fn name_of(account: &AccountName, authority: &Authority) -> Name {
    Name {
        authority: authority.clone(),
        account: account.to_string(),
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
