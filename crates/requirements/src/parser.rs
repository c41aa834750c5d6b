//! Makes a tree of the tokens of an expression.
//!
//! From loose to tight: `or`, `xor`, `and`, `not`, comparisons with `in` and `has` (never two in a row), `|`, `&`, shifts, `+ -`,
//! `* / % min max`, the sign. What holds and what is a value are told apart while reading, so that no tree can be evaluated to nonsense.

use crate::error::Problem;
use crate::lexer::{Fault, Placed, Token};
use crate::limits::{DEPTH_MAX, TERMS_MAX};
use crate::near::nearest;
use crate::number::{Dimension, Number, Unit};
use crate::operand::{self, Operand};
use crate::tree::{Arithmetic, Comparison, Condition, Quantity, Value};

/// A part of an expression and where it begins, in bytes.
struct Piece {
    at: usize,
    what: What,
}

enum What {
    Condition(Condition),
    Value(Value),
}

impl Piece {
    fn condition(self) -> Result<Condition, Fault> {
        match self.what {
            What::Condition(condition) => Ok(condition),
            What::Value(value @ (Value::Text(_) | Value::List(_))) => {
                Err((constant(&[&value]), self.at))
            }
            What::Value(value) if value.reads_something() => Ok(Condition::Holds(value)),
            What::Value(_) => Err((Problem::NotACondition, self.at)),
        }
    }

    fn value(self) -> Result<Value, Fault> {
        match self.what {
            What::Value(value) => Ok(value),
            What::Condition(_) => Err((Problem::NotAValue, self.at)),
        }
    }

    /// Takes it for one side of arithmetic.
    fn number(self, sign: &'static str) -> Result<Value, Fault> {
        let at = self.at;
        match self.value()? {
            Value::Text(_) | Value::List(_) => Err((Problem::NotANumber { sign }, at)),
            value => Ok(value),
        }
    }
}

/// Where an expression comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Somebody writes it now: what can't be meant is refused.
    Writer,
    /// It was accepted at some time, maybe by an older version: it must read.
    Kept,
}

/// Reads a whole expression.
pub(crate) fn parse(tokens: &[Placed], whose: Whose) -> Result<Condition, Fault> {
    let mut parser = Parser {
        tokens,
        whose,
        at: 0,
        depth: 0,
        terms: 0,
    };
    let whole = parser.alternatives()?;
    match parser.peek() {
        Token::End => whole.condition(),
        Token::Compare(_) | Token::In | Token::Has => Err((Problem::Chained, parser.place())),
        Token::Comma => Err((Problem::List, parser.place())),
        _ => Err((Problem::NoOperator, parser.place())),
    }
}

