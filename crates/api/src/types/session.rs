//! Sessions of browsers.

use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// Who wants to come in with a browser: by either a link's secret or a token.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SessionRequest {
    /// The secret of a link that `tessera open` made: what stands behind the `#` of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// A token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl fmt::Debug for SessionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRequest").finish_non_exhaustive()
    }
}

/// A session that began. Its secret is in a cookie that scripts can't read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Its id, listed among the tokens and revoked as they are.
    pub id: String,
    /// Whose it is.
    pub user: String,
    /// Until when it is good.
    pub expires_ms: i64,
}

/// A link that logs a browser in, once.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct SessionLink {
    /// The whole address: a secret.
    pub url: String,
    /// Whom it stands for.
    pub user: String,
    /// Until when it is good.
    pub expires_ms: i64,
    /// SHA-256 of the farm's CA, which a browser does not know and warns of; absent when that address is shown with a certificate of
    /// the site's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_ca: Option<String>,
}

impl fmt::Debug for SessionLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLink")
            .field("user", &self.user)
            .field("expires_ms", &self.expires_ms)
            .finish_non_exhaustive()
    }
}
