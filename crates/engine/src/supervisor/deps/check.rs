//! Whether a job may wait for what it names: the others are there, have what is named, and none waits for it in turn.

use super::super::io::{Denied, Submission};
use super::super::{Engine, Job};
use super::Waits;
use super::link::Frames;
use super::watch::{group_of, targets};
use std::collections::{BTreeMap, BTreeSet};
use tessera_model::after::{After, Part, Term, Whom};
use tessera_model::limits::{AFTER_EDGES_MAX, AFTER_ITEMS_MAX, AFTER_RUNS_MAX, AFTER_WORK_MAX};
use tessera_model::{JobId, JobKind, JobSpec, Label};

/// The field of it all.
const AFTER: &str = "after";
/// Jobs named in a circle, at most.
const CIRCLE_NAMED_MAX: usize = 8;

fn wrong(field: &'static str, why: String) -> Denied {
    Denied::Invalid { field, why }
}

impl Engine {
    /// Checks what a new job waits for, and who would wait for it; its process group is named by the leader from then on.
    pub(in super::super) fn check_waits(
        &self,
        id: JobId,
        submission: &mut Submission,
    ) -> Result<(), Denied> {
        if let Some(named) = submission.spec.pgrp {
            let job = self.jobs.get(&named);
            let why = || format!("there is no job {named} whose process group it could join");
            let job = job.ok_or_else(|| wrong("pgrp", why()))?;
            super::super::submit::may_act(&submission.by, job, "join the process group of")?;
            submission.spec.pgrp = Some(group_of(job));
        }
        let group = submission.spec.pgrp.unwrap_or(id);
        if let Some(label) = &submission.spec.label
            && let Some(other) = self.deps.labels.get(&(group, label.clone()))
        {
            let why = format!("job {other} of process group {group} has the label {label} already");
            return Err(wrong("label", why));
        }
        if let Some(after) = &submission.spec.after {
            self.check_after(id, &submission.spec, group, after, None)?;
        }
        // Only who waits for its label can wait for a job that is not there yet.
        let name = submission.spec.label.clone().map(|label| (group, label));
        let waiters = name.and_then(|name| self.deps.wanted.get(&name));
        if let (Some(waiters), Some(label)) = (waiters, &submission.spec.label) {
            self.check_wanted(waiters, label, &submission.spec)?;
        }
        if let (Some(waiters), Some(after)) = (waiters, &submission.spec.after) {
            let targets = self.meant(group, after, None);
            self.check_circle(id, &targets, &|at| waiters.contains(&at))?;
        }
        Ok(())
    }

    /// Checks what those cost who wait for frames of a label that a job brings.
    fn check_wanted(
        &self,
        waiters: &BTreeSet<JobId>,
        label: &Label,
        spec: &JobSpec,
    ) -> Result<(), Denied> {
        let waiters = waiters.iter().filter_map(|id| self.jobs.get(id));
        let terms = waiters.flat_map(|job| job.spec.after.iter().flat_map(After::leaves));
        let is_wanted =
            |term: &&Term| term.whom == Whom::Label(label.clone()) && is_of_frames(term.part);
        let links = terms.filter(is_wanted).count() as u64;
        if links * u64::from(spec.items()) <= AFTER_WORK_MAX {
            return Ok(());
        }
        let why = format!("frames of the job with the label {label} are waited for {links} times");
        Err(wrong(
            "label",
            format!("{why}, too often for one of {} items", spec.items()),
        ))
    }

    /// Checks that to judge a dependency is not too much work, before anything is looked at for it.
    fn check_work(
        &self,
        spec: &JobSpec,
        group: JobId,
        after: &After,
        waits: Option<&Waits>,
    ) -> Result<(), Denied> {
        let leaves = after.leaves();
        let is_each = leaves.iter().any(|term| term.part.is_each());
        let mut work = if is_each {
            u64::from(spec.items()) * leaves.len() as u64
        } else {
            0
        };
        for term in leaves {
            if let Part::Frames(run) = term.part {
                work += u64::from(run.count);
            }
            let job = self.job_named(group, &term.whom, waits);
            let job = job.and_then(|job| self.jobs.get(&job));
            if let Some(job) = job.filter(|_| is_of_frames(term.part)) {
                work += u64::from(job.items.len());
            }
        }
        if work <= AFTER_WORK_MAX {
            return Ok(());
        }
        let why = format!("{work} frames would have to be looked at, more than {AFTER_WORK_MAX}");
        Err(wrong(
            AFTER,
            format!("{why}; name fewer ranges, or wait for whole jobs"),
        ))
    }

