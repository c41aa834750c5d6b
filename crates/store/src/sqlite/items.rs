//! Items: packed segments, the cells in the journal that are not packed yet, and when they are.
//!
//! A cell is durable with its journal row. In memory each segment with such cells is *dirty*: it keeps them until they
//! are many or old, and then one transaction packs them into the segment, which notes the newest journal number that it
//! contains. `lease.folded_before` is the oldest number that a start must look at: that of the oldest dirty cell.

use super::map::{self, Failure, exact};
use crate::SEGMENT_ITEMS;
use crate::cells;
use crate::error::StoreError;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::{BTreeMap, HashMap};

/// Journal rows after which a cell should be packed: about as many are read at a start.
const AGE_MAX: u64 = 65_536;
/// Cells of a segment after which it is packed: a full one then costs 32 bytes a cell.
const CELLS_MAX: u32 = 1_024;
/// Segments that a commit packs because of their age, so that none takes long…
const FOLDS_MIN: usize = 8;
/// …and this share of the dirty ones on top, so that they can't gather for ever.
const FOLDS_SHARE: usize = 64;

/// A job and the number of one of its segments.
type Key = (u64, u32);

/// Cells of a segment that are in the journal only, by their place in it.
#[derive(Debug)]
struct Cells {
    /// The number of the first of them.
    since: u64,
    by_place: BTreeMap<u32, u64>,
}

impl Cells {
    fn new(since: u64) -> Self {
        Self {
            since,
            by_place: BTreeMap::new(),
        }
    }

    fn last_place(&self) -> u32 {
        self.by_place.keys().next_back().copied().unwrap_or(0)
    }
}

/// Drops a job's entries.
fn forget_job<T>(map: &mut BTreeMap<Key, T>, job: u64) -> Vec<T> {
    let keys: Vec<Key> = map
        .range((job, 0)..=(job, u32::MAX))
        .map(|(key, _)| *key)
        .collect();
    keys.iter().filter_map(|key| map.remove(key)).collect()
}

/// The cells of one batch; the last of an item wins.
#[derive(Debug, Default)]
pub(super) struct Pending {
    cells: BTreeMap<Key, Cells>,
}

impl Pending {
    /// Takes the cell of journal row `seq`.
    pub(super) fn put(
        &mut self,
        seq: u64,
        job: Option<u64>,
        item: Option<u32>,
        cell: u64,
    ) -> Result<(), StoreError> {
        let (Some(job), Some(item)) = (job, item) else {
            return Err(StoreError::Invalid {
                field: "journal.cell",
                value: cell.to_string(),
                why: "a cell needs its job and item",
            });
        };
        let cells = self
            .cells
            .entry((job, item / SEGMENT_ITEMS))
            .or_insert_with(|| Cells::new(seq));
        cells.by_place.insert(item % SEGMENT_ITEMS, cell);
        Ok(())
    }

    /// Drops cells of a segment that is written whole.
    pub(super) fn forget_segment(&mut self, job: u64, segment: u32) {
        self.cells.remove(&(job, segment));
    }

    /// Drops cells of a job that is removed.
    pub(super) fn forget_job(&mut self, job: u64) {
        forget_job(&mut self.cells, job);
    }
}

/// Says whether a job is kept.
pub(super) fn job_exists(tx: &Connection, job: i64) -> rusqlite::Result<bool> {
    tx.prepare_cached("SELECT 1 FROM jobs WHERE id = ?1")?
        .exists([job])
}

/// A dirty segment.
#[derive(Debug)]
struct Dirty {
    /// Its items.
    count: u32,
    cells: Cells,
}

impl Dirty {
    /// Says whether it has so many cells that it is packed now. Small ones are packed at once: a row more in the
    /// same page.
    fn is_full(&self) -> bool {
        self.cells.by_place.len() >= (self.count / 4).clamp(1, CELLS_MAX) as usize
    }
}

/// All dirty segments. What is in memory is what the journal says; after a failed transaction it is read from there.
#[derive(Debug, Default)]
pub(super) struct Tails {
    is_known: bool,
    dirty: BTreeMap<Key, Dirty>,
    by_age: BTreeMap<u64, Key>,
}

impl Tails {
    /// Forgets all; it is read again when it is needed.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Reads what is in the journal only, unless it is known.
    pub(super) fn know(&mut self, db: &Connection) -> Result<(), Failure> {
        if self.is_known {
            return Ok(());
        }
        self.forget();
        let mut segments: HashMap<Key, Option<Segment>> = HashMap::new();
        each_cell(db, |seq, job, item, cell| {
            let key = (job, item / SEGMENT_ITEMS);
            let segment = match segments.get(&key) {
                Some(known) => *known,
                None => *segments.entry(key).or_insert(find_segment(db, key)?),
            };
            if let Some(segment) = segment.filter(|segment| segment.seq < seq) {
                self.put(
                    key,
                    segment.count,
                    seq,
                    [(item % SEGMENT_ITEMS, cell)].into(),
                );
            }
            Ok(())
        })?;
        self.is_known = true;
        Ok(())
    }

    fn put(&mut self, key: Key, count: u32, since: u64, cells: BTreeMap<u32, u64>) {
        let by_age = &mut self.by_age;
        let dirty = self.dirty.entry(key).or_insert_with(|| {
            by_age.insert(since, key);
            Dirty {
                count,
                cells: Cells::new(since),
            }
        });
        dirty.cells.by_place.extend(cells);
    }

    fn drop_segment(&mut self, key: Key) -> Option<Dirty> {
        let dirty = self.dirty.remove(&key)?;
        self.by_age.remove(&dirty.cells.since);
        Some(dirty)
    }

