//! Numbers: exact, with six decimals, and the units they may be written in.
//!
//! No floating point: an expression must hold or not hold in the same way on every machine, and equal has to mean equal.

use std::fmt;

/// Parts of one.
const SCALE: i128 = 1_000_000;
/// Decimals that are kept.
const DECIMALS: usize = 6;
/// Digits before the point.
const DIGITS_MAX: usize = 15;
/// The largest shift.
const SHIFT_MAX: i128 = 63;

/// A number with six decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(i128);

impl From<u64> for Number {
    fn from(whole: u64) -> Self {
        Self(i128::from(whole) * SCALE)
    }
}

impl From<bool> for Number {
    fn from(is_so: bool) -> Self {
        Self::from(u64::from(is_so))
    }
}

impl Number {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// Reads `12`, `-3` or `2.5`: at most 15 digits and 6 decimals.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
        let are_digits = |it: &str, most| {
            (1..=most).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_digit())
        };
        if !are_digits(whole, DIGITS_MAX) || !are_digits(part, DECIMALS) {
            return None;
        }
        let whole: i128 = whole.parse().ok()?;
        let part: i128 = format!("{part:0<DECIMALS$}").parse().ok()?;
        Some(Self(sign * (whole * SCALE + part)))
    }

    /// Says whether it is zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Turns the sign around.
    #[must_use]
    pub fn negated(self) -> Self {
        Self(-self.0)
    }

    /// Scales by a fraction, towards zero.
    pub(crate) fn scaled(self, (by, of): (i128, i128)) -> Option<Self> {
        Some(Self(self.0.checked_mul(by)? / of))
    }

    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    pub(crate) fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    pub(crate) fn times(self, other: Self) -> Option<Self> {
        self.scaled((other.0, SCALE))
    }

    pub(crate) fn over(self, other: Self) -> Option<Self> {
        self.0.checked_mul(SCALE)?.checked_div(other.0).map(Self)
    }

    pub(crate) fn modulo(self, other: Self) -> Option<Self> {
        self.0.checked_rem(other.0).map(Self)
    }

    /// Combines the bits of two whole numbers.
    pub(crate) fn bits(self, other: Self, how: impl Fn(i128, i128) -> i128) -> Option<Self> {
        let combined = how(self.whole()?, other.whole()?);
        combined.checked_mul(SCALE).map(Self)
    }

    /// Shifts a whole number; to the right when `left` is false.
    pub(crate) fn shifted(self, by: Self, left: bool) -> Option<Self> {
        let by = by.whole().filter(|by| (0..=SHIFT_MAX).contains(by))?;
        let factor = 1_i128 << by;
        let shifted = if left {
            self.whole()?.checked_mul(factor)?
        } else {
            self.whole()?.div_euclid(factor)
        };
        shifted.checked_mul(SCALE).map(Self)
    }

    fn whole(self) -> Option<i128> {
        (self.0 % SCALE == 0).then_some(self.0 / SCALE)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, part) = (
            self.0.unsigned_abs() / SCALE as u128,
            self.0.unsigned_abs() % SCALE as u128,
        );
        write!(f, "{sign}{whole}")?;
        if part == 0 {
            return Ok(());
        }
        let part = format!("{part:0>DECIMALS$}");
        write!(f, ".{}", part.trim_end_matches('0'))
    }
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dimension {
    /// MiB.
    Memory,
    /// MHz.
    Speed,
}

impl Dimension {
    /// Answers what of a host is measured so.
    pub(crate) fn measured(self) -> &'static [&'static str] {
        match self {
            Self::Memory => &["memory", "swap"],
            Self::Speed => &["processor_speed"],
        }
    }
}

/// A unit that a number may be written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// 1024 bytes.
    Kibi,
    /// 1024 KiB: what `host.memory` counts.
    Mebi,
    /// 1024 MiB.
    Gibi,
    /// 1024 GiB.
    Tebi,
    /// What `host.processor_speed` counts.
    Megahertz,
    /// 1000 MHz.
    Gigahertz,
}

