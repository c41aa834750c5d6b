//! Resources of the farm itself, which no host has: `global.NAME`, `license.NAME`.

use crate::limits::RESOURCE_NAME_BYTES_MAX;
use std::fmt;
use std::str::FromStr;

/// What the names of the farm's own resources begin with.
pub const KINDS: [&str; 2] = ["global.", "license."];

/// The name of a resource of the farm: `global.maya`, `license.nuke`. Case matters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GlobalName(String);

/// Why a text is no such name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{}\" is no resource of a farm: global.NAME or license.NAME (letters, digits, - _ and ., at most {RESOURCE_NAME_BYTES_MAX})",
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
        for good in ["global.maya", "license.nuke-x_1.b", "global.."] {
            let name = good.parse::<GlobalName>().map(|name| name.to_string());
            assert_eq!(name, Ok(good.to_owned()));
        }
        let long = format!("global.{}", "a".repeat(RESOURCE_NAME_BYTES_MAX));
        for bad in [
            "",
            "global",
            "global.",
            "license.",
            "host.memory",
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
