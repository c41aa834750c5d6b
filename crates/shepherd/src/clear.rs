//! Removing what a job left, as the user that the job was.
//!
//! Whoever does this has no right that the job had not, so that a tree made to mislead it can harm its maker only. All the
//! same it follows no link and crosses no mount, holds few directories open however deep the tree is, and ends in time.

use std::ffi::{CStr, CString};
use std::fmt::Write as _;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::time::Instant;

use tessera_sys::{Errno, Sys, file, ids, process};

/// The deepest that directories are entered; what lies deeper is first moved up to the top.
const DEPTH_MAX: usize = 16;
/// The most bytes of a list of the kernel's System V objects: of 32 000 queues, which is a system's own limit, there are 4 MiB.
const IPC_MAX: usize = 16 << 20;
/// Bytes of chance in the name of what is moved up, where others can make names, too.
const CHANCE: usize = 12;
/// Where accounts that belong to one slot alone leave nothing.
const SHARED: [&CStr; 4] = [c"/tmp", c"/var/tmp", c"/dev/shm", c"/dev/mqueue"];

/// A removal under way below one directory.
struct Clearing<'a> {
    top: BorrowedFd<'a>,
    until: Instant,
    /// How many were removed or moved up: a round without either is the last.
    done: u64,
}

/// Removes all that is below a directory, as far as this user can within the time; says whether nothing is left.
pub fn below(top: BorrowedFd<'_>, until: Instant) -> bool {
    rounds(top, until, |_| true)
}

/// Removes a private directory of this user's with all that is in it, as far as that can be done in time.
pub fn private(dir: BorrowedFd<'_>, name: &CStr, until: Instant) {
    if file::remove_dir(dir, name).is_ok() {
        return;
    }
    let open = || file::open_for_owner(file::open_place(dir, name)?.as_fd());
    if let Ok(it) = open() {
        below(it.as_fd(), until);
    }
    let _ = file::remove_dir(dir, name);
}

/// Removes what this user left for others to find: files at the top of the directories that everybody can write to, keys,
/// and System V memory, semaphores and queues. Says whether nothing is left of them.
pub fn traces(until: Instant) -> bool {
    let Ok([uid, ..]) = ids::uids() else {
        return false;
    };
    let mut is_clear = true;
    for path in SHARED {
        let dir = match file::open(path, libc::O_RDONLY | libc::O_DIRECTORY) {
            Ok(dir) => dir,
            // What the user may not even list is the administrator's choice, and no job's.
            Err(Errno(libc::ENOENT | libc::EACCES)) => continue,
            Err(_) => {
                is_clear = false;
                continue;
            }
        };
        let is_own = |name: &CStr| file::owner_at(dir.as_fd(), name) == Ok(uid);
        is_clear &= rounds(dir.as_fd(), until, is_own);
    }
    is_clear &= ids::clear_own_keyrings().is_ok();
    is_clear & system_v(uid)
}

/// Removes a user's System V objects; says whether none is left.
fn system_v(uid: u32) -> bool {
    let mut is_clear = true;
    for (list, id, remove) in [
        ("shm", "shmid", process::remove_memory as fn(i32)),
        ("sem", "semid", process::remove_semaphores),
        ("msg", "msqid", process::remove_queue),
    ] {
        let own = || -> Sys<Vec<i32>> {
            let path = file::c_string(&format!("/proc/sysvipc/{list}"))?;
            match file::read_path(&path, IPC_MAX) {
                // A kernel without them.
                Err(Errno(libc::ENOENT)) => Ok(Vec::new()),
                text => Ok(of_user(&String::from_utf8_lossy(&text?), id, uid)),
            }
        };
        let Ok(found) = own() else {
            is_clear = false;
            continue;
        };
        if !found.is_empty() {
            found.into_iter().for_each(remove);
            is_clear &= own().is_ok_and(|left| left.is_empty());
        }
    }
    is_clear
}

