//! Instances that leave at the end of an item for a share that has less: without that a share would have its part only of what ends by itself, and
//! an instance takes item after item for as long as its job has some.
//!
//! **Invariant:** one leaves only where the other share would have no more for its weight even then than its own, so nobody leaves for who would
//! leave for him; and no more leave at a time than wait.

use crate::supervisor::deps::group_of;
use crate::supervisor::io::kind;
use crate::supervisor::items::Size;
use crate::supervisor::pace::Paced;
use crate::supervisor::plan::{OUTSIDE, Part, Stand};
use crate::supervisor::preempt::{Wanted, instance_name, kept_beside, names_of};
use crate::supervisor::{About, Engine, Host, Launch, Turn};
use std::collections::{BTreeMap, BTreeSet};
use tessera_model::JobId;
use tessera_model::msg::LaunchKey;
use tessera_model::reservation::PROCESSORS;

/// Classes of other shares that are looked at when an item ends, at most.
const LOOKED_AT_MAX: usize = 16;

/// Launches that leave for a share, and those that don't.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Leaving {
    /// For which one, and how many slots it will have by that.
    to: BTreeMap<LaunchKey, (usize, u64)>,
    /// For those their hosts were emptied.
    stays: BTreeSet<LaunchKey>,
}

impl Leaving {
    /// Nothing is left of a launch.
    pub(in super::super) fn forget(&mut self, key: LaunchKey) {
        self.to.remove(&key);
        self.stays.remove(&key);
    }

    /// A launch starts on a host that was emptied for it.
    pub(in super::super) fn stays(&mut self, key: LaunchKey) {
        self.stays.insert(key);
    }

    /// Counts the launches that leave for a share, and the slots that come to it.
    fn coming_to(&self, share: usize) -> (usize, u64) {
        let all = self.to.values().filter(|(to, _)| *to == share);
        all.fold((0, 0), |(count, slots), (_, more)| {
            (count + 1, slots + more)
        })
    }
}

impl Engine {
    /// An item of a launch has ended: says whether it leaves for a share that has less, and tells of it.
    pub(in super::super) fn evens_out(&mut self, t: &mut Turn<'_>, key: LaunchKey) -> bool {
        if self.config.cluster_weights.is_empty() {
            return false;
        }
        let mut looked_at = 0;
        let found = self.share_before(key, &mut looked_at);
        self.planner.count(looked_at);
        let Some((share, slots)) = found else {
            return false;
        };
        let launch = self.launches.get(&key);
        let pair = launch.and_then(|it| Some((self.hosts.get(&it.host)?, it)));
        let Some((host, launch)) = pair else {
            return false;
        };
        let (own, other) = (self.counted_in(key.job), share);
        let (who, name) = (instance_name(key), &host.facts.name);
        let text = format!(
            "instance {who} leaves at the end of its frame on {name}: {}",
            self.shares_told(own, other)
        );
        let about = About::launch(key, launch.host);
        t.event(kind::INSTANCE_PREEMPTED, about, text);
        self.leaving.to.insert(key, (share, slots));
        true
    }

    /// Answers for which share a launch leaves, and how many slots that one will have by it.
    fn share_before(&self, key: LaunchKey, looked_at: &mut u64) -> Option<(usize, u64)> {
        let launch = self.launches.get(&key)?;
        let host = self.hosts.get(&launch.host)?;
        let job = self.jobs.get(&key.job)?;
        let own = self.empties().stand_of(job, key.instance, host.traits());
        if own.share == OUTSIDE || !self.may_leave_by_policy(launch, host) {
            return None;
        }
        // That for which a host was emptied would have another one emptied when it comes back.
        if self.leaving.stays.contains(&key) {
            return None;
        }
        let waiting = self
            .planner
            .of_other_shares(own, host.traits(), LOOKED_AT_MAX, looked_at);
        waiting.into_iter().find_map(|(stand, class)| {
            *looked_at += 1;
            let slots = self.slots_for(launch, host, (stand, class))?;
            self.is_even(own.share, launch.taken.slots, stand.share, slots)
                .then_some((stand.share, slots))
        })
    }

    /// Says whether a share that gives so many slots away has no less for its weight even then than the one that gets so many.
    fn is_even(&self, from: usize, gives: u32, to: usize, gets: u64) -> bool {
        let (_, gone) = self.leaving.coming_to(to);
        let left = |part: Part| Part {
            used: part.used.saturating_sub(gone).saturating_sub(gives.into()),
            ..part
        };
        let then = |part: Part| Part {
            used: part.used.saturating_add(gone).saturating_add(gets),
            ..part
        };
        left(self.planner.part(from)) >= then(self.planner.part(to))
    }

    /// Answers how many slots the first job of a class would have where a launch is, if it started there and one more of it waits than leave
    /// for its share.
    fn slots_for(
        &self,
        launch: &Launch,
        host: &Host,
        (stand, class): (Stand, usize),
    ) -> Option<u64> {
        let wanted = Wanted::default();
        let judge = self.judging(&wanted);
        let need = self.need_of(class);
        let has_room = names_of(&need).into_iter().all(|name| {
            let gives = host.part_of(&launch.taken, name);
            let free = host.free_of_any(name).saturating_add(gives);
            let others = host.launches.iter().filter(|(key, _)| **key != launch.key);
            let there = others.chain(&host.strays).map(|(_, taken)| taken.as_ref());
            let kept = kept_beside(host, &need, name, there);
            free.saturating_sub(kept) >= host.part_of(&need, name)
        });
        let (leaving, _) = self.leaving.coming_to(stand.share);
        let may = has_room
            && self.has_room_beside(class, self.leaving.to.len() as u64)
            && self.more_wait(class, leaving)
            && self.planner.would_start(class, stand.place, host, &judge);
        may.then(|| host.part_of(&need, PROCESSORS))
    }

    /// Says whether more instances of the first jobs of a class wait than so many, and may start by the limits and rates of each job and
    /// process group: those for which room is made anyway left out.
    fn more_wait(&self, class: usize, leaving: usize) -> bool {
        let mut left_of: BTreeMap<JobId, u64> = BTreeMap::new();
        let places = self.planner.waiting_for_hosts(class).take(LOOKED_AT_MAX);
        let jobs = places.filter_map(|(.., id)| self.jobs.get(&id));
        let waiting = jobs.map(|job| {
            let waiting: u64 = Size::ALL.iter().map(|size| job.waiting_of(*size)).sum();
            let paced = self.starts_left(&Paced::Job(job.id));
            let waiting = waiting.min(paced.map_or(u64::MAX, |(left, _)| left));
            // What the jobs of a group have left they have together.
            let left = left_of
                .entry(group_of(job))
                .or_insert_with(|| self.instances_left(job.id).into());
            let waiting = waiting.saturating_sub(self.claims_of(job.id)).min(*left);
            *left -= waiting;
            waiting
        });
        waiting.sum::<u64>() > u64::try_from(leaving).unwrap_or(u64::MAX)
    }
}
