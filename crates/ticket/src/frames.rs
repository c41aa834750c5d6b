//! Frames as runs of numbers, and the part of them that one agenda item covers.

use std::fmt::Write as _;

/// A regular run of frames: `start`, `start + step`, … (`count` of them). A descending run has a negative step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameRun {
    /// The first frame.
    pub start: i64,
    /// The distance between two frames; not 0.
    pub step: i64,
    /// The number of frames, at least 1.
    pub count: u32,
}

impl FrameRun {
    /// Says whether the run has frames, moves, and stays within 64 bits.
    pub fn is_valid(&self) -> bool {
        self.count > 0 && self.step != 0 && self.checked_last().is_some()
    }

    fn checked_last(&self) -> Option<i64> {
        let way = self.step.checked_mul(i64::from(self.count) - 1)?;
        self.start.checked_add(way)
    }

    fn at(&self, index: u32) -> i64 {
        self.start
            .wrapping_add(self.step.wrapping_mul(i64::from(index)))
    }
}

/// The frames of one item: pieces of runs in the order of the agenda.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    pieces: Vec<FrameRun>,
}

impl Chunk {
    /// Takes `len` frames from position `skip` of `runs`; `None` when nothing is there.
    pub fn take(runs: &[FrameRun], skip: u64, len: u32) -> Option<Self> {
        let (mut skip, mut left) = (skip, len);
        let mut pieces = Vec::new();
        for run in runs {
            if left == 0 {
                break;
            }
            if skip >= u64::from(run.count) {
                skip -= u64::from(run.count);
                continue;
            }
            let from = u32::try_from(skip).unwrap_or(u32::MAX);
            let count = left.min(run.count - from);
            join(
                &mut pieces,
                FrameRun {
                    start: run.at(from),
                    step: run.step,
                    count,
                },
            );
            skip = 0;
            left -= count;
        }
        (!pieces.is_empty()).then_some(Self { pieces })
    }

    /// Returns the first frame.
    pub fn first(&self) -> i64 {
        self.pieces.first().map_or(0, |run| run.start)
    }

    /// Returns the last frame, in the order of the agenda.
    pub fn last(&self) -> i64 {
        self.pieces
            .last()
            .map_or(0, |run| run.at(run.count.saturating_sub(1)))
    }

    /// Returns the distance of the frames when it is the same throughout, else 1; for a single frame 1.
    pub fn step(&self) -> i64 {
        match self.pieces.as_slice() {
            [run] if run.count > 1 => run.step,
            _ => 1,
        }
    }

    /// Writes the frames in range syntax: `7`, `1-5`, `1-9x2`, `5--3x2` (descending), joined by commas.
    pub fn range(&self) -> String {
        let mut out = String::new();
        for run in &self.pieces {
            if !out.is_empty() {
                out.push(',');
            }
            write_run(&mut out, run);
        }
        out
    }
}

/// Adds a piece, joined to the one before when together they are one regular run.
fn join(pieces: &mut Vec<FrameRun>, next: FrameRun) {
    if let Some(last) = pieces.last_mut() {
        let gap = next.start.wrapping_sub(last.at(last.count - 1));
        let last_fits = last.count == 1 || last.step == gap;
        let next_fits = next.count == 1 || next.step == gap;
        if gap != 0 && last_fits && next_fits {
            last.step = gap;
            last.count = last.count.saturating_add(next.count);
            return;
        }
    }
    pieces.push(next);
}

fn write_run(out: &mut String, run: &FrameRun) {
    let last = run.at(run.count - 1);
    // Writing to a String can't fail.
    let _ = match (run.count, run.step.unsigned_abs()) {
        (1, _) => write!(out, "{}", run.start),
        (_, 1) => write!(out, "{}-{last}", run.start),
        (_, step) => write!(out, "{}-{last}x{step}", run.start),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(runs: &[(i64, i64, u32)], skip: u64, len: u32) -> Chunk {
        let runs: Vec<_> = runs
            .iter()
            .map(|&(start, step, count)| FrameRun { start, step, count })
            .collect();
        Chunk::take(&runs, skip, len).unwrap()
    }

    #[test]
    fn ranges_are_written_as_they_are_read() {
        assert_eq!(chunk(&[(1, 1, 100)], 0, 5).range(), "1-5");
        assert_eq!(chunk(&[(1, 2, 100)], 0, 5).range(), "1-9x2");
        assert_eq!(chunk(&[(5, -2, 5)], 0, 5).range(), "5--3x2");
        assert_eq!(chunk(&[(-100, 1, 201)], 0, 201).range(), "-100-100");
        assert_eq!(chunk(&[(7, 1, 1)], 0, 1).range(), "7");
        assert_eq!(chunk(&[(1, 1, 3), (10, 1, 3)], 0, 6).range(), "1-3,10-12");
        assert_eq!(chunk(&[(1, 1, 3), (4, 1, 3)], 2, 2).range(), "3-4");
        assert_eq!(chunk(&[(1, 3, 4)], 0, 2).range(), "1-4x3");
    }

    #[test]
    fn chunk_knows_its_ends_and_step() {
        let it = chunk(&[(1, 1, 7)], 5, 5);
        assert_eq!((it.first(), it.last(), it.step()), (6, 7, 1));
        let it = chunk(&[(5, -2, 5)], 0, 5);
        assert_eq!((it.first(), it.last(), it.step()), (5, -3, -2));
        let it = chunk(&[(1, 5, 2)], 1, 1);
        assert_eq!((it.first(), it.last(), it.step()), (6, 6, 1));
        assert_eq!(
            Chunk::take(
                &[FrameRun {
                    start: 1,
                    step: 1,
                    count: 2
                }],
                2,
                1
            ),
            None
        );
    }

    #[test]
    fn a_run_beyond_64_bits_is_not_valid() {
        assert!(
            !FrameRun {
                start: i64::MAX,
                step: 1,
                count: 2
            }
            .is_valid()
        );
        assert!(
            !FrameRun {
                start: 0,
                step: i64::MIN,
                count: 3
            }
            .is_valid()
        );
        assert!(
            !FrameRun {
                start: 0,
                step: 0,
                count: 3
            }
            .is_valid()
        );
        assert!(
            FrameRun {
                start: i64::MAX,
                step: 1,
                count: 1
            }
            .is_valid()
        );
    }
}
