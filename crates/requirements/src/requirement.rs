//! A requirement as the farm keeps it.

use crate::error::{Problem, RequirementError};
use crate::evaluate::{self, Truth};
use crate::ever;
use crate::explain::{self, Why};
use crate::fact::Facts;
use crate::lexer::{self, tokens};
use crate::limits::EXPRESSION_BYTES_MAX;
use crate::near::nearest;
use crate::operand::{self, Depends, Operand};
use crate::parser::{self, Whose};
use crate::tree::Condition;
use std::fmt;
use std::str::FromStr;

/// What a job asks of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    condition: Condition,
    /// What it reads, in order, each once.
    operands: Vec<Operand>,
}

/// An operand that no host of the farm has, and what may be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guess {
    /// The operand.
    pub operand: Operand,
    /// The whole name that may be meant.
    pub nearest: Option<String>,
}

impl Guess {
    /// Guesses what is meant by an operand that is neither every farm's nor known to this one; nothing when it is.
    pub(crate) fn of(operand: &Operand, is_known: impl Fn(&str) -> bool) -> Option<Self> {
        let name = operand.of_this_farm()?;
        if is_known(&format!("host.{name}")) {
            return None;
        }
        let nearest = nearest(name, operand::KNOWN.iter().copied());
        Some(Self {
            operand: operand.clone(),
            nearest: nearest.map(|it| format!("host.{it}")),
        })
    }
}

impl Requirement {
    /// Reads one that the farm has kept. What an older version accepted still reads.
    ///
    /// # Errors
    /// When it is none, with the place.
    pub fn parse(text: &str) -> Result<Self, RequirementError> {
        Self::read(text, Whose::Kept)
    }

    /// Reads one that somebody writes now, and refuses as well what can't be meant: a text against an amount (`host.memory > 64X`).
    ///
    /// # Errors
    /// When it is none, with the place.
    pub fn written(text: &str) -> Result<Self, RequirementError> {
        Self::read(text, Whose::Writer)
    }

    fn read(text: &str, whose: Whose) -> Result<Self, RequirementError> {
        let condition = tokens(text).and_then(|tokens| parser::parse(&tokens, whose));
        let condition = condition.map_err(|fault| lexer::error(text, fault))?;
        // What is printed is what is kept, and must read back.
        if condition.to_string().len() > EXPRESSION_BYTES_MAX {
            return Err(lexer::error(text, (Problem::TooLong, 0)));
        }
        Ok(Self::of(condition))
    }

    fn of(condition: Condition) -> Self {
        let mut operands = Vec::new();
        condition.each_operand(&mut |operand| operands.push(operand.clone()));
        operands.sort_unstable();
        operands.dedup();
        Self {
            condition,
            operands,
        }
    }

    /// Answers the expression itself.
    #[must_use]
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// Says whether a host meets it: what can't be known is not met.
    #[must_use]
    pub fn holds(&self, facts: &impl Facts) -> bool {
        self.evaluate(facts) == Truth::Holds
    }

    /// Says whether it holds, fails, or can't be known.
    #[must_use]
    pub fn evaluate(&self, facts: &impl Facts) -> Truth {
        evaluate::condition(&self.condition, facts)
    }

    /// Says whether a host may meet it at some time, as long as it stays what it is ([`Facts::ever`]).
    #[must_use]
    pub fn may_hold(&self, facts: &impl Facts) -> bool {
        ever::condition(&self.condition, facts).may_hold
    }

    /// Answers the smallest part that keeps a host from meeting it, with what the host says; nothing when the host meets it. What will never be met comes
    /// before what may be.
    #[must_use]
    pub fn explain(&self, facts: &impl Facts) -> Option<Why> {
        explain::why(&self.condition, facts)
    }

    /// Answers it without the parts that a host does not meet, of those that it must all meet; nothing when none is left.
    #[must_use]
    pub fn what_holds(&self, facts: &impl Facts) -> Option<Self> {
        let holds = |part: &&Condition| evaluate::condition(part, facts) == Truth::Holds;
        let mut left: Vec<Condition> = match &self.condition {
            Condition::And(parts) => parts.iter().filter(holds).cloned().collect(),
            whole => [whole].into_iter().filter(holds).cloned().collect(),
        };
        let condition = match left.len() {
            0 => return None,
            1 => left.remove(0),
            _ => Condition::And(left),
        };
        Some(Self::of(condition))
    }

    /// Answers all that it reads, in order, each once.
    #[must_use]
    pub fn operands(&self) -> &[Operand] {
        &self.operands
    }

    /// Answers what its answer depends on.
    #[must_use]
    pub fn depends(&self) -> Depends {
        let all = self.operands.iter().map(Operand::depends);
        all.fold(Depends::default(), Depends::or)
    }

    /// Finds operands that are neither every farm's nor, by `is_known` (which gets `host.NAME`), a property or resource of this one.
    #[must_use]
    pub fn unknown_operands(&self, is_known: impl Fn(&str) -> bool) -> Vec<Guess> {
        let unknown = |operand| Guess::of(operand, &is_known);
        self.operands.iter().filter_map(unknown).collect()
    }
}

impl FromStr for Requirement {
    type Err = RequirementError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)
    }
}
