//! `tessera-launch supervise`: what `tessera up` is as root. Makes the accounts and directories that are missing, starts
//! supervisor, launcher and worker under their accounts, and starts again what ends.
#![forbid(unsafe_code)]

mod daemon;
mod setup;

use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use daemon::{Daemon, Programs};

use tessera_sys::limits::{self, Trees};
use tessera_sys::{Errno, Sys, entry, file, poll, process, readable, say};
use tessera_sys::{cgroup, procs};
use tessera_ticket::SLOT_MAX;

/// How long the supervisor may take to make its keys and open its socket at the first start.
const SOCKET_TIME: Duration = Duration::from_secs(60);
/// How long a daemon may take to end by itself.
const END_TIME: Duration = Duration::from_secs(15);
/// How long clearing away what an ephemeral farm runs may take.
const CLEAR_TIME: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

/// What was asked for on the command line.
#[derive(Debug, Default)]
pub struct Options {
    /// The farm's directory.
    pub state: PathBuf,
    /// The program `tessera`; beside this one by default.
    pub tessera: Option<PathBuf>,
    /// Where the supervisor listens.
    pub listen: Option<String>,
    /// The slots that the worker offers.
    pub slots: Option<String>,
    /// Nothing is left when it ends.
    pub ephemeral: bool,
    /// Passed on to the supervisor.
    pub extra: Vec<String>,
}

impl Options {
    /// Reads the words of a command line.
    ///
    /// # Errors
    /// A sentence that names the word.
    pub fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let mut value = || {
                let next = rest.next().map(|it| (*it).to_owned());
                next.ok_or(format!("`{word}` needs a value"))
            };
            match *word {
                "--state" => options.state = value()?.into(),
                "--tessera" => options.tessera = Some(value()?.into()),
                "--listen" => options.listen = Some(value()?),
                "--slots" => options.slots = Some(value()?),
                "--ephemeral" => options.ephemeral = true,
                "--" => options.extra = rest.by_ref().map(|it| (*it).to_owned()).collect(),
                other => return Err(format!("unknown option `{other}`")),
            }
        }
        if options.state.as_os_str().is_empty() {
            return Err("`--state DIR` is missing".into());
        }
        Ok(options)
    }
}

/// The running farm: its daemons in the order of their start.
struct Farm {
    signals: OwnedFd,
    daemons: Vec<Daemon>,
    told_to_end: bool,
}

/// Runs the farm until TERM or INT.
///
/// # Errors
/// A sentence that says what could not be set up.
pub fn run(options: &Options) -> Result<(), String> {
    if tessera_sys::ids::uids() != Ok([0; 3]) {
        return Err(
            "supervise must run as root; `tessera up` as an ordinary user needs no root".into(),
        );
    }
    process::set_umask(0o077);
    let state = setup::state_dir(&options.state)?;
    let accounts = setup::accounts(&state, slots(options)?)?;
    setup::directories(&state, &accounts)?;
    let programs = Programs::open(options.tessera.as_deref())?;
    // Shepherds whose launcher has ended come here, and are waited for here.
    tessera_sys::ids::become_subreaper().map_err(|e| format!("subreaper: {e}"))?;
    process::ignore(libc::SIGPIPE);
    let signals = process::signal_fd(&[libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP])
        .map_err(|e| format!("signals: {e}"))?;
    let mut farm = Farm {
        signals,
        daemons: Vec::new(),
        told_to_end: false,
    };
    let result = farm
        .bring_up(options, &state, &accounts, &programs)
        .and_then(|()| farm.serve());
    farm.bring_down();
    if options.ephemeral {
        clear_away(&state);
    }
    while process::reap().is_some() {}
    result
}

/// Removes a socket that a former farm left; one where somebody listens is of a farm that runs.
fn clear_socket(socket: &Path) -> Result<(), String> {
    // The launcher's takes packets; a stream to it is refused for its kind, not for want of somebody.
    let has_listener = match UnixStream::connect(socket) {
        Ok(_) => true,
        Err(e) => e.raw_os_error() == Some(libc::EPROTOTYPE),
    };
    if has_listener {
        return Err(format!(
            "a farm runs already: somebody listens at {}; use it, end it first, or name another directory with --state",
            socket.display()
        ));
    }
    let _ = std::fs::remove_file(socket);
    Ok(())
}

