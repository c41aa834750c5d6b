//! What each defence of the launcher costs: builds it whole and without each of some, by the planted faults that take them
//! out, and lets all take turns in one run (`crates/launch/tests/costs.rs`). As root, on a machine that does nothing else.

use crate::mutants;
use crate::run::Run;
use crate::tree::{Tree, cargo};
use anyhow::{Result, bail};

/// Planted faults that take a whole defence out.
const WITHOUT: &[&str] = &[
    "unsigned-ticket",
    "template-unchecked",
    "identity-not-read-back",
    "keyring-is-shared",
    "new-privileges",
    "item-in-the-old-session",
    "shepherd-keeps-descriptors",
    "core-limit-can-be-raised",
    "jobs-die-last",
];
/// Minutes for the build and the run.
const BUILD_MINUTES: u64 = 20;
const RUN_MINUTES: u64 = 30;

/// Measures without each of the named defences, or of the usual ones.
pub(crate) fn main(tree: &Tree, words: &[String]) -> Result<bool> {
    let usual = || WITHOUT.iter().map(|it| (*it).to_owned()).collect();
    let names: Vec<String> = if words.is_empty() {
        usual()
    } else {
        words.to_vec()
    };
    let folder = tree.target().join("costs");
    std::fs::create_dir_all(&folder)?;
    let mut variants = String::new();
    for name in &names {
        let built =
            mutants::build_planted(tree, name, &["--release", "--package", "tessera-launch"])?;
        let kept = folder.join(name);
        std::fs::copy(built.join("release/tessera-launch"), &kept)?;
        variants += &format!("{name}={}\n", kept.display());
    }
    let words = [
        "test",
        "--quiet",
        "--locked",
        "--release",
        "--package",
        "tessera-launch",
        "--test",
        "costs",
    ];
    let build = Run::new(&cargo(), &tree.top, BUILD_MINUTES).words(words);
    if !build.words(["--no-run"]).go()?.is_well {
        bail!("the benchmark doesn't build");
    }
    let run = Run::new(&cargo(), &tree.top, RUN_MINUTES)
        .words(words)
        .words(["--", "--ignored", "--nocapture"])
        .env("TESSERA_LAUNCH_VARIANTS", variants);
    Ok(run.go()?.is_well)
}
