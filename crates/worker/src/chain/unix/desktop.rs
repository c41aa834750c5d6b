//! Desktop mode: no launcher; `tessera-launch` is started as this user and told over its standard input.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use tessera_ticket::launcher::{Capabilities, Reply, Request};
use tokio::process::Command;
use tokio::time::timeout;

use super::link::Link;
use super::{START_TIMEOUT, ask, sockets};
use crate::chain::{ChainError, LaunchKey};
use crate::os;

const PROGRAM: &str = "tessera-launch";

/// Starts a shepherd. The process that is started detaches the shepherd and ends, so there is no child left to wait for.
pub(super) async fn start(
    binary: &Path,
    tmp: &Path,
    variables: &[String],
    request: &Request,
    fds: &[BorrowedFd<'_>],
) -> Result<Reply, ChainError> {
    os::dirs().create(tmp).map_err(ChainError::io(
        "making the directory of private directories",
    ))?;
    let mut command = Command::new(binary);
    command.arg("desktop-shepherd").arg("--tmp").arg(tmp);
    if !variables.is_empty() {
        command.arg("--pass").arg(variables.join(","));
    }
    talk(command, request, fds).await
}

/// Asks what this user's session can do.
pub(super) async fn capabilities(binary: &Path) -> Result<Capabilities, ChainError> {
    let mut command = Command::new(binary);
    command.arg("desktop-capabilities");
    match talk(command, &Request::Capabilities { id: 1 }, &[]).await? {
        Reply::Capabilities { what, .. } => Ok(what),
        _ => Err(ChainError::Nonsense { what: PROGRAM }),
    }
}

async fn talk(
    mut command: Command,
    request: &Request,
    fds: &[BorrowedFd<'_>],
) -> Result<Reply, ChainError> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)
        .map_err(ChainError::io("making a socket for the shepherd"))?;
    let link = Link::new(ours).map_err(ChainError::io("making a socket for the shepherd"))?;
    let mut child = command
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .spawn()
        .map_err(ChainError::io("starting tessera-launch"))?;
    let reply = ask(&link, request, fds, START_TIMEOUT).await;
    // The first process ends as soon as the shepherd is on its own or has refused.
    if timeout(START_TIMEOUT, child.wait()).await.is_err() {
        let _ = child.start_kill();
    }
    reply
}

/// Kills what is left of a launch and waits until nothing of it is alive.
pub(super) async fn prove_gone(
    binary: &Path,
    key: LaunchKey,
    dir: &Path,
    tmp: &Path,
    time: Duration,
) -> Result<(), ChainError> {
    let lock: OwnedFd = sockets::lock_file(dir, key)?.into();
    let mut child = Command::new(binary)
        .arg("desktop-gone")
        .arg(key.to_string())
        .arg("--tmp")
        .arg(tmp)
        .stdin(Stdio::from(lock))
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(ChainError::io("starting tessera-launch"))?;
    let status = timeout(time, child.wait())
        .await
        .map_err(|_| ChainError::TimedOut {
            what: PROGRAM,
            seconds: time.as_secs(),
        })?
        .map_err(ChainError::io("waiting for tessera-launch"))?;
    if status.success() {
        Ok(())
    } else {
        Err(ChainError::Nonsense { what: PROGRAM })
    }
}
