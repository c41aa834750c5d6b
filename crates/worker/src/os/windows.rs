//! Windows. Private is what lies in the user's profile: its access list lets nobody else in.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::windows::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Machine;
use crate::error::WorkerError;

/// Opens a link itself and not what it leads to (`FILE_FLAG_OPEN_REPARSE_POINT`).
const OPEN_LINK: u32 = 0x0020_0000;
/// Bytes of a MiB.
const MIB: u64 = 1 << 20;

/// Files have the access of the directory that they are made in.
pub(super) fn make_private(_options: &mut OpenOptions) {}

pub(super) fn follow_no_link(options: &mut OpenOptions) {
    options.custom_flags(OPEN_LINK);
}

/// Answers how to make a directory with all above it; its access is that of the one above.
pub(crate) fn dirs() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    builder
}

/// Sees to it that a directory is one, and no link to another place.
pub(crate) fn claim(path: &Path) -> Result<(), WorkerError> {
    let found = path
        .symlink_metadata()
        .map_err(WorkerError::state("look at", path))?;
    if found.is_symlink() {
        let source = io::Error::other("it is a link");
        return Err(WorkerError::state("use", path)(source));
    }
    Ok(())
}

/// Reads from a place in a file; fewer bytes than asked for only at its end, or when the system likes.
pub(crate) fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    match file.seek_read(bytes, offset) {
        // Behind the end (`ERROR_HANDLE_EOF`).
        Err(e) if e.raw_os_error() == Some(38) => Ok(0),
        other => other,
    }
}

/// Answers the bytes that this user may still write below a path, as far as is known.
pub(crate) fn free_space(path: &Path) -> Option<u64> {
    fs4::available_space(path).ok()
}

/// Answers the name of the account that this process runs as, without its domain and in small letters: names are the same
/// in any case on Windows, and people of a farm are not.
pub(crate) fn own_account() -> Result<String, WorkerError> {
    match tessera_windows::account() {
        Ok(account) => Ok(account.name.to_lowercase()),
        Err(_) => Err(WorkerError::NoAccount {
            uid: "of this process".to_owned(),
        }),
    }
}

/// Says whether jobs as this process' account could do anything to the host. Who can't be asked about counts as such.
pub(crate) fn is_privileged() -> bool {
    tessera_windows::account().map_or(true, |it| it.is_elevated)
}

/// Answers the name that the host gives itself, if it has one.
pub(crate) fn host_name() -> Option<String> {
    gethostname::gethostname().into_string().ok()
}

/// Cancels `stop` at Ctrl-C, Ctrl-Break, or when the console closes or the user logs off.
pub(crate) fn cancel_on_signals(stop: CancellationToken) -> Result<JoinHandle<()>, WorkerError> {
    let mut interrupt = ctrl_c().map_err(WorkerError::Signals)?;
    let mut stopped = ctrl_break().map_err(WorkerError::Signals)?;
    let mut closed = ctrl_close().map_err(WorkerError::Signals)?;
    let mut logoff = ctrl_logoff().map_err(WorkerError::Signals)?;
    let mut shutdown = ctrl_shutdown().map_err(WorkerError::Signals)?;
    Ok(tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = stopped.recv() => {}
            _ = closed.recv() => {}
            _ = logoff.recv() => {}
            _ = shutdown.recv() => {}
        }
        stop.cancel();
    }))
}

/// Nothing outlives a worker here, so nobody asks how old it is: see [`boot_id`].
pub(crate) fn awake() -> Duration {
    Duration::ZERO
}

/// Nothing that was begun by another worker counts as of this start of the host.
pub(crate) fn boot_id() -> String {
    format!("worker-{}", std::process::id())
}

/// Nothing is taken over here, so nothing has an age.
pub(crate) fn age_of(_pid: u32) -> Duration {
    Duration::ZERO
}

/// Looks at the machine.
pub(crate) fn machine() -> Machine {
    let found = tessera_windows::machine();
    let said = |name| std::env::var(name).unwrap_or_default();
    Machine {
        kernel_version: found.version,
        processor_make: String::new(),
        processor_model: said("PROCESSOR_IDENTIFIER"),
        processor_speed: 0,
        memory: found.memory / MIB,
        swap: found.swap / MIB,
    }
}
