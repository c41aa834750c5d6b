//! Drives `tessera-launch` from the worker's side: starts instances through the launcher (service mode) or directly
//! (desktop mode), talks to shepherds, adopts those that a former worker left, and proves that one is gone.
//!
//! It owns the sockets and the files of an instance's spool directory. It decides nothing: what to run, when to end it and
//! what to report are the engine's business. Output is read from the spool by others; the shepherd writes it.

mod desktop;
mod link;
mod shepherd;
mod spool;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tessera_ticket::launcher::{FRAME_MAX, Reply, Request};
use thiserror::Error;
use tokio::time::timeout;

pub use shepherd::{
    RunItem, Shepherd, ShepherdControl, ShepherdEvent, ShepherdEvents, ShepherdState,
};
pub use spool::{SpoolFile, read_exit, read_index, spool_path};
pub use tessera_model::msg::LaunchKey;
pub use tessera_ticket::launcher::Capabilities;
pub use tessera_ticket::shepherd::ItemState;
pub use tessera_ticket::{
    EndCause, EndKind, ExitRecord, IndexRecord, Refusal, RefusalClass, Step, Stream,
};

use link::Link;

/// How long the launcher may take to answer a start; it gives the user directory 5 s of it.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long other answers may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the proof that nothing is alive may take before the caller must ask again.
const GONE_TIMEOUT: Duration = Duration::from_secs(20);
/// The launcher is root; nobody else's word counts for it.
const LAUNCHER_UID: u32 = 0;
/// How long a shepherd without work waits for a worker before it closes itself.
const ORPHAN_SECONDS: u32 = 600;

/// How instances are started on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Through the privileged launcher beside the worker.
    Service {
        /// Its socket.
        launcher_socket: PathBuf,
        /// Added to the niceness of what runs, 0 to 19.
        nice: u8,
    },
    /// As the worker's own user.
    Desktop {
        /// The `tessera-launch` program.
        launch_binary: PathBuf,
        /// The name of that user, whose jobs alone run there.
        user: String,
        /// Where instances have their private directories; made (0700) if missing.
        tmp: PathBuf,
        /// Added to the niceness of what runs, 0 to 19.
        nice: u8,
    },
}

/// The way to `tessera-launch`; cheap to clone.
#[derive(Debug, Clone)]
pub struct Chain {
    mode: Arc<Mode>,
    next_id: Arc<AtomicU32>,
    orphan_seconds: u32,
}

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

