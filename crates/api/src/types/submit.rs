//! Submitting and modifying.

use super::Quantity;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A job to submit; also, with only some of the fields, what is different when an old one is submitted again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SubmitRequest {
    /// The argument vector. With a range, `QB_FRAME_NUMBER`, `QB_FRAME_START`, `QB_FRAME_END`, `QB_FRAME_STEP` and
    /// `QB_FRAME_RANGE` in it stand for the item's frames.
    #[schema(example = json!(["blender", "-b", "shot.blend", "-f", "QB_FRAME_NUMBER"]))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// A shell to run the command, which is joined by spaces for it: `/bin/sh`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<String>,
    /// Name for people; the command's file name when none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Frames, such as `1-100`, `1-100x3`, `100--10`, `1,2,8-10`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// Frames an item (1).
    #[schema(minimum = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk: Option<i64>,
    /// Number of items; not together with `chunk`.
    #[schema(minimum = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i64>,
    /// Least number of digits of frame numbers (0: as they are).
    #[schema(minimum = 0, maximum = 20)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub padding: Option<i64>,
    /// `ascend`, `reverse` or `binary`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// 1 (served first) to 9999 (the default).
    #[schema(minimum = 1, maximum = 9999)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// Number of instances that run at a time (1).
    #[schema(minimum = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<i64>,
    /// Number of instances where no primary one of anybody wants the room: those beyond `cpus` are secondary, and leave for others. -1: as
    /// many as the farm allows, 0: no more than `cpus` (`supervisor_default_max_cpus`).
    #[schema(minimum = -1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cpus: Option<i64>,
    /// What each instance takes of its host (`host.processors=1`): `host.processors=2,host.memory=8192` (MiB; `8G` is the same). Of slots
    /// also `2+` (all that are free), `2-4` (up to 4 of them), `all` or `2*` (an idle host, all of it, with 2 slots at least).
    #[schema(example = "host.processors=1,host.memory=8G")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservations: Option<String>,
    /// Memory that each instance takes besides: `8G`, or `learnt`: what earlier jobs of the owner with this command took, and a fifth more.
    #[schema(example = "learnt")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Only these hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Vec<String>>,
    /// Never these hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omithosts: Option<Vec<String>>,
    /// The clusters that the job is in (`/`): `/show/sequence`, several with commas, `/show+` with all below it.
    #[schema(example = "/show/sequence")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Only hosts in these clusters: `/a`, `/a/*` (one level below), `/a/+` (all below), joined by `||`.
    #[schema(example = "/show || /show/+")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restrictions: Option<String>,
    /// What it asks of a host: `host.os == linux and host.memory >= 64G` (docs/requirements.md).
    #[schema(example = "host.groups has gpu and host.memory.avail >= 8G")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requirements: Option<String>,
    /// Which of the hosts that it may use is picked first: `[+|-]host.NAME,…`, the greatest first or the smallest (docs/requirements.md).
    #[schema(example = "+host.processors.avail,-host.memory")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_order: Option<String>,
    /// Only hosts in one of these groups (`worker_groups`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// Never hosts in one of these groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitgroups: Option<Vec<String>>,
    /// Environment variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// Working directory, absolute; the account's home when none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// File mode mask in octal (`022`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<String>,
    /// Flags: `convert_path` has each host convert the paths in the command by its own table; from an `uninterruptible` job no other takes
    /// its hosts by policy; an `elite` one comes before all others, at once, and only administrators submit such; a `host_list` one is run
    /// once by each host that is there when it is submitted and may run it; all instances of a `grid` one start at once, or none.
    #[schema(example = json!(["convert_path"]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<Vec<String>>,
    /// Retries of an item after a failed attempt (0).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrywork: Option<i64>,
    /// Pause before each of them (0).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryworkdelay: Option<Quantity>,
    /// Retries of an instance that failed (0).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrysubjob: Option<i64>,
    /// Tries of an item that ran out of its memory, each with half as much again (3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_oom: Option<i64>,
    /// Instances that all jobs of its process group may have at once, the least that one of them says; -1 for no limit (no limit).
    #[schema(example = 20)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pgrp_limit: Option<i64>,
    /// Instances of it that one host may have at once; -1 for no limit (no limit).
    #[schema(example = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_host: Option<i64>,
    /// How quickly its instances may start: `5/s`, `10/min`, `3/30s`; `none` for no limit (`none`).
    #[schema(example = "10/min")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_rate: Option<String>,
    /// Longest run of an instance (`none`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timelimit: Option<Quantity>,
    /// Longest run of an item (`none`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agendatimelimit: Option<Quantity>,
    /// Longest time without output of a running item (`none`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence_limit: Option<Quantity>,
    /// Time between the polite signal and the kill (`30s`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace: Option<Quantity>,
    /// Bytes per stream that are kept of an attempt's output (`256M`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_limit: Option<Quantity>,
    /// Pattern whose first group is the progress of an item in percent, such as `Rendered (\d+)%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// Jobs that must have completed first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waitfor: Option<Vec<u64>>,
    /// What must have happened first, together with `waitfor`: `12345` (that job is complete), `12345:frames` (frame by frame),
    /// `12345:done` (however it ended), `render && (12 || 13.0:failed)`; Qube!'s `link-complete-work-12345` as well; `none`.
    #[schema(example = "12345:frames")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Its name within its process group, by which others of the group may wait for it, also before it is there.
    #[schema(example = "render")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// A job whose process group it joins; a group of its own when none is named.
    #[schema(minimum = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pgrp: Option<i64>,
    /// When mail is written: `done`, `failed`, `killed`, `blocked`, `stranded`, `badlogin`, `frame_failed`; `none` for never.
    #[schema(example = json!(["done", "failed"]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail: Option<Vec<String>>,
    /// To whom, when not to its owner: one address of a domain that the farm's administrator allows.
    #[schema(example = "mia@studio.example")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail_to: Option<String>,
    /// Webhooks of the farm's (docs/notify.md), each `CHANNEL=WHEN[,WHEN…]`; `none` for none.
    #[schema(example = json!(["chat=done,failed"]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhooks: Option<Vec<String>>,
    /// How many of its items may fail before nothing more of it is begun and it is failed; 0 for any number (0).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_failures: Option<i64>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// `pending` or `blocked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The account that owns the job, when it is another than the caller's; needs an administrator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Idempotency key: sent twice with it, the job exists once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The answer to a submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubmitReply {
    /// The job; absent when it was only checked (`dry_run`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<u64>,
    /// Whether it existed before, submitted with the same key.
    pub existed: bool,
    /// How many items it has.
    #[serde(default)]
    pub items: u32,
    /// How many instances it has.
    #[serde(default)]
    pub instances: u32,
    /// What will keep it from running as things stand, and hosts it names that nobody knows, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What earlier jobs of the owner with this command took of memory, when that was asked for (`memory`) or the job was only checked;
    /// absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<LearntMemory>,
}

