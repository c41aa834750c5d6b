//! The simulator, built with optimisation: options go to it as they are.

use crate::run::Run;
use crate::tree::{Tree, cargo};
use anyhow::Result;
use std::ffi::OsStr;

/// Minutes that a run of the simulator may take, its build included.
const MINUTES: u64 = 20;

/// Bugs that the simulator can plant (`--bug`), each of which must be found.
pub(crate) const BUGS: &[&str] = &["effects-before-commit", "spool-forgotten", "loss-is-proof"];

/// Runs the simulator; answers whether it found nothing.
pub(crate) fn main(tree: &Tree, words: &[String]) -> Result<bool> {
    Ok(run(words, tree).go()?.is_well)
}

/// Prepares a run of the simulator.
pub(crate) fn run<S: AsRef<OsStr>>(words: &[S], tree: &Tree) -> Run {
    Run::new(&cargo(), &tree.top, MINUTES)
        .words([
            "run",
            "--release",
            "--quiet",
            "--locked",
            "--package",
            "tessera-sim",
            "--",
        ])
        .words(words)
}
