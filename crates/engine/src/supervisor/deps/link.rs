//! One thing that is waited for: how much of it is not met, and how much never will be.

use super::super::{Engine, Job};
use std::collections::BTreeMap;
use tessera_model::after::{Found, Part, Term, When};
use tessera_model::limits::AFTER_RUNS_MAX;
use tessera_model::msg::LaunchKey;
use tessera_model::{
    FrameIndex, FrameRun, InstanceNo, ItemIndex, ItemStatus, JobId, JobKind, LaunchNo, WorkStatus,
};

/// A thing that is waited for, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) term: Term,
    /// The job; none while nobody has the label, or when it was removed.
    pub(super) parent: Option<JobId>,
    /// Of one that is about frames.
    pub(super) frames: Option<Frames>,
    /// Of one that is about some of them: the first and the last item of the other job that it is about.
    pub(super) items: Option<(u32, u32)>,
    counts: Counts,
}

/// How many things are not met, and how many of those are in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Counts {
    One {
        open: u32,
        vain: u32,
    },
    Each {
        open: Vec<u32>,
        vain: BTreeMap<u32, u32>,
        /// Places that are not met.
        left: u32,
    },
}

impl Link {
    pub(super) fn new(term: Term, parent: Option<JobId>, slots: u32) -> Self {
        let counts = if term.part.is_each() {
            Counts::Each {
                open: vec![0; slots as usize],
                vain: BTreeMap::new(),
                left: 0,
            }
        } else {
            Counts::One { open: 0, vain: 0 }
        };
        Self {
            term,
            parent,
            frames: None,
            items: None,
            counts,
        }
    }

    /// Answers what is known for a place; the same for all when the link is about the whole.
    pub(super) fn found(&self, slot: u32) -> Found {
        let (open, vain) = match &self.counts {
            Counts::One { open, vain } => (*open, *vain),
            Counts::Each { open, vain, .. } => (
                open.get(slot as usize).copied().unwrap_or(0),
                vain.get(&slot).copied().unwrap_or(0),
            ),
        };
        match (open, vain) {
            (0, _) => Found::Met,
            (_, 0) => Found::Open,
            _ => Found::Vain,
        }
    }

    /// Counts something at a place, or counts it no more; says whether that changed the answer there.
    pub(super) fn count(&mut self, slot: u32, found: Found, is_more: bool) -> bool {
        let before = self.found(slot);
        let by = |n: &mut u32| *n = if is_more { *n + 1 } else { n.saturating_sub(1) };
        match (&mut self.counts, found) {
            (_, Found::Met) => {}
            (Counts::One { open, vain }, found) => {
                by(open);
                if found == Found::Vain {
                    by(vain);
                }
            }
            (Counts::Each { open, vain, left }, found) => {
                if let Some(open) = open.get_mut(slot as usize) {
                    *left -= u32::from(*open > 0);
                    by(open);
                    *left += u32::from(*open > 0);
                }
                if found == Found::Vain {
                    let count = vain.entry(slot).or_default();
                    by(count);
                    if *count == 0 {
                        vain.remove(&slot);
                    }
                }
            }
        }
        self.found(slot) != before
    }

    /// Answers what is known of all of it: in vain as soon as some of it is.
    pub(super) fn worst(&self) -> Found {
        match &self.counts {
            Counts::One { .. } => self.found(0),
            Counts::Each { vain, .. } if !vain.is_empty() => Found::Vain,
            Counts::Each { left: 0, .. } => Found::Met,
            Counts::Each { .. } => Found::Open,
        }
    }

    /// Puts an answer in place of another one; says whether that changed it.
    pub(super) fn set(&mut self, slot: u32, found: Found) -> bool {
        let before = self.found(slot);
        if before == found {
            return false;
        }
        self.count(slot, before, false);
        self.count(slot, found, true);
        true
    }

    /// The same for a place that it may not have.
    pub(super) fn set_known(&mut self, slot: u32, found: Found) -> bool {
        slot < self.slots() && self.set(slot, found)
    }

    /// Answers how many places it has of its own.
    pub(super) fn slots(&self) -> u32 {
        match &self.counts {
            Counts::One { .. } => 1,
            Counts::Each { open, .. } => u32::try_from(open.len()).unwrap_or(u32::MAX),
        }
    }
}

