//! A connection to the launcher of a service: questions and answers in turn.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::sync::{Mutex, PoisonError};

use tessera_ticket::pipe::{Answer, Ask, HEAD, head, length};
use tessera_windows::{Sid, connect};

/// The launcher's usual pipe.
pub(super) const PIPE: &str = r"\\.\pipe\tessera-launch";

/// A connection. What goes wrong with it once is its end.
#[derive(Debug)]
pub(super) struct Link(Mutex<Option<File>>);

impl Link {
    /// Connects to the launcher: to nobody who does not run as the system or an administrator.
    pub(super) fn open(pipe: &str) -> io::Result<Self> {
        let owners = [Sid::system(), Sid::administrators()];
        Ok(Self(Mutex::new(Some(connect(pipe, &owners)?))))
    }

    /// Asks and waits for the answer.
    pub(super) fn ask(&self, ask: &Ask) -> io::Result<Answer> {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut open) = stream.take() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let answer = exchange(&mut open, ask)?;
        *stream = Some(open);
        Ok(answer)
    }
}

fn exchange(stream: &mut File, ask: &Ask) -> io::Result<Answer> {
    let message = ask.encode();
    let head = head(&message).ok_or(io::ErrorKind::InvalidInput)?;
    stream.write_all(&[&head[..], &message].concat())?;
    let mut bytes = [0; HEAD];
    stream.read_exact(&mut bytes)?;
    let len = length(bytes).ok_or(io::ErrorKind::InvalidData)?;
    let mut message = vec![0; len];
    stream.read_exact(&mut message)?;
    Answer::decode(&message).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
