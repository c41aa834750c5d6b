//! The SQLite backend: the suite, and what is its own: files, locks, schemas, space, backups.

use rusqlite::Connection;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tessera_store::conformance::{
    Fixture, Session, attempt, credential, credential_seal, host, instance, job, join_token,
    journal, launch, pool_key, token,
};
use tessera_store::sqlite::{Look, SqliteReader, SqliteStore, backup};
use tessera_store::{
    Batch, Epoch, Events, HostRow, InstanceRow, ItemsRow, JobRow, JoinTokenRow, JournalRow,
    LaunchRow, Loaded, Reader, StateCounts, Store, StoreError, TokenRow, Write,
};

struct Sqlite(TempDir);

impl Sqlite {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("supervisor").join("store.db")
    }
}

impl Fixture for Sqlite {
    fn open(&self) -> Box<dyn Store> {
        Box::new(SqliteStore::open(&self.file()).expect("the store opens"))
    }
}

tessera_store::conformance_tests!(Sqlite::new());

fn sql(file: &Path, text: &str) {
    Connection::open(file)
        .expect("opens")
        .execute_batch(text)
        .expect("runs");
}

#[test]
fn a_second_process_is_refused_and_told_why() {
    let place = Sqlite::new();
    let session = Session::open(&place);
    let refused = SqliteStore::open(&place.file()).expect_err("it is held");
    let said = refused.to_string();
    let StoreError::Held { file, holder } = refused else {
        panic!("{said}")
    };
    assert_eq!(file, place.0.path().join("supervisor/store.db.lock"));
    assert_eq!(
        holder,
        format!("conformance, process {}", std::process::id())
    );
    assert!(
        said.contains("store.db.lock") && said.contains("stop that one"),
        "{said}"
    );
    drop(session);
    SqliteStore::open(&place.file()).expect("it is free again");
}

#[cfg(unix)]
#[test]
fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).expect("is there").permissions().mode() & 0o777;
    let place = Sqlite::new();
    let mut session = Session::open(&place);
    session.commit(vec![Write::Job(job(1))]);
    assert_eq!(mode(&place.0.path().join("supervisor")), 0o700);
    let files: Vec<PathBuf> = fs::read_dir(place.0.path().join("supervisor"))
        .expect("lists")
        .map(|entry| entry.expect("entry").path())
        .collect();
    assert!(files.len() >= 3, "database, log and lock: {files:?}");
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    drop(session);
    fs::set_permissions(place.file(), fs::Permissions::from_mode(0o644)).expect("chmod");
    drop(place.open());
    assert_eq!(mode(&place.file()), 0o600, "a loose mode is tightened");
}

#[cfg(unix)]
#[test]
fn a_directory_that_others_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Sqlite::new();
    let dir = place.0.path().join("supervisor");
    fs::create_dir(&dir).expect("mkdir");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o775)).expect("chmod");
    let refused = SqliteStore::open(&place.file()).expect_err("it is exposed");
    assert!(
        matches!(refused, StoreError::Exposed { mode: 0o775, .. }),
        "{refused}"
    );
    assert_eq!(
        fs::read_dir(&dir).expect("lists").count(),
        0,
        "nothing was made there"
    );
}

#[test]
fn a_newer_schema_and_a_foreign_file_are_refused_untouched() {
    let place = Sqlite::new();
    drop(Session::open(&place));
    sql(&place.file(), "PRAGMA user_version = 99");
    let before = fs::read(place.file()).expect("reads");
    for refused in [
        SqliteStore::open(&place.file()).err(),
        SqliteReader::open(&place.file()).err(),
    ] {
        assert!(
            matches!(
                refused,
                Some(StoreError::NewerSchema {
                    found: 99,
                    known: 5,
                    ..
                })
            ),
            "{refused:?}"
        );
    }
    assert_eq!(fs::read(place.file()).expect("reads"), before);

    let other = Sqlite::new();
    fs::create_dir(other.0.path().join("supervisor")).expect("mkdir");
    sql(&other.file(), "CREATE TABLE mine (x)");
    let refused = SqliteStore::open(&other.file()).expect_err("it is foreign");
    assert!(matches!(refused, StoreError::Foreign { .. }), "{refused}");

    fs::write(other.file(), vec![b'x'; 5000]).expect("writes");
    let refused = SqliteStore::open(&other.file()).expect_err("it is no database");
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
}

