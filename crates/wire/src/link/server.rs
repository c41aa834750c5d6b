//! The supervisor's side of the link.

use super::outbox::{Abort, Answers, Outbox, receive, status_of, turn};
use super::{
    ADMIT_TIME_LIMIT, CONNECTION_WINDOW, FRAME_BYTES, HEADER_BYTES_MAX, HELLO_TIME_LIMIT,
    KEEP_ALIVE_SUPERVISOR, KEEP_ALIVE_TIME_LIMIT, LINGER, LOG_CHUNKS_MAX, LOG_STREAMS_MAX, LinkEnd,
    LinkError, SEND_BUFFER_BYTES, STREAM_WINDOW, STREAMS_MAX, TURNS_MAX, now,
};
use crate::convert::{
    AttachRefused, Decoded, Hello, LogAck, LogChunk, MESSAGE_BYTES_MAX, Welcome, common_version,
    first_of_worker, pack_acks, pack_to_worker, read_chunk, read_from_worker, refused_batch,
    welcome_message,
};
use crate::pki::FarmId;
use crate::proto;
use crate::proto::worker_link_server::{WorkerLink, WorkerLinkServer};
use crate::tls::{AcceptedWorker, WorkerPeer};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tessera_model::HostId;
use tessera_model::msg::{FromWorker, ToWorker};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming};

/// What the supervisor does with its workers.
pub trait Handler: Send + Sync + 'static {
    /// Decides whether a worker may attach: is its host enrolled, with this certificate, not removed. The reason is told
    /// to the worker.
    fn admit(
        &self,
        peer: &WorkerPeer,
        hello: &Hello,
    ) -> impl Future<Output = Result<(), AttachRefused>> + Send;

    /// Speaks with a worker. Runs as a task of [`serve_worker`]; may hand the channels on and return. Dropping both channels
    /// ends the connection.
    fn attached(&self, connection: WorkerConnection) -> impl Future<Output = ()> + Send;

    /// Keeps the logs of a worker. Runs as a task of [`serve_worker`]; may hand the channels on and return.
    fn logs(&self, connection: LogConnection) -> impl Future<Output = ()> + Send;
}

/// Control of one worker.
pub struct WorkerConnection {
    /// The host, from the certificate.
    pub host: HostId,
    /// What certificate and connection say.
    pub peer: WorkerPeer,
    /// The worker's first words. `incoming` has what follows, among it a new `Hello` when the facts have changed.
    pub hello: Hello,
    /// The worker's clock minus this one in milliseconds; includes the way here.
    pub clock_offset_ms: i64,
    /// What the worker says, a turn at a time; ends with the stream.
    pub incoming: mpsc::Receiver<Vec<FromWorker>>,
    /// What the supervisor says, a turn at a time; full when the worker does not read. Closed when the stream has ended.
    pub outgoing: mpsc::Sender<Vec<ToWorker>>,
    /// Why it ended, and what was ignored.
    pub end: LinkEnd,
    /// Ends it with a word.
    pub parting: Parting,
}

/// Ends the connection of a worker and tells it why.
#[derive(Debug, Clone)]
pub struct Parting(Abort);

impl Parting {
    /// Ends the connection at once; the worker is told `why`, if it listens.
    pub fn send_away(self, why: &str) {
        self.0.send(Status::unavailable(why));
    }
}

/// Logs of one worker.
pub struct LogConnection {
    /// The host, from the certificate. Whether a run is this host's is for the handler to check.
    pub host: HostId,
    /// What to keep; ends with the stream.
    pub chunks: mpsc::Receiver<LogChunk>,
    /// What is durable.
    pub acks: mpsc::Sender<LogAck>,
    /// Why it ended.
    pub end: LinkEnd,
}

/// What a supervisor says in its welcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The farm.
    pub farm: FarmId,
    /// A worker says something at least this often (whole seconds, at least one).
    pub heartbeat: Duration,
    /// Words for what this supervisor can do beyond the version.
    pub features: Vec<String>,
}

/// Where control of a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Phase {
    Silent,
    Greeting,
    Attached,
    Over,
}

/// What the streams of one connection share.
struct Shared<H> {
    peer: WorkerPeer,
    terms: Terms,
    handler: Arc<H>,
    phase: watch::Sender<Phase>,
    log_streams: Arc<Semaphore>,
    tasks: Mutex<JoinSet<()>>,
}

