//! Registered passwords, sealed, and the keys that they are sealed to.

use super::ConvertError;
use super::parts::{at_most, read_name, read_text, text};
use crate::proto;
use bytes::Bytes;
use tessera_model::Timestamp;
use tessera_model::credential::{
    AccountKind, CredentialChecked, CredentialId, KEYS_OF_WORKER_MAX, KeyId, PoolKey, PoolKeys,
    SEALED_BYTES_MAX, SealedCredential, Verdict,
};
use tessera_model::msg::FromWorker;

pub(super) fn write_id(id: &CredentialId) -> proto::CredentialId {
    let kind = match id.kind {
        AccountKind::User => proto::AccountKind::User,
        AccountKind::Proxy => proto::AccountKind::Proxy,
    };
    proto::CredentialId {
        kind: kind.into(),
        account: id.account.to_string(),
        pool: id.pool.to_string(),
    }
}

/// Reads whose password it is. What is not known is an error, never a guess.
pub(super) fn read_id(id: Option<proto::CredentialId>) -> Result<CredentialId, ConvertError> {
    const FIELD: &str = "credential.id";
    let id = id.ok_or(ConvertError::Missing { field: FIELD })?;
    let kind = match proto::AccountKind::try_from(id.kind) {
        Ok(proto::AccountKind::User) => AccountKind::User,
        Ok(proto::AccountKind::Proxy) => AccountKind::Proxy,
        Ok(proto::AccountKind::Unspecified) | Err(_) => {
            return Err(ConvertError::Unknown { field: FIELD });
        }
    };
    let unknown = || ConvertError::Unknown { field: FIELD };
    Ok(CredentialId {
        kind,
        account: id.account.parse().map_err(|_| unknown())?,
        pool: id.pool.parse().map_err(|_| unknown())?,
    })
}

pub(super) fn write_key_id(id: KeyId) -> Bytes {
    Bytes::copy_from_slice(&id.0)
}

pub(super) fn read_key_id(bytes: &[u8]) -> Result<KeyId, ConvertError> {
    exactly(bytes, "key.id").map(KeyId)
}

fn exactly<const N: usize>(bytes: &[u8], field: &'static str) -> Result<[u8; N], ConvertError> {
    bytes.try_into().map_err(|_| ConvertError::Length {
        field,
        got: bytes.len(),
        wanted: N,
    })
}

pub(super) fn write_key(key: &PoolKey) -> proto::PoolKey {
    proto::PoolKey {
        id: write_key_id(key.id),
        public: Bytes::copy_from_slice(&key.public),
        created_ms: key.created.0,
    }
}

pub(super) fn read_key(key: Option<proto::PoolKey>) -> Result<PoolKey, ConvertError> {
    let key = key.ok_or(ConvertError::Missing { field: "key" })?;
    Ok(PoolKey {
        id: read_key_id(&key.id)?,
        public: exactly(&key.public, "key.public")?,
        created: Timestamp(key.created_ms),
    })
}

pub(super) fn write_keys(keys: &PoolKeys) -> proto::PoolKeys {
    proto::PoolKeys {
        pool: keys.pool.to_string(),
        keys: keys.keys.iter().map(write_key).collect(),
    }
}

pub(super) fn read_keys(keys: proto::PoolKeys) -> Result<PoolKeys, ConvertError> {
    at_most(keys.keys.len(), KEYS_OF_WORKER_MAX, "pool_keys.keys")?;
    let field = "pool_keys.pool";
    Ok(PoolKeys {
        pool: keys
            .pool
            .parse()
            .map_err(|_| ConvertError::Unknown { field })?,
        keys: keys
            .keys
            .into_iter()
            .map(|key| read_key(Some(key)))
            .collect::<Result<_, _>>()?,
    })
}

pub(super) fn write_sealed(it: SealedCredential) -> proto::SealedCredential {
    proto::SealedCredential {
        id: Some(write_id(&it.id)),
        domain: it.domain,
        sid: it.sid,
        sid_found: it.sid_found,
        sequence: it.sequence,
        check: it.check,
        created_ms: it.created.0,
        expires_ms: it.expires.0,
        key: write_key_id(it.key),
        sealed: it.sealed.into(),
    }
}

pub(super) fn read_sealed(
    it: Option<proto::SealedCredential>,
) -> Result<SealedCredential, ConvertError> {
    let it = it.ok_or(ConvertError::Missing {
        field: "credential",
    })?;
    at_most(it.sealed.len(), SEALED_BYTES_MAX, "credential.sealed")?;
    Ok(SealedCredential {
        id: read_id(it.id)?,
        domain: read_name(it.domain, "credential.domain")?,
        sid: read_name(it.sid, "credential.sid")?,
        sid_found: read_name(it.sid_found, "credential.sid_found")?,
        sequence: it.sequence,
        check: it.check,
        created: Timestamp(it.created_ms),
        expires: Timestamp(it.expires_ms),
        key: read_key_id(&it.key)?,
        sealed: it.sealed.into(),
    })
}

pub(super) fn write_checked(it: CredentialChecked) -> proto::CredentialChecked {
    proto::CredentialChecked {
        id: Some(write_id(&it.id)),
        sequence: it.sequence,
        verdict: it.verdict.word().to_owned(),
        sid: it.sid,
        detail: text(it.detail),
    }
}

/// Reads what a check found. A verdict that this program does not know is no verdict on the password.
pub(super) fn read_checked(
    it: proto::CredentialChecked,
) -> Result<CredentialChecked, ConvertError> {
    Ok(CredentialChecked {
        id: read_id(it.id)?,
        sequence: it.sequence,
        verdict: Verdict::of_word(&it.verdict).unwrap_or(Verdict::Unavailable),
        sid: read_name(it.sid, "credential_checked.sid")?,
        detail: read_text(it.detail, "credential_checked.detail")?,
    })
}

pub(super) fn write_resealed(
    id: &CredentialId,
    sequence: u64,
    to: KeyId,
    sealed: Result<Vec<u8>, String>,
) -> proto::Resealed {
    use proto::resealed::Outcome;
    proto::Resealed {
        id: Some(write_id(id)),
        sequence,
        to: write_key_id(to),
        outcome: Some(match sealed {
            Ok(sealed) => Outcome::Sealed(sealed.into()),
            Err(why) => Outcome::Refused(text(why)),
        }),
    }
}

pub(super) fn read_resealed(it: proto::Resealed) -> Result<FromWorker, ConvertError> {
    use proto::resealed::Outcome;
    const FIELD: &str = "resealed.outcome";
    let sealed = match it.outcome {
        Some(Outcome::Sealed(sealed)) => {
            at_most(sealed.len(), SEALED_BYTES_MAX, FIELD)?;
            Ok(sealed.into())
        }
        Some(Outcome::Refused(why)) => Err(read_text(why, FIELD)?),
        None => return Err(ConvertError::Unknown { field: FIELD }),
    };
    Ok(FromWorker::Resealed {
        id: read_id(it.id)?,
        sequence: it.sequence,
        to: read_key_id(&it.to)?,
        sealed,
    })
}
