//! What hosts do on a whole farm while jobs run: they are configured anew, locked, make room, and hand out GPUs; and what a
//! desktop does with a job that ends what holds it. Needs what `farm.rs` needs.

mod place;

use place::{Place, farm, until};
use std::fs;

/// Has the daemons of a farm and of its worker changed from one file while a job runs.
#[test]
fn a_change_of_groups_lets_what_waits_run_without_a_restart() {
    let Some(place) = Place::new() else { return };
    let mut up = farm(&place);
    let mark = place.home().join("go").display().to_string();
    let script = format!("echo before; while [ ! -e {mark} ]; do sleep 0.05; done");
    assert_eq!(place.ask(&["submit", "--", "sh", "-c", &script]).0, 0);
    until("it runs", || place.ask(&["log", "1"]).1 == "before\n");
    assert_eq!(
        place
            .ask(&["submit", "--groups", "gpu", "--", "echo", "here"])
            .0,
        0
    );
    assert!(place.ask(&["why", "2"]).1.contains("gpu"));

    let file = place.home().join(".local/state/tessera/workers.toml");
    let draft = place.home().join("draft.toml");
    let text = "[default]\nworker_description = \"by the door\"\n";
    fs::write(&draft, text).expect("written");
    let from = draft.display().to_string();
    let (code, told) = place.ask(&["reconfigure", "--from", &from]);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("worker_description"), "{told}");
    assert_eq!(fs::read_to_string(&file).expect("there"), text);
    assert!(place.ask(&["audit"]).1.contains("workers.set"));
    let shown = place.run(&["reconfigure", "--show"]);
    assert_eq!(String::from_utf8_lossy(&shown.stdout), text);
    let said = String::from_utf8_lossy(&shown.stderr).into_owned();
    let mut words = said.split_whitespace().skip_while(|it| *it != "version");
    let version = words.nth(1).expect("a version").to_owned();
    fs::write(&file, "# by hand\n").expect("written");
    // Who names no version is shown what would be lost, and nothing is.
    let (code, told) = place.ask(&["reconfigure", "--from", &from]);
    assert_eq!(code, 6, "{told}");
    assert_eq!(fs::read_to_string(&file).expect("there"), "# by hand\n");
    let late = ["reconfigure", "--from", &from, "--version", &version];
    assert_ne!(place.ask(&late).0, 0, "it was changed since it was shown");
    assert_eq!(fs::read_to_string(&file).expect("there"), "# by hand\n");
    assert_eq!(place.ask(&["reconfigure", "--from", &from, "--force"]).0, 0);
    assert_eq!(fs::read_to_string(&file).expect("there"), text);
    assert_eq!(place.ask(&late).0, 0, "as it was shown");
    fs::write(&file, "[default]\nworker_group = [\"gpu\"]\n").expect("written");
    let wrong = place.run(&["reconfigure"]);
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(
        !wrong.status.success()
            && said.contains("workers.toml:2:1: there is no key `worker_group`"),
        "{said}"
    );

    let good = "[default]\nworker_groups = [\"gpu\"]\nproxy_nice_value = 5\nworker_cpus = 4\n";
    fs::write(&file, good).expect("written");
    let (code, told) = place.ask(&["reconfigure"]);
    assert_eq!(code, 0, "{told}");
    assert!(
        told.contains("from its worker's next start: proxy_nice_value"),
        "{told}"
    );
    assert!(told.contains("started with --slots 2"), "{told}");
    assert_eq!(place.ask(&["wait", "2", "--timeout", "60s"]).0, 0);
    assert_eq!(place.ask(&["log", "2"]), (0, "here\n".into()));
    assert_eq!(
        place.ask(&["reconfigure"]).0,
        0,
        "nothing changes, and all have it"
    );
    let (_, text) = place.ask(&["hosts", "--json"]);
    let hosts: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(hosts["hosts"][0]["settings"]["is_current"], true);

    fs::write(&mark, b"").expect("written");
    assert_eq!(place.ask(&["wait", "1", "--timeout", "60s"]).0, 0);
    let (_, text) = place.ask(&["frames", "1#1", "--attempts", "--json"]);
    let attempts: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        attempts["attempts"].as_array().map(Vec::len),
        Some(1),
        "it was begun once"
    );
    up.interrupt();
    assert_eq!(up.wait(), 0);
    until("nothing of the farm runs", || place.processes().is_empty());
}

