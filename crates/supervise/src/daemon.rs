//! One daemon under its account, started again when it ends, at growing intervals.

use std::ffi::CString;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use tessera_identity::user::{Change, Program, exec_as};
use tessera_sys::ids::Identity;
use tessera_sys::process::Ended;
use tessera_sys::{Errno, Sys, file, process, say};

/// After so many ends in a row a daemon that is waited for counts as one that can't run.
const QUICK_ENDS_MAX: u32 = 4;
/// The first and the longest pause before a start after an end.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// After so long a run the pause is the first again.
const STEADY: Duration = Duration::from_secs(10);
/// What of this program's environment the daemons see.
const PASSED_ON: [&str; 3] = ["RUST_LOG", "TESSERA_LOG", "NO_COLOR"];
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The two programs, opened before anybody loses the right to reach them.
#[derive(Debug)]
pub(crate) struct Programs {
    tessera: OwnedFd,
    launch: OwnedFd,
}

impl Programs {
    pub(crate) fn open(tessera: Option<&Path>) -> Result<Self, String> {
        let own = std::fs::read_link("/proc/self/exe").map_err(|e| format!("this program: {e}"))?;
        let beside = own.with_file_name("tessera");
        let path = tessera.unwrap_or(&beside);
        let open = |path: &Path| {
            let name = file::c_string(&path.to_string_lossy())?;
            file::open(&name, libc::O_RDONLY).and_then(file::for_everybody)
        };
        Ok(Self {
            tessera: open(path).map_err(|e| format!("{}: {e}", path.display()))?,
            launch: open(Path::new("/proc/self/exe")).map_err(|e| format!("this program: {e}"))?,
        })
    }
}

/// A daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    name: &'static str,
    program: OwnedFd,
    argv: Vec<CString>,
    env: Vec<CString>,
    user: Option<Identity>,
    pid: Option<i32>,
    started: Instant,
    backoff: Duration,
    /// Ends in a row, each soon after the start.
    quick_ends: u32,
    start_at: Option<Instant>,
    is_once: bool,
    status: Option<i32>,
}

impl Daemon {
    /// Makes a daemon; `words` are its arguments, the program's name first.
    pub(crate) fn new(
        name: &'static str,
        programs: &Programs,
        words: &[&str],
        user: Option<&Identity>,
    ) -> Result<Self, String> {
        let is_launch = words.first() == Some(&"tessera-launch");
        let program = if is_launch {
            &programs.launch
        } else {
            &programs.tessera
        };
        Ok(Self {
            name,
            program: program.try_clone().map_err(|e| e.to_string())?,
            argv: process::c_strings(words.iter().copied()).map_err(|e| e.to_string())?,
            env: environment(),
            user: user.cloned(),
            pid: None,
            started: Instant::now(),
            backoff: BACKOFF.0,
            quick_ends: 0,
            start_at: None,
            is_once: false,
            status: None,
        })
    }

    /// Marks this as something that runs once.
    pub(crate) fn once(&mut self) {
        self.is_once = true;
    }

    /// Returns how something that runs once has ended.
    pub(crate) fn status(&self) -> Option<i32> {
        self.status
    }

    /// Returns when the next start is due.
    pub(crate) fn start_at(&self) -> Option<Instant> {
        self.start_at
    }

    pub(crate) fn is_running(&self) -> bool {
        self.pid.is_some()
    }

    pub(crate) fn kill(&mut self, signal: i32) {
        self.start_at = None;
        if let Some(pid) = self.pid {
            // Its child, and not waited for yet, so the number is its own.
            let _ = process::kill(pid, signal);
        }
    }

    pub(crate) fn start(&mut self) -> Sys<()> {
        let parent = process::own_pid();
        let null = file::open(c"/dev/null", libc::O_RDWR)?;
        match process::fork()? {
            Some(pid) => {
                self.pid = Some(pid);
                self.started = Instant::now();
                self.start_at = None;
                Ok(())
            }
            None => {
                let _ = process::set_mask(&[]);
                let change = self.user.as_ref().map(|identity| Change {
                    identity,
                    keep_caps: 0,
                    no_new_privs: true,
                });
                let fds = [null.as_raw_fd(), 1, 2];
                let (file, argv, env) = (self.program.as_fd(), &self.argv, &self.env);
                let program = Program {
                    file,
                    argv,
                    env,
                    fds: &fds,
                    bound_to: Some(parent),
                };
                let failed = exec_as(change.as_ref(), &program);
                let reason = Errno(failed.errno);
                say(&format!(
                    "starting the {} failed at {}: {reason}",
                    self.name,
                    failed.step.name()
                ));
                process::exit_now(1)
            }
        }
    }

    /// Takes the end of a process; `is_ending` says that the whole farm ends and nothing is started again.
    pub(crate) fn on_ended(&mut self, ended: &Ended, is_ending: bool) {
        if self.pid != Some(ended.pid) {
            return;
        }
        self.pid = None;
        let how = describe(ended.status);
        if self.is_once {
            self.status = Some(ended.status);
            return;
        }
        if is_ending {
            say(&format!("the {} {how}", self.name));
            return;
        }
        if self.started.elapsed() >= STEADY {
            self.backoff = BACKOFF.0;
            self.quick_ends = 0;
        }
        self.quick_ends += 1;
        let pause = self.backoff.as_millis();
        say(&format!(
            "the {} {how}; it starts again in {pause} ms",
            self.name
        ));
        self.start_at = Some(Instant::now() + self.backoff);
        self.backoff = (self.backoff * 2).min(BACKOFF.1);
    }

    /// Says whether it ended as often at once as one that can't run here does.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.quick_ends >= QUICK_ENDS_MAX
    }

    pub(crate) fn start_if_due(&mut self) {
        let is_due = self.start_at.is_some_and(|at| at <= Instant::now());
        if is_due && let Err(errno) = self.start() {
            say(&format!("starting the {}: {errno}", self.name));
            self.start_at = Some(Instant::now() + self.backoff);
        }
    }
}

fn describe(status: i32) -> String {
    if libc::WIFSIGNALED(status) {
        format!("was ended by signal {}", libc::WTERMSIG(status))
    } else {
        format!("ended with status {}", libc::WEXITSTATUS(status))
    }
}

fn environment() -> Vec<CString> {
    let mut env: Vec<CString> = [PATH, "HOME=/", "LANG=C.UTF-8"]
        .iter()
        .filter_map(|it| file::c_string(it).ok())
        .collect();
    let own = PASSED_ON
        .iter()
        .filter_map(|name| Some((*name, std::env::var(name).ok()?)));
    env.extend(own.filter_map(|(name, value)| file::c_string(&format!("{name}={value}")).ok()));
    env
}
