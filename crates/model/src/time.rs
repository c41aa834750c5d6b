//! Wall time, for people. What is measured or limited uses [`std::time::Duration`] from a monotonic clock instead.

/// Milliseconds since 1970-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Answers the time `milliseconds` later (saturating).
    #[must_use]
    pub fn plus_ms(self, milliseconds: i64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// Answers how long after `earlier` this is, 0 if it is before, in milliseconds.
    #[must_use]
    pub fn since_ms(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

const MINUTE_MS: i64 = 60_000;
const DAY_MINUTES: i64 = 24 * 60;

impl Timestamp {
    /// Prints it as a clock shows it that is `offset` minutes east of UTC: `2026-12-01 09:00 (UTC+01:00)`, or `… UTC`.
    #[must_use]
    pub fn in_words(self, offset: i32) -> String {
        let minutes = self.0.div_euclid(MINUTE_MS).saturating_add(offset.into());
        let (year, month, day) = date(minutes.div_euclid(DAY_MINUTES));
        let of_day = minutes.rem_euclid(DAY_MINUTES);
        let (hour, minute) = (of_day / 60, of_day % 60);
        let zone = match offset {
            0 => "UTC".to_owned(),
            _ => {
                let sign = if offset < 0 { '-' } else { '+' };
                let offset = offset.unsigned_abs();
                format!("(UTC{sign}{:02}:{:02})", offset / 60, offset % 60)
            }
        };
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} {zone}")
    }
}

/// Answers year, month and day of the day that comes so many after 1970-01-01. Eras of 400 years are alike; a year begins in March, so
/// that a leap day is its last.
fn date(days: i64) -> (i64, i64, i64) {
    const ERA: i64 = 146_097;
    let days = days.saturating_add(719_468);
    let (era, of_era) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_as_a_clock_there_shows_them() {
        let at = |ms, offset| Timestamp(ms).in_words(offset);
        assert_eq!(at(0, 0), "1970-01-01 00:00 UTC");
        assert_eq!(at(0, -90), "1969-12-31 22:30 (UTC-01:30)");
        assert_eq!(at(951_782_400_000, 0), "2000-02-29 00:00 UTC");
        assert_eq!(at(951_868_800_000, 330), "2000-03-01 05:30 (UTC+05:30)");
        assert_eq!(at(4_107_542_399_999, 0), "2100-02-28 23:59 UTC");
        assert_eq!(at(4_107_542_400_000, 0), "2100-03-01 00:00 UTC");
        assert!(!at(i64::MAX, 720).is_empty() && !at(i64::MIN, -720).is_empty());
    }
}
