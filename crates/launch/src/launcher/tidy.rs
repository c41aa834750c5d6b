//! What is to be cleared up behind instances that are gone, in what order, and when it is tried again. Processes of their own do it
//! (the crate `clear`); this one takes an empty directory away, and nothing else.

use std::collections::VecDeque;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tessera_ticket::{AccountName, LaunchKey};

use tessera_clear::Order;
use tessera_identity::tmpdir::Parent;
use tessera_sys::{Errno, file};

/// The most processes at once, of slots and of others each: neither keep the other waiting.
const PROCESSES_MAX: usize = 4;
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

/// All of it: each launch is at one place.
#[derive(Debug)]
pub(super) struct Tidy {
    program: OwnedFd,
    waiting: VecDeque<Task>,
    /// With where the answer comes.
    running: Vec<(OwnedFd, Task)>,
    /// What could not be removed, and when to try again.
    later: Vec<(Instant, Task)>,
}

impl Tidy {
    /// Clears up with this program.
    pub(super) fn new(program: OwnedFd) -> Self {
        Self {
            program,
            waiting: VecDeque::new(),
            running: Vec::new(),
            later: Vec::new(),
        }
    }

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
        self.add(Task {
            key,
            place,
            user: of_slot.unwrap_or_default(),
            is_of_slot: of_slot.is_some(),
            pause: None,
        })
    }

    fn add(&mut self, mut task: Task) -> Option<Done> {
        // The common case costs one call: nothing is in there.
        let place = task.place.take();
        task.place = place.filter(|(parent, name)| parent.remove_empty(name).is_err());
        if !task.is_of_slot {
            let owner = task.place.as_ref().map(|(parent, name)| parent.owner(name));
            match owner {
                Some(Ok(user)) if user.0 != 0 => task.user = user,
                // Root's own: not given away yet, or not ours.
                None | Some(Ok(_)) => return Some(Done::of(task.key)),
                Some(Err(_)) => return Some(self.settle(task, false)),
            }
        }
        self.waiting.push_back(task);
        self.start_waiting();
        None
    }

    fn tasks(&self) -> impl Iterator<Item = &Task> {
        let running = self.running.iter().map(|(_, task)| task);
        let later = self.later.iter().map(|(_, task)| task);
        self.waiting.iter().chain(running).chain(later)
    }

    /// Says whether a launch is being cleared up behind, or will be again.
    pub(super) fn has(&self, key: LaunchKey) -> bool {
        self.tasks().any(|it| it.key == key)
    }

    /// Returns where the processes' answers come.
    pub(super) fn answers(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.running.iter().map(|(answer, _)| answer.as_fd())
    }

    /// Returns when the next try is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.later.iter().map(|(at, _)| *at).min()
    }

    /// Tries again what is due.
    pub(super) fn look(&mut self, now: Instant) {
        let due = self.later.extract_if(.., |(at, _)| *at <= now);
        let due: Vec<Task> = due.map(|(_, task)| task).collect();
        for task in due {
            // That it is not the first try was told.
            let _ = self.add(task);
        }
        self.start_waiting();
    }

    /// Takes the answer that has come here.
    pub(super) fn on_answer(&mut self, number: i32) -> Option<Done> {
        let mut running = self.running.iter();
        let at = running.position(|(answer, _)| answer.as_raw_fd() == number)?;
        let is_done = tessera_clear::is_done(&self.running[at].0)?;
        let (_, task) = self.running.swap_remove(at);
        let done = self.settle(task, is_done);
        self.start_waiting();
        Some(done)
    }

    /// Takes the directory away if that can be done now, and notes what is left for a later try.
    fn settle(&mut self, mut task: Task, is_done: bool) -> Done {
        let is_first = task.pause.is_none();
        let place = task.place.take();
        let removed = place.map(|(parent, name)| match parent.remove_empty(&name) {
            Ok(()) => Ok(()),
            Err(errno) => Err((parent, name, errno)),
        });
        let mut done = Done::of(task.key);
        if let Some(Err((parent, name, errno))) = removed {
            done.left = is_first.then(|| (name.clone(), errno));
            task.place = Some((parent, name));
        }
        done.is_slot_free = task.is_of_slot && is_done && task.place.is_none();
        done.is_slot_held = task.is_of_slot && !done.is_slot_free && is_first;
        if task.place.is_some() || (task.is_of_slot && !done.is_slot_free) {
            let (first, longest) = if task.is_of_slot { SLOT_PAUSE } else { PAUSE };
            let pause = task.pause.map_or(first, |it| (it * 2).min(longest));
            task.pause = Some(pause);
            self.later.push((Instant::now() + pause, task));
        }
        done
    }

    /// Takes the next task that may run: slots' first, one for each user at a time, so that nobody's can take all places.
    fn take_next(&mut self) -> Option<Task> {
        let may_run = |task: &Task| {
            let mut running = self.running.iter().map(|(_, it)| it);
            let alike = running
                .clone()
                .filter(|it| it.is_of_slot == task.is_of_slot);
            alike.count() < PROCESSES_MAX && !running.any(|it| it.user.0 == task.user.0)
        };
        let mut waiting = self.waiting.iter();
        let at = waiting
            .position(|it| it.is_of_slot && may_run(it))
            .or_else(|| self.waiting.iter().position(may_run))?;
        self.waiting.remove(at)
    }

    fn start_waiting(&mut self) {
        while let Some(task) = self.take_next() {
            // Of one that can't be opened now nothing is removed, and what is left elsewhere goes all the same.
            let place = task.place.as_ref();
            let place = place.and_then(|(parent, name)| parent.place(name).ok());
            let order = Order {
                user: task.user,
                is_of_slot: task.is_of_slot,
                has_place: place.is_some(),
            };
            match tessera_clear::start(self.program.as_fd(), &order, place.as_ref()) {
                Ok(answer) => self.running.push((answer, task)),
                // No process to be had: all of it later, in order.
                Err(_) => return self.waiting.push_front(task),
            }
        }
    }
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
        let null = || file::open(c"/dev/null", libc::O_RDONLY).unwrap();
        let mut tidy = Tidy::new(null());
        let take = |tidy: &mut Tidy| {
            let task = tidy.take_next()?;
            let uid = task.user.0;
            tidy.running.push((null(), task));
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
        assert_eq!(tidy.running.len(), 1 + PROCESSES_MAX);
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
