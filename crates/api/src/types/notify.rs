//! Telling people.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The farm's channels.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Channels {
    /// In the order of the configuration.
    pub channels: Vec<ChannelRow>,
    /// What is wrong with `notify.toml` as it was read last, when the channels go by what it said before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mistake: Option<String>,
}

/// What reading `notify.toml` anew changed, by the names of channels.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct NotifyReloaded {
    /// New ones.
    pub added: Vec<String>,
    /// Those that are otherwise than before; what was not taken is tried at once.
    pub changed: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
    /// Those that are as they were.
    pub unchanged: Vec<String>,
}

/// A way to tell people, and how it fares.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ChannelRow {
    /// What people call it.
    pub name: String,
    /// `webhook` or `mail`; more may come.
    pub kind: String,
    /// Where it leads, without what may be secret.
    pub target: String,
    /// What is told.
    pub on: Vec<String>,
    /// Whose jobs; everybody's when empty.
    #[serde(default)]
    pub users: Vec<String>,
    /// Messages that are on their way.
    pub waiting: u64,
    /// Those of them that were refused for good: others go before them, and they are tried again now and then.
    #[serde(default)]
    pub aside: u64,
    /// Summaries that are being gathered.
    pub gathering: u64,
    /// Messages that were taken since the supervisor started.
    pub told: u64,
    /// Messages that were given up since then.
    pub given_up: u64,
    /// When the last one was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_told_ms: Option<i64>,
    /// Since when none is taken; absent while all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since_ms: Option<i64>,
    /// Why the last one was not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// What was refused for good or given up last since then, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_refused: Option<String>,
}

/// Send a test.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NotifyTest {
    /// Over this channel; over all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
}

/// What came of tests.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct NotifyTested {
    /// By channel.
    pub results: Vec<ChannelTried>,
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ChannelTried {
    /// Over which channel.
    pub channel: String,
    /// Whether it was taken.
    pub is_taken: bool,
    /// What the other end said, or why it could not be asked.
    pub said: String,
}

/// What somebody wishes to be mailed of all their jobs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct MailWishes {
    /// Who: the caller.
    pub user: String,
    /// On what: `done`, `failed`, `killed`, `blocked`, `stranded`, `badlogin`, `frame_failed`; nothing when empty.
    pub on: Vec<String>,
    /// Where to; absent when the farm writes no mail to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// Wish to be mailed of all one's jobs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetMailWishes {
    /// On what, in place of what was wished before; nothing when empty.
    pub on: Vec<String>,
}