/// Returns the slots that the worker will offer: as many accounts are made where each slot has one.
fn slots(options: &Options) -> Result<u32, String> {
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cores = u32::try_from(cores()).unwrap_or(1);
    let Some(text) = &options.slots else {
        return Ok(cores);
    };
    match text.parse() {
        Ok(0) => Ok(cores),
        Ok(slots) if slots <= SLOT_MAX => Ok(slots),
        _ => Err(format!(
            "--slots is not a number from 0 to {SLOT_MAX}: `{text}`"
        )),
    }
}

impl Farm {
    fn bring_up(
        &mut self,
        options: &Options,
        state: &Path,
        accounts: &setup::Accounts,
        programs: &Programs,
    ) -> Result<(), String> {
        let text = state
            .to_str()
            .ok_or("the state directory's name is not UTF-8")?;
        let mut supervisor = vec!["tessera", "supervisor", "--state", text];
        let listen = options.listen.as_deref();
        supervisor.extend(listen.into_iter().flat_map(|it| ["--listen", it]));
        supervisor.extend(options.extra.iter().map(String::as_str));
        let socket = state.join("run/supervisor.sock");
        let is_first = !state.join("launcher/dispatch.pub").exists();
        clear_socket(&socket)?;
        self.start(
            "supervisor",
            programs,
            &supervisor,
            Some(&accounts.supervisor),
        )?;
        self.wait_for(&socket)?;
        if is_first {
            let words = ["tessera", "join", "--local", "--state", text];
            let status = self.run_once(programs, &words)?;
            if status != 0 {
                return Err("this host could not join its own farm".into());
            }
            say("enrolled this host with its own supervisor");
        }
        setup::write_policy_if_missing(state)?;
        let socket = state.join("run/launcher.sock");
        clear_socket(&socket)?;
        self.start(
            "launcher",
            programs,
            &["tessera-launch", "launcher", "--state", text],
            None,
        )?;
        self.wait_for(&socket)?;
        let mut worker = vec!["tessera", "worker", "--state", text];
        worker.extend(
            options
                .slots
                .as_deref()
                .into_iter()
                .flat_map(|it| ["--slots", it]),
        );
        self.start("worker", programs, &worker, Some(&accounts.worker))
    }

    fn start(
        &mut self,
        name: &'static str,
        programs: &Programs,
        words: &[&str],
        user: Option<&tessera_sys::ids::Identity>,
    ) -> Result<(), String> {
        let mut daemon = Daemon::new(name, programs, words, user)?;
        daemon
            .start()
            .map_err(|e| format!("starting the {name}: {e}"))?;
        self.daemons.push(daemon);
        Ok(())
    }

