//! The lists of attacks and of others' bugs name tests and planted faults that exist, every attack of the list is there, and what is said to
//! be held names a test.

use super::Fault;
use super::mutants::tests_in;
use anyhow::Result;
use std::collections::BTreeSet;

const ATTACKS: &str = "docs/security/attacks.md";
const LISTS: &[&str] = &[ATTACKS, "docs/security/cve-mirror.md"];

/// The attacks that were set out to be tried: on a Linux host, on the protocol, on credentials, on Windows, on a Mac.
const IDS: &[(char, &[u8])] = &[
    (
        'L',
        &[
            1, 2, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21, 22, 23, 25, 27, 28,
            29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 43, 44, 45, 46, 47, 49, 50, 51, 52,
            53,
        ],
    ),
    (
        'P',
        &[
            1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 18, 19, 20, 21, 22,
        ],
    ),
    ('C', &[1, 2, 3, 4, 5, 7, 9, 10]),
    (
        'W',
        &[
            1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
        ],
    ),
    ('X', &[1, 2, 3, 4, 5, 6, 7]),
];

/// Words that stand for a place of tests where the lists say so in prose.
const PLACES: &[(&str, &str)] = &[
    ("credential", "crates/tessera/tests/credential.rs"),
    ("vault", "crates/worker/src/credential/tests"),
    ("engine", "crates/engine/src/supervisor/tests/"),
    ("client", "crates/api/tests/client/"),
    ("become", "crates/maclaunch/tests/become.rs"),
    ("user", "crates/maclaunch/src/tests/"),
];

/// What the list says of an attack that was carried out.
const CARRIED_OUT: &[&str] = &["held", "part"];

/// The tests of a file, by their modules in it.
struct Tests {
    file: String,
    names: Vec<String>,
}

/// Checks both lists.
pub(super) fn check(
    files: &[String],
    read: impl Fn(&str) -> Result<Option<String>>,
) -> Result<Vec<Fault>> {
    let mut tests = Vec::new();
    for file in files.iter().filter(|file| file.ends_with(".rs")) {
        let names = read(file)?.map_or_else(Vec::new, |text| tests_in(&text));
        let file = file.clone();
        tests.extend((!names.is_empty()).then_some(Tests { file, names }));
    }
    let is_fault = |name: &str| files.contains(&format!("xtask/mutants/{name}.mutant"));
    let mut faults = Vec::new();
    for list in LISTS {
        let text = read(list)?.unwrap_or_default();
        faults.extend(check_list(list, &text, &tests, is_fault));
        if *list == ATTACKS {
            let absent = absent(&text);
            let text = absent.map(|id| {
                format!("{id} has no row: say what keeps it out, or why it was not tried")
            });
            faults.extend(text.map(|text| Fault::new(list, None, text)));
        }
    }
    Ok(faults)
}

fn check_list(
    list: &str,
    text: &str,
    tests: &[Tests],
    is_fault: impl Fn(&str) -> bool,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    let rows = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.starts_with("| "));
    for (number, row) in rows {
        let mut say = |text: String| faults.push(Fault::new(list, Some(number + 1), text));
        let words: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        for word in words.iter().filter(|word| is_test(word)) {
            if !tests.iter().any(|it| it.has(word)) {
                say(format!("there is no test {word}"));
            }
        }
        for word in words.iter().filter(|word| is_name_of_fault(word)) {
            if !is_fault(word) {
                say(format!("there is no planted fault {word}"));
            }
        }
        let mut cells = row.split('|').map(str::trim);
        let is_said = cells.any(|cell| CARRIED_OUT.iter().any(|it| cell.starts_with(it)));
        let names_one = |word: &&str| is_test(word) || word.contains(".rs") || word.contains('/');
        let is_named = words.iter().any(names_one) || is_by_sentence(&words, tests);
        if is_said && !is_named && !row.contains("the same") {
            say("is said to be held, and names no test".to_owned());
        }
    }
    faults
}

