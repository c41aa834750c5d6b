//! A program as the leader of a session, and all that comes of it.
#![expect(unsafe_code, reason = "calls of the system")]

use std::io::{self, PipeReader, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::exits::Exits;
use super::{check, list};
use crate::left;
use crate::walk::{Known, members};
use crate::{End, Limit, Resource, Start, Used};

/// Walks of one kill: what a process starts between two of them is found by the next.
const KILL_WALKS: usize = 8;

/// A program that was started.
#[derive(Debug)]
pub struct Started {
    /// It, and what comes of it.
    pub tree: Tree,
    /// What it prints.
    pub out: ChildStdout,
    /// What it prints to stderr.
    pub err: ChildStderr,
}

/// A session of processes.
#[derive(Debug)]
pub struct Tree {
    pid: u32,
    born: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whom the last walk found.
    known: Known,
    /// What those have used that were seen, by number and birth.
    used: std::collections::BTreeMap<(u32, u64), Used>,
    /// Whether all are to end.
    is_killed: bool,
    /// What the leader and those whom it waited for used, when it has ended.
    ended: Option<Used>,
}

/// A program that has begun, and waits for what it is told on its standard input; where it can't go on it says so on descriptor
/// 3, which is closed when it has become another.
#[derive(Debug)]
pub struct Held {
    /// It, and what comes of it.
    pub started: Started,
    input: ChildStdin,
    status: PipeReader,
}

impl Held {
    /// Tells it, and waits until it is another program, or says why it is not: at most `max` bytes.
    ///
    /// # Errors
    /// When it can't be told, or says nothing in time.
    pub fn tell(self, order: &[u8], max: u64, within: Duration) -> io::Result<(Started, Vec<u8>)> {
        let Self {
            started,
            mut input,
            status,
        } = self;
        input.write_all(order)?;
        drop(input);
        let mut poll = libc::pollfd {
            fd: status.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let within = libc::c_int::try_from(within.as_millis()).unwrap_or(libc::c_int::MAX);
        // SAFETY: the structure lives through the call.
        if check(unsafe { libc::poll(&raw mut poll, 1, within) })? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut said = Vec::new();
        status.take(max).read_to_end(&mut said)?;
        Ok((started, said))
    }
}

/// Starts a program as [`start`] does, but with a pipe as its standard input and another, for words about itself, as descriptor 3.
///
/// # Errors
/// When it can't be started.
pub fn hold(what: &Start) -> io::Result<Held> {
    let (status, said) = io::pipe()?;
    let (started, input) = begin(what, Stdio::piped(), Some(said.as_raw_fd()))?;
    drop(said);
    let input = input.ok_or(io::ErrorKind::BrokenPipe)?;
    Ok(Held {
        started,
        input,
        status,
    })
}

/// Starts a program as the leader of a session of its own, with nothing open but its three streams.
///
/// # Errors
/// When it can't be started.
pub fn start(what: &Start) -> io::Result<Started> {
    begin(what, Stdio::null(), None).map(|(started, _)| started)
}

/// Starts a program; `kept` is open in it as descriptor 3.
fn begin(
    what: &Start,
    input: Stdio,
    kept: Option<RawFd>,
) -> io::Result<(Started, Option<ChildStdin>)> {
    let (program, arguments) = what
        .argv
        .split_first()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let made = Made {
        nice: i32::from(what.nice),
        umask: what.umask,
        limits: what.limits.iter().map(limit).collect(),
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(what.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&what.directory)
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // SAFETY: between fork and exec only calls that are safe in a signal handler are made, and nothing is allocated.
    unsafe {
        command.pre_exec(move || prepare(&made, kept));
    }
    let before = now();
    let mut child = command.spawn()?;
    let pid = child.id();
    let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    // It is our child and not waited for, so the number is its own. One that has ended already has no birth any more; what it
    // left was born after this.
    let seen = list::all()?.into_iter().find(|it| it.pid == pid);
    let born = seen.map_or(before, |it| it.born);
    let tree = Tree {
        pid,
        born,
        state: Mutex::default(),
    };
    let input = child.stdin.take();
    Ok((Started { tree, out, err }, input))
}

/// Answers the time that births are told in, microseconds since 1970.
fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the structure lives through the call.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000)
        .saturating_add(nanos / 1_000)
}

/// What the child makes of itself, ready before the fork.
struct Made {
    nice: i32,
    umask: u16,
    limits: Vec<(libc::c_int, libc::rlimit)>,
}

fn limit(it: &Limit) -> (libc::c_int, libc::rlimit) {
    let number = match it.resource {
        Resource::Core => libc::RLIMIT_CORE,
        Resource::OpenFiles => libc::RLIMIT_NOFILE,
        Resource::AddressSpace => libc::RLIMIT_AS,
        Resource::Cpu => libc::RLIMIT_CPU,
        Resource::FileSize => libc::RLIMIT_FSIZE,
        Resource::Processes => libc::RLIMIT_NPROC,
        Resource::Stack => libc::RLIMIT_STACK,
        Resource::LockedMemory => libc::RLIMIT_MEMLOCK,
        Resource::Data => libc::RLIMIT_DATA,
    };
    let limit = libc::rlimit {
        rlim_cur: it.soft,
        rlim_max: it.hard,
    };
    (number, limit)
}

/// In the child: a session of its own, its niceness, mask and limits, and nothing inherited but the three streams.
fn prepare(made: &Made, kept: Option<RawFd>) -> io::Result<()> {
    // SAFETY: it takes nothing; this process was just forked and leads no group.
    check(unsafe { libc::setsid() })?;
    if made.nice != 0 {
        // SAFETY: it takes numbers.
        check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, made.nice) })?;
    }
    // SAFETY: it takes a number and can't fail.
    unsafe { libc::umask(made.umask) };
    for (number, limit) in &made.limits {
        // SAFETY: the structure lives through the call.
        check(unsafe { libc::setrlimit(*number, std::ptr::from_ref(limit)) })?;
    }
    crate::unix::close_others_on_exec();
    match kept {
        // Who is the third already has only to be kept.
        // SAFETY: it takes numbers.
        Some(3) => check(unsafe { libc::fcntl(3, libc::F_SETFD, 0) }).map(drop),
        // SAFETY: it takes numbers.
        Some(fd) => check(unsafe { libc::dup2(fd, 3) }).map(drop),
        None => Ok(()),
    }
}

