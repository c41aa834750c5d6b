//! What an instance's processes are kept to: a job object around those of its attempts, and a thread that hears what it refuses.
#![expect(unsafe_code, reason = "calls of the system")]

use std::io;
use std::os::windows::io::{AsRawHandle as _, OwnedHandle};
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::IO::{
    CreateIoCompletionPort, GetQueuedCompletionStatus, OVERLAPPED, PostQueuedCompletionStatus,
};
use windows_sys::Win32::System::JobObjects::{
    JOB_OBJECT_CPU_RATE_CONTROL_ENABLE, JOB_OBJECT_CPU_RATE_CONTROL_WEIGHT_BASED,
    JOB_OBJECT_LIMIT_ACTIVE_PROCESS, JOB_OBJECT_LIMIT_JOB_MEMORY,
    JOBOBJECT_ASSOCIATE_COMPLETION_PORT, JOBOBJECT_CPU_RATE_CONTROL_INFORMATION,
    JOBOBJECT_CPU_RATE_CONTROL_INFORMATION_0, JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
    JobObjectAssociateCompletionPortInformation, JobObjectCpuRateControlInformation,
};
use windows_sys::Win32::System::SystemServices::JOB_OBJECT_MSG_JOB_MEMORY_LIMIT;
use windows_sys::Win32::System::Threading::INFINITE;

use super::owned;
use super::tree::{job_with, tell_job};
use crate::limits::{Limits, WEIGHT_USUAL};

/// What a packet of the job object itself is known by, and the one that ends the thread.
const OF_JOB: usize = 0;
const QUIT: usize = 1;

/// A job object around those of attempts. Dropping it ends all that is in it.
#[derive(Debug)]
pub struct Bounds {
    job: OwnedHandle,
    port: Arc<OwnedHandle>,
    refused: Arc<AtomicU64>,
    listener: Option<JoinHandle<()>>,
}

impl Bounds {
    /// Makes one. A weight that the system does not take (as on hosts that share themselves among sessions) is left out; the rest must
    /// be kept.
    ///
    /// # Errors
    /// When the system refuses, or there can't be so much memory at all.
    pub fn new(limits: &Limits) -> io::Result<Self> {
        let job = job_with(|all| set(all, limits))?;
        if let Some(weight) = limits.system_weight() {
            let _left_out = set_weight(&job, weight);
        }
        // SAFETY: without a file the call makes a port alone.
        let made = unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, null_mut(), 0, 1) };
        let port = Arc::new(owned(made)?);
        listen_to(&job, &port)?;
        let refused = Arc::new(AtomicU64::new(0));
        let (heard_at, counted) = (Arc::clone(&port), Arc::clone(&refused));
        let thread = std::thread::Builder::new().name("bounds".into());
        let listener = thread.spawn(move || count(&heard_at, &counted))?;
        Ok(Self {
            job,
            port,
            refused,
            listener: Some(listener),
        })
    }

    /// Answers how often a process in it was refused memory for the limit.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    pub(super) fn job(&self) -> &OwnedHandle {
        &self.job
    }
}

impl Drop for Bounds {
    fn drop(&mut self) {
        // SAFETY: the port is open.
        let told =
            unsafe { PostQueuedCompletionStatus(self.port.as_raw_handle(), 0, QUIT, null_mut()) };
        // One that can't be told stays, with nothing to hear.
        if let (Some(listener), true) = (self.listener.take(), told != 0) {
            let _ended = listener.join();
        }
    }
}

fn set(all: &mut JOBOBJECT_EXTENDED_LIMIT_INFORMATION, limits: &Limits) -> io::Result<()> {
    let basic = &mut all.BasicLimitInformation;
    if limits.memory > 0 {
        basic.LimitFlags |= JOB_OBJECT_LIMIT_JOB_MEMORY;
        let memory = usize::try_from(limits.memory);
        all.JobMemoryLimit = memory.map_err(|_| io::ErrorKind::InvalidInput)?;
    }
    if limits.processes > 0 {
        basic.LimitFlags |= JOB_OBJECT_LIMIT_ACTIVE_PROCESS;
        basic.ActiveProcessLimit = limits.processes;
    }
    Ok(())
}

