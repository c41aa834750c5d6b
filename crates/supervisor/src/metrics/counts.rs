//! What the core counts and times as it goes. Only numbers that are added to: nothing here is locked, waited for or kept.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tessera_engine::supervisor::{AttemptRecord, Engine, Event, kind};
use tessera_model::{JobId, Outcome};

/// Bounds of the time that a commit takes, in microseconds.
const COMMIT_BOUNDS: &[u64] = &[
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000,
];
/// Bounds of the time from a job's submission to its first frame, in microseconds.
const WAIT_BOUNDS: &[u64] = &[
    100_000,
    500_000,
    1_000_000,
    5_000_000,
    15_000_000,
    60_000_000,
    300_000_000,
    900_000_000,
    3_600_000_000,
    14_400_000_000,
    86_400_000_000,
];
/// Bounds of the time that an attempt runs, in microseconds.
const RUN_BOUNDS: &[u64] = &[
    1_000_000,
    5_000_000,
    15_000_000,
    60_000_000,
    300_000_000,
    900_000_000,
    1_800_000_000,
    3_600_000_000,
    7_200_000_000,
    14_400_000_000,
    28_800_000_000,
    86_400_000_000,
];

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Answers it.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many took how long.
#[derive(Debug)]
pub(crate) struct Times {
    /// Upper bounds in microseconds; one count more than these, for what took longer.
    pub(crate) bounds: &'static [u64],
    counts: Vec<Count>,
    sum_us: Count,
    longest_us: AtomicU64,
}

impl Times {
    fn new(bounds: &'static [u64]) -> Self {
        Self {
            bounds,
            counts: bounds
                .iter()
                .map(|_| Count::default())
                .chain([Count::default()])
                .collect(),
            sum_us: Count::default(),
            longest_us: AtomicU64::new(0),
        }
    }

    fn note(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let place = self.bounds.partition_point(|bound| *bound < us);
        self.counts[place].add(1);
        self.sum_us.add(us);
        self.longest_us.fetch_max(us, Ordering::Relaxed);
    }

    /// Answers how many are within each bound, those of smaller ones included; the last is of all.
    pub(crate) fn cumulative(&self) -> Vec<u64> {
        let sums = self.counts.iter().scan(0, |sum, count| {
            *sum += count.get();
            Some(*sum)
        });
        sums.collect()
    }

    /// Answers how many there are.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().map(Count::get).sum()
    }

    /// Answers all of their time, in microseconds.
    pub(crate) fn sum_us(&self) -> u64 {
        self.sum_us.get()
    }

    /// Answers the longest since this was asked last, in microseconds.
    pub(crate) fn take_longest_us(&self) -> u64 {
        self.longest_us.swap(0, Ordering::Relaxed)
    }
}

/// How an attempt may end, as a label says it.
pub(crate) const ENDS: [&str; 5] = ["done", "failed", "out_of_memory", "interrupted", "lost"];
/// How a job may end, as a label says it.
pub(crate) const JOB_ENDS: [&str; 3] = ["complete", "failed", "killed"];

/// What has happened since the supervisor started.
#[derive(Debug)]
pub(crate) struct Counts {
    /// Jobs that were submitted.
    pub(crate) submitted: Count,
    /// Jobs that ended, by [`JOB_ENDS`].
    pub(crate) jobs_ended: [Count; 3],
    /// Instances that were given to a host.
    pub(crate) placements: Count,
    /// Instances that a host refused, or that could not be started there.
    pub(crate) refusals: Count,
    /// Attempts that ended, by [`ENDS`].
    pub(crate) attempts: [Count; 5],
    /// Hosts that were given up for lost.
    pub(crate) hosts_lost: Count,
    /// From a job's submission to its first frame.
    pub(crate) waits: Times,
    /// How long attempts ran.
    pub(crate) runs: Times,
    /// How long the store took to make a turn durable.
    pub(crate) commits: Times,
    /// Commits that the store refused.
    pub(crate) commits_refused: Count,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            submitted: Count::default(),
            jobs_ended: Default::default(),
            placements: Count::default(),
            refusals: Count::default(),
            attempts: Default::default(),
            hosts_lost: Count::default(),
            waits: Times::new(WAIT_BOUNDS),
            runs: Times::new(RUN_BOUNDS),
            commits: Times::new(COMMIT_BOUNDS),
            commits_refused: Count::default(),
        }
    }
}

impl Counts {
    /// Notes what a durable turn did.
    pub(crate) fn note(&self, events: &[Event], attempts: &[AttemptRecord], engine: &Engine) {
        // A job may begin with several frames in one turn.
        let mut last_begun = None;
        for event in events {
            self.note_event(event);
            if event.kind == kind::ITEM_ASSIGNED
                && let Some(job) = event.job.filter(|job| last_begun != Some(*job))
                && let Some(waited) = wait_until(engine, job, event)
            {
                last_begun = Some(job);
                self.waits.note(waited);
            }
        }
        for attempt in attempts {
            self.note_attempt(attempt);
        }
    }

    fn note_event(&self, event: &Event) {
        match event.kind {
            kind::JOB_SUBMITTED => self.submitted.add(1),
            kind::INSTANCE_ASSIGNED => self.placements.add(1),
            kind::INSTANCE_REFUSED => self.refusals.add(1),
            kind::HOST_DOWN => self.hosts_lost.add(1),
            kind::JOB_STATUS => {
                let place = JOB_ENDS.iter().position(|word| *word == event.text);
                if let Some(place) = place {
                    self.jobs_ended[place].add(1);
                }
            }
            _ => {}
        }
    }

    fn note_attempt(&self, attempt: &AttemptRecord) {
        let Some(end) = &attempt.end else {
            self.attempts[4].add(1);
            return;
        };
        let place = match end.end.outcome() {
            Outcome::Done => 0,
            Outcome::Failed => 1,
            Outcome::OutOfMemory => 2,
            Outcome::Interrupted => 3,
        };
        self.attempts[place].add(1);
        self.runs.note(end.elapsed);
    }

    /// Notes how long the store took for a turn.
    pub(crate) fn committed(&self, time: Duration) {
        self.commits.note(time);
    }

    /// Notes that the store refused a turn.
    pub(crate) fn commit_refused(&self) {
        self.commits_refused.add(1);
    }
}

/// Answers how long a job had waited, when this is its very first frame.
fn wait_until(engine: &Engine, job: JobId, event: &Event) -> Option<Duration> {
    let job = engine.job(job)?;
    let began = job.started.filter(|began| *began == event.at)?;
    let waited = began.0.saturating_sub(job.submitted.0);
    Some(Duration::from_millis(u64::try_from(waited).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_within_their_bounds() {
        let times = Times::new(&[10, 100]);
        for us in [0, 10, 11, 100, 101, 5_000] {
            times.note(Duration::from_micros(us));
        }
        assert_eq!(times.cumulative(), [2, 4, 6]);
        assert_eq!((times.count(), times.sum_us()), (6, 5_222));
        assert_eq!(times.take_longest_us(), 5_000);
        assert_eq!(times.take_longest_us(), 0, "since it was asked last");
        times.note(Duration::MAX);
        assert_eq!(times.cumulative(), [2, 4, 7], "and nothing overflows");
    }

    #[test]
    fn bounds_grow() {
        for bounds in [COMMIT_BOUNDS, WAIT_BOUNDS, RUN_BOUNDS] {
            assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
