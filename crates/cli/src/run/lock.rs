//! Commands that lock, unlock and empty hosts.

use super::Context;
use super::farm::{HostChange, change_hosts};
use crate::Exit;
use crate::args::{DrainArgs, LockArgs, LockHow, UnlockArgs};
use crate::error::CliError;
use crate::out::{Look, text};
use jiff::civil::{DateTime, Time};
use jiff::{Timestamp, ToSpan as _};
use std::time::Duration;
use tessera_api::Client;
use tessera_api::types::{CalendarRequest, LockRequest, UnlockRequest, WhileActive};
use tessera_model::SlotSet;
use tessera_model::week::LockCalendar;
use tessera_spec::quantity;
use tokio::time::{Instant, sleep};

/// How often it is looked whether a host is empty.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Locks hosts: some slots, for a while, at hours of the week, or while somebody is active there.
pub(super) async fn lock(args: LockArgs, context: &Context) -> Result<Exit, CliError> {
    let change = if args.while_active {
        HostChange::LockWhileActive(WhileActive {
            idle_seconds: args.idle_minutes.map(|minutes| u64::from(minutes) * 60),
            running: args.running.map(|it| it.word().to_owned()),
        })
    } else if let Some(calendar) = args.weekly {
        HostChange::Calendar(calendar_of(calendar)?)
    } else {
        HostChange::Lock(request(&context.look, args.how, false)?)
    };
    change_hosts(change, args.hosts, context).await
}

/// Unlocks hosts, or some of their slots.
pub(super) async fn unlock(args: UnlockArgs, context: &Context) -> Result<Exit, CliError> {
    let slots = args.slots.map(|slots| checked_slots(&slots)).transpose()?;
    change_hosts(
        HostChange::Unlock(UnlockRequest { slots }),
        args.hosts,
        context,
    )
    .await
}

/// Locks hosts so that they become empty, and waits for that if it is asked to.
pub(super) async fn drain(args: DrainArgs, context: &Context) -> Result<Exit, CliError> {
    let how = LockHow {
        purge: args.purge,
        note: args.note,
        ..LockHow::default()
    };
    let timeout = args.timeout.as_deref().map(quantity::duration).transpose();
    let timeout = timeout.map_err(|error| {
        CliError::usage(format!("--timeout: {error}")).hint("a time is written 90s, 5m or 2h")
    })?;
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let change = HostChange::Lock(request(&context.look, how, true)?);
    let exit = change_hosts(change, args.hosts.clone(), context).await?;
    if !args.wait || exit != Exit::Done {
        return Ok(exit);
    }
    let client = context.client()?;
    for host in &args.hosts {
        if !is_empty_in_time(&client, host, deadline, context).await? {
            return Ok(Exit::TimedOut);
        }
        if !context.json {
            context.print(&format!("{} is empty\n", text::safe(host)))?;
        }
    }
    Ok(Exit::Done)
}

/// Waits until nothing runs on a host; says whether that was in time.
async fn is_empty_in_time(
    client: &Client,
    host: &str,
    deadline: Option<Instant>,
    context: &Context,
) -> Result<bool, CliError> {
    let mut told = 0;
    loop {
        let left = client.host(host).await?.running.len();
        if left == 0 {
            return Ok(true);
        }
        if left != told {
            let noun = if left == 1 { "instance" } else { "instances" };
            let wait = format!("waiting for {left} {noun} on {host}");
            context.note("waiting", &wait);
            told = left;
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(false);
        }
        sleep(LOOK_EVERY).await;
    }
}

fn request(look: &Look, how: LockHow, drain: bool) -> Result<LockRequest, CliError> {
    let until = match (&how.for_, &how.until) {
        (Some(length), _) => Some(after(look, length)?),
        (None, Some(when)) => Some(when_of(look, when)?),
        (None, None) => None,
    };
    Ok(LockRequest {
        slots: how.slots.map(|slots| checked_slots(&slots)).transpose()?,
        until_ms: until,
        note: how.note,
        purge: how.purge,
        drain,
    })
}