struct Parser<'a> {
    tokens: &'a [Placed],
    whose: Whose,
    at: usize,
    depth: usize,
    terms: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> &'a Token {
        self.tokens.get(self.at).map_or(&Token::End, |it| &it.0)
    }

    fn place(&self) -> usize {
        let token = self.tokens.get(self.at).or(self.tokens.last());
        token.map_or(0, |it| it.1.start)
    }

    fn eat(&mut self, wanted: &Token) -> bool {
        let is_there = self.peek() == wanted;
        self.at += usize::from(is_there);
        is_there
    }

    fn term(&mut self) -> Result<(), Fault> {
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err((Problem::TooMany, self.place()));
        }
        Ok(())
    }

    /// Reads something one level deeper.
    fn deeper(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Piece, Fault>,
    ) -> Result<Piece, Fault> {
        if self.depth == DEPTH_MAX {
            return Err((Problem::TooDeep, self.place()));
        }
        self.depth += 1;
        let piece = read(self)?;
        self.depth -= 1;
        Ok(piece)
    }

    fn alternatives(&mut self) -> Result<Piece, Fault> {
        let first = self.exclusives()?;
        if *self.peek() != Token::Or {
            return Ok(first);
        }
        let at = first.at;
        let mut parts = Vec::new();
        let mut take = |part: Condition| match part {
            Condition::Or(more) => parts.extend(more),
            other => parts.push(other),
        };
        take(first.condition()?);
        while self.eat(&Token::Or) {
            take(self.exclusives()?.condition()?);
        }
        Ok(Piece {
            at,
            what: What::Condition(Condition::Or(parts)),
        })
    }

    fn exclusives(&mut self) -> Result<Piece, Fault> {
        let mut left = self.conjunction()?;
        while self.eat(&Token::Xor) {
            let at = left.at;
            let right = self.conjunction()?.condition()?;
            let both = Condition::Xor(left.condition()?.into(), right.into());
            left = Piece {
                at,
                what: What::Condition(both),
            };
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> Result<Piece, Fault> {
        let first = self.negation()?;
        if *self.peek() != Token::And {
            return Ok(first);
        }
        let at = first.at;
        let mut parts = Vec::new();
        let mut take = |part: Condition| match part {
            Condition::And(more) => parts.extend(more),
            other => parts.push(other),
        };
        take(first.condition()?);
        while self.eat(&Token::And) {
            take(self.negation()?.condition()?);
        }
        Ok(Piece {
            at,
            what: What::Condition(Condition::And(parts)),
        })
    }

    fn negation(&mut self) -> Result<Piece, Fault> {
        let at = self.place();
        if !self.eat(&Token::Not) {
            return self.comparison();
        }
        let negated = self.deeper(Self::negation)?.condition()?;
        Ok(Piece {
            at,
            what: What::Condition(Condition::Not(negated.into())),
        })
    }

    fn comparison(&mut self) -> Result<Piece, Fault> {
        let left = self.arithmetic(0)?;
        let at = left.at;
        let condition = match *self.peek() {
            Token::Compare(how) => {
                self.at += 1;
                let (left, right, right_at) = self.sides(left)?;
                self.amounts(&left, &right, right_at)?;
                self.amounts(&right, &left, at)?;
                compared(how, left, right, at)?
            }
            Token::In => {
                self.at += 1;
                let (item, list, list_at) = self.sides(left)?;
                self.amounts(&item, &list, list_at)?;
                member(item, list, false, at)?
            }
            Token::Has => {
                self.at += 1;
                let (list, item, _) = self.sides(left)?;
                member(item, list, true, at)?
            }
            _ => return Ok(left),
        };
        if matches!(self.peek(), Token::Compare(_) | Token::In | Token::Has) {
            return Err((Problem::Chained, self.place()));
        }
        Ok(Piece {
            at,
            what: What::Condition(condition),
        })
    }

    /// Reads what an operator has on its right, too, and answers where that begins.
    fn sides(&mut self, left: Piece) -> Result<(Value, Value, usize), Fault> {
        let left = left.value()?;
        let right_at = self.place();
        let right = self.arithmetic(0)?.value()?;
        Ok((left, right, right_at))
    }

    /// Objects to a text at `at` that is compared with an amount: as texts they would be compared, and any host might match.
    fn amounts(&self, value: &Value, other: &Value, at: usize) -> Result<(), Fault> {
        let what = match (self.whose, amount(value)) {
            (Whose::Writer, Some(what)) => what,
            (Whose::Writer, None) | (Whose::Kept, _) => return Ok(()),
        };
        match no_number(other) {
            Some(text) => Err((not_an_amount(what, text), at)),
            None => Ok(()),
        }
    }

    fn arithmetic(&mut self, loosest: u8) -> Result<Piece, Fault> {
        let mut left = self.signed()?;
        while let Token::Arithmetic(how) = *self.peek() {
            let tightness = how.tightness();
            if tightness < loosest {
                break;
            }
            self.at += 1;
            let at = left.at;
            let left_side = left.number(how.sign())?;
            let right_at = self.place();
            let right = self.arithmetic(tightness + 1)?.number(how.sign())?;
            if is_additive(how) {
                fits(&left_side, &right, at)?;
                fits(&right, &left_side, right_at)?;
            }
            left = Piece {
                at,
                what: What::Value(Value::Arithmetic(how, left_side.into(), right.into())),
            };
        }
        Ok(left)
    }

    fn signed(&mut self) -> Result<Piece, Fault> {
        let at = self.place();
        if !self.eat(&Token::Arithmetic(Arithmetic::Subtract)) {
            return self.primary();
        }
        let value = match self.deeper(Self::signed)?.number("-")? {
            Value::Number(Quantity { number, unit }) => Value::Number(Quantity {
                number: number.negated(),
                unit,
            }),
            other => Value::Negative(other.into()),
        };
        Ok(Piece {
            at,
            what: What::Value(value),
        })
    }

    fn primary(&mut self) -> Result<Piece, Fault> {
        let at = self.place();
        let value = match self.peek() {
            Token::Open => {
                self.at += 1;
                let inner = self.deeper(Self::alternatives)?;
                if !self.eat(&Token::Close) {
                    let missing = match self.peek() {
                        Token::End => Problem::Unclosed,
                        Token::Comma => Problem::List,
                        _ => Problem::NoOperator,
                    };
                    return Err((missing, self.place()));
                }
                return Ok(Piece { at, ..inner });
            }
            Token::Operand(operand) => Value::Operand(operand.clone()),
            Token::Number(number) => Value::Number(*number),
            Token::Text(text) => Value::Text(text.clone()),
            _ => return Err((Problem::NoValue, at)),
        };
        self.term()?;
        self.at += 1;
        let value = self.listed(value, at)?;
        Ok(Piece {
            at,
            what: What::Value(value),
        })
    }

    /// Reads the rest of a list, if the value begins one.
    fn listed(&mut self, first: Value, at: usize) -> Result<Value, Fault> {
        if *self.peek() != Token::Comma {
            return Ok(first);
        }
        let Some(first) = entry(&first) else {
            return Err((Problem::List, self.place()));
        };
        let mut entries = vec![first.map_err(|bad| (bad, at))?];
        while self.eat(&Token::Comma) {
            let at = self.place();
            let value = match self.peek() {
                Token::Number(number) => Value::Number(*number),
                Token::Text(text) => Value::Text(text.clone()),
                _ => return Err((Problem::NoValue, at)),
            };
            self.term()?;
            self.at += 1;
            entries.extend(entry(&value).transpose().map_err(|bad| (bad, at))?);
        }
        Ok(Value::List(entries))
    }
}

/// Makes an entry of a list; nothing of what can be none.
fn entry(value: &Value) -> Option<Result<String, Problem>> {
    match value {
        Value::Text(text) => Some(Ok(text.clone())),
        Value::Number(Quantity { number, unit: None }) => Some(Ok(number.to_string())),
        Value::Number(_) => Some(Err(Problem::UnitInList)),
        Value::Operand(_) | Value::List(_) | Value::Negative(_) | Value::Arithmetic(..) => None,
    }
}

fn is_additive(how: Arithmetic) -> bool {
    match how {
        Arithmetic::Add | Arithmetic::Subtract | Arithmetic::Min | Arithmetic::Max => true,
        Arithmetic::BitOr
        | Arithmetic::BitAnd
        | Arithmetic::ShiftLeft
        | Arithmetic::ShiftRight
        | Arithmetic::Multiply
        | Arithmetic::Divide
        | Arithmetic::Modulo => false,
    }
}

fn compared(how: Comparison, left: Value, right: Value, at: usize) -> Result<Condition, Fault> {
    if matches!(left, Value::List(_)) || matches!(right, Value::List(_)) {
        return Err((Problem::List, at));
    }
    if !left.reads_something() && !right.reads_something() {
        return Err((constant(&[&left, &right]), at));
    }
    fits(&left, &right, at)?;
    fits(&right, &left, at)?;
    let (left, right) = (in_our_words(left, &right), right);
    let right = in_our_words(right, &left);
    Ok(Condition::Compare(how, left, right))
}

fn member(item: Value, list: Value, is_has: bool, at: usize) -> Result<Condition, Fault> {
    if matches!(item, Value::List(_)) {
        return Err((Problem::List, at));
    }
    if !item.reads_something() && !list.reads_something() {
        return Err((constant(&[&item, &list]), at));
    }
    let has_unit = |it: &Value| matches!(it, Value::Number(Quantity { unit: Some(_), .. }));
    if has_unit(&item) || has_unit(&list) {
        return Err((Problem::UnitInList, at));
    }
    let list = in_our_words(list, &item);
    Ok(Condition::Member { item, list, is_has })
}

/// Finds out what may have been meant by something that no host and no job has a say in.
fn constant(sides: &[&Value]) -> Problem {
    let meant = sides.iter().find_map(|side| match side {
        Value::Text(text) => {
            let name = text.rsplit('.').next().unwrap_or_default();
            let near = nearest(name, operand::KNOWN.iter().copied())?;
            Some(format!("host.{near}"))
        }
        _ => None,
    });
    Problem::Constant(meant)
}

/// Puts the words of other systems into ours, of a text that is compared with an operand.
fn in_our_words(value: Value, other: &Value) -> Value {
    let Value::Operand(operand) = other else {
        return value;
    };
    let ours = |text: String| operand.our_word(&text).to_owned();
    match value {
        Value::Text(text) => Value::Text(ours(text)),
        Value::List(entries) => Value::List(entries.into_iter().map(ours).collect()),
        other => other,
    }
}

/// Answers what is a number on every host, if the value is one.
fn amount(value: &Value) -> Option<String> {
    match value {
        Value::Operand(operand) => operand.is_amount().then(|| operand.to_string()),
        Value::Negative(_) | Value::Arithmetic(..) => Some("the other side".to_owned()),
        Value::Number(_) | Value::Text(_) | Value::List(_) => None,
    }
}

/// Answers a text that no amount can be. The empty one asks whether there is any.
fn no_number(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => (!text.is_empty()).then_some(text),
        Value::List(entries) => entries
            .iter()
            .map(String::as_str)
            .find(|it| Number::parse(it).is_none()),
        Value::Operand(_) | Value::Number(_) | Value::Negative(_) | Value::Arithmetic(..) => None,
    }
}

