//! What all Unix systems have.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::statvfs::statvfs;
use nix::unistd::{Uid, User, gethostname};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

#[cfg(target_os = "linux")]
pub(crate) use super::linux::{age_of, awake, boot_id, machine};
#[cfg(target_os = "macos")]
pub(crate) use super::macos::{age_of, awake, boot_id, machine, uid_of};
use crate::error::WorkerError;

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
    Some(wide(found.blocks_available()).saturating_mul(found.fragment_size()))
}

/// Widens a number that has not the same size on every system.
fn wide(number: impl Into<u64>) -> u64 {
    number.into()
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

#[cfg(test)]
mod tests {
    use super::*;

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
