//! Linux, and what of it other Unix systems have.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::Path;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::statvfs::statvfs;
use nix::sys::utsname::uname;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Uid, User, gethostname};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Machine;
use crate::error::WorkerError;

/// Ticks in a second of `/proc/PID/stat`, the same on every Linux.
const TICKS_PER_SECOND: u64 = 100;

pub(super) fn make_private(options: &mut OpenOptions) {
    options.mode(0o600);
}

pub(super) fn follow_no_link(options: &mut OpenOptions) {
    options.custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits());
}

/// Answers how to make a directory, with all above it, that is private (0700).
pub(crate) fn dirs() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
}

/// Sees to it that a directory is ours and private.
pub(crate) fn claim(path: &Path) -> Result<(), WorkerError> {
    let found = path
        .symlink_metadata()
        .map_err(WorkerError::state("look at", path))?;
    let uid = Uid::effective().as_raw();
    if found.uid() != uid {
        return Err(WorkerError::ForeignState {
            path: path.to_owned(),
            owner: found.uid(),
            uid,
        });
    }
    if found.mode() & 0o077 != 0 {
        std::fs::set_permissions(path, Permissions::from_mode(0o700))
            .map_err(WorkerError::state("make private", path))?;
    }
    Ok(())
}

/// Reads from a place in a file; fewer bytes than asked for only at its end, or when the system likes.
pub(crate) fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(bytes, offset)
}

/// Answers the bytes that this user may still write below a path, as far as is known.
pub(crate) fn free_space(path: &Path) -> Option<u64> {
    let found = statvfs(path).ok()?;
    Some(
        found
            .blocks_available()
            .saturating_mul(found.fragment_size()),
    )
}

/// Answers the name of the account that this process runs as.
pub(crate) fn own_account() -> Result<String, WorkerError> {
    let uid = Uid::effective();
    match User::from_uid(uid) {
        Ok(Some(user)) => Ok(user.name),
        Ok(None) | Err(_) => Err(WorkerError::NoAccount {
            uid: uid.to_string(),
        }),
    }
}

/// Says whether jobs as this process' account could do anything to the host.
pub(crate) fn is_privileged() -> bool {
    Uid::effective().is_root()
}

/// Answers the name that the host gives itself, if it has one.
pub(crate) fn host_name() -> Option<String> {
    gethostname().ok()?.into_string().ok()
}

/// Cancels `stop` at SIGTERM or SIGINT. The task ends with the first of them.
pub(crate) fn cancel_on_signals(stop: CancellationToken) -> Result<JoinHandle<()>, WorkerError> {
    let mut term = signal(SignalKind::terminate()).map_err(WorkerError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(WorkerError::Signals)?;
    Ok(tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    }))
}

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

    #[test]
    fn what_we_write_is_ours_alone_and_no_link_is_followed() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        let mut options = super::super::to_write();
        options.create(true).truncate(true);
        options.open(&file).expect("makes");
        let mode = file.metadata().expect("is there").mode();
        assert_eq!(mode & 0o7777, 0o600);
        std::os::unix::fs::symlink(&file, &link).expect("links");
        assert!(options.open(&link).is_err());
        assert!(super::super::to_read().open(&link).is_err());
    }
}
