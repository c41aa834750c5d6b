//! Named pipes between two services of this host: bytes both ways, and who is at the other end.
#![expect(unsafe_code, reason = "calls of the system")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::{AsHandle as _, AsRawHandle as _, BorrowedHandle, OwnedHandle};
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{
    DUPLICATE_SAME_ACCESS, DuplicateHandle, ERROR_PIPE_BUSY, ERROR_PIPE_CONNECTED, HANDLE,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_FIRST_PIPE_INSTANCE, PIPE_ACCESS_DUPLEX, SECURITY_IDENTIFICATION,
    SECURITY_SQOS_PRESENT,
};
use windows_sys::Win32::System::Pipes::{
    ConnectNamedPipe, CreateNamedPipeW, DisconnectNamedPipe, GetNamedPipeClientProcessId,
    PIPE_READMODE_BYTE, PIPE_REJECT_REMOTE_CLIENTS, PIPE_TYPE_BYTE, PIPE_UNLIMITED_INSTANCES,
    PIPE_WAIT, WaitNamedPipeW,
};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, OpenProcess, PROCESS_DUP_HANDLE, PROCESS_QUERY_LIMITED_INFORMATION,
};

use super::acl::{Descriptor, owner};
use super::token::Token;
use super::{check, last, owned, units};
use crate::Sid;

/// Bytes that the system keeps of either direction.
const BUFFER: u32 = 64 * 1024;
/// How long a client waits for a server that is busy with others, milliseconds.
const BUSY_MS: u32 = 5_000;

/// Takes connections under a name.
#[derive(Debug)]
pub struct Listener {
    name: Vec<u16>,
    sddl: String,
    /// The end that the next client finds.
    next: OwnedHandle,
}

impl Listener {
    /// Takes the name; fails when anybody else has it. Who may connect stands in an SDDL text.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn bind(name: &str, sddl: &str) -> io::Result<Self> {
        let name = units(name)?;
        let next = end_of(&name, sddl, FILE_FLAG_FIRST_PIPE_INSTANCE)?;
        let sddl = sddl.to_owned();
        Ok(Self { name, sddl, next })
    }

    /// Waits for the next client. After an error the name is still this process', and the next client can be waited for.
    ///
    /// # Errors
    /// When a client has gone before it was taken, or the system refuses.
    pub fn accept(&mut self) -> io::Result<File> {
        // SAFETY: the pipe is open and was made without overlapping.
        let is_there = unsafe { ConnectNamedPipe(self.next.as_raw_handle(), null_mut()) };
        let lost = (is_there == 0 && last() != ERROR_PIPE_CONNECTED).then(io::Error::last_os_error);
        // Made before the other is given away or closed: at no time is the name free.
        match (end_of(&self.name, &self.sddl, 0), lost) {
            (Ok(next), None) => Ok(File::from(std::mem::replace(&mut self.next, next))),
            (Ok(next), Some(error)) => {
                self.next = next;
                Err(error)
            }
            (Err(error), lost) => {
                // Else who is at its other end, or was, would be in the way of the next.
                // SAFETY: the pipe is open.
                unsafe { DisconnectNamedPipe(self.next.as_raw_handle()) };
                Err(lost.unwrap_or(error))
            }
        }
    }
}

fn end_of(name: &[u16], sddl: &str, flags: u32) -> io::Result<OwnedHandle> {
    let descriptor = Descriptor::parse(sddl)?;
    let attributes = descriptor.attributes();
    // SAFETY: the name ends with a zero; the attributes and what they point to live through the call.
    owned(unsafe {
        CreateNamedPipeW(
            name.as_ptr(),
            PIPE_ACCESS_DUPLEX | flags,
            PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS,
            PIPE_UNLIMITED_INSTANCES,
            BUFFER,
            BUFFER,
            0,
            &raw const attributes,
        )
    })
}

/// The process at the client's end of a connection.
#[derive(Debug)]
pub struct Peer(OwnedHandle);

impl Peer {
    /// Answers it, as the system says.
    ///
    /// # Errors
    /// When it is gone, or the system refuses.
    pub fn of(connection: &File) -> io::Result<Self> {
        let mut id = 0;
        // SAFETY: the pipe is open, and `id` lives through the call.
        check(unsafe { GetNamedPipeClientProcessId(connection.as_raw_handle(), &raw mut id) })?;
        let rights = PROCESS_DUP_HANDLE | PROCESS_QUERY_LIMITED_INFORMATION;
        // SAFETY: any number may be asked for.
        Ok(Self(owned(unsafe { OpenProcess(rights, 0, id) })?))
    }

    /// Answers whose process it is.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn account(&self) -> io::Result<Sid> {
        Token::of_process(self.0.as_handle())?.user()
    }

    /// Puts a second handle into that process' table; answers its number there. `access` narrows what can be done with it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn give(&self, handle: BorrowedHandle<'_>, access: Option<u32>) -> io::Result<u64> {
        let mut made: HANDLE = null_mut();
        let options = if access.is_none() {
            DUPLICATE_SAME_ACCESS
        } else {
            0
        };
        // SAFETY: all three handles are open, and `made` lives through the call.
        check(unsafe {
            DuplicateHandle(
                GetCurrentProcess(),
                handle.as_raw_handle(),
                self.0.as_raw_handle(),
                &raw mut made,
                access.unwrap_or(0),
                0,
                options,
            )
        })?;
        Ok(made.addr() as u64)
    }
}

impl Peer {
    /// Takes a second handle of a token out of that process' table. It is good for what that process' own handle is good for and
    /// no more: who may only look at somebody's token has nothing started with it.
    ///
    /// # Errors
    /// When there is no such handle; what it is shows when the token is looked at.
    pub fn take_token(&self, handle: u64) -> io::Result<Token> {
        let number = usize::try_from(handle).map_err(|_| io::ErrorKind::InvalidInput)?;
        let theirs: HANDLE = std::ptr::with_exposed_provenance_mut(number);
        let mut made: HANDLE = null_mut();
        // SAFETY: any number may be asked for in another process' table; `made` lives through the call.
        check(unsafe {
            DuplicateHandle(
                self.0.as_raw_handle(),
                theirs,
                GetCurrentProcess(),
                &raw mut made,
                0,
                0,
                DUPLICATE_SAME_ACCESS,
            )
        })?;
        Ok(Token::of_handle(owned(made)?))
    }
}

/// Connects to a server of this host that belongs to one of these: who else has taken the name is not spoken to, and can't
/// act as this process.
///
/// # Errors
/// When there is none, or it is another's.
pub fn connect(name: &str, owners: &[Sid]) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options.security_qos_flags(SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION);
    let connection = loop {
        match options.open(name) {
            Ok(file) => break file,
            Err(e) if e.raw_os_error() == Some(ERROR_PIPE_BUSY.cast_signed()) => {
                let name = units(name)?;
                // SAFETY: the name ends with a zero.
                check(unsafe { WaitNamedPipeW(name.as_ptr(), BUSY_MS) })?;
            }
            Err(e) => return Err(e),
        }
    };
    let owner = owner(connection.as_handle())?;
    if owners.contains(&owner) {
        return Ok(connection);
    }
    let said = format!("{name} belongs to {owner}, which is not the launcher's account");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, said))
}
