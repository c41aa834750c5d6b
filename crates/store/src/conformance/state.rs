//! State: what is written is loaded.

use super::sample::{attempt, host, instance, job, join_token, journal, launch, token};
use super::{Fixture, Session};
use crate::{
    AttemptRow, Batch, Epoch, Events, ItemsRow, JobRow, JobStateRow, JournalRow, Loaded,
    SEGMENT_ITEMS, StateCounts, StoreError, Write,
};

/// Text that has broken programs before.
const HOSTILE: &[&str] = &[
    "",
    " ",
    "'; DROP TABLE jobs; --",
    "\"\\`$(reboot)`",
    "nul\0in the middle",
    "\u{1b}[2J\u{7}\r\n\t",
    "Ünïcödé 漢字 🎬 e\u{301} \u{202e}thgir",
    "%s%n {} {{}} ?1 :name @x",
    "\u{10ffff}\u{0}",
];

fn cell(job: u64, item: u32, cell: u64) -> Write {
    Write::Journal(JournalRow {
        item: Some(item),
        cell: Some(cell),
        ..journal(job, "item changed")
    })
}

fn items(job: u64, segment: u32, cells: Vec<u64>) -> Write {
    Write::Items {
        job,
        segment,
        cells,
    }
}

fn plain_job(id: u64) -> JobRow {
    JobRow {
        key: None,
        ..job(id)
    }
}

/// A store that nothing was written to.
///
/// # Panics
/// When it is not empty.
pub fn a_new_store_is_empty(fixture: &dyn Fixture) {
    let mut session = Session::open(fixture);
    assert_eq!(session.load(), Loaded::default());
    let mut reader = session.reader();
    assert_eq!(reader.last_seq().unwrap(), 0);
    assert_eq!(reader.events_after(0, 10).unwrap(), Events::Rows(vec![]));
    assert_eq!(reader.job_row(1).unwrap(), None);
    assert_eq!(reader.history(1, None, 0, 10).unwrap(), []);
    assert_eq!(reader.attempts(1, None, None, 10).unwrap(), []);
    assert_eq!(reader.journal_prunable(i64::MAX).unwrap(), None);
    let committed = session.commit(vec![]);
    assert_eq!((committed.first_seq, committed.last_seq), (1, 0));
}

fn one_of_each() -> (Vec<Write>, Loaded) {
    let bare_host = crate::HostRow {
        is_locked: false,
        fingerprint: None,
        ..host(2)
    };
    let bare_launch = crate::LaunchRow {
        item: None,
        attempt: None,
        ..launch(2, 0, 1)
    };
    let bare_token = crate::TokenRow {
        is_admin: false,
        expires_ms: None,
        last_used_ms: None,
        ..token("b", 2)
    };
    let bare_job = JobRow {
        started_ms: None,
        ended_ms: Some(9),
        ..plain_job(2)
    };
    let writes = vec![
        Write::Job(job(1)),
        Write::Job(bare_job.clone()),
        items(1, 0, vec![1, 2, u64::MAX]),
        items(2, 0, vec![5]),
        Write::Instance(instance(1, 0)),
        Write::Instance(instance(1, 1)),
        Write::Launch(launch(1, 1, 3)),
        Write::Launch(bare_launch.clone()),
        Write::Host(host(1)),
        Write::Host(bare_host.clone()),
        Write::Token(token("a", 1)),
        Write::Token(bare_token.clone()),
        Write::JoinToken(join_token(4)),
        Write::Meta {
            key: "farm".into(),
            value: "a name".into(),
        },
        Write::Journal(journal(1, "submitted")),
        Write::Attempt(attempt(1, 0, 1)),
    ];
    let loaded = Loaded {
        last_seq: 1,
        jobs: vec![job(1), bare_job],
        items: vec![
            ItemsRow {
                job: 1,
                cells: vec![1, 2, u64::MAX],
            },
            ItemsRow {
                job: 2,
                cells: vec![5],
            },
        ],
        instances: vec![instance(1, 0), instance(1, 1)],
        launches: vec![launch(1, 1, 3), bare_launch],
        hosts: vec![host(1), bare_host],
        tokens: vec![token("a", 1), bare_token],
        join_tokens: vec![join_token(4)],
        meta: [("farm".to_owned(), "a name".to_owned())].into(),
        ..Loaded::default()
    };
    (writes, loaded)
}

