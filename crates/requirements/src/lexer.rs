//! Cuts an expression into words, signs, texts and numbers.

use crate::error::{Problem, RequirementError};
use crate::limits::EXPRESSION_BYTES_MAX;
use crate::number::{Number, Unit};
use crate::operand::Operand;
use crate::tree::{Arithmetic, Comparison, Quantity};
use std::ops::Range;

/// A piece of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    Or,
    Xor,
    And,
    Not,
    In,
    Has,
    Compare(Comparison),
    Arithmetic(Arithmetic),
    Open,
    Close,
    Comma,
    Operand(Operand),
    Number(Quantity),
    /// A text, without its quotes.
    Text(String),
    End,
}

/// A token and where it is, in bytes.
pub(crate) type Placed = (Token, Range<usize>);

/// What is wrong, and where, in bytes.
pub(crate) type Fault = (Problem, usize);

const WORDS: &[(&str, Token)] = &[
    ("or", Token::Or),
    ("xor", Token::Xor),
    ("and", Token::And),
    ("not", Token::Not),
    ("in", Token::In),
    ("has", Token::Has),
    ("eq", Token::Compare(Comparison::Equal)),
    ("ne", Token::Compare(Comparison::NotEqual)),
    ("lt", Token::Compare(Comparison::Less)),
    ("le", Token::Compare(Comparison::AtMost)),
    ("gt", Token::Compare(Comparison::Greater)),
    ("ge", Token::Compare(Comparison::AtLeast)),
    ("ls", Token::Arithmetic(Arithmetic::ShiftLeft)),
    ("rs", Token::Arithmetic(Arithmetic::ShiftRight)),
    ("add", Token::Arithmetic(Arithmetic::Add)),
    ("sub", Token::Arithmetic(Arithmetic::Subtract)),
    ("mul", Token::Arithmetic(Arithmetic::Multiply)),
    ("div", Token::Arithmetic(Arithmetic::Divide)),
    ("mod", Token::Arithmetic(Arithmetic::Modulo)),
    ("min", Token::Arithmetic(Arithmetic::Min)),
    ("max", Token::Arithmetic(Arithmetic::Max)),
];

/// Longer ones first.
const SIGNS: &[(&str, Token)] = &[
    ("||", Token::Or),
    ("&&", Token::And),
    ("==", Token::Compare(Comparison::Equal)),
    ("!=", Token::Compare(Comparison::NotEqual)),
    ("<>", Token::Compare(Comparison::NotEqual)),
    ("<=", Token::Compare(Comparison::AtMost)),
    (">=", Token::Compare(Comparison::AtLeast)),
    ("<<", Token::Arithmetic(Arithmetic::ShiftLeft)),
    (">>", Token::Arithmetic(Arithmetic::ShiftRight)),
    ("=", Token::Compare(Comparison::Equal)),
    ("<", Token::Compare(Comparison::Less)),
    (">", Token::Compare(Comparison::Greater)),
    ("!", Token::Not),
    ("^", Token::Xor),
    ("|", Token::Arithmetic(Arithmetic::BitOr)),
    ("&", Token::Arithmetic(Arithmetic::BitAnd)),
    ("+", Token::Arithmetic(Arithmetic::Add)),
    ("-", Token::Arithmetic(Arithmetic::Subtract)),
    ("*", Token::Arithmetic(Arithmetic::Multiply)),
    ("/", Token::Arithmetic(Arithmetic::Divide)),
    ("%", Token::Arithmetic(Arithmetic::Modulo)),
    ("(", Token::Open),
    (")", Token::Close),
    (",", Token::Comma),
];

/// Makes an error that people can read of a fault.
pub(crate) fn error(text: &str, (problem, at): Fault) -> RequirementError {
    let at = at.min(text.len());
    RequirementError {
        place: text[..at].chars().count(),
        found: text[at..].chars().next(),
        problem,
    }
}

/// Cuts a text into tokens; the last is [`Token::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<Placed>, Fault> {
    if text.len() > EXPRESSION_BYTES_MAX {
        return Err((Problem::TooLong, 0));
    }
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip(|c| c == ' ' || c == '\t' || c == '\n' || c == '\r');
        let begin = lexer.at;
        let token = lexer.token()?;
        let is_end = token == Token::End;
        tokens.push((token, begin..lexer.at));
        if is_end {
            return Ok(tokens);
        }
    }
}

