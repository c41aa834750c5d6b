//! A connection to the launcher of a service: questions and answers in turn, and descriptors with the answers.

use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tessera_macos::{peer_uid, receive_with};
use tessera_ticket::pipe::{Answer, Ask, HEAD, head, length};

/// A connection. What goes wrong with it once is its end.
#[derive(Debug)]
pub(super) struct Link(Mutex<Option<UnixStream>>);

impl Link {
    /// Connects to the launcher: to nobody who is not root.
    pub(super) fn open(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        match peer_uid(&stream)? {
            0 => Ok(Self(Mutex::new(Some(stream)))),
            uid => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("the socket is of uid {uid}, not of root's launcher"),
            )),
        }
    }

    /// Asks and waits for the answer.
    pub(super) fn ask(&self, ask: &Ask) -> io::Result<Answer> {
        self.ask_for(ask).map(|(answer, _)| answer)
    }

    /// Asks and waits for the answer, and takes the descriptors that come with it.
    pub(super) fn ask_for(&self, ask: &Ask) -> io::Result<(Answer, Vec<OwnedFd>)> {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut open) = stream.take() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let answer = exchange(&mut open, ask)?;
        *stream = Some(open);
        Ok(answer)
    }
}

fn exchange(stream: &mut UnixStream, ask: &Ask) -> io::Result<(Answer, Vec<OwnedFd>)> {
    let message = ask.encode();
    let head = head(&message).ok_or(io::ErrorKind::InvalidInput)?;
    stream.write_all(&[&head[..], &message].concat())?;
    let mut bytes = [0; HEAD];
    // Descriptors come with the first byte.
    let (got, fds) = receive_with(stream, &mut bytes)?;
    if got == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    stream.read_exact(bytes.get_mut(got..).unwrap_or_default())?;
    let len = length(bytes).ok_or(io::ErrorKind::InvalidData)?;
    let mut message = vec![0; len];
    stream.read_exact(&mut message)?;
    let answer = Answer::decode(&message);
    let answer = answer.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok((answer, fds))
}
