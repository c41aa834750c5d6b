//! The ready jobs of a class, in order. Those of a process group that has a limit stand in a lane of their group: of an open lane the
//! first can be asked, and the others after it; of a shut one none.
//!
//! **Invariant:** to open or shut a lane costs the same however many jobs stand in it.

use super::Place;
use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::ops::Bound;
use tessera_model::JobId;

/// Ready jobs, those that are held back among them.
#[derive(Debug, Clone, Default)]
pub(super) struct Ready {
    /// Those without a lane, and the first of each open lane with its group.
    heads: BTreeMap<Place, Option<JobId>>,
    /// By group; none is empty.
    lanes: BTreeMap<JobId, Lane>,
}

#[derive(Debug, Clone, Default)]
struct Lane {
    places: BTreeSet<Place>,
    is_shut: bool,
}

impl Lane {
    fn head(&self) -> Option<Place> {
        self.places.first().copied().filter(|_| !self.is_shut)
    }
}

impl Ready {
    /// Adds a job; says whether it was not there.
    pub(super) fn insert(&mut self, place: Place) -> bool {
        self.heads.insert(place, None).is_none()
    }

    /// Adds a job to the lane of its group, which is shut or not; says whether it was not there.
    pub(super) fn insert_into(&mut self, group: JobId, place: Place, is_shut: bool) -> bool {
        self.in_lane(group, |lane| {
            lane.is_shut = is_shut;
            lane.places.insert(place)
        })
    }

    /// Takes a job away; says whether it was there.
    pub(super) fn remove(&mut self, place: &Place) -> bool {
        if self.heads.get(place) == Some(&None) {
            return self.heads.remove(place).is_some();
        }
        false
    }

    /// Takes a job away from the lane of its group; says whether it was there.
    pub(super) fn remove_from(&mut self, group: JobId, place: &Place) -> bool {
        self.in_lane(group, |lane| lane.places.remove(place))
    }

    /// Shuts the lane of a group, or opens it.
    pub(super) fn set_shut(&mut self, group: JobId, is_shut: bool) {
        self.in_lane(group, |lane| lane.is_shut = is_shut);
    }

    /// Changes a lane and brings its head in line.
    fn in_lane<T>(&mut self, group: JobId, change: impl FnOnce(&mut Lane) -> T) -> T {
        let lane = self.lanes.entry(group).or_default();
        let before = lane.head();
        let answer = change(lane);
        let after = lane.head();
        if lane.places.is_empty() {
            self.lanes.remove(&group);
        }
        if before != after {
            if let Some(place) = before {
                self.heads.remove(&place);
            }
            if let Some(place) = after {
                self.heads.insert(place, Some(group));
            }
        }
        answer
    }

    /// Says whether jobs of a group stand in a lane here.
    pub(super) fn has_lane(&self, group: JobId) -> bool {
        self.lanes.contains_key(&group)
    }

    /// Answers the first that can be asked.
    pub(super) fn first(&self) -> Option<&Place> {
        self.heads.first_key_value().map(|(place, _)| place)
    }

    /// Answers those that can be asked, in order.
    pub(super) fn iter(&self) -> Iter<'_> {
        Iter {
            heads: self.heads.iter().peekable(),
            behind: BTreeMap::new(),
            lanes: &self.lanes,
        }
    }

    /// Says whether there is none, held back or not.
    pub(super) fn is_empty(&self) -> bool {
        self.heads.is_empty() && self.lanes.is_empty()
    }

    /// Counts all, those that are held back among them.
    pub(super) fn len(&self) -> usize {
        let alone = self.heads.values().filter(|group| group.is_none()).count();
        let lanes = self.lanes.values().map(|lane| lane.places.len());
        alone + lanes.sum::<usize>()
    }

    /// Says whether a job is there and can be asked.
    pub(super) fn can_be_asked(&self, place: &Place) -> bool {
        let mut open = self.lanes.values().filter(|lane| !lane.is_shut);
        self.heads.contains_key(place) || open.any(|lane| lane.places.contains(place))
    }

    /// Says whether a job is there, held back or not.
    pub(super) fn contains(&self, place: &Place) -> bool {
        let mut lanes = self.lanes.values();
        self.heads.contains_key(place) || lanes.any(|lane| lane.places.contains(place))
    }
}

impl<'a> IntoIterator for &'a Ready {
    type Item = &'a Place;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Walks the jobs that can be asked, in order; looks into a lane only once its first job was passed.
pub(super) struct Iter<'a> {
    heads: std::iter::Peekable<btree_map::Iter<'a, Place, Option<JobId>>>,
    /// The next of each lane whose first was passed.
    behind: BTreeMap<&'a Place, JobId>,
    lanes: &'a BTreeMap<JobId, Lane>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Place;

    fn next(&mut self) -> Option<&'a Place> {
        let behind = self.behind.first_key_value().map(|(place, _)| *place);
        let head = self.heads.peek().map(|(place, _)| *place);
        let is_behind = behind.is_some_and(|behind| head.is_none_or(|head| behind < head));
        let (place, group) = if is_behind {
            let (place, group) = self.behind.pop_first()?;
            (place, Some(group))
        } else {
            let (place, group) = self.heads.next()?;
            (place, *group)
        };
        let lane = group.and_then(|group| Some((group, self.lanes.get(&group)?)));
        if let Some((group, lane)) = lane {
            let after = (Bound::Excluded(*place), Bound::Unbounded);
            let next = lane.places.range(after).next();
            self.behind.extend(next.map(|next| (next, group)));
        }
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(n: u64) -> Place {
        (5, 0, JobId(n))
    }

    fn order(ready: &Ready) -> Vec<u64> {
        ready.iter().map(|(_, _, job)| job.0).collect()
    }

    #[test]
    fn lanes_are_merged_in_order_and_shut_ones_left_out() {
        let mut ready = Ready::default();
        let (one, other) = (JobId(1), JobId(2));
        for n in [1, 4, 7, 8] {
            assert!(ready.insert_into(one, place(n), false));
        }
        for n in [2, 3, 9] {
            assert!(ready.insert_into(other, place(n), false));
        }
        assert!(ready.insert(place(5)) && !ready.insert(place(5)));
        assert!(!ready.insert_into(one, place(7), false));
        assert_eq!(order(&ready), [1, 2, 3, 4, 5, 7, 8, 9]);
        ready.set_shut(one, true);
        assert_eq!(order(&ready), [2, 3, 5, 9]);
        assert!(ready.insert_into(one, place(6), true));
        assert_eq!(ready.first(), Some(&place(2)));
        assert_eq!((ready.len(), ready.contains(&place(7))), (9, true));
        ready.set_shut(one, false);
        ready.set_shut(other, true);
        assert_eq!(order(&ready), [1, 4, 5, 6, 7, 8]);
        assert!(ready.remove_from(one, &place(1)) && !ready.remove_from(one, &place(1)));
        assert!(!ready.remove(&place(4)), "it stands in a lane");
        assert_eq!(order(&ready), [4, 5, 6, 7, 8]);
        assert!(ready.remove(&place(5)));
        for n in [4, 6, 7, 8] {
            assert!(ready.remove_from(one, &place(n)));
        }
        assert_eq!((ready.first(), ready.is_empty()), (None, false));
        assert!(ready.has_lane(other) && !ready.has_lane(one));
        for n in [2, 3, 9] {
            assert!(ready.remove_from(other, &place(n)));
        }
        assert!(ready.is_empty());
    }
}
