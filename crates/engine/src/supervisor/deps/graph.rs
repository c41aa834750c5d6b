//! Jobs that wait for each other, to be drawn.

use super::super::Engine;
use super::watch::targets;
use super::{Found, Tree};
use std::collections::BTreeSet;
use tessera_model::JobId;
use tessera_model::after::Term;

/// Jobs of one graph, at most.
pub const GRAPH_JOBS_MAX: usize = 1_000;
/// Lines between them, at most.
pub const GRAPH_EDGES_MAX: usize = 10_000;

/// Jobs and what they wait for, all that hang together with one of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Graph {
    /// The jobs that are there, by id.
    pub jobs: BTreeSet<JobId>,
    /// What each waits for, as far as it is known.
    pub edges: Vec<Edge>,
    /// Whether there is more than a graph may have.
    pub is_cut: bool,
}

/// One thing that a job waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Who waits.
    pub job: JobId,
    /// The job waited for; none while nobody has its label.
    pub on: Option<JobId>,
    /// What is waited for, as it is written.
    pub term: Term,
    /// What is known of it; none when the job waits no more.
    pub found: Option<Found>,
}

impl Engine {
    /// Answers what hangs together with a job.
    #[must_use]
    pub fn graph(&self, id: JobId) -> Option<Graph> {
        self.jobs.get(&id)?;
        let mut graph = Graph::default();
        let mut open = std::collections::VecDeque::from([id]);
        graph.jobs.insert(id);
        while let Some(at) = open.pop_front() {
            let up = self.jobs.get(&at).map(targets).unwrap_or_default();
            let down = self.deps.children.get(&at);
            for next in up.iter().chain(down.into_iter().flatten()) {
                if graph.jobs.contains(next) || !self.jobs.contains_key(next) {
                    continue;
                }
                if graph.jobs.len() == GRAPH_JOBS_MAX {
                    graph.is_cut = true;
                    break;
                }
                graph.jobs.insert(*next);
                open.push_back(*next);
            }
        }
        let edges = graph.jobs.iter().flat_map(|id| self.edges_of(*id));
        let mut edges: Vec<Edge> = edges.take(GRAPH_EDGES_MAX + 1).collect();
        graph.is_cut |= edges.len() > GRAPH_EDGES_MAX;
        edges.truncate(GRAPH_EDGES_MAX);
        graph.edges = edges;
        Some(graph)
    }

    fn edges_of(&self, id: JobId) -> Vec<Edge> {
        let Some(job) = self.jobs.get(&id) else {
            return Vec::new();
        };
        let plan = self.deps.plans.get(&id);
        let terms = job
            .spec
            .after
            .as_ref()
            .map(Tree::leaves)
            .unwrap_or_default();
        let edge = |(place, term): (usize, &&Term)| Edge {
            job: id,
            on: job.waits.job(&term.whom),
            term: (*term).clone(),
            found: plan
                .and_then(|plan| plan.links.get(place))
                .map(|link| link.worst()),
        };
        terms.iter().enumerate().map(edge).collect()
    }
}
