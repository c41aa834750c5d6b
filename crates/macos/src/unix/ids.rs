//! Who this process is. There is no `setresuid` on macOS: for root `setgid` and `setuid` change all three ids at once, and what
//! came of them is read back.
#![expect(unsafe_code, reason = "calls of the system")]

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::FromRawFd as _;

use super::check;

/// Descriptors that are looked at: macOS can allow any number, and nothing here has so many.
const DESCRIPTORS_MAX: libc::c_int = 65_536;
/// Where a program that is to be somebody says why it is not.
const STATUS_FD: libc::c_int = 3;

/// Takes over all groups of an account, those beyond the sixteen of the kernel's own list as well: on macOS the kernel asks the
/// user directory for them.
///
/// # Errors
/// When the system refuses.
pub fn init_groups(name: &CStr, gid: u32) -> io::Result<()> {
    let gid = group(gid)?;
    // SAFETY: the name ends with a zero and lives through the call.
    check(unsafe { libc::initgroups(name.as_ptr(), gid) })
}

#[cfg(target_os = "macos")]
fn group(gid: u32) -> io::Result<libc::c_int> {
    libc::c_int::try_from(gid).map_err(io::Error::other)
}

#[cfg(not(target_os = "macos"))]
#[expect(clippy::unnecessary_wraps, reason = "as on macOS")]
fn group(gid: u32) -> io::Result<libc::gid_t> {
    Ok(gid)
}

/// Becomes a member of a group, and of no other as its primary one.
///
/// # Errors
/// When the system refuses.
pub fn set_gid(gid: u32) -> io::Result<()> {
    // SAFETY: it takes a number.
    check(unsafe { libc::setgid(gid) })
}

/// Becomes an account, for good when this was root.
///
/// # Errors
/// When the system refuses.
pub fn set_uid(uid: u32) -> io::Result<()> {
    // SAFETY: it takes a number.
    check(unsafe { libc::setuid(uid) })
}

/// Answers the real and the effective uid.
#[must_use]
pub fn uids() -> (u32, u32) {
    // SAFETY: they take nothing and can't fail.
    unsafe { (libc::getuid(), libc::geteuid()) }
}

/// Answers the real and the effective gid.
#[must_use]
pub fn gids() -> (u32, u32) {
    // SAFETY: they take nothing and can't fail.
    unsafe { (libc::getgid(), libc::getegid()) }
}

/// Answers the kernel's own list of groups.
///
/// # Errors
/// When the system does not say.
pub fn groups() -> io::Result<Vec<u32>> {
    // SAFETY: without room it only counts.
    let count = unsafe { libc::getgroups(0, std::ptr::null_mut()) };
    check(count)?;
    let mut all: Vec<libc::gid_t> = vec![0; usize::try_from(count).unwrap_or(0)];
    // SAFETY: there is room for as many as it is told, and the list lives through the call.
    let count = unsafe { libc::getgroups(count, all.as_mut_ptr()) };
    check(count)?;
    all.truncate(usize::try_from(count).unwrap_or(0));
    Ok(all)
}

/// Tries to be root again in every way that there is, and says whether one works. Who can must end.
#[must_use]
pub fn can_go_back() -> bool {
    // SAFETY: they take numbers.
    unsafe {
        libc::setuid(0) == 0
            || libc::seteuid(0) == 0
            || libc::setreuid(0, 0) == 0
            || libc::setgid(0) == 0
            || libc::setegid(0) == 0
            || libc::setregid(0, 0) == 0
    }
}

/// Has every descriptor but the three streams closed by the program that follows. There is no `close_range` on macOS.
pub fn close_others_on_exec() {
    // SAFETY: it takes nothing.
    let most = unsafe { libc::getdtablesize() };
    for fd in 3..most.clamp(0, DESCRIPTORS_MAX) {
        // SAFETY: it takes numbers; one that is not open is an error that changes nothing.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// Answers the name that the host gives itself; empty when it has none.
#[must_use]
pub fn host_name() -> String {
    let mut bytes = [0_u8; 256];
    // SAFETY: there is room for as many bytes as it is told, and it lives through the call.
    let answer = unsafe { libc::gethostname(bytes.as_mut_ptr().cast(), bytes.len()) };
    let name = CStr::from_bytes_until_nul(&bytes)
        .ok()
        .filter(|_| answer == 0);
    name.map(|it| it.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Answers where this process is to say why it could not be somebody: descriptor 3, which the program that follows does not have.
/// To be called once.
///
/// # Errors
/// When there is no such descriptor.
pub fn status_pipe() -> io::Result<File> {
    // SAFETY: it takes numbers.
    check(unsafe { libc::fcntl(STATUS_FD, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: it was just seen to be open, whoever started this put it there for this, and it is taken once.
    Ok(unsafe { File::from_raw_fd(STATUS_FD) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_somebody() {
        let (uid, effective) = uids();
        assert_eq!(uid, effective);
        let (gid, effective) = gids();
        assert_eq!(gid, effective);
        groups().expect("a list");
        if uid != 0 {
            assert!(!can_go_back());
        }
    }
}
