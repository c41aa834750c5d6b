//! A process that commits in a loop is killed; what it said was committed is there. And a disk that takes no more.
//!
//! The children are this test program itself, told by an environment variable.

#![cfg(unix)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tessera_store::conformance::{attempt, job, journal};
use tessera_store::sqlite::SqliteStore;
use tessera_store::{Batch, JournalRow, Store, StoreError, Write};

/// Names the child's database.
const CHILD: &str = "TESSERA_STORE_CRASH_FILE";
/// Kills.
const ROUNDS: u64 = 12;
/// Items of the job, so that its tail is folded many times.
const ITEMS: u32 = 600;
/// Longest wait for a child.
const PATIENCE: Duration = Duration::from_secs(30);

/// Batch `n`: three rows that must come together.
fn batch_of(n: u64) -> Vec<Write> {
    let item = u32::try_from(n % u64::from(ITEMS)).expect("few");
    vec![
        Write::Journal(JournalRow {
            item: Some(item),
            cell: Some(n),
            ..journal(1, "committed")
        }),
        Write::Attempt(attempt(1, item, u32::try_from(n).expect("few"))),
        Write::Meta {
            key: "n".into(),
            value: n.to_string(),
        },
    ]
}

fn open(file: &Path) -> (SqliteStore, tessera_store::Epoch) {
    let mut store = SqliteStore::open(file).expect("opens");
    let epoch = store.lease("crash test").expect("free");
    (store, epoch)
}

/// Commits for ever and says each number when it is durable. Answers the error that ended it.
fn commit_in_a_loop(file: &Path) -> StoreError {
    let (mut store, epoch) = open(file);
    let loaded = store.load().expect("loads");
    let mut n: u64 = loaded
        .meta
        .get("n")
        .map_or(0, |n| n.parse().expect("a number"));
    let mut out = std::io::stdout();
    loop {
        n += 1;
        if let Err(error) = store.commit(&Batch {
            epoch,
            at_ms: 1,
            writes: batch_of(n),
        }) {
            return error;
        }
        writeln!(out, "committed {n}")
            .and_then(|()| out.flush())
            .expect("the parent listens");
    }
}

fn child(test: &str, file: &Path, shell: &str) -> Child {
    let program = std::env::current_exe().expect("this program");
    Command::new("sh")
        .args([
            "-c",
            &format!("{shell} exec \"$0\" --exact {test} --nocapture"),
        ])
        .arg(program)
        .env(CHILD, file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts")
}

fn number_in(line: &str) -> Option<u64> {
    // The test harness may have written on the same line before.
    line.split_once("committed ")
        .and_then(|(_, n)| n.trim().parse().ok())
}

/// Checks that all up to some batch not before `said` is there, whole; answers which.
fn check(file: &Path, said: u64) -> u64 {
    let (mut store, _) = open(file);
    let loaded = store.load().expect("loads");
    let last: u64 = loaded
        .meta
        .get("n")
        .map_or(0, |n| n.parse().expect("a number"));
    assert!(
        last >= said,
        "{said} was said to be committed, {last} is the last that is there"
    );
    assert_eq!(loaded.last_seq, last, "a journal row for each batch");
    for (item, cell) in (0u64..).zip(&loaded.items[0].cells) {
        let items = u64::from(ITEMS);
        let newest = if last < item {
            0
        } else {
            last - (last - item) % items
        };
        assert_eq!(*cell, newest, "item {item} after batch {last}");
    }
    let mut reader = store.reader().expect("opens");
    let usage = reader.usage().expect("counts");
    for table in usage
        .tables
        .iter()
        .filter(|usage| ["attempts", "journal"].contains(&usage.table))
    {
        assert_eq!(table.rows, last, "rows of {}", table.table);
    }
    last
}

fn prepare(file: &Path) {
    let (mut store, epoch) = open(file);
    let writes = vec![
        Write::Job(job(1)),
        Write::Items {
            job: 1,
            segment: 0,
            cells: vec![0; ITEMS as usize],
        },
    ];
    store
        .commit(&Batch {
            epoch,
            at_ms: 1,
            writes,
        })
        .expect("commits");
}

#[test]
fn what_was_said_survives_kill_9() {
    if let Some(file) = std::env::var_os(CHILD) {
        panic!("the loop ended: {}", commit_in_a_loop(Path::new(&file)));
    }
    let place = tempfile::tempdir().expect("a temporary directory");
    let file = place.path().join("store.db");
    prepare(&file);
    let mut last = 0;
    for round in 1..=ROUNDS {
        let mut child = child("what_was_said_survives_kill_9", &file, "");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"))
            .lines()
            .map_while(Result::ok);
        let started = Instant::now();
        // A different place in the loop each time.
        let goal = last + 40 + round * 53;
        let mut said = last;
        for n in lines.by_ref().filter_map(|line| number_in(&line)) {
            said = n;
            if said >= goal || started.elapsed() > PATIENCE {
                break;
            }
        }
        child.kill().expect("it is killed");
        child.wait().expect("it is gone");
        assert!(
            said >= goal,
            "round {round}: the child came to {said} only, not to {goal}"
        );
        // What it said between the goal and its end counts, too.
        said = lines
            .filter_map(|line| number_in(&line))
            .last()
            .unwrap_or(said);
        last = check(&file, said);
    }
}

#[test]
fn a_disk_that_takes_no_more_loses_nothing() {
    if let Some(file) = std::env::var_os(CHILD) {
        let error = commit_in_a_loop(Path::new(&file));
        assert!(matches!(error, StoreError::NoSpace { .. }), "{error:?}");
        println!("said no space");
        return;
    }
    let place = tempfile::tempdir().expect("a temporary directory");
    let file = place.path().join("store.db");
    prepare(&file);
    // A limit on the size of files stands for the full disk: writes fail in the middle of a commit.
    let mut child = child(
        "a_disk_that_takes_no_more_loses_nothing",
        &file,
        "trap '' XFSZ; ulimit -f 8000;",
    );
    let (mut said, mut has_said_so) = (0, false);
    for line in BufReader::new(child.stdout.take().expect("piped"))
        .lines()
        .map_while(Result::ok)
    {
        said = number_in(&line).unwrap_or(said);
        has_said_so |= line.contains("said no space");
    }
    assert!(
        child.wait().expect("it ends").success() && has_said_so,
        "after {said} batches"
    );
    assert!(said > 100, "{said}");
    let last = check(&file, said);
    let (mut store, epoch) = open(&file);
    store
        .commit(&Batch {
            epoch,
            at_ms: 1,
            writes: batch_of(last + 1),
        })
        .expect("there is room again");
    drop(store);
    assert_eq!(check(&file, last + 1), last + 1);
}
