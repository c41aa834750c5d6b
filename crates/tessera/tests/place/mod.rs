//! A farm of an ordinary user with the real daemons, and the command line on it.
#![allow(dead_code, reason = "each test program uses a part of this")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const NOBODY: u32 = 65_534;

/// A folder with both programs that an ordinary user can run, and a home for that user.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
}

impl Place {
    /// Makes one; nothing when `tessera-launch` was not built.
    pub(crate) fn new() -> Option<Self> {
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

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
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

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("it runs")
    }

    /// Starts a command whose words nobody reads.
    pub(crate) fn start(&self, words: &[&str]) -> Running {
        let mut command = self.command(words);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Running(command.spawn().expect("it starts"))
    }

    /// Runs a command and answers its exit code and output.
    pub(crate) fn ask(&self, words: &[&str]) -> (i32, String) {
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
    pub(crate) fn processes(&self) -> Vec<(i32, String)> {
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
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn interrupt(&self) {
        let pid = i32::try_from(self.0.id()).expect("a pid");
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid),
            nix::sys::signal::Signal::SIGINT,
        )
        .expect("told");
    }

    pub(crate) fn wait(&mut self) -> i32 {
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
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

pub(crate) fn farm(place: &Place) -> Running {
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
