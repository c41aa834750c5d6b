//! Says whether an expression holds for a host and a job.
//!
//! What a host doesn't have is not guessed: a comparison with it can't be known, neither can its opposite, and what can't be known in the
//! end does not hold. (`not (host.gpu_memory < 8)` must not send a job to a host that has never said what its GPU is.) Three things
//! can be asked of a missing operand: `host.x == ""` holds, `host.x != ""` doesn't, and lists are empty, flags off, fields of a job empty.

use crate::fact::{Fact, Facts};
use crate::number::Number;
use crate::operand::{HostOperand, Operand};
use crate::tree::{Arithmetic, Comparison, Condition, Value};
use std::borrow::Cow;
use std::cmp::Ordering;

/// Words of a property that count as *no* when it stands alone.
const NO: [&str; 3] = ["false", "no", "off"];

/// Whether something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It does.
    Holds,
    /// It doesn't.
    Fails,
    /// It can't be known: something it reads is missing, or can't be computed.
    Unknown,
}

impl From<bool> for Truth {
    fn from(is_so: bool) -> Self {
        if is_so { Self::Holds } else { Self::Fails }
    }
}

impl Truth {
    fn opposite(self) -> Self {
        match self {
            Self::Holds => Self::Fails,
            Self::Fails => Self::Holds,
            Self::Unknown => Self::Unknown,
        }
    }
}

/// A value of an expression.
enum Known<'a> {
    Number(Number),
    /// What a host says: a number where it reads as one.
    Said(Cow<'a, str>),
    /// A text of the expression: never a number.
    Text(&'a str),
    List(Vec<Cow<'a, str>>),
}

impl Known<'_> {
    fn number(&self) -> Option<Number> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Said(text) => Number::parse(text.trim()),
            Self::Text(_) | Self::List(_) => None,
        }
    }

    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Number(number) => number.to_string().into(),
            Self::Said(text) => Cow::Borrowed(text),
            Self::Text(text) => Cow::Borrowed(text),
            Self::List(entries) => entries.join(",").into(),
        }
    }

    /// Answers its entries; a text is cut at commas.
    fn entries(&self) -> Vec<Cow<'_, str>> {
        match self {
            Self::List(entries) => entries.iter().map(|it| Cow::Borrowed(&**it)).collect(),
            Self::Number(_) => vec![self.text()],
            Self::Said(text) => text.split(',').map(|it| it.trim().into()).collect(),
            Self::Text(text) => text.split(',').map(|it| it.trim().into()).collect(),
        }
    }
}

/// Says whether a condition holds.
pub(crate) fn condition(condition: &Condition, facts: &impl Facts) -> Truth {
    match condition {
        Condition::Or(parts) => any(parts, facts, Truth::Holds),
        Condition::And(parts) => any(parts, facts, Truth::Fails),
        Condition::Xor(left, right) => {
            match (self::condition(left, facts), self::condition(right, facts)) {
                (Truth::Unknown, _) | (_, Truth::Unknown) => Truth::Unknown,
                (left, right) => Truth::from(left != right),
            }
        }
        Condition::Not(part) => self::condition(part, facts).opposite(),
        Condition::Compare(how, left, right) => {
            if let Some(asked) = asks_whether_there(*how, left, right, facts) {
                return asked;
            }
            known(
                value(left, facts).zip(value(right, facts)),
                |(left, right)| compare(*how, &left, &right),
            )
        }
        Condition::Member { item, list, .. } => known(
            value(item, facts).zip(value(list, facts)),
            |(item, list)| has(&list, &item),
        ),
        Condition::Holds(it) => known(value(it, facts), |it| holds(&it)),
    }
}

fn known<T>(value: Option<T>, is_so: impl FnOnce(T) -> bool) -> Truth {
    value.map_or(Truth::Unknown, |value| is_so(value).into())
}

/// Answers `decisive` if one part says so, its opposite if all say that, else that nothing is known.
fn any(parts: &[Condition], facts: &impl Facts, decisive: Truth) -> Truth {
    let mut sum = decisive.opposite();
    for part in parts {
        match condition(part, facts) {
            it if it == decisive => return decisive,
            Truth::Unknown => sum = Truth::Unknown,
            _ => {}
        }
    }
    sum
}

/// Answers a comparison of an operand with the empty text: it is how to ask whether a host has something.
fn asks_whether_there(
    how: Comparison,
    left: &Value,
    right: &Value,
    facts: &impl Facts,
) -> Option<Truth> {
    let operand = match (left, right) {
        (Value::Operand(operand), Value::Text(text))
        | (Value::Text(text), Value::Operand(operand))
            if text.is_empty() =>
        {
            operand
        }
        _ => return None,
    };
    let is_missing = read(operand, facts).is_none();
    match how {
        Comparison::Equal if is_missing => Some(Truth::Holds),
        Comparison::NotEqual if is_missing => Some(Truth::Fails),
        _ => None,
    }
}

