//! The configuration that a supervisor serves to its workers, and what a worker says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// Whose values a worker takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lookup {
    /// Its own file's only; it doesn't ask the supervisor.
    Local,
    /// The supervisor's only.
    Supervisor,
    /// Both; its own win.
    LocalWins,
    /// Both; the supervisor's win.
    #[default]
    SupervisorWins,
}

/// Why a text is no lookup.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "worker_lookup is \"local\", \"supervisor\", \"local,supervisor\" (the last one wins) or \"supervisor,local\""
)]
pub struct BadLookup;

impl FromStr for Lookup {
    type Err = BadLookup;

    fn from_str(text: &str) -> Result<Self, BadLookup> {
        let words: Vec<&str> = text.split(',').map(str::trim).collect();
        match words.as_slice() {
            ["local"] => Ok(Self::Local),
            ["supervisor"] => Ok(Self::Supervisor),
            ["supervisor", "local"] => Ok(Self::LocalWins),
            ["local", "supervisor"] => Ok(Self::SupervisorWins),
            _ => Err(BadLookup),
        }
    }
}

impl fmt::Display for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Supervisor => "supervisor",
            Self::LocalWins => "supervisor,local",
            Self::SupervisorWins => "local,supervisor",
        })
    }
}

impl Lookup {
    /// Says whether a worker asks the supervisor at all.
    #[must_use]
    pub fn asks_supervisor(self) -> bool {
        match self {
            Self::Local => false,
            Self::Supervisor | Self::LocalWins | Self::SupervisorWins => true,
        }
    }
}

/// What tells one set of served values from another; opaque to the worker, which says it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SettingsHash(pub [u8; 16]);

impl fmt::Display for SettingsHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for SettingsHash {
    type Err = BadSettingsHash;

    fn from_str(text: &str) -> Result<Self, BadSettingsHash> {
        let mut hash = [0; 16];
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(BadSettingsHash);
        }
        for (byte, at) in hash.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| BadSettingsHash)?;
        }
        Ok(Self(hash))
    }
}

/// A text is no such hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a hash of served values has 32 hexadecimal digits")]
pub struct BadSettingsHash;

/// What a supervisor sets for one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedSettings {
    /// Tells it from other sets.
    pub hash: SettingsHash,
    /// By key, each value as TOML on one line.
    pub values: BTreeMap<String, String>,
}

/// What a worker says of the settings that it was served.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SettingsInUse {
    /// Whose values it takes.
    pub lookup: Lookup,
    /// Which set it took last; nothing before the first.
    pub taken: Option<SettingsHash>,
    /// What of that set it did not take, by key, and why.
    pub refused: BTreeMap<String, String>,
    /// Keys of it that hold only from the worker's next start.
    pub restart: BTreeSet<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_hashes_read_back() {
        for text in [
            "local",
            "supervisor",
            "supervisor,local",
            "local,supervisor",
        ] {
            let lookup: Lookup = text.parse().expect(text);
            assert_eq!(lookup.to_string(), text);
        }
        assert_eq!(Lookup::default().to_string(), "local,supervisor");
        for bad in ["", "both", "local,local", "local,supervisor,local"] {
            assert_eq!(bad.parse::<Lookup>(), Err(BadLookup), "{bad}");
        }
        let hash = SettingsHash([0xab; 16]);
        assert_eq!(hash.to_string().parse(), Ok(hash));
        for bad in [
            "",
            "ab",
            "+bababababababababababababababab",
            &"é".repeat(16),
        ] {
            assert_eq!(bad.parse::<SettingsHash>(), Err(BadSettingsHash), "{bad}");
        }
    }
}
