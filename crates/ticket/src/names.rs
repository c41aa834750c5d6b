//! Names that cross the border: accounts and launches.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::codec::{DecodeError, Reader, Writer};

/// The most characters of an account name.
pub const ACCOUNT_NAME_MAX: usize = 32;

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameError {
    /// An account name is empty, too long or holds a character that is not allowed.
    #[error(
        "an account name is 1 to 32 of a-z 0-9 _ . - and starts with a letter or _; it may end in $"
    )]
    Account,
    /// A launch is not written `job.instance.launch`.
    #[error("a launch is written job.instance.launch")]
    Launch,
}

/// The name of an account on a host: a letter or `_`, then letters, digits, `_`, `.`, `-`; a `$` may end it.
///
/// Never a number, never `.` or `..`, so it can't be taken for a uid or a path by whatever reads it next.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName(String);

impl AccountName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let body = text.strip_suffix('$').unwrap_or(text);
        let mut chars = body.bytes();
        let starts = chars
            .next()
            .is_some_and(|c| c.is_ascii_lowercase() || c == b'_');
        let goes_on = chars.all(|c| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'_' | b'.' | b'-')
        });
        if starts && goes_on && text.len() <= ACCOUNT_NAME_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Account)
        }
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Slots of a host at most, so the greatest number in the account of a slot.
pub const SLOT_MAX: u32 = 4_096;
const SLOT: &str = "{slot}";

/// As whom jobs of mode proxy run, as policies, tickets and configurations write it: the name of an account, or one with
/// `{slot}` in the place of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyAccount {
    /// All as one account.
    One(AccountName),
    /// Each running instance as an account of its own, whose number stands between these two texts.
    PerSlot {
        /// What comes before the number.
        before: String,
        /// What comes after it.
        after: String,
    },
}

impl ProxyAccount {
    /// Returns the account of a slot, 1 to [`SLOT_MAX`]; the one account for any.
    pub fn of_slot(&self, slot: u32) -> Option<AccountName> {
        match self {
            Self::One(name) => Some(name.clone()),
            Self::PerSlot { before, after } => (1..=SLOT_MAX)
                .contains(&slot)
                .then(|| format!("{before}{slot}{after}").parse().ok())
                .flatten(),
        }
    }

    /// Says whether an account belongs to a slot, and so to nobody else.
    pub fn is_of_slots(&self, name: &AccountName) -> bool {
        let Self::PerSlot { before, after } = self else {
            return false;
        };
        let rest = name.as_str().strip_prefix(before.as_str());
        let number = rest.and_then(|it| it.strip_suffix(after.as_str()));
        let slot = number.and_then(|it| it.parse().ok());
        slot.is_some_and(|it: u32| self.of_slot(it).as_ref() == Some(name))
    }

    /// Says whether jobs of mode proxy may run as this account.
    pub fn is(&self, name: &AccountName) -> bool {
        matches!(self, Self::One(one) if one == name) || self.is_of_slots(name)
    }
}

impl FromStr for ProxyAccount {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let Some((before, after)) = text.split_once(SLOT) else {
            return text.parse().map(Self::One);
        };
        // A digit beside the number would make two slots one name. The longest name stands for all.
        let touches = before.ends_with(|c: char| c.is_ascii_digit())
            || after.starts_with(|c: char| c.is_ascii_digit());
        let it = Self::PerSlot {
            before: before.to_owned(),
            after: after.to_owned(),
        };
        if touches || it.of_slot(SLOT_MAX).is_none() {
            return Err(NameError::Account);
        }
        Ok(it)
    }
}

impl fmt::Display for ProxyAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(name) => name.fmt(f),
            Self::PerSlot { before, after } => write!(f, "{before}{SLOT}{after}"),
        }
    }
}

/// An account as the kernel sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its number.
    pub uid: u32,
    /// The number of its primary group.
    pub gid: u32,
    /// Every group, the primary one included, sorted, none twice.
    pub groups: Vec<u32>,
}

