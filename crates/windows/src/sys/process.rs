//! Starting a program in a job object of its own.
#![expect(unsafe_code, reason = "calls of the system")]

use std::fs::File;
use std::io::{self, PipeReader};
use std::os::windows::io::{AsHandle, AsRawHandle as _, BorrowedHandle, OwnedHandle};
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{
    DUPLICATE_SAME_ACCESS, DuplicateHandle, FILETIME, GetHandleInformation, HANDLE, WAIT_OBJECT_0,
};
use windows_sys::Win32::System::Threading::{
    BELOW_NORMAL_PRIORITY_CLASS, CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW, CREATE_SUSPENDED,
    CREATE_UNICODE_ENVIRONMENT, CreateProcessAsUserW, CreateProcessW,
    DeleteProcThreadAttributeList, EXTENDED_STARTUPINFO_PRESENT, GetCurrentProcess,
    GetExitCodeProcess, GetProcessTimes, IDLE_PRIORITY_CLASS, INFINITE,
    InitializeProcThreadAttributeList, LPPROC_THREAD_ATTRIBUTE_LIST, NORMAL_PRIORITY_CLASS,
    OpenProcess, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, PROC_THREAD_ATTRIBUTE_JOB_LIST,
    PROCESS_INFORMATION, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE, PROCESS_TERMINATE,
    ResumeThread, STARTF_USESTDHANDLES, STARTUPINFOEXW, STARTUPINFOW, TerminateProcess,
    UpdateProcThreadAttribute, WaitForSingleObject,
};

use super::bounds::Bounds;
use super::token::Token;
use super::tree::{Tree, new_job};
use super::{check, owned, size_of_u32, units, wide};
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

/// As whom, and where, a program is started.
#[derive(Debug, Clone, Copy)]
pub struct As<'a> {
    /// The account's token.
    pub token: &'a Token,
    /// The window station and desktop, from [`super::Station::path`].
    pub desktop: &'a str,
    /// What it is kept to, together with others.
    pub bounds: Option<&'a Bounds>,
}

/// Starts a program: in a job object from its first moment, with three handles (standard input is empty), without a console
/// window.
///
/// # Errors
/// When a part of it can't be made, or the program not be started.
pub fn start(what: &Start) -> io::Result<Started> {
    let (started, thread) = begin(what, None)?;
    resume(&thread)?;
    Ok(started)
}

/// Starts a program as another account, as [`start`] does. Its file and its directory are opened as that account. `before` is
/// called before its first instruction; when that fails, the program has never run.
///
/// # Errors
/// As [`start`]; when this process may not do so; as `before`.
pub fn start_as(
    what: &Start,
    who: As<'_>,
    before: impl FnOnce(&Started) -> io::Result<()>,
) -> io::Result<Started> {
    let (started, thread) = who.token.impersonate(|| begin(what, Some(who)))??;
    // What fails here drops the job object, and the program with it.
    before(&started)?;
    resume(&thread)?;
    Ok(started)
}

/// Starts a program that stands still before its first instruction; answers its first thread, too.
fn begin(what: &Start, who: Option<As<'_>>) -> io::Result<(Started, OwnedHandle)> {
    let job = new_job()?;
    let (out, out_end) = io::pipe()?;
    let (err, err_end) = io::pipe()?;
    let nothing = File::open("NUL")?;
    let streams = Streams {
        input: inheritable(nothing.as_handle())?,
        out: inheritable(out_end.as_handle())?,
        err: inheritable(err_end.as_handle())?,
    };
    let made = create(what, who, &job, &streams)?;
    let born = born(made.process.as_handle())?;
    let tree = Tree {
        job,
        process: made.process,
        id: made.id,
        born,
    };
    Ok((Started { tree, out, err }, made.thread))
}