/// Has real processes end for what comes first, and run again after it.
#[test]
fn an_aggressive_preemption_ends_a_frame_that_runs_again_later() {
    let Some(place) = Place::new() else { return };
    let mut up = farm(&place);
    up.interrupt();
    assert_eq!(up.wait(), 0);
    let file = place.home().join(".local/state/tessera/supervisor.toml");
    fs::write(&file, "supervisor_preempt_policy = \"aggressive\"\n").expect("written");
    let mut up = farm(&place);
    let mark = place.home().join("go").display().to_string();
    let script = format!("echo begun; while [ ! -e {mark} ]; do sleep 0.05; done; echo done");
    let low = [
        "submit",
        "--priority",
        "9",
        "--range",
        "1-2",
        "--cpus",
        "2",
        "--",
        "sh",
        "-c",
        &script,
    ];
    assert_eq!(place.ask(&low).0, 0);
    let prints = |frame: &str| place.ask(&["log", frame]).1;
    until("both frames run", || {
        prints("1:1") == "begun\n" && prints("1:2") == "begun\n"
    });
    let high = [
        "submit",
        "--wait",
        "--priority",
        "1",
        "--",
        "echo",
        "urgent",
    ];
    assert_eq!(
        place.ask(&high).0,
        0,
        "it has a slot while both frames would run"
    );
    let hist = place.ask(&["hist", "1"]).1;
    assert_eq!(
        hist.matches("preempted by job 2 (priority 1 before 9)")
            .count(),
        1,
        "{hist}"
    );
    assert!(place.ask(&["hist", "2"]).1.contains("preempts instance 1."));
    fs::write(&mark, b"").expect("written");
    assert_eq!(place.ask(&["wait", "1", "--timeout", "60s"]).0, 0);
    let frames: serde_json::Value =
        serde_json::from_str(&place.ask(&["frames", "1", "--json"]).1).expect("JSON");
    let frames = frames["items"].as_array().expect("two of them");
    let attempts: Vec<u64> = frames
        .iter()
        .filter_map(|it| it["attempt"].as_u64())
        .collect();
    assert_eq!(attempts.iter().sum::<u64>(), 3, "one ran twice: {frames:?}");
    assert!(
        frames.iter().all(|it| it["retries_used"] == 0),
        "{frames:?}"
    );
    for frame in ["1:1", "1:2"] {
        assert!(
            prints(frame).ends_with("begun\ndone\n"),
            "{}",
            prints(frame)
        );
    }
    up.interrupt();
    assert_eq!(up.wait(), 0);
    until("nothing of the farm runs", || place.processes().is_empty());
}

/// Two frames at once on a host with two GPUs that are made up: each sees its own, and one of them is the next job's. While the host keeps its
/// slots for them a job without one waits.
#[test]
fn each_frame_that_reserves_a_gpu_sees_its_own() {
    let Some(place) = Place::new() else { return };
    let mut up = farm(&place);
    let file = place.home().join(".local/state/tessera/workers.toml");
    let two = "[default]\nworker_gpus = [\"nvidia/A:8192\", \"nvidia/A:8192\"]\n";
    fs::write(&file, two).expect("written");
    assert_eq!(place.ask(&["reconfigure"]).0, 0);
    let mark = place.home().join("go").display().to_string();
    let script = format!("echo $CUDA_VISIBLE_DEVICES; while [ ! -e {mark} ]; do sleep 0.05; done");
    // What the job brings along gives way; who reserves none is told of none.
    let wanting = ["submit", "--cpus", "2", "--range", "1-2", "--gpus", "1"];
    let own = ["--env", "CUDA_VISIBLE_DEVICES=7", "--", "sh", "-c", &script];
    assert_eq!(place.ask(&[&wanting[..], &own].concat()).0, 0);
    let said = |log: &str| place.ask(&["log", log]).1;
    until("both run", || {
        !said("1:1").is_empty() && !said("1:2").is_empty()
    });
    let mut seen = [said("1:1"), said("1:2")];
    seen.sort();
    assert_eq!(seen, ["0\n", "1\n"]);
    let third = [
        "submit",
        "--gpus",
        "1",
        "--requirements",
        "host.gpu_memory >= 8G",
    ];
    let third = [&third[..], &["--", "printenv", "TESSERA_GPUS"]].concat();
    assert_eq!(place.ask(&third).0, 0);
    fs::write(&mark, b"").expect("written");
    assert_eq!(place.ask(&["wait", "2", "--timeout", "60s"]).0, 0);
    assert!(["0\n", "1\n"].contains(&said("2").as_str()));
    // Both slots are for them: what uses none waits until that is no longer so.
    let keeping = format!("{two}worker_gpu_slots = 1\n");
    fs::write(&file, keeping).expect("written");
    assert_eq!(place.ask(&["reconfigure"]).0, 0);
    assert_eq!(place.ask(&["submit", "--", "echo", "here"]).0, 0);
    let why = place.ask(&["why", "3"]).1;
    assert!(why.contains("2 of 2 slots"), "{why}");
    let gpu = ["submit", "--gpus", "1", "--", "echo", "there"];
    assert_eq!(place.ask(&gpu).0, 0);
    assert_eq!(place.ask(&["wait", "4", "--timeout", "60s"]).0, 0);
    assert_eq!(said("3"), "");
    fs::write(&file, two).expect("written");
    assert_eq!(place.ask(&["reconfigure"]).0, 0);
    assert_eq!(place.ask(&["wait", "3", "--timeout", "60s"]).0, 0);
    up.interrupt();
    assert_eq!(up.wait(), 0);
}

