//! What waits for what: while what a job waits for ([`tessera_model::after`]) does not hold, none of its items starts.
//!
//! Everything here is derived from the states that jobs, instances and items have now, so a start from the store finds the
//! same; kept are only what a person said ([`Waits::is_released`]), which job a label means, and how a job that was removed
//! had ended. What has started goes on, whatever becomes of what it waited for.
//!
//! Its parts: `link` (one thing waited for, counted), `index` (which links something concerns), `watch` (who waits, and the gates of their items), `moved` (what
//! happened to what is waited for), `told` (`job.stranded`), `check` (submission and change), `graph` (to look at), `why`,
//! `outlook` (what is told at submission), `faults`.
//!
//! **Invariant:** an end costs what waits for just it: the links by frame are counted, not walked ([`Deps::looked_at`]).

mod check;
mod faults;
pub mod graph;
mod index;
mod link;
mod moved;
mod outlook;
mod told;
mod watch;
mod why;

pub(super) use watch::group_of;

use link::Link;
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, BTreeSet};
use tessera_model::after::{Found, Term, Tree, Whom};
use tessera_model::{FrameRun, JobId, Label, WorkStatus};

/// Pieces of what a removed job left unmet, at most; with more of them all that is not met yet counts as never met.
const SETTLED_RUNS_MAX: usize = tessera_model::limits::RUNS_MAX;

/// What is kept of a job's waiting beside what it waits for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Waits {
    /// Somebody let it go without waiting.
    pub is_released: bool,
    /// Which jobs the labels mean, since there were such.
    pub labels: BTreeMap<Label, JobId>,
    /// Of things whose job was removed: the places that will never be met, counted from 0. One place for the whole job, or one
    /// for each item of it. None: it was met.
    pub settled: BTreeMap<Term, Vec<FrameRun>>,
}

impl Waits {
    /// Answers which job is meant, if there was ever one.
    #[must_use]
    pub fn job(&self, whom: &Whom) -> Option<JobId> {
        match whom {
            Whom::Job(job) => Some(*job),
            Whom::Label(label) => self.labels.get(label).copied(),
        }
    }

    /// A label means that job from now on; how one ended that had it before is no matter any more.
    fn mean(&mut self, label: Label, job: JobId) {
        let of_label = Whom::Label(label.clone());
        self.settled.retain(|term, _| term.whom != of_label);
        self.labels.insert(label, job);
    }
}

/// One of the links of a job that waits.
type Place = (JobId, usize);

/// Who waits for what.
#[derive(Debug, Clone, Default)]
pub(super) struct Deps {
    /// Jobs that wait and have not ended.
    plans: BTreeMap<JobId, Plan>,
    /// Their links, by what they are about.
    index: index::Index,
    /// How jobs that are waited for as a whole were over, when who waits for them was last told.
    over: BTreeMap<JobId, Option<WorkStatus>>,
    /// Every job that there is and that names this one, whether it waits now or not.
    children: BTreeMap<JobId, BTreeSet<JobId>>,
    edges: usize,
    /// Items in links that count each of them.
    items: u64,
    /// Jobs by process group and label.
    labels: BTreeMap<(JobId, Label), JobId>,
    /// Who waits for a label that no job had yet.
    wanted: BTreeMap<(JobId, Label), BTreeSet<JobId>>,
    /// Jobs whose items were let go or stopped in this turn, and whose state must be derived again.
    touched: BTreeSet<JobId>,
    /// Jobs that something runs of, or was given ahead, which waits again.
    shut_again: BTreeSet<JobId>,
    told: told::Told,
    looked_at: u64,
}

/// How a job waits.
#[derive(Debug, Clone)]
struct Plan {
    /// What is waited for, by the numbers of the links.
    tree: Tree<usize>,
    links: Vec<Link>,
    /// Whether its items have different answers.
    is_each: bool,
    /// The answer for all of them, else.
    all: Found,
    /// Items that wait in vain, where they differ.
    vain: RoaringBitmap,
}

impl Plan {
    fn judge(&self, slot: u32) -> Found {
        self.tree.judge(&|link| self.links[*link].found(slot))
    }
}

impl Deps {
    /// Counts the links and items that were looked at since the beginning.
    pub(super) fn looked_at(&self) -> u64 {
        self.looked_at
    }

    /// Says whether every job whose gates moved was brought in line.
    pub(super) fn is_settled(&self) -> bool {
        self.touched.is_empty()
    }
}
