//! Times and amounts as people read them.

use super::Look;
use jiff::Timestamp;

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Prints a length of time: `0.35s`, `12s`, `3m 05s`, `2h 10m`, `4d 03h`.
#[must_use]
pub fn length(ms: u64) -> String {
    if ms < 10 * SECOND_MS {
        let hundredths = (ms + 5) / 10;
        return format!("{}.{:02}s", hundredths / 100, hundredths % 100);
    }
    if ms < MINUTE_MS {
        return format!("{}s", ms / SECOND_MS);
    }
    if ms < HOUR_MS {
        return format!("{}m {:02}s", ms / MINUTE_MS, ms % MINUTE_MS / SECOND_MS);
    }
    if ms < DAY_MS {
        return format!("{}h {:02}m", ms / HOUR_MS, ms % HOUR_MS / MINUTE_MS);
    }
    format!("{}d {:02}h", ms / DAY_MS, ms % DAY_MS / HOUR_MS)
}

/// Prints how long ago something was, in one unit: `now`, `12s ago`, `5m ago`, `3h ago`, `9d ago`.
#[must_use]
pub fn ago(look: &Look, at_ms: i64) -> String {
    let ms = since(look, at_ms);
    match ms {
        0..2_000 => "now".to_owned(),
        _ if ms < MINUTE_MS => format!("{}s ago", ms / SECOND_MS),
        _ if ms < HOUR_MS => format!("{}m ago", ms / MINUTE_MS),
        _ if ms < 2 * DAY_MS => format!("{}h ago", ms / HOUR_MS),
        _ => format!("{}d ago", ms / DAY_MS),
    }
}

/// Prints in how long something will be: `in 12s`; `now` when it is past.
#[must_use]
pub fn until(look: &Look, at_ms: i64) -> String {
    match u64::try_from(at_ms.saturating_sub(look.now_ms)) {
        Ok(ms) if ms > 0 => format!("in {}", length(ms)),
        _ => "now".to_owned(),
    }
}

/// Answers the milliseconds since then, 0 when it is to come.
#[must_use]
pub fn since(look: &Look, at_ms: i64) -> u64 {
    u64::try_from(look.now_ms.saturating_sub(at_ms)).unwrap_or(0)
}

/// Prints a time with its day: `2026-11-23 14:03:05`.
#[must_use]
pub fn day_and_time(look: &Look, at_ms: i64) -> String {
    formatted(look, at_ms, "%Y-%m-%d %H:%M:%S")
}

/// Prints a time of today with milliseconds, another with its day: `14:03:05.123`, `11-22 14:03:05`.
#[must_use]
pub fn clock(look: &Look, at_ms: i64) -> String {
    let day = |ms| formatted(look, ms, "%Y-%m-%d");
    if day(at_ms) == day(look.now_ms) {
        formatted(look, at_ms, "%H:%M:%S%.3f")
    } else {
        formatted(look, at_ms, "%m-%d %H:%M:%S")
    }
}

/// Prints a time of today to the minute, another with its day: `14:20`, `11-22 14:20`.
#[must_use]
pub fn minute(look: &Look, at_ms: i64) -> String {
    let day = |ms| formatted(look, ms, "%Y-%m-%d");
    if day(at_ms) == day(look.now_ms) {
        formatted(look, at_ms, "%H:%M")
    } else {
        formatted(look, at_ms, "%m-%d %H:%M")
    }
}

fn formatted(look: &Look, at_ms: i64, format: &str) -> String {
    match Timestamp::from_millisecond(at_ms) {
        Ok(time) => time
            .to_zoned(look.zone.clone())
            .strftime(format)
            .to_string(),
        Err(_) => "?".to_owned(),
    }
}

/// Prints a size: `512 B`, `4.0 KiB`, `1.5 GiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = "B";
    for next in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = next;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// Prints a count with its noun: `1 frame`, `3 frames`.
#[must_use]
pub fn count(n: u64, noun: &str) -> String {
    if n == 1 {
        format!("1 {noun}")
    } else {
        format!("{n} {noun}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_two_units_at_most() {
        let cases = [
            (0, "0.00s"),
            (345, "0.35s"),
            (9_994, "9.99s"),
            (12_900, "12s"),
            (185_000, "3m 05s"),
            (7_800_000, "2h 10m"),
            (4 * DAY_MS + 3 * HOUR_MS, "4d 03h"),
        ];
        for (ms, text) in cases {
            assert_eq!(length(ms), text);
        }
    }

    #[test]
    fn sizes_have_one_digit() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (4096, "4.0 KiB"),
            (3 << 29, "1.5 GiB"),
            (u64::MAX, "16383.9 PiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn times_are_shown_in_the_zone() {
        let look = Look {
            width: None,
            colour: false,
            now_ms: 1_795_413_785_123,
            zone: jiff::tz::TimeZone::UTC,
        };
        assert_eq!(day_and_time(&look, look.now_ms), "2026-11-23 06:03:05");
        assert_eq!(clock(&look, look.now_ms), "06:03:05.123");
        assert_eq!(clock(&look, look.now_ms - 86_400_000), "11-22 06:03:05");
        assert_eq!(clock(&look, i64::MAX), "?");
        assert_eq!(ago(&look, look.now_ms - 65_000), "1m ago");
        assert_eq!(until(&look, look.now_ms + 3_000), "in 3.00s");
    }
}
