//! What the planner says of gangs, jobs whose instances start all at once (flag `grid`). Each has a class of its own. While none of its
//! instances has started no host takes one by itself: the engine asks here which hosts there are, and starts all together
//! ([`super::super::gang`]).

use super::class::Class;
use super::{Judge, Place, Placement, Planner};
use std::collections::BTreeSet;
use tessera_model::HostId;

/// Gangs with a ready job, by place.
#[derive(Debug, Clone, Default)]
pub(super) struct Gangs(BTreeSet<(Place, usize)>);

impl Gangs {
    /// Notes that another of a class's jobs is its first, or that it has none.
    pub(super) fn set_head(&mut self, class: usize, before: Option<Place>, after: Option<Place>) {
        if let Some(before) = before {
            self.0.remove(&(before, class));
        }
        if let Some(after) = after {
            self.0.insert((after, class));
        }
    }
}

impl Class {
    /// Says whether its job starts nothing by itself on any host.
    pub(super) fn is_gathering(&self, judge: &impl Judge) -> bool {
        let gang = self.demands.gang;
        gang.is_some_and(|job| judge.is_gathering(job))
    }
}

impl Planner {
    /// Answers the first classes of gangs that have something ready and wait for none of the farm's own resources, in their order.
    #[must_use]
    pub fn gangs(&self, limit: usize) -> Vec<(Place, usize)> {
        let all = self.gangs.0.iter().copied();
        let asked = all.filter(|(_, class)| !self.gates.is_shut(self.classes[*class].gate));
        asked.take(limit).collect()
    }

    /// Answers how many slots all hosts together can give away now.
    #[must_use]
    pub fn free_slots(&self) -> u64 {
        self.free_slots
    }

    /// Offers the open hosts that can serve a class now to who says how long to go on, in the order in which its jobs choose. Counts what
    /// was looked at.
    pub fn offer(
        &self,
        class: usize,
        judge: &impl Judge,
        asked: &mut u64,
        mut takes: impl FnMut(HostId) -> bool,
    ) {
        let known = &self.classes[class];
        let (mut shapes, mut each) = (0, 0);
        let open = self.open_for(known, &mut shapes).filter(|host| {
            each += 1;
            known.may_go_to(*host, judge) && known.is_met_at(*host, judge)
        });
        match &known.demands.prefers {
            Some(prefers) if known.is_choosing_each() || self.gates.is_half_open(known.gate) => {
                let mut all: Vec<HostId> = open.collect();
                all.sort_by_cached_key(|host| judge.rank(prefers, *host));
                all.into_iter().all(&mut takes);
            }
            Some(_) | None => {
                let mut open = open;
                open.all(&mut takes);
            }
        }
        *asked += shapes + each;
    }

    /// Answers what would start on a host next, gangs left out that have not started.
    #[must_use]
    pub fn next_on(&self, host: HostId, judge: &impl Judge, asked: &mut u64) -> Option<Placement> {
        self.best_for(host, judge, asked, &mut Vec::new())
    }
}
