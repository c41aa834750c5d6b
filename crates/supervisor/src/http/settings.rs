//! What the configuration of workers sets for hosts, and that it is read anew.

use super::auth::Caller;
use super::error::Answer;
use super::extract::{Json, Segments};
use super::hosts::{find, unknown};
use super::{App, Failure, views};
use crate::clock::wall;
use crate::persist::rows::{access_row, kind};
use crate::settings::{Mistakes, Outcome};
use axum::extract::{Extension, State};
use std::collections::BTreeSet;
use tessera_api::ErrorCode;
use tessera_api::types::{
    FarmSetting, FarmSettings, OverriddenSetting, ReconfigureReply, ReconfigureRequest,
    ReconfiguredHost,
};
use tessera_hostconfig::Platform;
use tessera_model::{HostId, Principal};
use tessera_spec::FieldError;
use tessera_store::Write;

/// Hosts that one request may name.
const HOSTS_MAX: usize = 1_000;

/// `GET /hosts/{host}/settings`
pub(crate) async fn of_host(
    State(app): State<App>,
    Segments(wanted): Segments<String>,
) -> Answer<axum::Json<FarmSettings>> {
    let name = wanted.clone();
    let found = app.core.read(move |view| {
        let id = find(view, &name)?;
        let enrolled = view.enrolled.get(&id).map(|it| it.name.clone());
        let Some(host) = view.engine.host(id) else {
            return Some((id, enrolled?, None, None));
        };
        let platform = host.facts.properties.get("host.os");
        let platform = platform.and_then(|word| Platform::of_word(word));
        Some((
            id,
            host.facts.name.clone(),
            platform,
            host.facts.settings.clone(),
        ))
    });
    let (id, name, platform, said) = found.await?.ok_or_else(|| unknown(&wanted))?;
    let (workers, mistakes) = app.settings.file();
    let values = workers.map(|workers| workers.of_host(&name, platform).values);
    let value = |(key, it): (String, tessera_hostconfig::Source)| FarmSetting {
        key,
        from: it.from.to_string(),
        value: it.value,
        over: it.over.into_iter().map(overridden).collect(),
    };
    Ok(axum::Json(FarmSettings {
        settings: said.map(|it| views::host_settings(it, app.settings.is_current(id))),
        file: app.settings.place().path.display().to_string(),
        values: values.into_iter().flatten().map(value).collect(),
        mistakes,
        name,
    }))
}

/// `POST /reconfigure`
pub(crate) async fn reconfigure(
    State(app): State<App>,
    Extension(by): Caller,
    Json(request): Json<ReconfigureRequest>,
) -> Answer<axum::Json<ReconfigureReply>> {
    if !by.is_admin {
        return Err(Failure::admins_only(&by.name, "reconfigure workers"));
    }
    let (named, away) = named(&app, &request.hosts).await?;
    let file = app.settings.place().path.display().to_string();
    let done = app.settings.reconfigure(named.as_ref()).await;
    let (warnings, outcomes) = done.map_err(|mistakes| faulty(&file, mistakes))?;
    tracing::info!(by = %by.name, file, hosts = outcomes.len(), "the configuration of workers was read anew");
    let text = match outcomes.len() {
        1 => format!("had {file} read anew, for 1 connected host"),
        n => format!("had {file} read anew, for {n} connected hosts"),
    };
    let record = told(&by, kind::WORKERS_READ, text);
    app.core.keep(vec![record]).await?;
    Ok(axum::Json(reply(file, warnings, outcomes, away)))
}

fn overridden((value, from): (String, tessera_hostconfig::From)) -> OverriddenSetting {
    let from = from.to_string();
    OverriddenSetting { value, from }
}

/// Makes the line of history about what was done to the configuration of workers.
pub(super) fn told(by: &Principal, kind: &str, text: String) -> Write {
    access_row(wall().0, kind, Some(&by.name), text)
}

/// Answers what a reconfiguration came to.
pub(super) fn reply(
    file: String,
    warnings: Vec<String>,
    outcomes: Vec<Outcome>,
    away: Vec<String>,
) -> ReconfigureReply {
    let mut hosts: Vec<ReconfiguredHost> = outcomes.into_iter().map(row).collect();
    hosts.sort_by(|a, b| a.name.cmp(&b.name));
    ReconfigureReply {
        file,
        warnings,
        hosts,
        away,
    }
}

/// Finds the hosts that are named; those that are not connected by name. Nothing when none is named, which means all.
async fn named(app: &App, names: &[String]) -> Answer<(Option<BTreeSet<HostId>>, Vec<String>)> {
    if names.is_empty() {
        return Ok((None, Vec::new()));
    }
    if names.len() > HOSTS_MAX {
        let text = format!("at most {HOSTS_MAX} hosts can be named; without names all are meant");
        return Err(Failure::new(ErrorCode::BadRequest, text));
    }
    let wanted = names.to_vec();
    let found = app.core.read(move |view| {
        let one = |name: &String| {
            let id = find(view, name);
            let host = id.and_then(|id| view.engine.host(id));
            (name.clone(), id, host.is_some_and(|it| it.is_connected()))
        };
        wanted.iter().map(one).collect::<Vec<_>>()
    });
    let (mut ids, mut away) = (BTreeSet::new(), Vec::new());
    for (name, id, is_connected) in found.await? {
        ids.insert(id.ok_or_else(|| unknown(&name))?);
        away.extend((!is_connected).then_some(name));
    }
    Ok((Some(ids), away))
}

pub(super) fn faulty(file: &str, mistakes: Mistakes) -> Failure {
    let fields = mistakes
        .into_iter()
        .map(|it| FieldError::new("workers.toml", it));
    let mut failure = Failure::fields(fields.collect());
    failure.0.message = format!("{file} has mistakes; what held before holds on");
    failure.hint("mend it and ask again; tessera config check reads it, too")
}

fn row(outcome: Outcome) -> ReconfiguredHost {
    let Outcome {
        name,
        changed,
        said,
        is_current,
    } = outcome;
    ReconfiguredHost {
        name,
        changed: changed.into_iter().collect(),
        settings: said.map(|it| {
            let asks = it.lookup.asks_supervisor();
            views::host_settings(it, asks.then_some(is_current))
        }),
    }
}
