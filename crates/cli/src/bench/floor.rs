//! The floor: the same processes without a farm.

use super::PROGRAM;
use crate::error::CliError;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::Instant;

/// Runs `xargs -P slots -n1 /bin/true` for so many processes and answers how long it took.
pub(super) async fn xargs(frames: u32, slots: u32) -> Result<Duration, CliError> {
    let fail = |error: std::io::Error| {
        CliError::failed(format!("can't run xargs: {error}")).hint("install findutils")
    };
    let begun = Instant::now();
    let mut child = Command::new("xargs")
        .args(["-P", &slots.to_string(), "-n1", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(fail)?;
    let mut words = child.stdin.take();
    for start in (0..frames).step_by(1_000) {
        let lines: String = (start..frames.min(start + 1_000))
            .map(|frame| format!("{frame}\n"))
            .collect();
        if let Some(words) = &mut words {
            words.write_all(lines.as_bytes()).await.map_err(fail)?;
        }
    }
    drop(words);
    let status = child.wait().await.map_err(fail)?;
    if status.success() {
        Ok(begun.elapsed())
    } else {
        Err(CliError::failed(format!("xargs ended with {status}")))
    }
}
