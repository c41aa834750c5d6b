//! Rules about Rust files: sizes, what is not written, and calls that belong to one place.

use super::Fault;
use super::lexer::{blank, is_word, without_tests};

/// Lines of a file past which a seam should be looked for, and past which it must be found.
const LINES_WARN: usize = 600;
const LINES_MAX: usize = 800;

/// Something that is written only in some places.
struct Kept {
    /// The code.
    code: &'static str,
    /// In which folders the rule holds; empty: everywhere.
    within: &'static [&'static str],
    /// Files or folders where it may stand.
    places: &'static [&'static str],
    /// Whether tests may have it too.
    in_tests: bool,
    /// Why, and the way out.
    why: &'static str,
}

/// Crates that only compute.
const PURE: &[&str] = &[
    "crates/model/",
    "crates/spec/",
    "crates/engine/",
    "crates/ticket/",
];

/// Crates that speak to an operating system, and so have unsafe code.
pub(super) const UNSAFE: &[&str] = &["crates/sys/", "crates/macos/", "crates/windows/"];

const KEPT: &[Kept] = &[
    Kept {
        code: "unsafe",
        within: &[],
        places: &[
            "crates/sys/",
            "crates/macos/",
            "crates/windows/",
            // Jobs that attack, and what stands in for a worker.
            "crates/launch/examples/",
            "crates/launch/tests/",
        ],
        in_tests: false,
        why: "only sys, macos and windows have unsafe code",
    },
    never("todo!", "finish it or leave it out"),
    never("unimplemented!", "finish it or leave it out"),
    never("dbg!", "use tracing, or an assertion with a message"),
    wall("SystemTime::now"),
    wall("Timestamp::now"),
    Kept {
        code: "Instant::now",
        within: &[
            "crates/model/",
            "crates/spec/",
            "crates/engine/",
            "crates/ticket/",
            "crates/sim/",
            "crates/store/",
        ],
        places: &["crates/sim/src/main.rs"],
        in_tests: true,
        why: "the time is handed in",
    },
    Kept {
        code: "Command::new",
        within: &[],
        places: &[
            "crates/macos/",
            "crates/maclaunch/src/real.rs",
            "crates/maclaunch/src/user.rs",
            // A benchmark that a person starts has a supervisor of its own.
            "crates/bench/src/wire/supervisor.rs",
            "crates/cli/",
            "crates/worker/src/chain/",
            "crates/worker/src/tool.rs",
            "xtask/",
        ],
        in_tests: true,
        why: "programs are started by the commands that a person types, by the worker's chain, and to ask whether somebody is \
              active; what tessera-launch runs, crate sys starts",
    },
    Kept {
        code: "CommandExt",
        within: &[],
        places: &[
            "crates/macos/",
            "crates/maclaunch/src/user.rs",
            "crates/cli/",
        ],
        in_tests: true,
        why: "its uid and gid drop the user's supplementary groups; only identity becomes somebody",
    },
    Kept {
        code: "thread::sleep",
        within: &[],
        places: &[
            "crates/cli/",
            "crates/keeper/",
            "crates/maclaunch/",
            "crates/winlaunch/",
            "xtask/",
        ],
        in_tests: true,
        why: "wait for what you wait for: a channel, a descriptor, a timer of the loop",
    },
    ordered("HashMap"),
    ordered("HashSet"),
    pure("std::fs"),
    pure("std::net"),
    pure("std::env"),
    pure("std::process"),
    pure("std::thread"),
];

const fn never(code: &'static str, why: &'static str) -> Kept {
    Kept {
        code,
        within: &[],
        places: &[],
        in_tests: false,
        why,
    }
}

