//! Prints expressions so that they read back the same: few parentheses, one spelling, quotes where they are needed.

use crate::lexer::is_bare;
use crate::number::Number;
use crate::tree::{Arithmetic, Condition, Quantity, Value};
use std::fmt;

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Some(unit) => write!(f, "{} {}", self.number, unit.word()),
            None => self.number.fmt(f),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operand(operand) => operand.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => write_text(f, text, is_bare(text)),
            Self::List(entries) => {
                for (n, entry) in entries.iter().enumerate() {
                    f.write_str(if n > 0 { "," } else { "" })?;
                    write_text(f, entry, is_bare(entry) || is_plain_number(entry))?;
                }
                Ok(())
            }
            Self::Negative(value) => {
                f.write_str("-")?;
                write_value(f, value, Arithmetic::TIGHTEST)
            }
            Self::Arithmetic(how, left, right) => {
                write_value(f, left, how.tightness())?;
                write!(f, " {} ", how.sign())?;
                write_value(f, right, how.tightness() + 1)
            }
        }
    }
}

/// Says whether a text reads as a number that is printed as that text.
fn is_plain_number(text: &str) -> bool {
    !text.starts_with('-') && Number::parse(text).is_some_and(|number| number.to_string() == text)
}

fn write_text(f: &mut fmt::Formatter<'_>, text: &str, is_bare: bool) -> fmt::Result {
    if is_bare {
        return f.write_str(text);
    }
    f.write_str("\"")?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_str("\\")?;
        }
        write!(f, "{c}")?;
    }
    f.write_str("\"")
}

/// Writes a value, in parentheses when it binds less tightly than that.
fn write_value(f: &mut fmt::Formatter<'_>, value: &Value, loosest: u8) -> fmt::Result {
    match value {
        Value::Arithmetic(how, ..) if how.tightness() < loosest => write!(f, "({value})"),
        _ => write!(f, "{value}"),
    }
}

/// How tightly a condition binds.
fn tightness(condition: &Condition) -> u8 {
    match condition {
        Condition::Or(_) => 0,
        Condition::Xor(..) => 1,
        Condition::And(_) => 2,
        Condition::Not(_) => 3,
        Condition::Compare(..) | Condition::Member { .. } | Condition::Holds(_) => 4,
    }
}

fn write_condition(f: &mut fmt::Formatter<'_>, part: &Condition, loosest: u8) -> fmt::Result {
    if tightness(part) < loosest {
        write!(f, "({part})")
    } else {
        write!(f, "{part}")
    }
}

fn write_joined(
    f: &mut fmt::Formatter<'_>,
    parts: &[Condition],
    word: &str,
    least: u8,
) -> fmt::Result {
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            write!(f, " {word} ")?;
        }
        write_condition(f, part, least)?;
    }
    Ok(())
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Or(parts) => write_joined(f, parts, "or", 1),
            Self::And(parts) => write_joined(f, parts, "and", 3),
            Self::Xor(left, right) => {
                write_condition(f, left, 1)?;
                f.write_str(" xor ")?;
                write_condition(f, right, 2)
            }
            Self::Not(part) => {
                f.write_str("not ")?;
                write_condition(f, part, 3)
            }
            Self::Compare(how, left, right) => write!(f, "{left} {} {right}", how.sign()),
            Self::Member { item, list, is_has } => match is_has {
                true => write!(f, "{list} has {item}"),
                false => write!(f, "{item} in {list}"),
            },
            Self::Holds(value) => value.fmt(f),
        }
    }
}
