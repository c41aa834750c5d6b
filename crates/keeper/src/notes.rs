//! Where the processes of a launch are noted, each before its first instruction, so that a later launcher finds them.

use std::io::{self, Write as _};
use std::path::Path;

/// Notes a process, durably: it has not run yet.
///
/// # Errors
/// When that can't be; then it must not run.
pub fn note(path: &Path, pid: u32, born: u64) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.append(true).create(true).open(path)?;
    writeln!(file, "{pid} {born}")?;
    file.sync_data()
}

/// Reads what was noted: numbers and births.
///
/// # Errors
/// When the file can't be read.
pub fn noted(path: &Path) -> io::Result<Vec<(u32, u64)>> {
    let text = std::fs::read_to_string(path)?;
    let pairs = text.lines().filter_map(|line| {
        let (pid, born) = line.split_once(' ')?;
        Some((pid.parse().ok()?, born.parse().ok()?))
    });
    Ok(pairs.collect())
}
