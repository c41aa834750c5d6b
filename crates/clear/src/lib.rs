//! Clearing up behind one launch of which nothing is alive: its private directory, and what the account of a slot left elsewhere.
//!
//! A process of its own, which the launcher starts and which ends when it is done. It is root to end what runs as the account of
//! a slot and to end its child in time; the child has become the user, and only that removes. It listens to nobody: what to do it
//! is told by its [`Order`] and by two descriptors, and it says one byte at the end. Whatever goes wrong, also its own death, is
//! *not done*: the launcher keeps account and directory as they are, and has it tried again.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use tessera_identity::user::{Change, become_user, spawn};
use tessera_shepherd::clear;
use tessera_sys::ids::Identity;
use tessera_sys::{Errno, Sys, entry, file, ids, poll, process, procs};

/// Where this program finds the end of its answer.
const ANSWER_FD: i32 = 3;
/// Where it finds the private directory, opened for its place only: its name is a secret, and arguments are everybody's to read.
const PLACE_FD: i32 = 4;
/// What it answers when nothing is left.
const DONE: u8 = 1;
/// How long the child goes on with each of its parts, and when it is ended.
const TIME: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(25));
/// How often the child is told to go on: processes of the same user can stop it.
const NUDGE: Duration = Duration::from_secs(1);
const NOT_BY_HAND: &str = "clear: started by the launcher only, with UID GID slot|user [place]";
const WORDS: [&str; 2] = ["tessera-launch", "clear"];

/// What is to be removed, and as whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Uid and gid of who it belongs to.
    pub user: (u32, u32),
    /// Whether the account is a slot's, which leaves nothing anywhere and of which all processes end.
    pub is_of_slot: bool,
    /// Whether there is a private directory.
    pub has_place: bool,
}

impl Order {
    /// Reads the words behind `clear`.
    ///
    /// # Errors
    /// A sentence when they are none, or name root.
    pub fn parse(words: &[&str]) -> Result<Self, String> {
        let wrong = NOT_BY_HAND;
        let (uid, gid, is_of_slot, has_place) = match *words {
            [uid, gid, "slot"] => (uid, gid, true, false),
            [uid, gid, "user"] => (uid, gid, false, false),
            [uid, gid, "slot", "place"] => (uid, gid, true, true),
            [uid, gid, "user", "place"] => (uid, gid, false, true),
            _ => return Err(wrong.into()),
        };
        let user = match (uid.parse(), gid.parse()) {
            (Ok(uid), Ok(gid)) if uid != 0 && gid != 0 => (uid, gid),
            _ => return Err(wrong.into()),
        };
        Ok(Self {
            user,
            is_of_slot,
            has_place,
        })
    }

    fn words(&self) -> Vec<String> {
        let (uid, gid) = self.user;
        let kind = if self.is_of_slot { "slot" } else { "user" };
        let words = [uid.to_string(), gid.to_string(), kind.to_owned()];
        let place = self.has_place.then(|| "place".to_owned());
        words.into_iter().chain(place).collect()
    }
}

/// Starts the process, which ends with this one; the private directory is opened for its place only. Returns where its answer
/// comes, which is readable when it has ended, too.
///
/// # Errors
/// When there is no process or no descriptor to be had.
pub fn start(program: BorrowedFd<'_>, order: &Order, place: Option<&OwnedFd>) -> Sys<OwnedFd> {
    let (answer, answer_end) = file::pipe()?;
    let words = order.words();
    let words = WORDS.into_iter().chain(words.iter().map(String::as_str));
    let argv = process::c_strings(words)?;
    let null = file::open(c"/dev/null", libc::O_RDWR)?;
    let ends = [&null, &null];
    let std = ends.map(OwnedFd::as_raw_fd).into_iter().chain([2]);
    let own = [Some(&answer_end), place].into_iter().flatten();
    let fds: Vec<i32> = std.chain(own.map(OwnedFd::as_raw_fd)).collect();
    spawn(program, &argv, &[], &fds, Some(process::own_pid()))?;
    Ok(answer)
}

/// Reads what the process has said by now; `None` while it has neither said anything nor ended.
pub fn is_done(answer: &OwnedFd) -> Option<bool> {
    let mut said = [0; 2];
    match file::read(answer, &mut said) {
        Err(Errno(libc::EAGAIN)) => None,
        Ok(1) => Some(said[0] == DONE),
        Ok(_) | Err(_) => Some(false),
    }
}

