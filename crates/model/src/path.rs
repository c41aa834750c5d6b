//! Paths of any system, as text: a farm has hosts of several, and none of them can ask its own about another's.

/// Says whether a path is whole on some system: `/shows/x`, `P:\shows` or `P:/shows`, `\\server\share` or `//server/share`.
///
/// What a path means, and whether it is one at all on a host, only the host knows: see the `cwd` of a job.
pub fn is_absolute(path: &str) -> bool {
    let is_separator = |byte: u8| matches!(byte, b'/' | b'\\');
    match path.as_bytes() {
        [b'/', ..] | [b'\\', b'\\', ..] => true,
        [drive, b':', separator, ..] => drive.is_ascii_alphabetic() && is_separator(*separator),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_has_whole_paths() {
        for whole in ["/", "/a", "//s/x", r"\\s\x", r"P:\", "p:/a", r"C:\a b"] {
            assert!(is_absolute(whole), "{whole}");
        }
        // `\a` and `P:a` depend on the drive that one is on.
        for part in [
            "", "a", "a/b", ".", "~/x", r"\a", "P:", "P:a", "é:/", "1:/", ":/",
        ] {
            assert!(!is_absolute(part), "{part}");
        }
    }
}
