//! Descriptors over a socket, and who is at its other end.
#![expect(unsafe_code, reason = "calls of the system")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use super::check;

/// The most descriptors of a message.
pub const FDS_MAX: usize = 4;
/// Bytes beside a message: a head, and room for the descriptors, more than enough on any system.
const CONTROL_LEN: usize = 128;

/// Room for what stands beside a message, aligned as its head wants it.
#[repr(align(8))]
struct Control([u8; CONTROL_LEN]);

/// Answers the effective uid of whoever connected, or made the socket.
///
/// # Errors
/// When the system does not say.
#[cfg(target_os = "macos")]
pub fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    let (mut uid, mut gid) = (0, 0);
    // SAFETY: both live through the call.
    check(unsafe { libc::getpeereid(stream.as_raw_fd(), &raw mut uid, &raw mut gid) })?;
    Ok(uid)
}

/// Answers the effective uid of whoever connected, or made the socket.
///
/// # Errors
/// When the system does not say.
#[cfg(target_os = "linux")]
pub fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    let mut found = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut len = libc::socklen_t::try_from(size_of_val(&found)).map_err(io::Error::other)?;
    // SAFETY: the structure has as many bytes as it is told, and both live through the call.
    check(unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &raw mut len,
        )
    })?;
    Ok(found.uid)
}

/// Sends some bytes, one at least, with descriptors; answers how many bytes went. The descriptors went with the first of them.
///
/// # Errors
/// When the other end is gone, or there are too many descriptors.
pub fn send_with(stream: &UnixStream, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    if bytes.is_empty() || fds.len() > FDS_MAX {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let raw: Vec<RawFd> = fds.iter().map(BorrowedFd::as_raw_fd).collect();
    let size = size_of_val(raw.as_slice());
    let mut control = Control([0; CONTROL_LEN]);
    let mut part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: the structure is numbers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    if !raw.is_empty() {
        let size = libc::c_uint::try_from(size).map_err(io::Error::other)?;
        message.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: they only compute; and there is room for a head, of which the first is the room's beginning, and the numbers.
        unsafe {
            message.msg_controllen = wide(libc::CMSG_SPACE(size));
            let head = libc::CMSG_FIRSTHDR(&raw const message);
            (*head).cmsg_level = libc::SOL_SOCKET;
            (*head).cmsg_type = libc::SCM_RIGHTS;
            (*head).cmsg_len = wide(libc::CMSG_LEN(size));
            std::ptr::copy_nonoverlapping(
                raw.as_ptr().cast::<u8>(),
                libc::CMSG_DATA(head),
                size_of_val(raw.as_slice()),
            );
        }
    }
    loop {
        // SAFETY: all that the message points at lives through the call.
        let sent = unsafe { libc::sendmsg(stream.as_raw_fd(), &raw const message, NO_SIGNAL) };
        match usize::try_from(sent) {
            Ok(sent) => return Ok(sent),
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    }
}

/// A program of Rust's has that signal ignored on macOS, where it can't be told so.
#[cfg(target_os = "macos")]
const NO_SIGNAL: libc::c_int = 0;
#[cfg(target_os = "linux")]
const NO_SIGNAL: libc::c_int = libc::MSG_NOSIGNAL;

#[cfg(target_os = "macos")]
fn wide(size: libc::c_uint) -> libc::socklen_t {
    size
}

#[cfg(target_os = "linux")]
fn wide(size: libc::c_uint) -> usize {
    size as usize
}

/// Receives some bytes and the descriptors that came with them; no bytes at the end.
///
/// # Errors
/// When the connection breaks, or more descriptors came than there is room for: then none is kept.
pub fn receive_with(stream: &UnixStream, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut control = Control([0; CONTROL_LEN]);
    let mut part = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: the structure is numbers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = wide(128);
    let got = loop {
        // SAFETY: all that the message points at lives through the call.
        let got = unsafe { libc::recvmsg(stream.as_raw_fd(), &raw mut message, 0) };
        match usize::try_from(got) {
            Ok(got) => break got,
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    };
    let mut fds = Vec::new();
    // SAFETY: the system has written whole heads into the room, and says how far; each number is a new descriptor of this process.
    unsafe {
        let mut head = libc::CMSG_FIRSTHDR(&raw const message);
        while !head.is_null() {
            if (*head).cmsg_level == libc::SOL_SOCKET && (*head).cmsg_type == libc::SCM_RIGHTS {
                let len = narrow((*head).cmsg_len).saturating_sub(narrow_uint(libc::CMSG_LEN(0)));
                let data = libc::CMSG_DATA(head).cast::<RawFd>();
                for at in 0..len / size_of::<RawFd>() {
                    fds.push(OwnedFd::from_raw_fd(data.add(at).read_unaligned()));
                }
            }
            head = libc::CMSG_NXTHDR(&raw const message, head);
        }
    }
    if message.msg_flags & libc::MSG_CTRUNC != 0 || fds.len() > FDS_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    for fd in &fds {
        // SAFETY: it takes numbers.
        check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
    }
    Ok((got, fds))
}

fn narrow_uint(size: libc::c_uint) -> usize {
    size as usize
}

#[cfg(target_os = "macos")]
fn narrow(size: libc::socklen_t) -> usize {
    size as usize
}

#[cfg(target_os = "linux")]
fn narrow(size: usize) -> usize {
    size
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read as _, Write as _};
    use std::os::fd::AsFd as _;

    #[test]
    fn descriptors_arrive_with_the_first_byte() {
        let (near, far) = UnixStream::pair().expect("a pair");
        let (read, mut write) = io::pipe().expect("a pipe");
        let (other, _end) = io::pipe().expect("a pipe");
        let sent = send_with(&near, b"hello", &[read.as_fd(), other.as_fd()]).expect("sent");
        assert_eq!(sent, 5);
        drop(read);
        let mut bytes = [0; 2];
        let (got, fds) = receive_with(&far, &mut bytes).expect("received");
        assert_eq!((got, &bytes, fds.len()), (2, b"he", 2));
        // SAFETY: it takes numbers.
        let flags = unsafe { libc::fcntl(fds[0].as_raw_fd(), libc::F_GETFD) };
        assert_eq!(flags, libc::FD_CLOEXEC);
        let mut rest = [0; 16];
        let (got, more) = receive_with(&far, &mut rest).expect("received");
        assert_eq!((&rest[..got], more.len()), (&b"llo"[..], 0));
        write.write_all(b"through").expect("written");
        drop(write);
        let mut text = String::new();
        let mut fds = fds.into_iter();
        File::from(fds.next().expect("one"))
            .read_to_string(&mut text)
            .expect("read");
        assert_eq!(text, "through");
        drop(near);
        assert_eq!(receive_with(&far, &mut rest).expect("the end").0, 0);
    }

    #[test]
    fn what_can_not_be_sent_is_refused() {
        let (near, far) = UnixStream::pair().expect("a pair");
        let fd = near.as_fd();
        assert!(send_with(&near, b"", &[]).is_err());
        assert!(send_with(&near, b"x", &[fd; FDS_MAX + 1]).is_err());
        assert_eq!(send_with(&near, b"x", &[fd; FDS_MAX]).expect("sent"), 1);
        let (_, fds) = receive_with(&far, &mut [0; 1]).expect("received");
        assert_eq!(fds.len(), FDS_MAX);
    }

    #[test]
    fn the_other_end_is_known() {
        let (near, _far) = UnixStream::pair().expect("a pair");
        assert_eq!(peer_uid(&near).expect("known"), super::super::uids().1);
    }
}
