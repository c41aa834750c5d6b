//! The version of a package, and the time of what is in it.

use crate::tree::Tree;
use anyhow::{Context as _, Result, bail};
use std::fmt;
use std::process::Command;

/// A version that both formats take: upstream's part, without a packager's number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version(String);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Version {
    /// Takes a version, if both formats read it alike: a hyphen would part it, other signs are unknown to one of them.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let begins_well = text.starts_with(|c: char| c.is_ascii_digit());
        let is_plain = |c: char| c.is_ascii_alphanumeric() || ".+~".contains(c);
        if begins_well && text.chars().all(is_plain) {
            return Ok(Self(text.to_owned()));
        }
        bail!("\"{text}\" is no version of a package: a digit, then letters, digits and . + ~")
    }

    /// Answers the version of this checkout: Cargo.toml's; before its tag it is marked with the commit, so that a later
    /// commit is a newer version, and the release the newest.
    pub(super) fn of(tree: &Tree) -> Result<Self> {
        let text = tree.text("Cargo.toml")?.context("Cargo.toml is no text")?;
        let table: toml::Table = text.parse()?;
        let version = table["workspace"]["package"]["version"].as_str();
        let version = version.context("Cargo.toml has no version")?;
        let is_tagged = git(tree, &["tag", "--points-at", "HEAD"])?
            .lines()
            .any(|tag| tag == format!("v{version}"));
        if is_tagged {
            return Self::parse(version);
        }
        let format = "--format=git%cd.%h";
        let date = "--date=format-local:%Y%m%d%H%M%S";
        let mark = git(tree, &["log", "-1", "--abbrev=10", date, format])?;
        Self::parse(&format!("{version}~{mark}"))
    }

    /// Answers the next one, for trying an upgrade.
    pub(super) fn next(&self) -> Self {
        Self(format!("{}+next", self.0))
    }
}

/// Answers when the last commit was made, in seconds since 1970.
pub(super) fn commit_time(tree: &Tree) -> Result<u64> {
    let text = git(tree, &["log", "-1", "--format=%ct"])?;
    text.parse().context("git's time of the last commit")
}

fn git(tree: &Tree, words: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args(words)
        .current_dir(&tree.top)
        .env("TZ", "UTC")
        .output()
        .context("can't run git")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("git {}: {}", words.join(" "), said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_both_formats_read_alike_is_a_version() {
        for good in ["0.1.0", "0.1.0~git20261129181000.0123456789", "1.0+next"] {
            assert_eq!(Version::parse(good).expect(good).to_string(), good);
        }
        for bad in ["", "v1", "1-2", "1:2", "1 2", "1\n2", "1_2"] {
            assert!(Version::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn this_checkout_has_one() {
        let tree = Tree::find().expect("a tree");
        let version = Version::of(&tree).expect("a version").to_string();
        assert!(version.starts_with(env!("CARGO_PKG_VERSION")), "{version}");
        assert!(commit_time(&tree).expect("a time") > 1_700_000_000);
    }
}
