//! What a replay says beside the figures of its run, as it is stored.

use crate::Quantiles;
use serde::Serialize;

/// A replay.
#[derive(Debug, Clone, Serialize)]
pub struct Replayed {
    /// The store.
    pub source: String,
    /// When the span begins, in milliseconds since 1970.
    pub from_ms: i64,
    /// When it ends.
    pub to_ms: i64,
    /// Jobs that are played.
    pub jobs: u64,
    /// Their frames.
    pub frames: u64,
    /// Hosts.
    pub hosts: u64,
    /// By which settings it was run.
    pub settings: Vec<String>,
    /// What was assumed because nothing says it.
    pub assumed: Vec<String>,
    /// What was guessed.
    pub guessed: Guessed,
    /// Words of people that were said again.
    pub words: u64,
    /// What was not replayed.
    pub not_replayed: Vec<String>,
    /// As it was.
    pub was: Side,
    /// As it would have been.
    pub would: Side,
    /// Both by kind of job.
    pub classes: Vec<ClassPair>,
    /// Jobs that would have been done sooner, the most first.
    pub sooner: Vec<Moved>,
    /// Jobs that would have been done later, the most first.
    pub later: Vec<Moved>,
}

/// Frames whose time is not known, by what was taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Guessed {
    /// The middle of those of its job.
    pub of_job: u64,
    /// The middle of those of the farm.
    pub of_farm: u64,
}

/// How the farm fared.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Side {
    /// Jobs that ended.
    pub jobs_ended: u64,
    /// Jobs that were never begun.
    pub jobs_waiting: u64,
    /// Frames that ended well.
    pub complete: u64,
    /// Frames that failed for good.
    pub failed: u64,
    /// Seconds from the first submission to the end of the last frame.
    pub seconds: f64,
    /// Hours of slots in which frames ran.
    pub slot_hours: f64,
    /// Share of the time of slots that were there in which a frame ran.
    pub working: f64,
    /// Waits and times of all jobs.
    pub waits: Waits,
}

/// Waits of jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Waits {
    /// Seconds from submission to the first frame, of those that were begun.
    pub first_frame_seconds: Quantiles,
    /// Seconds from submission to the end, of those that ended.
    pub done_seconds: Quantiles,
}

/// A kind of job.
#[derive(Debug, Clone, Serialize)]
pub struct ClassPair {
    /// What they reserve.
    pub class: String,
    /// Jobs of it.
    pub jobs: u64,
    /// As it was.
    pub was: Waits,
    /// As it would have been.
    pub would: Waits,
}

/// A job that ended on both sides.
#[derive(Debug, Clone, Serialize)]
pub struct Moved {
    /// Its number on the real farm.
    pub job: u64,
    /// Its name.
    pub name: String,
    /// Its owner.
    pub owner: String,
    /// Seconds until its first frame: as it was, and as it would have been.
    pub wait_seconds: [f64; 2],
    /// Seconds until it was done: as it was, and as it would have been.
    pub done_seconds: [f64; 2],
}
