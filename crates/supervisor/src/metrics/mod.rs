//! The farm in numbers: for Prometheus what has happened and what is, and for people how the last days went.
//!
//! Owns what the core counts as it goes, looks at the farm now and then, and keeps a ring of what it saw. Leaves to others:
//! what happened (the journal), and who may see it. **Invariant:** nothing here is waited for by the core.

mod counts;
mod figures;
mod text;
mod trends;

pub(crate) use counts::{Count, Counts};
pub(crate) use figures::Figures;
pub(crate) use text::{Known, MEDIA_TYPE, print};
pub(crate) use trends::META_PREFIX;

use crate::core::{CoreHandle, Unavailable};
use figures::Shares;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tessera_api::types::Trends as Answer;
use tokio::sync::Semaphore;
use trends::{Happened, Trends};

/// How often the farm is looked at for the trends.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// When it is looked at first: soon, for who opens the page of a new farm.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// How old the figures may be that a scrape gets: each look passes all jobs.
const FRESH: Duration = Duration::from_secs(2);

/// The numbers.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// What has happened since the start.
    pub(crate) counts: Arc<Counts>,
    /// When that was, in milliseconds since 1970.
    pub(crate) started_ms: i64,
    figures: Mutex<Option<(Instant, Arc<Figures>)>>,
    /// One looks at a time; others wait and get what it found.
    looking: Semaphore,
    trends: Mutex<Trends>,
}

impl Metrics {
    /// Begins with what the store has of the days before.
    pub(crate) fn new(counts: Arc<Counts>, kept: &BTreeMap<String, String>) -> Self {
        Self {
            counts,
            started_ms: crate::clock::wall().0,
            figures: Mutex::new(None),
            looking: Semaphore::const_new(1),
            trends: Mutex::new(Trends::of(kept)),
        }
    }

    /// Answers what the farm has and does, at most [`FRESH`] ago.
    ///
    /// # Errors
    /// When the farm can't be looked at.
    pub(crate) async fn figures(&self, core: &CoreHandle) -> Result<Arc<Figures>, Unavailable> {
        let turn = self.looking.acquire().await;
        if let Some((at, figures)) = &*lock(&self.figures)
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(figures));
        }
        let found = Arc::new(core.read(Figures::of).await?);
        *lock(&self.figures) = Some((Instant::now(), Arc::clone(&found)));
        drop(turn);
        Ok(found)
    }

    /// Answers how the last hours went.
    pub(crate) fn trends(&self, now_ms: i64, hours: u32) -> Answer {
        lock(&self.trends).answer(now_ms, hours)
    }

    /// Looks at the farm now and then, and keeps what it saw, for ever.
    pub(crate) async fn run(self: Arc<Self>, core: CoreHandle) {
        let mut before = Seen::of(&self.counts);
        let mut last = Instant::now();
        let mut pause = FIRST_LOOK;
        loop {
            tokio::time::sleep(pause).await;
            pause = LOOK_EVERY;
            let look = core.read(|view| (Figures::of(view), Shares::of(view)));
            let Ok((figures, shares)) = look.await else {
                // Nothing is known of this time: it is a gap, not a farm at rest.
                (before, last) = (Seen::of(&self.counts), Instant::now());
                continue;
            };
            let now = Seen::of(&self.counts);
            // A host that slept is not taken for one that rendered meanwhile.
            let since = last.elapsed().min(LOOK_EVERY * 2);
            let happened = now.since(before, self.counts.waits.take_longest_us());
            (before, last) = (now, Instant::now());
            let row = lock(&self.trends).add(&figures, &shares, happened, since);
            if let Err(why) = core.keep(vec![row]).await {
                // It is in memory, and written with the next look.
                tracing::debug!(%why, "the trends are not kept");
            }
        }
    }
}

/// Counts, as they stood.
#[derive(Debug, Clone, Copy)]
struct Seen {
    done: u64,
    failed: u64,
    waits: u64,
    wait_us: u64,
}

impl Seen {
    fn of(counts: &Counts) -> Self {
        let [done, failed, out_of_memory, _interrupted, lost] = &counts.attempts;
        Self {
            done: done.get(),
            failed: failed.get() + out_of_memory.get() + lost.get(),
            waits: counts.waits.count(),
            wait_us: counts.waits.sum_us(),
        }
    }

    fn since(self, before: Self, longest_us: u64) -> Happened {
        Happened {
            done: self.done - before.done,
            failed: self.failed - before.failed,
            waits: self.waits - before.waits,
            wait_ms: (self.wait_us - before.wait_us) / 1_000,
            wait_max_ms: longest_us / 1_000,
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
