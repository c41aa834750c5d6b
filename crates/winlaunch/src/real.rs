//! The system as it is: each function of [`Os`] in a few calls of `tessera_windows`.

use std::io;
use std::os::windows::io::AsHandle as _;
use std::path::Path;
use std::time::SystemTime;

use tessera_keeper::{Note, Tree, Used};
use tessera_windows::limits::Limits;
use tessera_windows::logon::{LogonError, Password};
use tessera_windows::program::Command;
use tessera_windows::{
    As, Bounds as JobBounds, Peer, Profile, Sid, Station, Token, Tree as JobTree, WAIT_RIGHTS,
    chance, disable_account, end_process, grant_batch, limits_here, logon_batch, logon_managed,
    logon_s4u, look_up, map_drive, protect, renew_account, start_as, unmap_drive, variables,
};

use crate::empty::empty;
use crate::judge::Who;
use crate::name::Name;
use crate::os::{Bounds, Given, Os, StartError};
use crate::policy::Drive;

/// Somebody's own account (`SidTypeUser`).
const USER: i32 = 1;

/// Windows.
#[derive(Debug, Clone)]
pub struct Real {
    host: String,
}

impl Real {
    /// Takes what this host calls itself.
    pub fn new() -> Self {
        let host = std::env::var("COMPUTERNAME").unwrap_or_else(|_| ".".to_owned());
        Self { host }
    }
}

impl Default for Real {
    fn default() -> Self {
        Self::new()
    }
}

impl Os for Real {
    type Token = Token;
    type Profile = Profile;
    type Station = Station;
    type Tree = Processes;
    type Bounds = JobBounds;
    type Peer = Peer;

