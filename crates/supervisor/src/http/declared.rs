//! Who declared an item failed that did not fail by itself (`tessera fail`).

use super::{of_many, views};
use std::collections::BTreeMap;
use tessera_api::types::EndView;
use tessera_engine::supervisor::items::ItemCore;
use tessera_model::{Action, ItemStatus};
use tessera_store::{AttemptRow, HistoryRow, JournalRow, READ_LIMIT_MAX, Reader, StoreError};

/// The word for such an end.
const KIND: &str = "declared";
/// What is said of whoever did it.
const DECLARED: &str = " declared it failed";

/// Says whether an item that is failed may have been declared so, by its newest attempt: that is not what it failed of.
pub(crate) fn may_be(newest: Option<&AttemptRow>) -> bool {
    newest.is_none_or(|row| {
        !row.counted
            || matches!(
                views::end_view(row).outcome.as_str(),
                "done" | "interrupted"
            )
    })
}

/// Looks up who declared items failed.
pub(crate) struct Declared<'a> {
    reader: &'a mut dyn Reader,
    /// Lines about many items at once, by job: read once.
    of_many: BTreeMap<u64, Vec<HistoryRow>>,
}

impl<'a> Declared<'a> {
    /// Looks in a history.
    pub(crate) fn new(reader: &'a mut dyn Reader) -> Self {
        let of_many = BTreeMap::new();
        Self { reader, of_many }
    }

    /// Answers who declared an item failed; nothing when its history does not say that somebody did.
    ///
    /// # Errors
    /// When the history can't be read.
    pub(crate) fn by(&mut self, job: u64, item: u32) -> Result<Option<String>, StoreError> {
        let last = self.last_line(job, item)?;
        let own = last.as_ref().map_or(0, |row| row.seq);
        let lines = self.of_many(job)?.iter().rev();
        let mut lines = lines.take_while(|line| line.seq > own);
        let newest = lines.find_map(|line| Some((line, of_many::action_on(line, item)?)));
        Ok(match newest {
            Some((line, word)) if word == Action::Fail.word() => line.row.actor.clone(),
            Some(_) => None,
            None => last.and_then(|last| declared_by(last.row)),
        })
    }

    fn last_line(&mut self, job: u64, item: u32) -> Result<Option<HistoryRow>, StoreError> {
        let (mut after, mut last) = (0, None);
        loop {
            let rows = self
                .reader
                .history(job, Some(item), after, READ_LIMIT_MAX)?;
            let is_full = rows.len() >= READ_LIMIT_MAX as usize;
            if let Some(row) = rows.into_iter().next_back() {
                after = row.seq;
                last = Some(row);
            }
            if !is_full {
                return Ok(last);
            }
        }
    }

    fn of_many(&mut self, job: u64) -> Result<&[HistoryRow], StoreError> {
        if !self.of_many.contains_key(&job) {
            let lines = of_many::all(self.reader, job, 0)?;
            self.of_many.insert(job, lines);
        }
        Ok(self.of_many.get(&job).map_or(&[], Vec::as_slice))
    }
}

/// Answers who, when an item's last line of history says that somebody declared it failed.
fn declared_by(last: JournalRow) -> Option<String> {
    let core = last.cell.and_then(ItemCore::unpack)?;
    last.actor.filter(|_| core.status == ItemStatus::Failed)
}

/// Tells how an item ended that somebody declared failed.
pub(crate) fn end(who: &str) -> EndView {
    EndView {
        text: text(who),
        outcome: "failed".to_owned(),
        kind: KIND.to_owned(),
        ..EndView::default()
    }
}

/// Says who did it.
pub(crate) fn text(who: &str) -> String {
    format!("{who}{DECLARED}")
}

/// Answers who did it, of an end that says so.
pub(crate) fn who(end: &EndView) -> Option<&str> {
    let is_declared = end.kind == KIND;
    end.text.strip_suffix(DECLARED).filter(|_| is_declared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_attempt_failed_of_was_not_declared() {
        let row = |outcome: &str, exit_code, counted| AttemptRow {
            outcome: outcome.into(),
            exit_code,
            counted,
            ..AttemptRow::default()
        };
        assert!(!may_be(Some(&row("failed", Some(3), true))));
        assert!(may_be(None), "it never ran");
        assert!(may_be(Some(&row("done", Some(0), true))));
        assert!(
            may_be(Some(&row("failed", Some(143), false))),
            "ended for that"
        );
        assert!(may_be(Some(&row("interrupted", None, true))));
    }

    #[test]
    fn who_did_it_is_read_off_the_last_line() {
        let line = |status, actor: Option<&str>| JournalRow {
            actor: actor.map(str::to_owned),
            cell: Some(ItemCore::new(status).pack()),
            ..JournalRow::default()
        };
        let by = |status, actor| declared_by(line(status, actor));
        assert_eq!(by(ItemStatus::Failed, Some("tom")).as_deref(), Some("tom"));
        assert_eq!(by(ItemStatus::Failed, None), None);
        assert_eq!(by(ItemStatus::Pending, Some("tom")), None, "retried since");
        assert_eq!(declared_by(JournalRow::default()), None);
        assert_eq!(who(&end("tom")), Some("tom"));
        assert_eq!(who(&EndView::default()), None);
    }
}
