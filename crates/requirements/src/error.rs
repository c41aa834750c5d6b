//! Why a text is no requirement, and where.

use crate::limits::{DEPTH_MAX, EXPRESSION_BYTES_MAX, TERMS_MAX};
use crate::operand::OperandError;

/// Characters of the expression that are shown before and behind the place.
const SHOWN_AROUND: usize = 50;

/// Why a text is no requirement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {}{}: {problem}", place + 1, near(.found))]
pub struct RequirementError {
    /// The place of the problem, in characters from 0.
    pub place: usize,
    /// The character that stands there; the end when there is none.
    pub found: Option<char>,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Nothing where a value should be.
    #[error("a value is expected: host.NAME, job.NAME, a number or a text")]
    NoValue,
    /// Something behind a complete expression.
    #[error("an operator is expected, such as and, or, ==")]
    NoOperator,
    /// A parenthesis that is not closed.
    #[error("a closing parenthesis is missing")]
    Unclosed,
    /// A quotation mark without its other.
    #[error("the text that begins here has no end; it needs the same quotation mark behind it")]
    Unquoted,
    /// A character that means nothing.
    #[error("this character means nothing here")]
    Character,
    /// A control character.
    #[error("there is a control character")]
    Control,
    /// Fortran's way to write an operator.
    #[error("operators have no dots around them: write eq or ==")]
    Dotted,
    /// A comparison behind a comparison.
    #[error("a comparison can't be compared: join two comparisons with and")]
    Chained,
    /// A comparison where a value should be.
    #[error("this holds or doesn't; a number or a text is expected")]
    NotAValue,
    /// A number or a text where something should be that holds or doesn't.
    #[error("this neither holds nor doesn't; a comparison is expected")]
    NotACondition,
    /// A text where a number should be.
    #[error("{sign} is for numbers, and this is a text")]
    NotANumber {
        /// The operator.
        sign: &'static str,
    },
    /// A list where none can be.
    #[error("a list can only stand behind in, or before has")]
    List,
    /// A unit in a list.
    #[error("a list has no units")]
    UnitInList,
    /// A unit with something that isn't measured in it.
    #[error("{what} is not measured in {unit}{}", meant(.guess.as_deref()))]
    Unit {
        /// The other side.
        what: String,
        /// The unit.
        unit: &'static str,
        /// The whole name that may be meant.
        guess: Option<String>,
    },
    /// A number with something behind it that is no unit.
    #[error("\"{unit}\" is no unit, and {what} is a number")]
    NoUnit {
        /// The other side.
        what: String,
        /// What stands behind the number.
        unit: String,
    },
    /// A text where an amount is compared.
    #[error("this is a text, and {what} is a number")]
    NotAnAmount {
        /// The other side.
        what: String,
    },
    /// Memory and clock speed.
    #[error("memory and a clock speed can't be compared or added")]
    Dimensions,
    /// Two sides that no host and no job has a say in.
    #[error("this is the same for every host and job{}", meant(.0.as_deref()))]
    Constant(Option<String>),
    /// An operand that does not exist.
    #[error(transparent)]
    Operand(#[from] OperandError),
    /// Too long.
    #[error("a requirement is at most {EXPRESSION_BYTES_MAX} bytes long")]
    TooLong,
    /// Too deep.
    #[error("more than {DEPTH_MAX} parentheses, nots and signs stand in each other")]
    TooDeep,
    /// Too many parts.
    #[error("more than {TERMS_MAX} operands, texts and numbers")]
    TooMany,
}

fn near(found: &Option<char>) -> String {
    match found {
        Some(mark @ ('"' | '\'')) => format!(" ({mark})"),
        Some(found) => format!(" ('{}')", found.escape_debug()),
        None => " (the end)".to_owned(),
    }
}

fn meant(operand: Option<&str>) -> String {
    operand.map_or_else(String::new, |it| format!("; did you mean {it}?"))
}

impl Problem {
    fn hint(&self) -> &'static str {
        match self {
            Self::NotANumber { .. } => {
                "put a text with - / & or other operators in it in quotes: \"rnd-042\"; between two conditions write and, or"
            }
            Self::Character | Self::Control | Self::Unquoted => {
                "put a text with anything but letters, digits, _ . : @ in it in quotes: \"/show/a\""
            }
            Self::NotAnAmount { .. } => {
                "write a number without quotes, with a unit where there is one: host.memory >= 64G"
            }
            Self::Unit { .. } | Self::NoUnit { .. } | Self::UnitInList | Self::Dimensions => {
                "units are K M G T for host.memory and host.swap, MHz and GHz for host.processor_speed; elsewhere write the bare number"
            }
            Self::Constant(_) | Self::NotACondition => {
                "compare something of the host or the job: host.os == linux, host.memory >= 64G"
            }
            Self::List => "write host.os in linux,macos or host.groups has gpu",
            Self::TooLong | Self::TooDeep | Self::TooMany => {
                "give the hosts a property or a group, and ask for that"
            }
            Self::NoValue
            | Self::NoOperator
            | Self::Unclosed
            | Self::Dotted
            | Self::Chained
            | Self::NotAValue
            | Self::Operand(_) => {
                "write requirements like host.os == linux and host.memory >= 64G; see docs/requirements.md"
            }
        }
    }
}

impl RequirementError {
    /// Answers what the writer can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match (&self.problem, self.found) {
            // The path of a cluster, most likely.
            (Problem::NoValue, Some('/')) => Problem::Character.hint(),
            (problem, _) => problem.hint(),
        }
    }

    /// Shows the expression (or what of it is near) and, on a second line, a caret below the place.
    #[must_use]
    pub fn pointed(&self, text: &str) -> String {
        let from = self.place.saturating_sub(SHOWN_AROUND);
        let shown: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .skip(from)
            .take(2 * SHOWN_AROUND)
            .collect();
        let before = if from > 0 { "… " } else { "" };
        let total = text.chars().count();
        let behind = if from + 2 * SHOWN_AROUND < total {
            " …"
        } else {
            ""
        };
        let margin = before.chars().count() + self.place - from;
        format!("{before}{shown}{behind}\n{:margin$}^", "")
    }
}
