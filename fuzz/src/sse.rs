//! The client's reader of events, which only its parent may see.

#[allow(dead_code, reason = "only the decoder is tried")]
#[path = "../../crates/api/src/client/sse.rs"]
mod decoder;

/// An event: kind, id, data.
type Event = (String, Option<String>, String);

/// Reads the pieces; `None` when one is too long.
pub(crate) fn events(pieces: &[&[u8]]) -> Option<Vec<Event>> {
    let mut decoder = decoder::Decoder::default();
    let mut all = Vec::new();
    for piece in pieces {
        let events = decoder.push(piece).ok()?;
        all.extend(events.into_iter().map(|it| (it.kind, it.id, it.data)));
    }
    Some(all)
}
