//! Processes as /proc shows them.

use std::path::Path;

/// One process.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its parent.
    pub parent: i32,
    /// Its real uid.
    pub uid: u32,
    /// Its command line, arguments joined by spaces.
    pub command: String,
    /// Whether it has ended and nobody has asked how.
    pub is_zombie: bool,
}

/// Answers all processes that can be read.
#[must_use]
pub fn all() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| read(&entry.path()))
        .collect()
}

fn read(dir: &Path) -> Option<Process> {
    let pid = dir.file_name()?.to_str()?.parse().ok()?;
    let status = std::fs::read_to_string(dir.join("status")).ok()?;
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    let command = std::fs::read(dir.join("cmdline")).ok()?;
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    Some(Process {
        pid,
        parent: field("PPid:")?.parse().ok()?,
        uid: field("Uid:")?.split_whitespace().next()?.parse().ok()?,
        command: command.trim_end().to_owned(),
        is_zombie: field("State:")?.starts_with('Z'),
    })
}
