//! Secondary instances (SmartShare): they are asked when nothing primary is left that could start, host by host and then class by
//! class, in the order of their places, whatever cluster a host is in.
//!
//! **Invariant:** a secondary instance starts only when every primary one was asked since anything changed. **Invariant:** beneath a limit of
//! somebody's, of a process group's or of one of the farm's own resources none starts while a primary one waits that the same limit is for.

use super::dirty::Dirty;
use super::{Judge, Place, Placement, Planner};
use std::collections::BTreeSet;
use tessera_model::{GlobalName, HostId, JobId, UserName};

/// How far secondary instances are from any host: whatever is primary comes before them, and they before one another by their places.
pub const AFTER_ALL: usize = usize::MAX - 1;

/// Classes of secondary instances, and who has room for them.
#[derive(Debug, Clone, Default)]
pub(super) struct Second {
    /// Classes with a ready job, by the first of them.
    heads: BTreeSet<(Place, usize)>,
    /// Those that something happened to since they were asked.
    pub(super) dirty: Dirty,
    /// Hosts that found nothing primary since something there changed.
    hosts: BTreeSet<HostId>,
    /// Who may not have as many instances as they like.
    limited: BTreeSet<UserName>,
}

impl Second {
    /// Notes that another of a class's jobs is its first, or that it has none.
    pub(super) fn set_head(&mut self, class: usize, before: Option<Place>, after: Option<Place>) {
        if let Some(before) = before {
            self.heads.remove(&(before, class));
        }
        if let Some(after) = after {
            self.heads.insert((after, class));
        }
    }

    /// Answers the classes with a ready job by the first of them, in order.
    pub(super) fn heads(&self) -> impl Iterator<Item = &(Place, usize)> {
        self.heads.iter()
    }

    /// Answers the classes with a ready job.
    pub(super) fn classes(&self) -> impl Iterator<Item = usize> + '_ {
        self.heads.iter().map(|(_, class)| *class)
    }

    /// Nothing primary goes to a host now: it is asked for what is secondary. What is none yet asks the hosts itself when it comes.
    pub(super) fn note_host(&mut self, host: HostId) {
        if !self.heads.is_empty() {
            self.hosts.insert(host);
        }
    }
}

impl Planner {
    /// Says whether a class is of secondary instances.
    #[must_use]
    pub fn is_secondary(&self, class: usize) -> bool {
        self.classes[class].demands.is_secondary
    }

    /// Notes whether somebody may not have as many instances as they like.
    pub fn set_limited(&mut self, owner: &UserName, is_limited: bool) {
        if !is_limited {
            self.second.limited.remove(owner);
        } else if !self.second.limited.contains(owner) {
            self.second.limited.insert(owner.clone());
        }
    }

    /// Answers the next placement of a secondary instance.
    pub(super) fn next_second(&mut self, judge: &impl Judge, asked: &mut u64) -> Option<Placement> {
        while let Some(host) = self.second.hosts.first().copied() {
            match self.second_for(host, judge, asked) {
                Some(placement) => return Some(placement),
                None => _ = self.second.hosts.remove(&host),
            }
        }
        while let Some((place, class)) = self.second.dirty.first() {
            *asked += 1;
            match self.head(class) {
                Some(head) if head == place => {}
                // Its first job was placed or taken away meanwhile.
                Some(head) => {
                    self.second.dirty.add(class, head);
                    continue;
                }
                None => {
                    self.second.dirty.remove(class);
                    continue;
                }
            }
            let is_shut = self.gates.is_shut(self.classes[class].gate);
            let host = match is_shut {
                true => None,
                false => self.host_for(class, judge, asked),
            };
            let found = host.and_then(|host| self.second_for(host, judge, asked));
            if found.is_some() {
                return found;
            }
            self.in_vain.insert(class);
            self.second.dirty.remove(class);
        }
        None
    }

    /// Answers the best secondary instance for a host.
    fn second_for(
        &mut self,
        host: HostId,
        judge: &impl Judge,
        asked: &mut u64,
    ) -> Option<Placement> {
        let free = self.free.get(&host)?;
        let mut unmet = Vec::new();
        let mut best: Option<(Place, usize)> = None;
        for &(head, number) in &self.second.heads {
            if best.is_some_and(|(best, _)| best < head) {
                break;
            }
            *asked += 1;
            let class = &self.classes[number];
            let is_open = self.gates.is_open(class.gate)
                || (self.gates.is_half_open(class.gate)
                    && self.gates.only_on(class.gate).contains(&host));
            if !is_open || !class.suits(host, free, judge) {
                continue;
            }
            if !class.is_met_at(host, judge) {
                unmet.push((number, host, free.shape.clone()));
                continue;
            }
            let is_better = |place: &&Place| best.is_none_or(|(best, _)| **place < best);
            let mut ready = class.ready.iter().take_while(is_better);
            let first = ready.find(|place| {
                *asked += 1;
                judge.fits(place.2, number, host) && self.lets_in(number, **place, host, judge)
            });
            best = first.map(|place| (*place, number)).or(best);
        }
        self.note_unmet(unmet);
        best.map(|((_, _, job), class)| Placement { job, host, class })
    }

    /// Says whether a job of a class is secondary and leaves what there is to a primary instance that waits beneath the same limit.
    #[must_use]
    pub fn leaves_to_primaries(&self, class: usize, job: JobId) -> bool {
        let demands = &self.classes[class].demands;
        demands.is_secondary
            && (self.is_limited_with_primaries(&demands.owner)
                || self.group_has_primaries(job)
                || (demands.global.keys()).any(|name| self.gates.is_wanted(name, false)))
    }

    /// Says whether somebody may not have as many instances as they like, and has a primary one that waits.
    #[must_use]
    pub fn is_limited_with_primaries(&self, owner: &UserName) -> bool {
        let classes = self.by_owner.get(owner).into_iter().flatten();
        self.second.limited.contains(owner)
            && classes
                .map(|class| &self.classes[*class])
                .any(|class| !class.demands.is_secondary && !class.ready.is_empty())
    }

    /// Says whether a job is of a process group that has a limit, and a primary instance of the group waits.
    #[must_use]
    pub fn group_has_primaries(&self, job: JobId) -> bool {
        let group = self.lanes.get(&job);
        let classes = group.and_then(|group| self.by_group.get(group));
        let mut classes = classes.into_iter().flatten();
        classes.any(|class| !self.is_secondary(*class))
    }

    /// Says whether a primary instance waits for one of the farm's own resources of which there is too little.
    #[must_use]
    pub fn is_short_for_primaries(&self, name: &GlobalName) -> bool {
        self.gates.is_wanted(name, true)
    }

    /// Nothing primary of a class waits any more: what is secondary may have waited for that.
    pub(super) fn ask_those_after(&mut self, class: usize) {
        if self.second.heads.is_empty() {
            return;
        }
        let gone = &self.classes[class].demands;
        let waited = |number: &usize| {
            let demands = &self.classes[*number].demands;
            let mut global = demands.global.keys();
            (demands.owner == gone.owner && self.second.limited.contains(&gone.owner))
                || global.any(|name| gone.global.contains_key(name))
        };
        let classes: Vec<usize> = self.second.classes().filter(waited).collect();
        for class in classes {
            self.touch_class(class);
        }
    }

    /// There is another amount of one of the farm's own resources: what is secondary and wants it is asked.
    pub(super) fn ask_second_for(&mut self, name: &GlobalName) {
        let wants = |class: &usize| self.classes[*class].demands.global.contains_key(name);
        for class in self.second.classes().filter(wants).collect::<Vec<_>>() {
            self.touch_class(class);
        }
    }
}
