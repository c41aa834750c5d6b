//! Jobs as they are shown.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// How many items of a job are in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[expect(missing_docs, reason = "the words of the states")]
pub struct ItemCounts {
    pub total: u32,
    pub pending: u32,
    pub blocked: u32,
    pub waiting: u32,
    pub running: u32,
    pub suspended: u32,
    pub complete: u32,
    pub failed: u32,
    pub killed: u32,
}

/// A line of a list of jobs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct JobSummary {
    /// Its number.
    pub id: u64,
    /// Its name for people.
    pub name: String,
    /// Its owner.
    pub user: String,
    /// `cmdline` or `cmdrange`.
    pub kind: String,
    /// Its state: pending, blocked, waiting, badlogin, running, suspended, complete, failed, killed.
    pub status: String,
    /// Whether it is unfinished and an item has failed (shown as *failing*).
    #[serde(default)]
    pub is_failing: bool,
    /// Whether it is blocked and what it waits for can't come any more unless somebody does something (shown as *stranded*).
    #[serde(default)]
    pub is_stranded: bool,
    /// Whether an item is being tried again (shown as *retrying*).
    #[serde(default)]
    pub is_retrying: bool,
    /// 1 is served first.
    pub priority: u32,
    /// Instances it may have at a time.
    pub cpus: u32,
    /// Instances that are on a host now.
    #[serde(default)]
    pub running_instances: u32,
    /// How many of those are secondary: beyond `cpus`, until somebody wants their room.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub secondary_instances: u32,
    /// Its items.
    pub items: ItemCounts,
    /// When it was submitted.
    pub submitted_ms: i64,
    /// When it first ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_ms: Option<i64>,
    /// When it ended, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
}

/// A page of jobs, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Jobs {
    /// The jobs.
    pub jobs: Vec<JobSummary>,
    /// The `cursor` of the next page, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// What everybody should know now: that the farm takes no submissions, or starts nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
}

/// Everything about a job but its items.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct JobDetail {
    /// What a list shows of it.
    pub job: JobSummary,
    /// What was submitted, with all defaults filled in.
    pub spec: SpecView,
    /// Its instances.
    pub instances: Vec<InstanceRow>,
    /// The names of the hosts that it uses now.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// How its owner was proven at submission: `peer uid 1000`, `token 3f2a`.
    #[serde(default)]
    pub proof: String,
}

/// One of a job's parallel executors.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct InstanceRow {
    /// Its number, from 0.
    pub instance: u32,
    /// Its state.
    pub status: String,
    /// Whether it runs beyond the `cpus` of its job, until somebody wants its room.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_secondary: bool,
    /// Why it waits, why no host would become its account, or why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The name of its host; of one that has ended, where it ran last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Which start of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch: Option<u32>,
    /// The account that it runs as, as the host said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The numbers of the GPUs that it has there, from 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<u8>,
    /// The item that it has, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// Since when it is on its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    /// Retries used.
    #[serde(default)]
    pub retries_used: u32,
}

/// A job's description with all defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct SpecView {
    /// Name for people.
    pub name: String,
    /// `cmdline` or `cmdrange`.
    pub kind: String,
    /// The argument vector, tokens not replaced.
    pub command: Vec<String>,
    /// Frames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// Frames an item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<u32>,
    /// Number of items, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<u32>,
    /// Least number of digits of frame numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding: Option<u8>,
    /// `ascend`, `reverse` or `binary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// Environment variables.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Working directory; the account's home when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// File mode mask in octal.
    pub umask: String,
    /// Flags, such as `convert_path` and `uninterruptible`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// 1 is served first.
    pub priority: u32,
    /// Number of instances.
    pub cpus: u32,
    /// Number of instances where nobody else wants the room; 0: no more than `cpus`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_cpus: u32,
    /// What each of them takes of its host: `host.processors=1,host.memory=8192` (MiB); slots may be `2+`, `2-4`, `2*` or `all`.
    #[serde(default)]
    pub reservations: String,
    /// Only these hosts; empty: any.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Never these hosts.
    #[serde(default)]
    pub omithosts: Vec<String>,
    /// The clusters that it is in.
    #[serde(default)]
    pub cluster: String,
    /// Only hosts in these clusters; empty: any.
    #[serde(default)]
    pub restrictions: String,
    /// What it asks of a host; empty: nothing.
    #[serde(default)]
    pub requirements: String,
    /// Which of them is picked first; empty: as the farm likes.
    #[serde(default)]
    pub host_order: String,
    /// Only hosts in one of these groups; empty: any.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Never hosts in one of these groups.
    #[serde(default)]
    pub omitgroups: Vec<String>,
    /// Retries of an item.
    pub retrywork: u32,
    /// Pause before each of them.
    pub retryworkdelay_ms: u64,
    /// Retries of an instance.
    pub retrysubjob: u32,
    /// Tries of an item that ran out of its memory, with more of it.
    #[serde(default)]
    pub retry_oom: u32,
    /// Instances that all jobs of its process group may have at once, as far as this one says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pgrp_limit: Option<u32>,
    /// Instances of it that one host may have at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_host: Option<u32>,
    /// How quickly its instances may start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_rate: Option<String>,
    /// Longest run of an instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timelimit_ms: Option<u64>,
    /// Longest run of an item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agendatimelimit_ms: Option<u64>,
    /// Longest silence of an item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence_limit_ms: Option<u64>,
    /// Time between the polite signal and the kill.
    pub grace_ms: u64,
    /// Bytes per stream that are kept of an attempt's output.
    pub output_limit: u64,
    /// Pattern of progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// Jobs that must have completed first, when it waits for just that.
    #[serde(default)]
    pub waitfor: Vec<u64>,
    /// What must have happened first, `waitfor` included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Its name within its process group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The job that leads its process group, when it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pgrp: Option<u64>,
    /// When mail is written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mail: Vec<String>,
    /// To whom, when not to its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail_to: Option<String>,
    /// Webhooks, each `CHANNEL=WHEN[,WHEN…]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<String>,
    /// How many of its items may fail before nothing more of it is begun; 0 for any number.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_failures: u32,
    /// Free text.
    #[serde(default)]
    pub notes: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}
