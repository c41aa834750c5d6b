//! What a channel keeps in the store, so that a restart neither forgets nor repeats.

use super::digest::Kept;
use super::level::Level;
use super::message::Message;
use serde::{Deserialize, Serialize};
use tessera_store::Write;

/// What the names of our facts begin with in the store.
pub(crate) const META_PREFIX: &str = "notify.";
/// The format number of [`State`].
const FORMAT: u32 = 1;

/// Where a channel stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    format: u32,
    /// The number of the last line of the journal that was taken in.
    pub(crate) cursor: u64,
    /// The number of the next message.
    pub(crate) next: u64,
    /// What is gathered.
    pub(crate) causes: Vec<Kept>,
    /// What is on its way, in order.
    pub(crate) outbox: Vec<Waiting>,
    /// What was told of the farm last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) level: Option<Level>,
}

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// The message.
    #[serde(flatten)]
    pub(crate) message: Message,
    /// How long it had been on its way when this was kept, in milliseconds.
    pub(crate) tried_ms: u64,
    /// Whether it was refused for good, and others go before it. Added later: who doesn't know it tries it in its turn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_aside: bool,
}

impl State {
    /// Begins after a line of the journal.
    pub(crate) fn new(cursor: u64) -> Self {
        Self {
            format: FORMAT,
            cursor,
            next: 1,
            causes: Vec::new(),
            outbox: Vec::new(),
            level: None,
        }
    }

    /// Reads what was kept.
    ///
    /// # Errors
    /// What can't be understood, in words.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let state: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if state.format > FORMAT {
            return Err(format!(
                "it has format {}, of a newer program",
                state.format
            ));
        }
        Ok(state)
    }

    /// Prints it as it is kept.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Makes the row.
    pub(crate) fn write(&self, channel: &str) -> Write {
        Write::Meta {
            key: format!("{META_PREFIX}{channel}"),
            value: self.text(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_format_is_read_for_ever() {
        let text = r#"{"format":1,"cursor":7,"next":3,
            "causes":[{"cause":{"kind":"failed","user":"mia"},"quiet_ms":5},
                {"cause":{"kind":"host_lost","user":null},"quiet_ms":0,"due_ms":9,"summary":{"kind":"host_lost",
                    "user":null,"count":1,"first_ms":1,"last_ms":1,"about":[{"host":"rnd001","count":1}],"others":0}}],
            "outbox":[{"id":"msg_f_chat_2","kind":"done","user":"mia","count":1,"first_ms":1,"last_ms":1,
                "about":[{"job":4,"name":"x","count":1}],"others":0,"tried_ms":12}],"level":"idle"}"#;
        let state = State::read(text).expect("format 1");
        assert_eq!((state.cursor, state.next, state.causes.len()), (7, 3, 2));
        assert_eq!(state.outbox[0].message.id, "msg_f_chat_2");
        assert_eq!(state.level, Some(Level::Idle));
        let Write::Meta { key, value } = state.write("chat") else {
            panic!("a fact of the farm")
        };
        assert_eq!(key, "notify.chat");
        assert_eq!(State::read(&value), Ok(state));
    }

    #[test]
    fn what_a_newer_program_kept_is_refused() {
        let text = serde_json::to_string(&State::new(1)).expect("JSON");
        let newer = text.replace("\"format\":1", "\"format\":2");
        assert!(State::read(&newer).is_err_and(|why| why.contains("newer")));
        assert!(State::read("").is_err());
    }
}
