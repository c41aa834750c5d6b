//! Passwords sealed so that only one worker can read them, and only for what they were sealed for. No IO, nothing of ours.
//!
//! Owns the type of a secret in memory ([`Secret`]), the keys of workers ([`PrivateKey`], [`KeyId`]), what a sealed
//! password is bound to ([`Bound`]) and the two functions [`seal`] and [`PrivateKey::open`]. Leaves to others: where keys
//! lie, who may have which password, and what is done with it.
//!
//! HPKE (RFC 9180) in base mode: X25519, HKDF-SHA256, ChaCha20-Poly1305. Everything in [`Bound`] is associated data: a
//! sealed password that is moved to another account, pool, farm, key or sequence number can't be opened.
#![forbid(unsafe_code)]

mod bound;
mod key;
mod open;
mod secret;

pub use bound::{Bound, Kind, TEXT_BYTES_MAX};
pub use key::{KeyId, PrivateKey, PublicKey};
pub use secret::{PASSWORD_BYTES_MAX, PasswordProblem, Secret};

use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_CHACHA20_POLY1305 as SUITE;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke as _, HpkePublicKey};

/// The first byte of what is sealed: the format.
const FORMAT: u8 = 1;
/// Bytes of an X25519 key.
pub const KEY_BYTES: usize = 32;
/// Bytes of the tag at the end of a ciphertext.
const TAG_BYTES: usize = 16;
/// Passwords are padded to a multiple of so many bytes: the length of what is sealed tells little.
const PAD_BYTES: usize = 128;
/// Largest sealed password in bytes.
pub const SEALED_BYTES_MAX: usize = 1 + KEY_BYTES + TAG_BYTES + padded(PASSWORD_BYTES_MAX);
/// What this use of HPKE is for; nothing that was sealed for something else can be opened here.
const INFO: &[u8] = b"tessera credential 1";

const fn padded(length: usize) -> usize {
    (length + 2).next_multiple_of(PAD_BYTES)
}

/// Why something can't be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It is longer or shorter than anything that was ever sealed, or of a format that this program does not know.
    #[error("it is no sealed password of a format that this program knows")]
    Malformed,
    /// It was sealed for another key, account, domain, pool, farm or sequence number, or was changed.
    #[error(
        "it was not sealed for this: another key, account, domain, pool, farm or sequence number, or it was changed"
    )]
    NotForThis,
    /// The public key is none.
    #[error("the key is no X25519 key")]
    BadKey,
    /// A text that the password is bound to is too long.
    #[error("a text that the password is bound to is longer than {TEXT_BYTES_MAX} bytes")]
    TooLong,
}

/// Seals a password to the key that `bound` names.
///
/// # Errors
/// `BadKey` when `to` is not the key that `bound` names, or is none; `TooLong`.
pub fn seal(secret: &Secret, to: &PublicKey, bound: &Bound) -> Result<Vec<u8>, SealError> {
    if to.id(&bound.farm, &bound.pool) != bound.key {
        return Err(SealError::BadKey);
    }
    let padded = secret.padded(padded(secret.len()));
    let to = HpkePublicKey(to.0.to_vec());
    let sealed = SUITE.seal(INFO, &bound.bytes()?, padded.bytes(), &to);
    let (EncapsulatedSecret(shared), text) = sealed.map_err(|_| SealError::BadKey)?;
    let mut all = Vec::with_capacity(1 + shared.len() + text.len());
    all.push(FORMAT);
    all.extend_from_slice(&shared);
    all.extend_from_slice(&text);
    Ok(all)
}

/// Opens what was sealed with exactly these bounds.
fn open(key: &PrivateKey, sealed: &[u8], bound: &Bound) -> Result<Secret, SealError> {
    if sealed.len() > SEALED_BYTES_MAX || sealed.len() < 1 + KEY_BYTES + TAG_BYTES + PAD_BYTES {
        return Err(SealError::Malformed);
    }
    let (format, rest) = sealed.split_first().ok_or(SealError::Malformed)?;
    if *format != FORMAT {
        return Err(SealError::Malformed);
    }
    let (shared, text) = rest.split_at(KEY_BYTES);
    let bounds = bound.bytes()?;
    let (secret, public) = (key.hpke().secret_bytes(), &key.public().0);
    let padded = open::open(secret, public, shared, (INFO, &bounds), text)?;
    padded.unpadded().ok_or(SealError::Malformed)
}
