//! Lines of a launcher's audit log: JSON, each with the digest of the one before it, so that none can be taken out unseen.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::ticket::Digest;

/// The bytes of a log's end that are read to find its last line, which is far shorter.
pub const AUDIT_TAIL_MAX: usize = 256 << 10;

/// What stands for the line before the first.
const NONE: &str = "-";

/// Where the chain stands: what the next line says of the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditChain {
    last: String,
}

impl AuditChain {
    /// Takes up the chain at the end of a log; returns how many bytes behind its last whole line a crash has left, too. `None`
    /// when the end holds no line although it is only a part of the log.
    pub fn of_tail(tail: &[u8], is_part: bool) -> Option<(Self, usize)> {
        let torn = tail.iter().rev().take_while(|it| **it != b'\n').count();
        if torn == tail.len() && is_part {
            return None;
        }
        let whole = String::from_utf8_lossy(tail.get(..tail.len() - torn)?);
        let last = whole
            .lines()
            .last()
            .map_or_else(|| NONE.to_owned(), sha256_of);
        Some((Self { last }, torn))
    }

    /// Returns the digest of the last line, `-` if there is none.
    pub fn last(&self) -> &str {
        &self.last
    }

    /// Says whether no line was read.
    pub fn is_new(&self) -> bool {
        self.last == NONE
    }

    /// Makes a line and the chain behind it; the line ends with a line break.
    pub fn next(&self, wall_ms: u64, event: &str, fields: &[(&str, &str)]) -> (String, Self) {
        let mut line = format!("{{\"time_ms\":{wall_ms},\"event\":");
        quote(&mut line, event);
        for (name, value) in fields {
            line.push(',');
            quote(&mut line, name);
            line.push(':');
            quote(&mut line, value);
        }
        line.push_str(",\"prev\":");
        quote(&mut line, &self.last);
        line.push('}');
        let last = sha256_of(&line);
        line.push('\n');
        (line, Self { last })
    }
}

/// Returns the SHA-256 of a text, as `sha256sum` prints it.
pub fn sha256_of(text: &str) -> String {
    Digest(Sha256::digest(text.as_bytes()).into()).to_string()
}

/// Writes a JSON string; control characters and everything that is not ASCII are escaped, so that no value can draw on a
/// terminal or look like a line of its own.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a String can't fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_break_out() {
        let mut out = String::new();
        quote(&mut out, "a\"b\\c\nd\u{1b}[31mé\u{202e}😀");
        assert_eq!(out, r#""a\"b\\c\u000ad\u001b[31m\u00e9\u202e\ud83d\ude00""#);
    }

    #[test]
    fn each_line_names_the_one_before_also_of_an_earlier_log() {
        let (start, torn) = AuditChain::of_tail(b"", false).expect("an empty log");
        assert_eq!(torn, 0);
        let (first, chain) = start.next(1, "a", &[("x", "line\nbreak")]);
        let line = r#"{"time_ms":1,"event":"a","x":"line\u000abreak","prev":"-"}"#;
        assert_eq!(first, format!("{line}\n"));
        let (second, end) = chain.next(2, "b", &[]);
        assert!(second.ends_with(&format!("\"prev\":\"{}\"}}\n", sha256_of(line))));
        let log = format!("{first}{second}{{\"half");
        assert_eq!(
            AuditChain::of_tail(log.as_bytes(), true),
            Some((end, "{\"half".len()))
        );
        assert_eq!(AuditChain::of_tail(b"{\"half", true), None);
        assert_eq!(
            AuditChain::of_tail(b"{\"half", false),
            Some((start, "{\"half".len()))
        );
    }
}