/// Every kind of write, then every kind of change and removal, each seen at once and after a restart.
///
/// # Panics
/// When something doesn't come back as it was.
pub fn every_write_comes_back(fixture: &dyn Fixture) {
    let mut session = Session::open(fixture);
    let (writes, expected) = one_of_each();
    session.commit(writes);
    assert_eq!(session.load(), expected);
    let mut session = session.again(fixture);
    assert_eq!(session.load(), expected);
    let mut reader = session.reader();
    assert_eq!(reader.job_row(1).unwrap().as_ref(), Some(&expected.jobs[0]));
    assert_eq!(
        reader.attempts(1, None, None, 9).unwrap(),
        [attempt(1, 0, 1)]
    );
    assert_eq!(
        reader.history(1, None, 0, 9).unwrap()[0].row,
        journal(1, "submitted")
    );

    let state = JobStateRow {
        id: 1,
        state: "complete".into(),
        priority: 1,
        order: 77,
        started_ms: Some(4),
        ended_ms: Some(5),
        counts: StateCounts {
            complete: 3,
            ..StateCounts::default()
        },
    };
    let mut ended = job(1);
    ended.set_state(&state);
    let renamed = JobRow {
        name: "renamed".into(),
        key: Some("new".into()),
        ..plain_job(2)
    };
    let changed = crate::InstanceRow {
        state: "complete".into(),
        ..instance(1, 0)
    };
    session.commit(vec![
        Write::JobState(state),
        Write::Job(renamed.clone()),
        items(2, 0, vec![6]),
        Write::Instance(changed.clone()),
        Write::LaunchRemove {
            job: 1,
            instance: 1,
            launch: 3,
        },
        Write::LaunchRemove {
            job: 9,
            instance: 9,
            launch: 9,
        },
        Write::HostRemove([1; 16]),
        Write::TokenRemove("a".into()),
        Write::TokenRemove("not there".into()),
        Write::JoinTokenRemove([4; 32]),
        Write::Meta {
            key: "farm".into(),
            value: "another".into(),
        },
    ]);
    let expected = Loaded {
        jobs: vec![ended, renamed],
        items: vec![
            expected.items[0].clone(),
            ItemsRow {
                job: 2,
                cells: vec![6],
            },
        ],
        instances: vec![changed, instance(1, 1)],
        launches: vec![expected.launches[1].clone()],
        hosts: vec![expected.hosts[1].clone()],
        tokens: vec![expected.tokens[1].clone()],
        join_tokens: vec![],
        meta: [("farm".to_owned(), "another".to_owned())].into(),
        last_seq: 1,
        ..Loaded::default()
    };
    assert_eq!(session.load(), expected);
    assert_eq!(session.again(fixture).load(), expected);
}

/// Journal cells change items; a segment written after them wins, one before them doesn't.
///
/// # Panics
/// When an item is in another state.
pub fn cells_win_in_their_order(fixture: &dyn Fixture) {
    let mut session = Session::open(fixture);
    // Another job's cell comes first and stays in the journal, so that a start reads all that follow.
    session.commit(vec![
        Write::Job(plain_job(1)),
        Write::Job(plain_job(2)),
        items(1, 0, vec![0; 100]),
        items(2, 0, vec![0; 100]),
        cell(2, 0, 1),
    ]);
    session.commit(vec![cell(1, 3, 30), cell(1, 4, 40), cell(1, 3, 31)]);
    assert_eq!(&session.load().items[0].cells[2..6], [0, 31, 40, 0]);
    session.commit(vec![cell(1, 4, 41)]);
    // In one batch: a cell, the segment, another cell.
    session.commit(vec![
        cell(1, 0, 1),
        items(1, 0, vec![9; 100]),
        cell(1, 1, 11),
    ]);
    let mut session = session.again(fixture);
    let cells = session.load().items.remove(0).cells;
    assert_eq!(cells[..6], [9, 11, 9, 9, 9, 9]);
    session.commit(vec![cell(1, 99, u64::MAX)]);
    assert_eq!(session.load().items[0].cells[99], u64::MAX);
    // However cells are gathered after a restart, what the segment superseded stays superseded.
    session.commit((20..90).map(|item| cell(1, item, 5)).collect());
    let cells = session.again(fixture).load().items.remove(0).cells;
    assert_eq!((&cells[..4], cells[50]), ([9, 11, 9, 9].as_slice(), 5));
}

