//! Which hosts a section is for: a name, or a range of names such as `render[001-100]`.

use crate::limits::{NAME_BYTES_MAX, NUMBER_MAX};
use std::fmt;
use std::str::FromStr;

/// A host, or a range of hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    before: String,
    /// The range, if there is one.
    range: Option<Range>,
    after: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u64,
    last: u64,
    /// Digits that a number is filled up to with zeros.
    width: usize,
}

/// Why a text is no host and no range of hosts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostPatternError {
    /// Nothing, or too much.
    #[error("the name of a host has 1 to {NAME_BYTES_MAX} characters")]
    Length,
    /// A character that names of hosts don't have.
    #[error("{0:?} can't be in the name of a host: letters, digits, - _ and dots can")]
    Character(char),
    /// A bracket without its other, or a second pair.
    #[error("a range of hosts is written NAME[FIRST-LAST], such as render[001-100]")]
    Form,
    /// The last comes before the first.
    #[error("the range is empty: {1} comes before {0}")]
    Empty(u64, u64),
    /// Too large.
    #[error("numbers in a range go up to {NUMBER_MAX}")]
    TooLarge,
}

impl HostPattern {
    /// Says whether a host is meant, whatever the case of its letters.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let Some(middle) = host
            .strip_prefix(&self.before)
            .and_then(|rest| rest.strip_suffix(&self.after))
        else {
            return false;
        };
        match self.range {
            None => middle.is_empty(),
            Some(range) => range.matches(middle),
        }
    }

    /// Says whether every host of the other is one of this.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self.range, other.range) {
            (_, None) => self.matches(&other.before),
            (None, Some(one)) => one.first == one.last && self.matches(&other.name(one.first)),
            (Some(ours), Some(theirs))
                if self.before == other.before && self.after == other.after =>
            {
                let is_within = ours.first <= theirs.first && theirs.last <= ours.last;
                // Zeros make other names, unless all numbers have as many digits by themselves.
                let is_alike = ours.width == theirs.width
                    || digits(theirs.first) >= ours.width.max(theirs.width);
                is_within && is_alike
            }
            (Some(_), Some(theirs)) => {
                // Brackets at another place: both ends and few between them can be asked one by one.
                let count = theirs.last - theirs.first;
                count < COUNTED_MAX
                    && (theirs.first..=theirs.last).all(|n| self.matches(&other.name(n)))
            }
        }
    }

    fn name(&self, number: u64) -> String {
        let width = self.range.map_or(0, |range| range.width);
        format!("{}{number:0width$}{}", self.before, self.after)
    }
}

/// Hosts of a range that are asked one by one.
const COUNTED_MAX: u64 = 100;

fn digits(number: u64) -> usize {
    number.to_string().len()
}

impl Range {
    fn matches(self, text: &str) -> bool {
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_number);
        number.is_some_and(|number: u64| {
            let width = self.width;
            (self.first..=self.last).contains(&number) && format!("{number:0width$}") == text
        })
    }
}

impl FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return Err(HostPatternError::Length);
        }
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if let Some(found) = text
            .chars()
            .find(|c| !is_of_name(*c) && !matches!(c, '[' | ']'))
        {
            return Err(HostPatternError::Character(found));
        }
        let text = text.to_ascii_lowercase();
        let Some((before, rest)) = text.split_once('[') else {
            return match text.contains(']') {
                true => Err(HostPatternError::Form),
                false => Ok(Self {
                    before: text,
                    range: None,
                    after: String::new(),
                }),
            };
        };
        let (range, after) = rest.split_once(']').ok_or(HostPatternError::Form)?;
        if after.contains(['[', ']']) || before.contains(']') || range.contains('[') {
            return Err(HostPatternError::Form);
        }
        Ok(Self {
            before: before.to_owned(),
            range: Some(range.parse()?),
            after: after.to_owned(),
        })
    }
}

