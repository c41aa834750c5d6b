//! How quickly instances may start: `5/s`, `10/min`, `3/30s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Most starts that a rate may name.
pub const STARTS_MAX: u32 = 1_000;
/// Longest time that a rate may be about.
pub const PERIOD_MAX: Duration = Duration::from_secs(3_600);
/// Units, with their seconds; the longest that divides a period is printed.
const UNITS: [(&str, u64); 3] = [("h", 3_600), ("min", 60), ("s", 1)];

/// No more than so many starts within any time of that length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StartRate {
    starts: u32,
    period: Duration,
}

/// Why a text is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{}\" is no rate: N/s, N/min, N/h or N/30s, with 1 to {STARTS_MAX} starts within 1 second to 1 hour",
    text.escape_debug()
)]
pub struct BadRate {
    /// What was given, cut to 40 characters.
    pub text: String,
}

impl StartRate {
    /// Answers how many may start.
    #[must_use]
    pub fn starts(self) -> usize {
        self.starts as usize
    }

    /// Answers within which time.
    #[must_use]
    pub fn period(self) -> Duration {
        self.period
    }

    fn read(text: &str) -> Option<Self> {
        let (starts, period) = text.split_once('/')?;
        let digits = period.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = period.split_at(digits);
        let number: u64 = if number.is_empty() { 1 } else { whole(number)? };
        let unit = if unit == "m" { "min" } else { unit };
        let (_, each) = UNITS.iter().find(|(word, _)| *word == unit)?;
        let rate = Self {
            starts: u32::try_from(whole(starts)?).ok()?,
            period: Duration::from_secs(number.checked_mul(*each)?),
        };
        let is_bounded = (1..=STARTS_MAX).contains(&rate.starts)
            && (Duration::from_secs(1)..=PERIOD_MAX).contains(&rate.period);
        is_bounded.then_some(rate)
    }
}

/// Reads digits and nothing else.
fn whole(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

impl FromStr for StartRate {
    type Err = BadRate;

    fn from_str(text: &str) -> Result<Self, BadRate> {
        Self::read(text.trim()).ok_or_else(|| BadRate {
            text: text.chars().take(40).collect(),
        })
    }
}

impl fmt::Display for StartRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.period.as_secs();
        let divides = |(_, each): &&(&str, u64)| seconds.is_multiple_of(*each);
        let (unit, each) = UNITS.iter().find(divides).unwrap_or(&UNITS[2]);
        match seconds / each {
            1 => write!(f, "{}/{unit}", self.starts),
            number => write!(f, "{}/{number}{unit}", self.starts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_back_what_they_print() {
        for (text, printed, starts, seconds) in [
            ("5/s", "5/s", 5, 1),
            (" 10/min ", "10/min", 10, 60),
            ("10/m", "10/min", 10, 60),
            ("3/30s", "3/30s", 3, 30),
            ("3/90s", "3/90s", 3, 90),
            ("1/120s", "1/2min", 1, 120),
            ("1000/1h", "1000/h", 1_000, 3_600),
            ("7/3600s", "7/h", 7, 3_600),
        ] {
            let rate: StartRate = text.parse().expect(text);
            assert_eq!(rate.to_string(), printed);
            assert_eq!((rate.starts(), rate.period().as_secs()), (starts, seconds));
            assert_eq!(printed.parse(), Ok(rate));
        }
        for bad in [
            "",
            "5",
            "/s",
            "5/",
            "0/s",
            "1001/s",
            "5/0s",
            "5/3601s",
            "5/2h",
            "5/d",
            "-5/s",
            "+5/s",
            "5/ s",
            "5 /s",
            "5/+3s",
            "5/s/s",
            "1e3/s",
            "5/99999999999999999999s",
            "٥/s",
        ] {
            let said = bad.parse::<StartRate>().expect_err(bad).to_string();
            assert!(said.contains("N/min"), "{said}");
        }
    }
}
