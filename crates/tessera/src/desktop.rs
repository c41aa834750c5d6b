//! Whom this desktop lets in: `tessera desktop`, and the one question at the first start.
//!
//! The answer is a line of the worker's own configuration, which its person writes and nobody else; the worker reads it
//! again for every start of an instance.

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use tessera_cli::daemon::{DesktopChange, DesktopOptions};
use tessera_cli::out::text::safe;
use tessera_cli::{CliError, Exit};
use tessera_worker::config::Config;
use toml::de::DeTable;

use crate::join::change_config;

/// The key of the configuration.
const KEY: &str = "desktop_allowed_submitters";
/// The word for everybody.
const EVERYBODY: &str = "*";
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 4_096;

/// Says or changes whom this desktop lets in.
pub(crate) fn answer(options: &DesktopOptions) -> Result<(), CliError> {
    let path = options.state.join("worker/worker.toml");
    let config =
        Config::read_if_there(&path).map_err(|error| CliError::usage(error.to_string()))?;
    let before = names(&config.unwrap_or_default());
    let after = match &options.what {
        DesktopChange::List => before.clone(),
        DesktopChange::Allow(more) => before.iter().chain(more).cloned().collect(),
        DesktopChange::Deny(fewer) => without(&before, fewer)?,
    };
    if after != before {
        write(&options.state, &after)?;
    }
    say(options, &before, &after);
    Ok(())
}

fn names(config: &Config) -> BTreeSet<String> {
    config.consent().names().into_iter().collect()
}

/// Takes names off; everybody can't be less one.
fn without(before: &BTreeSet<String>, fewer: &[String]) -> Result<BTreeSet<String>, CliError> {
    if fewer.iter().any(|it| it == EVERYBODY) {
        return Ok(BTreeSet::new());
    }
    if before.contains(EVERYBODY) {
        let said = "everybody is let in, which can't be less one";
        return Err(CliError::new(Exit::State, said)
            .hint("tessera desktop deny '*', then allow those who may"));
    }
    let missing = fewer.iter().find(|it| !before.contains(*it));
    if let Some(missing) = missing {
        let said = format!("{} is not let in", safe(missing));
        return Err(CliError::new(Exit::NotFound, said).hint("tessera desktop list says who is"));
    }
    Ok(before
        .iter()
        .filter(|it| !fewer.contains(it))
        .cloned()
        .collect())
}

fn say(options: &DesktopOptions, before: &BTreeSet<String>, after: &BTreeSet<String>) {
    if options.json {
        println!("{:#}", serde_json::json!({ "allows": after }));
        return;
    }
    let others: Vec<String> = after.iter().map(|it| safe(it).into_owned()).collect();
    match others.as_slice() {
        [] => println!("this desktop runs your own jobs only"),
        [one] if one == EVERYBODY => println!("this desktop runs everybody's jobs, as you"),
        some => println!(
            "this desktop runs your own jobs, and as you those of {}",
            some.join(", ")
        ),
    }
    if !after.is_superset(before) {
        eprintln!(
            "what runs here of others is ended and put back, no retry is used; a running worker takes it up by itself"
        );
    }
}

/// Asks the person at a terminal, once: whether others' jobs may run here. Without a terminal nobody is asked, and nobody
/// is let in.
///
/// # Errors
/// When the answer can't be kept.
pub(crate) fn ask_once(state: &Path, config: Option<&Path>) -> Result<(), CliError> {
    let is_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    // Another configuration than the usual one was written by hand, and is left alone.
    if !is_terminal || config.is_some() {
        return Ok(());
    }
    let path = state.join("worker/worker.toml");
    let is_said = match Config::read_if_there(&path) {
        Ok(config) => config.is_some_and(|it| it.desktop_allowed_submitters.is_some()),
        // The worker says what is wrong with it.
        Err(_) => true,
    };
    if is_said {
        return Ok(());
    }
    eprint!(
        "Jobs on this desktop run as you. May others' run here, too? They could do all that you can.\n\
         Names of users with spaces between, * for everybody, or nothing for your own jobs only [none]: "
    );
    let _shown_later = std::io::stderr().flush();
    let mut line = String::new();
    let stdin = std::io::stdin().lock();
    let read = std::io::BufRead::read_line(
        &mut std::io::BufReader::new(std::io::Read::take(stdin, ANSWER_BYTES_MAX)),
        &mut line,
    );
    // Who can't be heard has not said yes.
    let said = if read.is_ok() {
        understood(&line)
    } else {
        BTreeSet::new()
    };
    write(state, &said)?;
    eprintln!("tessera desktop allow, deny and list change it at any time");
    Ok(())
}

