//! Starts a program without the administrator's rights that this process has, and ends with its exit code: under Wine everybody
//! is an administrator, and a desktop worker refuses to be one.
//!
//! `ordinary PROGRAM [ARGUMENT…]`

use std::error::Error;

#[cfg(not(windows))]
fn main() -> Result<(), Box<dyn Error>> {
    Err("there are no such tokens here".into())
}

#[cfg(windows)]
fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let code = calls::run(&words)?;
    std::process::exit(code.cast_signed());
}

/// The calls of the system.
#[cfg(windows)]
mod calls {
    use std::error::Error;
    use std::io;
    use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
    use std::ptr::{null, null_mut};
    use tessera_windows::command_line;
    use windows_sys::Win32::Foundation::HANDLE;
    use windows_sys::Win32::Security::{
        DuplicateTokenEx, GetTokenInformation, SecurityImpersonation, TOKEN_ALL_ACCESS,
        TOKEN_LINKED_TOKEN, TokenLinkedToken, TokenPrimary,
    };
    use windows_sys::Win32::System::Threading::{
        CreateProcessAsUserW, GetCurrentProcess, GetExitCodeProcess, INFINITE, OpenProcessToken,
        PROCESS_INFORMATION, STARTUPINFOW, WaitForSingleObject,
    };

    /// Runs a program to its end; answers its exit code.
    pub(super) fn run(words: &[String]) -> Result<u32, Box<dyn Error>> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut line = command_line::of(&words)?;
        let token = ordinary_token()?;
        let startup = STARTUPINFOW {
            cb: u32::try_from(size_of::<STARTUPINFOW>())?,
            ..STARTUPINFOW::default()
        };
        let mut made = PROCESS_INFORMATION::default();
        // SAFETY: all pointers are to values that live through the call; the command line may be written to.
        check(unsafe {
            CreateProcessAsUserW(
                token.as_raw_handle(),
                null(),
                line.as_mut_ptr(),
                null(),
                null(),
                1,
                0,
                null(),
                null(),
                &raw const startup,
                &raw mut made,
            )
        })?;
        // SAFETY: the call has just made both handles.
        let (process, _thread) = unsafe {
            let own = |handle| OwnedHandle::from_raw_handle(handle);
            (own(made.hProcess), own(made.hThread))
        };
        let mut code = 0;
        // SAFETY: the process' handle is open, and `code` lives through the call.
        check(unsafe {
            WaitForSingleObject(process.as_raw_handle(), INFINITE);
            GetExitCodeProcess(process.as_raw_handle(), &raw mut code)
        })?;
        Ok(code)
    }

    /// Answers the other half of an administrator's token.
    fn ordinary_token() -> io::Result<OwnedHandle> {
        let mut own: HANDLE = null_mut();
        // SAFETY: this process' handle is always valid, and `own` lives through the call.
        check(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_ALL_ACCESS, &raw mut own) })?;
        let own = owned(own);
        let (mut linked, mut len) = (TOKEN_LINKED_TOKEN::default(), 0);
        let size = u32::try_from(size_of::<TOKEN_LINKED_TOKEN>()).unwrap_or(0);
        // SAFETY: `linked` is what `TokenLinkedToken` fills, and `size` its size.
        check(unsafe {
            let to = (&raw mut linked).cast();
            let own = own.as_raw_handle();
            GetTokenInformation(own, TokenLinkedToken, to, size, &raw mut len)
        })?;
        let linked = owned(linked.LinkedToken);
        let mut primary: HANDLE = null_mut();
        // SAFETY: the linked token is open, and `primary` lives through the call.
        check(unsafe {
            let linked = linked.as_raw_handle();
            let (level, kind) = (SecurityImpersonation, TokenPrimary);
            DuplicateTokenEx(
                linked,
                TOKEN_ALL_ACCESS,
                null(),
                level,
                kind,
                &raw mut primary,
            )
        })?;
        Ok(owned(primary))
    }

    fn owned(handle: HANDLE) -> OwnedHandle {
        // SAFETY: callers pass what a call has just made for them.
        unsafe { OwnedHandle::from_raw_handle(handle) }
    }

    fn check(answer: i32) -> io::Result<()> {
        if answer == 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }
}
