//! The whole program as a person uses it: a farm of an ordinary user with the real daemons, and the command line on it.
//!
//! As root everything runs as `nobody`, since a desktop worker refuses root. Both programs must have been built:
//! `tessera-launch` is looked for beside `tessera`; without it the tests are skipped, in CI they fail.

mod place;

use place::{Place, farm, until};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

#[test]
fn jobs_go_through_the_whole_farm() {
    let Some(place) = Place::new() else { return };
    let mut up = farm(&place);

    let (code, id) = place.ask(&[
        "submit",
        "--wait",
        "--range",
        "1-3",
        "--padding",
        "3",
        "--",
        "echo",
        "frame",
        "QB_FRAME_NUMBER",
    ]);
    assert_eq!((code, id.trim()), (0, "1"));
    assert_eq!(place.ask(&["log", "1:2"]), (0, "frame 002\n".into()));
    assert_eq!(
        place.ask(&["log", "1#3", "--stream", "out"]),
        (0, "frame 003\n".into())
    );

    assert_eq!(place.ask(&["submit", "--wait", "--", "false"]).0, 10);
    assert_eq!(
        place
            .ask(&[
                "submit",
                "--wait",
                "--timeout",
                "1s",
                "--grace",
                "1s",
                "--",
                "sleep",
                "600"
            ])
            .0,
        12
    );
    assert_eq!(place.ask(&["kill", "3"]).0, 0);
    assert_eq!(place.ask(&["wait", "3"]).0, 11);
    assert_eq!(place.ask(&["kill", "3"]).0, 6);
    assert_eq!(place.ask(&["kill", "99"]).0, 5);
    assert_eq!(
        place
            .ask(&["submit", "--priority", "0", "--chunk", "0", "--", "true"])
            .0,
        2
    );

    let (code, text) = place.ask(&["jobs", "--json"]);
    let jobs: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, jobs["jobs"].as_array().map(Vec::len)), (0, Some(3)));
    let (_, text) = place.ask(&["frames", "1", "--json"]);
    let frames: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(frames["items"][1]["name"], "2");
    assert_eq!(frames["items"][1]["status"], "complete");
    assert!(place.ask(&["hist", "1"]).1.contains("submitted"));
    assert!(place.ask(&["why", "1"]).1.starts_with("job 1 is complete"));
    assert_eq!(place.ask(&["doctor"]).0, 0);

    up.interrupt();
    assert_eq!(up.wait(), 0);
    until("nothing of the farm runs", || place.processes().is_empty());
}

#[test]
fn many_jobs_are_acted_on_at_once() {
    let Some(place) = Place::new() else { return };
    let mut up = farm(&place);
    for _ in 0..4 {
        let submit = ["submit", "--status", "blocked", "--", "true"];
        assert_eq!(place.ask(&submit).0, 0);
    }
    let states = || {
        let (_, text) = place.ask(&["jobs", "--json"]);
        let all: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let mut states: Vec<(u64, String)> = Vec::new();
        for job in all["jobs"].as_array().expect("jobs") {
            let word = job["status"].as_str().expect("a word");
            states.push((job["id"].as_u64().expect("a number"), word.to_owned()));
        }
        states.sort_unstable();
        states
            .into_iter()
            .map(|(_, state)| state)
            .collect::<Vec<_>>()
    };
    assert_eq!(place.ask(&["kill", "2"]).0, 0);
    // Of a run those that are there and have not ended.
    let (code, text) = place.ask(&["kill", "2-3", "3-99"]);
    assert_eq!((code, text.lines().count()), (0, 2), "{text}");
    assert_eq!(states(), ["blocked", "killed", "killed", "killed"]);
    assert_eq!(place.ask(&["kill", "2-99"]).0, 5, "none is left");
    // Who says many says of whom, and where it would do harm in which state.
    assert_eq!(place.ask(&["unblock", "--mine"]).0, 2);
    assert_eq!(place.ask(&["kill", "1", "--mine"]).0, 2);
    assert_eq!(place.ask(&["kill", "1", "--state", "blocked"]).0, 2);
    assert_eq!(place.ask(&["kill", "--user", "root"]).0, 5);
    assert_eq!(states()[0], "blocked");
    assert_eq!(place.ask(&["kill", "--mine", "--state", "blocked"]).0, 0);
    assert_eq!(states(), ["killed"; 4]);
    assert_eq!(place.ask(&["remove", "--mine"]).0, 0);
    assert_eq!(states(), [""; 0]);
    up.interrupt();
    assert_eq!(up.wait(), 0);
}