impl FromStr for Range {
    type Err = HostPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, last) = text.split_once('-').ok_or(HostPatternError::Form)?;
        let number = |it: &str| match it.bytes().all(|b| b.is_ascii_digit()) && !it.is_empty() {
            true => it
                .parse()
                .ok()
                .filter(|it| *it <= NUMBER_MAX)
                .ok_or(HostPatternError::TooLarge),
            false => Err(HostPatternError::Form),
        };
        let (start, end): (u64, u64) = (number(first)?, number(last)?);
        if end < start {
            return Err(HostPatternError::Empty(start, end));
        }
        // 001 is filled up to three digits; so is 100 when that is all there is.
        let is_filled = first.len() > 1 && first.starts_with('0');
        Ok(Self {
            first: start,
            last: end,
            width: if is_filled { first.len() } else { 0 },
        })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.before)?;
        if let Some(Range { first, last, width }) = self.range {
            write!(f, "[{first:0width$}-{last:0width$}]")?;
        }
        f.write_str(&self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> HostPattern {
        text.parse().expect(text)
    }

    #[test]
    fn zeros_are_part_of_a_name() {
        for (text, inside, outside) in [
            (
                "render[001-100]",
                &["render001", "render042", "render100", "RENDER007"][..],
                &["render1", "render101", "render0001", "render", "xrender001"][..],
            ),
            (
                "fast[1-100]",
                &["fast1", "fast100"],
                &["fast001", "fast01", "fast101", "fast1x"],
            ),
            (
                "r[08-12].lan",
                &["r08.lan", "r12.lan"],
                &["r8.lan", "r08", "r08xlan"],
            ),
            ("[0-3]", &["0", "3"], &["00", "4", ""]),
            ("ws-mia", &["ws-mia"], &["ws-mia2", "ws"]),
        ] {
            for host in inside {
                assert!(pattern(text).matches(host), "{text} has {host}");
            }
            for host in outside {
                assert!(!pattern(text).matches(host), "{text} has not {host}");
            }
        }
    }

    #[test]
    fn what_covers_another_has_all_its_hosts() {
        for (wide, narrow, is_so) in [
            ("r[1-100]", "r[5-7]", true),
            ("r[1-100]", "r[5-101]", false),
            ("r[001-100]", "r[5-7]", false),
            ("r[001-300]", "r[100-200]", true),
            ("r[1-100]", "r7", true),
            ("r[1-100]", "r007", false),
            ("r7", "r[7-7]", true),
            ("r7", "r[7-8]", false),
            ("r7", "R7", true),
            ("r[10-29]", "r1[0-9]", true),
            ("r[10-18]", "r1[0-9]", false),
        ] {
            assert_eq!(
                pattern(wide).covers(&pattern(narrow)),
                is_so,
                "{wide} {narrow}"
            );
        }
    }

    #[test]
    fn what_is_no_range_says_why() {
        let error = |text: &str| text.parse::<HostPattern>().expect_err(text).to_string();
        assert_eq!(error("a[5-3]"), "the range is empty: 3 comes before 5");
        for text in [
            "a[1",
            "a]1[",
            "a[1]",
            "a[1-2-3]",
            "a[x-y]",
            "a[1-]",
            "a[1-2][3-4]",
            "a[[1-2]]",
            "a]",
        ] {
            assert!(
                error(text).contains("NAME[FIRST-LAST]"),
                "{text}: {}",
                error(text)
            );
        }
        assert!(error("a b").contains("' ' can't be"));
        assert!(error("a[1-9999999999]").contains("999999999"));
        assert!(error("").contains("1 to 255"));
        assert!(error(&"a".repeat(NAME_BYTES_MAX + 1)).contains("1 to 255"));
    }

    proptest! {
        #[test]
        fn printed_patterns_read_back(text in "[a-c]{0,2}(\\[0{0,2}[0-9]{1,2}-[0-9]{1,3}\\])?[a-c.]{0,2}") {
            if let Ok(read) = text.parse::<HostPattern>() {
                prop_assert_eq!(read.to_string().parse(), Ok(read));
            }
        }

        #[test]
        fn covering_is_having_all(a in 0..30_u64, b in 0..30_u64, c in 0..30_u64, d in 0..30_u64, zeros: [bool; 2]) {
            let range = |from: u64, to: u64, zeros: bool| {
                let (from, to) = (from.min(to), from.max(to));
                pattern(&if zeros { format!("r[{from:02}-{to:02}]") } else { format!("r[{from}-{to}]") })
            };
            let (one, other) = (range(a, b, zeros[0]), range(c, d, zeros[1]));
            let hosts = (c.min(d)..=c.max(d)).map(|n| other.name(n));
            prop_assert_eq!(one.covers(&other), hosts.into_iter().all(|host| one.matches(&host)));
        }
    }
}
