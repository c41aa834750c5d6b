//! macOS, from Linux: lints for it, and links with zig, which brings libSystem and nothing else of macOS. Nothing is run.
//!
//! Needed: the compiler's library for the target (`rustup target add`), zig and cargo-zigbuild (`pip install ziglang
//! cargo-zigbuild`). In CI none may be missing; elsewhere it is said and skipped.

use crate::run::Run;
use crate::tally::Tally;
use crate::tree::Tree;
use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;
use std::process::Command;

const TARGET: &str = "aarch64-apple-darwin";
/// Minutes for a build, and for anything small.
const BUILD_MINUTES: u64 = 60;
const STEP_MINUTES: u64 = 5;
/// The program that has cargo build with zig.
const ZIGBUILD: &str = "cargo-zigbuild";
/// What is linted and linked: all that runs on macOS.
const PACKAGES: &[&str] = &["--package", "tessera", "--package", "tessera-macos"];

/// Does all of it. Answers whether all is well.
pub(crate) fn main(tree: &Tree) -> Result<bool> {
    if !is_there(ZIGBUILD) {
        return missing("install cargo-zigbuild and ziglang, with pip for example");
    }
    if !has_library(tree)? {
        return missing(&format!("rustup can't add {TARGET}"));
    }
    let cargo = |command| {
        Run::new(ZIGBUILD, &tree.top, BUILD_MINUTES)
            .words([command, "--quiet", "--locked", "--target", TARGET])
            .words(PACKAGES)
            .env("CARGO_TARGET_DIR", tree.target().join("macos"))
    };
    let mut tally = cargo("clippy")
        .words(["--", "-D", "warnings"])
        .go()?
        .counted();
    let linked = cargo("zigbuild").words(["--bins"]).go()?.is_well;
    tally += Tally::one(linked);
    println!("{tally}");
    Ok(tally.failed == 0)
}

/// Says what is missing; in CI that is a failure.
fn missing(what: &str) -> Result<bool> {
    if std::env::var_os("CI").is_some() {
        bail!("nothing could be built for macOS: {what}");
    }
    println!("skipped: {what}");
    println!("0 passed, 0 failed, 1 skipped");
    Ok(true)
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Says whether our compiler can build for the target, after trying to get what it lacks.
fn has_library(tree: &Tree) -> Result<bool> {
    let said = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(&tree.top)
        .output()
        .context("rustc")?;
    let library = PathBuf::from(String::from_utf8_lossy(&said.stdout).trim());
    let is_complete = || std::fs::read_dir(&library).is_ok_and(|mut it| it.next().is_some());
    if is_complete() {
        return Ok(true);
    }
    let words = ["target", "add", TARGET, "--no-self-update"];
    let added = Run::new("rustup", &tree.top, STEP_MINUTES)
        .words(words)
        .go();
    if let Err(error) = added {
        println!("rustup: {error:#}");
    }
    Ok(is_complete())
}
