//! Tokens: who a process is, or would be.
#![expect(unsafe_code, reason = "calls of the system")]

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle as _, BorrowedHandle, OwnedHandle};
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{HANDLE, LUID};
use windows_sys::Win32::Security::{
    AdjustTokenPrivileges, CreateRestrictedToken, DISABLE_MAX_PRIVILEGE, DuplicateTokenEx,
    GetLengthSid, GetTokenInformation, ImpersonateLoggedOnUser, LUID_AND_ATTRIBUTES,
    LookupPrivilegeValueW, PSID, RevertToSelf, SE_PRIVILEGE_ENABLED, SID_AND_ATTRIBUTES,
    SecurityImpersonation, SetTokenInformation, TOKEN_ADJUST_PRIVILEGES, TOKEN_ALL_ACCESS,
    TOKEN_GROUPS, TOKEN_INFORMATION_CLASS, TOKEN_MANDATORY_LABEL, TOKEN_PRIVILEGES, TOKEN_QUERY,
    TOKEN_USER, TokenGroups, TokenIntegrityLevel, TokenPrimary, TokenType, TokenUser,
};
use windows_sys::Win32::System::SystemServices::{
    SE_GROUP_INTEGRITY, SE_GROUP_INTEGRITY_ENABLED, SE_GROUP_LOGON_ID,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::{check, last, owned, size_of_u32, units};
use crate::Sid;

/// The most bytes that are read of a token: Windows has at most about a thousand groups in one.
const INFO_MAX: u32 = 256 * 1024;
/// The integrity of what an ordinary person starts.
const MEDIUM: [u32; 1] = [0x2000];

/// A token.
#[derive(Debug)]
pub struct Token(OwnedHandle);

impl Token {
    pub(super) fn of_handle(handle: OwnedHandle) -> Self {
        Self(handle)
    }

    pub(super) fn raw(&self) -> HANDLE {
        self.0.as_raw_handle()
    }

    /// Answers a second, primary token of this process.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn own() -> io::Result<Self> {
        let mut own: HANDLE = null_mut();
        // SAFETY: the handle of this process is always valid, and `own` lives through the call.
        check(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_ALL_ACCESS, &raw mut own) })?;
        Self(owned(own)?).duplicate()
    }

    fn duplicate(&self) -> io::Result<Self> {
        let mut made: HANDLE = null_mut();
        // SAFETY: the token is open, and `made` lives through the call.
        check(unsafe {
            DuplicateTokenEx(
                self.raw(),
                TOKEN_ALL_ACCESS,
                null(),
                SecurityImpersonation,
                TokenPrimary,
                &raw mut made,
            )
        })?;
        Ok(Self(owned(made)?))
    }

    /// Answers the token that a process has, to look at.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn of_process(process: BorrowedHandle<'_>) -> io::Result<Self> {
        let mut token: HANDLE = null_mut();
        // SAFETY: the process is open, and `token` lives through the call.
        check(unsafe { OpenProcessToken(process.as_raw_handle(), TOKEN_QUERY, &raw mut token) })?;
        Ok(Self(owned(token)?))
    }

    /// Answers whose it is.
    ///
    /// # Errors
    /// When the token can't be looked at, as the one of Wine's `LogonUserW`.
    pub fn user(&self) -> io::Result<Sid> {
        let info = self.info(TokenUser, size_of::<TOKEN_USER>())?;
        // SAFETY: the system has filled the buffer, which is aligned and large enough, with this structure; the SID that
        // it points to lies in the buffer, too.
        unsafe { sid_at((*info.as_ptr().cast::<TOKEN_USER>()).User.Sid) }
    }

    /// Says whether it is what a logon gives; else it is what a server has of a client, which may not be good for anything.
    ///
    /// # Errors
    /// When the token can't be looked at.
    pub fn is_primary(&self) -> io::Result<bool> {
        let info = self.info(TokenType, size_of::<u64>())?;
        // The system has filled the lower half with a number.
        let kind = info.first().map_or(0, |it| *it & 0xffff_ffff);
        Ok(kind == u64::from(TokenPrimary.cast_unsigned()))
    }

    /// Answers all groups, also those that only count where something is denied; not the one of the logon, and not the
    /// integrity.
    ///
    /// # Errors
    /// When the token can't be looked at.
    pub fn groups(&self) -> io::Result<Vec<Sid>> {
        let is_group = |attributes: u32| {
            let is_integrity = attributes & SE_GROUP_INTEGRITY.cast_unsigned() != 0;
            !is_integrity && !is_logon(attributes)
        };
        self.groups_that(is_group)
    }

    /// Answers the group of this one logon.
    ///
    /// # Errors
    /// When the token can't be looked at.
    pub fn logon(&self) -> io::Result<Option<Sid>> {
        Ok(self.groups_that(is_logon)?.into_iter().next())
    }

    fn groups_that(&self, is_meant: impl Fn(u32) -> bool) -> io::Result<Vec<Sid>> {
        let info = self.info(TokenGroups, size_of::<TOKEN_GROUPS>())?;
        let list = info.as_ptr().cast::<TOKEN_GROUPS>();
        // SAFETY: the system has filled the buffer, which is aligned and large enough, with this structure and as many
        // entries as it says; the SIDs that they point to lie in the buffer, too.
        unsafe {
            let count = (*list).GroupCount as usize;
            let first = (&raw const (*list).Groups).cast::<SID_AND_ATTRIBUTES>();
            let all = std::slice::from_raw_parts(first, count);
            all.iter()
                .filter(|it| is_meant(it.Attributes))
                .map(|it| sid_at(it.Sid))
                .collect()
        }
    }

    /// Reads a class of what the system knows of the token; at least `least` bytes.
    fn info(&self, class: TOKEN_INFORMATION_CLASS, least: usize) -> io::Result<Vec<u64>> {
        let mut len = 0;
        // SAFETY: without a buffer the call only says how long it must be.
        let asked = unsafe { GetTokenInformation(self.raw(), class, null_mut(), 0, &raw mut len) };
        if len == 0 || len > INFO_MAX {
            check(asked)?;
            return Err(io::ErrorKind::InvalidData.into());
        }
        let words = (len as usize).max(least).div_ceil(size_of::<u64>());
        let mut buffer = vec![0_u64; words];
        // SAFETY: the buffer is at least as long as is said, and both live through the call.
        check(unsafe {
            let to = buffer.as_mut_ptr().cast();
            GetTokenInformation(self.raw(), class, to, len, &raw mut len)
        })?;
        Ok(buffer)
    }

    /// Answers a token of the same account with no privilege but that of passing through directories, at most of medium
    /// integrity.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn stripped(&self) -> io::Result<Self> {
        let mut made: HANDLE = null_mut();
        // SAFETY: the token is open, no list is given, and `made` lives through the call.
        check(unsafe {
            CreateRestrictedToken(
                self.raw(),
                DISABLE_MAX_PRIVILEGE,
                0,
                null(),
                0,
                null(),
                0,
                null(),
                &raw mut made,
            )
        })?;
        let made = Self(owned(made)?);
        made.set_medium()?;
        Ok(made)
    }

    fn set_medium(&self) -> io::Result<()> {
        // Mandatory labels have an authority of their own, 16.
        let mut sid = Sid::nt(&MEDIUM).to_bytes();
        sid[7] = 16;
        let label = TOKEN_MANDATORY_LABEL {
            Label: SID_AND_ATTRIBUTES {
                Sid: sid.as_mut_ptr().cast(),
                Attributes: (SE_GROUP_INTEGRITY | SE_GROUP_INTEGRITY_ENABLED).cast_unsigned(),
            },
        };
        let size = size_of_u32::<TOKEN_MANDATORY_LABEL>();
        // SAFETY: the label and the SID that it points to live through the call.
        check(unsafe {
            SetTokenInformation(
                self.raw(),
                TokenIntegrityLevel,
                (&raw const label).cast(),
                size,
            )
        })
    }

    /// Does something as the account of the token, in this thread.
    ///
    /// # Errors
    /// When that can't be.
    pub fn impersonate<T>(&self, what: impl FnOnce() -> T) -> io::Result<T> {
        // SAFETY: the token is open.
        check(unsafe { ImpersonateLoggedOnUser(self.raw()) })?;
        let back = Back;
        let done = what();
        drop(back);
        Ok(done)
    }
}

