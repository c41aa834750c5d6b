//! Rules about manifests and crate roots.

use super::Fault;
use super::source::UNSAFE;
use anyhow::Result;

/// What every crate's manifest has.
const NEEDED: &[(&str, &str)] = &[
    ("[lints]\nworkspace = true", "take the workspace's lints"),
    ("license.workspace = true", "take the workspace's licence"),
    (
        "publish.workspace = true",
        "nothing is published by accident",
    ),
    ("rust-version.workspace = true", "one compiler for all"),
];

/// Checks a manifest.
pub(super) fn check(file: &str, text: &str) -> Vec<Fault> {
    if file == "Cargo.toml" || file.starts_with("fuzz/") {
        return Vec::new();
    }
    let missing = NEEDED.iter().filter(|(line, _)| !text.contains(line));
    let mut faults: Vec<Fault> = missing
        .map(|(line, why)| {
            Fault::new(
                file,
                None,
                format!("lacks \"{}\": {why}", line.replace('\n', " ")),
            )
        })
        .collect();
    for (number, line) in text.lines().enumerate() {
        if line.contains("git = \"") {
            let text = "a dependency from a repository: releases of the registry only";
            faults.push(Fault::new(file, Some(number + 1), text));
        }
    }
    faults
}

/// Checks that each crate but those of [`UNSAFE`] forbids unsafe code, and that each says what it is.
pub(super) fn check_roots(
    files: &[String],
    read: impl Fn(&str) -> Result<Option<String>>,
) -> Vec<Fault> {
    let is_root = |file: &&String| file.ends_with("/src/lib.rs") || file.ends_with("/src/main.rs");
    let mut faults = Vec::new();
    for file in files.iter().filter(is_root) {
        let text = read(file).ok().flatten().unwrap_or_default();
        let may_be_unsafe = UNSAFE.iter().any(|place| file.starts_with(place));
        if !may_be_unsafe && !text.contains("#![forbid(unsafe_code)]") {
            faults.push(Fault::new(file, None, "lacks #![forbid(unsafe_code)]"));
        }
        if !text.starts_with("//!") {
            faults.push(Fault::new(
                file,
                None,
                "opens without a //! header: what it owns, what it leaves to others",
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_manifest_lacks_everything() {
        assert_eq!(
            check("crates/x/Cargo.toml", "[package]\nname = \"x\"\n").len(),
            NEEDED.len()
        );
        let full: String = NEEDED.iter().map(|(line, _)| format!("{line}\n")).collect();
        assert_eq!(check("crates/x/Cargo.toml", &full), []);
        assert_eq!(
            check(
                "crates/x/Cargo.toml",
                &format!("{full}x = {{ git = \"u\" }}")
            )
            .len(),
            1
        );
    }

    #[test]
    fn planted_roots_are_found() {
        let files = [
            "crates/x/src/lib.rs",
            "crates/sys/src/lib.rs",
            "crates/x/src/y.rs",
        ]
        .map(str::to_owned);
        let found = |text: &str| check_roots(&files, |_| Ok(Some(text.to_owned()))).len();
        assert_eq!(found("//! X.\n#![forbid(unsafe_code)]"), 0);
        assert_eq!(found("//! X.\n"), 1);
        assert_eq!(found("#![forbid(unsafe_code)]"), 2);
    }
}
