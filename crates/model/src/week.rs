//! The weekly calendar of a host: at which hours which of its slots are given no work.
//!
//! As it is written: `mon-fri 09:00-18:00; sat,sun 10:00-14:00 slots 1-4 purge`. A time of the week is that of the host's own clock,
//! of which the worker tells how far it is from UTC.

use crate::Timestamp;
use crate::lock::{BadSlots, SlotSet};
use std::fmt;
use std::str::FromStr;

/// The property of a host that says how many minutes its clock is east of UTC.
pub const UTC_OFFSET_PROPERTY: &str = "host.utc_offset";
/// The property of a host that has its configuration's calendar.
pub const LOCK_SCHEDULE_PROPERTY: &str = "host.lock_schedule";

/// Times that one calendar may have.
pub const SPANS_MAX: usize = 64;
/// Bytes of a calendar as it is written.
pub const CALENDAR_BYTES_MAX: usize = 4 * 1024;
/// The greatest distance of a clock from UTC, in minutes.
pub const OFFSET_MAX: i32 = 18 * 60;

const DAY: u32 = 24 * 60;
const WEEK: u32 = 7 * DAY;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A minute of the week, 0 at the beginning of Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WeekTime(u32);

impl WeekTime {
    /// Answers what a clock shows that is `offset` minutes east of UTC.
    #[must_use]
    pub fn of(at: Timestamp, offset: i32) -> Self {
        // 1970 began on a Thursday.
        let minutes = at.0.div_euclid(60_000) + i64::from(offset) + i64::from(3 * DAY);
        Self(u32::try_from(minutes.rem_euclid(i64::from(WEEK))).unwrap_or(0))
    }

    fn plus(self, minutes: u32) -> Self {
        Self((self.0 + minutes) % WEEK)
    }
}

impl fmt::Display for WeekTime {
    /// Prints `Mon 09:00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = DAYS[(self.0 / DAY) as usize % 7];
        let (first, rest) = day.split_at(1);
        let minute = self.0 % DAY;
        let first = first.to_ascii_uppercase();
        write!(f, "{first}{rest} {:02}:{:02}", minute / 60, minute % 60)
    }
}

/// When a host locks itself, week after week.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LockCalendar(Vec<Span>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Span {
    /// Monday is the first.
    days: [bool; 7],
    /// Minutes of the day; an end that is not after the beginning is on the next day.
    from: u32,
    to: u32,
    slots: SlotSet,
    purges: bool,
}

/// What a calendar says of a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The slots that are locked then.
    pub slots: SlotSet,
    /// Those of them in which what runs is put back at once.
    pub purged: SlotSet,
    /// After how many minutes it may say something else.
    pub changes_in: u32,
    /// Until when of the week all that is locked then stays so.
    pub until: WeekTime,
}

/// Why a text is no calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCalendar {
    /// It says nothing.
    #[error("it has no time; write such as mon-fri 09:00-18:00")]
    Empty,
    /// It is too long.
    #[error("it has more than {SPANS_MAX} times or {CALENDAR_BYTES_MAX} bytes")]
    TooLong,
    /// No days.
    #[error("\"{0}\" are no days of the week; write such as mon-fri, sat,sun or daily")]
    Days(String),
    /// No hours.
    #[error("\"{0}\" are no hours; write such as 09:00-18:00 or 9-18, up to 24:00")]
    Hours(String),
    /// They end when they begin.
    #[error("\"{0}\" end when they begin; without hours the whole day is meant")]
    NoTime(String),
    /// No slots.
    #[error("{0}")]
    Slots(#[from] BadSlots),
    /// A word that means nothing.
    #[error("\"{0}\" means nothing here; after the hours there may be slots 1-4, and purge")]
    Word(String),
}

impl LockCalendar {
    /// Answers what it says of a moment.
    #[must_use]
    pub fn at(&self, now: WeekTime) -> Said {
        let mut said = Said {
            slots: SlotSet::default(),
            purged: SlotSet::default(),
            changes_in: WEEK,
            until: now,
        };
        let ahead = |minute: u32| match (minute + WEEK - now.0) % WEEK {
            0 => WEEK,
            n => n,
        };
        let mut first_end = WEEK;
        for (span, begin, end) in self.times() {
            said.changes_in = said.changes_in.min(ahead(begin)).min(ahead(end % WEEK));
            let since = (now.0 + WEEK - begin) % WEEK;
            if since < end - begin {
                said.slots = said.slots.with(&span.slots);
                if span.purges {
                    said.purged = said.purged.with(&span.slots);
                }
                first_end = first_end.min(end - begin - since);
            }
        }
        said.until = now.plus(first_end);
        said
    }

