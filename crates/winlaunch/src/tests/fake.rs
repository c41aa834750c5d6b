//! A system that does what it is told and tells what it was told, but for one step that fails.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tessera_keeper::{Note, Tree, Used};
use tessera_windows::Sid;
use tessera_windows::limits::Limits;
use tessera_windows::logon::{LogonError, Password};
use tessera_windows::program::Command;

use crate::judge::Who;
use crate::name::Name;
use crate::os::{Bounds, Given, Os, StartError};
use crate::policy::Drive;

const MIA: &str = "S-1-5-21-1-2-3-1001";
const BOB: &str = "S-1-5-21-1-2-3-1002";
pub(super) const NOW: u64 = 1_000_000;

type Log = Arc<Mutex<Vec<String>>>;

fn say(log: &Log, what: impl Into<String>) {
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    log.push(what.into());
}

/// A system that does what it is told, but for one step.
#[derive(Default)]
pub(super) struct Fake {
    pub(super) log: Log,
    pub(super) fails: &'static str,
    /// A second one.
    pub(super) also_fails: &'static str,
    /// Whether they fail no longer.
    pub(super) is_mended: AtomicBool,
    /// The wrong account comes of a logon, or of the token that was stripped.
    pub(super) is_swapped: bool,
    pub(super) is_swapped_when_stripped: bool,
    pub(super) groups: Vec<Sid>,
    pub(super) is_logging_on: AtomicBool,
    pub(super) next_pid: AtomicU32,
    /// Processes that are alive, of all trees.
    pub(super) alive: Arc<AtomicU32>,
    /// Whether each program is refused memory as soon as it runs.
    pub(super) refuses_memory_at_start: bool,
    /// How often an instance was refused memory.
    pub(super) refused: Arc<AtomicU64>,
    pub(super) ended: Mutex<Vec<(u32, u64)>>,
}

pub(super) struct Token {
    user: Sid,
    log: Log,
    is_stripped: bool,
}

impl Drop for Token {
    fn drop(&mut self) {
        say(&self.log, "close token");
    }
}

pub(super) struct Station(Log);

impl Drop for Station {
    fn drop(&mut self) {
        say(&self.0, "close station");
    }
}

/// What an instance is kept to; refuses memory as often as it is told.
pub(super) struct Room(Arc<AtomicU64>, Log);

impl Bounds for Room {
    fn refused(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        say(&self.1, "close bounds");
    }
}

pub(super) struct Processes {
    pid: u32,
    pub(super) alive: Arc<AtomicU32>,
    log: Log,
    is_alive: AtomicBool,
}

impl Tree for Processes {
    fn main(&self) -> (u32, u64) {
        (self.pid, 77)
    }
    fn kill(&self) -> io::Result<()> {
        if self.is_alive.swap(false, Ordering::SeqCst) {
            self.alive.fetch_sub(1, Ordering::SeqCst);
            say(&self.log, "kill");
        }
        Ok(())
    }
    fn alive(&self) -> io::Result<u32> {
        Ok(u32::from(self.is_alive.load(Ordering::SeqCst)))
    }
    fn set_suspended(&self, is: bool) -> io::Result<()> {
        say(&self.log, format!("suspend {is}"));
        Ok(())
    }
    fn used(&self) -> Used {
        Used {
            user_us: 5,
            ..Used::default()
        }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        let _ = Tree::kill(self);
    }
}

fn sid(text: &str) -> Sid {
    text.parse().expect("a SID")
}

impl Fake {
    fn step(&self, name: &'static str) -> io::Result<()> {
        let fails = [self.fails, self.also_fails].contains(&name);
        if fails && !self.is_mended.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(5));
        }
        say(&self.log, name);
        Ok(())
    }

    pub(super) fn said(&self) -> Vec<String> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *log)
    }

    fn token(&self) -> Result<Token, LogonError> {
        // Nobody else logs on meanwhile.
        assert!(!self.is_logging_on.swap(true, Ordering::SeqCst));
        std::thread::yield_now();
        self.is_logging_on.store(false, Ordering::SeqCst);
        self.step("logon").map_err(|_| LogonError::WrongPassword)?;
        Ok(Token {
            user: sid(if self.is_swapped { BOB } else { MIA }),
            log: Arc::clone(&self.log),
            is_stripped: false,
        })
    }
}

impl Os for Fake {
    type Token = Token;
    type Profile = ();
    type Station = Station;
    type Tree = Processes;
    type Bounds = Room;
    type Peer = ();

