//! Tokens, and hosts that join.

use super::auth::{Caller, Source, is_local};
use super::door::Visit;
use super::error::Answer;
use super::extract::{Json, Segments};
use super::{App, Failure, hosts, refused};
use crate::clock::wall;
use crate::core::EnrolRefused;
use crate::persist::rows::{Enrolment, access_row, kind};
use crate::tokens::{Fresh, Held, TOKENS_MAX, hex};
use axum::extract::{Extension, State};
use http::StatusCode;
use tessera_api::ErrorCode;
use tessera_api::types::{
    JoinReply, JoinRequest, JoinToken, JoinTokenRequest, NewToken, Token, TokenRequest, Tokens,
};
use tessera_model::{HostName, Principal, UserName};
use tessera_spec::FieldError;
use tessera_store::{JoinTokenRow, TokenRow, Write};
use tessera_wire::pki::{self, Fingerprint, JoinString, PkiError};

/// Days that a token is good for unless it is said.
const TOKEN_DAYS_DEFAULT: u32 = 90;
/// Most days that a token may be good for.
const TOKEN_DAYS_MAX: u32 = 3_660;
/// Minutes that a join token is good for unless it is said.
const JOIN_MINUTES_DEFAULT: u32 = 60;
/// Most minutes that a join token may be good for (a week).
const JOIN_MINUTES_MAX: u32 = 7 * 24 * 60;
/// Bytes of a note.
const NOTE_BYTES_MAX: usize = 255;
const DAY_MS: i64 = 24 * 3_600 * 1_000;

fn checked_note(note: &str) -> Answer<()> {
    if note.len() > NOTE_BYTES_MAX {
        let error = FieldError::new("note", format!("at most {NOTE_BYTES_MAX} bytes"));
        return Err(Failure::fields(vec![error]));
    }
    Ok(())
}

fn in_range(field: &str, value: Option<u32>, usual: u32, most: u32) -> Answer<u32> {
    match value.unwrap_or(usual) {
        value if (1..=most).contains(&value) => Ok(value),
        value => {
            let message = format!("{value} is not from 1 to {most}");
            Err(Failure::fields(vec![FieldError::new(field, message)]))
        }
    }
}

/// `POST /tokens`
pub(crate) async fn create_token(
    State(app): State<App>,
    Extension(by): Caller,
    Json(request): Json<TokenRequest>,
) -> Answer<(StatusCode, axum::Json<NewToken>)> {
    if !is_local(&by) {
        // Else who has found a token could make himself others that outlive it.
        let message = "tokens are made on the supervisor's host only";
        return Err(
            Failure::new(ErrorCode::Forbidden, message).hint("run `tessera token create` there")
        );
    }
    let user: UserName = match &request.user {
        None => by.name.clone(),
        Some(user) => user
            .parse()
            .map_err(|error: tessera_model::name::BadUserName| {
                Failure::fields(vec![FieldError::new("user", error.to_string())])
            })?,
    };
    if (user != by.name || request.admin) && !by.is_admin {
        return Err(Failure::admins_only(
            &by.name,
            "make tokens for others or for administrators",
        ));
    }
    checked_note(&request.note)?;
    let days = in_range(
        "expires_days",
        request.expires_days,
        TOKEN_DAYS_DEFAULT,
        TOKEN_DAYS_MAX,
    )?;
    if request.admin && request.metrics {
        let message = "a token for metrics is good for nothing else";
        return Err(Failure::fields(vec![FieldError::new("admin", message)]));
    }
    let fresh = Fresh::make().map_err(|error| Failure::internal("no token can be made", &error))?;
    let fresh = if request.metrics {
        fresh.for_scraper()
    } else {
        fresh
    };
    let now = wall().0;
    let row = TokenRow {
        id: fresh.id.clone(),
        sha256: fresh.sha256,
        user: user.to_string(),
        is_admin: request.admin,
        note: request.note,
        created_ms: now,
        expires_ms: Some(now + i64::from(days) * DAY_MS),
        last_used_ms: None,
    };
    let text = format!("made token {} for {user}", row.id);
    let told = access_row(now, kind::TOKEN_CREATED, Some(&by.name), text);
    let expires_ms = row.expires_ms;
    let (place, ()) = app
        .tokens
        .reserve(row.clone(), |held| has_room(held, &user))?;
    match app.core.keep(vec![Write::Token(row), told]).await {
        Ok(()) => place.arrive(),
        Err(why) => {
            place.give_up();
            return Err(why.into());
        }
    }
    tracing::info!(token = fresh.id, %user, by = %by.name, "token made");
    let token = NewToken {
        id: fresh.id,
        token: fresh.text,
        user: user.to_string(),
        expires_ms,
    };
    Ok((StatusCode::CREATED, axum::Json(token)))
}

