//! What a launcher leaves that ends in the middle, and what the next makes of it.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tessera_keeper::Record;
use tessera_keeper::records::{Records, Was};
use tessera_ticket::Mode;
use tessera_ticket::pipe::{Answer, Ask};

use super::fake::Fake;
use super::talk::{SLOTS, World, start, ticket, world, world_in};

fn records(dir: &Path) -> Vec<String> {
    let all = std::fs::read_dir(dir.join("launcher/logons")).expect("reads");
    all.map(|it| {
        it.expect("reads")
            .file_name()
            .to_string_lossy()
            .into_owned()
    })
    .collect()
}

/// A launcher has ended in the middle of a logon of `account`, with a private directory.
fn after_a_crash(account: &str, is_made: bool) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let private = dir.path().join("tmp/12.0.1");
    std::fs::create_dir_all(&private).expect("made");
    let own = dir.path().join("launcher");
    std::fs::create_dir_all(&own).expect("made");
    let record = Record {
        account: account.to_owned(),
        is_made,
        private,
    };
    let records = Records::open(&own).expect("opens");
    records.add("12.0.1", &record).expect("written");
    assert_eq!(
        records.all().expect("reads"),
        [("12.0.1".to_owned(), Was::Whole(record))]
    );
    dir
}

#[test]
fn an_account_of_a_slot_is_disabled_and_its_directory_emptied_as_itself() {
    let world = world_in(after_a_crash(r".\tessera-job1", true), Fake::default(), "");
    let steps = [
        "chance",
        "renew",
        "logon",
        "look_up",
        "who",
        "remove private",
        "close token",
        "disable",
    ];
    assert_eq!(world.os.said(), steps);
    assert!(records(world.dir.path()).is_empty());
}

#[test]
fn nobodys_password_is_needed_to_empty_what_was_a_persons() {
    let world = world_in(after_a_crash(r"STUDIO\mia", false), Fake::default(), "");
    let steps = [
        "s4u",
        "logon",
        "look_up",
        "who",
        "remove private",
        "close token",
    ];
    assert_eq!(world.os.said(), steps);
    assert!(records(world.dir.path()).is_empty());
}

#[test]
fn a_directory_is_never_emptied_as_anybody_else() {
    let other = Fake {
        is_swapped: true,
        ..Fake::default()
    };
    let world = world_in(after_a_crash(r"STUDIO\mia", false), other, "");
    let said = world.os.said();
    assert!(!said.contains(&"remove private".to_owned()), "{said:?}");
    assert!(
        world.audit().contains("another account"),
        "{}",
        world.audit()
    );
    assert_eq!(records(world.dir.path()), ["12.0.1"]);
}

#[test]
fn what_can_not_be_taken_back_stays_for_the_next_launcher() {
    for fails in ["remove private", "disable", "logon", "renew"] {
        let failing = Fake {
            fails,
            ..Fake::default()
        };
        let world = world_in(after_a_crash(r".\tessera-job1", true), failing, "");
        assert_eq!(records(world.dir.path()), ["12.0.1"], "{fails}");
        let audit = world.audit();
        assert!(audit.contains("\"event\":\"left\""), "{audit}");
        // What can be done is: the account is not left enabled for want of the other.
        let is_disabled = world.os.said().contains(&"disable".to_owned());
        assert_eq!(is_disabled, fails != "disable", "{fails}");
        let World { dir, launcher, .. } = world;
        drop(launcher);
        let next = world_in(dir, Fake::default(), "");
        assert!(records(next.dir.path()).is_empty(), "{fails}");
    }
}

#[test]
fn while_something_of_it_runs_nothing_is_touched() {
    let dir = after_a_crash(r".\tessera-job1", true);
    let launches = dir.path().join("launcher/launches");
    std::fs::create_dir_all(&launches).expect("made");
    std::fs::write(launches.join("12.0.1"), "41 7\n").expect("written");
    let stubborn = Fake {
        fails: "end_process",
        ..Fake::default()
    };
    let world = world_in(dir, stubborn, "");
    assert!(world.os.said().is_empty());
    assert_eq!(records(world.dir.path()), ["12.0.1"]);
}

#[test]
fn a_directory_that_is_gone_needs_no_logon() {
    let dir = after_a_crash(r".\tessera-job1", true);
    std::fs::remove_dir(dir.path().join("tmp/12.0.1")).expect("removed");
    let world = world_in(dir, Fake::default(), "");
    assert_eq!(world.os.said(), ["disable"]);
    assert!(records(world.dir.path()).is_empty());
}

