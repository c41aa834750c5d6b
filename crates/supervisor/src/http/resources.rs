//! The farm's own resources. Everybody sees them, as why a job waits says who has them; administrators say how many there are.

use super::auth::Caller;
use super::error::Answer;
use super::extract::{Json, Segments};
use super::{App, Failure};
use axum::extract::{Extension, State};
use http::StatusCode;
use std::time::Duration;
use tessera_api::ErrorCode;
use tessera_api::types::{ResourceHolder, ResourceRequest, ResourceRow, Resources, ShareRow};
use tessera_engine::supervisor::{Engine, GlobalWish, Input, Outside};
use tessera_model::limits::{GLOBAL_AMOUNT_MAX, SECONDS_MAX};
use tessera_model::{ClusterPath, GlobalName};
use tessera_spec::FieldError;

/// Jobs that are listed as having a resource, at most.
const HOLDERS_MAX: usize = 100;

/// `GET /resources`
pub(crate) async fn list(State(app): State<App>) -> Answer<axum::Json<Resources>> {
    let all = app.core.read(|view| {
        let names = view.engine.globals().names().into_iter();
        let shares = view.engine.shares().into_iter();
        Resources {
            resources: names.map(|name| row(view.engine, name)).collect(),
            shares: shares.map(share).collect(),
        }
    });
    Ok(axum::Json(all.await?))
}

fn share((cluster, weight, slots): (ClusterPath, u32, u64)) -> ShareRow {
    ShareRow {
        cluster: cluster.to_string(),
        weight,
        slots,
    }
}

fn row(engine: &Engine, name: &GlobalName) -> ResourceRow {
    let globals = engine.globals();
    let record = globals.record(name);
    let others = record.and_then(|record| record.others);
    let counts = others.filter(|it| !it.is_over);
    let all = engine.global_holders(name);
    let holders = all.iter().take(HOLDERS_MAX);
    let holders = holders.map(|(job, held, instances)| ResourceHolder {
        job: job.0,
        held: *held,
        instances: *instances,
    });
    ResourceRow {
        name: name.to_string(),
        total: globals.total(name),
        configured: globals.configured(name),
        set: record.and_then(|record| record.total),
        held: globals.held(name),
        others: globals.others(name),
        free: globals.free(name),
        others_said_ms: others.map(|it| it.at.0),
        others_until_ms: counts.and_then(|it| it.until).map(|until| until.0),
        others_expired: others.filter(|it| it.is_over).map(|it| it.used),
        said_by: record.map(|record| record.by.to_string()),
        holders: holders.collect(),
        more_holders: all.len().saturating_sub(HOLDERS_MAX) as u64,
    }
}

fn read_name(text: &str) -> Result<GlobalName, Failure> {
    text.parse().map_err(|bad| {
        Failure::new(ErrorCode::BadRequest, format!("{bad}"))
            .hint("`tessera resource list` lists those that there are")
    })
}

/// `PUT /resources/{name}`
pub(crate) async fn set(
    State(app): State<App>,
    Extension(by): Caller,
    Segments(name): Segments<String>,
    Json(request): Json<ResourceRequest>,
) -> Answer<axum::Json<ResourceRow>> {
    if !by.is_admin {
        return Err(Failure::admins_only(
            &by.name,
            "say how many there are of a resource",
        ));
    }
    let name = read_name(&name)?;
    let wish = read_wish(&request)?;
    app.core
        .ask(Input::Global {
            by,
            name: name.clone(),
            wish,
        })
        .await??;
    let said = app.core.read(move |view| row(view.engine, &name));
    Ok(axum::Json(said.await?))
}

/// `DELETE /resources/{name}`
pub(crate) async fn remove(
    State(app): State<App>,
    Extension(by): Caller,
    Segments(name): Segments<String>,
) -> Answer<StatusCode> {
    if !by.is_admin {
        return Err(Failure::admins_only(&by.name, "remove a resource"));
    }
    let name = read_name(&name)?;
    let wish = GlobalWish::Remove;
    app.core.ask(Input::Global { by, name, wish }).await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Answers what is wanted, or all that is wrong with it.
fn read_wish(request: &ResourceRequest) -> Result<GlobalWish, Failure> {
    let mut wrong = Vec::new();
    let mut check = |field: &'static str, is_wrong: bool, why: &str| {
        if is_wrong {
            wrong.push(FieldError::new(field, why.to_owned()));
        }
    };
    let too_many = |amount: Option<u64>| amount.is_some_and(|it| it > GLOBAL_AMOUNT_MAX);
    let range = format!("a number from 0 to {GLOBAL_AMOUNT_MAX}");
    check("total", too_many(request.total), &range);
    check("used", too_many(request.used), &range);
    check("others", too_many(request.others), &range);
    let is_both = request.used.is_some() && request.others.is_some();
    let either = "either used (all that are in use) or others (what the farm does not use)";
    check("others", is_both, either);
    let is_said = request.used.is_some() || request.others.is_some();
    let is_nothing = request.total.is_none() && !is_said;
    check("total", is_nothing, "say total, used or others");
    let ttl = request.ttl_seconds;
    let is_out = ttl.is_some_and(|ttl| !(1..=SECONDS_MAX).contains(&ttl));
    check(
        "ttl_seconds",
        is_out,
        &format!("a number from 1 to {SECONDS_MAX}"),
    );
    let is_of_nothing = ttl.is_some() && !is_said;
    check(
        "ttl_seconds",
        is_of_nothing,
        "it is for how long used or others counts; say one of them",
    );
    if !wrong.is_empty() {
        return Err(Failure::fields(wrong));
    }
    let used = request.used.map(Outside::InAll);
    Ok(GlobalWish::Set {
        total: request.total,
        used: used.or(request.others.map(Outside::Others)),
        ttl: ttl.map(Duration::from_secs),
    })
}
