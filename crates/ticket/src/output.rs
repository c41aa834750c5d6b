//! What of an attempt's output is kept: up to a limit, with marks where something is missing, and the order in which it came.
//!
//! It writes nothing itself: callers hand in how to append to their files.

use crate::record::{INDEX_RECORDS_MAX, IndexRecord, Stream};

const LOST_MARK: &[u8] = b"\n[tessera: output was lost here, the spool could not be written]\n";

/// How much there was of one stream, and how much of that is in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kept {
    kept: u64,
    produced: u64,
    is_cut: bool,
    /// Bytes were lost since the last that were written.
    has_gap: bool,
    had_gap: bool,
}

impl Kept {
    /// Keeps bytes up to the limit, then one line that says so, then nothing: the job is never stopped for its output. What
    /// could not be written is lost, and marked as soon as something can. `write` appends some of what it is given and says
    /// how many bytes, 0 when it can't. Returns the bytes by which the file grew.
    pub fn take(&mut self, bytes: &[u8], limit: u64, mut write: impl FnMut(&[u8]) -> usize) -> u64 {
        let before = self.kept;
        self.produced += bytes.len() as u64;
        if self.is_cut {
            return 0;
        }
        let room = usize::try_from(limit.saturating_sub(self.kept)).unwrap_or(usize::MAX);
        let (keep, rest) = bytes.split_at(bytes.len().min(room));
        self.put(keep, &mut write);
        if !rest.is_empty() {
            self.is_cut = true;
            let mark = format!(
                "\n[tessera: this stream passed its output limit of {limit} bytes; what follows is not kept]\n"
            );
            self.put(mark.as_bytes(), &mut write);
        }
        self.kept - before
    }

    fn put(&mut self, bytes: &[u8], write: &mut impl FnMut(&[u8]) -> usize) {
        if self.has_gap && self.append(LOST_MARK, write) {
            self.has_gap = false;
        }
        if self.has_gap || !self.append(bytes, write) {
            self.has_gap = true;
            self.had_gap = true;
        }
    }

    /// Appends and counts what got there; `false` when not all did.
    fn append(&mut self, mut bytes: &[u8], write: &mut impl FnMut(&[u8]) -> usize) -> bool {
        while !bytes.is_empty() {
            let len = write(bytes).min(bytes.len());
            if len == 0 {
                return false;
            }
            self.kept += len as u64;
            bytes = bytes.get(len..).unwrap_or_default();
        }
        true
    }
}

/// How much there was of both streams, as the record of the attempt's end says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amounts {
    /// Bytes in the files, of standard output and of standard error.
    pub kept: [u64; 2],
    /// Bytes that were printed.
    pub produced: [u64; 2],
    /// Whether one passed its limit.
    pub cut_by_limit: bool,
    /// Whether one could not be written at some time.
    pub cut_by_disk: bool,
}

impl Amounts {
    /// Sums up standard output and standard error.
    pub fn of(out: &Kept, err: &Kept) -> Self {
        Self {
            kept: [out.kept, err.kept],
            produced: [out.produced, err.produced],
            cut_by_limit: out.is_cut || err.is_cut,
            cut_by_disk: out.had_gap || err.had_gap,
        }
    }
}

/// The order of arrival, joined while one stream goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arrivals {
    last: Option<IndexRecord>,
    records: u32,
}

impl Arrivals {
    /// Notes that a stream's file grew; `write` appends a whole record and says whether it could.
    pub fn add(
        &mut self,
        stream: Stream,
        grown: u64,
        at_ms: u64,
        write: impl FnMut(&[u8]) -> bool,
    ) {
        let Ok(len @ 1..) = u32::try_from(grown) else {
            return;
        };
        match &mut self.last {
            Some(last) if last.stream == stream && last.len.checked_add(len).is_some() => {
                last.len += len;
                last.at_ms = at_ms;
            }
            _ => {
                self.flush(write);
                self.last = Some(IndexRecord { stream, len, at_ms });
            }
        }
    }