#[test]
fn a_job_that_ends_its_own_shepherd_fails_and_says_so() {
    let Some(place) = Place::new() else { return };
    let mut up = farm(&place);
    // Its parent is the shepherd, which on a desktop is the same user's.
    let script = "echo $PPID; kill -9 $PPID; sleep 600";
    let submit = [
        "submit",
        "--wait",
        "--timeout",
        "5m",
        "--range",
        "1-2",
        "--retrywork",
        "2",
    ];
    let words = [&submit[..], &["--", "sh", "-c", script]].concat();
    assert_eq!(place.ask(&words).0, 10, "the job failed");
    let (_, text) = place.ask(&["frames", "1:1", "--attempts", "--json"]);
    let attempts: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let attempts = attempts["attempts"].as_array().expect("attempts");
    assert_eq!(attempts.len(), 5, "{text}");
    let last = attempts.last().expect("one");
    let reason = "its shepherd was ended 5 times in a row while it ran; the command may end its own parent (kill $PPID)";
    assert_eq!(last["end"]["text"], reason);
    assert_eq!(last["end"]["kind"], "shepherd_ended");
    assert!(
        attempts
            .iter()
            .rev()
            .skip(1)
            .all(|it| it["end"]["kind"] == "lost"),
        "{text}"
    );
    for (words, part) in [
        (&["why", "1"][..], "kill $PPID"),
        (&["errors"], "its shepherd was ended"),
        (&["hist", "1"], "tried again in 1 s"),
    ] {
        let (_, said) = place.ask(words);
        assert!(said.contains(part), "{words:?}: {said}");
    }
    // What kills its shepherd leaves nothing behind, and the farm goes on.
    assert_eq!(place.ask(&["submit", "--wait", "--", "true"]).0, 0);
    up.interrupt();
    assert_eq!(up.wait(), 0);
    until("nothing of the farm runs", || place.processes().is_empty());
}

#[test]
fn a_host_is_locked_in_part_drained_and_the_farm_is_stopped() {
    let Some(place) = Place::new() else { return };
    let mut up = farm(&place);
    let (_, text) = place.ask(&["hosts", "--json"]);
    let hosts: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let name = hosts["hosts"][0]["name"]
        .as_str()
        .expect("a name")
        .to_owned();
    let properties = &hosts["hosts"][0]["properties"];
    let offset = properties["host.utc_offset"].as_str().unwrap_or_default();
    assert!(offset.parse::<i32>().is_ok(), "{text}");

    let lock = [
        "lock", &name, "--slots", "2", "--for", "1h", "--note", "a disk",
    ];
    assert_eq!(place.ask(&lock).0, 0);
    let mark = place.home().join("go").display().to_string();
    let script = format!("while [ ! -e {mark} ]; do sleep 0.05; done");
    let submit = [
        "submit", "--range", "1-2", "--cpus", "2", "--", "sh", "-c", &script,
    ];
    assert_eq!(place.ask(&submit).0, 0);
    until("it runs", || place.ask(&["job", "1"]).1.contains("running"));
    let (_, why) = place.ask(&["why", "1"]);
    assert!(why.contains("; slots 2 are locked by"), "{why}");
    assert!(why.contains(": a disk"), "{why}");

    let drain = ["drain", &name, "--wait", "--timeout", "1s"];
    assert_eq!(place.ask(&drain).0, 12, "it still runs");
    fs::write(&mark, b"").expect("written");
    assert_eq!(
        place.ask(&["drain", &name, "--wait"]),
        (0, format!("to be emptied: {name}\n{name} is empty\n"))
    );
    assert!(place.ask(&["hosts"]).1.contains("locked by"));

    assert_eq!(
        place
            .ask(&["farm", "set", "stop_activity", "--note", "moving"])
            .0,
        0
    );
    assert_eq!(place.ask(&["unlock", &name]).0, 0);
    assert_eq!(place.ask(&["farm", "set", "reject_submit"]).0, 0);
    assert_eq!(place.ask(&["submit", "--", "true"]).0, 6);
    assert_eq!(place.ask(&["farm", "unset", "reject_submit"]).0, 0);
    let (_, why) = place.ask(&["why", "1"]);
    assert!(
        why.contains("the farm starts nothing (stop_activity, set by"),
        "{why}"
    );
    assert!(why.contains(": moving"), "{why}");
    assert_eq!(place.ask(&["farm", "unset", "stop_activity"]).0, 0);
    assert_eq!(place.ask(&["wait", "1", "--timeout", "60s"]).0, 0);
    assert!(place.ask(&["farm", "show"]).1.contains("no mode is set"));
    for wrong in [
        &["lock", &name, "--slots", "0"][..],
        &["lock", &name, "--weekly", "monday"],
        &["lock", &name, "--until", "soon"],
        &["farm", "set", "party"],
    ] {
        assert_eq!(place.ask(wrong).0, 2, "{wrong:?}");
    }
    up.interrupt();
    assert_eq!(up.wait(), 0);
}
