//! How much code is privileged: figures that may only fall.
//!
//! Counted are lines of source that are neither empty nor a comment, without a file's own tests. The issue that began this
//! asks for under 2,000 of what is root; `crates/launch/README.md` says where that stands and what is in the way. What only judges,
//! from bytes and values to a value, has a figure of its own: it makes no call, and is fuzzed.

use super::Fault;
use super::lexer::{blank, without_tests};
use anyhow::Result;

/// What is counted together, and the most lines of it.
struct Bound {
    what: &'static str,
    folders: &'static [&'static str],
    lines_max: usize,
}

const BOUNDS: &[Bound] = &[
    Bound {
        what: "what is root (launcher, look-ups, becoming a user)",
        folders: &["crates/launch/src/", "crates/identity/src/"],
        lines_max: LAUNCHER,
    },
    Bound {
        what: "what holds a PAM session (root, a process of its own that answers nobody)",
        folders: &["crates/pam/src/"],
        lines_max: HOLDER,
    },
    Bound {
        what: "what judges for it and does nothing (policy, rules about accounts and tickets, what waits for look-ups)",
        folders: &["crates/rules/src/"],
        lines_max: RULES,
    },
    Bound {
        what: "what writes the launchers' record (files in a directory of root's, and looking whether they are whole)",
        folders: &["crates/audit/src/"],
        lines_max: RECORD,
    },
    Bound {
        what: "what is root for a moment and answers nobody (clearing up)",
        folders: &["crates/clear/src/"],
        lines_max: CLEAR,
    },
    Bound {
        what: "the system calls, with all of Linux's unsafe code",
        folders: &["crates/sys/src/"],
        lines_max: SYSTEM,
    },
];
const LAUNCHER: usize = 2_696;
const HOLDER: usize = 582;
const RULES: usize = 752;
const RECORD: usize = 342;
const CLEAR: usize = 141;
const SYSTEM: usize = 2_184;

/// Counts, and objects where a figure has grown.
pub(super) fn check(
    files: &[String],
    text: impl Fn(&str) -> Result<Option<String>>,
) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    for bound in BOUNDS {
        let mut lines = 0;
        for file in files.iter().filter(|file| is_of(file, bound)) {
            lines += text(file)?.as_deref().map_or(0, count);
        }
        println!("tidy: {}: {lines} lines of code", bound.what);
        faults.extend(judge(bound, lines));
    }
    Ok(faults)
}

fn is_of(file: &str, bound: &Bound) -> bool {
    let is_code = file.ends_with(".rs") && !file.ends_with("/tests.rs");
    is_code && bound.folders.iter().any(|it| file.starts_with(it))
}

fn judge(bound: &Bound, lines: usize) -> Option<Fault> {
    let place = bound.folders.join(" and ");
    (lines > bound.lines_max).then(|| {
        let text = format!(
            "{}: {lines} lines of code, {} at most. Do without, move what needs no privilege to a crate that has none, or \
             say in an ADR why it must be root and raise the figure in xtask/src/tidy/privileged.rs",
            bound.what, bound.lines_max
        );
        Fault::new(&place, None, text)
    })
}

/// Counts the lines of a file that are code and not its tests.
fn count(text: &str) -> usize {
    let blanked = blank(text);
    let code = without_tests(&blanked);
    code.lines().filter(|line| !line.trim().is_empty()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_blanks_and_tests_are_no_code() {
        let text = "//! X.\n\n/// Y\nfn f() {\n    // z\n    g(\"// no comment\");\n}\n\n#[cfg(test)]\nmod tests {\n    fn t() {}\n}\n";
        assert_eq!(count(text), 3);
    }

    #[test]
    fn a_line_too_many_is_a_fault() {
        let bound = &BOUNDS[0];
        assert!(judge(bound, bound.lines_max).is_none());
        let fault = judge(bound, bound.lines_max + 1).expect("a fault");
        assert!(!fault.is_warning && fault.text.contains("must be root"));
        assert!(is_of("crates/identity/src/user.rs", bound));
        assert!(!is_of("crates/shepherd/src/watch.rs", bound));
        assert!(!is_of("crates/launch/tests/life.rs", bound));
        assert!(!is_of("crates/launch/src/x/tests.rs", bound));
    }
}