#[test]
fn bytes_are_raw_when_piped_and_keys_make_one_job() {
    let Some(place) = Place::new() else { return };
    let mut up = farm(&place);
    let (code, id) = place.ask(&[
        "submit",
        "--wait",
        "--key",
        "k1",
        "--",
        "printf",
        "\\033[31m\\377\\000x",
    ]);
    assert_eq!((code, id.trim()), (0, "1"));
    assert_eq!(place.run(&["log", "1"]).stdout, b"\x1b[31m\xff\0x");
    let (code, id) = place.ask(&[
        "submit",
        "--key",
        "k1",
        "--",
        "printf",
        "\\033[31m\\377\\000x",
    ]);
    assert_eq!((code, id.trim()), (0, "1"), "the same key made another job");
    let (code, id) = place.ask(&["resubmit", "1", "--wait"]);
    assert_eq!((code, id.trim()), (0, "2"));
    up.interrupt();
    assert_eq!(up.wait(), 0);
}

#[test]
fn what_runs_goes_on_without_the_daemons_and_is_reported_later() {
    let Some(place) = Place::new() else { return };
    let mut up = farm(&place);
    let mark = place.home().join("go").display().to_string();
    let script = format!("echo before; while [ ! -e {mark} ]; do sleep 0.05; done; echo after");
    assert_eq!(place.ask(&["submit", "--", "sh", "-c", &script]).0, 0);
    until("it runs", || place.ask(&["log", "1"]).1 == "before\n");
    up.interrupt();
    assert_eq!(up.wait(), 0);
    fs::write(&mark, b"").expect("written");
    let mut up = farm(&place);
    assert_eq!(place.ask(&["wait", "1", "--timeout", "60s"]).0, 0);
    assert_eq!(place.ask(&["log", "1"]), (0, "before\nafter\n".into()));
    let (_, text) = place.ask(&["frames", "1#1", "--attempts", "--json"]);
    let attempts: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(attempts["attempts"].as_array().map(Vec::len), Some(1));
    up.interrupt();
    assert_eq!(up.wait(), 0);
    until("nothing of the farm runs", || place.processes().is_empty());
}

