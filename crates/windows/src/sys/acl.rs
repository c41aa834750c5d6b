//! Access lists, as SDDL texts.
#![expect(unsafe_code, reason = "calls of the system")]

use std::io;
use std::os::windows::io::{AsRawHandle as _, BorrowedHandle};
use std::path::Path;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo, SDDL_REVISION_1,
    SE_KERNEL_OBJECT,
};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, OWNER_SECURITY_INFORMATION, PROTECTED_DACL_SECURITY_INFORMATION,
    PSECURITY_DESCRIPTOR, PSID, SECURITY_ATTRIBUTES, SetFileSecurityW,
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

/// Gives a file or directory the access list of an SDDL text in the place of what it inherits.
///
/// # Errors
/// When the text is none, or the system refuses.
pub fn protect(path: &Path, sddl: &str) -> io::Result<()> {
    let descriptor = Descriptor::parse(sddl)?;
    let path = wide(path);
    let what = DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION;
    // SAFETY: the path ends with a zero; both live through the call.
    check(unsafe { SetFileSecurityW(path.as_ptr(), what, descriptor.0) })
}

/// Answers whose a pipe is.
pub(super) fn owner(of: BorrowedHandle<'_>) -> io::Result<Sid> {
    let (mut sid, mut descriptor): (PSID, _) = (null_mut(), null_mut());
    // SAFETY: the handle is open, and what is filled lives through the call.
    let code = unsafe {
        GetSecurityInfo(
            of.as_raw_handle(),
            SE_KERNEL_OBJECT,
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
