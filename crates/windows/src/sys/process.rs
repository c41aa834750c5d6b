//! Starting a program in a job object of its own.
#![expect(unsafe_code, reason = "calls of the system")]

use std::fs::File;
use std::io::{self, PipeReader};
use std::os::windows::ffi::OsStrExt as _;
use std::os::windows::io::{AsHandle, AsRawHandle as _, BorrowedHandle, OwnedHandle};
use std::path::Path;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{
    DUPLICATE_SAME_ACCESS, DuplicateHandle, FILETIME, HANDLE, WAIT_OBJECT_0,
};
use windows_sys::Win32::System::Threading::{
    BELOW_NORMAL_PRIORITY_CLASS, CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW,
    CREATE_UNICODE_ENVIRONMENT, CreateProcessW, DeleteProcThreadAttributeList,
    EXTENDED_STARTUPINFO_PRESENT, GetCurrentProcess, GetProcessTimes, IDLE_PRIORITY_CLASS,
    InitializeProcThreadAttributeList, LPPROC_THREAD_ATTRIBUTE_LIST, NORMAL_PRIORITY_CLASS,
    OpenProcess, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, PROC_THREAD_ATTRIBUTE_JOB_LIST,
    PROCESS_INFORMATION, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE, PROCESS_TERMINATE,
    STARTF_USESTDHANDLES, STARTUPINFOEXW, STARTUPINFOW, TerminateProcess,
    UpdateProcThreadAttribute, WaitForSingleObject,
};

use super::tree::{Tree, new_job};
use super::{check, owned, size_of_u32};
use crate::{Priority, Start};

/// How many attributes a start has.
const ATTRIBUTES: u32 = 2;
/// How long the end of a process that was told to is waited for, milliseconds.
const END_MS: u32 = 5_000;

/// A program that runs.
#[derive(Debug)]
pub struct Started {
    /// It and all that comes of it.
    pub tree: Tree,
    /// What it prints.
    pub out: PipeReader,
    /// What it complains.
    pub err: PipeReader,
}

/// Starts a program: in a job object from its first moment, with three handles (standard input is empty), without a console
/// window.
///
/// # Errors
/// When a part of it can't be made, or the program not be started.
pub fn start(what: &Start) -> io::Result<Started> {
    let job = new_job()?;
    let (out, out_end) = io::pipe()?;
    let (err, err_end) = io::pipe()?;
    let nothing = File::open("NUL")?;
    let streams = Streams {
        input: inheritable(nothing.as_handle())?,
        out: inheritable(out_end.as_handle())?,
        err: inheritable(err_end.as_handle())?,
    };
    let (process, id) = create(what, &job, &streams)?;
    let born = born(process.as_handle())?;
    let tree = Tree {
        job,
        process,
        id,
        born,
    };
    Ok(Started { tree, out, err })
}

/// Handles that the child inherits, and nobody else does. Those that they were made from close when the child has them: else
/// its output would never end.
struct Streams {
    input: OwnedHandle,
    out: OwnedHandle,
    err: OwnedHandle,
}

/// Makes a second handle that a child can inherit.
fn inheritable(handle: BorrowedHandle<'_>) -> io::Result<OwnedHandle> {
    let mut made: HANDLE = null_mut();
    // SAFETY: the handle is open, this process' own is always valid, and `made` lives through the call.
    check(unsafe {
        let this = GetCurrentProcess();
        let handle = handle.as_raw_handle();
        DuplicateHandle(
            this,
            handle,
            this,
            &raw mut made,
            0,
            1,
            DUPLICATE_SAME_ACCESS,
        )
    })?;
    owned(made)
}

fn create(what: &Start, job: &OwnedHandle, streams: &Streams) -> io::Result<(OwnedHandle, u32)> {
    let handles = [&streams.input, &streams.out, &streams.err].map(|it| it.as_raw_handle());
    let jobs = [job.as_raw_handle()];
    let mut attributes = Attributes::new()?;
    attributes.set(PROC_THREAD_ATTRIBUTE_HANDLE_LIST, &handles)?;
    attributes.set(PROC_THREAD_ATTRIBUTE_JOB_LIST, &jobs)?;
    let [input, out, err] = handles;
    let startup = STARTUPINFOEXW {
        StartupInfo: STARTUPINFOW {
            cb: size_of_u32::<STARTUPINFOEXW>(),
            dwFlags: STARTF_USESTDHANDLES,
            hStdInput: input,
            hStdOutput: out,
            hStdError: err,
            ..STARTUPINFOW::default()
        },
        lpAttributeList: attributes.list(),
    };
    let (program, directory) = (wide(&what.program), wide(&what.directory));
    // The call may write to it.
    let mut command_line = what.command_line.clone();
    let mut made = PROCESS_INFORMATION::default();
    // SAFETY: all texts end with a zero, the environment with two; `startup` begins with its size and holds the attributes,
    // which with the handles that they name live through the call.
    check(unsafe {
        CreateProcessW(
            program.as_ptr(),
            command_line.as_mut_ptr(),
            null(),
            null(),
            1,
            flags(what.priority),
            what.environment.as_ptr().cast(),
            directory.as_ptr(),
            (&raw const startup).cast(),
            &raw mut made,
        )
    })?;
    let process = owned(made.hProcess);
    // The first thread's handle is of no use.
    drop(owned(made.hThread));
    Ok((process?, made.dwProcessId))
}

