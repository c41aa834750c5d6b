//! Questions and answers on a connection, each behind its length.

use std::io::{self, Read, Write};

use tessera_ticket::pipe::{Answer, Ask, HEAD, head, length};

use crate::system::System;

/// A connection, as the system has it.
pub trait Port<S: System> {
    /// Reads a question; `None` at the end of the connection.
    ///
    /// # Errors
    /// When it is none; nothing can follow.
    fn hear(&mut self) -> io::Result<Option<Ask>>;
    /// Says an answer, and hands over what goes with it.
    ///
    /// # Errors
    /// When it can't be said whole.
    fn tell(&mut self, answer: &Answer, given: Option<&S::Given>) -> io::Result<()>;
}

/// A connection on which nothing but bytes goes.
#[derive(Debug)]
pub struct Stream<T>(pub T);

impl<S: System, T: Read + Write> Port<S> for Stream<T> {
    fn hear(&mut self) -> io::Result<Option<Ask>> {
        match read_head(&mut self.0)? {
            Some(len) => read_ask(&mut self.0, len),
            None => Ok(None),
        }
    }

    fn tell(&mut self, answer: &Answer, _: Option<&S::Given>) -> io::Result<()> {
        self.0.write_all(&bytes_of(answer)?)
    }
}

/// Reads how long a question is; `None` at the end of the connection.
///
/// # Errors
/// When it is longer than one may be, or the connection breaks.
pub fn read_head(stream: &mut impl Read) -> io::Result<Option<usize>> {
    let mut bytes = [0; HEAD];
    match stream.read_exact(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let len = length(bytes).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Some(len))
}

/// Reads a question of so many bytes; `None` at the end of the connection.
///
/// # Errors
/// When it is none.
pub fn read_ask(stream: &mut impl Read, len: usize) -> io::Result<Option<Ask>> {
    // Grows as bytes arrive, so that a length alone takes no memory.
    let mut message = Vec::new();
    stream.take(len as u64).read_to_end(&mut message)?;
    if message.len() < len {
        return Ok(None);
    }
    let ask = Ask::decode(&message);
    ask.map(Some)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Writes an answer behind its length.
///
/// # Errors
/// When it is longer than one may be.
pub fn bytes_of(answer: &Answer) -> io::Result<Vec<u8>> {
    let message = answer.encode();
    let head = head(&message).ok_or(io::ErrorKind::InvalidData)?;
    Ok([&head[..], &message].concat())
}
