//! The figures of the benchmark, and how they are printed.

use super::memory::ProcessMemory;
use crate::out::{Look, Tone};
use serde::Serialize;
use std::time::Duration;

/// Least, middle and greatest of some figures.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub(super) struct Spread {
    pub(super) least: f64,
    pub(super) median: f64,
    pub(super) greatest: f64,
}

impl Spread {
    pub(super) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |place: usize| sorted.get(place).copied().unwrap_or_default();
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(at(middle.saturating_sub(1)), at(middle))
        } else {
            at(middle)
        };
        Self {
            least: at(0),
            median,
            greatest: at(sorted.len().saturating_sub(1)),
        }
    }
}

/// How long something takes, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub(super) struct Latency {
    pub(super) samples: usize,
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) mean: f64,
}

impl Latency {
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let samples = values.len();
        let at = |percent: usize| {
            let place = (samples * percent).div_ceil(100).saturating_sub(1);
            values.get(place).copied().unwrap_or_default()
        };
        let sum: f64 = values.iter().sum();
        Self {
            samples,
            p50: at(50),
            p99: at(99),
            mean: sum / count(samples).max(1.0),
        }
    }

    fn print(&self) -> String {
        format!(
            "p50 {:.1} ms, p99 {:.1} ms, mean {:.2} ms ({} samples)",
            self.p50, self.p99, self.mean, self.samples
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
fn count(n: usize) -> f64 {
    n as f64
}

/// Answers how many items a launch had.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(super) fn share(items: u32, launches: u64) -> f64 {
    f64::from(items) / launches.max(1) as f64
}

/// Turns a difference of clocks into a figure.
#[expect(
    clippy::cast_precision_loss,
    reason = "differences here are far below 2^52"
)]
pub(super) fn milliseconds(difference: i64) -> f64 {
    difference as f64
}

/// One round: both sides, one after the other.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Round {
    pub(super) round: u32,
    pub(super) xargs_per_second: f64,
    pub(super) frames_per_second: f64,
    pub(super) ratio_to_xargs: f64,
}

impl Round {
    pub(super) fn new(round: u32, frames: u32, floor: Duration, ours: Duration) -> Self {
        let rate = |took: Duration| f64::from(frames) / took.as_secs_f64().max(1e-9);
        let (xargs_per_second, frames_per_second) = (rate(floor), rate(ours));
        Self {
            round,
            xargs_per_second,
            frames_per_second,
            ratio_to_xargs: frames_per_second / xargs_per_second,
        }
    }
}

/// The figure with one item a launch.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Single {
    pub(super) frames: u32,
    pub(super) frames_per_second: f64,
    pub(super) launches: u64,
}

/// Everything that was measured.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    pub(super) version: &'static str,
    /// Whether the program was built without optimisation; its figures say little then.
    pub(super) is_debug_build: bool,
    pub(super) frames: u32,
    pub(super) slots: u32,
    /// `user`, `proxy` or `desktop`.
    pub(super) mode: String,
    pub(super) account: String,
    /// The uid that a frame saw.
    pub(super) observed_uid: u32,
    pub(super) frames_per_second: Spread,
    pub(super) xargs_per_second: Spread,
    pub(super) ratio_to_xargs: Spread,
    pub(super) rounds: Vec<Round>,
    /// Starts by the launcher in the last round.
    pub(super) launches: u64,
    pub(super) items_per_launch: f64,
    pub(super) one_item_per_launch: Single,
    pub(super) submit_to_start_ms: Latency,
    pub(super) submit_to_done_ms: Latency,
    pub(super) exit_to_next_start_ms: Latency,
    pub(super) memory: Vec<ProcessMemory>,
}

