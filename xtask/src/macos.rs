//! macOS, from Linux: lints for it, and links with zig, which brings libSystem and nothing else of macOS. Nothing is run.
//!
//! Needed: the compiler's library for the target (`rustup target add`), zig and cargo-zigbuild (`pip install ziglang
//! cargo-zigbuild`). In CI none may be missing; elsewhere it is said and skipped.

use crate::run::Run;
use crate::tally::Tally;
use crate::target::{has_library, is_there, missing};
use crate::tree::Tree;
use anyhow::Result;

const TARGET: &str = "aarch64-apple-darwin";
/// Minutes for a build.
const BUILD_MINUTES: u64 = 60;
/// The program that has cargo build with zig.
const ZIGBUILD: &str = "cargo-zigbuild";
/// What is linted and linked: all that runs on macOS.
const PACKAGES: &[&str] = &[
    "--package",
    "tessera",
    "--package",
    "tessera-maclaunch",
    "--package",
    "tessera-macos",
];

/// Does all of it. Answers whether all is well.
pub(crate) fn main(tree: &Tree) -> Result<bool> {
    if !is_there(ZIGBUILD) {
        return missing(
            "macOS",
            "install cargo-zigbuild and ziglang, with pip for example",
        );
    }
    if !has_library(tree, TARGET)? {
        return missing("macOS", &format!("rustup can't add {TARGET}"));
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
