//! Passwords that hosts need to become an account: what they are for, who has which key, what a check found. Never a
//! password: what is sealed goes through here as bytes that nobody here can read.

use crate::name::UserName;
use crate::time::Timestamp;
use std::fmt;
use std::str::FromStr;

/// The property of a host that says whether it needs a registered password to become an account.
pub const NEEDS_CREDENTIAL: &str = "host.identity.needs_credential";
/// Its value where there is no other way.
pub const CREDENTIAL_ALWAYS: &str = "1";
/// Its value where a password is used that is registered, and another way is taken where none is.
pub const CREDENTIAL_OPTIONAL: &str = "optional";
/// The pool of a worker that names none.
pub const POOL_DEFAULT: &str = "default";
/// Longest domain name in bytes.
pub const DOMAIN_BYTES_MAX: usize = 255;
/// Longest SID in bytes.
pub const SID_BYTES_MAX: usize = 184;
/// Largest sealed password in bytes.
pub const SEALED_BYTES_MAX: usize = 2_048;
/// Keys that one worker may have at a time: the current one and those that are being replaced.
pub const KEYS_OF_WORKER_MAX: usize = 4;
/// Keys of one pool.
pub const KEYS_OF_POOL_MAX: usize = 2_048;
/// Longest life of a registered password, in days.
pub const CREDENTIAL_DAYS_MAX: u32 = 366;

/// The name of a set of workers for which people register their passwords together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolName(String);

/// Why a text is no name of a pool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" is no name of a pool (a lower-case letter, then up to 31 of a-z 0-9 _ -)", text.escape_debug())]
pub struct BadPoolName {
    /// What was given, cut to 64 characters.
    pub text: String,
}

impl PoolName {
    /// Answers the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for PoolName {
    fn default() -> Self {
        Self(POOL_DEFAULT.to_owned())
    }
}

impl FromStr for PoolName {
    type Err = BadPoolName;
    fn from_str(text: &str) -> Result<Self, BadPoolName> {
        let good = text.len() <= 32
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'));
        if good {
            return Ok(Self(text.to_owned()));
        }
        let text = text.chars().take(64).collect();
        Err(BadPoolName { text })
    }
}

impl fmt::Display for PoolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of account a password is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountKind {
    /// A person's, for hosts on which jobs run as their users.
    User,
    /// The one account of hosts on which all jobs run as it.
    Proxy,
}

impl AccountKind {
    /// Answers `user` or `proxy`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Proxy => "proxy",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::User, Self::Proxy]
            .into_iter()
            .find(|kind| kind.word() == word)
    }
}

/// Names a registered password: there is one for each account of a kind in a pool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialId {
    /// What kind of account.
    pub kind: AccountKind,
    /// Its name on the farm and, in its domain, on the hosts.
    pub account: UserName,
    /// The pool.
    pub pool: PoolName,
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            AccountKind::User => write!(f, "{} in pool {}", self.account, self.pool),
            AccountKind::Proxy => {
                write!(f, "proxy account {} in pool {}", self.account, self.pool)
            }
        }
    }
}

/// The fingerprint of a worker's key, over farm, pool and the key itself; printed as eight groups of four digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct KeyId(pub [u8; 16]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, pair) in self.0.chunks_exact(2).enumerate() {
            let dash = if place == 0 { "" } else { "-" };
            write!(f, "{dash}{:02x}{:02x}", pair[0], pair[1])?;
        }
        Ok(())
    }
}

/// A text is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the fingerprint of a key has 32 hexadecimal digits")]
pub struct BadKeyId;

impl FromStr for KeyId {
    type Err = BadKeyId;

    /// Reads it as it is printed, or without the dashes.
    fn from_str(text: &str) -> Result<Self, BadKeyId> {
        let mut digits = text.chars().filter(|c| *c != '-').map(|c| c.to_digit(16));
        let mut id = [0; 16];
        for byte in &mut id {
            for _ in 0..2 {
                let digit = digits.next().flatten().ok_or(BadKeyId)?;
                *byte = *byte << 4 | u8::try_from(digit).map_err(|_| BadKeyId)?;
            }
        }
        digits.next().is_none().then_some(Self(id)).ok_or(BadKeyId)
    }
}

/// The public half of a worker's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolKey {
    /// Its fingerprint.
    pub id: KeyId,
    /// The key.
    pub public: [u8; 32],
    /// When it was made.
    pub created: Timestamp,
}

/// What a worker says of its keys: the current one first, then those that are being replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolKeys {
    /// The pool that it is of.
    pub pool: PoolName,
    /// Its keys.
    pub keys: Vec<PoolKey>,
}

