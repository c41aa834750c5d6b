//! Which item of an agenda covers which frame, and which frames an item covers, found quickly however many runs there are.

use crate::agenda::{Agenda, FrameRun};
use crate::ids::ItemIndex;

/// An agenda, looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameIndex {
    agenda: Agenda,
    /// How many frames come before each run.
    before: Vec<u32>,
    /// Smallest and largest frame of each run and its place, by the smallest; `None` when their spans overlap.
    spans: Option<Vec<(i64, i64, u32)>>,
}

impl FrameIndex {
    /// Makes the index of an agenda.
    #[must_use]
    pub fn new(agenda: &Agenda) -> Self {
        let mut sum = 0;
        let before = agenda.runs().iter().map(|run| {
            let before = sum;
            sum += run.count;
            before
        });
        let before = before.collect();
        let places = agenda.runs().iter().zip(0u32..);
        let mut spans: Vec<_> = places
            .map(|(run, place)| (run.start.min(run.last()), run.start.max(run.last()), place))
            .collect();
        spans.sort_unstable();
        let is_apart = spans.windows(2).all(|pair| pair[0].1 < pair[1].0);
        Self {
            agenda: agenda.clone(),
            before,
            spans: is_apart.then_some(spans),
        }
    }

    /// Says whether runs reach into each other: then a frame is looked for in all of them.
    #[must_use]
    pub fn is_interleaved(&self) -> bool {
        self.spans.is_none()
    }

    /// Answers the item that covers a frame.
    #[must_use]
    pub fn item_of(&self, frame: i64) -> Option<ItemIndex> {
        let Some(spans) = &self.spans else {
            return self.agenda.item_of(frame);
        };
        let after = spans.partition_point(|(low, _, _)| *low <= frame);
        let (_, _, run) = spans.get(after.checked_sub(1)?)?;
        let place = self.agenda.runs()[*run as usize].place_of(frame)?;
        let item = self.agenda.item_at(self.before[*run as usize] + place);
        Some(ItemIndex(item))
    }

    /// Answers the frames that an item covers.
    pub fn frames_of(&self, item: ItemIndex) -> impl Iterator<Item = i64> + use<'_> {
        let (from, to) = self.agenda.places(item);
        let run = self.before.partition_point(|before| *before <= from);
        let mut run = run.saturating_sub(1);
        (from..to).map(move |place| {
            let runs: &[FrameRun] = self.agenda.runs();
            while place - self.before[run] >= runs[run].count {
                run += 1;
            }
            runs[run].at(place - self.before[run])
        })
    }

    /// Counts the runs.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.before.len()
    }

    /// Says whether both have a frame.
    #[must_use]
    pub fn shares(&self, other: &Self) -> bool {
        let (few, many) = if self.agenda.frames() < other.agenda.frames() {
            (self, other)
        } else {
            (other, self)
        };
        let items = (0..few.agenda.items()).map(ItemIndex);
        items
            .flat_map(|item| few.frames_of(item))
            .any(|frame| many.item_of(frame).is_some())
    }

    /// Answers the items of another agenda that cover a frame of this item, each once.
    #[must_use]
    pub fn overlapped(&self, item: ItemIndex, other: &Self) -> Vec<u32> {
        let mut found: Vec<u32> = Vec::new();
        for item in self
            .frames_of(item)
            .filter_map(|frame| other.item_of(frame))
        {
            if found.last() != Some(&item.0) {
                found.push(item.0);
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agenda::{Order, Split};

    fn index(runs: &[(i64, i64, u32)], split: Split) -> FrameIndex {
        let runs = runs.iter();
        let runs = runs.map(|&(start, step, count)| FrameRun { start, step, count });
        let agenda = Agenda::new(runs.collect(), split, Order::Ascend, 0);
        FrameIndex::new(&agenda.expect("a good agenda"))
    }

    #[test]
    fn what_is_looked_up_is_what_the_agenda_says() {
        let apart = [(1, 1, 5), (20, -3, 4), (-9, 1, 2), (30, 1, 1)];
        let interleaved = [(1, 2, 5), (2, 2, 5), (30, -1, 3)];
        for runs in [&apart[..], &interleaved[..]] {
            for split in [Split::Chunk(1), Split::Chunk(3), Split::Partitions(4)] {
                let index = index(runs, split);
                for frame in -12..40 {
                    assert_eq!(index.item_of(frame), index.agenda.item_of(frame), "{frame}");
                }
                for item in (0..=index.agenda.items()).map(ItemIndex) {
                    let runs = index.agenda.item(item);
                    let said = runs
                        .iter()
                        .flat_map(|run| (0..run.count).map(|n| run.at(n)));
                    assert!(index.frames_of(item).eq(said), "{item} of {split:?}");
                }
            }
        }
        assert!(!index(&apart, Split::Chunk(1)).is_interleaved());
        assert!(index(&interleaved, Split::Chunk(1)).is_interleaved());
    }

    #[test]
    fn items_overlap_by_their_frames_and_not_by_their_places() {
        let renders = index(&[(1, 1, 10)], Split::Chunk(5));
        let comps = index(&[(4, 1, 10)], Split::Chunk(1));
        assert_eq!(renders.overlapped(ItemIndex(0), &comps), [0, 1]);
        assert_eq!(renders.overlapped(ItemIndex(1), &comps), [2, 3, 4, 5, 6]);
        assert_eq!(comps.overlapped(ItemIndex(1), &renders), [0]);
        assert_eq!(comps.overlapped(ItemIndex(9), &renders), [0; 0]);
    }
}
