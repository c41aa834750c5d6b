//! Paths that have other names on other systems: a host's table of them, and the one fixed rule that applies it.
//!
//! The supervisor's template says *whether* a job's paths are converted, the host's table *how*: in service mode it is the
//! launcher's policy, so a worker can't change by it what runs.

use thiserror::Error;

use crate::codec::{DecodeError, Reader, Writer};

/// The most entries of a table.
pub const PATH_ENTRIES_MAX: usize = 256;
/// The most bytes of one side of an entry.
pub const PATH_ENTRY_BYTES_MAX: usize = 1_024;
/// The most bytes of an encoded table.
pub const PATH_MAP_BYTES_MAX: usize = 1 << 20;
/// The most places of one argument at which a path is looked for; what is behind them stays as it is.
const PLACES_MAX: usize = 1_024;
/// What text of an argument is wrapped in to be converted whatever the job's flags are.
const WRAPPER: &str = "QB_CONVERT_PATH(";
/// What stands between the sides of an entry in one line.
const ARROW: &str = "=>";
const VERSION: u8 = 1;

/// What is wrong with a table.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PathMapError {
    /// A line has no arrow, or more than one.
    #[error("`{line}` is not `FROM => TO`")]
    NoArrow {
        /// The line.
        line: String,
    },
    /// A side is no absolute path on any system.
    #[error(
        "`{path}` is not an absolute path such as `/mnt/show`, `P:\\show` or `\\\\server\\share`"
    )]
    NotAbsolute {
        /// The side.
        path: String,
    },
    /// The left side has `.` or `..` in it, which would never be met.
    #[error("`{path}` has `.` or `..` in it")]
    Dots {
        /// The side.
        path: String,
    },
    /// A side has a control character.
    #[error("a path has a control character: {path:?}")]
    Control {
        /// The side.
        path: String,
    },
    /// A side or the table is too long.
    #[error("{what}: more than {max}")]
    TooMuch {
        /// What is.
        what: &'static str,
        /// The bound.
        max: usize,
    },
}

/// Where an absolute path begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    /// `/`
    Unix,
    /// `P:`
    Drive(char),
    /// `\\server`
    Server,
}

/// One entry: `from` is called `to` here.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    from: String,
    to: String,
    root: Root,
    /// The names behind the root, in small letters where case does not count.
    names: Vec<String>,
}

/// An ordered table of paths; the first entry that matches counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PathMap {
    entries: Vec<Entry>,
}

/// What is known of an argument while it is gone through.
struct Scan {
    /// Whether it is made of several words.
    words: bool,
    /// At how many more places a path is looked for.
    places: usize,
}

/// How far a path in an argument goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// To the end, or to a `;`: nothing before it says that the argument is made of words.
    Whole,
    /// To what ends a word.
    Word,
    /// To this quote.
    Quoted(char),
}