/// Reads an answer; a no in any usual word lets nobody in.
fn understood(line: &str) -> BTreeSet<String> {
    let words = line.split(|c: char| c.is_whitespace() || c == ',');
    let words: BTreeSet<String> = words
        .filter(|it| !it.is_empty())
        .map(str::to_owned)
        .collect();
    let is_no = words.len() == 1
        && words.iter().all(|it| {
            matches!(
                it.to_ascii_lowercase().as_str(),
                "n" | "no" | "none" | "nobody"
            )
        });
    if is_no { BTreeSet::new() } else { words }
}

fn write(state: &Path, names: &BTreeSet<String>) -> Result<(), CliError> {
    let file = state.join("worker/worker.toml");
    change_config(state, |old| {
        let new = with_names(old, names)
            .ok_or_else(|| CliError::failed(format!("{} can't be understood", file.display())))?;
        // What the worker would not read is not written.
        Config::parse(&file, &new).map_err(|error| CliError::usage(error.to_string()))?;
        Ok(new)
    })
}

/// Puts the names into the text of a configuration: in the place of the old value, else as its first line. Everything else
/// stays as it was. `None` when the text is no TOML.
fn with_names(text: &str, names: &BTreeSet<String>) -> Option<String> {
    let quoted: Vec<String> = names
        .iter()
        .map(|it| toml::Value::String(it.clone()).to_string())
        .collect();
    let value = format!("[{}]", quoted.join(", "));
    let table = DeTable::parse(text).ok()?;
    let found = table.get_ref().iter().find(|(key, _)| key.get_ref() == KEY);
    Some(match found.map(|(_, value)| value.span()) {
        Some(span) => format!(
            "{}{value}{}",
            text.get(..span.start)?,
            text.get(span.end..)?
        ),
        None => format!("{KEY} = {value}\n{text}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn only_the_value_changes() {
        let with = |text: &str, names: &[&str]| with_names(text, &set(names));
        assert_eq!(
            with("worker_cpus = 3\n[worker_properties]\n", &["bob"]).as_deref(),
            Some("desktop_allowed_submitters = [\"bob\"]\nworker_cpus = 3\n[worker_properties]\n")
        );
        let old = "# mine\ndesktop_allowed_submitters = [\n  \"a\", # a friend\n  \"b\",\n] # all\nworker_cpus = 3\n";
        assert_eq!(
            with(old, &["b"]).as_deref(),
            Some("# mine\ndesktop_allowed_submitters = [\"b\"] # all\nworker_cpus = 3\n")
        );
        assert_eq!(
            with("desktop_allowed_submitters = \"*\"", &[]).as_deref(),
            Some("desktop_allowed_submitters = []")
        );
        assert_eq!(with("a = = 1", &[]), None);
    }

    #[test]
    fn an_answer_that_says_no_lets_nobody_in() {
        for no in ["", "\n", "n\n", "No", " none ", "nobody\n"] {
            assert_eq!(understood(no), set(&[]), "{no:?}");
        }
        assert_eq!(understood("bob, eve anna\n"), set(&["anna", "bob", "eve"]));
        assert_eq!(understood("*\n"), set(&["*"]));
    }

    #[test]
    fn names_are_let_in_and_taken_back_in_the_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let run = |what| {
            answer(&DesktopOptions {
                what,
                state: dir.path().to_owned(),
                json: true,
            })
        };
        let let_in = || {
            let path = dir.path().join("worker/worker.toml");
            names(&Config::read(&path).expect("is right"))
        };
        run(DesktopChange::Allow(vec!["bob".into(), "eve".into()])).expect("let in");
        assert_eq!(let_in(), set(&["bob", "eve"]));
        run(DesktopChange::Deny(vec!["bob".into()])).expect("taken back");
        assert_eq!(let_in(), set(&["eve"]));
        let twice = run(DesktopChange::Deny(vec!["bob".into()])).expect_err("is not let in");
        assert_eq!(twice.exit, Exit::NotFound);
        assert!(run(DesktopChange::Allow(vec!["a b".into()])).is_err());
        assert_eq!(let_in(), set(&["eve"]));
        run(DesktopChange::Allow(vec!["*".into()])).expect("all let in");
        let less = run(DesktopChange::Deny(vec!["eve".into()])).expect_err("can't be");
        assert_eq!(less.exit, Exit::State);
        run(DesktopChange::Deny(vec!["*".into()])).expect("all taken back");
        assert_eq!(let_in(), set(&[]));
    }
}
