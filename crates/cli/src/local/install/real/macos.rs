//! Who holds a lock: asked of `lsof`, a program of the system.

use std::path::Path;
use std::process::{Command, Stdio};

const LSOF: &str = "/usr/sbin/lsof";

/// Answers a process that has a file open which only a worker opens, as far as the caller may see that.
pub(super) fn lock_holder(path: &Path) -> Option<i32> {
    let output = Command::new(LSOF)
        .args(["-t", "--"])
        .arg(path)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines().find_map(|line| line.trim().parse().ok())
}
