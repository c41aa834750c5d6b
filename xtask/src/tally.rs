//! Counting what passed, failed and was skipped.

use std::fmt;
use std::ops::AddAssign;

/// Counts of checks or tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Tally {
    pub(crate) const PASSED: Self = Self {
        passed: 1,
        failed: 0,
        skipped: 0,
    };
    pub(crate) const FAILED: Self = Self {
        passed: 0,
        failed: 1,
        skipped: 0,
    };

    /// Counts one check.
    pub(crate) fn one(is_well: bool) -> Self {
        if is_well { Self::PASSED } else { Self::FAILED }
    }

    /// Reads the counts of a line that a test runner ends with: cargo test's `test result: …`, nextest's
    /// `Summary …`, or a line of this program.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let line = plain(line);
        // Indented, it is what a failed test printed, shown again by nextest, which counts it itself.
        let rest = line
            .strip_prefix("test result:")
            .or_else(|| line.split_once("tests run:").map(|(_, rest)| rest))
            .or_else(|| line.split_once("test run:").map(|(_, rest)| rest))
            .or_else(|| line.contains(" passed, ").then_some(line.as_str()))?;
        let count = |what: &str| {
            counts(rest)
                .filter(|(_, word)| *word == what)
                .map(|(n, _)| n)
                .sum()
        };
        Some(Self {
            passed: count("passed"),
            failed: count("failed") + count("timed"),
            skipped: count("skipped") + count("ignored"),
        })
    }
}

/// Finds the pairs `12 word` of a line.
fn counts(line: &str) -> impl Iterator<Item = (u64, &str)> {
    let words: Vec<&str> = line
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let pairs: Vec<_> = words
        .windows(2)
        .filter_map(|pair| Some((pair[0].parse().ok()?, pair[1])))
        .collect();
    pairs.into_iter()
}

/// Takes colours out of a line.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut is_escape = false;
    for c in line.chars() {
        match (is_escape, c) {
            (false, '\u{1b}') => is_escape = true,
            (false, c) => text.push(c),
            (true, c) => is_escape = !c.is_ascii_alphabetic(),
        }
    }
    text
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, passed: u64, failed: u64, skipped: u64) {
        assert_eq!(
            Tally::read(line),
            Some(Tally {
                passed,
                failed,
                skipped
            }),
            "{line}"
        );
    }

    #[test]
    fn summaries_of_runners_are_read() {
        check(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out",
            3,
            0,
            1,
        );
        check(
            "     Summary [   0.021s] 12 tests run: 10 passed, 2 failed, 3 skipped",
            10,
            2,
            3,
        );
        check(
            "\u{1b}[32m Summary\u{1b}[0m [ 1s] 1 test run: 1 passed (1 slow), 0 skipped",
            1,
            0,
            0,
        );
        check(
            " Summary [ 9s] 5/9 tests run: 3 passed, 1 failed, 1 timed out, 0 skipped",
            3,
            2,
            0,
        );
        check("7 passed, 1 failed, 2 skipped", 7, 1, 2);
    }

    #[test]
    fn other_lines_are_not() {
        let shown_again = "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured";
        for line in [
            "",
            "running 3 tests",
            "test a ... ok",
            "3 passed",
            shown_again,
        ] {
            assert_eq!(Tally::read(line), None, "{line}");
        }
    }

    #[test]
    fn what_is_printed_is_read_back() {
        let tally = Tally {
            passed: 1,
            failed: 2,
            skipped: 3,
        };
        assert_eq!(Tally::read(&tally.to_string()), Some(tally));
    }
}
