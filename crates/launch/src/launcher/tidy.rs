//! Clearing up behind instances that are gone: private directories, and what accounts of slots left elsewhere.
//!
//! A child that has become the user removes; this process only takes the empty directory away, and ends the child when its
//! time is over.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tessera_ticket::{AccountName, LaunchKey};

use tessera_identity::tmpdir::Parent;
use tessera_identity::user::{Change, become_user};
use tessera_shepherd::clear;
use tessera_sys::ids::Identity;
use tessera_sys::procs;
use tessera_sys::{Errno, Sys, file, ids, process};

/// The most children at once, of slots and of others each: neither keep the other waiting.
const CHILDREN_MAX: usize = 4;
/// How long a child goes on with each of its parts, and when it is ended.
const TIME: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(25));
/// How often a child is told to go on: processes of the same user can stop it.
const NUDGE: Duration = Duration::from_secs(1);
/// The first and the longest pause before what could not be removed is tried again.
const PAUSE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3_600));
/// The same for the account of a slot, which nobody else gets until then.
const SLOT_PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(300));

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
    /// How long the last pause was, if it is not the first try.
    pause: Option<Duration>,
}

#[derive(Debug)]
struct Running {
    task: Task,
    pid: i32,
    handle: OwnedFd,
    deadline: Instant,
    nudge_at: Instant,
    /// Its exit code, once it was waited for.
    code: Option<i32>,
}

/// What became of a task.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) key: LaunchKey,
    /// The directory that is still there, the first time that it could not be removed.
    pub(super) left: Option<(String, Errno)>,
    /// Whether the account was a slot's and nothing of the launch is left on it.
    pub(super) is_slot_free: bool,
    /// Whether the account of a slot is held because something is left, told the first time.
    pub(super) is_slot_held: bool,
}

