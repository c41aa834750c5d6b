//! Lines of history that name many items of a job (`fail #1-300`): what became of an item by one of them, and its history with them.

use tessera_engine::supervisor::{kind, told};
use tessera_model::ItemIndex;
use tessera_store::{HistoryRow, READ_LIMIT_MAX, Reader, StoreError};

/// Reads those of a job after `after`, oldest first.
///
/// # Errors
/// When the history can't be read.
pub(crate) fn all(
    reader: &mut dyn Reader,
    job: u64,
    mut after: u64,
) -> Result<Vec<HistoryRow>, StoreError> {
    let mut found = Vec::new();
    loop {
        let rows = reader.history_of_whole(job, after, READ_LIMIT_MAX)?;
        let is_full = rows.len() >= READ_LIMIT_MAX as usize;
        after = rows.last().map_or(after, |row| row.seq);
        found.extend(rows.into_iter().filter(|it| it.row.kind == kind::JOB_ITEMS));
        if !is_full {
            return Ok(found);
        }
    }
}

/// Answers the word of the action, when a line names an item.
pub(crate) fn action_on(line: &HistoryRow, item: u32) -> Option<&str> {
    let is_one = line.row.kind == kind::JOB_ITEMS;
    told::names(&line.row.text, ItemIndex(item)).filter(|_| is_one)
}

/// Reads the history of an item after `after`, oldest first: its own lines, and those that name it among many.
///
/// # Errors
/// When the history can't be read.
pub(crate) fn history(
    reader: &mut dyn Reader,
    job: u64,
    item: u32,
    after: u64,
    limit: u32,
) -> Result<Vec<HistoryRow>, StoreError> {
    let mut rows = reader.history(job, Some(item), after, limit)?;
    let many = all(reader, job, after)?.into_iter();
    rows.extend(many.filter(|line| action_on(line, item).is_some()));
    rows.sort_by_key(|row| row.seq);
    rows.truncate(limit as usize);
    Ok(rows)
}
