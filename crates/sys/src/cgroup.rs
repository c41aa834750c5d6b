//! Control groups (version 2): the one thing that nothing of a job can leave.
//!
//! Layout: `<base>/tessera-<farm>-<host>/<job>.<instance>.<launch>/{chain, login, holder, item-0, item-1, …}`. Root makes the directory
//! of the instance and gives it to the shepherd's account; the shepherd and its starter live in `chain`, what holds a PAM session
//! in `holder`, which ends last, each item in a leaf that is its own while anything of it is alive. The shepherd makes the leaves and uses an empty one again: to make and
//! remove one for each item costs a twentieth of what a short process does. Controllers are not needed.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use tessera_ticket::LaunchKey;

use crate::limits::{self, MemoryUse};
use crate::{Errno, Sys, file, process};

/// The most entries of one directory that are looked at.
const ENTRIES_MAX: usize = 65_536;
const CHAIN: &CStr = c"chain";
/// Where the user's login shell runs, if it is asked for its environment.
const LOGIN: &CStr = c"login";
/// Where the process is that holds the instance's PAM session, and what modules started.
const HOLDER: &CStr = c"holder";
/// The most bytes of `cgroup.events` that are read; it has two short lines.
const EVENTS_MAX: usize = 256;
/// The most bytes of `cpu.stat` that are read; the times stand in its first three lines.
const CPU_STAT_MAX: usize = 512;

/// Where this farm's groups are, and whether they may be made there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Where a privileged program puts them: below the own service, else at the top.
    System,
    /// Below the own group, where that was delegated to the user.
    Own,
}

/// Finds the place for this farm's groups and makes it; `None` where there is no version 2 hierarchy, or for a user
/// without a group of their own.
pub fn farm_dir(place: Place, farm: &str, host: &str) -> Sys<Option<OwnedFd>> {
    let Some(base) = base_path(place) else {
        return Ok(None);
    };
    let base = file::open(&file::c_string(&base)?, libc::O_RDONLY | libc::O_DIRECTORY)?;
    let name = farm_name(farm, host)?;
    match make_if_missing(base.as_fd(), &name) {
        Err(_) if place == Place::Own => return Ok(None),
        other => other?,
    }
    let dir = file::open_dir(base.as_fd(), &name)?;
    // Only a real hierarchy makes this file.
    let is_real = file::stat_at(dir.as_fd(), c"cgroup.procs").is_ok();
    Ok(is_real.then_some(dir))
}

/// Removes the farm's own group if nothing is in it.
pub fn remove_farm_dir(farm: &str, host: &str) {
    let remove = || {
        let base = file::c_string(&base_path(Place::System)?).ok()?;
        let base = file::open(&base, libc::O_RDONLY | libc::O_DIRECTORY).ok()?;
        file::remove_dir(base.as_fd(), &farm_name(farm, host).ok()?).ok()
    };
    let _ = remove();
}

/// Returns the name of the farm's own groups on a host.
pub fn farm_name(farm: &str, host: &str) -> Sys<CString> {
    let short = |id: &str| id.chars().take(8).collect::<String>();
    file::c_string(&format!("tessera-{}-{}", short(farm), short(host)))
}

/// Returns where new groups go: below the own group when a service manager started this program, else at the top.
fn base_path(place: Place) -> Option<String> {
    let mounts = file::read_path(c"/proc/self/mountinfo", 1 << 20).ok()?;
    let mounts = String::from_utf8_lossy(&mounts).into_owned();
    let mount = mounts.lines().find_map(mount_point)?;
    let own = file::read_path(c"/proc/self/cgroup", 1 << 16).ok()?;
    let own = String::from_utf8_lossy(&own).into_owned();
    let own = own
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .unwrap_or("/");
    match place {
        Place::Own => Some(format!("{mount}{own}")),
        Place::System => Some(format!("{mount}{}", service_of(own))),
    }
}

/// Cuts the path of a group behind the service that it is of; what comes below may be a subgroup for the daemon itself.
fn service_of(own: &str) -> &str {
    let end = own.find(".service/").map(|at| at + ".service".len());
    let end = end.or_else(|| own.ends_with(".service").then_some(own.len()));
    &own[..end.unwrap_or(0)]
}

/// Takes the mount point from a line of mountinfo, if it is that of a version 2 hierarchy.
fn mount_point(line: &str) -> Option<String> {
    let (before, after) = line.split_once(" - ")?;
    if after.split(' ').next() != Some("cgroup2") {
        return None;
    }
    before
        .split(' ')
        .nth(4)
        .map(|path| path.replace("\\040", " "))
}

fn make_if_missing(dir: BorrowedFd<'_>, name: &CStr) -> Sys<()> {
    match file::make_dir(dir, name, 0o755) {
        Err(Errno(libc::EEXIST)) => Ok(()),
        other => other,
    }
}

