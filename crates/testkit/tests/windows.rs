//! A farm of two systems: supervisor and worker of Linux, and beside them a worker of Windows, which runs under Wine: on a desktop,
//! or as a service beside its launcher.
//!
//! `cargo xtask windows` builds what is needed, says where it is in the variables below, and runs these tests, as root. What they
//! show is that the program's own parts fit together; whether Windows does what Wine does is another question: see
//! `docs/windows.md`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tessera_testkit::processes::{self, Process};
use tessera_testkit::{farm::Farm, wait};

/// The folder with `tessera` and `tessera-launch`.
const PROGRAMS: &str = "TESSERA_PROGRAMS";
/// The folder with `tessera.exe`; the probe is in `examples` below it.
const WINDOWS_PROGRAMS: &str = "TESSERA_WINDOWS_PROGRAMS";
/// How long anything may take; Wine is slow to start.
const LONG: Duration = Duration::from_secs(60);
/// What the Windows worker goes by.
const HOST: &str = "winhost";

/// A farm with a Windows host.
struct World {
    // In this order: the worker goes first.
    worker: Worker,
    launcher: Option<Launcher>,
    farm: Farm,
}

impl World {
    fn start() -> Result<Self> {
        let programs = folder(PROGRAMS)?;
        let farm = Farm::start(&programs, 1)?;
        let said = farm.json(&["join-string"])?;
        let string = said["join_string"].as_str().context("a string")?;
        let state = state_of(&farm);
        let words = [
            "join",
            "--desktop",
            "--name",
            HOST,
            "--state",
            &state,
            string,
        ];
        let joined = wine(&program("tessera.exe")?, &words).output()?;
        ensure!(joined.status.success(), "join: {}", said_by(&joined));
        let worker = Worker::start(&farm)?;
        let launcher = None;
        Ok(Self {
            worker,
            launcher,
            farm,
        })
    }

    /// Starts a farm whose Windows host is a service: a worker, and beside it a launcher that becomes nobody but itself.
    fn start_service() -> Result<Self> {
        Self::start_service_with("")
    }

    /// The same with more lines of the policy.
    fn start_service_with(policy: &str) -> Result<Self> {
        let farm = Farm::start(&folder(PROGRAMS)?, 1)?;
        let said = farm.json(&["join-string"])?;
        let string = said["join_string"].as_str().context("a string")?;
        let state = state_of(&farm);
        let words = ["join", "--name", HOST, "--state", &state, string];
        let joined = wine(&program("tessera.exe")?, &words).output()?;
        ensure!(joined.status.success(), "join: {}", said_by(&joined));
        // Wine knows no accounts of services: it is the one that runs these tests.
        let path = farm.folder().join("winhost/launcher/policy");
        let text = format!("worker_account = {}\r\n{policy}", account()?);
        std::fs::write(path, text)?;
        let launcher = Some(Launcher::start(&farm)?);
        let worker = Worker::start_in(&farm, Some(&pipe_of(&farm)))?;
        Ok(Self {
            worker,
            launcher,
            farm,
        })
    }

    /// Submits a command for the Windows host; answers the job's number.
    fn submit(&self, words: &[&str]) -> Result<String> {
        let mut all = vec![
            "submit",
            "--hosts",
            HOST,
            "--cwd",
            r"C:\",
            "--retrywork",
            "0",
        ];
        all.extend(words);
        let said = self.farm.json(&all)?;
        let id = said["job"].as_u64().with_context(|| said.to_string())?;
        Ok(id.to_string())
    }

    /// Waits for the end of a job; answers its state.
    fn end_of(&self, job: &str) -> Result<String> {
        wait::until(&format!("the end of job {job}"), LONG, || {
            let status = self.state(job)?;
            let is_over = ["complete", "failed", "killed"].contains(&status.as_str());
            Ok(is_over.then_some(status))
        })
        .with_context(|| self.told(job))
    }

    /// What the farm and the host say of a job, for who reads why a test failed.
    fn told(&self, job: &str) -> String {
        let told = |word| self.farm.tessera(&[word, job]).unwrap_or_default();
        let launcher = self
            .launcher
            .as_ref()
            .map_or_else(String::new, Launcher::log);
        let (hist, why, worker) = (told("hist"), told("why"), self.worker.log());
        format!("{hist}{why}{worker}{launcher}")
    }

