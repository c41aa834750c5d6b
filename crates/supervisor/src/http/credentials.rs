//! Registered passwords: offered keys, what is registered, checked and revoked. Nothing here can open what is sealed.

use super::auth::Caller;
use super::error::Answer;
use super::extract::Json;
use super::{App, Failure};
use crate::clock::wall;
use crate::tokens::hex;
use axum::extract::{Extension, State};
use http::StatusCode;
use std::collections::BTreeMap;
use tessera_api::ErrorCode;
use tessera_api::client::{from_hex, key_statement};
use tessera_api::types::{
    self, CredentialRef, CredentialRequest, Credentials, SealKey, SealOffer, SealedPassword,
};
use tessera_engine::supervisor::{Credential, CredentialWish, Denied, Engine, Input, Registration};
use tessera_model::credential::{
    AccountKind, CredentialId, KEYS_OF_POOL_MAX, KeyId, POOL_DEFAULT, SEALED_BYTES_MAX, Verdict,
};
use tessera_model::{Principal, Timestamp};
use tessera_spec::FieldError;

fn wrong(field: &str, why: impl std::fmt::Display) -> Failure {
    Failure::fields(vec![FieldError::new(field, why.to_string())])
}

/// Reads whose password is meant. Whether the caller may is the engine's to say, or [`may_see`]'s.
fn id_of(by: &Principal, of: &CredentialRef) -> Answer<CredentialId> {
    let kind = of.kind.as_deref().unwrap_or("user");
    let kind = AccountKind::of_word(kind).ok_or_else(|| wrong("kind", "user or proxy"))?;
    let account = match &of.account {
        None => by.name.clone(),
        Some(account) => account.parse().map_err(|error| wrong("account", error))?,
    };
    let pool = of.pool.as_deref().unwrap_or(POOL_DEFAULT);
    let pool = pool.parse().map_err(|error| wrong("pool", error))?;
    Ok(CredentialId {
        kind,
        account,
        pool,
    })
}

fn may_see(by: &Principal, id: &CredentialId) -> bool {
    by.is_admin || (id.kind == AccountKind::User && id.account == by.name)
}

/// `GET /credentials`: one's own, or everybody's for an administrator.
pub(crate) async fn list(
    State(app): State<App>,
    Extension(by): Caller,
) -> Answer<axum::Json<Credentials>> {
    let credentials = app.core.read(move |view| {
        let all = view.engine.credentials().all();
        let seen = all.filter(|it| may_see(&by, &it.record.id));
        seen.map(|it| shown(it, view.now.wall)).collect()
    });
    let credentials = credentials.await?;
    Ok(axum::Json(Credentials { credentials }))
}

/// `POST /credentials/offer`: for the account's own user and administrators.
pub(crate) async fn offer(
    State(app): State<App>,
    Extension(by): Caller,
    Json(of): Json<CredentialRef>,
) -> Answer<axum::Json<SealOffer>> {
    let id = id_of(&by, &of)?;
    if !may_see(&by, &id) {
        return Err(Failure::admins_only(
            &by.name,
            "register passwords of others",
        ));
    }
    let farm_id = app.ca.farm_id().to_string();
    let asked = id.clone();
    let looked = app.core.read(move |view| {
        let known = view.engine.credentials().get(&asked);
        let next = known.map_or(1, |it| it.record.sequence + 1);
        (next, keys_of(view.engine, &asked))
    });
    let (sequence, mut keys) = looked.await?;
    if keys.is_empty() {
        let message = format!(
            "no worker of pool {} has ever said a key that {id} could be sealed to",
            id.pool
        );
        let hint = "only Windows workers in service mode need passwords; look at tessera hosts, or name another --pool";
        return Err(Failure::new(ErrorCode::WrongState, message).hint(hint));
    }
    for key in &mut keys {
        let statement = key_statement(&farm_id, id.pool.as_str(), key);
        let signature = app.ca.sign_statement(&statement);
        let signature =
            signature.map_err(|error| Failure::internal("a key can't be signed", &error))?;
        key.signature = hex(&signature);
    }
    Ok(axum::Json(SealOffer {
        farm_id,
        kind: id.kind.word().to_owned(),
        account: id.account.to_string(),
        pool: id.pool.to_string(),
        sequence,
        now_ms: wall().0,
        days_max: app.config.engine.credential_days,
        ca_pem: app.ca.certificate_pem(),
        keys,
    }))
}

fn keys_of(engine: &Engine, id: &CredentialId) -> Vec<SealKey> {
    let keys = engine.keys_for(id).into_iter();
    let keys = keys.map(|(host, key)| SealKey {
        host: host.facts.name.clone(),
        id: key.id.to_string(),
        public: hex(&key.public),
        created_ms: key.created.0,
        signature: String::new(),
    });
    keys.collect()
}

