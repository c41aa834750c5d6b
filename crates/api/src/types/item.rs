//! Agenda items and their attempts.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct EndView {
    /// In words: `exit 1`, `signal 9 (KILL)`, `over its agendatimelimit`.
    pub text: String,
    /// `done`, `failed`, `out_of_memory` or `interrupted`.
    pub outcome: String,
    /// `exit`, `signal`, `not_started`, `out_of_memory`, `limit`, `asked`, `lost`, `shepherd_ended`, or `declared` when somebody declared it failed.
    pub kind: String,
    /// The exit status, when it exited by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_status: Option<i32>,
    /// The signal, when one ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
}

/// A line of a list of items.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ItemRow {
    /// Its place in the agenda, from 0.
    pub index: u32,
    /// Its frames, `7` or `1-5`; the instance's number in a `cmdline` job.
    pub name: String,
    /// Its state: pending, blocked, waiting, running, suspended, complete, failed, killed.
    pub status: String,
    /// The number of its newest attempt; 0: never run.
    pub attempt: u32,
    /// Retries used.
    #[serde(default)]
    pub retries_used: u32,
    /// Tries with more memory used, after attempts that ran out of it.
    #[serde(default)]
    pub oom_tries_used: u32,
    /// The instance that has or had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<u32>,
    /// The name of the host where it runs or ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The account that it runs or ran as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// When the newest attempt started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_ms: Option<i64>,
    /// How long it has run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u64>,
    /// How it ended, when it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<EndView>,
    /// Percent, when it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<u8>,
    /// The most memory that it had, in bytes: of all its processes together where a control group counts that, else the
    /// largest resident size of one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
    /// When it is tried again, when it waits for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_until_ms: Option<i64>,
}

/// A page of items in the agenda's order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Items {
    /// The items.
    pub items: Vec<ItemRow>,
    /// The `cursor` of the next page, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The state of every item of a job, for a picture of all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ItemStates {
    /// The journal's number that the states hold for; follow events after it.
    pub seq: u64,
    /// One letter an item, in the agenda's order: `p` pending, `b` blocked, `w` waiting, `r` running, `s` suspended,
    /// `c` complete, `f` failed, `k` killed.
    pub states: String,
}

/// One run of an item.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct AttemptRow {
    /// Its number, from 1.
    pub attempt: u32,
    /// The instance.
    pub instance: u32,
    /// Which start of the instance.
    pub launch: u32,
    /// The name of the host.
    pub host: String,
    /// The account that it ran as.
    #[serde(default)]
    pub account: String,
    /// When it was given to the host.
    pub assigned_ms: i64,
    /// When its process started, by the host's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_ms: Option<i64>,
    /// When its end was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
    /// How long it ran, by a monotonic clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u64>,
    /// CPU time of its processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// The most memory that it had, in bytes: of all its processes together where a control group counts that, else the
    /// largest resident size of one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
    /// The most memory that the kernel let it have, in bytes, when it ended for want of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<u64>,
    /// Bytes printed to stdout, kept or not.
    #[serde(default)]
    pub printed_out: u64,
    /// Bytes printed to stderr, kept or not.
    #[serde(default)]
    pub printed_err: u64,
    /// Bytes of stdout that are kept.
    #[serde(default)]
    pub kept_out: u64,
    /// Bytes of stderr that are kept.
    #[serde(default)]
    pub kept_err: u64,
    /// Processes that were left when its main process ended, and were killed.
    #[serde(default)]
    pub leftovers: u32,
    /// How it ended; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<EndView>,
    /// Whether its end counted; one that was overtaken by a newer attempt does not.
    #[serde(default)]
    pub counted: bool,
}

/// The attempts of an item, the first first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Attempts {
    /// The attempts.
    pub attempts: Vec<AttemptRow>,
}
