//! What a system does its own way. Each function is a step; which ones, in which order, and what follows of each is above.

use std::io;
use std::path::{Path, PathBuf};

use tessera_ticket::launcher::Capabilities;
use tessera_ticket::{LaunchKey, Mode, PathMap, Refusal, Step, Template, Ticket};

use crate::records::Record;

/// What an attempt has used so far, of all its processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Microseconds in programs.
    pub user_us: u64,
    /// Microseconds in the system.
    pub system_us: u64,
    /// The most memory, bytes: of all of them together where the system counts it so, else of a process.
    pub memory_max: u64,
}

/// A step that failed, with the system's number for the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed {
    /// Which.
    pub step: Step,
    /// The system's number, or 0.
    pub errno: i32,
}

impl Failed {
    /// Makes one of a step and an error of the system's.
    pub fn at(step: Step, error: &io::Error) -> Self {
        let errno = error.raw_os_error().unwrap_or(0);
        Self { step, errno }
    }
}

impl From<Step> for Failed {
    fn from(step: Step) -> Self {
        Self { step, errno: 0 }
    }
}

impl From<Failed> for Refusal {
    fn from(Failed { step, errno }: Failed) -> Self {
        Self::BecomingUserFailed { step, errno }
    }
}

/// A session that was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// What of it could not be taken back, for people.
    pub left: Vec<String>,
}

impl From<Refusal> for Refused {
    /// Makes one of which nothing is left.
    fn from(refusal: Refusal) -> Self {
        let left = Vec::new();
        Self { refusal, left }
    }
}

/// All processes of an attempt. Dropping it ends them, where the system can do that.
pub trait Tree: Send + 'static {
    /// Answers the main process' number and when it was born.
    fn main(&self) -> (u32, u64);
    /// Asks all of them to end, where programs can be asked.
    ///
    /// # Errors
    /// When the system does not say who there is.
    fn ask_to_end(&self) -> io::Result<()> {
        Ok(())
    }
    /// Ends all of them now.
    ///
    /// # Errors
    /// When the system refuses.
    fn kill(&self) -> io::Result<()>;
    /// Answers how many are alive.
    ///
    /// # Errors
    /// When the system does not say.
    fn alive(&self) -> io::Result<u32>;
    /// Stops all of them where they are, or lets them go on.
    ///
    /// # Errors
    /// When not all are so.
    fn set_suspended(&self, is: bool) -> io::Result<()>;
    /// Answers what they have used.
    fn used(&self) -> Used;
}

/// Notes a process before its first instruction: its number and its birth.
pub type Note<'a> = &'a dyn Fn(u32, u64) -> io::Result<()>;

/// Whom a launch runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen<N> {
    /// The account's name.
    pub name: N,
    /// What it is called among those that are taken, when no other launch may have it.
    pub own: Option<String>,
}

/// What a session is for.
#[derive(Debug)]
pub struct Wanted<'a, S: System> {
    /// The launch.
    pub key: LaunchKey,
    /// Its ticket, checked.
    pub ticket: &'a Ticket,
    /// The rules.
    pub policy: &'a S::Policy,
    /// The private directory to make.
    pub private: PathBuf,
    /// The worker's number of a token, 0 for none.
    pub token: u64,
    /// Who asks.
    pub peer: &'a S::Peer,
}

/// What every program of a session starts from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Base {
    /// Its variables; of several of a name the last one counts.
    pub env: Vec<(String, String)>,
    /// Where it works if the job names no directory.
    pub home: String,
}

/// What to run.
#[derive(Debug)]
pub struct Program<'a> {
    /// The program and its arguments; there is at least the program.
    pub argv: Vec<String>,
    /// All variables that it sees.
    pub env: Vec<(String, String)>,
    /// The working directory.
    pub directory: String,
    /// 0 to 19; more is less.
    pub nice: u8,
    /// What was signed, for what else of it concerns a process.
    pub template: &'a Template,
}