fn flags(priority: Priority) -> u32 {
    let priority = match priority {
        Priority::Normal => NORMAL_PRIORITY_CLASS,
        Priority::BelowNormal => BELOW_NORMAL_PRIORITY_CLASS,
        Priority::Idle => IDLE_PRIORITY_CLASS,
    };
    priority
        | CREATE_NEW_PROCESS_GROUP
        | CREATE_NO_WINDOW
        | CREATE_UNICODE_ENVIRONMENT
        | EXTENDED_STARTUPINFO_PRESENT
}

/// A path with its closing zero.
fn wide(path: &Path) -> Vec<u16> {
    path.as_os_str().encode_wide().chain([0]).collect()
}

/// The list of attributes of a start.
struct Attributes {
    /// Pointers, so that it is aligned as the system needs it.
    buffer: Vec<*mut u8>,
}

impl Attributes {
    fn new() -> io::Result<Self> {
        let mut size = 0;
        // SAFETY: without a list the call only says how long it is.
        unsafe { InitializeProcThreadAttributeList(null_mut(), ATTRIBUTES, 0, &raw mut size) };
        let words = size.div_ceil(size_of::<*mut u8>());
        let mut buffer = vec![null_mut::<u8>(); words];
        // SAFETY: the buffer is as long as the call has said.
        check(unsafe {
            InitializeProcThreadAttributeList(
                buffer.as_mut_ptr().cast(),
                ATTRIBUTES,
                0,
                &raw mut size,
            )
        })?;
        Ok(Self { buffer })
    }

    fn list(&mut self) -> LPPROC_THREAD_ATTRIBUTE_LIST {
        self.buffer.as_mut_ptr().cast()
    }

    /// Sets an attribute that is a list of handles; the list must live until the start.
    fn set(&mut self, attribute: u32, handles: &[HANDLE]) -> io::Result<()> {
        // SAFETY: the list was initialized; the caller keeps the handles, whose length is said in bytes.
        check(unsafe {
            UpdateProcThreadAttribute(
                self.list(),
                0,
                attribute as usize,
                handles.as_ptr().cast(),
                size_of_val(handles),
                null_mut(),
                null(),
            )
        })
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: the list was initialized, and nothing uses it any more.
        unsafe { DeleteProcThreadAttributeList(self.list()) };
    }
}

/// Answers when a process was born: 100 ns since 1601.
fn born(process: BorrowedHandle<'_>) -> io::Result<u64> {
    let mut times = [FILETIME::default(); 4];
    let [created, ended, kernel, user] = &mut times;
    // SAFETY: the process is open, and the four live through the call.
    check(unsafe { GetProcessTimes(process.as_raw_handle(), created, ended, kernel, user) })?;
    Ok(u64::from(created.dwHighDateTime) << 32 | u64::from(created.dwLowDateTime))
}

/// Ends a process by its number and birth; that it is gone, or the number another's, is what is wanted, too. Says whether
/// it is gone now.
pub fn end_process(id: u32, born_at: u64) -> bool {
    let rights = PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE | PROCESS_TERMINATE;
    // SAFETY: any number may be asked for.
    let Ok(process) = owned(unsafe { OpenProcess(rights, 0, id) }) else {
        // One's own processes can be opened as long as they are there.
        return true;
    };
    if born(process.as_handle()).is_ok_and(|it| it != born_at) {
        return true;
    }
    // SAFETY: the process is open with the rights to end it and to wait for it.
    unsafe {
        TerminateProcess(process.as_raw_handle(), 1);
        WaitForSingleObject(process.as_raw_handle(), END_MS) == WAIT_OBJECT_0
    }
}
