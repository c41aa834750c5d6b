//! Who is told of what, and whether it arrives. For administrators: addresses and errors are not everybody's.

use super::auth::Caller;
use super::error::Answer;
use super::extract::Json;
use super::{App, Failure};
use axum::extract::{Extension, State};
use tessera_api::ErrorCode;
use tessera_api::types::{Channels, NotifyTest, NotifyTested};

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
