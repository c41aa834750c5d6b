//! Following what happens, over cut lines.

use super::calls::path;
use super::sse::{Decoder, RawEvent};
use super::transport::{Answer, Transport, broken};
use super::{ClientError, TimeLimits};
use crate::error::ErrorCode;
use crate::query::{self, EventsQuery};
use crate::types::{Event, HELLO_KIND, RESYNC_KIND, Resync};
use http::header::{ACCEPT, HeaderName, HeaderValue};
use http_body_util::BodyExt;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Sleep;

/// Pauses between attempts to come back: from, and at most.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// What an event stream gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Streamed {
    /// Something happened.
    Event(Event),
    /// Some of what happened is no longer kept: read the state anew, then go on here.
    Resync,
}

/// A stream of events that resumes by itself. Dropping the future of [`EventStream::next`] loses nothing.
#[derive(Debug)]
pub struct EventStream {
    transport: Arc<Transport>,
    which: EventsQuery,
    answer: Option<Line>,
    ready: VecDeque<Streamed>,
    retry: Retry,
}

/// An open stream.
struct Line {
    answer: Answer,
    decoder: Decoder,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Line")
    }
}

impl EventStream {
    pub(super) async fn open(
        transport: Arc<Transport>,
        which: EventsQuery,
    ) -> Result<Self, ClientError> {
        let retry = Retry::new(transport.limits);
        let mut stream = Self {
            transport,
            which,
            answer: None,
            ready: VecDeque::new(),
            retry,
        };
        stream.answer = Some(stream.connect().await?);
        Ok(stream)
    }

    /// Answers the number after which it resumes.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        self.which.after
    }

    /// Waits for the next thing that happens; comes back by itself when the line is cut.
    ///
    /// # Errors
    /// When the supervisor refuses, speaks otherwise, or was away for longer than [`TimeLimits::patience`].
    pub async fn next(&mut self) -> Result<Streamed, ClientError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            if let Err(error) = self.read_more().await {
                self.answer = None;
                self.retry.pause(error).await?;
            }
        }
    }

    /// Reads once, after connecting where there is no line.
    async fn read_more(&mut self) -> Result<(), ClientError> {
        if self.answer.is_none() {
            self.answer = Some(self.connect().await?);
        }
        let Some(line) = &mut self.answer else {
            return Ok(());
        };
        let Some(bytes) = next_data(&self.transport, &mut line.answer).await? else {
            return Err(self
                .transport
                .unreachable(io::ErrorKind::UnexpectedEof.into()));
        };
        let events = line
            .decoder
            .push(&bytes)
            .map_err(|error| self.transport.protocol(error.to_string()))?;
        self.retry.went_well();
        for event in events {
            self.take(&event)?;
        }
        Ok(())
    }

    fn take(&mut self, raw: &RawEvent) -> Result<(), ClientError> {
        let bad = |error: serde_json::Error| {
            self.transport
                .protocol(format!("event {}: {error}", raw.kind))
        };
        if raw.kind == HELLO_KIND || raw.kind == RESYNC_KIND {
            let resync: Resync = serde_json::from_str(&raw.data).map_err(bad)?;
            self.which.after = Some(resync.after);
            if raw.kind == RESYNC_KIND {
                self.ready.push_back(Streamed::Resync);
            }
            return Ok(());
        }
        let event: Event = serde_json::from_str(&raw.data).map_err(bad)?;
        self.which.after = event.seq.or(self.which.after);
        self.ready.push_back(Streamed::Event(event));
        Ok(())
    }

    async fn connect(&self) -> Result<Line, ClientError> {
        let mut headers = vec![(ACCEPT, HeaderValue::from_static("text/event-stream"))];
        if let Some(after) = self.which.after {
            headers.push((
                HeaderName::from_static("last-event-id"),
                HeaderValue::from(after),
            ));
        }
        let path = path(&format!("/events{}", query::print(&self.which)));
        let answer = self.transport.open(&path, &headers).await?;
        Ok(Line {
            answer,
            decoder: Decoder::default(),
        })
    }
}

/// Answers the next bytes of a stream, nothing at its end.
pub(super) async fn next_data(
    transport: &Transport,
    answer: &mut Answer,
) -> Result<Option<bytes::Bytes>, ClientError> {
    loop {
        let frame = match tokio::time::timeout(transport.limits.silence, answer.body.frame()).await
        {
            Ok(Some(frame)) => frame.map_err(|error| transport.unreachable(broken(&error)))?,
            Ok(None) => return Ok(None),
            Err(_) => return Err(transport.unreachable(io::ErrorKind::TimedOut.into())),
        };
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
}

/// Decides whether and when to come back after an error.
#[derive(Debug)]
pub(super) struct Retry {
    patience: Duration,
    pause: Duration,
    /// Begins with the first of a row of errors.
    over: Option<Pin<Box<Sleep>>>,
}

impl Retry {
    pub(super) fn new(limits: TimeLimits) -> Self {
        Self {
            patience: limits.patience,
            pause: PAUSE_MIN,
            over: None,
        }
    }

    /// Notes that something arrived.
    pub(super) fn went_well(&mut self) {
        self.pause = PAUSE_MIN;
        self.over = None;
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// The error itself, when it won't pass or the patience is over.
    pub(super) async fn pause(&mut self, error: ClientError) -> Result<(), ClientError> {
        let passes = match &error {
            ClientError::Unreachable { .. } => true,
            ClientError::Api(error) => {
                matches!(error.code, ErrorCode::Unavailable | ErrorCode::Busy)
            }
            ClientError::Protocol { .. } => false,
        };
        if !passes {
            return Err(error);
        }
        let patience = self.patience;
        let over = self
            .over
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        tokio::select! {
            biased;
            () = over => return Err(error),
            () = tokio::time::sleep(self.pause) => {}
        }
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        Ok(())
    }
}