#[test]
fn a_record_that_was_cut_off_is_of_nothing_that_had_begun() {
    let dir = after_a_crash(r".\tessera-job1", true);
    let path = dir.path().join("launcher/logons/12.0.1");
    let whole = std::fs::read(&path).expect("reads");
    std::fs::write(&path, &whole[..whole.len() - 3]).expect("written");
    let world = world_in(dir, Fake::default(), "");
    assert!(world.os.said().is_empty());
    assert!(records(world.dir.path()).is_empty());
    assert!(world.audit().contains("cut off"), "{}", world.audit());
}

fn run(launch: u32) -> [Ask; 2] {
    let (item, attempt) = (1, 1);
    let start = start(&ticket(launch, Mode::Proxy, SLOTS));
    [start, Ask::Run { item, attempt }]
}

fn account_of(answers: &[Answer]) -> &str {
    match &answers[0] {
        Answer::Started { account } => account,
        other => panic!("{other:?}"),
    }
}

/// Whoever got the account could read what the last job left.
#[test]
fn an_account_is_nobodys_while_something_of_its_last_job_is_left() {
    for fails in ["remove private", "unload profile", "disable"] {
        let os = Fake {
            fails,
            ..Fake::default()
        };
        let world = world(os, "");
        assert_eq!(account_of(&world.say(&run(1))), r"RND1\tessera-job1");
        assert_eq!(records(world.dir.path()), ["12.0.1"]);
        let second = world.say(&run(2));
        assert_eq!(account_of(&second), r"RND1\tessera-job2", "{fails}");
        // Tried again while it fails nothing changes: but for the profile, which is of the logon that is over.
        let later = || Instant::now() + Duration::from_secs(3_600);
        let is_still_left = fails != "unload profile";
        world.launcher.clear(later());
        assert_eq!(!records(world.dir.path()).is_empty(), is_still_left);
        world.os.is_mended.store(true, Ordering::SeqCst);
        world.launcher.clear(later());
        assert!(records(world.dir.path()).is_empty(), "{fails}");
        assert!(world.audit().contains("\"event\":\"cleared\""));
        assert_eq!(account_of(&world.say(&run(3))), r"RND1\tessera-job1");
    }
}

#[test]
fn an_account_is_nobodys_when_its_logon_could_not_be_taken_back() {
    let os = Fake {
        fails: "admit",
        also_fails: "remove private",
        ..Fake::default()
    };
    let world = world(os, "");
    let refused = world.say(&run(1));
    assert!(matches!(refused[0], Answer::Refused { .. }), "{refused:?}");
    let private = world.dir.path().join("tmp/12.0.1");
    assert!(private.is_dir(), "it is there, and known");
    let audit = world.audit();
    assert!(audit.contains("\"event\":\"left\""), "{audit}");
    world.os.is_mended.store(true, Ordering::SeqCst);
    assert_eq!(account_of(&world.say(&run(2))), r"RND1\tessera-job2");
    let later = Instant::now() + Duration::from_secs(3_600);
    world.launcher.clear(later);
    assert!(!private.exists());
    assert_eq!(account_of(&world.say(&run(3))), r"RND1\tessera-job1");
}

#[test]
fn an_account_stays_taken_over_a_restart_of_the_launcher() {
    let failing = Fake {
        fails: "remove private",
        ..Fake::default()
    };
    let world = world_in(after_a_crash(r".\tessera-job1", true), failing, "");
    assert_eq!(account_of(&world.say(&run(2))), r"RND1\tessera-job2");
}

/// A logon is on record before its first step, and until its last is taken back.
#[test]
fn a_logon_is_on_record_as_long_as_anything_of_it_is_there() {
    let begin = |fails| {
        let os = Fake {
            fails,
            ..Fake::default()
        };
        let world = world(os, "");
        let run = Ask::Run {
            item: 1,
            attempt: 1,
        };
        world.say(&[start(&ticket(1, Mode::Proxy, SLOTS)), run]);
        records(world.dir.path())
    };
    assert!(begin("").is_empty(), "it has ended as it should");
    assert!(
        begin("profile").is_empty(),
        "it was refused, and taken back"
    );
    assert_eq!(begin("unload profile"), ["12.0.1"]);
    assert_eq!(begin("disable"), ["12.0.1"]);
}
