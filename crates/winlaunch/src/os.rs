//! What the launcher asks of the system. Each function is a few calls; what is decided, in which order, and what is taken back
//! is above.

use std::io;
use std::path::Path;

use tessera_keeper::{Note, Tree};
use tessera_windows::Sid;
use tessera_windows::limits::Limits;
use tessera_windows::logon::{LogonError, Password};
use tessera_windows::program::{Command, ProgramError};

use crate::judge::Who;
use crate::name::Name;
use crate::policy::Drive;

/// Why a program was not started.
#[derive(Debug)]
pub enum StartError {
    /// The command can't be one.
    Program(ProgramError),
    /// It could not be noted; it has not run.
    Note(io::Error),
    /// The system refused.
    System(io::Error),
}

/// Handles in the worker's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// To wait for the main process.
    pub process: u64,
    /// To read what it prints.
    pub out: u64,
    /// To read what it complains.
    pub err: u64,
}

/// What the processes of an instance are kept to, all of them together. Dropping it ends them.
pub trait Bounds: Send {
    /// Answers how often one of them was refused memory for it.
    fn refused(&self) -> u64;
}

/// The operating system.
pub trait Os: Send + Sync + 'static {
    /// A logon.
    type Token: Send + Sync;
    /// A profile that is loaded.
    type Profile: Send;
    /// A window station with a desktop.
    type Station: Send;
    /// The processes of an attempt.
    type Tree: Tree;
    /// What an instance is kept to.
    type Bounds: Bounds;
    /// The worker's process.
    type Peer;

    /// Milliseconds since 1970.
    fn wall_ms(&self) -> u64;
    /// What this host calls itself.
    fn host(&self) -> String;
    /// Whom this launcher is.
    ///
    /// # Errors
    /// When the system does not say.
    fn own(&self) -> io::Result<Sid>;
    /// Answers whose a name is.
    ///
    /// # Errors
    /// When nobody has it, or nobody answers.
    fn look_up(&self, name: &Name) -> Result<Sid, LogonError>;

    /// Makes an account of this host, or gives one that was made so before a new password, and lets it log on.
    ///
    /// # Errors
    /// When the system refuses, or the account is somebody's own.
    fn renew(&self, account: &str, password: &Password) -> io::Result<()>;
    /// Disables such an account.
    ///
    /// # Errors
    /// When the system refuses.
    fn disable(&self, account: &str) -> io::Result<()>;
    /// Answers random bytes for a password.
    ///
    /// # Errors
    /// When the system has none.
    fn chance(&self) -> io::Result<[u8; 32]>;

    /// Logs on with a password.
    ///
    /// # Errors
    /// Why the system refused.
    fn logon_password(&self, name: &Name, password: &Password) -> Result<Self::Token, LogonError>;
    /// Logs on as a managed service account.
    ///
    /// # Errors
    /// Why the system refused.
    fn logon_managed(&self, name: &Name) -> Result<Self::Token, LogonError>;
    /// Logs on without a password.
    ///
    /// # Errors
    /// Why the system refused.
    fn logon_s4u(&self, name: &Name) -> Result<Self::Token, LogonError>;
    /// Takes a token out of the worker's table.
    ///
    /// # Errors
    /// When there is none.
    fn take_token(&self, peer: &Self::Peer, handle: u64) -> io::Result<Self::Token>;

    /// Answers who a token is.
    ///
    /// # Errors
    /// When it can't be looked at.
    fn who(&self, token: &Self::Token) -> io::Result<Who>;
    /// Answers the same account's token without privileges.
    ///
    /// # Errors
    /// When the system refuses.
    fn strip(&self, token: Self::Token) -> io::Result<Self::Token>;
    /// Loads the profile.
    ///
    /// # Errors
    /// When the system refuses.
    fn load_profile(&self, token: &Self::Token, name: &Name) -> io::Result<Self::Profile>;
    /// Gives it back.
    ///
    /// # Errors
    /// When the system refuses.
    fn unload_profile(&self, token: &Self::Token, profile: Self::Profile) -> io::Result<()>;
    /// Answers the account's variables.
    ///
    /// # Errors
    /// When the system refuses.
    fn variables(&self, token: &Self::Token) -> io::Result<Vec<(String, String)>>;
    /// Makes a window station with a desktop for this logon alone. Dropping it closes both.
    ///
    /// # Errors
    /// When the system refuses.
    fn make_station(&self, token: &Self::Token, name: &str) -> io::Result<Self::Station>;
    /// Connects a drive for this logon.
    ///
    /// # Errors
    /// When the share can't be had.
    fn map_drive(&self, token: &Self::Token, drive: &Drive) -> io::Result<()>;
    /// Takes it away.
    ///
    /// # Errors
    /// When the system refuses.
    fn unmap_drive(&self, token: &Self::Token, drive: &Drive) -> io::Result<()>;
    /// Makes a directory that nobody but the system may use yet.
    ///
    /// # Errors
    /// When the system refuses, or it is there.
    fn make_private(&self, path: &Path) -> io::Result<()>;
    /// Lets the account use it.
    ///
    /// # Errors
    /// When the system refuses.
    fn admit(&self, path: &Path, account: &Sid) -> io::Result<()>;
    /// Removes it with all that is in it, as the account; only the empty rest as the launcher. That it is gone already is fine.
    ///
    /// # Errors
    /// When something stays, with what it is.
    fn remove_private(&self, token: &Self::Token, path: &Path) -> io::Result<()>;

    /// Answers what instances can be kept to here, in the words of `ticket::launcher::Capabilities`.
    fn limits(&self) -> Vec<String>;
    /// Makes what an instance is kept to.
    ///
    /// # Errors
    /// When the system refuses.
    fn bound(&self, limits: &Limits) -> io::Result<Self::Bounds>;
    /// Starts a program as the account: within its bounds, in a job object from its first moment, with three handles, on that desktop. `note` is told
    /// who it is before its first instruction.
    ///
    /// # Errors
    /// Why it has not run.
    fn start(
        &self,
        token: &Self::Token,
        station: &Self::Station,
        bounds: Option<&Self::Bounds>,
        command: &Command,
        note: Note<'_>,
        peer: &Self::Peer,
    ) -> Result<(Self::Tree, Given), StartError>;
    /// Ends a process that was noted, if it is still that one; says whether it is gone.
    fn end_process(&self, id: u32, born: u64) -> bool;
}
