//! Access lists, as SDDL texts.
#![expect(unsafe_code, reason = "calls of the system")]

use std::fs::OpenOptions;
use std::io;
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::{AsHandle as _, AsRawHandle as _, BorrowedHandle};
use std::path::Path;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo, SDDL_REVISION_1,
    SE_FILE_OBJECT, SE_KERNEL_OBJECT, SE_OBJECT_TYPE,
};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, OWNER_SECURITY_INFORMATION, PROTECTED_DACL_SECURITY_INFORMATION,
    PSECURITY_DESCRIPTOR, PSID, SECURITY_ATTRIBUTES, SetFileSecurityW,
};

use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, READ_CONTROL,
};

use super::token::sid_at;
use super::{check, size_of_u32, units, wide};
use crate::Sid;

/// Who may do what with something.
pub(super) struct Descriptor(PSECURITY_DESCRIPTOR);

impl Descriptor {
    pub(super) fn parse(sddl: &str) -> io::Result<Self> {
        let text = units(sddl)?;
        let mut made = null_mut();
        // SAFETY: the text ends with a zero, and `made` lives through the call.
        check(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut made,
                null_mut(),
            )
        })?;
        Ok(Self(made))
    }

    /// Answers attributes with it, which it must outlive; nobody inherits what is made with them.
    pub(super) fn attributes(&self) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: size_of_u32::<SECURITY_ATTRIBUTES>(),
            lpSecurityDescriptor: self.0,
            bInheritHandle: 0,
        }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: the system has made it, and it is not used any more.
        unsafe { LocalFree(self.0) };
    }
}

/// Gives a file or directory the access list of an SDDL text in the place of what it inherits, and the owner, if there is
/// one in the text.
///
/// # Errors
/// When the text is none, or the system refuses.
pub fn protect(path: &Path, sddl: &str) -> io::Result<()> {
    let descriptor = Descriptor::parse(sddl)?;
    let path = wide(path);
    let set = |what| {
        // SAFETY: the path ends with a zero; both live through the call.
        check(unsafe { SetFileSecurityW(path.as_ptr(), what, descriptor.0) })
    };
    if sddl.starts_with("O:") {
        set(OWNER_SECURITY_INFORMATION)?;
    }
    set(DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION)
}

/// Answers whose a file or directory is; of a link, whose the link is.
///
/// # Errors
/// When it is not there, or the system does not say.
pub fn owner_of(path: &Path) -> io::Result<Sid> {
    let mut options = OpenOptions::new();
    options.access_mode(READ_CONTROL);
    options.custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT);
    owner_as(options.open(path)?.as_handle(), SE_FILE_OBJECT)
}

/// Answers whose a pipe is.
pub(super) fn owner(of: BorrowedHandle<'_>) -> io::Result<Sid> {
    owner_as(of, SE_KERNEL_OBJECT)
}

fn owner_as(of: BorrowedHandle<'_>, kind: SE_OBJECT_TYPE) -> io::Result<Sid> {
    let (mut sid, mut descriptor): (PSID, _) = (null_mut(), null_mut());
    // SAFETY: the handle is open, and what is filled lives through the call.
    let code = unsafe {
        GetSecurityInfo(
            of.as_raw_handle(),
            kind,
            OWNER_SECURITY_INFORMATION,
            &raw mut sid,
            null_mut(),
            null_mut(),
            null_mut(),
            &raw mut descriptor,
        )
    };
    if code != 0 {
        return Err(io::Error::from_raw_os_error(code.cast_signed()));
    }
    let _freed = Descriptor(descriptor);
    // SAFETY: it lies in the descriptor, which is freed afterwards.
    unsafe { sid_at(sid) }
}