/// Says whether a row names a test by the beginning of its own name, without where that is.
fn is_by_sentence(words: &[&str], tests: &[Tests]) -> bool {
    words.iter().any(|word| {
        let word = word.trim_end_matches('…').trim_end_matches('_');
        let is_it = |name: &String| {
            let name = name.rsplit("::").next().unwrap_or_default();
            word.contains('_') && name.starts_with(word)
        };
        tests.iter().any(|it| it.names.iter().any(is_it))
    })
}

/// Lists the attacks that have no row.
fn absent(text: &str) -> impl Iterator<Item = String> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| "));
    let first = rows.filter_map(|row| row.split('|').next());
    let there: BTreeSet<String> = first
        .flat_map(|cell| cell.split_whitespace().map(str::to_owned))
        .collect();
    let all = IDS.iter().flat_map(|(letter, numbers)| {
        let of = move |number: &u8| format!("{letter}{number:02}");
        numbers.iter().map(of)
    });
    all.filter(move |id| !there.contains(id))
}

/// Says whether a word in backticks names tests: modules, and how a test's name begins.
fn is_test(word: &str) -> bool {
    let is_plain = |it: &str| {
        it.bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let word = word.trim_end_matches('…');
    word.contains("::") && word.split("::").all(is_plain)
}

/// Says whether a word in backticks is shaped like the name of a planted fault.
fn is_name_of_fault(word: &str) -> bool {
    let mut parts = word.split('-');
    word.matches('-').count() > 1
        && parts.all(|it| {
            !it.is_empty()
                && it
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
}

impl Tests {
    /// Says whether these are tests that a word names.
    fn has(&self, word: &str) -> bool {
        let word = word.trim_end_matches('…').trim_end_matches('_');
        let (modules, begin) = word.rsplit_once("::").unwrap_or_default();
        let mut modules: Vec<&str> = modules.split("::").collect();
        if let Some((_, place)) = PLACES.iter().find(|(word, _)| *word == modules[0]) {
            if !self.file.starts_with(place) {
                return false;
            }
            modules.remove(0);
        }
        let path: Vec<&str> = self.file.trim_end_matches(".rs").split('/').collect();
        self.names.iter().any(|name| {
            let (inside, name) = name.rsplit_once("::").unwrap_or(("", name));
            let is_in =
                |module: &&str| path.contains(module) || inside.split("::").any(|it| it == *module);
            let is_module = path.contains(&begin) || inside.split("::").any(|it| it == begin);
            modules.iter().all(is_in) && (name.starts_with(begin) || is_module)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tests() -> Vec<Tests> {
        let of = |file: &str, names: &[&str]| Tests {
            file: file.to_owned(),
            names: names.iter().map(|it| (*it).to_owned()).collect(),
        };
        vec![
            of("crates/launch/tests/identity.rs", &["l10_groups"]),
            of(
                "crates/worker/src/credential/tests.rs",
                &["memory::c09_gone"],
            ),
        ]
    }

    fn texts(row: &str) -> Vec<String> {
        let found = check_list("list", row, &tests(), |name| name == "a-good-fault");
        found.into_iter().map(|it| it.text).collect()
    }

    #[test]
    fn what_is_named_is_looked_for() {
        assert!(
            texts("| L10 | x | `identity::l10`, `vault::memory::c09` | held | `a-good-fault` |")
                .is_empty()
        );
        assert_eq!(
            texts("| L10 | x | `identity::l11` | held | |"),
            ["there is no test identity::l11"]
        );
        assert_eq!(
            texts("| L10 | x | `client::l10` | held | |"),
            ["there is no test client::l10"]
        );
        assert_eq!(
            texts("| L10 | x | `identity::l10` | held | `no-such-fault` |"),
            ["there is no planted fault no-such-fault"]
        );
        let nothing = texts("| L10 | x | – | held: somehow | |");
        assert_eq!(nothing, ["is said to be held, and names no test"]);
        assert!(texts("| L10 | x | – | nothing to attack | |").is_empty());
    }

    #[test]
    fn an_attack_without_a_row_is_missed() {
        let found: Vec<String> = absent("| L01 L02 | x |\n| – | L04 |").collect();
        assert!(!found.contains(&"L01".to_owned()) && !found.contains(&"L02".to_owned()));
        assert!(found.contains(&"L04".to_owned()) && found.contains(&"X07".to_owned()));
    }
}
