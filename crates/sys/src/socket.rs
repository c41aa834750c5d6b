//! Sequenced-packet sockets that carry descriptors and tell who speaks.

use std::ffi::CStr;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use super::file::owned;
use super::{Errno, Sys, check, check_len};

/// The most descriptors taken with one packet.
const FDS_MAX: usize = 8;
const KIND: libc::c_int = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
/// Room for the descriptors and the credentials of one packet, aligned as control messages want it.
type ControlRoom = [u64; 16];

/// One packet.
#[derive(Debug)]
pub struct Packet {
    /// Its length in the buffer; 0 is the end of the connection.
    pub len: usize,
    /// The descriptors beside it.
    pub fds: Vec<OwnedFd>,
    /// Who sent it, by the kernel's word, if the socket asks for that; 0 otherwise.
    pub pid: i32,
    /// Something did not fit: the packet is not to be used.
    pub is_cut: bool,
}

/// Makes a connected pair.
pub fn pair() -> Sys<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: the array has room for the two descriptors.
    check(unsafe { libc::socketpair(libc::AF_UNIX, KIND, 0, ends.as_mut_ptr()) })?;
    Ok((owned(ends[0]), owned(ends[1])))
}

/// Listens at a path, which must not exist.
pub fn listen(path: &CStr) -> Sys<OwnedFd> {
    // SAFETY: takes numbers only.
    let fd = owned(check(unsafe {
        libc::socket(libc::AF_UNIX, KIND | libc::SOCK_NONBLOCK, 0)
    })?);
    // SAFETY: a zeroed address is valid.
    let mut address: libc::sockaddr_un = unsafe { zeroed() };
    address.sun_family = libc::sa_family_t::try_from(libc::AF_UNIX).unwrap_or(1);
    let bytes = path.to_bytes_with_nul();
    if bytes.len() > address.sun_path.len() {
        return Err(Errno(libc::ENAMETOOLONG));
    }
    for (to, from) in address.sun_path.iter_mut().zip(bytes) {
        *to = from.cast_signed();
    }
    let len = libc::socklen_t::try_from(size_of::<libc::sockaddr_un>()).unwrap_or(0);
    // SAFETY: the address lives for the call and the length is its size.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) })?;
    // SAFETY: takes numbers only.
    check(unsafe { libc::listen(fd.as_raw_fd(), 128) })?;
    Ok(fd)
}

/// Takes a connection; `None` when there is none.
pub fn accept(fd: BorrowedFd<'_>) -> Option<OwnedFd> {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    let none = std::ptr::null_mut();
    // SAFETY: no address is asked for, so both pointers may be null.
    check(unsafe { libc::accept4(fd.as_raw_fd(), none, none.cast(), flags) })
        .map(owned)
        .ok()
}

/// Returns the uid of the process that connected, as it was then.
pub fn peer_uid(fd: BorrowedFd<'_>) -> Sys<u32> {
    let empty = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    option(fd, libc::SO_PEERCRED, empty).map(|found| found.uid)
}

/// Says whether a descriptor is a local sequenced-packet socket that listens.
pub fn is_listening(fd: BorrowedFd<'_>) -> bool {
    let is = |name, wanted| option::<libc::c_int>(fd, name, -1) == Ok(wanted);
    is(libc::SO_DOMAIN, libc::AF_UNIX)
        && is(libc::SO_TYPE, libc::SOCK_SEQPACKET)
        && is(libc::SO_ACCEPTCONN, 1)
}

fn option<T: Copy>(fd: BorrowedFd<'_>, name: libc::c_int, mut value: T) -> Sys<T> {
    let mut len = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
    let to = (&raw mut value).cast();
    // SAFETY: `value` has room for `len` bytes, and any bytes are valid in the plain integer types that callers use.
    check(unsafe { libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, name, to, &raw mut len) })?;
    Ok(value)
}

