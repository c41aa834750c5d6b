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
/// A connection that has lasted so long is a good one. A supervisor with a full disk, say, welcomes and sends away at
/// once: that must not look like a new beginning each time.
const STEADY: Duration = Duration::from_secs(2);
/// The same trouble is said again after so long.
const SAY_AGAIN: Duration = Duration::from_secs(300);
/// What a welcome says where workers' settings are served.
const SERVES: &str = "settings";
/// Different troubles that are said in that time.
const TROUBLES_MAX: usize = 8;

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
    #[error("the supervisor welcomes this host and ends the connection at once{}; its log says why", reason(.0))]
    SentAway(LinkEnd),
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

/// What is remembered from one connection to the next.
#[derive(Default)]
struct Memory {
    backoff: Backoff,
    troubles: Said,
    log_troubles: Said,
    /// Whether the last connection was sent away.
    is_sent_away: bool,
}

impl Memory {
    /// The connection is a good one: what was before is over.
    fn on_steady(&mut self) {
        *self = Self::default();
    }

    /// Says what ended a connection, or why there was none, and answers how long to wait before the next try.
    fn on_end(&mut self, supervisor: &str, trouble: &Trouble) -> Duration {
        self.is_sent_away = matches!(trouble, Trouble::SentAway(_));
        let text = causes(trouble);
        if self.troubles.is_news(&text, Instant::now()) {
            tracing::warn!(supervisor, "{text}; trying again, what runs goes on");
        } else {
            tracing::debug!(supervisor, "{text}");
        }
        self.backoff.next()
    }
}

impl Connection {
    /// Keeps the connection until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut memory = Memory::default();
        let mut number = 0;
        while !stop.is_cancelled() {
            number += 1;
            let trouble = tokio::select! {
                trouble = self.once(number, &mut memory) => trouble,
                () = stop.cancelled() => return,
            };
            self.output.tell(Command::Disconnected).await;
            let _ends_too = self.events.send(Event::Disconnected { number }).await;
            tokio::select! {
                () = sleep(memory.on_end(&self.supervisor, &trouble)) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Connects, and carries what is said until that ends.
    async fn once(&mut self, number: u64, memory: &mut Memory) -> Trouble {
        let (link, attached, facts) = match self.attach().await {
            Ok(both) => both,
            Err(trouble) => return trouble,
        };
        let offset = attached.clock_offset_ms;
        self.clock_offset_ms.store(offset, Ordering::Relaxed);
        if !memory.is_sent_away {
            self.say_connected();
        }
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
        let (heartbeat, farm) = (welcome.heartbeat, welcome.farm.to_string());
        let serves = welcome.features.iter().any(|it| it == SERVES);
        let (hold, mut given_up) = oneshot::channel();
        let connected = Event::Connected {
            number,
            outgoing,
            heartbeat,
            farm,
            facts: Box::new(facts),
            serves,
            hold,
        };
        if self.events.send(connected).await.is_err() {
            return Trouble::Stopping;
        }
        let mut log_troubles = std::mem::take(&mut memory.log_troubles);
        let output = self.output.clone();
        let (again, steady) = (sleep(CLOCK_AGAIN), sleep(STEADY));
        tokio::pin!(again, steady);
        let mut is_steady = false;
        let trouble = {
            let logs = push_logs(&link, &output, &mut log_troubles);
            tokio::pin!(logs);
            loop {
                let event = tokio::select! {
                    said = incoming.recv() => match said {
                        Some(messages) => Event::Said { number, messages },
                        None => break ended(end, is_steady),
                    },
                    changed = self.facts.changed() => match changed {
                        Ok(()) => Event::Facts(Box::new(self.facts.borrow_and_update().clone())),
                        Err(_) => break Trouble::Stopping,
                    },
                    _ = &mut given_up => break Trouble::Ended(end),
                    () = &mut logs => break Trouble::Ended(end),
                    () = &mut again, if is_clock_wrong => break Trouble::Clock,
                    () = &mut steady, if !is_steady => {
                        is_steady = true;
                        if memory.is_sent_away {
                            self.say_connected();
                        }
                        memory.on_steady();
                        continue;
                    }
                };
                if self.events.send(event).await.is_err() {
                    break Trouble::Stopping;
                }
            }
        };
        memory.log_troubles = log_troubles;
        trouble
    }

    fn say_connected(&self) {
        let clock_offset_ms = self.clock_offset_ms.load(Ordering::Relaxed);
        tracing::info!(supervisor = %self.supervisor, clock_offset_ms, "connected");
    }

    async fn attach(&mut self) -> Result<(WorkerLink, Attached, HostFacts), Trouble> {
        // Read each time: a host may join, or join again, while its worker runs.
        let identity = WorkerIdentity::load(&self.identity)?.ok_or(Trouble::NotJoined)?;
        let tls = WorkerTls::new(&identity)?;
        let stream = tls.connect(&self.supervisor).await?;
        let link = WorkerLink::open(stream, tls.farm_id()).await?;
        let facts = self.facts.borrow_and_update().clone();
        let attached = link.attach(facts.clone(), Vec::new()).await?;
        Ok((link, attached, facts))
    }
}

/// Answers what it means that the supervisor ended a connection.
fn ended(end: LinkEnd, is_steady: bool) -> Trouble {
    if is_steady {
        Trouble::Ended(end)
    } else {
        Trouble::SentAway(end)
    }
}

/// Keeps a stream for logs open as long as the connection lasts; only dropping it ends it.
async fn push_logs(link: &WorkerLink, output: &Output, troubles: &mut Said) {
    loop {
        match link.push_logs().await {
            Ok(push) => {
                let (lost, is_lost) = oneshot::channel();
                let (chunks, acks) = (push.chunks, push.acks);
                output.tell(Command::Connected { chunks, acks, lost }).await;
                let _dropped_when_lost = is_lost.await;
                tracing::debug!(reason = %reason(&push.end), "the stream of logs ended");
            }
            Err(e) => {
                let error = causes(&e);
                if troubles.is_news(&error, Instant::now()) {
                    tracing::warn!(%error, "no stream for logs; it is tried again");
                } else {
                    tracing::debug!(%error, "no stream for logs; it is tried again");
                }
            }
        }
        sleep(LOGS_PAUSE).await;
    }
}

/// Decorrelated jitter: each pause is chance between the shortest and three times the one before.
struct Backoff {
    last: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { last: PAUSES.0 }
    }
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let (least, most) = PAUSES;
        let span = (self.last * 3).saturating_sub(least).as_millis().max(1);
        let chance = u128::from(RandomState::new().build_hasher().finish()) % span;
        let pause = least + Duration::from_millis(u64::try_from(chance).unwrap_or(0));
        self.last = pause.min(most);
        self.last
    }
}

