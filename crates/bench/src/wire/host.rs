//! A host that is made up: it says what a worker says, and runs nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tessera_model::Timestamp;
use tessera_model::msg::{AttemptEnd, FromWorker, GoneCause, LaunchKey, Report, Run, ToWorker};
use tessera_model::state::End;
use tessera_wire::link::{Attached, WorkerLink};
use tokio::sync::mpsc;

/// How often something happened to all hosts together, and when it did first and last.
#[derive(Debug, Default)]
pub(super) struct Count {
    times: AtomicU64,
    first_ns: AtomicU64,
    last_ns: AtomicU64,
}

impl Count {
    pub(super) fn times(&self) -> u64 {
        self.times.load(Ordering::SeqCst)
    }
}

/// What all hosts share.
#[derive(Debug)]
pub(super) struct Shared {
    began: Instant,
    /// Frames end as soon as they begin.
    pub(super) is_quick: AtomicBool,
    /// The job whose frame ends as soon as it begins, and is told of.
    pub(super) urgent: AtomicU64,
    urgent_starts: mpsc::UnboundedSender<Instant>,
    /// Launches.
    pub(super) launched: Count,
    /// Frames that began.
    pub(super) begun: Count,
    /// Frames that ended by themselves.
    pub(super) ended: Count,
    /// Launches that were to be closed.
    pub(super) told: Count,
    /// Launches of which nothing is left.
    pub(super) gone: Count,
    /// Hosts that lost their connection.
    pub(super) lost: Count,
}

impl Shared {
    /// Makes it, and what is said of urgent frames.
    pub(super) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<Instant>) {
        let (urgent_starts, starts) = mpsc::unbounded_channel();
        let shared = Self {
            began: Instant::now(),
            is_quick: AtomicBool::new(false),
            urgent: AtomicU64::new(0),
            urgent_starts,
            launched: Count::default(),
            begun: Count::default(),
            ended: Count::default(),
            told: Count::default(),
            gone: Count::default(),
            lost: Count::default(),
        };
        (Arc::new(shared), starts)
    }

    fn count(&self, count: &Count) {
        let ns = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        // Only the first finds nothing there.
        let _ = count
            .first_ns
            .compare_exchange(0, ns, Ordering::SeqCst, Ordering::SeqCst);
        count.last_ns.fetch_max(ns, Ordering::SeqCst);
        count.times.fetch_add(1, Ordering::SeqCst);
    }

    /// Answers how long after a moment something happened first.
    pub(super) fn first_after(&self, count: &Count, from: Instant) -> Duration {
        self.after(&count.first_ns, from)
    }

    /// Answers how long after a moment something happened last.
    pub(super) fn last_after(&self, count: &Count, from: Instant) -> Duration {
        self.after(&count.last_ns, from)
    }

    fn after(&self, ns: &AtomicU64, from: Instant) -> Duration {
        let at = Duration::from_nanos(ns.load(Ordering::SeqCst));
        (self.began + at).saturating_duration_since(from)
    }
}

/// Orders to end what runs longest on a host.
pub(super) type Orders = mpsc::UnboundedReceiver<()>;

/// A host that is connected.
pub(super) struct Host {
    // Kept: without it the connection ends.
    _link: WorkerLink,
    attached: Attached,
    shared: Arc<Shared>,
    orders: Orders,
    runs: BTreeMap<LaunchKey, VecDeque<Run>>,
    seq: u64,
    words: Vec<FromWorker>,
}

impl Host {
    pub(super) fn new(
        link: WorkerLink,
        attached: Attached,
        shared: Arc<Shared>,
        orders: Orders,
    ) -> Self {
        Self {
            _link: link,
            attached,
            shared,
            orders,
            runs: BTreeMap::new(),
            seq: 0,
            words: vec![FromWorker::Inventory(Vec::new())],
        }
    }

    /// Does what it is told until its orders end.
    pub(super) async fn serve(mut self) {
        loop {
            let words = std::mem::take(&mut self.words);
            if !words.is_empty() && self.attached.outgoing.send(words).await.is_err() {
                break;
            }
            tokio::select! {
                turn = self.attached.incoming.recv() => match turn {
                    Some(turn) => turn.iter().for_each(|it| self.hear(it)),
                    None => break,
                },
                order = self.orders.recv() => match order {
                    Some(()) => self.end_first(),
                    None => return,
                },
            }
        }
        self.shared.count(&self.shared.lost);
    }

    fn hear(&mut self, said: &ToWorker) {
        match said {
            ToWorker::Start { key, run, .. } => {
                self.shared.count(&self.shared.launched);
                let (account, containment) = ("bench".to_owned(), "session".to_owned());
                self.report(Report::Started {
                    key: *key,
                    account,
                    uid: 1_000,
                    containment,
                });
                self.begin(*key, *run);
            }
            ToWorker::Run { key, run } => self.begin(*key, *run),
            ToWorker::EndItem { key, run, .. } => {
                let runs = self.runs.get_mut(key);
                let place = runs.and_then(|runs| {
                    let place = runs.iter().position(|it| it == run)?;
                    runs.remove(place)
                });
                if place.is_some() {
                    self.end(*key, *run, End::Asked);
                }
            }
            ToWorker::Close { key, .. } => {
                self.shared.count(&self.shared.told);
                for run in self.runs.remove(key).unwrap_or_default() {
                    self.end(*key, run, End::Asked);
                }
                let (key, cause) = (*key, GoneCause::Closed);
                self.report(Report::Gone { key, cause });
                self.shared.count(&self.shared.gone);
            }
            // What is acknowledged is never said again here, and the rest is of no concern.
            _ => {}
        }
    }

    fn begin(&mut self, key: LaunchKey, run: Run) {
        self.shared.count(&self.shared.begun);
        self.runs.entry(key).or_default().push_back(run);
        let is_urgent = key.job.0 == self.shared.urgent.load(Ordering::SeqCst);
        if is_urgent {
            // Nobody listens when the run is over.
            let _ = self.shared.urgent_starts.send(Instant::now());
        }
        if is_urgent || self.shared.is_quick.load(Ordering::SeqCst) {
            self.end_of(key);
        }
    }

    /// Ends what it began first.
    fn end_first(&mut self) {
        let busy = self.runs.iter().find(|(_, runs)| !runs.is_empty());
        if let Some(key) = busy.map(|(key, _)| *key) {
            self.end_of(key);
        }
    }

    fn end_of(&mut self, key: LaunchKey) {
        if let Some(run) = self.runs.get_mut(&key).and_then(VecDeque::pop_front) {
            self.end(key, run, End::Exit(0));
            self.shared.count(&self.shared.ended);
        }
    }

    fn end(&mut self, key: LaunchKey, run: Run, end: End) {
        let end = AttemptEnd::nothing_ran(end, Timestamp(1_000));
        self.report(Report::ItemEnded { key, run, end });
    }

    fn report(&mut self, report: Report) {
        self.seq += 1;
        let seq = self.seq;
        self.words.push(FromWorker::Report { seq, report });
    }
}