fn launch_name(key: LaunchKey) -> Sys<CString> {
    file::c_string(&key.to_string())
}

/// Makes the group of an instance with its `chain` and gives what the shepherd needs to its account.
pub fn make_instance(
    farm: BorrowedFd<'_>,
    key: LaunchKey,
    shepherd: Option<(u32, u32)>,
) -> Sys<OwnedFd> {
    let name = launch_name(key)?;
    file::make_dir(farm, &name, 0o755)?;
    let dir = file::open_dir(farm, &name)?;
    file::make_dir(dir.as_fd(), CHAIN, 0o755)?;
    if let Some((uid, gid)) = shepherd {
        for file in [
            c"cgroup.procs",
            c"cgroup.threads",
            c"cgroup.subtree_control",
        ] {
            file::chown_at(dir.as_fd(), file, uid, gid)?;
        }
        file::chown(&dir, uid, gid)?;
    }
    Ok(dir)
}

/// Moves this process into the `chain` of an instance.
pub fn enter_chain(instance: BorrowedFd<'_>) -> Sys<()> {
    file::write_at(instance, c"chain/cgroup.procs", b"0")
}

/// Makes the leaf of the login shell and gives what it takes to kill all in it to the shepherd's account.
pub fn make_login(instance: BorrowedFd<'_>, shepherd: Option<(u32, u32)>) -> Sys<()> {
    file::make_dir(instance, LOGIN, 0o755)?;
    let dir = file::open_dir(instance, LOGIN)?;
    if let Some((uid, gid)) = shepherd {
        file::chown(&dir, uid, gid)?;
        match file::chown_at(dir.as_fd(), c"cgroup.kill", uid, gid) {
            // Before Linux 5.14 there is none, and processes are killed one by one.
            Ok(()) | Err(Errno(libc::ENOENT)) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Moves this process into the leaf of the login shell.
pub fn enter_login(instance: BorrowedFd<'_>) -> Sys<()> {
    file::write_at(instance, c"login/cgroup.procs", b"0")
}

/// Kills what is in the leaf of the login shell and removes it; says whether it is gone.
pub fn clear_login(instance: BorrowedFd<'_>) -> bool {
    clear_leaf(instance, LOGIN)
}

fn clear_leaf(instance: BorrowedFd<'_>, leaf: &CStr) -> bool {
    let is_gone = || {
        matches!(
            file::remove_dir(instance, leaf),
            Ok(()) | Err(Errno(libc::ENOENT))
        )
    };
    is_gone() || {
        kill_leaf(instance, leaf);
        is_gone()
    }
}

/// Makes the leaf of what holds the PAM session; it stays root's.
pub fn make_holder(instance: BorrowedFd<'_>) -> Sys<()> {
    file::make_dir(instance, HOLDER, 0o755)
}

/// Moves this process into the leaf of what holds the PAM session.
pub fn enter_holder(instance: BorrowedFd<'_>) -> Sys<()> {
    file::write_at(instance, c"holder/cgroup.procs", b"0")
}

/// Kills what is in the leaf of what holds the PAM session, but for this process.
pub fn clear_holder(instance: BorrowedFd<'_>) {
    let own = process::own_pid();
    let others = pids(instance, HOLDER).into_iter().filter(|it| *it != own);
    for pid in others {
        let _ = process::kill(pid, libc::SIGKILL);
    }
}

/// Says whether nothing but what holds the PAM session is alive in an instance. Leaves may stand there empty: the launcher
/// removes them, and there may be none.
pub fn is_only_holder(instance: BorrowedFd<'_>) -> bool {
    let is_over = |leaf: &CString| leaf.as_c_str() == HOLDER || is_leaf_empty(instance, leaf);
    leaves(instance).is_ok_and(|all| all.iter().all(is_over))
}

fn is_leaf_empty(instance: BorrowedFd<'_>, leaf: &CStr) -> bool {
    let events = inner(leaf, "cgroup.events");
    match events.and_then(|name| file::read_at(instance, &name, EVENTS_MAX)) {
        // Removed meanwhile, which only an empty one can be.
        Err(Errno(libc::ENOENT | libc::ENODEV)) => true,
        other => says_empty(&other.unwrap_or_default()),
    }
}

/// Reads the text of `cgroup.events`; what says nothing is not empty.
fn says_empty(events: &[u8]) -> bool {
    let mut lines = events.split(|it| *it == b'\n');
    lines.any(|line| line == b"populated 0")
}

/// Kills what holds the PAM session of an instance, and all in its leaf.
pub fn kill_holder(instance: BorrowedFd<'_>) -> bool {
    clear_leaf(instance, HOLDER)
}

/// Opens the group of an instance.
pub fn open_instance(farm: BorrowedFd<'_>, key: LaunchKey) -> Sys<OwnedFd> {
    file::open_dir(farm, &launch_name(key)?)
}

/// Kills what is in the group of an instance and removes it; says whether it is gone. What holds the PAM session is left to
/// end by itself, when it has closed that; see [`kill_holder`].
pub fn destroy_instance(farm: BorrowedFd<'_>, key: LaunchKey) -> Sys<bool> {
    let name = launch_name(key)?;
    let dir = match file::open_dir(farm, &name) {
        Ok(dir) => dir,
        Err(Errno(libc::ENOENT)) => return Ok(true),
        Err(errno) => return Err(errno),
    };
    for leaf in leaves(dir.as_fd())? {
        if file::remove_dir(dir.as_fd(), &leaf).is_err() && leaf.as_c_str() != HOLDER {
            kill_leaf(dir.as_fd(), &leaf);
        }
    }
    // What was only just killed still has to go.
    for leaf in leaves(dir.as_fd())? {
        let _ = file::remove_dir(dir.as_fd(), &leaf);
    }
    match file::remove_dir(farm, &name) {
        Ok(()) | Err(Errno(libc::ENOENT)) => Ok(true),
        Err(_) => Ok(false),
    }
}

fn leaves(dir: BorrowedFd<'_>) -> Sys<Vec<CString>> {
    let names = file::names(dir, ENTRIES_MAX)?;
    let is_leaf = |name: &String| {
        matches!(name.as_str(), "chain" | "login" | "holder") || name.starts_with("item-")
    };
    names
        .iter()
        .filter(|name| is_leaf(name))
        .map(|name| file::c_string(name))
        .collect()
}

/// Returns the launches that have a group here.
pub fn launches(farm: BorrowedFd<'_>) -> Vec<LaunchKey> {
    let names = file::names(farm, ENTRIES_MAX).unwrap_or_default();
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

/// CPU time of all that was in a group, whether anybody waited for it or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuTime {
    /// In user mode, microseconds.
    pub user_us: u64,
    /// In the kernel, microseconds.
    pub system_us: u64,
}

impl CpuTime {
    /// Reads the text of `cpu.stat`, which each group has, controllers or not; nothing where a line is missing.
    fn read(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let value = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(' '));
            lines.find(|(name, _)| *name == key)?.1.parse().ok()
        };
        Some(Self {
            user_us: value("user_usec")?,
            system_us: value("system_usec")?,
        })
    }

    fn since(self, before: Self) -> Self {
        Self {
            user_us: self.user_us.saturating_sub(before.user_us),
            system_us: self.system_us.saturating_sub(before.system_us),
        }
    }
}

/// A leaf and those of its files that each item needs.
#[derive(Debug)]
pub struct Leaf {
    number: usize,
    name: CString,
    procs: OwnedFd,
    events: OwnedFd,
    /// Kernels before 4.15 have it only with the controller.
    cpu: Option<OwnedFd>,
    /// What those had used who were in it before.
    used: CpuTime,
    is_frozen: bool,
    /// Its directory, where memory is counted in it: then no other attempt may use it.
    counts: Option<OwnedFd>,
}

/// What all that was in a leaf used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Of the processors.
    pub cpu: CpuTime,
    /// Of the memory.
    pub memory: MemoryUse,
}

