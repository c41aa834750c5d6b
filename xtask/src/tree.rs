//! The working tree: where it is and which files belong to it.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A checkout of the project.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    /// Its top folder.
    pub(crate) top: PathBuf,
}

impl Tree {
    /// Finds the tree that this program was built from.
    pub(crate) fn find() -> Result<Self> {
        // Where cargo runs it now: a target folder that several checkouts share may hold another one's build.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR");
        let manifest = manifest.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let top = Path::new(&manifest)
            .parent()
            .context("xtask has no parent")?;
        if !top.join("Cargo.toml").is_file() {
            bail!(
                "{} is no checkout of the project any more; run cargo xtask in one",
                top.display()
            );
        }
        Ok(Self {
            top: top.to_owned(),
        })
    }

    /// Answers the files that git tracks or would track, relative to the top, sorted.
    ///
    /// # Errors
    /// When git is missing or this is no repository.
    pub(crate) fn files(&self) -> Result<Vec<String>> {
        let output = Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(&self.top)
            .output()
            .context("can't run git; install it to check the tree")?;
        if !output.status.success() {
            bail!(
                "git ls-files: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let mut files: Vec<String> = text
            .split('\0')
            .filter(|name| !name.is_empty() && self.top.join(name).is_file())
            .map(str::to_owned)
            .collect();
        files.sort_unstable();
        files.dedup();
        Ok(files)
    }

    /// Reads a file of the tree as text; `None` when it is not text.
    ///
    /// # Errors
    /// When it can't be read.
    pub(crate) fn text(&self, file: &str) -> Result<Option<String>> {
        let bytes =
            std::fs::read(self.top.join(file)).with_context(|| format!("can't read {file}"))?;
        Ok(String::from_utf8(bytes)
            .ok()
            .filter(|text| !text.contains('\0')))
    }

    /// Answers the folder that cargo builds into.
    pub(crate) fn target(&self) -> PathBuf {
        match std::env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => self.top.join(folder),
            None => self.top.join("target"),
        }
    }

    /// Runs cargo quietly and answers its output.
    ///
    /// # Errors
    /// When cargo fails; with what it said.
    pub(crate) fn cargo(&self, words: &[&str]) -> Result<String> {
        let output = Command::new(cargo())
            .args(words)
            .current_dir(&self.top)
            .output()?;
        if !output.status.success() {
            bail!(
                "cargo {}: {}",
                words.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Answers the cargo that runs this program.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}
