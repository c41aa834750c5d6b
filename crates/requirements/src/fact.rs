//! What the engine answers for an operand.

use crate::ever::Ever;
use crate::number::Number;
use crate::operand::Operand;
use std::borrow::Cow;

/// What is known of a host and of the job that wants to run there.
pub trait Facts {
    /// Answers the value of an operand; nothing when the host or the job has none.
    ///
    /// A host's amounts are numbers (memory and swap in MiB), its properties texts, groups and what it is on duty with lists.
    fn value(&self, operand: &Operand) -> Option<Fact<'_>>;

    /// Answers what it says in the course of time: what it says now, unless it moves.
    fn ever(&self, _operand: &Operand) -> Ever {
        Ever::Stays
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact<'a> {
    /// A number.
    Number(Number),
    /// A text; it counts as a number where it reads as one.
    Text(Cow<'a, str>),
    /// A list; empty entries don't count.
    List(Vec<Cow<'a, str>>),
}

impl From<u64> for Fact<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Fact<'_> {
    fn from(is_so: bool) -> Self {
        Self::Number(is_so.into())
    }
}

impl<'a> From<&'a str> for Fact<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> Fact<'a> {
    /// Makes a list.
    pub fn list<T: Into<Cow<'a, str>>>(entries: impl IntoIterator<Item = T>) -> Self {
        Self::List(entries.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A made-up host and job.
    #[derive(Debug, Default)]
    pub(crate) struct Given(BTreeMap<String, Fact<'static>>);

    impl Given {
        pub(crate) fn with(mut self, operand: &str, fact: impl Into<Fact<'static>>) -> Self {
            self.0.insert(operand.to_owned(), fact.into());
            self
        }
    }

    impl Facts for Given {
        fn value(&self, operand: &Operand) -> Option<Fact<'_>> {
            self.0.get(&operand.to_string()).cloned()
        }
    }
}
