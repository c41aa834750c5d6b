//! The whole program as a person uses it: a farm of an ordinary user with the real daemons, and the command line on it.
//!
//! As root everything runs as `nobody`, since a desktop worker refuses root. Both programs must have been built:
//! `tessera-launch` is looked for beside `tessera`; without it the tests are skipped, in CI they fail.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);
const NOBODY: u32 = 65_534;

/// A folder with both programs that an ordinary user can run, and a home for that user.
struct Place {
    folder: TempDir,
}

impl Place {
    /// Makes one; nothing when `tessera-launch` was not built.
    fn new() -> Option<Self> {
        let tessera = PathBuf::from(env!("CARGO_BIN_EXE_tessera"));
        let launch = tessera.with_file_name("tessera-launch");
        if !launch.exists() {
            assert!(
                std::env::var_os("CI").is_none(),
                "{} was not built",
                launch.display()
            );
            eprintln!("skipped: {} was not built", launch.display());
            return None;
        }
        let folder = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir()
            .expect("a folder");
        for program in [&tessera, &launch] {
            let copy = folder.path().join(program.file_name().expect("a name"));
            fs::copy(program, &copy).expect("copied");
        }
        let home = folder.path().join("home");
        fs::create_dir(&home).expect("a home");
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(&home, Some(NOBODY), Some(NOBODY)).expect("given away");
        }
        Some(Self { folder })
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.folder.path().join("tessera"));
        command.args(words).env_clear().current_dir(self.home());
        command
            .env("HOME", self.home())
            .env("TMPDIR", self.home())
            .env("PATH", "/usr/bin:/bin");
        command.stdin(Stdio::null());
        if nix::unistd::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("it runs")
    }

    /// Starts a command whose words nobody reads.
    fn start(&self, words: &[&str]) -> Running {
        let mut command = self.command(words);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Running(command.spawn().expect("it starts"))
    }

    /// Runs a command and answers its exit code and output.
    fn ask(&self, words: &[&str]) -> (i32, String) {
        let output = self.run(words);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let code = output.status.code().unwrap_or(-1);
        if code != 0 {
            eprintln!(
                "{words:?}: {code}\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        (code, text)
    }

    /// Answers the processes that have to do with this place: their ids and command lines.
    fn processes(&self) -> Vec<(i32, String)> {
        let entries = fs::read_dir("/proc").expect("/proc").flatten();
        let line = |entry: fs::DirEntry| {
            let path = entry.path();
            let exe = fs::read_link(path.join("exe")).unwrap_or_default();
            let words = fs::read(path.join("cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).replace('\0', " ");
            let here = self.folder.path();
            let is_ours = exe.starts_with(here) || words.contains(&*here.to_string_lossy());
            let pid = entry.file_name().to_string_lossy().parse().ok()?;
            is_ours.then_some((pid, words))
        };
        entries.filter_map(line).collect()
    }
}

impl Drop for Place {
    /// Ends what a failed test has left.
    fn drop(&mut self) {
        for (pid, _) in self.processes() {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(pid),
                nix::sys::signal::Signal::SIGKILL,
            );
        }
    }
}

/// A process that is ended when the test does.
struct Running(Child);

impl Running {
    fn interrupt(&self) {
        let pid = i32::try_from(self.0.id()).expect("a pid");
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid),
            nix::sys::signal::Signal::SIGINT,
        )
        .expect("told");
    }

    fn wait(&mut self) -> i32 {
        self.0.wait().expect("it ended").code().unwrap_or(-1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until something holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

fn farm(place: &Place) -> Running {
    let log = fs::File::create(place.folder.path().join("up.log")).expect("a file");
    let mut up = place.command(&["up", "--listen", "127.0.0.1:0", "--slots", "2"]);
    let running = Running(
        up.stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it starts"),
    );
    let log = || fs::read_to_string(place.folder.path().join("up.log")).unwrap_or_default();
    until("the farm is up or says why not", || {
        log().contains("the farm is up") || log().contains("error:")
    });
    assert!(!log().contains("error:"), "{}", log());
    running
}

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

/// Two frames at once on a host with two GPUs that are made up: each sees its own, and one of them is the next job's.
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
    up.interrupt();
    assert_eq!(up.wait(), 0);
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
