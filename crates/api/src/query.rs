//! What stands behind the `?` of a request.
//!
//! The same types are printed by the client and read by the server.

use serde::{Deserialize, Serialize};
use std::fmt::Write;
use utoipa::{IntoParams, ToSchema};

/// Which jobs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JobsQuery {
    /// Of this owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// In one of these states, a comma list; `active` is every state but complete, failed and killed, `ended` those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Whose name contains this, whatever the case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Only these, a comma list of at most 1000 numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ids: Option<String>,
    /// `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Entries of a page, at most 1000 (100).
    #[param(minimum = 1, maximum = 1000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Which items.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ItemsQuery {
    /// Those that cover these frames: `7`, `1-10,15`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames: Option<String>,
    /// From this place in the agenda on, from 0; a cursor goes before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<u32>,
    /// In one of these states, a comma list; `active` is every state but complete, failed and killed, `ended` those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Entries of a page, at most 1000 (100).
    #[param(minimum = 1, maximum = 1000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Which part of a job's history.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// What happened after this number; `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Entries of a page, at most 1000 (100).
    #[param(minimum = 1, maximum = 1000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only of this item, by its place from 0: its own lines, and those about many that name it (`fail #1-300`, places from 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
}

/// Which part of what people did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// What was done before this number; `next` of the page before. The newest when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// By this account only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Of these kinds only, a comma list of whole kinds or of what stands before the dot: `token,host,login.refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds: Option<String>,
    /// Entries of a page, at most 1000 (100).
    #[param(minimum = 1, maximum = 1000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// What failed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ErrorsQuery {
    /// Of this job only; of all whose output the caller may read when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<u64>,
}

/// What ran where and when.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TimelineQuery {
    /// On these hosts, a comma list of 1 to 50 names or ids.
    pub hosts: String,
    /// Since when, in milliseconds since 1970 UTC; an hour before `to_ms` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<i64>,
    /// Until when, at most a week later; now when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_ms: Option<i64>,
}

/// Which of the farm's last days.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TrendsQuery {
    /// The last so many hours, 1 to 192 (24).
    #[param(minimum = 1, maximum = 192)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<u32>,
}

/// How to submit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SubmitQuery {
    /// Only check it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// How to forget a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RemoveHostQuery {
    /// Also one that is connected: it is sent away, can't come back, and what it had is put back.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// Which events.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// Those after this number; absent: those from now on. The header `Last-Event-ID` goes before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Only those of this job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<u64>,
}

/// Which output of an item.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LogQuery {
    /// Of this attempt; the newest when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Which stream (`out`).
    pub stream: LogStream,
    /// From this byte on; of both streams together in their order of arrival when `stream=both`.
    #[serde(skip_serializing_if = "is_zero")]
    pub offset: u64,
    /// At most so many bytes (1 MiB; at most 4 MiB). Without meaning for `follow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Go on until the attempt has ended and all of its output was sent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub follow: bool,
    /// Send frames (see the description) instead of plain bytes; always so with `stream=both`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub framed: bool,
}

impl LogQuery {
    /// Says whether the answer is framed.
    #[must_use]
    pub fn is_framed(&self) -> bool {
        self.framed || self.stream == LogStream::Both
    }

    /// Answers how many bytes may be sent in an answer that does not follow.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        self.limit
            .unwrap_or(crate::LOG_BYTES_DEFAULT)
            .min(crate::LOG_BYTES_MAX)
    }
}

/// Which stream of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    /// stdout.
    #[default]
    Out,
    /// stderr.
    Err,
    /// Both, in the order of arrival.
    Both,
}

/// What may stand behind the `?` of an endpoint, by name.
pub trait Keys {
    /// Answers the names.
    fn keys() -> Vec<String>;
}

impl<T: IntoParams> Keys for T {
    fn keys() -> Vec<String> {
        let described = T::into_params(|| None);
        described.into_iter().map(|param| param.name).collect()
    }
}

/// Answers the number of entries of a page.
#[must_use]
pub fn page_size(limit: Option<u32>) -> usize {
    limit
        .unwrap_or(crate::PAGE_DEFAULT)
        .clamp(1, crate::PAGE_MAX) as usize
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Answers the query string for a type of this module, `?` included; empty when nothing is said.
pub(crate) fn print<T: Serialize>(query: &T) -> String {
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(query) else {
        return String::new();
    };
    let mut text = String::new();
    for (name, value) in fields {
        let value = match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(&name);
        text.push('=');
        push_encoded(&mut text, &value);
    }
    text
}

/// Adds a text to a URL, everything encoded but what RFC 3986 calls unreserved.
pub(crate) fn push_encoded(url: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            url.push(char::from(byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_print_what_was_said() {
        assert_eq!(print(&JobsQuery::default()), "");
        let query = JobsQuery {
            user: Some("mia".into()),
            name: Some("a b&c/ä".into()),
            limit: Some(5),
            ..JobsQuery::default()
        };
        let text = print(&query);
        for part in ["user=mia", "name=a%20b%26c%2F%C3%A4", "limit=5"] {
            assert!(text.contains(part), "{text}");
        }
        let log = LogQuery {
            stream: LogStream::Both,
            follow: true,
            offset: 7,
            ..LogQuery::default()
        };
        assert!(log.is_framed());
        assert!(print(&log).contains("stream=both") && print(&log).contains("offset=7"));
    }

    #[test]
    fn the_keys_are_the_fields() {
        assert_eq!(EventsQuery::keys(), ["after", "job"]);
        assert_eq!(
            JobsQuery::keys(),
            ["user", "state", "name", "ids", "cursor", "limit"]
        );
    }

    #[test]
    fn pages_are_bounded() {
        assert_eq!(
            (page_size(None), page_size(Some(0)), page_size(Some(9_999))),
            (100, 1, 1_000)
        );
        assert_eq!(
            LogQuery {
                limit: Some(u64::MAX),
                ..LogQuery::default()
            }
            .bytes_max(),
            crate::LOG_BYTES_MAX
        );
    }
}
