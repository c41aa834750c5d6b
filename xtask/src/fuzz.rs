//! Fuzzing: builds the targets of `fuzz/` for libFuzzer and lets each try for some seconds.
//!
//! The compiler of every other build does it: what libFuzzer needs of it (counters at branches, comparisons told) are
//! passes of LLVM that a stable compiler takes as options, for our code and what it depends on alike.

use crate::run::Run;
use crate::tally::Tally;
use crate::tree::{Tree, cargo};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Minutes for the build.
const BUILD_MINUTES: u64 = 40;
/// Seconds that each target tries unless told otherwise.
const SECONDS_DEFAULT: u64 = 10;
/// Bytes of an input.
const INPUT_BYTES_MAX: u32 = 4_096;
/// Seconds that one input may take.
const INPUT_SECONDS_MAX: u32 = 10;
/// MiB that a target may use.
const MEMORY_MIB_MAX: u32 = 1_024;
/// Last words of a target that found something, in lines.
const LINES_SHOWN: usize = 40;
/// Lines of a panic that are shown.
const PANIC_LINES_SHOWN: usize = 6;
/// What is passed to the compiler.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    // Comparisons with a fixed text stay calls, which libFuzzer listens to.
    "-Cllvm-args=-max-loads-per-memcmp=0",
    "--cfg",
    "fuzzing",
];
/// Between two flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\u{1f}";

/// Builds all targets and runs them, or those named; answers whether none of them found anything.
pub(crate) fn main(tree: &Tree, words: &[String]) -> Result<bool> {
    let (seconds, named) = options(words)?;
    let all = targets(tree)?;
    if let Some(unknown) = named.iter().find(|name| !all.contains(name)) {
        bail!("there is no target {unknown}; there are: {}", all.join(" "));
    }
    let host = host(tree)?;
    let folder = tree.target().join("fuzz");
    if !build(tree, &folder, &host).go()?.is_well {
        return Ok(false);
    }
    let programs = folder.join(&host).join("release");
    let mut tally = Tally::default();
    let chosen = if named.is_empty() { all } else { named };
    for target in &chosen {
        let mut is_well = one(tree, &programs, &folder, target, seconds)?
            .go()?
            .is_well;
        let said = std::fs::read_to_string(log(&folder, target)).unwrap_or_default();
        println!("{target}: {} inputs tried", tried(&said).unwrap_or("no"));
        if !is_well && is_false_alarm(tree, &said, &programs.join(target))? {
            println!("{target}: that input takes no time now; the machine stood still meanwhile");
            is_well = true;
        }
        if !is_well {
            for line in panic(&said) {
                eprintln!("{line}");
            }
            let last: Vec<&str> = said.lines().rev().take(LINES_SHOWN).collect();
            for line in last.iter().rev() {
                eprintln!("{line}");
            }
            if let Some(input) = found(&said).and_then(|file| std::fs::read(file).ok()) {
                eprintln!("the input: b\"{}\"", input.escape_ascii());
            }
            eprintln!(
                "error: {target} found something; {}",
                again(&said, &programs.join(target))
            );
        }
        tally += Tally::one(is_well);
    }
    println!("{tally}");
    Ok(tally.failed == 0)
}

/// Reads `[--seconds N] [TARGET…]`.
fn options(words: &[String]) -> Result<(u64, Vec<String>)> {
    let (mut seconds, mut named) = (SECONDS_DEFAULT, Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => {
                let value = words.next().context("--seconds has no value")?;
                seconds = value
                    .parse()
                    .ok()
                    .filter(|seconds| *seconds > 0)
                    .with_context(|| format!("--seconds {value} is no number from 1"))?;
            }
            name if !name.starts_with('-') => named.push(name.to_owned()),
            _ => bail!("usage: cargo xtask fuzz [--seconds N] [TARGET…]"),
        }
    }
    Ok((seconds, named))
}