/// A sealed password on its way to the worker that can open it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCredential {
    /// Whose.
    pub id: CredentialId,
    /// The account's domain; empty for an account of the host itself.
    pub domain: String,
    /// The SID that it was sealed for; empty when who sealed it did not know it.
    pub sid: String,
    /// The SID that the check at registration found; empty before.
    pub sid_found: String,
    /// Counts registrations and revocations.
    pub sequence: u64,
    /// Counts the checks that were asked for; what an earlier one found on a worker counts no more.
    pub check: u32,
    /// When it was sealed.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// The key that it is sealed to.
    pub key: KeyId,
    /// The sealed password.
    pub sealed: Vec<u8>,
}

/// What one logon with a registered password came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It is good.
    Valid,
    /// The account exists and has another password.
    Wrong,
    /// The domain has no such account.
    NoAccount,
    /// The account is locked out.
    Locked,
    /// The account is disabled, over, or not allowed to log on now.
    Restricted,
    /// The password is over.
    Expired,
    /// The password must be changed at the next logon.
    MustChange,
    /// The account may not log on as a batch job on that host.
    NoBatchRight,
    /// The name stands for another account (SID) than when it was registered.
    AccountChanged,
    /// It could not be opened: not sealed for this worker, or changed on the way.
    Unreadable,
    /// A newer registration or a revocation is known to the worker.
    Stale,
    /// It could not be found out now: no domain controller, a busy host.
    Unavailable,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Valid,
        Self::Wrong,
        Self::NoAccount,
        Self::Locked,
        Self::Restricted,
        Self::Expired,
        Self::MustChange,
        Self::NoBatchRight,
        Self::AccountChanged,
        Self::Unreadable,
        Self::Stale,
        Self::Unavailable,
    ];

    /// Answers the stable word of it; with `credential_` before it, it is the code of a refusal.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Wrong => "wrong",
            Self::NoAccount => "no_account",
            Self::Locked => "locked",
            Self::Restricted => "restricted",
            Self::Expired => "expired",
            Self::MustChange => "must_change",
            Self::NoBatchRight => "no_batch_right",
            Self::AccountChanged => "account_changed",
            Self::Unreadable => "unreadable",
            Self::Stale => "stale",
            Self::Unavailable => "unavailable",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.word() == word)
    }

    /// Says whether it is a word about one host only, so that another may be asked.
    #[must_use]
    pub fn is_of_host(self) -> bool {
        match self {
            Self::NoBatchRight | Self::Unreadable | Self::Unavailable => true,
            Self::Valid
            | Self::Wrong
            | Self::NoAccount
            | Self::Locked
            | Self::Restricted
            | Self::Expired
            | Self::MustChange
            | Self::AccountChanged
            | Self::Stale => false,
        }
    }

    /// Answers what it says of an account, and what helps.
    #[must_use]
    pub fn in_words(self) -> (&'static str, &'static str) {
        match self {
            Self::Valid => ("the password is good", ""),
            Self::Wrong => (
                "the registered password is wrong",
                "register the present one: tessera credential register",
            ),
            Self::NoAccount => (
                "there is no such account in that domain",
                "register with the right --domain: tessera credential register --domain NAME",
            ),
            Self::Locked => (
                "the account is locked out",
                "have it unlocked, then: tessera credential check",
            ),
            Self::Restricted => (
                "the account is disabled, over, or may not log on now",
                "ask who administers the domain, then: tessera credential check",
            ),
            Self::Expired => (
                "the password is over in its domain",
                "change it there, then register it: tessera credential register",
            ),
            Self::MustChange => (
                "the password must be changed before it can be used",
                "change it in Windows, then register it: tessera credential register",
            ),
            Self::NoBatchRight => (
                "the account may not log on as a batch job there",
                "give it the right \"Log on as a batch job\" on the workers, then: tessera credential check",
            ),
            Self::AccountChanged => (
                "the name stands for another account than when it was registered",
                "register again: tessera credential register",
            ),
            Self::Unreadable => (
                "the worker can't open the registered password",
                "register again: tessera credential register",
            ),
            Self::Stale => (
                "the worker knows a newer registration or a revocation",
                "register again: tessera credential register",
            ),
            Self::Unavailable => (
                "it could not be checked now",
                "it is tried again by itself; look with tessera credential list",
            ),
        }
    }
}

/// What a worker found with a registered password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialChecked {
    /// Whose.
    pub id: CredentialId,
    /// Of which registration.
    pub sequence: u64,
    /// What.
    pub verdict: Verdict,
    /// The account's SID, if it was found.
    pub sid: String,
    /// What the system said, for people.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_verdicts_parse_back() {
        for verdict in Verdict::ALL {
            assert_eq!(Verdict::of_word(verdict.word()), Some(verdict));
        }
        assert_eq!(Verdict::of_word("x"), None);
    }

    #[test]
    fn names_of_pools_are_plain() {
        for bad in ["", "A", "1", "a b", "a/b", &"a".repeat(33)] {
            assert!(bad.parse::<PoolName>().is_err(), "{bad:?}");
        }
        assert_eq!(
            "night-2".parse::<PoolName>().map(|it| it.to_string()),
            Ok("night-2".into())
        );
    }
}
