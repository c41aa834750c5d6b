//! The receiving half of HPKE (RFC 9180, base mode) for the one suite that is used here.
//!
//! The library that seals can open, too, but opens in a buffer that it gives back to the allocator as it is, password
//! included. Here the only buffer that a password is ever in is one that is overwritten. The tests open with this what
//! the library sealed.

use crate::{KEY_BYTES, SealError, Secret};
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, UnparsedPublicKey, X25519};
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

/// DHKEM(X25519, HKDF-SHA256).
const KEM: [u8; 5] = *b"KEM\x00\x20";
/// That, HKDF-SHA256, ChaCha20-Poly1305.
const HPKE: [u8; 10] = *b"HPKE\x00\x20\x00\x01\x00\x03";
const VERSION: &[u8] = b"HPKE-v1";
const HASH_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

type Hash = Zeroizing<[u8; HASH_BYTES]>;

/// Opens what was sealed to the key whose halves these are.
pub(crate) fn open(
    secret: &[u8],
    public: &[u8; KEY_BYTES],
    shared: &[u8],
    (info, aad): (&[u8], &[u8]),
    text: &[u8],
) -> Result<Secret, SealError> {
    let shared_secret = decapsulate(secret, public, shared)?;
    let psk_id_hash = extract(&HPKE, &[], b"psk_id_hash", &[]);
    let info_hash = extract(&HPKE, &[], b"info_hash", info);
    let mut context = [0; 1 + 2 * HASH_BYTES];
    context[1..=HASH_BYTES].copy_from_slice(psk_id_hash.as_slice());
    context[1 + HASH_BYTES..].copy_from_slice(info_hash.as_slice());
    let secret = extract(&HPKE, shared_secret.as_slice(), b"secret", &[]);
    let key = expand(&HPKE, &secret, b"key", &context, HASH_BYTES);
    let nonce = expand(&HPKE, &secret, b"base_nonce", &context, NONCE_BYTES);
    let mut first = [0; NONCE_BYTES];
    first.copy_from_slice(&nonce[..NONCE_BYTES]);
    let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_slice()).map_err(|_| SealError::BadKey)?;
    let mut buffer = Zeroizing::new(text.to_vec());
    let nonce = Nonce::assume_unique_for_key(first);
    let opened = LessSafeKey::new(key).open_in_place(nonce, Aad::from(aad), &mut buffer);
    let length = opened.map_err(|_| SealError::NotForThis)?.len();
    buffer.truncate(length);
    Ok(Secret::of_opened(buffer))
}

fn decapsulate(secret: &[u8], public: &[u8; KEY_BYTES], shared: &[u8]) -> Result<Hash, SealError> {
    let own = agreement::PrivateKey::from_private_key(&X25519, secret);
    let own = own.map_err(|_| SealError::BadKey)?;
    let theirs = UnparsedPublicKey::new(&X25519, shared);
    let prk = agreement::agree(&own, theirs, SealError::NotForThis, |secret| {
        Ok(extract(&KEM, &[], b"eae_prk", secret))
    })?;
    let context = [shared, public.as_slice()].concat();
    Ok(expand(&KEM, &prk, b"shared_secret", &context, HASH_BYTES))
}

/// `LabeledExtract` of the standard.
fn extract(suite: &[u8], salt: &[u8], label: &[u8], from: &[u8]) -> Hash {
    sign(salt, &[VERSION, suite, label, from])
}

/// `LabeledExpand` of the standard, for at most [`HASH_BYTES`]; what is beyond `length` is not to be used.
fn expand(suite: &[u8], from: &Hash, label: &[u8], info: &[u8], length: usize) -> Hash {
    let length = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    sign(
        from.as_slice(),
        &[&length, VERSION, suite, label, info, &[1]],
    )
}

fn sign(key: &[u8], parts: &[&[u8]]) -> Hash {
    let mut signing = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        signing.update(part);
    }
    let mut hash = Zeroizing::new([0; HASH_BYTES]);
    hash.copy_from_slice(signing.sign().as_ref());
    hash
}
