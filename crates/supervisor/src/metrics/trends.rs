//! How the farm fared over the last days: a ring of buckets of five minutes, in memory and as facts in the store.
//!
//! **Invariant:** the ring has [`RING`] places, in the store too: a bucket takes the place of the one eight days before.

use super::figures::{Figures, Shares};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use tessera_api::types::{TrendJob, TrendPoint, TrendUser, Trends as Answer};
use tessera_model::ItemStatus;
use tessera_store::Write;

/// What the names of our facts begin with in the store.
pub(crate) const META_PREFIX: &str = "trends.";
/// The format number of a bucket.
const FORMAT: u32 = 1;
/// Length of a bucket in milliseconds.
pub(crate) const BUCKET_MS: i64 = 5 * 60 * 1_000;
/// Buckets that are kept: eight days.
pub(crate) const RING: i64 = 8 * 24 * 12;
/// Users, and jobs, that a bucket names when it is kept; those with the most slots.
const NAMED_MAX: usize = 40;
/// Users, and jobs, that an answer names.
const ANSWERED_MAX: usize = 100;
/// Points of an answer are this many buckets longer for each day that is asked for.
const HOURS_A_STEP: i64 = 24;

/// What was counted between two looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Happened {
    /// Attempts that were done.
    pub(crate) done: u64,
    /// Attempts that failed, for want of memory or with their host, too.
    pub(crate) failed: u64,
    /// Jobs that got their first frame.
    pub(crate) waits: u64,
    /// How long those had waited together, in milliseconds.
    pub(crate) wait_ms: u64,
    /// The longest of them.
    pub(crate) wait_max_ms: u64,
}

/// Five minutes. What grows with each look is a sum, to be divided by the number of looks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Bucket {
    format: u32,
    /// Which: its begin in milliseconds since 1970 is this times [`BUCKET_MS`].
    number: i64,
    looks: u64,
    slots: u64,
    slots_used: u64,
    memory: u64,
    memory_used: u64,
    pending: u64,
    running: u64,
    hosts_up: u64,
    done: u64,
    failed: u64,
    waits: u64,
    wait_ms: u64,
    wait_max_ms: u64,
    /// Slots times milliseconds, by user.
    users: BTreeMap<String, u64>,
    /// The same by job.
    jobs: BTreeMap<u64, u64>,
    other_users_ms: u64,
    other_jobs_ms: u64,
}

impl Bucket {
    fn new(number: i64) -> Self {
        Self {
            format: FORMAT,
            number,
            ..Self::default()
        }
    }

    fn add(&mut self, figures: &Figures, shares: &Shares, happened: Happened, since: Duration) {
        self.looks += 1;
        self.slots += figures.slots;
        self.slots_used += figures.slots_used;
        self.memory = self.memory.saturating_add(figures.memory);
        self.memory_used = self.memory_used.saturating_add(figures.memory_used);
        self.pending += figures.items_in(ItemStatus::Pending);
        self.running += figures.items_in(ItemStatus::Running);
        self.hosts_up += figures.hosts[0];
        self.done += happened.done;
        self.failed += happened.failed;
        self.waits += happened.waits;
        self.wait_ms += happened.wait_ms;
        self.wait_max_ms = self.wait_max_ms.max(happened.wait_max_ms);
        let ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        for (user, slots) in &shares.users {
            *self.users.entry(user.clone()).or_default() += slots.saturating_mul(ms);
        }
        for (job, slots) in &shares.jobs {
            *self.jobs.entry(*job).or_default() += slots.saturating_mul(ms);
        }
    }

    /// Leaves those with the most slots by name, and puts the others together.
    fn trim(&mut self) {
        self.other_users_ms += trimmed(&mut self.users, NAMED_MAX);
        self.other_jobs_ms += trimmed(&mut self.jobs, NAMED_MAX);
    }

    fn key(&self) -> String {
        format!("{META_PREFIX}{:04}", self.number.rem_euclid(RING))
    }

    /// Makes the row; what it names is bounded.
    fn write(&self) -> Write {
        let mut kept = self.clone();
        kept.trim();
        Write::Meta {
            key: kept.key(),
            value: serde_json::to_string(&kept).unwrap_or_default(),
        }
    }
}

