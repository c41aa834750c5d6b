//! A worker's side of the link.

use super::outbox::{Abort, Outbox, Requests, receive, turn};
use super::{
    CONNECTION_WINDOW, FRAME_BYTES, HEADER_BYTES_MAX, HELLO_TIME_LIMIT, KEEP_ALIVE_TIME_LIMIT,
    KEEP_ALIVE_WORKER, LOG_CHUNKS_MAX, LinkEnd, LinkError, SEND_BUFFER_BYTES, STREAM_WINDOW,
    TURNS_MAX, now,
};
use crate::convert::{
    ConvertError, Decoded, Hello, LogAck, LogChunk, MESSAGE_BYTES_MAX, Welcome,
    first_of_supervisor, hello_message, pack_chunks, pack_from_worker, read_ack, read_to_worker,
};
use crate::pki::FarmId;
use crate::proto::worker_link_client::WorkerLinkClient;
use crate::tls::ClientStream;
use crate::{PROTO_MAX, PROTO_MIN, proto};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;
use tessera_model::HostFacts;
use tessera_model::msg::{FromWorker, ToWorker};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::{Status, Streaming};

/// A connection to the supervisor. Dropping it closes the connection and ends all its streams.
pub struct WorkerLink {
    client: WorkerLinkClient<Http2>,
    farm: FarmId,
    driver: JoinHandle<()>,
    driven: watch::Receiver<()>,
    end: LinkEnd,
}

/// Control, once the supervisor has said welcome.
pub struct Attached {
    /// The supervisor's first words.
    pub welcome: Welcome,
    /// The supervisor's clock minus this host's in milliseconds, give or take half of the round trip.
    pub clock_offset_ms: i64,
    /// What the worker says, a turn at a time. Dropping it says that nothing more will come.
    pub outgoing: mpsc::Sender<Vec<FromWorker>>,
    /// What the supervisor says, a turn at a time; ends with the stream.
    pub incoming: mpsc::Receiver<Vec<ToWorker>>,
    /// Why it ended, and what was ignored.
    pub end: LinkEnd,
}

/// A stream of log chunks.
pub struct LogPush {
    /// What to keep. Dropping it says that nothing more will come on this stream.
    pub chunks: mpsc::Sender<LogChunk>,
    /// What is durable; ends with the stream.
    pub acks: mpsc::Receiver<LogAck>,
    /// Why it ended.
    pub end: LinkEnd,
}

impl std::fmt::Debug for WorkerLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerLink")
            .field("is_closed", &self.driver.is_finished())
            .finish()
    }
}

impl WorkerLink {
    /// Begins to speak over a connection of [`crate::tls::WorkerTls::connect`]. A task carries it until the link is dropped.
    ///
    /// # Errors
    /// `Broken`, `Late`.
    pub async fn open(stream: ClientStream, farm: FarmId) -> Result<Self, LinkError> {
        let handshake = builder().handshake(TokioIo::new(stream));
        let (sender, connection) = timeout(HELLO_TIME_LIMIT, handshake)
            .await
            .map_err(|_elapsed| LinkError::Late)?
            .map_err(LinkError::Broken)?;
        let (drives, driven) = watch::channel(());
        let end = LinkEnd::default();
        let driver = tokio::spawn(drive(connection, end.clone(), drives));
        let client = WorkerLinkClient::with_origin(Http2(sender), origin(farm))
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        Ok(Self {
            client,
            farm,
            driver,
            driven,
            end,
        })
    }

    /// Waits until the connection is over. May be called at any time and any number of times.
    pub async fn closed(&self) {
        let mut driven = self.driven.clone();
        // Nothing is ever sent: what ends the wait is that the driver is gone.
        while driven.changed().await.is_ok() {}
    }

    /// Answers why the connection is over, if it broke.
    #[must_use]
    pub fn end(&self) -> &LinkEnd {
        &self.end
    }

