//! Who waits: plans are made when a job begins to wait, and dropped when it has ended or was let go.

use super::super::io::Change;
use super::super::{Engine, Job, Turn};
use super::link::{Frames, found_of, job_found};
use super::{Deps, Link, Plan};
use roaring::RoaringBitmap;
use std::collections::BTreeSet;
use std::sync::Arc;
use tessera_model::after::{After, Found, Part, Term, Whom};
use tessera_model::{FrameRun, InstanceNo, ItemIndex, ItemStatus, JobId, Label, WorkStatus};

impl Deps {
    /// Notes that a job names others.
    fn adopt(&mut self, job: &Job) {
        for parent in targets(job) {
            let is_new = self.children.entry(parent).or_default().insert(job.id);
            self.edges += usize::from(is_new);
        }
    }

    fn disown(&mut self, job: &Job) {
        for parent in targets(job) {
            let Some(children) = self.children.get_mut(&parent) else {
                continue;
            };
            self.edges -= usize::from(children.remove(&job.id));
            if children.is_empty() {
                self.children.remove(&parent);
            }
        }
    }
}

/// Answers the jobs that a job names, as far as they are known.
pub(super) fn targets(job: &Job) -> Vec<JobId> {
    let terms = job.spec.after.as_ref().map(|after| after.leaves());
    let whom = terms.into_iter().flatten().map(|term| &term.whom);
    whom.filter_map(|whom| job.waits.job(whom)).collect()
}

/// Answers the process group of a job.
pub(in super::super) fn group_of(job: &Job) -> JobId {
    job.spec.pgrp.unwrap_or(job.id)
}

impl Engine {
    /// A job is there, new or read from the store: what it names, and who waited for its label.
    pub(in super::super) fn know_job(&mut self, t: Option<&mut Turn<'_>>, id: JobId) {
        self.bind_labels(id);
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        self.deps.adopt(job);
        let Some(label) = job.spec.label.clone() else {
            return;
        };
        let name = (group_of(job), label);
        self.deps.labels.insert(name.clone(), id);
        let waiters = self.deps.wanted.remove(&name).unwrap_or_default();
        if let Some(t) = t {
            for waiter in waiters {
                self.know_label(t, waiter, name.1.clone(), id);
            }
        }
    }

    /// Finds out which jobs the labels of a job mean; what nobody has yet is waited for.
    fn bind_labels(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let group = group_of(job);
        let terms = job.spec.after.as_ref().map(|after| after.leaves());
        let labels: BTreeSet<Label> = terms
            .into_iter()
            .flatten()
            .filter_map(|term| match &term.whom {
                Whom::Label(label) => Some(label.clone()),
                Whom::Job(_) => None,
            })
            .collect();
        job.waits.labels.retain(|label, _| labels.contains(label));
        let open = labels.into_iter().filter(|label| {
            let bound = self.jobs.get(&id);
            bound.is_some_and(|job| self.is_label_open(job, label, None))
        });
        let open: Vec<Label> = open.collect();
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        for label in open {
            let name = (group, label);
            match self.deps.labels.get(&name) {
                Some(meant) => job.waits.mean(name.1, *meant),
                None => _ = self.deps.wanted.entry(name).or_default().insert(id),
            }
        }
    }

    /// Says whether a job that comes now with that label is the one a job waits for: none had it, or the one that had was removed before
    /// all that is waited for had come. One that is about to be removed counts as gone.
    fn is_label_open(&self, job: &Job, label: &Label, gone: Option<JobId>) -> bool {
        match job.waits.labels.get(label) {
            None => true,
            Some(meant) if self.jobs.contains_key(meant) && gone != Some(*meant) => false,
            Some(_) => {
                let terms = job.spec.after.iter().flat_map(|after| after.leaves());
                let mut terms = terms.filter(|term| term.whom == Whom::Label(label.clone()));
                terms.any(|term| job.waits.settled.get(term).is_none_or(|it| !it.is_empty()))
            }
        }
    }

    fn know_label(&mut self, t: &mut Turn<'_>, waiter: JobId, label: Label, meant: JobId) {
        let Some(job) = self.jobs.get_mut(&waiter) else {
            return;
        };
        self.deps.disown(job);
        job.waits.mean(label, meant);
        self.deps.adopt(job);
        t.change(Change::JobSpec(waiter));
        self.watch_anew(waiter);
    }

    /// Makes the plan of a job anew, if it has one.
    fn watch_anew(&mut self, id: JobId) {
        if self.deps.plans.contains_key(&id) {
            self.unwatch(id);
            self.watch(id);
        }
    }

