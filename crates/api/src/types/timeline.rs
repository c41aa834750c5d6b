//! Who ran what where and when.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What hosts ran within a time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Timeline {
    /// Since when.
    pub from_ms: i64,
    /// Until when.
    pub to_ms: i64,
    /// The hosts, as they were asked for.
    pub hosts: Vec<TimelineHost>,
    /// The jobs that spans name; those that were removed are not here.
    pub jobs: Vec<TimelineJob>,
}

/// What a host ran.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct TimelineHost {
    /// Its name.
    pub name: String,
    /// Slots that it offers.
    pub slots: u32,
    /// What it ran, by their beginning.
    pub spans: Vec<TimelineSpan>,
    /// What ended after this is not in it: it was more than is read at once. Ask for a shorter time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
}

/// An attempt of an item, or several of one instance that follow each other and are too short to be seen apart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct TimelineSpan {
    /// Of which job.
    pub job: u64,
    /// Of which of its instances.
    pub instance: u32,
    /// Which item, from 0; of several the first that failed, else the first.
    pub item: u32,
    /// Which attempt of it.
    pub attempt: u32,
    /// When it began.
    pub from_ms: i64,
    /// When it ended; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_ms: Option<i64>,
    /// `running`, `done`, `failed`, `out_of_memory`, `interrupted` or `lost`.
    pub state: String,
    /// How many items it stands for.
    pub items: u32,
    /// How many of them failed.
    pub failed: u32,
}

/// A job that is named.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct TimelineJob {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub user: String,
}