fn has_room(held: &Held, user: &UserName) -> Answer<()> {
    let all = held.rows.values().chain(held.coming.values());
    if all.filter(|row| row.user == user.as_str()).count() < TOKENS_MAX {
        return Ok(());
    }
    let message = format!("{user} has {TOKENS_MAX} tokens");
    Err(Failure::new(ErrorCode::WrongState, message).hint("revoke some: `tessera token list`"))
}

/// `GET /tokens`
pub(crate) async fn tokens(
    State(app): State<App>,
    Extension(by): Caller,
) -> Answer<axum::Json<Tokens>> {
    let shown = app
        .tokens
        .all()
        .into_iter()
        .filter(|row| by.is_admin || row.user == by.name.as_str());
    let tokens = shown.map(|row| Token {
        id: row.id,
        user: row.user,
        note: row.note,
        admin: row.is_admin,
        created_ms: row.created_ms,
        expires_ms: row.expires_ms,
        last_used_ms: row.last_used_ms,
    });
    Ok(axum::Json(Tokens {
        tokens: tokens.collect(),
    }))
}

/// `DELETE /tokens/{id}`
pub(crate) async fn revoke_token(
    State(app): State<App>,
    Extension(by): Caller,
    Segments(id): Segments<String>,
) -> Answer<StatusCode> {
    revoke(&app, &by, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Revokes a token, and the sessions that began with it, or a session.
///
/// # Errors
/// When there is none that is the caller's, or it can't be written.
pub(super) async fn revoke(app: &App, by: &Principal, id: &str) -> Answer<()> {
    let mine = |row: &TokenRow| by.is_admin || row.user == by.name.as_str();
    let Some(row) = app.tokens.get(id).filter(mine) else {
        let shown: String = id.chars().take(40).collect();
        let message = format!("there is no token \"{}\" of yours", shown.escape_debug());
        return Err(
            Failure::new(ErrorCode::NotFound, message).hint("`tessera token list` lists them")
        );
    };
    // First here, so that nobody gets in with it while its end is being written.
    app.tokens.remove(id);
    let sessions = app.tokens.sessions_of(id);
    let text = format!("revoked token {id} of {}", row.user);
    let told = access_row(wall().0, kind::TOKEN_REVOKED, Some(&by.name), text);
    let gone = sessions.iter().cloned().chain([id.to_owned()]);
    let writes = gone.map(Write::TokenRemove).chain([told]);
    if let Err(why) = app.core.keep(writes.collect()).await {
        app.tokens.add(row);
        return Err(why.into());
    }
    sessions
        .iter()
        .for_each(|session| app.tokens.remove(session));
    Ok(())
}

/// `POST /join-tokens`
pub(crate) async fn create_join_token(
    State(app): State<App>,
    Extension(by): Caller,
    Json(request): Json<JoinTokenRequest>,
) -> Answer<(StatusCode, axum::Json<JoinToken>)> {
    if !by.is_admin {
        return Err(Failure::admins_only(&by.name, "invite hosts"));
    }
    checked_note(&request.note)?;
    let minutes = in_range(
        "minutes",
        request.minutes,
        JOIN_MINUTES_DEFAULT,
        JOIN_MINUTES_MAX,
    )?;
    let token = pki::JoinToken::generate()
        .map_err(|error| Failure::internal("no token can be made", &error))?;
    let now = wall().0;
    let expires_ms = now + i64::from(minutes) * 60_000;
    let row = JoinTokenRow {
        sha256: token.sha256(),
        note: request.note,
        created_ms: now,
        expires_ms,
        uses_left: 1,
    };
    let text = format!("a host may join within {minutes} minutes");
    let told = access_row(now, kind::HOST_INVITED, Some(&by.name), text);
    app.core.keep_join_token(row, vec![told]).await?;
    let join = JoinString {
        address: app.address.clone(),
        ca: app.ca.fingerprint(),
        token,
    };
    let token = JoinToken {
        join_string: join.to_string(),
        expires_ms,
    };
    Ok((StatusCode::CREATED, axum::Json(token)))
}

/// `POST /join`: the token is the only proof.
pub(crate) async fn join(
    State(app): State<App>,
    Extension(source): Extension<Source>,
    visit: Option<Extension<Visit>>,
    Json(request): Json<JoinRequest>,
) -> Answer<(StatusCode, axum::Json<JoinReply>)> {
    let joined = let_in(&app, visit, request).await;
    joined.inspect_err(|why| refused::tell(&app, source, "a host that wants to join", why))
}

async fn let_in(
    app: &App,
    visit: Option<Extension<Visit>>,
    request: JoinRequest,
) -> Answer<(StatusCode, axum::Json<JoinReply>)> {
    let no_token = || {
        Failure::new(
            ErrorCode::Unauthenticated,
            "the join token is not good: unknown, used or over",
        )
        .hint("make another on the supervisor's host with `tessera join-string`")
    };
    let token: pki::JoinToken = request.token.trim().parse().map_err(|_| no_token())?;
    // Before anything is read or signed for a stranger; whether it is still good is seen again when it is used up.
    let sha256 = token.sha256();
    if !app.core.read(move |view| view.is_invited(&sha256)).await? {
        return Err(no_token());
    }
    if let Some(Extension(visit)) = visit {
        visit.prove();
    }
    let name: HostName =
        request
            .name
            .parse()
            .map_err(|error: tessera_model::name::BadHostName| {
                Failure::fields(vec![FieldError::new("name", error.to_string())])
            })?;
    let host = pki::new_host_id()
        .map_err(|error| Failure::internal("the host can't be given an id", &error))?;
    let certificate_pem = app
        .ca
        .sign_worker(&request.csr_pem, host, &name)
        .map_err(|error| match error {
            PkiError::TooMany { .. } | PkiError::Refused { .. } => {
                Failure::fields(vec![FieldError::new("csr_pem", error.to_string())])
            }
            other => Failure::internal("the certificate can't be made", &other),
        })?;
    let fingerprint = fingerprint_of(&certificate_pem)
        .ok_or_else(|| Failure::internal("the certificate can't be read", &"no PEM"))?;
    let enrolment = Enrolment {
        name: name.to_string(),
        at_ms: wall().0,
        fingerprint: Some(fingerprint),
    };
    match app.core.enrol(token.sha256(), host, enrolment).await? {
        Ok(()) => {}
        Err(EnrolRefused::BadToken) => return Err(no_token()),
        Err(EnrolRefused::NameTaken) => {
            let message = format!("a host named {name} is connected");
            let hint =
                "join under another name, or stop that worker and `tessera host remove` it first";
            return Err(Failure::new(ErrorCode::WrongState, message).hint(hint));
        }
    }
    tracing::info!(%host, %name, "host joined");
    let name = name.to_string();
    let same_name = app.core.read(move |view| {
        let others = hosts::namesakes(view, &name, host);
        others.iter().map(ToString::to_string).collect()
    });
    let reply = JoinReply {
        certificate_pem,
        ca_pem: app.ca.certificate_pem(),
        host_id: host.to_string(),
        farm_id: app.ca.farm_id().to_string(),
        dispatch_keys: app.dispatch_keys.iter().map(|key| hex(key)).collect(),
        // It has joined, also when that can't be told any more.
        same_name: same_name.await.unwrap_or_default(),
    };
    Ok((StatusCode::CREATED, axum::Json(reply)))
}

/// Answers the fingerprint of the first certificate in a PEM text.
fn fingerprint_of(pem: &str) -> Option<[u8; 32]> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    Some(Fingerprint::of(&der).0)
}
