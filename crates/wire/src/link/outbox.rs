//! From a channel to messages of the protocol, and from those to a channel.

use super::{LinkEnd, LinkError};
use crate::convert::{ConvertError, Decoded};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tonic::{Status, Streaming};

/// Entries that are taken from the channel at once, and sent together.
const TAKE_MAX: usize = 32;

/// What is to be sent: first `queue`, then what comes out of the channel, several entries together when several wait.
/// Ends when the channel does, or at once when `abort` says so.
pub(super) struct Outbox<T, P> {
    queue: VecDeque<P>,
    channel: mpsc::Receiver<T>,
    taken: Vec<T>,
    pack: fn(Vec<T>) -> Vec<P>,
    abort: Option<oneshot::Receiver<Status>>,
}

impl<T, P> Outbox<T, P> {
    pub(super) fn new(
        first: Option<P>,
        channel: mpsc::Receiver<T>,
        pack: fn(Vec<T>) -> Vec<P>,
        abort: oneshot::Receiver<Status>,
    ) -> Self {
        let queue = first.into_iter().collect();
        Self {
            queue,
            channel,
            taken: Vec::new(),
            pack,
            abort: Some(abort),
        }
    }

    /// Answers the abort, if there is one.
    fn poll_abort(&mut self, cx: &mut Context<'_>) -> Option<Status> {
        let answer = match Pin::new(self.abort.as_mut()?).poll(cx) {
            Poll::Pending => return None,
            Poll::Ready(answer) => answer.ok(),
        };
        self.abort = None;
        if answer.is_some() {
            self.queue.clear();
            self.channel.close();
        }
        answer
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<P>> {
        loop {
            if let Some(message) = self.queue.pop_front() {
                return Poll::Ready(Some(message));
            }
            let count = ready!(self.channel.poll_recv_many(cx, &mut self.taken, TAKE_MAX));
            if count == 0 {
                return Poll::Ready(None);
            }
            self.queue
                .extend((self.pack)(std::mem::take(&mut self.taken)));
        }
    }
}

/// Ends an outbox at once, with a word for the other side. The first who does so is heard.
#[derive(Debug, Clone)]
pub(super) struct Abort(Arc<Mutex<Option<oneshot::Sender<Status>>>>);

impl Abort {
    pub(super) fn new() -> (Self, oneshot::Receiver<Status>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Arc::new(Mutex::new(Some(sender)))), receiver)
    }

    pub(super) fn send(&self, status: Status) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            let _receiver_may_be_gone = sender.send(status);
        }
    }
}

/// For who answers: an abort is told to the other side.
pub(super) struct Answers<T, P, G> {
    outbox: Outbox<T, P>,
    is_over: bool,
    /// Dropped when nothing more can be sent.
    _guard: G,
}

impl<T, P, G> Answers<T, P, G> {
    pub(super) fn new(outbox: Outbox<T, P>, guard: G) -> Self {
        Self {
            outbox,
            is_over: false,
            _guard: guard,
        }
    }
}

impl<T: Unpin, P: Unpin, G: Unpin> Stream for Answers<T, P, G> {
    type Item = Result<P, Status>;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if let Some(status) = self.outbox.poll_abort(cx) {
            self.is_over = true;
            return Poll::Ready(Some(Err(status)));
        }
        self.outbox.poll_message(cx).map(|message| message.map(Ok))
    }
}

/// For who asks: an abort just ends the stream.
pub(super) struct Requests<T, P>(pub(super) Outbox<T, P>);

impl<T: Unpin, P: Unpin> Stream for Requests<T, P> {
    type Item = P;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<P>> {
        if self.0.poll_abort(cx).is_some() {
            return Poll::Ready(None);
        }
        self.0.poll_message(cx)
    }
}

/// Hands what arrives to the channel until one of the two ends. What can't be read ends both directions.
pub(super) async fn receive<M, T>(
    mut from: Streaming<M>,
    to: mpsc::Sender<T>,
    read: impl Fn(M) -> Result<(Option<T>, u64), ConvertError>,
    end: LinkEnd,
    abort: Abort,
) {
    loop {
        let message = tokio::select! {
            message = from.message() => message,
            () = to.closed() => return,
        };
        let answer = match message {
            Ok(Some(message)) => read(message).map_err(LinkError::Message),
            Ok(None) => return,
            Err(status) => Err(LinkError::from_status(&status)),
        };
        match answer {
            Ok((value, ignored)) => {
                end.add_ignored(ignored);
                let Some(value) = value else { continue };
                if to.send(value).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                abort.send(status_of(&error));
                end.set(error);
                return;
            }
        }
    }
}

/// Answers a turn as the channel takes it: nothing when nothing of it was understood.
pub(super) fn turn<T>(decoded: Decoded<T>) -> (Option<Vec<T>>, u64) {
    let Decoded { messages, ignored } = decoded;
    ((!messages.is_empty()).then_some(messages), ignored)
}

/// Says to the other side why it is not listened to any more.
pub(super) fn status_of(error: &LinkError) -> Status {
    match error {
        LinkError::Message(cause) => Status::invalid_argument(cause.to_string()),
        LinkError::Late => Status::deadline_exceeded(error.to_string()),
        LinkError::Broken(_)
        | LinkError::Ended { .. }
        | LinkError::Refused(_)
        | LinkError::Silent => Status::aborted(error.to_string()),
    }
}