/// `POST /credentials`: one's own; of others and of proxy accounts for administrators.
pub(crate) async fn register(
    State(app): State<App>,
    Extension(by): Caller,
    Json(request): Json<CredentialRequest>,
) -> Answer<(StatusCode, axum::Json<types::Credential>)> {
    let id = id_of(
        &by,
        &CredentialRef {
            kind: Some(request.kind),
            account: Some(request.account),
            pool: Some(request.pool),
        },
    )?;
    let registration = Registration {
        id: id.clone(),
        domain: request.domain,
        sid: request.sid,
        sequence: request.sequence,
        created: Timestamp(request.created_ms),
        expires: Timestamp(request.expires_ms),
        sealed: sealed(&request.sealed)?,
    };
    let wish = CredentialWish::Register(Box::new(registration));
    let shown = ask(&app, by, wish, id).await?;
    Ok((StatusCode::CREATED, axum::Json(shown)))
}

fn sealed(all: &[SealedPassword]) -> Answer<BTreeMap<KeyId, Vec<u8>>> {
    if all.len() > KEYS_OF_POOL_MAX {
        return Err(wrong("sealed", format!("at most {KEYS_OF_POOL_MAX} keys")));
    }
    let mut read = BTreeMap::new();
    for one in all {
        let key = from_hex(&one.key.replace('-', "")).and_then(|bytes| bytes.try_into().ok());
        let key = key.ok_or_else(|| wrong("sealed.key", "the fingerprint of a key"))?;
        let bytes = from_hex(&one.sealed).filter(|bytes| bytes.len() <= SEALED_BYTES_MAX);
        let bytes = bytes.ok_or_else(|| {
            wrong(
                "sealed.sealed",
                format!("hexadecimal digits of at most {SEALED_BYTES_MAX} bytes"),
            )
        })?;
        read.insert(KeyId(key), bytes);
    }
    Ok(read)
}

/// `POST /credentials/check`: as [`register`].
pub(crate) async fn check(
    State(app): State<App>,
    Extension(by): Caller,
    Json(of): Json<CredentialRef>,
) -> Answer<axum::Json<types::Credential>> {
    let id = id_of(&by, &of)?;
    let wish = CredentialWish::Check(id.clone());
    Ok(axum::Json(ask(&app, by, wish, id).await?))
}

/// `POST /credentials/revoke`: as [`register`].
pub(crate) async fn revoke(
    State(app): State<App>,
    Extension(by): Caller,
    Json(of): Json<CredentialRef>,
) -> Answer<axum::Json<types::Credential>> {
    let id = id_of(&by, &of)?;
    let wish = CredentialWish::Revoke(id.clone());
    Ok(axum::Json(ask(&app, by, wish, id).await?))
}

/// Has the engine do it and answers what there is then.
async fn ask(
    app: &App,
    by: Principal,
    wish: CredentialWish,
    id: CredentialId,
) -> Answer<types::Credential> {
    app.core.ask(Input::Credential { by, wish }).await??;
    let asked = id.clone();
    let found = app.core.read(move |view| {
        let known = view.engine.credentials().get(&asked);
        known.map(|it| shown(it, view.now.wall))
    });
    found.await?.ok_or_else(|| Denied::NoCredential(id).into())
}

/// Answers what is shown of a registered password.
fn shown(credential: &Credential, now: Timestamp) -> types::Credential {
    let record = &credential.record;
    let found = record.found.as_ref();
    let (status, text) = status(credential, now);
    let sid = [&record.sid, &record.sid_found];
    types::Credential {
        kind: record.id.kind.word().to_owned(),
        account: record.id.account.to_string(),
        domain: record.domain.clone(),
        pool: record.id.pool.to_string(),
        sequence: record.sequence,
        status,
        text,
        sid: sid.into_iter().find(|sid| !sid.is_empty()).cloned(),
        created_ms: record.created.0,
        expires_ms: record.expires.0,
        by: record.by.to_string(),
        checked_ms: found.map(|found| found.at.0),
        checked_on: found.map(|found| found.host.clone()),
        checked_detail: found
            .map(|found| found.detail.clone())
            .filter(|it| !it.is_empty()),
        sealed_to: u32::try_from(credential.sealed_to()).unwrap_or(u32::MAX),
    }
}

fn status(credential: &Credential, now: Timestamp) -> (String, String) {
    let said = |word: &str, text: &str| (word.to_owned(), text.to_owned());
    if credential.is_being_checked() {
        return said("checking", "a worker is trying it");
    }
    if let Some(fault) = credential.fault(now) {
        let word = fault
            .code
            .strip_prefix("credential_")
            .unwrap_or(&fault.code);
        return said(word, &fault.text);
    }
    match credential.record.found.as_ref().map(|found| found.verdict) {
        None => said(
            "unchecked",
            "no worker of its pool was there to try it yet; the first that comes does",
        ),
        Some(Verdict::Valid) => said("valid", "the password is good"),
        Some(verdict) => said(verdict.word(), verdict.in_words().0),
    }
}
