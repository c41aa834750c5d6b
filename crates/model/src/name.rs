//! Names that cross a border: of accounts, hosts and groups of hosts.

use std::fmt;
use std::str::FromStr;

/// The name of an operating-system account, as everything inside the farm knows it.
///
/// `[a-z_][a-z0-9_.-]*` with an optional trailing `$`, 32 bytes in all; never all digits, `.` or `..`: `useradd` accepts `a;b` and
/// `12345`, and what parses a name as a number has made jobs root elsewhere (CVE-2017-1000082).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);

/// Why a text is no account name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{}\" is no account name (a lower-case letter or _, then up to 31 of a-z 0-9 _ . -)",
    text.escape_debug()
)]
pub struct BadUserName {
    /// What was given, cut to 64 characters.
    pub text: String,
}

impl UserName {
    /// Longest name in bytes.
    pub const BYTES_MAX: usize = 32;

    /// Answers the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserName {
    type Err = BadUserName;
    fn from_str(text: &str) -> Result<Self, BadUserName> {
        let body = text.strip_suffix('$').unwrap_or(text);
        let good = !body.is_empty()
            && text.len() <= Self::BYTES_MAX
            && body.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && body.chars().all(|c| {
                c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | '-')
            });
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadUserName {
                text: text.chars().take(64).collect(),
            })
        }
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name a host goes by on the farm: a DNS label sequence, lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

/// Why a text is no host name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" is no host name (letters, digits, - and ., at most 253)", text.escape_debug())]
pub struct BadHostName {
    /// What was given, cut to 64 characters.
    pub text: String,
}

impl HostName {
    /// Answers the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = BadHostName;
    fn from_str(text: &str) -> Result<Self, BadHostName> {
        let lower = text.to_ascii_lowercase();
        let label = |l: &str| {
            (1..=63).contains(&l.len())
                && l.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !l.starts_with('-')
        };
        if lower.len() <= 253 && lower.split('.').all(label) {
            Ok(Self(lower))
        } else {
            Err(BadHostName {
                text: text.chars().take(64).collect(),
            })
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a group of hosts, lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupName(String);

/// Why a text is no name of a group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" is no name of a group (letters, digits, -, _ and ., at most 63)", text.escape_debug())]
pub struct BadGroupName {
    /// What was given, cut to 64 characters.
    pub text: String,
}

impl GroupName {
    /// Longest name in bytes.
    pub const BYTES_MAX: usize = 63;

    /// Answers the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for GroupName {
    type Err = BadGroupName;
    fn from_str(text: &str) -> Result<Self, BadGroupName> {
        let is_good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let length = 1..=Self::BYTES_MAX;
        if length.contains(&text.len()) && text.bytes().all(is_good) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(BadGroupName {
                text: text.chars().take(64).collect(),
            })
        }
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_account_names_are_refused() {
        for bad in [
            "",
            "0",
            "-1",
            "4294967295",
            "+0",
            " alice",
            "alice\0",
            "..",
            ".",
            "a;b",
            "Root",
            "ä",
            "-x",
            "$",
            &"a".repeat(33),
        ] {
            assert!(bad.parse::<UserName>().is_err(), "{bad:?} was accepted");
        }
        for good in ["alice", "_svc", "tessera-job", "host$", "a.b", "x1"] {
            assert_eq!(
                good.parse::<UserName>().map(|n| n.to_string()),
                Ok(good.to_owned())
            );
        }
    }

    #[test]
    fn names_of_groups_fold_case() {
        let name = |text: &str| text.parse::<GroupName>().map(|n| n.to_string());
        assert_eq!(name("GPU-2.x_a"), Ok("gpu-2.x_a".into()));
        for bad in ["", "a b", "a,b", "x/y", "ä", &"a".repeat(64)] {
            assert!(name(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn host_names_fold_case() {
        assert_eq!(
            "RND042.Example".parse::<HostName>().map(|n| n.to_string()),
            Ok("rnd042.example".into())
        );
        for bad in ["", "a..b", "-a", "a b", "x/y"] {
            assert!(bad.parse::<HostName>().is_err(), "{bad:?} was accepted");
        }
    }
}
