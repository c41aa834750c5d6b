//! The connection to the supervisor: made, kept, and made again for ever.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tessera_model::HostFacts;
use tessera_wire::link::{Attached, LinkEnd, LinkError, WorkerLink};
use tessera_wire::pki::{PkiError, WorkerIdentity};
use tessera_wire::tls::{ConnectError, WorkerTls};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::daemon::Event;
use crate::diagnose::{CLOCK_PANIC_MS, NOT_JOINED, causes};
use crate::output::{Command, Output};

/// Pauses before another try: the shortest, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(15));
/// Pause before another stream for logs is opened.
const LOGS_PAUSE: Duration = Duration::from_millis(500);
/// A connection that began with clocks too far apart is made again after so long, to measure anew.
const CLOCK_AGAIN: Duration = Duration::from_secs(60);
/// The same trouble is said again after so long.
const SAY_AGAIN: Duration = Duration::from_secs(300);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{NOT_JOINED}")]
    NotJoined,
    #[error("this host's certificate can't be used; join again")]
    Identity(#[from] PkiError),
    #[error("can't connect")]
    Connect(#[from] ConnectError),
    #[error("the supervisor does not answer as it should")]
    Link(#[from] LinkError),
    #[error("the connection to the supervisor ended{}", reason(.0))]
    Ended(LinkEnd),
    #[error("the connection is made again to compare the clocks")]
    Clock,
    #[error("the worker ends")]
    Stopping,
}

fn reason(end: &LinkEnd) -> String {
    end.error()
        .map_or_else(String::new, |e| format!(": {}", causes(e)))
}

/// The task that keeps the connection.
pub(crate) struct Connection {
    pub(crate) supervisor: String,
    pub(crate) identity: PathBuf,
    pub(crate) facts: watch::Receiver<HostFacts>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) output: Output,
    /// The supervisor's clock minus ours, in milliseconds, at the last welcome.
    pub(crate) clock_offset_ms: Arc<AtomicI64>,
    pub(crate) recheck: Arc<Notify>,
}

impl Connection {
    /// Keeps the connection until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::new();
        let mut said = Said::default();
        let mut number = 0;
        while !stop.is_cancelled() {
            number += 1;
            let mut welcomed = false;
            let trouble = tokio::select! {
                trouble = self.once(number, &mut welcomed) => trouble,
                () = stop.cancelled() => return,
            };
            self.output.tell(Command::Disconnected).await;
            let _ends_too = self.events.send(Event::Disconnected { number }).await;
            if welcomed {
                backoff = Backoff::new();
                said = Said::default();
            }
            said.say(&self.supervisor, &trouble);
            tokio::select! {
                () = sleep(backoff.next()) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Connects, and carries what is said until that ends.
    async fn once(&mut self, number: u64, welcomed: &mut bool) -> Trouble {
        let (link, attached) = match self.attach().await {
            Ok(both) => both,
            Err(trouble) => return trouble,
        };
        *welcomed = true;
        let offset = attached.clock_offset_ms;
        tracing::info!(supervisor = %self.supervisor, clock_offset_ms = offset, "connected");
        self.clock_offset_ms.store(offset, Ordering::Relaxed);
        let is_clock_wrong = offset.saturating_abs() > CLOCK_PANIC_MS;
        if is_clock_wrong {
            self.recheck.notify_one();
        }
        let Attached {
            welcome,
            outgoing,
            mut incoming,
            end,
            ..
        } = attached;
        let heartbeat = welcome.heartbeat;
        let (hold, mut given_up) = oneshot::channel();
        let connected = Event::Connected {
            number,
            outgoing,
            heartbeat,
            hold,
        };
        if self.events.send(connected).await.is_err() {
            return Trouble::Stopping;
        }
        let again = sleep(CLOCK_AGAIN);
        tokio::pin!(again);
        let logs = push_logs(&link, &self.output);
        tokio::pin!(logs);
        loop {
            let event = tokio::select! {
                said = incoming.recv() => match said {
                    Some(messages) => Event::Said { number, messages },
                    None => return Trouble::Ended(end),
                },
                changed = self.facts.changed() => match changed {
                    Ok(()) => Event::Facts(Box::new(self.facts.borrow_and_update().clone())),
                    Err(_) => return Trouble::Stopping,
                },
                _ = &mut given_up => return Trouble::Ended(end),
                () = &mut logs => return Trouble::Ended(end),
                () = &mut again, if is_clock_wrong => return Trouble::Clock,
            };
            if self.events.send(event).await.is_err() {
                return Trouble::Stopping;
            }
        }
    }

    async fn attach(&mut self) -> Result<(WorkerLink, Attached), Trouble> {
        // Read each time: a host may join, or join again, while its worker runs.
        let identity = WorkerIdentity::load(&self.identity)?.ok_or(Trouble::NotJoined)?;
        let tls = WorkerTls::new(&identity)?;
        let stream = tls.connect(&self.supervisor).await?;
        let link = WorkerLink::open(stream, tls.farm_id()).await?;
        let facts = self.facts.borrow_and_update().clone();
        let attached = link.attach(facts, Vec::new()).await?;
        Ok((link, attached))
    }
}

/// Keeps a stream for logs open as long as the connection lasts; only dropping it ends it.
async fn push_logs(link: &WorkerLink, output: &Output) {
    loop {
        match link.push_logs().await {
            Ok(push) => {
                let (lost, is_lost) = oneshot::channel();
                let (chunks, acks) = (push.chunks, push.acks);
                output.tell(Command::Connected { chunks, acks, lost }).await;
                let _dropped_when_lost = is_lost.await;
                tracing::debug!(reason = %reason(&push.end), "the stream of logs ended");
            }
            Err(e) => tracing::warn!(error = %causes(&e), "no stream for logs; it is tried again"),
        }
        sleep(LOGS_PAUSE).await;
    }
}

/// Decorrelated jitter: each pause is chance between the shortest and three times the one before.
struct Backoff {
    last: Duration,
}

impl Backoff {
    fn new() -> Self {
        Self { last: PAUSES.0 }
    }

    fn next(&mut self) -> Duration {
        let (least, most) = PAUSES;
        let span = (self.last * 3).saturating_sub(least).as_millis().max(1);
        let chance = u128::from(RandomState::new().build_hasher().finish()) % span;
        let pause = least + Duration::from_millis(u64::try_from(chance).unwrap_or(0));
        self.last = pause.min(most);
        self.last
    }
}

/// Says a trouble once, and again after a while.
#[derive(Default)]
struct Said {
    last: Option<(String, Instant)>,
}

impl Said {
    fn say(&mut self, supervisor: &str, trouble: &Trouble) {
        let text = causes(trouble);
        let is_said = self
            .last
            .as_ref()
            .is_some_and(|(last, at)| *last == text && at.elapsed() < SAY_AGAIN);
        if is_said {
            tracing::debug!(supervisor, "{text}");
        } else {
            tracing::warn!(supervisor, "{text}; trying again, what runs goes on");
            self.last = Some((text, Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let mut backoff = Backoff::new();
        let pauses: Vec<Duration> = (0..200).map(|_| backoff.next()).collect();
        assert!(pauses.iter().all(|it| (PAUSES.0..=PAUSES.1).contains(it)));
        assert!(pauses[0] <= PAUSES.0 * 3);
        assert!(pauses.iter().any(|it| *it > Duration::from_secs(2)));
    }
}
