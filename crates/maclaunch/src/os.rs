//! What the launcher asks of the system. Each function is a few calls; what is decided, in which order, and what is taken back
//! is above.

use std::io;
use std::path::Path;

use tessera_rules::account::{Account, Found};
use tessera_ticket::{AccountName, Refusal, Template};

use crate::order::{Failed, Order};

/// What an attempt has used so far, of all its processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Microseconds in programs.
    pub user_us: u64,
    /// Microseconds in the system.
    pub system_us: u64,
    /// The most memory that one process had, bytes.
    pub memory_max: u64,
}

/// All processes of an attempt. Dropping it ends them.
pub trait Tree: Send + Sync + 'static {
    /// Answers the main process' number and when it was born.
    fn main(&self) -> (u32, u64);
    /// Sends all of them the signal that asks them to end.
    ///
    /// # Errors
    /// When the system does not say who there is.
    fn ask_to_end(&self) -> io::Result<()>;
    /// Ends all of them now.
    ///
    /// # Errors
    /// When the system does not say who there is.
    fn kill(&self) -> io::Result<()>;
    /// Answers how many are alive.
    ///
    /// # Errors
    /// When the system does not say.
    fn alive(&self) -> io::Result<u32>;
    /// Stops all of them where they are, or lets them go on.
    ///
    /// # Errors
    /// When the system does not say who there is.
    fn set_suspended(&self, is: bool) -> io::Result<()>;
    /// Answers what they have used.
    fn used(&self) -> Used;
}

/// Notes a process before its first instruction: its number and its birth.
pub type Note<'a> = &'a dyn Fn(u32, u64) -> io::Result<()>;

/// A program that was started as an account.
pub struct Begun<O: Os> {
    /// Its processes.
    pub tree: O::Tree,
    /// What the worker is given.
    pub given: O::Given,
}

/// The operating system.
pub trait Os: Send + Sync + Sized + 'static {
    /// The processes of an attempt.
    type Tree: Tree;
    /// Descriptors for the worker: to hear how the main process ended, and to read its two streams.
    type Given;

    /// Milliseconds since 1970.
    fn wall_ms(&self) -> u64;
    /// What this host calls itself.
    fn host(&self) -> String;
    /// Answers what the user directory says of an account, within some seconds.
    ///
    /// # Errors
    /// When there is none, or the directory does not answer.
    fn look_up(&self, name: &AccountName) -> Result<Found, Refusal>;
    /// Makes a directory that nobody but the account may use.
    ///
    /// # Errors
    /// When the system refuses, or it is there.
    fn make_private(&self, path: &Path, account: &Account) -> io::Result<()>;
    /// Removes it with all that is in it, as the account; only the empty rest as the launcher.
    ///
    /// # Errors
    /// When something stays.
    fn remove_private(&self, path: &Path, account: &Account) -> io::Result<()>;
    /// Has a fresh process become the account, prove it, and be the program then. `note` is told who it is before it is told
    /// anything itself.
    ///
    /// # Errors
    /// Where it failed; no instruction of the program has run then.
    fn start(
        &self,
        order: &Order,
        template: &Template,
        nice: u8,
        note: Note<'_>,
    ) -> Result<Begun<Self>, Failed>;
    /// Ends what is left of a session that was noted; says whether nothing is.
    fn end_left(&self, pid: u32, born: u64) -> bool;
}
