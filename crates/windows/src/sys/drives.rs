//! Drive letters of a logon.
#![expect(unsafe_code, reason = "calls of the system")]

use std::io;
use std::ptr::{null, null_mut};

use windows_sys::Win32::NetworkManagement::WNet::{
    CONNECT_TEMPORARY, NETRESOURCEW, RESOURCETYPE_DISK, WNetAddConnection2W, WNetCancelConnection2W,
};

use super::units;

/// Connects a drive (`X:`) with a share, for the logon of this thread and with its own credentials.
///
/// # Errors
/// When the share can't be had so, or the letter is taken.
pub fn map_drive(letter: &str, share: &str) -> io::Result<()> {
    let (mut local, mut remote) = (units(letter)?, units(share)?);
    let what = NETRESOURCEW {
        dwScope: 0,
        dwType: RESOURCETYPE_DISK,
        dwDisplayType: 0,
        dwUsage: 0,
        lpLocalName: local.as_mut_ptr(),
        lpRemoteName: remote.as_mut_ptr(),
        lpComment: null_mut(),
        lpProvider: null_mut(),
    };
    // SAFETY: the structure and its texts, which end with a zero, live through the call; without a name and a password it
    // is done as who this thread is.
    done(unsafe { WNetAddConnection2W(&raw const what, null(), null(), CONNECT_TEMPORARY) })
}

/// Takes a drive away again, also when files are open on it.
///
/// # Errors
/// When the system refuses.
pub fn unmap_drive(letter: &str) -> io::Result<()> {
    let local = units(letter)?;
    // SAFETY: the name ends with a zero.
    done(unsafe { WNetCancelConnection2W(local.as_ptr(), 0, 1) })
}

fn done(code: u32) -> io::Result<()> {
    if code == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(code.cast_signed()))
    }
}
