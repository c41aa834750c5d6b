//! Resources of the farm itself: `global.NAME` and `license.NAME`, which no host has; `global_host.NAME` and `license_host.NAME`, of which all
//! that runs on one host has one unit together; `scoped.NAME`, of which each host has a part besides.

use crate::limits::RESOURCE_NAME_BYTES_MAX;
use std::fmt;
use std::str::FromStr;

/// What the names of the farm's own resources begin with.
pub const KINDS: [&str; 5] = ["global.", "license.", PER_HOST[0], PER_HOST[1], SCOPED];
/// Of those, of which one unit is for all that runs on a host.
const PER_HOST: [&str; 2] = ["global_host.", "license_host."];
/// Of those, of which a host has a part, too: under the same name it is one of its own.
pub const SCOPED: &str = "scoped.";

/// The name of a resource of the farm: `global.maya`, `license.nuke`, `license_host.shake`. Case matters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GlobalName(String);

/// Why a text is no such name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{}\" is no resource of a farm: global.NAME, license.NAME, global_host.NAME, license_host.NAME or scoped.NAME (letters, digits, - _ and ., at most {RESOURCE_NAME_BYTES_MAX})",
    text.escape_debug()
)]
pub struct BadGlobalName {
    /// What was given, cut to 64 characters.
    pub text: String,
}

impl GlobalName {
    /// Answers the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Says whether all that runs on one host has one unit of it together.
    #[must_use]
    pub fn is_per_host(&self) -> bool {
        PER_HOST.iter().any(|kind| self.0.starts_with(kind))
    }

    /// Says whether each host has a part of it, which is what may be taken of it there.
    #[must_use]
    pub fn is_scoped(&self) -> bool {
        self.0.starts_with(SCOPED)
    }
}

impl FromStr for GlobalName {
    type Err = BadGlobalName;
    fn from_str(text: &str) -> Result<Self, BadGlobalName> {
        let rest = KINDS.iter().find_map(|kind| text.strip_prefix(kind));
        let is_good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let is_name = rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_good));
        if is_name && text.len() <= RESOURCE_NAME_BYTES_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadGlobalName {
                text: text.chars().take(64).collect(),
            })
        }
    }
}

impl fmt::Display for GlobalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_farms_own_resources_have_such_names() {
        for (good, is_per_host, is_scoped) in [
            ("global.maya", false, false),
            ("license.nuke-x_1.b", false, false),
            ("global..", false, false),
            ("global_host.rig", true, false),
            ("license_host.shake", true, false),
            ("scoped.io", false, true),
        ] {
            let name: GlobalName = good.parse().expect(good);
            assert_eq!(name.to_string(), good);
            let kind = (name.is_per_host(), name.is_scoped());
            assert_eq!(kind, (is_per_host, is_scoped), "{good}");
        }
        let long = format!("global.{}", "a".repeat(RESOURCE_NAME_BYTES_MAX));
        for bad in [
            "",
            "global",
            "global.",
            "license.",
            "host.memory",
            "host_license.x",
            "scoped",
            "license_host.",
            "Global.x",
            "license.a b",
            "license.ä",
            "license.a=1",
            "license.a/b",
            " license.a",
            &long,
        ] {
            assert!(bad.parse::<GlobalName>().is_err(), "{bad:?} was accepted");
        }
    }
}
