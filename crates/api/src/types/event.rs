//! What happened, as history and as a stream.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The name of the server-sent event that says: what you asked to resume after is no longer kept. Its data is
/// [`Resync`]; read the state anew, then follow.
pub const RESYNC_KIND: &str = "resync";

/// The name of the first server-sent event of every stream. Its data is [`Resync`] and its id where the stream begins, so
/// that a client which is cut off before anything happens knows where to resume.
pub const HELLO_KIND: &str = "hello";

/// Kinds of events that are only streamed, never kept; they have no `seq`.
pub const PASSING_KINDS: [&str; 2] = ["item.started", "item.progress"];

/// Something that happened. In the stream its `kind` is the event's name and its `seq` the event's id.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Its place in the farm's journal; grows. Absent for what only passes by (progress).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// When.
    pub at_ms: i64,
    /// What kind: `job.submitted`, `job.status`, `item.ended`, `host.up`, `item.progress` …
    pub kind: String,
    /// Of which job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<u64>,
    /// Of which instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<u32>,
    /// Of which item, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// Which attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The name of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Who did it, when somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The state after it, for `job.status`, `item.ended` and the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Percent, for `item.progress`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<u8>,
    /// A sentence.
    #[serde(default)]
    pub text: String,
}

/// A page of a job's history, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// What happened.
    pub events: Vec<Event>,
    /// The `after` of the next page, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// Data of the events `hello` and `resync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Resync {
    /// The journal goes on after this number; follow from here once the state was read anew.
    pub after: u64,
}
