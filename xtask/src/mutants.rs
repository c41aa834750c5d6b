//! Planted faults: each file of `xtask/mutants/` breaks one promise in a copy of the tree; its test must then fail.
//!
//! A mutant is a text of headers and two pieces of code (see [`Mutant::parse`]). The first piece is looked for without
//! regard to spaces and lines, so that formatting doesn't break it, and must stand in its file exactly once.

use crate::run::{Run, begin_log, show_end};
use crate::tally::Tally;
use crate::tree::{Tree, cargo};
use anyhow::{Context, Result, bail};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) const FOLDER: &str = "xtask/mutants/";
pub(crate) const ENDING: &str = ".mutant";
const FIND: &str = "\n--- find\n";
const PUT: &str = "\n--- put\n";

/// Minutes for the build of one mutant, and for its test.
const BUILD_MINUTES: u64 = 20;
const TEST_MINUTES: u64 = 5;

/// Copies that are tried beside each other: most of a build of one crate is one thread's work.
const LANES: usize = 2;

/// A planted fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mutant {
    name: String,
    breaks: String,
    /// The file that it is planted in.
    pub(crate) file: String,
    /// The code that is looked for there.
    pub(crate) find: String,
    /// What takes its place.
    pub(crate) put: String,
    /// What must fail then.
    pub(crate) proof: Proof,
}

/// What must fail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Proof {
    /// A test: `--package`, its name, arguments that name the target, and a filter.
    Test { target: Vec<String>, filter: String },
    /// So many seeds of the simulator.
    Seeds(String),
}

