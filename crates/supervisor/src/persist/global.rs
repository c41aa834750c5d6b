//! What was said of the farm's own resources, as one fact of the farm: a few hundred at most, and all that a poller changes in a
//! turn is written once. What is serialized is a promise: the format number moves first.

use serde::{Deserialize, Serialize};
use tessera_engine::supervisor::{Engine, GlobalRecord, Others};
use tessera_model::Timestamp;
use tessera_store::Write;

/// The name of the row.
pub(super) const META: &str = "resources";
/// The format number of a [`Document`] that names `global.*` and `license.*` only.
const FORMAT: u32 = 1;
/// That of one with other kinds, which older programs don't count.
const FORMAT_KINDS: u32 = 2;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Document {
    format: u32,
    resources: Vec<Resource>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Resource {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    others: Option<OthersDoc>,
    at_ms: i64,
    by: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct OthersDoc {
    used: u64,
    at_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_over: bool,
}

/// Makes the write of all that was said.
pub(super) fn write(engine: &Engine) -> Write {
    let document = document(engine.globals().records());
    Write::Meta {
        key: META.to_owned(),
        value: serde_json::to_string(&document).unwrap_or_default(),
    }
}

fn document<'a>(records: impl Iterator<Item = &'a GlobalRecord>) -> Document {
    let mut format = FORMAT;
    let resources = records.inspect(|record| {
        if record.name.is_per_host() || record.name.is_scoped() {
            format = FORMAT_KINDS;
        }
    });
    let resources = resources.map(of).collect();
    Document { format, resources }
}

fn of(record: &GlobalRecord) -> Resource {
    Resource {
        name: record.name.to_string(),
        total: record.total,
        others: record.others.map(|others| OthersDoc {
            used: others.used,
            at_ms: others.at.0,
            until_ms: others.until.map(|until| until.0),
            is_over: others.is_over,
        }),
        at_ms: record.at.0,
        by: record.by.to_string(),
    }
}

/// Reads what was kept; nothing was before the first of it.
///
/// # Errors
/// What can't be understood, in words.
pub(super) fn read(text: Option<&str>) -> Result<Vec<GlobalRecord>, String> {
    let Some(text) = text else {
        return Ok(Vec::new());
    };
    let bad = |why: String| format!("the farm's resources: {why}");
    let document: Document = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    if document.format > FORMAT_KINDS {
        let format = document.format;
        return Err(bad(format!(
            "they have format {format}, of a newer program"
        )));
    }
    let records = document.resources.into_iter().map(record);
    records.collect::<Result<_, _>>().map_err(bad)
}

fn record(resource: Resource) -> Result<GlobalRecord, String> {
    Ok(GlobalRecord {
        name: resource.name.parse().map_err(|bad| format!("{bad}"))?,
        total: resource.total,
        others: resource.others.map(|others| Others {
            used: others.used,
            at: Timestamp(others.at_ms),
            until: others.until_ms.map(Timestamp),
            is_over: others.is_over,
        }),
        at: Timestamp(resource.at_ms),
        by: resource.by.parse().map_err(|bad| format!("{bad}"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_format_is_read_for_ever() {
        let text = r#"{"format":1,"resources":[{"name":"global.rig","total":3,"at_ms":5,"by":"root"},
            {"name":"license.nuke","others":{"used":4,"at_ms":7,"until_ms":9,"is_over":true},"at_ms":7,"by":"poller"}]}"#;
        let records = read(Some(text)).expect("format 1");
        let rig = &records[0];
        assert_eq!(
            (rig.name.as_str(), rig.total, rig.others),
            ("global.rig", Some(3), None)
        );
        let others = Others {
            used: 4,
            at: Timestamp(7),
            until: Some(Timestamp(9)),
            is_over: true,
        };
        let nuke = &records[1];
        assert_eq!(
            (nuke.total, nuke.others, nuke.by.as_str()),
            (None, Some(others), "poller")
        );
        let document = document(records.iter());
        assert_eq!(document.format, FORMAT);
        let written = serde_json::to_string(&document).expect("JSON");
        assert_eq!(read(Some(&written)), Ok(records));
        assert_eq!(read(None), Ok(Vec::new()));
    }

    #[test]
    fn other_kinds_move_the_format() {
        for name in ["license_host.shake", "scoped.io"] {
            let text = format!(
                r#"{{"format":2,"resources":[{{"name":"{name}","total":3,"at_ms":5,"by":"root"}}]}}"#
            );
            let records = read(Some(&text)).expect("format 2");
            assert_eq!(document(records.iter()).format, FORMAT_KINDS);
            let written = serde_json::to_string(&document(records.iter())).expect("JSON");
            assert_eq!(written, text);
        }
    }

    #[test]
    fn what_can_not_be_understood_is_said() {
        let newer = r#"{"format":3,"resources":[]}"#;
        assert!(read(Some(newer)).is_err_and(|why| why.contains("newer")));
        let strange = r#"{"format":1,"resources":[{"name":"x","at_ms":5,"by":"root"}]}"#;
        assert!(read(Some(strange)).is_err_and(|why| why.contains("no resource of a farm")));
        assert!(read(Some("")).is_err());
    }
}
