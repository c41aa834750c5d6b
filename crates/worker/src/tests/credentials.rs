//! The daemon with a vault: what it says of itself, and that it answers.

use std::sync::Arc;

use tessera_model::credential::{
    AccountKind, CREDENTIAL_ALWAYS, CredentialId, NEEDS_CREDENTIAL, PoolKey, SealedCredential,
    Verdict,
};
use tessera_model::msg::{FromWorker, ToWorker};
use tessera_seal::{Bound, Kind, PublicKey, seal};

use super::Bench;
use crate::credential::{
    Account, Accounts, FileSecrets, LoggedOn, LogonFailed, Secret, Settings, Vault,
};
use crate::os;

/// A domain in which everybody has the same password.
struct OnePassword;

impl Accounts for OnePassword {
    fn sid_of(&self, _: Account<'_>) -> Result<String, LogonFailed> {
        Ok("S-1-5-21-7".into())
    }

    fn log_on(&self, _: Account<'_>, password: &Secret) -> Result<LoggedOn, LogonFailed> {
        if password.with_text(|text| text != "correct horse") {
            return Err(LogonFailed::new(Verdict::Wrong, "error 1326"));
        }
        let (sid, token) = ("S-1-5-21-7".into(), Arc::new(()));
        Ok(LoggedOn { sid, token })
    }
}

fn sealed(farm: &str, key: PoolKey, password: &str, sequence: u64) -> ToWorker {
    let (created, expires) = (os::wall(), os::wall().plus_ms(60_000));
    let bound = Bound {
        farm: farm.to_owned(),
        pool: "default".into(),
        key: tessera_seal::KeyId(key.id.0),
        kind: Kind::User,
        account: "mia".into(),
        domain: String::new(),
        sid: String::new(),
        sequence,
        created_ms: created.0,
        expires_ms: expires.0,
    };
    let secret = Secret::password(password.to_owned()).expect("a password");
    let credential = Box::new(SealedCredential {
        id: CredentialId {
            kind: AccountKind::User,
            account: "mia".parse().expect("a name"),
            pool: "default".parse().expect("a pool"),
        },
        domain: String::new(),
        sid: String::new(),
        sid_found: String::new(),
        sequence,
        check: 1,
        created,
        expires,
        key: key.id,
        sealed: seal(&secret, &PublicKey(key.public), &bound).expect("sealed"),
    });
    ToWorker::Credential {
        credential,
        is_check: true,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_with_a_vault_says_its_keys_and_checks_passwords() {
    let mut bench = Bench::without_worker().await;
    bench.farm.enrol(&bench.state.path().join("worker"));
    let dir = bench.state.path().join("credentials");
    let secrets = Box::new(FileSecrets::open(&dir).expect("opens"));
    let vault = Vault::open(&dir, Settings::default(), secrets, Box::new(OnePassword));
    bench.vault = Some(vault.expect("opens"));
    bench.start();
    let keys_before_inventory = |said: &[FromWorker]| {
        let keys = said
            .iter()
            .position(|it| matches!(it, FromWorker::PoolKeys(_)))?;
        let inventory = said
            .iter()
            .position(|it| matches!(it, FromWorker::Inventory(_)))?;
        assert!(
            keys < inventory,
            "it is given work as soon as it says what it has"
        );
        let FromWorker::PoolKeys(keys) = &said[keys] else {
            return None;
        };
        Some(keys.keys[0])
    };
    let key = bench
        .farm
        .wait_for("its key", |it| keys_before_inventory(&it.said))
        .await;
    let facts = bench.farm.wait_for("a hello", |it| it.hellos.pop()).await;
    assert_eq!(facts.properties[NEEDS_CREDENTIAL], CREDENTIAL_ALWAYS);
    let farm = bench.farm.id();
    for (sequence, password, verdict) in [
        (1, "a guess", Verdict::Wrong),
        (2, "correct horse", Verdict::Valid),
    ] {
        bench
            .farm
            .order(sealed(&farm, key, password, sequence))
            .await;
        let found = |said: &[FromWorker]| {
            said.iter().find_map(|it| match it {
                FromWorker::CredentialChecked(it) if it.sequence == sequence => Some(it.verdict),
                _ => None,
            })
        };
        let said = bench.farm.wait_for("an answer", |it| found(&it.said)).await;
        assert_eq!(said, verdict);
    }
    bench.stop().await;
}
