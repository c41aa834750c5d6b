//! Rules about every text file: nothing of the machine or the papers that it was written with.

use super::Fault;

/// What is not written, and why.
struct Banned {
    text: &'static str,
    why: &'static str,
    /// Whether tests and examples may make it up.
    in_tests: bool,
    /// Files where it stands for a reason.
    except: &'static [&'static str],
}

/// This file has them all.
const SELF: &str = "xtask/src/tidy/text.rs";

/// Written by tools, with the addresses that packages name.
const LOCKS: [&str; 2] = ["Cargo.lock", "web/package-lock.json"];

const BANNED: &[Banned] = &[
    home("/root/"),
    home("/home/"),
    Banned {
        text: "/work/",
        why: "a path of one machine",
        in_tests: false,
        except: &[],
    },
    paper("DESIGN.md"),
    paper("DESIGN section"),
    paper("DESIGN's"),
    paper("STYLE.md"),
    paper("STYLE section"),
    paper("reference/identity"),
    paper("reference/qube"),
    paper("reference/peers"),
    paper("reference/dependencies"),
    paper("reference/performance"),
];

const fn home(text: &'static str) -> Banned {
    Banned {
        text,
        why: "a path of one machine; use $HOME, or a made-up path in a test",
        in_tests: true,
        except: &["docs/how-to/", "crates/launch/README.md"],
    }
}

const fn paper(text: &'static str) -> Banned {
    Banned {
        text,
        why: "names a paper that readers don't have; say what it says, or name ARCHITECTURE.md or an ADR",
        in_tests: false,
        except: &[],
    }
}

/// Hosts that a reader may be sent to; names below them count too.
const HOSTS: &[&str] = &[
    "127.0.0.1",
    "localhost",
    "example",
    "example.com",
    "example.org",
    "invalid",
    "test",
    "apache.org",
    "www.apple.com",
    "docs.rs",
    "www.debian.org",
    "github.com",
    "json-schema.org",
    "keepachangelog.com",
    "nexte.st",
    "openapis.org",
    "openjobdescription.org",
    "povray.org",
    "rustup.rs",
    "semver.org",
    "spdx.org",
    "tessera",
    "sqlite.org",
    "www.rust-lang.org",
    "w3.org",
];

/// Checks one file.
pub(super) fn check(file: &str, text: &str) -> Vec<Fault> {
    if file == SELF || LOCKS.contains(&file) {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut fault = |text: String| faults.push(Fault::new(file, Some(number + 1), text));
        for banned in BANNED.iter().filter(|banned| banned.is_in(file, line)) {
            fault(format!("{}: {}", banned.text, banned.why));
        }
        for host in hosts(line).filter(|host| !is_known(host)) {
            fault(format!(
                "unknown host {host}: if readers need it, add it to HOSTS in {SELF}"
            ));
        }
        if line.ends_with([' ', '\t', '\r']) && !file.ends_with(".rs") && !file.contains("/tests/")
        {
            fault("space at the end of the line".to_owned());
        }
    }
    faults
}

impl Banned {
    fn is_in(&self, file: &str, line: &str) -> bool {
        line.contains(self.text)
            && !(self.in_tests && may_make_up(file))
            && !self.except.iter().any(|prefix| file.starts_with(prefix))
    }
}

/// Says whether a file may hold made-up paths: tests live in most Rust files.
fn may_make_up(file: &str) -> bool {
    file.ends_with(".rs")
        || ["tests/", "examples/"]
            .iter()
            .any(|part| file.contains(part))
}

/// Finds the hosts of web addresses.
fn hosts(line: &str) -> impl Iterator<Item = &str> {
    let schemes = ["https://", "http://"];
    let starts = schemes.into_iter().flat_map(|scheme| {
        line.match_indices(scheme)
            .map(|(at, found)| at + found.len())
    });
    starts.filter_map(|at| {
        let rest = &line[at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '-'));
        let host = rest[..end.unwrap_or(rest.len())].trim_end_matches('.');
        (!host.is_empty()).then_some(host)
    })
}

fn is_known(host: &str) -> bool {
    let is_plain = !host.contains('.');
    is_plain
        || HOSTS
            .iter()
            .any(|known| host == *known || host.ends_with(&format!(".{known}")))
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
        faults("README.md", "see /root/.cargo", 1);
        faults("docs/x.md", "in /home/somebody/farm", 1);
        faults("crates/cli/src/x.rs", "// /work/x", 1);
        faults("crates/cli/src/x.rs", "//! as DESIGN.md says", 1);
        faults("README.md", "at https://mirror.registry.internal.net/x", 1);
        faults("README.md", "too much space ", 1);
    }

    #[test]
    fn what_is_made_up_or_public_passes() {
        faults("crates/cli/tests/x.rs", "let home = \"/home/mia\";", 0);
        faults(
            "README.md",
            "at https://farm.example:7433 or https://docs.rs/tokio, http://127.0.0.1",
            0,
        );
        faults("README.md", "https://{host}/ and https://HOST:PORT", 0);
    }
}
