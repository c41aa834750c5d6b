//! What a replay of a farm is asked for: its times are those of who asks.

use super::Context;
use crate::args::BenchReplayArgs;
use crate::daemon::FarmReplayOptions;
use crate::error::CliError;
use crate::out::{Look, text};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};

/// Reads the times.
pub(super) fn asked(
    args: BenchReplayArgs,
    context: &Context,
) -> Result<FarmReplayOptions, CliError> {
    let at = |name: &str, text: &Option<String>| {
        let text = text.as_deref();
        text.map(|text| moment(&context.look, name, text))
            .transpose()
    };
    Ok(FarmReplayOptions {
        from_ms: at("--from", &args.from)?,
        to_ms: at("--to", &args.to)?,
        json: context.json,
        args,
    })
}

/// Reads a day, a day with a time, both in the zone of who asks, or a moment with its own zone; in milliseconds since 1970.
fn moment(look: &Look, name: &str, text: &str) -> Result<i64, CliError> {
    let wrong = |why: String| {
        CliError::usage(format!("{name} {}: {why}", text::safe(text)))
            .hint("a time is written 2026-12-24, '2026-12-24 18:00' or 2026-12-24T17:00:00Z")
    };
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment.as_millisecond());
    }
    let day = text.parse::<DateTime>();
    let day = day.or_else(|error| match text.parse::<Date>() {
        Ok(day) => Ok(day.to_datetime(jiff::civil::Time::midnight())),
        Err(_) => Err(error),
    });
    let day = day.map_err(|_| wrong("that is no time".to_owned()))?;
    let at = day.to_zoned(look.zone.clone());
    let at = at.map_err(|error| wrong(error.to_string()))?;
    Ok(at.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_who_asks() {
        let look = Look {
            width: None,
            colour: false,
            now_ms: 0,
            zone: jiff::tz::TimeZone::fixed(jiff::tz::offset(1)),
        };
        let at = |text: &str| moment(&look, "--from", text).ok();
        assert_eq!(at("2026-11-30"), Some(1_795_993_200_000));
        assert_eq!(at("2026-11-30 01:00"), Some(1_795_996_800_000));
        assert_eq!(at("2026-11-30T00:00:00Z"), at("2026-11-30 01:00"));
        for wrong in ["", "18:00", "yesterday", "2026-13-01", "2026-11-30 25:00"] {
            let error = moment(&look, "--from", wrong).expect_err(wrong);
            assert!(format!("{error:?}").contains("--from"), "{error:?}");
        }
    }
}
