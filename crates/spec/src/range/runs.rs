//! Lists of runs: what two have in common, and how a list without doubles is built.

use super::RangeProblem;
use tessera_model::FrameRun;
use tessera_model::limits::{FRAMES_MAX, RUNS_MAX};

/// Most pairs of overlapping runs that are looked at exactly.
const OVERLAPS_MAX: u32 = 1_000_000;
/// Singles that make a run when evenly spaced; two are enough when they are neighbours.
const SINGLES_MIN: usize = 3;

/// Prints runs as a range that [`parse`](fn@super::parse) reads back.
#[must_use]
pub fn print(runs: &[FrameRun]) -> String {
    let parts: Vec<String> = runs.iter().map(ToString::to_string).collect();
    parts.join(",")
}

/// Answers the smallest and the largest frame of a run.
fn bounds(run: &FrameRun) -> (i64, i64) {
    let (first, last) = (run.start, run.last());
    (first.min(last), first.max(last))
}

/// Answers the frames that both runs name, as a run in the order of `one`.
#[must_use]
pub fn intersection(one: &FrameRun, other: &FrameRun) -> Option<FrameRun> {
    let ((low, high), (other_low, other_high)) = (bounds(one), bounds(other));
    let (low, high) = (low.max(other_low), high.min(other_high));
    if low > high {
        return None;
    }
    let (step, common) = meeting(one, other)?;
    let (low, high) = (i128::from(low), i128::from(high));
    let first = low + (common - low).rem_euclid(step);
    if first > high {
        return None;
    }
    let count = u32::try_from((high - first) / step + 1).ok()?;
    let last = first + step * i128::from(count - 1);
    let step = if count == 1 { 1 } else { step };
    let (start, step) = if one.step < 0 && count > 1 {
        (last, -step)
    } else {
        (first, step)
    };
    Some(FrameRun {
        start: i64::try_from(start).ok()?,
        step: i64::try_from(step).ok()?,
        count,
    })
}

/// Answers the distance between frames that both (made endless) have, and one of these frames.
fn meeting(one: &FrameRun, other: &FrameRun) -> Option<(i128, i128)> {
    let (a, b) = (i128::from(one.start), i128::from(other.start));
    let (s, t) = (i128::from(one.step).abs(), i128::from(other.step).abs());
    let (gcd, inverse) = extended_gcd(s, t);
    if (b - a) % gcd != 0 {
        return None;
    }
    let lcm = s / gcd * t;
    let turns = ((b - a) / gcd % (t / gcd) * inverse).rem_euclid(t / gcd);
    Some((lcm, a + s * turns))
}

/// Answers the greatest common divisor and `x` with `s·x ≡ gcd (mod t)`.
fn extended_gcd(s: i128, t: i128) -> (i128, i128) {
    let (mut r, mut x) = ((s, t), (1, 0));
    while r.1 != 0 {
        let quotient = r.0 / r.1;
        r = (r.1, r.0 - quotient * r.1);
        x = (x.1, x.0 - quotient * x.1);
    }
    (r.0, x.0 % t.max(1))
}

/// Builds a list of runs: joins singles, drops what was named before.
#[derive(Default)]
pub(super) struct Builder {
    parts: Vec<FrameRun>,
    frames: u64,
}

impl Builder {
    /// Adds what the next part of the text names.
    pub(super) fn push(&mut self, run: FrameRun) -> Result<(), RangeProblem> {
        self.frames += u64::from(run.count);
        if self.frames > FRAMES_MAX {
            return Err(RangeProblem::TooManyFrames);
        }
        self.parts.push(run);
        Ok(())
    }

    /// Answers the runs.
    pub(super) fn finish(self) -> Result<Vec<FrameRun>, RangeProblem> {
        let joined = join_singles(&self.parts);
        if joined.len() > RUNS_MAX {
            return Err(RangeProblem::TooManyRuns);
        }
        let mut list = Vec::with_capacity(joined.len());
        let mut overlaps = 0;
        for run in joined {
            let pieces = without(run, &list, &mut overlaps)?;
            list.extend(pieces);
            if list.len() > RUNS_MAX {
                return Err(RangeProblem::TooManyRuns);
            }
        }
        // What doubles left over may be evenly spaced again.
        Ok(join_singles(&list))
    }
}

