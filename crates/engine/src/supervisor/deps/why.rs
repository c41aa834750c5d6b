//! What a job waits for, in words.

use super::super::why::{Kind, Reason};
use super::super::{Engine, Job};
use super::link::Link;
use super::{Found, Plan};
use tessera_model::after::{Part, Tree, When, Whom};
use tessera_model::{ItemStatus, JobId};

/// Things named in a reason, at most.
const NAMED_MAX: usize = 8;

impl Link {
    /// Answers what is known of it: in vain as soon as some of it is.
    pub(super) fn worst(&self) -> Found {
        let mut worst = Found::Met;
        for slot in 0..self.slots() {
            match self.found(slot) {
                Found::Vain => return Found::Vain,
                Found::Open => worst = Found::Open,
                Found::Met => {}
            }
        }
        worst
    }
}

impl Engine {
    /// Says for how many of its items a job waits for what, if it does.
    pub(in super::super) fn why_waits(&self, job: &Job, reasons: &mut Vec<Reason>) {
        let (id, n) = (job.id, job.items.shut());
        let Some(plan) = self.deps.plans.get(&id).filter(|_| n > 0) else {
            return;
        };
        let whole = n == job.items.len();
        let who = if whole {
            "it waits".to_owned()
        } else {
            format!("{n} items wait")
        };
        let open = self.named(job, plan, Found::Open);
        let vain = self.named(job, plan, Found::Vain);
        let release = format!("tessera unblock {id} starts it all the same");
        if self.waits_in_vain(id) {
            let text = format!("{who} for what can't come any more: {}", vain.join(", "));
            let retry = self
                .to_retry(plan)
                .map(|it| format!("tessera retry {it}, "));
            let hint = format!(
                "{}tessera modify {id} --after … to wait for something else, or {release}",
                retry.unwrap_or_default()
            );
            reasons.push(Reason::plain(Kind::WaitsInVain, n, text, Some(hint)));
            return;
        }
        let is_any = matches!(plan.tree, Tree::Any(_))
            || matches!(&plan.tree, Tree::All(parts) if parts.iter().any(|it| matches!(it, Tree::Any(_))));
        let said = job.spec.after.as_ref().filter(|_| is_any);
        let said = said.map_or_else(String::new, |after| format!("{after}: "));
        let text = format!("{who} for {said}{}", open.join(", "));
        reasons.push(Reason::plain(Kind::WaitsForJobs, n, text, Some(release)));
    }

    /// Says for history that a job can't go on by itself.
    pub(super) fn vain_in_words(&self, id: JobId) -> String {
        let known = self.jobs.get(&id).zip(self.deps.plans.get(&id));
        let vain = known.map(|(job, plan)| self.named(job, plan, Found::Vain));
        format!(
            "it waits for what can't come any more: {}",
            vain.unwrap_or_default().join(", ")
        )
    }

    fn named(&self, job: &Job, plan: &Plan, found: Found) -> Vec<String> {
        let links = plan.links.iter().filter(|link| link.worst() == found);
        let mut words: Vec<String> = links.map(|link| self.link_in_words(job, link)).collect();
        words.dedup();
        if words.len() > NAMED_MAX {
            let more = words.len() - NAMED_MAX;
            words.truncate(NAMED_MAX);
            words.push(format!("{more} more"));
        }
        words
    }

    /// Prints `job 12 (running)`, `frames of job 12 to be done (failed)`, `a job labelled render, which is not submitted yet`.
    fn link_in_words(&self, job: &Job, link: &Link) -> String {
        let term = &link.term;
        let what = match term.part {
            Part::Whole => String::new(),
            Part::Instance(no) => format!("instance {no} of "),
            Part::Frames(run) => format!("frames {run} of "),
            Part::EachFrame => "frames of ".to_owned(),
            Part::EachInstance => "instances of ".to_owned(),
        };
        let event = match term.when {
            When::Complete => String::new(),
            other => format!(" to be {}", other.word()),
        };
        let Some(id) = job.waits.job(&term.whom) else {
            return format!(
                "{what}a job labelled {}, which is not submitted yet{event}",
                term.whom
            );
        };
        let name = match &term.whom {
            Whom::Job(_) => format!("job {id}"),
            Whom::Label(label) => format!("job {id} ({label})"),
        };
        match self.jobs.get(&id) {
            None => format!(
                "{what}{name}{event}, which was removed before it was {}",
                term.when.word()
            ),
            Some(parent) if term.part == Part::Whole => {
                format!("{name}{event} ({})", parent.status)
            }
            Some(parent) => {
                let (items, all) = (&parent.items, parent.items.len());
                let ended = match term.when {
                    When::Complete => items.count(ItemStatus::Complete),
                    When::Failed => items.count(ItemStatus::Failed),
                    When::Killed => items.count(ItemStatus::Killed),
                    When::Done => items.ended(),
                };
                let word = term.when.word();
                format!(
                    "{what}{name}{event} ({}, {ended} of {all} {word})",
                    parent.status
                )
            }
        }
    }

    /// Answers a job that could be retried so that what is waited for comes.
    fn to_retry(&self, plan: &Plan) -> Option<JobId> {
        let mut vain = plan.links.iter().filter(|link| link.worst() == Found::Vain);
        vain.find_map(|link| {
            let parent = self.jobs.get(&link.parent?)?;
            let is_bad = parent.items.count(ItemStatus::Complete) < parent.items.len();
            (link.term.when == When::Complete && is_bad).then_some(parent.id)
        })
    }
}