/// Answers what an item in that state is to who waits for it. One whose processes are not proven gone has not ended; one of a job
/// that is over without it, because its instances were killed, never will by itself.
pub(super) fn item_found(status: ItemStatus, is_held: bool, is_over: bool, when: When) -> Found {
    let status = match status {
        _ if is_held => return Found::Open,
        ItemStatus::Complete => WorkStatus::Complete,
        ItemStatus::Failed => WorkStatus::Failed,
        ItemStatus::Killed => WorkStatus::Killed,
        ItemStatus::Pending
        | ItemStatus::Blocked
        | ItemStatus::Waiting
        | ItemStatus::Running
        | ItemStatus::Suspended
            if is_over =>
        {
            return Found::Vain;
        }
        ItemStatus::Pending
        | ItemStatus::Blocked
        | ItemStatus::Waiting
        | ItemStatus::Running
        | ItemStatus::Suspended => return Found::Open,
    };
    ended_found(status, when)
}

/// Answers the same of something that has ended.
fn ended_found(status: WorkStatus, when: When) -> Found {
    let is_met = match when {
        When::Done => true,
        When::Complete => status == WorkStatus::Complete,
        When::Failed => status == WorkStatus::Failed,
        When::Killed => status == WorkStatus::Killed,
    };
    if is_met { Found::Met } else { Found::Vain }
}

/// Answers how a job ended, when it has and nothing of it is left.
pub(super) fn over(job: &Job) -> Option<WorkStatus> {
    (job.status.is_ended() && !job.items.holds_any()).then_some(job.status)
}

/// Answers the same of a job.
pub(super) fn job_found(job: &Job, when: When) -> Found {
    over(job).map_or(Found::Open, |status| ended_found(status, when))
}

impl Engine {
    /// Answers the same of one of the instances that those of another job wait for by number. Those of a job with frames share them: none
    /// of them is what is meant (said at submission, but a label may be of any job).
    pub(super) fn each_instance_found(&self, job: &Job, no: InstanceNo, when: When) -> Found {
        if job.is_cmdline() {
            self.instance_found(job, no, when)
        } else {
            Found::Vain
        }
    }

    /// Answers the same of an instance; one that its job does not have is not waited for.
    pub(super) fn instance_found(&self, job: &Job, no: InstanceNo, when: When) -> Found {
        let Some(instance) = job.instance(no) else {
            return Found::Met;
        };
        let status = instance.status.kind();
        if status.is_ended() && !self.has_launch(job.id, no) {
            ended_found(status, when)
        } else {
            Found::Open
        }
    }

    /// Says whether something of an instance may be left on a host.
    fn has_launch(&self, job: JobId, instance: InstanceNo) -> bool {
        let key = |launch| LaunchKey {
            job,
            instance,
            launch: LaunchNo(launch),
        };
        let mut launches = self.launches.range(key(0)..=key(u32::MAX));
        launches.next().is_some()
    }
}

/// Answers the frames of a job that has some.
pub(super) fn frames_of(kind: &JobKind) -> Option<FrameIndex> {
    match kind {
        JobKind::CmdLine => None,
        JobKind::CmdRange(agenda) => Some(FrameIndex::new(agenda)),
    }
}

/// The frames of two jobs of which one waits for the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frames {
    pub(super) theirs: FrameIndex,
    pub(super) own: Option<FrameIndex>,
}

impl Frames {
    /// Answers them for a thing that is about frames.
    pub(super) fn of(part: Part, theirs: &JobKind, own: &JobKind) -> Option<Self> {
        let own = match part {
            Part::EachFrame => frames_of(own),
            Part::Frames(_) => None,
            Part::Whole | Part::Instance(_) | Part::EachInstance => return None,
        };
        let theirs = frames_of(theirs)?;
        Some(Self { theirs, own })
    }

    /// Answers the places of who waits that an item of the other concerns.
    pub(super) fn slots(&self, part: Part, item: ItemIndex) -> Vec<u32> {
        match (part, &self.own) {
            (Part::EachFrame, Some(own)) => self.theirs.overlapped(item, own),
            (Part::Frames(run), _) => {
                let mut frames = self.theirs.frames_of(item);
                let is_among = frames.any(|frame| run.place_of(frame).is_some());
                is_among.then_some(0).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Says whether ranges have too many pieces that reach into each other to be searched for each frame.
    pub(super) fn are_tangled(&self) -> bool {
        let both = [Some(&self.theirs), self.own.as_ref()];
        let is_tangled = |it: &FrameIndex| it.is_interleaved() && it.runs() > AFTER_RUNS_MAX;
        both.into_iter().flatten().any(is_tangled)
    }

    /// Answers the first of these frames that the other job does not have.
    pub(super) fn missing(&self, run: FrameRun) -> Option<i64> {
        let mut frames = (0..run.count).map(|place| run.at(place));
        frames.find(|frame| self.theirs.item_of(*frame).is_none())
    }
}

/// Answers an item's state as who waits for it sees it.
pub(super) fn found_of(job: &Job, item: ItemIndex, when: When) -> Found {
    let (status, is_held) = (job.items.get(item).status, job.items.is_held(item));
    item_found(status, is_held, job.status.is_ended(), when)
}
