//! The command of a submission: bounds, frame tokens, shell and the name that is made of it.

use crate::field::{Errors, FieldError, shown};
use crate::submit::SubmissionDraft;
use crate::submit::check::no_nul;
use tessera_model::limits::{ARGUMENTS_MAX, COMMAND_BYTES_MAX, NAME_BYTES_MAX};

/// The tokens that are replaced in the command of a job with a range.
pub const TOKENS: [&str; 5] = [
    "QB_FRAME_NUMBER",
    "QB_FRAME_START",
    "QB_FRAME_END",
    "QB_FRAME_STEP",
    "QB_FRAME_RANGE",
];

/// Checks the command and answers the argument vector that will run.
pub(super) fn check(draft: &SubmissionDraft, errors: &mut Errors) -> Vec<String> {
    for (place, argument) in draft.command.iter().enumerate().take(ARGUMENTS_MAX) {
        errors.take(no_nul(&format!("command[{place}]"), argument));
    }
    errors.take(not_empty(draft));
    if draft.range.is_none() {
        errors.take(no_tokens(&draft.command));
    }
    let command = match draft.shell.as_deref() {
        Some(shell) => {
            errors.take(shell_name(shell));
            vec![shell.to_owned(), "-c".to_owned(), draft.command.join(" ")]
        }
        None => draft.command.clone(),
    };
    errors.take(bounds(draft.command.len(), &command));
    command
}

fn not_empty(draft: &SubmissionDraft) -> Result<(), FieldError> {
    let is_blank = draft
        .command
        .first()
        .is_none_or(|program| program.trim().is_empty());
    if is_blank {
        let error = FieldError::new("command", "there is no command to run");
        return Err(error.hint("give the program and its arguments, on the command line after --"));
    }
    Ok(())
}

/// Checks the number of arguments as they were given, and the bytes of what will run.
fn bounds(given: usize, command: &[String]) -> Result<(), FieldError> {
    if given > ARGUMENTS_MAX {
        return Err(FieldError::new(
            "command",
            format!("it has more than {ARGUMENTS_MAX} arguments"),
        ));
    }
    let bytes: usize = command.iter().map(|argument| argument.len() + 1).sum();
    if bytes > COMMAND_BYTES_MAX {
        return Err(FieldError::new(
            "command",
            format!("it is longer than {COMMAND_BYTES_MAX} bytes"),
        )
        .hint("put the arguments into a file that the program reads"));
    }
    Ok(())
}

fn no_tokens(command: &[String]) -> Result<(), FieldError> {
    let found = command.iter().enumerate().find_map(|(place, argument)| {
        TOKENS
            .into_iter()
            .find(|token| argument.contains(token))
            .map(|token| (place, token))
    });
    match found {
        Some((place, token)) => {
            let message = format!("{token} stands for a frame, and the job has no range");
            Err(FieldError::new(format!("command[{place}]"), message)
                .hint("add a range such as 1-100"))
        }
        None => Ok(()),
    }
}

fn shell_name(shell: &str) -> Result<(), FieldError> {
    no_nul("shell", shell)?;
    let has_token = TOKENS.into_iter().any(|token| shell.contains(token));
    if has_token || shell.trim().is_empty() || shell.contains(char::is_whitespace) {
        return Err(
            FieldError::new("shell", format!("{} is no shell", shown(shell)))
                .hint("name one program such as /bin/sh; it is given -c and the command"),
        );
    }
    Ok(())
}

/// Answers the file name of a program's path.
#[must_use]
pub fn basename(program: &str) -> &str {
    program
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or(program)
}

/// Answers the name of a job whose submitter gave none: the file name of what it runs, made printable and short.
pub(super) fn default_name(draft: &SubmissionDraft) -> String {
    let first = draft.command.first().map_or("", String::as_str);
    let program = match draft.shell {
        Some(_) => first.split_whitespace().next().unwrap_or(first),
        None => first,
    };
    let mut name: String = basename(program)
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    while name.len() > NAME_BYTES_MAX {
        name.pop();
    }
    if name.trim().is_empty() {
        "job".to_owned()
    } else {
        name
    }
}