/// Lists the targets: the files of their folder.
fn targets(tree: &Tree) -> Result<Vec<String>> {
    let folder = tree.top.join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if let Some(name) = path.file_stem().and_then(|name| name.to_str()) {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Answers the compiler's own kind of machine. Named as the target, it keeps the flags away from build scripts.
fn host(tree: &Tree) -> Result<String> {
    let text = tree.cargo(&["--version", "--verbose"])?;
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .context("cargo does not say what machine it is for")
}

fn build(tree: &Tree, folder: &Path, host: &str) -> Run {
    Run::new(&cargo(), &tree.top, BUILD_MINUTES)
        .words([
            "build",
            "--manifest-path",
            "fuzz/Cargo.toml",
            "--release",
            "--bins",
            "--locked",
        ])
        .words(["--target", host])
        .words(["--target-dir".as_ref(), folder.as_os_str()])
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join(SEPARATOR))
}

/// Answers where the inputs go that a target fails on.
fn findings(folder: &Path, target: &str) -> PathBuf {
    folder.join("found").join(target)
}

/// Answers where the words of a target go: libFuzzer has many.
fn log(folder: &Path, target: &str) -> PathBuf {
    folder.join("logs").join(target)
}

/// Finds in libFuzzer's last words how many inputs there were.
fn tried(said: &str) -> Option<&str> {
    said.lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .map(str::trim)
}

/// Finds in libFuzzer's last words where it wrote the input that it failed on.
fn found(said: &str) -> Option<&str> {
    said.lines()
        .find_map(|line| line.split_once("Test unit written to "))
        .map(|(_, file)| file)
}

/// Finds the words of a panic, which stand before a trace that is longer than what is shown of the end.
fn panic(said: &str) -> impl Iterator<Item = &str> {
    let begin = said.lines().skip_while(|it| !it.contains("panicked at"));
    begin.take(PANIC_LINES_SHOWN)
}

/// Says whether an input that took too long takes no time when it is tried again. libFuzzer looks at the wall clock, which
/// jumps where a virtual machine stands still for a while.
fn is_false_alarm(tree: &Tree, said: &str, program: &Path) -> Result<bool> {
    let Some(file) = found(said).filter(|file| file.contains("/timeout-")) else {
        return Ok(false);
    };
    let run = Run::new(&program.to_string_lossy(), &tree.top, 1);
    let limit = format!("-timeout={INPUT_SECONDS_MAX}");
    Ok(run.words([limit.as_str(), file]).go()?.is_well)
}

/// Says how to try again what a target failed on.
fn again(said: &str, program: &Path) -> String {
    match found(said) {
        Some(file) => format!("try it again with: {} {file}", program.display()),
        None => "it wrote no input; its last words are above".to_owned(),
    }
}

/// Prepares a run of one target: it begins with the inputs of the repository and with what it came upon before.
fn one(tree: &Tree, programs: &Path, folder: &Path, target: &str, seconds: u64) -> Result<Run> {
    let corpus = folder.join("corpus").join(target);
    let found = findings(folder, target);
    let log = log(folder, target);
    for made in [&corpus, &found, &folder.join("logs")] {
        std::fs::create_dir_all(made).with_context(|| made.display().to_string())?;
    }
    let seeds = tree.top.join("fuzz/corpus").join(target);
    let minutes = seconds / 60 + 2;
    let program = programs.join(target);
    let limits = [
        format!("-max_total_time={seconds}"),
        format!("-max_len={INPUT_BYTES_MAX}"),
        format!("-timeout={INPUT_SECONDS_MAX}"),
        format!("-rss_limit_mb={MEMORY_MIB_MAX}"),
        format!("-artifact_prefix={}/", found.display()),
        "-print_final_stats=1".to_owned(),
        "-verbosity=0".to_owned(),
    ];
    let run = Run::new("sh", &tree.top, minutes)
        .words(["-c", "exec \"$0\" \"$@\" 2>\"$FUZZ_LOG\""])
        .words([program])
        .words(limits)
        .env("FUZZ_LOG", log);
    let seeds = seeds.is_dir().then_some(seeds);
    Ok(run.words([corpus]).words(seeds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn options_are_read() {
        let (seconds, named) = options(&words("--seconds 3 wire ticket")).expect("reads");
        assert_eq!((seconds, named), (3, words("wire ticket")));
        let (seconds, named) = options(&[]).expect("reads");
        assert_eq!((seconds, named.len()), (SECONDS_DEFAULT, 0));
        for bad in ["--seconds", "--seconds 0", "--seconds x", "--what"] {
            assert!(options(&words(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_number_of_inputs_is_found() {
        let said = "Done\nstat::number_of_executed_units: 4711\nstat::peak_rss_mb: 3\n";
        assert_eq!(tried(said), Some("4711"));
        assert_eq!(tried("error: no such file"), None);
        let said = "artifact_prefix='f/'; Test unit written to f/crash-1\n";
        let hint = again(said, Path::new("bin/wire"));
        assert_eq!(hint, "try it again with: bin/wire f/crash-1");
        let said = "INFO: x\nthread 'main' panicked at a.rs:1:\nleft: 1\n";
        let words: Vec<&str> = panic(said).collect();
        assert_eq!(words, ["thread 'main' panicked at a.rs:1:", "left: 1"]);
        assert_eq!(panic("Done\n").count(), 0);
    }

    #[test]
    fn every_target_is_built_and_has_inputs_to_begin_with() {
        let tree = Tree::find().expect("a tree");
        let manifest = tree.text("fuzz/Cargo.toml").expect("reads").expect("text");
        let all = targets(&tree).expect("lists");
        assert!(all.len() > 10, "{all:?}");
        for target in all {
            let path = format!("path = \"fuzz_targets/{target}.rs\"");
            assert!(manifest.contains(&path), "fuzz/Cargo.toml lacks {path}");
            let seeds = tree.top.join("fuzz/corpus").join(&target);
            let count = std::fs::read_dir(&seeds).map_or(0, Iterator::count);
            assert!(count > 0, "{} is empty", seeds.display());
        }
    }
}
