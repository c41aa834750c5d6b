//! Rules about the source itself, which no compiler knows.
//!
//! Each rule is a function from plain data to [`Fault`]s, tried on planted faults in its tests.

mod attacks;
mod edges;
mod lexer;
mod licences;
mod links;
mod manifests;
mod mutants;
mod privileged;
mod source;
mod text;

use crate::tally::Tally;
use crate::tree::Tree;
use anyhow::{Context, Result};
use serde_json::Value;
use std::fmt;

/// Something that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where: a file, or a crate.
    pub(crate) place: String,
    /// On which line, when that is known.
    pub(crate) line: Option<usize>,
    /// What, why, and the way out.
    pub(crate) text: String,
    /// Printed, but no failure.
    pub(crate) is_warning: bool,
}

impl Fault {
    pub(crate) fn new(place: &str, line: Option<usize>, text: impl Into<String>) -> Self {
        Self {
            place: place.to_owned(),
            line,
            text: text.into(),
            is_warning: false,
        }
    }

    pub(crate) fn warning(place: &str, text: impl Into<String>) -> Self {
        Self {
            is_warning: true,
            ..Self::new(place, None, text)
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_warning {
            "warning: "
        } else {
            "error: "
        })?;
        f.write_str(&self.place)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.text)
    }
}

/// Checks the tree; answers whether it is tidy.
pub(crate) fn main(tree: &Tree) -> Result<bool> {
    let metadata = metadata(tree)?;
    let files = tree.files()?;
    let mut tally = Tally::default();
    let mut rule = |name: &str, faults: Vec<Fault>| {
        faults.iter().for_each(|fault| eprintln!("{fault}"));
        let errors = faults.iter().filter(|fault| !fault.is_warning).count();
        let outcome = if errors == 0 {
            "ok".to_owned()
        } else {
            format!("{errors} faults")
        };
        println!("tidy {name}: {outcome}");
        tally += Tally::one(errors == 0);
    };
    rule("directions", edges::check(&edges::edges(&metadata)));
    rule("what stays apart", edges::check_apart(&metadata));
    rule("licences", licences::check(&metadata, &deny_list(tree)?));
    rule(
        "manifests",
        each(tree, &files, "Cargo.toml", manifests::check)?,
    );
    rule(
        "crate roots",
        manifests::check_roots(&files, |file| tree.text(file)),
    );
    rule(
        "privileged code",
        privileged::check(&files, |file| tree.text(file))?,
    );
    rule("source", each(tree, &files, ".rs", source::check)?);
    rule("texts", each(tree, &files, "", text::check)?);
    rule(
        "planted faults",
        mutants::check(&files, |file| tree.text(file)),
    );
    rule("attacks", attacks::check(&files, |file| tree.text(file))?);
    rule("links", links::check(&files, |file| tree.text(file)));
    println!("{tally}");
    Ok(tally.failed == 0)
}

/// Applies a rule to every text file whose name ends so.
fn each(
    tree: &Tree,
    files: &[String],
    ending: &str,
    rule: impl Fn(&str, &str) -> Vec<Fault>,
) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.ends_with(ending)) {
        if let Some(text) = tree.text(file)? {
            faults.extend(rule(file, &text));
        }
    }
    Ok(faults)
}

fn metadata(tree: &Tree) -> Result<Value> {
    let version = tree.cargo(&["version", "--verbose"])?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap_or_default();
    let words = [
        "metadata",
        "--format-version",
        "1",
        "--filter-platform",
        host,
        "--locked",
    ];
    serde_json::from_str(&tree.cargo(&words)?).context("cargo metadata is no JSON")
}

fn deny_list(tree: &Tree) -> Result<toml::Table> {
    let text = tree.text("deny.toml")?.context("deny.toml is no text")?;
    text.parse().context("deny.toml")
}
