//! What a system without shepherds does its own way: starting programs as the worker's own user, and speaking with a launcher.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

use tessera_ticket::pipe::{Answer, Ask};
use tessera_ticket::{EndKind, Template};

use super::System;
use crate::credential::Token;
use crate::error::WorkerError;

/// A system.
pub(crate) trait Here: Debug + Clone + Send + Sync + 'static {
    /// Starts programs as this user.
    type Own: System;
    /// A connection to the launcher of a service.
    type Link: Link;

    /// How processes are kept together.
    const CONTAINMENT: &'static str;

    /// Answers where the launcher is, unless another place is named.
    fn launcher(state: &Path) -> PathBuf;
    /// Says why this process can't be the worker of a service.
    fn unfit() -> Option<WorkerError>;
    /// Says what it means that the launcher does not answer, and what to do.
    fn no_answer(launcher: &Path, cause: &str) -> String;
    /// Answers what starts programs of a desktop.
    fn own(template: &Template) -> Self::Own;
    /// Answers the variables of a desktop's programs, with `more` of this process' own, and a private directory.
    fn environment(
        user: &str,
        tmp: &Path,
        farm: &[u8; 16],
        more: &[String],
    ) -> Vec<(String, String)>;
    /// Answers where jobs of a desktop work that name no directory.
    fn home() -> String;
    /// Answers an account's number, where it has one.
    fn uid_of(account: &str) -> Option<u32>;
    /// Ends all that is left of a process that an earlier worker began; says whether nothing is.
    fn end_left(pid: u32, born: u64) -> bool;
    /// Names in a start the token of an account that was logged on.
    fn name_token(_ask: &mut Ask, _token: &Token) {}
}

/// A connection to the launcher of a service. What goes wrong with it once is its end.
pub(crate) trait Link: Send + Sync + Sized + 'static {
    /// What comes with an answer beside it.
    type With;
    /// What says how a process ended.
    type End: End;

    /// Connects to the launcher, and to nobody who could only say that they are.
    fn open(launcher: &Path) -> io::Result<Self>;
    /// Asks and waits for the answer.
    fn ask_for(&self, ask: &Ask) -> io::Result<(Answer, Self::With)>;
    /// Takes over what the launcher gave of a process: its own numbers in this process, or what came with the answer.
    fn take(given: [u64; 3], with: Self::With) -> io::Result<Taken<Self::End>>;

    /// Asks and waits for the answer alone.
    fn ask(&self, ask: &Ask) -> io::Result<Answer> {
        self.ask_for(ask).map(|(answer, _)| answer)
    }
}

/// What the launcher gave of a process.
pub(crate) struct Taken<E> {
    pub(crate) end: E,
    pub(crate) out: std::fs::File,
    pub(crate) err: std::fs::File,
}

/// How a process of the launcher's ends.
pub(crate) trait End: Send + Sync + 'static {
    /// Blocks until it has.
    fn wait(&self) -> io::Result<EndKind>;
    /// Says whether programs can be asked to end.
    const CAN_BE_ASKED: bool;
}
