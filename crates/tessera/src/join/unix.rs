//! Folders of the state on Unix, which may be another account's.

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, mode_t};
use nix::unistd::{Gid, Uid, UnlinkatFlags, unlinkat};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use tessera_cli::CliError;

#[cfg(target_os = "linux")]
use super::WORKER_ACCOUNT;
use super::{CONFIG_BYTES_MAX, file_error, read_error};

/// The account of shepherds.
#[cfg(target_os = "linux")]
const SHEPHERD_ACCOUNT: &str = "tessera-shepherd";
/// The account of jobs in mode proxy.
#[cfg(target_os = "linux")]
const JOB_ACCOUNT: &str = "tessera-job";

/// An account, by its numbers.
pub(super) type Owner = (Uid, Gid);

/// Answers the account with this name, if there is one.
pub(super) fn owner_of(account: &str) -> Option<Owner> {
    let found = nix::unistd::User::from_name(account).ok().flatten()?;
    Some((found.uid, found.gid))
}

/// Answers how to make a directory that is this process's alone.
pub(super) fn new_dir() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

/// Says what to run next for a service: it makes the worker's account, to which the worker's files must belong.
#[cfg(target_os = "macos")]
pub(super) fn service_next(_at: &Path, state: &str) -> String {
    format!("next: sudo tessera worker install --mode service{state}\n")
}

/// Says what to run next for a service; `state` is what says where it is.
#[cfg(target_os = "linux")]
pub(super) fn service_next(at: &Path, state: &str) -> String {
    let path = at.display().to_string();
    let path = tessera_cli::out::text::command(&[path]);
    let account = match nix::unistd::User::from_name(WORKER_ACCOUNT) {
        Ok(Some(_)) => String::new(),
        Ok(None) | Err(_) => format!(
            "first make the system accounts {WORKER_ACCOUNT}, {SHEPHERD_ACCOUNT} and {JOB_ACCOUNT}, \
             then join again\n"
        ),
    };
    format!(
        "{account}next, as root, and at every boot: tessera-launch launcher --state {path}\n\
         and beside it: runuser -u {WORKER_ACCOUNT} -- tessera worker{state}\n"
    )
}

/// Answers the name that the host gives itself.
pub(super) fn host_name() -> String {
    let name = nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// A folder that may belong to another account, which may put anything there at any moment: nothing in it is followed,
/// waited for, or believed to be what it was.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    fd: File,
    /// Whom it and what is in it belong to; `None` for this process's own account.
    owner: Option<Owner>,
}

impl Folder {
    pub(super) fn open(path: &Path, owner: Option<Owner>) -> Result<Self, CliError> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let open = || -> io::Result<File> {
            let fd = OpenOptions::new()
                .read(true)
                .custom_flags(flags.bits())
                .open(path)?;
            check_owner(fd.metadata()?.uid(), owner)?;
            Ok(fd)
        };
        let fd = open().map_err(|error| file_error(path, &error))?;
        let path = path.to_owned();
        Ok(Self { path, fd, owner })
    }

    /// Opens a file through the open folder, so that the folder can't be exchanged.
    fn open_inside(&self, name: &str, flags: OFlag, mode: mode_t) -> io::Result<File> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(mode);
        Ok(File::from(openat(&self.fd, name, flags, mode)?))
    }

    /// Reads a small file of the owner's own; `None` if there is none.
    pub(super) fn read(&self, name: &str) -> Result<Option<String>, CliError> {
        self.try_read(name)
            .map_err(|error| read_error(&self.path.join(name), &error))
    }

    fn try_read(&self, name: &str) -> io::Result<Option<String>> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = match self.open_inside(name, flags, 0) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let found = file.metadata()?;
        if !found.is_file() || found.nlink() != 1 {
            return Err(io::Error::other("is not a plain file with one name"));
        }
        check_owner(found.uid(), self.owner)?;
        let mut text = String::new();
        file.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text)?;
        if text.len() as u64 > CONFIG_BYTES_MAX {
            return Err(ErrorKind::FileTooLarge.into());
        }
        Ok(Some(text))
    }

    /// Writes a file in the place of the old one, at once and durably; it is the owner's before it has its name.
    pub(super) fn replace(&self, name: &str, mode: mode_t, text: &str) -> Result<(), CliError> {
        let partial = format!(".{name}.new{}", std::process::id());
        let remove = || unlinkat(&self.fd, partial.as_str(), UnlinkatFlags::NoRemoveDir);
        let write = || -> io::Result<()> {
            // One that an earlier process of this number left.
            match remove() {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
            let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
            let mut file = self.open_inside(&partial, flags, mode)?;
            file.write_all(text.as_bytes())?;
            if let Some((uid, gid)) = self.owner {
                fchown(&file, Some(uid.as_raw()), Some(gid.as_raw()))?;
            }
            file.sync_all()?;
            renameat(&self.fd, partial.as_str(), &self.fd, name)?;
            self.fd.sync_all()
        };
        write().map_err(|error| {
            let _ = remove();
            file_error(&self.path.join(name), &error)
        })
    }

    /// Gives the folder itself to its owner.
    pub(super) fn give_away(&self) -> Result<(), CliError> {
        let Some((uid, gid)) = self.owner else {
            return Ok(());
        };
        fchown(&self.fd, Some(uid.as_raw()), Some(gid.as_raw()))
            .map_err(|error| file_error(&self.path, &error))
    }
}