/// Asks the kernel to say with each packet which process sent it.
pub fn ask_for_sender(fd: BorrowedFd<'_>) -> Sys<()> {
    let on: libc::c_int = 1;
    let len = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(0);
    let (level, name) = (libc::SOL_SOCKET, libc::SO_PASSCRED);
    // SAFETY: the option's value is an int that lives for the call.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const on).cast(), len) })
        .map(drop)
}

/// Sends a packet with descriptors beside it, at once or not at all (`EAGAIN`).
pub fn send(fd: RawFd, bytes: &[u8], fds: &[RawFd]) -> Sys<()> {
    if fds.is_empty() {
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        // SAFETY: the pointer and the length are those of a slice that is borrowed for the call.
        let sent = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) };
        return check_len(sent).map(drop);
    }
    let mut room: ControlRoom = [0; 16];
    let mut part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let size = u32::try_from(size_of_val(fds)).map_err(|_| Errno(libc::EINVAL))?;
    // SAFETY: `room` outlives the message, is aligned for a header and is checked to hold `size` bytes of descriptors;
    // `part` and what it points to live for the call, and sending does not write to them.
    unsafe {
        if libc::CMSG_SPACE(size) as usize > size_of::<ControlRoom>() {
            return Err(Errno(libc::EINVAL));
        }
        let mut message: libc::msghdr = zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = room.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(size) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size) as _;
        std::ptr::copy_nonoverlapping(
            fds.as_ptr().cast::<u8>(),
            libc::CMSG_DATA(header),
            size as usize,
        );
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        check_len(libc::sendmsg(fd, &raw const message, flags)).map(drop)
    }
}

/// Waits for a packet, also on a socket that does not block.
pub fn receive_waiting(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Sys<Packet> {
    loop {
        super::poll(&mut [super::readable(fd)], None)?;
        match receive(fd, buffer, 0) {
            Err(Errno(libc::EAGAIN)) => {}
            other => return other,
        }
    }
}

/// Receives a packet; waits for it unless `flags` or the socket say not to (`EAGAIN`).
pub fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8], flags: libc::c_int) -> Sys<Packet> {
    let mut room: ControlRoom = [0; 16];
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: `room`, `part` and the buffer outlive the message and are borrowed mutably; the headers are walked with the
    // macros made for it, and each descriptor is new and owned by nobody else.
    unsafe {
        let mut message: libc::msghdr = zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = room.as_mut_ptr().cast();
        message.msg_controllen = size_of::<ControlRoom>() as _;
        let flags = flags | libc::MSG_CMSG_CLOEXEC;
        let len = loop {
            match check_len(libc::recvmsg(fd.as_raw_fd(), &raw mut message, flags)) {
                Err(Errno(libc::EINTR)) => {}
                other => break other?,
            }
        };
        let mut packet = Packet {
            len,
            fds: Vec::new(),
            pid: 0,
            is_cut: false,
        };
        packet.is_cut = message.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0;
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while !header.is_null() {
            let data = libc::CMSG_DATA(header);
            if (*header).cmsg_level == libc::SOL_SOCKET {
                let size = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                match (*header).cmsg_type {
                    libc::SCM_RIGHTS => take_fds(data, size, &mut packet.fds),
                    libc::SCM_CREDENTIALS if size >= size_of::<libc::ucred>() => {
                        packet.pid = data.cast::<libc::ucred>().read_unaligned().pid;
                    }
                    _ => {}
                }
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
        packet.is_cut |= packet.fds.len() > FDS_MAX;
        Ok(packet)
    }
}

/// Takes the descriptors of a control message.
///
/// # Safety
/// `data` points to `size` bytes of descriptors that the kernel has just made for this process.
unsafe fn take_fds(data: *const u8, size: usize, to: &mut Vec<OwnedFd>) {
    for i in 0..size / size_of::<RawFd>() {
        // SAFETY: within the `size` bytes that the caller vouches for.
        let fd = unsafe { data.cast::<RawFd>().add(i).read_unaligned() };
        to.push(owned(fd));
    }
}