/// What the golden data of a schema means.
fn golden(schema: i64) -> Loaded {
    fn rows<T>(is_there: bool, row: T) -> Vec<T> {
        is_there.then_some(row).into_iter().collect()
    }
    let has_passwords = schema >= 3;
    let counts = StateCounts {
        pending: 1,
        running: 1,
        complete: 4,
        ..StateCounts::default()
    };
    let job = JobRow {
        id: 1,
        name: "shot".into(),
        kind: "cmdrange".into(),
        owner: "mia".into(),
        state: "running".into(),
        priority: 100,
        order: 1,
        submitted_ms: 1_700_000_000_000,
        started_ms: Some(1_700_000_000_001),
        ended_ms: None,
        counts,
        key: Some("k".into()),
        spec: "{}".into(),
        spec_format: 1,
        cpus: 2,
        items: 6,
        notes: "notes".into(),
    };
    let launch = LaunchRow {
        host: [1; 16],
        item: Some(3),
        since_ms: 7,
        ..launch(1, 0, 1)
    };
    let instance = InstanceRow {
        detail: "{}".into(),
        launch_last: 1,
        retries_used: 0,
        ..instance(1, 0)
    };
    let host = HostRow {
        is_locked: false,
        facts: "{}".into(),
        fingerprint: None,
        ..host(1)
    };
    let token = TokenRow {
        is_admin: false,
        note: String::new(),
        expires_ms: None,
        last_used_ms: None,
        ..token("t", 2)
    };
    Loaded {
        last_seq: 12,
        jobs: vec![job],
        items: vec![ItemsRow {
            job: 1,
            cells: vec![1, 1, u64::MAX - 1, 1, 1, u64::MAX],
        }],
        instances: vec![instance],
        launches: vec![launch],
        hosts: vec![host],
        tokens: vec![token],
        join_tokens: vec![JoinTokenRow {
            note: String::new(),
            ..join_token(3)
        }],
        credentials: rows(has_passwords, credential("night")),
        credential_seals: rows(has_passwords, credential_seal("night", 1)),
        pool_keys: rows(has_passwords, pool_key(1, 0)),
        meta: [("farm".to_owned(), "golden".to_owned())].into(),
    }
}

/// Every schema that was released, with data as its program left it, still opens and means the same.
#[test]
fn released_schemas_are_brought_up_to_date() {
    const FIRST: &str = include_str!("../migrations/0001_first.sql");
    const DATA: &str = include_str!("golden/0001.sql");
    const FOURTH: &str = include_str!("../migrations/0004_attempts_by_host.sql");
    // As a farm got there: its first rows, then each migration, then what only the newest has.
    let third = [
        FIRST,
        DATA,
        include_str!("../migrations/0002_memory_limit.sql"),
        include_str!("../migrations/0003_credentials.sql"),
    ];
    let released = [
        (1, FIRST.to_owned(), DATA.to_owned()),
        (
            3,
            third.concat(),
            include_str!("golden/0003.sql").to_owned(),
        ),
        // The fourth only added an index: its rows are those of the third.
        (
            4,
            [&third.concat(), FOURTH].concat(),
            include_str!("golden/0003.sql").to_owned(),
        ),
    ];
    for (number, schema, data) in released {
        let place = Sqlite::new();
        fs::create_dir(place.0.path().join("supervisor")).expect("mkdir");
        sql(&place.file(), &schema);
        sql(&place.file(), &data);
        sql(
            &place.file(),
            &format!("PRAGMA application_id = 1415934835; PRAGMA user_version = {number}"),
        );
        let mut session = Session::open(&place);
        assert_eq!(session.epoch, Epoch(6), "schema {number}");
        assert_eq!(session.load(), golden(number), "schema {number}");
        let mut reader = session.reader();
        let attempts = reader.attempts(1, None, None, 9).expect("reads");
        assert_eq!(
            (
                attempts.len(),
                attempts[0].peak_memory,
                attempts[0].exit_code
            ),
            (1, 4096, Some(0))
        );
        let Events::Rows(events) = reader.events_after(10, 9).expect("reads") else {
            panic!("pruned")
        };
        let seen: Vec<_> = events
            .iter()
            .map(|event| (event.seq, event.row.kind.as_str(), event.row.cell))
            .collect();
        assert_eq!(
            seen,
            [
                (11, "item.ended", Some(u64::MAX - 1)),
                (12, "job.action", None)
            ]
        );
        assert_eq!(
            reader.events_after(9, 9).expect("reads"),
            Events::Pruned { oldest_seq: 10 }
        );
        let committed = session.commit(vec![Write::Journal(journal(1, "goes on"))]);
        assert_eq!(committed.first_seq, 13);
    }
}