    fn state(&self, job: &str) -> Result<String> {
        let said = self.farm.json(&["job", job])?;
        let status = said["job"]["status"]
            .as_str()
            .with_context(|| said.to_string())?;
        Ok(status.to_owned())
    }

    fn frames(&self, job: &str) -> Result<Vec<Value>> {
        let said = self.farm.json(&["frames", job])?;
        let frames = said["items"].as_array().cloned();
        frames.with_context(|| said.to_string())
    }

    /// Waits until somebody below the job writes to the file.
    fn wait_for_tree(&self, job: &str, file: &Path) -> Result<()> {
        wait::until("a tree that writes", LONG, || {
            Ok(std::fs::read(file)
                .is_ok_and(|it| !it.is_empty())
                .then_some(()))
        })
        .with_context(|| self.told(job))
    }
}

/// A launcher under Wine.
struct Launcher {
    child: Child,
    log: PathBuf,
    mark: String,
}

impl Launcher {
    /// Starts it and waits until it can be asked.
    fn start(farm: &Farm) -> Result<Self> {
        let log = farm.folder().join("winlaunch.log");
        let out = std::fs::File::create(&log)?;
        let words = ["--state", &state_of(farm), "--pipe", &pipe_of(farm)];
        let child = wine(&program("examples/as_itself.exe")?, &words)
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .context("wine")?;
        let mark = mark_of(farm);
        Ok(Self { child, log, mark })
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it without a warning.
    fn kill(&mut self) -> Result<()> {
        let is_it =
            |it: &Process| it.command.contains("as_itself.exe") && it.command.contains(&self.mark);
        for it in processes::all().into_iter().filter(is_it) {
            let pid = nix::unistd::Pid::from_raw(it.pid);
            // One of them may have ended with the other.
            _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
        wait::until("the end of the launcher", LONG, || {
            Ok(self.child.try_wait()?)
        })
        .map(|_| ())
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        if self.kill().is_err() {
            _ = self.child.kill();
            _ = self.child.wait();
        }
    }
}

fn pipe_of(farm: &Farm) -> String {
    format!(r"\\.\pipe\tessera-{}", mark_of(farm))
}

/// The account that Wine's programs run as.
fn account() -> Result<String> {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid())?;
    Ok(user.context("an account")?.name)
}

/// A worker under Wine.
struct Worker {
    child: Child,
    log: PathBuf,
    mark: String,
    is_ended: bool,
}

impl Worker {
    /// Starts it on a desktop and waits until the farm says that it is up.
    fn start(farm: &Farm) -> Result<Self> {
        Self::start_in(farm, None)
    }

