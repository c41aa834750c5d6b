//! Locks of hosts: which of its slots are given no work, who said so, and until when.

use crate::limits::SLOTS_MAX;
use crate::{Timestamp, UserName};
use std::fmt;
use std::str::FromStr;

/// Ranges that one set of slots may have.
pub const SLOT_RANGES_MAX: usize = 64;
/// Characters that somebody may say of why they lock something.
pub const NOTE_CHARS_MAX: usize = 200;
/// The word for all slots.
const ALL: &str = "all";

/// Numbers of slots of a host, from 1; ranges in order that do not touch. A host has only those that it offers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SlotSet(Vec<(u32, u32)>);

/// Why a text names no slots.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSlots {
    /// It names none.
    #[error("no slot is named; write numbers and ranges such as 1-4,7, or all")]
    Empty,
    /// One part is no number or range.
    #[error("\"{0}\" is no slot and no range of slots such as 1-4")]
    NoRange(String),
    /// Its end is before its beginning.
    #[error("the range {0}-{1} ends before it begins")]
    Backwards(u32, u32),
    /// A number that no slot has.
    #[error("slots are numbered from 1 to {SLOTS_MAX}")]
    Number,
    /// More parts than are taken.
    #[error("more than {SLOT_RANGES_MAX} ranges")]
    TooMany,
}

impl SlotSet {
    /// Answers all slots of any host.
    #[must_use]
    pub fn all() -> Self {
        Self(vec![(1, SLOTS_MAX)])
    }

    /// Says whether it is all of them.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0 == [(1, SLOTS_MAX)]
    }

    /// Says whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Says whether it has no more ranges than can be read again.
    #[must_use]
    pub fn is_within_bound(&self) -> bool {
        self.0.len() <= SLOT_RANGES_MAX
    }

    /// Counts those among the first `offered`.
    #[must_use]
    pub fn among(&self, offered: u32) -> u32 {
        let within = self.0.iter().filter(|(from, _)| *from <= offered);
        within.map(|(from, to)| offered.min(*to) - from + 1).sum()
    }

    /// Answers those of both.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        Self::joined(self.0.iter().chain(&other.0).copied().collect())
    }

    /// Answers those that are not of the other.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut left = self.0.clone();
        for (from, to) in &other.0 {
            let cut = |(a, b): (u32, u32)| {
                let before = (a, b.min(from - 1));
                let after = (a.max(to + 1), b);
                [before, after].into_iter().filter(|(a, b)| a <= b)
            };
            left = left.into_iter().flat_map(cut).collect();
        }
        Self(left)
    }

    fn joined(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.sort_unstable();
        let mut joined: Vec<(u32, u32)> = Vec::new();
        for (from, to) in ranges {
            match joined.last_mut() {
                Some((_, last)) if from <= last.saturating_add(1) => *last = to.max(*last),
                _ => joined.push((from, to)),
            }
        }
        Self(joined)
    }
}

impl FromStr for SlotSet {
    type Err = BadSlots;

    fn from_str(text: &str) -> Result<Self, BadSlots> {
        if text.trim() == ALL {
            return Ok(Self::all());
        }
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        if parts.iter().all(|part| part.is_empty()) {
            return Err(BadSlots::Empty);
        }
        if parts.len() > SLOT_RANGES_MAX {
            return Err(BadSlots::TooMany);
        }
        let ranges = parts.into_iter().map(range);
        Ok(Self::joined(ranges.collect::<Result<_, _>>()?))
    }
}

fn range(part: &str) -> Result<(u32, u32), BadSlots> {
    let shown = || BadSlots::NoRange(part.chars().take(32).flat_map(char::escape_debug).collect());
    let number = |text: &str| {
        let text = text.trim();
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !is_number {
            return Err(shown());
        }
        let number = text.parse().ok();
        number
            .filter(|it| (1..=SLOTS_MAX).contains(it))
            .ok_or(BadSlots::Number)
    };
    let (from, to) = match part.split_once('-') {
        Some((from, to)) => (number(from)?, number(to)?),
        None => (number(part)?, number(part)?),
    };
    if from > to {
        return Err(BadSlots::Backwards(from, to));
    }
    Ok((from, to))
}

impl fmt::Display for SlotSet {
    /// Prints `all`, or `1-4,7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str(ALL);
        }
        for (place, (from, to)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            if from == to {
                write!(f, "{comma}{from}")?;
            } else {
                write!(f, "{comma}{from}-{to}")?;
            }
        }
        Ok(())
    }
}

/// A lock that somebody put on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Which slots are given nothing.
    pub slots: SlotSet,
    /// Who said so last; nothing of a lock that an older release kept.
    pub by: Option<UserName>,
    /// When.
    pub at: Timestamp,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    /// Why, in their words.
    pub note: String,
    /// The host is to become empty: that it is so is told.
    pub drains: bool,
}