/// Else a job of many frames would be read through for one line of it.
#[test]
fn lines_of_a_whole_job_are_found_without_those_of_its_frames() {
    let place = Sqlite::new();
    drop(Session::open(&place));
    let db = Connection::open(place.file()).expect("opens");
    let query = "EXPLAIN QUERY PLAN SELECT text FROM journal
        WHERE job = 1 AND seq > 2 AND item IS NULL AND instance IS NULL ORDER BY seq LIMIT 9";
    let plan = db.query_row(query, [], |row| row.get::<_, String>(3));
    let plan = plan.expect("a plan");
    assert!(plan.contains("journal_whole"), "{plan}");
}

#[test]
fn no_space_is_said_and_nothing_is_lost() {
    let place = Sqlite::new();
    let mut store = SqliteStore::open(&place.file()).expect("opens");
    let epoch = store.lease("test").expect("free");
    let commit = |store: &mut SqliteStore, id| {
        let notes = "x".repeat(20_000);
        let row = tessera_store::JobRow { notes, ..job(id) };
        store.commit(&Batch {
            epoch,
            at_ms: 1,
            writes: vec![Write::Job(row), Write::Journal(journal(id, "submitted"))],
        })
    };
    let limit = store.set_max_pages(100).expect("bounds");
    let full = (1..100).find_map(|id| commit(&mut store, id).err().map(|error| (id, error)));
    let (id, error) = full.expect("it gets full");
    assert!(
        matches!(error, StoreError::NoSpace { .. }) && error.is_passing(),
        "{error}"
    );
    assert!(error.to_string().contains("store.db"), "{error}");
    assert_eq!(store.load().expect("reads").jobs.len() as u64, id - 1);
    store.set_max_pages(limit + 1000).expect("bounds");
    let committed = commit(&mut store, id).expect("there is room again");
    assert_eq!(committed.last_seq, id);
    assert_eq!(store.load().expect("reads").jobs.len() as u64, id);
}

/// Answers the files of a folder with what is in them.
fn files_of(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs::read_dir(dir).expect("lists");
    let mut files: Vec<(PathBuf, Vec<u8>)> = paths
        .map(|entry| entry.expect("entry").path())
        .map(|path| (path.clone(), fs::read(path).expect("reads")))
        .collect();
    files.sort();
    files
}

#[test]
fn who_looks_at_a_store_that_nobody_uses_leaves_no_trace() {
    // A name that would mean something in the address which SQLite is given.
    let place = tempfile::Builder::new()
        .prefix("a b?c%20#é")
        .tempdir()
        .map(Sqlite)
        .expect("a temporary directory");
    let mut session = Session::open(&place);
    session.commit(vec![
        Write::Job(job(1)),
        Write::Attempt(attempt(1, 0, 1)),
        Write::Journal(journal(1, "submitted")),
    ]);
    let loaded = session.load();
    drop(session);
    let dir = place.0.path().join("supervisor");
    let before = files_of(&dir);
    let mut look = Look::open(&place.file()).expect("it can be read");
    assert_eq!(look.load().expect("it is whole"), loaded);
    assert_eq!(look.attempts(1, None, 9).expect("reads").len(), 1);
    let kind = journal(1, "submitted").kind;
    let lines = look.journal(&["host.up", kind.as_str()], 0, 9);
    assert_eq!(lines.expect("reads").len(), 1);
    assert_eq!(look.journal(&["host.up"], 0, 9).expect("reads"), []);
    assert!(look.is_of_one_moment().expect("it is there"));
    assert_eq!(look.forgotten_before().expect("reads"), None);
    drop(look);
    assert!(files_of(&dir) == before, "something was written");
}

