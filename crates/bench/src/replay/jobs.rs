//! The jobs of the farm: which of them are played, and what became of each of their frames.

use super::fates::{Fate, Fates, How, median};
use super::find::Found;
use super::report::Guessed;
use super::words::begun_blocked;
use super::{
    KeptJob, REPLAY_DAYS_MAX, REPLAY_FRAMES_MAX, REPLAY_JOBS_MAX, ReplayError, ReplayOptions, Span,
    Was, when,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tessera_engine::supervisor::items::ItemCore;
use tessera_engine::supervisor::{JobImage, kind};
use tessera_model::agenda::FrameRun;
use tessera_model::reservation::More;
use tessera_model::{Agenda, JobId, JobKind, JobSpec, Reservation, Split, WorkStatus};
use tessera_store::sqlite::Look;
use tessera_store::{AttemptRow, HistoryRow, READ_LIMIT_MAX};

/// Kinds of jobs that are told apart; the rest are told together.
const CLASSES_MAX: usize = 8;
/// What those are called.
const OTHERS: &str = "others";
const DAY_MS: i64 = 24 * 3_600_000;

/// What was read.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) span: Span,
    pub(super) jobs: Vec<KeptJob>,
    pub(super) guessed: Guessed,
    /// Jobs that had begun before the span: what was left of them is played.
    pub(super) begun_before: u64,
    /// Jobs that were removed, so that nothing is known of them.
    pub(super) removed: u64,
    /// When the last run of a job that is played ended.
    pub(super) last_end_ms: i64,
}

/// Reads the jobs of the span with what they ran.
pub(super) fn read(
    look: &mut Look,
    found: &Found,
    options: &ReplayOptions,
    mut images: Vec<JobImage>,
    lines: &[HistoryRow],
) -> Result<Read, ReplayError> {
    let nothing = |why: String| ReplayError::Nothing {
        file: found.file.clone(),
        why,
    };
    images.sort_by_key(|job| (job.row.submitted, job.row.id));
    let first = images.first().map(|job| job.row.submitted.0);
    let first = first.ok_or_else(|| nothing("it has no jobs".to_owned()))?;
    let mut span = Span {
        from_ms: options.from_ms.unwrap_or(first),
        to_ms: options.to_ms.unwrap_or(i64::MAX),
    };
    images.retain(|job| {
        let has_ended = job.row.ended.is_some_and(|at| at.0 < span.from_ms);
        job.row.submitted.0 < span.to_ms && !has_ended
    });
    let last = images.last().map(|job| job.row.submitted.0);
    let last = last.ok_or_else(|| {
        let to = options.to_ms.map_or("its end".to_owned(), when);
        nothing(format!(
            "no job of it was there between {} and {to}; its first was submitted at {}",
            when(span.from_ms),
            when(first)
        ))
    })?;
    check_bounds(&images, span.from_ms, last)?;
    if span.to_ms == i64::MAX {
        // What people say is said as long as the farm was there.
        let told = lines.iter().map(|line| line.row.at_ms);
        span.to_ms = told.chain([last]).max().unwrap_or(last).saturating_add(1);
    }
    let blocked = images
        .iter()
        .filter(|job| job.row.status == WorkStatus::Blocked);
    let begun_blocked = begun_blocked(lines, &blocked.map(|job| job.row.id).collect());
    let mut reader = Reader {
        span,
        known: Vec::new(),
        done_ms: Vec::new(),
        begun_before: 0,
        last_end_ms: span.from_ms,
    };
    for image in images {
        reader.add(look, image)?;
    }
    let farm_ms = median(std::mem::take(&mut reader.done_ms));
    let farm_ms = farm_ms.ok_or_else(|| {
        nothing("no frame of it has ended well, so nothing says how long frames take".to_owned())
    })?;
    let mut guessed = Guessed::default();
    let known = std::mem::take(&mut reader.known).into_iter();
    let jobs = known.map(|known| known.finish(farm_ms, &begun_blocked, &mut guessed));
    let jobs: Vec<KeptJob> = jobs.collect();
    let played: BTreeSet<u64> = jobs.iter().map(|job| job.id.0).collect();
    let removed = lines.iter().map(|line| &line.row);
    let removed = removed.filter(|row| row.kind == kind::JOB_REMOVED && span.has(row.at_ms));
    let removed = removed.filter(|row| row.job.is_some_and(|job| !played.contains(&job)));
    Ok(Read {
        span,
        removed: removed.count() as u64,
        jobs,
        guessed,
        begun_before: reader.begun_before,
        last_end_ms: reader.last_end_ms,
    })
}

