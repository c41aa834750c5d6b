//! A connection to the launcher of a service: questions and answers in turn, and descriptors with the answers.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tessera_macos::{peer_uid, receive_with};
use tessera_ticket::EndKind;
use tessera_ticket::pipe::{Answer, Ask, HEAD, head, length};

use crate::chain::inside::here::{End, Link, Taken};

/// The bytes in which the launcher says how a process ended.
const ENDED_LEN: usize = 5;

/// A connection.
#[derive(Debug)]
pub(crate) struct Socket(Mutex<Option<UnixStream>>);

impl Link for Socket {
    type With = Vec<OwnedFd>;
    type End = Said;

    /// Connects to the launcher: to nobody who is not root.
    fn open(launcher: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(launcher)?;
        match peer_uid(&stream)? {
            0 => Ok(Self(Mutex::new(Some(stream)))),
            uid => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("the socket is of uid {uid}, not of root's launcher"),
            )),
        }
    }

    fn ask_for(&self, ask: &Ask) -> io::Result<(Answer, Vec<OwnedFd>)> {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut open) = stream.take() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let answer = exchange(&mut open, ask)?;
        *stream = Some(open);
        Ok(answer)
    }

    fn take(_: [u64; 3], fds: Vec<OwnedFd>) -> io::Result<Taken<Said>> {
        let fds = <[_; 3]>::try_from(fds).map_err(|_| io::ErrorKind::InvalidData)?;
        let [end, out, err] = fds.map(File::from);
        let end = Said(Mutex::new(Some(end)));
        Ok(Taken { end, out, err })
    }
}

/// Where the launcher says how a process ended.
#[derive(Debug)]
pub(crate) struct Said(Mutex<Option<File>>);

impl End for Said {
    const CAN_BE_ASKED: bool = true;

    fn wait(&self) -> io::Result<EndKind> {
        let end = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut bytes = [0; ENDED_LEN];
        end.ok_or(io::ErrorKind::NotConnected)?
            .read_exact(&mut bytes)?;
        let [kind, number @ ..] = bytes;
        let number = i32::from_le_bytes(number);
        match kind {
            b'e' => Ok(EndKind::Exited { code: number }),
            b's' => Ok(EndKind::Signalled {
                signal: u8::try_from(number).unwrap_or(u8::MAX),
            }),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
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
