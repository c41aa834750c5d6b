//! The form of Qube!'s files: `key = value` lines, sections, braces over several lines, comments.

/// A line that says something, or several of them in braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The line, from 1.
    pub(super) line: usize,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// `[name] : one other`.
    Section { name: String, inherits: Vec<String> },
    /// `key = value`.
    Value(String, Value),
    /// Neither.
    Unreadable,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// On one line, without its quotes.
    Plain(String),
    /// The lines between braces.
    Block(Vec<String>),
}

/// Reads a file.
pub(super) fn read(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((n, line)) = lines.next() {
        let line = without_comment(line).trim();
        if line.is_empty() {
            continue;
        }
        let what = if line.starts_with('[') {
            section(line)
        } else {
            match line.split_once('=') {
                Some((key, value)) if is_key(key.trim()) => {
                    let value = value.trim();
                    let value = match value.strip_prefix('{') {
                        Some(rest) => block(rest, &mut lines),
                        None => Some(Value::Plain(unquoted(value))),
                    };
                    value.map_or(What::Unreadable, |value| {
                        What::Value(key.trim().to_owned(), value)
                    })
                }
                _ => What::Unreadable,
            }
        };
        entries.push(Entry { line: n + 1, what });
    }
    entries
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Cuts a comment off; a `#` in double quotes is none.
fn without_comment(line: &str) -> &str {
    let mut is_quoted = false;
    for (at, c) in line.char_indices() {
        match c {
            '"' => is_quoted = !is_quoted,
            '#' if !is_quoted => return &line[..at],
            _ => {}
        }
    }
    line
}

fn unquoted(value: &str) -> String {
    let inner = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(value).to_owned()
}

/// Reads `[pfx[000-100]] : one other`.
fn section(line: &str) -> What {
    let Some(end) = line.rfind(']').filter(|end| *end > 0) else {
        return What::Unreadable;
    };
    let (name, rest) = (line[1..end].trim(), line[end + 1..].trim());
    let inherits = match rest.strip_prefix(':') {
        Some(names) => names.split([' ', '\t', ',']),
        None if rest.is_empty() => "".split([' ', '\t', ',']),
        None => return What::Unreadable,
    };
    if name.is_empty() {
        return What::Unreadable;
    }
    What::Section {
        name: name.to_owned(),
        inherits: inherits
            .filter(|it| !it.is_empty())
            .map(str::to_owned)
            .collect(),
    }
}

/// Reads up to the closing brace; nothing when there is none.
fn block<'a>(first: &str, lines: &mut impl Iterator<Item = (usize, &'a str)>) -> Option<Value> {
    if let Some(inner) = first.trim_end().strip_suffix('}') {
        return Some(Value::Plain(unquoted(inner.trim())));
    }
    let mut block: Vec<String> = Vec::new();
    let mut keep = |line: &str| {
        let line = line.trim();
        if !line.is_empty() {
            block.push(line.to_owned());
        }
    };
    keep(first);
    for (_, line) in lines {
        let line = without_comment(line).trim();
        if let Some(last) = line.strip_suffix('}') {
            keep(last);
            return Some(Value::Block(block));
        }
        keep(line);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(key: &str, value: &str) -> What {
        What::Value(key.to_owned(), Value::Plain(value.to_owned()))
    }

    #[test]
    fn every_form_of_the_manual_is_read() {
        let text = "# all\nworker_cpus = 4 # slots\n\nworker_description = \"a # b\"\n[r[001-100]] : gpu night\n\
                    worker_groups = { a b }\nworker_path_map = {\n  \"/a\" = \"/b\"\n}\nworker_drive_map = {X:|\\\\S\\SHARE\n}\n[winnt]\n\
                    what is this\n[x] y\nworker_cpus = {\n1";
        let found: Vec<(usize, What)> = read(text)
            .into_iter()
            .map(|it| (it.line, it.what))
            .collect();
        let block = |key: &str, line: &str| {
            What::Value(key.to_owned(), Value::Block(vec![line.to_owned()]))
        };
        let section = |name: &str, inherits: &[&str]| What::Section {
            name: name.to_owned(),
            inherits: inherits.iter().map(|&it| it.to_owned()).collect(),
        };
        assert_eq!(
            found,
            [
                (2, value("worker_cpus", "4")),
                (4, value("worker_description", "a # b")),
                (5, section("r[001-100]", &["gpu", "night"])),
                (6, value("worker_groups", "a b")),
                (7, block("worker_path_map", "\"/a\" = \"/b\"")),
                (10, block("worker_drive_map", "X:|\\\\S\\SHARE")),
                (12, section("winnt", &[])),
                (13, What::Unreadable),
                (14, What::Unreadable),
                (15, What::Unreadable),
            ]
        );
    }
}