/// Plants all, or those named.
pub(crate) fn main(tree: &Tree, names: &[String]) -> Result<bool> {
    let files = tree.files()?;
    let mutants = read(tree, &files)?;
    let is_known = |name: &String| mutants.iter().any(|mutant| mutant.name == *name);
    if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
        bail!("there is no {FOLDER}{unknown}{ENDING}");
    }
    let is_chosen = |mutant: &&Mutant| names.is_empty() || names.contains(&mutant.name);
    let groups = Mutex::new(groups(mutants.iter().filter(is_chosen).collect()));
    let tally = Mutex::new(Tally::default());
    let run_lane = |lane: usize| -> Result<()> {
        let copy = copy_of(tree, lane);
        // Held for as long as it takes to look, not for as long as a group takes.
        while let Some(group) = { lock(&groups).pop() } {
            for mutant in group {
                refresh(tree, &files, &copy.top)?;
                let is_caught = mutant.show(&copy)?;
                *lock(&tally) += Tally::one(is_caught);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES)
            .map(|lane| scope.spawn(move || run_lane(lane)))
            .collect();
        let ended = lanes.into_iter().map(|lane| match lane.join() {
            Ok(ended) => ended,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        // All lanes end, whatever becomes of one.
        ended
            .collect::<Vec<_>>()
            .into_iter()
            .collect::<Result<()>>()
    })?;
    let tally = *lock(&tally);
    println!("{tally}");
    Ok(tally.failed == 0)
}

/// Sorts them into those of one package each, the largest group last: neighbours share most of what must be built anew for them.
fn groups(mut chosen: Vec<&Mutant>) -> Vec<Vec<&Mutant>> {
    chosen.sort_by(|a, b| (&a.proof, &a.file).cmp(&(&b.proof, &b.file)));
    let mut groups: Vec<Vec<&Mutant>> = chosen
        .chunk_by(|a, b| a.package() == b.package())
        .map(<[_]>::to_vec)
        .collect();
    groups.sort_by_key(Vec::len);
    groups
}

/// Answers the copy of a lane: no lane waits for what another builds.
fn copy_of(tree: &Tree, lane: usize) -> Tree {
    let folder = match lane {
        0 => "mutants".to_owned(),
        lane => format!("mutants-{lane}"),
    };
    Tree {
        top: tree.target().join(folder).join("tree"),
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Builds something of the copy in which one fault is planted; answers the folder that it was built into.
pub(crate) fn build_planted(tree: &Tree, name: &str, what: &[&str]) -> Result<PathBuf> {
    let files = tree.files()?;
    let mutants = read(tree, &files)?;
    let found = mutants.iter().find(|mutant| mutant.name == name);
    let mutant = found.with_context(|| format!("there is no {FOLDER}{name}{ENDING}"))?;
    let copy = copy_of(tree, 0);
    refresh(tree, &files, &copy.top)?;
    mutant.plant(&copy)?;
    let build = mutant.cargo(&copy, BUILD_MINUTES, "build").words(what);
    if !build.go()?.is_well {
        show_end(&mutant.log(&copy));
        bail!("{name} doesn't build");
    }
    Ok(copy.top.with_file_name("target"))
}

fn read(tree: &Tree, files: &[String]) -> Result<Vec<Mutant>> {
    let ours = files
        .iter()
        .filter(|file| file.starts_with(FOLDER) && file.ends_with(ENDING));
    ours.map(|file| {
        let text = tree
            .text(file)?
            .with_context(|| format!("{file} is no text"))?;
        let name = file.trim_start_matches(FOLDER).trim_end_matches(ENDING);
        Mutant::parse(name, &text).with_context(|| file.clone())
    })
    .collect()
}

impl Mutant {
    /// Reads the headers `Breaks:` and `File:`; `Package:` with `Test:` (a filter of its tests) and perhaps `Target:` (which
    /// of its targets, `--lib` by default), or `Seeds:` (for the simulator); then the code after `--- find` and the code after
    /// `--- put` that takes its place.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self> {
        let (head, code) = text
            .split_once(FIND)
            .context("lacks the line \"--- find\"")?;
        let (find, put) = code.split_once(PUT).context("lacks the line \"--- put\"")?;
        let value = |key: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(key));
            line.map(|value| value.trim().to_owned())
        };
        let need = |key: &str| value(key).with_context(|| format!("lacks the line \"{key} …\""));
        let proof = match value("Seeds:") {
            Some(seeds) => Proof::Seeds(seeds),
            None => {
                let target = value("Target:").unwrap_or_else(|| "--lib".to_owned());
                let package = ["--package".to_owned(), need("Package:")?];
                Proof::Test {
                    target: package
                        .into_iter()
                        .chain(target.split(' ').map(str::to_owned))
                        .collect(),
                    filter: need("Test:")?,
                }
            }
        };
        Ok(Self {
            name: name.to_owned(),
            breaks: need("Breaks:")?,
            file: need("File:")?,
            find: find.to_owned(),
            put: put.to_owned(),
            proof,
        })
    }

    /// Plants it in the copy.
    fn plant(&self, copy: &Tree) -> Result<()> {
        let mut text = copy.text(&self.file)?.context("no text")?;
        let place = place(&text, &self.find).with_context(|| self.file.clone())?;
        text.replace_range(place, &self.put);
        Ok(std::fs::write(copy.top.join(&self.file), text)?)
    }

    /// Answers the package whose tests, or which itself, must fail.
    fn package(&self) -> &str {
        match &self.proof {
            Proof::Test { target, .. } => &target[1],
            Proof::Seeds(_) => "tessera-sim",
        }
    }

    /// Plants it in the copy, and prints and says whether it was caught.
    fn show(&self, copy: &Tree) -> Result<bool> {
        let log = self.log(copy);
        begin_log(&log)?;
        let is_caught = self.is_caught(copy).unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            false
        });
        let word = if is_caught { "caught" } else { "NOT CAUGHT" };
        println!("mutant {}: {word}: {}", self.name, self.breaks);
        if !is_caught {
            show_end(&log);
        }
        Ok(is_caught)
    }

    /// Plants it in the copy, and says whether its test fails there although it builds.
    fn is_caught(&self, copy: &Tree) -> Result<bool> {
        self.plant(copy)?;
        let (build, proof) = match &self.proof {
            Proof::Test { target, filter } => (
                self.cargo(copy, BUILD_MINUTES, "test")
                    .words(target)
                    .words(["--no-run"]),
                self.cargo(copy, TEST_MINUTES, "test")
                    .words(target)
                    .words([filter]),
            ),
            Proof::Seeds(seeds) => {
                let simulator = ["--release", "--package", "tessera-sim"];
                (
                    self.cargo(copy, BUILD_MINUTES, "build").words(simulator),
                    self.cargo(copy, TEST_MINUTES, "run")
                        .words(simulator)
                        .words(["--", "--seeds", seeds]),
                )
            }
        };
        if !build.go()?.is_well {
            bail!("the mutant doesn't build, so it shows nothing");
        }
        let ended = proof.go()?;
        Ok(ended.is_late || ended.tally.is_some_and(|tally| tally.failed > 0))
    }

    /// Where what its commands print goes.
    fn log(&self, copy: &Tree) -> PathBuf {
        copy.top
            .with_file_name("logs")
            .join(format!("{}.log", self.name))
    }

    /// Prepares cargo in the copy, with a target folder of the copy's own.
    fn cargo(&self, copy: &Tree, minutes: u64, command: &str) -> Run {
        Run::new(&cargo(), &copy.top, minutes)
            .words([command, "--quiet", "--locked"])
            .aside(&self.log(copy))
            .env("CARGO_TARGET_DIR", copy.top.with_file_name("target"))
            // Each differs from the last by a few lines, however the rest is built.
            .env("CARGO_INCREMENTAL", "1")
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
    }
}

/// Finds the one place where the code stands, without regard to white space.
pub(crate) fn place(text: &str, wanted: &str) -> Result<Range<usize>> {
    let solid = |text: &str| -> Vec<(usize, char)> {
        text.char_indices()
            .filter(|(_, c)| !c.is_whitespace())
            .collect()
    };
    let (text, wanted) = (solid(text), solid(wanted));
    if wanted.is_empty() {
        bail!("nothing to find");
    }
    let is_here = |window: &[(usize, char)]| window.iter().zip(&wanted).all(|(a, b)| a.1 == b.1);
    let mut places = text.windows(wanted.len()).filter(|window| is_here(window));
    match (places.next(), places.next()) {
        (Some([(start, _), .., (last, c)]), None) => Ok(*start..last + c.len_utf8()),
        (Some(_), None) => bail!("too little to find"),
        (None, _) => bail!("the code isn't there any more: look for what has taken its place"),
        (Some(_), Some(_)) => bail!("the code stands there more than once: find more of it"),
    }
}

