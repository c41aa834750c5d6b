//! Selectors: which job, instance or items somebody means.
//!
//! `12345` a job · `12345.0` its first instance · `12345:5`, `12345:1-10,15`, `12345:-5` items by their frames ·
//! `12345#3`, `12345:#3`, `12345#1-10,15` items by their place in the agenda, from 1.

use crate::field::shown;
use crate::range::{self, RangeError};
use std::fmt;
use std::str::FromStr;
use tessera_model::{FrameRun, InstanceNo, ItemIndex, JobId, JobKind, JobSpec, Split};

/// What somebody means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// Of which job.
    pub job: JobId,
    /// What of it.
    pub what: What,
}

/// What of a job is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// All of it.
    Job,
    /// One of its instances.
    Instance(InstanceNo),
    /// The items that cover these frames.
    Frames(Vec<FrameRun>),
    /// The items at these places, counted from 1 as people do.
    Items(Vec<FrameRun>),
}

/// Why a text is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// It does not begin with the number of a job.
    #[error("{} does not begin with the number of a job", shown(.0))]
    Job(String),
    /// What follows the dot is no number.
    #[error("{} is no instance: a number from 0 is expected after the dot", shown(.0))]
    Instance(String),
    /// The frames or places are no range.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// A place below 1.
    #[error("{} counts items from 1", shown(.0))]
    Place(String),
}

impl SelectorError {
    /// Answers how to write it instead.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Range(error) => error.hint(),
            Self::Job(_) | Self::Instance(_) | Self::Place(_) => {
                "12345 is a job, 12345.0 an instance, 12345:1-10 frames, 12345#3 the third item"
            }
        }
    }
}

impl Selector {
    /// Means a whole job.
    #[must_use]
    pub fn job(job: JobId) -> Self {
        Self {
            job,
            what: What::Job,
        }
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = text.split_at(digits);
        let bad_job = || SelectorError::Job(text.to_owned());
        let job = number
            .parse()
            .ok()
            .filter(|job| *job > 0)
            .map(JobId)
            .ok_or_else(bad_job)?;
        let what = if rest.is_empty() {
            What::Job
        } else if let Some(instance) = rest.strip_prefix('.') {
            What::Instance(parse_instance(text, instance)?)
        } else if let Some(places) = rest.strip_prefix(":#").or_else(|| rest.strip_prefix('#')) {
            What::Items(parse_places(text, places)?)
        } else if let Some(frames) = rest.strip_prefix(':') {
            What::Frames(range::parse(frames)?)
        } else {
            return Err(bad_job());
        };
        Ok(Self { job, what })
    }
}

fn parse_instance(text: &str, number: &str) -> Result<InstanceNo, SelectorError> {
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let bad = || SelectorError::Instance(text.to_owned());
    number
        .parse()
        .ok()
        .filter(|_| is_number)
        .map(InstanceNo)
        .ok_or_else(bad)
}

fn parse_places(text: &str, places: &str) -> Result<Vec<FrameRun>, SelectorError> {
    let runs = range::parse(places)?;
    if runs.iter().any(|run| run.start < 1 || run.last() < 1) {
        return Err(SelectorError::Place(text.to_owned()));
    }
    Ok(runs)
}

impl fmt::Display for Selector {
    /// Prints it so that it reads back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.job)?;
        match &self.what {
            What::Job => Ok(()),
            What::Instance(instance) => write!(f, ".{instance}"),
            What::Frames(runs) => write!(f, ":{}", range::print(runs)),
            What::Items(runs) => write!(f, "#{}", range::print(runs)),
        }
    }
}

/// What is named and does not exist in the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotThere {
    /// No item covers this frame.
    #[error("no item of the job covers frame {0}")]
    Frame(i64),
    /// There are not so many items.
    #[error("the job has no item #{place}; it has {items}")]
    Place {
        /// What was asked for, from 1.
        place: i64,
        /// How many there are.
        items: u32,
    },
    /// The job has no frames.
    #[error("the job has no frames; name its items as #1, #2 or its instances as .0, .1")]
    NoFrames,
}

impl What {
    /// Answers the items that are meant, each once, in the agenda's order; none for [`What::Job`] and
    /// [`What::Instance`], which are not about items.
    ///
    /// # Errors
    /// The first frame or place that the job does not have.
    pub fn items(&self, spec: &JobSpec) -> Result<Vec<ItemIndex>, NotThere> {
        let mut found = match self {
            Self::Job | Self::Instance(_) => Vec::new(),
            Self::Items(runs) => places(runs, spec.items())?,
            Self::Frames(runs) => frames(runs, spec)?,
        };
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}

fn places(runs: &[FrameRun], items: u32) -> Result<Vec<ItemIndex>, NotThere> {
    let mut found = Vec::new();
    for run in runs {
        for place in (0..run.count).map(|n| run.at(n)) {
            match u32::try_from(place - 1).ok().filter(|index| *index < items) {
                Some(index) => found.push(ItemIndex(index)),
                None => return Err(NotThere::Place { place, items }),
            }
        }
    }
    Ok(found)
}

fn frames(runs: &[FrameRun], spec: &JobSpec) -> Result<Vec<ItemIndex>, NotThere> {
    let JobKind::CmdRange(agenda) = &spec.kind else {
        return Err(NotThere::NoFrames);
    };
    let mut found = Vec::new();
    for run in runs {
        if let Some(frame) = range::first_missing(*run, agenda.runs()) {
            return Err(NotThere::Frame(frame));
        }
        let mut before = 0;
        for own in agenda.runs() {
            if let Some(common) = range::intersection(own, run) {
                let places = (0..common.count).filter_map(|n| own.place_of(common.at(n)));
                found.extend(
                    places.map(|place| item_at(agenda.split(), agenda.frames(), before + place)),
                );
            }
            before += own.count;
        }
    }
    Ok(found)
}

/// Answers the item that covers the frame at a place of the agenda's frame list; the inverse of its cutting.
fn item_at(split: Split, frames: u32, place: u32) -> ItemIndex {
    ItemIndex(match split {
        Split::Chunk(n) => place / n,
        Split::Partitions(n) => {
            let (size, larger) = (frames / n, frames % n);
            let in_larger = larger * (size + 1);
            if place < in_larger {
                place / (size + 1)
            } else {
                larger + (place - in_larger) / size
            }
        }
    })
}

#[cfg(test)]
mod tests;
