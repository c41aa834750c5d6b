//! Jobs that wait for each other.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// All jobs that hang together with one of them, and what they wait for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Deps {
    /// The job that was asked about.
    pub job: u64,
    /// The jobs, by number.
    pub jobs: Vec<DepsJob>,
    /// What each of them waits for.
    pub edges: Vec<DepsEdge>,
    /// Whether there are more of them than an answer may have.
    #[serde(default)]
    pub is_cut: bool,
}

/// A job that waits, or is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct DepsJob {
    /// Its number.
    pub id: u64,
    /// Its name for people.
    pub name: String,
    /// Its owner.
    pub user: String,
    /// Its state.
    pub status: String,
    /// Whether it is blocked and what it waits for can't come any more.
    #[serde(default)]
    pub is_stranded: bool,
}

/// One thing that a job waits for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct DepsEdge {
    /// Who waits.
    pub job: u64,
    /// The job waited for; absent while none has its label. It may be one that was removed, and is not among the jobs then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<u64>,
    /// What is waited for, as it is written: `12:frames`.
    pub after: String,
    /// `met`, `open`, or `vain` when it can't come any more; absent when the job waits no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}