impl Report {
    pub(super) fn new(
        frames: u32,
        slots: u32,
        mode: String,
        account: String,
        observed_uid: u32,
    ) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            is_debug_build: cfg!(debug_assertions),
            frames,
            slots,
            mode,
            account,
            observed_uid,
            frames_per_second: Spread::default(),
            xargs_per_second: Spread::default(),
            ratio_to_xargs: Spread::default(),
            rounds: Vec::new(),
            launches: 0,
            items_per_launch: 0.0,
            one_item_per_launch: Single::default(),
            submit_to_start_ms: Latency::default(),
            submit_to_done_ms: Latency::default(),
            exit_to_next_start_ms: Latency::default(),
            memory: Vec::new(),
        }
    }

    /// Sums the rounds up.
    pub(super) fn settle(&mut self) {
        let spread =
            |of: fn(&Round) -> f64| Spread::of(&self.rounds.iter().map(of).collect::<Vec<_>>());
        (
            self.frames_per_second,
            self.xargs_per_second,
            self.ratio_to_xargs,
        ) = (
            spread(|round| round.frames_per_second),
            spread(|round| round.xargs_per_second),
            spread(|round| round.ratio_to_xargs),
        );
    }
}

/// Prints a round as it is done.
pub(super) fn print_round(look: &Look, round: &Round) -> String {
    format!(
        "{} {:>7.0} frames/s, xargs {:>7.0}/s, ratio {:.2}\n",
        look.paint(Tone::Dim, &format!("round {}:", round.round)),
        round.frames_per_second,
        round.xargs_per_second,
        round.ratio_to_xargs
    )
}

/// Prints everything.
pub(super) fn print(look: &Look, report: &Report) -> String {
    let mut out = format!(
        "{} frames of /bin/true a side, {} slots, mode {}, as {} (uid {} seen by a frame)\n",
        report.frames, report.slots, report.mode, report.account, report.observed_uid
    );
    if report.is_debug_build {
        out += &look.paint(
            Tone::Warn,
            "this is a debug build: its figures say little\n",
        );
    }
    let rates = &report.frames_per_second;
    out += &format!(
        "{}  {:.0} a second (from {:.0} to {:.0}), xargs {:.0}\n",
        look.paint(Tone::Bold, "frames        "),
        rates.median,
        rates.least,
        rates.greatest,
        report.xargs_per_second.median
    );
    let ratio = &report.ratio_to_xargs;
    out += &format!(
        "{}  {:.2} (from {:.2} to {:.2}), median of {} rounds\n",
        look.paint(Tone::Bold, "ratio_to_xargs"),
        ratio.median,
        ratio.least,
        ratio.greatest,
        report.rounds.len()
    );
    out += &format!(
        "launches        {} ({:.0} items each)\n",
        report.launches, report.items_per_launch
    );
    let single = &report.one_item_per_launch;
    out += &format!(
        "one item each   {:.0} a second ({} frames, {} launches)\n",
        single.frames_per_second, single.frames, single.launches
    );
    out += &format!("submit → start  {}\n", report.submit_to_start_ms.print());
    out += &format!("submit → done   {}\n", report.submit_to_done_ms.print());
    out += &format!("exit → next     {}\n", report.exit_to_next_start_ms.print());
    out += "memory\n";
    out + &report
        .memory
        .iter()
        .map(ProcessMemory::print)
        .collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_percentiles_are_what_they_say() {
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(Spread::of(&[]), Spread::default());
        let latency = Latency::of((1..=100).map(f64::from).collect());
        assert_eq!(
            (latency.p50, latency.p99, latency.mean, latency.samples),
            (50.0, 99.0, 50.5, 100)
        );
        assert_eq!(Latency::of(Vec::new()), Latency::default());
    }

    #[test]
    fn the_ratio_is_of_one_round() {
        let round = Round::new(1, 100, Duration::from_secs(1), Duration::from_secs(2));
        assert_eq!(
            (
                round.xargs_per_second,
                round.frames_per_second,
                round.ratio_to_xargs
            ),
            (100.0, 50.0, 0.5)
        );
    }
}