    /// Starts it beside a launcher, or on a desktop.
    fn start_in(farm: &Farm, pipe: Option<&str>) -> Result<Self> {
        let log = farm.folder().join("winhost.log");
        let out = std::fs::File::create(&log)?;
        let tessera = windows_path(&program("tessera.exe")?);
        let state = state_of(farm);
        let mut words = vec![
            &tessera, "worker", "--slots", "2", "--name", HOST, "--state", &state,
        ];
        match pipe {
            Some(pipe) => words.extend(["--launcher-socket", pipe]),
            None => words.push("--desktop"),
        }
        // Under Wine everybody is an administrator; this worker is to be none.
        let child = wine(&program("examples/ordinary.exe")?, &words)
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .context("wine")?;
        let mark = mark_of(farm);
        let worker = Self {
            child,
            log,
            mark,
            is_ended: false,
        };
        wait::until("the Windows host", LONG, || {
            let said = farm.json(&["hosts"])?;
            let hosts = said["hosts"].as_array().cloned().unwrap_or_default();
            let is_up = |host: &Value| host["name"] == HOST && host["status"] == "up";
            Ok(hosts.iter().any(is_up).then_some(()))
        })
        .with_context(|| worker.log())?;
        Ok(worker)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The worker's own process, as Linux sees it.
    fn process(&self) -> Option<Process> {
        let is_it = |it: &Process| {
            it.command.contains("tessera.exe worker")
                && it.command.contains(&self.mark)
                && !it.command.contains("ordinary")
        };
        processes::all()
            .into_iter()
            .find(|it| is_it(it) && !it.is_zombie)
    }

    /// Ends it without a warning.
    fn kill(&mut self) -> Result<()> {
        if let Some(process) = self.process() {
            let pid = nix::unistd::Pid::from_raw(process.pid);
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL)?;
        }
        self.is_ended = true;
        wait::until("the end of the worker", LONG, || {
            Ok(self.child.try_wait()?)
        })
        .map(|_| ())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Else it would end the one that has come after it.
        if !self.is_ended && self.kill().is_err() {
            _ = self.child.kill();
            _ = self.child.wait();
        }
    }
}

fn folder(variable: &str) -> Result<PathBuf> {
    let found = std::env::var_os(variable);
    let found = found.with_context(|| format!("{variable} is not set; run cargo xtask windows"))?;
    Ok(found.into())
}

fn program(name: &str) -> Result<PathBuf> {
    Ok(folder(WINDOWS_PROGRAMS)?.join(name))
}

fn wine(program: &Path, words: &[&str]) -> Command {
    let mut command = Command::new("wine");
    command.arg(program).args(words).env("WINEDEBUG", "-all");
    command.stdin(Stdio::null());
    command
}

/// Answers what a path is called on drive Z:, where Wine shows what Linux has.
fn windows_path(path: &Path) -> String {
    format!("Z:{}", path.display()).replace('/', "\\")
}

fn state_of(farm: &Farm) -> String {
    windows_path(&farm.folder().join("winhost"))
}

/// What stands in the command line of everything that belongs to a farm, however its path is written.
fn mark_of(farm: &Farm) -> String {
    let name = farm.folder().file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn said_by(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "{} {}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    )
}

/// Waits until no process with these words is left.
fn wait_until_gone(words: &str) -> Result<()> {
    wait::until(&format!("the end of all {words}"), LONG, || {
        let mut all = processes::all().into_iter();
        let is_there = all.any(|it| it.command.contains(words) && !it.is_zombie);
        Ok((!is_there).then_some(()))
    })
}

/// How many processes with these words live.
fn alive(words: &str) -> usize {
    let all = processes::all().into_iter();
    all.filter(|it| it.command.contains(words) && !it.is_zombie)
        .count()
}

#[test]
#[ignore = "cargo xtask windows runs it"]
fn frames_run_and_their_output_and_exit_codes_arrive() -> Result<()> {
    let world = World::start()?;
    let probe = windows_path(&program("examples/probe.exe")?);
    let hard = [
        "a b",
        r#"say "hi""#,
        r"C:\my dir\",
        "%PATH%",
        "&calc|more>x",
        "ü ✓",
    ];
    let job = world.submit(
        &[
            &["--range", "1-3", "--", &probe, "args", "QB_FRAME_NUMBER"],
            &hard[..],
        ]
        .concat(),
    )?;
    assert_eq!(world.end_of(&job)?, "complete", "{}", world.worker.log());
    for frame in 1..=3 {
        let said = world.farm.tessera(&["log", &format!("{job}:{frame}")])?;
        let lines: Vec<&str> = said
            .lines()
            .map(|line| line.trim_end_matches('\r'))
            .collect();
        let wanted: Vec<String> = std::iter::once(frame.to_string().as_str())
            .chain(hard)
            .map(|word| format!("{word:?}"))
            .collect();
        assert_eq!(lines, wanted);
    }
    let job = world.submit(&["--range", "1-2", "--", "cmd", "/c", "exit QB_FRAME_NUMBER"])?;
    assert_eq!(world.end_of(&job)?, "failed");
    let ends: Vec<String> = world
        .frames(&job)?
        .iter()
        .map(|it| it["end"]["exit_status"].to_string())
        .collect();
    assert_eq!(ends, ["1", "2"]);
    Ok(())
}

#[test]
#[ignore = "cargo xtask windows runs it"]
fn a_job_has_its_own_environment_and_a_directory_that_goes_with_it() -> Result<()> {
    let world = World::start()?;
    let probe = windows_path(&program("examples/probe.exe")?);
    let job = world.submit(&["--env", "SHOT=s 1", "--", &probe, "env"])?;
    assert_eq!(world.end_of(&job)?, "complete", "{}", world.worker.log());
    let said = world.farm.tessera(&["log", &job])?;
    let value = |name: &str| {
        let mut pairs = said
            .lines()
            .filter_map(|line| line.trim_end().split_once('='));
        pairs
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
    };
    assert_eq!(value("SHOT").as_deref(), Some("s 1"));
    assert_eq!(value("QBJOBID"), Some(job.clone()));
    assert!(value("SystemRoot").is_some(), "{said}");
    // Nothing of Linux, of the worker's console, or of Wine's.
    for name in ["HOME", "SHELL", "WINEDEBUG", "TESSERA_WINDOWS_PROGRAMS"] {
        assert_eq!(value(name), None, "{said}");
    }
    let own = value("TMP").context("a temporary directory")?;
    assert!(own.contains(&mark_of(&world.farm)), "{own}");
    let own = PathBuf::from(own.trim_start_matches("Z:").replace('\\', "/"));
    wait::until("the directory goes", LONG, || {
        Ok((!own.exists()).then_some(()))
    })
}

#[test]
#[ignore = "cargo xtask windows runs it"]
fn a_kill_ends_the_whole_tree() -> Result<()> {
    let world = World::start()?;
    let probe = windows_path(&program("examples/probe.exe")?);
    let file = world.farm.folder().join("tree");
    let job = world.submit(&["--", &probe, "tree", "3", &windows_path(&file)])?;
    world.wait_for_tree(&job, &file)?;
    let words = format!("probe.exe tree 0 {}", windows_path(&file));
    assert_eq!(alive(&words), 1);
    world.farm.tessera(&["kill", &job])?;
    assert_eq!(world.end_of(&job)?, "killed");
    // What the farm says is so: nothing of it lives when the job has ended.
    assert_eq!(alive(&words), 0);
    wait_until_gone(&windows_path(&file))
}

#[test]
#[ignore = "cargo xtask windows runs it"]
fn a_suspended_tree_stands_still_until_it_is_resumed() -> Result<()> {
    let world = World::start()?;
    let probe = windows_path(&program("examples/probe.exe")?);
    let file = world.farm.folder().join("tree");
    let job = world.submit(&["--", &probe, "tree", "2", &windows_path(&file)])?;
    world.wait_for_tree(&job, &file)?;
    world.farm.tessera(&["suspend", &job])?;
    // It writes every 20 ms: half a second without a change is no chance.
    let still = || -> Result<Option<String>> {
        let before = std::fs::read_to_string(&file)?;
        std::thread::sleep(Duration::from_millis(500));
        let now = std::fs::read_to_string(&file)?;
        Ok((now == before && !now.is_empty()).then_some(now))
    };
    let count = wait::until("a tree that stands still", LONG, still)?;
    assert_eq!(world.state(&job)?, "suspended");
    world.farm.tessera(&["resume", &job])?;
    wait::until("a tree that goes on", LONG, || {
        Ok((std::fs::read_to_string(&file)? != count).then_some(()))
    })
    .with_context(|| world.told(&job))?;
    world.farm.tessera(&["kill", &job])?;
    assert_eq!(world.end_of(&job)?, "killed");
    wait_until_gone(&windows_path(&file))
}

#[test]
#[ignore = "cargo xtask windows runs it"]
fn a_killed_worker_takes_its_trees_with_it_and_the_next_runs_the_frame_again() -> Result<()> {
    let mut world = World::start()?;
    let probe = windows_path(&program("examples/probe.exe")?);
    let file = world.farm.folder().join("tree");
    let job = world.submit(&["--", &probe, "tree", "2", &windows_path(&file)])?;
    world.wait_for_tree(&job, &file)?;
    world.worker.kill()?;
    wait_until_gone(&windows_path(&file))?;
    std::fs::remove_file(&file)?;
    world.worker = Worker::start(&world.farm)?;
    world.wait_for_tree(&job, &file)?;
    let attempt = &world.frames(&job)?[0]["attempt"];
    assert_eq!(attempt, 2, "{}", world.worker.log());
    world.farm.tessera(&["kill", &job])?;
    assert_eq!(world.end_of(&job)?, "killed");
    wait_until_gone(&windows_path(&file))
}

#[test]
#[ignore = "cargo xtask windows runs it"]
fn an_administrators_desktop_runs_no_jobs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let state = windows_path(folder.path());
    let words = [
        "worker",
        "--desktop",
        "--connect",
        "127.0.0.1:9",
        "--state",
        &state,
    ];
    let output = wine(&program("tessera.exe")?, &words).output()?;
    let said = said_by(&output);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("an administrator's rights"), "{said}");
    Ok(())
}

