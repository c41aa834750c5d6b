//! Starts instances on this host and drives them: through the launcher (service mode) or directly (desktop mode); talks to
//! shepherds, adopts those that a former worker left, and proves that one is gone.
//!
//! It owns the sockets and the files of an instance's spool directory. It decides nothing: what to run, when to end it and
//! what to report are the engine's business. Output is read from the spool by others; the shepherd writes it.

#[cfg(any(not(target_os = "linux"), test))]
mod inside;
#[cfg(target_os = "macos")]
mod macos;
mod owner;
mod spool;
#[cfg(target_os = "linux")]
mod unix;
#[cfg(windows)]
mod windows;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

#[cfg(not(target_os = "linux"))]
pub use inside::living::Shepherd;
pub use owner::Owner;
pub use spool::{SpoolFile, read_exit, read_index, spool_path};
pub use tessera_model::msg::LaunchKey;
pub use tessera_ticket::launcher::Capabilities;
pub use tessera_ticket::shepherd::{Event as ShepherdEvent, ItemState};
pub use tessera_ticket::{
    EndCause, EndKind, ExitRecord, IndexRecord, Refusal, RefusalClass, Step, Stream,
};
#[cfg(target_os = "linux")]
pub use unix::{Chain, Mode, Shepherd, ShepherdControl, ShepherdEvents};

/// Instances of this worker; cheap to clone.
#[cfg(target_os = "macos")]
pub type Chain = inside::chain::Chain<macos::Mac>;
/// How instances are started on this host.
#[cfg(target_os = "macos")]
pub type Mode = inside::chain::Mode<macos::Mac>;
/// Instances of this worker; cheap to clone.
#[cfg(windows)]
pub type Chain = inside::chain::Chain<windows::Windows>;
/// How instances are started on this host.
#[cfg(windows)]
pub type Mode = inside::chain::Mode<windows::Windows>;

/// What it takes to start an instance.
#[derive(Debug, Clone)]
pub struct StartRequest {
    /// Which launch.
    pub key: LaunchKey,
    /// The encoded ticket.
    pub ticket: Vec<u8>,
    /// Its signature.
    pub signature: [u8; 64],
    /// The encoded template that the ticket's digest is of.
    pub template: Vec<u8>,
    /// The instance's spool directory; made (0700) if missing.
    pub dir: PathBuf,
}

/// An instance that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The account that its items run as.
    pub account: String,
    /// Its uid.
    pub uid: u32,
    /// `cgroup` or `session`.
    pub containment: String,
    /// The shepherd's process id.
    pub shepherd_pid: u32,
}

/// Why an instance was not started.
#[derive(Debug, Error)]
pub enum StartError {
    /// The host refused; nothing was started. [`Refusal::class_of`] says what a code means for the work.
    #[error("{text}")]
    Refused {
        /// A stable code.
        code: String,
        /// One sentence that names host, launch and account.
        text: String,
        /// What to do about it.
        hint: String,
    },
    /// Nobody answered, or not in time; something may have been started: ask [`Chain::prove_gone`] before trying again.
    #[error("the launcher did not start the instance")]
    Unavailable(#[source] ChainError),
}

/// Why the chain could not be driven.
#[derive(Debug, Error)]
pub enum ChainError {
    /// There is no shepherd of this launch.
    #[error("no shepherd of launch {launch} is there")]
    NotThere {
        /// The launch.
        launch: String,
    },
    /// The attempt's files exist already, so it has run before.
    #[error("attempt {attempt} of item {item} has run before")]
    AlreadyRan {
        /// The item.
        item: u32,
        /// The attempt.
        attempt: u32,
    },
    /// No answer in time.
    #[error("{what} did not answer within {seconds} s")]
    TimedOut {
        /// Who.
        what: &'static str,
        /// The time given.
        seconds: u64,
    },
    /// The launcher can't do it now.
    #[error("the launcher can't vouch for it: {text}")]
    Refused {
        /// The launcher's reason.
        text: String,
    },
    /// An answer that makes no sense.
    #[error("{what} gave an answer that makes no sense; are both of the same release?")]
    Nonsense {
        /// Who.
        what: &'static str,
    },
    /// The system refused.
    #[error("{what}")]
    Io {
        /// What was done.
        what: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

impl ChainError {
    /// Wraps a system error with what was done; to be used as `map_err(ChainError::io("…"))`.
    fn io<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Io {
            what,
            source: source.into(),
        }
    }
}

/// An item to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunItem {
    /// The item.
    pub item: u32,
    /// The attempt.
    pub attempt: u32,
    /// Bytes of output kept of each stream; what comes after is dropped, with a mark.
    pub output_limit: u64,
    /// How long processes may outlive the item's main process; zero for not at all.
    pub leftover_grace: Duration,
    /// Whether the exit record is made durable (`fdatasync`) before it is told.
    ///
    /// It reaches the disk through the page cache anyway; only a host that loses power can forget it, and then the item
    /// counts as lost with its host and is run again.
    pub durable: bool,
    /// Whether the program waits until nothing is left of the items before it.
    pub next: bool,
}

/// What a shepherd has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShepherdState {
    /// Whether the instance is suspended.
    pub suspended: bool,
    /// Whether no further item can start.
    pub starter_lost: bool,
    /// Running items first, then the latest that ended.
    pub items: Vec<ItemState>,
}
