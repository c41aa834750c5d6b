//! A sequenced-packet socket that carries descriptors, for tokio.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;

use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, getsockopt,
    recv, sendmsg, socket, sockopt,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// One end of a connection. Sending and receiving are safe to cancel: a packet goes or comes whole or not at all.
#[derive(Debug)]
pub(super) struct Link {
    /// Used for readiness and ownership only: packets are sent and received by the calls below.
    socket: UnixStream,
}

impl Link {
    /// Connects; to a local socket this is done at once or refused.
    pub(super) fn connect(path: &Path) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
        connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
        Self::new(fd)
    }

    /// Connects to a service of this uid: who listens there is what the kernel noted then.
    ///
    /// # Errors
    /// `PermissionDenied` when somebody else listens.
    pub(super) fn connect_to(path: &Path, uid: u32) -> io::Result<Self> {
        let link = Self::connect(path)?;
        let found = getsockopt(&link.socket, sockopt::PeerCredentials)?.uid();
        if found == uid {
            return Ok(link);
        }
        let text = format!("uid {found} listens at {}, not uid {uid}", path.display());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
    }

    /// Takes a socket that does not block.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            socket: UnixStream::from_std(StdStream::from(fd))?,
        })
    }

    /// Sends one packet with descriptors beside it.
    pub(super) async fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let raw: Vec<RawFd> = fds.iter().map(std::os::fd::AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let beside: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
        self.socket
            .async_io(Interest::WRITABLE, || {
                let flags = MsgFlags::MSG_NOSIGNAL;
                sendmsg::<()>(
                    self.socket.as_raw_fd(),
                    &[IoSlice::new(bytes)],
                    beside,
                    flags,
                    None,
                )?;
                Ok(())
            })
            .await
    }

    /// Receives one packet of at most `max` bytes; the end of the connection is `UnexpectedEof`.
    pub(super) async fn receive(&self, max: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; max];
        let len = self
            .socket
            .async_io(Interest::READABLE, || {
                Ok(recv(
                    self.socket.as_raw_fd(),
                    &mut buffer,
                    MsgFlags::MSG_DONTWAIT,
                )?)
            })
            .await?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer.truncate(len);
        Ok(buffer)
    }
}
