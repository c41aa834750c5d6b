//! What the launcher asks of the system. Each function is a few calls; what is decided, in which order, and what is taken back
//! is above.

use std::io;
use std::path::Path;

use tessera_keeper::{Failed, Note, Tree};
use tessera_rules::account::{Account, Found};
use tessera_ticket::{AccountName, Refusal, Template};

use crate::order::Order;

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
    ) -> Result<(Self::Tree, Self::Given), Failed>;
    /// Ends what is left of a session that was noted; says whether nothing is.
    fn end_left(&self, pid: u32, born: u64) -> bool;
}
