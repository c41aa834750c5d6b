//! Processes: making, naming, signalling and waiting for them.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use super::file::owned;
use super::{Errno, Sys, check};

/// How a child ended, by the kernel's word.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// The child.
    pub pid: i32,
    /// The status as `wait` has it.
    pub status: i32,
    /// CPU time in user mode, microseconds.
    pub user_us: u64,
    /// CPU time in the kernel, microseconds.
    pub system_us: u64,
    /// Greatest memory of one process, bytes.
    pub memory_max: u64,
}

/// Forks; `None` in the child. This program has one thread, so the child may use all that the parent could.
pub fn fork() -> Sys<Option<i32>> {
    // SAFETY: with a single thread nothing is left half-done in the child's copy.
    match check(unsafe { libc::fork() })? {
        0 => Ok(None),
        pid => Ok(Some(pid)),
    }
}

/// Ends this process without running anything at its end.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process; nothing comes after.
    unsafe { libc::_exit(code) }
}

/// Takes the end of one child, if one has ended.
pub fn reap() -> Option<Ended> {
    let mut status = 0;
    // SAFETY: a zeroed `rusage` is valid, and both places live for the call.
    let (pid, used) = unsafe {
        let mut used: libc::rusage = std::mem::zeroed();
        let pid = libc::wait4(-1, &raw mut status, libc::WNOHANG, &raw mut used);
        (pid, used)
    };
    if pid <= 0 {
        return None;
    }
    let micros = |time: libc::timeval| {
        let micros = time
            .tv_sec
            .saturating_mul(1_000_000)
            .saturating_add(time.tv_usec);
        u64::try_from(micros).unwrap_or(0)
    };
    Some(Ended {
        pid,
        status,
        user_us: micros(used.ru_utime),
        system_us: micros(used.ru_stime),
        memory_max: u64::try_from(used.ru_maxrss)
            .unwrap_or(0)
            .saturating_mul(1_024),
    })
}

/// Waits for the end of a child and returns its exit code, or 255 for another end.
pub fn wait_for(pid: i32) -> Sys<i32> {
    let mut status = 0;
    loop {
        // SAFETY: the place lives for the call.
        match check(unsafe { libc::waitpid(pid, &raw mut status, 0) }) {
            Err(Errno(libc::EINTR)) => {}
            Err(errno) => return Err(errno),
            Ok(_) => return Ok(exit_code(status)),
        }
    }
}

/// Returns the exit code of a status, or 255 for another end.
pub fn exit_code(status: i32) -> i32 {
    if libc::WIFEXITED(status) {
        libc::WEXITSTATUS(status)
    } else {
        255
    }
}

/// Says whether `pid` is a child of this process that was not waited for; such a number can't be anybody else's.
pub fn is_own_child(pid: i32) -> bool {
    let Ok(id) = libc::id_t::try_from(pid) else {
        return false;
    };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: a zeroed `siginfo_t` is valid and lives for the call.
    pid > 0
        && unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            libc::waitid(libc::P_PID, id, &raw mut info, flags) == 0
        }
}

/// Sends a signal to a process; callers know that the number is still theirs.
pub fn kill(pid: i32, signal: i32) -> Sys<()> {
    if pid <= 1 {
        return Err(Errno(libc::ESRCH));
    }
    // SAFETY: takes numbers only.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Sends a signal to a process group.
pub fn kill_group(leader: i32, signal: i32) -> Sys<()> {
    if leader <= 1 {
        return Err(Errno(libc::ESRCH));
    }
    // SAFETY: takes numbers only.
    check(unsafe { libc::kill(-leader, signal) }).map(drop)
}

/// Opens a handle that stays with this very process; readable when it has ended.
pub fn pidfd(pid: i32) -> Sys<OwnedFd> {
    // SAFETY: takes numbers only.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_pidfd_open,
            libc::c_long::from(pid),
            0 as libc::c_long,
        )
    };
    check(libc::c_int::try_from(fd).unwrap_or(-1)).map(owned)
}