/// More cells than any bound of a tail, over several segments and restarts, beside a model.
///
/// # Panics
/// When an item is in another state.
pub fn many_cells_come_back(fixture: &dyn Fixture) {
    let size = SEGMENT_ITEMS as usize;
    let mut model: Vec<u64> = (0..size * 2 + 10).map(|n| n as u64).collect();
    let mut session = Session::open(fixture);
    let mut writes = vec![
        Write::Job(plain_job(1)),
        Write::Job(plain_job(2)),
        items(2, 0, vec![1, 2, 3]),
    ];
    for (segment, cells) in (0..).zip(model.chunks(size)) {
        writes.push(items(1, segment, cells.to_vec()));
    }
    session.commit(writes);
    let mut place = 1usize;
    for round in 0..60u64 {
        let mut writes = Vec::new();
        for n in 0..50 {
            place = (place * 31 + 17) % model.len();
            model[place] = round << 32 | n;
            writes.push(cell(1, u32::try_from(place).expect("small"), model[place]));
        }
        writes.push(cell(2, 1, round));
        session.commit(writes);
        if round % 20 == 7 {
            session = session.again(fixture);
            assert_eq!(session.load().items[0].cells, model, "after round {round}");
        }
    }
    let items = session.again(fixture).load().items;
    assert_eq!(items[0].cells, model);
    assert_eq!(items[1].cells, [1, 59, 3]);
}

/// A cell of an item that is not kept is refused; one of a job that is not kept changes nothing.
///
/// # Panics
/// When it isn't so.
pub fn cells_of_strangers(fixture: &dyn Fixture) {
    let mut session = Session::open(fixture);
    session.commit(vec![Write::Job(plain_job(1)), items(1, 0, vec![0; 10])]);
    let before = session.load();
    for item in [10, SEGMENT_ITEMS, u32::MAX] {
        let refused = session.try_commit(vec![cell(1, item, 1)]);
        assert!(
            matches!(refused, Err(StoreError::Unknown { what: "item", .. })),
            "{item}: {refused:?}"
        );
    }
    let homeless = JournalRow {
        cell: Some(1),
        item: None,
        ..journal(1, "")
    };
    let refused = session.try_commit(vec![Write::Journal(homeless)]);
    assert!(
        matches!(refused, Err(StoreError::Invalid { .. })),
        "{refused:?}"
    );
    assert_eq!(session.load(), before);
    session.commit(vec![cell(9, 0, 1), Write::Attempt(attempt(9, 0, 1))]);
    assert_eq!(
        session.load(),
        Loaded {
            last_seq: 1,
            ..before
        }
    );
    assert_eq!(session.reader().attempts(9, None, None, 10).unwrap(), []);
}

/// A token's last use changes that alone, and brings back no token that was removed.
///
/// # Panics
/// When another field changes, or a token is there that was removed.
pub fn a_use_brings_no_token_back(fixture: &dyn Fixture) {
    let mut session = Session::open(fixture);
    let used = |id: &str, at_ms| Write::TokenUsed {
        id: id.into(),
        at_ms,
    };
    session.commit(vec![
        Write::Token(token("a", 1)),
        Write::Token(token("b", 2)),
    ]);
    session.commit(vec![
        used("a", 77),
        Write::TokenRemove("b".into()),
        used("b", 78),
    ]);
    session.commit(vec![used("b", 79), used("never there", 80)]);
    let expected = vec![crate::TokenRow {
        last_used_ms: Some(77),
        ..token("a", 1)
    }];
    assert_eq!(session.load().tokens, expected);
    assert_eq!(session.again(fixture).load().tokens, expected);
}

/// A batch with one bad write, wherever it stands, changes nothing.
///
/// # Panics
/// When something of it is kept.
pub fn a_bad_batch_leaves_nothing(fixture: &dyn Fixture) {
    let mut session = Session::open(fixture);
    session.commit(vec![
        Write::Job(plain_job(1)),
        items(1, 0, vec![0; 10]),
        Write::Token(token("t", 1)),
    ]);
    let before = session.load();
    let bad = [
        Write::JobState(JobStateRow {
            id: 8,
            ..JobStateRow::default()
        }),
        Write::Instance(instance(8, 0)),
        Write::Launch(launch(8, 0, 1)),
        items(8, 0, vec![1]),
        items(1, 0, vec![]),
        items(1, 0, vec![0; SEGMENT_ITEMS as usize + 1]),
        Write::Token(token("other", 1)),
        Write::Job(JobRow {
            id: u64::MAX,
            ..plain_job(1)
        }),
        cell(1, 10, 0),
    ];
    for bad in bad {
        let writes = vec![
            Write::Job(plain_job(2)),
            items(1, 0, vec![7; 10]),
            cell(1, 2, 5),
            Write::Attempt(attempt(1, 0, 1)),
            Write::Host(host(1)),
            Write::JobRemove(1),
            Write::Job(plain_job(1)),
            items(1, 0, vec![7; 10]),
            Write::Meta {
                key: "k".into(),
                value: "v".into(),
            },
            bad.clone(),
        ];
        session.try_commit(writes).expect_err("one write is bad");
        assert_eq!(session.load(), before, "after {bad:?}");
        assert_eq!(session.reader().attempts(1, None, None, 10).unwrap(), []);
    }
    let mut session = session.again(fixture);
    assert_eq!(session.load(), before);
    let committed = session.commit(vec![cell(1, 2, 5)]);
    assert_eq!(committed.first_seq, 1, "failed batches use no numbers");
    assert_eq!(session.load().items[0].cells[..4], [0, 0, 5, 0]);
}