/// The wall clock goes back and forth: what decides by it is wrong some day, so it is read in few places.
const fn wall(code: &'static str) -> Kept {
    Kept {
        code,
        within: &[],
        places: &[
            "crates/cli/src/out/",
            "crates/sys/",
            "crates/maclaunch/src/real.rs",
            "crates/supervisor/src/clock.rs",
            "crates/wire/src/link/mod.rs",
            "crates/wire/src/pki/mod.rs",
            "crates/winlaunch/src/real.rs",
            "crates/worker/src/os/mod.rs",
        ],
        in_tests: true,
        why: "the wall clock is read in one function of a crate and handed on; limits use elapsed time",
    }
}

const fn ordered(code: &'static str) -> Kept {
    Kept {
        code,
        within: &["crates/engine/", "crates/model/", "crates/sim/"],
        places: &[],
        in_tests: false,
        why: "its order is chance, and the same inputs must give the same outputs; use the B-tree kind",
    }
}

const fn pure(code: &'static str) -> Kept {
    Kept {
        code,
        within: PURE,
        places: &[],
        in_tests: true,
        why: "this crate only computes; hand the result in",
    }
}

/// Checks one file.
pub(super) fn check(file: &str, text: &str) -> Vec<Fault> {
    let code = blank(text);
    let mut faults = size(file, text.lines().count());
    for kept in KEPT {
        faults.extend(kept.check(file, &code));
    }
    faults.extend(attributes(file, text, &code));
    faults
}

fn size(file: &str, lines: usize) -> Vec<Fault> {
    if lines > LINES_MAX {
        let text = format!("{lines} lines, {LINES_MAX} at most: find the seam");
        vec![Fault::new(file, None, text)]
    } else if lines > LINES_WARN {
        vec![Fault::warning(
            file,
            format!("{lines} lines; look for the seam"),
        )]
    } else {
        Vec::new()
    }
}

impl Kept {
    fn check(&self, file: &str, code: &str) -> Vec<Fault> {
        let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| file.starts_with(prefix));
        let is_elsewhere = !self.within.is_empty() && !starts(self.within);
        if is_elsewhere || starts(self.places) || (self.in_tests && is_test(file)) {
            return Vec::new();
        }
        let code = if self.in_tests {
            without_tests(code)
        } else {
            code
        };
        let fault = |at| {
            Fault::new(
                file,
                Some(line(code, at)),
                format!("{}: {}", self.code, self.why),
            )
        };
        words(code, self.code).map(fault).collect()
    }
}

/// Says whether a whole file is tests, a bench or an example.
fn is_test(file: &str) -> bool {
    let folder = |name: &str| file.split('/').any(|part| part == name);
    let name = file.rsplit('/').next().unwrap_or_default();
    ["tests", "benches", "examples", "testkit"]
        .into_iter()
        .any(folder)
        || name == "tests.rs"
        || name.ends_with("_tests.rs")
}

/// An exception from a lint says why; an ignored test says until when.
fn attributes(file: &str, text: &str, code: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let fault = |text: &str| Fault::new(file, Some(number + 1), text);
        let line = line.trim();
        if (line.starts_with("#[allow(") || line.starts_with("#![allow("))
            && !gives_reason(text, number)
        {
            faults.push(fault(
                "allow without a reason: use #[expect(…, reason = \"…\")]",
            ));
        }
        if line == "#[ignore]" {
            faults.push(fault(
                "ignored without a reason: #[ignore = \"issue N: …\"]",
            ));
        }
    }
    faults
}

/// Looks for a reason between the attribute's line and the item after it.
fn gives_reason(text: &str, from: usize) -> bool {
    let lines = text.lines().skip(from);
    let attribute = lines.take(8).collect::<Vec<_>>().join("\n");
    attribute
        .split(")]")
        .next()
        .is_some_and(|attribute| attribute.contains("reason = "))
}

/// Finds a piece of code that is no part of a longer word.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| {
            let is_free = |byte: Option<&u8>| byte.is_none_or(|byte| !is_word(*byte));
            is_free(at.checked_sub(1).and_then(|before| bytes.get(before)))
                && (word.ends_with('!') || is_free(bytes.get(at + word.len())))
        })
}

