//! The certificate of the site's own.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The certificate of the site's own that people's browsers know, and whether it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct SiteCertificate {
    /// Its file on the supervisor's host; absent when none is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The file of its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The host names that it is good for, of the one that is shown.
    pub names: Vec<String>,
    /// SHA-256 of that one (DER), 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<i64>,
    /// Whether browsers that ask for one of its names are shown it; else the farm's own.
    pub is_shown: bool,
    /// Whether the address that links name is one of its names.
    pub is_of_links: bool,
    /// That address, `host:port` (`supervisor_address`).
    pub address: String,
    /// What is wrong with the files as they were read last; what was shown before is shown on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
