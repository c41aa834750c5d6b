//! Planted faults can be planted, and the test that is to catch each is there: found in a second what a run of all of them tells
//! in an hour, or doesn't tell.

use super::Fault;
use super::lexer::{blank, is_word};
use crate::mutants::{ENDING, FOLDER, Mutant, Proof, place};
use anyhow::Result;
use std::collections::BTreeMap;

/// The text of a file, if it is there and is one.
type Read<'a> = &'a dyn Fn(&str) -> Result<Option<String>>;

/// Checks each planted fault by itself.
pub(super) fn check(files: &[String], read: impl Fn(&str) -> Result<Option<String>>) -> Vec<Fault> {
    let mut programs = Programs::new(files, &read);
    let mut faults = Vec::new();
    for file in files {
        let name = file
            .strip_prefix(FOLDER)
            .and_then(|it| it.strip_suffix(ENDING));
        let Some(name) = name else { continue };
        let text = read(file).ok().flatten().unwrap_or_default();
        let wrongs = match Mutant::parse(name, &text) {
            Err(error) => vec![error.to_string()],
            Ok(mutant) => {
                let code = wrong_code(&mutant, files, &read);
                code.into_iter()
                    .chain(programs.wrong_proof(&mutant.proof))
                    .collect()
            }
        };
        faults.extend(wrongs.into_iter().map(|text| Fault::new(file, None, text)));
    }
    faults
}

/// Says what is wrong with the code that is looked for and what takes its place.
fn wrong_code(mutant: &Mutant, files: &[String], read: Read<'_>) -> Option<String> {
    let solid = |text: &str| text.split_whitespace().collect::<String>();
    if solid(&mutant.find) == solid(&mutant.put) {
        return Some("what is put there is what was there: it breaks nothing".to_owned());
    }
    let text = if files.contains(&mutant.file) {
        read(&mutant.file).ok().flatten()
    } else {
        None
    };
    match text.map(|text| place(&text, &mutant.find)) {
        None => Some(format!("there is no {}", mutant.file)),
        Some(found) => found.err().map(|error| format!("{}: {error}", mutant.file)),
    }
}

/// The tests of the workspace, each program's once it was asked for.
struct Programs<'a> {
    files: &'a [String],
    read: Read<'a>,
    /// The folder of each package.
    folders: BTreeMap<String, String>,
    /// The words in macros that make tests, by the macro's name: some of them are names of tests.
    makers: BTreeMap<String, Vec<String>>,
    /// By package and target; nothing where there is no such program.
    tests: BTreeMap<Vec<String>, Option<Vec<String>>>,
}

impl<'a> Programs<'a> {
    fn new(files: &'a [String], read: Read<'a>) -> Self {
        Self {
            files,
            read,
            folders: packages(files, read),
            makers: makers(files, read),
            tests: BTreeMap::new(),
        }
    }

    /// Says what is wrong with a proof: a test that would not run catches nothing.
    fn wrong_proof(&mut self, proof: &Proof) -> Option<String> {
        let (words, filter) = match proof {
            Proof::Seeds(seeds) => {
                let is_good = seeds.parse::<u32>().is_ok_and(|it| it > 0);
                return (!is_good).then(|| format!("{seeds:?} is no number of seeds"));
            }
            Proof::Test { target, filter } => (target, filter),
        };
        let [_, package, target @ ..] = words.as_slice() else {
            return Some("names no package".to_owned());
        };
        let Some(folder) = self.folders.get(package) else {
            return Some(format!("there is no package {package}"));
        };
        let (files, read, makers) = (self.files, self.read, &self.makers);
        let tests = self.tests.entry(words.clone()).or_insert_with(|| {
            let program = Program::of(target, folder, files)?;
            Some(program.tests(files, read, makers))
        });
        let target = target.join(" ");
        match tests {
            None => Some(format!("{package} has no test program {target}")),
            Some(tests) if tests.iter().any(|test| test.contains(filter)) => None,
            Some(_) => Some(format!(
                "no test of {package} ({target}) has {filter:?} in its name: nothing would run"
            )),
        }
    }
}

