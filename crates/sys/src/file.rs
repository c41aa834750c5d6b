//! Files, relative to directories that were opened before, never through a link.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use super::{Errno, Sys, check, check_len};

/// Makes a C string; a NUL inside is `EINVAL`.
pub fn c_string(text: &str) -> Sys<CString> {
    CString::new(text).map_err(|_| Errno(libc::EINVAL))
}

/// Takes ownership of a descriptor that a call has just returned.
pub fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: callers pass a descriptor that a system call has just made, so nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Borrows a descriptor by its number: one that was put in place when this process was made and stays open as long as it lives.
pub fn standing(fd: RawFd) -> BorrowedFd<'static> {
    // SAFETY: callers name descriptors that nothing in this process closes.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// Opens a path as it is; close-on-exec.
pub fn open(path: &CStr, flags: i32) -> Sys<OwnedFd> {
    open_at_raw(libc::AT_FDCWD, path, flags, 0)
}

/// Opens a name in a directory, not through a link; close-on-exec.
pub fn open_at(dir: BorrowedFd<'_>, name: &CStr, flags: i32, mode: u32) -> Sys<OwnedFd> {
    open_at_raw(dir.as_raw_fd(), name, flags | libc::O_NOFOLLOW, mode)
}

fn open_at_raw(dir: RawFd, name: &CStr, flags: i32, mode: u32) -> Sys<OwnedFd> {
    // SAFETY: the name is a C string that lives for the call.
    check(unsafe { libc::openat(dir, name.as_ptr(), flags | libc::O_CLOEXEC, mode) }).map(owned)
}

/// Opens a directory by its name in another.
pub fn open_dir(dir: BorrowedFd<'_>, name: &CStr) -> Sys<OwnedFd> {
    open_at(dir, name, libc::O_RDONLY | libc::O_DIRECTORY, 0)
}

/// Makes a directory; that it exists is an error.
pub fn make_dir(dir: BorrowedFd<'_>, name: &CStr, mode: u32) -> Sys<()> {
    // SAFETY: the name is a C string that lives for the call.
    check(unsafe { libc::mkdirat(dir.as_raw_fd(), name.as_ptr(), mode) }).map(drop)
}

/// Opens a directory below another for nothing but its name: not through a link, not across a mount, whatever its mode.
pub fn open_place(dir: BorrowedFd<'_>, name: &CStr) -> Sys<OwnedFd> {
    open_name(dir, name, libc::O_DIRECTORY)
}

/// Returns the owner of a name in a directory, of the link itself if it is one; what is mounted there is not asked, since
/// its file system may be a user's and never answer: that is `EXDEV`.
pub fn owner_at(dir: BorrowedFd<'_>, name: &CStr) -> Sys<u32> {
    stat(open_name(dir, name, 0)?).map(|it| it.st_uid)
}

fn open_name(dir: BorrowedFd<'_>, name: &CStr, more: i32) -> Sys<OwnedFd> {
    // SAFETY: a zeroed `open_how` is valid.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    let flags = libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC | more;
    how.flags = u64::try_from(flags).map_err(|_| Errno(libc::EINVAL))?;
    how.resolve = libc::RESOLVE_NO_XDEV | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_BENEATH;
    let size = size_of::<libc::open_how>();
    // SAFETY: the name and the record live for the call, and the size is the record's.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            dir.as_raw_fd(),
            name.as_ptr(),
            &raw const how,
            size,
        )
    };
    RawFd::try_from(fd)
        .ok()
        .filter(|fd| *fd >= 0)
        .map(owned)
        .ok_or_else(Errno::last)
}

/// Opens a directory that is known by [`open_place`] for reading, made its owner's to read and change first. The names of
/// the way to it are not looked at again.
pub fn open_for_owner(place: BorrowedFd<'_>) -> Sys<OwnedFd> {
    const ALL: u32 = 0o700;
    let path = c_string(&format!("/proc/self/fd/{}", place.as_raw_fd()))?;
    if stat(place)?.st_mode & ALL != ALL {
        // SAFETY: the path is a C string that lives for the call.
        check(unsafe { libc::chmod(path.as_ptr(), ALL) })?;
    }
    open(&path, libc::O_RDONLY | libc::O_DIRECTORY)
}

