//! Processes in job objects, on Windows or under Wine.
#![cfg(windows)]

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::windows::io::AsRawHandle as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tessera_windows::{Priority, Start, Started, command_line, end_process, environment, start};

/// How long anything may take; Wine is slow to start.
const LONG: Duration = Duration::from_secs(60);

fn probe() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let debug = own.parent().unwrap().parent().unwrap();
    debug.join("examples/probe.exe")
}

fn variables() -> Vec<(String, String)> {
    // Without it nothing starts.
    let root = std::env::var("SystemRoot").unwrap();
    vec![("SystemRoot".to_owned(), root)]
}

fn begin(words: &[&str], directory: &Path) -> Started {
    let all = [&["probe"], words].concat();
    start(&Start {
        program: probe(),
        command_line: command_line::of(&all).unwrap(),
        environment: environment::block(&variables()).unwrap(),
        directory: directory.to_owned(),
        priority: Priority::BelowNormal,
    })
    .unwrap()
}

/// Runs the probe to its end; answers what it printed and its exit code.
fn run_in(words: &[&str], directory: &Path) -> (String, String, u32) {
    let mut started = begin(words, directory);
    let (mut out, mut err) = (String::new(), String::new());
    started.out.read_to_string(&mut out).unwrap();
    started.err.read_to_string(&mut err).unwrap();
    let code = started.tree.wait().unwrap();
    wait_until("nothing is alive", || started.tree.alive().unwrap() == 0);
    (out.replace('\r', ""), err.replace('\r', ""), code)
}

fn run(words: &[&str]) -> (String, String, u32) {
    run_in(words, &std::env::temp_dir())
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Says whether nobody writes to a file any more.
fn is_still(file: &Path) -> bool {
    let before = fs::read_to_string(file).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    fs::read_to_string(file).unwrap() == before
}

#[test]
fn arguments_arrive_as_they_were_given() {
    let hard = [
        "",
        "a b",
        r"C:\my dir\",
        r#"say "hi""#,
        r#"\""#,
        r"\\srv\x\\",
        "%PATH%",
        "&calc|more>x",
        "^",
        "é漢🎬",
        "tab\there",
        "'",
        "*.exe",
        "-",
    ];
    let words = [&["args"], &hard[..]].concat();
    let (out, err, code) = run(&words);
    let expected: Vec<String> = hard.iter().map(|it| format!("{it:?}")).collect();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines, expected, "{err}");
    assert_eq!(code, 0);
}

#[test]
fn streams_are_told_apart_and_the_input_is_empty() {
    let (out, err, code) = run(&["streams"]);
    assert_eq!((out.as_str(), err.as_str()), ("out\ninput \"\"\n", "err\n"));
    assert_eq!(code, 0);
}

#[test]
fn w05_only_the_given_variables_are_seen() {
    let (out, ..) = run(&["env"]);
    let names: Vec<&str> = out
        .lines()
        .filter_map(|it| it.split_once('='))
        .map(|(name, _)| name)
        // What Wine adds by itself.
        .filter(|name| !name.starts_with("WINE") && *name != "SystemDrive")
        .collect();
    assert_eq!(names, ["SystemRoot"], "{out}");
}

#[test]
fn the_directory_is_the_given_one() {
    let dir = tempfile::tempdir().unwrap();
    let (out, ..) = run_in(&["directory"], dir.path());
    let found = fs::canonicalize(out.trim()).unwrap();
    assert_eq!(found, fs::canonicalize(dir.path()).unwrap());
}

#[test]
fn exit_codes_have_32_bits() {
    for code in [0, 1, 3, 259, 0xC000_0005, u32::MAX] {
        assert_eq!(run(&["exit", &code.to_string()]).2, code);
    }
}

#[test]
fn what_is_no_program_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text.exe");
    fs::write(&text, "no program").unwrap();
    for program in [dir.path().join("nothing.exe"), text] {
        let refused = start(&Start {
            program,
            command_line: command_line::of(&["x"]).unwrap(),
            environment: environment::block(&variables()).unwrap(),
            directory: dir.path().to_owned(),
            priority: Priority::Normal,
        });
        assert!(refused.unwrap_err().raw_os_error().is_some());
    }
}

#[test]
fn w02_a_kill_ends_the_whole_tree() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("beat");
    let started = begin(&["tree", "2", file.to_str().unwrap()], dir.path());
    wait_until("the last one lives", || file.exists());
    wait_until("all are counted", || started.tree.alive().unwrap() == 3);
    started.tree.kill().unwrap();
    assert_eq!(started.tree.wait().unwrap(), 1);
    wait_until("nothing is alive", || started.tree.alive().unwrap() == 0);
    assert!(is_still(&file));
}

#[test]
fn a_tree_stands_still_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("beat");
    let started = begin(&["tree", "1", file.to_str().unwrap()], dir.path());
    wait_until("the last one lives", || file.exists());
    started.tree.set_suspended(true).unwrap();
    wait_until("it stands still", || is_still(&file));
    started.tree.set_suspended(false).unwrap();
    wait_until("it goes on", || !is_still(&file));
}

#[test]
fn w03_a_tree_dies_with_who_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("beat");
    let mut holder = Command::new(probe())
        .args(["hold", "2", file.to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let out = holder.stdout.take().unwrap();
    BufReader::new(out).read_line(&mut first).unwrap();
    assert!(first.trim().parse::<u32>().is_ok(), "{first}");
    wait_until("the last one lives", || file.exists());
    holder.kill().unwrap();
    holder.wait().unwrap();
    wait_until("nobody writes", || is_still(&file));
}

#[link(name = "kernel32")]
unsafe extern "system" {
    fn SetHandleInformation(handle: *mut std::ffi::c_void, mask: u32, flags: u32) -> i32;
}

#[test]
fn w04_only_the_three_streams_are_inherited() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    let file = File::create(&path).unwrap();
    let handle = file.as_raw_handle();
    // As a careless library would leave it (HANDLE_FLAG_INHERIT).
    // SAFETY: the handle is open.
    assert_ne!(unsafe { SetHandleInformation(handle, 1, 1) }, 0);
    let number = (handle as usize).to_string();
    // A program that is started in the usual way has it,
    let usual = Command::new(probe()).args(["handle", &number]).output();
    assert_eq!(usual.unwrap().stdout, b"true\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "leaked");
    // one that we start has not.
    assert_eq!(run(&["handle", &number]).0, "false\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "leaked");
}

#[test]
fn w18_a_number_alone_ends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("beat");
    let started = begin(&["tree", "0", file.to_str().unwrap()], dir.path());
    wait_until("it lives", || file.exists());
    let (id, born) = started.tree.main();
    assert!(end_process(id, born + 1), "that one is gone");
    assert_eq!(started.tree.alive().unwrap(), 1);
    assert!(end_process(id, born));
    wait_until("nothing is alive", || started.tree.alive().unwrap() == 0);
    assert!(end_process(id, born), "it is gone still");
}

#[test]
fn the_host_is_described() {
    let machine = tessera_windows::machine();
    assert!(machine.memory > 0 && machine.version.split('.').count() == 3);
    let account = tessera_windows::account().unwrap();
    assert_eq!(account.name, std::env::var("USERNAME").unwrap());
}
