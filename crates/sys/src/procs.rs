//! What `/proc` knows of processes; the lesser containment where there are no control groups.

use std::os::fd::AsFd as _;

use tessera_ticket::LaunchKey;

use crate::{file, process};

/// The most processes looked at in one walk.
const WALK_MAX: usize = 1 << 17;

/// A process at one moment; number and start time together name it for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proc {
    /// Its number.
    pub pid: i32,
    /// Its parent's number.
    pub parent: i32,
    /// Its session leader's number.
    pub session: i32,
    /// Clock ticks since boot.
    pub start: u64,
    /// It has ended and only waits to be waited for.
    pub is_dead: bool,
}

/// Reads one process; `None` when it is not there.
pub fn read(pid: i32) -> Option<Proc> {
    let path = file::c_string(&format!("/proc/{pid}/stat")).ok()?;
    parse(
        pid,
        &String::from_utf8_lossy(&file::read_path(&path, 4096).ok()?),
    )
}

/// Takes the fields behind the name, which may hold anything, `)` included.
fn parse(pid: i32, stat: &str) -> Option<Proc> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    Some(Proc {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
        is_dead: matches!(*fields.first()?, "Z" | "X"),
    })
}

/// Returns the numbers of all processes.
fn all_pids() -> Vec<i32> {
    let Ok(list) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    list.take(WALK_MAX)
        .filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// Returns the living descendants of a process.
pub fn descendants(of: i32) -> Vec<Proc> {
    let all: Vec<Proc> = all_pids().into_iter().filter_map(read).collect();
    let mut family = vec![of];
    let mut found: Vec<Proc> = Vec::new();
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        next += 1;
        for it in all
            .iter()
            .filter(|it| it.parent == parent && !family.contains(&it.pid))
        {
            found.push(*it);
        }
        family = std::iter::once(of)
            .chain(found.iter().map(|it| it.pid))
            .collect();
    }
    found.retain(|it| !it.is_dead);
    found
}

/// Returns the living processes whose environment carries the mark of a launch of a farm.
///
/// A hint, used only where there are no control groups: a process can change what its environment shows.
pub fn marked(farm: &str, key: LaunchKey) -> Vec<i32> {
    let launch = format!("TESSERA_LAUNCH={key}");
    let farm = format!("TESSERA_FARM={farm}");
    let has = |environ: &[u8], mark: &str| {
        environ
            .split(|byte| *byte == 0)
            .any(|it| it == mark.as_bytes())
    };
    let is_marked = |pid: &i32| {
        let Ok(path) = file::c_string(&format!("/proc/{pid}/environ")) else {
            return false;
        };
        let environ = file::read_path(&path, 1 << 22).unwrap_or_default();
        has(&environ, &launch) && has(&environ, &farm)
    };
    all_pids()
        .into_iter()
        .filter(|pid| read(*pid).is_some_and(|it| !it.is_dead) && is_marked(pid))
        .collect()
}

/// Kills all processes of an account that is nobody's but one instance's, and says how many there were.
pub fn kill_all_of(uid: u32) -> usize {
    let all = of_uid(uid);
    for &pid in &all {
        let Ok(handle) = process::pidfd(pid) else {
            continue;
        };
        // Looked at again after the handle was opened: now the number can't have passed to somebody else.
        if is_of(pid, uid) {
            let _ = process::pidfd_kill(handle.as_fd(), libc::SIGKILL);
        }
    }
    all.len()
}

/// Returns the living processes of an account.
pub fn of_uid(uid: u32) -> Vec<i32> {
    let mut all = all_pids();
    all.retain(|pid| is_of(*pid, uid));
    all
}

fn is_of(pid: i32, uid: u32) -> bool {
    let Ok(path) = file::c_string(&format!("/proc/{pid}/status")) else {
        return false;
    };
    let status = file::read_path(&path, 1 << 16).unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let is_dead = field("State:").is_some_and(|it| it.trim_start().starts_with(['Z', 'X']));
    let uid = uid.to_string();
    !is_dead && field("Uid:").is_some_and(|it| it.split_whitespace().any(|it| it == uid))
}

/// Returns the process that a run record (`pid start boot`, and what the launcher needs behind them) names, if it is alive and still the same.
pub fn of_record(text: &str) -> Option<i32> {
    let mut words = text.split_whitespace();
    let (pid, start) = (
        words.next()?.parse().ok()?,
        words.next()?.parse::<u64>().ok()?,
    );
    let is_of_this_boot = words.next()? == boot_id();
    let found = read(pid)?;
    (is_of_this_boot && found.start == start && !found.is_dead).then_some(pid)
}

/// Returns the number of this boot of the host, so that records of another boot name nobody.
pub fn boot_id() -> String {
    let bytes = file::read_path(c"/proc/sys/kernel/random/boot_id", 64).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_hold_anything() {
        let stat = "7 (a) S 1 1) R 5 6 77 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4242 1 2";
        let wanted = Proc {
            pid: 7,
            parent: 5,
            session: 77,
            start: 4242,
            is_dead: false,
        };
        assert_eq!(parse(7, stat), Some(wanted));
        assert_eq!(parse(7, "nonsense"), None);
    }

    #[test]
    fn this_process_is_found() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let own = read(pid).unwrap();
        assert!(own.start > 0 && !own.is_dead);
        assert!(descendants(own.parent).iter().any(|it| it.pid == pid));
    }
}