/// Takes the numbers of a user's objects from one of the kernel's lists.
fn of_user(list: &str, id: &str, uid: u32) -> Vec<i32> {
    let mut lines = list.lines().map(|it| it.split_whitespace());
    let Some(names) = lines.next() else {
        return Vec::new();
    };
    let names: Vec<&str> = names.collect();
    let at = |name| names.iter().position(|it| *it == name);
    let (Some(id), Some(owner), Some(maker)) = (at(id), at("uid"), at("cuid")) else {
        return Vec::new();
    };
    let uid = uid.to_string();
    let own = lines.filter_map(|it| {
        let words: Vec<&str> = it.collect();
        let is_own = [owner, maker]
            .iter()
            .any(|at| words.get(*at) == Some(&uid.as_str()));
        is_own.then(|| words.get(id)?.parse().ok()).flatten()
    });
    own.collect()
}

/// Goes over a directory until nothing more can be removed; says whether a whole round found nothing that is wanted.
fn rounds(top: BorrowedFd<'_>, until: Instant, is_wanted: impl Fn(&CStr) -> bool) -> bool {
    let mut clearing = Clearing {
        top,
        until,
        done: 0,
    };
    loop {
        let (before, mut found) = (clearing.done, 0_u64);
        let read = clearing.each(top, |this, name| {
            if is_wanted(name) {
                found += 1;
                this.remove(top, name, 0);
            }
        });
        if clearing.done == before || Instant::now() >= until {
            return read.is_ok() && found == 0;
        }
    }
}

impl Clearing<'_> {
    /// Calls `what` for each name in a directory, until the time is over.
    fn each(&mut self, dir: BorrowedFd<'_>, mut what: impl FnMut(&mut Self, &CStr)) -> Sys<()> {
        let list = std::fs::read_dir(format!("/proc/self/fd/{}", dir.as_raw_fd()))
            .map_err(|e| Errno(e.raw_os_error().unwrap_or(libc::EIO)))?;
        for entry in list {
            if Instant::now() >= self.until {
                return Err(Errno(libc::ETIMEDOUT));
            }
            let entry = entry.map_err(|e| Errno(e.raw_os_error().unwrap_or(libc::EIO)))?;
            if let Ok(name) = CString::new(entry.file_name().into_vec()) {
                what(self, &name);
            }
        }
        Ok(())
    }

    fn remove(&mut self, dir: BorrowedFd<'_>, name: &CStr, depth: usize) {
        let is_gone = file::remove_file(dir, name).or_else(|_| file::remove_dir(dir, name));
        if is_gone.is_ok() || self.clear_out(dir, name, depth).is_ok() {
            self.done += 1;
        }
    }

    /// Empties a directory and removes it, or moves it up.
    fn clear_out(&mut self, dir: BorrowedFd<'_>, name: &CStr, depth: usize) -> Sys<()> {
        let place = file::open_place(dir, name)?;
        let child = file::open_for_owner(place.as_fd())?;
        if depth >= DEPTH_MAX {
            let mut chance = [0; CHANCE];
            file::random(&mut chance)?;
            let mut new = ".tessera-".to_owned();
            for byte in chance {
                let _ = write!(new, "{byte:02x}");
            }
            return file::rename_to(dir, name, self.top, &file::c_string(&new)?);
        }
        self.each(child.as_fd(), |this, name| {
            this.remove(child.as_fd(), name, depth + 1);
        })?;
        file::remove_dir(dir, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_objects_are_found_by_the_lists_own_heading() {
        let list = "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid\n\
                    0          5  1600  4096 1 2 0  1000  1000  1000  1000\n\
                    0          6  1600  4096 1 2 0  1001  1000  1000  1000\n\
                    0          7  1600  4096 1 2 0  1001  1001  1001  1001\n";
        assert_eq!(of_user(list, "shmid", 1000), [5, 6]);
        assert!(of_user(list, "semid", 1000).is_empty());
        assert!(of_user("", "shmid", 1000).is_empty());
    }
}
