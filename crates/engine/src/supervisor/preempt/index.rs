//! Hosts by the lowest standing of what may leave there: what waits finds at once that nothing stands lower, and else who does.

use super::Standing;
use crate::supervisor::host::Traits;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tessera_model::{ClusterPath, HostId};

/// Hosts of one kind that are looked at for one job, at most.
const HOSTS_OF_A_KIND_MAX: usize = 16;
/// Hosts that are looked at for one job, at most.
const HOSTS_MAX: usize = 64;

/// What many hosts have in common; none of its parts moves with what runs there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    pub(super) traits: Arc<Traits>,
    pub(super) slots: u32,
    /// The number of bits of its memory in MiB.
    pub(super) memory: u32,
}

/// Where a host is in the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Of hosts that are kept together; the default where clusters don't matter.
    pub(super) cluster: ClusterPath,
    pub(super) kind: Kind,
    pub(super) name: String,
    /// The lowest of what may leave there of a share.
    pub(super) lowest: Standing,
}

/// Hosts, the lowest standing first.
type Hosts = BTreeSet<(Reverse<Standing>, HostId)>;

/// The hosts of one cluster.
#[derive(Debug, Clone, Default)]
struct Group {
    all: Hosts,
    kinds: BTreeMap<Kind, Hosts>,
}

/// Hosts where something may leave.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// By the cluster of the hosts and the share of what may leave.
    groups: BTreeMap<(ClusterPath, usize), Group>,
    by_name: BTreeMap<String, BTreeSet<HostId>>,
    /// For each share that has something there one; none is empty.
    places: BTreeMap<HostId, Vec<Place>>,
}

impl Index {
    /// Notes where a host is now for each share that has something there, or that nothing may leave there.
    pub(super) fn set(&mut self, host: HostId, places: Vec<Place>) {
        if self.places_of(host) == places {
            return;
        }
        for before in self.places.remove(&host).into_iter().flatten() {
            self.take_out(host, &before);
        }
        for place in &places {
            let key = (Reverse(place.lowest), host);
            let of = (place.cluster.clone(), place.lowest.share);
            let group = self.groups.entry(of).or_default();
            group.all.insert(key);
            let alike = group.kinds.entry(place.kind.clone()).or_default();
            alike.insert(key);
            let named = self.by_name.entry(place.name.clone()).or_default();
            named.insert(host);
        }
        if !places.is_empty() {
            self.places.insert(host, places);
        }
    }

    fn take_out(&mut self, host: HostId, place: &Place) {
        let key = (Reverse(place.lowest), host);
        let of = (place.cluster.clone(), place.lowest.share);
        if let Some(group) = self.groups.get_mut(&of) {
            group.all.remove(&key);
            if let Some(alike) = group.kinds.get_mut(&place.kind) {
                alike.remove(&key);
                if alike.is_empty() {
                    group.kinds.remove(&place.kind);
                }
            }
            if group.all.is_empty() {
                self.groups.remove(&of);
            }
        }
        if let Some(named) = self.by_name.get_mut(&place.name) {
            named.remove(&host);
            if named.is_empty() {
                self.by_name.remove(&place.name);
            }
        }
    }

    /// Answers where a host is for each share that has something there which may leave.
    pub(super) fn places_of(&self, host: HostId) -> &[Place] {
        self.places.get(&host).map_or(&[], Vec::as_slice)
    }