/// One launch of one instance of a job; prints as `12345.0.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaunchKey {
    /// The job's number.
    pub job: u64,
    /// The instance's number within the job.
    pub instance: u32,
    /// Counts the launches of the instance; only ever grows.
    pub launch: u32,
}

impl LaunchKey {
    pub(crate) fn write(self, out: &mut Writer) {
        out.u64(self.job);
        out.u32(self.instance);
        out.u32(self.launch);
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            job: input.u64("job")?,
            instance: input.u32("instance")?,
            launch: input.u32("launch")?,
        })
    }
}

impl fmt::Display for LaunchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.job, self.instance, self.launch)
    }
}

impl FromStr for LaunchKey {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut parts = text.split('.');
        let key = (|| {
            let job = number(parts.next()?)?;
            let instance = u32::try_from(number(parts.next()?)?).ok()?;
            let launch = u32::try_from(number(parts.next()?)?).ok()?;
            parts.next().is_none().then_some(Self {
                job,
                instance,
                launch,
            })
        })();
        key.ok_or(NameError::Launch)
    }
}

/// Reads a number written the one way that `Display` writes it (no sign, no leading zero).
fn number(text: &str) -> Option<u64> {
    let canonical = text == "0" || (!text.starts_with('0') && !text.starts_with('+'));
    if canonical { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_something_else_are_refused() {
        for bad in [
            "",
            "0",
            "-1",
            "+0",
            "4294967295",
            " alice",
            "alice ",
            "alice\0",
            ".",
            "..",
            "a;b",
            "../x",
            "Alice",
            "é",
            "a\n",
            "$",
            "-a",
            ".a",
            "0day",
            "a$b",
        ] {
            assert_eq!(
                bad.parse::<AccountName>(),
                Err(NameError::Account),
                "{bad:?}"
            );
        }
        assert!("a".repeat(33).parse::<AccountName>().is_err());
        assert!("a".repeat(300).parse::<AccountName>().is_err());
        for good in ["alice", "_apt", "tessera-job", "a.b", "host1$", "a1"] {
            assert_eq!(good.parse::<AccountName>().unwrap().as_str(), good);
        }
    }

    #[test]
    fn accounts_of_slots_are_told_from_others() {
        let proxy: ProxyAccount = "job{slot}x".parse().unwrap();
        assert_eq!(proxy.to_string(), "job{slot}x");
        assert_eq!(proxy.of_slot(12).unwrap().as_str(), "job12x");
        assert_eq!(
            (proxy.of_slot(0), proxy.of_slot(SLOT_MAX + 1)),
            (None, None)
        );
        let is = |name: &str| proxy.is(&name.parse().unwrap());
        assert!(is("job1x") && is("job4096x"));
        for other in [
            "job01x", "jobx", "job1", "job1x2x", "job", "job4097x", "job0x",
        ] {
            assert!(!is(other), "{other}");
        }
        for bad in [
            "job{slot}{slot}",
            "job1{slot}",
            "job{slot}2",
            "{slot}",
            "../{slot}",
            "",
        ] {
            assert_eq!(
                bad.parse::<ProxyAccount>(),
                Err(NameError::Account),
                "{bad}"
            );
        }
        let one: ProxyAccount = "tessera-job".parse().unwrap();
        assert!(one.is(&"tessera-job".parse().unwrap()));
        assert!(!one.is_of_slots(&"tessera-job".parse().unwrap()));
    }

    #[test]
    fn launch_key_prints_and_parses() {
        let key = LaunchKey {
            job: 12345,
            instance: 0,
            launch: 7,
        };
        assert_eq!(key.to_string(), "12345.0.7");
        assert_eq!("12345.0.7".parse(), Ok(key));
        for bad in [
            "",
            "1.2",
            "1.2.3.4",
            "1.02.3",
            "+1.2.3",
            "1.2.x",
            "1.4294967296.1",
        ] {
            assert_eq!(bad.parse::<LaunchKey>(), Err(NameError::Launch), "{bad:?}");
        }
    }
}