/// Keeps the greatest; answers the sum of those that went.
fn trimmed<K: Ord + Clone>(of: &mut BTreeMap<K, u64>, most: usize) -> u64 {
    if of.len() <= most {
        return 0;
    }
    let mut all: Vec<(K, u64)> = std::mem::take(of).into_iter().collect();
    all.sort_by_key(|(_, ms)| std::cmp::Reverse(*ms));
    let gone = all.split_off(most);
    of.extend(all);
    gone.iter().map(|(_, ms)| ms).sum()
}

/// The buckets, by number.
#[derive(Debug, Default)]
pub(crate) struct Trends(BTreeMap<i64, Bucket>);

impl Trends {
    /// Reads what was kept. What can't be read, or is of a newer program, is left out: it is of the past, and goes by itself.
    pub(crate) fn of(kept: &BTreeMap<String, String>) -> Self {
        let read = |text: &String| serde_json::from_str::<Bucket>(text).ok();
        let buckets = kept.values().filter_map(read);
        let known = buckets.filter(|bucket| bucket.format == FORMAT);
        Self(known.map(|bucket| (bucket.number, bucket)).collect())
    }

    /// Takes in a look at the farm; answers the row to keep.
    pub(crate) fn add(
        &mut self,
        figures: &Figures,
        shares: &Shares,
        happened: Happened,
        since: Duration,
    ) -> Write {
        let now = figures.at.0.div_euclid(BUCKET_MS);
        // The clock may have been set: what is too far from now, either way, has no place in the ring.
        self.0.retain(|number, bucket| {
            if *number != now {
                bucket.trim();
            }
            number.abs_diff(now) < RING.unsigned_abs()
        });
        let bucket = self.0.entry(now).or_insert_with(|| Bucket::new(now));
        bucket.add(figures, shares, happened, since);
        bucket.write()
    }

    /// Answers the last so many hours before `now_ms`; names of jobs are left to the caller.
    pub(crate) fn answer(&self, now_ms: i64, hours: u32) -> Answer {
        let hours = i64::from(hours);
        let step = BUCKET_MS * (hours + HOURS_A_STEP - 1).div_euclid(HOURS_A_STEP).max(1);
        let last = now_ms.div_euclid(BUCKET_MS);
        let from = (now_ms - hours * 3_600_000).div_euclid(step) * step;
        let mut points: BTreeMap<i64, Bucket> = BTreeMap::new();
        let mut all = Bucket::default();
        for bucket in self
            .0
            .range(from.div_euclid(BUCKET_MS)..=last)
            .map(|(_, it)| it)
        {
            let at = (bucket.number * BUCKET_MS).div_euclid(step) * step;
            points.entry(at).or_default().merge(bucket);
            all.merge_shares(bucket);
        }
        all.other_users_ms += trimmed(&mut all.users, ANSWERED_MAX);
        all.other_jobs_ms += trimmed(&mut all.jobs, ANSWERED_MAX);
        Answer {
            from_ms: from,
            to_ms: now_ms,
            step_ms: step,
            points: points
                .iter()
                .map(|(at, bucket)| bucket.point(*at))
                .collect(),
            users: sorted(all.users, |name, slot_ms| TrendUser { name, slot_ms }),
            jobs: sorted(all.jobs, |id, slot_ms| TrendJob {
                id,
                slot_ms,
                ..TrendJob::default()
            }),
            other_users_ms: all.other_users_ms,
            other_jobs_ms: all.other_jobs_ms,
        }
    }
}

/// Lists them, the greatest first.
fn sorted<K, T>(of: BTreeMap<K, u64>, make: impl Fn(K, u64) -> T) -> Vec<T> {
    let mut all: Vec<(K, u64)> = of.into_iter().collect();
    all.sort_by_key(|(_, ms)| std::cmp::Reverse(*ms));
    all.into_iter().map(|(key, ms)| make(key, ms)).collect()
}

