//! Reads progress from what an item prints.

use regex_lite::Regex;

/// Bytes at the end of what is new that are looked at in one go; older lines would be overtaken anyway.
pub(super) const SCAN_MAX: usize = 16 * 1024;
/// Bytes of one line; more of it is not looked at.
const LINE_MAX: usize = 4 * 1024;

/// Finds percentages in the lines of stdout and stderr.
#[derive(Debug)]
pub(super) struct Scanner {
    pattern: Regex,
    /// The beginning of a line that has not ended, per stream.
    open_lines: [Vec<u8>; 2],
}

impl Scanner {
    /// Makes a scanner; `None` when the pattern is none (submission has checked it, so that is of another release).
    pub(super) fn new(pattern: &str) -> Option<Self> {
        let pattern = Regex::new(pattern).ok()?;
        Some(Self {
            pattern,
            open_lines: [Vec::new(), Vec::new()],
        })
    }

    /// Takes new bytes of a stream and answers the last percentage in its finished lines. After a gap the line that was
    /// cut is dropped.
    pub(super) fn feed(&mut self, stream: usize, bytes: &[u8], after_gap: bool) -> Option<u8> {
        let mut text = std::mem::take(&mut self.open_lines[stream]);
        if after_gap {
            text.clear();
        }
        text.extend_from_slice(bytes);
        let is_end = |it: &u8| matches!(it, b'\n' | b'\r');
        let rest = text.iter().rposition(is_end).map_or(0, |end| end + 1);
        let percent = text[..rest]
            .rsplit(is_end)
            .filter(|line| !line.is_empty())
            .find_map(|line| self.percent(&line[..line.len().min(LINE_MAX)]));
        let mut open = text.split_off(rest);
        open.truncate(LINE_MAX);
        self.open_lines[stream] = open;
        percent
    }

    fn percent(&self, line: &[u8]) -> Option<u8> {
        let line = String::from_utf8_lossy(line);
        let found = self.pattern.captures(&line)?;
        let number = found.get(1).or_else(|| found.get(0))?.as_str().trim();
        let percent: f64 = number.parse().ok()?;
        // Whole percents, by comparison: a float has no other safe way to become a small number.
        (0..=100_u8)
            .rev()
            .find(|whole| f64::from(*whole) <= percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_percentage_of_finished_lines_counts() {
        let mut scanner = Scanner::new(r"(\d+(?:\.\d+)?)%").expect("is a pattern");
        assert_eq!(scanner.feed(0, b"at 10%\nat 20.9%\nat 3", false), Some(20));
        assert_eq!(scanner.feed(1, b"99%", false), None);
        assert_eq!(scanner.feed(0, b"0%\r", false), Some(30));
        assert_eq!(scanner.feed(0, b"nothing\n", false), None);
        assert_eq!(scanner.feed(0, b"7", false), None);
        assert_eq!(scanner.feed(0, b"1%\n", true), Some(1));
        assert_eq!(scanner.feed(0, b"\xff\xfe 250%\n", false), Some(100));
        assert!(Scanner::new("(").is_none());
    }

    #[test]
    fn an_endless_line_stays_small() {
        let mut scanner = Scanner::new("x").expect("is a pattern");
        for _ in 0..100 {
            scanner.feed(0, &[b'y'; 1024], false);
        }
        assert!(scanner.open_lines[0].len() <= LINE_MAX);
    }
}
