//! The agenda: which frames a job covers, how they are cut into items and in which order those are handed out.

use crate::ids::ItemIndex;

/// Frames in arithmetic order: `start`, `start + step`, … (`count` of them; `step` may be negative, never 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameRun {
    /// The first frame.
    pub start: i64,
    /// The distance to the next.
    pub step: i64,
    /// How many frames, at least 1.
    pub count: u32,
}

impl FrameRun {
    /// Answers the frame at `place` (from 0) of this run.
    #[must_use]
    pub fn at(&self, place: u32) -> i64 {
        self.start + self.step * i64::from(place)
    }

    /// Answers the last frame.
    #[must_use]
    pub fn last(&self) -> i64 {
        self.at(self.count - 1)
    }

    /// Answers the place of `frame` in this run, if it is in it.
    #[must_use]
    pub fn place_of(&self, frame: i64) -> Option<u32> {
        let distance = frame.checked_sub(self.start)?;
        if distance % self.step != 0 {
            return None;
        }
        u32::try_from(distance / self.step)
            .ok()
            .filter(|place| *place < self.count)
    }
}

impl std::fmt::Display for FrameRun {
    /// Prints `7`, `1-5` or `1-9x2`; the reader takes it back (see `spec`).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.count, self.step.abs()) {
            (1, _) => write!(f, "{}", self.start),
            (_, 1) => write!(f, "{}-{}", self.start, self.last()),
            (_, step) => write!(f, "{}-{}x{step}", self.start, self.last()),
        }
    }
}

/// How frames become items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// So many frames an item; the last may have fewer.
    Chunk(u32),
    /// So many items, their sizes differing by at most one frame.
    Partitions(u32),
}

/// The order in which items are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Order {
    /// As written.
    #[default]
    Ascend,
    /// The last first.
    Reverse,
    /// First, last, then the middles: the shape of a shot shows early.
    Binary,
}

/// The things a job has to do, never empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Agenda {
    runs: Vec<FrameRun>,
    split: Split,
    order: Order,
    padding: u8,
    frames: u32,
}

/// Why frames make no agenda.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAgenda {
    /// No frame at all.
    #[error("the range names no frame")]
    Empty,
    /// More than the farm takes in one job.
    #[error(
        "the range names {frames} frames; a job takes at most {} in {} runs",
        crate::limits::FRAMES_MAX,
        crate::limits::RUNS_MAX
    )]
    TooLarge {
        /// How many there are.
        frames: u64,
    },
    /// A frame number out of range.
    #[error("frame numbers go from -{0} to {0}", crate::limits::FRAME_NUMBER_MAX)]
    FrameNumber,
    /// A chunk or number of partitions of zero.
    #[error("chunks and partitions count from 1")]
    ZeroSplit,
}

impl Agenda {
    /// Makes an agenda; `padding` is the least number of digits that frame numbers are written with (0 or 1: as they are).
    ///
    /// # Errors
    /// When there is no frame, there are too many, or the split is zero.
    pub fn new(
        runs: Vec<FrameRun>,
        split: Split,
        order: Order,
        padding: u8,
    ) -> Result<Self, BadAgenda> {
        let frames: u64 = runs.iter().map(|run| u64::from(run.count)).sum();
        if frames == 0 || runs.iter().any(|run| run.count == 0 || run.step == 0) {
            return Err(BadAgenda::Empty);
        }
        let count = u32::try_from(frames)
            .ok()
            .filter(|_| frames <= crate::limits::FRAMES_MAX);
        let Some(count) = count.filter(|_| runs.len() <= crate::limits::RUNS_MAX) else {
            return Err(BadAgenda::TooLarge { frames });
        };
        let far = |run: &FrameRun| {
            let most = i128::from(crate::limits::FRAME_NUMBER_MAX);
            let last = i128::from(run.start) + i128::from(run.step) * i128::from(run.count - 1);
            i128::from(run.start).abs() > most || last.abs() > most
        };
        if runs.iter().any(far) {
            return Err(BadAgenda::FrameNumber);
        }
        let split = match split {
            Split::Chunk(0) | Split::Partitions(0) => return Err(BadAgenda::ZeroSplit),
            Split::Partitions(n) => Split::Partitions(n.min(count)),
            Split::Chunk(n) => Split::Chunk(n),
        };
        Ok(Self {
            runs,
            split,
            order,
            padding,
            frames: count,
        })
    }

    /// Answers the runs as written.
    #[must_use]
    pub fn runs(&self) -> &[FrameRun] {
        &self.runs
    }

    /// Answers how frames become items.
    #[must_use]
    pub fn split(&self) -> Split {
        self.split
    }

    /// Answers the order of handing out.
    #[must_use]
    pub fn order(&self) -> Order {
        self.order
    }

    /// Answers the least number of digits.
    #[must_use]
    pub fn padding(&self) -> u8 {
        self.padding
    }

    /// Answers how many frames there are.
    #[must_use]
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Answers how many items there are.
    #[must_use]
    pub fn items(&self) -> u32 {
        match self.split {
            Split::Chunk(n) => self.frames.div_ceil(n),
            Split::Partitions(n) => n,
        }
    }

    /// Answers which places (from, to, exclusive) of the frame list an item covers; empty past the end.
    pub(crate) fn places(&self, item: ItemIndex) -> (u32, u32) {
        let k = item.0;
        match self.split {
            Split::Chunk(n) => {
                let from = k.saturating_mul(n).min(self.frames);
                (from, from.saturating_add(n).min(self.frames))
            }
            Split::Partitions(n) => {
                let (size, larger) = (self.frames / n, self.frames % n);
                let from = k
                    .saturating_mul(size)
                    .saturating_add(k.min(larger))
                    .min(self.frames);
                (
                    from,
                    from.saturating_add(size + u32::from(k < larger))
                        .min(self.frames),
                )
            }
        }
    }