/// An attempt sent twice stays as it was first.
///
/// # Panics
/// When it is changed or doubled.
pub fn an_attempt_counts_once(fixture: &dyn Fixture) {
    let mut session = Session::open(fixture);
    session.commit(vec![
        Write::Job(plain_job(1)),
        Write::Attempt(attempt(1, 0, 1)),
    ]);
    let other = AttemptRow {
        outcome: "complete".into(),
        ..attempt(1, 0, 1)
    };
    session.commit(vec![
        Write::Attempt(other.clone()),
        Write::Attempt(attempt(1, 0, 2)),
        Write::Attempt(other),
    ]);
    let kept = session
        .again(fixture)
        .reader()
        .attempts(1, None, None, 10)
        .unwrap();
    assert_eq!(kept, [attempt(1, 0, 1), attempt(1, 0, 2)]);
}

/// A batch sent again (its answer got lost) leaves the same state; only the journal says it twice.
///
/// # Panics
/// When the state differs.
pub fn the_same_batch_again_changes_nothing(fixture: &dyn Fixture) {
    let mut session = Session::open(fixture);
    let (writes, _) = one_of_each();
    session.commit(writes.clone());
    let once = session.load();
    session.commit(writes);
    let twice = session.load();
    assert_eq!(
        twice,
        Loaded {
            last_seq: 2,
            ..once
        }
    );
    assert_eq!(
        session.reader().attempts(1, None, None, 10).unwrap().len(),
        1
    );
}

/// The lease: an older epoch, and one never given, are refused.
///
/// # Panics
/// When they write.
pub fn a_stale_epoch_is_refused(fixture: &dyn Fixture) {
    let mut session = Session::open(fixture);
    let old = session.epoch;
    let new = session
        .store
        .lease("a second holder")
        .expect("the lease can be taken again");
    assert!(new > old, "epochs grow: {old:?}, {new:?}");
    let writes = vec![Write::Job(plain_job(1)), Write::Journal(journal(1, ""))];
    for epoch in [old, Epoch(0), Epoch(new.0 + 1)] {
        let refused = session.store.commit(&Batch {
            epoch,
            at_ms: 1,
            writes: writes.clone(),
        });
        assert!(
            matches!(refused, Err(StoreError::StaleEpoch { .. })),
            "{epoch:?}: {refused:?}"
        );
    }
    assert_eq!(session.load(), Loaded::default());
    session
        .store
        .commit(&Batch {
            epoch: new,
            at_ms: 1,
            writes,
        })
        .expect("the new lease is good");
    let later = session.again(fixture);
    assert!(later.epoch > new, "epochs grow over restarts");
}

