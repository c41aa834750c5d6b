//! Texts point at files that exist.

use super::Fault;
use anyhow::Result;
use std::collections::BTreeSet;

/// Folders whose paths, in backticks, are checked too.
const FOLDERS: &[&str] = &["crates/", "docs/", "xtask/", "examples/", ".ci/"];

/// Checks the links and named paths of all Markdown files.
pub(super) fn check(files: &[String], read: impl Fn(&str) -> Result<Option<String>>) -> Vec<Fault> {
    let known = known(files);
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.ends_with(".md")) {
        let text = read(file).ok().flatten().unwrap_or_default();
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (number, line) in text.lines().enumerate() {
            let targets = links(line)
                .map(|link| resolve(folder, link))
                .chain(paths(line).map(str::to_owned));
            for target in targets.filter(|target| !known.contains(target.as_str())) {
                faults.push(Fault::new(
                    file,
                    Some(number + 1),
                    format!("there is no {target}"),
                ));
            }
        }
    }
    faults
}

/// Lists all files and the folders that they are in.
fn known(files: &[String]) -> BTreeSet<&str> {
    let mut known: BTreeSet<&str> = BTreeSet::from([""]);
    for file in files {
        known.insert(file);
        known.extend(file.match_indices('/').map(|(at, _)| &file[..at]));
    }
    known
}

/// Finds the targets of `[text](target)` that are files.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(move |(at, open)| {
        let target = line[at + open.len()..].split(')').next()?;
        let target = target.split('#').next()?.trim();
        (!target.is_empty() && !target.contains("://") && !target.starts_with("mailto:"))
            .then_some(target)
    })
}

/// Finds paths in backticks that begin with one of our folders; patterns with `*` or capitals in place of names are none.
fn paths(line: &str) -> impl Iterator<Item = &str> {
    let pieces = line.split('`').skip(1).step_by(2);
    let ours = pieces.filter(|piece| FOLDERS.iter().any(|folder| piece.starts_with(folder)));
    ours.filter(|piece| !piece.contains(['*', '{', ' ', '<', '…']) && !piece.contains("NNNN"))
        .map(|piece| piece.trim_end_matches('/'))
}

/// Applies a link to the folder of its file.
fn resolve(folder: &str, link: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    if link.starts_with('/') {
        parts.clear();
    }
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn faults(text: &str, count: usize) {
        let files = ["docs/a.md", "docs/adr/0001-x.md", "crates/cli/src/lib.rs"].map(str::to_owned);
        let read = |file: &str| {
            Ok(Some(if file == "docs/a.md" {
                text.to_owned()
            } else {
                String::new()
            }))
        };
        let found = check(&files, read);
        assert_eq!(found.len(), count, "{text}: {found:?}");
    }

    #[test]
    fn dead_links_are_found() {
        faults("see [x](adr/0002-y.md)", 1);
        faults("see `crates/gone/src/lib.rs` and `docs/b.md`", 2);
        faults("[x](../LICENCE) [y](adr/0001-x.md)", 1);
    }

    #[test]
    fn living_links_pass() {
        faults(
            "[x](adr/0001-x.md#part) [y](../crates/cli) [z](https://example.org/) [w](#here)",
            0,
        );
        faults(
            "`crates/cli/src/` and `docs/adr/NNNN-title.md`, `crates/*/README.md`, `cargo xtask ci`",
            0,
        );
    }
}
