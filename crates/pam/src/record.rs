//! The record of a session, beside its instance's run record: there from before the session is opened until it is closed, so one
//! that is there when nothing of the instance is left tells of a session that nobody has closed.
//!
//! Text: a line with service and account, then a line for each state, `opening` and `open`; only the last counts.

use std::ffi::CString;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use tessera_sys::{Sys, file};

/// The most bytes of a record that are read.
const BYTES_MAX: usize = 512;
/// What the name of a record ends with, behind that of its launch.
const ENDING: &str = ".pam";

/// Returns the launch that a file among run records is of, a record of a session or another.
pub fn launch_of(name: &str) -> &str {
    name.strip_suffix(ENDING).unwrap_or(name)
}

fn name(launch: &str) -> Sys<CString> {
    file::c_string(&format!("{launch}{ENDING}"))
}

/// Adds lines to the record of a launch.
pub(crate) fn add(run: BorrowedFd<'_>, launch: &str, text: &str) -> Sys<()> {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND;
    let record = file::open_at(run, &name(launch)?, flags, 0o600)?;
    file::write_all(record.as_raw_fd(), text.as_bytes())
}

/// Says in words of what session there is a record, if there is one.
pub fn find(run: BorrowedFd<'_>, launch: &str) -> Option<String> {
    let text = file::read_at(run, &name(launch).ok()?, BYTES_MAX).ok()?;
    Some(in_words(&String::from_utf8_lossy(&text)))
}

/// Removes the record of a launch.
pub fn remove(run: BorrowedFd<'_>, launch: &str) -> Sys<()> {
    file::remove_file(run, &name(launch)?)
}

fn in_words(text: &str) -> String {
    let mut lines = text.lines();
    let (service, account) = lines
        .next()
        .and_then(|it| it.split_once(' '))
        .unwrap_or_default();
    let state = lines.last().unwrap_or("open");
    format!("service {service}, account {account}, {state}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_stands_beside_its_instances() {
        assert_eq!(
            (launch_of("7.0.1"), launch_of("7.0.1.pam")),
            ("7.0.1", "7.0.1")
        );
    }

    #[test]
    fn the_last_state_counts() {
        for (text, words) in [
            ("s mia\nopening\n", "service s, account mia, opening"),
            ("s mia\nopening\nopen\n", "service s, account mia, open"),
            ("s mia\n", "service s, account mia, open"),
            ("", "service , account , open"),
        ] {
            assert_eq!(in_words(text), words);
        }
    }
}
