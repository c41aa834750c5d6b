//! Who holds a lock, and who keeps what runs: told from `/proc`.

use super::{entries, launch_folders};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Answers the process that holds a lock of the kind `flock` on a file, as far as the caller may see that.
///
/// The kernel's list names files by numbers that some file systems (btrfs, overlays) show to nobody else, so it only says
/// which processes to look at.
pub(crate) fn lock_holder(path: &Path) -> Option<i32> {
    let wanted = path.symlink_metadata().ok()?;
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let is_it = |entry: PathBuf| {
        let found = entry.metadata();
        found.is_ok_and(|it| (it.dev(), it.ino()) == (wanted.dev(), wanted.ino()))
    };
    lockers(&locks).into_iter().find(|pid| {
        let open = entries(Path::new(&format!("/proc/{pid}/fd"))).unwrap_or_default();
        open.into_iter().any(is_it)
    })
}

/// Answers the processes that hold such locks on anything.
fn lockers(locks: &str) -> BTreeSet<i32> {
    let one = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            // One that waits for the lock has an arrow behind its number.
            [_, "FLOCK", _, _, pid, ..] => pid.parse().ok(),
            _ => None,
        }
    };
    locks.lines().filter_map(one).collect()
}

/// Ends the shepherds of a farm's folder, and so what runs.
pub(super) fn end_launches(state: &Path) -> Result<(), String> {
    for record in records(state)? {
        if let Some(pid) = living(&record) {
            match kill(pid, Signal::SIGKILL) {
                Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
                Err(errno) => return Err(format!("can't end process {pid}: {errno}")),
            }
        }
    }
    Ok(())
}

/// Answers what is written down of the shepherds: by the launcher, which is root's, or in a desktop's spool.
fn records(state: &Path) -> Result<Vec<String>, String> {
    let mut files = entries(&state.join("launcher/run"))?;
    let is_service = state.join("launcher").exists();
    if !is_service {
        for folder in launch_folders(state)? {
            let is_lock = |path: &PathBuf| {
                path.file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with("lock."))
            };
            files.extend(entries(&folder)?.into_iter().filter(is_lock));
        }
    }
    let read = |path: PathBuf| {
        let mut text = String::new();
        let file = OpenOptions::new().read(true).open(path).ok()?;
        file.take(512).read_to_string(&mut text).ok()?;
        Some(text)
    };
    Ok(files.into_iter().filter_map(read).collect())
}

/// Answers the process of a record (its number, its start, the boot), if it is that one still.
fn living(record: &str) -> Option<Pid> {
    let mut words = record.split_whitespace();
    let pid: i32 = words.next()?.parse().ok().filter(|pid| *pid > 1)?;
    let start: u64 = words.next()?.parse().ok()?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    if words.next()? != boot.trim() {
        return None;
    }
    let began = crate::local::processes::began(u32::try_from(pid).ok()?)?;
    (began == start).then(|| Pid::from_raw(pid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn who_waits_for_a_lock_holds_none() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 08:01:77 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 4242 08:01:77 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 4243 08:01:77 0 EOF\n";
        assert_eq!(lockers(locks), BTreeSet::from([4_242]));
    }

    #[test]
    fn own_locks_are_found() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        assert_eq!(lock_holder(file.path()), None);
        let lock = nix::fcntl::Flock::lock(
            file.reopen().expect("open"),
            nix::fcntl::FlockArg::LockExclusive,
        );
        let lock = lock.expect("locked");
        let own = i32::try_from(std::process::id()).expect("a pid");
        assert_eq!(lock_holder(file.path()), Some(own));
        drop(lock);
    }

    #[test]
    fn only_the_process_that_was_written_down_is_ended() {
        let state = tempfile::tempdir().expect("a folder");
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        let start = crate::local::processes::began(child.id()).expect("it runs");
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot");
        let boot = boot.trim();
        let folder = state.path().join("worker/spool/12/0.1");
        std::fs::create_dir_all(&folder).expect("made");
        std::fs::write(folder.join("limits"), "").expect("written");
        let pid = child.id();
        for wrong in [
            format!("{pid} {} {boot} f h", start + 1),
            format!("{pid} {start} another-boot f h"),
            format!("-1 {start} {boot}"),
            String::new(),
        ] {
            assert_eq!(living(&wrong), None, "{wrong}");
        }
        std::fs::write(folder.join("lock.1"), format!("{pid} {start} {boot} f h\n"))
            .expect("written");
        end_launches(state.path()).expect("ended");
        assert!(!child.wait().expect("it ended").success());
    }
}