/// Says whether a text means itself without quotes.
pub(crate) fn is_bare(text: &str) -> bool {
    let is_word = !text.is_empty() && !text.starts_with('.') && text.chars().all(is_of_word);
    is_word && matches!(word(text), Ok(Token::Text(..)))
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | ':' | '@')
}

/// Answers what a word means that stands alone.
fn word(word: &str) -> Result<Token, Problem> {
    let lower = word.to_ascii_lowercase();
    if let Some((_, token)) = WORDS.iter().find(|(known, _)| *known == lower) {
        return Ok(token.clone());
    }
    if Operand::is_meant(word) {
        return Ok(Token::Operand(Operand::parse(word)?));
    }
    if let Some(number) = quantity(word) {
        return Ok(Token::Number(number));
    }
    let inner = lower.trim_matches('.');
    if word.starts_with('.') {
        let is_operator = WORDS.iter().any(|(known, _)| *known == inner);
        return Err(if is_operator {
            Problem::Dotted
        } else {
            Problem::Character
        });
    }
    Ok(Token::Text(word.to_owned()))
}

/// Reads a number that has its unit at it, if it has one.
fn quantity(word: &str) -> Option<Quantity> {
    let digits = word
        .bytes()
        .take_while(|b| b.is_ascii_digit() || *b == b'.')
        .count();
    let number = Number::parse(&word[..digits])?;
    let unit = match &word[digits..] {
        "" => None,
        unit => Some(Unit::of_word(unit)?),
    };
    Some(Quantity { number, unit })
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip(&mut self, is_of: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !is_of(c)).unwrap_or(rest.len());
    }

    fn token(&mut self) -> Result<Token, Fault> {
        let begin = self.at;
        match self.rest().chars().next() {
            None => Ok(Token::End),
            Some(mark @ ('"' | '\'')) => self.quoted(mark),
            Some(c) if c.is_control() => Err((Problem::Control, begin)),
            Some(c) if is_of_word(c) => {
                self.skip(is_of_word);
                let token = word(&self.text[begin..self.at]).map_err(|bad| (bad, begin))?;
                Ok(match token {
                    Token::Number(number) => Token::Number(self.with_unit(number)),
                    other => other,
                })
            }
            Some(_) => {
                let found = SIGNS.iter().find(|(sign, _)| self.rest().starts_with(sign));
                let (sign, token) = found.ok_or((Problem::Character, begin))?;
                self.at += sign.len();
                Ok(token.clone())
            }
        }
    }

    /// Reads the unit of `64 GiB`: behind a number no other word could follow.
    fn with_unit(&mut self, number: Quantity) -> Quantity {
        if number.unit.is_some() {
            return number;
        }
        let before = self.at;
        self.skip(|c| c == ' ');
        let begin = self.at;
        self.skip(is_of_word);
        let unit = Unit::of_word(&self.text[begin..self.at]);
        if unit.is_none() {
            self.at = before;
        }
        Quantity { unit, ..number }
    }

    /// Reads a text in quotes, in which a backslash takes its meaning from a quotation mark or a backslash.
    fn quoted(&mut self, mark: char) -> Result<Token, Fault> {
        let begin = self.at;
        let mut text = String::new();
        let mut letters = self.rest().char_indices().skip(1);
        while let Some((n, c)) = letters.next() {
            match c {
                c if c == mark => {
                    self.at = begin + n + c.len_utf8();
                    return Ok(Token::Text(text));
                }
                '\\' => match letters.next() {
                    Some((_, c @ ('"' | '\'' | '\\'))) => text.push(c),
                    Some((_, c)) if !c.is_control() => text.extend(['\\', c]),
                    Some((m, _)) => return Err((Problem::Control, begin + m)),
                    None => return Err((Problem::Unquoted, begin)),
                },
                c if c.is_control() => return Err((Problem::Control, begin + n)),
                c => text.push(c),
            }
        }
        Err((Problem::Unquoted, begin))
    }
}
