//! A connection to the launcher of a service: questions and answers in turn, and numbers of handles in the answers.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::windows::io::{AsHandle as _, OwnedHandle};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tessera_ticket::EndKind;
use tessera_ticket::pipe::{Answer, Ask, HEAD, head, length};
use tessera_windows::{Sid, connect, take_handle, wait_for};

use crate::chain::inside::here::{End, Link, Taken};

/// A connection.
#[derive(Debug)]
pub(crate) struct Pipe(Mutex<Option<File>>);

impl Link for Pipe {
    type With = ();
    type End = Process;

    /// Connects to the launcher: to nobody who does not run as the system or an administrator.
    fn open(launcher: &Path) -> io::Result<Self> {
        let owners = [Sid::system(), Sid::administrators()];
        let pipe = connect(&launcher.to_string_lossy(), &owners)?;
        Ok(Self(Mutex::new(Some(pipe))))
    }

    fn ask_for(&self, ask: &Ask) -> io::Result<(Answer, ())> {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut open) = stream.take() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let answer = exchange(&mut open, ask)?;
        *stream = Some(open);
        Ok((answer, ()))
    }

    fn take([process, out, err]: [u64; 3], (): ()) -> io::Result<Taken<Process>> {
        let (process, out, err) = (take_handle(process)?, take_handle(out)?, take_handle(err)?);
        Ok(Taken {
            end: Process(process),
            out: File::from(out),
            err: File::from(err),
        })
    }
}

/// A process of the launcher's, to wait for.
#[derive(Debug)]
pub(crate) struct Process(OwnedHandle);

impl End for Process {
    /// Programs have no common way to be asked.
    const CAN_BE_ASKED: bool = false;

    fn wait(&self) -> io::Result<EndKind> {
        let code = wait_for(self.0.as_handle())?.cast_signed();
        Ok(EndKind::Exited { code })
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
