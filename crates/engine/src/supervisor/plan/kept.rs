//! Hosts that are being emptied for a class (`wide` decides which): what stands behind its first job gets nothing there but what is over
//! in time. And the classes that may need such a host, by their first jobs.

use super::class::Class;
use super::{Demands, Judge, Place, Planner, Stand};
use crate::supervisor::host::Traits;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tessera_model::{HostId, JobId};

/// Classes behind the one that a host is emptied for that it asks, at most.
pub(super) const CLASSES_BEHIND_MAX: usize = 32;
/// Jobs of a class that such a host asks, at most.
pub(super) const JOBS_BEHIND_MAX: usize = 8;

/// When a host will be empty enough (monotonic time).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Until {
    /// When.
    pub at: Duration,
    /// Whether that is known of all that must end before, or guessed.
    pub is_known: bool,
}

/// A host that is being emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Emptied {
    /// For which class.
    pub class: usize,
    /// Its first job when that was decided.
    pub job: JobId,
    /// When that was decided (monotonic time).
    pub since: Duration,
    /// Until when it takes what is over by then; stays what it was.
    pub until: Until,
    /// For how many of its instances there is to be room: more than one for a gang only.
    pub times: u32,
    /// Whether nothing else may run there: what its jobs ask for has an idle host only.
    pub is_whole: bool,
}

/// What a class has waited for a host to be empty enough.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waited {
    /// For how long, less what placements have paid back.
    pub net: Duration,
    /// When it was last looked at and waited (monotonic time).
    pub seen: Option<Duration>,
    /// When hosts were last looked at for it (monotonic time).
    pub looked: Option<Duration>,
    /// The host that was emptied for it in vain.
    pub in_vain: Option<HostId>,
}

impl Waited {
    /// It waits at this look; what it has waited since the one before counts if it waited then, too.
    pub fn pass(&mut self, before: Option<Duration>, now: Duration, most: Duration) {
        if let Some(seen) = self.seen.filter(|_| self.seen == before) {
            self.net = (self.net + now.saturating_sub(seen)).min(most);
        }
        self.seen = Some(now);
    }
}

/// For whom a host is being emptied.
#[derive(Debug, Clone, Copy)]
pub struct Keeping<'a> {
    /// For which class, and until when.
    pub emptied: Emptied,
    /// What that class demands.
    pub demands: &'a Demands,
    /// Where its first job stands there.
    pub stand: Stand,
}

impl Keeping<'_> {
    /// Says whether a job of a class goes there as if it were not emptied: it is for that class, or the job stands before it.
    #[must_use]
    pub fn lets_in(&self, class: usize, stand: Stand) -> bool {
        self.emptied.class == class || stand.comes_before(&self.stand)
    }
}

/// Hosts that are being emptied, and classes that may need one.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    pub(super) hosts: BTreeMap<HostId, Emptied>,
    heads: BTreeSet<(Place, usize)>,
}

impl Kept {
    /// Notes that another of a class's jobs is its first, or that it has none.
    pub(super) fn set_head(&mut self, class: usize, before: Option<Place>, after: Option<Place>) {
        if let Some(before) = before {
            self.heads.remove(&(before, class));
        }
        if let Some(after) = after {
            self.heads.insert((after, class));
        }
    }
}

impl Class {
    /// Says whether one slot is not all that its jobs take of a host, or ask of it.
    pub(super) fn may_be_wide(&self) -> bool {
        let demands = &self.demands;
        // For a secondary one nothing is emptied.
        let is_more = demands.gang.is_some()
            || demands.slots > 1
            || demands.wants_whole
            || !demands.amounts.is_empty()
            || self.asks_moving;
        is_more && !demands.is_secondary
    }
}

