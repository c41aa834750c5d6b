//! Why a frame failed, as far as what it printed tells: the last line that looks like an error, and what all such lines have
//! in common.
//!
//! Output is whatever a job wants it to be: what is answered is short, of one line, and without a character that does
//! something where it is shown.

use super::{LogStore, RunKey};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use tessera_wire::convert::LogStream;

/// Bytes at the end of a stream that are looked at.
const TAIL_BYTES: u64 = 16 * 1024;
/// Characters of a line that are kept, and of what it is grouped by.
pub(crate) const LINE_CHARS_MAX: usize = 240;
/// Digits of a word that make it a number of its own kind: a digest, an address, an id.
const HEX_DIGITS_MIN: usize = 8;
/// What a line says that tells why, in lower case.
const WORDS: [&str; 22] = [
    "error",
    "fatal",
    "exception",
    "fail",
    "abort",
    "panic",
    "can't",
    "cannot",
    "can not",
    "could not",
    "couldn't",
    "unable to",
    "not found",
    "no such",
    "denied",
    "refused",
    "missing",
    "invalid",
    "out of memory",
    "segmentation",
    "killed",
    "no license",
];

impl LogStore {
    /// Answers the line of a run's output that tells best why it failed; nothing when it printed nothing. Of stderr before
    /// stdout, one that looks like an error before any other. Blocks on the disk.
    pub(crate) fn cause(&self, run: RunKey) -> Option<String> {
        let tail = |stream| self.tail(run, stream).unwrap_or_default();
        let (err, out) = (lines(&tail(LogStream::Err)), lines(&tail(LogStream::Out)));
        let telling = |lines: &[String]| lines.iter().rfind(|line| is_telling(line)).cloned();
        telling(&err)
            .or_else(|| telling(&out))
            .or_else(|| err.last().cloned())
            .or_else(|| out.last().cloned())
    }

    fn tail(&self, run: RunKey, stream: LogStream) -> io::Result<Vec<u8>> {
        let file = File::open(self.path(run.stream(stream)))?;
        let len = file.metadata()?.len();
        let from = len.saturating_sub(TAIL_BYTES);
        let mut bytes = vec![0; usize::try_from(len - from).unwrap_or(0)];
        file.read_exact_at(&mut bytes, from)?;
        if from > 0 {
            // The first line is cut, and only taken when there is no other.
            let rest = bytes.iter().position(|byte| *byte == b'\n');
            let rest = rest.map_or(0, |at| at + 1);
            bytes.drain(..if rest < bytes.len() { rest } else { 0 });
        }
        Ok(bytes)
    }
}

fn is_telling(line: &str) -> bool {
    let line = line.to_lowercase();
    WORDS.iter().any(|word| line.contains(word))
}

/// Answers the lines that show something, harmless and cut.
fn lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.split(['\n', '\r']).map(harmless);
    lines.filter(|line| !line.is_empty()).collect()
}

/// Takes out what does something where it is shown: sequences for terminals, control characters, what turns letters round.
fn harmless(line: &str) -> String {
    let mut chars = line.chars();
    let mut kept = String::new();
    while let Some(char) = chars.next() {
        match char {
            '\u{1b}' => skip_sequence(&mut chars),
            '\t' => kept.push(' '),
            _ if char.is_control() || is_hidden(char) => {}
            _ => kept.push(char),
        }
    }
    kept.trim().chars().take(LINE_CHARS_MAX).collect()
}

/// Skips the rest of a sequence for terminals: one that sets a title goes to its end, the others to their letter.
fn skip_sequence(chars: &mut std::str::Chars<'_>) {
    match chars.next() {
        Some('[') => _ = chars.find(|char| ('\u{40}'..='\u{7e}').contains(char)),
        Some(']' | 'P' | '_' | '^' | 'X') => _ = chars.find(|char| matches!(char, '\u{7}' | '\\')),
        _ => {}
    }
}

