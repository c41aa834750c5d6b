//! The process that becomes an account, for real: on Linux, where these calls are the same as on macOS.
#![cfg(target_os = "linux")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use tessera_keeper::Failed;
use tessera_maclaunch::order::{FAILED_LEN, Order, told};
use tessera_ticket::Step;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tessera-maclaunch");

fn is_root() -> bool {
    let is = tessera_macos::uids().1 == 0;
    assert!(
        is || std::env::var_os("CI").is_none(),
        "this test needs root"
    );
    if !is {
        eprintln!("skipped: needs root");
    }
    is
}

fn order(script: &str) -> Order {
    Order {
        name: "nobody".into(),
        uid: 65_534,
        gid: 65_534,
        directory: "/tmp".into(),
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        env: [("PATH", "/usr/bin:/bin"), ("OWN", "a b")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
    }
}

/// Gives it an order; answers what the program printed, and what failed.
fn run(order: &[u8]) -> (String, Option<Failed>) {
    let dir = tempfile::tempdir().expect("a folder");
    let status = dir.path().join("status");
    let mut child = Command::new("sh")
        .args(["-c", "exec \"$0\" become 3>\"$1\""])
        .arg(PROGRAM)
        .arg(&status)
        .env("SECRET", "of the launcher")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(order).expect("told");
    drop(input);
    let output = child.wait_with_output().expect("ends");
    let said = std::fs::read(&status).expect("there");
    let failed = (!said.is_empty()).then(|| {
        assert_eq!(said.len(), FAILED_LEN);
        told(&said)
    });
    (String::from_utf8(output.stdout).expect("text"), failed)
}

#[test]
fn x03_it_is_the_account_and_has_nothing_of_the_launchers() {
    if !is_root() {
        return;
    }
    let script = "id -u; id -g; id -G; pwd; env | sort | grep -v ^_=; cat; ls /proc/self/fd | wc -l; \
                  grep -E '^(Uid|Gid|CapEff)' /proc/self/status";
    let (said, failed) = run(&order(script).encode());
    assert_eq!(failed, None);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..4], ["65534", "65534", "65534", "/tmp"], "{said}");
    assert_eq!(
        lines[4..7],
        ["OWN=a b", "PATH=/usr/bin:/bin", "PWD=/tmp"],
        "{said}"
    );
    // 0, 1, 2, and the one by which they are listed.
    assert_eq!(lines[7], "4", "{said}");
    assert_eq!(lines[8], "Uid:\t65534\t65534\t65534\t65534", "{said}");
    assert_eq!(lines[9], "Gid:\t65534\t65534\t65534\t65534", "{said}");
    assert_eq!(lines[10], "CapEff:\t0000000000000000", "{said}");
}

#[test]
fn x03_what_fails_is_told_and_nothing_runs() {
    if !is_root() {
        return;
    }
    let script = "echo ran";
    let good = order(script);
    let root = Order {
        uid: 0,
        ..good.clone()
    };
    let closed = Order {
        directory: "/root".into(),
        ..good.clone()
    };
    let missing = Order {
        argv: vec!["no-such-program".into()],
        ..good.clone()
    };
    for (order, step) in [
        (root.encode(), Step::SetUid),
        (closed.encode(), Step::Directory),
        (missing.encode(), Step::Exec),
        (b"nonsense".to_vec(), Step::Prepare),
    ] {
        let (said, failed) = run(&order);
        assert_eq!((said.as_str(), failed.map(|it| it.step)), ("", Some(step)));
    }
}

#[test]
fn accounts_are_looked_up_in_a_process_of_their_own() {
    let look = |name: &str| {
        let output = Command::new(PROGRAM).args(["look", name]).output();
        tessera_rules::account::decode(&output.expect("runs").stdout)
    };
    let nobody = look("nobody").expect("is there");
    assert_eq!(
        (nobody.uid, nobody.name_of_uid.as_str()),
        (65_534, "nobody")
    );
    assert!(look("no-such-account").is_err() && look("-x").is_err());
}
