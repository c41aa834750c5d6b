//! Host order: `+host.processors.avail,-host.memory`, which of several hosts is picked first.

use crate::evaluate::{natural, read};
use crate::fact::{Fact, Facts};
use crate::limits::{ORDER_BYTES_MAX, ORDER_KEYS_MAX};
use crate::number::Number;
use crate::operand::{Depends, HostOperand, Operand, OperandError};
use crate::requirement::Guess;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// How the hosts are ordered from which one is picked; the first key that tells two apart decides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostOrder {
    keys: Vec<Key>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    is_smallest_first: bool,
    operand: Operand,
}

/// Why a text is no host order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// A key that is no operand.
    #[error("{word}: {reason}")]
    Operand {
        /// The key.
        word: String,
        /// What is wrong with it.
        #[source]
        reason: OperandError,
    },
    /// Something of the job, or a list.
    #[error(
        "{0} does not order hosts: write a property or an amount, such as +host.processors.avail"
    )]
    NotOfAHost(Operand),
    /// Nothing between two commas.
    #[error("a key is missing: write [+|-]host.NAME, with commas between them")]
    Missing,
    /// Too many keys.
    #[error("a host order has at most {ORDER_KEYS_MAX} keys")]
    TooMany,
    /// Too long.
    #[error("a host order is at most {ORDER_BYTES_MAX} bytes long")]
    TooLong,
}

impl HostOrder {
    /// Says whether it has no keys: then hosts are picked as the farm likes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Answers what it depends on.
    #[must_use]
    pub fn depends(&self) -> Depends {
        let all = self.keys.iter().map(|key| key.operand.depends());
        all.fold(Depends::default(), Depends::or)
    }

    /// Answers what it reads.
    pub fn operands(&self) -> impl Iterator<Item = &Operand> {
        self.keys.iter().map(|key| &key.operand)
    }

    /// Finds operands that are neither every farm's nor, by `is_known` (which gets `host.NAME`), a property or resource of this one.
    #[must_use]
    pub fn unknown_operands(&self, is_known: impl Fn(&str) -> bool) -> Vec<Guess> {
        let unknown = |operand| Guess::of(operand, &is_known);
        self.operands().filter_map(unknown).collect()
    }

    /// Ranks a host; what is less comes first. Ranks of different host orders say nothing together.
    #[must_use]
    pub fn rank(&self, facts: &impl Facts) -> Rank {
        let ranked = |key: &Key| {
            let said = read(&key.operand, facts);
            let said = said.map(|it| (number_of(&it), text_of(&it)));
            (key.is_smallest_first, said)
        };
        Rank(self.keys.iter().map(ranked).collect())
    }

    /// Compares two hosts; less comes first. A host without the value comes last, whichever way the order goes.
    #[must_use]
    pub fn compare(&self, left: &impl Facts, right: &impl Facts) -> Ordering {
        self.rank(left).cmp(&self.rank(right))
    }
}

/// Where a host stands in a host order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rank(Vec<(bool, Option<Value>)>);

/// What a host says: as a number, if it is one, and as a text.
type Value = (Option<Number>, String);

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        let keys = self.0.iter().zip(&other.0);
        let mut keys = keys.map(
            |((is_smallest_first, left), (_, right))| match (left, right) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(left), Some(right)) if *is_smallest_first => order(left, right),
                (Some(left), Some(right)) => order(right, left),
            },
        );
        keys.find(|it| it.is_ne()).unwrap_or(Ordering::Equal)
    }
}

/// Orders what two hosts say: numbers come before texts.
fn order((number, text): &Value, (other, others): &Value) -> Ordering {
    match (number, other) {
        (Some(left), Some(right)) => left.cmp(right),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => natural(text, others),
    }
}

fn number_of(fact: &Fact<'_>) -> Option<Number> {
    match fact {
        Fact::Number(number) => Some(*number),
        Fact::Text(text) => Number::parse(text.trim()),
        Fact::List(_) => None,
    }
}

fn text_of(fact: &Fact<'_>) -> String {
    match fact {
        Fact::Number(number) => number.to_string(),
        Fact::Text(text) => text.to_string(),
        Fact::List(entries) => entries.join(","),
    }
}