/// Removal takes everything of the job and nothing of others; the notice of it stays.
///
/// # Panics
/// When something is left or missing.
pub fn a_removed_job_leaves_nothing(fixture: &dyn Fixture) {
    let mut session = Session::open(fixture);
    for id in [1, 2] {
        session.commit(vec![
            Write::Job(job(id)),
            items(id, 0, vec![0; 1000]),
            Write::Instance(instance(id, 0)),
            Write::Launch(launch(id, 0, 1)),
        ]);
        for item in 0..1000 {
            session.commit(vec![
                cell(id, item, 1),
                Write::Attempt(attempt(id, item, 1)),
            ]);
        }
    }
    let removed = session.commit(vec![
        cell(1, 5, 2),
        Write::Attempt(attempt(1, 5, 2)),
        Write::JobRemove(1),
        Write::Journal(journal(1, "removed")),
    ]);
    session.tidy();
    let mut session = session.again(fixture);
    let loaded = session.load();
    assert_eq!(loaded.jobs, [job(2)]);
    assert_eq!(
        loaded.items,
        [ItemsRow {
            job: 2,
            cells: vec![1; 1000]
        }]
    );
    assert_eq!(
        (loaded.instances, loaded.launches),
        (vec![instance(2, 0)], vec![launch(2, 0, 1)])
    );
    let mut reader = session.reader();
    assert_eq!(reader.job_row(1).unwrap(), None);
    assert_eq!(reader.attempts(1, None, None, 10).unwrap(), []);
    let left = reader.history(1, None, 0, 10).unwrap();
    assert_eq!(
        left.iter().map(|row| row.seq).collect::<Vec<_>>(),
        [removed.first_seq, removed.last_seq]
    );
    assert_eq!(reader.attempts(2, None, None, 10_000).unwrap().len(), 1000);
    assert_eq!(reader.history(2, None, 0, 10_000).unwrap().len(), 1000);
    let usage = reader.usage().unwrap();
    let rows = |table: &str| {
        usage
            .tables
            .iter()
            .find(|usage| usage.table == table)
            .map(|usage| usage.rows)
    };
    assert_eq!(
        (rows("attempts"), rows("journal")),
        (Some(1000), Some(1002))
    );
    session.commit(vec![Write::Job(JobRow { id: 3, ..job(1) })]);
    assert_eq!(
        session.load().jobs[1].key,
        job(1).key,
        "the key is free again"
    );
    session.commit(vec![Write::JobRemove(77)]);
}

/// An owner's key belongs to one job; other owners may have the same.
///
/// # Panics
/// When it isn't so.
pub fn a_key_is_used_once(fixture: &dyn Fixture) {
    let mut session = Session::open(fixture);
    session.commit(vec![Write::Job(job(1))]);
    let refused = session.try_commit(vec![Write::Job(JobRow { id: 2, ..job(1) })]);
    assert!(
        matches!(refused, Err(StoreError::Taken { .. })),
        "{refused:?}"
    );
    session.commit(vec![
        Write::Job(JobRow {
            id: 2,
            owner: "noa".into(),
            ..job(1)
        }),
        Write::Job(plain_job(3)),
        Write::Job(plain_job(4)),
        Write::Job(JobRow {
            name: "again".into(),
            ..job(1)
        }),
    ]);
    assert_eq!(session.load().jobs.len(), 4);
}

/// Text of every kind comes back byte for byte.
///
/// # Panics
/// When it doesn't.
pub fn any_text_comes_back(fixture: &dyn Fixture) {
    let mut session = Session::open(fixture);
    for (id, text) in (1..).zip(HOSTILE) {
        let text = (*text).to_owned();
        let row = JobRow {
            name: text.clone(),
            kind: text.clone(),
            owner: text.clone(),
            state: text.clone(),
            key: Some(text.clone()),
            spec: text.clone(),
            notes: text.clone(),
            ..job(id)
        };
        let done = AttemptRow {
            reason: Some(text.clone()),
            host_name: text.clone(),
            ..attempt(id, 0, 1)
        };
        let line = JournalRow {
            kind: text.clone(),
            actor: Some(text.clone()),
            ..journal(id, &text)
        };
        session.commit(vec![
            Write::Job(row.clone()),
            Write::Attempt(done.clone()),
            Write::Journal(line.clone()),
            Write::Token(crate::TokenRow {
                note: text.clone(),
                ..token(&text, u8::try_from(id).expect("few"))
            }),
            Write::Meta {
                key: text.clone(),
                value: text.clone(),
            },
        ]);
        let mut reader = session.reader();
        assert_eq!(reader.job_row(id).unwrap(), Some(row));
        assert_eq!(reader.attempts(id, None, None, 2).unwrap(), [done]);
        assert_eq!(reader.history(id, None, 0, 2).unwrap()[0].row, line);
    }
    let loaded = session.again(fixture).load();
    let mut expected = HOSTILE.to_vec();
    expected.sort_unstable();
    assert_eq!(loaded.meta.keys().collect::<Vec<_>>(), expected);
    assert_eq!(
        loaded
            .tokens
            .iter()
            .map(|token| token.id.as_str())
            .collect::<Vec<_>>(),
        expected
    );
}