    /// Checks what a job that is there shall wait for.
    pub(in super::super) fn check_new_waits(&self, job: &Job, after: &After) -> Result<(), Denied> {
        let group = group_of(job);
        self.check_after(job.id, &job.spec, group, after, Some(&job.waits))?;
        let targets = self.meant(group, after, Some(&job.waits));
        self.check_circle(job.id, &targets, &|at| at == job.id)
    }

    /// Answers the jobs that are named, as far as they are there.
    fn meant(&self, group: JobId, after: &After, waits: Option<&Waits>) -> BTreeSet<JobId> {
        let terms = after.leaves().into_iter();
        terms
            .filter_map(|term| self.job_named(group, &term.whom, waits))
            .collect()
    }

    /// Answers the job that is named; none while nobody has its label.
    fn job_named(&self, group: JobId, whom: &Whom, waits: Option<&Waits>) -> Option<JobId> {
        match whom {
            Whom::Job(id) => Some(*id),
            Whom::Label(label) => self.labelled(group, label, waits),
        }
    }

    fn labelled(&self, group: JobId, label: &Label, waits: Option<&Waits>) -> Option<JobId> {
        let known = waits.and_then(|waits| waits.labels.get(label));
        let newer = || self.deps.labels.get(&(group, label.clone()));
        // One that was removed hides none that came later.
        let there = known.filter(|id| self.jobs.contains_key(id));
        there.or_else(newer).or(known).copied()
    }

    fn check_after(
        &self,
        id: JobId,
        spec: &JobSpec,
        group: JobId,
        after: &After,
        waits: Option<&Waits>,
    ) -> Result<(), Denied> {
        self.check_work(spec, group, after, waits)?;
        let (mut edges, mut items) = (BTreeSet::new(), 0);
        for term in after.leaves() {
            if term.part.is_each() {
                items += u64::from(spec.items());
                check_own(term, spec)?;
            }
            let is_own = match &term.whom {
                Whom::Job(job) => *job == id,
                Whom::Label(label) => spec.label.as_ref() == Some(label),
            };
            if is_own {
                return Err(wrong(AFTER, format!("{term}: a job can't wait for itself")));
            }
            if waits.is_some_and(|waits| waits.settled.contains_key(term)) {
                continue;
            }
            let job = self.job_named(group, &term.whom, waits);
            // A label may be of a job that is submitted later.
            let Some(job) = job else { continue };
            edges.insert(job);
            let Some(job) = self.jobs.get(&job) else {
                let why =
                    format!("there is no job {job} to wait for (removed, or never submitted)");
                return Err(wrong(AFTER, why));
            };
            check_other(term, job, spec)?;
        }
        if self.deps.edges + edges.len() > AFTER_EDGES_MAX {
            let why = format!("the jobs of the farm wait for {AFTER_EDGES_MAX} others already");
            return Err(wrong(AFTER, format!("{why}; remove some that have ended")));
        }
        if self.deps.items + items > AFTER_ITEMS_MAX {
            let why =
                format!("{AFTER_ITEMS_MAX} items of the farm wait for others one by one already");
            return Err(wrong(AFTER, format!("{why}; wait for whole jobs instead")));
        }
        Ok(())
    }

