//! Who is told that something of a job waits for what can't come (`job.stranded`): once, until that may come again.

use super::super::io::kind;
use super::super::{About, Engine, Turn};
use super::{Found, Plan};
use std::collections::BTreeSet;
use tessera_model::{ItemStatus, JobId};

/// Jobs that may have come to wait in vain, and those of which it was told.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    open: BTreeSet<JobId>,
    done: BTreeSet<JobId>,
}

impl Told {
    /// What a job waits for was looked at anew.
    pub(super) fn look_at(&mut self, id: JobId) {
        self.open.insert(id);
    }

    /// Nothing of it was ever told: it is gone, has ended, was let go, or waits for something else.
    pub(super) fn forget(&mut self, id: JobId) {
        self.done.remove(&id);
    }

    /// It was told before.
    pub(super) fn know(&mut self, id: JobId) {
        self.done.insert(id);
    }

    pub(super) fn clear(&mut self) {
        self.open.clear();
    }
}

impl Plan {
    /// Says whether something waits for what can't come, of what has ended, too.
    fn is_vain(&self) -> bool {
        match self.is_each {
            true => !self.vain.is_empty(),
            false => self.all == Found::Vain,
        }
    }
}

impl Engine {
    /// An item of a job changed: one that somebody had blocked, or that had ended, may wait in vain now.
    pub(in super::super) fn own_item_moved(
        &mut self,
        id: JobId,
        before: ItemStatus,
        after: ItemStatus,
    ) {
        if before != after && after == ItemStatus::Pending {
            self.own_items_moved(id);
        }
    }

    /// The same of many items at once.
    pub(in super::super) fn own_items_moved(&mut self, id: JobId) {
        if self.deps.plans.get(&id).is_some_and(Plan::is_vain) {
            self.deps.told.look_at(id);
        }
    }

    /// A job has ended: who retries it hears again of what it waits for in vain.
    pub(in super::super) fn told_no_more(&mut self, id: JobId) {
        self.deps.told.forget(id);
    }

    /// Tells of the jobs that came to wait in vain in this turn.
    pub(super) fn tell_of_vain(&mut self, t: &mut Turn<'_>) {
        while let Some(id) = self.deps.told.open.pop_first() {
            if !self.deps.plans.get(&id).is_some_and(Plan::is_vain) {
                self.deps.told.forget(id);
            } else if self.waits_in_vain(id) && self.deps.told.done.insert(id) {
                let text = self.vain_in_words(id);
                t.event(kind::JOB_STRANDED, About::job(id), text);
            }
        }
    }
}