/// Is the process: removes, and answers when nothing is left.
///
/// # Errors
/// A sentence when it is not root's, or was not started by the launcher.
pub fn run(order: &Order) -> Result<(), String> {
    if ids::uids() != Ok([0; 3]) {
        return Err("clear: must be root; the launcher starts it".into());
    }
    // A hand that types an order would end all that its user runs.
    let answer = file::stat(file::standing(ANSWER_FD)).map(|it| it.st_mode & libc::S_IFMT);
    if answer != Ok(libc::S_IFIFO) {
        return Err(NOT_BY_HAND.into());
    }
    let is_clear =
        remove_in_child(order).map_err(|e| format!("clear: uid {}: {e}", order.user.0))?;
    if is_clear {
        file::write_all(ANSWER_FD, &[DONE]).map_err(|e| format!("clear: answering: {e}"))?;
    }
    Ok(())
}

/// Forks the child that removes and waits for it, in time; says whether nothing is left.
fn remove_in_child(order: &Order) -> Sys<bool> {
    if order.is_of_slot {
        // Of the account nobody has: what has come to run as it could undo or end what is done now.
        let _ = procs::kill_all_of(order.user.0);
    }
    let parent = process::own_pid();
    let Some(pid) = process::fork()? else {
        let is_clear = remove(order, parent) == Ok(true);
        process::exit_now(i32::from(!is_clear))
    };
    let handle = process::pidfd(pid)?;
    let deadline = Instant::now() + TIME.1;
    while !has_ended(handle.as_fd())? {
        let signal = if Instant::now() < deadline {
            libc::SIGCONT
        } else {
            libc::SIGKILL
        };
        let _ = process::pidfd_kill(handle.as_fd(), signal);
    }
    Ok(process::wait_for(pid)? == 0)
}

/// Waits for the end of a child for a while.
fn has_ended(handle: BorrowedFd<'_>) -> Sys<bool> {
    let mut fds = [entry(handle.as_raw_fd(), libc::POLLIN)];
    poll(&mut fds, Some(NUDGE))?;
    Ok(fds[0].revents != 0)
}

/// The child: becomes the user, proves it, removes; says whether nothing is left.
fn remove(order: &Order, parent: i32) -> Sys<bool> {
    let mut keep: Vec<i32> = order.has_place.then_some(PLACE_FD).into_iter().collect();
    process::close_all_but(3, &mut keep)?;
    process::new_session()?;
    let (uid, gid) = order.user;
    let identity = Identity {
        uid,
        gid,
        groups: vec![gid],
    };
    let change = Change {
        identity: &identity,
        keep_caps: 0,
        no_new_privs: true,
    };
    become_user(&change).map_err(|it| Errno(it.errno))?;
    ids::death_signal(libc::SIGKILL)?;
    if process::parent_pid() != parent {
        return Err(Errno(libc::ESRCH));
    }
    process::change_dir(c"/")?;
    let mut is_clear = true;
    // First, and with a time of their own: what is in the directory only its user can be slowed down by.
    if order.is_of_slot {
        is_clear &= clear::traces(Instant::now() + TIME.0);
    }
    if order.has_place {
        let dir = file::open_for_owner(file::standing(PLACE_FD))?;
        is_clear &= clear::below(dir.as_fd(), Instant::now() + TIME.0);
    }
    Ok(is_clear)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_reads_back() {
        for (is_of_slot, has_place) in [(true, false), (false, true)] {
            let order = Order {
                user: (901, 902),
                is_of_slot,
                has_place,
            };
            let words = order.words();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            assert_eq!(Order::parse(&words), Ok(order));
        }
    }

    #[test]
    fn an_order_of_root_or_of_something_else_is_none() {
        for words in [
            &["0", "902", "slot"][..],
            &["901", "0", "slot"],
            &["-1", "902", "slot"],
            &["901", "902", "all"],
            &["901", "902", "user", ""],
            &["901", "902", "user", "/etc"],
            &["901", "902"],
            &["901", "902", "user", "place", "b"],
            &[],
        ] {
            let error = Order::parse(words).expect_err("is none");
            assert!(error.contains("by the launcher only"), "{words:?}");
        }
    }

    #[test]
    fn only_the_one_word_is_done() {
        for (said, is) in [
            (&[][..], false),
            (&[DONE], true),
            (&[0], false),
            (&[1, 1], false),
        ] {
            let (answer, end) = file::pipe().expect("a pipe");
            assert_eq!(is_done(&answer), None, "it goes on");
            file::write_all(end.as_raw_fd(), said).expect("writes");
            drop(end);
            assert_eq!(is_done(&answer), Some(is), "{said:?}");
        }
    }
}
