//! What became of each run of a frame in the real farm: the same becomes of it again, wherever it runs now.

use std::collections::BTreeMap;
use tessera_model::state::End;
use tessera_store::AttemptRow;

/// How a run ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// As it should.
    Done,
    /// With a status that is none of success, or by a limit of its job.
    Exit(i32),
    /// By a signal.
    Signal(i32),
    /// For want of memory; how many MiB it might have had.
    OutOfMemory(u32),
}

/// How long a run took, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fate {
    pub(crate) ms: u32,
    pub(crate) how: How,
}

impl Fate {
    /// Reads an attempt; nothing when it did not end by itself, or when its end counted nothing.
    pub(crate) fn of(row: &AttemptRow) -> Option<Self> {
        let how = match (row.outcome.as_str(), row.exit_code, row.signal) {
            _ if !row.counted => return None,
            ("done", ..) => How::Done,
            ("failed", Some(code), _) if code != 0 => How::Exit(code),
            ("failed", None, Some(signal)) => How::Signal(signal),
            ("failed", ..) => How::Exit(1),
            ("out_of_memory", ..) => {
                let mib = row.memory_limit.unwrap_or(0).div_ceil(1 << 20);
                How::OutOfMemory(u32::try_from(mib).unwrap_or(u32::MAX))
            }
            _ => return None,
        };
        let ms = u32::try_from(row.elapsed_ms).unwrap_or(u32::MAX);
        Some(Self { ms, how })
    }

    fn end(self) -> (u64, End) {
        let end = match self.how {
            How::Done => End::Exit(0),
            How::Exit(code) => End::Exit(code),
            How::Signal(number) => End::Signal(number),
            How::OutOfMemory(mib) => {
                let limit = u64::from(mib) << 20;
                let peak = limit;
                End::OutOfMemory { peak, limit }
            }
        };
        // What took no time at all would end before it was told.
        (u64::from(self.ms).max(1), end)
    }
}

/// The fates of a job's items: most have one, few have more.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fates {
    first: Vec<Fate>,
    more: BTreeMap<u32, Vec<Fate>>,
}

impl Fates {
    /// Takes what is known of each item; what never ended by itself takes as long as is guessed.
    pub(crate) fn new(known: BTreeMap<u32, Vec<Fate>>, items: u32, guess: Fate) -> Self {
        let mut fates = Self {
            first: vec![guess; items as usize],
            more: BTreeMap::new(),
        };
        for (item, each) in known {
            let (Some(place), Some((first, more))) =
                (fates.first.get_mut(item as usize), each.split_first())
            else {
                continue;
            };
            *place = *first;
            if !more.is_empty() {
                fates.more.insert(item, more.to_vec());
            }
        }
        fates
    }

    /// Answers what becomes of an item that has ended by itself so often; the last goes on for ever.
    pub(crate) fn of(&self, item: u32, ends: u32) -> (u64, End) {
        let more = self.more.get(&item).filter(|_| ends > 0);
        let later = more.and_then(|more| more.get(ends as usize - 1).or_else(|| more.last()));
        let fate = later.or_else(|| self.first.get(item as usize));
        fate.map_or((1, End::Exit(0)), |fate| fate.end())
    }

    /// Says whether the next run of an item may be another than the first.
    pub(crate) fn has_more(&self, item: u32) -> bool {
        self.more.contains_key(&item)
    }
}

/// Answers the one in the middle.
pub(crate) fn median(mut values: Vec<u32>) -> Option<u32> {
    let middle = values.len().checked_sub(1)? / 2;
    let (_, middle, _) = values.select_nth_unstable(middle);
    Some(*middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(outcome: &str, exit_code: Option<i32>, elapsed_ms: u64) -> AttemptRow {
        AttemptRow {
            outcome: outcome.into(),
            exit_code,
            elapsed_ms,
            counted: true,
            ..AttemptRow::default()
        }
    }

    #[test]
    fn attempts_are_read_as_they_ended() {
        let of = |row: AttemptRow| Fate::of(&row).map(|it| (it.ms, it.how));
        assert_eq!(of(attempt("done", Some(0), 7)), Some((7, How::Done)));
        let failed = attempt("failed", Some(3), u64::MAX);
        assert_eq!(of(failed), Some((u32::MAX, How::Exit(3))));
        // A limit of its job ended it: no status.
        assert_eq!(of(attempt("failed", None, 9)), Some((9, How::Exit(1))));
        let killed = AttemptRow {
            signal: Some(11),
            ..attempt("failed", None, 5)
        };
        assert_eq!(of(killed), Some((5, How::Signal(11))));
        let memory = AttemptRow {
            memory_limit: Some(3 << 20),
            ..attempt("out_of_memory", None, 5)
        };
        assert_eq!(of(memory), Some((5, How::OutOfMemory(3))));
        // The farm ended it, or it was of an older attempt: that says nothing of how long it takes.
        assert_eq!(of(attempt("interrupted", None, 5)), None);
        let stale = AttemptRow {
            counted: false,
            ..attempt("done", Some(0), 7)
        };
        assert_eq!(of(stale), None);
    }

    #[test]
    fn each_run_has_its_own_and_the_last_goes_on() {
        let fate = |ms, how| Fate { ms, how };
        let known = BTreeMap::from([
            (1, vec![fate(10, How::Exit(2)), fate(20, How::Done)]),
            (2, vec![fate(30, How::Done)]),
            (9, vec![fate(40, How::Done)]),
        ]);
        let fates = Fates::new(known, 3, fate(50, How::Done));
        assert_eq!(fates.of(0, 0), (50, End::Exit(0)));
        assert_eq!(fates.of(1, 0), (10, End::Exit(2)));
        assert_eq!(fates.of(1, 1), (20, End::Exit(0)));
        assert_eq!(fates.of(1, 7), (20, End::Exit(0)));
        assert_eq!(fates.of(2, 3), (30, End::Exit(0)));
        assert!(fates.has_more(1) && !fates.has_more(2));
        // An item that is not there ends at once.
        assert_eq!(fates.of(9, 0), (1, End::Exit(0)));
    }

    #[test]
    fn the_middle_is_one_that_was_there() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![7]), Some(7));
        assert_eq!(median(vec![9, 1, 5, 7]), Some(5));
    }
}
