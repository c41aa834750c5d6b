//! The machine, and who this process is.
#![expect(unsafe_code, reason = "calls of the system")]

use std::io;
use std::os::windows::io::{AsRawHandle as _, OwnedHandle};
use std::ptr::null_mut;
use std::time::Duration;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Security::{
    GetTokenInformation, TOKEN_ELEVATION, TOKEN_QUERY, TokenElevation,
};
use windows_sys::Win32::System::SystemInformation::{
    GetTickCount, GlobalMemoryStatusEx, MEMORYSTATUSEX, OSVERSIONINFOW,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};
use windows_sys::Win32::System::WindowsProgramming::GetUserNameW;
use windows_sys::Win32::UI::Input::KeyboardAndMouse::{GetLastInputInfo, LASTINPUTINFO};

use super::{check, owned, size_of_u32};
use crate::Machine;

/// The most units of an account's name (`UNLEN`), and its closing zero.
const NAME_UNITS: usize = 257;

#[link(name = "ntdll", kind = "raw-dylib")]
unsafe extern "system" {
    /// The version as it is, not as a manifest makes it look (`GetVersionExW`).
    fn RtlGetVersion(info: *mut OSVERSIONINFOW) -> i32;
}

/// Who a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The account's name without its domain.
    pub name: String,
    /// Whether it has an administrator's rights right now.
    pub is_elevated: bool,
}

/// Answers who this process is.
///
/// # Errors
/// When the system does not say.
pub fn account() -> io::Result<Account> {
    Ok(Account {
        name: user_name()?,
        is_elevated: is_elevated()?,
    })
}

/// Answers for how long nobody has touched keyboard or mouse of this session.
///
/// # Errors
/// When the system does not say.
pub fn idle() -> io::Result<Duration> {
    let mut last = LASTINPUTINFO {
        cbSize: size_of_u32::<LASTINPUTINFO>(),
        dwTime: 0,
    };
    // SAFETY: the structure says its own size and lives through the call.
    check(unsafe { GetLastInputInfo(&raw mut last) })?;
    // SAFETY: it only reads a counter.
    let now = unsafe { GetTickCount() };
    // Both count milliseconds since the start and begin anew after 49.7 days: the difference is right all the same.
    Ok(Duration::from_millis(now.wrapping_sub(last.dwTime).into()))
}

fn user_name() -> io::Result<String> {
    let mut units = [0_u16; NAME_UNITS];
    let mut len = u32::try_from(units.len()).unwrap_or(0);
    // SAFETY: the buffer is as long as `len` says, and both live through the call.
    check(unsafe { GetUserNameW(units.as_mut_ptr(), &raw mut len) })?;
    // The closing zero is counted.
    let len = (len as usize).saturating_sub(1);
    String::from_utf16(units.get(..len).unwrap_or_default())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the account's name is no text"))
}

fn own_token() -> io::Result<OwnedHandle> {
    let mut token: HANDLE = null_mut();
    // SAFETY: the handle of this process is always valid, and `token` lives through the call.
    check(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) })?;
    owned(token)
}

fn is_elevated() -> io::Result<bool> {
    let token = own_token()?;
    let (mut found, mut len) = (TOKEN_ELEVATION::default(), 0);
    let size = size_of_u32::<TOKEN_ELEVATION>();
    // SAFETY: `found` is what `TokenElevation` fills, `size` is its size, and the token is open.
    check(unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            TokenElevation,
            (&raw mut found).cast(),
            size,
            &raw mut len,
        )
    })?;
    Ok(found.TokenIsElevated != 0)
}

/// Looks at the machine; what is not told stays empty.
pub fn machine() -> Machine {
    let mut info = OSVERSIONINFOW {
        dwOSVersionInfoSize: size_of_u32::<OSVERSIONINFOW>(),
        ..OSVERSIONINFOW::default()
    };
    // SAFETY: `info` says its own size and lives through the call.
    let has_version = unsafe { RtlGetVersion(&raw mut info) } == 0;
    let version = if has_version {
        let (major, minor) = (info.dwMajorVersion, info.dwMinorVersion);
        format!("{major}.{minor}.{}", info.dwBuildNumber)
    } else {
        String::new()
    };
    let mut memory = MEMORYSTATUSEX {
        dwLength: size_of_u32::<MEMORYSTATUSEX>(),
        ..MEMORYSTATUSEX::default()
    };
    // SAFETY: `memory` says its own size and lives through the call.
    let has_memory = check(unsafe { GlobalMemoryStatusEx(&raw mut memory) }).is_ok();
    let (total, page) = if has_memory {
        (memory.ullTotalPhys, memory.ullTotalPageFile)
    } else {
        (0, 0)
    };
    Machine {
        version,
        memory: total,
        swap: page.saturating_sub(total),
    }
}