    fn wall_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
    }

    fn host(&self) -> String {
        self.host.clone()
    }

    fn own(&self) -> io::Result<Sid> {
        Token::own()?.user()
    }

    fn look_up(&self, name: &Name) -> Result<Sid, LogonError> {
        let found = look_up(&name.asked(&self.host))?;
        // A group's name is no account's, and policies may name groups.
        Ok(found.sid)
    }

    fn renew(&self, account: &str, password: &Password) -> io::Result<()> {
        renew_account(account, password)?;
        let found = look_up(&format!("{}\\{account}", self.host));
        let found = found.map_err(|error| io::Error::other(format!("{error:?}")))?;
        if found.kind != USER {
            return Err(io::Error::other("it is no account of a user"));
        }
        grant_batch(&found.sid)
    }

    fn disable(&self, account: &str) -> io::Result<()> {
        disable_account(account)
    }

    fn chance(&self) -> io::Result<[u8; 32]> {
        chance()
    }

    fn logon_password(&self, name: &Name, password: &Password) -> Result<Token, LogonError> {
        logon_batch(name.domain(), &name.account, password)
    }

    fn logon_managed(&self, name: &Name) -> Result<Token, LogonError> {
        logon_managed(name.domain(), &name.account)
    }

    fn logon_s4u(&self, name: &Name) -> Result<Token, LogonError> {
        logon_s4u(name.domain(), &name.account, name.is_local())
    }

    fn take_token(&self, peer: &Peer, handle: u64) -> io::Result<Token> {
        peer.take_token(handle)
    }

    fn who(&self, token: &Token) -> io::Result<Who> {
        Ok(Who {
            user: token.user()?,
            groups: token.groups()?,
            is_primary: token.is_primary()?,
        })
    }

    fn strip(&self, token: Token) -> io::Result<Token> {
        token.stripped()
    }

    fn load_profile(&self, token: &Token, name: &Name) -> io::Result<Profile> {
        Profile::load(token, &name.account)
    }

    fn unload_profile(&self, token: &Token, profile: Profile) -> io::Result<()> {
        profile.unload(token)
    }

    fn variables(&self, token: &Token) -> io::Result<Vec<(String, String)>> {
        variables(token)
    }

    fn make_station(&self, token: &Token, name: &str) -> io::Result<Station> {
        // A logon without a group of its own is told by its account.
        let logon = match token.logon()? {
            Some(logon) => logon,
            None => token.user()?,
        };
        Station::new(name, &logon)
    }

    fn map_drive(&self, token: &Token, drive: &Drive) -> io::Result<()> {
        token.impersonate(|| map_drive(&drive.letter, &drive.share))?
    }

    fn unmap_drive(&self, token: &Token, drive: &Drive) -> io::Result<()> {
        token.impersonate(|| unmap_drive(&drive.letter))?
    }

    fn make_private(&self, path: &Path) -> io::Result<()> {
        if let Some(above) = path.parent() {
            std::fs::create_dir_all(above)?;
            // People may pass through it, and see nothing.
            protect(above, "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;;FX;;;WD)")?;
        }
        // What is there already was made by somebody else.
        std::fs::create_dir(path)
    }

    fn admit(&self, path: &Path, account: &Sid) -> io::Result<()> {
        let list = format!("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;{account})");
        protect(path, &list)
    }

    fn remove_private(&self, token: &Token, path: &Path) -> io::Result<()> {
        let emptied = token.impersonate(|| empty(path))?;
        // As the launcher only what is empty, and never what a link leads to.
        match std::fs::remove_dir(path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(emptied.err().unwrap_or(error)),
        }
    }

    fn limits(&self) -> Vec<String> {
        limits_here()
    }

    fn bound(&self, limits: &Limits) -> io::Result<JobBounds> {
        JobBounds::new(limits)
    }

    fn start(
        &self,
        token: &Token,
        station: &Station,
        bounds: Option<&JobBounds>,
        command: &Command,
        note: Note<'_>,
        peer: &Peer,
    ) -> Result<(Processes, Given), StartError> {
        // As the account: what it can't see can't be run.
        let resolved = token.impersonate(|| command.resolve());
        let what = resolved
            .map_err(StartError::System)?
            .map_err(StartError::Program)?;
        let desktop = station.path();
        let who = As {
            token,
            desktop: &desktop,
            bounds,
        };
        let mut given = Err(io::Error::from(io::ErrorKind::NotConnected));
        let mut is_noted = false;
        let started = start_as(&what, who, |started| {
            let (id, born) = started.tree.main();
            note(id, born)?;
            is_noted = true;
            given = give(peer, started);
            match &given {
                Ok(_) => Ok(()),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            }
        });
        match (started, given) {
            (Ok(started), Ok(given)) => Ok((Processes(started.tree), given)),
            (Err(error), Err(_)) if !is_noted && error.raw_os_error().is_none() => {
                Err(StartError::Note(error))
            }
            (Err(error), _) | (Ok(_), Err(error)) => Err(StartError::System(error)),
        }
    }

    fn end_process(&self, id: u32, born: u64) -> bool {
        end_process(id, born)
    }
}

/// Hands over what the worker needs: to wait, and to read.
fn give(peer: &Peer, started: &tessera_windows::Started) -> io::Result<Given> {
    Ok(Given {
        process: peer.give(started.tree.process(), Some(WAIT_RIGHTS))?,
        out: peer.give(started.out.as_handle(), None)?,
        err: peer.give(started.err.as_handle(), None)?,
    })
}

impl Bounds for JobBounds {
    fn refused(&self) -> u64 {
        JobBounds::refused(self)
    }
}

/// The processes of an attempt, in a job object.
#[derive(Debug)]
pub struct Processes(JobTree);

impl Tree for Processes {
    fn main(&self) -> (u32, u64) {
        self.0.main()
    }

    fn kill(&self) -> io::Result<()> {
        self.0.kill()
    }

    fn alive(&self) -> io::Result<u32> {
        self.0.alive()
    }

    fn set_suspended(&self, is: bool) -> io::Result<()> {
        self.0.set_suspended(is)
    }

    fn used(&self) -> Used {
        let used = self.0.used().unwrap_or_default();
        Used {
            user_us: used.user_us,
            system_us: used.system_us,
            memory_max: used.memory_max,
        }
    }
}
