//! The keys of workers.

use crate::{Bound, KEY_BYTES, SUITE, SealError, Secret};
use rustls::crypto::hpke::{Hpke as _, HpkePrivateKey};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// Names a key and is its fingerprint: the first half of a SHA-256 over farm, pool and public key. Prints as eight groups
/// of four hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// Why a text is no fingerprint of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the fingerprint of a key is eight groups of four hexadecimal digits")]
pub struct BadKeyId;

impl FromStr for KeyId {
    type Err = BadKeyId;

    fn from_str(text: &str) -> Result<Self, BadKeyId> {
        let mut digits = text.bytes().filter(|byte| *byte != b'-');
        let mut id = [0; 16];
        for byte in &mut id {
            for _ in 0..2 {
                let digit = digits.next().map(char::from).and_then(|c| c.to_digit(16));
                let digit = digit.and_then(|d| u8::try_from(d).ok()).ok_or(BadKeyId)?;
                *byte = *byte << 4 | digit;
            }
        }
        digits.next().is_none().then_some(Self(id)).ok_or(BadKeyId)
    }
}

/// The public half of a worker's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub [u8; KEY_BYTES]);

impl PublicKey {
    /// Answers the key's name in a pool of a farm.
    #[must_use]
    pub fn id(&self, farm: &str, pool: &str) -> KeyId {
        let mut hash = Sha256::new();
        hash.update(b"tessera pool key 1");
        for text in [farm, pool] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
        hash.update(self.0);
        let digest: [u8; 32] = hash.finalize().into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        KeyId(id)
    }
}

/// A worker's key. Has no `Debug` and is overwritten when it is dropped.
pub struct PrivateKey {
    public: PublicKey,
    hpke: HpkePrivateKey,
}

impl PrivateKey {
    /// Makes a key.
    ///
    /// # Errors
    /// `BadKey` when the system gives no random bytes.
    pub fn make() -> Result<Self, SealError> {
        let (public, hpke) = SUITE.generate_key_pair().map_err(|_| SealError::BadKey)?;
        let public = public.0.try_into().map_err(|_| SealError::BadKey)?;
        Ok(Self {
            public: PublicKey(public),
            hpke,
        })
    }

    /// Answers its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Answers what is to be kept of it, public half first: 64 bytes, for the protected store of the worker only.
    #[must_use]
    pub fn kept(&self) -> Zeroizing<Vec<u8>> {
        let mut kept = Zeroizing::new(Vec::with_capacity(2 * KEY_BYTES));
        kept.extend_from_slice(&self.public.0);
        kept.extend_from_slice(self.hpke.secret_bytes());
        kept
    }

    /// Reads what [`Self::kept`] answered, and tries it.
    ///
    /// # Errors
    /// `BadKey` when it is none, or its halves don't belong together.
    pub fn of_kept(kept: &[u8]) -> Result<Self, SealError> {
        let (public, secret) = kept
            .split_first_chunk::<KEY_BYTES>()
            .ok_or(SealError::BadKey)?;
        if secret.len() != KEY_BYTES {
            return Err(SealError::BadKey);
        }
        let key = Self {
            public: PublicKey(*public),
            hpke: HpkePrivateKey::from(secret.to_vec()),
        };
        let trial = SUITE.seal(b"trial", b"", b"trial", &public_of(&key));
        let (shared, text) = trial.map_err(|_| SealError::BadKey)?;
        let opened = SUITE.open(&shared, b"trial", b"", &text, &key.hpke);
        opened.map_err(|_| SealError::BadKey)?;
        Ok(key)
    }

    /// Opens what was sealed to this key with exactly these bounds.
    ///
    /// # Errors
    /// `NotForThis` when anything of the bounds is not what it was sealed with, or a byte was changed; `Malformed`.
    pub fn open(&self, sealed: &[u8], bound: &Bound) -> Result<Secret, SealError> {
        crate::open(self, sealed, bound)
    }

    pub(crate) fn hpke(&self) -> &HpkePrivateKey {
        &self.hpke
    }
}

fn public_of(key: &PrivateKey) -> rustls::crypto::hpke::HpkePublicKey {
    rustls::crypto::hpke::HpkePublicKey(key.public.0.to_vec())
}
