//! Reads the parts of a range from left to right.

use super::RangeProblem;
use tessera_model::FrameRun;
use tessera_model::limits::FRAME_NUMBER_MAX;

/// A problem with its place in bytes.
type At<T> = Result<T, (usize, RangeProblem)>;

/// Where reading stands.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut reader = Self {
            bytes: text.as_bytes(),
            at: 0,
        };
        reader.skip_spaces();
        reader
    }

    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// Reads `1`, `1-10` or `1-10x2` and the spaces behind it.
    pub(super) fn part(&mut self) -> At<FrameRun> {
        let begin = self.at;
        let start = self.number()?;
        if !self.eat(b'-') {
            return match self.peek() {
                Some(b'x') => Err((self.at, RangeProblem::Trailing)),
                _ => Ok(FrameRun {
                    start,
                    step: 1,
                    count: 1,
                }),
            };
        }
        let end = self.number()?;
        let step = if self.eat(b'x') { self.step()? } else { 1 };
        let places = start.abs_diff(end) / step;
        let count = u32::try_from(places + 1).map_err(|_| (begin, RangeProblem::TooManyFrames))?;
        let size = i64::try_from(step).map_err(|_| (begin, RangeProblem::Step))?;
        let step = match (count, end < start) {
            (1, _) => 1,
            (_, true) => -size,
            (_, false) => size,
        };
        Ok(FrameRun { start, step, count })
    }

    /// Reads the comma before another part; false at the end.
    pub(super) fn comma(&mut self) -> At<bool> {
        match self.peek() {
            None => Ok(false),
            Some(b',') => {
                self.at += 1;
                self.skip_spaces();
                Ok(true)
            }
            Some(_) => Err((self.at, RangeProblem::Trailing)),
        }
    }

    fn number(&mut self) -> At<i64> {
        let begin = self.at;
        let is_negative = self.eat_now(b'-');
        let most = FRAME_NUMBER_MAX.unsigned_abs();
        let size = match self.digits() {
            Digits::Number(size) if size <= most => size,
            Digits::Number(_) | Digits::TooLarge => return Err((begin, RangeProblem::TooFar)),
            Digits::None if self.peek().is_none() => return Err((self.at, RangeProblem::Missing)),
            Digits::None => return Err((self.at, RangeProblem::NoNumber)),
        };
        self.skip_spaces();
        let size = i64::try_from(size).map_err(|_| (begin, RangeProblem::TooFar))?;
        Ok(if is_negative { -size } else { size })
    }

    fn step(&mut self) -> At<u64> {
        let begin = self.at;
        // No step reaches farther than from one end of the numbers to the other.
        let most = 2 * FRAME_NUMBER_MAX.unsigned_abs();
        match self.digits() {
            Digits::Number(step) if (1..=most).contains(&step) => {
                self.skip_spaces();
                Ok(step)
            }
            Digits::Number(_) | Digits::TooLarge | Digits::None => Err((begin, RangeProblem::Step)),
        }
    }

    fn digits(&mut self) -> Digits {
        let begin = self.at;
        let mut number = Some(0_u64);
        while let Some(byte) = self.peek().filter(u8::is_ascii_digit) {
            number = number.and_then(|n| n.checked_mul(10)?.checked_add(u64::from(byte - b'0')));
            self.at += 1;
        }
        match number {
            _ if self.at == begin => Digits::None,
            Some(number) => Digits::Number(number),
            None => Digits::TooLarge,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat_now(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    /// Eats the byte and the spaces behind it.
    fn eat(&mut self, byte: u8) -> bool {
        let is_there = self.eat_now(byte);
        if is_there {
            self.skip_spaces();
        }
        is_there
    }

    fn skip_spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }
}

/// What stood where digits were expected.
enum Digits {
    None,
    Number(u64),
    TooLarge,
}
