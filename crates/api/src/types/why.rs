//! Why something waits.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One reason, with the hosts that it holds for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Reason {
    /// A stable word: `full`, `host_locked`, `not_among_hosts`, `waits_for_jobs`, `account_refused`, `failed` …
    pub kind: String,
    /// How many hosts it holds for; jobs of `waits_for_jobs`, frames of `failed`.
    pub count: u32,
    /// Some of their names.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// A sentence.
    pub text: String,
    /// What would change it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Why a job does not run, or not more of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Why {
    /// The job.
    pub job: u64,
    /// Its state.
    pub status: String,
    /// A sentence that answers the question.
    pub summary: String,
    /// The reasons, the most telling first.
    pub reasons: Vec<Reason>,
}

/// Why an item does not run, or how it stands with it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ItemWhy {
    /// The job.
    pub job: u64,
    /// Its place in the agenda, from 0.
    pub item: u32,
    /// Its frames, `7` or `1-5`; the instance's number in a `cmdline` job.
    pub name: String,
    /// Its state.
    pub status: String,
    /// A sentence that answers the question.
    pub summary: String,
    /// The reasons, the most telling first.
    pub reasons: Vec<Reason>,
}

/// Why a host does not run, or not more.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct HostWhy {
    /// Its name.
    pub host: String,
    /// A sentence that answers the question.
    pub summary: String,
    /// The reasons, the most telling first.
    pub reasons: Vec<Reason>,
}