/// Makes the copy equal to the tree, touching only what differs, so that little is built anew.
fn refresh(tree: &Tree, files: &[String], copy: &Path) -> Result<()> {
    for file in files {
        let (from, to) = (tree.top.join(file), copy.join(file));
        let wanted = std::fs::read(&from).with_context(|| format!("can't read {file}"))?;
        if std::fs::read(&to).is_ok_and(|found| found == wanted) {
            continue;
        }
        std::fs::create_dir_all(to.parent().context("no folder")?)?;
        std::fs::write(&to, wanted).with_context(|| format!("can't write {}", to.display()))?;
    }
    remove_others(copy, copy, files)
}

/// Removes files of the copy that the tree has no more, and folders that nothing is left in: an empty folder beside the crates
/// is a crate to cargo, and then nothing builds.
fn remove_others(top: &Path, folder: &Path, files: &[String]) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(top, &path, files)?;
            if std::fs::read_dir(&path)?.next().is_none() {
                std::fs::remove_dir(&path)?;
            }
            continue;
        }
        let name = path.strip_prefix(top)?.to_string_lossy().into_owned();
        if files.binary_search(&name).is_err() {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "Breaks: a promise\nFile: a/x\nPackage: p\nTest: action\n--- find\na( b )\n--- put\nc\n";

    #[test]
    fn a_mutant_is_read() {
        let mutant = Mutant::parse("m", TEXT).expect("good");
        assert_eq!(
            (
                mutant.file.as_str(),
                mutant.find.as_str(),
                mutant.put.as_str()
            ),
            ("a/x", "a( b )", "c\n")
        );
        let target = |text: &str| match Mutant::parse("m", text).expect("good").proof {
            Proof::Test { target, .. } => target.join(" "),
            Proof::Seeds(seeds) => seeds,
        };
        assert_eq!(target(TEXT), "--package p --lib");
        assert_eq!(
            target(&TEXT.replace("Test:", "Target: --test s\nTest:")),
            "--package p --test s"
        );
        assert_eq!(target(&TEXT.replace("Test: action", "Seeds: 50")), "50");
        for lacking in ["Breaks", "File", "Package", "--- find", "--- put"] {
            assert!(
                Mutant::parse("m", &TEXT.replace(lacking, "X")).is_err(),
                "{lacking}"
            );
        }
    }

    #[test]
    fn the_largest_group_of_a_package_is_taken_first() {
        let mutant = |package: &str, test: &str| {
            let text = TEXT.replace("Package: p", &format!("Package: {package}"));
            Mutant::parse(
                test,
                &text.replace("Test: action", &format!("Test: {test}")),
            )
        };
        let all = [
            ("b", "1"),
            ("a", "2"),
            ("c", "3"),
            ("a", "1"),
            ("c", "1"),
            ("a", "3"),
        ];
        let all = all.map(|(package, test)| mutant(package, test).expect("good"));
        let mut groups = groups(all.iter().collect());
        let names =
            |group: Vec<&Mutant>| group.iter().map(|it| it.name.clone()).collect::<String>();
        assert_eq!(groups.pop().map(names).as_deref(), Some("123"));
        assert_eq!(groups.pop().map(names).as_deref(), Some("13"));
        assert_eq!(groups.pop().map(names).as_deref(), Some("1"));
        assert!(groups.is_empty());
    }

    #[test]
    fn code_is_found_however_it_is_formatted() {
        let text = "fn f() {\n    a(\n        é,\n    )\n}";
        let place = place(text, "a(é,)").expect("there");
        assert_eq!(&text[place], "a(\n        é,\n    )");
    }

    #[test]
    fn what_is_not_there_once_is_no_place() {
        for (text, wanted) in [("ab", "c"), ("ab ab", "ab"), ("ab", " "), ("", "ab")] {
            assert!(place(text, wanted).is_err(), "{text} {wanted}");
        }
    }

    #[test]
    fn the_copy_follows_the_tree() {
        let folder = tempfile::tempdir().expect("a folder");
        let tree = Tree {
            top: folder.path().join("tree"),
        };
        let copy = folder.path().join("copy");
        std::fs::create_dir_all(tree.top.join("a")).expect("a folder");
        std::fs::write(tree.top.join("a/x"), "1").expect("a file");
        let files = vec!["a/x".to_owned()];
        refresh(&tree, &files, &copy).expect("copied");
        std::fs::write(copy.join("a/x"), "mutant").expect("a file");
        std::fs::write(copy.join("a/y"), "stray").expect("a file");
        std::fs::create_dir_all(copy.join("crates/gone/src")).expect("folders");
        refresh(&tree, &files, &copy).expect("copied");
        assert_eq!(
            std::fs::read_to_string(copy.join("a/x")).expect("there"),
            "1"
        );
        assert!(!copy.join("a/y").exists());
        assert!(!copy.join("crates").exists());
    }
}