impl Tree {
    /// Answers the leader's number and when it was born, microseconds since 1970.
    #[must_use]
    pub fn main(&self) -> (u32, u64) {
        (self.pid, self.born)
    }

    /// Blocks until the leader has ended. To be called once.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn wait(&self) -> io::Result<End> {
        let pid = libc::pid_t::try_from(self.pid).map_err(io::Error::other)?;
        let mut status = 0;
        // SAFETY: the structure is numbers only, for which zero is a value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        loop {
            // SAFETY: both live through the call.
            let answer = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
            match check(answer) {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let micros = |time: libc::timeval| {
            let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
            let more = u64::try_from(time.tv_usec).unwrap_or(0);
            seconds.saturating_mul(1_000_000).saturating_add(more)
        };
        self.lock().ended = Some(Used {
            user_us: micros(usage.ru_utime),
            system_us: micros(usage.ru_stime),
            // Bytes here, not KiB as elsewhere.
            memory_max: u64::try_from(usage.ru_maxrss).unwrap_or(0),
        });
        if libc::WIFSIGNALED(status) {
            Ok(End::Signalled(libc::WTERMSIG(status)))
        } else {
            Ok(End::Exited(libc::WEXITSTATUS(status)))
        }
    }

    /// Sends a signal to all of them; says whether somebody was there.
    ///
    /// # Errors
    /// When the system does not say who there is.
    pub fn signal(&self, signal: libc::c_int) -> io::Result<bool> {
        let found = self.walk()?;
        for pid in found.keys() {
            send(*pid, signal);
        }
        Ok(!found.is_empty())
    }

    /// Asks all of them to end.
    ///
    /// # Errors
    /// When the system does not say who there is.
    pub fn ask_to_end(&self) -> io::Result<bool> {
        self.signal(libc::SIGTERM)
    }

    /// Ends all of them, walking some times or until nobody is found.
    ///
    /// # Errors
    /// When the system does not say who there is.
    pub fn kill(&self) -> io::Result<()> {
        self.lock().is_killed = true;
        for _ in 0..KILL_WALKS {
            if !self.signal(libc::SIGKILL)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Stops all of them where they are, or lets them go on.
    ///
    /// # Errors
    /// When the system does not say who there is.
    pub fn set_suspended(&self, is: bool) -> io::Result<()> {
        let signal = if is { libc::SIGSTOP } else { libc::SIGCONT };
        self.signal(signal).map(|_| ())
    }

    /// Counts those that are alive. When they were to be ended, whoever came since is, too.
    ///
    /// # Errors
    /// When the system does not say who there is.
    pub fn alive(&self) -> io::Result<u32> {
        let is_killed = self.lock().is_killed;
        if is_killed {
            self.signal(libc::SIGKILL)?;
        }
        Ok(u32::try_from(self.walk()?.len()).unwrap_or(u32::MAX))
    }

    /// Answers what they have used so far: those that were seen by a walk, and the leader with whom it waited for.
    #[must_use]
    pub fn used(&self) -> Used {
        // Who can't be asked has used what was seen before.
        let _as_before = self.walk();
        let state = self.lock();
        let mut all = state.ended.unwrap_or_default();
        let mut seen = Used::default();
        for used in state.used.values() {
            seen.user_us += used.user_us;
            seen.system_us += used.system_us;
            all.memory_max = all.memory_max.max(used.memory_max);
        }
        all.user_us = all.user_us.max(seen.user_us);
        all.system_us = all.system_us.max(seen.system_us);
        all
    }

    /// Looks who belongs to it now.
    fn walk(&self) -> io::Result<Known> {
        let all = list::all()?;
        let mut state = self.lock();
        let found = members((self.pid, self.born), &state.known, &all);
        for (pid, born) in &found {
            if let Some(used) = list::used(*pid) {
                let known = state.used.entry((*pid, *born)).or_default();
                known.user_us = used.user_us;
                known.system_us = used.system_us;
                known.memory_max = known.memory_max.max(used.memory_max);
            }
        }
        state.known.clone_from(&found);
        Ok(found)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All that it started ends with it, as far as a walk finds it.
impl Drop for Tree {
    fn drop(&mut self) {
        let _as_far_as_it_goes = self.kill();
    }
}

/// Ends what is left of a session that an earlier process began, and says whether nothing is.
#[must_use]
pub fn end_left(pid: u32, born: u64) -> bool {
    // Who can't be looked for may be there.
    let ended = Exits::new().and_then(|mut exits| left::end((pid, born), &mut exits));
    ended.unwrap_or(false)
}

/// Sends a signal. Who has just ended minds nothing.
pub(super) fn send(pid: u32, signal: libc::c_int) {
    if let Ok(pid) = libc::pid_t::try_from(pid)
        && pid > 1
    {
        // SAFETY: it takes numbers; the process was just seen to be of the session.
        unsafe { libc::kill(pid, signal) };
    }
}