/// Reads an operand.
pub(crate) fn read<'a>(operand: &Operand, facts: &'a impl Facts) -> Option<Fact<'a>> {
    let missing = || match operand {
        Operand::Host(HostOperand::Flag(_)) => Some(Fact::from(false)),
        operand if operand.is_list() => Some(Fact::List(Vec::new())),
        Operand::Job(_) => Some(Fact::from("")),
        Operand::Host(_) => None,
    };
    facts.value(operand).or_else(missing)
}

fn value<'a>(value: &'a Value, facts: &'a impl Facts) -> Option<Known<'a>> {
    match value {
        Value::Operand(operand) => read(operand, facts).map(|fact| match fact {
            Fact::Number(number) => Known::Number(number),
            Fact::Text(text) => Known::Said(text),
            Fact::List(entries) => Known::List(entries),
        }),
        Value::Number(it) => {
            let number = match it.unit {
                Some(unit) => it.number.scaled(unit.fraction())?,
                None => it.number,
            };
            Some(Known::Number(number))
        }
        Value::Text(text) => Some(Known::Text(text)),
        Value::List(entries) => Some(Known::List(
            entries
                .iter()
                .map(|it| Cow::Borrowed(it.as_str()))
                .collect(),
        )),
        Value::Negative(inner) => {
            let number = self::value(inner, facts)?.number()?;
            Some(Known::Number(number.negated()))
        }
        Value::Arithmetic(how, left, right) => {
            let (left, right) = (self::value(left, facts)?, self::value(right, facts)?);
            compute(*how, left.number()?, right.number()?).map(Known::Number)
        }
    }
}

pub(crate) fn compute(how: Arithmetic, left: Number, right: Number) -> Option<Number> {
    match how {
        Arithmetic::BitOr => left.bits(right, |a, b| a | b),
        Arithmetic::BitAnd => left.bits(right, |a, b| a & b),
        Arithmetic::ShiftLeft => left.shifted(right, true),
        Arithmetic::ShiftRight => left.shifted(right, false),
        Arithmetic::Add => left.plus(right),
        Arithmetic::Subtract => left.minus(right),
        Arithmetic::Multiply => left.times(right),
        Arithmetic::Divide => left.over(right),
        Arithmetic::Modulo => left.modulo(right),
        Arithmetic::Min => Some(left.min(right)),
        Arithmetic::Max => Some(left.max(right)),
    }
}

/// Answers the number that a value is: nothing when it is missing, and nothing within when it is something else.
pub(crate) fn number_of(it: &Value, facts: &impl Facts) -> Option<Option<Number>> {
    value(it, facts).map(|known| known.number())
}

fn compare(how: Comparison, left: &Known<'_>, right: &Known<'_>) -> bool {
    let numbers = left.number().zip(right.number());
    let are_equal = || match numbers {
        Some((left, right)) => left == right,
        None => left.text() == right.text(),
    };
    let order = || match numbers {
        Some((left, right)) => left.cmp(&right),
        None => natural(&left.text(), &right.text()),
    };
    match how {
        Comparison::Equal => are_equal(),
        Comparison::NotEqual => !are_equal(),
        Comparison::Less => order() == Ordering::Less,
        Comparison::AtMost => order() != Ordering::Greater,
        Comparison::Greater => order() == Ordering::Greater,
        Comparison::AtLeast => order() != Ordering::Less,
    }
}

fn has(list: &Known<'_>, item: &Known<'_>) -> bool {
    let text = item.text();
    let number = item.number();
    let is_it = |entry: &Cow<'_, str>| {
        **entry == *text || (number.is_some() && Number::parse(entry) == number)
    };
    !text.is_empty() && list.entries().iter().any(is_it)
}

fn holds(value: &Known<'_>) -> bool {
    match value {
        Known::List(entries) => entries.iter().any(|it| !it.is_empty()),
        other => match other.number() {
            Some(number) => !number.is_zero(),
            None => {
                let text = other.text().to_ascii_lowercase();
                !text.is_empty() && !NO.contains(&text.as_str())
            }
        },
    }
}

/// Orders texts as people do: `5.10` comes after `5.9`, `rnd9` before `rnd10`.
pub(crate) fn natural(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left, right);
    loop {
        let digits = |it: &str| it.bytes().take_while(u8::is_ascii_digit).count();
        let (a, b) = (digits(left), digits(right));
        let order = if a > 0 && b > 0 {
            let (one, other) = (&left[..a], &right[..b]);
            (left, right) = (&left[a..], &right[b..]);
            let (one, other) = (one.trim_start_matches('0'), other.trim_start_matches('0'));
            one.len().cmp(&other.len()).then(one.cmp(other))
        } else {
            let (mut one, mut other) = (left.chars(), right.chars());
            let order = match (one.next(), other.next()) {
                (None, None) => return Ordering::Equal,
                (a, b) => a.cmp(&b),
            };
            (left, right) = (one.as_str(), other.as_str());
            order
        };
        if order.is_ne() {
            return order;
        }
    }
}
