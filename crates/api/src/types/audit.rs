//! Who did what.

use super::Event;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What people did to the farm, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Audit {
    /// What was done, and who was refused.
    pub events: Vec<Event>,
    /// Asks for what came before, as `before`; absent when there is no more. A page may be empty and there be more all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}