/// Finds the folder of each package by its manifest.
fn packages(files: &[String], read: Read<'_>) -> BTreeMap<String, String> {
    let manifests = files
        .iter()
        .filter_map(|file| file.strip_suffix("/Cargo.toml"));
    let named = manifests.filter_map(|folder| {
        let text = read(&format!("{folder}/Cargo.toml")).ok().flatten()?;
        let manifest: toml::Table = text.parse().ok()?;
        let name = manifest.get("package")?.get("name")?.as_str()?;
        Some((name.to_owned(), folder.to_owned()))
    });
    named.collect()
}

/// Finds the macros whose rules have a test in them that is named by what they are given.
fn makers(files: &[String], read: Read<'_>) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for file in files.iter().filter(|file| file.ends_with(".rs")) {
        let text = read(file).ok().flatten().unwrap_or_default();
        if !text.contains("macro_rules!") {
            continue;
        }
        let code = blank(&text);
        for (_, rules) in code
            .match_indices("macro_rules!")
            .map(|(at, of)| code.split_at(at + of.len()))
        {
            let rules = &rules[..closing(rules)];
            let all = words(rules);
            let mut pairs = all.windows(2);
            let is_maker =
                rules.contains("#[test]") && pairs.any(|it| it[0].1 == "fn" && it[1].1 == "$");
            let mut names = all.iter().map(|(_, word)| (*word).to_owned());
            if let Some(name) = names.next().filter(|_| is_maker) {
                found.insert(name, names.collect());
            }
        }
    }
    found
}

/// Finds where what is in braces here ends.
fn closing(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, sign) in code.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' if depth == 1 => return at,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    code.len()
}

fn calls(code: &str, maker: &str) -> bool {
    let called = format!("{maker}!");
    code.match_indices(&called)
        .any(|(at, _)| at == 0 || !is_word(code.as_bytes()[at - 1]))
}

/// The sources of one test program: a library or a program with its own tests, or a file of `tests/`.
struct Program {
    /// Where its modules are.
    folder: String,
    /// Its root, below that.
    root: String,
}

impl Program {
    /// Finds it by cargo's words: `--lib`, `--bin NAME`, `--test NAME`.
    fn of(words: &[String], package: &str, files: &[String]) -> Option<Self> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (folder, roots) = match words.as_slice() {
            ["--lib"] => ("src", vec!["lib.rs".to_owned()]),
            ["--bin", name] => ("src", vec![format!("bin/{name}.rs"), "main.rs".to_owned()]),
            ["--test", name] => (
                "tests",
                vec![format!("{name}.rs"), format!("{name}/main.rs")],
            ),
            _ => return None,
        };
        let folder = format!("{package}/{folder}/");
        let mut roots = roots.into_iter();
        let root = roots.find(|root| files.contains(&format!("{folder}{root}")))?;
        Some(Self { folder, root })
    }

    /// Lists its tests by the names that a filter is held against, as far as files and inline modules tell them.
    fn tests(
        &self,
        files: &[String],
        read: Read<'_>,
        makers: &BTreeMap<String, Vec<String>>,
    ) -> Vec<String> {
        let mut found = Vec::new();
        let mut waiting = vec![(format!("{}{}", self.folder, self.root), String::new())];
        while let Some((file, module)) = waiting.pop() {
            let Ok(Some(text)) = read(&file) else {
                continue;
            };
            let code = blank(&text);
            let made = makers.iter().filter(|(maker, _)| calls(&code, maker));
            found.extend(
                made.flat_map(|(_, names)| names)
                    .map(|name| format!("{module}{name}")),
            );
            for item in items(&text, &code) {
                let name = format!("{module}{}", item.name);
                match item.kind {
                    Kind::Test => found.push(name),
                    Kind::File { path } => {
                        let next = self.next_file(&file, &item.name, path.as_deref(), files);
                        waiting.extend(next.map(|next| (next, format!("{name}::"))));
                    }
                }
            }
        }
        found
    }

    /// Finds the file of a module that another file declares.
    fn next_file(
        &self,
        of: &str,
        name: &str,
        path: Option<&str>,
        files: &[String],
    ) -> Option<String> {
        let (folder, stem) = of.rsplit_once('/')?;
        let stem = stem.trim_end_matches(".rs");
        let is_root = of == format!("{}{}", self.folder, self.root) || stem == "mod";
        let below = if is_root {
            folder.to_owned()
        } else {
            format!("{folder}/{stem}")
        };
        let name = name.replace("::", "/");
        let candidates = match path {
            Some(path) => vec![format!("{folder}/{path}")],
            None => vec![
                format!("{below}/{name}.rs"),
                format!("{below}/{name}/mod.rs"),
            ],
        };
        candidates.into_iter().find(|file| files.contains(file))
    }
}

