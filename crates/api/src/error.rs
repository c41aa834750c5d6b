//! What an error is answered with.

use crate::exit::Exit;
use serde::{Deserialize, Serialize};
use std::fmt;
use tessera_spec::FieldError;
use utoipa::ToSchema;

/// A refusal or failure. Served as JSON with the status of its code.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ApiError {
    /// What kind of error, for programs.
    pub code: ErrorCode,
    /// What failed and why, for people.
    pub message: String,
    /// What can be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Names the request in the supervisor's log.
    #[serde(default)]
    pub request_id: String,
    /// The fields that are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldProblem>,
}

/// Something wrong with a field of the request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// Which: `priority`, `env.PATH`, `command[2]`.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Kinds of errors; the words are stable, new ones may come. With their HTTP status: `bad_request` 400 (can't be read),
/// `unauthenticated` 401 (no proof of who is asking), `forbidden` 403, `not_found` 404, `method_not_allowed` 405,
/// `wrong_state` 409 (can't be done in this state), `key_reused` 409 (the idempotency key was used for another submission),
/// `too_large` 413, `invalid` 422 (fields are wrong; all of them are listed), `busy` 429, `internal` 500, `unavailable` 503
/// (try again).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request can't be read: no JSON, an unknown field, a bad query.
    BadRequest,
    /// The fields are wrong; all of them are listed.
    Invalid,
    /// No proof of who is asking, or one that does not hold.
    Unauthenticated,
    /// Who is asking may not.
    Forbidden,
    /// What it is about does not exist.
    NotFound,
    /// There is no such method on that path.
    MethodNotAllowed,
    /// It can't be done in the state that the thing is in.
    WrongState,
    /// The idempotency key was used for another submission.
    KeyReused,
    /// The request is too large.
    TooLarge,
    /// Too many requests at once.
    Busy,
    /// The supervisor can't write, or is starting or ending; try again.
    Unavailable,
    /// A fault of the supervisor's.
    Internal,
    /// A code that this program does not know yet.
    #[default]
    #[serde(other)]
    Unknown,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 13] = [
        Self::BadRequest,
        Self::Invalid,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::WrongState,
        Self::KeyReused,
        Self::TooLarge,
        Self::Busy,
        Self::Unavailable,
        Self::Internal,
        Self::Unknown,
    ];

    /// Answers the HTTP status that it is served with.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Invalid => 422,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::WrongState | Self::KeyReused => 409,
            Self::TooLarge => 413,
            Self::Busy => 429,
            Self::Unavailable => 503,
            Self::Internal | Self::Unknown => 500,
        }
    }

    /// Answers the code that fits a status best, for an answer whose body is not ours (a proxy's).
    #[must_use]
    pub fn from_status(status: u16) -> Self {
        match status {
            409 => Self::WrongState,
            502 | 504 => Self::Unavailable,
            _ => Self::ALL
                .into_iter()
                .find(|code| code.status() == status)
                .unwrap_or(Self::Unknown),
        }
    }

    /// Answers the exit code of a command that ends with it.
    #[must_use]
    pub fn exit_code(self) -> Exit {
        match self {
            Self::BadRequest | Self::Invalid | Self::TooLarge => Exit::Usage,
            Self::Unauthenticated | Self::Forbidden => Exit::Denied,
            Self::NotFound => Exit::NotFound,
            Self::WrongState => Exit::State,
            Self::Unavailable => Exit::Unreachable,
            Self::KeyReused
            | Self::MethodNotAllowed
            | Self::Busy
            | Self::Internal
            | Self::Unknown => Exit::Failed,
        }
    }
}

impl ApiError {
    /// Makes an error without a hint.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            ..Self::default()
        }
    }

    /// Makes the error for fields that are wrong.
    #[must_use]
    pub fn invalid(fields: Vec<FieldError>) -> Self {
        let message = match fields.len() {
            1 => "a field is wrong".to_owned(),
            n => format!("{n} fields are wrong"),
        };
        let fields = fields.into_iter().map(FieldProblem::from).collect();
        Self {
            fields,
            ..Self::new(ErrorCode::Invalid, message)
        }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the id of the request.
    #[must_use]
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = id.into();
        self
    }
}

impl fmt::Display for ApiError {
    /// Prints the message and what is wrong with which field.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut before = ": ";
        for problem in &self.fields {
            let colon = if problem.field.is_empty() { "" } else { ": " };
            write!(f, "{before}{}{colon}{}", problem.field, problem.message)?;
            before = "; ";
        }
        Ok(())
    }
}

impl std::error::Error for ApiError {}

impl From<FieldError> for FieldProblem {
    fn from(error: FieldError) -> Self {
        Self {
            field: error.field,
            message: error.message,
            hint: error.hint,
        }
    }
}
