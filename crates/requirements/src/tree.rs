//! An expression once it is read: conditions, which hold or don't, over values.

use crate::number::{Number, Unit};
use crate::operand::Operand;

/// Something that holds, doesn't, or can't be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// One of them holds: two or more, none of which is an `Or`.
    Or(Vec<Condition>),
    /// All of them hold: two or more, none of which is an `And`.
    And(Vec<Condition>),
    /// One of them holds, the other doesn't.
    Xor(Box<Condition>, Box<Condition>),
    /// It doesn't hold.
    Not(Box<Condition>),
    /// Two values compare so.
    Compare(Comparison, Value, Value),
    /// A value is in a list.
    Member {
        /// The value.
        item: Value,
        /// The list.
        list: Value,
        /// Whether it is written `list has item` instead of `item in list`.
        is_has: bool,
    },
    /// A value is neither 0 nor empty, nor one of the words `false`, `no`, `off`.
    Holds(Value),
}

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `==`, `=`, `eq`.
    Equal,
    /// `!=`, `<>`, `ne`.
    NotEqual,
    /// `<`, `lt`.
    Less,
    /// `<=`, `le`.
    AtMost,
    /// `>`, `gt`.
    Greater,
    /// `>=`, `ge`.
    AtLeast,
}

impl Comparison {
    /// Answers the sign for it.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
        }
    }

    /// Answers the one that holds where this doesn't.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::AtLeast,
            Self::AtMost => Self::Greater,
            Self::Greater => Self::AtMost,
            Self::AtLeast => Self::Less,
        }
    }

    /// Answers the one with the sides exchanged.
    #[must_use]
    pub fn mirrored(self) -> Self {
        match self {
            Self::Equal | Self::NotEqual => self,
            Self::Less => Self::Greater,
            Self::AtMost => Self::AtLeast,
            Self::Greater => Self::Less,
            Self::AtLeast => Self::AtMost,
        }
    }
}

/// A number, a text or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// What the host or the job says.
    Operand(Operand),
    /// A number.
    Number(Quantity),
    /// A text.
    Text(String),
    /// A list of two or more texts.
    List(Vec<String>),
    /// The number with the other sign.
    Negative(Box<Value>),
    /// Two numbers combined.
    Arithmetic(Arithmetic, Box<Value>, Box<Value>),
}

/// A number as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantity {
    /// The number before the unit.
    pub number: Number,
    /// The unit, if there is one.
    pub unit: Option<Unit>,
}

/// How two numbers are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// `|`, of the bits of whole numbers.
    BitOr,
    /// `&`, of the bits of whole numbers.
    BitAnd,
    /// `<<`, `ls`.
    ShiftLeft,
    /// `>>`, `rs`.
    ShiftRight,
    /// `+`, `add`.
    Add,
    /// `-`, `sub`.
    Subtract,
    /// `*`, `mul`.
    Multiply,
    /// `/`, `div`.
    Divide,
    /// `%`, `mod`.
    Modulo,
    /// `min`: the smaller one.
    Min,
    /// `max`: the greater one.
    Max,
}

impl Arithmetic {
    /// Answers the sign or word for it.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::BitOr => "|",
            Self::BitAnd => "&",
            Self::ShiftLeft => "<<",
            Self::ShiftRight => ">>",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Min => "min",
            Self::Max => "max",
        }
    }

    /// Answers how tightly it binds.
    pub(crate) fn tightness(self) -> u8 {
        match self {
            Self::BitOr => 0,
            Self::BitAnd => 1,
            Self::ShiftLeft | Self::ShiftRight => 2,
            Self::Add | Self::Subtract => 3,
            Self::Multiply | Self::Divide | Self::Modulo | Self::Min | Self::Max => 4,
        }
    }

    /// Binds tighter than every operator with two sides.
    pub(crate) const TIGHTEST: u8 = 5;
}

impl Value {
    /// Calls `look` for each operand in it.
    pub(crate) fn each_operand<'a>(&'a self, look: &mut impl FnMut(&'a Operand)) {
        match self {
            Self::Operand(operand) => look(operand),
            Self::Negative(value) => value.each_operand(look),
            Self::Arithmetic(_, left, right) => {
                left.each_operand(look);
                right.each_operand(look);
            }
            Self::Number(_) | Self::Text(_) | Self::List(_) => {}
        }
    }

    pub(crate) fn reads_something(&self) -> bool {
        let mut is_reading = false;
        self.each_operand(&mut |_| is_reading = true);
        is_reading
    }
}

impl Condition {
    /// Calls `look` for each operand in it.
    pub(crate) fn each_operand<'a>(&'a self, look: &mut impl FnMut(&'a Operand)) {
        match self {
            Self::Or(parts) | Self::And(parts) => {
                for part in parts {
                    part.each_operand(look);
                }
            }
            Self::Xor(left, right) => {
                left.each_operand(look);
                right.each_operand(look);
            }
            Self::Not(part) => part.each_operand(look),
            Self::Compare(_, left, right)
            | Self::Member {
                item: left,
                list: right,
                ..
            } => {
                left.each_operand(look);
                right.each_operand(look);
            }
            Self::Holds(value) => value.each_operand(look),
        }
    }
}