/// The operating system.
pub trait System: Send + Sync + Sized + 'static {
    /// The host's rules.
    type Policy;
    /// Whom a ticket asks for.
    type Asked;
    /// The name of an account.
    type Name;
    /// An account that may be become.
    type Who;
    /// An account that is become, with all that was made for it.
    type Session: Send;
    /// The processes of an attempt.
    type Tree: Tree;
    /// What the worker is given of a program.
    type Given;
    /// The worker's process.
    type Peer;

    /// The most bytes of a policy.
    const POLICY_MAX: usize;
    /// Whether names of variables are the same in any case of letters.
    const IS_CASE_BLIND: bool;

    /// Milliseconds since 1970.
    fn wall_ms(&self) -> u64;
    /// What this host calls itself.
    fn host(&self) -> String;

    /// Reads the rules.
    ///
    /// # Errors
    /// A sentence that names the line.
    fn policy(text: &str) -> Result<Self::Policy, String>;
    /// Answers how paths of other systems are called here.
    fn paths(policy: &Self::Policy) -> &PathMap;
    /// Answers where private directories are.
    fn tmp(policy: &Self::Policy, state: &Path) -> PathBuf;
    /// Says what a host with these rules can do; its version is said elsewhere.
    fn capabilities(&self, policy: &Self::Policy) -> Capabilities;

    /// Says whom a ticket asks for, if its mode and its account go with the rules.
    ///
    /// # Errors
    /// When they don't.
    fn asked(&self, ticket: &Ticket, policy: &Self::Policy) -> Result<Self::Asked, Refusal>;
    /// Settles whom: where an account of the launcher's choice is asked for, one that is not taken.
    ///
    /// # Errors
    /// When all are.
    fn choose(
        &self,
        asked: Self::Asked,
        is_taken: &dyn Fn(&str) -> bool,
    ) -> Result<Chosen<Self::Name>, Refusal>;
    /// Looks the account up and judges it, where that is done before anything else is.
    ///
    /// # Errors
    /// When there is none, or it may not be become.
    fn who(
        &self,
        name: Self::Name,
        mode: Mode,
        policy: &Self::Policy,
    ) -> Result<Self::Who, Refusal>;
    /// Says who it is, for the audit: fields and what stands in them.
    fn in_words(&self, who: &Self::Who) -> Vec<(&'static str, String)>;
    /// Answers what is put on record of a session before it is made.
    fn record(&self, who: &Self::Who, wanted: &Wanted<'_, Self>) -> Record;

    /// Becomes the account, or makes all ready for that.
    ///
    /// # Errors
    /// Why not; then nothing is left of it but what is said there.
    fn begin(&self, who: Self::Who, wanted: &Wanted<'_, Self>) -> Result<Self::Session, Refused>;
    /// Answers the account of a session as the worker is told it.
    fn account(&self, session: &Self::Session) -> String;
    /// Answers what its programs start from.
    fn base(&self, session: &Self::Session) -> Base;
    /// Starts a program as the account. `note` is told who it is before its first instruction.
    ///
    /// # Errors
    /// Where it failed; no instruction of the program has run then.
    fn start(
        &self,
        session: &Self::Session,
        program: Program<'_>,
        note: Note<'_>,
        peer: &Self::Peer,
    ) -> Result<(Self::Tree, Self::Given), Failed>;
    /// Answers numbers of the worker's: to hear how the main process ends, and for its two streams.
    fn numbers(_given: &Self::Given) -> [u64; 3] {
        [0; 3]
    }
    /// Answers how often the session was refused memory so far.
    fn refused_memory(&self, _session: &Self::Session) -> u64 {
        0
    }
    /// Takes everything of a session back, in reverse; nothing of it may run any more. Answers what could not be, for people.
    fn end(&self, session: &mut Self::Session) -> Vec<String>;

    /// Takes back what is left of a session of which nothing runs.
    ///
    /// # Errors
    /// What could not be, for people.
    fn take_back(&self, record: &Record) -> Result<(), String>;
    /// Ends what is left of a process that was noted, if it is still that one; says whether nothing is.
    fn end_left(&self, pid: u32, born: u64) -> bool;
}

/// Says whether a path, or anything in its place, is there. What can't be looked at is.
pub fn is_there(path: &Path) -> bool {
    path.symlink_metadata()
        .map_or_else(|error| error.kind() != io::ErrorKind::NotFound, |_| true)
}