/// Tells a number with a unit that there is none from any other text.
fn not_an_amount(what: String, text: &str) -> Problem {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let is_number = Number::parse(&text[..text.len() - unit.len()]).is_some();
    let is_unit = is_number && !unit.is_empty() && Unit::of_word(unit).is_none();
    if is_unit && unit.len() <= UNIT_SHOWN_MAX {
        let unit = unit.to_owned();
        return Problem::NoUnit { what, unit };
    }
    Problem::NotAnAmount { what }
}

/// Bytes of a wrong unit that an error repeats.
const UNIT_SHOWN_MAX: usize = 20;

/// Objects to a unit that the other side isn't measured in.
fn fits(value: &Value, other: &Value, at: usize) -> Result<(), Fault> {
    if let (Some(ours), Some(theirs)) = (dimension(value), dimension(other))
        && ours != theirs
    {
        return Err((Problem::Dimensions, at));
    }
    let (Value::Operand(operand), Some(unit)) = (value, unit(other)) else {
        return Ok(());
    };
    if operand.dimension() == Some(unit.dimension()) {
        return Ok(());
    }
    Err((not_measured(operand, unit), at))
}

/// Says what isn't measured in a unit, and what may be meant that is.
fn not_measured(operand: &Operand, unit: Unit) -> Problem {
    let near = operand
        .of_this_farm()
        .and_then(|name| nearest(name, unit.dimension().measured().iter().copied()));
    Problem::Unit {
        what: operand.to_string(),
        unit: unit.word(),
        guess: near.map(|near| format!("host.{near}")),
    }
}

fn unit(value: &Value) -> Option<Unit> {
    match value {
        Value::Number(number) => number.unit,
        Value::Negative(inner) => unit(inner),
        Value::Operand(_) | Value::Text(_) | Value::List(_) | Value::Arithmetic(..) => None,
    }
}

/// Answers what a value counts, where that is known.
fn dimension(value: &Value) -> Option<Dimension> {
    match value {
        Value::Operand(operand) => Operand::dimension(operand),
        Value::Number(number) => number.unit.map(Unit::dimension),
        Value::Negative(inner) => dimension(inner),
        Value::Arithmetic(how, left, right) if is_additive(*how) => {
            dimension(left).or_else(|| dimension(right))
        }
        Value::Arithmetic(Arithmetic::Multiply, left, right) => {
            match (dimension(left), dimension(right)) {
                (one, None) | (None, one) => one,
                (Some(_), Some(_)) => None,
            }
        }
        Value::Arithmetic(..) | Value::Text(_) | Value::List(_) => None,
    }
}
