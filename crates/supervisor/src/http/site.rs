//! The site's own certificate, for administrators: what is shown, and reading it anew.

use super::auth::Caller;
use super::error::Answer;
use super::{App, Failure};
use crate::clock::wall;
use crate::persist::rows::{access_row, kind};
use crate::site::NotRead;
use axum::extract::{Extension, State};
use std::sync::Arc;
use tessera_api::ErrorCode;
use tessera_api::types::SiteCertificate;

/// `GET /site`
pub(crate) async fn status(
    State(app): State<App>,
    Extension(by): Caller,
) -> Answer<axum::Json<SiteCertificate>> {
    if !by.is_admin {
        let what = "see what is wrong with the site's certificate";
        return Err(Failure::admins_only(&by.name, what));
    }
    Ok(axum::Json(told(&app)))
}

/// `POST /site/reload`
pub(crate) async fn reload(
    State(app): State<App>,
    Extension(by): Caller,
) -> Answer<axum::Json<SiteCertificate>> {
    if !by.is_admin {
        let what = "have the site's certificate read anew";
        return Err(Failure::admins_only(&by.name, what));
    }
    let site = Arc::clone(&app);
    let read = tokio::task::spawn_blocking(move || site.site.read()).await;
    let read = read.map_err(|error| Failure::internal("it was not read", &error))?;
    read.map_err(|why| match why {
        NotRead::NotSet => Failure::new(
            ErrorCode::WrongState,
            "the supervisor's configuration names no certificate of the site's own",
        )
        .hint("set site_certificate and site_key in supervisor.toml, then restart the supervisor; no frame ends"),
        NotRead::Faulty(why) => {
            let text = format!("{why}; what was shown before is shown on");
            Failure::new(ErrorCode::Invalid, text).hint("mend it and reload again")
        }
    })?;
    let text = "had the site's certificate read anew".to_owned();
    let record = access_row(wall().0, kind::SITE_READ, Some(&by.name), text);
    app.core.keep(vec![record]).await?;
    Ok(axum::Json(told(&app)))
}

fn told(app: &App) -> SiteCertificate {
    let (files, state) = (app.site.files(), app.site.state());
    let host = host_of(&app.address);
    let shown = state.shown.as_ref();
    SiteCertificate {
        certificate: files.map(|it| it.certificate.display().to_string()),
        key: files.map(|it| it.key.display().to_string()),
        names: shown.map_or_else(Vec::new, |it| it.names().to_vec()),
        sha256: shown.map(|it| it.fingerprint().to_string()),
        expires_ms: shown.map(|it| it.not_after().saturating_mul(1_000)),
        is_shown: shown.is_some_and(|it| it.not_after() > wall().0 / 1_000),
        is_of_links: app.site.covers(host),
        address: app.address.clone(),
        problem: state.problem,
    }
}

/// Answers the host of `host:port`.
pub(super) fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_matches(['[', ']'])
}