impl Done {
    fn of(key: LaunchKey) -> Self {
        Self {
            key,
            left: None,
            is_slot_free: false,
            is_slot_held: false,
        }
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Tidy {
    waiting: VecDeque<Task>,
    running: Vec<Running>,
    /// Slots' accounts on which something is left, and when to try again.
    held: Vec<(Instant, Task)>,
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
        if self.has(key) {
            return None;
        }
        // The common case costs one call: nothing is in there.
        let place = place.filter(|(parent, name)| parent.remove_empty(name).is_err());
        let user = match (of_slot, &place) {
            (Some(user), _) => user,
            (None, None) => return Some(Done::of(key)),
            (None, Some((parent, name))) => match parent.owner(name) {
                // Root's own: not given away yet, or not ours.
                Ok((0, _)) => return Some(Done::of(key)),
                Ok(user) => user,
                Err(errno) => {
                    let left = self.put_off(name.clone()).map(|name| (name, errno));
                    return Some(Done {
                        left,
                        ..Done::of(key)
                    });
                }
            },
        };
        self.waiting.push_back(Task {
            key,
            place,
            user,
            is_of_slot: of_slot.is_some(),
            pause: None,
        });
        self.start_waiting();
        None
    }

    fn tasks(&self) -> impl Iterator<Item = &Task> {
        let running = self.running.iter().map(|it| &it.task);
        let held = self.held.iter().map(|(_, task)| task);
        self.waiting.iter().chain(running).chain(held)
    }

    /// Says whether a launch is being cleared up behind, or will be again.
    pub(super) fn has(&self, key: LaunchKey) -> bool {
        self.tasks().any(|it| it.key == key)
    }

    /// Says whether a directory is being removed, or is to be left alone for now.
    pub(super) fn is_known(&self, name: &str, now: Instant) -> bool {
        self.tasks()
            .any(|it| it.place.as_ref().is_some_and(|(_, of)| of == name))
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

    /// Returns when the next child has had its time or is to be looked after, or the next try is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let running = self.running.iter().map(|it| it.deadline.min(it.nudge_at));
        running.chain(self.held.iter().map(|(at, _)| *at)).min()
    }

    /// Looks after the children, ends those that take too long, and tries again what is due.
    pub(super) fn look(&mut self, now: Instant) {
        for it in &mut self.running {
            if now >= it.nudge_at {
                let _ = process::pidfd_kill(it.handle.as_fd(), libc::SIGCONT);
                it.nudge_at = now + NUDGE;
            }
            if now >= it.deadline {
                let _ = process::pidfd_kill(it.handle.as_fd(), libc::SIGKILL);
                // What a kill does not end at once is waited for.
                it.deadline = now + TIME.1;
            }
        }
        let due: Vec<Task> = self
            .held
            .extract_if(.., |(at, _)| *at <= now)
            .map(|(_, task)| task)
            .collect();
        if !due.is_empty() {
            self.waiting.extend(due);
            self.start_waiting();
        }
    }

    /// Notes how a child ended, which was waited for with all others.
    pub(super) fn note_end(&mut self, ended: &process::Ended) {
        for it in self.running.iter_mut().filter(|it| it.pid == ended.pid) {
            it.code = Some(process::exit_code(ended.status));
        }
    }

    /// Takes the end of the child with this handle.
    pub(super) fn on_ended(&mut self, handle: i32) -> Option<Done> {
        let at = self
            .running
            .iter()
            .position(|it| it.handle.as_raw_fd() == handle)?;
        let Running {
            mut task,
            pid,
            code,
            ..
        } = self.running.swap_remove(at);
        // It has ended, so this waits for nothing; that nobody knows how counts as not cleared.
        let code = code.or_else(|| process::wait_for(pid).ok());
        let mut done = Done::of(task.key);
        if let Some((parent, name)) = task.place.take()
            && let Err(errno) = parent.remove_empty(&name)
        {
            if task.is_of_slot {
                let is_first = task.pause.is_none();
                done.left = is_first.then(|| (name.clone(), errno));
                task.place = Some((parent, name));
            } else {
                done.left = self.put_off(name).map(|name| (name, errno));
            }
        }
        if task.is_of_slot {
            done.is_slot_free = code == Some(0) && task.place.is_none();
            if !done.is_slot_free {
                done.is_slot_held = task.pause.is_none();
                let pause = task
                    .pause
                    .map_or(SLOT_PAUSE.0, |it| (it * 2).min(SLOT_PAUSE.1));
                task.pause = Some(pause);
                self.held.push((Instant::now() + pause, task));
            }
        }
        self.start_waiting();
        Some(done)
    }

    /// Notes a directory for a later try; returns its name the first time.
    fn put_off(&mut self, name: String) -> Option<String> {
        let pause = self.later.get(&name).map(|(_, pause)| *pause);
        let next = pause.map_or(PAUSE.0, |it| (it * 2).min(PAUSE.1));
        self.later
            .insert(name.clone(), (Instant::now() + next, next));
        pause.is_none().then_some(name)
    }

    /// Takes the next task that may run: slots' first, one for each user at a time, so that nobody's can take all places.
    fn take_next(&mut self) -> Option<Task> {
        let may_run = |task: &Task| {
            let mut running = self.running.iter().map(|it| &it.task);
            let alike = running
                .clone()
                .filter(|it| it.is_of_slot == task.is_of_slot);
            alike.count() < CHILDREN_MAX && !running.any(|it| it.user.0 == task.user.0)
        };
        let mut waiting = self.waiting.iter();
        let at = waiting
            .position(|it| it.is_of_slot && may_run(it))
            .or_else(|| self.waiting.iter().position(may_run))?;
        self.waiting.remove(at)
    }

    fn start_waiting(&mut self) {
        while let Some(task) = self.take_next() {
            if task.is_of_slot && task.pause.is_some() {
                // Of the account nobody has: what has come to run as it since then could undo or end what is done now.
                let _ = procs::kill_all_of(task.user.0);
            }
            let now = Instant::now();
            match fork_child(&task) {
                Ok((pid, handle)) => self.running.push(Running {
                    task,
                    pid,
                    handle,
                    deadline: now + TIME.1,
                    nudge_at: now + NUDGE,
                    code: None,
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

/// Forks the child that removes; the handle is readable when it has ended. It exits with 0 only if nothing is left.
fn fork_child(task: &Task) -> Sys<(i32, OwnedFd)> {
    let parent = process::own_pid();
    let Some(pid) = process::fork()? else {
        let is_clear = remove(task, parent) == Ok(true);
        process::exit_now(i32::from(!is_clear))
    };
    match process::pidfd(pid) {
        Ok(handle) => Ok((pid, handle)),
        Err(errno) => {
            let _ = process::kill(pid, libc::SIGKILL);
            let _ = process::wait_for(pid);
            Err(errno)
        }
    }
}

/// The child: becomes the user, proves it, removes; says whether nothing is left.
fn remove(task: &Task, parent: i32) -> Sys<bool> {
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
    let mut is_clear = true;
    // First, and with a time of their own: what is in the directory only its user can be slowed down by.
    if task.is_of_slot {
        is_clear &= clear::traces(Instant::now() + TIME.0);
    }
    if let Some((parent, name)) = &task.place {
        let dir = parent.open_child(name)?;
        is_clear &= clear::below(dir.as_fd(), Instant::now() + TIME.0);
    }
    Ok(is_clear)
}

/// Reads the account that a run record of this boot names, if it is a slot's: `pid start boot uid gid account`. What another
/// boot left names nobody: the number may be a person's by now.
pub(super) fn slot_of_record(text: &str, boot: &str) -> Option<((u32, u32), AccountName)> {
    let mut words = text.split_whitespace().skip(2);
    if words.next()? != boot || boot.is_empty() {
        return None;
    }
    let user = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((user, words.next()?.parse().ok()?)).filter(|((uid, _), _)| *uid != 0)
}

/// Reads the run record of a launch.
pub(super) fn read_record(run_dir: BorrowedFd<'_>, key: LaunchKey) -> Option<String> {
    let name = file::c_string(&key.to_string()).ok()?;
    String::from_utf8(file::read_at(run_dir, &name, 256).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_first_and_each_user_has_one_child() {
        let task = |instance, uid, is_of_slot| Task {
            key: LaunchKey {
                job: 1,
                instance,
                launch: 1,
            },
            place: None,
            user: (uid, uid),
            is_of_slot,
            pause: None,
        };
        let mut tidy = Tidy::default();
        let take = |tidy: &mut Tidy| {
            let task = tidy.take_next()?;
            let now = Instant::now();
            let uid = task.user.0;
            tidy.running.push(Running {
                task,
                pid: 0,
                handle: file::open(c"/dev/null", libc::O_RDONLY).unwrap(),
                deadline: now,
                nudge_at: now,
                code: None,
            });
            Some(uid)
        };
        let all = [
            task(1, 1001, false),
            task(2, 1001, false),
            task(3, 901, true),
        ];
        tidy.waiting.extend(all);
        assert_eq!(take(&mut tidy), Some(901));
        assert_eq!(take(&mut tidy), Some(1001));
        assert_eq!(take(&mut tidy), None, "one child for each user");
        // Others, however many, take no place of a slot.
        tidy.waiting
            .extend((0..10).map(|it| task(10 + it, 2001 + it, false)));
        while take(&mut tidy).is_some() {}
        assert_eq!(tidy.running.len(), 1 + CHILDREN_MAX);
        tidy.waiting.push_back(task(4, 902, true));
        assert_eq!(take(&mut tidy), Some(902));
    }

    #[test]
    fn only_records_of_this_boot_name_the_account_of_a_slot() {
        let found = slot_of_record("7 42 boot 901 902 job1\n", "boot");
        assert_eq!(found, Some(((901, 902), "job1".parse().unwrap())));
        for (text, boot) in [
            ("7 42 boot 901 902 job1\n", "later"),
            ("7 42  901 902 job1\n", ""),
            ("7 42 boot 0 0 job1\n", "boot"),
            ("7 42 boot 901 902\n", "boot"),
            ("7 42 boot\n", "boot"),
        ] {
            assert_eq!(slot_of_record(text, boot), None, "{text}");
        }
    }
}