#[test]
#[ignore = "cargo xtask windows runs it"]
fn a_service_has_its_launcher_run_frames_and_their_output_arrives() -> Result<()> {
    let world = World::start_service()?;
    let probe = windows_path(&program("examples/probe.exe")?);
    let words = [
        "--range",
        "1-3",
        "--",
        &probe,
        "args",
        "QB_FRAME_NUMBER",
        "a b",
    ];
    let job = world.submit(&words)?;
    assert_eq!(world.end_of(&job)?, "complete", "{}", world.told(&job));
    for frame in 1..=3 {
        let said = world.farm.tessera(&["log", &format!("{job}:{frame}")])?;
        let lines: Vec<&str> = said.lines().map(|it| it.trim_end_matches('\r')).collect();
        assert_eq!(lines, [format!("\"{frame}\""), "\"a b\"".to_owned()]);
    }
    let audit = world.farm.folder().join("winhost/launcher/audit.log");
    let audit = std::fs::read_to_string(audit)?;
    assert!(audit.contains("\"event\":\"start\""), "{audit}");
    assert!(audit.contains("tessera-job1"), "{audit}");
    // A job has its private directory, which goes with it.
    let job = world.submit(&["--", &probe, "env"])?;
    assert_eq!(world.end_of(&job)?, "complete", "{}", world.told(&job));
    let said = world.farm.tessera(&["log", &job])?;
    let own = said
        .lines()
        .find_map(|it| it.trim_end().strip_prefix("TMP="));
    let own = own.with_context(|| said.clone())?.to_owned();
    let own = PathBuf::from(own.trim_start_matches("Z:").replace('\\', "/"));
    assert!(own.starts_with(world.farm.folder()), "{}", own.display());
    wait::until("the directory goes", LONG, || {
        Ok((!own.exists()).then_some(()))
    })
}

