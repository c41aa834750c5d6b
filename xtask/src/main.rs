//! Chores of the project, run as `cargo xtask NAME`; `cargo xtask help` lists them.
//!
//! Each chore prints the commands that it runs and is bounded in time. What checks several things ends with the line
//! `N passed, N failed, N skipped`.
#![forbid(unsafe_code)]

mod chaos;
mod ci;
mod costs;
mod count;
mod fuzz;
mod generate;
mod macos;
mod mutants;
mod package;
mod run;
mod sim;
mod tally;
mod target;
mod tidy;
mod tree;
mod web;
mod windows;

use anyhow::{Result, bail};
use std::process::ExitCode;

const HELP: &str = "\
Chores of Tessera.

usage: cargo xtask CHORE [OPTIONS]

  ci [--only STAGE,…] [--list]   everything that must hold: format, lints, tests, docs, tidy, simulation
  tidy                           directions between crates, forbidden calls, file sizes, licences, links
  sim [--seed N | --seeds N] …   the simulator; options go to tessera-sim as they are
  chaos [--rounds N] …           real daemons killed at random, as root; options go to tessera-chaos as they are
  flood [--bytes N] …            a frame that prints without end, as root; options go to tessera-flood as they are
  fuzz [--seconds N] [TARGET…]   lets libFuzzer try every parser of bytes from outside
  windows                        lints and builds for Windows, and runs what was built under Wine
  package [--test] …             packages for Debian and RPM; --test has a booted systemd live with them, as root
  macos                          lints and links for macOS; nothing is run
  web [--walk [--release]]       builds and checks the web page, which needs Node.js; --walk has a browser go through it on a farm
  gen [--check]                  writes (or compares) the files that are made from the code
  mutants [NAME…]                plants each named fault in a copy of the tree; its test must fail
  costs [NAME…]                  what a launch costs, as root: whole, and without each defence that a planted fault takes out
  count-crates [--write]         crates that both binaries are built from, against the figure that may only fall
  help                           this text
";

fn main() -> ExitCode {
    match dispatch(std::env::args().skip(1).collect()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs a chore; answers whether all is well.
fn dispatch(mut words: Vec<String>) -> Result<bool> {
    if words.is_empty() {
        bail!("name a chore\n\n{HELP}");
    }
    let chore = words.remove(0);
    let tree = tree::Tree::find()?;
    match chore.as_str() {
        "ci" => ci::main(&tree, &words),
        "tidy" => no_options(&words).and_then(|()| tidy::main(&tree)),
        "sim" => sim::main(&tree, &words),
        "chaos" => chaos::main(&tree, "tessera-chaos", &words),
        "flood" => chaos::main(&tree, "tessera-flood", &words),
        "fuzz" => fuzz::main(&tree, &words),
        "windows" => no_options(&words).and_then(|()| windows::main(&tree)),
        "package" => package::main(&tree, &words),
        "web" => web::main(&tree, &words),
        "macos" => no_options(&words).and_then(|()| macos::main(&tree)),
        "gen" => generate::main(&tree, &words),
        "costs" => costs::main(&tree, &words),
        "mutants" => mutants::main(&tree, &words),
        "count-crates" => count::main(&tree, &words),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(true)
        }
        other => bail!("there is no chore \"{other}\"\n\n{HELP}"),
    }
}

fn no_options(words: &[String]) -> Result<()> {
    match words.first() {
        None => Ok(()),
        Some(word) => bail!("\"{word}\" is no option here; see cargo xtask help"),
    }
}
