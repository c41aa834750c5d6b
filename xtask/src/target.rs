//! What building for another system than this one needs, the same for all of them.

use crate::run::Run;
use crate::tree::Tree;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// Minutes for getting a target's library.
const STEP_MINUTES: u64 = 5;

/// Says what is missing; in CI that is a failure.
pub(crate) fn missing(system: &str, what: &str) -> Result<bool> {
    if std::env::var_os("CI").is_some() {
        bail!("nothing could be built for {system}: {what}");
    }
    println!("skipped: {what}");
    println!("0 passed, 0 failed, 1 skipped");
    Ok(true)
}

pub(crate) fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Says whether our compiler can build for the target, after trying to get what it lacks.
pub(crate) fn has_library(tree: &Tree, target: &str) -> Result<bool> {
    let said = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .current_dir(&tree.top)
        .output()
        .context("rustc")?;
    let library = PathBuf::from(String::from_utf8_lossy(&said.stdout).trim());
    let is_complete = || std::fs::read_dir(&library).is_ok_and(|mut it| it.next().is_some());
    if is_complete() {
        return Ok(true);
    }
    // Nothing beside it: newer ones refuse what older ones took.
    let words = ["target", "add", target];
    let added = Run::new("rustup", &tree.top, STEP_MINUTES)
        .words(words)
        .go();
    if let Err(error) = added {
        println!("rustup: {error:#}");
    }
    Ok(is_complete())
}
