//! Acting on jobs, instances and items.

use super::auth::Caller;
use super::error::{Answer, api_error};
use super::extract::Json;
use super::{App, Failure};
use axum::extract::{Extension, State};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tessera_api::types::{ActionReply, ActionRequest, Changed, TargetResult};
use tessera_api::{ApiError, ErrorCode, TARGETS_MAX};
use tessera_engine::supervisor::{Answer as Engine, Denied, Input, Target};
use tessera_model::{Action, JobId, JobSpec};
use tessera_spec::{Selector, What};

/// `POST /actions`
pub(crate) async fn act(
    State(app): State<App>,
    Extension(by): Caller,
    Json(request): Json<ActionRequest>,
) -> Answer<axum::Json<ActionReply>> {
    let action = wanted(&request)?;
    let selectors: Vec<Result<Selector, ApiError>> =
        request.targets.iter().map(|text| selector(text)).collect();
    let jobs: BTreeSet<JobId> = selectors
        .iter()
        .flatten()
        .map(|selector| selector.job)
        .collect();
    let specs = app.core.read(move |view| {
        let known = jobs
            .into_iter()
            .filter_map(|id| Some((id, Arc::clone(&view.engine.job(id)?.spec))));
        known.collect::<BTreeMap<JobId, Arc<JobSpec>>>()
    });
    let specs = specs.await?;
    let targets: Vec<Result<Target, ApiError>> = selectors
        .into_iter()
        .map(|selector| selector.and_then(|selector| target(&selector, &specs)))
        .collect();
    let good: Vec<Target> = targets.iter().flatten().cloned().collect();
    let mut done = match app
        .core
        .ask(Input::Act {
            by,
            action,
            targets: good,
        })
        .await??
    {
        Engine::Acted(results) => results.into_iter(),
        Engine::Submitted { .. } | Engine::Done => Vec::new().into_iter(),
    };
    let results = request
        .targets
        .into_iter()
        .zip(targets)
        .map(|(text, target)| {
            let outcome = match target {
                Err(error) => Err(error),
                Ok(_) => match done.next() {
                    Some((_, Ok(acted))) => Ok(Changed {
                        items: acted.items,
                        instances: acted.instances,
                    }),
                    Some((_, Err(denied))) => Err(api_error(&denied)),
                    None => Err(ApiError::new(
                        ErrorCode::Internal,
                        "the target was not tried",
                    )),
                },
            };
            TargetResult {
                target: text,
                ok: outcome.as_ref().ok().copied(),
                error: outcome.err(),
            }
        });
    Ok(axum::Json(ActionReply {
        results: results.collect(),
    }))
}

fn wanted(request: &ActionRequest) -> Answer<Action> {
    let action: Action =
        request
            .action
            .parse()
            .map_err(|error: tessera_model::action::UnknownAction| {
                let known: Vec<&str> = Action::ALL.iter().map(|action| action.word()).collect();
                Failure::new(ErrorCode::BadRequest, error.to_string())
                    .hint(format!("actions are {}", known.join(", ")))
            })?;
    if action == Action::Modify {
        return Err(Failure::new(
            ErrorCode::BadRequest,
            "modify says what to change; send it as PATCH /jobs/ID",
        ));
    }
    if request.targets.is_empty() || request.targets.len() > TARGETS_MAX {
        let message = format!(
            "name 1 to {TARGETS_MAX} targets, not {}",
            request.targets.len()
        );
        return Err(Failure::new(ErrorCode::BadRequest, message));
    }
    Ok(action)
}

fn selector(text: &str) -> Result<Selector, ApiError> {
    text.parse::<Selector>().map_err(|error| {
        let hint = error.hint();
        ApiError::new(ErrorCode::BadRequest, error.to_string()).hint(hint)
    })
}

fn target(selector: &Selector, specs: &BTreeMap<JobId, Arc<JobSpec>>) -> Result<Target, ApiError> {
    let id = selector.job;
    match &selector.what {
        What::Job => Ok(Target::Job(id)),
        What::Instance(no) => Ok(Target::Instance(id, *no)),
        What::Frames(_) | What::Items(_) => {
            let spec = specs
                .get(&id)
                .ok_or_else(|| api_error(&Denied::NoJob(id)))?;
            let items = selector.what.items(spec);
            let items = items.map_err(|error| {
                ApiError::new(ErrorCode::NotFound, format!("job {id}: {error}"))
            })?;
            Ok(Target::Items(id, items))
        }
    }
}
