//! What a sealed password is bound to.

use crate::{KeyId, SealError};

/// Longest text that a password is bound to, in bytes.
pub const TEXT_BYTES_MAX: usize = 255;

/// What kind of account a password is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A person's, for hosts on which jobs run as their users.
    User,
    /// The one account of hosts on which all jobs run as it (`proxy_account`).
    Proxy,
}

/// What a sealed password is bound to. Opened with anything else it stays shut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The farm's id.
    pub farm: String,
    /// The pool of workers.
    pub pool: String,
    /// The key that it is sealed to.
    pub key: KeyId,
    /// What kind of account.
    pub kind: Kind,
    /// The account's name.
    pub account: String,
    /// Its domain; empty for an account of the host itself.
    pub domain: String,
    /// Its SID, when who sealed it knew it; else empty, and the worker that checks it holds on to the one that it finds.
    pub sid: String,
    /// Counts the registrations and revocations of this account in this pool.
    pub sequence: u64,
    /// When it was sealed, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it ends.
    pub expires_ms: i64,
}

impl Bound {
    /// Prints all of it in one way only: fixed order, each text with its length before it.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, SealError> {
        let mut bytes = Vec::with_capacity(256);
        for text in [
            &self.farm,
            &self.pool,
            &self.account,
            &self.domain,
            &self.sid,
        ] {
            if text.len() > TEXT_BYTES_MAX {
                return Err(SealError::TooLong);
            }
            let length = u16::try_from(text.len()).map_err(|_| SealError::TooLong)?;
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(&self.key.0);
        bytes.push(match self.kind {
            Kind::User => 1,
            Kind::Proxy => 2,
        });
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.extend_from_slice(&self.created_ms.to_be_bytes());
        bytes.extend_from_slice(&self.expires_ms.to_be_bytes());
        Ok(bytes)
    }
}
