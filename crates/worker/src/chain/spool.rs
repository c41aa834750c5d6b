//! The files of an instance's spool directory: made here, written by the shepherd through descriptors.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen as start_listening, socket,
};
use tessera_ticket::{
    EXIT_RECORD_LEN, ExitRecord, INDEX_RECORD_LEN, INDEX_RECORDS_MAX, IndexRecord,
};

use super::{ChainError, LaunchKey};

/// A file of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolFile {
    /// Standard output, raw.
    Out,
    /// Standard error, raw.
    Err,
    /// The order in which the two arrived: [`IndexRecord`]s.
    Index,
    /// The exit record; empty until the attempt has ended.
    Exit,
}

impl SpoolFile {
    const ALL: [Self; 4] = [Self::Out, Self::Err, Self::Index, Self::Exit];

    fn ending(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Err => "err",
            Self::Index => "idx",
            Self::Exit => "exit",
        }
    }
}

/// Returns the path of a file of an attempt: `<dir>/<item>.<attempt>.<ending>`.
pub fn spool_path(dir: &Path, item: u32, attempt: u32, file: SpoolFile) -> PathBuf {
    dir.join(format!("{item}.{attempt}.{}", file.ending()))
}

/// Reads how an attempt ended; `None` while there is no whole record.
///
/// # Errors
/// When the file is there but can't be read.
pub fn read_exit(dir: &Path, item: u32, attempt: u32) -> io::Result<Option<ExitRecord>> {
    let Some(bytes) = read_some(
        &spool_path(dir, item, attempt, SpoolFile::Exit),
        EXIT_RECORD_LEN,
    )?
    else {
        return Ok(None);
    };
    Ok(ExitRecord::decode(&bytes)
        .ok()
        .filter(|it| (it.item, it.attempt) == (item, attempt)))
}

/// Reads the order of arrival of an attempt's output, as far as it is written; empty when there is none.
///
/// # Errors
/// When the file is there but can't be read.
pub fn read_index(dir: &Path, item: u32, attempt: u32) -> io::Result<Vec<IndexRecord>> {
    let max = INDEX_RECORD_LEN * INDEX_RECORDS_MAX as usize;
    let bytes = read_some(&spool_path(dir, item, attempt, SpoolFile::Index), max)?;
    let bytes = bytes.unwrap_or_default();
    Ok(bytes
        .chunks_exact(INDEX_RECORD_LEN)
        .map_while(|it| IndexRecord::decode(it).ok())
        .collect())
}

fn read_some(path: &Path, max: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)
    {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut bytes = Vec::new();
    file.take(max as u64).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Makes the four files of an attempt, in the order that the shepherd expects them.
pub(super) fn make_files(dir: &Path, item: u32, attempt: u32) -> Result<[File; 4], ChainError> {
    let mut made = Vec::with_capacity(SpoolFile::ALL.len());
    for file in SpoolFile::ALL {
        match new_file(&spool_path(dir, item, attempt, file)) {
            Ok(it) => made.push(it),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(ChainError::AlreadyRan { item, attempt });
            }
            Err(e) => return Err(ChainError::io("making the attempt's files in the spool")(e)),
        }
    }
    made.try_into()
        .map_err(|_| ChainError::AlreadyRan { item, attempt })
}

/// Makes the four files of an attempt out of those of another that is forgotten, whose output was empty: renaming spares
/// the file system an allocation and a removal each. The record in them is the other attempt's, so it does not count.
///
/// What can't be had that way is made new.
pub(super) fn reuse_files(
    dir: &Path,
    item: u32,
    attempt: u32,
    spare: (u32, u32),
) -> Result<[File; 4], ChainError> {
    let mut made = Vec::with_capacity(SpoolFile::ALL.len());
    for file in SpoolFile::ALL {
        let path = spool_path(dir, item, attempt, file);
        let old = spool_path(dir, spare.0, spare.1, file);
        if path.symlink_metadata().is_ok() {
            return Err(ChainError::AlreadyRan { item, attempt });
        }
        let renamed = std::fs::rename(old, &path).and_then(|()| open_spare(&path, file));
        let opened = match renamed {
            Err(e) if e.kind() == io::ErrorKind::NotFound => new_file(&path),
            other => other,
        };
        made.push(opened.map_err(ChainError::io("making the attempt's files in the spool"))?);
    }
    made.try_into()
        .map_err(|_| ChainError::AlreadyRan { item, attempt })
}

fn open_spare(path: &Path, file: SpoolFile) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    let opened = options.custom_flags(OFlag::O_NOFOLLOW.bits()).open(path)?;
    // The record is overwritten whole; of output nothing may be left.
    if file != SpoolFile::Exit && opened.metadata()?.len() > 0 {
        opened.set_len(0)?;
    }
    Ok(opened)
}

fn new_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    options.custom_flags(OFlag::O_NOFOLLOW.bits()).open(path)
}

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
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(ChainError::io(what))?;
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
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    options
        .custom_flags(OFlag::O_NOFOLLOW.bits())
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