    /// All times with minutes of the week when they begin and end; an end may be in the next week.
    fn times(&self) -> impl Iterator<Item = (&Span, u32, u32)> {
        let of = |span: &Span| {
            let length = match span.to > span.from {
                true => span.to - span.from,
                false => span.to + DAY - span.from,
            };
            let (days, from) = (span.days, span.from);
            let on = (0..7_u32).filter(move |day| days[*day as usize]);
            on.map(move |day| (day * DAY + from, day * DAY + from + length))
        };
        self.0
            .iter()
            .flat_map(move |span| of(span).map(move |(begin, end)| (span, begin, end)))
    }
}

impl FromStr for LockCalendar {
    type Err = BadCalendar;

    fn from_str(text: &str) -> Result<Self, BadCalendar> {
        let parts: Vec<&str> = text.split(';').map(str::trim).collect();
        let parts: Vec<&str> = parts.into_iter().filter(|it| !it.is_empty()).collect();
        match parts.len() {
            0 => Err(BadCalendar::Empty),
            n if n > SPANS_MAX || text.len() > CALENDAR_BYTES_MAX => Err(BadCalendar::TooLong),
            _ => {
                let spans = parts.into_iter().map(span).collect::<Result<_, _>>();
                let calendar = Self(spans?);
                // What is kept is what is printed, which may be longer, and has to be read again.
                if calendar.to_string().len() > CALENDAR_BYTES_MAX {
                    return Err(BadCalendar::TooLong);
                }
                Ok(calendar)
            }
        }
    }
}

fn shown(text: &str) -> String {
    text.chars().take(32).flat_map(char::escape_debug).collect()
}

fn span(text: &str) -> Result<Span, BadCalendar> {
    let lower = text.to_ascii_lowercase();
    let mut words = lower.split_whitespace().peekable();
    let mut span = Span {
        days: days(words.next().unwrap_or_default())?,
        from: 0,
        to: DAY,
        slots: SlotSet::all(),
        purges: false,
    };
    let is_time = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    if let Some(word) = words.next_if(is_time) {
        (span.from, span.to) = hours(word)?;
    }
    while let Some(word) = words.next() {
        match word {
            "slots" => span.slots = words.next().unwrap_or_default().parse()?,
            "purge" => span.purges = true,
            other => return Err(BadCalendar::Word(shown(other))),
        }
    }
    Ok(span)
}

fn days(text: &str) -> Result<[bool; 7], BadCalendar> {
    let wrong = || BadCalendar::Days(shown(text));
    let day = |word: &str| DAYS.iter().position(|it| *it == word).ok_or_else(wrong);
    if text == "daily" {
        return Ok([true; 7]);
    }
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let length = (last + 7 - first) % 7;
        (first..=first + length).for_each(|it| days[it % 7] = true);
    }
    Ok(days)
}

fn hours(text: &str) -> Result<(u32, u32), BadCalendar> {
    let wrong = || BadCalendar::Hours(shown(text));
    let number = |text: &str| {
        let is_number =
            !text.is_empty() && text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| text.parse::<u32>().ok()).flatten()
    };
    let minute = |text: &str| {
        let (hour, minute) = text.split_once(':').unwrap_or((text, "00"));
        let (hour, minute) = (number(hour)?, number(minute)?);
        let all = hour * 60 + minute;
        (minute < 60 && all <= DAY).then_some(all)
    };
    let (from, to) = text.split_once('-').ok_or_else(wrong)?;
    let (from, to) = (
        minute(from).ok_or_else(wrong)?,
        minute(to).ok_or_else(wrong)?,
    );
    if from % DAY == to % DAY && !(from == 0 && to == DAY) {
        return Err(BadCalendar::NoTime(shown(text)));
    }
    Ok((from % DAY, to))
}

