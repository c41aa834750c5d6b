//! When a launch was suspended, in the file `pauses` of its directory: a worker that takes it over knows from it what does
//! not count towards its limits.
//!
//! A line has when a pause began and, once it is over, when it ended: milliseconds of [`awake`], so they say something
//! only until the host is started anew, which nothing outlives that was suspended.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::os::{self, awake};

const NAME: &str = "pauses";
/// Written first and then put in its place, so that the file is always whole.
const NAME_NEW: &str = "pauses.new";
/// Pauses that are told apart; with more the two oldest become one.
const PAUSES_MAX: usize = 256;
const BYTES_MAX: u64 = 64 * 1024;

/// One time that the launch was suspended, on the clock of [`awake`], in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pause {
    from: u64,
    to: Option<u64>,
}

impl Pause {
    fn parse(line: &str) -> Option<Self> {
        let (from, to) = line.split_once(' ')?;
        let to = match to {
            "-" => None,
            to => Some(to.parse().ok()?),
        };
        let from = from.parse().ok()?;
        Some(Self { from, to })
    }

    /// Answers how much of it lies between two moments.
    fn between(self, begin: u64, end: u64) -> u64 {
        let to = self.to.unwrap_or(end).min(end);
        to.saturating_sub(self.from.max(begin))
    }
}

/// All times that a launch was suspended, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pauses(Vec<Pause>);

impl Pauses {
    fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(Pause::parse).collect())
    }

    fn text(&self) -> String {
        let lines = self.0.iter().map(|Pause { from, to }| match to {
            Some(to) => format!("{from} {to}\n"),
            None => format!("{from} -\n"),
        });
        lines.collect()
    }

    fn begin(&mut self, now: u64) {
        if self.0.last().is_some_and(|it| it.to.is_none()) {
            return;
        }
        self.0.push(Pause {
            from: now,
            to: None,
        });
        if self.0.len() > PAUSES_MAX {
            self.join_oldest();
        }
    }

    fn end(&mut self, now: u64) {
        if let Some(last) = self.0.last_mut() {
            last.to.get_or_insert(now);
        }
    }

    /// Settles what a worker noted and did not live to do, given how the launch was found; says whether that changed something.
    /// A pause that never began is none: left open, it would become part of the next, with all that ran in between.
    fn settle(&mut self, is_suspended: bool, now: u64) -> bool {
        let is_open = self.0.last().is_some_and(|it| it.to.is_none());
        match (is_open, is_suspended) {
            (true, false) => _ = self.0.pop(),
            // It was about to go on, or its pause could not be noted.
            (false, true) => self.begin(now),
            (true, true) | (false, false) => {}
        }
        is_open != is_suspended
    }

    /// Makes one of the two oldest, as long as both, that ends when the second did.
    fn join_oldest(&mut self) {
        if let [first, second, ..] = &mut self.0[..] {
            let length = first.between(0, second.from);
            second.from = second.from.saturating_sub(length);
            self.0.remove(0);
        }
    }

    /// Answers for how long it was suspended in the last `elapsed`. A pause without an end is over now; if it is not
    /// suspended, the worker ended before it could suspend it.
    pub(crate) fn within(&self, elapsed: Duration, is_suspended: bool) -> Duration {
        self.at(millis(awake()), elapsed, is_suspended)
    }

    fn at(&self, now: u64, elapsed: Duration, is_suspended: bool) -> Duration {
        let begin = now.saturating_sub(millis(elapsed));
        let counted = self.0.iter().filter(|it| it.to.is_some() || is_suspended);
        Duration::from_millis(counted.map(|it| it.between(begin, now)).sum())
    }
}

/// Answers what of a launch's directory is of this module.
pub(crate) fn paths(dir: &Path) -> [PathBuf; 2] {
    [NAME, NAME_NEW].map(|it| dir.join(it))
}

