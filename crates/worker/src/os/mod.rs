//! What differs between operating systems below the daemon: files that are private, the account of this process, clocks,
//! free space, what the machine is. How processes are started differs, too, and is [`crate::chain`]'s business.
//!
//! Each system has the same functions, so that nothing above asks where it is.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

use std::fs::OpenOptions;
use std::time::SystemTime;

use tessera_model::Timestamp;

#[cfg(target_os = "macos")]
pub(crate) use system::uid_of;
pub(crate) use system::{
    age_of, awake, boot_id, cancel_on_signals, claim, dirs, free_space, host_name, is_privileged,
    machine, own_account, read_at,
};

/// What the system says of the machine; what it does not say is empty or 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) kernel_version: String,
    pub(crate) processor_make: String,
    pub(crate) processor_model: String,
    /// In MHz.
    pub(crate) processor_speed: u64,
    /// In MiB.
    pub(crate) memory: u64,
    /// In MiB.
    pub(crate) swap: u64,
}

/// Answers the wall time.
pub(crate) fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp(i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX))
}

/// [`wall`] as tickets and records have it: milliseconds, 0 before 1970.
#[cfg(any(not(target_os = "linux"), test))]
pub(crate) fn wall_ms() -> u64 {
    u64::try_from(wall().0).unwrap_or_default()
}

/// Options to write a file of this worker's: nobody else may open what is made, and no link is followed.
pub(crate) fn to_write() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    system::make_private(&mut options);
    system::follow_no_link(&mut options);
    options
}

/// Options to read a file of this worker's: no link is followed, and a pipe in its place is not waited for.
pub(crate) fn to_read() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    system::follow_no_link(&mut options);
    options
}