impl Unit {
    /// Reads one, without regard to case; `K`, `KB` and `KiB` are the same.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "k" | "kb" | "kib" => Some(Self::Kibi),
            "m" | "mb" | "mib" => Some(Self::Mebi),
            "g" | "gb" | "gib" => Some(Self::Gibi),
            "t" | "tb" | "tib" => Some(Self::Tebi),
            "mhz" => Some(Self::Megahertz),
            "ghz" => Some(Self::Gigahertz),
            _ => None,
        }
    }

    /// Answers the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Kibi => "KiB",
            Self::Mebi => "MiB",
            Self::Gibi => "GiB",
            Self::Tebi => "TiB",
            Self::Megahertz => "MHz",
            Self::Gigahertz => "GHz",
        }
    }

    pub(crate) fn dimension(self) -> Dimension {
        match self {
            Self::Kibi | Self::Mebi | Self::Gibi | Self::Tebi => Dimension::Memory,
            Self::Megahertz | Self::Gigahertz => Dimension::Speed,
        }
    }

    /// Answers what it is in MiB or MHz, as a fraction.
    pub(crate) fn fraction(self) -> (i128, i128) {
        match self {
            Self::Kibi => (1, 1 << 10),
            Self::Mebi | Self::Megahertz => (1, 1),
            Self::Gibi => (1 << 10, 1),
            Self::Tebi => (1 << 20, 1),
            Self::Gigahertz => (1_000, 1),
        }
    }
}

/// Prints MiB so that people can read it: `48 GiB`; where a GiB would round, both.
pub(crate) fn show_memory(mebibytes: Number) -> String {
    let tenths = mebibytes.scaled((10, 1 << 10)).and_then(Number::floor);
    let Some(tenths) = tenths.filter(|it| *it >= 10) else {
        return format!("{mebibytes} MiB");
    };
    let gibibytes = Number(tenths * SCALE / 10);
    if gibibytes.scaled((1 << 10, 1)) == Some(mebibytes) {
        format!("{gibibytes} GiB")
    } else {
        format!("{gibibytes} GiB ({mebibytes} MiB)")
    }
}

impl Number {
    fn floor(self) -> Option<i128> {
        self.0.checked_div_euclid(SCALE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Number {
        Number::parse(text).expect(text)
    }

    #[test]
    fn numbers_are_read_exactly() {
        for (text, printed) in [
            ("12", "12"),
            ("-3", "-3"),
            ("2.50", "2.5"),
            ("0.000001", "0.000001"),
            ("007", "7"),
            ("-0", "0"),
            ("-0.5", "-0.5"),
            ("999999999999999.999999", "999999999999999.999999"),
        ] {
            assert_eq!(number(text).to_string(), printed);
        }
        for bad in [
            "",
            "-",
            ".5",
            "5.",
            "1e3",
            "+1",
            "1.0000000",
            "1000000000000000",
            "1.2.3",
            "--1",
            "１",
        ] {
            assert_eq!(Number::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_cant_be_computed_is_nothing() {
        assert_eq!(number("7").over(Number::ZERO), None);
        assert_eq!(number("7").modulo(Number::ZERO), None);
        assert_eq!(number("1.5").bits(number("1"), |a, b| a & b), None);
        assert_eq!(number("1").shifted(number("64"), true), None);
        assert_eq!(number("1").shifted(number("-1"), true), None);
        let mut large = number("999999999999999");
        while let Some(more) = large.times(large) {
            assert!(more > large);
            large = more;
        }
        assert_eq!(large.times(large), None);
        assert_eq!(number("7").over(number("2")), Some(number("3.5")));
        assert_eq!(
            number("6").bits(number("3"), |a, b| a & b),
            Some(number("2"))
        );
        assert_eq!(number("-5").shifted(number("1"), false), Some(number("-3")));
        assert_eq!(number("5").shifted(number("2"), true), Some(number("20")));
    }

    #[test]
    fn memory_is_shown_without_rounding_anything_away() {
        for (mebibytes, shown) in [
            ("49152", "48 GiB"),
            ("64214", "62.7 GiB (64214 MiB)"),
            ("1536", "1.5 GiB"),
            ("512", "512 MiB"),
            ("0", "0 MiB"),
        ] {
            assert_eq!(show_memory(number(mebibytes)), shown);
        }
    }

    proptest! {
        #[test]
        fn printed_numbers_read_back(parts in -999_999_999_999_999_999_999_i128..=999_999_999_999_999_999_999) {
            let number = Number(parts);
            prop_assert_eq!(Number::parse(&number.to_string()), Some(number));
        }
    }
}
