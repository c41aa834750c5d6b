//! What was measured, as it is stored.

use crate::metered::Rows;
use serde::Serialize;

/// Middle and edges of some figures.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Quantiles {
    pub samples: usize,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub most: f64,
}

/// A run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The version of the program.
    pub version: &'static str,
    /// Whether the program was built without optimisation; its times say little then.
    pub is_debug_build: bool,
    /// What happened.
    pub scenario: &'static str,
    /// The same in a sentence.
    pub about: &'static str,
    /// Hosts.
    pub hosts: u32,
    /// Slots of each.
    pub slots: u32,
    /// Frames that were asked for.
    pub frames: u32,
    /// Frames of each job.
    pub job_frames: u32,
    /// The seed.
    pub seed: u64,
    /// `sqlite` (each transaction flushed), `memory` or `nothing`.
    pub store: &'static str,
    /// Whether the run was cut short by its limit of real time.
    pub is_cut: bool,
    /// Seconds of the farm's time.
    pub virtual_seconds: f64,
    /// Seconds that the run took.
    pub real_seconds: f64,
    /// Seconds of those that the supervisor was busy.
    pub busy_seconds: f64,
    /// Frames that were given to hosts.
    pub placements: u64,
    /// A number made of all placements in their order: the same for the same decisions.
    pub placements_hash: String,
    /// Placements a second that the supervisor was busy, from when the hosts came.
    pub placements_per_second: f64,
    /// Events (what hosts and clients said) a second that it was busy, from when the hosts came.
    pub events_per_second: f64,
    /// What an event costs, from when the hosts came.
    pub cost: Cost,
    /// What was counted, whatever the machine, from when the hosts came.
    pub counted: Counted,
    /// Milliseconds of a commit.
    pub commit_ms: Quantiles,
    /// Milliseconds of a turn, commit and all.
    pub turn_ms: Quantiles,
    /// Microseconds of a submission, its part of the commit included.
    pub submit_us: f64,
    /// How long it took until every slot was taken, if it came to that.
    pub fill: Option<Fill>,
    /// How the slots were used.
    pub utilisation: Utilisation,
    /// From the submission of a job to its first frame, by kind of job, in seconds of the farm's time.
    pub waits: Vec<ClassWaits>,
    /// How the slots were shared.
    pub fairness: Fairness,
    /// Memory of this process: the supervisor with all made-up hosts.
    pub memory: Memory,
    /// What became of the frames.
    pub ends: Frames,
    /// The restart, if there was one.
    pub restart: Option<Restart>,
    /// What must not have been, in words; nothing when all is well.
    pub faults: Vec<String>,
    /// The run over its time.
    pub samples: Vec<Sample>,
    /// The real farm that was run once more, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replayed: Option<Box<crate::Replayed>>,
}

/// What an event costs on average, in microseconds of real time.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Cost {
    /// Everything.
    pub all_us: f64,
    /// Deciding.
    pub engine_us: f64,
    /// The store's commits.
    pub commit_us: f64,
    /// Making rows, signing tickets, answering.
    pub rows_and_tickets_us: f64,
    /// Reading and writing messages.
    pub wire_us: f64,
}

/// What was counted.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Counted {
    /// Events.
    pub events: u64,
    /// Turns that they came in.
    pub turns: u64,
    /// What the planner looked at for one: classes for a host, alike hosts for a class, jobs for either.
    pub looked_at_per_event: f64,
    /// The same for each placement.
    pub looked_at_per_placement: f64,
    /// Rows written for one.
    pub rows_per_event: f64,
    /// Segments of packed items among them.
    pub segments_per_event: f64,
    /// Bytes on the wire for one, both ways.
    pub wire_bytes_per_event: f64,
    /// Rows by what they are of.
    pub rows: Rows,
}

/// From the coming of the hosts until every slot was taken.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Fill {
    /// Slots that were taken then.
    pub slots: u64,
    /// Seconds of the farm's time.
    pub virtual_seconds: f64,
    /// Seconds that the supervisor was busy with it.
    pub busy_seconds: f64,
}

