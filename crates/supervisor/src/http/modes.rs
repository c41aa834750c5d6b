//! The farm's modes of maintenance.

use super::auth::Caller;
use super::error::Answer;
use super::extract::{Perhaps, Segments};
use super::hosts::read_note;
use super::{App, Failure};
use axum::extract::{Extension, State};
use http::StatusCode;
use tessera_api::ErrorCode;
use tessera_api::types::{FarmMode, FarmModes, ModeRequest};
use tessera_engine::supervisor::{Input, Mode, ModeRecord};
use tessera_model::Principal;

/// `GET /modes`
pub(crate) async fn list(State(app): State<App>) -> Answer<axum::Json<FarmModes>> {
    let modes = app.core.read(|view| {
        let all = view.engine.modes().iter();
        all.map(|(mode, record)| shown(*mode, record)).collect()
    });
    Ok(axum::Json(FarmModes {
        modes: modes.await?,
    }))
}

fn shown(mode: Mode, record: &ModeRecord) -> FarmMode {
    FarmMode {
        mode: mode.word().to_owned(),
        by: record.by.to_string(),
        at_ms: record.at.0,
        note: record.note.clone(),
        text: record.reason(mode),
    }
}

/// `PUT /modes/{mode}`
pub(crate) async fn set(
    State(app): State<App>,
    Extension(by): Caller,
    Segments(mode): Segments<String>,
    Perhaps(request): Perhaps<ModeRequest>,
) -> Answer<StatusCode> {
    change(&app, by, &mode, Some(read_note(request.note)?)).await
}

/// `DELETE /modes/{mode}`
pub(crate) async fn unset(
    State(app): State<App>,
    Extension(by): Caller,
    Segments(mode): Segments<String>,
) -> Answer<StatusCode> {
    change(&app, by, &mode, None).await
}

async fn change(app: &App, by: Principal, mode: &str, note: Option<String>) -> Answer<StatusCode> {
    if !by.is_admin {
        return Err(Failure::admins_only(&by.name, "change modes of the farm"));
    }
    let mode = Mode::of_word(mode).ok_or_else(|| {
        let words = Mode::ALL.map(Mode::word).join(" and ");
        Failure::new(ErrorCode::NotFound, "the farm has no such mode")
            .hint(format!("there are {words}"))
    })?;
    app.core.ask(Input::Mode { by, mode, note }).await??;
    Ok(StatusCode::NO_CONTENT)
}
