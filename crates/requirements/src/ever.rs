//! Says whether an expression may hold for a host at some time, though part of what it reads moves there.
//!
//! What moves is taken to be anything within its bounds, each time it is read: `host.a.used > 0 and host.a.used == 0` counts as something
//! that may hold. The other way round it is exact: what is said never to hold doesn't, whatever becomes of what moves.

use crate::evaluate::{self, Truth, compute};
use crate::fact::Facts;
use crate::number::Number;
use crate::operand::Operand;
use crate::tree::{Arithmetic, Comparison, Condition, Value};

/// What an operand says in the course of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ever {
    /// What it says now ([`Facts::value`]).
    Stays,
    /// A number that is never less than the first one and never more than the second.
    Between(Number, Number),
    /// Anything.
    Moves,
}

/// Which of the two a condition may come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outlook {
    pub(crate) may_hold: bool,
    pub(crate) may_fail: bool,
}

impl Outlook {
    const EITHER: Self = Self {
        may_hold: true,
        may_fail: true,
    };

    /// What can't be known now comes to neither.
    fn of(truth: Truth) -> Self {
        Self {
            may_hold: truth == Truth::Holds,
            may_fail: truth == Truth::Fails,
        }
    }

    /// Says whether it may come to that.
    pub(crate) fn may_be(self, wanted: Truth) -> bool {
        match wanted {
            Truth::Holds => self.may_hold,
            Truth::Fails => self.may_fail,
            Truth::Unknown => true,
        }
    }
}

/// Answers what a condition may come to.
pub(crate) fn condition(whole: &Condition, facts: &impl Facts) -> Outlook {
    let of = |part: &Condition| condition(part, facts);
    match whole {
        Condition::Or(parts) => Outlook {
            may_hold: parts.iter().any(|part| of(part).may_hold),
            may_fail: parts.iter().all(|part| of(part).may_fail),
        },
        Condition::And(parts) => Outlook {
            may_hold: parts.iter().all(|part| of(part).may_hold),
            may_fail: parts.iter().any(|part| of(part).may_fail),
        },
        Condition::Xor(left, right) => {
            let (left, right) = (of(left), of(right));
            Outlook {
                may_hold: left.may_hold && right.may_fail || left.may_fail && right.may_hold,
                may_fail: left.may_hold && right.may_hold || left.may_fail && right.may_fail,
            }
        }
        Condition::Not(part) => {
            let Outlook { may_hold, may_fail } = of(part);
            Outlook {
                may_hold: may_fail,
                may_fail: may_hold,
            }
        }
        Condition::Compare(how, left, right) if moves(whole, facts) => {
            match (span(left, facts), span(right, facts)) {
                (Span::Never, _) | (_, Span::Never) => Outlook::of(Truth::Unknown),
                (Span::Within(left), Span::Within(right)) => compare(*how, left, right),
                (Span::Any, _) | (_, Span::Any) => Outlook::EITHER,
            }
        }
        Condition::Member { .. } | Condition::Holds(_) if moves(whole, facts) => Outlook::EITHER,
        Condition::Compare(..) | Condition::Member { .. } | Condition::Holds(_) => {
            Outlook::of(evaluate::condition(whole, facts))
        }
    }
}

fn moves(part: &Condition, facts: &impl Facts) -> bool {
    let mut moves = false;
    part.each_operand(&mut |operand: &Operand| moves |= facts.ever(operand) != Ever::Stays);
    moves
}

/// The least and the greatest number.
type Bounds = (Number, Number);

/// What a value may be.
enum Span {
    /// It is missing, or no number, and stays so.
    Never,
    Within(Bounds),
    Any,
}

impl Span {
    fn of(bounds: Option<Bounds>) -> Self {
        bounds.map_or(Self::Any, Self::Within)
    }
}

fn span(value: &Value, facts: &impl Facts) -> Span {
    match value {
        Value::Operand(operand) => match facts.ever(operand) {
            Ever::Stays => fixed(value, facts),
            Ever::Between(least, most) => Span::Within((least, most)),
            Ever::Moves => Span::Any,
        },
        Value::Number(_) | Value::Text(_) | Value::List(_) => fixed(value, facts),
        Value::Negative(inner) => match span(inner, facts) {
            Span::Within((least, most)) => Span::Within((most.negated(), least.negated())),
            other => other,
        },
        Value::Arithmetic(how, left, right) => match (span(left, facts), span(right, facts)) {
            (Span::Never, _) | (_, Span::Never) => Span::Never,
            (Span::Within(left), Span::Within(right)) => Span::of(combine(*how, left, right)),
            (Span::Any, _) | (_, Span::Any) => Span::Any,
        },
    }
}

/// What stays: a text is compared as one, so nothing is said of it.
fn fixed(value: &Value, facts: &impl Facts) -> Span {
    match evaluate::number_of(value, facts) {
        None => Span::Never,
        Some(None) => Span::Any,
        Some(Some(number)) => Span::Within((number, number)),
    }
}

