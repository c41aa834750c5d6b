//! As it was beside as it would have been.

use super::report::{ClassPair, Guessed, Moved, Replayed, Side, Waits};
use super::settings::Settings;
use super::{KeptJob, LeftOut, Span};
use crate::Quantiles;
use crate::measure::{figure, ratio};
use crate::world::World;
use tessera_engine::supervisor::Job;
use tessera_model::ItemStatus;

/// Jobs that are named of those that gained, and of those that lost.
const MOVED_SHOWN: usize = 5;
/// Seconds that a job must have gained or lost to be named.
const MOVED_SECONDS: f64 = 1.0;

/// What was found before the run.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) source: String,
    pub(super) span: Span,
    pub(super) classes: Vec<String>,
    pub(super) settings: Settings,
    pub(super) left_out: LeftOut,
    pub(super) guessed: Guessed,
    pub(super) begun_before: u64,
    /// Slot time that hosts offered until the last frame ended.
    pub(super) was_slot_ms: u64,
    pub(super) was_end_ms: i64,
}

/// Seconds until the first frame and until the end, as far as it came to that.
#[derive(Debug, Clone, Copy)]
struct Fared {
    wait: Option<f64>,
    done: Option<f64>,
}

/// A job on both sides.
struct Pair<'a> {
    job: &'a KeptJob,
    class: usize,
    was: Fared,
    would: Fared,
}

/// Makes the comparison.
pub(super) fn set_beside(world: &World, told: Told) -> Replayed {
    let pairs: Vec<Pair<'_>> = world
        .kept_jobs()
        .map(|(job, class, now)| Pair {
            job,
            class,
            was: was(job),
            would: would(now),
        })
        .collect();
    let Told {
        settings, left_out, ..
    } = told;
    let (words, void_words, met_waits) = world.words_said();
    let mut not_replayed = left_out.sentences();
    let mut say = |count: u64, what: &str| {
        not_replayed.extend((count > 0).then(|| format!("{what}: {count}")));
    };
    say(
        void_words,
        "words of people for which there was nothing to do here",
    );
    say(
        met_waits,
        "things to wait for in jobs that are not in it (they count as done)",
    );
    say(
        told.begun_before,
        "the first part of jobs that had begun before (what was left of them is played)",
    );
    let classes = told.classes.iter().enumerate().map(|(number, class)| {
        let of_class = || pairs.iter().filter(|pair| pair.class == number);
        ClassPair {
            class: class.clone(),
            jobs: of_class().count() as u64,
            was: waits(of_class().map(|pair| pair.was)),
            would: waits(of_class().map(|pair| pair.would)),
        }
    });
    let classes = classes.collect();
    let (sooner, later) = moved(&pairs);
    Replayed {
        source: told.source,
        from_ms: told.span.from_ms,
        to_ms: told.span.to_ms,
        jobs: pairs.len() as u64,
        frames: pairs.iter().map(|it| u64::from(it.job.spec.items())).sum(),
        hosts: world.hosts() as u64,
        settings: settings.said,
        assumed: settings.assumed,
        guessed: told.guessed,
        words: words - void_words,
        not_replayed,
        was: Side {
            complete: pairs.iter().map(|pair| pair.job.was.complete).sum(),
            failed: pairs.iter().map(|pair| pair.job.was.failed).sum(),
            seconds: seconds(told.was_end_ms, told.span.from_ms),
            ..side(
                pairs.iter().map(|pair| pair.was),
                pairs.iter().map(|pair| pair.job.was.slot_ms).sum(),
                told.was_slot_ms,
            )
        },
        would: of_world(world, &pairs),
        classes,
        sooner,
        later,
    }
}

fn of_world(world: &World, pairs: &[Pair<'_>]) -> Side {
    let (offered_ms, working_ms, played_ms) = world.played_ms();
    let count = |status: ItemStatus| {
        let jobs = world.kept_jobs().filter_map(|(_, _, now)| now);
        jobs.map(|job| u64::from(job.items().count(status))).sum()
    };
    Side {
        complete: count(ItemStatus::Complete),
        failed: count(ItemStatus::Failed),
        seconds: figure(played_ms) / 1e3,
        ..side(pairs.iter().map(|pair| pair.would), working_ms, offered_ms)
    }
}

fn side(jobs: impl Iterator<Item = Fared> + Clone, working_ms: u64, offered_ms: u64) -> Side {
    Side {
        jobs_ended: jobs.clone().filter(|job| job.done.is_some()).count() as u64,
        jobs_waiting: jobs.clone().filter(|job| job.wait.is_none()).count() as u64,
        slot_hours: figure(working_ms) / 3.6e6,
        working: ratio(working_ms, offered_ms),
        waits: waits(jobs),
        ..Side::default()
    }
}

fn waits(jobs: impl Iterator<Item = Fared> + Clone) -> Waits {
    Waits {
        first_frame_seconds: Quantiles::of(jobs.clone().filter_map(|job| job.wait).collect()),
        done_seconds: Quantiles::of(jobs.filter_map(|job| job.done).collect()),
    }
}

fn was(job: &KeptJob) -> Fared {
    let since = |at_ms: i64| seconds(at_ms, job.was.submitted_ms);
    Fared {
        wait: job.was.started_ms.map(since),
        done: job.was.ended_ms.map(since),
    }
}

fn would(job: Option<&Job>) -> Fared {
    let since = |job: &Job, at: tessera_model::Timestamp| seconds(at.0, job.submitted.0);
    Fared {
        wait: job.and_then(|job| Some(since(job, job.started?))),
        done: job.and_then(|job| Some(since(job, job.ended?))),
    }
}

fn seconds(at_ms: i64, since_ms: i64) -> f64 {
    figure(u64::try_from(at_ms.saturating_sub(since_ms)).unwrap_or(0)) / 1e3
}

/// Names the jobs that gained the most, and those that lost the most.
fn moved(pairs: &[Pair<'_>]) -> (Vec<Moved>, Vec<Moved>) {
    let both = pairs.iter().filter_map(|pair| {
        let wait_seconds = [pair.was.wait.unwrap_or(0.0), pair.would.wait.unwrap_or(0.0)];
        let done_seconds = [pair.was.done?, pair.would.done?];
        Some(Moved {
            job: pair.job.id.0,
            name: pair.job.spec.name.clone(),
            owner: pair.job.owner.to_string(),
            wait_seconds,
            done_seconds,
        })
    });
    let by = |it: &Moved| it.done_seconds[1] - it.done_seconds[0];
    let mut all: Vec<Moved> = both.collect();
    all.sort_by(|a, b| by(a).total_cmp(&by(b)).then(a.job.cmp(&b.job)));
    let sooner = all.iter().take_while(|it| by(it) <= -MOVED_SECONDS);
    let later = all.iter().rev().take_while(|it| by(it) >= MOVED_SECONDS);
    (
        sooner.take(MOVED_SHOWN).cloned().collect(),
        later.take(MOVED_SHOWN).cloned().collect(),
    )
}