/// Serves one worker until its connection has ended and the handler's tasks have returned. Dropping the future closes the
/// connection and ends the tasks.
///
/// # Errors
/// `Late` when the worker did not attach in time, `Broken` when the connection was not closed in order.
pub async fn serve_worker<H: Handler>(
    worker: AcceptedWorker,
    terms: Terms,
    handler: Arc<H>,
) -> Result<(), LinkError> {
    let shared = Arc::new(Shared {
        peer: worker.peer,
        terms,
        handler,
        phase: watch::Sender::new(Phase::Silent),
        log_streams: Arc::new(Semaphore::new(LOG_STREAMS_MAX)),
        tasks: Mutex::default(),
    });
    let result = carry(worker, &shared).await;
    let mut tasks = std::mem::take(&mut *shared.lock_tasks());
    while tasks.join_next().await.is_some() {}
    result
}

/// Carries the connection: a time to say hello, then as long as control lasts, then a little for the logs.
async fn carry<H: Handler>(
    worker: AcceptedWorker,
    shared: &Arc<Shared<H>>,
) -> Result<(), LinkError> {
    let service = WorkerLinkServer::new(Service(shared.clone()))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let io = TokioIo::new(worker.stream);
    let mut connection = pin!(builder().serve_connection(io, TowerToHyperService::new(service)));
    let mut phase = shared.phase.subscribe();
    // First words have a time limit of their own, whose end is told to the worker.
    let greeted = async {
        timeout(
            HELLO_TIME_LIMIT,
            phase.wait_for(|phase| *phase > Phase::Silent),
        )
        .await?
        .ok();
        timeout(
            ADMIT_TIME_LIMIT,
            phase.wait_for(|phase| *phase > Phase::Greeting),
        )
        .await
    };
    tokio::select! {
        ended = connection.as_mut() => return ended.map_err(LinkError::Broken),
        greeted = greeted => { greeted.map_err(|_elapsed| LinkError::Late)?.ok(); }
    }
    tokio::select! {
        ended = connection.as_mut() => return ended.map_err(LinkError::Broken),
        _over = phase.wait_for(|phase| *phase == Phase::Over) => (),
    }
    connection.as_mut().graceful_shutdown();
    match timeout(LINGER, connection).await {
        Ok(ended) => ended.map_err(LinkError::Broken),
        Err(_elapsed) => Ok(()),
    }
}

fn builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_BYTES)
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(KEEP_ALIVE_SUPERVISOR)
        .keep_alive_timeout(KEEP_ALIVE_TIME_LIMIT);
    builder
}

