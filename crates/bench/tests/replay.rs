//! Journals of small farms, replayed: the same again with the same settings, better with more hosts, and nothing silently left out.

use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tessera_bench::{
    Algorithm, HostsChange, Options, PreemptPolicy, ReplayOptions, Replayed, Report, Scenario,
    StoreKind, replay, run,
};
use tessera_engine::Now;
use tessera_engine::supervisor::{Answer, Config, Input, Target};
use tessera_model::{Action, HostId, JobId, Principal, Proof, Timestamp};
use tessera_store::sqlite::{Look, SqliteStore};
use tessera_store::{Batch, Store as _, Write};
use tessera_supervisor::driven::Driven;
use tessera_wire::pki::FarmCa;

/// A store that a farm left.
struct Journal {
    place: TempDir,
    /// What that farm measured.
    report: Report,
}

impl Journal {
    fn file(&self) -> PathBuf {
        self.place.path().join("kept.db")
    }
}

/// Makes a folder, in memory where there is such a place: a transaction of these farms need not survive the machine.
fn place() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    made.expect("a temporary directory")
}

/// Runs a small farm and keeps its store; it is over after so many ends of frames.
fn farm(scenario: Scenario, ends: Option<u32>) -> Journal {
    let place = place();
    let report = run(&Options {
        scenario,
        hosts: 6,
        slots: 2,
        frames: 400,
        job_frames: 20,
        ends,
        seed: 7,
        store: StoreKind::Sqlite,
        folder: place.path().to_owned(),
        minutes: 10,
        keep: Some(place.path().join("kept.db")),
        wide_hosts: 10,
    });
    let report = report.expect("it runs");
    assert_eq!(report.faults, Vec::<String>::new());
    Journal { place, report }
}

fn options(file: &Path) -> ReplayOptions {
    ReplayOptions {
        source: file.to_owned(),
        from_ms: None,
        to_ms: None,
        config: None,
        algorithm: None,
        // As the made-up farms have it.
        preempt: Some(PreemptPolicy::Disabled),
        hosts: HostsChange::default(),
        seed: 7,
        store: StoreKind::Nothing,
        folder: std::env::temp_dir(),
        minutes: 10,
    }
}

fn again(options: &ReplayOptions) -> (Report, Replayed) {
    let report = replay(options).expect("it is replayed");
    assert_eq!(report.faults, Vec::<String>::new());
    assert!(!report.is_cut);
    let replayed = report.replayed.clone().expect("it is a replay");
    (report, *replayed)
}

fn said(options: &ReplayOptions) -> String {
    replay(options).expect_err("it is refused").to_string()
}

/// Says whether two times are the same but for what a launch takes.
fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1.0
}

#[test]
fn with_the_same_settings_it_is_as_it_was() {
    let journal = farm(Scenario::Users, Some(400));
    let (report, it) = again(&options(&journal.file()));
    assert_eq!((it.jobs, it.frames, it.hosts), (20, 400, 6));
    assert_eq!(report.placements, journal.report.placements);
    assert_eq!((it.was.complete, it.would.complete), (400, 400));
    assert_eq!((it.was.jobs_ended, it.would.jobs_ended), (20, 20));
    for (was, would) in [
        (it.was.seconds, it.would.seconds),
        (
            it.was.waits.done_seconds.p50,
            it.would.waits.done_seconds.p50,
        ),
        (
            it.was.waits.done_seconds.most,
            it.would.waits.done_seconds.most,
        ),
        (
            it.was.waits.first_frame_seconds.p90,
            it.would.waits.first_frame_seconds.p90,
        ),
    ] {
        assert!(is_near(was, would), "{was} s, then {would} s: {it:#?}");
    }
    assert!((it.was.working - it.would.working).abs() < 0.01, "{it:#?}");
    // Nobody would be done sooner or later.
    assert!(it.sooner.is_empty() && it.later.is_empty(), "{it:#?}");
    assert_eq!((it.guessed.of_job, it.guessed.of_farm), (0, 0));
    assert_eq!(it.not_replayed, Vec::<String>::new());
}