#[test]
fn who_looks_sees_one_moment_and_holds_nobody_up() {
    let place = Sqlite::new();
    let mut session = Session::open(&place);
    session.commit(vec![Write::Job(job(1))]);
    let look = Look::open(&place.file()).expect("while it is used");
    assert_eq!(look.load().expect("reads").jobs.len(), 1);
    session.commit(vec![Write::Job(job(2))]);
    assert_eq!(look.load().expect("reads").jobs.len(), 1, "of one moment");
    assert!(look.is_of_one_moment().expect("it is there"));
    drop(look);
    let look = Look::open(&place.file()).expect("again");
    assert_eq!(look.load().expect("reads").jobs.len(), 2);
}

#[test]
fn who_looks_is_told_what_was_forgotten() {
    let place = Sqlite::new();
    let mut session = Session::open(&place);
    let line = |at_ms| {
        let row = journal(1, "it was so");
        Write::Journal(JournalRow { at_ms, ..row })
    };
    session.commit(vec![line(100), line(200), line(300)]);
    session.commit(vec![Write::PruneJournal { before_seq: 3 }]);
    session.tidy();
    drop(session);
    let look = Look::open(&place.file()).expect("nobody uses it");
    assert_eq!(look.forgotten_before().expect("reads"), Some(300));
}

#[test]
fn who_looks_notices_that_a_supervisor_came() {
    let place = Sqlite::new();
    drop(Session::open(&place));
    let look = Look::open(&place.file()).expect("nobody uses it");
    let session = Session::open(&place);
    assert!(!look.is_of_one_moment().expect("it is there"));
    drop(session);
}

#[test]
fn who_looks_brings_nothing_up_to_date() {
    let place = Sqlite::new();
    drop(Session::open(&place));
    for (number, says) in [(3, "schema 3"), (99, "schema 99")] {
        sql(&place.file(), &format!("PRAGMA user_version = {number}"));
        let before = fs::read(place.file()).expect("reads");
        let error = Look::open(&place.file()).expect_err("another schema");
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let said = format!("{error} {}", cause.unwrap_or_default());
        assert!(said.contains(says), "{said}");
        assert!(fs::read(place.file()).expect("reads") == before);
    }
}

#[test]
fn backups_are_whole_while_the_store_is_written() {
    let place = Sqlite::new();
    let mut session = Session::open(&place);
    session.commit(vec![
        Write::Job(job(1)),
        Write::Items {
            job: 1,
            segment: 0,
            cells: vec![0; 100],
        },
    ]);
    let to = place.0.path().join("copy.db");
    let (from, target) = (place.file(), to.clone());
    let copier =
        std::thread::spawn(move || (0..20).for_each(|_| backup(&from, &target).expect("copies")));
    let mut count = 0u64;
    while !copier.is_finished() {
        count += 1;
        let cell = JournalRow {
            item: Some(9),
            cell: Some(count),
            ..journal(1, "")
        };
        session.commit(vec![
            Write::Journal(cell),
            Write::Attempt(attempt(1, 9, u32::try_from(count).expect("few"))),
        ]);
    }
    copier.join().expect("it copied");
    assert!(count > 0);
    backup(&place.file(), &to).expect("copies");
    assert!(!place.0.path().join("copy.db.part").exists());
    let restored = Sqlite::new();
    fs::create_dir(restored.0.path().join("supervisor")).expect("mkdir");
    fs::copy(&to, restored.file()).expect("restores");
    let expected = session.load();
    assert_eq!(Session::open(&restored).load(), expected);
    assert_eq!(expected.items[0].cells[9], count);
    let refused = backup(&place.file(), &place.0.path().join("missing/copy.db"))
        .expect_err("no such directory");
    assert!(refused.to_string().contains("missing"), "{refused}");
}