/// How the slots of the hosts that were there were used, from when they came.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Utilisation {
    /// Share of their time that slots were given away.
    pub taken: f64,
    /// Share of their time that a frame ran in them.
    pub working: f64,
    /// The same while anything waited.
    pub working_while_waiting: f64,
}

/// Waits of one kind of job.
#[derive(Debug, Clone, Serialize)]
pub struct ClassWaits {
    /// What kind.
    pub class: String,
    /// Jobs of it.
    pub jobs: u64,
    /// Those that have not begun.
    pub waiting: u64,
    /// Those that have ended.
    pub ended: u64,
    /// Seconds from submission to the first frame; for those that have not begun, up to the end of the run.
    pub first_frame_seconds: Quantiles,
    /// Seconds from submission to the end, of those that have ended.
    pub done_seconds: Quantiles,
}

/// How the slots were shared among users.
#[derive(Debug, Clone, Serialize)]
pub struct Fairness {
    /// Jain's index of slot time among the users: 1 is even, 1/n is all for one.
    pub jain: f64,
    /// The same while everybody had something waiting (the first half of the run).
    pub jain_first_half: f64,
    /// Users by what they got, the most first.
    pub users: Vec<Share>,
}

/// What a user got.
#[derive(Debug, Clone, Serialize)]
pub struct Share {
    /// Who.
    pub user: String,
    /// Frames that they wanted.
    pub wanted_frames: u64,
    /// Hours of slots that they got.
    pub slot_hours: f64,
}

/// Memory in bytes.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Memory {
    /// Before anything.
    pub before: u64,
    /// More with all jobs queued.
    pub queued: u64,
    /// More of that for a million frames.
    pub queued_per_million: f64,
    /// At the end.
    pub end: u64,
}

/// What became of frames and of the processes for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Frames {
    pub submitted: u64,
    pub complete: u64,
    pub failed: u64,
    pub running: u64,
    pub waiting: u64,
    /// Killed by people, or blocked; none in a made-up farm.
    pub given_up: u64,
    /// In none of those states; must be 0.
    pub missing: u64,
    /// Processes that were begun.
    pub begun: u64,
    /// Those that ended well.
    pub ended_well: u64,
    /// Those that failed.
    pub ended_badly: u64,
    /// Those that the farm ended.
    pub ended_by_farm: u64,
    /// Those that were begun while another of the same frame ran elsewhere; only hosts that were given up may have such.
    pub overlaps: u64,
}

/// A supervisor that was killed.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Restart {
    /// Frames that were complete, acknowledged, before.
    pub complete_before: u64,
    /// Those of them that are no more; must be 0.
    pub lost: u64,
    /// Frames that ran.
    pub running_before: u64,
    /// Processes that were begun for a frame that ran; must be 0.
    pub started_twice: u64,
    /// Bytes of the store.
    pub store_bytes: u64,
    /// Real seconds until it would serve.
    pub serving_seconds: f64,
    /// Real seconds of work more until it gave out the first frame after its hosts had come again.
    pub dispatching_seconds: f64,
}

/// The farm at a time; counts are from the beginning.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Sample {
    /// Milliseconds of its time.
    pub at_ms: u64,
    /// Slots of hosts that are there.
    pub offered: u64,
    /// Of those, given away.
    pub taken: u64,
    /// Of those, with a frame that runs.
    pub working: u64,
    /// Frames that have not ended.
    pub open_frames: u64,
    /// Frames given to hosts.
    pub placements: u64,
    /// Events.
    pub events: u64,
    /// Milliseconds that the supervisor was busy.
    pub busy_ms: f64,
    /// Commits.
    pub commits: u64,
    /// Milliseconds that they took.
    pub commit_ms: f64,
    /// Looked at by the planner.
    pub looked_at: u64,
    /// Bytes of memory.
    pub memory: u64,
}