/// Notes that a launch is about to be suspended, or to go on.
pub(crate) fn note(dir: &Path, is_suspended: bool) -> io::Result<()> {
    let mut pauses = read(dir);
    let now = millis(awake());
    if is_suspended {
        pauses.begin(now);
    } else {
        pauses.end(now);
    }
    write(dir, &pauses)
}

/// Answers the pauses of a launch that was found suspended or not, after its worker had ended.
///
/// # Errors
/// When the file lacks what was settled; the pauses count as they are answered all the same.
pub(crate) fn settle(dir: &Path, is_suspended: bool) -> (Pauses, io::Result<()>) {
    let mut pauses = read(dir);
    let kept = if pauses.settle(is_suspended, millis(awake())) {
        write(dir, &pauses)
    } else {
        Ok(())
    };
    (pauses, kept)
}

fn write(dir: &Path, pauses: &Pauses) -> io::Result<()> {
    let [file, new] = paths(dir);
    let mut options = os::to_write();
    let opened = options.create(true).truncate(true).open(&new);
    opened?.write_all(pauses.text().as_bytes())?;
    std::fs::rename(new, file)
}

/// Reads the file; one that is missing or can't be read has no pauses.
pub(crate) fn read(dir: &Path) -> Pauses {
    let mut text = String::new();
    let read = os::to_read()
        .open(dir.join(NAME))
        .and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text));
    if read.is_err() {
        text.clear();
    }
    Pauses::parse(&text)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn only_what_lies_in_the_time_asked_for_counts() {
        let pauses = Pauses::parse("1000 3000\n10000 14000\n20000 -\n");
        assert_eq!(pauses.at(25_000, seconds(25), true), seconds(2 + 4 + 5));
        assert_eq!(pauses.at(25_000, seconds(12), true), seconds(1 + 5));
        assert_eq!(pauses.at(25_000, seconds(2), true), seconds(2));
        // It was about to be suspended when the worker ended.
        assert_eq!(pauses.at(25_000, seconds(25), false), seconds(2 + 4));
    }

    #[test]
    fn a_pause_that_never_began_is_no_part_of_the_next() {
        let mut pauses = Pauses::parse("1000 3000\n5000 -\n");
        assert!(pauses.settle(false, 9_000), "its worker ended before");
        pauses.begin(20_000);
        assert_eq!(pauses.at(25_000, seconds(25), true), seconds(2 + 5));
        assert!(!pauses.clone().settle(true, 25_000), "it is as was noted");
        pauses.end(25_000);
        assert!(!pauses.clone().settle(false, 26_000), "and so it is here");
        assert!(pauses.settle(true, 27_000), "it did not go on");
        let now = 30_000;
        assert_eq!(pauses.at(now, seconds(30), true), seconds(2 + 5 + 3));
    }

    #[test]
    fn what_was_noted_comes_back_and_nothing_else_is_understood() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(read(dir.path()), Pauses::default());
        note(dir.path(), false).expect("notes");
        assert_eq!(read(dir.path()), Pauses::default());
        for is_suspended in [true, true, false, false, true] {
            note(dir.path(), is_suspended).expect("notes");
        }
        let found = read(dir.path()).0;
        let ends: Vec<bool> = found.iter().map(|it| it.to.is_some()).collect();
        assert_eq!(ends, [true, false]);
        assert_eq!(
            Pauses::parse("x 1\n3\n4 y\n -\n5 6"),
            Pauses::parse("5 6\n")
        );
    }

    #[test]
    fn many_pauses_are_as_long_together_and_no_more_lines() {
        let mut pauses = Pauses::default();
        let many = 2 * u64::try_from(PAUSES_MAX).expect("fits");
        for at in 0..many {
            pauses.begin(at * 10_000);
            pauses.end(at * 10_000 + 1_000);
        }
        assert_eq!(pauses.0.len(), PAUSES_MAX);
        let now = many * 10_000;
        assert_eq!(pauses.at(now, seconds(now / 1_000), false), seconds(many));
        let text = pauses.text();
        assert!(u64::try_from(text.len()).expect("fits") < BYTES_MAX);
        assert_eq!(Pauses::parse(&text), pauses);
    }
}