#[test]
#[ignore = "cargo xtask windows runs it"]
fn w03_a_killed_launcher_takes_its_trees_with_it_and_the_next_runs_the_frame_again() -> Result<()> {
    let mut world = World::start_service()?;
    let probe = windows_path(&program("examples/probe.exe")?);
    let file = world.farm.folder().join("tree");
    let job = world.submit(&["--", &probe, "tree", "2", &windows_path(&file)])?;
    world.wait_for_tree(&job, &file)?;
    world.launcher = None;
    wait_until_gone(&windows_path(&file))?;
    std::fs::remove_file(&file)?;
    world.launcher = Some(Launcher::start(&world.farm)?);
    world.wait_for_tree(&job, &file)?;
    // Nobody's fault, so no retry is used up: `--retrywork 0` was given.
    assert_eq!(world.state(&job)?, "running");
    world.farm.tessera(&["kill", &job])?;
    assert_eq!(world.end_of(&job)?, "killed", "{}", world.told(&job));
    wait_until_gone(&windows_path(&file))
}

const PASSWORD: &str = "cAnArY-pa55word-on-windows";

/// Wine's `LogonUserW` says yes to everybody: it is not believed from the command line to the launcher, and nothing runs for it.
#[test]
#[ignore = "cargo xtask windows runs it"]
fn a_registered_password_is_sealed_tried_once_and_a_false_yes_starts_nothing() -> Result<()> {
    let mut world = World::start_service_with("modes = user\r\nuser_logon = password\r\n")?;
    let key = key_of(&world)?;
    let job = world.submit(&["--", "cmd", "/c", "echo", "nobody"])?;
    let has =
        |word: &str| -> Result<Option<()>> { Ok(world.told(&job).contains(word).then_some(())) };
    wait::until("work that waits for a password", LONG, || {
        has("credential_missing")
    })
    .with_context(|| world.told(&job))?;
    let words = ["credential", "register", "--stdin", "--accept-new-keys"];
    let (said, _) = world
        .farm
        .tessera_hearing(&words, &format!("{PASSWORD}\n"))?;
    // It was opened and tried, and what Wine said is no word about the password.
    let found = wait::until("a try", LONG, || {
        let all = world.farm.tessera(&["--json", "credential", "list"])?;
        Ok(all.contains("whose the logon is").then_some(all))
    });
    let found = found.with_context(|| format!("{said}{}", world.told(&job)))?;
    assert!(found.contains("unavailable"), "{found}");
    assert_eq!(world.state(&job)?, "pending", "{}", world.told(&job));
    let audit = world.farm.folder().join("winhost/launcher/audit.log");
    let audit = std::fs::read_to_string(audit).unwrap_or_default();
    assert!(!audit.contains("\"event\":\"start\""), "{audit}");
    // The key is the same for the next worker, and lies sealed.
    world.worker.kill()?;
    world.worker = Worker::start_in(&world.farm, Some(&pipe_of(&world.farm)))?;
    assert_eq!(key_of(&world)?, key);
    let keys = world.farm.folder().join("winhost/worker/credentials/keys");
    let kept = std::fs::read(keys.join("pool-keys"))?;
    // As it is, the pool's name would be in it.
    assert!(!kept.windows(7).any(|it| it == b"default"), "not sealed");
    nothing_has(world.farm.folder(), PASSWORD)
}

