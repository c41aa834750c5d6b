//! How a command fails: what, why, and what the reader can do; and how that is printed.

use crate::Exit;
use crate::out::{Look, Tone, text};
use serde::Serialize;
use std::fmt::Write as _;
use std::io;
use tessera_api::{ApiError, ClientError, ErrorCode, FieldProblem};

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CliError {
    /// What failed, and why.
    pub message: String,
    /// What can be done, a line each.
    pub hints: Vec<String>,
    /// What else there is to say, a line each.
    pub details: Vec<String>,
    /// The fields that are wrong.
    pub fields: Vec<FieldProblem>,
    /// The kind of error for programs; that of the exit code when the supervisor gave none.
    pub code: Option<ErrorCode>,
    /// The exit code.
    pub exit: Exit,
}

/// An error as programs read it: one object, with the names that the API's errors have.
#[derive(Serialize)]
struct JsonError<'a> {
    code: serde_json::Value,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    fields: &'a [FieldProblem],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    details: &'a [String],
    exit: u8,
}

impl CliError {
    /// Makes an error without a hint.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hints: Vec::new(),
            details: Vec::new(),
            fields: Vec::new(),
            code: None,
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

    /// Prints it for programs: one JSON object on a line of its own, nothing when there is nothing to say.
    #[must_use]
    pub fn json(&self) -> String {
        if self.message.is_empty() {
            return String::new();
        }
        let code = self.code.and_then(|code| serde_json::to_value(code).ok());
        let error = JsonError {
            code: code.unwrap_or_else(|| self.exit.word().into()),
            message: &self.message,
            hint: (!self.hints.is_empty()).then(|| self.hints.join("; ")),
            fields: &self.fields,
            details: &self.details,
            exit: self.exit.code(),
        };
        serde_json::to_string(&error).unwrap_or_default() + "\n"
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
        for detail in self.fields.iter().map(field_line) {
            let _ = writeln!(out, "  {}", text::safe(&detail));
        }
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

/// Prints what is wrong with a field, which goes by its option's name.
fn field_line(problem: &FieldProblem) -> String {
    let name = match problem.field.as_str() {
        "" => String::new(),
        field => format!("{}: ", field.replace('_', "-")),
    };
    let hint = problem.hint.iter().map(|hint| format!(" ({hint})"));
    format!("{name}{}{}", problem.message, hint.collect::<String>())
}

impl From<ApiError> for CliError {
    fn from(error: ApiError) -> Self {
        let mut made = Self::new(error.code.exit_code(), error.message);
        made.code = Some(error.code);
        made.fields = error.fields;
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
                let made = Self::new(other.exit_code(), other.to_string());
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
    fn programs_get_one_object() {
        let fields = vec![FieldProblem {
            field: "silence_limit".into(),
            message: "unknown unit \"x\"".into(),
            hint: None,
        }];
        let error = ApiError {
            fields,
            ..ApiError::new(ErrorCode::Invalid, "a field is wrong")
        };
        insta::assert_snapshot!(CliError::from(error).json(), @r#"{"code":"invalid","message":"a field is wrong","fields":[{"field":"silence_limit","message":"unknown unit \"x\""}],"exit":2}"#);
        let mut error = CliError::new(Exit::NotFound, "no farm found")
            .hint("a")
            .hint("b");
        error.details.push("the socket: not there".into());
        insta::assert_snapshot!(error.json(), @r#"{"code":"not_found","message":"no farm found","hint":"a; b","details":["the socket: not there"],"exit":5}"#);
        assert_eq!(CliError::silent(Exit::Done).json(), "");
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
