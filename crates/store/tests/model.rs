//! Random batches to SQLite and to memory: both answer alike, after every batch and over restarts.

use proptest::prelude::{Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Just;
use proptest::test_runner::Config;
use tessera_store::conformance::{
    attempt, credential, credential_seal, host, instance, job, join_token, journal, launch,
    pool_key, token,
};
use tessera_store::memory::MemoryDisk;
use tessera_store::sqlite::SqliteStore;
use tessera_store::{Batch, Epoch, JobRow, JournalRow, Reader, Store, Write};

/// Items of a job: enough for tails to be folded often.
const ITEMS: u32 = 24;

/// Jobs of a walk; all exist from its first step on, so that most batches are good.
const JOBS: std::ops::Range<u64> = 1..5;

/// One step of a walk.
#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<Write>),
    /// A job is removed; another takes its number, which a farm would never do, to see that nothing is left.
    Replace(u64),
    Reopen,
    Tidy,
}

fn a_job() -> impl Strategy<Value = Write> {
    // One key in twenty is another job's.
    (JOBS, any::<bool>(), 0u8..20).prop_map(|(id, has_ended, n)| {
        let key = Some(if n == 0 {
            "shared".to_owned()
        } else {
            format!("{id} {n}")
        });
        Write::Job(JobRow {
            key,
            ended_ms: has_ended.then_some(9),
            ..job(id)
        })
    })
}

fn new_job(id: u64) -> Vec<Write> {
    let cells = vec![id; ITEMS as usize];
    vec![
        Write::Job(JobRow {
            key: None,
            ..job(id)
        }),
        Write::Items {
            job: id,
            segment: 0,
            cells,
        },
    ]
}

fn a_write() -> impl Strategy<Value = Write> {
    let of_job = || JOBS;
    prop_oneof![
        4 => a_job(),
        2 => of_job().prop_map(|id| Write::JobState(JobRow { priority: 3, ..job(id) }.state_row())),
        3 => (of_job(), any::<u64>()).prop_map(|(job, cell)| {
            Write::Items { job, segment: 0, cells: vec![cell; ITEMS as usize] }
        }),
        30 => (of_job(), 0..ITEMS, any::<u64>()).prop_map(|(job, item, cell)| {
            Write::Journal(JournalRow { item: Some(item), cell: Some(cell), ..journal(job, "cell") })
        }),
        3 => of_job().prop_map(|job| Write::Journal(journal(job, "line"))),
        3 => (of_job(), 0u32..3).prop_map(|(job, n)| Write::Instance(instance(job, n))),
        3 => (of_job(), 0u32..3).prop_map(|(job, n)| Write::Launch(launch(job, n, 1))),
        2 => (of_job(), 0u32..3).prop_map(|(job, instance)| Write::LaunchRemove { job, instance, launch: 1 }),
        6 => (of_job(), 0u32..4, 1u32..4).prop_map(|(job, item, n)| Write::Attempt(attempt(job, item, n))),
        2 => (0u8..4).prop_map(|n| Write::Host(host(n))),
        1 => (0u8..4).prop_map(|n| Write::HostRemove([n; 16])),
        2 => (0u8..4, 0u8..20).prop_map(|(id, n)| {
            // One hash in twenty is another token's.
            Write::Token(token(&id.to_string(), if n == 0 { 99 } else { id }))
        }),
        1 => (0u8..4, any::<i32>())
            .prop_map(|(id, at)| Write::TokenUsed { id: id.to_string(), at_ms: i64::from(at) }),
        1 => (0u8..4).prop_map(|id| Write::TokenRemove(id.to_string())),
        1 => (0u8..4).prop_map(|n| Write::JoinToken(join_token(n))),
        1 => (0u8..4).prop_map(|n| Write::JoinTokenRemove([n; 32])),
        1 => (0u8..3).prop_map(|n| Write::Credential(credential(&n.to_string()))),
        2 => (0u8..3, 0u8..3).prop_map(|(n, key)| {
            Write::CredentialSeal(credential_seal(&n.to_string(), key))
        }),
        1 => (0u8..3, 0u8..3).prop_map(|(n, key)| Write::CredentialSealRemove {
            kind: "user".into(), account: "mia".into(), pool: n.to_string(), key: [key; 16],
        }),
        1 => (0u8..3, 0u32..3).prop_map(|(n, many)| Write::PoolKeys {
            host: [n; 16], keys: (0..many).map(|place| pool_key(n, place)).collect(),
        }),
        1 => (0u64..200).prop_map(|before_seq| Write::PruneJournal { before_seq }),
    ]
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => prop::collection::vec(a_write(), 0..12).prop_map(Step::Commit),
        1 => Just(Step::Reopen),
        1 => Just(Step::Tidy),
        1 => JOBS.prop_map(Step::Replace),
    ]
}

