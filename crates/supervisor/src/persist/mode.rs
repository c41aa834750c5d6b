//! The farm's modes of maintenance, as one fact of the farm. What is serialized is a promise: the format number moves first.

use serde::{Deserialize, Serialize};
use tessera_engine::supervisor::{Engine, Mode, ModeRecord, Modes};
use tessera_model::Timestamp;
use tessera_store::Write;

/// The name of the row.
pub(super) const META: &str = "modes";
/// The format number of [`Document`].
const FORMAT: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Document {
    format: u32,
    modes: Vec<Set>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Set {
    mode: String,
    by: String,
    at_ms: i64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    note: String,
}

/// Makes the write of all that are set.
pub(super) fn write(engine: &Engine) -> Write {
    Write::Meta {
        key: META.to_owned(),
        value: print(engine.modes()),
    }
}

fn print(modes: &Modes) -> String {
    let of = |(mode, record): (&Mode, &ModeRecord)| Set {
        mode: mode.word().to_owned(),
        by: record.by.to_string(),
        at_ms: record.at.0,
        note: record.note.clone(),
    };
    let document = Document {
        format: FORMAT,
        modes: modes.iter().map(of).collect(),
    };
    serde_json::to_string(&document).unwrap_or_default()
}

/// Reads what was kept; nothing was before the first of it.
///
/// # Errors
/// What can't be understood, in words.
pub(super) fn read(text: Option<&str>) -> Result<Modes, String> {
    let Some(text) = text else {
        return Ok(Modes::new());
    };
    let bad = |why: String| format!("the farm's modes: {why}");
    let document: Document = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    if document.format > FORMAT {
        let format = document.format;
        return Err(bad(format!(
            "they have format {format}, of a newer program"
        )));
    }
    let record = |set: Set| {
        let mode = Mode::of_word(&set.mode);
        let mode = mode.ok_or_else(|| format!("there is no mode {:?}", set.mode))?;
        let record = ModeRecord {
            by: set.by.parse().map_err(|bad| format!("{bad}"))?,
            at: Timestamp(set.at_ms),
            note: set.note,
        };
        Ok::<_, String>((mode, record))
    };
    let modes = document.modes.into_iter().map(record);
    modes.collect::<Result<_, _>>().map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_format_is_read_for_ever() {
        let text = r#"{"format":1,"modes":[{"mode":"reject_submit","by":"anna","at_ms":5},
            {"mode":"stop_activity","by":"root","at_ms":7,"note":"new disks"}]}"#;
        let modes = read(Some(text)).expect("format 1");
        let stop = &modes[&Mode::StopActivity];
        assert_eq!(
            (stop.by.as_str(), stop.at, stop.note.as_str()),
            ("root", Timestamp(7), "new disks")
        );
        assert_eq!(modes[&Mode::RejectSubmit].note, "");
        assert_eq!(read(Some(&print(&modes))), Ok(modes));
        assert_eq!(read(None), Ok(Modes::new()));
    }

    #[test]
    fn what_can_not_be_understood_is_said() {
        let newer = r#"{"format":2,"modes":[]}"#;
        assert!(read(Some(newer)).is_err_and(|why| why.contains("newer")));
        let strange = r#"{"format":1,"modes":[{"mode":"party","by":"root","at_ms":5}]}"#;
        assert!(read(Some(strange)).is_err_and(|why| why.contains("no mode")));
        assert!(read(Some("")).is_err());
    }
}
