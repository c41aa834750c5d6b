//! Where something stands in a file.

use std::fmt;

/// Line and column, from 1; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character in it.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The beginnings of a text's lines, so that a file of many sections is walked once.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    text: &'a str,
    begins: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let begins = std::iter::once(0).chain(ends.map(|(at, _)| at + 1));
        Self {
            text,
            begins: begins.collect(),
        }
    }

    /// Answers the place of a byte.
    pub(crate) fn place(&self, at: usize) -> Place {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let line = self.begins.partition_point(|begin| *begin <= at);
        let begin = self.begins[line - 1];
        Place {
            line,
            column: self.text[begin..at].chars().count() + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters() {
        let lines = Lines::new("ab\né = 1\n");
        let said = |at: usize| lines.place(at).to_string();
        assert_eq!(
            (said(0), said(2), said(3)),
            ("1:1".into(), "1:3".into(), "2:1".into())
        );
        assert_eq!(said("ab\né".len()), "2:2");
        assert_eq!(said("ab\n".len() + 1), "2:1", "inside a letter");
        assert_eq!(said(1_000), "3:1");
    }
}