fn line(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn faults(file: &str, text: &str, count: usize) {
        let found = check(file, text);
        assert_eq!(found.len(), count, "{file}: {found:?}");
    }

    #[test]
    fn planted_faults_are_found() {
        faults("crates/worker/src/x.rs", "fn f() { unsafe { g() } }", 1);
        faults("crates/worker/src/x.rs", "fn f() { todo!() }", 1);
        faults(
            "crates/worker/src/x.rs",
            "fn f() {\n dbg!(x);\n unimplemented!() }",
            2,
        );
        faults("crates/engine/src/x.rs", "let t = Instant::now();", 1);
        faults("crates/worker/src/x.rs", "let t = SystemTime::now();", 1);
        faults("crates/supervisor/src/x.rs", "jiff::Timestamp::now()", 1);
        faults(
            "crates/engine/src/x.rs",
            "use std::collections::{BTreeMap, HashMap};",
            1,
        );
        faults("crates/model/src/x.rs", "std::fs::read(p)", 1);
        faults(
            "crates/supervisor/src/x.rs",
            "let c = Command::new(\"sh\");",
            1,
        );
        faults("crates/supervisor/src/x.rs", "std::thread::sleep(d)", 1);
        faults(
            "crates/worker/src/x.rs",
            "use std::os::unix::process::CommandExt;",
            1,
        );
        faults("crates/cli/src/x.rs", "#[allow(dead_code)]\nfn f() {}", 1);
        faults("crates/cli/tests/x.rs", "#[test]\n#[ignore]\nfn f() {}", 1);
    }

    #[test]
    fn what_is_in_its_place_passes() {
        faults("crates/sys/src/x.rs", "unsafe { libc::fork() }", 0);
        faults("crates/launch/src/x.rs", "unsafe { libc::fork() }", 1);
        faults("crates/windows/src/x.rs", "unsafe { CloseHandle(h) }", 0);
        faults("crates/supervisor/src/clock.rs", "SystemTime::now()", 0);
        faults(
            "crates/worker/src/x.rs",
            "let deadline = Instant::now() + limit;",
            0,
        );
        faults("crates/worker/tests/x.rs", "SystemTime::now()", 0);
        faults(
            "crates/worker/src/x.rs",
            "fn f() {}\n#[cfg(test)]\nmod tests {\n fn g() { SystemTime::now(); } }",
            0,
        );
        faults("crates/store/src/x.rs", "use std::collections::HashMap;", 0);
        faults(
            "crates/cli/src/x.rs",
            "// unsafe, todo!()\nlet s = \"dbg!(1)\";",
            0,
        );
        faults("crates/cli/src/x.rs", "#![forbid(unsafe_code)]", 0);
        faults(
            "crates/cli/src/x.rs",
            "#[allow(\n    dead_code,\n    reason = \"only on Windows\"\n)]",
            0,
        );
        faults("crates/launch/tests/x.rs", "#[ignore = \"benchmark\"]", 0);
    }

    #[test]
    fn tests_of_pure_crates_may_use_clocks_but_no_chance() {
        faults("crates/engine/src/supervisor/tests.rs", "Instant::now()", 0);
        faults("crates/engine/src/supervisor/tests.rs", "HashSet::new()", 1);
    }

    #[test]
    fn long_files_are_found() {
        let lines = |n| "\n".repeat(n);
        faults("crates/cli/src/x.rs", &lines(600), 0);
        assert!(check("crates/cli/src/x.rs", &lines(601))[0].is_warning);
        assert!(check("crates/cli/src/x.rs", &lines(800))[0].is_warning);
        assert!(!check("crates/cli/src/x.rs", &lines(801))[0].is_warning);
    }

    #[test]
    fn the_line_is_named() {
        let found = check("crates/cli/src/x.rs", "fn f() {\n\n    todo!()\n}");
        assert_eq!(found[0].line, Some(3));
    }
}
