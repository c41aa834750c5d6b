//! A tree of processes: a job object that dies with its last handle.
#![expect(unsafe_code, reason = "calls of the system")]

use std::io;
use std::os::windows::io::{AsHandle as _, AsRawHandle as _, BorrowedHandle, OwnedHandle};
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::JobObjects::{
    CreateJobObjectW, IsProcessInJob, JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION,
    JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, JOBOBJECT_BASIC_ACCOUNTING_INFORMATION,
    JOBOBJECT_BASIC_PROCESS_ID_LIST, JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
    JobObjectBasicAccountingInformation, JobObjectBasicProcessIdList,
    JobObjectExtendedLimitInformation, QueryInformationJobObject, SetInformationJobObject,
    TerminateJobObject,
};
use windows_sys::Win32::System::SystemInformation::GetSystemDirectoryW;
use windows_sys::Win32::System::Threading::{
    OpenProcess, PROCESS_NAME_WIN32, PROCESS_QUERY_INFORMATION, PROCESS_QUERY_LIMITED_INFORMATION,
    PROCESS_SUSPEND_RESUME, QueryFullProcessImageNameW,
};

use super::process::wait_for;
use super::{check, owned, size_of_u32};

/// What a process that was ended says, where no other word is possible.
const KILLED: u32 = 1;
/// The most processes of a tree that are suspended one by one.
const PROCESSES_MAX: usize = 4_096;
/// How often the list is gone over: processes are started while others are being stopped.
const ROUNDS_MAX: usize = 8;
/// The most units of a path that is looked at.
const PATH_UNITS: usize = 1_024;
/// Units of 100 ns in a microsecond.
const TICKS_PER_US: i64 = 10;

#[link(name = "ntdll", kind = "raw-dylib")]
unsafe extern "system" {
    fn NtSuspendProcess(process: HANDLE) -> i32;
    fn NtResumeProcess(process: HANDLE) -> i32;
}

/// All processes that came of one program. Dropping it ends them.
#[derive(Debug)]
pub struct Tree {
    pub(super) job: OwnedHandle,
    pub(super) process: OwnedHandle,
    pub(super) id: u32,
    pub(super) born: u64,
}

/// What a tree has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Microseconds in programs.
    pub user_us: u64,
    /// Microseconds in the system.
    pub system_us: u64,
    /// The most that all processes had committed together, bytes.
    pub memory_max: u64,
}

/// The list that the system fills: its head, and room for the numbers.
#[repr(C)]
struct Ids {
    head: JOBOBJECT_BASIC_PROCESS_ID_LIST,
    more: [usize; PROCESSES_MAX],
}

/// Makes a job object whose processes die with it and can't leave it.
pub(super) fn new_job() -> io::Result<OwnedHandle> {
    job_with(|_| Ok(()))
}

/// Makes such a job object with more limits; whoever sets them leaves the flags that are there.
pub(super) fn job_with(
    more: impl FnOnce(&mut JOBOBJECT_EXTENDED_LIMIT_INFORMATION) -> io::Result<()>,
) -> io::Result<OwnedHandle> {
    // SAFETY: no attributes and no name are allowed.
    let job = owned(unsafe { CreateJobObjectW(null(), null()) })?;
    let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
    // Neither of the flags that let a process break away is set.
    limits.BasicLimitInformation.LimitFlags =
        JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION;
    more(&mut limits)?;
    // SAFETY: `limits` is what this class takes.
    unsafe { tell_job(&job, JobObjectExtendedLimitInformation, &limits) }?;
    Ok(job)
}

/// Tells a job object something of a class.
///
/// # Safety
/// `T` is the structure of that class, and what it points to lives through the call.
pub(super) unsafe fn tell_job<T>(job: &OwnedHandle, class: i32, what: &T) -> io::Result<()> {
    let (what, size) = (std::ptr::from_ref(what).cast(), size_of_u32::<T>());
    // SAFETY: the job is open, and the size is that of what is told.
    check(unsafe { SetInformationJobObject(job.as_raw_handle(), class, what, size) })
}

impl Tree {
    /// Answers the main process' number and when it was born (100 ns since 1601): together they are nobody else's.
    pub fn main(&self) -> (u32, u64) {
        (self.id, self.born)
    }

