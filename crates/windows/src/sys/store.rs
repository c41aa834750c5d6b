//! What is kept for a person: programs that start with their desktop, and secrets that only their account can read.
#![expect(unsafe_code, reason = "calls of the system")]

use std::io;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{ERROR_FILE_NOT_FOUND, LocalFree};
use windows_sys::Win32::Security::Cryptography::{
    CRYPT_INTEGER_BLOB, CRYPTPROTECT_UI_FORBIDDEN, CryptProtectData, CryptUnprotectData,
};
use windows_sys::Win32::System::Registry::{
    HKEY_CURRENT_USER, REG_SZ, RRF_RT_REG_SZ, RegDeleteKeyValueW, RegGetValueW, RegSetKeyValueW,
};
use zeroize::Zeroizing;

use super::{check, units};

/// What starts when this person logs on.
const RUN: &str = r"Software\Microsoft\Windows\CurrentVersion\Run";
/// The most bytes of a command line there.
const COMMAND_BYTES: usize = 2 * 32_768;

/// Answers the command that starts under a name at this person's log-on.
///
/// # Errors
/// When the registry can't be read.
pub fn autostart(name: &str) -> io::Result<Option<String>> {
    let (key, name) = (units(RUN)?, units(name)?);
    let mut text = vec![0_u16; COMMAND_BYTES / 2];
    let mut size = u32::try_from(COMMAND_BYTES).unwrap_or(0);
    // SAFETY: the texts end with a zero; the buffer is as long as is said.
    let code = unsafe {
        RegGetValueW(
            HKEY_CURRENT_USER,
            key.as_ptr(),
            name.as_ptr(),
            RRF_RT_REG_SZ,
            null_mut(),
            text.as_mut_ptr().cast(),
            &raw mut size,
        )
    };
    if code == ERROR_FILE_NOT_FOUND {
        return Ok(None);
    }
    done(code)?;
    // Its closing zero is counted.
    text.truncate((size as usize / 2).saturating_sub(1));
    Ok(Some(String::from_utf16_lossy(&text)))
}

/// Has a command started under a name at this person's log-on; without one, no longer.
///
/// # Errors
/// When the registry can't be written.
pub fn set_autostart(name: &str, command: Option<&str>) -> io::Result<()> {
    let (key, name) = (units(RUN)?, units(name)?);
    let Some(command) = command else {
        // SAFETY: the texts end with a zero.
        let code = unsafe { RegDeleteKeyValueW(HKEY_CURRENT_USER, key.as_ptr(), name.as_ptr()) };
        return if code == ERROR_FILE_NOT_FOUND {
            Ok(())
        } else {
            done(code)
        };
    };
    let text = units(command)?;
    let size = u32::try_from(2 * text.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the texts end with a zero; the value is as long as is said.
    done(unsafe {
        RegSetKeyValueW(
            HKEY_CURRENT_USER,
            key.as_ptr(),
            name.as_ptr(),
            REG_SZ,
            text.as_ptr().cast(),
            size,
        )
    })
}

fn done(code: u32) -> io::Result<()> {
    if code == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(code.cast_signed()))
    }
}

/// Seals bytes so that only this account on this host can have them back, and only with the same `purpose`.
///
/// # Errors
/// When the system refuses.
pub fn seal(secret: &[u8], purpose: &[u8]) -> io::Result<Vec<u8>> {
    let (secret, purpose) = (blob(secret)?, blob(purpose)?);
    let mut made = nothing();
    // SAFETY: the blobs are as long as they say, and live through the call.
    check(unsafe {
        CryptProtectData(
            &raw const secret,
            null(),
            &raw const purpose,
            null(),
            null(),
            CRYPTPROTECT_UI_FORBIDDEN,
            &raw mut made,
        )
    })?;
    // SAFETY: the call has made it.
    Ok(unsafe { take(made) })
}

/// Opens what [`seal`] made.
///
/// # Errors
/// When it was made by another account, on another host or for another purpose, or is damaged.
pub fn open_sealed(sealed: &[u8], purpose: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    let (sealed, purpose) = (blob(sealed)?, blob(purpose)?);
    let mut made = nothing();
    // SAFETY: the blobs are as long as they say, and live through the call.
    check(unsafe {
        CryptUnprotectData(
            &raw const sealed,
            null_mut(),
            &raw const purpose,
            null(),
            null(),
            CRYPTPROTECT_UI_FORBIDDEN,
            &raw mut made,
        )
    })?;
    // SAFETY: the call has made it.
    Ok(Zeroizing::new(unsafe { take(made) }))
}

fn blob(bytes: &[u8]) -> io::Result<CRYPT_INTEGER_BLOB> {
    Ok(CRYPT_INTEGER_BLOB {
        cbData: u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        // It is only read.
        pbData: bytes.as_ptr().cast_mut(),
    })
}

fn nothing() -> CRYPT_INTEGER_BLOB {
    CRYPT_INTEGER_BLOB {
        cbData: 0,
        pbData: null_mut(),
    }
}

/// Copies what the system has made, overwrites it and gives it back.
///
/// # Safety
/// The system has made it, and nobody else uses it.
unsafe fn take(made: CRYPT_INTEGER_BLOB) -> Vec<u8> {
    if made.pbData.is_null() {
        return Vec::new();
    }
    // SAFETY: it is as long as it says, and is freed once.
    unsafe {
        let bytes = std::slice::from_raw_parts_mut(made.pbData, made.cbData as usize);
        let copy = bytes.to_vec();
        zeroize::Zeroize::zeroize(bytes);
        LocalFree(made.pbData.cast());
        copy
    }
}
