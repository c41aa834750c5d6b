//! The farm in numbers. Everybody whom the farm knows may read them, as the lists of jobs and hosts; a scraper has a token that
//! is good for its page and nothing else.

use super::App;
use super::auth::Caller;
use super::error::Answer;
use super::extract::Params;
use crate::metrics::{Known, MEDIA_TYPE, print};
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use tessera_api::query::TrendsQuery;
use tessera_api::types::Trends;
use tessera_model::JobId;
use tessera_spec::FieldError;

/// Where Prometheus looks.
pub(crate) const METRICS: &str = "/metrics";
/// Hours that are answered unless it is said.
const HOURS_DEFAULT: u32 = 24;
/// Most hours that are answered: eight days, as many as are kept.
const HOURS_MAX: u32 = 192;

/// `GET /metrics`: counters also while the store can't be read, for that is when somebody looks at them.
pub(crate) async fn scrape(State(app): State<App>) -> Response {
    let figures = app.metrics.figures(&app.core).await.ok();
    let page = print(&Known {
        counts: &app.metrics.counts,
        figures: figures.as_deref(),
        channels: &app.notify.status(),
        is_well: app.health.problem().is_none(),
        started_ms: app.metrics.started_ms,
    });
    ([(CONTENT_TYPE, MEDIA_TYPE)], page).into_response()
}

/// `GET /trends`
pub(crate) async fn trends(
    State(app): State<App>,
    Extension(_): Caller,
    Params(query): Params<TrendsQuery>,
) -> Answer<axum::Json<Trends>> {
    let hours = query.hours.unwrap_or(HOURS_DEFAULT);
    if !(1..=HOURS_MAX).contains(&hours) {
        let message = format!("{hours} is not from 1 to {HOURS_MAX}");
        return Err(super::Failure::fields(vec![FieldError::new(
            "hours", message,
        )]));
    }
    let mut found = app.metrics.trends(crate::clock::wall().0, hours);
    let named = app.core.read(move |view| {
        for row in &mut found.jobs {
            if let Some(job) = view.engine.job(JobId(row.id)) {
                row.name = Some(job.spec.name.clone());
                row.user = Some(job.owner.to_string());
            }
        }
        found
    });
    Ok(axum::Json(named.await?))
}
