//! How many crates both binaries are built from: a figure that may only fall.

use crate::tree::Tree;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;

/// Holds the figure, below a comment.
const FILE: &str = "xtask/crate-count.txt";

/// Prints the figure and compares it; with `--write` it lowers the one on file.
pub(crate) fn main(tree: &Tree, words: &[String]) -> Result<bool> {
    let is_write = match words {
        [] => false,
        [word] if word == "--write" => true,
        _ => bail!("usage: cargo xtask count-crates [--write]"),
    };
    let both = count(tree, &["tessera", "tessera-launch"])?;
    let privileged = count(tree, &["tessera-launch"])?;
    println!("{both} crates for both binaries, {privileged} of them for tessera-launch");
    let text = tree
        .text(FILE)?
        .context("the file with the figure is no text")?;
    let limit = on_file(&text)?;
    match both.cmp(&limit) {
        std::cmp::Ordering::Greater => {
            eprintln!(
                "error: {both} crates, {limit} at most. Do without the new one, or say in an ADR and in {FILE} why it \
                 beats fifty lines of ours"
            );
        }
        std::cmp::Ordering::Equal => {}
        std::cmp::Ordering::Less if is_write => {
            let text = text.replace(&limit.to_string(), &both.to_string());
            std::fs::write(tree.top.join(FILE), text)?;
            println!("{FILE}: {limit} becomes {both}");
        }
        std::cmp::Ordering::Less => {
            println!("fewer than {limit}: keep it so with cargo xtask count-crates --write");
        }
    }
    Ok(both <= limit)
}

fn on_file(text: &str) -> Result<usize> {
    let line = text
        .lines()
        .find(|line| !line.starts_with('#'))
        .context("no figure on file")?;
    line.trim()
        .parse()
        .with_context(|| format!("{FILE}: \"{line}\" is no figure"))
}

/// Counts the crates that are linked into these packages or run to build them, ours included.
fn count(tree: &Tree, packages: &[&str]) -> Result<usize> {
    let mut words = vec![
        "tree",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
        "--locked",
    ];
    packages
        .iter()
        .for_each(|package| words.extend(["--package", *package]));
    Ok(unique(&tree.cargo(&words)?))
}

fn unique(text: &str) -> usize {
    let crates = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?, words.next()?))
    });
    crates.collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_counts_once_and_each_version_for_itself() {
        let text = "tessera v0.1.0 (/x)\nserde v1.0.1\nserde v1.0.1 (*)\nsyn v2.0.0\nsyn v3.0.0 (proc-macro)\n\n";
        assert_eq!(unique(text), 4);
    }

    #[test]
    fn the_figure_is_read() {
        assert_eq!(on_file("# comment\n312\n").ok(), Some(312));
        assert!(on_file("# comment\n").is_err());
        assert!(on_file("many\n").is_err());
    }
}
