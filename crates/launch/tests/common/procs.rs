//! What the kernel tells of processes.

use std::fmt::Display;
use std::fs;

/// Returns a field of the text of `/proc/PID/status`, its words parted by one blank.
pub fn status_field(text: &str, name: &str) -> Option<String> {
    let line = text
        .lines()
        .find_map(|it| it.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Returns a field of the status of a process (a number or `self`), or nothing when it is gone.
pub fn status_of(pid: impl Display, name: &str) -> Option<String> {
    status_field(
        &fs::read_to_string(format!("/proc/{pid}/status")).ok()?,
        name,
    )
}

/// The numbers of the processes with this uid that have not ended.
pub fn processes_of(uid: u32) -> Vec<i32> {
    let is_of = |pid: &i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let is_dead = status_field(&status, "State").is_none_or(|it| it.starts_with('Z'));
        let owner = status_field(&status, "Uid").unwrap_or_default();
        !is_dead && owner.split(' ').next() == Some(&uid.to_string())
    };
    let pids = fs::read_dir("/proc").unwrap().flatten();
    pids.filter_map(|it| it.file_name().to_str()?.parse().ok())
        .filter(is_of)
        .collect()
}

/// Whether the process is there and has not ended.
pub fn alive(pid: u32) -> bool {
    status_of(pid, "State").is_some_and(|it| !it.starts_with('Z'))
}

/// Whether this process may raise hard limits and lower scores (`CAP_SYS_RESOURCE`), which not every root may.
pub fn may_raise_limits() -> bool {
    const CAP_SYS_RESOURCE: u64 = 1 << 24;
    let caps = status_of("self", "CapEff").unwrap();
    u64::from_str_radix(&caps, 16).unwrap() & CAP_SYS_RESOURCE != 0
}