impl Leaf {
    /// Makes a leaf.
    pub fn make(instance: BorrowedFd<'_>, number: usize) -> Sys<Self> {
        let name = file::c_string(&format!("item-{number}"))?;
        file::make_dir(instance, &name, 0o755)?;
        let open = |file: &str, flags| file::open_at(instance, &inner(&name, file)?, flags, 0);
        let dir = file::open_dir(instance, &name)?;
        let counts = Some(dir).filter(|dir| limits::counts_memory(dir.as_fd()));
        if let Some(dir) = &counts {
            limits::end_together(dir.as_fd());
        }
        Ok(Self {
            procs: open("cgroup.procs", libc::O_WRONLY)?,
            events: open("cgroup.events", libc::O_RDONLY)?,
            cpu: open("cpu.stat", libc::O_RDONLY).ok(),
            used: CpuTime::default(),
            number,
            name,
            is_frozen: false,
            counts,
        })
    }

    /// Moves a process into it.
    pub fn enter(&self, pid: i32) -> Sys<()> {
        file::write_all(self.procs.as_raw_fd(), pid.to_string().as_bytes())
    }

    /// Says whether nothing in it is alive.
    pub fn is_empty(&self) -> bool {
        let events = match file::read_part(self.events.as_fd(), 0, EVENTS_MAX) {
            // Somebody removed it, as a service manager does at the end of its unit: only an empty one can be removed.
            Err(Errno(libc::ENODEV)) => return true,
            other => other.unwrap_or_default(),
        };
        says_empty(&events)
    }

