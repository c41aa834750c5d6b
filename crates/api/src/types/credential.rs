//! Registered passwords. A password itself is in none of these; what is sealed can be read by one worker.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A registered password, or what is left of a revoked one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Credential {
    /// `user` for a person's account, `proxy` for that of hosts which run all jobs as it.
    pub kind: String,
    /// The account's name.
    pub account: String,
    /// Its domain; empty for an account of the hosts themselves.
    pub domain: String,
    /// The pool of workers that it is for.
    pub pool: String,
    /// Counts registrations and revocations.
    pub sequence: u64,
    /// `valid`, `unchecked`, `checking`, `revoked`, `over`, or what is wrong with it: `wrong`, `no_account`, `locked`,
    /// `restricted`, `expired`, `must_change`, `no_batch_right`, `account_changed`, `unreadable`, `stale`, `unavailable`.
    pub status: String,
    /// What that means, in words, and what helps.
    pub text: String,
    /// The account's SID, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// When it was registered.
    pub created_ms: i64,
    /// When it ends.
    pub expires_ms: i64,
    /// Who registered or revoked it.
    pub by: String,
    /// When it was checked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_ms: Option<i64>,
    /// On which host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_on: Option<String>,
    /// What the system said there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_detail: Option<String>,
    /// How many keys of workers it is sealed to.
    pub sealed_to: u32,
}

/// Registered passwords: the caller's, or everybody's for an administrator.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Credentials {
    /// They.
    pub credentials: Vec<Credential>,
}

/// Names a registered password.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CredentialRef {
    /// `user` (the default) or `proxy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The account; the caller's own when absent. Others need an administrator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The pool; `default` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
}

/// What a client needs to seal a password.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct SealOffer {
    /// The farm's id.
    pub farm_id: String,
    /// `user` or `proxy`.
    pub kind: String,
    /// The account.
    pub account: String,
    /// The pool.
    pub pool: String,
    /// The number to seal for: one more than that of the last registration or revocation.
    pub sequence: u64,
    /// The supervisor's clock.
    pub now_ms: i64,
    /// Days that it may be good for at most.
    pub days_max: u32,
    /// The farm's CA certificate, whose key signed the keys.
    pub ca_pem: String,
    /// The current key of each worker of the pool.
    pub keys: Vec<SealKey>,
}

/// A worker's key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct SealKey {
    /// The worker's host.
    pub host: String,
    /// The key's fingerprint over farm, pool and key: eight groups of four hexadecimal digits.
    pub id: String,
    /// The X25519 key: 64 hexadecimal digits.
    pub public: String,
    /// When the worker made it.
    pub created_ms: i64,
    /// The CA's signature of the statement of all this (ECDSA P-256, SHA-256, DER), in hexadecimal digits.
    pub signature: String,
}

/// A password, sealed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialRequest {
    /// `user` or `proxy`.
    pub kind: String,
    /// The account.
    pub account: String,
    /// Its domain; empty for an account of the hosts themselves.
    #[serde(default)]
    pub domain: String,
    /// The pool.
    pub pool: String,
    /// The account's SID, if the client knows it.
    #[serde(default)]
    pub sid: String,
    /// The number of the offer.
    pub sequence: u64,
    /// When it was sealed.
    pub created_ms: i64,
    /// When it ends.
    pub expires_ms: i64,
    /// The sealed password for each key.
    pub sealed: Vec<SealedPassword>,
}

/// A password, sealed to one key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SealedPassword {
    /// The key's fingerprint.
    pub key: String,
    /// What is sealed, in hexadecimal digits.
    pub sealed: String,
}
