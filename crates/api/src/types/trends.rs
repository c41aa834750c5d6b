//! How the farm fared over the last days.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The farm's last hours or days.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct Trends {
    /// When the first step begins.
    pub from_ms: i64,
    /// Until when it is.
    pub to_ms: i64,
    /// Length of a step.
    pub step_ms: i64,
    /// Steps of which something is known, the oldest first; a gap means that the supervisor did not run.
    pub points: Vec<TrendPoint>,
    /// Who had how much of the farm, the most first; at most 100.
    pub users: Vec<TrendUser>,
    /// Which jobs had how much of the farm, the most first; at most 100.
    pub jobs: Vec<TrendJob>,
    /// Slots times milliseconds of users that are not named.
    pub other_users_ms: u64,
    /// Slots times milliseconds of jobs that are not named.
    pub other_jobs_ms: u64,
}

/// A step. What changes is the mean over it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct TrendPoint {
    /// When it begins.
    pub at_ms: i64,
    /// Slots of the hosts that are up.
    pub slots: f64,
    /// Slots in use.
    pub slots_used: f64,
    /// Memory of the hosts that are up.
    pub memory_bytes: u64,
    /// Memory that is reserved.
    pub memory_used_bytes: u64,
    /// Items that could run and did not.
    pub pending: f64,
    /// Items that ran.
    pub running: f64,
    /// Hosts that were up.
    pub hosts_up: f64,
    /// Attempts that were done.
    pub done: u64,
    /// Attempts that failed, for want of memory or with their host, too.
    pub failed: u64,
    /// Jobs that got their first item.
    pub waits: u64,
    /// How long those had waited for it, in the mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// The longest of those waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_max_ms: Option<u64>,
}

/// What a user had of the farm.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct TrendUser {
    /// Who.
    pub name: String,
    /// Slots times milliseconds.
    pub slot_ms: u64,
}

/// What a job had of the farm.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct TrendJob {
    /// Which.
    pub id: u64,
    /// Its name; absent when it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Slots times milliseconds.
    pub slot_ms: u64,
}
