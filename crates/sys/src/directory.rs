//! The user directory of the C library: accounts and groups from files, LDAP or whatever the host has. It may be slow.

use std::ffi::CStr;

use crate::{Errno, Sys};

/// Room for one entry of the user directory; grows up to the second figure.
const ENTRY_ROOM: (usize, usize) = (16 * 1024, 1 << 20);
/// The most groups of one account.
const GROUPS_MAX: usize = 4_096;

/// An account as the directory has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// The number of its primary group.
    pub gid: u32,
    /// Its home.
    pub home: String,
    /// Its login shell.
    pub shell: String,
}

/// What only root sees of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    /// The password's hash, or what stands for none.
    pub password: String,
    /// The day (since 1970) from which the account is not valid.
    pub expires: Option<u64>,
}

/// Looks an account up by its name.
///
/// # Errors
/// A directory that does not answer; that there is none is `None`.
pub fn by_name(name: &CStr) -> Sys<Option<Entry>> {
    password_entry(|entry, room, result| {
        // SAFETY: the pointers are those of live places, the room's length is its own.
        unsafe {
            libc::getpwnam_r(
                name.as_ptr(),
                entry,
                room.as_mut_ptr().cast(),
                room.len(),
                result,
            )
        }
    })
}

/// Looks an account up by its number.
///
/// # Errors
/// As [`by_name`].
pub fn by_uid(uid: u32) -> Sys<Option<Entry>> {
    password_entry(|entry, room, result| {
        // SAFETY: the pointers are those of live places, the room's length is its own.
        unsafe { libc::getpwuid_r(uid, entry, room.as_mut_ptr().cast(), room.len(), result) }
    })
}

fn password_entry(
    call: impl Fn(*mut libc::passwd, &mut [u8], *mut *mut libc::passwd) -> libc::c_int,
) -> Sys<Option<Entry>> {
    let mut room = vec![0; ENTRY_ROOM.0];
    loop {
        // SAFETY: a zeroed `passwd` is valid; it is read only when the call says that it filled it.
        let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
        let mut result = std::ptr::null_mut();
        match call(&raw mut entry, &mut room, &raw mut result) {
            0 if result.is_null() => return Ok(None),
            0 => return Ok(Some(copy_entry(&entry))),
            libc::ERANGE if room.len() < ENTRY_ROOM.1 => room.resize(room.len() * 4, 0),
            // What POSIX lets a system say for "no such name".
            libc::ENOENT | libc::ESRCH => return Ok(None),
            errno => return Err(Errno(errno)),
        }
    }
}

fn copy_entry(entry: &libc::passwd) -> Entry {
    Entry {
        name: text(entry.pw_name),
        uid: entry.pw_uid,
        gid: entry.pw_gid,
        home: text(entry.pw_dir),
        shell: text(entry.pw_shell),
    }
}

/// Copies a C string of the user directory; null is empty.
fn text(from: *const libc::c_char) -> String {
    if from.is_null() {
        return String::new();
    }
    // SAFETY: the directory's functions return null or a C string in the room that is still borrowed.
    unsafe { CStr::from_ptr(from) }
        .to_string_lossy()
        .into_owned()
}

/// Returns gid and name of every group of an account, the primary one included.
///
/// # Errors
/// Too many, or a directory that does not answer.
pub fn groups_of(name: &CStr, gid: u32) -> Sys<Vec<(u32, String)>> {
    let mut room: libc::c_int = 64;
    let mut list: Vec<u32> = Vec::new();
    loop {
        list.resize(usize::try_from(room).unwrap_or(0), 0);
        let before = room;
        // SAFETY: the list has room for as many groups as it says.
        let done =
            unsafe { libc::getgrouplist(name.as_ptr(), gid, list.as_mut_ptr(), &raw mut room) };
        if done >= 0 {
            break;
        }
        // The list may have grown between two calls: go on with more room than asked for.
        room = room.max(before).saturating_mul(2);
        if usize::try_from(room).unwrap_or(usize::MAX) > 2 * GROUPS_MAX {
            return Err(Errno(libc::EOVERFLOW));
        }
    }
    list.truncate(usize::try_from(room).unwrap_or(0));
    list.push(gid);
    list.sort_unstable();
    list.dedup();
    Ok(list.into_iter().map(|gid| (gid, group_name(gid))).collect())
}

/// Returns the name of a group; nothing where the directory knows none.
pub fn group_name(gid: u32) -> String {
    let mut room = vec![0u8; ENTRY_ROOM.0];
    loop {
        let mut result = std::ptr::null_mut();
        // SAFETY: a zeroed `group` is valid, and the pointers are those of live places with their lengths.
        let (code, entry) = unsafe {
            let mut entry: libc::group = std::mem::zeroed();
            let buffer = room.as_mut_ptr().cast();
            let code = libc::getgrgid_r(gid, &raw mut entry, buffer, room.len(), &raw mut result);
            (code, entry)
        };
        match code {
            0 if !result.is_null() => return text(entry.gr_name),
            libc::ERANGE if room.len() < ENTRY_ROOM.1 => room.resize(room.len() * 4, 0),
            _ => return String::new(),
        }
    }
}

/// Reads the shadow entry where there is one, and this process may see it.
pub fn shadow(name: &CStr) -> Option<Shadow> {
    let mut room = vec![0u8; ENTRY_ROOM.0];
    let mut result = std::ptr::null_mut();
    // SAFETY: a zeroed `spwd` is valid, and the pointers are those of live places with their lengths.
    let entry = unsafe {
        let mut entry: libc::spwd = std::mem::zeroed();
        libc::getspnam_r(
            name.as_ptr(),
            &raw mut entry,
            room.as_mut_ptr().cast(),
            room.len(),
            &raw mut result,
        );
        entry
    };
    (!result.is_null()).then(|| Shadow {
        password: text(entry.sp_pwdp),
        expires: u64::try_from(entry.sp_expire).ok(),
    })
}
