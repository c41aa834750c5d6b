//! Hearing of the ends of processes whose parent this is not: a queue of the kernel's events.
#![expect(unsafe_code, reason = "calls of the system")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr::{null, null_mut};
use std::time::Duration;

use super::{check, list, tree};
use crate::left::Others;
use crate::walk::Process;

/// A queue of ends.
#[derive(Debug)]
pub(super) struct Exits(OwnedFd);

impl Exits {
    /// Makes one; programs that are started do not get it.
    ///
    /// # Errors
    /// When the system has none.
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: it takes nothing, and answers a descriptor or -1.
        let fd = check(unsafe { libc::kqueue() })?;
        // SAFETY: it is open, and nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }
}

impl Others for Exits {
    fn all(&mut self) -> io::Result<Vec<Process>> {
        list::all()
    }

    fn watch(&mut self, pid: u32) -> io::Result<bool> {
        let change = libc::kevent {
            ident: pid as libc::uintptr_t,
            filter: libc::EVFILT_PROC,
            flags: libc::EV_ADD | libc::EV_ONESHOT,
            fflags: libc::NOTE_EXIT,
            data: 0,
            udata: null_mut(),
        };
        let queue = self.0.as_raw_fd();
        // SAFETY: one change is read and no event written; both live through the call.
        let answer = unsafe { libc::kevent(queue, &raw const change, 1, null_mut(), 0, null()) };
        match check(answer) {
            Ok(_) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn kill(&mut self, pid: u32) {
        tree::send(pid, libc::SIGKILL);
    }

    fn wait(&mut self, at_most: Duration) -> io::Result<()> {
        let time = libc::timespec {
            tv_sec: libc::time_t::try_from(at_most.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::from(at_most.subsec_nanos().cast_signed()),
        };
        let mut event = MaybeUninit::<libc::kevent>::uninit();
        let queue = self.0.as_raw_fd();
        // SAFETY: no change is read, there is room for one event, and all live through the call.
        let answer = unsafe {
            let (event, time) = (event.as_mut_ptr(), &raw const time);
            libc::kevent(queue, null(), 0, event, 1, time)
        };
        match check(answer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            // Who it was the next walk tells.
            Ok(_) | Err(_) => Ok(()),
        }
    }
}