impl Lock {
    /// Says who locked it, until when and why: `locked by anna until 2026-12-01 08:00 (UTC+01:00): new disks`. `offset` is the
    /// host's, in minutes east of UTC.
    #[must_use]
    pub fn reason(&self, offset: Option<i32>) -> String {
        let mut text = if self.slots.is_all() {
            "locked".to_owned()
        } else {
            format!("slots {} are locked", self.slots)
        };
        if let Some(by) = &self.by {
            text += &format!(" by {by}");
        }
        if let Some(until) = self.until {
            text += &format!(" until {}", until.in_words(offset.unwrap_or(0)));
        }
        if self.drains {
            text += " to be emptied";
        }
        if !self.note.is_empty() {
            text += &format!(": {}", self.note);
        }
        text
    }
}

/// Makes a note fit: without control characters and line ends, and not longer than may be.
#[must_use]
pub fn fit_note(note: &str) -> String {
    let plain = note.chars().map(|c| if c.is_control() { ' ' } else { c });
    let plain: String = plain.collect();
    plain.trim().chars().take(NOTE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> SlotSet {
        text.parse().unwrap_or_else(|bad| panic!("{text}: {bad}"))
    }

    #[test]
    fn slots_are_printed_in_order_and_joined() {
        for (text, printed) in [
            ("all", "all"),
            ("3", "3"),
            (" 1 - 4 , 7 ", "1-4,7"),
            ("7,1-4,5", "1-5,7"),
            ("4096,1-4095", "all"),
            ("2-5,3-4", "2-5"),
        ] {
            assert_eq!(set(text).to_string(), printed, "{text}");
        }
    }

    #[test]
    fn what_names_no_slots_is_said() {
        let wrong = |text: &str| text.parse::<SlotSet>().expect_err(text);
        assert_eq!(wrong(""), BadSlots::Empty);
        assert_eq!(wrong(" , "), BadSlots::Empty);
        assert_eq!(wrong("1,,2"), BadSlots::NoRange(String::new()));
        assert_eq!(wrong("half"), BadSlots::NoRange("half".into()));
        assert_eq!(wrong("+3"), BadSlots::NoRange("+3".into()));
        assert_eq!(wrong("4-1"), BadSlots::Backwards(4, 1));
        for number in ["0", "4097", "99999999999999999999", "0-3"] {
            assert_eq!(wrong(number), BadSlots::Number, "{number}");
        }
        assert_eq!(wrong(&"1,".repeat(70)), BadSlots::TooMany);
    }

    #[test]
    fn a_host_has_only_the_slots_that_it_offers() {
        assert_eq!(set("all").among(8), 8);
        assert_eq!(set("1-4,7").among(8), 5);
        assert_eq!(set("1-4,7").among(3), 3);
        assert_eq!(set("5-9").among(4), 0);
        assert_eq!(SlotSet::default().among(8), 0);
    }

    #[test]
    fn who_locked_it_until_when_and_why_is_said() {
        let mut lock = Lock {
            slots: SlotSet::all(),
            by: Some("anna".parse().expect("a name")),
            at: Timestamp(0),
            until: Some(Timestamp(1_796_112_000_000)),
            note: "new disks".into(),
            drains: false,
        };
        assert_eq!(
            lock.reason(Some(60)),
            "locked by anna until 2026-12-01 09:00 (UTC+01:00): new disks"
        );
        lock.slots = set("1-4");
        (lock.until, lock.drains) = (None, true);
        assert_eq!(
            lock.reason(None),
            "slots 1-4 are locked by anna to be emptied: new disks"
        );
        (lock.by, lock.note, lock.drains) = (None, String::new(), false);
        assert_eq!(lock.reason(None), "slots 1-4 are locked");
        assert_eq!(fit_note(" a\nb\u{7} "), "a b");
        assert_eq!(fit_note(&"x".repeat(900)).len(), NOTE_CHARS_MAX);
    }

    #[test]
    fn sets_do_as_lists_of_numbers_do() {
        let of = |bits: u32| {
            let numbers = (1..=6).filter(|n| bits >> n & 1 == 1);
            SlotSet::joined(numbers.map(|n| (n, n)).collect())
        };
        for (a, b) in (0..64).flat_map(|a| (0..64).map(move |b| (a << 1, b << 1))) {
            let (one, other) = (of(a), of(b));
            assert_eq!(one.with(&other), of(a | b));
            assert_eq!(one.without(&other), of(a & !b), "{one} {other}");
            assert_eq!(one.among(6), a.count_ones());
            if !one.is_empty() {
                assert_eq!(set(&one.to_string()), one);
            }
        }
        let all = SlotSet::all();
        assert_eq!(all.without(&set("3")).to_string(), "1-2,4-4096");
        assert!(all.without(&all).is_empty());
    }
}
