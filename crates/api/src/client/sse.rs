//! Reads server-sent events out of bytes that arrive in any cut.

/// Longest event, in bytes.
const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// One event as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RawEvent {
    /// Its kind; empty when none was sent.
    pub(super) kind: String,
    /// Its id, when it has one.
    pub(super) id: Option<String>,
    /// Its data, lines joined.
    pub(super) data: String,
}

/// The event is longer than [`EVENT_BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {EVENT_BYTES_MAX} bytes")]
pub(super) struct EventTooLong;

/// Takes events out of a byte stream.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    line: Vec<u8>,
    event: RawEvent,
    has_data: bool,
    was_return: bool,
    bytes: usize,
}

impl Decoder {
    /// Adds bytes that arrived and answers the events that they complete.
    ///
    /// # Errors
    /// When an event is too long; nothing more can be read then.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<RawEvent>, EventTooLong> {
        let mut events = Vec::new();
        for &byte in bytes {
            let after_return = std::mem::replace(&mut self.was_return, byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                _ => {
                    self.bytes += 1;
                    if self.bytes > EVENT_BYTES_MAX {
                        return Err(EventTooLong);
                    }
                    self.line.push(byte);
                }
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Option<RawEvent> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        if line.is_empty() {
            self.bytes = 0;
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.kind),
            "id" if !value.contains('\0') => self.event.id = Some(value.to_owned()),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // A comment (the server is still there), or a field of a later version.
            _ => self.forget_comment(line.len()),
        }
        None
    }

    /// Takes what was no part of an event out of its length, so that comments may go on for ever.
    fn forget_comment(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(kind: &str, id: Option<&str>, data: &str) -> RawEvent {
        RawEvent {
            kind: kind.into(),
            id: id.map(str::to_owned),
            data: data.into(),
        }
    }

    const TEXT: &str = ": hello\n\nevent: job.status\nid: 7\ndata: {\"a\": 1}\n\ndata: one\r\ndata:two\r\n\r\nid: 9\n\nevent: x\rdata\r\r";

    fn expected() -> Vec<RawEvent> {
        vec![
            event("job.status", Some("7"), "{\"a\": 1}"),
            event("", None, "one\ntwo"),
            event("x", None, ""),
        ]
    }

    proptest! {
        #[test]
        fn events_are_read_whatever_the_cut(cut in 1_usize..40) {
            let mut decoder = Decoder::default();
            let found: Vec<_> = TEXT.as_bytes().chunks(cut).flat_map(|part| decoder.push(part).expect("short")).collect();
            prop_assert_eq!(found, expected());
        }

        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let events = Decoder::default().push(&bytes).expect("short");
            prop_assert!(events.len() <= bytes.len());
        }
    }

    #[test]
    fn an_endless_event_is_refused_and_endless_comments_are_not() {
        let mut decoder = Decoder::default();
        assert_eq!(
            decoder.push(&vec![b'a'; EVENT_BYTES_MAX + 1]),
            Err(EventTooLong)
        );
        let mut decoder = Decoder::default();
        let comment = format!(": {}\n", "x".repeat(1_000));
        for _ in 0..2_000 {
            assert_eq!(decoder.push(comment.as_bytes()), Ok(vec![]));
        }
    }
}
