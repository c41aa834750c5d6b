//! What failed, grouped by what was printed last.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Failed items of jobs whose output the caller may read, grouped.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Errors {
    /// The groups, the largest first.
    pub groups: Vec<ErrorGroup>,
    /// Failed items that were looked at, those of the newest jobs.
    pub looked_at: u32,
    /// Failed items besides, as far as they were counted.
    pub left_out: u32,
}

/// Items that failed alike.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ErrorGroup {
    /// What their last telling lines have in common: `<n>`, `<hex>` and `<path>` stand for what differs.
    pub text: String,
    /// Such a line of the one that failed last.
    pub example: String,
    /// The job that it is of.
    pub example_job: u64,
    /// The item that it is of, from 0.
    pub example_item: u32,
    /// How many items.
    pub count: u32,
    /// The jobs, the newest first; at most 20 of them.
    pub jobs: Vec<ErrorJob>,
    /// How many jobs there are in all.
    pub job_count: u32,
    /// The hosts that they failed on, by name; at most 20 of them.
    pub hosts: Vec<String>,
    /// How many hosts there are in all.
    pub host_count: u32,
    /// When the first failed.
    pub first_ms: i64,
    /// When the last failed.
    pub last_ms: i64,
    /// All of them as the targets of an action: `12#1-3,7`. They may be more than one request takes (1,000).
    pub targets: Vec<String>,
}

/// A job with items that failed alike.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ErrorJob {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// How many of its items.
    pub count: u32,
}
