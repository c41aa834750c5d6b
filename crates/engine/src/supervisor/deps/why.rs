//! What a job waits for, in words.

use super::super::why::{Kind, Reason};
use super::super::{Engine, Job};
use super::link::Link;
use super::{Found, Plan};
use tessera_model::after::{Part, Tree, When, Whom};
use tessera_model::{ItemIndex, ItemStatus, JobId};

/// Things named in a reason, at most.
const NAMED_MAX: usize = 8;

/// Answers how many items of a job wait in vain, given that some do.
fn in_vain(job: &Job, plan: &Plan) -> u32 {
    let is_left = |item: &u32| job.items.get(ItemIndex(*item)).status == ItemStatus::Pending;
    if plan.is_each {
        let count = plan.vain.iter().filter(is_left).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    } else {
        job.items.shut()
    }
}

impl Engine {
    /// Says for how many of its items a job waits for what, if it does.
    pub(in super::super) fn why_waits(&self, job: &Job, reasons: &mut Vec<Reason>) {
        let (id, n) = (job.id, job.items.shut());
        let Some(plan) = self.deps.plans.get(&id).filter(|_| n > 0) else {
            return;
        };
        let who = |n: u32| match n {
            n if n == job.items.len() => "it waits".to_owned(),
            1 => "1 item waits".to_owned(),
            n => format!("{n} items wait"),
        };
        let open = self.named(job, plan, Found::Open);
        let vain = self.named(job, plan, Found::Vain);
        let release = format!("tessera unblock {id} starts it all the same");
        let in_vain = if self.waits_in_vain(id) {
            in_vain(job, plan).min(n)
        } else {
            0
        };
        if in_vain > 0 {
            let text = format!(
                "{} for what can't come any more: {}",
                who(in_vain),
                vain.join(", ")
            );
            let retry = self
                .to_retry(plan)
                .map(|it| format!("tessera retry {it}, "));
            let hint = format!(
                "{}tessera modify {id} --after … to wait for something else, or {release}",
                retry.unwrap_or_default()
            );
            reasons.push(Reason::plain(Kind::WaitsInVain, in_vain, text, Some(hint)));
        }
        let rest = n - in_vain;
        if rest == 0 {
            return;
        }
        // Of one thing some can't come any more and some still can.
        let open = if open.is_empty() { vain } else { open };
        let is_any = matches!(plan.tree, Tree::Any(_))
            || matches!(&plan.tree, Tree::All(parts) if parts.iter().any(|it| matches!(it, Tree::Any(_))));
        let said = job.spec.after.as_ref().filter(|_| is_any);
        let said = said.map_or_else(String::new, |after| format!("{after}: "));
        let text = format!("{} for {said}{}", who(rest), open.join(", "));
        reasons.push(Reason::plain(Kind::WaitsForJobs, rest, text, Some(release)));
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