/// Refuses what belongs to neither the owner, nor this process's account, nor root.
fn check_owner(uid: u32, owner: Option<Owner>) -> io::Result<()> {
    let uid = Uid::from_raw(uid);
    let is_owners = owner.is_some_and(|it| it.0 == uid);
    if is_owners || uid == Uid::effective() || uid.is_root() {
        return Ok(());
    }
    let text = format!("belongs to uid {uid}, which is neither the worker's nor this account's");
    Err(io::Error::new(ErrorKind::PermissionDenied, text))
}

pub(super) fn make_dir(path: &Path, mode: u32) -> Result<(), CliError> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|error| file_error(path, &error))
}

#[cfg(test)]
mod tests {
    use super::super::{CONFIG, write_address};
    use super::*;
    use std::fs;

    #[test]
    fn nothing_but_a_plain_file_of_the_workers_is_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let secret = dir.path().join("secret");
        fs::write(&secret, "password\n").expect("written");
        let worker = dir.path().join("worker");
        fs::create_dir(&worker).expect("made");
        let path = worker.join(CONFIG);
        let folder = Folder::open(&worker, None).expect("opens");
        let refused = |what: &str| {
            assert!(write_address(&folder, "farm:1").is_err(), "{what}");
            let left = fs::read_dir(&worker).expect("reads").count();
            assert_eq!(left, 1, "{what}: nothing was written");
            fs::remove_file(&path).expect("removed");
        };
        std::os::unix::fs::symlink(&secret, &path).expect("linked");
        refused("a link");
        fs::hard_link(&secret, &path).expect("linked");
        refused("another's second name");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("made");
        refused("a pipe");
        let big = vec![b'#'; usize::try_from(CONFIG_BYTES_MAX).expect("is small") + 1];
        fs::write(&path, big).expect("written");
        refused("too much");
        fs::write(&path, [0xff]).expect("written");
        refused("not text");
        assert_eq!(fs::read_to_string(&secret).expect("read"), "password\n");
        std::os::unix::fs::symlink(&worker, dir.path().join("other")).expect("linked");
        assert!(Folder::open(&dir.path().join("other"), None).is_err());
    }

    #[test]
    fn files_are_the_owners_before_they_have_their_names() {
        if !Uid::effective().is_root() {
            return eprintln!("skipped: needs root");
        }
        let dir = tempfile::tempdir().expect("a folder");
        let owner = (Uid::from_raw(4_711), Gid::from_raw(4_712));
        let folder = Folder::open(dir.path(), Some(owner)).expect("opens");
        let path = dir.path().join(CONFIG);
        let secret = dir.path().join("secret");
        fs::write(&secret, "password\n").expect("written");
        // What is in the way of the new file is neither followed nor changed.
        let partial = format!(".{CONFIG}.new{}", std::process::id());
        std::os::unix::fs::symlink(&secret, dir.path().join(partial)).expect("linked");
        write_address(&folder, "farm:1").expect("written");
        folder.give_away().expect("given");
        for path in [&path, dir.path()] {
            let found = fs::symlink_metadata(path).expect("is there");
            assert_eq!((found.uid(), found.gid()), (4_711, 4_712));
        }
        let found = fs::metadata(&secret).expect("is there");
        assert_eq!((found.uid(), found.len()), (0, 9));
        write_address(&folder, "farm:2").expect("the owner's is read");
        fchown(File::open(&path).expect("opens"), Some(4_713), Some(4_712)).expect("given");
        assert!(write_address(&folder, "farm:3").is_err(), "a stranger's");
    }
}