fn is_hidden(char: char) -> bool {
    matches!(char,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Answers what a line has in common with those of others that failed alike: paths, hexadecimal numbers and other numbers
/// are no longer told apart. How a process ended is what failed, and stays: `exit 3`, `signal 9`.
pub(crate) fn normalised(line: &str) -> String {
    let mut text = String::new();
    let mut before = "";
    for (at, word) in line.split_whitespace().enumerate() {
        if at > 0 {
            text.push(' ');
        }
        if says_how_it_ended(before, word) {
            text.push_str(word);
            before = word;
            continue;
        }
        before = word;
        for run in word.split_inclusive(is_border) {
            let (run, border) = match run.chars().last().filter(|last| is_border(*last)) {
                Some(border) => (&run[..run.len() - border.len_utf8()], Some(border)),
                None => (run, None),
            };
            text.push_str(&without_numbers(run));
            text.extend(border);
        }
    }
    text.chars().take(LINE_CHARS_MAX).collect()
}

/// Words before the number that a process ended with.
const END_WORDS: [&str; 4] = ["exit", "code", "status", "signal"];

/// Says whether a word is the number that a process ended with, by the one before it.
fn says_how_it_ended(before: &str, word: &str) -> bool {
    let before = before.trim_matches(|c: char| !c.is_alphabetic());
    let is_end = END_WORDS
        .into_iter()
        .any(|end| before.eq_ignore_ascii_case(end));
    let number = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    is_end
        && number.len() <= END_DIGITS_MAX
        && !number.is_empty()
        && number.bytes().all(|digit| digit.is_ascii_digit())
}

/// Digits of what a process can end with (an exit code of Windows is 32 bits wide).
const END_DIGITS_MAX: usize = 10;

/// Says whether a character is no part of a path or a number.
fn is_border(char: char) -> bool {
    matches!(
        char,
        '\'' | '"' | '`' | '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | ',' | ';' | '=' | '|'
    )
}

fn without_numbers(word: &str) -> String {
    let bare = word.trim_end_matches([':', '.', '!', '?']);
    let rest = &word[bare.len()..];
    let letters = bare.trim_start_matches("0x").replace('-', "");
    let is_hex = letters.chars().all(|char| char.is_ascii_hexdigit())
        && letters.chars().any(|char| char.is_ascii_digit());
    let has_folder = bare.contains(['/', '\\']) && bare.chars().count() > 1;
    if has_folder {
        return format!("<path>{rest}");
    }
    if is_hex
        && (bare.starts_with("0x")
            || (letters.len() >= HEX_DIGITS_MIN && letters.chars().any(char::is_alphabetic)))
    {
        return format!("<hex>{rest}");
    }
    let mut text = String::new();
    let mut chars = bare.chars().peekable();
    while let Some(char) = chars.next() {
        if !char.is_ascii_digit() {
            text.push(char);
            continue;
        }
        while chars.next_if(|next| next.is_ascii_digit()).is_some() {}
        text.push_str("<n>");
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tessera_model::{Attempt, ItemIndex, JobId};

    #[test]
    fn what_differs_from_frame_to_frame_is_no_longer_told_apart() {
        for (line, expected) in [
            (
                "Error: frame 12 of shot_0010",
                "Error: frame <n> of shot_<n>",
            ),
            (
                "can't open '/mnt/show/a.0012.exr': no such file",
                "can't open '<path>': no such file",
            ),
            (
                r"can't open P:\show\a.exr, line 7",
                "can't open <path>, line <n>",
            ),
            (
                "fault at 0x7fff1234 in deadbeef01",
                "fault at <hex> in <hex>",
            ),
            (
                "id 3f2a9c1e-0000-4000-8000-0123456789ab gone",
                "id <hex> gone",
            ),
            ("exit 3", "exit 3"),
            (
                "Error: exit code 4, frame 7",
                "Error: exit code 4, frame <n>",
            ),
            ("signal 9 (KILL)", "signal 9 (KILL)"),
            ("exit 3f2a9c1e", "exit <hex>"),
            ("took 12.5 s (3/4)", "took <n>.<n> s (<path>)"),
            ("  no   license ", "no license"),
            ("facade of décor", "facade of décor"),
            ("12345678", "<n>"),
            ("", ""),
        ] {
            assert_eq!(normalised(line), expected);
        }
    }

    fn cause(out: &[u8], err: &[u8]) -> Option<String> {
        let dir = tempfile::tempdir().expect("a folder");
        let logs = LogStore::new(dir.path().to_owned());
        let run = RunKey {
            job: JobId(1),
            item: ItemIndex(0),
            attempt: Attempt(1),
        };
        for (stream, bytes) in [(LogStream::Out, out), (LogStream::Err, err)] {
            let path = logs.path(run.stream(stream));
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, bytes).expect("written");
        }
        logs.cause(run)
    }

    #[test]
    fn the_last_line_that_looks_like_an_error_is_picked() {
        let said = |out: &str, err: &str| cause(out.as_bytes(), err.as_bytes());
        assert_eq!(said("", ""), None);
        assert_eq!(said("a\nb\n\n", ""), Some("b".into()));
        assert_eq!(
            said("Error: one\n", "loading\ndone\n"),
            Some("Error: one".into())
        );
        assert_eq!(
            said("Error: one\n", "Error: two\nFATAL: three\nbye\n"),
            Some("FATAL: three".into())
        );
        let long = format!("Error: before\n{}\n", "x".repeat(20_000));
        let found = said("", &long).expect("a line");
        assert!(found.len() <= LINE_CHARS_MAX, "{found}");
    }

    #[test]
    fn what_a_job_prints_does_nothing_where_it_is_shown() {
        let hostile =
            "\u{1b}]0;title\u{7}\u{1b}[31mError\u{1b}[0m: \u{202e}<script>\u{200b}\u{9b}\u{0}\r\n";
        assert_eq!(
            cause(b"", hostile.as_bytes()),
            Some("Error: <script>".into())
        );
    }

    proptest! {
        #[test]
        fn any_bytes_give_one_short_harmless_line(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            for line in lines(&bytes).iter().flat_map(|line| [line.clone(), normalised(line)]) {
                prop_assert!(line.chars().count() <= LINE_CHARS_MAX);
                prop_assert!(!line.chars().any(|char| char.is_control() || is_hidden(char)));
            }
        }
    }
}
