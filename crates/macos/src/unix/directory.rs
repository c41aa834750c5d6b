//! The user directory.
#![expect(unsafe_code, reason = "calls of the system")]

use std::ffi::CStr;
#[cfg(test)]
use std::ffi::CString;
use std::mem::MaybeUninit;

/// The most bytes of an entry.
const ENTRY_MAX: usize = 1 << 20;
/// The most groups of an account.
const GROUPS_MAX: usize = 65_536;

/// Numbers of groups in a list of them.
#[cfg(target_os = "macos")]
mod group {
    pub(super) type Group = libc::c_int;

    pub(super) fn of(gid: u32) -> Result<Group, i32> {
        Group::try_from(gid).map_err(|_| libc::EINVAL)
    }

    pub(super) fn number(group: Group) -> Result<u32, i32> {
        u32::try_from(group).map_err(|_| libc::EINVAL)
    }
}

/// Numbers of groups in a list of them.
#[cfg(not(target_os = "macos"))]
#[expect(clippy::unnecessary_wraps, reason = "as on macOS")]
mod group {
    pub(super) type Group = libc::gid_t;

    pub(super) fn of(gid: u32) -> Result<Group, i32> {
        Ok(gid)
    }

    pub(super) fn number(group: Group) -> Result<u32, i32> {
        Ok(group)
    }
}

use group::Group;

/// An account as the user directory has it.
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
    /// Its shell.
    pub shell: String,
}

/// Looks an account up by name.
///
/// # Errors
/// The system's number when the directory does not answer.
pub fn by_name(name: &CStr) -> Result<Option<Entry>, i32> {
    look_up(|entry, room, found| {
        let (bytes, len) = (room.as_mut_ptr().cast(), room.len());
        // SAFETY: all live through the call, and the room has as many bytes as it is told.
        unsafe { libc::getpwnam_r(name.as_ptr(), entry, bytes, len, found) }
    })
}

/// Looks an account up by number.
///
/// # Errors
/// The system's number when the directory does not answer.
pub fn by_uid(uid: u32) -> Result<Option<Entry>, i32> {
    look_up(|entry, room, found| {
        let (bytes, len) = (room.as_mut_ptr().cast(), room.len());
        // SAFETY: as above.
        unsafe { libc::getpwuid_r(uid, entry, bytes, len, found) }
    })
}

fn look_up(
    ask: impl Fn(*mut libc::passwd, &mut [u8], *mut *mut libc::passwd) -> libc::c_int,
) -> Result<Option<Entry>, i32> {
    let mut room = vec![0; 4_096];
    loop {
        let mut entry = MaybeUninit::<libc::passwd>::zeroed();
        let mut found = std::ptr::null_mut();
        match ask(entry.as_mut_ptr(), &mut room, &raw mut found) {
            0 if found.is_null() => return Ok(None),
            0 => {
                // SAFETY: it was found, so the system has filled it.
                let entry = unsafe { entry.assume_init() };
                return Ok(Some(Entry {
                    name: text(entry.pw_name),
                    uid: entry.pw_uid,
                    gid: entry.pw_gid,
                    home: text(entry.pw_dir),
                    shell: text(entry.pw_shell),
                }));
            }
            // Some systems say so of an account that there is none of.
            libc::ENOENT | libc::ESRCH => return Ok(None),
            libc::EINTR => {}
            libc::ERANGE if room.len() < ENTRY_MAX => room = vec![0; room.len() * 2],
            errno => return Err(errno),
        }
    }
}

/// Copies a text of the directory; broken characters are replaced, so that it equals no name that was asked for.
fn text(of: *const libc::c_char) -> String {
    if of.is_null() {
        return String::new();
    }
    // SAFETY: the directory's texts end with a zero and lie in the room, which lives still.
    let text = unsafe { CStr::from_ptr(of) };
    text.to_string_lossy().into_owned()
}

/// Answers number and name of each of an account's groups, the primary one included; a group without a name has an empty one.
///
/// # Errors
/// The system's number when the directory does not answer, or there are too many.
pub fn groups_of(name: &CStr, gid: u32) -> Result<Vec<(u32, String)>, i32> {
    let base = group::of(gid)?;
    let mut all: Vec<Group> = vec![0; 64];
    loop {
        let mut count = libc::c_int::try_from(all.len()).map_err(|_| libc::E2BIG)?;
        // SAFETY: there is room for as many as it is told, and all live through the call.
        let answer =
            unsafe { libc::getgrouplist(name.as_ptr(), base, all.as_mut_ptr(), &raw mut count) };
        if answer >= 0 {
            all.truncate(usize::try_from(count).unwrap_or(0));
            break;
        }
        if all.len() >= GROUPS_MAX {
            return Err(libc::E2BIG);
        }
        all = vec![0; all.len() * 2];
    }
    let numbers = all.into_iter().map(group::number);
    let mut numbers: Vec<u32> = numbers.collect::<Result<_, _>>()?;
    numbers.sort_unstable();
    numbers.dedup();
    let named = numbers.into_iter().map(|it| Ok((it, group_name(it)?)));
    named.collect()
}

fn group_name(gid: u32) -> Result<String, i32> {
    let mut room: Vec<u8> = vec![0; 4_096];
    loop {
        let mut entry = MaybeUninit::<libc::group>::zeroed();
        let mut found = std::ptr::null_mut();
        let (bytes, len) = (room.as_mut_ptr().cast(), room.len());
        // SAFETY: all live through the call, and the room has as many bytes as it is told.
        let answer =
            unsafe { libc::getgrgid_r(gid, entry.as_mut_ptr(), bytes, len, &raw mut found) };
        match answer {
            0 if found.is_null() => return Ok(String::new()),
            // SAFETY: it was found, so the system has filled it.
            0 => return Ok(text(unsafe { entry.assume_init() }.gr_name)),
            libc::ENOENT | libc::ESRCH => return Ok(String::new()),
            libc::EINTR => {}
            libc::ERANGE if room.len() < ENTRY_MAX => room = vec![0; room.len() * 2],
            errno => return Err(errno),
        }
    }
}

/// Makes a text for the directory.
#[cfg(test)]
fn c_text(text: &str) -> CString {
    CString::new(text).expect("no zero")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_and_strangers_are_not() {
        let root = by_name(&c_text("root"))
            .expect("answers")
            .expect("is there");
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(by_uid(0).expect("answers"), Some(root));
        assert_eq!(by_name(&c_text("no-such-account")), Ok(None));
        assert_eq!(by_uid(u32::MAX - 7), Ok(None));
    }

    #[test]
    fn groups_have_their_names() {
        let groups = groups_of(&c_text("root"), 0).expect("answers");
        assert!(groups.iter().any(|(gid, _)| *gid == 0), "{groups:?}");
        let nameless = groups_of(&c_text("root"), 400_000_000).expect("answers");
        assert!(nameless.contains(&(400_000_000, String::new())));
    }
}