fn set_weight(job: &OwnedHandle, weight: u32) -> io::Result<()> {
    let control = JOBOBJECT_CPU_RATE_CONTROL_INFORMATION {
        ControlFlags: JOB_OBJECT_CPU_RATE_CONTROL_ENABLE | JOB_OBJECT_CPU_RATE_CONTROL_WEIGHT_BASED,
        Anonymous: JOBOBJECT_CPU_RATE_CONTROL_INFORMATION_0 { Weight: weight },
    };
    // SAFETY: `control` is what this class takes.
    unsafe { tell_job(job, JobObjectCpuRateControlInformation, &control) }
}

fn listen_to(job: &OwnedHandle, port: &OwnedHandle) -> io::Result<()> {
    let to = JOBOBJECT_ASSOCIATE_COMPLETION_PORT {
        CompletionKey: std::ptr::without_provenance_mut(OF_JOB),
        CompletionPort: port.as_raw_handle(),
    };
    // SAFETY: `to` is what this class takes; the port that it names is open.
    unsafe { tell_job(job, JobObjectAssociateCompletionPortInformation, &to) }
}

/// Takes what the job object says until it is told to stop, and counts what was refused. All is taken: what waits takes memory of the
/// system's.
fn count(port: &OwnedHandle, refused: &AtomicU64) {
    loop {
        let (mut message, mut key) = (0, 0);
        let mut about: *mut OVERLAPPED = null_mut();
        let port: HANDLE = port.as_raw_handle();
        // SAFETY: the port is open, and what is filled lives through the call. Of a job object `about` is a number, and not used.
        let is_there = unsafe {
            GetQueuedCompletionStatus(
                port,
                &raw mut message,
                &raw mut key,
                &raw mut about,
                INFINITE,
            )
        };
        if is_there == 0 || key == QUIT {
            return;
        }
        if message == JOB_OBJECT_MSG_JOB_MEMORY_LIMIT {
            refused.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Answers what instances can be kept to here: `memory`, `pids`, and `cpu` where the system takes weights.
pub fn limits_here() -> Vec<String> {
    let one = |limits: Limits| job_with(|all| set(all, &limits));
    let memory = one(Limits {
        memory: 1 << 30,
        ..Limits::default()
    });
    let processes = one(Limits {
        processes: 100,
        ..Limits::default()
    });
    let weight = one(Limits::default()).and_then(|job| set_weight(&job, WEIGHT_USUAL));
    let all = [
        ("memory", memory.is_ok()),
        ("pids", processes.is_ok()),
        ("cpu", weight.is_ok()),
    ];
    let kept = all.into_iter().filter(|(_, is_kept)| *is_kept);
    kept.map(|(word, _)| word.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::check;
    use super::*;

    /// What the system would say is said here: Wine, under which this runs, refuses nobody memory.
    #[test]
    fn what_the_job_object_refuses_is_counted_and_nothing_else() {
        let bounds = Bounds::new(&Limits {
            memory: 1 << 30,
            processes: 10,
            weight: 400,
        })
        .expect("made");
        let say = |message| {
            let port = bounds.port.as_raw_handle();
            // SAFETY: the port is open.
            check(unsafe { PostQueuedCompletionStatus(port, message, OF_JOB, null_mut()) })
                .expect("said");
        };
        // That a process has come, and that all have gone.
        say(6);
        say(4);
        say(JOB_OBJECT_MSG_JOB_MEMORY_LIMIT);
        say(JOB_OBJECT_MSG_JOB_MEMORY_LIMIT);
        let deadline = Instant::now() + Duration::from_secs(20);
        while bounds.refused() < 2 && Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(bounds.refused(), 2);
    }

    #[test]
    fn memory_and_processes_can_be_limited() {
        let here = limits_here();
        assert!(
            here.starts_with(&["memory".into(), "pids".into()]),
            "{here:?}"
        );
    }
}
