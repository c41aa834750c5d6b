//! Acting on jobs, instances and items.

use crate::error::ApiError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Do this to these.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionRequest {
    /// kill, block, unblock, interrupt, preempt, migrate, suspend, resume, retry, requeue, retire, complete, fail,
    /// remove, top or bottom.
    pub action: String,
    /// Selectors: `12345`, `12345.0`, `12345:1-10,15` (frames), `12345#3` (the third item); at most 1000.
    #[schema(example = json!(["12345:1-10,15"]))]
    pub targets: Vec<String>,
}

/// What came of each target, in their order. The answer is 200 also when some were refused.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ActionReply {
    /// One result a target.
    pub results: Vec<TargetResult>,
}

/// What came of a target: either `ok` or `error`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct TargetResult {
    /// The selector as it was sent.
    pub target: String,
    /// What was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<Changed>,
    /// Why nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ApiError>,
}

/// How much an action changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Changed {
    /// Items changed.
    pub items: u32,
    /// Instances changed.
    pub instances: u32,
}