    /// Says hello and waits for the welcome.
    ///
    /// # Errors
    /// `Refused` with the supervisor's reason, `Late`, or how the stream ended.
    pub async fn attach(
        &self,
        facts: HostFacts,
        features: Vec<String>,
    ) -> Result<Attached, LinkError> {
        let asked = Instant::now();
        let hello = Hello {
            proto_min: PROTO_MIN,
            proto_max: PROTO_MAX,
            features,
            wall: now(),
            facts,
        };
        let (outgoing, turns) = mpsc::channel(TURNS_MAX);
        let (abort, aborted) = Abort::new();
        let outbox = Outbox::new(Some(hello_message(hello)), turns, pack_from_worker, aborted);
        let (from, welcome, rest) = timeout(HELLO_TIME_LIMIT, self.greet(outbox))
            .await
            .map_err(|_elapsed| LinkError::Late)??;
        let half = i64::try_from(asked.elapsed().as_millis() / 2).unwrap_or(0);
        let clock_offset_ms = welcome.wall.plus_ms(half).0.saturating_sub(now().0);
        let (to, incoming) = mpsc::channel(TURNS_MAX);
        let end = LinkEnd::default();
        hand_over(rest, &to, &end);
        let read = |batch| read_to_worker(batch).map(turn);
        tokio::spawn(receive(from, to, read, end.clone(), abort));
        Ok(Attached {
            welcome,
            clock_offset_ms,
            outgoing,
            incoming,
            end,
        })
    }

    async fn greet(
        &self,
        outbox: Outbox<Vec<FromWorker>, proto::FromWorkerBatch>,
    ) -> Result<(Streaming<proto::ToWorkerBatch>, Welcome, Decoded<ToWorker>), LinkError> {
        let answer = self
            .client
            .clone()
            .attach(Requests(outbox))
            .await
            .map_err(ended)?;
        let mut from = answer.into_inner();
        let first = from
            .message()
            .await
            .map_err(ended)?
            .ok_or(LinkError::Silent)?;
        let first = first_of_supervisor(first).map_err(LinkError::Message)?;
        let (welcome, rest) = first.map_err(LinkError::Refused)?;
        self.check(&welcome)?;
        Ok((from, welcome, rest))
    }

    /// Checks that the welcome is this farm's and in a version that was offered.
    fn check(&self, welcome: &Welcome) -> Result<(), LinkError> {
        let field = if welcome.farm != self.farm {
            "welcome.farm_id"
        } else if !(PROTO_MIN..=PROTO_MAX).contains(&welcome.proto) {
            "welcome.proto"
        } else {
            return Ok(());
        };
        Err(LinkError::Message(ConvertError::Unknown { field }))
    }

    /// Opens a stream for logs; only while attached, at most [`super::LOG_STREAMS_MAX`] at a time.
    ///
    /// # Errors
    /// `Late`, or how the stream ended.
    pub async fn push_logs(&self) -> Result<LogPush, LinkError> {
        let (chunks, waiting) = mpsc::channel(LOG_CHUNKS_MAX);
        let (abort, aborted) = Abort::new();
        let outbox = Outbox::new(None, waiting, pack_chunks, aborted);
        let mut client = self.client.clone();
        let answer = timeout(HELLO_TIME_LIMIT, client.push_logs(Requests(outbox)))
            .await
            .map_err(|_elapsed| LinkError::Late)?
            .map_err(ended)?;
        let (to, acks) = mpsc::channel(LOG_CHUNKS_MAX);
        let end = LinkEnd::default();
        let read = |ack| read_ack(ack).map(|ack| (Some(ack), 0));
        tokio::spawn(receive(answer.into_inner(), to, read, end.clone(), abort));
        Ok(LogPush { chunks, acks, end })
    }
}

impl Drop for WorkerLink {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Carries the connection to its end.
async fn drive(
    connection: impl Future<Output = Result<(), hyper::Error>>,
    end: LinkEnd,
    _drives: watch::Sender<()>,
) {
    if let Err(error) = connection.await {
        end.set(LinkError::Broken(error));
    }
}

/// Puts what came with the first message into the channel, which is empty and has room.
fn hand_over<T>(rest: Decoded<T>, to: &mpsc::Sender<Vec<T>>, end: &LinkEnd) {
    let (messages, ignored) = turn(rest);
    end.add_ignored(ignored);
    if let Some(messages) = messages {
        let _there_is_room = to.try_send(messages);
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn ended(status: Status) -> LinkError {
    LinkError::from_status(&status)
}

/// Answers the HTTP origin; its host is the name that the certificate proved.
fn origin(farm: FarmId) -> http::Uri {
    // A farm id prints as hexadecimal digits and dashes, which a URI can hold.
    http::Uri::try_from(format!("https://{}", farm.server_name())).unwrap_or_default()
}

fn builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_BYTES)
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(KEEP_ALIVE_WORKER)
        .keep_alive_timeout(KEEP_ALIVE_TIME_LIMIT)
        .keep_alive_while_idle(true);
    builder
}

/// What tonic sends its requests over.
#[derive(Clone)]
struct Http2(http2::SendRequest<tonic::body::Body>);

impl tower::Service<http::Request<tonic::body::Body>> for Http2 {
    type Response = http::Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
