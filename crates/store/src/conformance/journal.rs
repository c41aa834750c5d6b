//! The journal: its numbers, its readers and what of it is forgotten.

use super::sample::{job, journal};
use super::{Fixture, Session};
use crate::{Events, HistoryRow, JobRow, JournalRow, READ_LIMIT_MAX, Write};

fn line(job: u64, at_ms: i64) -> Write {
    Write::Journal(JournalRow {
        at_ms,
        ..journal(job, &format!("at {at_ms}"))
    })
}

fn open_job(id: u64) -> Write {
    Write::Job(JobRow {
        key: None,
        ..job(id)
    })
}

fn ended_job(id: u64, ended_ms: i64) -> Write {
    Write::Job(JobRow {
        key: None,
        ended_ms: Some(ended_ms),
        ..job(id)
    })
}

fn cell(job: u64, item: u32, cell: u64) -> Write {
    Write::Journal(JournalRow {
        item: Some(item),
        cell: Some(cell),
        ..journal(job, "")
    })
}

fn told(events: Events) -> Vec<u64> {
    match events {
        Events::Rows(rows) => rows.iter().map(|row| row.seq).collect(),
        Events::Pruned { oldest_seq } => panic!("pruned up to {oldest_seq}"),
    }
}

/// Numbers follow each other over batches, failures, removals, pruning and restarts.
///
/// # Panics
/// When one is missing or used twice.
pub fn numbers_have_no_gaps(fixture: &dyn Fixture) {
    let mut session = Session::open(fixture);
    let mut next = 1;
    for round in 0..10u64 {
        let mut writes = vec![ended_job(round + 1, 5)];
        writes.extend((0..round).map(|_| line(round + 1, 5)));
        let committed = session.commit(writes);
        assert_eq!(
            (committed.first_seq, committed.last_seq + 1),
            (next, next + round)
        );
        next = committed.last_seq + 1;
        session
            .try_commit(vec![line(1, 5), Write::Instance(super::instance(999, 0))])
            .expect_err("bad");
        session = session.again(fixture);
        assert_eq!(session.load().last_seq, next - 1);
    }
    session.commit(
        (1..=10)
            .map(Write::JobRemove)
            .chain([Write::PruneJournal {
                before_seq: u64::MAX >> 1,
            }])
            .collect(),
    );
    session.tidy();
    let mut session = session.again(fixture);
    let mut reader = session.reader();
    assert_eq!(reader.last_seq().unwrap(), next - 1);
    assert_eq!(
        told(reader.events_after(next - 1, 9).unwrap()),
        [] as [u64; 0]
    );
    let committed = session.commit(vec![line(1, 5)]);
    assert_eq!(
        (committed.first_seq, committed.last_seq),
        (next, next),
        "an empty journal counts on"
    );
    assert_eq!(told(reader.events_after(next - 1, 9).unwrap()), [next]);
}

/// Pages of history, of a job and of an item.
///
/// # Panics
/// When a row is missing or in another place.
pub fn history_is_read_in_pages(fixture: &dyn Fixture) {
    let mut session = Session::open(fixture);
    session.commit(vec![
        open_job(1),
        open_job(2),
        Write::Items {
            job: 1,
            segment: 0,
            cells: vec![0; 50],
        },
    ]);
    for item in 0..30 {
        session.commit(vec![line(1, 5), cell(1, item % 3, 1), line(2, 5)]);
    }
    let mut reader = session.reader();
    let mut seen = Vec::new();
    while let page = reader
        .history(1, None, seen.last().copied().unwrap_or(0), 7)
        .unwrap()
        && !page.is_empty()
    {
        assert!(page.len() <= 7 && page.iter().all(|row| row.row.job == Some(1)));
        seen.extend(page.iter().map(|row| row.seq));
    }
    let expected: Vec<u64> = (1..=90).filter(|seq| seq % 3 != 0).collect();
    assert_eq!(seen, expected);
    let of_item = reader.history(1, Some(2), 20, 100).unwrap();
    assert_eq!(
        of_item.iter().map(|row| row.seq).collect::<Vec<_>>(),
        (26..=89).step_by(9).collect::<Vec<_>>()
    );
    assert!(
        of_item
            .iter()
            .all(|row| row.row.item == Some(2) && row.row.cell == Some(1))
    );
    // Of the job as a whole: no line of an item or an instance, none of another job.
    let whole = |job| {
        Write::Journal(JournalRow {
            instance: None,
            ..journal(job, "")
        })
    };
    session.commit(vec![
        whole(1),
        line(1, 5),
        cell(1, 0, 1),
        whole(2),
        whole(1),
    ]);
    let seqs = |rows: Vec<HistoryRow>| rows.iter().map(|row| row.seq).collect::<Vec<_>>();
    assert_eq!(seqs(reader.history_of_whole(1, 0, 9).unwrap()), [91, 95]);
    assert_eq!(seqs(reader.history_of_whole(1, 91, 9).unwrap()), [95]);
    assert_eq!(seqs(reader.history_of_whole(1, 0, 1).unwrap()), [91]);
    assert_eq!(reader.history_of_whole(3, 0, 9).unwrap(), []);
}

