//! How a command fails: what, why, and what the reader can do; and how that is printed.

use crate::exit::Exit;
use crate::out::{Look, Tone, text};
use std::fmt::Write as _;
use std::io;
use tessera_api::{ApiError, ClientError};

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CliError {
    /// What failed, and why.
    pub message: String,
    /// What can be done, a line each.
    pub hints: Vec<String>,
    /// What else is wrong: fields with their messages.
    pub details: Vec<String>,
    /// The exit code.
    pub exit: Exit,
}

impl CliError {
    /// Makes an error without a hint.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hints: Vec::new(),
            details: Vec::new(),
            exit,
        }
    }

    /// Makes the error of an action that failed.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// Makes the error of a command that can't be meant so.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Makes the end of a command that has nothing to say.
    #[must_use]
    pub fn silent(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    /// Prints it as `error: …` and `hint: …` lines.
    #[must_use]
    pub fn print(&self, look: &Look) -> String {
        if self.message.is_empty() {
            return String::new();
        }
        let mut out = format!(
            "{} {}\n",
            look.paint(Tone::Bad, "error:"),
            text::safe(&self.message)
        );
        for detail in &self.details {
            let _ = writeln!(out, "  {}", text::safe(detail));
        }
        for hint in &self.hints {
            let _ = writeln!(
                out,
                "{} {}",
                look.paint(Tone::Warn, "hint:"),
                text::safe(hint)
            );
        }
        out
    }
}

impl From<ApiError> for CliError {
    fn from(error: ApiError) -> Self {
        let mut made = Self::new(Exit::from(error.code.exit_code()), error.message);
        for problem in error.fields {
            let option = problem.field.replace('_', "-");
            let name = if problem.field.is_empty() {
                String::new()
            } else {
                format!("{option}: ")
            };
            let hint = problem
                .hint
                .map(|hint| format!(" ({hint})"))
                .unwrap_or_default();
            made.details
                .push(format!("{name}{}{hint}", problem.message));
        }
        made.hints.extend(error.hint);
        let is_ours = made.exit == Exit::Failed && !error.request_id.is_empty();
        if is_ours {
            made.details.push(format!(
                "the supervisor's log has it as request {}",
                error.request_id
            ));
        }
        made
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Api(error) => error.into(),
            other @ (ClientError::Unreachable { .. } | ClientError::Protocol { .. }) => {
                let made = Self::new(Exit::from(other.exit_code()), other.to_string());
                match other.hint() {
                    Some(hint) => made.hint(hint),
                    None => made,
                }
            }
        }
    }
}

/// Makes the error of an output that can't be written; a reader that went away is no error.
#[must_use]
pub(crate) fn output(error: &io::Error) -> CliError {
    if error.kind() == io::ErrorKind::BrokenPipe {
        CliError::silent(Exit::Done)
    } else {
        CliError::failed(format!("can't write the output: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_api::{ErrorCode, FieldProblem};

    fn look() -> Look {
        Look {
            width: Some(80),
            colour: false,
            now_ms: 0,
            zone: jiff::tz::TimeZone::UTC,
        }
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let fields = vec![
            FieldProblem {
                field: "priority".into(),
                message: "0 is below 1".into(),
                hint: Some("1 is first".into()),
            },
            FieldProblem {
                field: "silence_limit".into(),
                message: "unknown unit \"x\"".into(),
                hint: None,
            },
        ];
        let error = ApiError {
            fields,
            ..ApiError::new(ErrorCode::Invalid, "2 fields are wrong")
        };
        let error = CliError::from(error);
        assert_eq!(error.exit, Exit::Usage);
        insta::assert_snapshot!(error.print(&look()), @r#"
        error: 2 fields are wrong
          priority: 0 is below 1 (1 is first)
          silence-limit: unknown unit "x"
        "#);
    }

    #[test]
    fn an_unreachable_supervisor_says_what_to_do() {
        let cause = io::Error::from(io::ErrorKind::ConnectionRefused);
        let error = CliError::from(ClientError::Unreachable {
            endpoint: "unix:/x".into(),
            cause,
        });
        assert_eq!(error.exit, Exit::Unreachable);
        assert!(error.print(&look()).contains("\nhint: start a supervisor"));
    }
}
