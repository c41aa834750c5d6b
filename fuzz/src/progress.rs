//! The worker's scanner for progress, which only its parent may see.

#[allow(dead_code, reason = "only the scanner is tried")]
#[path = "../../crates/worker/src/output/progress.rs"]
mod scanner;

/// Feeds two pieces of one stream to a scanner and answers what it finds in each.
pub(crate) fn scan(pattern: &str, first: &[u8], second: &[u8], has_gap: bool) -> [Option<u8>; 2] {
    let Some(mut scanner) = scanner::Scanner::new(pattern) else {
        return [None, None];
    };
    [
        scanner.feed(0, first, false),
        scanner.feed(0, second, has_gap),
    ]
}