/// Sends a signal through a handle.
pub fn pidfd_kill(handle: BorrowedFd<'_>, signal: i32) -> Sys<()> {
    let none: *const libc::siginfo_t = std::ptr::null();
    // SAFETY: a null info asks for the default one.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            handle.as_raw_fd(),
            signal,
            none,
            0,
        )
    };
    if result < 0 {
        Err(Errno::last())
    } else {
        Ok(())
    }
}

/// Returns this process's id.
pub fn own_pid() -> i32 {
    // SAFETY: takes nothing and can't fail.
    unsafe { libc::getpid() }
}

/// Returns the parent's process id.
pub fn parent_pid() -> i32 {
    // SAFETY: takes nothing and can't fail.
    unsafe { libc::getppid() }
}

/// Starts a new session without a terminal.
pub fn new_session() -> Sys<()> {
    // SAFETY: takes nothing.
    check(unsafe { libc::setsid() }).map(drop)
}

/// Sets the file mode mask.
pub fn set_umask(mask: u32) {
    // SAFETY: takes a number and can't fail.
    unsafe { libc::umask(mask) };
}

/// Enters a directory.
pub fn change_dir(path: &CStr) -> Sys<()> {
    // SAFETY: the path is a C string that lives for the call.
    check(unsafe { libc::chdir(path.as_ptr()) }).map(drop)
}

/// Gives every signal its default and blocks none.
///
/// The kernel is asked directly: the C library won't touch two signals that it keeps for itself, which may be ignored here
/// because a parent ignored them.
pub fn default_signals() -> Sys<()> {
    // The kernel's record, which is at most so long: all zero is the default disposition, no flags and an empty mask.
    let default = [0u64; 4];
    let none: *mut u64 = std::ptr::null_mut();
    const MASK_SIZE: usize = 8;
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: the record lives for the call, and the default involves no code of ours. The two that can't be changed
        // say EINVAL.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                none,
                MASK_SIZE,
            )
        };
    }
    set_mask(&[])
}

/// Ignores a signal.
pub fn ignore(signal: i32) {
    // SAFETY: ignoring involves no code of ours.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Blocks exactly these signals.
pub fn set_mask(signals: &[i32]) -> Sys<()> {
    let set = signal_set(signals);
    // SAFETY: the set lives for the call; no old one is asked for.
    check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) })
        .map(drop)
}

/// Blocks exactly these signals and makes them readable instead.
pub fn signal_fd(signals: &[i32]) -> Sys<OwnedFd> {
    set_mask(signals)?;
    let set = signal_set(signals);
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: the set lives for the call.
    check(unsafe { libc::signalfd(-1, &raw const set, flags) }).map(owned)
}

/// Takes the next signal of a [`signal_fd`].
pub fn next_signal(fd: BorrowedFd<'_>) -> Option<i32> {
    let mut record = [0u8; size_of::<libc::signalfd_siginfo>()];
    let len = super::file::read(fd, &mut record).ok()?;
    let number = record.first_chunk::<4>()?;
    (len == record.len()).then(|| i32::from_le_bytes(*number))
}

fn signal_set(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: a zeroed set is valid memory, made empty by the first call; the others take numbers.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for &signal in signals {
            libc::sigaddset(&raw mut set, signal);
        }
        set
    }
}

/// Sets a resource limit, no higher than the hard limit that this process has.
pub fn limit(resource: libc::__rlimit_resource_t, soft: u64, hard: u64) -> Sys<()> {
    let hard = hard.min(limit_now(resource)?.1);
    set_limit(resource, soft.min(hard), hard)
}

/// Gives a limit that was changed back, as far as this process may: a hard one that was lowered takes `CAP_SYS_RESOURCE`.
pub fn give_limit_back(resource: libc::__rlimit_resource_t, (soft, hard): (u64, u64)) -> Sys<()> {
    set_limit(resource, soft, hard).or_else(|_| limit(resource, soft, hard))
}

fn set_limit(resource: libc::__rlimit_resource_t, soft: u64, hard: u64) -> Sys<()> {
    let new = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: the record lives for the call.
    check(unsafe { libc::setrlimit(resource, &raw const new) }).map(drop)
}