    /// Blocks until the main process has ended; answers its exit code.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn wait(&self) -> io::Result<u32> {
        wait_for(self.process.as_handle())
    }

    /// Answers the main process.
    pub fn process(&self) -> BorrowedHandle<'_> {
        self.process.as_handle()
    }

    /// Ends all processes now.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&self) -> io::Result<()> {
        // SAFETY: the job is open.
        check(unsafe { TerminateJobObject(self.job.as_raw_handle(), KILLED) })
    }

    /// Answers how many processes are alive. The one that the system starts for each console (`conhost.exe`) is not counted:
    /// it ends by itself a moment after its last program, or with this tree.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn alive(&self) -> io::Result<u32> {
        let all = self.accounting()?.ActiveProcesses;
        if all as usize > PROCESSES_MAX {
            return Ok(all);
        }
        let consoles = self.processes()?.into_iter().filter(|id| is_console(*id));
        Ok(all.saturating_sub(u32::try_from(consoles.count()).unwrap_or(0)))
    }

    /// Answers what all processes have used so far.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn used(&self) -> io::Result<Used> {
        let times = self.accounting()?;
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        // SAFETY: `limits` is what this class fills, of the size that is said.
        unsafe { self.query(JobObjectExtendedLimitInformation, &mut limits) }?;
        let us = |ticks: i64| u64::try_from(ticks / TICKS_PER_US).unwrap_or(0);
        Ok(Used {
            user_us: us(times.TotalUserTime),
            system_us: us(times.TotalKernelTime),
            memory_max: limits.PeakJobMemoryUsed as u64,
        })
    }

    fn accounting(&self) -> io::Result<JOBOBJECT_BASIC_ACCOUNTING_INFORMATION> {
        let mut found = JOBOBJECT_BASIC_ACCOUNTING_INFORMATION::default();
        // SAFETY: `found` is what this class fills, of the size that is said.
        unsafe { self.query(JobObjectBasicAccountingInformation, &mut found) }?;
        Ok(found)
    }

    /// Fills `found` with a class of what the system knows of the job.
    ///
    /// # Safety
    /// `T` is the structure of that class: plain numbers, for which any bytes are valid.
    unsafe fn query<T>(&self, class: i32, found: &mut T) -> io::Result<()> {
        // SAFETY: the job is open, and the size is that of what is filled.
        check(unsafe {
            QueryInformationJobObject(
                self.job.as_raw_handle(),
                class,
                std::ptr::from_mut(found).cast(),
                size_of_u32::<T>(),
                null_mut(),
            )
        })
    }

    /// Stops all processes where they are, or lets them go on.
    ///
    /// # Errors
    /// When the list can't be had, or goes on growing while they are stopped.
    pub fn set_suspended(&self, is: bool) -> io::Result<()> {
        let mut done: Vec<usize> = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let new: Vec<usize> = self
                .processes()?
                .into_iter()
                .filter(|id| !done.contains(id))
                .collect();
            if new.is_empty() {
                return Ok(());
            }
            for id in new {
                self.suspend_one(id, is);
                done.push(id);
            }
        }
        Err(io::Error::other(
            "processes are started faster than they can be stopped",
        ))
    }

    /// Stops a process or lets it go on; one that has ended meanwhile is left alone.
    fn suspend_one(&self, id: usize, is: bool) {
        let Ok(id) = u32::try_from(id) else { return };
        let rights = PROCESS_SUSPEND_RESUME | PROCESS_QUERY_INFORMATION;
        // SAFETY: any number may be asked for.
        let Ok(process) = owned(unsafe { OpenProcess(rights, 0, id) }) else {
            return;
        };
        let mut is_ours = 0;
        // SAFETY: both handles are open, and `is_ours` lives through the call.
        let asked = check(unsafe {
            IsProcessInJob(
                process.as_raw_handle(),
                self.job.as_raw_handle(),
                &raw mut is_ours,
            )
        });
        // The number may be another's by now.
        if asked.is_err() || is_ours == 0 {
            return;
        }
        // SAFETY: the process is open with the right to do so.
        let _ = unsafe {
            if is {
                NtSuspendProcess(process.as_raw_handle())
            } else {
                NtResumeProcess(process.as_raw_handle())
            }
        };
    }

    /// Answers the numbers of the processes that are alive.
    fn processes(&self) -> io::Result<Vec<usize>> {
        let mut ids = Box::new(Ids {
            head: JOBOBJECT_BASIC_PROCESS_ID_LIST::default(),
            more: [0; PROCESSES_MAX],
        });
        // SAFETY: the list is what this class fills; the size that is said is that of its head and the room behind it.
        unsafe { self.query(JobObjectBasicProcessIdList, &mut *ids) }?;
        let count = (ids.head.NumberOfProcessIdsInList as usize).min(PROCESSES_MAX);
        let first = ids.head.ProcessIdList.iter();
        Ok(first.chain(&ids.more).take(count).copied().collect())
    }
}

/// Says whether a process is the system's own that shows a console.
fn is_console(id: usize) -> bool {
    let Ok(id) = u32::try_from(id) else {
        return false;
    };
    // SAFETY: any number may be asked for.
    let Ok(process) = owned(unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, id) })
    else {
        return false;
    };
    let mut name = [0_u16; PATH_UNITS];
    let mut len = u32::try_from(name.len()).unwrap_or(0);
    // SAFETY: the process is open, the buffer is as long as `len` says, and both live through the call.
    let asked = check(unsafe {
        let (process, name) = (process.as_raw_handle(), name.as_mut_ptr());
        QueryFullProcessImageNameW(process, PROCESS_NAME_WIN32, name, &raw mut len)
    });
    let mut system = [0_u16; PATH_UNITS];
    let size = u32::try_from(system.len()).unwrap_or(0);
    // SAFETY: the buffer is as long as is said.
    let system_len = unsafe { GetSystemDirectoryW(system.as_mut_ptr(), size) };
    let text = |units: &[u16], len: u32| {
        String::from_utf16_lossy(units.get(..len as usize).unwrap_or_default()).to_lowercase()
    };
    asked.is_ok() && text(&name, len) == format!(r"{}\conhost.exe", text(&system, system_len))
}
