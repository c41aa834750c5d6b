//! The control socket of a launch and what else only a living launch needs of its spool directory.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen as start_listening, socket,
};

use crate::chain::spool::new_file;
use crate::chain::{ChainError, LaunchKey};
use crate::os;

/// Makes a sealed-off memory file that holds the template.
pub(super) fn memory_file(bytes: &[u8]) -> Result<OwnedFd, ChainError> {
    let what = "making a memory file for the template";
    let fd =
        memfd_create(c"tessera-template", MFdFlags::MFD_CLOEXEC).map_err(ChainError::io(what))?;
    let mut file = File::from(fd);
    file.write_all(bytes).map_err(ChainError::io(what))?;
    Ok(file.into())
}

/// Names that a start has made, to be removed when it comes to nothing. What was there before belongs to a launch that may
/// be alive.
#[derive(Debug, Default)]
pub(super) struct Made(Vec<PathBuf>);

impl Made {
    /// Removes them.
    pub(super) fn remove(self) {
        for path in self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Makes the instance's directory if missing and listens on its control socket there.
///
/// The socket is named through the directory's descriptor, so a long path does not matter.
///
/// # Errors
/// Among others when the socket is there: then the launch was started before, and whether it lives is for
/// [`super::Chain::prove_gone`] to say.
pub(super) fn listen(dir: &Path, key: LaunchKey, made: &mut Made) -> Result<OwnedFd, ChainError> {
    let what = "making the control socket in the spool";
    os::dirs().create(dir).map_err(ChainError::io(what))?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)
        .map_err(ChainError::io(what))?;
    with_socket_path(dir, key, |path| {
        bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
        Ok(())
    })
    .map_err(ChainError::io(what))?;
    made.0.push(dir.join(socket_name(key)));
    start_listening(&fd, Backlog::new(8).unwrap_or(Backlog::MAXCONN))
        .map_err(ChainError::io(what))?;
    Ok(fd)
}

/// Calls `then` with a short path of the launch's control socket.
pub(super) fn with_socket_path<T>(
    dir: &Path,
    key: LaunchKey,
    then: impl FnOnce(&Path) -> io::Result<T>,
) -> io::Result<T> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    let dir = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(dir)?;
    let path = format!("/proc/self/fd/{}/{}", dir.as_raw_fd(), socket_name(key));
    then(Path::new(&path))
}

fn socket_name(key: LaunchKey) -> String {
    format!("ctl.{}", key.launch)
}

fn lock_path(dir: &Path, key: LaunchKey) -> PathBuf {
    dir.join(format!("lock.{}", key.launch))
}

/// Makes or opens the file that a desktop shepherd locks while it lives, and notes it when it was not there.
pub(super) fn new_lock_file(
    dir: &Path,
    key: LaunchKey,
    made: &mut Made,
) -> Result<File, ChainError> {
    let path = lock_path(dir, key);
    match new_file(&path) {
        Ok(file) => {
            made.0.push(path);
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => lock_file(dir, key),
        Err(error) => Err(ChainError::io("making the launch's lock in the spool")(
            error,
        )),
    }
}

/// Makes or opens the file that a desktop shepherd locks while it lives.
pub(super) fn lock_file(dir: &Path, key: LaunchKey) -> Result<File, ChainError> {
    os::to_write()
        .read(true)
        .create(true)
        .truncate(false)
        .open(lock_path(dir, key))
        .map_err(ChainError::io("opening the launch's lock in the spool"))
}

/// Removes the control socket and the lock of a launch; that they are missing is fine.
pub(super) fn forget(dir: &Path, key: LaunchKey) {
    let _ = std::fs::remove_file(dir.join(socket_name(key)));
    let _ = std::fs::remove_file(lock_path(dir, key));
}

/// Converts a launch to the ticket's type.
pub(super) fn wire_key(key: LaunchKey) -> tessera_ticket::LaunchKey {
    tessera_ticket::LaunchKey {
        job: key.job.0,
        instance: key.instance.0,
        launch: key.launch.0,
    }
}
