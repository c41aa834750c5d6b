//! Clearing up behind instances that are gone: private directories, and what accounts of slots left elsewhere.
//!
//! A child that has become the user removes; this process only takes the empty directory away, and ends the child when its
//! time is over.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tessera_ticket::{AccountName, LaunchKey};

use crate::clear;
use crate::sys::{Errno, Sys, file, ids, process};
use crate::tmpdir::Parent;
use crate::user::{Change, Identity, become_user};

/// The most children at once.
const CHILDREN_MAX: usize = 4;
/// How long a child goes on, and when it is ended.
const TIME: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(15));
/// The first and the longest pause before what could not be removed is tried again.
const PAUSE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3_600));

/// What is to be removed.
#[derive(Debug)]
struct Task {
    key: LaunchKey,
    /// The directory and where it is.
    place: Option<(Rc<Parent>, String)>,
    /// Uid and gid of who it belongs to.
    user: (u32, u32),
    /// Whether the account is a slot's, which leaves nothing anywhere.
    is_of_slot: bool,
}

#[derive(Debug)]
struct Running {
    task: Task,
    handle: OwnedFd,
    deadline: Instant,
}

/// What became of a task.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) key: LaunchKey,
    /// The directory that is still there, the first time that it could not be removed.
    pub(super) left: Option<(String, Errno)>,
    pub(super) is_of_slot: bool,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Tidy {
    waiting: VecDeque<Task>,
    running: Vec<Running>,
    /// What could not be removed, when to try again and how long to wait then.
    later: BTreeMap<String, (Instant, Duration)>,
}

impl Tidy {
    /// Begins to clear up behind a launch; returns what is done at once, because there was nothing to do.
    pub(super) fn begin(
        &mut self,
        key: LaunchKey,
        place: Option<(Rc<Parent>, String)>,
        of_slot: Option<(u32, u32)>,
    ) -> Option<Done> {
        let is_of_slot = of_slot.is_some();
        let done = Done {
            key,
            left: None,
            is_of_slot,
        };
        // The common case costs one call: nothing is in there.
        let place = place.filter(|(parent, name)| parent.remove_empty(name).is_err());
        let owner = match &place {
            Some((parent, name)) => parent.owner(name).ok(),
            None => of_slot,
        };
        match owner.filter(|it| it.0 != 0) {
            Some(user) => {
                let task = Task {
                    key,
                    place,
                    user,
                    is_of_slot,
                };
                self.waiting.push_back(task);
                self.start_waiting();
                None
            }
            None => Some(done),
        }
    }

    /// Says whether a directory is being removed, or is to be left alone for now.
    pub(super) fn is_known(&self, name: &str, now: Instant) -> bool {
        let running = self.running.iter().map(|it| &it.task);
        let mut all = self.waiting.iter().chain(running);
        all.any(|it| it.place.as_ref().is_some_and(|(_, of)| of == name))
            || self.later.get(name).is_some_and(|(at, _)| now < *at)
    }

    /// Returns handles that are readable when a child has ended, with the launch of each.
    pub(super) fn handles(&self) -> impl Iterator<Item = (i32, BorrowedFd<'_>)> {
        let handle = |it| -> (i32, BorrowedFd<'_>) {
            let it: &Running = it;
            (it.handle.as_raw_fd(), it.handle.as_fd())
        };
        self.running.iter().map(handle)
    }

    /// Returns when the next child has had its time.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.running.iter().map(|it| it.deadline).min()
    }

    /// Ends the children that take too long.
    pub(super) fn give_up(&mut self, now: Instant) {
        for it in self.running.iter_mut().filter(|it| now >= it.deadline) {
            let _ = process::pidfd_kill(it.handle.as_fd(), libc::SIGKILL);
            // What a kill does not end at once is waited for.
            it.deadline = now + TIME.1;
        }
    }

    /// Takes the end of the child with this handle.
    pub(super) fn on_ended(&mut self, handle: i32) -> Option<Done> {
        let at = self
            .running
            .iter()
            .position(|it| it.handle.as_raw_fd() == handle)?;
        let Task {
            key,
            place,
            is_of_slot,
            ..
        } = self.running.swap_remove(at).task;
        self.start_waiting();
        let left = place.and_then(|(parent, name)| match parent.remove_empty(&name) {
            Ok(()) => {
                self.later.remove(&name);
                None
            }
            Err(errno) => self.put_off(name).map(|name| (name, errno)),
        });
        Some(Done {
            key,
            left,
            is_of_slot,
        })
    }

    /// Notes a directory for a later try; returns its name the first time.
    fn put_off(&mut self, name: String) -> Option<String> {
        let pause = self.later.get(&name).map(|(_, pause)| *pause);
        let next = pause.map_or(PAUSE.0, |it| (it * 2).min(PAUSE.1));
        self.later
            .insert(name.clone(), (Instant::now() + next, next));
        pause.is_none().then_some(name)
    }

    fn start_waiting(&mut self) {
        while self.running.len() < CHILDREN_MAX {
            let Some(task) = self.waiting.pop_front() else {
                return;
            };
            match fork_child(&task) {
                Ok(handle) => self.running.push(Running {
                    task,
                    handle,
                    deadline: Instant::now() + TIME.1,
                }),
                // No process to be had: all of it later, in order.
                Err(_) => return self.waiting.push_front(task),
            }
        }
    }

    /// Tries again to start what waits.
    pub(super) fn chores(&mut self, names: &[(LaunchKey, String)]) {
        self.start_waiting();
        self.later
            .retain(|name, _| names.iter().any(|(_, it)| it == name));
    }
}

/// Forks the child that removes; the handle is readable when it has ended.
fn fork_child(task: &Task) -> Sys<OwnedFd> {
    let parent = process::own_pid();
    let Some(pid) = process::fork()? else {
        let _ = remove(task, parent);
        process::exit_now(0)
    };
    let handle = process::pidfd(pid);
    if handle.is_err() {
        let _ = process::kill(pid, libc::SIGKILL);
        let _ = process::wait_for(pid);
    }
    handle
}

/// The child: becomes the user, proves it, removes.
fn remove(task: &Task, parent: i32) -> Sys<()> {
    let mut keep: Vec<i32> = task
        .place
        .iter()
        .map(|(parent, _)| parent.dir().as_raw_fd())
        .collect();
    process::close_all_but(3, &mut keep)?;
    process::new_session()?;
    let (uid, gid) = task.user;
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
    let until = Instant::now() + TIME.0;
    if let Some((parent, name)) = &task.place {
        clear::below(parent.open_child(name)?.as_fd(), until);
    }
    if task.is_of_slot {
        clear::traces(until);
    }
    Ok(())
}

/// Reads the account that a run record names, if it is a slot's: `pid start boot uid gid account`.
pub(super) fn slot_of_record(text: &str) -> Option<((u32, u32), AccountName)> {
    let mut words = text.split_whitespace().skip(3);
    let user = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((user, words.next()?.parse().ok()?))
}

/// Reads the run record of a launch.
pub(super) fn read_record(run_dir: BorrowedFd<'_>, key: LaunchKey) -> Option<String> {
    let name = file::c_string(&key.to_string()).ok()?;
    String::from_utf8(file::read_at(run_dir, &name, 256).ok()?).ok()
}