    /// Answers the frames of an item as runs; empty when there is no such item.
    #[must_use]
    pub fn item(&self, item: ItemIndex) -> Vec<FrameRun> {
        let (mut from, to) = self.places(item);
        let mut left = to - from;
        let mut found = Vec::new();
        for run in &self.runs {
            if left == 0 {
                break;
            }
            if from >= run.count {
                from -= run.count;
                continue;
            }
            let count = left.min(run.count - from);
            found.push(FrameRun {
                start: run.at(from),
                step: run.step,
                count,
            });
            left -= count;
            from = 0;
        }
        found
    }

    /// Answers how people name an item: its frames, `7` or `1-5`.
    #[must_use]
    pub fn item_name(&self, item: ItemIndex) -> String {
        let names: Vec<String> = self.item(item).iter().map(ToString::to_string).collect();
        names.join(",")
    }

    /// Answers the item that covers `frame`, the first if the range names it twice.
    #[must_use]
    pub fn item_of(&self, frame: i64) -> Option<ItemIndex> {
        let mut before = 0;
        for run in &self.runs {
            if let Some(place) = run.place_of(frame) {
                return Some(ItemIndex(self.item_at(before + place)));
            }
            before += run.count;
        }
        None
    }

    pub(crate) fn item_at(&self, place: u32) -> u32 {
        match self.split {
            Split::Chunk(n) => place / n,
            Split::Partitions(n) => {
                let (size, larger) = (self.frames / n, self.frames % n);
                let in_larger = larger * (size + 1);
                if place < in_larger {
                    place / (size + 1)
                } else {
                    larger + (place - in_larger) / size
                }
            }
        }
    }

    /// Answers the order in which items are handed out as a list of indices, or nothing when it is the agenda's own.
    #[must_use]
    pub fn permutation(&self) -> Option<Vec<u32>> {
        let items = self.items();
        match self.order {
            Order::Ascend => None,
            Order::Reverse => Some((0..items).rev().collect()),
            Order::Binary => Some(binary(items)),
        }
    }
}

/// Answers first, last, then the middle of each gap, widest gaps first.
fn binary(items: u32) -> Vec<u32> {
    let mut order = Vec::with_capacity(items as usize);
    if items > 0 {
        order.push(0);
    }
    if items > 1 {
        order.push(items - 1);
    }
    let mut gaps = std::collections::VecDeque::from([(0, items.saturating_sub(1))]);
    while let Some((low, high)) = gaps.pop_front() {
        if high - low < 2 {
            continue;
        }
        let middle = low + (high - low) / 2;
        order.push(middle);
        gaps.push_back((low, middle));
        gaps.push_back((middle, high));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agenda(runs: &[(i64, i64, u32)], split: Split, order: Order) -> Agenda {
        let runs = runs
            .iter()
            .map(|&(start, step, count)| FrameRun { start, step, count })
            .collect();
        Agenda::new(runs, split, order, 0).expect("a good agenda")
    }

    fn names(a: &Agenda) -> Vec<String> {
        (0..a.items()).map(|i| a.item_name(ItemIndex(i))).collect()
    }

    #[test]
    fn chunks_cross_runs() {
        let a = agenda(
            &[(1, 1, 5), (10, 2, 3), (-3, -1, 2)],
            Split::Chunk(3),
            Order::Ascend,
        );
        assert_eq!(names(&a), ["1-3", "4-5,10", "12-14x2,-3", "-4"]);
        assert_eq!(a.item_of(14), Some(ItemIndex(2)));
        assert_eq!(a.item_of(11), None);
        assert_eq!(a.item(ItemIndex(4)), []);
    }

    #[test]
    fn partitions_are_even_and_as_many_as_asked() {
        let a = agenda(&[(1, 1, 10)], Split::Partitions(4), Order::Ascend);
        assert_eq!(names(&a), ["1-3", "4-6", "7-8", "9-10"]);
        for frame in 1..=10 {
            let item = a.item_of(frame).expect("covered");
            assert!(
                a.item(item).iter().any(|run| run.place_of(frame).is_some()),
                "frame {frame}"
            );
        }
        assert_eq!(
            agenda(&[(1, 1, 3)], Split::Partitions(9), Order::Ascend).items(),
            3
        );
    }

    #[test]
    fn every_order_hands_out_each_item_once() {
        for items in 1..40 {
            for order in [Order::Reverse, Order::Binary] {
                let a = agenda(&[(1, 1, items)], Split::Chunk(1), order);
                let mut seen = a.permutation().expect("not as written");
                seen.sort_unstable();
                assert_eq!(seen, (0..items).collect::<Vec<_>>(), "{order:?} of {items}");
            }
        }
        assert_eq!(binary(9), [0, 8, 4, 2, 6, 1, 3, 5, 7]);
    }

    #[test]
    fn an_agenda_is_bounded_and_never_empty() {
        let run = FrameRun {
            start: 1,
            step: 1,
            count: u32::MAX,
        };
        assert!(matches!(
            Agenda::new(vec![run, run], Split::Chunk(1), Order::Ascend, 0),
            Err(BadAgenda::TooLarge {
                frames: 8_589_934_590
            })
        ));
        assert_eq!(
            Agenda::new(vec![], Split::Chunk(1), Order::Ascend, 0),
            Err(BadAgenda::Empty)
        );
        let one = FrameRun {
            start: 1,
            step: 1,
            count: 1,
        };
        assert_eq!(
            Agenda::new(vec![one], Split::Chunk(0), Order::Ascend, 0),
            Err(BadAgenda::ZeroSplit)
        );
    }
}
