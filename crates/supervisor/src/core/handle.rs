//! The way to the core from other tasks.

use super::emit::Sink;
use super::request::{EnrolRefused, Reading, Reply, Request, Unwelcome, View};
use crate::persist::rows::Enrolment;
use std::fmt;
use tessera_engine::supervisor::{Input, SessionId};
use tessera_model::{HostFacts, HostId};
use tessera_store::{JoinTokenRow, StoreError, Write};
use tokio::sync::{mpsc, oneshot};

/// Nothing can be written or answered now; the same request may be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unavailable {
    /// What is the matter.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: Option<String>,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Unavailable {
    /// Says what a store's error means for who asked.
    pub(crate) fn of(error: &StoreError) -> Self {
        let hint = match error {
            StoreError::NoSpace { .. } => {
                "free space on the supervisor's disk (`tessera cleanup` shows what it could remove); running frames go \
                 on, and the request can be sent again"
            }
            StoreError::ReadOnly { .. } => {
                "make the supervisor's folder writable again; running frames go on, and the request can be sent again"
            }
            StoreError::StaleEpoch { .. } => "ask the supervisor that has the store now",
            _ => "see the supervisor's log; the request can be sent again",
        };
        Self {
            message: format!("nothing was changed: {error}"),
            hint: Some(hint.to_owned()),
        }
    }

    pub(super) fn unreadable(why: &str) -> Self {
        Self {
            message: format!("the store can't be read: {why}"),
            hint: Some("see the supervisor's log; it tries again each second".to_owned()),
        }
    }

    pub(super) fn ending() -> Self {
        Self {
            message: "the supervisor is ending".to_owned(),
            hint: Some("send the request again when it is back".to_owned()),
        }
    }
}

/// Sends requests to the core; cheap to clone. Dropping a future of it before its end leaves open whether the request was
/// carried out.
#[derive(Clone)]
pub(crate) struct CoreHandle {
    queue: mpsc::Sender<Request>,
}

impl fmt::Debug for CoreHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CoreHandle")
    }
}

impl CoreHandle {
    pub(super) fn new(queue: mpsc::Sender<Request>) -> Self {
        Self { queue }
    }

    async fn send<T>(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<T, Unavailable>>) -> Request,
    ) -> Result<T, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.queue
            .send(make(reply))
            .await
            .map_err(|_| Unavailable::ending())?;
        answer.await.unwrap_or_else(|_| Err(Unavailable::ending()))
    }

    /// Carries out a client's wish; the answer comes when it is durable.
    pub(crate) async fn ask(&self, input: Input) -> Reply {
        self.send(|reply| Request::Client { input, reply }).await
    }

    /// Tells what a worker said.
    pub(crate) async fn tell(&self, input: Input) {
        // The core is ending: the worker says it again to the next one.
        let _ending = self.queue.send(Request::Worker(input)).await;
    }

    /// Takes up a worker's connection.
    ///
    /// # Errors
    /// Why it is sent away.
    pub(crate) async fn connect(
        &self,
        host: HostId,
        fingerprint: [u8; 32],
        facts: HostFacts,
        sink: Sink,
    ) -> Result<SessionId, Unwelcome> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Connect {
            host,
            fingerprint,
            facts: Box::new(facts),
            sink,
            reply,
        };
        let ending = || Unwelcome::Unavailable(Unavailable::ending());
        self.queue.send(request).await.map_err(|_| ending())?;
        answer.await.unwrap_or_else(|_| Err(ending()))
    }

    /// Looks something up; sees what was committed with its turn.
    pub(crate) async fn read<T, F>(&self, look: F) -> Result<T, Unavailable>
    where
        T: Send + 'static,
        F: FnOnce(&View<'_>) -> T + Send + 'static,
    {
        self.send(|reply| {
            Request::Read(Box::new(Looking {
                look: Some(look),
                found: None,
                reply,
            }))
        })
        .await
    }

    /// Makes rows durable that the engine knows nothing of.
    pub(crate) async fn keep(&self, writes: Vec<Write>) -> Result<(), Unavailable> {
        self.send(|reply| Request::Keep { writes, reply }).await
    }

    /// Keeps a join token.
    pub(crate) async fn keep_join_token(
        &self,
        row: JoinTokenRow,
        told: Vec<Write>,
    ) -> Result<(), Unavailable> {
        self.send(|reply| Request::KeepJoinToken { row, told, reply })
            .await
    }

    /// Lets a host in that has a token.
    pub(crate) async fn enrol(
        &self,
        token: [u8; 32],
        host: HostId,
        enrolment: Enrolment,
    ) -> Result<Result<(), EnrolRefused>, Unavailable> {
        self.send(|reply| Request::Enrol {
            token,
            host,
            enrolment,
            reply,
        })
        .await
    }

    /// Carries out a portion of the store's upkeep; says whether there is more.
    pub(crate) async fn tidy(&self) -> Result<bool, Unavailable> {
        self.send(Request::Tidy).await
    }

    /// Asks the core to end after what is queued before.
    pub(crate) async fn stop(&self) {
        let _ended = self.queue.send(Request::Stop).await;
    }
}

/// A look at the farm with the way back to who asked.
struct Looking<T, F> {
    look: Option<F>,
    found: Option<T>,
    reply: oneshot::Sender<Result<T, Unavailable>>,
}

impl<T, F> Reading for Looking<T, F>
where
    T: Send,
    F: FnOnce(&View<'_>) -> T + Send,
{
    fn look(&mut self, view: &View<'_>) {
        self.found = self.look.take().map(|look| look(view));
    }

    fn answer(self: Box<Self>, outcome: Result<(), Unavailable>) {
        let answer = match (outcome, self.found) {
            (Ok(()), Some(found)) => Ok(found),
            (Err(why), _) => Err(why),
            (Ok(()), None) => Err(Unavailable::ending()),
        };
        let _client_left = self.reply.send(answer);
    }
}
