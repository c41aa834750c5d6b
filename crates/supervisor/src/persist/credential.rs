//! Registered passwords and the keys of workers, as rows and back.

use std::collections::BTreeMap;
use tessera_engine::supervisor::{CredentialImage, CredentialRecord, Engine, Found};
use tessera_model::credential::{
    AccountKind, CredentialId, KeyId, PoolKey, PoolKeys, PoolName, Verdict,
};
use tessera_model::{HostId, Timestamp};
use tessera_store::{CredentialRow, CredentialSealRow, PoolKeyRow, Write};

/// Makes the row of a registered password.
pub(super) fn row(record: &CredentialRecord) -> CredentialRow {
    let found = record.found.as_ref();
    CredentialRow {
        kind: record.id.kind.word().to_owned(),
        account: record.id.account.to_string(),
        pool: record.id.pool.to_string(),
        domain: record.domain.clone(),
        sid: record.sid.clone(),
        sid_found: record.sid_found.clone(),
        sequence: record.sequence,
        checks: record.check,
        created_ms: record.created.0,
        expires_ms: record.expires.0,
        by_user: record.by.to_string(),
        is_revoked: record.is_revoked,
        verdict: found.map(|found| found.verdict.word().to_owned()),
        checked_ms: found.map(|found| found.at.0),
        checked_host: found.map(|found| found.host.clone()).unwrap_or_default(),
        checked_detail: found.map(|found| found.detail.clone()).unwrap_or_default(),
    }
}

/// Makes the write of what is sealed to a key, or its removal when nothing is any more.
pub(super) fn seal(engine: &Engine, id: &CredentialId, key: KeyId) -> Write {
    let (kind, account, pool) = (
        id.kind.word().to_owned(),
        id.account.to_string(),
        id.pool.to_string(),
    );
    let credential = engine.credentials().get(id);
    match credential.and_then(|credential| credential.sealed(key)) {
        Some(sealed) => Write::CredentialSeal(CredentialSealRow {
            kind,
            account,
            pool,
            key: key.0,
            sealed: sealed.to_vec(),
        }),
        None => Write::CredentialSealRemove {
            kind,
            account,
            pool,
            key: key.0,
        },
    }
}

/// Makes the write of a host's keys.
pub(super) fn keys(engine: &Engine, host: HostId) -> Write {
    let known = engine.credentials().keys().get(&host);
    let rows = known.into_iter().flat_map(|keys| {
        let with_place = (0_u32..).zip(&keys.keys);
        with_place.map(|(place, key)| PoolKeyRow {
            host: host.0,
            place,
            pool: keys.pool.to_string(),
            key: key.id.0,
            public: key.public,
            created_ms: key.created.0,
        })
    });
    Write::PoolKeys {
        host: host.0,
        keys: rows.collect(),
    }
}

/// Reads registered passwords.
///
/// # Errors
/// What can't be understood, in words.
pub(super) fn images(
    rows: Vec<CredentialRow>,
    seals: Vec<CredentialSealRow>,
) -> Result<Vec<CredentialImage>, String> {
    let mut sealed: BTreeMap<CredentialId, BTreeMap<KeyId, Vec<u8>>> = BTreeMap::new();
    for row in seals {
        let id = id(&row.kind, &row.account, &row.pool)?;
        sealed
            .entry(id)
            .or_default()
            .insert(KeyId(row.key), row.sealed);
    }
    rows.into_iter()
        .map(|row| {
            let id = id(&row.kind, &row.account, &row.pool)?;
            Ok(CredentialImage {
                sealed: sealed.remove(&id).unwrap_or_default(),
                record: record(id, row)?,
            })
        })
        .collect()
}

fn id(kind: &str, account: &str, pool: &str) -> Result<CredentialId, String> {
    let kind = AccountKind::of_word(kind);
    Ok(CredentialId {
        kind: kind.ok_or("a registered password is of an unknown kind")?,
        account: account.parse().map_err(|error| format!("{error}"))?,
        pool: pool_name(pool)?,
    })
}

fn pool_name(pool: &str) -> Result<PoolName, String> {
    pool.parse().map_err(|error| format!("{error}"))
}

fn record(id: CredentialId, row: CredentialRow) -> Result<CredentialRecord, String> {
    let found = row.verdict.zip(row.checked_ms).map(|(word, at)| Found {
        // A word of a newer release: it is checked again.
        verdict: Verdict::of_word(&word).unwrap_or(Verdict::Unavailable),
        at: Timestamp(at),
        host: row.checked_host,
        detail: row.checked_detail,
    });
    Ok(CredentialRecord {
        id,
        domain: row.domain,
        sid: row.sid,
        sid_found: row.sid_found,
        sequence: row.sequence,
        check: row.checks,
        created: Timestamp(row.created_ms),
        expires: Timestamp(row.expires_ms),
        by: row.by_user.parse().map_err(|error| format!("{error}"))?,
        is_revoked: row.is_revoked,
        found,
    })
}

/// Reads the keys of hosts; rows are in the order of host and place.
///
/// # Errors
/// What can't be understood, in words.
pub(super) fn keys_of(rows: Vec<PoolKeyRow>) -> Result<Vec<(HostId, PoolKeys)>, String> {
    let mut all: Vec<(HostId, PoolKeys)> = Vec::new();
    for row in rows {
        let key = PoolKey {
            id: KeyId(row.key),
            public: row.public,
            created: Timestamp(row.created_ms),
        };
        match all.last_mut().filter(|(host, _)| host.0 == row.host) {
            Some((_, keys)) => keys.keys.push(key),
            None => all.push((
                HostId(row.host),
                PoolKeys {
                    pool: pool_name(&row.pool)?,
                    keys: vec![key],
                },
            )),
        }
    }
    Ok(all)
}
