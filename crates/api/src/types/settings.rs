//! The configuration of all workers, `workers.toml`, as a file.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `workers.toml` as it stands on the supervisor's host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct WorkerFile {
    /// Where it is.
    pub file: String,
    /// What stands in it; empty when there is none, absent when it can't be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Tells this text from every other; to be named when another takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What is wrong with it, or has no effect, by line.
    pub findings: Vec<FileFinding>,
    /// Whether hosts are told what stands in it; else it was changed since it was read, or has mistakes.
    pub is_in_use: bool,
    /// Why it can't be read, when it can't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// Why it can't be changed over the API, when it can't: it is not the supervisor's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
}

/// Something in a file to mend, or to look at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct FileFinding {
    /// The line, from 1.
    pub line: u32,
    /// The character in it, from 1.
    pub column: u32,
    /// Whether the file can't be used so; else something in it has no effect.
    pub is_error: bool,
    /// What it is.
    pub text: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// A text to look at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkerFileCheck {
    /// The text.
    pub text: String,
}

/// What a text would come to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct WorkerFileChecked {
    /// What is wrong with it, or has no effect, by line.
    pub findings: Vec<FileFinding>,
    /// Connected hosts for which it sets something otherwise than they are told now, by name; at most 1000.
    pub hosts: Vec<HostChange>,
    /// Such hosts beyond those.
    #[serde(default)]
    pub more_hosts: u64,
}

/// What a text would change for a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct HostChange {
    /// The host's name.
    pub name: String,
    /// What.
    pub changes: Vec<SettingChange>,
}

/// A key that would be set otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct SettingChange {
    /// The key.
    pub key: String,
    /// What is told now, as TOML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What would be told, as TOML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Where that stands: `line 16, [host.render007]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// Another text for `workers.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetWorkerFile {
    /// The text.
    pub text: String,
    /// The version that it takes the place of, as it was read.
    pub version: String,
}