fn check_bounds(images: &[JobImage], from_ms: i64, last_ms: i64) -> Result<(), ReplayError> {
    let within = |what, count, most| match count > most {
        true => Err(ReplayError::TooMuch { what, count, most }),
        false => Ok(()),
    };
    within("jobs", images.len() as u64, REPLAY_JOBS_MAX as u64)?;
    let frames = images.iter().map(|job| u64::from(job.spec.items()));
    within("frames", frames.sum(), REPLAY_FRAMES_MAX)?;
    let days = last_ms.saturating_sub(from_ms) / DAY_MS;
    within(
        "days from the first submission to the last",
        u64::try_from(days).unwrap_or(0),
        u64::try_from(REPLAY_DAYS_MAX).unwrap_or(0),
    )
}

/// A job with what is known of its frames.
#[derive(Debug)]
struct Known {
    image: JobImage,
    fates: BTreeMap<u32, Vec<Fate>>,
    /// The middle of its frames that ended well, in milliseconds.
    median_ms: Option<u32>,
    /// Its frames that are played, by the places that they had; all when nothing is said.
    left: Option<Vec<u32>>,
    was: Was,
}

/// Goes through the attempts of one job after another.
struct Reader {
    span: Span,
    known: Vec<Known>,
    done_ms: Vec<u32>,
    begun_before: u64,
    last_end_ms: i64,
}

impl Reader {
    fn add(&mut self, look: &mut Look, image: JobImage) -> Result<(), ReplayError> {
        let mut was = Was {
            submitted_ms: image.row.submitted.0.max(self.span.from_ms),
            started_ms: image.row.started.map(|at| at.0),
            ended_ms: image.row.ended.map(|at| at.0),
            last_end_ms: self.span.from_ms,
            ..Was::default()
        };
        let begun_before = was.started_ms.is_some_and(|at| at < self.span.from_ms);
        let slots = u64::from(image.spec.reservation.slots);
        let mut fates: BTreeMap<u32, Vec<Fate>> = BTreeMap::new();
        let mut ended_before: BTreeSet<u32> = BTreeSet::new();
        let mut done_ms: Vec<u32> = Vec::new();
        let mut after = None;
        loop {
            let page = look.attempts(image.row.id.0, after, READ_LIMIT_MAX)?;
            let Some(last) = page.last() else { break };
            after = Some((last.item, last.attempt));
            for row in &page {
                if begun_before && row.ended_ms < self.span.from_ms {
                    ended_before.insert(row.item);
                    continue;
                }
                ended_before.remove(&row.item);
                was.slot_ms += slots * self.within(row);
                was.last_end_ms = was.last_end_ms.max(row.ended_ms);
                let Some(fate) = Fate::of(row) else { continue };
                if fate.how == How::Done {
                    done_ms.push(fate.ms);
                }
                fates.entry(row.item).or_default().push(fate);
            }
        }
        for each in fates.values() {
            match each.last().map(|fate| fate.how) {
                Some(How::Done) => was.complete += 1,
                Some(_) => was.failed += 1,
                None => {}
            }
        }
        let left = begun_before.then(|| left(&image, &ended_before));
        if left.as_ref().is_some_and(Vec::is_empty) {
            return Ok(());
        }
        self.begun_before += u64::from(begun_before);
        self.last_end_ms = self.last_end_ms.max(was.last_end_ms);
        self.done_ms.extend(&done_ms);
        self.known.push(Known {
            median_ms: median(done_ms),
            image,
            fates,
            left,
            was,
        });
        Ok(())
    }

    /// Answers how long an attempt ran in the span, in milliseconds.
    fn within(&self, row: &AttemptRow) -> u64 {
        let began_ms = row.started_ms.unwrap_or(row.assigned_ms);
        let early = self.span.from_ms.saturating_sub(began_ms);
        let elapsed = row.elapsed_ms;
        elapsed.saturating_sub(u64::try_from(early).unwrap_or(0))
    }
}

