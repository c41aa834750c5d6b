//! What is particular to macOS, made safe to call: sessions of processes and the walk that finds what belongs to one, what
//! they use, what the machine is. The worker decides; this crate knows no job and no farm.
//!
//! macOS has no control groups, no job objects, no descriptor of a process and no signal at the death of a parent. So what
//! is kept together is a session: a program is started as the leader of its own (`setsid`), and its processes are found by
//! [`walk::members`] over all processes of the system, each named by its number and the moment of its birth.
//!
//! **Invariant:** a process is signalled only after a walk that has just seen it with the birth that is meant.
//!
//! What does not call the system, or calls what Linux has as well, is built and tested everywhere. The rest is compiled and linked in CI, and **has never been
//! run**: see `docs/macos.md`.
#![deny(unsafe_code)]

pub mod left;
pub mod walk;

#[cfg(target_os = "macos")]
mod sys;
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod unix;

#[cfg(target_os = "macos")]
pub use sys::{Held, Started, Tree, awake, boot_id, end_left, hold, machine, start};
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub use unix::{
    Entry, FDS_MAX, by_name, by_uid, can_go_back, close_others_on_exec, gids, groups, groups_of,
    host_name, init_groups, peer_uid, receive_with, send_with, set_gid, set_uid, status_pipe, uids,
};

use std::path::PathBuf;

/// What the system says of the machine; what it does not say is empty or 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// The version of macOS.
    pub version: String,
    /// The processor's name.
    pub processor: String,
    /// Physical memory, bytes.
    pub memory: u64,
    /// Swap space that there is now, bytes.
    pub swap: u64,
}

/// A program to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The program and its arguments; there is at least the program, which is looked for in the `PATH` of `env`.
    pub argv: Vec<String>,
    /// All variables that it sees.
    pub env: Vec<(String, String)>,
    /// Its working directory, absolute.
    pub directory: PathBuf,
    /// Added to its niceness, 0 to 19.
    pub nice: u8,
    /// Permissions that files made by it don't get.
    pub umask: u16,
    /// What it is limited to.
    pub limits: Vec<Limit>,
}

/// A limit of a program's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// What is limited.
    pub resource: Resource,
    /// The soft limit.
    pub soft: u64,
    /// The hard limit.
    pub hard: u64,
}

/// What can be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Size of a core file, bytes.
    Core,
    /// Open files.
    OpenFiles,
    /// Address space, bytes.
    AddressSpace,
    /// CPU time, seconds.
    Cpu,
    /// Size of a written file, bytes.
    FileSize,
    /// Processes of the user.
    Processes,
    /// Stack, bytes.
    Stack,
    /// Locked memory, bytes.
    LockedMemory,
    /// Data segment, bytes.
    Data,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
}

/// What processes have used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// CPU time in user code, microseconds.
    pub user_us: u64,
    /// CPU time in the system, microseconds.
    pub system_us: u64,
    /// Greatest resident memory of one of them, bytes.
    pub memory_max: u64,
}

/// Makes microseconds of the system's own measure, of which `numer / denom` nanoseconds are one.
#[cfg_attr(
    not(any(target_os = "macos", test)),
    expect(dead_code, reason = "for macOS")
)]
fn micros(ticks: u64, numer: u32, denom: u32) -> u64 {
    let nanos = u128::from(ticks) * u128::from(numer) / u128::from(denom.max(1));
    u64::try_from(nanos / 1_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_time() {
        // 125/3 ns, as on Apple's own processors; 1/1 on Intel's.
        assert_eq!(micros(24_000_000, 125, 3), 1_000_000);
        assert_eq!(micros(5_000, 1, 1), 5);
        assert_eq!(micros(u64::MAX, u32::MAX, 1), u64::MAX);
        assert_eq!(micros(7_000, 1, 0), 7);
    }
}
