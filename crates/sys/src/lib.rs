//! Linux, for the privileged program and what it starts: the one crate of theirs with `unsafe`.
//!
//! It owns the system calls, each behind a safe function, the cloning of a child, the user directory of the C library, the
//! files of control groups (`cgroup`), what `/proc` knows (`procs`), and PAM (`pam`). It decides nothing: no rule about who may run is here.

pub mod cgroup;
pub mod child;
pub mod directory;
pub mod file;
pub mod ids;
pub mod limits;
pub mod pam;
pub mod process;
pub mod procs;
pub mod socket;

use std::fmt;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tessera_ticket::Step;

/// The system's error number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

/// What a call returns, or the error number.
pub type Sys<T> = Result<T, Errno>;

impl Errno {
    /// Returns the error of the last call that failed.
    pub fn last() -> Self {
        Self(
            std::io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or(libc::EIO),
        )
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::io::Error::from_raw_os_error(self.0).fmt(f)
    }
}

/// A step that failed, with the reason; what travels upwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed {
    /// The step.
    pub step: Step,
    /// The error number; 0 where no call failed.
    pub errno: i32,
}

/// Names the step of a failed call.
pub trait At<T> {
    /// Says that it happened at this step.
    fn at(self, step: Step) -> Result<T, Failed>;
}

impl<T> At<T> for Sys<T> {
    /// Says that it happened at this step.
    fn at(self, step: Step) -> Result<T, Failed> {
        self.map_err(|errno| Failed {
            step,
            errno: errno.0,
        })
    }
}

/// Turns the -1 of a call into its errno.
pub fn check(result: libc::c_int) -> Sys<libc::c_int> {
    if result < 0 {
        Err(Errno::last())
    } else {
        Ok(result)
    }
}

/// Turns the -1 of a call that counts bytes into its errno.
pub fn check_len(result: isize) -> Sys<usize> {
    usize::try_from(result).map_err(|_| Errno::last())
}

/// Waits until a descriptor is ready or the time is over; readiness is left in `revents`.
pub fn poll(fds: &mut [libc::pollfd], time: Option<Duration>) -> Sys<()> {
    let millis = time.map_or(-1, |it| {
        // Rounded up, so that a timer has come when the call returns.
        i32::try_from(it.as_micros().div_ceil(1_000)).unwrap_or(i32::MAX)
    });
    let len = libc::nfds_t::try_from(fds.len()).unwrap_or(0);
    // SAFETY: the pointer and the length are those of a slice that is borrowed mutably for the call.
    match check(unsafe { libc::poll(fds.as_mut_ptr(), len, millis) }) {
        Ok(_) => Ok(()),
        Err(Errno(libc::EINTR)) => {
            fds.iter_mut().for_each(|fd| fd.revents = 0);
            Ok(())
        }
        Err(errno) => Err(errno),
    }
}

/// Makes an entry for [`poll`] that waits for something to read.
pub fn readable(fd: BorrowedFd<'_>) -> libc::pollfd {
    entry(fd.as_raw_fd(), libc::POLLIN)
}

/// Makes an entry for [`poll`] with given events.
pub fn entry(fd: RawFd, events: libc::c_short) -> libc::pollfd {
    libc::pollfd {
        fd,
        events,
        revents: 0,
    }
}

/// Returns wall time, milliseconds since 1970.
pub fn wall_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the host's name, for messages.
pub fn host_name() -> String {
    let bytes = file::read_path(c"/proc/sys/kernel/hostname", 256).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

/// Writes one line to standard error; that nobody hears it is no error.
pub fn say(text: &str) {
    let line = format!("tessera-launch: {text}\n");
    let _ = file::write_all(2, line.as_bytes());
}
