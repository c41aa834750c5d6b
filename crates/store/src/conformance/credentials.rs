//! Registered passwords, what is sealed, and the keys of workers.

use super::sample::{credential, credential_seal, pool_key};
use super::{Fixture, Session};
use crate::{CredentialRow, Loaded, Write};

/// Every kind of write about passwords, then every kind of change and removal, each seen at once and after a restart.
///
/// # Panics
/// When something doesn't come back as it was.
pub fn registered_passwords_come_back(fixture: &dyn Fixture) {
    let mut session = Session::open(fixture);
    let bare = CredentialRow {
        is_revoked: true,
        verdict: None,
        checked_ms: None,
        ..credential("a")
    };
    session.commit(vec![
        Write::Credential(credential("night")),
        Write::Credential(bare.clone()),
        Write::CredentialSeal(credential_seal("night", 1)),
        Write::CredentialSeal(credential_seal("night", 2)),
        keys(1, 2),
        keys(2, 1),
    ]);
    let expected = Loaded {
        credentials: vec![bare, credential("night")],
        credential_seals: vec![credential_seal("night", 1), credential_seal("night", 2)],
        pool_keys: vec![pool_key(1, 0), pool_key(1, 1), pool_key(2, 0)],
        ..Loaded::default()
    };
    assert_eq!(session.load(), expected);
    let mut session = session.again(fixture);
    assert_eq!(session.load(), expected);
    session.commit(vec![
        Write::Credential(credential("a")),
        remove("user", 1),
        remove("proxy", 2),
        keys(1, 1),
        keys(2, 0),
    ]);
    let expected = Loaded {
        credentials: vec![credential("a"), credential("night")],
        credential_seals: vec![credential_seal("night", 2)],
        pool_keys: vec![pool_key(1, 0)],
        ..Loaded::default()
    };
    assert_eq!(session.load(), expected);
    assert_eq!(session.again(fixture).load(), expected);
}

fn keys(host: u8, many: u32) -> Write {
    Write::PoolKeys {
        host: [host; 16],
        keys: (0..many).map(|place| pool_key(host, place)).collect(),
    }
}

fn remove(kind: &str, key: u8) -> Write {
    Write::CredentialSealRemove {
        kind: kind.into(),
        account: "mia".into(),
        pool: "night".into(),
        key: [key; 16],
    }
}