fn folders(home: &Path) -> Vec<String> {
    let entries = fs::read_dir(home).expect("a home").flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn the_demo_leaves_its_images_and_nothing_else() {
    let Some(place) = Place::new() else { return };
    let images = place.home().join("images");
    let keep = images.display().to_string();
    let (code, text) = place.ask(&[
        "demo",
        "--renderer",
        "own",
        "--frames",
        "3",
        "--keep",
        &keep,
        "--json",
    ]);
    assert_eq!(code, 0);
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(report["frames"].as_array().map(Vec::len), Some(3));
    let mut found = folders(&images);
    found.sort();
    assert_eq!(
        found,
        [
            "contact-sheet.png",
            "frame_0001.png",
            "frame_0002.png",
            "frame_0003.png"
        ]
    );
    assert_eq!(folders(&place.home()), ["images"]);
    until("nothing of the demo runs", || place.processes().is_empty());
}

#[test]
fn a_demo_that_is_broken_off_leaves_nothing() {
    let Some(place) = Place::new() else { return };
    let mut demo = place.start(&["demo", "--renderer", "own", "--frames", "500"]);
    until("a frame is there", || {
        let images = folders(&place.home())
            .into_iter()
            .filter(|name| !name.contains("farm"));
        images
            .into_iter()
            .any(|name| place.home().join(name).join("frame_0001.png").exists())
    });
    demo.interrupt();
    assert_eq!(demo.wait(), 130);
    assert_eq!(folders(&place.home()), Vec::<String>::new());
    until("nothing of the demo runs", || place.processes().is_empty());
}

#[test]
fn a_demo_that_is_broken_off_while_it_starts_leaves_nothing() {
    let Some(place) = Place::new() else { return };
    for moment in 0..16 {
        let mut demo = place.start(&["demo", "--renderer", "own", "--frames", "500"]);
        // Each moment of the start is as good as any other.
        std::thread::sleep(Duration::from_millis(moment * 12));
        demo.interrupt();
        demo.wait();
        assert_eq!(folders(&place.home()), Vec::<String>::new(), "{moment}");
        until("nothing of the demo runs", || place.processes().is_empty());
    }
}

#[test]
fn another_host_joins_over_the_network() {
    let Some(place) = Place::new() else { return };
    let mut up = farm(&place);
    let (code, string) = place.ask(&["join-string", "--minutes", "5"]);
    assert_eq!(code, 0);
    let other = place.home().join("other").display().to_string();
    let words = [
        "join",
        string.trim(),
        "--desktop",
        "--state",
        &other,
        "--name",
        "second",
    ];
    assert_eq!(place.ask(&words).0, 0);
    assert_ne!(place.ask(&words).0, 0, "a join string was good twice");
    let mut worker = place.start(&[
        "worker",
        "--desktop",
        "--state",
        &other,
        "--name",
        "second",
        "--slots",
        "1",
    ]);
    until("the second host is up", || {
        let hosts: serde_json::Value =
            serde_json::from_str(&place.ask(&["hosts", "--json"]).1).expect("JSON");
        let hosts = hosts["hosts"].as_array().cloned().unwrap_or_default();
        hosts
            .iter()
            .any(|host| host["name"] == "second" && host["status"] == "up")
    });
    assert_eq!(
        place
            .ask(&["submit", "--wait", "--hosts", "second", "--", "true"])
            .0,
        0
    );
    let frames: serde_json::Value =
        serde_json::from_str(&place.ask(&["frames", "1", "--json"]).1).expect("JSON");
    assert_eq!(frames["items"][0]["host"], "second");
    worker.interrupt();
    worker.wait();
    up.interrupt();
    assert_eq!(up.wait(), 0);
    until("nothing of the farm runs", || place.processes().is_empty());
}

#[test]
fn a_token_opens_the_port_and_nothing_else_does() {
    let Some(place) = Place::new() else { return };
    let mut up = farm(&place);
    let info: serde_json::Value =
        serde_json::from_str(&place.ask(&["whoami", "--json"]).1).expect("JSON");
    let address = format!("https://{}", info["address"].as_str().expect("an address"));
    let ca = info["ca_sha256"].as_str().expect("a fingerprint");
    let token: serde_json::Value =
        serde_json::from_str(&place.ask(&["token", "create", "--json"]).1).expect("JSON");
    let with = |ca: &str, token: Option<&str>| {
        let mut command = place.command(&["--supervisor", &address, "jobs"]);
        command.env("TESSERA_CA_SHA256", ca);
        command.envs(token.map(|token| ("TESSERA_TOKEN", token)));
        command.output().expect("it runs").status.code()
    };
    let secret = token["token"].as_str();
    assert_eq!(with(ca, secret), Some(0));
    assert_eq!(with(ca, None), Some(4));
    assert_eq!(with(ca, Some("nonsense")), Some(4));
    assert_eq!(
        with(&"0".repeat(64), secret),
        Some(3),
        "another farm's certificate was believed"
    );
    let id = token["id"].as_str().expect("an id");
    assert_eq!(place.ask(&["token", "revoke", id]).0, 0);
    assert_eq!(with(ca, secret), Some(4));
    up.interrupt();
    assert_eq!(up.wait(), 0);
}

/// The demo of root: only where it may make accounts, which stay.
#[test]
fn frames_of_roots_demo_run_as_another_account() {
    let is_made = nix::unistd::User::from_name("tessera-job")
        .ok()
        .flatten()
        .is_some();
    let is_ci = std::env::var_os("CI").is_some();
    if !nix::unistd::geteuid().is_root() || !(is_made || is_ci) {
        assert!(!is_ci, "CI runs this as root");
        eprintln!("skipped: only root, and only where the account tessera-job is or CI is set");
        return;
    }
    let Some(place) = Place::new() else { return };
    // A folder that only root may enter, as a clone below a home is.
    fs::set_permissions(place.folder.path(), fs::Permissions::from_mode(0o700)).expect("closed");
    let temporary = tempfile::tempdir_in("/tmp").expect("a folder");
    fs::set_permissions(temporary.path(), fs::Permissions::from_mode(0o1777)).expect("opened");
    let output = Command::new(place.folder.path().join("tessera"))
        .args(["demo", "--renderer", "own", "--frames", "2", "--json"])
        .env("TMPDIR", temporary.path())
        .env_remove("SUDO_USER")
        .output()
        .expect("it runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for frame in report["frames"].as_array().expect("frames") {
        assert_eq!(frame["account"], "tessera-job");
    }
    let left = folders(temporary.path());
    assert_eq!(left.len(), 1, "only the images stay: {left:?}");
    let job = nix::unistd::User::from_name("tessera-job")
        .expect("looked up")
        .expect("made");
    let images = PathBuf::from(report["images"].as_str().expect("a folder"));
    for name in folders(&images) {
        let found = fs::symlink_metadata(images.join(&name)).expect("there");
        assert_eq!(
            std::os::unix::fs::MetadataExt::uid(&found),
            job.uid.as_raw(),
            "{name}"
        );
    }
    until("nothing of the demo runs", || place.processes().is_empty());
}

#[test]
fn errors_are_one_object_for_programs() {
    let Some(place) = Place::new() else { return };
    let cases: [(&[&str], i32, &str); 6] = [
        (&["jobs", "--json", "--bogus"], 2, "usage"),
        (&["jobs", "--json", "--limit", "0"], 2, "usage"),
        (
            &["jobs", "--json", "--supervisor", "unix:/nonexistent"],
            3,
            "unreachable",
        ),
        (
            &["config", "check", "--json", "/nonexistent.toml"],
            5,
            "not_found",
        ),
        (&["join", "--json", "--desktop", "x"], 2, "usage"),
        (
            &["config", "explain", "--key", "lissten", "--json"],
            5,
            "not_found",
        ),
    ];
    for (words, code, word) in cases {
        let output = place.run(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        let error: serde_json::Value = serde_json::from_str(&said).expect("one object");
        assert_eq!(error["code"], word, "{words:?}: {said}");
        assert_eq!(error["exit"], code, "{words:?}: {said}");
        assert!(
            error["message"].as_str().is_some_and(|it| !it.is_empty()),
            "{words:?}: {said}"
        );
    }
}

#[test]
fn silence_and_failures_are_explained() {
    let Some(place) = Place::new() else { return };
    let mut up = farm(&place);
    let said = |words: &[&str]| {
        let output = place.run(words);
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let failing = ["submit", "--wait", "--range", "4-5", "--", "false"];
    assert_eq!(place.ask(&failing).0, 10);
    let (code, why) = place.ask(&["why", "1"]);
    assert!(
        code == 0 && why.contains("2 of 2 failed frames ended with: exit 1; for instance 1:4"),
        "{why}"
    );
    assert!(why.contains("see tessera log 1:4"), "{why}");
    let silent = said(&["log", "1:4"]);
    assert!(
        silent.starts_with("note: nothing was printed: try 1 on ")
            && silent.ends_with(": exit 1\n"),
        "{silent}"
    );
    let silent: serde_json::Value =
        serde_json::from_str(&said(&["log", "1:4", "--json"])).expect("one object");
    assert_eq!(silent["note"], "no_output");
    let (_, id) = place.ask(&["submit", "--status", "blocked", "--", "true"]);
    assert_eq!(id.trim(), "2");
    let never = said(&["log", "2"]);
    assert!(never.contains("has not run yet: it is blocked"), "{never}");
    let joining = place.run(&["join-string"]);
    assert!(String::from_utf8_lossy(&joining.stdout).starts_with("tessera-join:"));
    let warned = String::from_utf8_lossy(&joining.stderr).into_owned();
    assert!(warned.contains("only this machine reaches"), "{warned}");
    let (code, hosts) = place.ask(&["hosts", "--json"]);
    let hosts: serde_json::Value = serde_json::from_str(&hosts).expect("JSON");
    let name = hosts["hosts"][0]["name"].as_str().expect("a name");
    let (explained, known) = place.ask(&["config", "explain", name]);
    assert_eq!((code, explained), (0, 0));
    assert!(known.contains("worker_cpus") && known.contains("said by its worker"));
    up.interrupt();
    assert_eq!(up.wait(), 0);
}