impl fmt::Display for LockCalendar {
    /// Prints it so that it is read back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, span) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("; ")?;
            }
            span.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days == [true; 7] {
            f.write_str("daily")?;
        } else {
            let named = DAYS.iter().zip(self.days);
            let named: Vec<&str> = named.filter(|(_, is)| *is).map(|(name, _)| *name).collect();
            f.write_str(&named.join(","))?;
        }
        if (self.from, self.to) != (0, DAY) {
            let clock = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
            write!(f, " {}-{}", clock(self.from), clock(self.to))?;
        }
        if !self.slots.is_all() {
            write!(f, " slots {}", self.slots)?;
        }
        if self.purges {
            f.write_str(" purge")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(text: &str) -> LockCalendar {
        text.parse().unwrap_or_else(|bad| panic!("{text}: {bad}"))
    }

    fn time(text: &str) -> WeekTime {
        let (day, clock) = text.split_once(' ').expect("two words");
        let day = DAYS.iter().position(|it| *it == day).expect("a day");
        let (from, _) = hours(&format!("{clock}-24:00")).expect("a time");
        WeekTime(u32::try_from(day).expect("few") * DAY + from)
    }

    #[test]
    fn it_says_which_slots_are_locked_and_until_when() {
        let it = calendar("mon-fri 09:00-18:00; fri 22-6 slots 1-4 purge; sat 2-5; sun");
        for (now, slots, purged, until, changes_in) in [
            ("mon 08:59", "", "", "", 1),
            ("mon 09:00", "all", "", "Mon 18:00", 9 * 60),
            ("fri 17:59", "all", "", "Fri 18:00", 1),
            ("fri 18:00", "", "", "", 4 * 60),
            ("fri 23:00", "1-4", "1-4", "Sat 06:00", 3 * 60),
            ("sat 02:00", "all", "1-4", "Sat 05:00", 3 * 60),
            ("sat 05:59", "1-4", "1-4", "Sat 06:00", 1),
            ("sat 06:00", "", "", "", 18 * 60),
            ("sun 23:30", "all", "", "Mon 00:00", 30),
        ] {
            let said = it.at(time(now));
            assert_eq!(said.slots.to_string(), slots, "{now}");
            assert_eq!(said.purged.to_string(), purged, "{now}");
            assert_eq!(said.changes_in, changes_in, "{now}");
            if !slots.is_empty() {
                assert_eq!(said.until.to_string(), until, "{now}");
            }
        }
        // Over the end of the week.
        let it = calendar("sun 20:00-04:00");
        assert!(it.at(time("mon 03:59")).slots.is_all());
        assert!(it.at(time("mon 04:00")).slots.is_empty());
        // Without end.
        let always = calendar("daily").at(time("wed 12:00"));
        assert!(always.slots.is_all() && always.changes_in == 12 * 60);
    }

    #[test]
    fn it_is_printed_so_that_it_reads_back() {
        for (text, printed) in [
            ("mon-fri 9-18", "mon,tue,wed,thu,fri 09:00-18:00"),
            ("SAT-MON", "mon,sat,sun"),
            ("daily 0-24 ; ;", "daily"),
            (
                "tue 22:30-00:15 purge slots 2,1",
                "tue 22:30-00:15 slots 1-2 purge",
            ),
            ("wed 18-24:00; wed 24-8", "wed 18:00-24:00; wed 00:00-08:00"),
        ] {
            let read = calendar(text);
            assert_eq!(read.to_string(), printed, "{text}");
            assert_eq!(calendar(printed), read);
        }
    }

    #[test]
    fn what_is_wrong_with_it_is_said() {
        let wrong = |text: &str| text.parse::<LockCalendar>().expect_err(text).to_string();
        for (text, part) in [
            ("", "it has no time"),
            (" ; ", "it has no time"),
            ("monday 9-18", "\"monday\" are no days"),
            ("mon- 9-18", "no days"),
            ("9-18", "\"9-18\" are no days"),
            ("mon 9", "\"9\" are no hours"),
            ("mon 9-25", "no hours"),
            ("mon 9:60-10", "no hours"),
            ("mon 009-10", "no hours"),
            ("mon 24:01-3", "no hours"),
            ("mon 9-9:00", "end when they begin"),
            ("mon 0-0", "end when they begin"),
            ("mon 9-18 slots", "no slot is named"),
            ("mon 9-18 slots 0", "numbered from 1"),
            ("mon 9-18 gently", "\"gently\" means nothing here"),
            ("mon 9-18 10-12", "\"10-12\" means nothing here"),
        ] {
            assert!(wrong(text).contains(part), "{text}: {}", wrong(text));
        }
        assert!(wrong(&"mon;".repeat(65)).contains("more than"));
        assert!(wrong(&format!("mon {}", " ".repeat(5000))).contains("more than"));
        // What is kept is longer than what was written, and must be read again.
        let short = "mon-sat 0-1 slots 1,3,5,7,9,11,13,15,17,19;".repeat(64);
        assert!(short.len() < CALENDAR_BYTES_MAX && wrong(&short).contains("more than"));
    }

    #[test]
    fn the_time_is_that_of_the_hosts_own_clock() {
        // 2026-11-30, a Monday, 08:30 UTC.
        let at = Timestamp(1_796_027_400_000);
        for (offset, shown) in [(0, "Mon 08:30"), (60, "Mon 09:30"), (-540, "Sun 23:30")] {
            assert_eq!(WeekTime::of(at, offset).to_string(), shown);
        }
        assert_eq!(WeekTime::of(Timestamp(-60_000), 0).to_string(), "Wed 23:59");
        let _no_panic = WeekTime::of(Timestamp(i64::MIN), OFFSET_MAX);
    }
}
