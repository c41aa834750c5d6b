//! Command lines as people type them, as far as they need no farm: usage errors, exit codes, what is refused early.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::time::Duration;
use tessera_cli::{Exit, Outcome};

fn run(words: &[&str]) -> Outcome {
    let words = ["tessera"].iter().chain(words).map(OsString::from);
    tessera_cli::run(words.collect::<Vec<_>>())
}

fn exit(words: &[&str]) -> Exit {
    match run(words) {
        Outcome::Done(exit) => exit,
        other => panic!("{words:?} is not done: {other:?}"),
    }
}

#[test]
fn wrong_usage_ends_with_two() {
    for words in [
        &["explode"][..],
        &["submit"],
        &["submit", "--range", "1-10"],
        &["kill"],
        &["kill", "x"],
        &["kill", "12:a-b"],
        &["jobs", "--limit", "0"],
        &["wait", "twelve"],
        &["token", "revoke"],
        &["submit", "--timeout", "5s", "--", "true"],
    ] {
        assert_eq!(exit(words), Exit::Usage, "{words:?}");
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for words in [
        &["--help"][..],
        &["--version"],
        &["submit", "--help"],
        &["host", "remove", "--help"],
    ] {
        assert_eq!(exit(words), Exit::Done, "{words:?}");
    }
}

#[test]
fn a_socket_that_is_not_there_is_unreachable() {
    let dir = tempfile::tempdir().expect("a folder");
    let address = format!("unix:{}/none.sock", dir.path().display());
    for words in [
        &["jobs"][..],
        &["kill", "12"],
        &["whoami"],
        &["log", "12:1"],
        &["hosts", "--json"],
    ] {
        let words: Vec<&str> = ["--supervisor", &address]
            .iter()
            .chain(words)
            .copied()
            .collect();
        assert_eq!(exit(&words), Exit::Unreachable, "{words:?}");
    }
}

#[test]
fn plaintext_addresses_are_refused() {
    assert_eq!(exit(&["--supervisor", "http://farm", "jobs"]), Exit::Usage);
}

#[test]
fn daemons_are_left_to_the_program() {
    match run(&["supervisor", "--state", "/s", "--listen", "127.0.0.1:0"]) {
        Outcome::Supervisor(options) => {
            assert_eq!(options.state.to_str(), Some("/s"));
            assert_eq!(options.listen.map(|listen| listen.port()), Some(0));
        }
        other => panic!("{other:?}"),
    }
    match run(&["worker", "--state", "/s", "--desktop", "--slots", "3"]) {
        Outcome::Worker(options) => assert_eq!(options.slots, Some(3)),
        other => panic!("{other:?}"),
    }
    match run(&["worker"]) {
        Outcome::Worker(options) => assert_eq!(options.state.to_str(), Some("/var/lib/tessera")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn frames_are_rendered_and_laid_out() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).display().to_string();
    for frame in ["1", "2", "3", "4"] {
        let out = path(&format!("frame_000{frame}.png"));
        let words = [
            "render-demo",
            "--frame",
            frame,
            "--frames",
            "4",
            "--width",
            "48",
            "--height",
            "36",
            "--out",
            &out,
        ];
        assert_eq!(exit(&words), Exit::Done);
    }
    let sheet = path("contact-sheet.png");
    assert_eq!(
        exit(&["contact-sheet", &path(""), "--out", &sheet, "--width", "24"]),
        Exit::Done
    );
    let sheet = tessera_cli::picture::read(sheet.as_ref()).expect("a picture");
    assert_eq!((sheet.width, sheet.height), (2 * 30 + 6, 2 * 24 + 6));
    assert_eq!(
        exit(&[
            "contact-sheet",
            "/nonexistent",
            "--out",
            "/nonexistent/x.png"
        ]),
        Exit::Failed
    );
}

#[test]
fn folders_of_the_demo_are_made_and_removed() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("images");
    let name = folder.display().to_string();
    assert_eq!(exit(&["demo-folder", "make", &name]), Exit::Done);
    std::fs::write(folder.join("x.png"), b"x").expect("written");
    assert_eq!(exit(&["demo-folder", "make", &name]), Exit::Failed);
    assert_eq!(exit(&["demo-folder", "remove", &name]), Exit::Done);
    assert!(!folder.exists());
}

/// Runs a submission against a supervisor that is played, and answers what arrived there.
fn submitted(options: &[&str]) -> serde_json::Value {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("s.sock");
    let listener = UnixListener::bind(&path).expect("bound");
    let played = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        let limit = Some(Duration::from_secs(30));
        stream.set_read_timeout(limit).expect("a limit");
        let mut reader = BufReader::new(stream);
        let (mut line, mut length, mut first) = (String::new(), 0, String::new());
        while reader.read_line(&mut line).expect("a line") > 0 && line != "\r\n" {
            let lower = line.to_ascii_lowercase();
            if let Some(text) = lower.strip_prefix("content-length:") {
                length = text.trim().parse().expect("a length");
            }
            first = if first.is_empty() { line } else { first };
            line = String::new();
        }
        assert!(first.starts_with("POST /api/v1/jobs"), "{first}");
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let reply = r#"{"job":7,"existed":false,"items":1,"instances":1}"#;
        let head = "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\nconnection: close";
        let length = reply.len();
        write!(
            reader.get_mut(),
            "{head}\r\ncontent-length: {length}\r\n\r\n{reply}"
        )
        .expect("answered");
        serde_json::from_slice(&body).expect("JSON")
    });
    let address = format!("unix:{}", path.display());
    let mut words = vec!["--supervisor", &address, "submit"];
    words.extend(options.iter().chain(&["--", "true"]));
    assert_eq!(exit(&words), Exit::Done);
    played.join().expect("a submission")
}

#[test]
fn the_environment_arrives_in_the_submission() {
    let own = std::env::var("PATH").expect("every test has a PATH");
    let env = &submitted(&["--export-env", "--env", "SHOT=010"])["env"];
    assert_eq!((&env["PATH"], &env["SHOT"]), (&own.into(), &"010".into()));
    // Set by cargo for every test; not one that is known by name.
    assert_eq!(env["CARGO_PKG_NAME"], env!("CARGO_PKG_NAME"));
    for left_out in ["HOME", "USER", "TERM"] {
        assert!(env[left_out].is_null(), "{left_out}: {env}");
    }
    let named = &submitted(&["--env", "SHOT=010"])["env"];
    assert_eq!(*named, serde_json::json!({"SHOT": "010"}));
    assert!(submitted(&[])["env"].is_null());
}
