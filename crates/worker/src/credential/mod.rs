//! Registered passwords on a worker: opened here, tried with one logon, and nowhere else.
//!
//! Owns this worker's keys ([`keys`]), what it knows of registrations that were tried ([`memory`]) and the [`Vault`], which
//! holds sealed passwords for launches and opens one only for the moment of a logon. Leaves to others: how a logon is made
//! and where a key is kept safely, which differ between systems and are behind [`Accounts`] and [`SecretStore`]. On Windows that is
//! `LogonUserW` and DPAPI (`domain`, `sealed`, `system`); other systems need no passwords.
//!
//! **Invariant:** a password that was wrong is not tried again on this worker until its owner registers another or asks for
//! a check. **Invariant:** a password is in memory only while it is opened and tried.

#[cfg(any(windows, test))]
mod domain;
mod keys;
mod launch;
mod memory;
#[cfg(any(windows, test))]
mod sealed;
mod secrets;
#[cfg(windows)]
mod system;
mod vault;

pub(crate) use launch::{Need, need_of, ways_of};
pub use secrets::FileSecrets;
pub use tessera_hostconfig::worker::{Credentials as Settings, KEY_DAYS_DEFAULT};
pub use vault::{TOKEN_LIFE, Vault, VaultError};

use crate::options;
use std::any::Any;
use std::io;
use std::sync::Arc;
use tessera_model::credential::{AccountKind, Verdict};
pub use tessera_seal::Secret;
use zeroize::Zeroizing;

/// An account to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account<'a> {
    /// A person's or the proxy account.
    pub kind: AccountKind,
    /// Its name.
    pub name: &'a str,
    /// Its domain; empty for an account of this host.
    pub domain: &'a str,
}

/// What a logon gives, for the launches of that account. The system's handle is closed when the last of them lets it go.
pub type Token = Arc<dyn Any + Send + Sync>;

/// A logon that was made.
pub struct LoggedOn {
    /// The account's SID, read from the token and not looked up by name.
    pub sid: String,
    /// The token.
    pub token: Token,
}

impl std::fmt::Debug for LoggedOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoggedOn")
            .field("sid", &self.sid)
            .finish_non_exhaustive()
    }
}

/// A logon that was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}", verdict.in_words().0, in_brackets(detail))]
pub struct LogonFailed {
    /// Why; never [`Verdict::Valid`].
    pub verdict: Verdict,
    /// What the system said, for people; without a secret.
    pub detail: String,
}

fn in_brackets(detail: &str) -> String {
    if detail.is_empty() {
        String::new()
    } else {
        format!(" ({detail})")
    }
}

impl LogonFailed {
    /// Makes one.
    #[must_use]
    pub fn new(verdict: Verdict, detail: impl Into<String>) -> Self {
        Self {
            verdict,
            detail: detail.into(),
        }
    }

    /// Answers the code of the refusal of a launch.
    #[must_use]
    pub fn code(&self) -> String {
        format!("credential_{}", self.verdict.word())
    }
}

/// The accounts of the system. Each call blocks; the vault makes one at a time.
pub trait Accounts: Send + Sync {
    /// Answers the SID that a name stands for now, without a logon.
    ///
    /// # Errors
    /// `NoAccount`, or `Unavailable` when nobody who knows answers.
    fn sid_of(&self, account: Account<'_>) -> Result<String, LogonFailed>;

    /// Makes exactly one logon: in that domain only, and never again by itself.
    ///
    /// # Errors
    /// Why not.
    fn log_on(&self, account: Account<'_>, password: &Secret) -> Result<LoggedOn, LogonFailed>;
}

/// Where this worker's keys are kept: readable by its own service only.
pub trait SecretStore: Send + Sync {
    /// Reads an entry; nothing when there is none.
    ///
    /// # Errors
    /// When it can't be read, or others could have.
    fn read(&self, name: &str) -> io::Result<Option<Zeroizing<Vec<u8>>>>;

    /// Writes an entry, whole or not at all, and durably.
    ///
    /// # Errors
    /// When it can't be written.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
}

/// Opens the vault of this host, where accounts are become with passwords: on Windows, as a service.
///
/// # Errors
/// When what is kept of passwords can't be kept from others, or not be read.
pub(crate) fn of_host(host: &options::Settings) -> Result<Option<Vault>, VaultError> {
    #[cfg(windows)]
    if host.desktop_user.is_none() {
        let dir = host.state.join("worker").join("credentials");
        return system::open(&dir, host.config.credentials.clone()).map(Some);
    }
    let _needs_none = host;
    Ok(None)
}

#[cfg(test)]
mod tests;