    /// What a job waits for was changed.
    pub(in super::super) fn wait_anew(&mut self, id: JobId, after: Option<After>) {
        self.unwatch(id);
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        self.deps.disown(job);
        let group = group_of(job);
        for label in job.spec.after.iter().flat_map(|after| after.leaves()) {
            if let Whom::Label(label) = &label.whom {
                self.deps.stop_wanting(group, label, id);
            }
        }
        let mut spec = (*job.spec).clone();
        spec.after = after;
        job.spec = Arc::new(spec);
        let terms: BTreeSet<Term> = job
            .spec
            .after
            .iter()
            .flat_map(|after| after.leaves().into_iter().cloned())
            .collect();
        job.waits.settled.retain(|term, _| terms.contains(term));
        job.waits.is_released = false;
        self.deps.told.forget(id);
        self.bind_labels(id);
        if let Some(job) = self.jobs.get(&id) {
            self.deps.adopt(job);
            if !job.status.is_ended() {
                self.watch(id);
            }
        }
    }

    /// Makes the plan of a job that waits and has not ended, unless it has one, and shuts the gates of its items.
    pub(in super::super) fn watch(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let Some(after) = job.spec.after.as_ref() else {
            return;
        };
        if job.waits.is_released || self.deps.plans.contains_key(&id) {
            return;
        }
        let mut links: Vec<Link> = Vec::new();
        let tree = after.map(&mut |term| {
            links.push(self.link(job, term));
            links.len() - 1
        });
        let is_each = links.iter().any(|link| link.term.part.is_each());
        for (number, link) in links.iter().enumerate() {
            if link.term.part.is_each() {
                self.deps.items += u64::from(link.slots());
            }
            self.deps.index.add((id, number), link);
        }
        let plan = Plan {
            tree,
            links,
            is_each,
            all: Found::Open,
            vain: RoaringBitmap::new(),
        };
        self.deps.plans.insert(id, plan);
        self.judge_all(id);
    }

    /// Drops the plan of a job; its gates are open.
    pub(in super::super) fn unwatch(&mut self, id: JobId) {
        let Some(plan) = self.deps.plans.remove(&id) else {
            return;
        };
        for (number, link) in plan.links.iter().enumerate() {
            if link.term.part.is_each() {
                self.deps.items -= u64::from(link.slots());
            }
            self.deps.index.remove((id, number), link);
        }
        if let Some(job) = self.jobs.get_mut(&id) {
            job.items.open_gate();
        }
    }

    /// Counts how far one thing is that a job waits for.
    pub(super) fn link(&self, job: &Job, term: &Term) -> Link {
        let meant = job.waits.job(&term.whom);
        let parent = meant.and_then(|id| self.jobs.get(&id));
        let mut link = Link::new(term.clone(), parent.map(|it| it.id), job.items.len());
        let Some(parent) = parent else {
            self.settle_link(job, meant.is_some(), &mut link);
            return link;
        };
        let when = term.when;
        link.frames = Frames::of(term.part, &parent.spec.kind, &job.spec.kind);
        match term.part {
            Part::Whole => _ = link.count(0, job_found(parent, when), true),
            Part::Instance(no) if parent.instance(no).is_none() => {
                link.count(0, Found::Vain, true);
            }
            Part::Instance(no) => {
                link.count(0, self.instance_found(parent, no, when), true);
            }
            Part::EachInstance => {
                for slot in 0..link.slots() {
                    let found = self.each_instance_found(parent, InstanceNo(slot), when);
                    link.count(slot, found, true);
                }
            }
            Part::Frames(_) | Part::EachFrame => count_frames(parent, &mut link),
        }
        link
    }

    /// Counts a thing whose job is not there: as it was when the job was removed, or open while nobody has its label.
    fn settle_link(&self, job: &Job, was_there: bool, link: &mut Link) {
        match job.waits.settled.get(&link.term) {
            Some(never) => {
                for slot in never
                    .iter()
                    .flat_map(|run| (0..run.count).map(|n| run.at(n)))
                {
                    link.count(u32::try_from(slot).unwrap_or(u32::MAX), Found::Vain, true);
                }
            }
            None => {
                let found = if was_there { Found::Vain } else { Found::Open };
                for slot in 0..link.slots() {
                    link.count(slot, found, true);
                }
            }
        }
    }

    /// Judges all items of a job anew.
    pub(super) fn judge_all(&mut self, id: JobId) {
        let (Some(plan), Some(job)) = (self.deps.plans.get_mut(&id), self.jobs.get_mut(&id)) else {
            return;
        };
        plan.vain.clear();
        if job.items.count(ItemStatus::Running) > 0 {
            self.deps.shut_again.insert(id);
        }
        if plan.is_each {
            let mut shut = Vec::new();
            for slot in 0..job.items.len() {
                self.deps.looked_at += 1;
                match plan.judge(slot) {
                    Found::Met => {}
                    Found::Open => shut.push(slot),
                    Found::Vain => {
                        shut.push(slot);
                        plan.vain.insert(slot);
                    }
                }
            }
            let shut = RoaringBitmap::from_sorted_iter(shut).unwrap_or_default();
            job.items.shut_some(shut);
        } else {
            self.deps.looked_at += 1;
            plan.all = plan.judge(0);
            job.items.shut_all(plan.all != Found::Met);
        }
        self.deps.touched.insert(id);
    }

