//! The farm's folder on this host.

use super::{Finding, Level};
use crate::out::time;
use std::path::Path;

/// Free space below which a spool is soon full, in bytes.
const FREE_MIN: u64 = 1 << 30;

/// Looks at the folder and at whether the host has joined.
pub(super) fn look(state: &Path) -> Vec<Finding> {
    let mut findings = room(state);
    findings.push(joined(state));
    findings
}

fn room(state: &Path) -> Vec<Finding> {
    if !state.exists() {
        return vec![Finding::note(
            "state",
            format!("{} is not there: no daemon has run here", state.display()),
        )];
    }
    let Some(free) = free_space(state) else {
        return vec![Finding::bad(
            "state",
            format!("{} can't be looked at", state.display()),
        )];
    };
    let said = format!("{}, {} free", state.display(), time::size(free));
    if free < FREE_MIN {
        return vec![
            Finding::new(Level::Warning, "state", said)
                .mend("make room: output that does not fit is cut with a mark"),
        ];
    }
    vec![Finding::good("state", said)]
}

/// Says whether this host has joined a farm.
fn joined(state: &Path) -> Finding {
    let certificate = state.join("worker/cert.pem");
    match certificate.try_exists() {
        Ok(true) => Finding::good("certificate", certificate.display().to_string()),
        Ok(false) => Finding::note("certificate", "this host has joined no farm")
            .mend("tessera join STRING, if it shall run frames (tessera join-string makes one)"),
        Err(_) => Finding::note(
            "certificate",
            format!("{} is not for you to see", certificate.display()),
        )
        .mend("run it with sudo to look"),
    }
}

#[cfg(unix)]
fn free_space(path: &Path) -> Option<u64> {
    let found = nix::sys::statvfs::statvfs(path).ok()?;
    Some(wide(found.blocks_available()).saturating_mul(found.fragment_size()))
}

/// Widens a number that has not the same size on every system.
#[cfg(unix)]
fn wide(number: impl Into<u64>) -> u64 {
    number.into()
}

#[cfg(windows)]
fn free_space(path: &Path) -> Option<u64> {
    fs4::available_space(path).ok()
}
