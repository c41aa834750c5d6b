//! What jobs print, and what a server sends: bytes of anybody, cut anywhere.

use crate::borrowed::cli_text;
use crate::{progress as scanner, sse};

/// What is shown of a log can't move a cursor, and is the same however it was cut.
pub fn terminal(bytes: &[u8]) {
    let Some((cut, bytes)) = bytes.split_first() else {
        return;
    };
    let (first, second) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    let shown = filtered(&[first, second]);
    assert_eq!(shown, filtered(&[bytes]));
    let is_plain = |c: char| matches!(c, '\n' | '\t') || !c.is_control();
    assert!(shown.chars().all(is_plain), "{shown:?}");
    let safe = cli_text::safe(&String::from_utf8_lossy(bytes)).into_owned();
    assert!(!safe.chars().any(char::is_control), "{safe:?}");
    assert!(cli_text::width(&cli_text::fit(&safe, 20)) <= 20);
}

fn filtered(pieces: &[&[u8]]) -> String {
    let mut filter = cli_text::LogFilter::default();
    let mut out: String = pieces.iter().map(|piece| filter.push(piece)).collect();
    out += &filter.finish();
    out
}

/// Progress is a percentage or nothing. The first line is the pattern.
pub fn progress(bytes: &[u8]) {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let Ok(pattern) = std::str::from_utf8(&bytes[..end]) else {
        return;
    };
    let printed = &bytes[end + 1..];
    let (first, second) = printed.split_at(printed.len() / 2);
    for has_gap in [false, true] {
        let found = scanner::scan(pattern, first, second, has_gap);
        assert!(found.into_iter().flatten().all(|percent| percent <= 100));
    }
}

/// Events read the same however they are cut.
pub fn events(bytes: &[u8]) {
    let Some((cut, bytes)) = bytes.split_first() else {
        return;
    };
    let (first, second) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    assert_eq!(sse::events(&[bytes]), sse::events(&[first, second]));
}