    /// Judges one item anew, where they differ.
    pub(super) fn judge_one(&mut self, id: JobId, slot: u32) {
        let (Some(plan), Some(job)) = (self.deps.plans.get_mut(&id), self.jobs.get_mut(&id)) else {
            return;
        };
        self.deps.looked_at += 1;
        let found = plan.judge(slot);
        let item = ItemIndex(slot);
        if found != Found::Met && job.items.get(item).status == ItemStatus::Running {
            self.deps.shut_again.insert(id);
        }
        job.items.shut_one(item, found != Found::Met);
        if found == Found::Vain {
            plan.vain.insert(slot);
        } else {
            plan.vain.remove(slot);
        }
        self.deps.touched.insert(id);
    }

    /// Brings the jobs in line whose gates moved in this turn.
    pub(in super::super) fn settle_waiters(&mut self, t: &mut Turn<'_>) {
        while let Some(id) = self.deps.touched.pop_first() {
            if self.deps.shut_again.remove(&id) {
                self.recall_shut(t, id);
            }
            self.settle(t, id);
            self.deps.told.look_at(id);
        }
        self.tell_of_vain(t);
    }

    /// Says whether something of a job waits for what can't come unless somebody does something.
    #[must_use]
    pub fn waits_in_vain(&self, id: JobId) -> bool {
        let (Some(plan), Some(job)) = (self.deps.plans.get(&id), self.jobs.get(&id)) else {
            return false;
        };
        let is_left = |item: u32| job.items.get(ItemIndex(item)).status == ItemStatus::Pending;
        match plan.is_each {
            true => plan.vain.iter().any(is_left),
            false => plan.all == Found::Vain && job.items.count(ItemStatus::Pending) > 0,
        }
    }

    /// Says whether a job is blocked for that: nothing of it goes on by itself.
    #[must_use]
    pub fn is_stranded(&self, id: JobId) -> bool {
        let job = self.jobs.get(&id);
        job.is_some_and(|job| job.status == WorkStatus::Blocked) && self.waits_in_vain(id)
    }

    /// Says whether items of a job wait for others, and how many.
    #[must_use]
    pub fn waiting_items(&self, id: JobId) -> u32 {
        self.jobs.get(&id).map_or(0, |job| job.items.shut())
    }

    /// Lets a job go that waits, whatever it waits for; answers how many items that concerns.
    pub(in super::super) fn release(&mut self, t: &mut Turn<'_>, id: JobId) -> u32 {
        let shut = self.waiting_items(id);
        let job = self.jobs.get_mut(&id).filter(|_| shut > 0);
        let Some(job) = job else { return 0 };
        job.waits.is_released = true;
        t.change(Change::JobSpec(id));
        self.unwatch(id);
        self.deps.touched.insert(id);
        shut
    }

    /// A job is about to be removed: who waits for it keeps how it ended. Answers those whose plans must be made again when
    /// it is gone ([`Self::watch_orphans`]).
    pub(in super::super) fn forget_job(&mut self, t: &mut Turn<'_>, id: JobId) -> Vec<JobId> {
        self.unwatch(id);
        self.deps.touched.remove(&id);
        self.deps.shut_again.remove(&id);
        self.deps.told.forget(id);
        self.deps.over.remove(&id);
        if let Some(job) = self.jobs.get(&id) {
            self.deps.disown(job);
            let group = group_of(job);
            if let Some(label) = job.spec.label.clone() {
                self.deps.labels.remove(&(group, label));
            }
            for term in job.spec.after.iter().flat_map(|after| after.leaves()) {
                if let Whom::Label(label) = &term.whom {
                    self.deps.stop_wanting(group, label, id);
                }
            }
        }
        let mut orphans = Vec::new();
        for child in self.deps.children.get(&id).cloned().unwrap_or_default() {
            let waits = self.deps.plans.contains_key(&child);
            // One that has ended keeps it as well: it may be retried later.
            self.watch(child);
            self.keep_end(t, child, id);
            self.want_again(child, id);
            if waits {
                orphans.push(child);
            } else {
                self.unwatch(child);
                self.deps.touched.remove(&child);
            }
        }
        orphans
    }