/// The fingerprint of the host's key, as the farm has it.
fn key_of(world: &World) -> Result<String> {
    wait::until("the host's key", LONG, || {
        // As long as no worker has said one, that is an error.
        let said = world
            .farm
            .tessera(&["credential", "keys"])
            .unwrap_or_default();
        let mut lines = said.lines().filter(|it| it.contains(HOST));
        let key = lines.next().and_then(|it| it.split_whitespace().nth(1));
        Ok(key.map(str::to_owned))
    })
    .with_context(|| world.worker.log())
}

/// Looks for a text in all files below a folder.
fn nothing_has(folder: &Path, text: &str) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let found = path.symlink_metadata()?;
        if found.is_dir() {
            nothing_has(&path, text)?;
        } else if found.is_file() {
            let bytes = std::fs::read(&path)?;
            let has = bytes.windows(text.len()).any(|it| it == text.as_bytes());
            ensure!(!has, "{} has it", path.display());
        }
    }
    Ok(())
}

/// Runs the installed program of Windows; answers what it said.
fn installed(words: &[&str]) -> Result<(bool, String)> {
    let program = Path::new(r"C:\Program Files\Tessera\tessera.exe");
    let output = wine(program, words).output()?;
    Ok((output.status.success(), said_by(&output)))
}

#[test]
#[ignore = "cargo xtask windows runs it"]
fn the_services_are_made_started_stopped_and_removed() -> Result<()> {
    let prefix = PathBuf::from(std::env::var_os("WINEPREFIX").context("WINEPREFIX")?);
    let drive = prefix.join("drive_c");
    let folder = drive.join("Program Files/Tessera");
    std::fs::create_dir_all(&folder)?;
    for name in ["tessera.exe", "tessera-winlaunch.exe"] {
        // Not over one that runs.
        _ = std::fs::remove_file(folder.join(name));
        std::fs::copy(program(name)?, folder.join(name))?;
    }
    let name = format!("Tessera test {}", std::process::id());
    let (state, inside) = (format!(r"C:\{name}"), drive.join(&name));
    // Wine's Windows ends with its last program.
    let keep = drive.join(format!("keep {}", std::process::id()));
    let mut kept = wine(
        &program("examples/probe.exe")?,
        &["tree", "0", &windows_path(&keep)],
    )
    .spawn()?;
    let result = services(&state, &inside);
    // What failed in the middle must not be there for the next.
    let removed = installed(&[
        "worker",
        "uninstall",
        "--mode",
        "service",
        "--now",
        "--state",
        &state,
    ]);
    kept.kill()?;
    kept.wait()?;
    result?;
    removed?;
    std::fs::remove_dir_all(inside)?;
    Ok(())
}

fn services(state: &str, inside: &Path) -> Result<()> {
    let (is_good, said) = installed(&["worker", "install", "--mode", "service", "--state", state])?;
    ensure!(is_good && said.contains("has joined no farm"), "{said}");
    std::fs::write(
        inside.join("worker/worker.toml"),
        "qb_supervisor = \"127.0.0.1:9\"\n",
    )?;
    let standing = |word: &str| -> Result<bool> {
        let (_, said) = installed(&["worker", "status", "--json", "--state", state])?;
        Ok(said.replace([' ', '\n', '\r'], "").contains(word))
    };
    ensure!(
        standing("\"installed\":true,\"running\":false")?,
        "installed, not running"
    );
    let net = |words: &[&str]| -> Result<String> {
        let output = wine(Path::new("net"), words).output()?;
        ensure!(output.status.success(), "{}", said_by(&output));
        Ok(said_by(&output))
    };
    net(&["start", "TesseraWorker"])?;
    let log = inside.join("worker/worker.log");
    wait::until("a service that says what is wrong", LONG, || {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        Ok(said.contains("has not joined a farm").then_some(()))
    })?;
    net(&["stop", "TesseraWorker"])?;
    let (is_good, said) =
        installed(&["worker", "uninstall", "--mode", "service", "--state", state])?;
    ensure!(is_good, "{said}");
    ensure!(
        standing("\"mode\":\"service\",\"installed\":false")?,
        "still installed"
    );
    Ok(())
}