/// Returns the soft and the hard limit that this process has.
pub fn limit_now(resource: libc::__rlimit_resource_t) -> Sys<(u64, u64)> {
    let mut now = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the place lives for the call.
    check(unsafe { libc::getrlimit(resource, &raw mut now) })?;
    Ok((now.rlim_cur, now.rlim_max))
}

/// Returns the niceness of this process.
pub fn niceness() -> Sys<i32> {
    // SAFETY: takes numbers only. The place of the errno is cleared because -1 is a niceness too.
    let now = unsafe {
        *libc::__errno_location() = 0;
        libc::getpriority(libc::PRIO_PROCESS, 0)
    };
    if now == -1 && Errno::last() != Errno(0) {
        return Err(Errno::last());
    }
    Ok(now)
}

/// Adds to the niceness of this process; more is less.
pub fn lower_priority(by: u8) -> Sys<()> {
    if by == 0 {
        return Ok(());
    }
    let nice = (niceness()? + i32::from(by)).min(19);
    // SAFETY: takes numbers only.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) }).map(drop)
}

/// Makes the kernel end this process and its children before others when memory is short; never later than now.
pub fn die_before(score: i32) -> Sys<()> {
    let path = c"/proc/self/oom_score_adj";
    let now = match super::file::read_path(path, 16) {
        // Without /proc there is nothing to say it to.
        Err(Errno(libc::ENOENT)) => return Ok(()),
        other => other?,
    };
    let now = String::from_utf8_lossy(&now).trim().parse().unwrap_or(0);
    if score <= now {
        return Ok(());
    }
    let file = super::file::open(path, libc::O_WRONLY)?;
    super::file::write_all(file.as_raw_fd(), score.to_string().as_bytes())
}

/// Marks every descriptor from `first` on as close-on-exec.
pub fn close_on_exec_from(first: RawFd) -> Sys<()> {
    close_range(first, RawFd::MAX, libc::CLOSE_RANGE_CLOEXEC)
}

/// Closes every descriptor from `first` on but those in `keep`.
pub fn close_all_but(first: RawFd, keep: &mut [RawFd]) -> Sys<()> {
    keep.sort_unstable();
    let mut from = first;
    for &fd in keep.iter().filter(|fd| **fd >= first) {
        if fd > from {
            close_range(from, fd - 1, 0)?;
        }
        from = fd + 1;
    }
    close_range(from, RawFd::MAX, 0)
}

fn close_range(first: RawFd, last: RawFd, flags: libc::c_uint) -> Sys<()> {
    // SAFETY: takes numbers only; callers are children that use no other descriptor afterwards.
    let result = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            libc::c_long::from(first),
            libc::c_long::from(last),
            libc::c_long::from(flags),
        )
    };
    if result < 0 {
        Err(Errno::last())
    } else {
        Ok(())
    }
}

/// Executes an open program; returns only when that fails.
pub fn exec_fd(program: BorrowedFd<'_>, argv: &[CString], env: &[CString]) -> Errno {
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: both lists end with a null pointer and point to C strings that outlive the call.
    unsafe {
        let (empty, flags) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            empty,
            argv.as_ptr(),
            env.as_ptr(),
            flags,
        );
    }
    Errno::last()
}

/// Makes the list of pointers that the exec calls want, ended by a null pointer.
pub fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings
        .iter()
        .map(|it| it.as_ptr())
        .chain([std::ptr::null()])
        .collect()
}

/// Makes C strings of texts; one that holds a NUL is `EINVAL`.
pub fn c_strings<'a>(texts: impl IntoIterator<Item = &'a str>) -> Sys<Vec<CString>> {
    texts.into_iter().map(super::file::c_string).collect()
}

/// Removes shared memory of System V.
pub fn remove_memory(id: i32) {
    // SAFETY: removing takes numbers only.
    unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
}

/// Removes semaphores of System V.
pub fn remove_semaphores(id: i32) {
    // SAFETY: removing takes numbers only.
    unsafe { libc::semctl(id, 0, libc::IPC_RMID) };
}

/// Removes a message queue of System V.
pub fn remove_queue(id: i32) {
    // SAFETY: removing takes numbers only.
    unsafe { libc::msgctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
}