    /// Returns the number that its name has.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Says whether it is for one attempt only.
    pub fn is_for_one(&self) -> bool {
        self.counts.is_some()
    }

    /// Takes what was used in it since this was last asked; nothing where that isn't counted, or when somebody has removed it.
    pub fn take_used(&mut self, instance: BorrowedFd<'_>) -> Used {
        let cpu = self.take_cpu();
        let counts = self.counts.as_ref();
        Used {
            cpu,
            memory: counts.map_or_else(MemoryUse::default, |dir| {
                limits::of_leaf(dir.as_fd(), instance)
            }),
        }
    }

    fn take_cpu(&mut self) -> CpuTime {
        let text = self
            .cpu
            .as_ref()
            .and_then(|cpu| file::read_part(cpu.as_fd(), 0, CPU_STAT_MAX).ok());
        let now = text.and_then(|text| CpuTime::read(&text));
        let now = now.unwrap_or(self.used);
        let used = now.since(self.used);
        self.used = now;
        used
    }

    /// Removes it, if it is empty.
    pub fn remove(self, instance: BorrowedFd<'_>) {
        let _ = file::remove_dir(instance, &self.name);
    }

    /// Returns the processes in it.
    pub fn pids(&self, instance: BorrowedFd<'_>) -> Vec<i32> {
        pids(instance, &self.name)
    }

    /// Kills everything in it at once.
    pub fn kill(&self, instance: BorrowedFd<'_>) {
        kill_leaf(instance, &self.name);
    }

    /// Stops or lets go everything in it.
    pub fn freeze(&mut self, instance: BorrowedFd<'_>, on: bool) -> Sys<()> {
        if self.is_frozen == on {
            return Ok(());
        }
        let value: &[u8] = if on { b"1" } else { b"0" };
        file::write_at(instance, &inner(&self.name, "cgroup.freeze")?, value)?;
        self.is_frozen = on;
        Ok(())
    }
}

fn pids(instance: BorrowedFd<'_>, leaf: &CStr) -> Vec<i32> {
    let list = inner(leaf, "cgroup.procs").and_then(|name| file::read_at(instance, &name, 1 << 20));
    let list = String::from_utf8_lossy(&list.unwrap_or_default()).into_owned();
    list.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Kills everything in a leaf at once; process by process where the kernel can't (before 5.14).
fn kill_leaf(instance: BorrowedFd<'_>, leaf: &CStr) {
    let at_once = inner(leaf, "cgroup.kill").and_then(|name| file::write_at(instance, &name, b"1"));
    if at_once.is_err() {
        for pid in pids(instance, leaf) {
            let _ = process::kill(pid, libc::SIGKILL);
        }
    }
}

fn inner(leaf: &CStr, name: &str) -> Sys<CString> {
    file::c_string(&format!("{}/{name}", leaf.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_version_2_mounts_count() {
        let line = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw";
        assert_eq!(mount_point(line), Some("/sys/fs/cgroup/unified".into()));
        let line = "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd";
        assert_eq!(mount_point(line), None);
    }

    #[test]
    fn cpu_times_are_read_and_subtracted() {
        let text = b"usage_usec 70\nuser_usec 50\nsystem_usec 20\nnice_usec 0\nnr_periods 1\n";
        let read = CpuTime::read(text).expect("both are there");
        assert_eq!((read.user_us, read.system_us), (50, 20));
        let before = CpuTime {
            user_us: 20,
            system_us: 30,
        };
        let since = read.since(before);
        assert_eq!((since.user_us, since.system_us), (30, 0));
        for text in [
            &b""[..],
            b"user_usec 5\n",
            b"user_usec x\nsystem_usec 1\n",
            b"\xff",
        ] {
            assert_eq!(CpuTime::read(text), None);
        }
    }

    #[test]
    fn only_what_says_so_is_empty() {
        assert!(says_empty(b"populated 0\nfrozen 0\n"));
        for text in [
            &b"populated 1\nfrozen 0\n"[..],
            b"populated 0x\n",
            b"frozen 0\n",
            b"",
        ] {
            assert!(!says_empty(text), "{text:?}");
        }
    }

    #[test]
    fn groups_go_below_the_service() {
        assert_eq!(
            service_of("/system.slice/t.service/daemon"),
            "/system.slice/t.service"
        );
        assert_eq!(
            service_of("/system.slice/t.service"),
            "/system.slice/t.service"
        );
        assert_eq!(service_of("/user.slice/session-3.scope"), "");
        assert_eq!(service_of("/"), "");
    }
}