/// Removes an empty directory.
pub fn remove_dir(dir: BorrowedFd<'_>, name: &CStr) -> Sys<()> {
    unlink(dir, name, libc::AT_REMOVEDIR)
}

/// Removes a name that is no directory.
pub fn remove_file(dir: BorrowedFd<'_>, name: &CStr) -> Sys<()> {
    unlink(dir, name, 0)
}

fn unlink(dir: BorrowedFd<'_>, name: &CStr, flags: i32) -> Sys<()> {
    // SAFETY: the name is a C string that lives for the call.
    check(unsafe { libc::unlinkat(dir.as_raw_fd(), name.as_ptr(), flags) }).map(drop)
}

/// Renames within a directory.
pub fn rename(dir: BorrowedFd<'_>, from: &CStr, to: &CStr) -> Sys<()> {
    let fd = dir.as_raw_fd();
    // SAFETY: both names are C strings that live for the call.
    check(unsafe { libc::renameat(fd, from.as_ptr(), fd, to.as_ptr()) }).map(drop)
}

/// Renames from one directory to another.
pub fn rename_to(from: BorrowedFd<'_>, name: &CStr, to: BorrowedFd<'_>, new: &CStr) -> Sys<()> {
    let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
    // SAFETY: both names are C strings that live for the call.
    check(unsafe { libc::renameat(from, name.as_ptr(), to, new.as_ptr()) }).map(drop)
}

/// Changes the owner of a name in a directory, never of what a link points to.
pub fn chown_at(dir: BorrowedFd<'_>, name: &CStr, uid: u32, gid: u32) -> Sys<()> {
    let flags = libc::AT_SYMLINK_NOFOLLOW;
    // SAFETY: the name is a C string that lives for the call.
    check(unsafe { libc::fchownat(dir.as_raw_fd(), name.as_ptr(), uid, gid, flags) }).map(drop)
}

/// Changes the owner of an open file.
pub fn chown(fd: impl AsFd, uid: u32, gid: u32) -> Sys<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::fchown(fd.as_fd().as_raw_fd(), uid, gid) }).map(drop)
}

/// Changes the mode of an open file.
pub fn chmod(fd: impl AsFd, mode: u32) -> Sys<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::fchmod(fd.as_fd().as_raw_fd(), mode) }).map(drop)
}

/// Returns what is known of an open file.
pub fn stat(fd: impl AsFd) -> Sys<libc::stat> {
    // SAFETY: a zeroed `stat` is valid, and the call writes into it while it is borrowed.
    unsafe {
        let mut found: libc::stat = std::mem::zeroed();
        check(libc::fstat(fd.as_fd().as_raw_fd(), &raw mut found))?;
        Ok(found)
    }
}

/// Returns what is known of a name in a directory, not of what a link points to.
pub fn stat_at(dir: BorrowedFd<'_>, name: &CStr) -> Sys<libc::stat> {
    // SAFETY: a zeroed `stat` is valid, and the call writes into it while it is borrowed; the name lives for the call.
    unsafe {
        let mut found: libc::stat = std::mem::zeroed();
        let flags = libc::AT_SYMLINK_NOFOLLOW;
        check(libc::fstatat(
            dir.as_raw_fd(),
            name.as_ptr(),
            &raw mut found,
            flags,
        ))?;
        Ok(found)
    }
}

/// Says whether an open file is a regular one.
pub fn is_regular(fd: impl AsFd) -> bool {
    stat(fd).is_ok_and(|it| it.st_mode & libc::S_IFMT == libc::S_IFREG)
}

/// Reads once; 0 is the end.
pub fn read(fd: impl AsFd, buffer: &mut [u8]) -> Sys<usize> {
    loop {
        // SAFETY: the pointer and the length are those of a slice that is borrowed mutably for the call.
        let got = check_len(unsafe {
            libc::read(
                fd.as_fd().as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
            )
        });
        if got != Err(Errno(libc::EINTR)) {
            return got;
        }
    }
}

