//! The farm itself, who may come in, and hosts that join.

use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// Whether the supervisor serves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: String,
}

/// What farm this is, and who you are to it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Info {
    /// Its id, a UUID.
    pub farm_id: String,
    /// Its name for people.
    pub farm_name: String,
    /// The version of the supervisor.
    pub version: String,
    /// The version of the API.
    pub api: u32,
    /// Who you are.
    pub caller: Caller,
    /// SHA-256 of the farm's CA certificate (DER), 64 hexadecimal digits.
    pub ca_sha256: String,
    /// The supervisor's clock.
    pub now_ms: i64,
    /// `host:port` that workers and clients on other machines reach it at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// A mode of maintenance that the farm is in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct FarmMode {
    /// `reject_submit` (it takes no submissions) or `stop_activity` (it starts nothing).
    pub mode: String,
    /// Who set it.
    pub by: String,
    /// When.
    pub at_ms: i64,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// All of it in a sentence.
    pub text: String,
}

/// The modes of maintenance that the farm is in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct FarmModes {
    /// Those that are set; usually none.
    pub modes: Vec<FarmMode>,
}

/// A mode to set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModeRequest {
    /// Why; at most 200 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// Somebody whose name was proven.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Caller {
    /// Their account.
    pub name: String,
    /// How it was proven: `peer uid 1000`, `token 3f2a`.
    pub proof: String,
    /// Whether they may act on everything.
    pub is_admin: bool,
}

/// A token to make.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenRequest {
    /// Whose it is; the caller's when absent. Another's needs an administrator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What it is for.
    pub note: String,
    /// Days that it is good for; the farm's default when absent.
    #[schema(minimum = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_days: Option<u32>,
    /// Whether who presents it may act on everything; needs an administrator.
    pub admin: bool,
    /// Whether it is good for reading `/metrics` and nothing else.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub metrics: bool,
}

/// A token that was made. Only now is the token itself shown.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct NewToken {
    /// Its id.
    pub id: String,
    /// The token: a secret, sent as `Authorization: Bearer TOKEN`.
    pub token: String,
    /// Whose it is.
    pub user: String,
    /// Until when it is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<i64>,
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewToken")
            .field("id", &self.id)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A token as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub user: String,
    /// What it is for.
    pub note: String,
    /// Whether who presents it may act on everything.
    pub admin: bool,
    /// When it was made.
    pub created_ms: i64,
    /// Until when it is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<i64>,
    /// When it was last used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_ms: Option<i64>,
}

/// Tokens: the caller's, or everybody's for an administrator.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Tokens {
    /// The tokens.
    pub tokens: Vec<Token>,
}

/// A join token to make.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JoinTokenRequest {
    /// What it is for.
    pub note: String,
    /// Minutes that it is good for; the farm's default when absent.
    #[schema(minimum = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u32>,
}

/// What a host needs to join, once.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct JoinToken {
    /// To be given to `tessera join`: address, fingerprint of the farm's CA and a secret.
    pub join_string: String,
    /// Until when it is good.
    pub expires_ms: i64,
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken")
            .field("expires_ms", &self.expires_ms)
            .finish_non_exhaustive()
    }
}

/// A host that wants to join; the token is its only proof.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// The secret of the join string.
    pub token: String,
    /// A certificate signing request; only its public key is taken.
    pub csr_pem: String,
    /// The name that the host wants to go by.
    pub name: String,
}

impl fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinRequest")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What a host is given when it has joined.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct JoinReply {
    /// Its certificate.
    pub certificate_pem: String,
    /// The farm's CA certificate.
    pub ca_pem: String,
    /// The host's id, a UUID.
    pub host_id: String,
    /// The farm's id, a UUID.
    pub farm_id: String,
    /// The public keys that sign tickets: 32 bytes each, as 64 hexadecimal digits.
    pub dispatch_keys: Vec<String>,
    /// Ids of other hosts that joined under its name, the first ones: they are not connected. One that was this machine never
    /// comes again; an administrator removes it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub same_name: Vec<String>,
}