    /// Waits until a socket is there, while what was started is kept running.
    fn wait_for(&mut self, socket: &Path) -> Result<(), String> {
        let give_up = Instant::now() + SOCKET_TIME;
        while !socket.exists() {
            if self.told_to_end {
                return Err("told to end".into());
            }
            let is_hopeless = self.daemons.last().is_some_and(Daemon::is_hopeless);
            if is_hopeless || Instant::now() >= give_up {
                return Err(format!(
                    "{} did not appear; see the messages above",
                    socket.display()
                ));
            }
            self.turn(PAUSE).map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// Runs a program once, as root, and returns its status.
    fn run_once(&mut self, programs: &Programs, words: &[&str]) -> Result<i32, String> {
        let mut once = Daemon::new("enrolment", programs, words, None)?;
        once.start()
            .map_err(|e| format!("starting `{}`: {e}", words.join(" ")))?;
        once.once();
        self.daemons.push(once);
        let give_up = Instant::now() + SOCKET_TIME;
        loop {
            self.turn(PAUSE).map_err(|e| e.to_string())?;
            let is_late = self.told_to_end || Instant::now() >= give_up;
            let Some(once) = self.daemons.last_mut() else {
                return Err("lost".into());
            };
            if let Some(status) = once.status() {
                self.daemons.pop();
                return Ok(status);
            }
            if is_late {
                once.kill(libc::SIGKILL);
                return Err(format!("`{}` did not end", words.join(" ")));
            }
        }
    }

    fn serve(&mut self) -> Result<(), String> {
        say("the farm is up");
        while !self.told_to_end {
            let next = self.daemons.iter().filter_map(Daemon::start_at).min();
            let time = next.map(|at| at.saturating_duration_since(Instant::now()));
            self.turn(time.unwrap_or(Duration::from_secs(3_600)))
                .map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// Waits for a signal or the time, takes ended daemons and starts those that are due.
    fn turn(&mut self, time: Duration) -> Sys<()> {
        poll(&mut [readable(self.signals.as_fd())], Some(time))?;
        while let Some(signal) = process::next_signal(self.signals.as_fd()) {
            self.told_to_end |= signal != libc::SIGCHLD;
        }
        while let Some(ended) = process::reap() {
            for daemon in &mut self.daemons {
                daemon.on_ended(&ended, self.told_to_end);
            }
        }
        if !self.told_to_end {
            for daemon in &mut self.daemons {
                daemon.start_if_due();
            }
        }
        Ok(())
    }

    /// Ends the daemons, the last one first: the worker before what it leans on.
    fn bring_down(&mut self) {
        self.told_to_end = true;
        for i in (0..self.daemons.len()).rev() {
            self.daemons[i].kill(libc::SIGTERM);
            let mut give_up = Instant::now() + END_TIME;
            while self.daemons[i].is_running() {
                if Instant::now() >= give_up {
                    self.daemons[i].kill(libc::SIGKILL);
                    give_up += END_TIME;
                }
                if self.turn(PAUSE).is_err() {
                    return;
                }
            }
        }
    }
}

/// Kills every instance of a farm that is to leave nothing, and removes its groups and run records.
fn clear_away(state: &Path) {
    let read = |name: &str| {
        let text = std::fs::read_to_string(state.join("launcher").join(name)).unwrap_or_default();
        text.trim().replace('-', "")
    };
    let (farm, host) = (read("farm_id"), read("host_id"));
    if farm.is_empty() || host.is_empty() {
        return;
    }
    let give_up = Instant::now() + CLEAR_TIME;
    while !try_clear(state, &farm, &host).unwrap_or(true) {
        if Instant::now() >= give_up {
            say("some process of the farm could not be ended; see `ps`");
            return;
        }
        let _ = poll(&mut [entry(-1, 0)], Some(PAUSE));
    }
    cgroup::remove_farm_dir(&farm, &host);
    if let Ok(name) = cgroup::farm_name(&farm, &host) {
        limits::remove_farm_dirs(&name);
    }
}

/// One round of it; says whether nothing is left.
fn try_clear(state: &Path, farm: &str, host: &str) -> Sys<bool> {
    let run = state.join("launcher/run");
    let path = file::c_string(&run.to_string_lossy())?;
    let run = file::open(&path, libc::O_RDONLY | libc::O_DIRECTORY)?;
    let mut is_clear = true;
    if let Some(groups) = cgroup::farm_dir(cgroup::Place::System, farm, host)? {
        for key in cgroup::launches(groups.as_fd()) {
            is_clear &= cgroup::destroy_instance(groups.as_fd(), key)?;
        }
        let trees = Trees::find(Some(groups.as_fd()), &cgroup::farm_name(farm, host)?);
        trees.sweep(|_| false);
        return Ok(is_clear);
    }
    for name in file::names(run.as_fd(), 65_536)? {
        let Ok(key) = name.parse() else { continue };
        let text = file::read_at(run.as_fd(), &file::c_string(&name)?, 256)?;
        let mut left = procs::marked(farm, key);
        left.extend(procs::of_record(&String::from_utf8_lossy(&text)));
        for &pid in &left {
            match process::kill(pid, libc::SIGKILL) {
                Ok(()) | Err(Errno(libc::ESRCH)) => {}
                Err(errno) => return Err(errno),
            }
        }
        is_clear &= left.is_empty();
    }
    Ok(is_clear)
}
