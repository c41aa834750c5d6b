//! The command line of the farm: what can be typed, what it does over the API, and how it looks.
//!
//! Owns arguments, output, exit codes, the demo and the small renderer. Leaves the daemons and the enrolment to the
//! crate with `main`: [`run()`] answers an [`Outcome`] that says what is left to do.
#![forbid(unsafe_code)]

pub mod args;
mod bench;
pub mod daemon;
mod demo;
mod doctor;
pub mod error;
pub mod exit;
mod local;
pub mod out;
pub mod picture;
mod run;
pub mod show;

pub use error::CliError;
pub use exit::Exit;
pub use run::Outcome;

use args::Cli;
use clap::FromArgMatches as _;
use clap::error::ErrorKind;
use run::Context;
use std::ffi::OsString;

/// Carries out a command line, the program's name first. Errors are printed here.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Outcome {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let submits = arguments.iter().any(|word| word == "submit");
    let parsed = args::command().try_get_matches_from(arguments);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            // A reader of the help that went away is no error.
            let _ = error.print();
            if submits && error.kind() == ErrorKind::UnknownArgument {
                eprintln!(
                    "hint: the command comes after --: tessera submit [OPTIONS] -- COMMAND..."
                );
            }
            let is_help = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            return Outcome::Done(if is_help { Exit::Done } else { Exit::Usage });
        }
    };
    let context = Context::new(cli.global);
    run::command(cli.command, &context).unwrap_or_else(|error| {
        context.complain(&error);
        Outcome::Done(error.exit)
    })
}

/// Prints an error of what was left to do, as every other, and answers its exit code.
#[must_use]
pub fn complain(error: &CliError) -> Exit {
    let look = out::Look::of_stderr(args::Colour::Auto);
    eprint!("{}", error.print(&look));
    error.exit
}
