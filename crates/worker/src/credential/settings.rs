//! What a host's configuration says about registered passwords.

use tessera_model::credential::{KeyId, PoolName};

/// What a host's configuration says about registered passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The pool that this worker is of (`worker_credential_pool`).
    pub pool: PoolName,
    /// Keys of other workers for which this one may seal passwords (`worker_credential_admit`).
    pub admitted: Vec<KeyId>,
    /// Days after which a key is replaced (`worker_credential_key_days`); 0 for never.
    pub key_days: u32,
}

/// Days after which a key is replaced by default.
pub const KEY_DAYS_DEFAULT: u32 = 90;

impl Default for Settings {
    fn default() -> Self {
        Self {
            pool: PoolName::default(),
            admitted: Vec::new(),
            key_days: KEY_DAYS_DEFAULT,
        }
    }
}
