//! Foreign text made harmless: names, notes and logs come from whoever submits jobs.

use std::borrow::Cow;
use std::fmt::Write as _;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr as _};

/// Longest escape sequence that is recognised as one, in bytes; a longer one is shown.
const SEQUENCE_BYTES_MAX: usize = 64;

/// Makes a text harmless on one line: control characters, escapes and what reorders text are written out.
#[must_use]
pub fn safe(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| !is_harmful(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        push_safe(&mut out, c);
    }
    Cow::Owned(out)
}

fn push_safe(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if is_harmful(c) && u32::from(c) <= 0xff => {
            let _ = write!(out, "\\x{:02x}", u32::from(c));
        }
        c if is_harmful(c) => {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
        c => out.push(c),
    }
}

/// Says whether a character could move the cursor, start a sequence, or show text in another order than it has.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{feff}'
        )
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}')
}

/// Answers the columns that a text takes.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// Cuts a text to so many columns; a cut one ends in `…`.
#[must_use]
pub fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        out.push(c);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// Breaks a text into lines of at most so many columns, at spaces where there are some.
#[must_use]
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let is_first = lines.last().is_none_or(String::is_empty);
        let used = lines.last().map_or(0, |line| width(line));
        if !is_first && used + 1 + width(word) > columns {
            lines.push(word.to_owned());
        } else if let Some(line) = lines.last_mut() {
            if !is_first {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// Quotes an argument vector as a shell would need it, for showing.
#[must_use]
pub fn command(argv: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    let quoted = argv.iter().map(|word| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", safe(word).replace('\'', "'\\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Makes the bytes of a log harmless for a terminal, piece by piece.
///
/// Lines and tabs stay. A carriage return becomes the end of a line. Colours (`ESC [ … m`) are left out, every other
/// control character is written out, and so are bytes that are no UTF-8. What a piece ends in the middle of is kept
/// for the next.
#[derive(Debug, Default)]
pub struct LogFilter {
    kept: Vec<u8>,
    after_return: bool,
}

impl LogFilter {
    /// Takes the next piece and answers what to show.
    #[must_use]
    pub fn push(&mut self, piece: &[u8]) -> String {
        let mut bytes = std::mem::take(&mut self.kept);
        bytes.extend_from_slice(piece);
        self.filter(&bytes, false)
    }

    /// Answers what is left at the end.
    #[must_use]
    pub fn finish(&mut self) -> String {
        let bytes = std::mem::take(&mut self.kept);
        let mut out = self.filter(&bytes, true);
        if std::mem::take(&mut self.after_return) {
            out.push('\n');
        }
        out
    }

    fn filter(&mut self, bytes: &[u8], is_end: bool) -> String {
        let mut out = String::with_capacity(bytes.len());
        let mut rest = bytes;
        while !rest.is_empty() {
            match step(rest, is_end) {
                Step::Incomplete => {
                    self.kept = rest.to_vec();
                    break;
                }
                Step::Char(c, length) => {
                    self.push_char(&mut out, c);
                    rest = rest.get(length..).unwrap_or_default();
                }
                Step::Colour(length) => rest = rest.get(length..).unwrap_or_default(),
                Step::Byte(byte) => {
                    self.end_return(&mut out, false);
                    let _ = write!(out, "\\x{byte:02x}");
                    rest = rest.get(1..).unwrap_or_default();
                }
            }
        }
        out
    }

    fn push_char(&mut self, out: &mut String, c: char) {
        self.end_return(out, c == '\n');
        match c {
            '\n' | '\t' => out.push(c),
            '\r' => self.after_return = true,
            c => push_safe(out, c),
        }
    }

    /// Ends the line that a carriage return ended, unless a line feed does.
    fn end_return(&mut self, out: &mut String, is_line_feed: bool) {
        if std::mem::take(&mut self.after_return) && !is_line_feed {
            out.push('\n');
        }
    }
}

enum Step {
    Char(char, usize),
    Colour(usize),
    Byte(u8),
    Incomplete,
}

fn step(rest: &[u8], is_end: bool) -> Step {
    if rest.first() == Some(&0x1b) {
        return match colour_length(rest) {
            Some(length) => Step::Colour(length),
            None if !is_end && may_become_colour(rest) => Step::Incomplete,
            None => Step::Char('\u{1b}', 1),
        };
    }
    let window = rest.get(..rest.len().min(4)).unwrap_or(rest);
    let (valid, error) = match std::str::from_utf8(window) {
        Ok(text) => (text, None),
        Err(error) => {
            let good = window.get(..error.valid_up_to()).unwrap_or_default();
            (
                std::str::from_utf8(good).unwrap_or_default(),
                error.error_len(),
            )
        }
    };
    match (valid.chars().next(), error) {
        (Some(c), _) => Step::Char(c, c.len_utf8()),
        (None, None) if !is_end => Step::Incomplete,
        (None, _) => Step::Byte(rest.first().copied().unwrap_or_default()),
    }
}

/// Answers the length of the colour sequence at the start, if there is a whole one.
fn colour_length(rest: &[u8]) -> Option<usize> {
    let body = rest.strip_prefix(b"\x1b[")?;
    let parameters = body
        .iter()
        .take_while(|byte| matches!(byte, b'0'..=b'9' | b';' | b':'))
        .count();
    let is_colour = parameters < SEQUENCE_BYTES_MAX && body.get(parameters) == Some(&b'm');
    is_colour.then_some(parameters + 3)
}

fn may_become_colour(rest: &[u8]) -> bool {
    let body = match rest {
        [_] => return true,
        [_, b'[', body @ ..] => body,
        _ => return false,
    };
    body.len() < SEQUENCE_BYTES_MAX
        && body
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_names_are_written_out() {
        assert_eq!(safe("shot_010 ä 漢"), "shot_010 ä 漢");
        assert_eq!(safe("a\x1b[2Jb\x07\n"), "a\\x1b[2Jb\\x07\\n");
        assert_eq!(safe("\u{9b}31m \u{202e}gpj"), "\\x9b31m \\u{202e}gpj");
    }

    #[test]
    fn cutting_counts_columns() {
        assert_eq!(fit("abcdef", 6), "abcdef");
        assert_eq!(fit("abcdef", 5), "abcd…");
        assert_eq!(fit("漢字漢字", 5), "漢字…");
        assert_eq!(fit("漢字漢字", 4), "漢…");
        assert_eq!(fit("abc", 0), "");
    }

    #[test]
    fn wrapping_keeps_every_word() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("", 7), [""]);
    }

    #[test]
    fn commands_are_quoted() {
        let argv = ["echo", "a b", "it's", "", "x\x1b"].map(String::from);
        assert_eq!(command(&argv), "echo 'a b' 'it'\\''s' '' 'x\\x1b'");
    }

    fn filtered(pieces: &[&[u8]]) -> String {
        let mut filter = LogFilter::default();
        let mut out: String = pieces.iter().map(|piece| filter.push(piece)).collect();
        out += &filter.finish();
        out
    }

    #[test]
    fn logs_lose_what_would_move_the_cursor() {
        assert_eq!(filtered(&[b"a\tb\r\nc\rd\n"]), "a\tb\nc\nd\n");
        assert_eq!(
            filtered(&[b"\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J"]),
            "red \\x1b]0;title\\x07 \\x1b[2J"
        );
        assert_eq!(filtered(&[b"\xff\xc3", b"\xa4\xc3"]), "\\xffä\\xc3");
        assert_eq!(filtered(&[b"x\x1b", b"[3", b"1my\r", b"\n"]), "xy\n");
    }

    proptest! {
        #[test]
        fn filtered_logs_hold_nothing_harmful(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0_usize..300) {
            let cut = cut.min(bytes.len());
            let out = filtered(&[&bytes[..cut], &bytes[cut..]]);
            prop_assert!(out.chars().all(|c| matches!(c, '\n' | '\t') || !is_harmful(c)), "{out:?}");
            prop_assert_eq!(out, filtered(&[&bytes]));
        }

        #[test]
        fn safe_text_is_safe_and_fits(text in "\\PC*|.*", columns in 0_usize..40) {
            let safe = safe(&text).into_owned();
            prop_assert!(!safe.chars().any(is_harmful));
            prop_assert!(width(&fit(&safe, columns)) <= columns);
        }
    }
}
