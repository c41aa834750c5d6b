//! The web page: what its lock file names is fetched, then types, lint, unit tests and the build run; with `--walk` a
//! browser goes through the page of a real farm.
//!
//! Node.js is needed when the page is built, never when the program runs. No script of a package is run. In CI nothing may
//! be missing; elsewhere it is said and skipped.

use crate::run::Run;
use crate::tally::Tally;
use crate::target::{is_there, missing};
use crate::tree::{Tree, cargo};
use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::process::Command;

/// Oldest Node.js that builds the page.
const NODE_MIN: (u32, u32) = (20, 19);
/// Minutes for fetching packages, for a check, for a build of the programs, for the walk.
const FETCH_MINUTES: u64 = 5;
const CHECK_MINUTES: u64 = 3;
const BUILD_MINUTES: u64 = 30;
const WALK_MINUTES: u64 = 4;
/// What is made and checked, in this order: each is a script of `web/package.json`.
const SCRIPTS: [&str; 5] = ["gen", "types", "lint", "unit", "build"];
/// The page as it is put into the program.
pub(crate) const PAGE: &str = "crates/web/dist/index.html";

/// Builds and checks the page, or lets a browser walk through it. Answers whether all is well.
pub(crate) fn main(tree: &Tree, words: &[String]) -> Result<bool> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (walks, is_release) = match words[..] {
        [] => (false, false),
        ["--walk"] => (true, false),
        ["--walk", "--release"] => (true, true),
        _ => bail!("usage: cargo xtask web [--walk [--release]]"),
    };
    if let Some(why) = node_is_missing() {
        return missing("web", &why);
    }
    if walks
        && !["chromium", "chromium-browser", "google-chrome"]
            .iter()
            .any(|it| is_there(it))
    {
        return missing("web in a browser", "install chromium");
    }
    let web = tree.top.join("web");
    let mut tally = Tally::default();
    if !fetch(&web)? {
        tally += Tally::FAILED;
    } else if walks {
        tally += walk(tree, &web, is_release)?;
    } else {
        for script in SCRIPTS {
            let run = Run::new("npm", &web, CHECK_MINUTES).words(["run", "--silent", script]);
            tally += run.go()?.counted();
        }
    }
    println!("{tally}");
    Ok(tally.failed == 0)
}

/// Says what is missing of Node.js, and how to come by it.
fn node_is_missing() -> Option<String> {
    let (major, minor) = NODE_MIN;
    let wanted = format!("install Node.js {major}.{minor} or newer, with npm");
    if !is_there("npm") {
        return Some(wanted);
    }
    let said = Command::new("node").arg("--version").output().ok()?;
    let version = version_of(&String::from_utf8_lossy(&said.stdout));
    let is_new = version.is_some_and(|version| version >= NODE_MIN);
    (!is_new).then_some(wanted)
}

/// Reads `v20.11.1`.
fn version_of(said: &str) -> Option<(u32, u32)> {
    let mut parts = said.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Fetches the packages of the lock file, when those that are there are not of it.
fn fetch(web: &Path) -> Result<bool> {
    let lock = web.join("package-lock.json");
    let fetched = web.join("node_modules/.tessera-lock");
    let wanted = std::fs::read(&lock).context("web/package-lock.json can't be read")?;
    if std::fs::read(&fetched).is_ok_and(|found| found == wanted) {
        return Ok(true);
    }
    let words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    let ended = Run::new("npm", web, FETCH_MINUTES).words(words).go()?;
    if ended.is_well {
        std::fs::write(&fetched, wanted).context("web/node_modules can't be written")?;
    }
    Ok(ended.is_well)
}

/// Builds the programs with the page in them, and lets a browser walk.
fn walk(tree: &Tree, web: &Path, is_release: bool) -> Result<Tally> {
    if !tree.top.join(PAGE).exists() {
        bail!("the page is not built; run cargo xtask web first");
    }
    let mut build = Run::new(&cargo(), &tree.top, BUILD_MINUTES);
    build = build.words([
        "build",
        "--package",
        "tessera",
        "--package",
        "tessera-launch",
    ]);
    if is_release {
        build = build.words(["--release"]);
    }
    if !build.go()?.is_well {
        return Ok(Tally::FAILED);
    }
    let programs = tree
        .target()
        .join(if is_release { "release" } else { "debug" });
    let run = Run::new("node", web, WALK_MINUTES).words(["test/walk.mjs"]);
    Ok(run.words([programs]).go()?.counted())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_node_are_read() {
        assert_eq!(version_of("v20.11.1\n"), Some((20, 11)));
        assert!(version_of("v20.18.3").expect("read") < NODE_MIN);
        for bad in ["", "20.1", "vx.y", "v9"] {
            assert_eq!(version_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_lock_file_has_the_versions_that_are_named() {
        let top = Tree::find().expect("a tree").top;
        let read = |name| std::fs::read_to_string(top.join("web").join(name)).expect("read");
        let (named, lock) = (read("package.json"), read("package-lock.json"));
        let versions = named
            .lines()
            .skip_while(|line| !line.contains("devDependencies"));
        let pairs: Vec<&str> = versions
            .skip(1)
            .take_while(|line| line.contains(':'))
            .collect();
        assert!(pairs.len() > 5);
        for pair in pairs {
            assert!(
                !pair.contains(['^', '~', '*', '>']),
                "{pair}: a version is pinned"
            );
            assert!(
                lock.contains(pair.trim().trim_end_matches(',')),
                "{pair}: not in the lock file"
            );
        }
        // Whichever registry somebody uses: what comes from it is known by its hash.
        assert!(!lock.contains("\"resolved\""));
        let packages = lock.matches("\"node_modules/").count();
        assert_eq!(lock.matches("\"integrity\": \"sha512-").count(), packages);
    }
}