    /// Refuses a circle: from these jobs, over what each waits for, to one that waits for this job.
    fn check_circle(
        &self,
        id: JobId,
        from: &BTreeSet<JobId>,
        is_end: &impl Fn(JobId) -> bool,
    ) -> Result<(), Denied> {
        let mut before: BTreeMap<JobId, JobId> = from.iter().map(|at| (*at, id)).collect();
        let mut open: Vec<JobId> = from.iter().copied().collect();
        while let Some(at) = open.pop() {
            if is_end(at) {
                return Err(wrong(AFTER, circle_in_words(id, at, &before)));
            }
            for next in self.jobs.get(&at).map(targets).unwrap_or_default() {
                if let std::collections::btree_map::Entry::Vacant(vacant) = before.entry(next) {
                    vacant.insert(at);
                    open.push(next);
                }
            }
        }
        Ok(())
    }
}

fn is_of_frames(part: Part) -> bool {
    matches!(part, Part::Frames(_) | Part::EachFrame)
}

/// Checks whether a job can wait item by item, or instance by instance, itself.
fn check_own(term: &Term, spec: &JobSpec) -> Result<(), Denied> {
    let why = match (term.part, &spec.kind) {
        (Part::EachFrame, JobKind::CmdLine) => {
            "this job has no frames; leave out :frames to wait for all of it"
        }
        (Part::EachInstance, JobKind::CmdRange(_)) => {
            "the instances of this job share its frames; write :frames, or leave it out"
        }
        _ => return Ok(()),
    };
    Err(wrong(AFTER, format!("{term}: {why}")))
}

/// Checks whether the other job has what is waited for.
fn check_other(term: &Term, other: &Job, spec: &JobSpec) -> Result<(), Denied> {
    let id = other.id;
    let why = match term.part {
        Part::Whole => return Ok(()),
        Part::EachInstance if other.is_cmdline() => return Ok(()),
        Part::EachInstance => format!(
            "the instances of job {id} share its frames; write :frames, or leave it out to wait for all of it"
        ),
        Part::Instance(no) if other.instance(no).is_some() => return Ok(()),
        Part::Instance(no) => format!("job {id} has no instance {no}"),
        Part::Frames(_) | Part::EachFrame => {
            let frames = Frames::of(term.part, &other.spec.kind, &spec.kind);
            match check_frames(term.part, frames.as_ref()) {
                Ok(()) => return Ok(()),
                Err(what) => format!("job {id} has {what}"),
            }
        }
    };
    Err(wrong(AFTER, format!("{term}: {why}")))
}

fn check_frames(part: Part, frames: Option<&Frames>) -> Result<(), String> {
    let Some(frames) = frames else {
        return Err("no frames; leave out the part to wait for all of it".into());
    };
    if frames.are_tangled() {
        return Err(format!(
            "more than {AFTER_RUNS_MAX} pieces in its range that reach into each other, or this one has"
        ));
    }
    match (part, &frames.own) {
        (Part::Frames(run), _) => frames
            .missing(run)
            .map_or(Ok(()), |frame| Err(format!("no frame {frame}"))),
        (_, Some(own)) if !frames.theirs.shares(own) => {
            Err("none of the frames of this one".into())
        }
        _ => Ok(()),
    }
}

/// Prints `it would wait for itself: 15 waits for 13, which waits for 15`.
fn circle_in_words(id: JobId, end: JobId, before: &BTreeMap<JobId, JobId>) -> String {
    let mut path = vec![end];
    let mut at = end;
    while let Some(next) = before.get(&at).filter(|_| path.len() <= before.len() + 1) {
        path.push(*next);
        at = *next;
        if at == id {
            break;
        }
    }
    path.reverse();
    if path.last() != Some(&id) {
        // It ends at one that waits for the label of the new job.
        path.push(id);
    }
    let skipped = path.len().saturating_sub(CIRCLE_NAMED_MAX);
    let mut words = format!("it would wait for itself: job {}", path[0]);
    for (place, id) in path.iter().enumerate().skip(1) {
        if place > CIRCLE_NAMED_MAX / 2 && place < CIRCLE_NAMED_MAX / 2 + skipped {
            continue;
        }
        let which = if place > 1 { ", which" } else { "" };
        let more = if skipped > 0 && place == CIRCLE_NAMED_MAX / 2 + skipped {
            " … "
        } else {
            ""
        };
        words += &format!("{which}{more} waits for {id}");
    }
    words
}
