//! What a Mac does its own way of what a launcher does: whom a ticket may name, and an account with a private directory for each
//! instance.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tessera_keeper::{
    Base, Chosen, Failed, Note, Program, Record, Refused, System, Wanted, is_there,
};
use tessera_rules::account::{Account, base_env, judge};
use tessera_rules::host::{Asked, asked, capabilities};
use tessera_rules::policy::{POLICY_MAX, Policy};
use tessera_ticket::launcher::Capabilities;
use tessera_ticket::{AccountName, Identity, Mode, PathMap, ProxyAccount, Refusal, Step, Ticket};

use crate::config;
use crate::order::Order;
use crate::os::Os;

/// How what runs is kept together.
const CONTAINMENT: &str = "session";
/// The language of who says none: macOS has no `C.UTF-8` of old.
const LANG: &str = "en_US.UTF-8";

/// A Mac.
pub struct Host<O: Os>(Arc<O>);

/// An account, and what was made for it.
#[derive(Debug)]
pub struct Seat {
    account: Account,
    /// Where programs are looked for.
    path: String,
    /// Its directory for what is temporary.
    private: PathBuf,
}

impl<O: Os> Host<O> {
    /// Makes it of the system.
    pub fn new(os: Arc<O>) -> Self {
        Self(os)
    }
}

impl<O: Os> System for Host<O> {
    type Policy = Policy;
    type Asked = AccountName;
    type Name = AccountName;
    type Who = Account;
    type Session = Seat;
    type Tree = O::Tree;
    type Given = O::Given;
    type Peer = ();

    const POLICY_MAX: usize = POLICY_MAX;
    const IS_CASE_BLIND: bool = false;

    fn wall_ms(&self) -> u64 {
        self.0.wall_ms()
    }

    fn host(&self) -> String {
        self.0.host()
    }

    fn policy(text: &str) -> Result<Policy, String> {
        config::policy(text)
    }

    fn paths(policy: &Policy) -> &PathMap {
        &policy.paths
    }

    fn tmp(policy: &Policy, _: &Path) -> PathBuf {
        config::tmp(policy)
    }

    fn capabilities(&self, policy: &Policy) -> Capabilities {
        let proxy = match &policy.proxy_account {
            Some(ProxyAccount::One(name)) => self.0.look_up(name),
            Some(ProxyAccount::PerSlot { .. }) => Err(Refusal::SlotsWithoutGroups),
            None => Err(Refusal::NoSuchAccount),
        };
        let worker = self.0.look_up(&policy.worker_account);
        let daemons: Vec<u32> = worker.iter().map(|it| it.uid).collect();
        let what = capabilities(policy, &daemons, proxy.as_ref(), self.0.wall_ms());
        Capabilities {
            containment: CONTAINMENT.to_owned(),
            // There is no such promise on macOS.
            no_new_privs: false,
            ..what
        }
    }

    fn asked(&self, ticket: &Ticket, policy: &Policy) -> Result<AccountName, Refusal> {
        match asked(ticket, policy, false)? {
            Asked::Named(name) => Ok(name),
            Asked::Slot(_) => Err(Refusal::SlotsWithoutGroups),
        }
    }

    fn choose(
        &self,
        name: AccountName,
        _: &dyn Fn(&str) -> bool,
    ) -> Result<Chosen<AccountName>, Refusal> {
        Ok(Chosen { name, own: None })
    }

    /// Judges an account by what the user directory says of it.
    fn who(&self, name: AccountName, mode: Mode, policy: &Policy) -> Result<Account, Refusal> {
        let found = self.0.look_up(&name)?;
        // Without it nobody could say that the worker's own account is not the one that is asked for.
        let worker = self.0.look_up(&policy.worker_account)?;
        let daemons = [worker.uid];
        let account = judge(&found, &name, mode, policy, &daemons, self.0.wall_ms())?;
        // The kernel asks the user directory for the groups of a process here, so none can be taken from it.
        match account.stripped.first() {
            Some(group) => Err(Refusal::GroupDenied {
                group: group.clone(),
            }),
            None => Ok(account),
        }
    }

    fn in_words(&self, account: &Account) -> Vec<(&'static str, String)> {
        vec![
            ("account", account.name.clone()),
            ("identity", account.in_words()),
        ]
    }

    fn record(&self, account: &Account, wanted: &Wanted<'_, Self>) -> Record {
        Record {
            account: account.name.clone(),
            is_made: false,
            private: wanted.private.clone(),
        }
    }

    fn begin(&self, account: Account, wanted: &Wanted<'_, Self>) -> Result<Seat, Refused> {
        let private = wanted.private.clone();
        let made = self.0.make_private(&private, &account);
        made.map_err(|error| Refusal::from(Failed::at(Step::PrivateDirectory, &error)))?;
        let path = wanted.policy.path.clone();
        Ok(Seat {
            account,
            path,
            private,
        })
    }

    fn account(&self, seat: &Seat) -> String {
        seat.account.name.clone()
    }

    fn base(&self, seat: &Seat) -> Base {
        let private = seat.private.to_string_lossy();
        let base = base_env(&seat.account, &seat.path, Some(&private));
        let mut env: Vec<(String, String)> = base
            .iter()
            .filter_map(|it| it.to_str().ok()?.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        env.push(("LANG".to_owned(), LANG.to_owned()));
        let home = seat.account.home.clone();
        Base { env, home }
    }

    fn start(
        &self,
        seat: &Seat,
        program: Program<'_>,
        note: Note<'_>,
        (): &(),
    ) -> Result<(O::Tree, O::Given), Failed> {
        let order = Order {
            name: seat.account.name.clone(),
            uid: seat.account.identity.uid,
            gid: seat.account.identity.gid,
            directory: program.directory,
            argv: program.argv,
            env: program.env,
        };
        self.0.start(&order, program.template, program.nice, note)
    }

    fn end(&self, seat: &mut Seat) -> Vec<String> {
        let removed = self.0.remove_private(&seat.private, &seat.account);
        let problem = removed.err().map(|error| {
            let path = seat.private.display();
            format!("private directory {path}: {error}")
        });
        problem.into_iter().collect()
    }

    /// Becomes the account once more, to empty its directory.
    fn take_back(&self, record: &Record) -> Result<(), String> {
        let private = &record.private;
        if !is_there(private) {
            return Ok(());
        }
        let name: AccountName = record.account.parse().map_err(|_| "no account's name")?;
        let found = self.0.look_up(&name).map_err(|it| it.reason_and_hint())?;
        if found.uid == 0 || found.gid == 0 {
            return Err("nothing is removed as root".to_owned());
        }
        let account = Account {
            name: found.name,
            identity: Identity {
                uid: found.uid,
                gid: found.gid,
                groups: Vec::new(),
            },
            home: found.home,
            shell: found.shell,
            stripped: Vec::new(),
        };
        let removed = self.0.remove_private(private, &account);
        removed.map_err(|error| format!("{}: {error}", private.display()))
    }

    fn end_left(&self, pid: u32, born: u64) -> bool {
        self.0.end_left(pid, born)
    }
}
