//! Amounts as people write them: durations (`90`, `90s`, `5m`, `2h`, `1d`) and sizes (`4096`, `64K`, `256M`, `2G`).

use crate::field::shown;
use std::time::Duration;

/// Longest text of an amount, in bytes.
pub const AMOUNT_BYTES_MAX: usize = 64;

/// Why a text is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// It does not begin with digits.
    #[error("{} is no number", shown(.0))]
    NoNumber(String),
    /// Its unit is unknown.
    #[error("unknown unit {}", shown(.0))]
    Unit(String),
    /// It is below zero.
    #[error("{} is below zero", shown(.0))]
    Negative(String),
    /// It is more than fits.
    #[error("{} is too large", shown(.0))]
    TooLarge(String),
}

/// Reads a duration: seconds, or a number with one of `s`, `m`, `h`, `d`.
///
/// # Errors
/// When it is no such text or more than [`tessera_model::limits::SECONDS_MAX`].
pub fn duration(text: &str) -> Result<Duration, AmountError> {
    let (number, unit) = split(text)?;
    let seconds_each = match unit {
        "" | "s" | "sec" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        other => return Err(AmountError::Unit(other.to_owned())),
    };
    number
        .checked_mul(seconds_each)
        .filter(|seconds| *seconds <= tessera_model::limits::SECONDS_MAX)
        .map(Duration::from_secs)
        .ok_or_else(|| AmountError::TooLarge(text.to_owned()))
}

/// Reads a size in bytes: a number, or one with `K`, `M`, `G` or `T` (powers of 1024; `KB`, `KiB` and lower case too).
///
/// # Errors
/// When it is no such text or more than fits into 63 bits.
pub fn size(text: &str) -> Result<u64, AmountError> {
    let (number, unit) = split(text)?;
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(AmountError::Unit(unit.to_owned())),
    };
    number
        .checked_mul(1 << shift)
        .filter(|bytes| i64::try_from(*bytes).is_ok())
        .ok_or_else(|| AmountError::TooLarge(text.to_owned()))
}

/// Prints a duration so that [`duration`] reads it back: the largest unit that divides it; part seconds round up.
#[must_use]
pub fn print_duration(duration: Duration) -> String {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    let unit = [(86_400, "d"), (3_600, "h"), (60, "m")];
    match unit
        .into_iter()
        .find(|(each, _)| seconds > 0 && seconds.is_multiple_of(*each))
    {
        Some((each, word)) => format!("{}{word}", seconds / each),
        None => format!("{seconds}s"),
    }
}

/// Prints a size so that [`size`] reads it back: the largest unit that divides it.
#[must_use]
pub fn print_size(bytes: u64) -> String {
    let units = [
        (1 << 40, "T"),
        (1 << 30, "G"),
        (1 << 20, "M"),
        (1 << 10, "K"),
    ];
    match units
        .into_iter()
        .find(|(each, _): &(u64, _)| bytes > 0 && bytes.is_multiple_of(*each))
    {
        Some((each, word)) => format!("{}{word}", bytes / each),
        None => bytes.to_string(),
    }
}

/// Splits a text into its number and the unit behind it.
fn split(text: &str) -> Result<(u64, &str), AmountError> {
    let trimmed = text.trim();
    if trimmed.starts_with('-') {
        return Err(AmountError::Negative(text.to_owned()));
    }
    let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 || trimmed.len() > AMOUNT_BYTES_MAX {
        return Err(AmountError::NoNumber(text.to_owned()));
    }
    let (number, unit) = trimmed.split_at(digits);
    let number = number
        .parse()
        .map_err(|_| AmountError::TooLarge(text.to_owned()))?;
    Ok((number, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_seconds_or_have_a_unit() {
        let cases = [
            ("90", 90),
            ("90s", 90),
            (" 5m ", 300),
            ("2h", 7_200),
            ("1d", 86_400),
            ("3 min", 180),
            ("0", 0),
        ];
        for (text, seconds) in cases {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("-5"), Err(AmountError::Negative("-5".into())));
        assert_eq!(duration("5w"), Err(AmountError::Unit("w".into())));
        assert_eq!(duration("soon"), Err(AmountError::NoNumber("soon".into())));
        assert_eq!(duration("1.5h"), Err(AmountError::Unit(".5h".into())));
        assert_eq!(duration("400d"), Err(AmountError::TooLarge("400d".into())));
        assert!(matches!(
            duration("99999999999999999999"),
            Err(AmountError::TooLarge(_))
        ));
        assert!(matches!(
            duration("18446744073709551615d"),
            Err(AmountError::TooLarge(_))
        ));
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in [
            ("4096", 4096),
            ("64k", 65_536),
            ("256M", 1 << 28),
            ("2GiB", 1 << 31),
            ("1T", 1 << 40),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        assert!(matches!(size("9999999T"), Err(AmountError::TooLarge(_))));
        assert_eq!(size("5X"), Err(AmountError::Unit("X".into())));
    }

    proptest! {
        #[test]
        fn printed_amounts_read_back(seconds in 0..=tessera_model::limits::SECONDS_MAX, bytes in 0..(1_u64 << 62)) {
            let length = Duration::from_secs(seconds);
            prop_assert_eq!(duration(&print_duration(length)), Ok(length));
            prop_assert_eq!(size(&print_size(bytes)), Ok(bytes));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for text in [text, String::from_utf8_lossy(&bytes).into_owned()] {
                let (_, _) = (duration(&text), size(&text));
            }
        }
    }
}
