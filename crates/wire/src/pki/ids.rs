//! Random ids of farms and hosts, and fingerprints of certificates.

use super::PkiError;
use crate::base64;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use tessera_model::HostId;
use tessera_model::ids::BadHostId;

/// A farm: 128 random bits given when its CA is made, printed as a UUID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FarmId(pub [u8; 16]);

impl FarmId {
    /// Answers the name that every server certificate of the farm has, wherever its host is.
    #[must_use]
    pub fn server_name(self) -> String {
        format!("{self}.tessera")
    }
}

impl fmt::Display for FarmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HostId(self.0).fmt(f)
    }
}

impl fmt::Debug for FarmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FarmId({self})")
    }
}

/// Why a text is no farm id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a farm id is 32 hexadecimal digits, with or without dashes")]
pub struct BadFarmId;

impl FromStr for FarmId {
    type Err = BadFarmId;
    fn from_str(text: &str) -> Result<Self, BadFarmId> {
        text.parse()
            .map(|HostId(bytes)| Self(bytes))
            .map_err(|BadHostId| BadFarmId)
    }
}

/// Makes an id for a host that joins (UUID version 4).
///
/// # Errors
/// `Random` when the system gives no random bytes.
pub fn new_host_id() -> Result<HostId, PkiError> {
    random_uuid().map(HostId)
}

/// Answers 16 random bytes with the marks of a UUID version 4.
pub(super) fn random_uuid() -> Result<[u8; 16], PkiError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(PkiError::Random)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(bytes)
}

/// The SHA-256 of a certificate's DER bytes; prints as 43 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Computes the fingerprint of a certificate.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64::encode(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Why a text is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is 43 characters of base64url")]
pub struct BadFingerprint;

impl FromStr for Fingerprint {
    type Err = BadFingerprint;
    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        base64::decode(text).map(Self).ok_or(BadFingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_of_version_4_and_differ() {
        let (a, b) = (new_host_id().unwrap(), new_host_id().unwrap());
        assert_ne!(a, b);
        let text = a.to_string();
        assert_eq!(&text[14..15], "4");
        assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"), "{text}");
    }

    #[test]
    fn printed_ids_parse_back() {
        let farm = FarmId(random_uuid().unwrap());
        assert_eq!(farm.to_string().parse(), Ok(farm));
        assert_eq!("nobody".parse::<FarmId>(), Err(BadFarmId));
        assert_eq!(farm.server_name(), format!("{farm}.tessera"));
        let print = Fingerprint::of(b"x");
        assert_eq!(print.to_string().parse(), Ok(print));
    }
}
