//! Finds the smallest part of an expression that keeps a host from meeting it.

use crate::evaluate::{Truth, condition, read};
use crate::ever;
use crate::fact::{Fact, Facts};
use crate::number::{Dimension, Number, show_memory};
use crate::operand::Operand;
use crate::tree::{Comparison, Condition, Value};
use std::fmt;

/// Why a host does not meet a requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// This must become otherwise.
    Cause(Cause),
    /// One of these must become otherwise: two or more.
    OneOf(Vec<Why>),
}

/// A part that can't be split further, and what the host says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// What it reads, each once, in the order it is written.
    pub readings: Vec<Reading>,
    /// What is asked for: `>= 64 GiB` of a single reading, the whole part (`host.a < host.b`) of several.
    pub asked: String,
    /// Whether it fails, or can't be known.
    pub is_unknown: bool,
}

/// What a host (or the job) says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Of what.
    pub operand: Operand,
    /// How people read it; nothing when it is missing.
    pub found: Option<String>,
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.found, &self.operand) {
            (Some(found), operand) => write!(f, "{operand} is {found}"),
            (None, operand) => write!(f, "this host has no {operand}"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, reading) in self.readings.iter().enumerate() {
            let between = match n {
                0 => "",
                n if n + 1 == self.readings.len() => " and ",
                _ => ", ",
            };
            write!(f, "{between}{reading}")?;
        }
        write!(f, ", asked for {}", self.asked)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cause(cause) => cause.fmt(f),
            Self::OneOf(all) => {
                for (n, why) in all.iter().enumerate() {
                    write!(f, "{}{why}", if n > 0 { "; or " } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

impl Why {
    /// Answers all that was read for it.
    pub fn readings(&self) -> Box<dyn Iterator<Item = &Reading> + '_> {
        match self {
            Self::Cause(cause) => Box::new(cause.readings.iter()),
            Self::OneOf(all) => Box::new(all.iter().flat_map(Self::readings)),
        }
    }

    /// Counts the causes in it.
    fn size(&self) -> usize {
        match self {
            Self::Cause(_) => 1,
            Self::OneOf(all) => all.iter().map(Self::size).sum(),
        }
    }
}

/// Answers why a condition doesn't hold; nothing when it does.
pub(crate) fn why(whole: &Condition, facts: &impl Facts) -> Option<Why> {
    blame(whole, Truth::Holds, facts)
}

/// Answers why a condition is not what is wanted of it: under a `not`, holding is what is wrong.
fn blame(part: &Condition, wanted: Truth, facts: &impl Facts) -> Option<Why> {
    let found = condition(part, facts);
    if found == wanted {
        return None;
    }
    let holding = wanted == Truth::Holds;
    match part {
        Condition::Not(inner) => {
            let wanted = if holding { Truth::Fails } else { Truth::Holds };
            blame(inner, wanted, facts)
        }
        Condition::And(parts) if holding => smallest(parts, wanted, facts),
        Condition::Or(parts) if !holding => smallest(parts, wanted, facts),
        Condition::And(parts) | Condition::Or(parts) => {
            Some(Why::OneOf(blamed(parts, wanted, facts).collect()))
        }
        Condition::Xor(..)
        | Condition::Compare(..)
        | Condition::Member { .. }
        | Condition::Holds(_) => Some(Why::Cause(Cause {
            readings: readings(part, facts),
            asked: asked(part, holding),
            is_unknown: found == Truth::Unknown,
        })),
    }
}

fn blamed(parts: &[Condition], wanted: Truth, facts: &impl Facts) -> impl Iterator<Item = Why> {
    parts
        .iter()
        .filter_map(move |part| blame(part, wanted, facts))
}

/// Picks the part with the fewest causes, of those that will never be what is wanted if there are such; what fails before what can't be
/// known, and the first of several.
fn smallest(parts: &[Condition], wanted: Truth, facts: &impl Facts) -> Option<Why> {
    let is_unknown = |why: &Why| matches!(why, Why::Cause(cause) if cause.is_unknown);
    let of_part = |part| {
        let why = blame(part, wanted, facts)?;
        let may_be = ever::condition(part, facts).may_be(wanted);
        Some(((may_be, why.size(), is_unknown(&why)), why))
    };
    let all = parts.iter().filter_map(of_part);
    all.min_by_key(|(order, _)| *order).map(|(_, why)| why)
}

fn readings(part: &Condition, facts: &impl Facts) -> Vec<Reading> {
    let mut readings: Vec<Reading> = Vec::new();
    part.each_operand(&mut |operand| {
        if readings.iter().all(|known| known.operand != *operand) {
            readings.push(Reading {
                operand: operand.clone(),
                found: read(operand, facts).map(|fact| show(operand, &fact)),
            });
        }
    });
    readings
}

/// Prints what a host says, as people read it.
fn show(operand: &Operand, fact: &Fact<'_>) -> String {
    let number = match fact {
        Fact::Number(number) => Some(*number),
        Fact::Text(text) => Number::parse(text),
        Fact::List(_) => None,
    };
    match (operand.dimension(), number, fact) {
        (Some(Dimension::Memory), Some(mebibytes), _) => show_memory(mebibytes),
        (Some(Dimension::Speed), Some(megahertz), _) => format!("{megahertz} MHz"),
        (_, Some(number), _) => number.to_string(),
        (_, None, Fact::List(entries)) => {
            let entries = entries.iter().map(|it| &**it);
            let entries: Vec<&str> = entries.filter(|it| !it.is_empty()).collect();
            match entries.as_slice() {
                [] => "empty".to_owned(),
                entries => harmless(&entries.join(",")),
            }
        }
        (_, None, Fact::Text(text)) if text.is_empty() => "empty".to_owned(),
        (_, None, Fact::Text(text)) => harmless(text),
        (_, None, Fact::Number(_)) => String::new(),
    }
}

/// Characters of a value that are shown.
const SHOWN_MAX: usize = 80;

/// Keeps what a host says of itself to one line of a terminal.
fn harmless(text: &str) -> String {
    let letters = text.chars().map(|c| if c.is_control() { '?' } else { c });
    let mut shown: String = letters.take(SHOWN_MAX).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// Prints what is asked for.
fn asked(part: &Condition, holding: bool) -> String {
    let whole = |part: &Condition| match holding {
        true => part.to_string(),
        false => Condition::Not(part.clone().into()).to_string(),
    };
    let not = if holding { "" } else { "not " };
    match part {
        Condition::Compare(how, left, right) => {
            let how = if holding { *how } else { how.opposite() };
            match (left, right) {
                (Value::Operand(_), it) if !it.reads_something() => side(how, it),
                (it, Value::Operand(_)) if !it.reads_something() => side(how.mirrored(), it),
                _ => Condition::Compare(how, left.clone(), right.clone()).to_string(),
            }
        }
        Condition::Member { item, list, .. } => match (item, list) {
            (Value::Operand(_), list) if !list.reads_something() => format!("{not}in {list}"),
            (item, Value::Operand(_)) if !item.reads_something() => format!("{not}{item} in it"),
            _ => whole(part),
        },
        Condition::Holds(Value::Operand(_)) if holding => {
            "something other than 0 or nothing".to_owned()
        }
        Condition::Holds(Value::Operand(_)) => "0 or nothing".to_owned(),
        Condition::Holds(_)
        | Condition::Xor(..)
        | Condition::Or(_)
        | Condition::And(_)
        | Condition::Not(_) => whole(part),
    }
}

fn side(how: Comparison, value: &Value) -> String {
    match value {
        Value::Text(text) if text.is_empty() => match how {
            Comparison::Equal => "nothing".to_owned(),
            Comparison::NotEqual => "something".to_owned(),
            _ => format!("{} \"\"", how.sign()),
        },
        value => format!("{} {value}", how.sign()),
    }
}
