//! The calls. Each wraps one or a few functions of the system; what is `unsafe` is only here.

mod accounts;
mod acl;
mod bounds;
mod drives;
mod host;
mod pipe;
mod process;
mod profile;
mod service;
mod station;
mod store;
mod token;
mod tree;

pub use accounts::{
    disable_account, grant_batch, logon_batch, logon_managed, logon_s4u, look_up, name_of,
    renew_account,
};
pub use acl::{owner_of, protect};
pub use bounds::{Bounds, limits_here};
pub use drives::{map_drive, unmap_drive};
pub use host::{Account, account, idle, machine};
pub use pipe::{Listener, Peer, connect};
pub use process::{As, Started, WAIT_RIGHTS, end_process, start, start_as, take_handle, wait_for};
pub use profile::{Profile, chance, service_sid, variables};
pub use service::{
    Body, delete_service, install_service, serve, service_state, start_service, stop_service,
};
pub use station::Station;
pub use store::{autostart, open_sealed, seal, set_autostart};
pub use token::{Token, enable_privileges};
pub use tree::{Tree, Used};

use std::io;
use std::os::windows::ffi::OsStrExt as _;
use std::os::windows::io::{FromRawHandle as _, OwnedHandle};
use std::path::Path;

use windows_sys::Win32::Foundation::{GetLastError, HANDLE, INVALID_HANDLE_VALUE};

/// The most units of a text that the system has made.
const TEXT_UNITS_MAX: usize = 4_096;

/// Turns the answer of a call that says 0 for failure into a result.
fn check(answer: i32) -> io::Result<()> {
    if answer == 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Answers the number of the last failure of this thread.
#[expect(unsafe_code, reason = "a call of the system")]
fn last() -> u32 {
    // SAFETY: it answers a number.
    unsafe { GetLastError() }
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

/// A text with its closing zero; refuses one that has a zero in it.
fn units(text: &str) -> io::Result<Vec<u16>> {
    if text.contains('\0') {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(text.encode_utf16().chain([0]).collect())
}

/// A path with its closing zero.
fn wide(path: &Path) -> Vec<u16> {
    path.as_os_str().encode_wide().chain([0]).collect()
}

/// Answers a text that the system has made.
///
/// # Safety
/// It is none, or ends with a zero.
#[expect(unsafe_code, reason = "a text of the system")]
unsafe fn text_at(units: *const u16) -> String {
    if units.is_null() {
        return String::new();
    }
    let mut len = 0;
    // SAFETY: the end was not there yet.
    while len < TEXT_UNITS_MAX && unsafe { *units.add(len) } != 0 {
        len += 1;
    }
    // SAFETY: all of them have been looked at.
    String::from_utf16_lossy(unsafe { std::slice::from_raw_parts(units, len) })
}
