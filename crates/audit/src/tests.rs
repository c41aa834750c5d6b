use super::*;
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use tessera_ticket::AUDIT_TAIL_MAX;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn text(dir: &TempDir, name: &str) -> String {
    fs::read_to_string(dir.path().join(name)).unwrap_or_default()
}

/// Adds a line of each kind.
fn add_both(audit: &mut Audit, number: u64) {
    audit.add(number, "launch", &[("number", &number.to_string())]);
    audit.add_asked(number, "refused", &[("number", &number.to_string())]);
}

fn names(dir: &TempDir) -> Vec<String> {
    let all = fs::read_dir(dir.path()).expect("reads");
    let name = |it: io::Result<fs::DirEntry>| it.expect("an entry").file_name();
    let mut names: Vec<String> = all
        .map(|it| name(it).into_string().expect("text"))
        .collect();
    names.sort();
    names
}

#[test]
fn lines_are_chained_over_restarts_and_cut_ends() {
    let dir = folder();
    let mut audit = Audit::open(dir.path()).expect("opens");
    audit.add(1, "a", &[("x", "line\n\"break\u{202e}")]);
    audit.add_asked(1, "b", &[]);
    audit.flush(1).expect("writes");
    drop(audit);
    for name in [HAPPENED, ASKED] {
        fs::write(dir.path().join(name), text(&dir, name) + "{\"half").expect("writes");
    }
    let said = verify(dir.path()).expect("whole");
    assert!(said.contains("cut short"), "{said}");
    let mut audit = Audit::open(dir.path()).expect("opens");
    add_both(&mut audit, 2);
    audit.flush(2).expect("writes");
    assert_eq!(
        text(&dir, HAPPENED).lines().next(),
        Some(r#"{"time_ms":1,"event":"a","x":"line\u000a\"break\u202e","prev":"-"}"#)
    );
    assert_eq!(
        verify(dir.path()).expect("whole"),
        "audit.log: 2 lines in 1 files, whole\naudit-asked.log: 2 lines in 1 files, whole\n"
    );
}

#[test]
fn what_is_asked_for_pushes_nothing_out_of_what_happened() {
    let dir = folder();
    let mut audit = Audit::open_with(dir.path(), SIZE_MAX, 10_000).expect("opens");
    audit.add(1, "launch", &[("account", "eve")]);
    let long = "x".repeat(2_000);
    for number in 0..500 {
        audit.add_asked(number, "refused", &[("text", &long)]);
        audit.flush(number).expect("writes");
    }
    let happened = text(&dir, HAPPENED);
    assert!(happened.contains("\"account\":\"eve\""), "{happened}");
    assert!(!happened.contains("refused"));
    // A line for each file that was put aside, and no more.
    assert!((50..=100).contains(&happened.lines().count()));
    assert_eq!(names(&dir), [ASKED, "audit-asked.log.1", HAPPENED]);
    let said = verify(dir.path()).expect("whole");
    assert!(said.contains("no longer kept"), "{said}");
    // Over a restart it goes on.
    let mut audit = Audit::open_with(dir.path(), SIZE_MAX, 10_000).expect("opens");
    add_both(&mut audit, 1);
    audit.flush(1).expect("writes");
    verify(dir.path()).expect("whole");
}

#[test]
fn what_happened_is_kept_in_eight_files() {
    let dir = folder();
    let mut audit = Audit::open_with(dir.path(), 500, SIZE_MAX).expect("opens");
    for number in 0..200 {
        audit.add(number, "launch", &[]);
        audit.flush(number).expect("writes");
    }
    let files = names(&dir);
    assert_eq!(files.len(), 1 + 1 + HAPPENED_OLD as usize, "{files:?}");
    verify(dir.path()).expect("whole");
    // One of those in the middle is missing.
    fs::remove_file(dir.path().join("audit.log.4")).expect("removes");
    let said = verify(dir.path()).expect_err("a gap");
    assert!(said.contains("audit.log.3, line 1"), "{said}");
}

#[test]
fn nothing_is_taken_out_put_in_or_changed_unseen() {
    let dir = folder();
    let mut audit = Audit::open(dir.path()).expect("opens");
    (0..5).for_each(|number| add_both(&mut audit, number));
    audit.flush(9).expect("writes");
    for name in [HAPPENED, ASKED] {
        let path = dir.path().join(name);
        let good = text(&dir, name);
        let lines: Vec<&str> = good.lines().collect();
        let with = |at: usize, line: &[&str]| {
            let mut all = lines.clone();
            all.splice(at..=at, line.iter().copied());
            all.join("\n") + "\n"
        };
        let changed = lines[2].replace("\"2\"", "\"7\"");
        for (bad, number) in [
            (with(2, &[]), 3),
            (with(2, &[&changed]), 4),
            (with(2, &[lines[2], lines[1]]), 4),
            (with(2, &["{}"]), 3),
        ] {
            fs::write(&path, bad).expect("writes");
            let said = verify(dir.path()).expect_err("a fault");
            assert!(said.contains(&format!("{name}, line {number}: ")), "{said}");
        }
        fs::write(&path, good).expect("writes");
        verify(dir.path()).expect("whole");
    }
}

#[test]
fn a_file_that_was_put_aside_is_missed() {
    let dir = folder();
    let mut audit = Audit::open_with(dir.path(), SIZE_MAX, 1_000).expect("opens");
    for number in 0..40 {
        add_both(&mut audit, number);
        audit.flush(number).expect("writes");
    }
    verify(dir.path()).expect("whole");
    let path = |name: &str| dir.path().join(name);
    fs::rename(path("audit-asked.log.1"), path("elsewhere")).expect("renames");
    let said = verify(dir.path()).expect_err("a file is missing");
    assert!(
        said.starts_with("audit-asked.log: audit.log says"),
        "{said}"
    );
    // Both: the other log still knows.
    fs::remove_file(path(ASKED)).expect("removes");
    verify(dir.path()).expect_err("both are missing");
}

#[test]
fn a_crash_while_a_file_is_put_aside_breaks_no_chain() {
    let dir = folder();
    let mut audit = Audit::open(dir.path()).expect("opens");
    add_both(&mut audit, 1);
    audit.flush(1).expect("writes");
    drop(audit);
    for name in [HAPPENED, ASKED] {
        let path = dir.path().join(name);
        // Before the new file was made, and when a part of its first line was written.
        fs::rename(&path, log::old(&path, 1)).expect("renames");
    }
    fs::write(dir.path().join(ASKED), "{\"half").expect("writes");
    let mut audit = Audit::open(dir.path()).expect("opens");
    add_both(&mut audit, 2);
    audit.flush(2).expect("writes");
    let said = verify(dir.path()).expect("whole");
    assert!(said.starts_with("audit.log: 2 lines in 2 files"), "{said}");
    // After the other log was told, and before the name was changed.
    let full = folder();
    let mut audit = Audit::open_with(full.path(), SIZE_MAX, 10).expect("opens");
    add_both(&mut audit, 1);
    audit.flush(1).expect("writes");
    let file = full.path().join(ASKED);
    let before = fs::read(&file).expect("reads");
    audit.add_asked(2, "refused", &[]);
    audit.flush(2).expect("writes");
    fs::remove_file(log::old(&file, 1)).expect("removes");
    fs::write(&file, before).expect("writes");
    verify(full.path()).expect("whole");
    let mut audit = Audit::open_with(full.path(), SIZE_MAX, 10).expect("opens");
    audit.add_asked(3, "refused", &[]);
    audit.flush(3).expect("writes");
    verify(full.path()).expect("whole");
}

#[test]
fn an_end_without_a_line_is_not_gone_on_with() {
    let dir = folder();
    fs::write(dir.path().join(HAPPENED), vec![0; AUDIT_TAIL_MAX + 1]).expect("writes");
    let error = Audit::open(dir.path()).expect_err("no line");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_every_line_once_and_whole() {
    use std::io::Write as _;
    let full = || fs::File::create(PathBuf::from("/dev/full")).expect("opens");
    let dir = folder();
    let path = dir.path().join(HAPPENED);
    let mut audit = Audit::open(dir.path()).expect("opens");
    audit.add(1, "first", &[]);
    audit.flush(1).expect("writes");
    audit.happened.file = Some(full());
    audit.add(2, "second", &[]);
    let error = audit.flush(2).expect_err("the disk is full");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    // As if the first bytes had been taken.
    let mut options = fs::OpenOptions::new();
    let mut file = options.append(true).open(&path).expect("opens");
    let part = &audit.happened.pending.as_bytes()[..20];
    file.write_all(part).expect("writes");
    audit.flush(2).expect("writes");
    assert_eq!(text(&dir, HAPPENED).lines().count(), 2);
    // More than is kept: the rest is counted, and told of.
    let long = "x".repeat(100_000);
    for _ in 0..20 {
        audit.happened.file = Some(full());
        audit.add(3, "third", &[("long", &long)]);
        audit.flush(3).expect_err("the disk is full");
    }
    assert!(audit.happened.pending.len() < log::PENDING_MAX + 2 * long.len());
    audit
        .write(4)
        .expect_err("lines were lost, and nothing may happen without them");
    audit.add(5, "last", &[]);
    audit.flush(5).expect("writes");
    let found = text(&dir, HAPPENED);
    let before_last = found.lines().rev().nth(1).expect("a line");
    assert!(
        before_last.contains("\"lost\",\"lines\":\"9\""),
        "{before_last}"
    );
    verify(dir.path()).expect("whole");
    // What was asked for can't be written either: nothing may go on.
    audit.asked.file = Some(full());
    add_both(&mut audit, 6);
    audit.flush(6).expect_err("the disk is full");
    audit.settle(6).expect("writes");
    assert!(text(&dir, ASKED).contains("\"number\":\"6\""));
    verify(dir.path()).expect("whole");
}

#[cfg(target_os = "linux")]
#[test]
fn what_the_disk_did_not_take_is_written_again() {
    // It takes everything and can't make it durable.
    let bad = || fs::File::create("/dev/null").expect("opens");
    let dir = folder();
    let mut audit = Audit::open(dir.path()).expect("opens");
    audit.add(1, "first", &[]);
    audit.write(1).expect("writes");
    assert!(text(&dir, HAPPENED).contains("first"));
    audit.happened.file = Some(bad());
    audit.add(2, "second", &[]);
    audit.write(2).expect("writes");
    audit.flush(2).expect_err("not durable");
    audit.add(3, "third", &[]);
    audit.flush(3).expect("writes");
    assert_eq!(text(&dir, HAPPENED).lines().count(), 3);
    // The same when a write fails behind what was written.
    audit.add(4, "fourth", &[]);
    audit.write(4).expect("writes");
    audit.happened.file = Some(fs::File::create("/dev/full").expect("opens"));
    audit.add(5, "fifth", &[]);
    audit.write(5).expect_err("the disk is full");
    audit.flush(5).expect("writes");
    assert_eq!(text(&dir, HAPPENED).lines().count(), 5);
    verify(dir.path()).expect("whole");
}
