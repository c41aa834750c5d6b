//! Linux.

use std::time::Duration;

use nix::sys::utsname::uname;
use nix::time::{ClockId, clock_gettime};

use super::Machine;

/// Ticks in a second of `/proc/PID/stat`, the same on every Linux.
const TICKS_PER_SECOND: u64 = 100;

/// Answers the time since the host was started, sleep not included: what limits are measured in.
pub(crate) fn awake() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

/// Answers the time since the host was started, sleep included: what processes are dated by.
fn since_boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}

/// Answers what no two starts of the host have in common.
pub(crate) fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// Answers for how long a process has run; nothing when that is not known.
pub(crate) fn age_of(pid: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    started_at(&text).map_or(Duration::ZERO, |started| {
        since_boot().saturating_sub(started)
    })
}

/// Reads the start of a process from its `stat`, as time since the host was started.
fn started_at(stat: &str) -> Option<Duration> {
    // The name, in parentheses, may hold anything; the start is the 20th field behind it.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: u64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    Some(Duration::from_millis(
        ticks.saturating_mul(1_000 / TICKS_PER_SECOND),
    ))
}

/// Looks at the machine.
pub(crate) fn machine() -> Machine {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let text = |name| field(&cpuinfo, name).unwrap_or_default().to_owned();
    let mib = |name| {
        let kib = field(&meminfo, name).and_then(|it| it.split(' ').next()?.parse::<u64>().ok());
        kib.unwrap_or(0) / 1024
    };
    let mhz = field(&cpuinfo, "cpu MHz").and_then(|it| it.split('.').next()?.parse().ok());
    let kernel = uname().map(|it| it.release().to_string_lossy().into_owned());
    Machine {
        kernel_version: kernel.unwrap_or_default(),
        processor_make: text("vendor_id"),
        processor_model: text("model name"),
        processor_speed: mhz.unwrap_or(0),
        memory: mib("MemTotal"),
        swap: mib("SwapTotal"),
    }
}

/// Finds `name : value` in a file of /proc.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_run_since_its_start() {
        let stat = "12 (a) b) S 1 2 3 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4250 0 0";
        assert_eq!(started_at(stat), Some(Duration::from_millis(42_500)));
        assert!(started_at("nonsense").is_none());
        assert!(age_of(std::process::id()) < since_boot());
        assert_eq!(age_of(u32::MAX), Duration::ZERO);
    }

    #[test]
    fn files_of_proc_are_read() {
        assert_eq!(field("a b\t: c d \n", "a b"), Some("c d"));
    }
}