impl Chain {
    /// Makes a chain; connects to nothing yet.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode: Arc::new(mode),
            next_id: Arc::new(AtomicU32::new(1)),
            orphan_seconds: ORPHAN_SECONDS,
        }
    }

    /// Sets how long a shepherd without work waits for a worker before it closes itself (default 10 minutes).
    #[must_use]
    pub fn with_orphan_timeout(mut self, time: Duration) -> Self {
        self.orphan_seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        self
    }

    /// Asks what this host can do.
    ///
    /// # Errors
    /// When the launcher is not there or does not answer.
    pub async fn capabilities(&self) -> Result<Capabilities, ChainError> {
        let socket = match &*self.mode {
            Mode::Service {
                launcher_socket, ..
            } => launcher_socket,
            Mode::Desktop { launch_binary, .. } => {
                return desktop::capabilities(launch_binary).await;
            }
        };
        let id = self.id();
        let link = connect(socket)?;
        match ask(&link, &Request::Capabilities { id }, &[], ANSWER_TIMEOUT).await? {
            Reply::Capabilities { what, .. } => Ok(what),
            _ => Err(ChainError::Nonsense { what: LAUNCHER }),
        }
    }

    /// Starts an instance: its starter has become the user and waits for items when this returns.
    ///
    /// Dropping the future may leave an instance behind; [`Chain::prove_gone`] ends it.
    ///
    /// # Errors
    /// `Refused` with the host's reason, or `Unavailable`.
    pub async fn start(&self, req: StartRequest) -> Result<(Started, Shepherd), StartError> {
        if let Mode::Desktop { user, .. } = &*self.mode {
            desktop::check_owner(&req, user)?;
        }
        let mut made = spool::Made::default();
        let reply = self
            .ask_start(&req, &mut made)
            .await
            .map_err(StartError::Unavailable)?;
        let (started, dir) = match reply {
            Reply::Started {
                shepherd,
                account,
                uid,
                containment,
                ..
            } => {
                let started = Started {
                    account,
                    uid,
                    containment,
                    shepherd_pid: shepherd,
                };
                (started, req.dir)
            }
            Reply::Refused {
                code, text, hint, ..
            } => {
                made.remove();
                return Err(StartError::Refused { code, text, hint });
            }
            Reply::Gone { .. } | Reply::Capabilities { .. } => {
                return Err(StartError::Unavailable(ChainError::Nonsense {
                    what: LAUNCHER,
                }));
            }
        };
        let shepherd = Shepherd::connect(req.key, &dir).map_err(StartError::Unavailable)?;
        Ok((started, shepherd))
    }

    async fn ask_start(
        &self,
        req: &StartRequest,
        made: &mut spool::Made,
    ) -> Result<Reply, ChainError> {
        let request = Request::Start {
            id: self.id(),
            ticket: req.ticket.clone(),
            signature: req.signature,
            orphan_seconds: self.orphan_seconds,
            nice: match &*self.mode {
                Mode::Service { nice, .. } | Mode::Desktop { nice, .. } => *nice,
            },
        };
        let template = spool::memory_file(&req.template)?;
        match &*self.mode {
            Mode::Service {
                launcher_socket, ..
            } => {
                // First, so that nothing is left behind when nobody is there.
                let link = connect(launcher_socket)?;
                let listener = spool::listen(&req.dir, req.key, made)?;
                let fds = [template.as_fd(), listener.as_fd()];
                ask(&link, &request, &fds, START_TIMEOUT).await
            }
            Mode::Desktop {
                launch_binary, tmp, ..
            } => {
                let listener = spool::listen(&req.dir, req.key, made)?;
                let lock = spool::new_lock_file(&req.dir, req.key, made)?;
                let fds = [template.as_fd(), listener.as_fd(), lock.as_fd()];
                desktop::start(launch_binary, tmp, &request, &fds).await
            }
        }
    }

    /// Takes up a shepherd that another worker process left, and asks it what there is. Exit records of what ended
    /// meanwhile are in the spool, see [`read_exit`].
    ///
    /// # Errors
    /// `NotThere` when the shepherd is gone; then [`Chain::prove_gone`] is next.
    pub async fn adopt(
        &self,
        key: LaunchKey,
        dir: &Path,
    ) -> Result<(Shepherd, ShepherdState), ChainError> {
        let mut shepherd = Shepherd::connect(key, dir)?;
        let state = shepherd.state().await?;
        Ok((shepherd, state))
    }

    /// Returns when nothing of the launch is alive; what is left of it is killed first.
    ///
    /// In service mode the launcher vouches for it, in desktop mode `tessera-launch` looks for itself.
    ///
    /// # Errors
    /// When nobody can say so in time; ask again later. Until then no new attempt may start.
    pub async fn prove_gone(&self, key: LaunchKey, dir: &Path) -> Result<(), ChainError> {
        match &*self.mode {
            Mode::Service {
                launcher_socket, ..
            } => {
                let link = connect(launcher_socket)?;
                let request = Request::Gone {
                    id: self.id(),
                    key: spool::wire_key(key),
                };
                match ask(&link, &request, &[], GONE_TIMEOUT).await? {
                    Reply::Gone { .. } => {}
                    Reply::Refused { text, .. } => return Err(ChainError::Refused { text }),
                    _ => return Err(ChainError::Nonsense { what: LAUNCHER }),
                }
            }
            Mode::Desktop {
                launch_binary, tmp, ..
            } => {
                desktop::prove_gone(launch_binary, key, dir, tmp, GONE_TIMEOUT).await?;
            }
        }
        spool::forget(dir, key);
        Ok(())
    }

    /// Removes the control socket and the lock of a launch that is gone; output and exit records stay.
    pub fn forget(&self, key: LaunchKey, dir: &Path) {
        spool::forget(dir, key);
    }

    fn id(&self) -> u32 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }
}

const LAUNCHER: &str = "the launcher";

fn connect(socket: &Path) -> Result<Link, ChainError> {
    Link::connect_to(socket, LAUNCHER_UID).map_err(ChainError::io("connecting to the launcher"))
}

/// Sends one request and waits for its answer.
async fn ask(
    link: &Link,
    request: &Request,
    fds: &[std::os::fd::BorrowedFd<'_>],
    time: Duration,
) -> Result<Reply, ChainError> {
    let answer = async {
        link.send(&request.encode(), fds)
            .await
            .map_err(ChainError::io("asking the launcher"))?;
        let bytes = link
            .receive(FRAME_MAX)
            .await
            .map_err(ChainError::io("hearing the launcher"))?;
        Reply::decode(&bytes).map_err(|_| ChainError::Nonsense { what: LAUNCHER })
    };
    timeout(time, answer)
        .await
        .map_err(|_| ChainError::TimedOut {
            what: LAUNCHER,
            seconds: time.as_secs(),
        })?
}