/// What a file has that matters here, by its name within the file.
struct Item {
    name: String,
    kind: Kind,
}

enum Kind {
    Test,
    /// A module in a file of its own, at a path that is told where it isn't the usual one.
    File {
        path: Option<String>,
    },
}

/// Finds tests and modules in a text: a function is a test when an attribute before it says so.
fn items(text: &str, code: &str) -> Vec<Item> {
    let (mut found, mut depth, mut inside) = (Vec::new(), 0_usize, Vec::new());
    let mut attributes = 0..0;
    let words = words(code);
    for (at, (start, word)) in words.iter().enumerate() {
        let next = || words.get(at + 1).map(|(_, word)| *word);
        let behind = || words.get(at + 2).map(|(_, word)| *word);
        let full = |name: &str, inside: &[(&str, usize)]| {
            let all = inside.iter().map(|(module, _)| *module).chain([name]);
            all.collect::<Vec<_>>().join("::")
        };
        match *word {
            "#" if attributes.end <= *start => attributes = *start..attributes_end(code, *start),
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                inside.retain(|(_, of)| *of <= depth);
            }
            "fn" if is_test(&code[attributes.clone()]) => {
                let name = full(next().unwrap_or_default(), &inside);
                found.push(Item {
                    name,
                    kind: Kind::Test,
                });
                attributes = *start..*start;
            }
            "fn" | "struct" | "enum" | "impl" | "use" | "const" | "static" | "trait" => {
                attributes = *start..*start;
            }
            "mod" if behind() == Some(";") => {
                let path = path_of(&text[attributes.clone()]);
                let name = full(next().unwrap_or_default(), &inside);
                found.push(Item {
                    name,
                    kind: Kind::File { path },
                });
                attributes = *start..*start;
            }
            "mod" => {
                inside.extend(next().map(|name| (name, depth + 1)));
                attributes = *start..*start;
            }
            _ => {}
        }
    }
    found
}

/// Lists the tests in a text by their names, with the modules that they are in there.
pub(super) fn tests_in(text: &str) -> Vec<String> {
    let items = items(text, &blank(text)).into_iter();
    let tests = items.filter(|it| matches!(it.kind, Kind::Test));
    tests.map(|it| it.name).collect()
}

/// Cuts code into words and single signs, each with where it begins.
fn words(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let rest = &code[at..];
        let word = rest.bytes().take_while(|byte| is_word(*byte)).count();
        let len = if word > 0 {
            word
        } else {
            rest.chars().next().map_or(1, char::len_utf8)
        };
        if !rest.starts_with(char::is_whitespace) {
            found.push((at, &rest[..len]));
        }
        at += len;
    }
    found
}