impl PathMap {
    /// Makes a table of pairs of *from* and *to*.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, PathMapError> {
        let mut entries = Vec::new();
        for (from, to) in pairs {
            if entries.len() >= PATH_ENTRIES_MAX {
                let (what, max) = ("entries", PATH_ENTRIES_MAX);
                return Err(PathMapError::TooMuch { what, max });
            }
            entries.push(Entry::new(from, to)?);
        }
        Ok(Self { entries })
    }

    /// Reads `FROM => TO`; both sides may hold blanks, but not at their ends.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn parse_line(line: &str) -> Result<(String, String), PathMapError> {
        let (from, to) = line
            .split_once(ARROW)
            .filter(|(_, to)| !to.contains(ARROW))
            .ok_or_else(|| PathMapError::NoArrow {
                line: line.chars().take(80).collect(),
            })?;
        let entry = Entry::new(from.trim().to_owned(), to.trim().to_owned())?;
        Ok((entry.from, entry.to))
    }

    /// Says whether nothing is converted.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the pairs of *from* and *to*, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|it| (&*it.from, &*it.to))
    }

    /// Writes the table as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(VERSION);
        out.count(self.entries.len());
        for (from, to) in self.pairs() {
            out.text(from);
            out.text(to);
        }
        out.finish()
    }

    /// Reads a table from bytes of anybody.
    ///
    /// # Errors
    /// `DecodeError` when the bytes are no table, or one that [`PathMap::new`] refuses.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        input.version(VERSION)?;
        let mut pairs = Vec::new();
        for _ in 0..input.count("paths", PATH_ENTRIES_MAX)? {
            let from = input.text("paths", PATH_ENTRY_BYTES_MAX)?;
            pairs.push((from, input.text("paths", PATH_ENTRY_BYTES_MAX)?));
        }
        input.end()?;
        Self::new(pairs).map_err(|_| DecodeError::Invalid { field: "paths" })
    }

    /// Converts a text that is a path from its first to its last character; returns it as it is when nothing matches.
    pub fn convert_path(&self, path: &str) -> String {
        let mut out = String::with_capacity(path.len());
        match self.find(path) {
            Some((entry, len)) => entry.put(&path[len..], &mut out),
            None => out.push_str(path),
        }
        out
    }

    /// Converts an argument: every path in it when `all`, else those in `QB_CONVERT_PATH(…)` only. The wrapping itself is
    /// always taken away, so that a program sees the same argument on a host without a table.
    pub fn convert_argument(&self, argument: &str, all: bool) -> String {
        let mut out = String::with_capacity(argument.len());
        let mut rest = argument;
        let mut scan = Scan {
            words: false,
            places: PLACES_MAX,
        };
        while let Some((before, inner, after)) = split_wrapped(rest) {
            self.convert_text(before, all, &mut scan, &mut out);
            let words = std::mem::take(&mut scan.words);
            self.convert_text(inner, true, &mut scan, &mut out);
            scan.words = words;
            rest = after;
        }
        self.convert_text(rest, all, &mut scan, &mut out);
        out
    }

    /// Appends a text with its paths converted.
    fn convert_text(&self, text: &str, is_wanted: bool, scan: &mut Scan, out: &mut String) {
        if !is_wanted || self.entries.is_empty() {
            return out.push_str(text);
        }
        let (mut at, mut before) = (0, None);
        while let Some(next) = text[at..].chars().next() {
            let taken = match self.find_behind(before, &text[at..], scan) {
                Some((entry, path, len)) => {
                    let path = self.up_to_next(path, len, scan);
                    entry.put(&path[len..], out);
                    path
                }
                None => {
                    out.push(next);
                    &text[at..at + next.len_utf8()]
                }
            };
            scan.words |= taken.contains(parts_words);
            before = taken.chars().next_back();
            at += taken.len();
        }
    }

    /// Looks for a path at the beginning of a text that stands behind this character; returns what it may fill as well, and
    /// the length of what is replaced.
    fn find_behind<'a>(
        &self,
        before: Option<char>,
        text: &'a str,
        scan: &mut Scan,
    ) -> Option<(&Entry, &'a str, usize)> {
        if !before.is_none_or(begins_path) || !may_be_root(text) {
            return None;
        }
        scan.places = scan.places.checked_sub(1)?;
        let path = extent(text, Extent::behind(before, scan.words));
        let (entry, len) = self.find(path)?;
        Some((entry, path, len))
    }

    /// Cuts a path that seems to go on where another begins: `P:\a.exe P:\b` in one argument.
    fn up_to_next<'a>(&self, path: &'a str, used: usize, scan: &mut Scan) -> &'a str {
        let words = std::mem::replace(&mut scan.words, true);
        let mut before = path[..used].chars().next_back();
        let mut end = path.len();
        for (at, c) in path[used..].char_indices() {
            let at = used + at;
            if at > used && self.find_behind(before, &path[at..], scan).is_some() {
                end = at;
                break;
            }
            before = Some(c);
        }
        scan.words = words;
        &path[..end]
    }

    /// Returns the first entry that a path begins with, and the length of what it replaces.
    fn find(&self, path: &str) -> Option<(&Entry, usize)> {
        self.entries
            .iter()
            .find_map(|it| Some((it, it.match_len(path)?)))
    }
}