fn checked_slots(text: &str) -> Result<String, CliError> {
    let slots: Result<SlotSet, _> = text.parse();
    let slots = slots.map_err(|error| CliError::usage(format!("--slots: {error}")))?;
    Ok(slots.to_string())
}

fn calendar_of(text: String) -> Result<CalendarRequest, CliError> {
    if !text.trim().is_empty() {
        let read: Result<LockCalendar, _> = text.parse();
        read.map_err(|error| CliError::usage(format!("--weekly: {error}")))?;
    }
    Ok(CalendarRequest { calendar: text })
}

fn after(look: &Look, length: &str) -> Result<i64, CliError> {
    let length = quantity::duration(length).map_err(|error| {
        CliError::usage(format!("--for: {error}")).hint("a time is written 90m, 2h or 3d")
    })?;
    let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
    Ok(look.now_ms.saturating_add(length))
}

/// Reads a time of day, the next one of its kind, or a day with a time, in the zone of who asks.
fn when_of(look: &Look, text: &str) -> Result<i64, CliError> {
    let wrong = |why: String| {
        CliError::usage(format!("--until {}: {why}", text::safe(text)))
            .hint("a time is written '18:00' or '2026-12-24 18:00'")
    };
    let now = Timestamp::from_millisecond(look.now_ms).map_err(|error| wrong(error.to_string()))?;
    let now = now.to_zoned(look.zone.clone());
    let at = match (text.parse::<Time>(), text.parse::<DateTime>()) {
        (_, Ok(day)) if text.contains('-') => day.to_zoned(look.zone.clone()),
        (Ok(time), _) => {
            let today = now.date().to_datetime(time).to_zoned(look.zone.clone());
            match today {
                Ok(today) if today <= now => today.checked_add(1.day()),
                other => other,
            }
        }
        (Err(_), _) => return Err(wrong("that is no time".to_owned())),
    };
    let at = at.map_err(|error| wrong(error.to_string()))?;
    if at <= now {
        return Err(wrong("that time is over".to_owned()));
    }
    Ok(at.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday, 2026-11-30 09:30 in a zone an hour east of UTC.
    fn look() -> Look {
        Look {
            width: None,
            colour: false,
            now_ms: 1_796_027_400_000,
            zone: jiff::tz::TimeZone::fixed(jiff::tz::offset(1)),
        }
    }

    #[test]
    fn times_are_those_of_who_asks() {
        let hours = |n: i64| look().now_ms + n * 3_600_000;
        let at = |text: &str| when_of(&look(), text).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(at("10:30"), hours(1));
        assert_eq!(at("09:30"), hours(24));
        assert_eq!(at("2026-12-01 09:30"), hours(24));
        assert_eq!(at("2026-12-01T09:30"), hours(24));
        for wrong in ["", "soon", "25:00", "2026-11-30 09:30", "2026-13-01 09:00"] {
            assert!(when_of(&look(), wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_wrong_word_is_found_before_anything_is_asked() {
        let how = |slots: &str, length: &str| LockHow {
            slots: Some(slots.to_owned()),
            for_: Some(length.to_owned()),
            ..LockHow::default()
        };
        let read = request(&look(), how("4,1-3", "2h"), true).expect("is right");
        assert_eq!(read.slots.as_deref(), Some("1-4"));
        assert_eq!(read.until_ms, Some(look().now_ms + 7_200_000));
        assert!(read.drain && !read.purge);
        assert!(request(&look(), how("0", "2h"), false).is_err());
        assert!(request(&look(), how("1", "2 moons"), false).is_err());
        assert!(calendar_of("mon 9-18".into()).is_ok() && calendar_of(" ".into()).is_ok());
        let error = calendar_of("monday".into()).expect_err("is wrong");
        assert!(
            error.message.starts_with("--weekly: \"monday\""),
            "{error:?}"
        );
    }
}
