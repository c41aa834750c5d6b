//! What happened to what is waited for.

use super::super::Engine;
use super::link::{item_found, job_found, over};
use super::{Found, Place};
use tessera_model::after::Part;
use tessera_model::{InstanceNo, ItemIndex, ItemStatus, JobId};

/// An item as who waits for it sees it: its state, and whether processes of it may still be there.
pub(in super::super) type Seen = (ItemStatus, bool);

impl Engine {
    /// Answers an item as who waits for it sees it.
    pub(in super::super) fn seen(&self, id: JobId, item: ItemIndex) -> Option<Seen> {
        let job = self.jobs.get(&id)?;
        let is_there = item.0 < job.items.len();
        is_there.then(|| (job.items.get(item).status, job.items.is_held(item)))
    }

    /// An item was something else before.
    pub(in super::super) fn item_moved(&mut self, id: JobId, item: ItemIndex, before: Seen) {
        let places = self.deps.index.of_item(id, item);
        if places.is_empty() {
            return;
        }
        let Some(after) = self.seen(id, item).filter(|after| *after != before) else {
            return;
        };
        for place in places {
            self.item_link_moved((id, item), place, before, after);
        }
    }

    fn item_link_moved(
        &mut self,
        (parent, item): (JobId, ItemIndex),
        (waiter, number): Place,
        before: Seen,
        after: Seen,
    ) {
        self.deps.looked_at += 1;
        let is_over = self
            .jobs
            .get(&parent)
            .is_some_and(|job| job.status.is_ended());
        let Some(plan) = self.deps.plans.get_mut(&waiter) else {
            return;
        };
        let link = &mut plan.links[number];
        let (part, when) = (link.term.part, link.term.when);
        let was = item_found(before.0, before.1, is_over, when);
        let is = item_found(after.0, after.1, is_over, when);
        if was == is {
            return;
        }
        let frames = link.frames.as_ref();
        let slots = frames.map_or_else(Vec::new, |frames| frames.slots(part, item));
        let mut moved = Vec::new();
        for slot in slots {
            self.deps.looked_at += 1;
            let answer = link.found(slot);
            link.count(slot, was, false);
            link.count(slot, is, true);
            if link.found(slot) != answer {
                moved.push(slot);
            }
        }
        self.slots_moved(waiter, part, &moved);
    }

    fn slots_moved(&mut self, waiter: JobId, part: Part, moved: &[u32]) {
        match part {
            _ if moved.is_empty() => {}
            Part::EachFrame | Part::EachInstance => {
                moved.iter().for_each(|slot| self.judge_one(waiter, *slot));
            }
            Part::Whole | Part::Instance(_) | Part::Frames(_) => self.judge_all(waiter),
        }
    }

    /// Many items of a job changed at once, or it is over without some of them.
    pub(in super::super) fn items_moved(&mut self, id: JobId) {
        for waiter in self.deps.index.of_items(id) {
            self.unwatch(waiter);
            self.watch(waiter);
        }
    }

    /// A job is over, or goes on: what of it has not ended is looked at otherwise.
    pub(in super::super) fn items_left(&mut self, id: JobId) {
        let job = self.jobs.get(&id);
        if job.is_some_and(|job| job.items.ended() < job.items.len()) {
            self.items_moved(id);
        }
    }

    /// A job may have ended, or go on.
    pub(in super::super) fn job_moved(&mut self, id: JobId) {
        if !self.deps.index.has_whole(id) {
            self.deps.over.remove(&id);
            return;
        }
        let over = self.jobs.get(&id).and_then(over);
        // Whoever came since has looked by itself.
        if self.deps.over.insert(id, over) == Some(over) {
            return;
        }
        for (waiter, number) in self.deps.index.of_whole(id) {
            self.deps.looked_at += 1;
            let (Some(plan), Some(job)) = (self.deps.plans.get_mut(&waiter), self.jobs.get(&id))
            else {
                continue;
            };
            let link = &mut plan.links[number];
            let found = job_found(job, link.term.when);
            if link.set(0, found) {
                self.judge_all(waiter);
            }
        }
    }

    /// An instance may have ended, or go on.
    pub(in super::super) fn instance_moved(&mut self, id: JobId, no: InstanceNo) {
        for (waiter, number) in self.deps.index.of_instance(id, no) {
            self.deps.looked_at += 1;
            let term = self
                .deps
                .plans
                .get(&waiter)
                .map(|plan| &plan.links[number].term);
            let (Some(term), Some(job)) = (term, self.jobs.get(&id)) else {
                continue;
            };
            let (part, when) = (term.part, term.when);
            let slot = match part {
                Part::Instance(meant) if meant == no => 0,
                Part::EachInstance => no.0,
                _ => continue,
            };
            let found = match part {
                Part::Instance(_) if job.instance(no).is_none() => Found::Vain,
                Part::EachInstance => self.each_instance_found(job, no, when),
                _ => self.instance_found(job, no, when),
            };
            let plan = self.deps.plans.get_mut(&waiter);
            if plan.is_some_and(|plan| plan.links[number].set_known(slot, found)) {
                self.slots_moved(waiter, part, &[slot]);
            }
        }
    }
}