impl Entry {
    fn new(from: String, to: String) -> Result<Self, PathMapError> {
        for path in [&from, &to] {
            if path.len() > PATH_ENTRY_BYTES_MAX {
                let (what, max) = ("bytes of a path", PATH_ENTRY_BYTES_MAX);
                return Err(PathMapError::TooMuch { what, max });
            }
            if path.chars().any(char::is_control) {
                let path = path.clone();
                return Err(PathMapError::Control { path });
            }
        }
        absolute_root(&to)?;
        let (root, rest) = absolute_root(&from)?;
        let names = rest.split(is_slash).filter(|it| !it.is_empty());
        let names: Vec<String> = names.map(|it| root.folded(it)).collect();
        if names.iter().any(|it| it == "." || it == "..") {
            return Err(PathMapError::Dots { path: from });
        }
        if root == Root::Server && names.is_empty() {
            return Err(PathMapError::NotAbsolute { path: from });
        }
        Ok(Self {
            from,
            to,
            root,
            names,
        })
    }

    /// Returns how much of a path this entry replaces, up to a border of its names; `None` when it is another path.
    fn match_len(&self, path: &str) -> Option<usize> {
        let (root, mut rest) = split_root(path)?;
        if root != self.root {
            return None;
        }
        for name in &self.names {
            rest = rest.trim_start_matches(is_slash);
            let len = rest.find(is_slash).unwrap_or(rest.len());
            if self.root.folded(&rest[..len]) != *name {
                return None;
            }
            rest = &rest[len..];
        }
        Some(path.len() - rest.len())
    }

    /// Appends the new name and what remains of the path, with the slashes of the new name.
    fn put(&self, remains: &str, out: &mut String) {
        let slash = self.slash();
        let base = self.to.trim_end_matches(is_slash);
        out.push_str(base);
        if remains.is_empty() && (base.is_empty() || base.ends_with(':')) {
            out.push(slash);
        }
        out.extend(remains.chars().map(|c| if is_slash(c) { slash } else { c }));
    }

    /// Returns the slash of the new name: `\` where it has one or is nothing but a drive.
    fn slash(&self) -> char {
        let is_bare = !self.to.contains(is_slash);
        if is_bare || self.to.contains('\\') {
            '\\'
        } else {
            '/'
        }
    }
}

impl Root {
    /// Returns a name as it is compared: case counts on Unix only.
    fn folded(self, name: &str) -> String {
        match self {
            Self::Unix => name.to_owned(),
            Self::Drive(_) | Self::Server => name.to_lowercase(),
        }
    }
}

impl Extent {
    /// Answers how far a path goes that begins behind this character.
    fn behind(before: Option<char>, words: bool) -> Self {
        match before {
            Some(quote @ ('"' | '\'')) => Self::Quoted(quote),
            _ if words => Self::Word,
            _ => Self::Whole,
        }
    }
}

/// Takes the root off a side of an entry.
fn absolute_root(path: &str) -> Result<(Root, &str), PathMapError> {
    split_root(path)
        // `\show` is on whatever drive is the current one.
        .filter(|(root, _)| *root != Root::Unix || path.starts_with('/'))
        .ok_or_else(|| PathMapError::NotAbsolute {
            path: path.to_owned(),
        })
}

/// Takes the root off an absolute path of any system; what is left begins with a slash or is empty, but for a server's.
fn split_root(path: &str) -> Option<(Root, &str)> {
    let mut chars = path.chars();
    let (first, second) = (chars.next()?, chars.next());
    if first.is_ascii_alphabetic() && second == Some(':') {
        let rest = &path[2..];
        let is_whole = rest.is_empty() || rest.starts_with(is_slash);
        return is_whole.then_some((Root::Drive(first.to_ascii_lowercase()), rest));
    }
    match (is_slash(first), second.is_some_and(is_slash)) {
        (true, true) => {
            Some((Root::Server, &path[2..])).filter(|(_, it)| !it.starts_with(is_slash))
        }
        (true, false) => Some((Root::Unix, path)),
        _ => None,
    }
}

/// Says whether a root may begin a text, whatever comes behind it.
fn may_be_root(text: &str) -> bool {
    text.starts_with(is_slash) || text.as_bytes().get(1) == Some(&b':')
}

fn is_slash(c: char) -> bool {
    matches!(c, '/' | '\\')
}

/// Says whether a path may begin behind this character.
fn begins_path(c: char) -> bool {
    c.is_whitespace() || matches!(c, '=' | ',' | ';' | '(' | '"' | '\'')
}

