//! Who is asking: the kernel's word on the Unix socket, a token everywhere else.

use super::door::Visit;
use super::metrics::METRICS;
use super::{App, Failure, refused, session};
use crate::accounts::NoName;
use crate::tokens::Proven;
use axum::extract::{Extension, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, Method, header};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use tessera_api::ErrorCode;
use tessera_engine::supervisor::{Denied, Job};
use tessera_model::{Identity, Principal, Proof};
use tessera_store::Write;

/// Where a connection came from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    /// Over the Unix socket, from a process with this uid.
    Peer {
        /// The uid.
        uid: u32,
    },
    /// Over TLS.
    Network(SocketAddr),
}

/// Where it is asked whether all is well; open to all, below [`tessera_api::PREFIX`].
pub(crate) const HEALTH: &str = "/health";
/// Where hosts join; open to all, for a join token is the proof there.
pub(crate) const JOIN: &str = "/join";

/// Says whether a request is open to all.
fn is_open(method: &Method, path: &str) -> bool {
    path.strip_prefix(tessera_api::PREFIX)
        .is_some_and(|path| match path {
            HEALTH | JOIN => true,
            session::SESSION => method == Method::POST,
            _ => false,
        })
}

/// Finds out who is asking and refuses strangers.
pub(crate) async fn authenticate(
    State(app): State<App>,
    mut request: Request,
    next: Next,
) -> Response {
    if is_open(request.method(), request.uri().path()) {
        return next.run(request).await;
    }
    let source = request.extensions().get::<Source>().copied();
    let shown = Shown::of(&app, &request);
    let by_scraper = match &shown {
        Shown::Token(token) if request.uri().path() == METRICS => scraper(&app, token),
        _ => None,
    };
    let proven = match by_scraper {
        Some(principal) => Ok(principal),
        None => principal(&app, source, shown).await,
    };
    match proven {
        Ok(principal) => {
            if let Some(visit) = request.extensions().get::<Visit>() {
                visit.prove();
            }
            request.extensions_mut().insert(principal);
            next.run(request).await
        }
        Err(failure) => failure.into_response(),
    }
}

/// What a request has to prove its sender with.
enum Shown {
    /// What a program presents.
    Token(HeaderValue),
    /// What a browser's cookie holds, or why it does not count here.
    Session(Result<String, Failure>),
    /// Nothing.
    Nothing,
}

impl Shown {
    fn of(app: &App, request: &Request) -> Self {
        let headers = request.headers();
        if let Some(token) = headers.get(header::AUTHORIZATION) {
            return Self::Token(token.clone());
        }
        match session::cookie(app, headers) {
            None => Self::Nothing,
            Some(secret) => {
                let is_ours = session::check_page(request.method(), request.uri(), headers);
                Self::Session(is_ours.map(|()| secret))
            }
        }
    }
}

async fn principal(app: &App, source: Option<Source>, shown: Shown) -> Result<Principal, Failure> {
    match source {
        Some(Source::Peer { uid }) => app
            .accounts
            .of_uid(uid, proxies(app))
            .await
            .map_err(|error| nameless(&error)),
        Some(Source::Network(address)) => match shown {
            Shown::Token(token) => by_token(app, Some(&token), address),
            Shown::Nothing => by_token(app, None, address),
            Shown::Session(secret) => by_session(app, &secret?, address),
        },
        None => Err(Failure::internal(
            "the connection has no source",
            &"no source",
        )),
    }
}

/// Answers who scrapes with a token that is good for that alone.
fn scraper(app: &App, presented: &HeaderValue) -> Option<Principal> {
    let proven = app
        .tokens
        .prove_scraper(bearer(presented)?, crate::clock::wall())?;
    Some(noted(app, proven))
}

