//! The farm's own resources: `global.NAME`, `license.NAME`, `global_host.NAME`, `license_host.NAME`, `scoped.NAME`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The farm's own resources.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Resources {
    /// By name.
    pub resources: Vec<ResourceRow>,
    /// Clusters that have parts of the farm by weight (`supervisor_cluster_weights`), the rest (`/`) among them; none: no parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<ShareRow>,
}

/// A cluster that has a part of the farm by weight.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ShareRow {
    /// The cluster; `/` for all jobs that are of no other.
    pub cluster: String,
    /// Its weight.
    pub weight: u32,
    /// Slots of what runs of its jobs.
    pub slots: u64,
}

/// One of the farm's own resources.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ResourceRow {
    /// `global.NAME`, `license.NAME`, `global_host.NAME`, `license_host.NAME` or `scoped.NAME`.
    pub name: String,
    /// How many the farm's jobs may have together: the smaller of what is configured and what was said. Absent when nobody has said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// What the supervisor's configuration gives the farm (`supervisor_global_resources`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configured: Option<u64>,
    /// How many there are, as was said while the farm runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<u64>,
    /// How many instances have.
    pub held: u64,
    /// How many others use, as far as it counts.
    pub others: u64,
    /// How many can be given away now.
    pub free: u64,
    /// When it was said how many others use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others_said_ms: Option<i64>,
    /// Until when that counts; absent: until it is said anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others_until_ms: Option<i64>,
    /// What was said of others, when it counts no more because nobody said it anew in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others_expired: Option<u64>,
    /// Who said something of it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said_by: Option<String>,
    /// Who has it, those that have most first; at most 100.
    pub holders: Vec<ResourceHolder>,
    /// Jobs that have some beyond those.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_holders: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A job that has some of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ResourceHolder {
    /// The job.
    pub job: u64,
    /// How many its instances have.
    pub held: u64,
    /// In how many instances.
    pub instances: u32,
}

/// Say something of a resource; what is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResourceRequest {
    /// How many there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// How many are in use, the farm's among them, as a licence server counts; others use what the farm does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
    /// How many others use; instead of `used`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub others: Option<u64>,
    /// For how many seconds `used` or `others` counts; absent: until it is said anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
}