impl Planner {
    /// Answers for whom a host of that kind is being emptied; nothing when nobody waits for that now.
    #[must_use]
    pub fn keeping(&self, host: HostId, traits: &Traits) -> Option<Keeping<'_>> {
        let emptied = *self.kept.hosts.get(&host)?;
        let class = &self.classes[emptied.class];
        let place = self.head(emptied.class)?;
        Some(Keeping {
            emptied,
            demands: &class.demands,
            stand: self.stand(class, traits, place),
        })
    }

    /// Says whether a host takes a job in spite of those that it is emptied for.
    pub(super) fn lets_in(
        &self,
        class: usize,
        place: Place,
        host: HostId,
        judge: &impl Judge,
    ) -> bool {
        if self.leaves_to_primaries(class, place.2) {
            return false;
        }
        if self.kept.hosts.is_empty() {
            return true;
        }
        let traits = self.free.get(&host).map(|free| &free.shape.2);
        let keeping = traits.and_then(|traits| Some((traits, self.keeping(host, traits)?)));
        keeping.is_none_or(|(traits, keeping)| {
            let stand = self.stand(&self.classes[class], traits, place);
            keeping.lets_in(class, stand) || judge.is_over_in_time(place.2, class, host, &keeping)
        })
    }

    /// Answers the hosts that are being emptied.
    pub fn kept(&self) -> impl Iterator<Item = (HostId, Emptied)> + '_ {
        self.kept
            .hosts
            .iter()
            .map(|(host, emptied)| (*host, *emptied))
    }

    /// Answers whether and for which class a host is being emptied.
    #[must_use]
    pub fn kept_on(&self, host: HostId) -> Option<Emptied> {
        self.kept.hosts.get(&host).copied()
    }

    /// From now on a host is being emptied.
    pub fn keep(&mut self, host: HostId, emptied: Emptied) {
        self.kept.hosts.insert(host, emptied);
    }

    /// A host is emptied no more: it is asked again.
    pub fn let_go(&mut self, host: HostId) {
        if self.kept.hosts.remove(&host).is_some() && self.free.contains_key(&host) {
            self.dirty_hosts.insert(host);
        }
    }

    /// A class goes: nothing is emptied for it any more.
    pub(super) fn let_go_of_class(&mut self, class: usize) {
        let hosts = self.kept().filter(|(_, emptied)| emptied.class == class);
        for (host, _) in hosts.collect::<Vec<_>>() {
            self.let_go(host);
        }
    }

    /// Says whether a class has a ready job that may need more of a host than one slot.
    #[must_use]
    pub fn has_wide(&self) -> bool {
        !self.kept.heads.is_empty()
    }

    /// Answers the first such classes, by their first jobs, of those that wait for nothing else.
    #[must_use]
    pub fn wide(&self, limit: usize) -> Vec<usize> {
        let heads = self.kept.heads.iter().map(|(_, class)| *class);
        let waiting = heads.filter(|class| self.gates.is_open(self.classes[*class].gate));
        // What waits for something else takes nobody's place among the first.
        waiting.take(limit).collect()
    }

    /// Says whether a class has a ready job that waits for a host only.
    #[must_use]
    pub fn waits_for_host(&self, class: usize) -> bool {
        self.head(class).is_some() && self.gates.is_open(self.classes[class].gate)
    }

    /// Answers the first ready jobs of a class.
    pub fn first_of(&self, class: usize, limit: usize) -> impl Iterator<Item = JobId> + '_ {
        let ready = self.classes[class].ready.iter().take(limit);
        ready.map(|place| place.2)
    }

    /// Answers the place of the first job of a class that may be asked.
    #[must_use]
    pub fn first_place(&self, class: usize) -> Option<Place> {
        self.head(class)
    }

    /// Answers what a class has waited.
    #[must_use]
    pub fn waited(&self, class: usize) -> Waited {
        self.classes[class].waited
    }

    /// Changes what a class has waited.
    pub fn set_waited(&mut self, class: usize, waited: Waited) {
        self.classes[class].waited = waited;
    }

    /// Answers the classes with a ready job that stand before one on a host of that kind, the first so many of each cluster.
    #[must_use]
    pub fn standing_before(&self, class: usize, host: &Traits, limit: usize) -> Vec<usize> {
        let Some(own) = self.head(class) else {
            return Vec::new();
        };
        let stand = |number: usize, place| self.stand(&self.classes[number], host, place);
        let own = stand(class, own);
        let mut before = Vec::new();
        for heads in self.gates.kinds() {
            let Some(first) = heads.first().map(|(place, number)| stand(*number, *place)) else {
                continue;
            };
            // All of a kind are as far, and in one share.
            let is_before = |(place, _): &&(Place, usize)| {
                let place = *place;
                Stand { place, ..first }.comes_before(&own)
            };
            let first = heads.iter().take_while(is_before).take(limit);
            before.extend(first.map(|(_, number)| *number));
            if before.len() >= limit {
                break;
            }
        }
        before.retain(|number| *number != class);
        before
    }

    /// Counts what was looked at for it elsewhere.
    pub fn count(&mut self, looked_at: u64) {
        self.asked = self.asked.saturating_add(looked_at);
    }
}
