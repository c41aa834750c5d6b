//! Hosts as they are shown.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A line of a list of hosts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct HostRow {
    /// Its id, a UUID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `up`, `away`, `down` or `panic`.
    pub status: String,
    /// Why, when it can't do its job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it is given nothing new.
    #[serde(default)]
    pub is_locked: bool,
    /// Why it, or some of its slots, are given nothing new, when somebody or a calendar locked them: `locked by anna until …`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<String>,
    /// The lock that somebody put on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<HostLock>,
    /// Slots that are given work, when others are locked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_slots: Option<u32>,
    /// When it is locked each week, as an administrator said: `mon-fri 09:00-18:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_calendar: Option<String>,
    /// When it is locked each week, as its configuration says (`worker_lock_schedule`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_schedule: Option<String>,
    /// Why it is given nothing new while somebody is active there, when that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    /// For which job it is being emptied, when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<HostReserved>,
    /// The rule of a host that is locked while somebody is active there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub while_active: Option<WhileActive>,
    /// On a desktop: owners whose jobs it runs beside its own person's; `*` for everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allows: Vec<String>,
    /// Slots that it offers.
    pub slots: u32,
    /// Slots in use.
    pub used_slots: u32,
    /// `proxy`, `user` or `desktop`.
    pub mode: String,
    /// The account that all its jobs run as, in modes `proxy` and `desktop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// `host.*` properties.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// `host.*` amounts.
    #[serde(default)]
    pub resources: BTreeMap<String, u64>,
    /// How much of them is taken, where some is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub used_resources: BTreeMap<String, u64>,
    /// The version of its worker.
    #[serde(default)]
    pub version: String,
    /// What it took of what the farm sets for it; nothing where its worker takes nothing of the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<HostSettings>,
    /// When it was last heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_ms: Option<i64>,
}

/// A lock that somebody put on a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct HostLock {
    /// Which slots: `all`, or numbers and ranges such as `1-4,7`.
    pub slots: String,
    /// Who locked them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When.
    pub at_ms: i64,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// It is to become empty.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drain: bool,
}

/// How a host is to be locked; all may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LockRequest {
    /// Which slots, in addition to those that are locked: `all` (default), or numbers and ranges from 1 such as `1-4,7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<String>,
    /// When that ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
    /// Why; at most 200 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// What runs there is ended and put back at once; no retry is used.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub purge: bool,
    /// The host is to become empty; an event `host.drained` tells when it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drain: bool,
}

/// Which slots to unlock.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnlockRequest {
    /// Which: `all` (default; what locks it by calendar or while somebody is active is taken back, too), or such as `1-4,7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<String>,
}

/// When a host is to be locked each week.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CalendarRequest {
    /// Such as `mon-fri 09:00-18:00; sat,sun 10:00-14:00 slots 1-4 purge`, by the host's own clock; empty takes it back.
    pub calendar: String,
}

/// For which job a host is being emptied: it takes only what stands before that one, or is over in time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct HostReserved {
    /// The job.
    pub job: u64,
    /// When it is expected to be empty enough.
    pub until_ms: i64,
    /// Whether that is known of all that must end before, or guessed.
    #[serde(default)]
    pub is_known: bool,
}

/// What a host took of what the farm sets for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct HostSettings {
    /// Whose values it takes: `local`, `supervisor`, `local,supervisor` (the last one wins) or `supervisor,local`.
    pub lookup: String,
    /// Which set of values it took last: 32 hexadecimal digits; nothing before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<String>,
    /// Whether that is what the farm sets for it now; nothing while it is not connected, or takes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_current: Option<bool>,
    /// What it did not take, by key, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, String>,
    /// Keys that hold only from its worker's next start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restart: Vec<String>,
}

/// Hosts whose configuration is to be read anew.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReconfigureRequest {
    /// Names or ids; none for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ReconfigureReply {
    /// The file that was read, on the supervisor's host.
    pub file: String,
    /// What in it has no effect, with file and line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The connected hosts that were meant, by name. Others get theirs when they connect.
    pub hosts: Vec<ReconfiguredHost>,
    /// Hosts that were named and are not connected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub away: Vec<String>,
}

/// What came of it on a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ReconfiguredHost {
    /// Its name.
    pub name: String,
    /// Keys that the farm sets otherwise for it than before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// What it took; nothing where its worker takes nothing of the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<HostSettings>,
}

/// What the farm sets for a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct FarmSettings {
    /// The host's name.
    pub name: String,
    /// The file that says so, on the supervisor's host.
    pub file: String,
    /// What is wrong with that file as it is now, with file and line; what is told here is then of the last good one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mistakes: Vec<String>,
    /// The values.
    pub values: Vec<FarmSetting>,
    /// What its worker took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<HostSettings>,
}

/// A value that the farm sets for a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct FarmSetting {
    /// The key.
    pub key: String,
    /// The value, as TOML.
    pub value: String,
    /// Where it is from: `line 16, [host.render007]`.
    pub from: String,
    /// What it overrides, the strongest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub over: Vec<OverriddenSetting>,
}

/// A value that another one overrides.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct OverriddenSetting {
    /// The value, as TOML.
    pub value: String,
    /// Where it is from.
    pub from: String,
}

/// To take no new work while somebody is active at the host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WhileActive {
    /// It takes work when nobody has touched it for so long, 60 to 86400 (default: 600).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_seconds: Option<u64>,
    /// What becomes of what runs: `keep` (default), `suspend` or `requeue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<String>,
}

/// All hosts, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Hosts {
    /// The hosts.
    pub hosts: Vec<HostRow>,
}

/// Everything about a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct HostDetail {
    /// What a list shows of it.
    pub host: HostRow,
    /// What runs there.
    pub running: Vec<RunningRow>,
}

/// An instance on a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct RunningRow {
    /// The job.
    pub job: u64,
    /// The job's name.
    pub name: String,
    /// The job's owner.
    pub user: String,
    /// The instance.
    pub instance: u32,
    /// Which start of it.
    pub launch: u32,
    /// The account that it runs as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The item that it has, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// How people name that item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item_name: Option<String>,
    /// Since when it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
}
