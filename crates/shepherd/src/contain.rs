//! How what an item started is kept together: its own control group, or, where there is none, what the process table says.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use tessera_sys::cgroup::{Leaf, Used};
use tessera_sys::limits::Counted;
use tessera_sys::procs;
use tessera_sys::{Errno, Sys, process};

/// Names an attempt and its main process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) item: u32,
    pub(crate) attempt: u32,
    /// The main process; 0 when there never was one.
    pub(crate) pid: i32,
}

impl Member {
    fn name(self) -> (u32, u32) {
        (self.item, self.attempt)
    }
}

/// The way of keeping together.
#[derive(Debug)]
pub(crate) enum Containment {
    /// A leaf for each attempt.
    Cgroup(Leaves),
    /// Sessions and descendants, found by walking `/proc`.
    Session,
}

/// The leaves below the group of an instance.
#[derive(Debug)]
pub(crate) struct Leaves {
    dir: OwnedFd,
    /// Each with the attempt that has it.
    all: Vec<(Leaf, Option<(u32, u32)>)>,
    /// How many were made.
    made: usize,
    /// The instance's group in an older tree that counts memory, if it has one.
    memory: Option<(OwnedFd, Counted)>,
}

/// The most rounds of stopping and looking again, until a walk finds nobody new.
const ROUNDS_MAX: usize = 32;

impl Leaves {
    fn of(&mut self, who: Member) -> Option<(&mut Leaf, BorrowedFd<'_>)> {
        let dir = self.dir.as_fd();
        let leaf = self.all.iter_mut().find(|(_, of)| *of == Some(who.name()));
        leaf.map(|(leaf, _)| (leaf, dir))
    }

    /// Moves a process into a leaf where nobody else is.
    fn enter(&mut self, who: Member) -> Sys<()> {
        let free = self.all.iter().position(|(_, of)| of.is_none());
        let at = match free {
            Some(at) => at,
            None => {
                let leaf = Leaf::make(self.dir.as_fd(), self.made)?;
                self.made += 1;
                self.all.push((leaf, None));
                self.all.len() - 1
            }
        };
        let Some((leaf, of)) = self.all.get_mut(at) else {
            return Ok(());
        };
        // Also when it did not get there: then nothing is in the leaf, which the end of the attempt finds.
        *of = Some(who.name());
        match leaf.enter(who.pid) {
            // A service manager removed the empty leaf at the end of its unit.
            Err(Errno(libc::ENODEV | libc::ENOENT)) => {
                *leaf = Leaf::make(self.dir.as_fd(), leaf.number())?;
                leaf.enter(who.pid)
            }
            other => other,
        }
    }

    /// Answers what the attempt used when nothing of it is alive; its leaf is free then.
    fn leave(&mut self, who: Member) -> Option<Used> {
        let name = Some(who.name());
        let Some(at) = self.all.iter().position(|(_, of)| *of == name) else {
            return Some(Used::default());
        };
        let (leaf, of) = self.all.get_mut(at)?;
        let dir = self.dir.as_fd();
        if !(leaf.is_empty() && leaf.freeze(dir, false).is_ok()) {
            return None;
        }
        *of = None;
        let mut used = leaf.take_used(dir);
        if leaf.is_for_one() {
            self.all.swap_remove(at).0.remove(dir);
        }
        if let Some((group, counted)) = &mut self.memory {
            used.memory = counted.take(group.as_fd());
        }
        Some(used)
    }
}

impl Containment {
    /// Keeps together below this directory, or by sessions.
    pub(crate) fn new(group: Option<OwnedFd>, memory: Option<OwnedFd>) -> Self {
        let leaves = |dir| {
            let mut memory = memory.map(|dir| (dir, Counted::default()));
            if let Some((group, counted)) = &mut memory {
                // What the chain had while it began is nobody's.
                counted.take(group.as_fd());
            }
            Self::Cgroup(Leaves {
                dir,
                all: Vec::new(),
                made: 0,
                memory,
            })
        };
        group.map_or(Self::Session, leaves)
    }

    /// Says whether two attempts can be there at once and be told apart whatever they do.
    pub(crate) fn tells_apart(&self) -> bool {
        matches!(self, Self::Cgroup(_))
    }

    /// Puts the main process where it belongs, before its program runs.
    pub(crate) fn enter(&mut self, who: Member) -> Sys<()> {
        match self {
            Self::Cgroup(leaves) => leaves.enter(who),
            Self::Session => Ok(()),
        }
    }

    /// When nothing of the attempt is alive, clears up and answers what all of it used, nothing where no group counts that.
    /// The main process has been waited for.
    pub(crate) fn leave(&mut self, who: Member, starter: i32, others: &[Member]) -> Option<Used> {
        match self {
            Self::Cgroup(leaves) => leaves.leave(who),
            Self::Session => session_members(who, starter, others)
                .is_empty()
                .then(Used::default),
        }
    }

    /// Kills all that is left and says how many that were.
    pub(crate) fn kill(&mut self, who: Member, starter: i32, others: &[Member]) -> u32 {
        let killed = match self {
            Self::Cgroup(leaves) => leaves.of(who).map_or(0, |(leaf, dir)| {
                let left = leaf.pids(dir).len();
                leaf.kill(dir);
                left
            }),
            Self::Session => {
                let all = stop_all(who, starter, others);
                for &pid in &all {
                    let _ = process::kill(pid, libc::SIGKILL);
                }
                all.len()
            }
        };
        u32::try_from(killed).unwrap_or(u32::MAX)
    }

    /// Stops the processes of an attempt, or lets them go on.
    pub(crate) fn freeze(&mut self, who: Member, starter: i32, others: &[Member], on: bool) {
        match self {
            Self::Cgroup(leaves) => {
                if let Some((leaf, dir)) = leaves.of(who) {
                    let _ = leaf.freeze(dir, on);
                }
            }
            Self::Session if on => {
                stop_all(who, starter, others);
            }
            Self::Session => {
                for pid in session_members(who, starter, others) {
                    let _ = process::kill(pid, libc::SIGCONT);
                }
            }
        }
    }

    /// Removes what is left of the leaves; nothing is alive in them.
    pub(crate) fn clear(&mut self) {
        if let Self::Cgroup(leaves) = self {
            for (leaf, _) in leaves.all.drain(..) {
                leaf.remove(leaves.dir.as_fd());
            }
        }
    }
}

/// Stops everybody, looking again until nobody new appears, so that a fork can't slip through.
fn stop_all(who: Member, starter: i32, others: &[Member]) -> Vec<i32> {
    let mut known: Vec<i32> = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let now = session_members(who, starter, others);
        let before = known.len();
        for pid in now {
            if !known.contains(&pid) {
                let _ = process::kill(pid, libc::SIGSTOP);
                known.push(pid);
            }
        }
        if known.len() == before {
            break;
        }
    }
    known
}

/// Finds what belongs to an attempt: all descendants of the shepherd but the starter when the attempt is the only one,
/// else those of its session. All of them are descendants of this process, which alone waits for them, so their numbers
/// stay theirs while it works.
fn session_members(who: Member, starter: i32, others: &[Member]) -> Vec<i32> {
    let is_alone = others.iter().all(|it| it.pid == 0 || *it == who);
    procs::descendants(process::own_pid())
        .into_iter()
        .filter(|it| it.pid != starter && (is_alone || it.session == who.pid))
        .map(|it| it.pid)
        .collect()
}
