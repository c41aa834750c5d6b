//! What borrowed files ask of the system, in its plainest form: no parser depends on it.

use std::fs::OpenOptions;
use std::time::Duration;

pub(crate) fn to_write() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    options
}

pub(crate) fn to_read() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    options
}

pub(crate) fn awake() -> Duration {
    Duration::from_secs(60)
}

pub(crate) fn boot_id() -> String {
    "boot".to_owned()
}
