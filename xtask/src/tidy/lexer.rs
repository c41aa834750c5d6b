//! Just enough of Rust's lexical rules to tell code from comments and strings.

/// Answers the text with comments and the insides of strings and characters turned into spaces; lines stay in place.
pub(crate) fn blank(text: &str) -> String {
    let mut blanker = Blanker {
        text: text.as_bytes(),
        at: 0,
        out: Vec::with_capacity(text.len()),
    };
    while blanker.at < blanker.text.len() {
        blanker.step();
    }
    String::from_utf8_lossy(&blanker.out).into_owned()
}

/// Cuts off the file's own tests: what follows `#[cfg(test)]` before an inline module.
pub(crate) fn without_tests(blanked: &str) -> &str {
    let mut from = 0;
    while let Some(found) = blanked[from..].find("#[cfg(test)]") {
        let start = from + found;
        let after = blanked[start..]
            .trim_start_matches("#[cfg(test)]")
            .trim_start();
        let item = after.split(['{', ';']).next().unwrap_or_default();
        let is_inline = after[item.len()..].starts_with('{');
        if is_inline && item.split_whitespace().any(|word| word == "mod") {
            return &blanked[..start];
        }
        from = start + 1;
    }
    blanked
}

struct Blanker<'a> {
    text: &'a [u8],
    at: usize,
    out: Vec<u8>,
}

impl Blanker<'_> {
    fn step(&mut self) {
        let rest = &self.text[self.at..];
        let is_word_before = self.at > 0 && is_word(self.text[self.at - 1]);
        if rest.starts_with(b"//") {
            self.erase(rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()));
        } else if rest.starts_with(b"/*") {
            self.erase(block_comment(rest));
        } else if let Some(length) = raw_string(rest).filter(|_| !is_word_before) {
            self.erase(length);
        } else if rest[0] == b'"' {
            self.erase(string(rest));
        } else if let Some(length) = character(rest) {
            self.erase(length);
        } else {
            self.out.push(rest[0]);
            self.at += 1;
        }
    }

    fn erase(&mut self, length: usize) {
        let end = (self.at + length).min(self.text.len());
        let blanks = self.text[self.at..end]
            .iter()
            .map(|b| if *b == b'\n' { b'\n' } else { b' ' });
        self.out.extend(blanks);
        self.at = end;
    }
}

pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn block_comment(text: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

fn string(text: &[u8]) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

fn raw_string(text: &[u8]) -> Option<usize> {
    let prefix = [&b"r"[..], b"br", b"cr"]
        .into_iter()
        .find(|prefix| text.starts_with(prefix))?;
    let hashes = text[prefix.len()..]
        .iter()
        .take_while(|b| **b == b'#')
        .count();
    let open = prefix.len() + hashes;
    (text.get(open) == Some(&b'"')).then_some(())?;
    let end: Vec<u8> = std::iter::once(b'"')
        .chain(std::iter::repeat_n(b'#', hashes))
        .collect();
    let inside = &text[open + 1..];
    let length = inside.windows(end.len()).position(|window| window == end);
    Some(length.map_or(text.len(), |length| open + 1 + length + end.len()))
}

/// Answers the length of a character literal; `None` for a lifetime.
fn character(text: &[u8]) -> Option<usize> {
    (text[0] == b'\'').then_some(())?;
    if text.get(1) == Some(&b'\\') {
        let close = text.get(3..)?.iter().position(|b| *b == b'\'')?;
        return Some(3 + close + 1);
    }
    let width = match text.get(1)? {
        0x00..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xff => 4,
    };
    (text.get(1 + width) == Some(&b'\'')).then_some(width + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let found = blank(text);
        assert_eq!(
            found.split_whitespace().collect::<Vec<_>>().join(" "),
            expect
        );
        assert_eq!(found.lines().count(), text.lines().count());
    }

    #[test]
    fn comments_and_strings_are_blanked() {
        check("a(); // unsafe\nb();", "a(); b();");
        check("a /* x /* unsafe */ y */ b", "a b");
        check(r#"f("unsafe \" todo!()", 1)"#, "f( , 1)");
        check("f(r#\"a \" unsafe\"#, br\"x\")", "f( , )");
        check("let r = 1; bar(\"q\")", "let r = 1; bar( )");
    }

    #[test]
    fn characters_and_lifetimes_are_told_apart() {
        check(
            r"x == '\'' || y == '\u{1F}' || z == 'é'",
            "x == || y == || z ==",
        );
        check(
            "fn f<'a>(x: &'a str) -> &'a str { x }",
            "fn f<'a>(x: &'a str) -> &'a str { x }",
        );
        check("c == '\"' && d", "c == && d");
    }

    #[test]
    fn own_tests_are_cut_off() {
        assert_eq!(without_tests("a\n#[cfg(test)]\nmod tests {\n b }"), "a\n");
        assert_eq!(
            without_tests("a\n#[cfg(test)]\nmod tests;\nb"),
            "a\n#[cfg(test)]\nmod tests;\nb"
        );
        let helper = "#[cfg(test)]\nfn f() {}\n#[cfg(test)]\nmod t {";
        assert_eq!(without_tests(helper), "#[cfg(test)]\nfn f() {}\n");
    }

    #[test]
    fn broken_text_does_no_harm() {
        for text in ["'", "\"", "r#\"", "/*", "'\\", "b'", "r", "'é", "\"\\"] {
            assert_eq!(blank(text).len(), text.len(), "{text}");
        }
    }
}
