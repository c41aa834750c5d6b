//! What a privileged program may believe: files whose whole path only root can change.

use std::ffi::CStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use tessera_sys::file;

/// Opens a directory after checking that every component of its path is root's and that nobody else can write to it (a
/// sticky directory such as `/tmp` will do on the way).
///
/// An access control list that lets somebody else write shows in the group's bits, so it is found as well.
///
/// # Errors
/// A sentence that names the component.
pub fn open_trusted_dir(path: &Path) -> Result<(PathBuf, OwnedFd), String> {
    open_checked(path, false)
}

/// Opens a directory for a socket: checked like [`open_trusted_dir`], but it may be sticky itself, so that daemons of
/// other accounts have their sockets in it as well; nobody can replace the socket of another account there.
///
/// # Errors
/// A sentence that names the component.
pub fn open_socket_dir(path: &Path) -> Result<(PathBuf, OwnedFd), String> {
    open_checked(path, true)
}

fn open_checked(path: &Path, last_may_be_sticky: bool) -> Result<(PathBuf, OwnedFd), String> {
    let real = std::fs::canonicalize(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut walked = PathBuf::new();
    let mut dir = None;
    for part in real.components() {
        walked.push(part);
        let trouble = |what: &str| format!("{}: {what}", walked.display());
        let next = match (part, &dir) {
            (Component::Normal(name), Some(dir)) => {
                let name = name.to_str().ok_or(trouble("the name is not UTF-8"))?;
                let name = file::c_string(name).map_err(|e| trouble(&e.to_string()))?;
                let dir: &OwnedFd = dir;
                file::open_dir(dir.as_fd(), &name)
            }
            _ => file::open(c"/", libc::O_RDONLY | libc::O_DIRECTORY),
        };
        let next = next.map_err(|e| trouble(&e.to_string()))?;
        let is_last = walked == real;
        check_owner(next.as_fd(), !is_last || last_may_be_sticky).map_err(|what| trouble(&what))?;
        dir = Some(next);
    }
    dir.map(|dir| (real, dir))
        .ok_or_else(|| "the path is empty".to_owned())
}

/// Reads a file that must be root's, regular and writable by nobody else; `None` when it is not there.
///
/// # Errors
/// A sentence that names the file.
pub fn read_trusted(
    dir: BorrowedFd<'_>,
    name: &CStr,
    max: usize,
) -> Result<Option<String>, String> {
    let shown = name.to_string_lossy();
    let fd = match file::open_at(dir, name, libc::O_RDONLY | libc::O_NONBLOCK, 0) {
        Ok(fd) => fd,
        Err(e) if e.0 == libc::ENOENT => return Ok(None),
        Err(e) => return Err(format!("{shown}: {e}")),
    };
    check_owner(fd.as_fd(), false).map_err(|what| format!("{shown}: {what}"))?;
    if !file::is_regular(&fd) {
        return Err(format!("{shown}: is not a regular file"));
    }
    let bytes = file::read_all(&fd, max).map_err(|e| format!("{shown}: {e}"))?;
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| format!("{shown}: is not UTF-8"))
}

/// Checks owner and mode of an open file or directory; `may_be_sticky` lets others write to a sticky directory.
fn check_owner(fd: BorrowedFd<'_>, may_be_sticky: bool) -> Result<(), String> {
    let found = file::stat(fd).map_err(|e| e.to_string())?;
    if found.st_uid != 0 {
        return Err(format!("is owned by uid {}, not by root", found.st_uid));
    }
    let is_sticky = found.st_mode & libc::S_ISVTX != 0;
    if found.st_mode & 0o022 != 0 && !(may_be_sticky && is_sticky) {
        let mode = found.st_mode & 0o7777;
        return Err(format!(
            "can be written by others than root (mode {mode:04o})"
        ));
    }
    Ok(())
}
