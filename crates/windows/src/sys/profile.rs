//! Profiles, the variables of an account, and random bytes.
#![expect(unsafe_code, reason = "calls of the system")]

use std::ffi::c_void;
use std::io;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Security::Cryptography::{
    BCRYPT_SHA1_ALG_HANDLE, BCRYPT_USE_SYSTEM_PREFERRED_RNG, BCryptGenRandom, BCryptHash,
};
use windows_sys::Win32::System::Environment::{CreateEnvironmentBlock, DestroyEnvironmentBlock};
use windows_sys::Win32::System::GroupPolicy::PI_NOUI;
use windows_sys::Win32::UI::Shell::{LoadUserProfileW, PROFILEINFOW, UnloadUserProfile};

use super::token::Token;
use super::{check, size_of_u32, units};
use crate::Sid;
use crate::environment::{UNITS_MAX, split};

/// What SIDs of services begin with.
const SERVICES: u32 = 80;

/// A profile that is loaded: the account's part of the registry. It has to be given back with its token.
#[derive(Debug)]
pub struct Profile(HANDLE);

// SAFETY: it is a number that only the system knows the meaning of; any thread may hand it back.
unsafe impl Send for Profile {}
// SAFETY: nothing is done through a shared one.
unsafe impl Sync for Profile {}

impl Profile {
    /// Loads the profile of a token's account; makes it when this is its first logon here.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn load(token: &Token, name: &str) -> io::Result<Self> {
        let mut name = units(name)?;
        let mut info = PROFILEINFOW {
            dwSize: size_of_u32::<PROFILEINFOW>(),
            dwFlags: PI_NOUI,
            lpUserName: name.as_mut_ptr(),
            lpProfilePath: null_mut(),
            lpDefaultPath: null_mut(),
            lpServerName: null_mut(),
            lpPolicyPath: null_mut(),
            hProfile: null_mut(),
        };
        // SAFETY: the token is open; the structure says its size, and all that it points to lives through the call.
        check(unsafe { LoadUserProfileW(token.raw(), &raw mut info) })?;
        Ok(Self(info.hProfile))
    }

    /// Gives it back; nothing of the account may run any more.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn unload(self, token: &Token) -> io::Result<()> {
        // SAFETY: both are of one logon, and the profile is not used any more.
        check(unsafe { UnloadUserProfile(token.raw(), self.0) })
    }
}

/// Answers what Windows gives the account of a token as its variables, and nothing of this process' own.
///
/// # Errors
/// When the system refuses, or they are more than there can be.
pub fn variables(token: &Token) -> io::Result<Vec<(String, String)>> {
    let mut block: *mut c_void = null_mut();
    // SAFETY: the token is open, and `block` lives through the call.
    check(unsafe { CreateEnvironmentBlock(&raw mut block, token.raw(), 0) })?;
    // SAFETY: a block ends with two zeros; no more than that is read.
    let units = unsafe { copy(block.cast()) };
    // SAFETY: the call has made it, and it is not used any more.
    unsafe { DestroyEnvironmentBlock(block) };
    Ok(split(&units?))
}

/// Copies a block up to its end.
///
/// # Safety
/// It ends with two zeros.
unsafe fn copy(block: *const u16) -> io::Result<Vec<u16>> {
    let mut units = Vec::new();
    loop {
        // SAFETY: the end was not there yet.
        let unit = unsafe { *block.add(units.len()) };
        if unit == 0 && units.last().is_none_or(|it| *it == 0) {
            return Ok(units);
        }
        units.push(unit);
        if units.len() > UNITS_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
}

/// Answers the SID that a service of this name has, whether or not there is one.
///
/// # Errors
/// When the system computes no SHA-1.
pub fn service_sid(name: &str) -> io::Result<Sid> {
    let text: Vec<u8> = name
        .to_uppercase()
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut sum = [0_u8; 20];
    let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(0);
    // SAFETY: the algorithm is one of the system's own handles; both buffers are as long as is said.
    let status = unsafe {
        let (input, size) = (text.as_ptr().cast_mut(), len(&text));
        let (output, room) = (sum.as_mut_ptr(), len(&sum));
        BCryptHash(
            BCRYPT_SHA1_ALG_HANDLE,
            null_mut(),
            0,
            input,
            size,
            output,
            room,
        )
    };
    if status != 0 {
        return Err(io::Error::other(format!("no SHA-1 (status {status:#x})")));
    }
    let (words, _) = sum.as_chunks::<4>();
    let parts = words.iter().map(|it| u32::from_le_bytes(*it));
    Ok(Sid::nt(
        &std::iter::once(SERVICES).chain(parts).collect::<Vec<_>>(),
    ))
}

/// Answers random bytes.
///
/// # Errors
/// When the system has none.
pub fn chance<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let len = u32::try_from(N).map_err(|_| io::ErrorKind::InvalidInput)?;
    let flags = BCRYPT_USE_SYSTEM_PREFERRED_RNG;
    // SAFETY: the buffer is as long as is said.
    let status = unsafe { BCryptGenRandom(null_mut(), bytes.as_mut_ptr(), len, flags) };
    if status == 0 {
        Ok(bytes)
    } else {
        Err(io::Error::other(format!(
            "no random bytes (status {status:#x})"
        )))
    }
}