    /// Answers the hosts where something stands lower than `own` says for their cluster, the lowest first, of kinds that suit. Counts
    /// what was looked at: a cluster each when nothing does.
    pub(super) fn lower(
        &self,
        own: impl Fn(&ClusterPath) -> Standing,
        suits: impl Fn(&Kind) -> bool,
        looked_at: &mut u64,
    ) -> Vec<HostId> {
        let mut found: Vec<(Reverse<Standing>, HostId)> = Vec::new();
        for ((cluster, _), group) in &self.groups {
            *looked_at += 1;
            let own = own(cluster);
            // All of a group are of one share: the first that does not is followed by none that does.
            let is_lower = |at: &&(Reverse<Standing>, HostId)| at.0.0.gives_way_to(&own);
            if group.all.first().filter(is_lower).is_none() {
                continue;
            }
            for (kind, hosts) in &group.kinds {
                *looked_at += 1;
                let lower = hosts.iter().take_while(is_lower);
                if suits(kind) {
                    found.extend(lower.take(HOSTS_OF_A_KIND_MAX));
                }
            }
        }
        found.sort_unstable();
        // Something of several shares may leave the same one.
        let mut seen = BTreeSet::new();
        found.retain(|(_, host)| seen.insert(*host));
        found.truncate(HOSTS_MAX);
        *looked_at += found.len() as u64;
        found.into_iter().map(|(_, host)| host).collect()
    }

    /// Answers those of the hosts with these names where something stands lower, likewise.
    pub(super) fn lower_of<'a>(
        &self,
        names: impl Iterator<Item = &'a String>,
        own: impl Fn(&ClusterPath) -> Standing,
        looked_at: &mut u64,
    ) -> Vec<HostId> {
        let named = names.filter_map(|name| self.by_name.get(name)).flatten();
        let mut found: Vec<(Reverse<Standing>, HostId)> = Vec::new();
        for host in named.take(HOSTS_MAX) {
            *looked_at += 1;
            let places = self.places_of(*host).iter();
            let lower = places.filter(|place| place.lowest.gives_way_to(&own(&place.cluster)));
            let lowest = lower.map(|place| place.lowest).max();
            found.extend(lowest.map(|lowest| (Reverse(lowest), *host)));
        }
        found.sort_unstable();
        found.into_iter().map(|(_, host)| host).collect()
    }

    /// Answers all hosts where something may leave; for the engine's own check.
    pub(super) fn hosts(&self) -> impl Iterator<Item = HostId> {
        self.places.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(number: u8) -> HostId {
        HostId([number; 16])
    }

    fn place(name: &str, priority: u32) -> Place {
        Place {
            cluster: ClusterPath::default(),
            kind: Kind {
                traits: Arc::default(),
                slots: 4,
                memory: 0,
            },
            name: name.to_owned(),
            lowest: standing(priority),
        }
    }

    fn standing(priority: u32) -> Standing {
        Standing {
            distance: 1,
            priority,
            share: 0,
        }
    }

    #[test]
    fn hosts_are_found_the_lowest_first_and_forgotten() {
        let mut index = Index::default();
        for (number, priority) in [(1, 5), (2, 9), (3, 1)] {
            index.set(host(number), vec![place(&format!("rnd{number}"), priority)]);
        }
        let lower = |index: &Index, own: u32| index.lower(|_| standing(own), |_| true, &mut 0);
        assert_eq!(lower(&index, 1), [host(2), host(1)]);
        assert_eq!(lower(&index, 9), [], "an equal is not lower");
        let names = ["rnd1".to_owned(), "rnd3".to_owned(), "other".to_owned()];
        let named = index.lower_of(names.iter(), |_| standing(1), &mut 0);
        assert_eq!(named, [host(1)]);
        index.set(host(2), vec![place("rnd2", 1)]);
        assert_eq!(lower(&index, 1), [host(1)]);
        for number in 1..=3 {
            index.set(host(number), Vec::new());
        }
        assert!(index.groups.is_empty() && index.by_name.is_empty());
    }

    #[test]
    fn what_finds_nothing_lower_costs_the_same_on_any_farm() {
        let cost = |hosts: u8, own: u32| {
            let mut index = Index::default();
            for number in 1..=hosts {
                index.set(host(number), vec![place(&format!("rnd{number}"), 5)]);
            }
            let mut looked_at = 0;
            index.lower(|_| standing(own), |_| true, &mut looked_at);
            looked_at
        };
        assert_eq!((cost(1, 5), cost(200, 5)), (1, 1));
        assert_eq!(
            cost(100, 1),
            cost(200, 1),
            "it is bounded where there is something"
        );
    }
}
