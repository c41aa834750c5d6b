//! Where the links are found that something concerns which happened to another job.

use super::Place;
use super::link::Link;
use std::collections::{BTreeMap, BTreeSet};
use tessera_model::after::Part;
use tessera_model::{InstanceNo, ItemIndex, JobId};

/// The highest level of the tree over the items of a job: all of them.
const LEVEL_MAX: u8 = 32;

/// A part of the items of a job: those whose numbers, shifted by the level, are the same.
type Node = (JobId, u8, u64);

/// Links by what they wait for.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    wholes: BTreeMap<JobId, BTreeSet<Place>>,
    each_item: BTreeMap<JobId, BTreeSet<Place>>,
    /// Links that wait for some frames, by the few largest parts that make up the items between the first and the last of them.
    some_items: BTreeMap<Node, BTreeSet<Place>>,
    each_instance: BTreeMap<JobId, BTreeSet<Place>>,
    one_instance: BTreeMap<(JobId, InstanceNo), BTreeSet<Place>>,
}

impl Index {
    /// Takes a link in.
    pub(super) fn add(&mut self, place: Place, link: &Link) {
        self.change(place, link, true);
    }

    /// Takes it out again.
    pub(super) fn remove(&mut self, place: Place, link: &Link) {
        self.change(place, link, false);
    }

    fn change(&mut self, place: Place, link: &Link, is_there: bool) {
        let Some(parent) = link.parent else { return };
        match link.term.part {
            Part::Whole => set(&mut self.wholes, parent, place, is_there),
            Part::EachFrame => set(&mut self.each_item, parent, place, is_there),
            Part::EachInstance => set(&mut self.each_instance, parent, place, is_there),
            Part::Instance(no) => set(&mut self.one_instance, (parent, no), place, is_there),
            Part::Frames(_) => {
                let nodes = link
                    .items
                    .map_or_else(Vec::new, |(first, last)| nodes(first, last));
                for (level, number) in nodes {
                    set(
                        &mut self.some_items,
                        (parent, level, number),
                        place,
                        is_there,
                    );
                }
            }
        }
    }

    /// Answers the links that are about all of a job.
    pub(super) fn of_whole(&self, parent: JobId) -> Vec<Place> {
        listed(self.wholes.get(&parent))
    }

    /// Says whether a link is about all of a job.
    pub(super) fn has_whole(&self, parent: JobId) -> bool {
        self.wholes.contains_key(&parent)
    }

    /// Answers the links that an item of a job may concern.
    pub(super) fn of_item(&self, parent: JobId, item: ItemIndex) -> Vec<Place> {
        let mut found = listed(self.each_item.get(&parent));
        if self.parts(parent).next().is_some() {
            for level in 0..=LEVEL_MAX {
                let node = (parent, level, u64::from(item.0) >> level);
                found.extend(self.some_items.get(&node).into_iter().flatten());
            }
        }
        found
    }

    /// Answers the jobs that wait for items of a job.
    pub(super) fn of_items(&self, parent: JobId) -> BTreeSet<JobId> {
        let each = self.each_item.get(&parent).into_iter().flatten();
        let some = self.parts(parent).flat_map(|(_, places)| places);
        each.chain(some).map(|(waiter, _)| *waiter).collect()
    }

    /// Answers the links that an instance of a job concerns.
    pub(super) fn of_instance(&self, parent: JobId, no: InstanceNo) -> Vec<Place> {
        let mut found = listed(self.each_instance.get(&parent));
        found.extend(self.one_instance.get(&(parent, no)).into_iter().flatten());
        found
    }

    fn parts(&self, parent: JobId) -> impl Iterator<Item = (&Node, &BTreeSet<Place>)> {
        let last = (parent, u8::MAX, u64::MAX);
        self.some_items.range((parent, 0, 0)..=last)
    }
}

fn listed(places: Option<&BTreeSet<Place>>) -> Vec<Place> {
    places.into_iter().flatten().copied().collect()
}

fn set<K: Ord>(index: &mut BTreeMap<K, BTreeSet<Place>>, key: K, place: Place, is_there: bool) {
    if is_there {
        index.entry(key).or_default().insert(place);
    } else if let Some(places) = index.get_mut(&key) {
        places.remove(&place);
        if places.is_empty() {
            index.remove(&key);
        }
    }
}

/// Answers the largest parts that make up these items: at most two of each level.
fn nodes(first: u32, last: u32) -> Vec<(u8, u64)> {
    let mut nodes = Vec::new();
    // One more than the last, so that an empty rest is seen.
    let (mut from, mut to) = (u64::from(first), u64::from(last) + 1);
    for level in 0..=LEVEL_MAX {
        if from >= to {
            break;
        }
        if from % 2 == 1 {
            nodes.push((level, from));
            from += 1;
        }
        if to % 2 == 1 {
            to -= 1;
            nodes.push((level, to));
        }
        (from, to) = (from / 2, to / 2);
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::nodes;

    fn parts_with(nodes: &[(u8, u64)], item: u32) -> usize {
        let is_in = |(level, number): &&(u8, u64)| u64::from(item) >> level == *number;
        nodes.iter().filter(is_in).count()
    }

    #[test]
    fn a_range_is_made_of_few_parts_and_each_item_is_in_one() {
        for first in 0..40 {
            for last in first..70 {
                let nodes = nodes(first, last);
                assert!(nodes.len() <= 12, "{nodes:?}");
                for item in 0..80 {
                    let expected = usize::from((first..=last).contains(&item));
                    assert_eq!(
                        parts_with(&nodes, item),
                        expected,
                        "item {item} of {first} to {last}"
                    );
                }
            }
        }
        for (first, last) in [
            (0, u32::MAX),
            (u32::MAX, u32::MAX),
            (0, 0),
            (1, u32::MAX - 1),
        ] {
            let nodes = nodes(first, last);
            for item in [first, last, first + (last - first) / 2] {
                assert_eq!(
                    parts_with(&nodes, item),
                    1,
                    "item {item} of {first} to {last}"
                );
            }
        }
    }
}
