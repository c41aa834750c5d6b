//! Asking the user directory about an account. That runs in a child with a time limit, since the name service may be slow or
//! hostile; what it found comes back as bytes.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;

use tessera_ticket::{AccountName, Refusal};

use crate::account::{Found, decode, encode};
use tessera_sys::{Errno, Sys, directory, file, process};

/// A look-up under way.
#[derive(Debug)]
pub struct LookUp {
    /// The child that looks.
    pub pid: i32,
    /// Where its answer comes.
    pub answer: OwnedFd,
}

/// Starts a look-up in a child; the answer can be read from its pipe up to the end.
pub fn look_up(name: &AccountName) -> Sys<LookUp> {
    let (read, write) = file::pipe()?;
    match process::fork()? {
        Some(pid) => Ok(LookUp { pid, answer: read }),
        None => {
            let number = write.as_raw_fd();
            let _ = process::default_signals();
            let _ = process::close_all_but(3, &mut [number]);
            let answer = answer_about(name);
            let code = i32::from(file::write_all(number, &answer).is_err());
            process::exit_now(code)
        }
    }
}

/// Looks an account up at once; for the start of a program, when nobody waits.
pub fn find_now(name: &AccountName) -> Result<Found, Refusal> {
    decode(&answer_about(name))
}

fn answer_about(name: &AccountName) -> Vec<u8> {
    encode(find(name).map_err(|Errno(errno)| errno))
}

/// Looks up everything about an account. Absent is `None`, trouble is an errno.
fn find(name: &AccountName) -> Sys<Option<Found>> {
    let c_name = file::c_string(name.as_str())?;
    let Some(entry) = directory::by_name(&c_name)? else {
        return Ok(None);
    };
    let mut found = Found {
        name: entry.name,
        uid: entry.uid,
        gid: entry.gid,
        home: entry.home,
        shell: entry.shell,
        ..Found::default()
    };
    let by_uid = directory::by_uid(found.uid)?;
    found.name_of_uid = by_uid.map(|it| it.name).unwrap_or_default();
    found.groups = directory::groups_of(&c_name, found.gid)?;
    if let Some(shadow) = directory::shadow(&c_name) {
        // `!` or `*` alone is an account without a password, not a locked one; a `!` before a password is how `usermod -L`
        // and `passwd -l` lock.
        let behind = shadow.password.trim_start_matches('!');
        found.is_locked = shadow.password.starts_with('!') && !matches!(behind, "" | "*");
        found.expires = shadow.expires;
    }
    found.owns_home = std::fs::metadata(&found.home).is_ok_and(|it| it.uid() == found.uid);
    Ok(Some(found))
}
