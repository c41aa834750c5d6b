//! Frame ranges: `1`, `1-100`, `1-100x3`, `100--10`, `-5--1`, and comma lists of them.
//!
//! A minus between two numbers is *to*; one in front of a number is its sign. The step follows the direction, so it is
//! written without a sign. Spaces are allowed between the parts. A frame that is named twice counts once, where it was
//! named first. Single numbers in a list become runs where they are evenly spaced, so that a long list stays small.

mod parse;
mod runs;

pub(crate) use runs::first_missing;
pub use runs::{intersection, print};

use crate::field::shown;
use tessera_model::FrameRun;
use tessera_model::limits::{FRAME_NUMBER_MAX, FRAMES_MAX, RUNS_MAX};

/// Longest text of a range, in bytes.
pub const RANGE_BYTES_MAX: usize = 256 * 1024;

/// Why a text is no frame range, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("range {}, at character {}{}: {problem}", shown(text), offset + 1, near(text, *offset))]
pub struct RangeError {
    /// The text, cut to [`RangeError::TEXT_BYTES_MAX`] around the place.
    pub text: String,
    /// The place of the problem in `text`, in bytes from 0.
    pub offset: usize,
    /// What is wrong there.
    pub problem: RangeProblem,
}

/// What is wrong with a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RangeProblem {
    /// There is nothing in it.
    #[error("a frame number is missing")]
    Missing,
    /// Something else than a digit where a number should be.
    #[error("a frame number is expected")]
    NoNumber,
    /// Something after a complete part.
    #[error("a comma or the end is expected")]
    Trailing,
    /// A number out of range.
    #[error("frame numbers go from -{FRAME_NUMBER_MAX} to {FRAME_NUMBER_MAX}")]
    TooFar,
    /// A step of zero, with a sign, or missing.
    #[error("a step is a whole number from 1")]
    Step,
    /// More frames than a job takes.
    #[error("more than {FRAMES_MAX} frames")]
    TooManyFrames,
    /// More runs than a job takes.
    #[error("more than {RUNS_MAX} separate pieces")]
    TooManyRuns,
    /// Too long to be read.
    #[error("a range is at most {RANGE_BYTES_MAX} bytes long")]
    TooLong,
    /// Its pieces overlap in too many ways.
    #[error("its pieces overlap too much")]
    Tangled,
}

impl RangeError {
    /// Longest piece of the text that an error keeps, in bytes.
    pub const TEXT_BYTES_MAX: usize = 80;

    /// Answers how to write it instead.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.problem {
            RangeProblem::Missing | RangeProblem::NoNumber | RangeProblem::Trailing => {
                "write frames like 1-100, 1-100x3, 1,2,8-10 or -5--1"
            }
            RangeProblem::TooFar => "use smaller frame numbers",
            RangeProblem::Step => {
                "write the step without a sign, as in 1-100x3; 100-1x3 counts down by itself"
            }
            RangeProblem::TooManyFrames
            | RangeProblem::TooManyRuns
            | RangeProblem::TooLong
            | RangeProblem::Tangled => "submit it as several jobs",
        }
    }
}

/// Answers what stands at the place, quoted, or that it is the end.
fn near(text: &str, offset: usize) -> String {
    match text.get(offset..).and_then(|rest| rest.chars().next()) {
        Some(found) => format!(" ('{}')", found.escape_debug()),
        None => " (the end)".to_owned(),
    }
}

/// Reads a frame range.
///
/// The runs that it answers name no frame twice, are at least one, at most [`RUNS_MAX`] with at most [`FRAMES_MAX`]
/// frames, and keep the order of the text.
///
/// # Errors
/// When the text is no range or names more than a job takes, with the place.
pub fn parse(text: &str) -> Result<Vec<FrameRun>, RangeError> {
    let fail = |offset, problem| Err(error_at(text, offset, problem));
    if text.len() > RANGE_BYTES_MAX {
        return fail(0, RangeProblem::TooLong);
    }
    let mut reader = parse::Reader::new(text);
    let mut list = runs::Builder::default();
    loop {
        let start = reader.offset();
        let run = match reader.part() {
            Ok(run) => run,
            Err((offset, problem)) => return fail(offset, problem),
        };
        if let Err(problem) = list.push(run) {
            return fail(start, problem);
        }
        match reader.comma() {
            Ok(true) => {}
            Ok(false) => break,
            Err((offset, problem)) => return fail(offset, problem),
        }
    }
    list.finish().map_err(|problem| error_at(text, 0, problem))
}

/// Makes an error that keeps only the part of the text around the place.
fn error_at(text: &str, offset: usize, problem: RangeProblem) -> RangeError {
    if text.len() <= RangeError::TEXT_BYTES_MAX {
        return RangeError {
            text: text.to_owned(),
            offset,
            problem,
        };
    }
    let mut from = offset.saturating_sub(RangeError::TEXT_BYTES_MAX / 2);
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    let mut to = (from + RangeError::TEXT_BYTES_MAX).min(text.len());
    while !text.is_char_boundary(to) {
        to -= 1;
    }
    RangeError {
        text: text[from..to].to_owned(),
        offset: offset - from,
        problem,
    }
}

#[cfg(test)]
mod tests;
