//! The event stream: from the store what is older than the ring, then as it is committed.

use super::App;
use super::auth::Caller;
use super::error::{Answer, Failure};
use super::extract::Params;
use crate::events::Hub;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tessera_api::ErrorCode;
use tessera_api::query::EventsQuery;
use tessera_api::types::{Event, HELLO_KIND, RESYNC_KIND, Resync};
use tessera_store::Events;
use tokio::sync::{broadcast, mpsc};
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

/// Events that wait for one client; when it does not take them the ring goes on without it.
const WAITING_MAX: usize = 64;
/// Rows that are read from the store at once.
const ROWS: u32 = 500;
/// Pause after which a silent stream says that it is still there.
const KEEPALIVE: Duration = Duration::from_secs(tessera_api::KEEPALIVE_SECONDS);
/// The client's way to say where to resume.
const LAST_EVENT_ID: &str = "last-event-id";

/// `GET /events`
pub(crate) async fn events(
    State(app): State<App>,
    Extension(by): Caller,
    Params(query): Params<EventsQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    let after = match headers.get(LAST_EVENT_ID) {
        Some(value) => Some(last_of(value)?),
        None => query.after,
    };
    let (to, lines) = mpsc::channel(WAITING_MAX);
    // Heard from here on: what is committed while the answer is on its way is not missed.
    let ring = app.hub.listen();
    let newest = app.hub.last_seq();
    let begin = Begin::of(after, newest);
    tokio::spawn(async move {
        let feed = Feed {
            app: Arc::clone(&app),
            job: query.job,
            // A number that was never given out can be no place in the stream.
            seen: after.map_or(newest, |after| after.min(newest)),
            to,
        };
        tokio::select! {
            _left = feed.run(begin, ring) => {}
            () = app.ending.cancelled() => {}
            () = app.tokens.until_over(&by.proof) => {}
        }
    });
    let mut response = Response::new(Body::from_stream(
        ReceiverStream::new(lines).map(Ok::<_, Infallible>),
    ));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Reads where a client wants to resume; one that can't be read must not pass for *from now on*.
fn last_of(value: &HeaderValue) -> Result<u64, Failure> {
    let number = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| {
        let message = "Last-Event-ID is no number of an event";
        Failure::new(ErrorCode::BadRequest, message)
            .hint("send the id of the last event that was received, or none to begin now")
    })
}

/// Where a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    /// At the newest.
    Now,
    /// After a number that the client has seen.
    After,
    /// At the newest, though the client named a later one: it knows another journal than ours.
    Anew,
}

impl Begin {
    fn of(after: Option<u64>, newest: u64) -> Self {
        match after {
            None => Self::Now,
            Some(after) if after > newest => Self::Anew,
            Some(_) => Self::After,
        }
    }
}

/// The client has left.
struct Left;

/// One client's stream.
struct Feed {
    app: App,
    job: Option<u64>,
    seen: u64,
    to: mpsc::Sender<Bytes>,
}

impl Feed {
    async fn run(
        mut self,
        begin: Begin,
        mut ring: broadcast::Receiver<Arc<Event>>,
    ) -> Result<(), Left> {
        self.mark(HELLO_KIND).await?;
        match begin {
            Begin::Now => {}
            Begin::After => self.catch_up().await?,
            Begin::Anew => self.mark(RESYNC_KIND).await?,
        }
        loop {
            match timeout(KEEPALIVE, ring.recv()).await {
                Err(_elapsed) => {
                    self.catch_up().await?;
                    self.send(Bytes::from_static(b":\n\n")).await?;
                }
                Ok(Ok(event)) => {
                    // A commit whose answer got lost is durable and was never published.
                    if event.seq.is_some_and(|seq| seq > self.seen + 1) {
                        self.catch_up().await?;
                    }
                    self.event(&event).await?;
                }
                Ok(Err(broadcast::error::RecvError::Lagged(_))) => {
                    ring = self.app.hub.listen();
                    self.seen = self.app.hub.last_seq();
                    self.mark(RESYNC_KIND).await?;
                }
                Ok(Err(broadcast::error::RecvError::Closed)) => return Ok(()),
            }
        }
    }

    /// Tells what was committed after the number that the client knows.
    async fn catch_up(&mut self) -> Result<(), Left> {
        loop {
            let newest = self.app.hub.last_seq();
            let seen = self.seen;
            if seen == newest {
                return Ok(());
            }
            let found = self
                .app
                .readers
                .read(move |reader| reader.events_after(seen, ROWS))
                .await;
            match found {
                Ok(Events::Rows(rows)) if !rows.is_empty() => {
                    for row in rows {
                        let event = self.app.hub.of_history(row);
                        self.event(&event).await?;
                    }
                }
                Ok(Events::Rows(_)) => return Ok(()),
                Ok(Events::Pruned { .. }) | Err(_) => {
                    self.seen = newest;
                    return self.mark(RESYNC_KIND).await;
                }
            }
        }
    }

    async fn event(&mut self, event: &Event) -> Result<(), Left> {
        if let Some(seq) = event.seq {
            if seq <= self.seen {
                return Ok(());
            }
            self.seen = seq;
        }
        if self.job.is_some() && self.job != event.job {
            return Ok(());
        }
        let data = serde_json::to_string(event).unwrap_or_default();
        self.send(line(event.seq, &event.kind, &data)).await
    }

    /// Says where the stream stands.
    async fn mark(&self, kind: &str) -> Result<(), Left> {
        let data = serde_json::to_string(&Resync { after: self.seen }).unwrap_or_default();
        self.send(line(Some(self.seen), kind, &data)).await
    }

    async fn send(&self, bytes: Bytes) -> Result<(), Left> {
        self.to.send(bytes).await.map_err(|_| Left)
    }
}

/// Prints one server-sent event; JSON has no line breaks of its own.
fn line(id: Option<u64>, kind: &str, data: &str) -> Bytes {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    Bytes::from(format!("{id}event: {kind}\ndata: {data}\n\n"))
}

/// Wakes who follows a run when its item's state changes, so that its end is seen at once.
pub(crate) async fn wake_followers(hub: Arc<Hub>, logs: crate::logs::SharedLogs) {
    use tessera_model::{Attempt, ItemIndex, JobId};
    let mut ring = hub.listen();
    loop {
        match ring.recv().await {
            Ok(event) => {
                if let (Some(job), Some(item), Some(attempt)) =
                    (event.job, event.item, event.attempt)
                {
                    let (job, item, attempt) = (JobId(job), ItemIndex(item), Attempt(attempt));
                    logs.wake(crate::logs::RunKey { job, item, attempt });
                }
            }
            // Followers look by themselves now and then.
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}
