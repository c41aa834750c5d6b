//! The package for Fedora and its relatives: a spec that only lists what is there, and `rpmbuild`.

use super::contents::Contents;
use super::{Version, Workshop, word};
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

/// Makes it; answers its file.
pub(super) fn make(
    workshop: &Workshop<'_>,
    contents: &Contents,
    version: &Version,
    out: &Path,
) -> Result<PathBuf> {
    let stage = workshop.work.join("rpm-stage");
    contents.write(&stage, workshop.epoch)?;
    let spec = workshop
        .template("rpm/tessera.spec")?
        .replace("@VERSION@", &version.to_string())
        .replace("@MAINTAINER@", &workshop.maintainer)
        .replace("@STAGE@", word(&stage)?)
        .replace("@FILES@", &list(contents));
    let file = workshop.work.join("tessera.spec");
    std::fs::write(&file, spec)?;
    let top = workshop.work.join("rpm");
    let defined = format!("_topdir {}", word(&top)?);
    workshop.run("rpmbuild", &["-bb", "--define", &defined, word(&file)?])?;
    let made = find(&top.join("RPMS"))?;
    let target = out.join(made.file_name().context("a file has a name")?);
    std::fs::copy(&made, &target)?;
    Ok(target)
}

/// Lists the files as a spec does; folders are the system's but for two of ours.
fn list(contents: &Contents) -> String {
    let line = |path: &String| match path.as_str() {
        it if it.starts_with("usr/share/licenses/") => format!("%license /{it}"),
        it if it.starts_with("usr/share/doc/") => format!("%doc /{it}"),
        it if it.starts_with("etc/") => format!("%config(noreplace) /{it}"),
        it => format!("/{it}"),
    };
    let mut lines: Vec<String> = contents.files.keys().map(line).collect();
    lines.push("%dir /usr/share/doc/tessera".to_owned());
    lines.push("%dir /usr/share/licenses/tessera".to_owned());
    lines.join("\n")
}

/// Answers the one package below a folder.
fn find(folder: &Path) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        found.extend(std::fs::read_dir(entry?.path())?.flatten());
    }
    let first = found.first().map(std::fs::DirEntry::path);
    first.with_context(|| format!("rpmbuild left nothing below {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_and_texts_are_marked() {
        let mut contents = Contents::default();
        contents.add_text("usr/bin/tessera", String::new());
        contents.add_text("usr/share/licenses/tessera/LICENSE-MIT", String::new());
        contents.add_text("etc/pam.d/tessera", String::new());
        let list = list(&contents);
        assert!(list.contains("\n/usr/bin/tessera\n%license /usr/share/licenses/"));
        assert!(list.starts_with("%config(noreplace) /etc/pam.d/tessera\n"));
        assert!(list.contains("%dir /usr/share/doc/tessera"));
    }
}
