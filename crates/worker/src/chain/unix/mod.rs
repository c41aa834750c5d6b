//! The launcher, or in desktop mode `tessera-launch` itself, over sockets that carry descriptors.

mod desktop;
mod link;
mod mode;
mod shepherd;
mod sockets;
#[cfg(test)]
mod tests;

use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tessera_ticket::launcher::{Capabilities, FRAME_MAX, Reply, Request};
use tokio::time::timeout;

pub use mode::Mode;
pub use shepherd::{Shepherd, ShepherdControl, ShepherdEvents};

use super::{ChainError, LaunchKey, ShepherdState, StartError, StartRequest, Started};
use crate::chain::owner::ticket_of_owner;
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

/// The way to `tessera-launch`; cheap to clone.
#[derive(Debug, Clone)]
pub struct Chain {
    mode: Arc<Mode>,
    next_id: Arc<AtomicU32>,
    orphan_seconds: u32,
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
        if let Mode::Desktop { owner, .. } = &*self.mode {
            ticket_of_owner(&req, owner)?;
        }
        let mut made = sockets::Made::default();
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
        made: &mut sockets::Made,
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
        let template = sockets::memory_file(&req.template)?;
        match &*self.mode {
            Mode::Service {
                launcher_socket, ..
            } => {
                // First, so that nothing is left behind when nobody is there.
                let link = connect(launcher_socket)?;
                let listener = sockets::listen(&req.dir, req.key, made)?;
                let fds = [template.as_fd(), listener.as_fd()];
                ask(&link, &request, &fds, START_TIMEOUT).await
            }
            Mode::Desktop {
                launch_binary,
                tmp,
                paths,
                variables,
                ..
            } => {
                let listener = sockets::listen(&req.dir, req.key, made)?;
                let lock = sockets::new_lock_file(&req.dir, req.key, made)?;
                let mut fds = vec![template.as_fd(), listener.as_fd(), lock.as_fd()];
                let table = (!paths.is_empty())
                    .then(|| sockets::memory_file(&paths.encode()))
                    .transpose()?;
                fds.extend(table.as_ref().map(|it| it.as_fd()));
                desktop::start(launch_binary, tmp, variables, &request, &fds).await
            }
        }
    }

    /// Takes up a shepherd that another worker process left, and asks it what there is. Exit records of what ended
    /// meanwhile are in the spool, see [`crate::chain::read_exit`].
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
                    key: sockets::wire_key(key),
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
        sockets::forget(dir, key);
        Ok(())
    }

    /// Removes the control socket and the lock of a launch that is gone; output and exit records stay.
    pub fn forget(&self, key: LaunchKey, dir: &Path) {
        sockets::forget(dir, key);
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
