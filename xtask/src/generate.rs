//! Files that are made from the code, and whether they still are what the code makes.

use crate::run::Run;
use crate::tally::Tally;
use crate::tree::{Tree, cargo};
use anyhow::{Context, Result, bail};
use std::fmt::Debug;
use tessera_model::action::{Action, Refused, Rule};
use tessera_model::state::{ItemStatus, WorkStatus};

const STATES: &str = "docs/states.md";

/// Tests that compare a file with what the code makes, and write it when `TESSERA_UPDATE=1`: file, package, test name.
const BY_TESTS: &[(&str, &str, &str)] = &[
    (
        "crates/model/src/action_table.txt",
        "tessera-model",
        "every_action_in_every_state",
    ),
    ("docs/openapi.json", "tessera-api", "openapi_document"),
];

/// Writes the files. With `--check` compares those that no test compares.
pub(crate) fn main(tree: &Tree, words: &[String]) -> Result<bool> {
    let is_check = match words {
        [] => false,
        [word] if word == "--check" => true,
        _ => bail!("usage: cargo xtask gen [--check]"),
    };
    let mut tally = Tally::one(states(tree, is_check)?);
    for (file, package, test) in BY_TESTS {
        if is_check {
            println!("{file}: compared by {package}'s test {test}");
        } else {
            tally += Tally::one(by_test(tree, file, package, test)?);
        }
    }
    println!("{tally}");
    Ok(tally.failed == 0)
}

/// Makes the tables of `docs/states.md`, or compares them.
fn states(tree: &Tree, is_check: bool) -> Result<bool> {
    let made = states_text();
    let path = tree.top.join(STATES);
    if !is_check {
        std::fs::write(&path, made).with_context(|| format!("can't write {STATES}"))?;
        println!("{STATES}: written");
        return Ok(true);
    }
    let is_same = std::fs::read_to_string(&path).is_ok_and(|text| text == made);
    if is_same {
        println!("{STATES}: as the code makes it");
    } else {
        eprintln!("error: {STATES} is stale; run cargo xtask gen and look at the change");
    }
    Ok(is_same)
}

/// Has a test write its file.
fn by_test(tree: &Tree, file: &str, package: &str, test: &str) -> Result<bool> {
    let words = ["test", "--quiet", "--package", package, "--lib", test];
    let run = Run::new(&cargo(), &tree.top, 20)
        .words(words)
        .env("TESSERA_UPDATE", "1");
    let ended = run.go()?;
    let is_tested = ended.tally.is_some_and(|tally| tally.passed > 0);
    if ended.is_well && !is_tested {
        eprintln!("error: {package} has no test named {test} that keeps {file}");
    }
    Ok(ended.is_well && is_tested && tree.top.join(file).is_file())
}

/// Prints what every action does in every state.
fn states_text() -> String {
    let mut text = String::from(
        "# What each action does in each state\n\n\
         Made from `crates/model/src/action.rs` by `cargo xtask gen`; not edited by hand. The words are in the\n\
         [glossary](glossary.md). A cell says what follows:\n\n\
         - **state**: nothing runs for it; it becomes that.\n\
         - **end → state**: what runs is ended (signal, grace, kill) and it becomes that at once; a new attempt\n\
         \x20 starts only when the old one is proven gone.\n\
         - **finish → state**: its current item is finished first.\n\
         - **stop**, **continue**: by signal, the attempt stays.\n\
         - a number: refused, for the reason of that number below.\n",
    );
    let mut reasons = Vec::new();
    text += "\n## Items\n\n";
    let cell = |action: Action, state| rule(action.on_item(state));
    text += &table(&ItemStatus::ALL, |state| state.word(), cell, &mut reasons);
    text += "\n## Instances\n\n";
    let cell = |action: Action, state| rule(action.on_instance(state));
    text += &table(&WorkStatus::ALL, |state| state.word(), cell, &mut reasons);
    text += "\nAn action on a job is the action on all its instances and items that allow it; when none does, it is refused.\n\
             Retry and requeue of a job take what failed or was killed, and only when there is nothing of that, all. Of what\n\
             only a whole job has, modify, top and bottom are allowed in every state; remove wants a job that has ended and\n\
             of which no process is left.\n";
    text += "\n## Reasons\n\n";
    for (number, reason) in reasons.iter().enumerate() {
        text += &format!("{}. {reason}\n", number + 1);
    }
    text
}

/// A cell: what is done, or why not.
type Cell = Result<String, String>;

fn rule<S: Debug>(rule: Result<Rule<S>, Refused>) -> Cell {
    let word = |state: &S| format!("{state:?}").to_lowercase();
    match rule {
        Ok(Rule::Become(state)) => Ok(word(&state)),
        Ok(Rule::EndAndBecome(state)) => Ok(format!("end → {}", word(&state))),
        Ok(Rule::FinishThen(state)) => Ok(format!("finish → {}", word(&state))),
        Ok(Rule::Stop) => Ok("stop".to_owned()),
        Ok(Rule::Continue) => Ok("continue".to_owned()),
        // The state is the column's, so the reason needn't name it.
        Err(refused) => Err(refused
            .to_string()
            .split(" (")
            .next()
            .unwrap_or_default()
            .to_owned()),
    }
}

fn table<S: Copy>(
    states: &[S],
    word: impl Fn(S) -> &'static str,
    cell: impl Fn(Action, S) -> Cell,
    reasons: &mut Vec<String>,
) -> String {
    let mut text = String::from("|");
    for state in states {
        text += &format!(" | {}", word(*state));
    }
    text += &format!(" |\n|{}\n", "---|".repeat(states.len() + 1));
    for action in Action::ALL {
        text += &format!("| **{action}**");
        for state in states {
            let shown = cell(action, *state)
                .unwrap_or_else(|reason| number(reasons, general(&reason)).to_string());
            text += &format!(" | {shown}");
        }
        text += " |\n";
    }
    text
}

/// Reasons that differ only in the state's name are one.
fn general(reason: &str) -> String {
    if reason.starts_with("it is ") && reason.ends_with(" already") {
        return "it is in that state already".to_owned();
    }
    if reason == "it has ended" {
        return "it has ended; retry or requeue it first".to_owned();
    }
    reason.to_owned()
}

fn number(reasons: &mut Vec<String>, reason: String) -> usize {
    if let Some(at) = reasons.iter().position(|known| *known == reason) {
        return at + 1;
    }
    reasons.push(reason);
    reasons.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_a_row_in_both_tables() {
        let text = states_text();
        for action in Action::ALL {
            assert_eq!(
                text.matches(&format!("| **{action}** |")).count(),
                2,
                "{action}"
            );
        }
        assert!(
            text.contains("| stop |") && text.contains("| end → killed |"),
            "{text}"
        );
    }

    #[test]
    fn reasons_that_say_the_same_share_a_number() {
        let mut reasons = Vec::new();
        let first = number(&mut reasons, general("it is blocked already"));
        assert_eq!(number(&mut reasons, general("it is failed already")), first);
        assert_ne!(number(&mut reasons, general("it is not running")), first);
    }
}
