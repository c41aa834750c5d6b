//! Sealing a password for workers whose keys the farm's CA signed.

use super::{Client, ClientError, Fingerprint};
use crate::types::{
    Credential, CredentialRef, CredentialRequest, SealKey, SealOffer, SealedPassword,
};
use rustls::SignatureScheme;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::fmt::Write as _;
use tessera_seal::{Bound, KeyId, Kind, PublicKey, Secret, seal};

/// The word that begins what the CA signs of a key.
const STATEMENT: &str = "tessera statement of a pool key 1";
const DAY_MS: i64 = 24 * 3_600 * 1_000;

/// Prints what the farm's CA signs of a worker's key: each text with its length before it, so that it reads in one way only.
#[must_use]
pub fn key_statement(farm_id: &str, pool: &str, key: &SealKey) -> Vec<u8> {
    let created = key.created_ms.to_string();
    let texts = [
        STATEMENT,
        farm_id,
        pool,
        &key.host,
        &key.id,
        &key.public,
        &created,
    ];
    let mut bytes = Vec::new();
    for text in texts {
        bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

/// A key that the farm's CA signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedKey {
    /// Its fingerprint.
    pub id: KeyId,
    /// The key.
    pub public: PublicKey,
}

/// Why an offer of keys can't be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadOffer {
    /// Its CA is another than the one that was pinned.
    #[error("the keys come with the certificate of another farm than {pinned}")]
    WrongCa {
        /// The fingerprint that this client knows.
        pinned: Fingerprint,
    },
    /// The certificate can't be read.
    #[error("the farm's CA certificate can't be read")]
    BadCa,
    /// A key is not signed by the CA.
    #[error(
        "the key of {host} ({id}) is not signed by the farm's CA: somebody between may have put it there"
    )]
    NotSigned {
        /// Whose key it is said to be.
        host: String,
        /// Its fingerprint.
        id: String,
    },
    /// A key's name is not its fingerprint.
    #[error("the key of {host} has not the fingerprint {id}")]
    WrongId {
        /// Whose key it is said to be.
        host: String,
        /// What it is said to be.
        id: String,
    },
}

impl SealOffer {
    /// Answers the keys, all of which the CA signed; `pinned` is what this client knows of it, if it came over TLS.
    ///
    /// # Errors
    /// At the first key that can't be believed: then none is.
    pub fn signed_keys(&self, pinned: Option<Fingerprint>) -> Result<Vec<SignedKey>, BadOffer> {
        let ca =
            CertificateDer::from_pem_slice(self.ca_pem.as_bytes()).map_err(|_| BadOffer::BadCa)?;
        if let Some(pinned) = pinned.filter(|pinned| Fingerprint::of(&ca) != *pinned) {
            return Err(BadOffer::WrongCa { pinned });
        }
        let public = public_key(&ca).ok_or(BadOffer::BadCa)?;
        self.keys
            .iter()
            .map(|key| self.signed_key(&public, key))
            .collect()
    }

    fn signed_key(&self, ca: &[u8], key: &SealKey) -> Result<SignedKey, BadOffer> {
        let (host, id) = (key.host.clone(), key.id.clone());
        let statement = key_statement(&self.farm_id, &self.pool, key);
        let is_signed = from_hex(&key.signature)
            .is_some_and(|signature| is_signed_by(ca, &statement, &signature));
        if !is_signed {
            return Err(BadOffer::NotSigned { host, id });
        }
        let public = from_hex(&key.public).and_then(|bytes| bytes.try_into().ok());
        let public = public.map(PublicKey);
        match (public, id.parse::<KeyId>()) {
            (Some(public), Ok(id)) if public.id(&self.farm_id, &self.pool) == id => {
                Ok(SignedKey { id, public })
            }
            _ => Err(BadOffer::WrongId { host, id }),
        }
    }

    /// Seals a password for these keys.
    ///
    /// # Errors
    /// When a key is none.
    pub fn seal(
        &self,
        secret: &Secret,
        keys: &[SignedKey],
        domain: &str,
        days: u32,
    ) -> Result<CredentialRequest, tessera_seal::SealError> {
        let expires_ms = self.now_ms + i64::from(days.min(self.days_max)) * DAY_MS;
        let kind = if self.kind == "proxy" {
            Kind::Proxy
        } else {
            Kind::User
        };
        let sealed = keys.iter().map(|key| {
            let bound = Bound {
                farm: self.farm_id.clone(),
                pool: self.pool.clone(),
                key: key.id,
                kind,
                account: self.account.clone(),
                domain: domain.to_owned(),
                sid: String::new(),
                sequence: self.sequence,
                created_ms: self.now_ms,
                expires_ms,
            };
            Ok(SealedPassword {
                key: key.id.to_string(),
                sealed: to_hex(&seal(secret, &key.public, &bound)?),
            })
        });
        Ok(CredentialRequest {
            kind: self.kind.clone(),
            account: self.account.clone(),
            domain: domain.to_owned(),
            pool: self.pool.clone(),
            sid: String::new(),
            sequence: self.sequence,
            created_ms: self.now_ms,
            expires_ms,
            sealed: sealed.collect::<Result<_, _>>()?,
        })
    }
}

impl Client {
    /// Answers what is needed to seal a password; the keys in it are still to be checked ([`SealOffer::signed_keys`]).
    ///
    /// # Errors
    /// When the supervisor can't be reached or refuses.
    pub async fn seal_offer(&self, of: &CredentialRef) -> Result<SealOffer, ClientError> {
        self.transport
            .post(&super::calls::path("/credentials/offer"), of)
            .await
    }

    /// Registers a sealed password.
    ///
    /// # Errors
    /// When the supervisor can't be reached or refuses.
    pub async fn register_credential(
        &self,
        sealed: &CredentialRequest,
    ) -> Result<Credential, ClientError> {
        self.transport
            .post(&super::calls::path("/credentials"), sealed)
            .await
    }

    /// Answers the fingerprint of the farm's CA that this client insists on; none over the local socket.
    #[must_use]
    pub fn pinned_ca(&self) -> Option<Fingerprint> {
        self.transport.endpoint.pinned()
    }
}

/// Answers the public key in a certificate.
fn public_key(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(parsed.public_key().subject_public_key.data.to_vec())
}

fn is_signed_by(public: &[u8], statement: &[u8], signature: &[u8]) -> bool {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let known = provider.signature_verification_algorithms.mapping;
    let scheme = SignatureScheme::ECDSA_NISTP256_SHA256;
    let algorithms = known
        .iter()
        .filter(|(it, _)| *it == scheme)
        .flat_map(|(_, all)| *all);
    let mut outcomes = algorithms.map(|it| it.verify_signature(public, statement, signature));
    outcomes.any(|outcome| outcome.is_ok())
}

/// Prints bytes as hexadecimal digits.
fn to_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        })
}

/// Reads hexadecimal digits.
#[must_use]
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|it| u8::try_from(it).ok())
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}
