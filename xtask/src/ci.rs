//! Everything that must hold, stage after stage; the README's second command.

use crate::run::{Run, begin_log, show_end};
use crate::tally::Tally;
use crate::tree::{Tree, cargo};
use crate::{count, generate, sim, tidy};
use anyhow::{Context, Result, bail};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A stage: its name, what it is for, and what runs it.
struct Stage {
    name: &'static str,
    about: &'static str,
    run: fn(&Tree) -> Result<Tally>,
}

const STAGES: &[Stage] = &[
    Stage {
        name: "format",
        about: "rustfmt would change nothing",
        run: format,
    },
    Stage {
        name: "clippy",
        about: "no lint, warnings included",
        run: clippy,
    },
    Stage {
        name: "tests",
        about: "tests of all crates",
        run: tests,
    },
    Stage {
        name: "doctests",
        about: "examples in doc comments",
        run: doctests,
    },
    Stage {
        name: "rustdoc",
        about: "the documentation builds, its links lead somewhere",
        run: rustdoc,
    },
    Stage {
        name: "generated",
        about: "files made from the code are fresh",
        run: generated,
    },
    Stage {
        name: "tidy",
        about: "rules about the source",
        run: tidied,
    },
    Stage {
        name: "crates",
        about: "no more crates than on file",
        run: counted,
    },
    Stage {
        name: "simulation",
        about: "seeded worlds with faults",
        run: simulation,
    },
    Stage {
        name: "planted",
        about: "bugs planted in the simulated world are found",
        run: simulated_bugs,
    },
];

/// Seeds that the simulation stage tries (`.ci/run` tries more).
const SEEDS: &str = "300";

/// Runs all stages, or those named.
pub(crate) fn main(tree: &Tree, words: &[String]) -> Result<bool> {
    let chosen = match words {
        [] => STAGES.iter().collect(),
        [word] if word == "--list" => {
            STAGES
                .iter()
                .for_each(|stage| println!("{:<12} {}", stage.name, stage.about));
            return Ok(true);
        }
        [word, names] if word == "--only" => pick(names)?,
        _ => bail!("usage: cargo xtask ci [--only STAGE,…] [--list]"),
    };
    let mut results = Vec::new();
    for stage in chosen {
        results.push(run(tree, stage));
    }
    Ok(sum_up(&results))
}

fn pick(names: &str) -> Result<Vec<&'static Stage>> {
    let pick = |name: &str| STAGES.iter().find(|stage| stage.name == name);
    names
        .split(',')
        .map(|name| pick(name).with_context(|| format!("no stage \"{name}\"; see --list")))
        .collect()
}

struct Outcome {
    name: &'static str,
    tally: Tally,
    took: Duration,
}

fn run(tree: &Tree, stage: &Stage) -> Outcome {
    println!("\n== {}: {}", stage.name, stage.about);
    let started = Instant::now();
    let tally = (stage.run)(tree).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        Tally::FAILED
    });
    Outcome {
        name: stage.name,
        tally,
        took: started.elapsed(),
    }
}

fn sum_up(results: &[Outcome]) -> bool {
    println!("\n== summary");
    let mut sum = Tally::default();
    for result in results {
        let verdict = if result.tally.failed == 0 {
            "ok"
        } else {
            "FAILED"
        };
        println!(
            "{:<12} {verdict:<7} {:>6.1} s   {}",
            result.name,
            result.took.as_secs_f64(),
            result.tally
        );
        sum += result.tally;
    }
    println!("{sum}");
    sum.failed == 0
}

fn cargo_run(tree: &Tree, minutes: u64, words: &str) -> Run {
    Run::new(&cargo(), &tree.top, minutes).words(words.split(' '))
}

/// Runs cargo as one check.
fn check(run: Run) -> Result<Tally> {
    Ok(Tally::one(run.go()?.is_well))
}

fn format(tree: &Tree) -> Result<Tally> {
    check(cargo_run(tree, 5, "fmt --all --check"))
}

fn clippy(tree: &Tree) -> Result<Tally> {
    check(cargo_run(
        tree,
        30,
        "clippy --workspace --all-targets --locked --quiet -- -D warnings",
    ))
}

/// Tests run under nextest where it is installed, else under cargo's own runner.
fn tests(tree: &Tree) -> Result<Tally> {
    let has_nextest = Command::new(cargo())
        .args(["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let run = if has_nextest {
        let profile = if std::env::var_os("CI").is_some() {
            "ci"
        } else {
            "default"
        };
        cargo_run(
            tree,
            60,
            "nextest run --workspace --locked --no-fail-fast --profile",
        )
        .words([profile])
    } else {
        println!("cargo-nextest is not installed; cargo test does it");
        cargo_run(
            tree,
            60,
            "test --workspace --locked --no-fail-fast --quiet --lib --bins --tests",
        )
    };
    Ok(run.go()?.counted())
}

fn doctests(tree: &Tree) -> Result<Tally> {
    Ok(
        cargo_run(tree, 20, "test --workspace --locked --quiet --doc")
            .go()?
            .counted(),
    )
}

fn rustdoc(tree: &Tree) -> Result<Tally> {
    let run = cargo_run(
        tree,
        20,
        "doc --workspace --locked --no-deps --quiet --document-private-items",
    );
    check(run.env(
        "RUSTDOCFLAGS",
        "-D warnings -A rustdoc::private_intra_doc_links",
    ))
}

fn generated(tree: &Tree) -> Result<Tally> {
    Ok(Tally::one(generate::main(tree, &["--check".to_owned()])?))
}

fn tidied(tree: &Tree) -> Result<Tally> {
    Ok(Tally::one(tidy::main(tree)?))
}

fn counted(tree: &Tree) -> Result<Tally> {
    Ok(Tally::one(count::main(tree, &[])?))
}

fn simulation(tree: &Tree) -> Result<Tally> {
    check(sim::run(&["--seeds", SEEDS], tree))
}

/// Each bug that can be planted in the simulated world must be found.
fn simulated_bugs(tree: &Tree) -> Result<Tally> {
    let mut tally = Tally::default();
    for bug in sim::BUGS {
        let log = tree.target().join("planted").join(format!("{bug}.log"));
        begin_log(&log)?;
        let ended = sim::run(&["--bug", bug, "--seeds", SEEDS], tree)
            .aside(&log)
            .go()?;
        let is_found = ended.tally.is_some_and(|tally| tally.failed > 0);
        println!(
            "bug {bug}: {}",
            if is_found {
                "found, as it should be"
            } else {
                "NOT FOUND"
            }
        );
        if !is_found {
            show_end(&log);
        }
        tally += Tally::one(is_found);
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_picked_by_name() {
        let names = |text| {
            pick(text).map(|stages| stages.iter().map(|stage| stage.name).collect::<Vec<_>>())
        };
        assert_eq!(names("tidy,format").ok(), Some(vec!["tidy", "format"]));
        assert!(names("tidy,nothing").is_err());
    }

    #[test]
    fn one_failure_fails_all() {
        let outcome = |tally| Outcome {
            name: "x",
            tally,
            took: Duration::ZERO,
        };
        assert!(sum_up(&[outcome(Tally::PASSED), outcome(Tally::default())]));
        assert!(!sum_up(&[outcome(Tally::PASSED), outcome(Tally::FAILED)]));
    }
}