/// Joins singles that are evenly spaced.
fn join_singles(parts: &[FrameRun]) -> Vec<FrameRun> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = parts.get(at) {
        let length = even_singles(&parts[at..]);
        let step = if length > 1 {
            parts[at + 1].start - first.start
        } else {
            1
        };
        if length >= SINGLES_MIN || (length == 2 && step.abs() == 1) {
            let count = u32::try_from(length).unwrap_or(u32::MAX);
            found.push(FrameRun {
                start: first.start,
                step,
                count,
            });
            at += length;
        } else {
            found.push(*first);
            at += 1;
        }
    }
    found
}

/// Counts how many singles at the beginning are evenly spaced, never at distance 0.
fn even_singles(parts: &[FrameRun]) -> usize {
    let singles = parts
        .iter()
        .take_while(|run| run.count == 1)
        .map(|run| run.start);
    let next = singles.clone().skip(1);
    let mut distances = singles.zip(next).map(|(one, two)| two - one).peekable();
    let Some(step) = distances.peek().copied().filter(|step| *step != 0) else {
        return 1;
    };
    1 + distances.take_while(|distance| *distance == step).count()
}

/// Answers what `list` does not name yet of `run`, in its order.
fn without(
    run: FrameRun,
    list: &[FrameRun],
    overlaps: &mut u32,
) -> Result<Vec<FrameRun>, RangeProblem> {
    let (low, high) = bounds(&run);
    let mut pieces = vec![run];
    for earlier in list {
        let (earlier_low, earlier_high) = bounds(earlier);
        if earlier_high < low || high < earlier_low {
            continue;
        }
        let mut left = Vec::with_capacity(pieces.len());
        for piece in pieces {
            *overlaps += 1;
            if *overlaps > OVERLAPS_MAX {
                return Err(RangeProblem::Tangled);
            }
            cut(piece, earlier, &mut left)?;
        }
        pieces = left;
    }
    Ok(pieces)
}

/// Answers the first frame of `run` that `list` does not name.
pub(crate) fn first_missing(run: FrameRun, list: &[FrameRun]) -> Option<i64> {
    match without(run, list, &mut 0) {
        Ok(pieces) => pieces.first().map(|piece| piece.start),
        Err(_) => Some(run.start),
    }
}

/// Adds to `left` what `earlier` does not name of `piece`.
fn cut(piece: FrameRun, earlier: &FrameRun, left: &mut Vec<FrameRun>) -> Result<(), RangeProblem> {
    let Some(common) = intersection(&piece, earlier) else {
        left.push(piece);
        return Ok(());
    };
    // How many places of the piece lie from one common frame to the next.
    let stride = u32::try_from(common.step / piece.step).unwrap_or(1).max(1);
    let Some(first) = piece.place_of(common.start) else {
        return Ok(());
    };
    let mut from = 0;
    let holes = if stride == 1 { 1 } else { common.count };
    for hole in 0..holes {
        let place = first + hole * stride;
        push_places(piece, from, place, left)?;
        from = if stride == 1 {
            place + common.count
        } else {
            place + 1
        };
    }
    push_places(piece, from, piece.count, left)
}

/// Adds the frames at the places `from..to` of `piece`.
fn push_places(
    piece: FrameRun,
    from: u32,
    to: u32,
    left: &mut Vec<FrameRun>,
) -> Result<(), RangeProblem> {
    if from >= to {
        return Ok(());
    }
    if left.len() >= RUNS_MAX {
        return Err(RangeProblem::TooManyRuns);
    }
    let count = to - from;
    let step = if count == 1 { 1 } else { piece.step };
    left.push(FrameRun {
        start: piece.at(from),
        step,
        count,
    });
    Ok(())
}
