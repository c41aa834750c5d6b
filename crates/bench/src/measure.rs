//! What is added up while the farm runs.

use crate::report::{Quantiles, Sample};
use std::time::Duration;

/// Samples that are kept; past that every second one is dropped and the pause between them doubles.
const SAMPLES_MAX: usize = 480;
/// Virtual milliseconds between two samples at first.
const SAMPLE_MS: u64 = 250;

/// Costs of the supervisor, in real time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    /// Requests of hosts and clients.
    pub(crate) events: u64,
    pub(crate) turns: u64,
    /// The engine, with what surrounds it.
    pub(crate) decided: Duration,
    /// Rows, commits, tickets, answers.
    pub(crate) carried_out: Duration,
    /// Its half of the wire: reading what hosts say, writing what they are told.
    pub(crate) wire: Duration,
    /// Bytes both ways.
    pub(crate) wire_bytes: u64,
}

impl Spent {
    /// Answers how long the supervisor was busy.
    pub(crate) fn busy(&self) -> Duration {
        self.decided + self.carried_out + self.wire
    }

    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            events: self.events - before.events,
            turns: self.turns - before.turns,
            decided: self.decided.saturating_sub(before.decided),
            carried_out: self.carried_out.saturating_sub(before.carried_out),
            wire: self.wire.saturating_sub(before.wire),
            wire_bytes: self.wire_bytes - before.wire_bytes,
        }
    }
}

/// Samples over the farm's time.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    pub(crate) all: Vec<Sample>,
    every_ms: u64,
    next_ms: u64,
}

impl Samples {
    /// Says whether one is due.
    pub(crate) fn is_due(&self, now_ms: u64) -> bool {
        now_ms >= self.next_ms
    }

    /// Takes one.
    pub(crate) fn add(&mut self, sample: Sample) {
        self.every_ms = self.every_ms.max(SAMPLE_MS);
        self.next_ms = sample.at_ms + self.every_ms;
        self.all.push(sample);
        if self.all.len() > SAMPLES_MAX {
            let mut number = 0;
            self.all.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.every_ms *= 2;
        }
    }
}

impl Quantiles {
    /// Sorts values out.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let place = (values.len() * percent).div_ceil(100).saturating_sub(1);
            values.get(place).copied().unwrap_or_default()
        };
        let mean = ratio_f(values.iter().sum(), count(values.len()));
        Self {
            samples: values.len(),
            mean,
            p50: at(50),
            p90: at(90),
            p99: at(99),
            most: at(100),
        }
    }

    /// Answers microseconds as milliseconds.
    pub(crate) fn of_micros(each: &[u32]) -> Self {
        Self::of(each.iter().map(|us| f64::from(*us) / 1_000.0).collect())
    }
}

/// Counts as a figure.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(crate) fn count(n: usize) -> f64 {
    n as f64
}

/// Counts as a figure.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(crate) fn figure(n: u64) -> f64 {
    n as f64
}

/// Answers a share of a count; nothing of nothing is nothing.
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    ratio_f(figure(part), figure(whole))
}

/// Answers a share; nothing of nothing is nothing.
pub(crate) fn ratio_f(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Answers how many microseconds each of so many took.
pub(crate) fn micros_each(spent: Duration, n: u64) -> f64 {
    ratio_f(spent.as_secs_f64() * 1e6, figure(n))
}

/// Answers the bytes of memory that this process has.
pub(crate) fn resident_bytes() -> u64 {
    const PAGE_BYTES: u64 = 4_096;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * PAGE_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_what_was_seen() {
        let seen = Quantiles::of((1..=100).map(f64::from).collect());
        assert_eq!(
            (seen.samples, seen.p50, seen.p90, seen.p99, seen.most),
            (100, 50.0, 90.0, 99.0, 100.0)
        );
        assert_eq!(Quantiles::of(Vec::new()), Quantiles::default());
    }

    #[test]
    fn samples_thin_out_and_stay_in_order() {
        let mut samples = Samples::default();
        for at_ms in (0..1_000_000).step_by(100) {
            if samples.is_due(at_ms) {
                samples.add(Sample {
                    at_ms,
                    ..Sample::default()
                });
            }
        }
        assert!(samples.all.len() <= SAMPLES_MAX && samples.all.len() > SAMPLES_MAX / 4);
        assert!(samples.all.is_sorted_by_key(|sample| sample.at_ms));
        assert!(samples.all.last().is_some_and(|it| it.at_ms > 900_000));
    }
}