impl FromStr for HostOrder {
    type Err = OrderError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > ORDER_BYTES_MAX {
            return Err(OrderError::TooLong);
        }
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let keys: Vec<Key> = text.split(',').map(key).collect::<Result<_, _>>()?;
        if keys.len() > ORDER_KEYS_MAX {
            return Err(OrderError::TooMany);
        }
        let order = Self { keys };
        if order.to_string().len() > ORDER_BYTES_MAX {
            return Err(OrderError::TooLong);
        }
        Ok(order)
    }
}

fn key(text: &str) -> Result<Key, OrderError> {
    let text = text.trim();
    let (is_smallest_first, word) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest.trim_start()),
        None => (false, text),
    };
    if word.is_empty() {
        return Err(OrderError::Missing);
    }
    let operand = Operand::parse(word).map_err(|reason| OrderError::Operand {
        word: word.chars().take(ORDER_SHOWN_MAX).collect(),
        reason,
    })?;
    if operand.is_list()
        || matches!(
            operand,
            Operand::Job(_) | Operand::Host(HostOperand::Duty(_))
        )
    {
        return Err(OrderError::NotOfAHost(operand));
    }
    Ok(Key {
        is_smallest_first,
        operand,
    })
}

/// Characters of a wrong key that an error repeats.
const ORDER_SHOWN_MAX: usize = 80;

impl fmt::Display for HostOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, key) in self.keys.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            let sign = if key.is_smallest_first { "-" } else { "+" };
            write!(f, "{comma}{sign}{}", key.operand)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::tests::Given;
    use proptest::prelude::*;

    fn order(text: &str) -> HostOrder {
        text.parse().expect(text)
    }

    #[test]
    fn the_greatest_comes_first_unless_a_minus_says_otherwise() {
        let large = Given::default()
            .with("host.memory", 64_u64)
            .with("host.rack", "b10");
        let small = Given::default()
            .with("host.memory", 8_u64)
            .with("host.rack", "b9");
        for first in [
            "host.memory",
            "+host.memory",
            "host.rack",
            "-host.swap,+host.memory",
        ] {
            assert_eq!(
                order(first).compare(&large, &small),
                Ordering::Less,
                "{first}"
            );
            assert_eq!(
                order(first).compare(&small, &large),
                Ordering::Greater,
                "{first}"
            );
        }
        for last in ["-host.memory", "- host.rack"] {
            assert_eq!(
                order(last).compare(&large, &small),
                Ordering::Greater,
                "{last}"
            );
        }
        assert_eq!(order("").compare(&large, &small), Ordering::Equal);
    }

    #[test]
    fn a_host_that_says_nothing_comes_last() {
        let dedicated = Given::default().with("host.dedicated", "0");
        let silent = Given::default();
        for text in ["+host.dedicated", "-host.dedicated"] {
            assert_eq!(order(text).compare(&dedicated, &silent), Ordering::Less);
            assert_eq!(order(text).compare(&silent, &dedicated), Ordering::Greater);
        }
    }

    #[test]
    fn what_orders_no_hosts_is_refused() {
        let error = |text: &str| text.parse::<HostOrder>().expect_err(text).to_string();
        assert_eq!(
            error("job.id"),
            "job.id does not order hosts: write a property or an amount, such as +host.processors.avail"
        );
        assert!(error("host.groups").starts_with("host.groups does not order hosts"));
        assert!(error("host.duty.id").starts_with("host.duty.id does not order hosts"));
        assert!(error("+memory").starts_with("memory: the name of an operand"));
        assert!(error("host.os,,host.name").starts_with("a key is missing"));
        assert!(error("+").starts_with("a key is missing"));
        assert!(error(&"host.a,".repeat(ORDER_KEYS_MAX + 1)).contains("missing"));
        assert_eq!(
            error(&vec!["host.a"; ORDER_KEYS_MAX + 1].join(",")),
            "a host order has at most 16 keys"
        );
        assert_eq!(
            error(&"x".repeat(ORDER_BYTES_MAX + 1)),
            "a host order is at most 1024 bytes long"
        );
    }

    #[test]
    fn it_is_dirty_when_what_it_reads_moves() {
        assert!(order("+host.processors.avail").depends().host_now);
        assert!(!order("+host.memory,-host.rack").depends().host_now);
    }

    proptest! {
        #[test]
        fn printed_orders_read_back(text in "([+-]? ?host\\.[a-z]{1,5}(\\.(total|used|avail))?,){0,4}host\\.[a-z]{1,5}") {
            let read = order(&text);
            prop_assert_eq!(order(&read.to_string()), read);
        }
    }
}