#[test]
fn frames_fail_again_as_they_failed() {
    let journal = farm(Scenario::FailureStorm, Some(400));
    // As the made-up farms have it: what fails is put back nowhere, and no job is blocked for it.
    let config = journal.place.path().join("supervisor.toml");
    std::fs::write(&config, "supervisor_wrangle_failures = 0\n").expect("writes");
    let mut options = options(&journal.file());
    options.config = Some(config);
    let (report, it) = again(&options);
    let was = journal.report.ends;
    assert!(was.ended_badly > 20 && was.failed > 0, "{was:?}");
    assert_eq!(report.ends.ended_badly, was.ended_badly);
    assert_eq!((it.was.failed, it.would.failed), (was.failed, was.failed));
    assert_eq!(it.would.complete, was.complete);
}

#[test]
fn hosts_go_away_again_when_they_went() {
    let journal = farm(Scenario::HalfLost, Some(400));
    let (report, it) = again(&options(&journal.file()));
    // What ran on the lost hosts runs elsewhere, too.
    assert!(report.ends.begun > 400, "{:?}", report.ends);
    assert_eq!(it.would.complete, 400);
    let is_half_there = report.samples.iter().any(|it| it.offered == 6);
    assert!(is_half_there, "six of twelve slots were away");
}

#[test]
fn more_hosts_make_it_shorter_and_fewer_longer() {
    let journal = farm(Scenario::Users, Some(400));
    let with = |hosts: i64| {
        let mut options = options(&journal.file());
        options.hosts = HostsChange(hosts);
        again(&options).1
    };
    let (more, fewer) = (with(6), with(-3));
    assert_eq!((more.hosts, fewer.hosts), (12, 3));
    assert!(more.would.seconds < 0.7 * more.was.seconds, "{more:#?}");
    assert!(fewer.would.seconds > 1.5 * fewer.was.seconds, "{fewer:#?}");
    assert!(!more.sooner.is_empty() && !fewer.later.is_empty());
    assert!(more.sooner.len() <= 5 && fewer.later.len() <= 5);
    assert!(more.settings.iter().any(|it| it.contains("+6")), "{more:?}");
}

#[test]
fn another_algorithm_serves_others_first() {
    let journal = farm(Scenario::Users, Some(400));
    let mut options = options(&journal.file());
    options.algorithm = Some(Algorithm::Queue);
    let (report, it) = again(&options);
    assert!(
        it.settings
            .contains(&"algorithm: queue instead of cluster".to_owned()),
        "{it:?}"
    );
    assert_eq!(report.ends.complete, 400);
}

/// Leaves away what the machine measured, and what says when that was.
fn decided(report: &Report) -> serde_json::Value {
    let mut json = serde_json::to_value(report).expect("it is JSON");
    let measured = [
        "real_seconds",
        "busy_seconds",
        "placements_per_second",
        "events_per_second",
        "cost",
        "commit_ms",
        "turn_ms",
        "submit_us",
        "memory",
    ];
    for name in measured {
        assert!(json[name] != serde_json::Value::Null, "{name}");
        json[name] = serde_json::Value::Null;
    }
    for sample in json["samples"].as_array_mut().expect("they are listed") {
        for name in ["busy_ms", "commit_ms", "memory"] {
            sample[name] = serde_json::Value::Null;
        }
    }
    json
}

#[test]
fn the_same_is_decided_again_byte_for_byte() {
    let journal = farm(Scenario::FailureStorm, Some(300));
    let mut options = options(&journal.file());
    options.hosts = HostsChange(2);
    let first = again(&options).0;
    let second = again(&options).0;
    assert_eq!(decided(&first).to_string(), decided(&second).to_string());
    options.store = StoreKind::Sqlite;
    options.folder = journal.place.path().to_owned();
    let kept = again(&options).0;
    assert_eq!(kept.placements_hash, first.placements_hash);
    options.seed = 8;
    assert_ne!(again(&options).0.placements_hash, first.placements_hash);
}

#[test]
fn what_never_ended_is_guessed_and_said() {
    let journal = farm(Scenario::Users, Some(100));
    let (_, it) = again(&options(&journal.file()));
    let guessed = it.guessed.of_job + it.guessed.of_farm;
    assert_eq!(guessed, 400 - it.was.complete, "{it:#?}");
    assert!(it.guessed.of_job > 0 && it.guessed.of_farm > 0, "{it:#?}");
    assert_eq!(it.would.complete, 400);
    let text = tessera_bench::text(&again(&options(&journal.file())).0);
    assert!(text.contains("frames never ended by themselves"), "{text}");
}

