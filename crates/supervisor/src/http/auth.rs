//! Who is asking: the kernel's word on the Unix socket, a token everywhere else.

use super::{App, Failure};
use crate::accounts::NoName;
use axum::extract::{Extension, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};
use std::net::SocketAddr;
use std::sync::Arc;
use tessera_api::ErrorCode;
use tessera_model::{Principal, Proof};
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

/// Finds out who is asking and refuses strangers.
pub(crate) async fn authenticate(
    State(app): State<App>,
    mut request: Request,
    next: Next,
) -> Response {
    let source = request.extensions().get::<Source>().copied();
    let presented = request.headers().get(header::AUTHORIZATION).cloned();
    match principal(&app, source, presented).await {
        Ok(principal) => {
            request.extensions_mut().insert(principal);
            next.run(request).await
        }
        Err(failure) => failure.into_response(),
    }
}

async fn principal(
    app: &App,
    source: Option<Source>,
    presented: Option<HeaderValue>,
) -> Result<Principal, Failure> {
    match source {
        Some(Source::Peer { uid }) => app
            .accounts
            .of_uid(uid)
            .await
            .map_err(|error| nameless(&error)),
        Some(Source::Network(address)) => by_token(app, presented.as_ref(), address),
        None => Err(Failure::internal(
            "the connection has no source",
            &"no source",
        )),
    }
}

fn nameless(error: &NoName) -> Failure {
    let code = match error {
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
    let value = presented.ok_or_else(missing)?;
    let text = value
        .to_str()
        .ok()
        .and_then(|text| text.strip_prefix("Bearer "))
        .ok_or_else(missing)?;
    let proven = app
        .tokens
        .prove(text.trim(), crate::clock::wall())
        .ok_or_else(|| {
            tracing::info!(%address, "a token that is not good");
            Failure::new(
                ErrorCode::Unauthenticated,
                "the token is not good: unknown, revoked or over",
            )
            .hint("make one on the supervisor's host with `tessera token create`")
        })?;
    if let Some(row) = proven.touched {
        let app = Arc::clone(app);
        tokio::spawn(async move {
            // Only a record of use: what it misses when nothing can be written is written with the next use.
            let _not_kept = app.core.keep(vec![Write::Token(row)]).await;
        });
    }
    Ok(proven.principal)
}

/// The caller, for handlers.
pub(crate) type Caller = Extension<Principal>;

/// Says whether the caller sits on the supervisor's host.
pub(crate) fn is_local(caller: &Principal) -> bool {
    matches!(caller.proof, Proof::Peer { .. })
}
