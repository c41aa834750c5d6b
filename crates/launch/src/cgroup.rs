//! Control groups (version 2): the one thing that nothing of a job can leave.
//!
//! Layout: `<base>/tessera-<farm>-<host>/<job>.<instance>.<launch>/{chain, item-7.1, …}`. Root makes the directory of the
//! instance and gives it to the shepherd's account; the shepherd and its starter live in `chain`, each item in a leaf of
//! its own, which the shepherd makes and removes. Controllers are not needed.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use tessera_ticket::LaunchKey;

use crate::sys::{Errno, Sys, file, process};

/// The most entries of one directory that are looked at.
const ENTRIES_MAX: usize = 65_536;
const CHAIN: &CStr = c"chain";

/// Where this farm's groups are, and whether they may be made there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Where a privileged program puts them: below the own service, else at the top.
    System,
    /// Below the own group, where that was delegated to the user.
    Own,
}

/// Finds the place for this farm's groups and makes it; `None` where there is no version 2 hierarchy, or for a user
/// without a group of their own.
pub(crate) fn farm_dir(place: Place, farm: &str, host: &str) -> Sys<Option<OwnedFd>> {
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
pub(crate) fn remove_farm_dir(farm: &str, host: &str) {
    let remove = || {
        let base = file::c_string(&base_path(Place::System)?).ok()?;
        let base = file::open(&base, libc::O_RDONLY | libc::O_DIRECTORY).ok()?;
        file::remove_dir(base.as_fd(), &farm_name(farm, host).ok()?).ok()
    };
    let _ = remove();
}

fn farm_name(farm: &str, host: &str) -> Sys<CString> {
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
pub(crate) fn make_instance(
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
pub(crate) fn enter_chain(instance: BorrowedFd<'_>) -> Sys<()> {
    file::write_at(instance, c"chain/cgroup.procs", b"0")
}

/// Kills what is in the group of an instance and removes it; says whether it is gone.
pub(crate) fn destroy_instance(farm: BorrowedFd<'_>, key: LaunchKey) -> Sys<bool> {
    let name = launch_name(key)?;
    let dir = match file::open_dir(farm, &name) {
        Ok(dir) => dir,
        Err(Errno(libc::ENOENT)) => return Ok(true),
        Err(errno) => return Err(errno),
    };
    for leaf in leaves(dir.as_fd())? {
        if file::remove_dir(dir.as_fd(), &leaf).is_err() {
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
    let is_leaf = |name: &String| name == "chain" || name.starts_with("item-");
    names
        .iter()
        .filter(|name| is_leaf(name))
        .map(|name| file::c_string(name))
        .collect()
}

/// Returns the launches that have a group here.
pub(crate) fn launches(farm: BorrowedFd<'_>) -> Vec<LaunchKey> {
    let names = file::names(farm, ENTRIES_MAX).unwrap_or_default();
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

/// Names the leaf of an attempt.
pub(crate) fn leaf_name(item: u32, attempt: u32) -> CString {
    CString::new(format!("item-{item}.{attempt}")).unwrap_or_default()
}

/// Makes a leaf and moves a process into it.
pub(crate) fn enter_leaf(instance: BorrowedFd<'_>, leaf: &CStr, pid: i32) -> Sys<()> {
    file::make_dir(instance, leaf, 0o755)?;
    let procs = inner(leaf, "cgroup.procs")?;
    let fd = file::open_at(instance, &procs, libc::O_WRONLY, 0)?;
    file::write_all(fd.as_raw_fd(), pid.to_string().as_bytes())
}

/// Removes a leaf; `false` while there is a process in it.
pub(crate) fn remove_leaf(instance: BorrowedFd<'_>, leaf: &CStr) -> Sys<bool> {
    match file::remove_dir(instance, leaf) {
        Ok(()) | Err(Errno(libc::ENOENT)) => Ok(true),
        Err(Errno(libc::EBUSY)) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Returns the processes in a leaf.
pub(crate) fn pids(instance: BorrowedFd<'_>, leaf: &CStr) -> Vec<i32> {
    let list = inner(leaf, "cgroup.procs").and_then(|name| file::read_at(instance, &name, 1 << 20));
    let list = String::from_utf8_lossy(&list.unwrap_or_default()).into_owned();
    list.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Kills everything in a leaf at once; process by process where the kernel can't (before 5.14).
pub(crate) fn kill_leaf(instance: BorrowedFd<'_>, leaf: &CStr) {
    let at_once = inner(leaf, "cgroup.kill").and_then(|name| file::write_at(instance, &name, b"1"));
    if at_once.is_err() {
        for pid in pids(instance, leaf) {
            let _ = process::kill(pid, libc::SIGKILL);
        }
    }
}

/// Stops or lets go everything in a leaf.
pub(crate) fn freeze_leaf(instance: BorrowedFd<'_>, leaf: &CStr, on: bool) -> Sys<()> {
    let value: &[u8] = if on { b"1" } else { b"0" };
    file::write_at(instance, &inner(leaf, "cgroup.freeze")?, value)
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
