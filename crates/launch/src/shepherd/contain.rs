//! How what an item started is kept together: its own control group, or, where there is none, what the process table says.

use std::os::fd::{AsFd as _, OwnedFd};

use crate::sys::{Sys, process};
use crate::{cgroup, procs};

/// Names an attempt and its main process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) item: u32,
    pub(super) attempt: u32,
    /// The main process; 0 when there never was one.
    pub(super) pid: i32,
}

/// The way of keeping together.
#[derive(Debug)]
pub(crate) enum Containment {
    /// A leaf below this directory for each attempt.
    Cgroup(OwnedFd),
    /// Sessions and descendants, found by walking `/proc`.
    Session,
}

/// The most rounds of stopping and looking again, until a walk finds nobody new.
const ROUNDS_MAX: usize = 32;

impl Containment {
    /// Puts the main process where it belongs, before its program runs.
    pub(super) fn enter(&self, who: Member) -> Sys<()> {
        match self {
            Self::Cgroup(dir) => {
                let leaf = cgroup::leaf_name(who.item, who.attempt);
                cgroup::enter_leaf(dir.as_fd(), &leaf, who.pid)
            }
            Self::Session => Ok(()),
        }
    }

    /// Says whether nothing of the attempt is alive, and clears up if so. The main process has been waited for.
    pub(super) fn is_empty(&self, who: Member, starter: i32, others: &[Member]) -> bool {
        match self {
            Self::Cgroup(dir) => {
                let leaf = cgroup::leaf_name(who.item, who.attempt);
                cgroup::remove_leaf(dir.as_fd(), &leaf).unwrap_or(false)
            }
            Self::Session => session_members(who, starter, others).is_empty(),
        }
    }

    /// Kills all that is left and says how many that were.
    pub(super) fn kill(&self, who: Member, starter: i32, others: &[Member]) -> u32 {
        let killed = match self {
            Self::Cgroup(dir) => {
                let leaf = cgroup::leaf_name(who.item, who.attempt);
                let left = cgroup::pids(dir.as_fd(), &leaf).len();
                cgroup::kill_leaf(dir.as_fd(), &leaf);
                left
            }
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
    pub(super) fn freeze(&self, who: Member, starter: i32, others: &[Member], on: bool) {
        match self {
            Self::Cgroup(dir) => {
                let leaf = cgroup::leaf_name(who.item, who.attempt);
                let _ = cgroup::freeze_leaf(dir.as_fd(), &leaf, on);
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
    let is_alone = others.iter().all(|it| *it == who);
    procs::descendants(process::own_pid())
        .into_iter()
        .filter(|it| it.pid != starter && (is_alone || it.session == who.pid))
        .map(|it| it.pid)
        .collect()
}