/// What earlier jobs with a command took of memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LearntMemory {
    /// How many jobs were looked at, the newest.
    pub jobs: u32,
    /// How many completed frames of them.
    pub frames: u64,
    /// The most that one process of a frame had, in bytes.
    pub peak_bytes: u64,
    /// What `learnt` reserves for it, in MiB: a fifth more.
    pub reserves_mib: u64,
}

/// What to change of a job; a field that is left out stays as it is. An empty list of hosts means any, `"none"` takes a
/// limit away.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModifyRequest {
    /// Name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// 1 (served first) to 9999.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// Number of instances that run at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<i64>,
    /// Number of instances where nobody else wants the room; -1: as many as the farm allows, 0: no more than `cpus`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cpus: Option<i64>,
    /// What each instance takes of its host; for those that start from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservations: Option<String>,
    /// Only these hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Vec<String>>,
    /// Never these hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omithosts: Option<Vec<String>>,
    /// The clusters that the job is in (`/`): `/show/sequence`, several with commas, `/show+` with all below it.
    #[schema(example = "/show/sequence")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Only hosts in these clusters: `/a`, `/a/*` (one level below), `/a/+` (all below), joined by `||`.
    #[schema(example = "/show || /show/+")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restrictions: Option<String>,
    /// What it asks of a host: `host.os == linux and host.memory >= 64G` (docs/requirements.md).
    #[schema(example = "host.groups has gpu and host.memory.avail >= 8G")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requirements: Option<String>,
    /// Which of the hosts that it may use is picked first: `[+|-]host.NAME,…`, the greatest first or the smallest (docs/requirements.md).
    #[schema(example = "+host.processors.avail,-host.memory")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_order: Option<String>,
    /// Only hosts in one of these groups (`worker_groups`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// Never hosts in one of these groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitgroups: Option<Vec<String>>,
    /// Retries of an item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrywork: Option<i64>,
    /// Pause before each of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryworkdelay: Option<Quantity>,
    /// Retries of an instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrysubjob: Option<i64>,
    /// Tries of an item that ran out of its memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_oom: Option<i64>,
    /// Instances that all jobs of its process group may have at once, the least that one of them says; -1 for no limit (no limit).
    #[schema(example = 20)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pgrp_limit: Option<i64>,
    /// Instances of it that one host may have at once; -1 for no limit (no limit).
    #[schema(example = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_host: Option<i64>,
    /// How quickly its instances may start: `5/s`, `10/min`, `3/30s`; `none` for no limit (`none`).
    #[schema(example = "10/min")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_rate: Option<String>,
    /// Longest run of an instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timelimit: Option<Quantity>,
    /// Longest run of an item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agendatimelimit: Option<Quantity>,
    /// Longest silence of an item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence_limit: Option<Quantity>,
    /// What must have happened before its items start, instead of what it waited for; `none` for nothing.
    #[schema(example = "12345:frames")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// When mail is written from now on, instead of when it was; `none` for never.
    #[schema(example = json!(["done", "failed"]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail: Option<Vec<String>>,
    /// Where that mail goes instead of to the owner; only with `mail`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail_to: Option<String>,
    /// Webhooks from now on, instead of those that it had; `none` for none.
    #[schema(example = json!(["chat=done,failed"]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhooks: Option<Vec<String>>,
    /// How many of its items may fail before nothing more of it is begun; 0 for any number. Counts at the next failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_failures: Option<i64>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}