/// Reads to the end, at most `max` bytes; more than that is `EFBIG`.
pub fn read_all(fd: impl AsFd, max: usize) -> Sys<Vec<u8>> {
    let mut found = Vec::new();
    let mut part = [0; 4096];
    loop {
        match read(fd.as_fd(), &mut part)? {
            0 => return Ok(found),
            len if found.len() + len > max => return Err(Errno(libc::EFBIG)),
            len => found.extend_from_slice(&part[..len]),
        }
    }
}

/// Reads a whole small file by its path.
pub fn read_path(path: &CStr, max: usize) -> Sys<Vec<u8>> {
    read_all(open(path, libc::O_RDONLY)?, max)
}

/// Reads a whole small file by its name in a directory.
pub fn read_at(dir: BorrowedFd<'_>, name: &CStr, max: usize) -> Sys<Vec<u8>> {
    read_all(
        open_at(dir, name, libc::O_RDONLY | libc::O_NONBLOCK, 0)?,
        max,
    )
}

/// Writes everything.
pub fn write_all(fd: RawFd, mut bytes: &[u8]) -> Sys<()> {
    while !bytes.is_empty() {
        // SAFETY: the pointer and the length are those of a slice that is borrowed for the call.
        match check_len(unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) }) {
            Ok(len) => bytes = &bytes[len..],
            Err(Errno(libc::EINTR)) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Writes once; returns how much was taken.
pub fn write(fd: impl AsFd, bytes: &[u8]) -> Sys<usize> {
    // SAFETY: the pointer and the length are those of a slice that is borrowed for the call.
    check_len(unsafe { libc::write(fd.as_fd().as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) })
}

/// Opens a name in a directory for writing and writes it in one go; for control files.
pub fn write_at(dir: BorrowedFd<'_>, name: &CStr, bytes: &[u8]) -> Sys<()> {
    let fd = open_at(dir, name, libc::O_WRONLY, 0)?;
    write_all(fd.as_raw_fd(), bytes)
}

/// Cuts an open file to this length.
pub fn truncate(fd: impl AsFd, len: u64) -> Sys<()> {
    let len = libc::off_t::try_from(len).map_err(|_| Errno(libc::EINVAL))?;
    // SAFETY: takes numbers only.
    check(unsafe { libc::ftruncate(fd.as_fd().as_raw_fd(), len) }).map(drop)
}

/// Makes what was written durable.
pub fn sync(fd: impl AsFd) -> Sys<()> {
    // SAFETY: takes a number only.
    check(unsafe { libc::fdatasync(fd.as_fd().as_raw_fd()) }).map(drop)
}

/// Takes the exclusive lock of an open file; `EWOULDBLOCK` when somebody has it.
pub fn lock(fd: impl AsFd) -> Sys<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::flock(fd.as_fd().as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }).map(drop)
}

/// Makes a pipe whose reading end does not block; both close on exec.
pub fn pipe() -> Sys<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: the array has room for the two descriptors.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    let (read, write) = (owned(ends[0]), owned(ends[1]));
    set_nonblocking(read.as_fd())?;
    Ok((read, write))
}

/// Makes reading and writing return at once.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> Sys<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) }).map(drop)
}

/// Sets or clears close-on-exec.
pub fn set_close_on_exec(fd: RawFd, on: bool) -> Sys<()> {
    let flags = if on { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: takes numbers only.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, flags) }).map(drop)
}

/// Duplicates a descriptor to a number that is at least `least`; close-on-exec. The caller's to keep or to lose.
pub fn duplicate_above(fd: RawFd, least: RawFd) -> Sys<RawFd> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, least) })
}

/// Puts a descriptor at a number, which then does not close on exec.
pub fn duplicate_to(fd: RawFd, number: RawFd) -> Sys<()> {
    if fd == number {
        return set_close_on_exec(fd, false);
    }
    // SAFETY: takes numbers only; callers replace only descriptors that nobody owns.
    check(unsafe { libc::dup2(fd, number) }).map(drop)
}

/// The most descriptors that a program is given.
const PLACES_MAX: usize = 12;

