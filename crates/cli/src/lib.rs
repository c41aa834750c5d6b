//! The command line of the farm: what can be typed, what it does over the API, and how it looks.
//!
//! Owns arguments, output, exit codes, the demo and the small renderer. Leaves the daemons and the enrolment to the
//! crate with `main`: [`run()`] answers an [`Outcome`] that says what is left to do.
#![forbid(unsafe_code)]

pub mod args;
#[cfg(target_os = "linux")]
mod bench;
pub mod daemon;
#[cfg(target_os = "linux")]
mod demo;
mod doctor;
pub mod error;
mod local;
pub mod out;
pub mod picture;
mod run;
pub mod show;

pub use error::CliError;
#[cfg(windows)]
pub use local::install::prepare_state;
pub use run::Outcome;
pub use tessera_api::Exit;

use args::Cli;
use clap::FromArgMatches as _;
use clap::error::ErrorKind;
use run::Context;
use std::ffi::OsString;
use std::io::Write as _;

/// The option that asks for JSON.
const JSON_OPTION: &str = "--json";

/// Carries out a command line, the program's name first. Errors are printed here.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Outcome {
    let arguments = with_help_behind(arguments.into_iter().collect());
    let parsed = args::command().try_get_matches_from(&arguments);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return Outcome::Done(not_parsed(&error, &arguments)),
    };
    let context = Context::new(cli.global);
    run::command(cli.command, &context).unwrap_or_else(|error| {
        context.complain(&error);
        Outcome::Done(error.exit)
    })
}

/// Makes `tessera submit --help` of `tessera help submit`.
fn with_help_behind(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if arguments.get(1).is_some_and(|word| word == "help") {
        arguments.remove(1);
        arguments.push("--help".into());
    }
    arguments
}

/// Answers the hint for a verb that was written behind the host it is for.
fn verb_behind_host(arguments: &[OsString]) -> Option<String> {
    let mut words = arguments.iter().skip(1).map(|word| word.to_string_lossy());
    words.by_ref().find(|word| word == "host")?;
    let (host, verb) = (words.next()?, words.next()?);
    let is_verb = ["show", "lock", "unlock", "remove"].contains(&&*verb);
    is_verb.then(|| format!("the verb comes first: tessera host {verb} {host}"))
}

/// Says what is wrong with a command line, or prints the help that it asks for.
fn not_parsed(error: &clap::Error, arguments: &[OsString]) -> Exit {
    let is_help = matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    let submits = arguments.iter().any(|word| word == "submit");
    let has_mark = arguments.iter().any(|word| word == "--");
    let is_unmarked = submits && !has_mark && error.kind() == ErrorKind::UnknownArgument;
    let unmarked = "the command comes after --: tessera submit [OPTIONS] -- COMMAND...";
    let hint = is_unmarked.then(|| unmarked.to_owned());
    let hint = hint.or_else(|| verb_behind_host(arguments).filter(|_| !is_help));
    if wants_json(arguments) && !is_help {
        let said = error.to_string();
        let mut made = CliError::usage(
            said.lines()
                .next()
                .unwrap_or_default()
                .replacen("error: ", "", 1),
        );
        let more = said
            .lines()
            .skip(1)
            .map(str::trim)
            .filter(|line| !line.is_empty());
        made.details = more.map(str::to_owned).collect();
        if let Some(hint) = hint {
            made = made.hint(hint);
        }
        return complain(&made, true);
    }
    // A reader of the help that went away is no error.
    let _ = error.print();
    if let Some(hint) = hint {
        eprintln!("hint: {hint}");
    }
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
        _ => Exit::Usage,
    }
}

/// Says whether a command line asks for JSON, whatever else is wrong with it.
#[must_use]
pub fn wants_json(arguments: &[OsString]) -> bool {
    let own = arguments.iter().take_while(|word| *word != "--");
    own.into_iter().any(|word| word == JSON_OPTION)
}

/// Prints an error of what was left to do, as every other, and answers its exit code.
#[must_use]
pub fn complain(error: &CliError, is_json: bool) -> Exit {
    let look = out::Look::of_stderr(args::Colour::Auto);
    // That nobody hears it is no error.
    let _ = std::io::stderr().write_all(run::printed(error, &look, is_json).as_bytes());
    error.exit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn help_may_come_first() {
        assert_eq!(
            with_help_behind(words("tessera help host lock")),
            words("tessera host lock --help")
        );
        for line in ["tessera help", "tessera submit -- help", "tessera"] {
            let made = with_help_behind(words(line));
            assert_eq!(made.contains(&"--help".into()), line == "tessera help");
        }
    }

    #[test]
    fn a_verb_behind_its_host_is_put_right() {
        assert_eq!(
            verb_behind_host(&words("tessera --json host vm2 lock")).as_deref(),
            Some("the verb comes first: tessera host lock vm2")
        );
        assert_eq!(verb_behind_host(&words("tessera host lock vm2")), None);
        assert_eq!(verb_behind_host(&words("tessera host vm2")), None);
    }
}