#[test]
fn a_part_of_the_time_is_what_was_there_then() {
    let journal = farm(Scenario::Users, Some(400));
    let (_, whole) = again(&options(&journal.file()));
    let mut part = options(&journal.file());
    // Hosts come after a minute: by then all jobs are submitted, and in another half minute some have begun.
    part.from_ms = Some(whole.from_ms + 150_000);
    let (_, it) = again(&part);
    assert!(it.frames < 400 && it.frames > 200, "{it:#?}");
    assert_eq!(it.would.complete, it.frames);
    assert!(
        it.not_replayed
            .iter()
            .any(|it| it.contains("had begun before")),
        "{it:?}"
    );
    let mut part = options(&journal.file());
    part.to_ms = Some(whole.from_ms + 10_000);
    let (_, it) = again(&part);
    assert!(it.jobs < 20 && it.jobs > 0, "{it:#?}");
}

/// Lets people say something on a farm that was cut short, as its supervisor would hear it.
fn say(journal: &Journal, inputs: Vec<Input>) {
    let mut store = SqliteStore::open(&journal.file()).expect("nobody has it");
    let loaded = store.load().expect("it is whole");
    let last = tessera_supervisor::kept::read(loaded).expect("it is ours");
    let seen = last.image.hosts.iter().map(|host| host.seen.0).max();
    let now = Now {
        wall: Timestamp(seen.unwrap_or(0) + 1_000),
        elapsed: std::time::Duration::from_secs(10_000),
    };
    // The keys of that farm went with its folder; it goes on with others.
    let keys = journal.place.path().join("keys");
    let farm = FarmCa::open_or_create(&keys).expect("keys are made");
    let epoch = store.lease("test").expect("nobody has it");
    let value = farm.farm_id().to_string();
    let key = "farm_id".to_owned();
    let writes = vec![Write::Meta { key, value }];
    let at_ms = now.wall.0;
    let batch = Batch {
        epoch,
        at_ms,
        writes,
    };
    store.commit(&batch).expect("it is committed");
    let mut driven = Driven::open(Box::new(store), Config::default(), &keys, now).expect("opens");
    let count = inputs.len();
    inputs.into_iter().for_each(|input| driven.ask(input));
    let turned = driven.turn().expect("it is committed");
    assert_eq!(turned.answers.len(), count);
    for answer in turned.answers {
        let is_done = match &answer {
            Ok(Answer::Acted(each)) => each.iter().all(|(_, it)| it.is_ok()),
            Ok(_) => true,
            Err(_) => false,
        };
        assert!(is_done, "{answer:?}");
    }
}

fn act(action: Action, target: Target) -> Input {
    Input::Act {
        by: anna(),
        action,
        targets: vec![target],
    }
}

fn anna() -> Principal {
    Principal {
        name: "anna".parse().expect("a name"),
        proof: Proof::Peer { uid: 1_000 },
        is_admin: true,
    }
}

fn host(journal: &Journal, place: usize) -> HostId {
    let look = Look::open(&journal.file()).expect("it can be read");
    HostId(look.load().expect("it is whole").hosts[place].id)
}

#[test]
fn words_of_people_are_said_again_or_counted() {
    let journal = farm(Scenario::Users, Some(100));
    let lock = |is_locked| Input::Lock {
        by: anna(),
        host: host(&journal, 2),
        is_locked,
    };
    say(
        &journal,
        vec![
            // The last jobs have not begun by then.
            act(Action::Kill, Target::Job(JobId(20))),
            act(Action::Block, Target::Job(JobId(19))),
            act(Action::Top, Target::Job(JobId(18))),
            act(
                Action::Kill,
                Target::Items(JobId(18), vec![tessera_model::ItemIndex(3)]),
            ),
            lock(true),
        ],
    );
    let (report, it) = again(&options(&journal.file()));
    assert_eq!(it.words, 4, "{it:#?}");
    assert_eq!(
        it.not_replayed,
        ["1 things done to single frames or instances"],
        "{it:#?}"
    );
    // Two jobs of twenty frames are killed and blocked.
    assert_eq!(report.ends.given_up, 40, "{:?}", report.ends);
    assert_eq!(it.would.complete, 360);
    // Ten slots work on with the lock.
    let last = report
        .samples
        .iter()
        .rev()
        .find(|it| it.open_frames > 40 + 12);
    let last = last.expect("it goes on after the words");
    assert!(last.taken <= 10, "{last:?}");
}