/// The ends of the number ranges; a worker's measures are capped instead of refused.
///
/// # Panics
/// When a number changes.
pub fn large_numbers(fixture: &dyn Fixture) {
    const LARGEST: u64 = i64::MAX.cast_unsigned();
    let mut session = Session::open(fixture);
    let row = JobRow {
        id: LARGEST,
        order: i64::MIN,
        submitted_ms: i64::MIN,
        items: u32::MAX,
        ..plain_job(1)
    };
    let measured = AttemptRow {
        peak_memory: u64::MAX,
        memory_limit: Some(u64::MAX),
        out_printed: LARGEST,
        ..attempt(LARGEST, u32::MAX, u32::MAX)
    };
    session.commit(vec![
        Write::Job(row.clone()),
        items(LARGEST, 0, vec![0, 1 << 63, u64::MAX]),
        Write::Attempt(measured.clone()),
        cell(LARGEST, 0, 1 << 63),
    ]);
    let refused = session.try_commit(vec![Write::Journal(journal(LARGEST + 1, ""))]);
    assert!(
        matches!(refused, Err(StoreError::Invalid { .. })),
        "{refused:?}"
    );
    let mut session = session.again(fixture);
    let loaded = session.load();
    assert_eq!(loaded.jobs, [row]);
    assert_eq!(loaded.items[0].cells, [1 << 63, 1 << 63, u64::MAX]);
    let mut reader = session.reader();
    let kept = reader.attempts(LARGEST, Some(u32::MAX), None, 5).unwrap();
    assert_eq!(
        kept,
        [AttemptRow {
            peak_memory: LARGEST,
            memory_limit: Some(LARGEST),
            ..measured
        }]
    );
    assert_eq!(reader.job_row(u64::MAX).unwrap(), None);
    assert_eq!(reader.history(LARGEST, None, u64::MAX, 5).unwrap(), []);
}

/// Pages of attempts, of a job and of an item, and the latest of each item.
///
/// # Panics
/// When one is missing or in another place.
pub fn attempts_are_read_in_pages(fixture: &dyn Fixture) {
    let mut session = Session::open(fixture);
    let mut writes = vec![Write::Job(plain_job(1)), Write::Job(plain_job(2))];
    for (item, last) in [(0, 1), (1, 3), (5, 2)] {
        // The newest first: the order of arrival is not the order of reading.
        writes.extend(
            (1..=last)
                .rev()
                .map(|n| Write::Attempt(attempt(1, item, n))),
        );
    }
    writes.push(Write::Attempt(attempt(2, 1, 9)));
    session.commit(writes);
    let mut reader = session.reader();
    let keys = |rows: &[AttemptRow]| {
        rows.iter()
            .map(|row| (row.item, row.attempt))
            .collect::<Vec<_>>()
    };
    let mut seen = Vec::new();
    while let page = reader.attempts(1, None, seen.last().copied(), 2).unwrap()
        && !page.is_empty()
    {
        seen.extend(keys(&page));
    }
    assert_eq!(seen, [(0, 1), (1, 1), (1, 2), (1, 3), (5, 1), (5, 2)]);
    assert_eq!(
        keys(&reader.attempts(1, Some(1), Some((1, 1)), 9).unwrap()),
        [(1, 2), (1, 3)]
    );
    assert_eq!(keys(&reader.attempts(1, Some(2), None, 9).unwrap()), []);
    assert_eq!(
        keys(&reader.attempts_latest(1, 0, 9).unwrap()),
        [(0, 1), (1, 3), (5, 2)]
    );
    assert_eq!(keys(&reader.attempts_latest(1, 1, 1).unwrap()), [(1, 3)]);
    assert_eq!(keys(&reader.attempts_latest(1, 6, 9).unwrap()), []);
    assert_eq!(keys(&reader.attempts(1, None, None, 0).unwrap()), []);
}

/// A reader that was opened before sees each commit after it, from another thread.
///
/// # Panics
/// When it sees something else.
pub fn readers_see_what_is_committed(fixture: &dyn Fixture) {
    let mut session = Session::open(fixture);
    let mut reader = session.reader();
    for id in 1..=20 {
        session.commit(vec![
            Write::Job(job(id)),
            Write::Journal(journal(id, "submitted")),
        ]);
        session
            .try_commit(vec![
                Write::Job(job(id + 1)),
                Write::Instance(instance(999, 0)),
            ])
            .expect_err("bad");
        reader = std::thread::spawn(move || {
            assert_eq!(reader.last_seq().unwrap(), id);
            assert_eq!(reader.job_row(id).unwrap(), Some(job(id)));
            assert_eq!(reader.job_row(id + 1).unwrap(), None);
            reader
        })
        .join()
        .expect("the reader found what it should");
    }
}