fn resume(thread: &OwnedHandle) -> io::Result<()> {
    // SAFETY: the thread is open.
    if unsafe { ResumeThread(thread.as_raw_handle()) } == u32::MAX {
        return Err(io::Error::last_os_error());
    }
    Ok(())
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

/// What a call has made.
struct Made {
    process: OwnedHandle,
    thread: OwnedHandle,
    id: u32,
}

fn create(
    what: &Start,
    who: Option<As<'_>>,
    job: &OwnedHandle,
    streams: &Streams,
) -> io::Result<Made> {
    let handles = [&streams.input, &streams.out, &streams.err].map(|it| it.as_raw_handle());
    // The outer one first.
    let bounds = who.and_then(|it| it.bounds);
    let outer = bounds.map(|it| it.job().as_raw_handle());
    let jobs: Vec<HANDLE> = outer.into_iter().chain([job.as_raw_handle()]).collect();
    let mut attributes = Attributes::new()?;
    attributes.set(PROC_THREAD_ATTRIBUTE_HANDLE_LIST, &handles)?;
    attributes.set(PROC_THREAD_ATTRIBUTE_JOB_LIST, &jobs)?;
    let [input, out, err] = handles;
    let mut desktop = who.map(|it| units(it.desktop)).transpose()?;
    let startup = STARTUPINFOEXW {
        StartupInfo: STARTUPINFOW {
            cb: size_of_u32::<STARTUPINFOEXW>(),
            dwFlags: STARTF_USESTDHANDLES,
            hStdInput: input,
            hStdOutput: out,
            hStdError: err,
            lpDesktop: desktop.as_mut().map_or(null_mut(), |it| it.as_mut_ptr()),
            ..STARTUPINFOW::default()
        },
        lpAttributeList: attributes.list(),
    };
    let (program, directory) = (wide(&what.program), wide(&what.directory));
    // The call may write to it.
    let mut command_line = what.command_line.clone();
    let mut made = PROCESS_INFORMATION::default();
    let startup = (&raw const startup).cast();
    let (flags, environment) = (flags(what.priority), what.environment.as_ptr().cast());
    // SAFETY: all texts end with a zero, the environment with two; `startup` begins with its size and holds the attributes,
    // which with the handles that they name live through the call; so does the token.
    check(unsafe {
        let line = command_line.as_mut_ptr();
        let (program, directory) = (program.as_ptr(), directory.as_ptr());
        let made = &raw mut made;
        match who {
            None => CreateProcessW(
                program,
                line,
                null(),
                null(),
                1,
                flags,
                environment,
                directory,
                startup,
                made,
            ),
            Some(who) => CreateProcessAsUserW(
                who.token.raw(),
                program,
                line,
                null(),
                null(),
                1,
                flags,
                environment,
                directory,
                startup,
                made,
            ),
        }
    })?;
    let (process, thread) = (owned(made.hProcess), owned(made.hThread));
    Ok(Made {
        process: process?,
        thread: thread?,
        id: made.dwProcessId,
    })
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
        | CREATE_SUSPENDED
        | CREATE_UNICODE_ENVIRONMENT
        | EXTENDED_STARTUPINFO_PRESENT
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

/// Takes a handle that the launcher has put into this process' table; it is this process' from then on.
///
/// # Errors
/// When there is none of that number.
pub fn take_handle(number: u64) -> io::Result<OwnedHandle> {
    let number = usize::try_from(number).map_err(|_| io::ErrorKind::InvalidData)?;
    let handle: HANDLE = std::ptr::with_exposed_provenance_mut(number);
    let mut flags = 0;
    // SAFETY: any number may be asked about.
    check(unsafe { GetHandleInformation(handle, &raw mut flags) })?;
    owned(handle)
}

/// Blocks until a process has ended; answers its exit code.
///
/// # Errors
/// When the handle is no process', or not good for that.
pub fn wait_for(process: BorrowedHandle<'_>) -> io::Result<u32> {
    // SAFETY: the handle is open.
    let waited = unsafe { WaitForSingleObject(process.as_raw_handle(), INFINITE) };
    if waited != WAIT_OBJECT_0 {
        return Err(io::Error::last_os_error());
    }
    let mut code = 0;
    // SAFETY: the process is open, and `code` lives through the call.
    check(unsafe { GetExitCodeProcess(process.as_raw_handle(), &raw mut code) })?;
    Ok(code)
}

/// Rights on a process for who waits for it and asks how it ended.
pub const WAIT_RIGHTS: u32 = PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE;

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