    /// Drops the cells of a job that is removed.
    pub(super) fn forget_job(&mut self, job: u64) {
        for dirty in forget_job(&mut self.dirty, job) {
            self.by_age.remove(&dirty.cells.since);
        }
    }

    /// Writes a segment whole, as of journal number `seq`.
    pub(super) fn replace(
        &mut self,
        tx: &Connection,
        (job, segment): Key,
        seq: u64,
        cells: &[u64],
    ) -> Result<(), Failure> {
        let count = u32::try_from(cells.len()).unwrap_or(u32::MAX);
        if count == 0 || count > SEGMENT_ITEMS || segment > u32::MAX / SEGMENT_ITEMS {
            return Err(StoreError::Invalid {
                field: "items.cells",
                value: format!("{count} cells of segment {segment}"),
                why: "a segment has 1 to 4096 cells, a job 2^32 items",
            }
            .into());
        }
        self.drop_segment((job, segment));
        tx.prepare_cached("INSERT OR REPLACE INTO items VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                exact("items.job", job)?,
                segment,
                count,
                exact("items.seq", seq)?,
                cells::encode(cells)
            ])?;
        Ok(())
    }

    /// Takes the cells of a batch, and packs what is full or old. Cells of a job that is not kept (it came and went in
    /// one turn) are dropped.
    pub(super) fn take(
        &mut self,
        tx: &Connection,
        pending: Pending,
        seq: u64,
    ) -> Result<(), Failure> {
        for (key, cells) in pending.cells {
            let known = self.dirty.get(&key).map(|dirty| dirty.count);
            let count = match known {
                Some(count) => Some(count),
                None => find_segment(tx, key)?.map(|segment| segment.count),
            };
            match count {
                Some(count) if cells.last_place() < count => {
                    self.put(key, count, cells.since, cells.by_place);
                }
                None if !job_exists(tx, exact("journal.job", key.0)?)? => continue,
                _ => return Err(no_such_item(key, &cells).into()),
            }
            if self.dirty.get(&key).is_some_and(Dirty::is_full) {
                self.fold(tx, key, seq)?;
            }
        }
        let folds = FOLDS_MIN + self.dirty.len() / FOLDS_SHARE;
        self.fold_older(tx, seq.saturating_sub(AGE_MAX), folds, seq)
    }

    /// Packs at most `folds` segments with cells from before number `before`, the oldest first.
    pub(super) fn fold_older(
        &mut self,
        tx: &Connection,
        before: u64,
        folds: usize,
        seq: u64,
    ) -> Result<(), Failure> {
        for _ in 0..folds {
            match self.by_age.first_key_value() {
                Some((since, key)) if *since < before => self.fold(tx, *key, seq)?,
                _ => break,
            }
        }
        Ok(())
    }

    /// Answers the oldest number that a start must look at, `seq` being the newest.
    pub(super) fn folded_before(&self, seq: u64) -> u64 {
        self.by_age.keys().next().copied().unwrap_or(seq + 1)
    }

    /// Packs a segment's cells into it, as of journal number `seq`.
    fn fold(&mut self, tx: &Connection, key: Key, seq: u64) -> Result<(), Failure> {
        let Some(dirty) = self.drop_segment(key) else {
            return Ok(());
        };
        let (job, segment) = (exact("journal.job", key.0)?, key.1);
        let mut all = Vec::with_capacity(dirty.count as usize);
        let bytes: Vec<u8> = tx
            .prepare_cached("SELECT cells FROM items WHERE job = ?1 AND segment = ?2")?
            .query_row(params![job, segment], |row| row.get(0))?;
        cells::decode(&bytes, dirty.count, &mut all)?;
        for (place, cell) in dirty.cells.by_place {
            *all.get_mut(place as usize).ok_or(cells::BadCells)? = cell;
        }
        tx.prepare_cached("UPDATE items SET cells = ?3, seq = ?4 WHERE job = ?1 AND segment = ?2")?
            .execute(params![
                job,
                segment,
                cells::encode(&all),
                exact("items.seq", seq)?
            ])?;
        Ok(())
    }
}

fn no_such_item((job, segment): Key, cells: &Cells) -> StoreError {
    let item = u64::from(segment) * u64::from(SEGMENT_ITEMS) + u64::from(cells.last_place());
    StoreError::Unknown {
        what: "item",
        key: format!("#{item} of job {job}"),
    }
}

/// What is known of a segment beside its cells.
#[derive(Debug, Clone, Copy)]
struct Segment {
    /// Its items.
    count: u32,
    /// The newest journal number that it contains.
    seq: u64,
}

fn find_segment(tx: &Connection, (job, segment): Key) -> Result<Option<Segment>, Failure> {
    let found = tx
        .prepare_cached("SELECT count, seq FROM items WHERE job = ?1 AND segment = ?2")?
        .query_row(params![exact("journal.job", job)?, segment], |row| {
            Ok(Segment {
                count: row.get(0)?,
                seq: map::number(row, 1)?,
            })
        })
        .optional()?;
    Ok(found)
}

/// Gives number, job, item and cell of each journal row that may not be packed yet, in their order.
pub(super) fn each_cell(
    db: &Connection,
    mut give: impl FnMut(u64, u64, u32, u64) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut statement = db.prepare_cached(
        "SELECT seq, job, item, cell FROM journal
         WHERE seq >= (SELECT folded_before FROM lease WHERE shard = 0) AND cell IS NOT NULL ORDER BY seq",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let cell = row.get::<_, i64>(3)?.cast_unsigned();
        give(
            map::number(row, 0)?,
            map::number(row, 1)?,
            row.get(2)?,
            cell,
        )?;
    }
    Ok(())
}