/// Answers the token in a header.
fn bearer(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

/// Answers the accounts that hosts said jobs run as; nothing when the core can't be asked now.
async fn proxies(app: &App) -> Option<BTreeSet<String>> {
    let named = app.core.read(|view| {
        let hosts = view.engine.hosts();
        let proxies = hosts.filter_map(|host| match &host.facts.identity {
            Identity::Proxy(account) => Some(account.clone()),
            Identity::User | Identity::Desktop(_) => None,
        });
        proxies.collect()
    });
    named.await.ok()
}

fn nameless(error: &NoName) -> Failure {
    let code = match error {
        NoName::NoPerson(_) => ErrorCode::Forbidden,
        NoName::NoAccount(_) | NoName::BadName { .. } => ErrorCode::Unauthenticated,
        NoName::Silent { .. } => ErrorCode::Unavailable,
    };
    Failure::new(code, error.to_string())
}

fn by_token(
    app: &App,
    presented: Option<&HeaderValue>,
    address: SocketAddr,
) -> Result<Principal, Failure> {
    let missing = || {
        Failure::new(
            ErrorCode::Unauthenticated,
            "a token is needed from another host",
        )
        .hint("make one on the supervisor's host with `tessera token create`, then `tessera login`")
    };
    let text = presented.and_then(bearer).ok_or_else(missing)?;
    let proven = app
        .tokens
        .prove(text, crate::clock::wall())
        .ok_or_else(|| {
            let failure = bad_token();
            refused::tell(
                app,
                Source::Network(address),
                "a request with a token",
                &failure,
            );
            failure
        })?;
    Ok(noted(app, proven))
}

/// Refuses a token that proves nobody.
pub(super) fn bad_token() -> Failure {
    Failure::new(
        ErrorCode::Unauthenticated,
        "the token is not good: unknown, revoked or over",
    )
    .hint("make one on the supervisor's host with `tessera token create`")
}

fn by_session(app: &App, secret: &str, address: SocketAddr) -> Result<Principal, Failure> {
    let proven = app.tokens.prove_session(secret, crate::clock::wall());
    let proven = proven.ok_or_else(|| {
        tracing::debug!(%address, "a session that is not good");
        Failure::new(
            ErrorCode::Unauthenticated,
            "the session is over: it ended, was revoked, or its token was",
        )
        .hint("`tessera open` makes a link that begins another")
    })?;
    Ok(noted(app, proven))
}

/// Has the use of a token written down, when that is due; answers whom it stands for.
fn noted(app: &App, proven: Proven) -> Principal {
    note(app, proven.used);
    proven.principal
}

/// Has the use of a token written down that is due.
pub(super) fn note(app: &App, used: Option<Write>) {
    if let Some(used) = used {
        let app = Arc::clone(app);
        tokio::spawn(async move {
            // Only a record of use: what it misses when nothing can be written is written with the next use. It may come
            // after the token was revoked, so it must not be able to bring it back.
            let _not_kept = app.core.keep(vec![used]).await;
        });
    }
}

/// Says whether the caller may see what a job runs (its command, environment and folder) and what it printed.
pub(crate) fn may_read(caller: &Principal, job: &Job) -> bool {
    caller.is_admin || caller.name == job.owner || caller.name == job.submitter
}

/// Refuses who may not see what a job runs.
///
/// # Errors
/// When the caller may not; it says who may.
pub(crate) fn check_read(caller: &Principal, job: &Job, what: &str) -> Result<(), Denied> {
    if may_read(caller, job) {
        return Ok(());
    }
    let whom = if job.submitter == job.owner {
        format!("its owner {}", job.owner)
    } else {
        format!("its owner {}, its submitter {}", job.owner, job.submitter)
    };
    Err(Denied::Forbidden {
        by: caller.name.clone(),
        what: format!("{what} job {}", job.id),
        why: format!("only {whom} and the farm's administrators may"),
    })
}

/// The caller, for handlers.
pub(crate) type Caller = Extension<Principal>;

/// Says whether the caller sits on the supervisor's host.
pub(crate) fn is_local(caller: &Principal) -> bool {
    matches!(caller.proof, Proof::Peer { .. })
}
