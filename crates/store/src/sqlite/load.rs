//! The whole picture, for a start.

use super::items::each_cell;
use super::map::{self, Failure};
use crate::SEGMENT_ITEMS;
use crate::cells;
use crate::error::StoreError;
use crate::rows::ItemsRow;
use crate::store::Loaded;
use rusqlite::{Connection, Row};
use std::collections::BTreeMap;

/// Reads everything that the engine needs, in one picture. The journal and the attempts are not read.
pub(super) fn all(db: &mut Connection) -> Result<Loaded, Failure> {
    let tx = db.transaction()?;
    let loaded = within(&tx)?;
    tx.commit()?;
    Ok(loaded)
}

/// Reads it within a transaction that the caller has begun.
pub(super) fn within(tx: &Connection) -> Result<Loaded, Failure> {
    let last_seq = tx.query_row("SELECT last_seq FROM lease WHERE shard = 0", [], |row| {
        map::number(row, 0)
    })?;
    let jobs = format!(
        "SELECT {} FROM jobs j JOIN job_states s ON s.id = j.id ORDER BY j.id",
        map::JOB_COLUMNS
    );
    Ok(Loaded {
        last_seq,
        jobs: rows(tx, &jobs, map::job)?,
        items: items(tx)?,
        instances: table(
            tx,
            map::INSTANCE_COLUMNS,
            "instances",
            "job, instance",
            map::instance,
        )?,
        launches: table(
            tx,
            map::LAUNCH_COLUMNS,
            "launches",
            "job, instance, launch",
            map::launch,
        )?,
        hosts: table(tx, map::HOST_COLUMNS, "hosts", "id", map::host)?,
        tokens: table(tx, map::TOKEN_COLUMNS, "tokens", "id", map::token)?,
        join_tokens: table(
            tx,
            map::JOIN_TOKEN_COLUMNS,
            "join_tokens",
            "sha256",
            map::join_token,
        )?,
        credentials: table(
            tx,
            map::CREDENTIAL_COLUMNS,
            "credentials",
            "kind, account, pool",
            map::credential,
        )?,
        credential_seals: table(
            tx,
            map::CREDENTIAL_SEAL_COLUMNS,
            "credential_seals",
            "kind, account, pool, key",
            map::credential_seal,
        )?,
        pool_keys: table(
            tx,
            map::POOL_KEY_COLUMNS,
            "pool_keys",
            "host, place",
            map::pool_key,
        )?,
        meta: meta(tx)?,
    })
}

fn table<T>(
    tx: &Connection,
    columns: &str,
    table: &str,
    order: &str,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    rows(
        tx,
        &format!("SELECT {columns} FROM {table} ORDER BY {order}"),
        read,
    )
}

fn rows<T>(
    tx: &Connection,
    sql: &str,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    tx.prepare(sql)?.query_map([], read)?.collect()
}

fn meta(tx: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    tx.prepare("SELECT key, value FROM meta")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Items of one job and, by segment, the newest journal number in it.
struct Packed {
    row: ItemsRow,
    seqs: Vec<u64>,
}

fn items(tx: &Connection) -> Result<Vec<ItemsRow>, Failure> {
    let mut all: Vec<Packed> = Vec::new();
    let mut statement = tx.prepare(
        "SELECT i.job, i.segment, i.count, i.cells, i.seq, j.items FROM items i JOIN jobs j ON j.id = i.job
         ORDER BY i.job, i.segment",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (job, segment): (u64, u32) = (map::number(row, 0)?, row.get(1)?);
        if all.last().is_none_or(|last| last.row.job != job) {
            let cells = Vec::with_capacity(capacity(row.get(5)?));
            all.push(Packed {
                row: ItemsRow { job, cells },
                seqs: Vec::new(),
            });
        }
        let Some(last) = all.last_mut() else { continue };
        // Cells are found by their place: a segment that is missing, or short before another, is damage.
        if last.row.cells.len() != segment as usize * SEGMENT_ITEMS as usize {
            return Err(missing_segment(job, segment).into());
        }
        let bytes = row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
        cells::decode(bytes, row.get(2)?, &mut last.row.cells)?;
        last.seqs.push(map::number(row, 4)?);
    }
    put_journal_in(tx, &mut all)?;
    Ok(all.into_iter().map(|packed| packed.row).collect())
}

/// Room to begin with; what the row says is not trusted with more than one job's usual size.
fn capacity(items: u32) -> usize {
    items.min(1 << 20) as usize
}

fn missing_segment(job: u64, segment: u32) -> StoreError {
    StoreError::Unknown {
        what: "segment of items before",
        key: format!("segment {segment} of job {job}"),
    }
}

/// Puts the cells in that are in the journal only.
fn put_journal_in(tx: &Connection, all: &mut [Packed]) -> Result<(), Failure> {
    each_cell(tx, |seq, job, item, cell| {
        // A job that is gone, or a segment that was written later.
        let Ok(at) = all.binary_search_by_key(&job, |packed| packed.row.job) else {
            return Ok(());
        };
        let Packed { row, seqs } = &mut all[at];
        if seqs
            .get((item / SEGMENT_ITEMS) as usize)
            .is_some_and(|packed| *packed < seq)
        {
            *row.cells.get_mut(item as usize).ok_or(cells::BadCells)? = cell;
        }
        Ok(())
    })
}