fn tidy(store: &mut dyn Store) {
    assert!(
        (0..1000).any(|_| !store.tidy().expect("tidies")),
        "tidying does not end"
    );
}

fn said(reader: &mut dyn Reader) -> String {
    let events = reader.events_after(0, 5000).expect("reads");
    let last = reader.last_seq().expect("reads");
    let late = reader
        .events_after(last.saturating_sub(3), 50)
        .expect("reads");
    let prunable = reader.journal_prunable(21).expect("reads");
    let ended = reader.ended_jobs(i64::MAX, 50).expect("reads");
    let mut all = format!("{last} {prunable:?} {ended:?}\n{events:?}\n{late:?}\n");
    for job in JOBS {
        let row = reader.job_row(job).expect("reads");
        let history = reader.history(job, None, 0, 5000).expect("reads");
        let of_item = reader.history(job, Some(1), 2, 5).expect("reads");
        let attempts = reader.attempts(job, None, None, 5000).expect("reads");
        let later = reader.attempts(job, None, Some((1, 1)), 3).expect("reads");
        let latest = reader.attempts_latest(job, 1, 5).expect("reads");
        let host = attempts.first().map_or([0; 16], |row| row.host);
        let there = reader.attempts_on(host, 3, 50).expect("reads");
        all += &format!(
            "{row:?}\n{history:?}\n{of_item:?}\n{attempts:?}\n{later:?}\n{latest:?}\n{there:?}\n"
        );
    }
    all
}

proptest! {
    #![proptest_config(Config { cases: 24, max_shrink_iters: 2000, ..Config::default() })]

    #[test]
    fn both_stores_answer_alike(steps in prop::collection::vec(a_step(), 1..40)) {
        let place = tempfile::tempdir().expect("a temporary directory");
        let file = place.path().join("store.db");
        let mut real = SqliteStore::open(&file).expect("opens");
        let mut model = MemoryDisk::new().open();
        let mut epoch = real.lease("model").expect("free");
        prop_assert_eq!(model.lease("model").expect("free"), epoch);
        both(&mut real, &mut model, epoch, JOBS.flat_map(new_job).collect())?;
        for step in steps {
            match step {
                Step::Commit(writes) => both(&mut real, &mut model, epoch, writes)?,
                Step::Replace(id) => {
                    let notice = Write::Journal(journal(id, "removed"));
                    both(&mut real, &mut model, epoch, vec![Write::JobRemove(id), notice])?;
                    // What is put off must not be mistaken for what the next job of that number has.
                    tidy(&mut real);
                    both(&mut real, &mut model, epoch, new_job(id))?;
                }
                Step::Tidy => tidy(&mut real),
                Step::Reopen => {
                    drop(real);
                    real = SqliteStore::open(&file).expect("opens again");
                    epoch = real.lease("model").expect("free");
                    prop_assert_eq!(model.lease("model").expect("free"), epoch);
                }
            }
            prop_assert_eq!(real.load().expect("loads"), model.load().expect("loads"));
        }
        tidy(&mut real);
        prop_assert_eq!(said(&mut *real.reader().expect("opens")), said(&mut *model.reader().expect("opens")));
    }
}

fn both(
    real: &mut SqliteStore,
    model: &mut dyn Store,
    epoch: Epoch,
    writes: Vec<Write>,
) -> Result<(), proptest::test_runner::TestCaseError> {
    let batch = Batch {
        epoch,
        at_ms: 1,
        writes,
    };
    let (seen, expected) = (real.commit(&batch), model.commit(&batch));
    match (seen, expected) {
        (Ok(seen), Ok(expected)) => prop_assert_eq!(seen, expected),
        (Err(seen), Err(expected)) => prop_assert_eq!(
            std::mem::discriminant(&seen),
            std::mem::discriminant(&expected),
            "{} and {}",
            seen,
            expected
        ),
        (seen, expected) => prop_assert_eq!(format!("{seen:?}"), format!("{expected:?}")),
    }
    Ok(())
}