/// Answers the items of a job that were not over when the span began.
fn left(image: &JobImage, ended_before: &BTreeSet<u32>) -> Vec<u32> {
    let is_over = |item: &u32| {
        let cell = image.cells.get(*item as usize).copied();
        let core = cell.and_then(ItemCore::unpack);
        ended_before.contains(item) && core.is_none_or(|core| core.status.is_ended())
    };
    (0..image.spec.items())
        .filter(|item| !is_over(item))
        .collect()
}

impl Known {
    /// Makes the job of it, with guesses for what never ran.
    fn finish(
        mut self,
        farm_ms: u32,
        begun_blocked: &BTreeSet<JobId>,
        guessed: &mut Guessed,
    ) -> KeptJob {
        let mut spec = Arc::clone(&self.image.spec);
        if let Some(left) = &self.left {
            let mut fates = BTreeMap::new();
            for (new, old) in (0..).zip(left) {
                if let Some(fate) = self.fates.remove(old) {
                    fates.insert(new, fate);
                }
            }
            self.fates = fates;
            spec = Arc::new(shortened(&spec, left.len()));
        }
        let items = spec.items();
        let known = u32::try_from(self.fates.len()).unwrap_or(u32::MAX);
        let unknown = u64::from(items.saturating_sub(known));
        match self.median_ms {
            Some(_) => guessed.of_job += unknown,
            None => guessed.of_farm += unknown,
        }
        let guess = Fate {
            ms: self.median_ms.unwrap_or(farm_ms),
            how: How::Done,
        };
        let row = self.image.row;
        KeptJob {
            is_blocked: begun_blocked.contains(&row.id),
            id: row.id,
            owner: row.owner,
            submitter: row.submitter,
            labels: row.waits.labels,
            fates: Fates::new(self.fates, items, guess),
            spec,
            was: self.was,
        }
    }
}

/// Describes what is left of a job: so many frames, by other numbers.
fn shortened(spec: &JobSpec, items: usize) -> JobSpec {
    let count = u32::try_from(items).unwrap_or(u32::MAX);
    let mut short = spec.clone();
    match &spec.kind {
        JobKind::CmdLine => short.cpus = count,
        JobKind::CmdRange(agenda) => {
            let run = FrameRun {
                start: 1,
                step: 1,
                count,
            };
            let made = Agenda::new(vec![run], Split::Chunk(1), agenda.order(), agenda.padding());
            short.kind = made.map_or_else(|_| spec.kind.clone(), JobKind::CmdRange);
        }
    }
    short
}

/// Answers the kinds of jobs by what they reserve, the commonest first, and of which kind each is.
pub(super) fn classes(jobs: &[KeptJob]) -> (Vec<String>, Vec<usize>) {
    let names: Vec<String> = jobs.iter().map(|it| named(&it.spec.reservation)).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in &names {
        *counts.entry(name).or_default() += 1;
    }
    let mut sorted: Vec<(&str, usize)> = counts.into_iter().collect();
    sorted.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let is_many = sorted.len() > CLASSES_MAX;
    let kept = sorted.iter().take(CLASSES_MAX - usize::from(is_many));
    let mut classes: Vec<String> = kept.map(|(name, _)| (*name).to_owned()).collect();
    if is_many {
        classes.push(OTHERS.to_owned());
    }
    let last = classes.len().saturating_sub(1);
    let place = |name: &String| classes.iter().position(|it| it == name).unwrap_or(last);
    let of = names.iter().map(place).collect();
    (classes, of)
}

/// Names what a job takes of its hosts and of the farm.
fn named(it: &Reservation) -> String {
    let mut name = match (it.slots, it.more) {
        (1, More::Nothing) => "1 slot".to_owned(),
        _ => format!("{} slots", it.slots_form()),
    };
    for (what, amount) in &it.amounts {
        name += &format!(", {what}={amount}");
    }
    for (what, amount) in &it.global {
        name += &format!(", {what}={amount}");
    }
    name
}