/// Says whether this character shows that an argument is made of several words.
fn parts_words(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'')
}

/// Returns the part of a text that a path which begins it may fill.
fn extent(text: &str, extent: Extent) -> &str {
    let end = match extent {
        Extent::Whole => text.find(';'),
        Extent::Word => text.find(|c| parts_words(c) || matches!(c, ',' | ';' | ')')),
        Extent::Quoted(quote) => text.find(quote),
    };
    &text[..end.unwrap_or(text.len())]
}

/// Splits a text at the first whole `QB_CONVERT_PATH(…)`: before, within, behind. Brackets within are counted.
fn split_wrapped(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find(WRAPPER)?;
    let inner = &text[start + WRAPPER.len()..];
    let mut depth = 1_usize;
    for (at, c) in inner.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[..start], &inner[..at], &inner[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[&str]) -> PathMap {
        PathMap::new(lines.iter().map(|it| PathMap::parse_line(it).unwrap())).unwrap()
    }

    fn all(map: &PathMap, argument: &str) -> String {
        map.convert_argument(argument, true)
    }

    #[test]
    fn a_drive_becomes_a_directory_with_its_slashes_whatever_the_case() {
        let map = map(&[
            r"P:\show => /mnt/p/show",
            r"Q: => /mnt/q",
            r"\\FS1\lib\ => /mnt/lib/",
        ]);
        for (given, wanted) in [
            (r"P:\show\a b\c.exr", "/mnt/p/show/a b/c.exr"),
            (r"p:/SHOW/A.exr", "/mnt/p/show/A.exr"),
            (r"P:\show", "/mnt/p/show"),
            (r"P:\show\", "/mnt/p/show/"),
            (r"P:\showreel\a", r"P:\showreel\a"),
            (r"P:\show reel\a", r"P:\show reel\a"),
            (r"P:show\a", r"P:show\a"),
            (r"xP:\show", r"xP:\show"),
            ("q:", "/mnt/q"),
            (r"Q:\", "/mnt/q/"),
            (r"Q:\\x", "/mnt/q//x"),
            (r"\\fs1\LIB\t.tx", "/mnt/lib/t.tx"),
            ("//fs1/lib", "/mnt/lib"),
            (r"\\fs1\library", r"\\fs1\library"),
            ("http://fs1/lib/x", "http://fs1/lib/x"),
            (r"\fs1\lib", r"\fs1\lib"),
        ] {
            assert_eq!(all(&map, given), wanted, "{given}");
        }
    }

    #[test]
    fn a_directory_becomes_a_drive_and_case_counts() {
        let map = map(&[
            r"/mnt/p => P:\",
            r"/mnt/srv => \\fs1\srv",
            "/mnt/q => Q:/q",
            "/root/x => X:",
        ]);
        for (given, wanted) in [
            ("/mnt/p/a/b.exr", r"P:\a\b.exr"),
            ("/mnt/p", r"P:\"),
            (r"\mnt\p\a", r"P:\a"),
            ("/mnt/P/a", "/mnt/P/a"),
            ("/mnt/pp/a", "/mnt/pp/a"),
            ("/mnt/srv/x y/z", r"\\fs1\srv\x y\z"),
            ("/mnt/q/a\\b", "Q:/q/a/b"),
            ("/root/x", r"X:\"),
            ("//mnt/p", "//mnt/p"),
            ("mnt/p", "mnt/p"),
        ] {
            assert_eq!(all(&map, given), wanted, "{given}");
        }
    }

    #[test]
    fn paths_are_seen_where_a_path_may_begin() {
        let map = map(&[r"P:\ => /mnt/p"]);
        for (given, wanted) in [
            (r"--out=P:\my show\a", "--out=/mnt/p/my show/a"),
            ("P:;P:/;P:", "/mnt/p;/mnt/p/;/mnt/p"),
            (r"P:\a;P:\b\c;D:\d", r"/mnt/p/a;/mnt/p/b/c;D:\d"),
            (r"cat P:\a\b | sed s/\n//", r"cat /mnt/p/a/b | sed s/\n//"),
            (
                r#"cat "P:\my show\a" 'P:\b' P:\c\d\t"#,
                r#"cat "/mnt/p/my show/a" '/mnt/p/b' /mnt/p/c/d/t"#,
            ),
            (r"P:\bin\x.exe -i P:\a\b", "/mnt/p/bin/x.exe -i /mnt/p/a/b"),
            (r"load(P:\a\b)\n", r"load(/mnt/p/a/b)/n"),
            (r"x load(P:\a\b)\n", r"x load(/mnt/p/a/b)\n"),
            ("größe=P:\\ü\\ß", "größe=/mnt/p/ü/ß"),
        ] {
            assert_eq!(all(&map, given), wanted, "{given}");
            assert_eq!(map.convert_argument(given, false), given);
        }
    }

    #[test]
    fn wrapped_text_is_converted_whatever_the_flag_and_the_wrapping_goes() {
        let map = map(&[r"P:\ => /mnt/p"]);
        for (given, wanted) in [
            (r"QB_CONVERT_PATH(P:\a)", "/mnt/p/a"),
            (
                r"-o QB_CONVERT_PATH(P:\a (1)\b).exr",
                "-o /mnt/p/a (1)/b.exr",
            ),
            (
                r"P:\x QB_CONVERT_PATH(P:\a)QB_CONVERT_PATH(D:\b)",
                r"P:\x /mnt/p/aD:\b",
            ),
            (r"QB_CONVERT_PATH(P:\a", r"QB_CONVERT_PATH(P:\a"),
            ("QB_CONVERT_PATH()", ""),
        ] {
            assert_eq!(map.convert_argument(given, false), wanted, "{given}");
            let bare = PathMap::default().convert_argument(given, false);
            assert!(
                !bare.contains("QB_CONVERT_PATH(") || bare == given,
                "{bare}"
            );
        }
        assert_eq!(
            PathMap::default().convert_argument(r"QB_CONVERT_PATH(P:\a)", true),
            r"P:\a"
        );
    }

    #[test]
    fn the_first_entry_that_matches_counts_and_once() {
        let lines = [
            r"P:\show\lib => /lib",
            r"P:\show => /mnt/show",
            "/mnt/show => /other",
        ];
        let map = map(&lines);
        assert_eq!(all(&map, r"P:\show\lib\x"), "/lib/x");
        assert_eq!(all(&map, r"P:\show\libs"), "/mnt/show/libs");
        assert_eq!(all(&map, "/mnt/show"), "/other");
        assert_eq!(map.convert_path(r"P:\show;x"), r"P:\show;x");
        assert_eq!(map.convert_path(r"p:\show\a;b c"), "/mnt/show/a;b c");
    }

    #[test]
    fn mistakes_are_told() {
        let error = |line: &str| PathMap::parse_line(line).unwrap_err().to_string();
        assert!(error("P: /mnt").contains("is not `FROM => TO`"));
        assert!(error("P: => /a => /b").contains("is not `FROM => TO`"));
        assert!(error("show => /mnt").starts_with("`show` is not an absolute path"));
        assert!(error(r"\show => /mnt").contains("is not an absolute path"));
        assert!(error(r"\\ => /mnt").contains("is not an absolute path"));
        assert!(error("P: => mnt").starts_with("`mnt` is not"));
        assert!(error("=> /mnt").starts_with("`` is not"));
        assert!(error("/a/../b => /mnt").contains("has `.` or `..`"));
        assert!(error("/a\tb => /mnt").contains("control character"));
        assert!(error(&format!("/{} => /x", "a".repeat(1_024))).contains("more than 1024"));
        let many = (0..=PATH_ENTRIES_MAX).map(|i| (format!("/{i}"), "/x".to_owned()));
        assert!(PathMap::new(many).is_err());
    }

    #[test]
    fn an_argument_of_nothing_but_paths_is_done_in_bounded_time_and_room() {
        let map = map(&[&format!("P: => /{}", "x".repeat(1_000))]);
        let argument = "P:;".repeat(40_000);
        let converted = all(&map, &argument);
        assert!(converted.len() > argument.len() + 1_000_000);
        assert!(converted.len() <= argument.len() + PLACES_MAX * 1_024);
        let argument = "=/".repeat(60_000);
        assert_eq!(all(&map, &argument), argument);
    }
}