    /// Notes with a job how far another one was that is about to be removed.
    fn keep_end(&mut self, t: &mut Turn<'_>, child: JobId, parent: JobId) {
        let (Some(plan), Some(job)) = (self.deps.plans.get(&child), self.jobs.get_mut(&child))
        else {
            return;
        };
        let of_it = plan.links.iter().filter(|link| link.parent == Some(parent));
        let settled = of_it.map(|link| (link.term.clone(), never_met(link)));
        job.waits.settled.extend(settled);
        t.change(Change::JobSpec(child));
    }

    /// A job that had a label is about to be removed: who has not got all that it waits for waits for the next one with it, too.
    fn want_again(&mut self, child: JobId, gone: JobId) {
        let Some(job) = self.jobs.get(&child) else {
            return;
        };
        let group = group_of(job);
        let of_it = job.waits.labels.iter().filter(|(_, it)| **it == gone);
        let open = of_it.filter(|(label, _)| self.is_label_open(job, label, Some(gone)));
        let names: Vec<_> = open.map(|(label, _)| (group, label.clone())).collect();
        for name in names {
            self.deps.wanted.entry(name).or_default().insert(child);
        }
    }

    /// The job that these waited for is gone.
    pub(in super::super) fn watch_orphans(&mut self, orphans: Vec<JobId>) {
        orphans.into_iter().for_each(|id| self.watch_anew(id));
    }

    /// Makes the plans of a farm read from the store.
    pub(in super::super) fn restore_waits(&mut self) {
        let ids: Vec<JobId> = self.jobs.keys().copied().collect();
        for id in &ids {
            self.know_job(None, *id);
        }
        for id in &ids {
            // Those whose label's job has a larger number.
            if let Some(job) = self.jobs.get(id) {
                self.deps.disown(job);
            }
            self.bind_labels(*id);
            if let Some(job) = self.jobs.get(id) {
                self.deps.adopt(job);
            }
        }
        for id in ids {
            if let Some(job) = self.jobs.get_mut(&id) {
                job.status = job.derive_status();
            }
        }
    }

    /// Nothing moved by being read; what is in vain was told before.
    pub(in super::super) fn end_restore_of_waits(&mut self) {
        self.deps.touched.clear();
        self.deps.shut_again.clear();
        self.deps.told.clear();
        let ids: Vec<JobId> = self.deps.plans.keys().copied().collect();
        for id in ids {
            if self.waits_in_vain(id) {
                self.deps.told.know(id);
            }
        }
    }
}

impl Deps {
    fn stop_wanting(&mut self, group: JobId, label: &Label, id: JobId) {
        let name = (group, label.clone());
        if let Some(waiters) = self.wanted.get_mut(&name) {
            waiters.remove(&id);
            if waiters.is_empty() {
                self.wanted.remove(&name);
            }
        }
    }
}

/// Counts the items of a job that are not met.
fn count_frames(parent: &Job, link: &mut Link) {
    let (part, when) = (link.term.part, link.term.when);
    let shares = |it: &Frames| it.own.as_ref().is_none_or(|own| it.theirs.shares(own));
    let frames = link.frames.take();
    let Some(frames) = frames.filter(|it| !it.are_tangled() && shares(it)) else {
        // A job without frames, or with none of this one's, has none to wait for: said at submission, but a label may be of any
        // job.
        (0..link.slots()).for_each(|slot| _ = link.count(slot, Found::Vain, true));
        return;
    };
    if matches!(part, Part::Frames(run) if frames.missing(run).is_some()) {
        link.count(0, Found::Vain, true);
    }
    let is_some = matches!(part, Part::Frames(_));
    for item in parent.items.indices() {
        let found = found_of(parent, item, when);
        if found == Found::Met && !is_some {
            continue;
        }
        let slots = frames.slots(part, item);
        if is_some && !slots.is_empty() {
            let (first, _) = link.items.unwrap_or((item.0, item.0));
            link.items = Some((first, item.0));
        }
        for slot in slots {
            link.count(slot, found, true);
        }
    }
    link.frames = Some(frames);
}

/// Answers the places of a link that are not met, as its job is removed.
fn never_met(link: &Link) -> Vec<FrameRun> {
    let mut runs: Vec<FrameRun> = Vec::new();
    for slot in (0..link.slots()).filter(|slot| link.found(*slot) != Found::Met) {
        match runs.last_mut() {
            Some(run) if run.last() + 1 == i64::from(slot) => run.count += 1,
            _ => runs.push(FrameRun {
                start: i64::from(slot),
                step: 1,
                count: 1,
            }),
        }
    }
    if runs.len() > super::SETTLED_RUNS_MAX {
        let count = link.slots();
        return vec![FrameRun {
            start: 0,
            step: 1,
            count,
        }];
    }
    runs
}