#[test]
fn what_can_not_be_replayed_is_refused_in_words() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let missing = place.path().join("none.db");
    let at = |path: &Path| said(&options(path));
    assert!(at(&missing).contains("there is no "), "{}", at(&missing));
    let folder = at(place.path());
    assert!(
        folder.contains("no folder of a farm") && folder.contains("tessera.db"),
        "{folder}"
    );
    let text = place.path().join("text");
    std::fs::write(&text, "SQLite is what this is not").expect("writes");
    assert!(
        at(&text).contains("is not a Tessera store"),
        "{}",
        at(&text)
    );
    let postgres = at(Path::new("postgres://farm@db/tessera"));
    assert!(postgres.contains("PostgreSQL"), "{postgres}");
    let empty = place.path().join("empty").join("store.db");
    drop(SqliteStore::open(&empty).expect("it is made"));
    assert!(at(&empty).contains("it has no jobs"), "{}", at(&empty));
}

#[test]
fn what_is_asked_wrongly_is_refused_in_words() {
    let journal = farm(Scenario::Users, Some(50));
    let with = |spoil: fn(&mut ReplayOptions)| {
        let mut options = options(&journal.file());
        spoil(&mut options);
        said(&options)
    };
    let backwards = with(|it| (it.from_ms, it.to_ms) = (Some(2_000), Some(1_000)));
    assert!(backwards.contains("is not before --to"), "{backwards}");
    let nobody = with(|it| it.to_ms = Some(1_000));
    assert!(
        nobody.contains("no job of it was there between"),
        "{nobody}"
    );
    let hosts = with(|it| it.hosts = HostsChange(-6));
    assert!(hosts.contains("one must be left"), "{hosts}");
    let config = with(|it| it.config = Some("/nonexistent.toml".into()));
    assert!(config.contains("/nonexistent.toml"), "{config}");
    let minutes = with(|it| it.minutes = 0);
    assert!(minutes.contains("out of bounds"), "{minutes}");
    let folder = with(|it| it.folder = "/nonexistent".into());
    assert!(folder.contains("/nonexistent"), "{folder}");
}

#[test]
fn nothing_says_how_long_frames_take_when_none_ended() {
    let journal = farm(Scenario::ColdStart, Some(1));
    let none = journal.report.ends.complete;
    let result = replay(&options(&journal.file()));
    match none {
        0 => {
            let said = result.expect_err("nothing is known").to_string();
            assert!(said.contains("how long frames take"), "{said}");
        }
        _ => panic!("{none} frames had ended"),
    }
}

#[test]
fn the_page_and_the_text_say_both_sides() {
    let journal = farm(Scenario::WideJobs, Some(400));
    let mut options = options(&journal.file());
    options.hosts = HostsChange(2);
    let (report, it) = again(&options);
    assert_eq!(it.classes.len(), 2, "{:?}", it.classes);
    assert_eq!(
        (it.classes[0].class.as_str(), it.classes[1].class.as_str()),
        ("1 slot", "2 slots")
    );
    let text = tessera_bench::text(&report);
    for part in [
        "as it was",
        "replayed",
        "2 slots (2 jobs)",
        "+2 like rnd000000",
        "assumed",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let page = tessera_bench::html(&report);
    assert!(
        page.contains("<svg") && page.contains("As it was, and replayed"),
        "{page}"
    );
    for outside in ["http:", "https:", "<script", "<link", "src="] {
        assert!(!page.contains(outside), "{outside}");
    }
    let json = serde_json::to_value(&report).expect("it is JSON");
    assert_eq!(json["scenario"], "replay");
    assert_eq!(json["replayed"]["hosts"], 8);
}
