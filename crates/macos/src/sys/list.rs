//! All processes of the system, and what they use.
#![expect(unsafe_code, reason = "calls of the system")]

use std::io;
use std::mem::MaybeUninit;

use super::size_of_int;
use crate::walk::Process;
use crate::{Used, micros};

/// Room for processes beyond those that there just were.
const MORE: usize = 64;
/// The most processes that are looked at.
const PROCESSES_MAX: usize = 1 << 20;

/// Lists all processes that this one may look at.
///
/// # Errors
/// When the system does not say which there are. A process that ends meanwhile is left out.
pub(super) fn all() -> io::Result<Vec<Process>> {
    Ok(numbers()?.into_iter().filter_map(look).collect())
}

fn numbers() -> io::Result<Vec<libc::pid_t>> {
    // SAFETY: without a buffer it only counts.
    let count = unsafe { libc::proc_listallpids(std::ptr::null_mut(), 0) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    let mut pids: Vec<libc::pid_t> = vec![0; (count + MORE).min(PROCESSES_MAX)];
    let bytes = libc::c_int::try_from(size_of_val(pids.as_slice())).unwrap_or(libc::c_int::MAX);
    // SAFETY: the buffer has as many bytes as it says and lives through the call.
    let count = unsafe { libc::proc_listallpids(pids.as_mut_ptr().cast(), bytes) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    pids.truncate(count);
    Ok(pids)
}

fn look(pid: libc::pid_t) -> Option<Process> {
    let info: libc::proc_bsdinfo = info(pid, libc::PROC_PIDTBSDINFO)?;
    // SAFETY: it takes and answers numbers.
    let session = unsafe { libc::getsid(pid) };
    Some(Process {
        pid: info.pbi_pid,
        parent: info.pbi_ppid,
        group: info.pbi_pgid,
        session: u32::try_from(session).unwrap_or(0),
        born: info
            .pbi_start_tvsec
            .saturating_mul(1_000_000)
            .saturating_add(info.pbi_start_tvusec),
    })
}

/// Answers what a living process has used; nothing of one that has ended.
pub(super) fn used(pid: u32) -> Option<Used> {
    let pid = libc::pid_t::try_from(pid).ok()?;
    let task: libc::proc_taskinfo = info(pid, libc::PROC_PIDTASKINFO)?;
    let (numer, denom) = timebase();
    Some(Used {
        user_us: micros(task.pti_total_user, numer, denom),
        system_us: micros(task.pti_total_system, numer, denom),
        memory_max: task.pti_resident_size,
    })
}

/// Asks about a process; `T` is the structure that belongs to the question.
fn info<T: Plain>(pid: libc::pid_t, question: libc::c_int) -> Option<T> {
    let mut answer = MaybeUninit::<T>::zeroed();
    let size = size_of_int::<T>();
    // SAFETY: the buffer has as many bytes as it says and lives through the call.
    let got = unsafe { libc::proc_pidinfo(pid, question, 0, answer.as_mut_ptr().cast(), size) };
    // SAFETY: the structure is numbers only, so that any bytes are one; it was zeroed, and the system filled all of it.
    (got == size).then(|| unsafe { answer.assume_init() })
}

/// A structure of which any bytes are one.
trait Plain {}
impl Plain for libc::proc_bsdinfo {}
impl Plain for libc::proc_taskinfo {}

/// Answers how many nanoseconds a tick is, as a fraction.
#[expect(
    deprecated,
    reason = "the crate that libc names instead would be another dependency"
)]
fn timebase() -> (u32, u32) {
    let mut base = libc::mach_timebase_info { numer: 1, denom: 1 };
    // SAFETY: the structure lives through the call.
    let answer = unsafe { libc::mach_timebase_info(&raw mut base) };
    if answer == 0 {
        (base.numer, base.denom)
    } else {
        (1, 1)
    }
}
