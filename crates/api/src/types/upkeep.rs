//! Retention.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Remove ended jobs, never what is unfinished. Without age and quota the farm's own retention holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CleanupRequest {
    /// Jobs that ended longer ago than so many days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_than_days: Option<u32>,
    /// The oldest, until logs and records take no more than so many bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<u64>,
    /// Only say what would be removed.
    pub dry_run: bool,
}

/// What was removed, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct CleanupReply {
    /// Whether nothing was removed.
    pub dry_run: bool,
    /// The jobs; at most 1000 of them.
    pub jobs: Vec<CleanedJob>,
    /// How many jobs.
    pub jobs_removed: u64,
    /// How many bytes of logs.
    pub log_bytes: u64,
    /// How many lines of history.
    #[serde(default)]
    pub events_removed: u64,
}

/// A removed job.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct CleanedJob {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its owner.
    pub user: String,
    /// When it ended.
    pub ended_ms: i64,
    /// Bytes of its logs.
    pub log_bytes: u64,
}

/// What the farm's state takes on the supervisor's disk.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// Bytes of the database with its journal.
    pub store_bytes: u64,
    /// Bytes of logs.
    pub log_bytes: u64,
    /// Bytes free where they lie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    /// Jobs, ended ones included.
    pub jobs: u64,
    /// Ended jobs.
    pub ended_jobs: u64,
    /// Lines of history.
    #[serde(default)]
    pub events: u64,
    /// Days that ended jobs are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// Bytes that ended jobs may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<u64>,
}
