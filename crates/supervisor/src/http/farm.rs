//! The farm itself: who you are to it, how it is, what it takes, what may go.

use super::auth::Caller;
use super::error::Answer;
use super::extract::Json;
use super::{App, Failure};
use crate::cleanup::Wanted;
use crate::tokens::hex;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use std::sync::{Arc, OnceLock};
use tessera_api::types::{self, CleanupReply, CleanupRequest, Health, Info, Usage};
use tessera_engine::supervisor::Job;

/// `GET /health`
pub(crate) async fn health(State(app): State<App>) -> Answer<axum::Json<Health>> {
    match app.health.problem() {
        None => Ok(axum::Json(Health {
            status: "ok".into(),
        })),
        Some(why) => Err(why.into()),
    }
}

/// `GET /openapi.json`
pub(crate) async fn openapi() -> Response {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let document = DOCUMENT.get_or_init(tessera_api::openapi::generate);
    ([(CONTENT_TYPE, "application/json")], document.as_str()).into_response()
}

/// `GET /info`
pub(crate) async fn info(State(app): State<App>, Extension(caller): Caller) -> axum::Json<Info> {
    axum::Json(Info {
        farm_id: app.ca.farm_id().to_string(),
        farm_name: app.config.farm_name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api: tessera_api::API_VERSION,
        caller: types::Caller {
            name: caller.name.to_string(),
            proof: caller.proof.in_words(),
            is_admin: caller.is_admin,
        },
        ca_sha256: hex(&app.ca.fingerprint().0),
        now_ms: crate::clock::wall().0,
        address: Some(app.address.clone()),
    })
}

/// `GET /usage`
pub(crate) async fn usage(State(app): State<App>) -> Answer<axum::Json<Usage>> {
    let is_ended = |job: &&Job| job.status().is_ended();
    let counts = app.core.read(move |view| {
        (
            view.engine.jobs().count() as u64,
            view.engine.jobs().filter(is_ended).count() as u64,
        )
    });
    let (jobs, ended_jobs) = counts.await?;
    let store = app.readers.read(|reader| reader.usage()).await?;
    let logs = Arc::clone(&app.logs);
    let log_bytes = tokio::task::spawn_blocking(move || logs.jobs().values().sum::<u64>())
        .await
        .map_err(|error| Failure::internal("the output can't be measured", &error))?;
    let events = store
        .tables
        .iter()
        .find(|table| table.table == "journal")
        .map_or(0, |table| table.rows);
    Ok(axum::Json(Usage {
        store_bytes: store.bytes,
        log_bytes,
        free_bytes: app.cleaner.free_bytes(),
        jobs,
        ended_jobs,
        events,
        retention_days: u32::try_from(app.config.cleanup_jobs_days).ok(),
        quota_bytes: Some(app.config.cleanup_logs_quota),
    }))
}

/// `POST /cleanup`
pub(crate) async fn cleanup(
    State(app): State<App>,
    Extension(by): Caller,
    Json(request): Json<CleanupRequest>,
) -> Answer<axum::Json<CleanupReply>> {
    if !by.is_admin {
        return Err(Failure::admins_only(&by.name, "clean up"));
    }
    let wanted = Wanted::of(&request, &app.config);
    Ok(axum::Json(app.cleaner.run(wanted).await?))
}