impl Bucket {
    fn merge(&mut self, other: &Self) {
        self.looks += other.looks;
        self.slots += other.slots;
        self.slots_used += other.slots_used;
        self.memory = self.memory.saturating_add(other.memory);
        self.memory_used = self.memory_used.saturating_add(other.memory_used);
        self.pending += other.pending;
        self.running += other.running;
        self.hosts_up += other.hosts_up;
        self.done += other.done;
        self.failed += other.failed;
        self.waits += other.waits;
        self.wait_ms += other.wait_ms;
        self.wait_max_ms = self.wait_max_ms.max(other.wait_max_ms);
    }

    fn merge_shares(&mut self, other: &Self) {
        for (user, ms) in &other.users {
            *self.users.entry(user.clone()).or_default() += ms;
        }
        for (job, ms) in &other.jobs {
            *self.jobs.entry(*job).or_default() += ms;
        }
        self.other_users_ms += other.other_users_ms;
        self.other_jobs_ms += other.other_jobs_ms;
    }

    fn point(&self, at_ms: i64) -> TrendPoint {
        const MIB: u64 = 1024 * 1024;
        let mean = |sum: u64| hundredths(sum, self.looks);
        TrendPoint {
            at_ms,
            slots: mean(self.slots),
            slots_used: mean(self.slots_used),
            memory_bytes: self
                .memory
                .checked_div(self.looks)
                .unwrap_or(0)
                .saturating_mul(MIB),
            memory_used_bytes: self
                .memory_used
                .checked_div(self.looks)
                .unwrap_or(0)
                .saturating_mul(MIB),
            pending: mean(self.pending),
            running: mean(self.running),
            hosts_up: mean(self.hosts_up),
            done: self.done,
            failed: self.failed,
            waits: self.waits,
            wait_ms: self.wait_ms.checked_div(self.waits),
            wait_max_ms: (self.waits > 0).then_some(self.wait_max_ms),
        }
    }
}