impl<H: Handler> Shared<H> {
    fn lock_tasks(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a task that [`serve_worker`] waits for.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.lock_tasks();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Begins control, once per connection.
    fn begin(self: &Arc<Self>) -> Result<OverGuard<H>, Status> {
        let is_first = self.phase.send_if_modified(|phase| {
            let is_first = *phase == Phase::Silent;
            if is_first {
                *phase = Phase::Greeting;
            }
            is_first
        });
        if is_first {
            Ok(OverGuard(self.clone()))
        } else {
            Err(Status::already_exists(
                "this connection is attached already",
            ))
        }
    }

    /// Answers the welcome, or why there is none.
    async fn consider(&self, hello: &Hello) -> Result<Welcome, AttachRefused> {
        let proto = common_version(hello)?;
        self.handler.admit(&self.peer, hello).await?;
        Ok(Welcome {
            proto,
            farm: self.terms.farm,
            wall: now(),
            heartbeat: self.terms.heartbeat.max(Duration::from_secs(1)),
            features: self.terms.features.clone(),
        })
    }

    /// Gives the handler its ends of control and keeps the others.
    fn hand_over(
        self: &Arc<Self>,
        hello: Hello,
        rest: Decoded<FromWorker>,
        from: Streaming<proto::FromWorkerBatch>,
        welcome: Welcome,
    ) -> Outbox<Vec<ToWorker>, proto::ToWorkerBatch> {
        let clock_offset_ms = hello.wall.0.saturating_sub(now().0);
        let (to, incoming) = mpsc::channel(TURNS_MAX);
        let (outgoing, turns) = mpsc::channel(TURNS_MAX);
        let (abort, aborted) = Abort::new();
        let end = LinkEnd::default();
        let (messages, ignored) = turn(rest);
        end.add_ignored(ignored);
        if let Some(messages) = messages {
            let _there_is_room = to.try_send(messages);
        }
        let (peer, host) = (self.peer, self.peer.host);
        let connection = WorkerConnection {
            host,
            peer,
            hello,
            clock_offset_ms,
            incoming,
            outgoing,
            end: end.clone(),
            parting: Parting(abort.clone()),
        };
        let handler = self.handler.clone();
        self.spawn(async move { handler.attached(connection).await });
        self.spawn(receive(
            from,
            to,
            |batch| read_from_worker(batch).map(turn),
            end,
            abort,
        ));
        Outbox::new(
            Some(welcome_message(welcome)),
            turns,
            pack_to_worker,
            aborted,
        )
    }
}

/// Marks control as over when its last word can't be sent any more.
struct OverGuard<H>(Arc<Shared<H>>);

impl<H> Drop for OverGuard<H> {
    fn drop(&mut self) {
        self.0.phase.send_replace(Phase::Over);
    }
}

/// Reads a worker's first words.
async fn first_words(
    from: &mut Streaming<proto::FromWorkerBatch>,
) -> Result<(Hello, Decoded<FromWorker>), LinkError> {
    let first = timeout(HELLO_TIME_LIMIT, from.message())
        .await
        .map_err(|_elapsed| LinkError::Late)?
        .map_err(|status| LinkError::from_status(&status))?
        .ok_or(LinkError::Silent)?;
    first_of_worker(first).map_err(LinkError::Message)
}

/// What tonic calls.
struct Service<H>(Arc<Shared<H>>);

#[tonic::async_trait]
impl<H: Handler> WorkerLink for Service<H> {
    type AttachStream = Answers<Vec<ToWorker>, proto::ToWorkerBatch, OverGuard<H>>;
    type PushLogsStream = Answers<LogAck, proto::LogAck, OwnedSemaphorePermit>;

    async fn attach(
        &self,
        request: Request<Streaming<proto::FromWorkerBatch>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let guard = self.0.begin()?;
        let mut from = request.into_inner();
        let (hello, rest) = first_words(&mut from)
            .await
            .map_err(|error| status_of(&error))?;
        let outbox = match self.0.consider(&hello).await {
            Ok(welcome) => {
                let outbox = self.0.hand_over(hello, rest, from, welcome);
                self.0.phase.send_replace(Phase::Attached);
                outbox
            }
            Err(refused) => {
                tracing::info!(host = %self.0.peer.host, %refused, "worker refused");
                let (_no_turns, turns) = mpsc::channel(1);
                let (_never, aborted) = oneshot::channel();
                Outbox::new(Some(refused_batch(refused)), turns, pack_to_worker, aborted)
            }
        };
        Ok(Response::new(Answers::new(outbox, guard)))
    }

    async fn push_logs(
        &self,
        request: Request<Streaming<proto::LogChunk>>,
    ) -> Result<Response<Self::PushLogsStream>, Status> {
        if *self.0.phase.borrow() != Phase::Attached {
            return Err(Status::failed_precondition("attach first, then send logs"));
        }
        let Ok(permit) = self.0.log_streams.clone().try_acquire_owned() else {
            return Err(Status::resource_exhausted("too many log streams at a time"));
        };
        let (to, chunks) = mpsc::channel(LOG_CHUNKS_MAX);
        let (acks, waiting) = mpsc::channel(LOG_CHUNKS_MAX);
        let (abort, aborted) = Abort::new();
        let end = LinkEnd::default();
        let connection = LogConnection {
            host: self.0.peer.host,
            chunks,
            acks,
            end: end.clone(),
        };
        let handler = self.0.handler.clone();
        self.0.spawn(async move { handler.logs(connection).await });
        let read = |chunk| read_chunk(chunk).map(|chunk| (Some(chunk), 0));
        self.0
            .spawn(receive(request.into_inner(), to, read, end, abort));
        let outbox = Outbox::new(None, waiting, pack_acks, aborted);
        Ok(Response::new(Answers::new(outbox, permit)))
    }
}
