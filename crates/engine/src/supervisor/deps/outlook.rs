//! What can be told at submission about what a job will wait for.

use super::super::{Engine, Job};
use super::link::{Frames, job_found};
use tessera_model::after::{Found, Part, Term, Whom};
use tessera_model::{ItemIndex, JobSpec};

/// Things that are told, at most.
const SAID_MAX: usize = 5;

impl Engine {
    /// Answers what people may not expect of what a job waits for: jobs that ended otherwise, frames that are not waited for.
    #[must_use]
    pub fn wait_warnings(&self, spec: &JobSpec) -> Vec<String> {
        let terms = spec.after.as_ref().map(|after| after.leaves());
        let said = terms.into_iter().flatten().filter_map(|term| {
            let Whom::Job(id) = term.whom else {
                return None;
            };
            let other = self.jobs.get(&id)?;
            ended_otherwise(term, other).or_else(|| frames_apart(term, other, spec))
        });
        said.take(SAID_MAX).collect()
    }
}

fn ended_otherwise(term: &Term, other: &Job) -> Option<String> {
    let is_vain = term.part == Part::Whole && job_found(other, term.when) == Found::Vain;
    let (id, status, word) = (other.id, other.status, term.when.word());
    is_vain
        .then(|| format!("it waits for job {id} to be {word}, which is {status}: retry that first"))
}

fn frames_apart(term: &Term, other: &Job, spec: &JobSpec) -> Option<String> {
    if term.part != Part::EachFrame {
        return None;
    }
    let frames = Frames::of(term.part, &other.spec.kind, &spec.kind)?;
    let own = frames.own?;
    let items = (0..spec.items()).map(ItemIndex);
    let is_free = |item: &ItemIndex| {
        let mut own = own.frames_of(*item);
        own.all(|frame| frames.theirs.item_of(frame).is_none())
    };
    let free = items.filter(is_free).count();
    let (id, all) = (other.id, spec.items());
    (free > 0).then(|| {
        format!("job {id} has no frame of {free} of its {all} items; those don't wait for it")
    })
}