/// Puts descriptors at 0, 1, 2, …, first all out of the way, so that none overwrites another; does not allocate.
pub fn put_in_place(fds: &[RawFd]) -> Sys<()> {
    let first_free = RawFd::try_from(fds.len()).unwrap_or(RawFd::MAX);
    let mut high = [-1; PLACES_MAX];
    if fds.len() > high.len() {
        return Err(Errno(libc::EMFILE));
    }
    for (slot, &fd) in high.iter_mut().zip(fds) {
        *slot = duplicate_above(fd, first_free)?;
    }
    (0..first_free)
        .zip(&high)
        .try_for_each(|(number, &fd)| duplicate_to(fd, number))
}

/// Makes a memory file with this content, read from its start.
pub fn memory_file(name: &CStr, bytes: &[u8]) -> Sys<OwnedFd> {
    // SAFETY: the name is a C string that lives for the call.
    let fd = owned(check(unsafe {
        libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC)
    })?);
    write_all(fd.as_raw_fd(), bytes)?;
    // SAFETY: takes numbers only.
    if unsafe { libc::lseek(fd.as_raw_fd(), 0, libc::SEEK_SET) } != 0 {
        return Err(Errno::last());
    }
    Ok(fd)
}

/// Reads once at a place, wherever the file's position is.
pub fn read_part(fd: BorrowedFd<'_>, at: u64, max: usize) -> Sys<Vec<u8>> {
    let mut bytes = vec![0; max];
    let at = libc::off_t::try_from(at).map_err(|_| Errno(libc::EINVAL))?;
    // SAFETY: the pointer and the length are those of a vector that is borrowed mutably for the call.
    let len =
        check_len(unsafe { libc::pread(fd.as_raw_fd(), bytes.as_mut_ptr().cast(), max, at) })?;
    bytes.truncate(len);
    Ok(bytes)
}

/// Makes sure that everybody can execute an open program: one that its file's mode keeps from others (built under a strict
/// umask, say) is copied into memory. Where the system forbids that, the file itself has to do.
pub fn for_everybody(program: OwnedFd) -> Sys<OwnedFd> {
    const READ_AND_EXECUTE: u32 = 0o005;
    if stat(&program)?.st_mode & READ_AND_EXECUTE == READ_AND_EXECUTE {
        return Ok(program);
    }
    let copy = || -> Sys<OwnedFd> {
        let copy = memory_file(c"tessera", &[])?;
        let mut part = vec![0; 1 << 20];
        loop {
            match read(&program, &mut part)? {
                0 => break,
                len => write_all(copy.as_raw_fd(), &part[..len])?,
            }
        }
        chmod(&copy, 0o555)?;
        // A file that is open for writing can't be executed.
        open(
            &c_string(&format!("/proc/self/fd/{}", copy.as_raw_fd()))?,
            libc::O_RDONLY,
        )
    };
    Ok(copy().unwrap_or(program))
}

/// Reads a memory file that somebody else made, from its start; anything that could block is refused.
pub fn read_memory_file(fd: BorrowedFd<'_>, max: usize) -> Sys<Vec<u8>> {
    let raw = fd.as_raw_fd();
    // SAFETY: takes numbers only. Only files that live in memory know seals.
    check(unsafe { libc::fcntl(raw, libc::F_GET_SEALS) })?;
    let size = usize::try_from(stat(fd)?.st_size).unwrap_or(usize::MAX);
    if size > max {
        return Err(Errno(libc::EFBIG));
    }
    read_part(fd, 0, size)
}

/// Fills `bytes` with chance.
pub fn random(bytes: &mut [u8]) -> Sys<()> {
    // SAFETY: the pointer and the length are those of a slice that is borrowed mutably for the call.
    match check_len(unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) })? {
        len if len == bytes.len() => Ok(()),
        _ => Err(Errno(libc::EIO)),
    }
}

/// Returns the names in a directory, without `.` and `..`, at most `max`.
pub fn names(dir: BorrowedFd<'_>, max: usize) -> Sys<Vec<String>> {
    // Through /proc, so that no path of the directory is followed again.
    let path = format!("/proc/self/fd/{}", dir.as_raw_fd());
    let list = std::fs::read_dir(path).map_err(|e| Errno(e.raw_os_error().unwrap_or(libc::EIO)))?;
    Ok(list
        .take(max)
        .filter_map(|it| it.ok()?.file_name().into_string().ok())
        .collect())
}