#[test]
fn people_read_views() {
    let place = Sqlite::new();
    let mut session = Session::open(&place);
    session.commit(vec![
        Write::Host(host(7)),
        Write::Job(job(1)),
        Write::Attempt(attempt(1, 3, 2)),
        Write::Journal(journal(1, "it runs")),
    ]);
    let db = Connection::open(place.file()).expect("opens");
    let get = |sql: &str| {
        db.query_row(sql, [], |row| row.get::<_, String>(0))
            .expect("answers")
    };
    assert_eq!(
        get("SELECT name || ' ' || state || ' ' || submitted FROM job"),
        "shot 1 running 2023-11-14 22:13:20"
    );
    assert_eq!(
        get("SELECT host || ' ' || outcome || ' ' || elapsed_seconds FROM attempt"),
        "rnd007 failed 0.003"
    );
    assert_eq!(
        get("SELECT at || ' ' || host || ' ' || text FROM history"),
        "1970-01-01 00:00:00.020 rnd007 it runs"
    );
}

#[test]
fn the_disk_is_asked_to_keep_every_commit() {
    let place = Sqlite::new();
    let session = Session::open(&place);
    let db = Connection::open(place.file()).expect("opens");
    let mode: String = db
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .expect("answers");
    assert_eq!(mode, "wal");
    let check: String = db
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("answers");
    assert_eq!(check, "ok");
    drop(session);
}

#[test]
fn damage_is_told_and_not_passed_over() {
    let place = Sqlite::new();
    let mut session = Session::open(&place);
    session.commit(vec![
        Write::Job(job(1)),
        Write::Items {
            job: 1,
            segment: 0,
            cells: vec![3; 100],
        },
    ]);
    drop(session);
    sql(&place.file(), "UPDATE items SET cells = x'0105'");
    let refused = SqliteStore::open(&place.file())
        .expect("opens")
        .load()
        .expect_err("it is damaged");
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
}

#[test]
fn a_reader_without_a_store_says_so() {
    let place = Sqlite::new();
    let error = SqliteReader::open(&place.file())
        .map(|mut reader| reader.last_seq())
        .expect_err("there is none");
    assert!(error.to_string().contains("store.db"), "{error}");
    assert!(!place.file().exists());
}

/// However long the journal gets, a start looks at its end only; and what it looks at is right.
#[test]
fn a_start_reads_a_short_end_of_the_journal() {
    const JOBS: u64 = 100;
    const ROUNDS: u64 = 90;
    let place = Sqlite::new();
    let mut session = Session::open(&place);
    for id in 1..=JOBS {
        let cells = vec![0; 4096];
        session.commit(vec![
            Write::Job(job(id)),
            Write::Items {
                job: id,
                segment: 0,
                cells,
            },
        ]);
    }
    // Each job is touched once, early, and one removed; then one is worked on for long.
    let cell = |job, item, cell| {
        Write::Journal(JournalRow {
            item: Some(item),
            cell: Some(cell),
            ..journal(job, "")
        })
    };
    session.commit((1..=JOBS).map(|id| cell(id, 7, id)).collect());
    session.commit(vec![Write::JobRemove(JOBS)]);
    for round in 0..ROUNDS {
        session.commit((0..1000u32).map(|n| cell(1, n % 8, round)).collect());
    }
    let db = Connection::open(place.file()).expect("opens");
    let get = |sql: &str| {
        db.query_row(sql, [], |row| row.get::<_, i64>(0))
            .expect("answers")
    };
    assert_eq!(get("SELECT last_seq FROM lease"), 90_100);
    let left = get("SELECT last_seq - folded_before FROM lease");
    assert!(
        (0..70_000).contains(&left),
        "{left} journal rows are to be read at a start"
    );
    let loaded = session.again(&place).load();
    assert_eq!(loaded.items.len() as u64, JOBS - 1);
    assert_eq!(
        loaded.items[0].cells[..9],
        [ROUNDS - 1; 8].into_iter().chain([0]).collect::<Vec<_>>()
    );
    assert!(
        loaded.items[1..]
            .iter()
            .all(|row| row.cells[7] == row.job && row.cells[8] == 0)
    );
}
