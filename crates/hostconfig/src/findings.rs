//! What is wrong with a file, or looks as if it were.

use crate::place::Place;
use std::fmt;

/// Something to mend, or to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where it is.
    pub place: Place,
    /// Whether the file can't be used so; else it can, but something has no effect.
    pub is_error: bool,
    /// What it is.
    pub text: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Finding {
    pub(crate) fn error(place: Place, text: impl Into<String>) -> Self {
        Self {
            place,
            is_error: true,
            text: text.into(),
            hint: None,
        }
    }

    pub(crate) fn warning(place: Place, text: impl Into<String>) -> Self {
        Self {
            is_error: false,
            ..Self::error(place, text)
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_error { "" } else { "warning: " };
        write!(f, "{}: {word}{}", self.place, self.text)
    }
}
