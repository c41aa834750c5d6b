//! What waits for what: random dependencies, and the judge of them. The judge knows states and frame numbers, and nothing of how
//! the engine counts.

use crate::rng::Rng;
use crate::tally::Tally;
use std::collections::{BTreeMap, BTreeSet};
use tessera_engine::supervisor::{Change, Engine, Job, Output, kind};
use tessera_model::after::{After, Found, Part, Term, Tree, When, Whom};
use tessera_model::state::WorkStatus;
use tessera_model::{FrameRun, InstanceNo, ItemIndex, ItemStatus, JobId, JobKind, JobSpec, Label};

/// Labels that jobs have.
const LABELS: [&str; 3] = ["a", "b", "c"];

/// Makes a new job wait for some of those that are there, or for one that may come, and joins it to a process group.
pub(crate) fn make_wait(rng: &mut Rng, engine: &Engine, spec: &mut JobSpec) {
    let jobs: Vec<&Job> = engine.jobs().collect();
    let label = |rng: &mut Rng| rng.pick(&LABELS).and_then(|it| it.parse().ok());
    if rng.chance(40) {
        spec.pgrp = rng.pick(&jobs).map(|job| job.id);
    }
    if rng.chance(50) {
        spec.label = label(rng);
    }
    if rng.chance(60) {
        spec.after = some_after(rng, &jobs, spec);
    }
}

/// Answers something for a job to wait for.
pub(crate) fn some_after(rng: &mut Rng, jobs: &[&Job], spec: &JobSpec) -> Option<After> {
    let mut terms = Vec::new();
    for _ in 0..rng.between(1, 3) {
        terms.extend(some_term(rng, jobs, spec));
    }
    let mut terms = terms.into_iter().map(Tree::One);
    let first = terms.next()?;
    Some(terms.fold(first, |whole, term| {
        if rng.chance(50) {
            Tree::all([whole, term])
        } else {
            Tree::any([term, whole])
        }
    }))
}

fn some_term(rng: &mut Rng, jobs: &[&Job], spec: &JobSpec) -> Option<Term> {
    let when = *rng.pick(&[
        When::Complete,
        When::Complete,
        When::Done,
        When::Failed,
        When::Killed,
    ])?;
    let is_line = matches!(spec.kind, JobKind::CmdLine);
    if rng.chance(20) {
        let label: Label = rng.pick(&LABELS)?.parse().ok()?;
        let part = match rng.chance(50) && !is_line {
            true => Part::EachFrame,
            false => Part::Whole,
        };
        return Some(Term {
            whom: Whom::Label(label),
            part,
            when,
        });
    }
    let job = rng.pick(jobs)?;
    let run = FrameRun {
        start: 1,
        step: 1,
        count: 1,
    };
    let has_frames = !job.is_cmdline();
    let part = match rng.below(5) {
        0 if has_frames => Part::Frames(run),
        1 | 2 if has_frames && !is_line => Part::EachFrame,
        3 if is_line && !has_frames => Part::EachInstance,
        4 => Part::Instance(InstanceNo(0)),
        _ => Part::Whole,
    };
    let whom = Whom::Job(job.id);
    Some(Term { whom, part, when })
}

/// A job as it was when it was there last.
#[derive(Debug, Clone)]
struct Seen {
    kind: JobKind,
    status: WorkStatus,
    items: Vec<ItemStatus>,
    instances: Vec<WorkStatus>,
}

impl Seen {
    fn of(job: &Job) -> Self {
        let items = job.items();
        Self {
            kind: job.spec.kind.clone(),
            status: job.status(),
            items: items.indices().map(|item| items.get(item).status).collect(),
            instances: job.instances().iter().map(|it| it.status.kind()).collect(),
        }
    }

    fn frames(&self, item: u32) -> BTreeSet<i64> {
        frames(&self.kind, ItemIndex(item))
    }
}

fn frames(kind: &JobKind, item: ItemIndex) -> BTreeSet<i64> {
    match kind {
        JobKind::CmdLine => BTreeSet::new(),
        JobKind::CmdRange(agenda) => {
            let runs = agenda.item(item).into_iter();
            runs.flat_map(|run| (0..run.count).map(move |n| run.at(n)))
                .collect()
        }
    }
}