/// Decides whether a trouble is said: once, and again after a while; not too many of them in that time.
#[derive(Default)]
struct Said {
    recent: Vec<(String, Instant)>,
}

impl Said {
    fn is_news(&mut self, text: &str, now: Instant) -> bool {
        self.recent
            .retain(|(_, at)| now.saturating_duration_since(*at) < SAY_AGAIN);
        let is_known = self.recent.iter().any(|(known, _)| known == text);
        if is_known || self.recent.len() >= TROUBLES_MAX {
            return false;
        }
        self.recent.push((text.to_owned(), now));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let mut backoff = Backoff::default();
        let pauses: Vec<Duration> = (0..200).map(|_| backoff.next()).collect();
        assert!(pauses.iter().all(|it| (PAUSES.0..=PAUSES.1).contains(it)));
        assert!(pauses[0] <= PAUSES.0 * 3);
        assert!(pauses.iter().any(|it| *it > Duration::from_secs(2)));
    }

    #[test]
    fn only_a_good_connection_is_a_new_beginning() {
        let mut memory = Memory::default();
        let pauses: Vec<Duration> = (0..200)
            .map(|_| memory.on_end("farm:1", &sent_away()))
            .collect();
        let late: Duration = pauses[100..].iter().sum();
        assert!(late > Duration::from_secs(200), "tried too often: {late:?}");
        assert!(memory.is_sent_away);
        memory.on_steady();
        assert!(!memory.is_sent_away);
        assert!(memory.on_end("farm:1", &sent_away()) <= PAUSES.0 * 3);
    }

    fn sent_away() -> Trouble {
        ended(LinkEnd::default(), false)
    }

    #[test]
    fn the_same_trouble_is_said_once_in_a_while() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut said = Said::default();
        // Two troubles in turn, one try a second: each is said once.
        let texts = ["can't connect", "it ended"];
        let lines = (0..120)
            .filter(|n| said.is_news(texts[usize::from(n % 2 == 0)], at(*n)))
            .count();
        assert_eq!(lines, 2);
        assert!(!said.is_news("can't connect", at(SAY_AGAIN.as_secs())));
        assert!(said.is_news("can't connect", at(SAY_AGAIN.as_secs() + 1)));
    }

    #[test]
    fn troubles_that_never_look_alike_are_bounded_too() {
        let mut said = Said::default();
        let now = Instant::now();
        let lines = (0..1_000)
            .filter(|n| said.is_news(&format!("port {n} is strange"), now))
            .count();
        assert_eq!(lines, TROUBLES_MAX);
        assert!(said.is_news("port 7 is strange", now + SAY_AGAIN));
    }
}