/// Events after a number: all of them, or the word that some are gone.
///
/// # Panics
/// When one is passed over silently.
pub fn events_are_told_or_refused(fixture: &dyn Fixture) {
    let mut session = Session::open(fixture);
    session.commit(vec![ended_job(1, 5)]);
    session.commit((1..=20).map(|at| line(1, at)).collect());
    let mut reader = session.reader();
    assert_eq!(told(reader.events_after(0, 3).unwrap()), [1, 2, 3]);
    assert_eq!(told(reader.events_after(17, 9).unwrap()), [18, 19, 20]);
    assert_eq!(told(reader.events_after(20, 9).unwrap()), [] as [u64; 0]);
    assert_eq!(
        reader.events_after(21, 9).unwrap(),
        Events::Pruned { oldest_seq: 0 },
        "from the future"
    );
    session.commit(vec![Write::PruneJournal { before_seq: 11 }]);
    for _ in 0..2 {
        assert_eq!(
            reader.events_after(9, 9).unwrap(),
            Events::Pruned { oldest_seq: 10 }
        );
        assert_eq!(told(reader.events_after(10, 2).unwrap()), [11, 12]);
        session.tidy();
    }
    session.commit(vec![Write::PruneJournal { before_seq: 5 }]);
    assert_eq!(
        told(reader.events_after(10, 2).unwrap()),
        [11, 12],
        "a smaller bound changes nothing"
    );
    drop(reader);
    let session = session.again(fixture);
    assert_eq!(
        session.reader().events_after(0, 9).unwrap(),
        Events::Pruned { oldest_seq: 10 }
    );
    let all = session.reader().events_after(10, u32::MAX).unwrap();
    assert!(told(all).len() <= READ_LIMIT_MAX as usize);
}

/// Pruning by age: item states and the history of unended jobs stay.
///
/// # Panics
/// When something needed is gone, or something old is not.
pub fn pruning_keeps_what_is_needed(fixture: &dyn Fixture) {
    let mut session = Session::open(fixture);
    let items = |job| Write::Items {
        job,
        segment: 0,
        cells: vec![0; 4000],
    };
    session.commit(vec![open_job(1), items(1), ended_job(2, 5), items(2)]);
    for at in 1..=1000 {
        session.commit(vec![
            line(1, at),
            line(2, at),
            Write::Journal(JournalRow {
                at_ms: at,
                ..JournalRow::default()
            }),
        ]);
    }
    session.commit(vec![cell(1, 7, 70), cell(2, 8, 80), cell(1, 3999, 1)]);
    let before = session.load();
    let mut reader = session.reader();
    assert_eq!(reader.journal_prunable(1).unwrap(), None);
    assert_eq!(reader.journal_prunable(2).unwrap(), Some(4));
    assert_eq!(reader.journal_prunable(501).unwrap(), Some(1501));
    session.commit(vec![Write::PruneJournal { before_seq: 1501 }]);
    session.tidy();
    assert_eq!(session.load(), before);
    assert_eq!(reader.history(1, None, 0, 9999).unwrap().len(), 1002);
    assert_eq!(reader.history(2, None, 0, 9999).unwrap().len(), 501);
    assert_eq!(told(reader.events_after(1500, 1).unwrap()), [1501]);
    assert_eq!(reader.journal_prunable(501).unwrap(), None);
    assert_eq!(reader.journal_prunable(502).unwrap(), Some(1504));
    // What was kept goes when its job has ended.
    let rows = |reader: &mut dyn crate::Reader| {
        let usage = reader.usage().unwrap();
        usage
            .tables
            .iter()
            .find(|usage| usage.table == "journal")
            .map_or(0, |usage| usage.rows)
    };
    assert_eq!(rows(&mut *reader), 3003 - 1000);
    session.commit(vec![
        ended_job(1, 9),
        Write::PruneJournal {
            before_seq: u64::MAX >> 1,
        },
    ]);
    session.tidy();
    assert_eq!(rows(&mut *reader), 0);
    drop(reader);
    let mut session = session.again(fixture);
    let after = session.load();
    assert_eq!((after.items, after.last_seq), (before.items, 3003));
}

/// Jobs that ended, the longest ended first.
///
/// # Panics
/// When one is missing, unended or in another place.
pub fn jobs_that_ended_are_listed(fixture: &dyn Fixture) {
    let mut session = Session::open(fixture);
    session.commit(vec![
        ended_job(1, 30),
        open_job(2),
        ended_job(3, 10),
        ended_job(4, 10),
        ended_job(5, -1),
    ]);
    let mut reader = session.reader();
    let mut ids = |before, limit| -> Vec<u64> {
        reader
            .ended_jobs(before, limit)
            .unwrap()
            .iter()
            .map(|job| job.id)
            .collect()
    };
    assert_eq!(ids(i64::MAX, 9), [5, 3, 4, 1]);
    assert_eq!(ids(30, 9), [5, 3, 4]);
    assert_eq!(ids(30, 2), [5, 3]);
    assert_eq!(ids(-1, 9), [] as [u64; 0]);
    let first = reader
        .ended_jobs(11, 9)
        .unwrap()
        .pop()
        .expect("there is one");
    assert_eq!(
        (first.ended_ms, first.owner, first.name),
        (10, "mia".into(), "shot 4".into())
    );
    session.commit(vec![open_job(3)]);
    assert_eq!(
        reader.ended_jobs(i64::MAX, 9).unwrap().len(),
        3,
        "a job may come back to life"
    );
}