    fn wall_ms(&self) -> u64 {
        NOW
    }
    fn host(&self) -> String {
        "RND1".to_owned()
    }
    fn own(&self) -> io::Result<Sid> {
        Ok(Sid::system())
    }
    fn look_up(&self, name: &Name) -> Result<Sid, LogonError> {
        self.step("look_up")
            .map_err(|_| LogonError::NoSuchAccount)?;
        match name.account.as_str() {
            "mia" | "tessera-job1" | "tessera-job2" | "svc$" => Ok(sid(MIA)),
            "root" => Ok(sid("S-1-5-21-1-2-3-500")),
            _ => Err(LogonError::NoSuchAccount),
        }
    }
    fn renew(&self, account: &str, password: &Password) -> io::Result<()> {
        assert_eq!(password.units().len(), 37);
        self.step("renew")?;
        assert!(account.starts_with("tessera-job"));
        Ok(())
    }
    fn disable(&self, _account: &str) -> io::Result<()> {
        self.step("disable")
    }
    fn chance(&self) -> io::Result<[u8; 32]> {
        self.step("chance").map(|()| [7; 32])
    }
    fn logon_password(&self, _name: &Name, _password: &Password) -> Result<Token, LogonError> {
        self.token()
    }
    fn logon_managed(&self, _name: &Name) -> Result<Token, LogonError> {
        say(&self.log, "managed");
        self.token()
    }
    fn logon_s4u(&self, _name: &Name) -> Result<Token, LogonError> {
        say(&self.log, "s4u");
        self.token()
    }
    fn take_token(&self, (): &(), handle: u64) -> io::Result<Token> {
        say(&self.log, format!("token {handle}"));
        self.token().map_err(|_| io::ErrorKind::InvalidInput.into())
    }
    fn who(&self, token: &Token) -> io::Result<Who> {
        self.step(if token.is_stripped {
            "read back"
        } else {
            "who"
        })?;
        Ok(Who {
            user: token.user.clone(),
            groups: self.groups.clone(),
            is_primary: true,
        })
    }
    fn strip(&self, mut token: Token) -> io::Result<Token> {
        self.step("strip")?;
        token.is_stripped = true;
        if self.is_swapped_when_stripped {
            token.user = sid(BOB);
        }
        Ok(token)
    }
    fn load_profile(&self, _token: &Token, _name: &Name) -> io::Result<()> {
        self.step("profile")
    }
    fn unload_profile(&self, _token: &Token, (): ()) -> io::Result<()> {
        assert_eq!(
            self.alive.load(Ordering::SeqCst),
            0,
            "only when nothing is alive"
        );
        self.step("unload profile")
    }
    fn variables(&self, _token: &Token) -> io::Result<Vec<(String, String)>> {
        self.step("variables")?;
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Ok(vec![
            pair("USERPROFILE", r"C:\Users\mia"),
            pair("Temp", r"C:\x"),
        ])
    }
    fn make_station(&self, _token: &Token, _name: &str) -> io::Result<Station> {
        self.step("station")?;
        Ok(Station(Arc::clone(&self.log)))
    }
    fn map_drive(&self, _token: &Token, drive: &Drive) -> io::Result<()> {
        self.step(if drive.letter == "X:" {
            "map X:"
        } else {
            "map Y:"
        })
    }
    fn unmap_drive(&self, _token: &Token, drive: &Drive) -> io::Result<()> {
        self.step(if drive.letter == "X:" {
            "unmap X:"
        } else {
            "unmap Y:"
        })
    }
    fn make_private(&self, path: &Path) -> io::Result<()> {
        self.step("private")?;
        std::fs::create_dir_all(path)
    }
    fn admit(&self, _path: &Path, account: &Sid) -> io::Result<()> {
        assert_eq!(*account, sid(MIA));
        self.step("admit")
    }
    fn remove_private(&self, _token: &Token, path: &Path) -> io::Result<()> {
        self.step("remove private")?;
        std::fs::remove_dir(path)
    }
    fn limits(&self) -> Vec<String> {
        vec!["memory".to_owned()]
    }
    fn bound(&self, limits: &Limits) -> io::Result<Room> {
        self.step("bound")?;
        say(&self.log, format!("{limits:?}"));
        Ok(Room(Arc::clone(&self.refused), Arc::clone(&self.log)))
    }
    fn start(
        &self,
        token: &Token,
        _station: &Station,
        bounds: Option<&Room>,
        command: &Command,
        note: Note<'_>,
        (): &(),
    ) -> Result<(Processes, Given), StartError> {
        assert!(token.is_stripped, "never with what a logon gave");
        let pid = self.next_pid.fetch_add(1, Ordering::SeqCst) + 1;
        note(pid, 77).map_err(StartError::Note)?;
        self.step("start").map_err(StartError::System)?;
        say(
            &self.log,
            format!("{} in {}", command.argv.join(" "), command.directory),
        );
        for (name, value) in &command.env {
            if ["TEMP", "SHOT", "QBJOBID"].contains(&name.to_uppercase().as_str()) {
                say(&self.log, format!("{name}={value}"));
            }
        }
        if bounds.is_some() {
            say(&self.log, "within bounds");
            let more = u64::from(self.refuses_memory_at_start);
            self.refused.fetch_add(more, Ordering::SeqCst);
        }
        self.alive.fetch_add(1, Ordering::SeqCst);
        let tree = Processes {
            pid,
            alive: Arc::clone(&self.alive),
            log: Arc::clone(&self.log),
            is_alive: AtomicBool::new(true),
        };
        let given = Given {
            process: 1,
            out: 2,
            err: 3,
        };
        Ok((tree, given))
    }
    fn end_process(&self, id: u32, born: u64) -> bool {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.push((id, born));
        self.fails != "end_process" || self.is_mended.load(Ordering::SeqCst)
    }
}
