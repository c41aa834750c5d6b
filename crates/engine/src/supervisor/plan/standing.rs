//! What the making of room for others ([`super::super::preempt`]) asks of the planner: who waits in vain, who stands before whom on a
//! host, and whether a job may start on a host if there were room.

use super::{AFTER_ALL, Algorithm, Host, InTurn, Judge, OUTSIDE, Part, Place, Planner};
use crate::supervisor::host::Traits;
use std::collections::BTreeSet;
use tessera_model::ClusterPath;

impl Planner {
    /// Answers the classes that no host took since this was asked last.
    pub fn take_in_vain(&mut self) -> BTreeSet<usize> {
        std::mem::take(&mut self.in_vain)
    }

    /// Answers how far the jobs of a class are from a host of that cluster, as hosts choose.
    #[must_use]
    pub fn distance_to(&self, class: usize, cluster: &ClusterPath) -> usize {
        if self.classes[class].demands.is_secondary {
            return AFTER_ALL;
        }
        self.distance_of_primary(class, cluster)
    }

    /// Answers how far what is primary of a job with that class is from a host of that cluster.
    #[must_use]
    pub fn distance_of_primary(&self, class: usize, cluster: &ClusterPath) -> usize {
        let demands = &self.classes[class].demands;
        match self.algorithm {
            Algorithm::Queue | Algorithm::Priority => 0,
            Algorithm::Cluster if demands.is_elite => 0,
            Algorithm::Cluster => self.shares.distance(demands, cluster),
        }
    }

    /// Answers the cluster that hosts of that kind are kept under.
    #[must_use]
    pub fn kept_under(&self, host: &Traits) -> ClusterPath {
        self.cluster_of(host)
    }

    /// Answers the jobs of a class that wait for a host alone, in their order: not for who may have no more, nor for the farm's own
    /// resources.
    pub fn waiting_for_hosts(&self, class: usize) -> impl Iterator<Item = Place> + '_ {
        let is_asked = self.head(class).is_some() && self.gates.is_open(self.classes[class].gate);
        let ready = self.classes[class].ready.iter().copied();
        ready.take_while(move |_| is_asked)
    }

    /// Answers the classes whose first job comes, on hosts of that cluster, before what is meant, by its distance, its priority, and its share; the
    /// best first. Counts what was looked at.
    pub fn waiting_before(
        &self,
        cluster: &ClusterPath,
        is_before: impl Fn(usize, u32, usize) -> bool,
        looked_at: &mut u64,
    ) -> Vec<usize> {
        let mut found: Vec<(InTurn, usize)> = Vec::new();
        for heads in self.gates.kinds() {
            *looked_at += 1;
            let Some((_, first)) = heads.first() else {
                continue;
            };
            let (distance, share) = (self.distance_to(*first, cluster), self.share_of(*first));
            let part = self.part(share);
            let first = heads.iter();
            let first = first.take_while(|(place, _)| is_before(distance, place.0, share));
            found.extend(first.map(|(place, class)| ((distance, part, *place), *class)));
        }
        let second = self.second.heads();
        let second = second.take_while(|(place, _)| is_before(AFTER_ALL, place.0, OUTSIDE));
        found.extend(second.map(|(place, class)| ((AFTER_ALL, Part::NONE, *place), *class)));
        *looked_at += found.len() as u64;
        found.sort_unstable();
        found.into_iter().map(|(_, class)| class).collect()
    }

    /// Says whether a job may start on a host if there were room for it.
    #[must_use]
    pub fn would_start(&self, class: usize, place: Place, host: &Host, judge: &impl Judge) -> bool {
        let known = &self.classes[class];
        let demands = &known.demands;
        let asks = demands.asks.as_ref().filter(|_| !known.asks_each);
        let is_asked = self.head(class).is_some() && self.gates.is_open(known.gate);
        is_asked
            && !known.is_gathering(judge)
            && known.ready.can_be_asked(&place)
            && demands.admit(&host.facts.name)
            && demands.suit(host.traits())
            && asks.is_none_or(|asks| asks.met_by(host.traits()))
            && judge.admits(&demands.owner, host.id)
            && known.is_met_at(host.id, judge)
            && judge.fits(place.2, class, host.id)
            && self.may_enter(class, place, host, judge)
    }

    /// Says whether a host takes a job in spite of those that it is emptied for, if it is for some.
    fn may_enter(&self, class: usize, place: Place, host: &Host, judge: &impl Judge) -> bool {
        if self.leaves_to_primaries(class, place.2) {
            return false;
        }
        let keeping = self.keeping(host.id, host.traits());
        keeping.is_none_or(|keeping| {
            let stand = self.stand(&self.classes[class], host.traits(), place);
            keeping.lets_in(class, stand)
                || judge.is_over_in_time(place.2, class, host.id, &keeping)
        })
    }
}
