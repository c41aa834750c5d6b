//! The calls. Each wraps one or a few functions of the system; what is `unsafe` is only here.

mod host;
mod process;
mod tree;

pub use host::{Account, account, machine};
pub use process::{Started, end_process, start};
pub use tree::{Tree, Used};

use std::io;
use std::os::windows::io::{FromRawHandle as _, OwnedHandle};

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};

/// Turns the answer of a call that says 0 for failure into a result.
fn check(answer: i32) -> io::Result<()> {
    if answer == 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Takes what a call answered as a new handle.
#[expect(unsafe_code, reason = "the one place where handles are taken over")]
fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: callers pass what a call has just made for them, and pass it nowhere else.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Answers the bytes of a structure for calls that ask for them.
fn size_of_u32<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}
