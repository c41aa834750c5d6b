//! Reading and following the output of an attempt.

use super::ClientError;
use super::calls::path;
use super::events::{Retry, next_data};
use super::transport::{Answer, Transport};
use crate::frames::{
    ATTEMPT_HEADER, COMPLETE_HEADER, Decoder, LogPiece, OFFSET_HEADER, SIZE_HEADER,
};
use crate::query::{self, LogQuery, LogStream};
use bytes::Bytes;
use http::{HeaderMap, Method};
use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;

/// A piece of an attempt's output with where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPart {
    /// Which attempt.
    pub attempt: u32,
    /// The place of the first byte.
    pub offset: u64,
    /// How many bytes there were when it was read.
    pub size: u64,
    /// Whether the attempt has ended and no more will come.
    pub is_complete: bool,
    /// The bytes in their order.
    pub pieces: Vec<LogPiece>,
}

impl LogPart {
    /// Answers where the next part begins.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        self.offset
            + self
                .pieces
                .iter()
                .map(|piece| piece.len() as u64)
                .sum::<u64>()
    }

    /// Says whether nothing is left to read.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.is_complete && self.next_offset() >= self.size
    }

    pub(super) async fn read(
        transport: &Transport,
        job: u64,
        item: u32,
        which: &LogQuery,
    ) -> Result<Self, ClientError> {
        let which = LogQuery {
            follow: false,
            ..which.clone()
        };
        let (headers, body) = transport
            .call(Method::GET, &log_path(job, item, &which), Bytes::new())
            .await?;
        let pieces = match (which.is_framed(), which.stream) {
            (true, _) => unframe(&body).map_err(|error| transport.protocol(error.to_string()))?,
            (false, _) if body.is_empty() => Vec::new(),
            (false, LogStream::Err) => vec![LogPiece::Err(body)],
            (false, LogStream::Out | LogStream::Both) => vec![LogPiece::Out(body)],
        };
        Ok(Self {
            attempt: header(transport, &headers, ATTEMPT_HEADER)?,
            offset: header(transport, &headers, OFFSET_HEADER)?,
            size: header(transport, &headers, SIZE_HEADER)?,
            is_complete: header(transport, &headers, COMPLETE_HEADER)?,
            pieces,
        })
    }
}

/// Answers the pieces with output.
fn unframe(body: &[u8]) -> Result<Vec<LogPiece>, crate::frames::FrameTooLong> {
    let mut decoder = Decoder::default();
    decoder.push(body);
    let mut pieces = Vec::new();
    while let Some(piece) = decoder.next_piece()? {
        if !piece.is_empty() {
            pieces.push(piece);
        }
    }
    Ok(pieces)
}

fn header<T: FromStr>(
    transport: &Transport,
    headers: &HeaderMap,
    name: &str,
) -> Result<T, ClientError> {
    let value = headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse().ok());
    value.ok_or_else(|| transport.protocol(format!("the header {name} is missing or no value")))
}

fn log_path(job: u64, item: u32, which: &LogQuery) -> String {
    path(&format!(
        "/jobs/{job}/items/{item}/log{}",
        query::print(which)
    ))
}

/// Follows the output of an attempt; resumes by itself, at the byte where a cut line left off. Dropping the future of
/// [`LogFollower::next`] loses nothing.
pub struct LogFollower {
    transport: Arc<Transport>,
    job: u64,
    item: u32,
    which: LogQuery,
    line: Option<(Answer, Decoder)>,
    retry: Retry,
    has_ended: bool,
}

impl fmt::Debug for LogFollower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogFollower")
            .field("job", &self.job)
            .field("item", &self.item)
            .finish_non_exhaustive()
    }
}

impl LogFollower {
    pub(super) async fn open(
        transport: Arc<Transport>,
        job: u64,
        item: u32,
        which: LogQuery,
    ) -> Result<Self, ClientError> {
        let which = LogQuery {
            follow: true,
            framed: true,
            limit: None,
            ..which
        };
        let retry = Retry::new(transport.limits);
        let mut follower = Self {
            transport,
            job,
            item,
            which,
            line: None,
            retry,
            has_ended: false,
        };
        follower.connect().await?;
        Ok(follower)
    }

    /// Answers the attempt that is followed.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.which.attempt.unwrap_or_default()
    }

    /// Answers the place of the next byte.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.which.offset
    }

    /// Waits for more output: [`LogPiece::Out`] or [`LogPiece::Err`]; nothing when the attempt has ended and all was
    /// read.
    ///
    /// # Errors
    /// When the supervisor refuses, speaks otherwise, or was away for longer than [`super::TimeLimits::patience`].
    pub async fn next(&mut self) -> Result<Option<LogPiece>, ClientError> {
        while !self.has_ended {
            match self.step().await {
                Ok(Some(LogPiece::End)) => self.has_ended = true,
                Ok(Some(piece)) if piece.is_empty() => {}
                Ok(Some(piece)) => {
                    self.which.offset += piece.len() as u64;
                    return Ok(Some(piece));
                }
                Ok(None) => {}
                Err(error) => {
                    self.line = None;
                    self.retry.pause(error).await?;
                }
            }
        }
        Ok(None)
    }

    /// Takes a piece that has arrived, or reads once.
    async fn step(&mut self) -> Result<Option<LogPiece>, ClientError> {
        if self.line.is_none() {
            self.connect().await?;
        }
        let Some((answer, decoder)) = &mut self.line else {
            return Ok(None);
        };
        let bad = |error: crate::frames::FrameTooLong| self.transport.protocol(error.to_string());
        if let Some(piece) = decoder.next_piece().map_err(bad)? {
            return Ok(Some(piece));
        }
        match next_data(&self.transport, answer).await? {
            Some(bytes) => decoder.push(&bytes),
            None => {
                return Err(self
                    .transport
                    .unreachable(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        self.retry.went_well();
        Ok(None)
    }

    async fn connect(&mut self) -> Result<(), ClientError> {
        let answer = self
            .transport
            .open(&log_path(self.job, self.item, &self.which), &[])
            .await?;
        self.which.attempt = Some(header(&self.transport, &answer.headers, ATTEMPT_HEADER)?);
        self.line = Some((answer, Decoder::default()));
        Ok(())
    }
}
