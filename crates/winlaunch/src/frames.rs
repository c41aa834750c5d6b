//! Questions and answers on a connection, each behind its length.

use std::io::{self, Read, Write};

use tessera_ticket::pipe::{Answer, Ask, HEAD, head, length};

/// Reads a question; `None` at the end of the connection.
pub(crate) fn hear(stream: &mut impl Read) -> io::Result<Option<Ask>> {
    let mut bytes = [0; HEAD];
    match stream.read_exact(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let len = length(bytes).ok_or(io::ErrorKind::InvalidData)?;
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

/// Says an answer.
pub(crate) fn tell(stream: &mut impl Write, answer: &Answer) -> io::Result<()> {
    let message = answer.encode();
    let head = head(&message).ok_or(io::ErrorKind::InvalidData)?;
    stream.write_all(&[&head[..], &message].concat())
}
