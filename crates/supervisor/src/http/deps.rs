//! What waits for what.

use super::App;
use super::error::Answer;
use super::extract::Segments;
use axum::extract::State;
use tessera_api::types::{Deps, DepsEdge, DepsJob};
use tessera_engine::supervisor::deps::graph::{Edge, Graph};
use tessera_engine::supervisor::{Denied, Engine};
use tessera_model::JobId;
use tessera_model::after::Found;

/// `GET /jobs/{id}/deps`, for everybody: it tells names, owners and states, as the list of jobs does.
pub(crate) async fn job(
    State(app): State<App>,
    Segments(id): Segments<u64>,
) -> Answer<axum::Json<Deps>> {
    let found = app.core.read(move |view| {
        let graph = view.engine.graph(JobId(id))?;
        Some(shown(view.engine, id, &graph))
    });
    Ok(axum::Json(found.await?.ok_or(Denied::NoJob(JobId(id)))?))
}

fn shown(engine: &Engine, id: u64, graph: &Graph) -> Deps {
    let jobs = graph.jobs.iter().filter_map(|id| engine.job(*id));
    let jobs = jobs.map(|job| DepsJob {
        id: job.id.0,
        name: job.spec.name.clone(),
        user: job.owner.to_string(),
        status: job.status().word().to_owned(),
        is_stranded: engine.is_stranded(job.id),
    });
    Deps {
        job: id,
        jobs: jobs.collect(),
        edges: graph.edges.iter().map(edge).collect(),
        is_cut: graph.is_cut,
    }
}

fn edge(edge: &Edge) -> DepsEdge {
    DepsEdge {
        job: edge.job.0,
        on: edge.on.map(|id| id.0),
        after: edge.term.to_string(),
        state: edge.found.map(|found| word(found).to_owned()),
    }
}

fn word(found: Found) -> &'static str {
    match found {
        Found::Met => "met",
        Found::Open => "open",
        Found::Vain => "vain",
    }
}