/// Finds where the attributes end that begin here: one behind the other.
fn attributes_end(code: &str, start: usize) -> usize {
    let mut end = start;
    while code[end..].trim_start().starts_with('#') {
        let (mut depth, mut last) = (0_usize, code.len());
        for (at, sign) in code[end..].char_indices() {
            match sign {
                '[' => depth += 1,
                ']' if depth == 1 => {
                    last = end + at + 1;
                    break;
                }
                ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        end = last;
    }
    end
}

/// Says whether one of these attributes makes a test: `#[test]`, `#[tokio::test(…)]`.
fn is_test(attributes: &str) -> bool {
    let words = words(attributes);
    let is_here = |at: usize| {
        let (before, after) = (at.checked_sub(1), words.get(at + 1));
        let begins = before.is_some_and(|it| matches!(words[it].1, "[" | ":"));
        words[at].1 == "test" && begins && after.is_some_and(|(_, it)| matches!(*it, "]" | "("))
    };
    (0..words.len()).any(is_here)
}

/// Reads the path that `#[path = "…"]` gives a module.
fn path_of(attributes: &str) -> Option<String> {
    let (_, behind) = attributes.split_once("path")?;
    behind.split('"').nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MUTANT: &str = "Breaks: a promise\nFile: crates/a/src/lib.rs\nPackage: p-a\nTest: deep::tests::adds\n\
        --- find\na + b\n--- put\na - b\n";
    const TREE: &[(&str, &str)] = &[
        ("crates/a/Cargo.toml", "[package]\nname = \"p-a\"\n"),
        (
            "crates/a/src/lib.rs",
            "mod deep;\nfn add() { a + b }\nfn adds_no_test() {}\n",
        ),
        (
            "crates/a/src/deep.rs",
            "#[cfg(test)]\nmod tests {\n    #[test]\n    fn adds_up() { \"fn adds_in_text\" }\n    fn helps() {}\n}\n\
             #[cfg(test)]\n#[path = \"other.rs\"]\nmod more;\n",
        ),
        (
            "crates/a/src/other.rs",
            "#[tokio::test(flavor = \"x\")]\nasync fn at_a_path() {}\n",
        ),
        (
            "crates/a/tests/whole.rs",
            "mod common;\n#[test]\nfn w01_goes() {}\n",
        ),
        ("crates/a/tests/common/mod.rs", "pub fn w02_helps() {}\n"),
        (
            "crates/a/src/suite.rs",
            "macro_rules! suite { () => { suite!(@each one_holds) }; (@each $($name:ident)*) => { $(#[test] fn $name() {})* }; }\n\
             macro_rules! plain { () => { two_holds }; }\n",
        ),
        ("crates/a/tests/made.rs", "p_a::suite!();\np_a::plain!();\n"),
        ("crates/a/tests/big/main.rs", "mod part;\n"),
        (
            "crates/a/tests/big/part.rs",
            "#[test]\n// Why.\n#[ignore]\nfn runs() {}\n",
        ),
    ];

    /// What is said of a tree with this planted fault.
    fn said(mutant: &str) -> Vec<String> {
        let name = format!("{FOLDER}m{ENDING}");
        let mut tree: BTreeMap<&str, &str> = TREE.iter().copied().collect();
        tree.insert(&name, mutant);
        let files: Vec<String> = tree.keys().map(|it| (*it).to_owned()).collect();
        let read = |file: &str| Ok(tree.get(file).map(|it| (*it).to_owned()));
        let faults = check(&files, read);
        assert!(faults.iter().all(|it| it.place == name && !it.is_warning));
        faults.into_iter().map(|it| it.text).collect()
    }

    #[track_caller]
    fn wrong(from: &str, to: &str, words: &str) {
        assert!(MUTANT.contains(from));
        let said = said(&MUTANT.replace(from, to));
        assert!(said.len() == 1 && said[0].contains(words), "{said:?}");
    }

    #[track_caller]
    fn good(target: &str, test: &str) {
        let lines = format!("{target}\nTest: {test}").trim_start().to_owned();
        let said = said(&MUTANT.replace("Test: deep::tests::adds", &lines));
        assert!(said.is_empty(), "{said:?}");
    }

    #[test]
    fn good_ones_pass() {
        assert_eq!(said(MUTANT), [""; 0]);
        good("", "deep::tests");
        good("", "at_a_path");
        good("Target: --lib", "deep::more::at");
        good("Target: --test whole", "w01_");
        good("Target: --test big", "part::runs");
        good("Target: --test made", "one_holds");
    }

    #[test]
    fn code_that_can_not_be_planted_is_found() {
        wrong("a + b", "a * b", "isn't there any more");
        wrong("a + b", "a", "more than once");
        wrong("a - b", "a+b", "breaks nothing");
        wrong(
            "src/lib.rs",
            "src/gone.rs",
            "there is no crates/a/src/gone.rs",
        );
        wrong("--- put", "--- but", "lacks the line");
    }

    #[test]
    fn a_test_that_would_not_run_is_found() {
        wrong("p-a", "p-b", "there is no package p-b");
        for test in ["adds_no_test", "helps", "adds_in_text", "deep::adds"] {
            wrong("deep::tests::adds", test, "nothing would run");
        }
        wrong(
            "Test: ",
            "Target: --test none\nTest: ",
            "no test program --test none",
        );
        wrong(
            "Test: deep::tests::adds",
            "Target: --test whole\nTest: w02_",
            "nothing would run",
        );
        wrong(
            "Test: deep::tests::adds",
            "Target: --test made\nTest: two_holds",
            "nothing would run",
        );
        wrong("Test: deep::tests::adds", "Seeds: 0", "no number of seeds");
    }
}
