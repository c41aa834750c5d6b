//! Where jobs stand on a host among those of other shares (`weights` says what a share is).
//!
//! What a host takes next is chosen by what each share has now ([`Planner::turn_of`]). Who may have others leave, and what a host that is emptied
//! still takes, is not: what a share has moves with each start, and nobody would leave for one who then leaves for him. There a job comes before
//! another one when it is nearer, or by its place within a share ([`Stand::comes_before`]).

use super::class::Class;
use super::{Demands, Place, Planner};
use crate::supervisor::host::Traits;
use crate::supervisor::weights::ClusterWeights;
use std::cmp::Ordering;
use tessera_model::ClusterPath;

/// The share of what is in none: of elite jobs and of secondary instances, and of all where no cluster has a weight.
pub const OUTSIDE: usize = 0;

/// Classes of a kind that are looked at when an item ends, at most.
const OF_A_KIND_MAX: usize = 4;

/// What a share has for its weight; the least is the first. Compared exactly.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Slots of what runs.
    pub used: u64,
    /// At least 1.
    pub weight: u32,
}

impl Part {
    /// That of what is in no share.
    pub const NONE: Self = Self { used: 0, weight: 1 };
}

impl Ord for Part {
    fn cmp(&self, other: &Self) -> Ordering {
        let times = |used: u64, weight: u32| u128::from(used) * u128::from(weight);
        times(self.used, other.weight).cmp(&times(other.used, self.weight))
    }
}

impl PartialOrd for Part {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Part {}

/// Where a job stands on a host: how far it is from the host's cluster, its share, then its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stand {
    /// How far it is from the host's cluster.
    pub distance: usize,
    /// In which share it is.
    pub share: usize,
    /// Its place.
    pub place: Place,
}

impl Stand {
    /// Says whether it comes before another one whatever their shares have: it is nearer, or before it in the same share, or in none.
    #[must_use]
    pub fn comes_before(&self, other: &Self) -> bool {
        let is_alike = [self.share, other.share].contains(&OUTSIDE) || self.share == other.share;
        self.distance < other.distance
            || (self.distance == other.distance && is_alike && self.place < other.place)
    }
}

/// The order in which a host takes what waits.
pub type InTurn = (usize, Part, Place);

/// What each share has.
#[derive(Debug, Clone, Default)]
pub(super) struct Shares {
    weights: ClusterWeights,
    /// By number; of those that never had anything there may be none.
    used: Vec<u64>,
}

impl Shares {
    pub(super) fn new(weights: ClusterWeights) -> Self {
        let used = Vec::new();
        Self { weights, used }
    }

    /// Answers the share of a class.
    pub(super) fn of(&self, demands: &Demands) -> usize {
        match demands.is_elite || demands.is_secondary {
            true => OUTSIDE,
            false => self.weights.share_of(&demands.cluster),
        }
    }

    /// Answers how far a class is from hosts of that cluster.
    pub(super) fn distance(&self, demands: &Demands, host: &ClusterPath) -> usize {
        self.weights.distance(&demands.cluster, host)
    }

    pub(super) fn part(&self, share: usize) -> Part {
        let known = self.weights.named(share);
        known.map_or(Part::NONE, |(_, weight)| Part {
            used: self.used.get(share).copied().unwrap_or(0),
            weight,
        })
    }

    fn count(&mut self, share: usize, count: impl FnOnce(u64) -> u64) {
        if share == OUTSIDE {
            return;
        }
        if self.used.len() <= share {
            self.used.resize(share + 1, 0);
        }
        if let Some(used) = self.used.get_mut(share) {
            *used = count(*used);
        }
    }
}

impl Planner {
    /// Has these clusters share the farm. No job may be there yet.
    #[must_use]
    pub fn sharing(self, weights: ClusterWeights) -> Self {
        debug_assert!(self.by_demands.is_empty());
        Self {
            shares: Shares::new(weights),
            ..self
        }
    }

    /// Notes that one share has so many slots more, and another as many fewer.
    pub fn count_used(&mut self, more: usize, fewer: usize, slots: u64) {
        self.shares.count(more, |used| used.saturating_add(slots));
        self.shares.count(fewer, |used| used.saturating_sub(slots));
    }

    /// Answers what a share has for its weight.
    #[must_use]
    pub fn part(&self, share: usize) -> Part {
        self.shares.part(share)
    }

    /// Answers in which share the jobs of a class stand.
    #[must_use]
    pub fn share_of(&self, class: usize) -> usize {
        self.classes[class].share
    }

    /// Answers where a job of a class stands on hosts of that kind.
    pub(super) fn stand(&self, class: &Class, host: &Traits, place: Place) -> Stand {
        Stand {
            distance: self.distance(class, host),
            share: class.share,
            place,
        }
    }

    /// Answers classes of other shares than this one that are as near to hosts of that kind and have something that waits for a host alone: the
    /// first of each kind, those first whose share has least for its weight. Counts what was looked at.
    #[must_use]
    pub fn of_other_shares(
        &self,
        own: Stand,
        host: &Traits,
        limit: usize,
        looked_at: &mut u64,
    ) -> Vec<(Stand, usize)> {
        let mut found: Vec<(InTurn, Stand, usize)> = Vec::new();
        for heads in self.gates.kinds() {
            *looked_at += 1;
            for (place, number) in heads.iter().take(OF_A_KIND_MAX) {
                let stand = self.stand(&self.classes[*number], host, *place);
                let is_one = stand.distance == own.distance
                    && ![own.share, OUTSIDE].contains(&stand.share)
                    && self.part(stand.share) < self.part(own.share);
                if !is_one {
                    break;
                }
                found.push((self.turn_of(stand), stand, *number));
            }
        }
        found.sort_unstable_by_key(|(turn, _, number)| (*turn, *number));
        found.truncate(limit);
        found
            .into_iter()
            .map(|(_, stand, number)| (stand, number))
            .collect()
    }

    /// Answers when a host takes what stands so, as shares are now.
    #[must_use]
    pub fn turn_of(&self, stand: Stand) -> InTurn {
        (stand.distance, self.shares.part(stand.share), stand.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_model::JobId;

    #[test]
    fn parts_are_compared_exactly() {
        let part = |used, weight| Part { used, weight };
        assert_eq!(part(24, 3), part(8, 1));
        assert!(part(24, 3) > part(7, 1) && part(24, 3) < part(9, 1));
        assert!(part(u64::MAX, 1000) < part(u64::MAX, 999));
        assert!(part(7, 3) > part(2, 1), "a third more");
        assert_eq!(part(0, 7), Part::NONE);
    }

    #[test]
    fn only_within_a_share_or_outside_of_all_a_place_comes_before_another() {
        let stand = |distance, share, priority| Stand {
            distance,
            share,
            place: (priority, 0, JobId(1)),
        };
        assert!(stand(1, 1, 5).comes_before(&stand(1, 1, 6)));
        assert!(!stand(1, 1, 5).comes_before(&stand(1, 2, 6)));
        assert!(!stand(1, 2, 6).comes_before(&stand(1, 1, 5)));
        assert!(stand(1, 1, 9).comes_before(&stand(2, 2, 1)), "nearer");
        assert!(stand(1, OUTSIDE, 0).comes_before(&stand(1, 2, 1)));
        assert!(!stand(1, 2, 1).comes_before(&stand(1, OUTSIDE, 0)));
    }
}