    /// Writes what is not written yet: nothing more comes.
    pub fn flush(&mut self, mut write: impl FnMut(&[u8]) -> bool) {
        let Some(record) = self.last.take() else {
            return;
        };
        if self.records < INDEX_RECORDS_MAX && write(&record.encode()) {
            self.records += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(kept: &mut Kept, file: &mut Vec<u8>, bytes: &[u8], limit: u64, room: usize) -> u64 {
        kept.take(bytes, limit, |it| {
            // Never more than three bytes at once.
            let len = it.len().min(3).min(room.saturating_sub(file.len()));
            file.extend_from_slice(&it[..len]);
            len
        })
    }

    #[test]
    fn output_is_kept_to_its_limit_and_marked_once() {
        let (mut kept, mut file) = (Kept::default(), Vec::new());
        assert_eq!(taken(&mut kept, &mut file, b"hello", 8, 1_000), 5);
        let grown = taken(&mut kept, &mut file, b" world", 8, 1_000);
        assert_eq!(taken(&mut kept, &mut file, b"more", 8, 1_000), 0);
        let text = String::from_utf8(file).expect("text");
        assert!(
            text.starts_with("hello wo\n[tessera: this stream passed its output limit of 8 bytes"),
            "{text}"
        );
        assert_eq!(text.matches("tessera").count(), 1);
        assert_eq!(grown + 5, text.len() as u64);
        let amounts = Amounts::of(&kept, &Kept::default());
        assert_eq!(
            (amounts.kept, amounts.produced),
            ([text.len() as u64, 0], [15, 0])
        );
        assert!(amounts.cut_by_limit && !amounts.cut_by_disk);
    }

    #[test]
    fn exactly_the_limit_is_not_cut() {
        let (mut kept, mut file) = (Kept::default(), Vec::new());
        taken(&mut kept, &mut file, b"12345678", 8, 1_000);
        assert_eq!(file, b"12345678");
        assert!(!Amounts::of(&Kept::default(), &kept).cut_by_limit);
    }

    #[test]
    fn what_the_disk_did_not_take_is_marked_when_it_takes_something_again() {
        let (mut kept, mut file) = (Kept::default(), Vec::new());
        assert_eq!(taken(&mut kept, &mut file, b"abcdef", 1_000, 4), 4);
        assert_eq!(taken(&mut kept, &mut file, b"gh", 1_000, 4), 0);
        taken(&mut kept, &mut file, b"ij", 1_000, 1_000);
        taken(&mut kept, &mut file, b"kl", 1_000, 1_000);
        assert_eq!(file, [b"abcd", LOST_MARK, b"ijkl"].concat());
        let amounts = Amounts::of(&Kept::default(), &kept);
        assert_eq!(
            (amounts.kept[1], amounts.produced[1]),
            (file.len() as u64, 12)
        );
        assert!(amounts.cut_by_disk && !amounts.cut_by_limit);
    }

    #[test]
    fn arrivals_are_joined_while_one_stream_goes_on() {
        let (mut arrivals, mut file) = (Arrivals::default(), Vec::new());
        for (stream, grown, at_ms) in [
            (Stream::Out, 5, 1),
            (Stream::Err, 0, 2),
            (Stream::Out, 6, 3),
            (Stream::Err, 7, 4),
        ] {
            arrivals.add(stream, grown, at_ms, |it| {
                file.extend_from_slice(it);
                true
            });
        }
        arrivals.flush(|it| {
            file.extend_from_slice(it);
            true
        });
        let out = IndexRecord {
            stream: Stream::Out,
            len: 11,
            at_ms: 3,
        };
        let err = IndexRecord {
            stream: Stream::Err,
            len: 7,
            at_ms: 4,
        };
        assert_eq!(file, [out.encode(), err.encode()].concat());
        // More than are kept are not written.
        arrivals.records = INDEX_RECORDS_MAX;
        arrivals.add(Stream::Out, 1, 5, |_| {
            unreachable!("there is none before it")
        });
        arrivals.flush(|_| unreachable!("there are too many"));
    }
}
