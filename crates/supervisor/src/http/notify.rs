//! Who is told of what, and whether it arrives. For administrators: addresses and errors are not everybody's.

use super::auth::Caller;
use super::error::Answer;
use super::extract::Json;
use super::{App, Failure};
use crate::notify::NotReloaded;
use axum::extract::{Extension, State};
use tessera_api::ErrorCode;
use tessera_api::types::{Channels, NotifyReloaded, NotifyTest, NotifyTested};

/// `GET /notify`
pub(crate) async fn status(
    State(app): State<App>,
    Extension(by): Caller,
) -> Answer<axum::Json<Channels>> {
    if !by.is_admin {
        return Err(Failure::admins_only(&by.name, "see whom the farm tells"));
    }
    Ok(axum::Json(app.notify.status()))
}

/// `POST /notify/reload`
pub(crate) async fn reload(
    State(app): State<App>,
    Extension(by): Caller,
) -> Answer<axum::Json<NotifyReloaded>> {
    if !by.is_admin {
        return Err(Failure::admins_only(&by.name, "have notify.toml read anew"));
    }
    match app.notify.reload().await {
        Ok(done) => Ok(axum::Json(done)),
        Err(NotReloaded::Faulty(error)) => {
            let text = format!("{error}; the channels go by what it said before");
            let failure = Failure::new(ErrorCode::Invalid, text);
            Err(failure.hint("mend it and reload again; tessera config check FILE reads it, too"))
        }
        Err(NotReloaded::Ending) => Err(Failure::new(
            ErrorCode::Unavailable,
            "the supervisor is about to end",
        )),
    }
}

/// `POST /notify/test`
pub(crate) async fn test(
    State(app): State<App>,
    Extension(by): Caller,
    Json(request): Json<NotifyTest>,
) -> Answer<axum::Json<NotifyTested>> {
    if !by.is_admin {
        return Err(Failure::admins_only(&by.name, "send a test"));
    }
    let wanted = request.channel.as_deref();
    let tested = app.notify.test(wanted, by.name.as_str()).await;
    tested.map(axum::Json).ok_or_else(|| {
        let name = wanted.unwrap_or_default().escape_debug().to_string();
        Failure::new(ErrorCode::NotFound, format!("there is no channel {name}"))
            .hint("tessera notify status lists them; they are written in notify.toml")
    })
}