/// Divides, to two places behind the point.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of slots and frames are far below 2^53"
)]
fn hundredths(sum: u64, by: u64) -> f64 {
    let Some(hundredths) = sum.saturating_mul(100).checked_div(by) else {
        return 0.0;
    };
    hundredths as f64 / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_model::Timestamp;

    const NOON: i64 = 1_800_000_000_000 / BUCKET_MS * BUCKET_MS;

    fn figures(at_ms: i64, slots_used: u64) -> Figures {
        Figures {
            at: Timestamp(at_ms),
            slots: 8,
            slots_used,
            ..Figures::default()
        }
    }

    fn shares(users: &[(&str, u64)], jobs: &[(u64, u64)]) -> Shares {
        Shares {
            users: users
                .iter()
                .map(|(name, slots)| ((*name).to_owned(), *slots))
                .collect(),
            jobs: jobs.iter().copied().collect(),
        }
    }

    #[test]
    fn looks_become_means_and_slots_times_time() {
        let mut trends = Trends::default();
        let minute = Duration::from_secs(60);
        let happened = Happened {
            done: 3,
            failed: 1,
            waits: 2,
            wait_ms: 500,
            wait_max_ms: 400,
        };
        let who = shares(&[("mia", 4), ("tom", 1)], &[(7, 5)]);
        trends.add(&figures(NOON, 5), &who, happened, minute);
        trends.add(
            &figures(NOON + 60_000, 2),
            &shares(&[("mia", 2)], &[(7, 2)]),
            Happened::default(),
            minute,
        );
        let answer = trends.answer(NOON + 61_000, 1);
        assert_eq!((answer.step_ms, answer.points.len()), (BUCKET_MS, 1));
        let point = &answer.points[0];
        assert_eq!(point.at_ms, NOON);
        assert!((point.slots_used - 3.5).abs() < 1e-9 && (point.slots - 8.0).abs() < 1e-9);
        assert_eq!(
            (point.done, point.failed, point.wait_ms, point.wait_max_ms),
            (3, 1, Some(250), Some(400))
        );
        let users: Vec<(&str, u64)> = answer
            .users
            .iter()
            .map(|it| (it.name.as_str(), it.slot_ms))
            .collect();
        assert_eq!(users, [("mia", 360_000), ("tom", 60_000)]);
        assert_eq!((answer.jobs[0].id, answer.jobs[0].slot_ms), (7, 420_000));
    }

    #[test]
    fn a_week_has_as_many_points_as_a_day_and_the_same_hours() {
        let mut trends = Trends::default();
        for bucket in 0..RING {
            let who = shares(&[("mia", 1)], &[]);
            let happened = Happened {
                failed: 1,
                ..Happened::default()
            };
            trends.add(
                &figures(NOON + bucket * BUCKET_MS, 1),
                &who,
                happened,
                Duration::from_secs(300),
            );
        }
        let now = NOON + RING * BUCKET_MS - 1;
        for (hours, points) in [(24, 288), (168, 288), (192, 288)] {
            let answer = trends.answer(now, hours);
            assert!(
                (points..=points + 1).contains(&answer.points.len()),
                "{hours}: {}",
                answer.points.len()
            );
            let failed: u64 = answer.points.iter().map(|point| point.failed).sum();
            let wanted = u64::from(hours) * 12;
            assert!((wanted..=wanted + 8).contains(&failed), "{hours}: {failed}");
            assert_eq!(
                answer.users[0].slot_ms,
                failed * 300_000,
                "each bucket counts once"
            );
        }
    }

    #[test]
    fn the_ring_is_bounded_in_memory_and_in_the_store() {
        let mut trends = Trends::default();
        let mut kept = BTreeMap::new();
        for bucket in 0..RING + 50 {
            let jobs: Vec<(u64, u64)> = (1..=60).map(|job| (job, job)).collect();
            let row = trends.add(
                &figures(NOON + bucket * BUCKET_MS, 1),
                &shares(&[], &jobs),
                Happened::default(),
                Duration::from_secs(1),
            );
            let Write::Meta { key, value } = row else {
                panic!("a fact of the farm")
            };
            assert!(value.len() < 4_096, "{}", value.len());
            kept.insert(key, value);
        }
        let ring = usize::try_from(RING).expect("a count");
        assert_eq!((trends.0.len(), kept.len()), (ring, ring));
        let now = NOON + (RING + 50) * BUCKET_MS;
        // The newest bucket names all until it is over.
        trends.0.values_mut().for_each(Bucket::trim);
        let restored = Trends::of(&kept).answer(now, 2);
        assert!(
            restored == trends.answer(now, 2),
            "a restart forgets nothing"
        );
        let (named, others): (u64, u64) = (
            restored.jobs.iter().map(|job| job.slot_ms).sum(),
            restored.other_jobs_ms,
        );
        assert_eq!(
            named + others,
            1_830 * 1_000 * 24,
            "who is not named is counted"
        );
        assert_eq!(restored.jobs[0].id, 60, "who has most is named");
    }

    #[test]
    fn the_first_format_is_read_for_ever_and_a_newer_one_is_left_out() {
        let text = |format| {
            format!(
                r#"{{"format":{format},"number":{},"looks":2,"slots":16,"slots_used":6,"memory":0,"memory_used":0,"pending":1,
                "running":3,"hosts_up":2,"done":4,"failed":1,"waits":1,"wait_ms":70,"wait_max_ms":70,
                "users":{{"mia":300000}},"jobs":{{"12":300000}},"other_users_ms":5,"other_jobs_ms":6}}"#,
                NOON / BUCKET_MS
            )
        };
        let of = |text: String| {
            Trends::of(&BTreeMap::from([("trends.0001".to_owned(), text)])).answer(NOON, 24)
        };
        let answer = of(text(1));
        assert!((answer.points[0].slots_used - 3.0).abs() < 1e-9);
        assert_eq!(
            (
                answer.jobs[0].id,
                answer.other_users_ms,
                answer.other_jobs_ms
            ),
            (12, 5, 6)
        );
        for bad in [text(2), String::new(), "null".to_owned(), "{}".to_owned()] {
            assert!(of(bad).points.is_empty());
        }
    }

    #[test]
    fn a_clock_that_was_set_leaves_no_trace_in_the_ring() {
        let mut trends = Trends::default();
        let mut add = |at| {
            trends.add(
                &figures(at, 1),
                &Shares::default(),
                Happened::default(),
                Duration::ZERO,
            )
        };
        add(NOON + 400 * RING * BUCKET_MS);
        add(NOON);
        assert_eq!(trends.0.len(), 1);
        assert_eq!(trends.answer(NOON, 1).points.len(), 1);
    }
}
