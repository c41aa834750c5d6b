//! Segments of cells as bytes.
//!
//! A byte with the format's number, then pieces until the end. A piece is a little-endian `u16`, its highest bit saying
//! *run* and the others how many cells (1 to 32767), then either the one cell of the run or each cell, little-endian.
//! Items of a job that nothing has happened to are alike, so a new job of a million items takes kilobytes.

/// Number of the format.
const FORMAT: u8 = 1;
/// Marks a run.
const RUN: u16 = 0x8000;
/// Shortest run that is worth a piece of its own.
const RUN_MIN: usize = 4;

/// Packs at most [`crate::SEGMENT_ITEMS`] cells.
pub(crate) fn encode(cells: &[u64]) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    let mut literal = 0;
    let mut at = 0;
    while at < cells.len() {
        let run = cells[at..]
            .iter()
            .take_while(|cell| **cell == cells[at])
            .count();
        if run >= RUN_MIN {
            push_literal(&mut bytes, &cells[literal..at]);
            push_piece(&mut bytes, RUN, run, &cells[at..=at]);
            literal = at + run;
        }
        at += run;
    }
    push_literal(&mut bytes, &cells[literal..]);
    bytes
}

fn push_literal(bytes: &mut Vec<u8>, cells: &[u64]) {
    if !cells.is_empty() {
        push_piece(bytes, 0, cells.len(), cells);
    }
}

fn push_piece(bytes: &mut Vec<u8>, mark: u16, count: usize, cells: &[u64]) {
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    assert!(count < RUN, "a segment is longer than a piece can be");
    bytes.extend_from_slice(&(mark | count).to_le_bytes());
    for cell in cells {
        bytes.extend_from_slice(&cell.to_le_bytes());
    }
}

/// What is wrong with a segment's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the packed items are damaged")]
pub(crate) struct BadCells;

/// Unpacks exactly `count` cells and appends them to `out`; after an error `out` has its old length.
pub(crate) fn decode(bytes: &[u8], count: u32, out: &mut Vec<u64>) -> Result<(), BadCells> {
    let start = out.len();
    let result = decode_pieces(bytes, start + count as usize, out);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn decode_pieces(bytes: &[u8], end: usize, out: &mut Vec<u64>) -> Result<(), BadCells> {
    let Some((&FORMAT, mut rest)) = bytes.split_first() else {
        return Err(BadCells);
    };
    while let Some((head, tail)) = rest.split_first_chunk::<2>() {
        let head = u16::from_le_bytes(*head);
        let count = usize::from(head & !RUN);
        if out.len() + count > end {
            return Err(BadCells);
        }
        rest = if head & RUN == 0 {
            take_literal(tail, count, out)?
        } else {
            take_run(tail, count, out)?
        };
    }
    if rest.is_empty() && out.len() == end {
        Ok(())
    } else {
        Err(BadCells)
    }
}

fn take_literal<'a>(
    bytes: &'a [u8],
    count: usize,
    out: &mut Vec<u64>,
) -> Result<&'a [u8], BadCells> {
    let (cells, rest) = bytes.split_at_checked(count * 8).ok_or(BadCells)?;
    out.extend(
        cells
            .as_chunks::<8>()
            .0
            .iter()
            .map(|cell| u64::from_le_bytes(*cell)),
    );
    Ok(rest)
}

fn take_run<'a>(bytes: &'a [u8], count: usize, out: &mut Vec<u64>) -> Result<&'a [u8], BadCells> {
    let (cell, rest) = bytes.split_first_chunk::<8>().ok_or(BadCells)?;
    out.resize(out.len() + count, u64::from_le_bytes(*cell));
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::{BadCells, decode, encode};
    use crate::SEGMENT_ITEMS;
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    fn round(cells: &[u64]) -> usize {
        let bytes = encode(cells);
        let mut out = vec![7];
        decode(&bytes, u32::try_from(cells.len()).unwrap(), &mut out).unwrap();
        assert_eq!(out[1..], *cells);
        bytes.len()
    }

    #[test]
    fn equal_cells_take_one_piece() {
        assert_eq!(round(&vec![u64::MAX; SEGMENT_ITEMS as usize]), 11);
    }

    #[test]
    fn different_cells_cost_little_more_than_themselves() {
        let cells: Vec<u64> = (0..u64::from(SEGMENT_ITEMS)).collect();
        assert_eq!(round(&cells), 3 + cells.len() * 8);
        assert_eq!(round(&[]), 1);
    }

    #[test]
    fn damage_is_seen_and_leaves_nothing() {
        let good = encode(&[1, 1, 1, 1, 1, 2, 3]);
        for cut in 0..good.len() {
            let mut out = vec![9];
            assert_eq!(
                decode(&good[..cut], 7, &mut out),
                Err(BadCells),
                "cut at {cut}"
            );
            assert_eq!(out, [9]);
        }
        let mut out = Vec::new();
        assert_eq!(decode(&good, 6, &mut out), Err(BadCells));
        assert_eq!(decode(&good, 8, &mut out), Err(BadCells));
        assert_eq!(decode(&[2, 0, 0], 0, &mut out), Err(BadCells));
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_back(runs in prop::collection::vec((0u64..4, 1usize..9), 0..300)) {
            let cells: Vec<u64> = runs.iter().flat_map(|(cell, n)| vec![*cell; *n]).collect();
            round(&cells);
        }

        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0u32..5000) {
            let mut out = Vec::new();
            if decode(&bytes, count, &mut out).is_ok() {
                prop_assert_eq!(out.len(), count as usize);
            } else {
                prop_assert!(out.is_empty());
            }
        }
    }
}
