//! The time zone of this host: how far its clock is from UTC, which the calendar of its locks goes by.

use crate::os;

/// Answers how many minutes the host's clock is east of UTC now, as a number; empty where that can't be known.
pub(crate) fn utc_offset() -> String {
    match jiff::Timestamp::from_millisecond(os::wall().0) {
        Ok(now) => offset_in(&jiff::tz::TimeZone::system(), now),
        Err(_) => String::new(),
    }
}

fn offset_in(zone: &jiff::tz::TimeZone, at: jiff::Timestamp) -> String {
    (zone.to_offset(at).seconds() / 60).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_follows_summer_time() {
        let zone = jiff::tz::TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone");
        let at = |text: &str| offset_in(&zone, text.parse().expect("a time"));
        assert_eq!(at("2026-03-29T00:59:00Z"), "60");
        assert_eq!(at("2026-03-29T01:00:00Z"), "120");
        let west = jiff::tz::TimeZone::posix("<-0330>3:30").expect("a zone");
        assert_eq!(offset_in(&west, jiff::Timestamp::UNIX_EPOCH), "-210");
        assert!(utc_offset().parse::<i32>().is_ok());
    }
}