impl AsHandle for Token {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

/// Goes back to this process' own account, also when something panics.
struct Back;

impl Drop for Back {
    fn drop(&mut self) {
        // SAFETY: there is nothing to be kept.
        if unsafe { RevertToSelf() } == 0 {
            // Whatever comes next would be done as somebody else.
            std::process::abort();
        }
    }
}

fn is_logon(attributes: u32) -> bool {
    let logon = SE_GROUP_LOGON_ID.cast_unsigned();
    attributes & logon == logon
}

/// Copies a SID.
///
/// # Safety
/// It is a valid one.
pub(super) unsafe fn sid_at(sid: PSID) -> io::Result<Sid> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    if sid.is_null() {
        return Err(invalid());
    }
    // SAFETY: the caller says that it is valid; it is as long as the call says.
    let bytes = unsafe { std::slice::from_raw_parts(sid.cast::<u8>(), GetLengthSid(sid) as usize) };
    Sid::from_bytes(bytes).ok_or_else(invalid)
}

/// Switches privileges of this process on; the error says which it does not have.
///
/// # Errors
/// When one of them is not among those of this process' account.
pub fn enable_privileges(names: &[&str]) -> io::Result<()> {
    let mut own: HANDLE = null_mut();
    let access = TOKEN_ADJUST_PRIVILEGES | TOKEN_QUERY;
    // SAFETY: the handle of this process is always valid, and `own` lives through the call.
    check(unsafe { OpenProcessToken(GetCurrentProcess(), access, &raw mut own) })?;
    let own = owned(own)?;
    for name in names {
        enable(&own, name)
            .map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
    }
    Ok(())
}

fn enable(token: &OwnedHandle, name: &str) -> io::Result<()> {
    let text = units(name)?;
    let mut luid = LUID::default();
    // SAFETY: the name ends with a zero, and `luid` lives through the call.
    check(unsafe { LookupPrivilegeValueW(null(), text.as_ptr(), &raw mut luid) })?;
    let one = LUID_AND_ATTRIBUTES {
        Luid: luid,
        Attributes: SE_PRIVILEGE_ENABLED,
    };
    let new = TOKEN_PRIVILEGES {
        PrivilegeCount: 1,
        Privileges: [one],
    };
    // SAFETY: the token is open, and `new` holds as many as it says.
    check(unsafe {
        AdjustTokenPrivileges(
            token.as_raw_handle(),
            0,
            &raw const new,
            0,
            null_mut(),
            null_mut(),
        )
    })?;
    // The call succeeds also when it has switched nothing on (ERROR_NOT_ALL_ASSIGNED).
    match last() {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.cast_signed())),
    }
}