/// Answers the bounds of two numbers combined; nothing where they can't be told.
fn combine(how: Arithmetic, left: Bounds, right: Bounds) -> Option<Bounds> {
    let is_fixed = |(least, most): Bounds| least == most;
    let crosses_zero = right.0 <= Number::ZERO && right.1 >= Number::ZERO;
    match how {
        Arithmetic::Divide if crosses_zero => return None,
        // These are no steady functions of what they combine.
        Arithmetic::BitOr
        | Arithmetic::BitAnd
        | Arithmetic::ShiftLeft
        | Arithmetic::ShiftRight
        | Arithmetic::Modulo
            if !(is_fixed(left) && is_fixed(right)) =>
        {
            return None;
        }
        _ => {}
    }
    // Of the others the corners are the extremes.
    let corners = [
        (left.0, right.0),
        (left.0, right.1),
        (left.1, right.0),
        (left.1, right.1),
    ];
    let corners = corners.map(|(left, right)| compute(how, left, right));
    let corners: Option<Vec<Number>> = corners.into_iter().collect();
    let corners = corners?;
    Some((*corners.iter().min()?, *corners.iter().max()?))
}

fn compare(how: Comparison, left: Bounds, right: Bounds) -> Outlook {
    let meet = left.0 <= right.1 && right.0 <= left.1;
    let is_one = left.0 == left.1 && right.0 == right.1 && left == right;
    let (may_hold, may_fail) = match how {
        Comparison::Equal => (meet, !is_one),
        Comparison::NotEqual => (!is_one, meet),
        Comparison::Less => (left.0 < right.1, left.1 >= right.0),
        Comparison::AtMost => (left.0 <= right.1, left.1 > right.0),
        Comparison::Greater => (left.1 > right.0, left.0 <= right.1),
        Comparison::AtLeast => (left.1 >= right.0, left.0 < right.1),
    };
    Outlook { may_hold, may_fail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Requirement;
    use crate::fact::Fact;
    use proptest::prelude::*;

    /// A host with eight processors, at any time.
    struct Idle {
        used: u64,
    }

    impl Facts for Idle {
        fn value(&self, operand: &Operand) -> Option<Fact<'_>> {
            Some(match operand.to_string().as_str() {
                "host.processors.used" => self.used.into(),
                "host.processors.avail" => (8 - self.used).into(),
                "host.processors" => 8.into(),
                "host.os" => "linux".into(),
                "host.duty.id" => Fact::list(["7"]),
                _ => return None,
            })
        }

        fn ever(&self, operand: &Operand) -> Ever {
            match operand.to_string().as_str() {
                "host.processors.used" | "host.processors.avail" => {
                    Ever::Between(0.into(), 8.into())
                }
                "host.duty.id" => Ever::Moves,
                _ => Ever::Stays,
            }
        }
    }

    fn may_hold(text: &str) -> bool {
        let requirement = Requirement::parse(text).expect(text);
        requirement.may_hold(&Idle { used: 3 })
    }

    #[test]
    fn what_moves_excuses_nothing_that_stays() {
        for text in [
            "host.processors.used == 0",
            "host.processors.avail >= 8",
            "host.os == linux and host.processors.used == 0",
            "host.os == windows or host.processors.used == 0",
            "not (host.processors.used > 0)",
            "host.processors.avail * 2 > 15",
            "8 / (host.processors.used + 1) == 8",
            "not (host.duty.id has 7)",
            "host.processors.used min 2 == 1",
            "host.processors.used % 3 == 1",
            "host.processors.used > 2 xor host.os == linux",
        ] {
            assert!(may_hold(text), "{text}");
        }
        for text in [
            "host.os == windows and host.processors.used == 0",
            "host.processors.used == 0 and host.os == windows",
            "host.processors.avail > 8",
            "host.processors.used < 0",
            "not (host.processors.avail <= 8)",
            "host.processors.avail > host.processors",
            "host.processors.avail * 2 > 16",
            "host.processors.used - 9 >= 0",
            "-host.processors.used > 0",
            "host.gpus.avail >= 1 and host.processors.used == 0",
            "host.gpus == host.processors.used",
            "(host.processors.used >= 0) xor (host.os == linux)",
            "host.processors.used max 9 < 9",
        ] {
            assert!(!may_hold(text), "{text}");
        }
    }

    proptest! {
        /// Whatever holds at one time may hold.
        #[test]
        fn what_is_said_never_to_hold_never_does(
            used in 0..=8_u64,
            how in 0..6_usize,
            sign in 0..11_usize,
            by in -3..12_i64,
            than in -20..20_i64,
            is_not: bool,
        ) {
            let how = ["==", "!=", "<", "<=", ">", ">="][how];
            let sign = ["+", "-", "*", "/", "%", "min", "max", "|", "&", "<<", ">>"][sign];
            let not = if is_not { "not " } else { "" };
            let text = format!("{not}(host.processors.used {sign} {by} {how} {than})");
            let facts = Idle { used };
            if let Ok(requirement) = Requirement::parse(&text)
                && requirement.holds(&facts)
            {
                prop_assert!(requirement.may_hold(&facts), "{text}, {used} used");
            }
        }
    }
}