/// Watches that nothing starts before what it waits for.
#[derive(Debug, Default)]
pub struct Judge {
    /// Jobs that had ended: they may be gone when they are asked about.
    ended: BTreeMap<JobId, Seen>,
}

impl Judge {
    /// One input was handled.
    ///
    /// # Errors
    /// When an item was given out and what its job waits for was not so.
    pub fn handled(
        &mut self,
        tally: &mut Tally,
        engine: &Engine,
        output: &Output,
    ) -> Result<(), String> {
        let ended = engine.jobs().filter(|job| job.status().is_ended());
        self.ended.extend(ended.map(|job| (job.id, Seen::of(job))));
        for change in &output.changes {
            let Change::Event(event) = change else {
                continue;
            };
            match (event.kind, event.job, event.item) {
                (kind::JOB_STRANDED, _, _) => tally.add("seen: waits in vain"),
                (kind::ITEM_ASSIGNED, Some(id), Some(item)) => {
                    if let Some(job) = engine.job(id) {
                        self.started(tally, engine, job, item)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn started(
        &self,
        tally: &mut Tally,
        engine: &Engine,
        job: &Job,
        item: ItemIndex,
    ) -> Result<(), String> {
        let Some(after) = &job.spec.after else {
            return Ok(());
        };
        if job.waits.is_released {
            tally.add("seen: let go without waiting");
            return Ok(());
        }
        let found = after.judge(&|term| match self.is_so(engine, job, term, item) {
            true => Found::Met,
            false => Found::Open,
        });
        if found != Found::Met {
            return Err(format!("{}#{item} starts, which is after {after}", job.id));
        }
        tally.add("seen: started after what it waited for");
        Ok(())
    }

    fn is_so(&self, engine: &Engine, job: &Job, term: &Term, item: ItemIndex) -> bool {
        let Some(id) = job.waits.job(&term.whom) else {
            return false;
        };
        let seen = engine.job(id).map(Seen::of);
        let Some(other) = seen.or_else(|| self.ended.get(&id).cloned()) else {
            return false;
        };
        let is_item = |status: ItemStatus| match term.when {
            When::Complete => status == ItemStatus::Complete,
            When::Failed => status == ItemStatus::Failed,
            When::Killed => status == ItemStatus::Killed,
            When::Done => status.is_ended(),
        };
        let is_work = |status: WorkStatus| match term.when {
            When::Complete => status == WorkStatus::Complete,
            When::Failed => status == WorkStatus::Failed,
            When::Killed => status == WorkStatus::Killed,
            When::Done => status.is_ended(),
        };
        let instance = |no: u32| other.instances.get(no as usize).copied();
        match term.part {
            Part::Whole => is_work(other.status),
            Part::Instance(no) => instance(no.0).is_some_and(is_work),
            Part::EachInstance => instance(item.0).is_none_or(is_work),
            Part::Frames(_) | Part::EachFrame if matches!(other.kind, JobKind::CmdLine) => false,
            Part::Frames(run) => {
                let wanted: BTreeSet<i64> = (0..run.count).map(|n| run.at(n)).collect();
                other.covers(&wanted) && other.all_of(&wanted, is_item)
            }
            Part::EachFrame => other.all_of(&frames(&job.spec.kind, item), is_item),
        }
    }
}

impl Seen {
    /// Says whether all items that have one of these frames are so.
    fn all_of(&self, wanted: &BTreeSet<i64>, is_so: impl Fn(ItemStatus) -> bool) -> bool {
        let items = (0u32..).zip(&self.items);
        let mut concerned = items.filter(|(item, _)| !self.frames(*item).is_disjoint(wanted));
        concerned.all(|(_, status)| is_so(*status))
    }

    fn covers(&self, wanted: &BTreeSet<i64>) -> bool {
        let count = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        let all: BTreeSet<i64> = (0..count).flat_map(|item| self.frames(item)).collect();
        wanted.is_subset(&all)
    }
}
