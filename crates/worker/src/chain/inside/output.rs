//! What an attempt prints, on its way into the spool: two files and the order in which they grew.

use std::fs::File;
use std::io::Write as _;
use std::time::Instant;

use tessera_ticket::{INDEX_RECORDS_MAX, IndexRecord, Stream};

const LOST_MARK: &[u8] = b"\n[tessera: output was lost here, the spool could not be written]\n";

/// Both streams of an attempt.
#[derive(Debug)]
pub(super) struct Output {
    streams: [StreamFile; 2],
    index: Index,
    limit: u64,
    started: Instant,
    /// Whether the record is written: nothing more counts.
    is_over: bool,
}

/// How much there was of both streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Amounts {
    pub(super) kept: [u64; 2],
    pub(super) produced: [u64; 2],
    pub(super) cut_by_limit: bool,
    pub(super) cut_by_disk: bool,
}

#[derive(Debug)]
struct StreamFile {
    file: File,
    kept: u64,
    produced: u64,
    is_cut: bool,
    /// Bytes were lost since the last that were written.
    has_gap: bool,
    had_gap: bool,
}

/// The order of arrival, joined while one stream goes on.
#[derive(Debug)]
struct Index {
    file: File,
    last: Option<IndexRecord>,
    records: u32,
}

impl Output {
    /// `limit` is what is kept of each stream, bytes.
    pub(super) fn new(out: File, err: File, index: File, limit: u64) -> Self {
        Self {
            streams: [StreamFile::new(out), StreamFile::new(err)],
            index: Index {
                file: index,
                last: None,
                records: 0,
            },
            limit,
            started: Instant::now(),
            is_over: false,
        }
    }

    /// Takes what was printed.
    pub(super) fn take(&mut self, stream: Stream, bytes: &[u8]) {
        if self.is_over {
            return;
        }
        let at = usize::from(stream == Stream::Err);
        let Some(it) = self.streams.get_mut(at) else {
            return;
        };
        let before = it.kept;
        it.take(bytes, self.limit);
        let kept = it.kept - before;
        let at_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.index.add(stream, kept, at_ms);
    }

    /// Closes the files: what comes later is nobody's.
    pub(super) fn finish(&mut self) -> Amounts {
        self.is_over = true;
        self.index.flush();
        let [out, err] = &self.streams;
        Amounts {
            kept: [out.kept, err.kept],
            produced: [out.produced, err.produced],
            cut_by_limit: out.is_cut || err.is_cut,
            cut_by_disk: out.had_gap || err.had_gap,
        }
    }
}

impl StreamFile {
    fn new(file: File) -> Self {
        Self {
            file,
            kept: 0,
            produced: 0,
            is_cut: false,
            has_gap: false,
            had_gap: false,
        }
    }

    /// Keeps bytes up to the limit, then one line that says so, then nothing: the job is never stopped for its output.
    fn take(&mut self, bytes: &[u8], limit: u64) {
        self.produced += bytes.len() as u64;
        if self.is_cut {
            return;
        }
        let room = usize::try_from(limit.saturating_sub(self.kept)).unwrap_or(usize::MAX);
        let (keep, rest) = bytes.split_at(bytes.len().min(room));
        self.write(keep);
        if !rest.is_empty() {
            self.is_cut = true;
            let mark = format!(
                "\n[tessera: this stream passed its output limit of {limit} bytes; what follows is not kept]\n"
            );
            self.write(mark.as_bytes());
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.has_gap && self.append(LOST_MARK) {
            self.has_gap = false;
        }
        if self.has_gap || !self.append(bytes) {
            self.has_gap = true;
            self.had_gap = true;
        }
    }

    /// Appends to the file and counts what got there; `false` when not all did.
    fn append(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(len) if len > 0 => {
                    self.kept += len as u64;
                    bytes = bytes.get(len..).unwrap_or_default();
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return false,
            }
        }
        true
    }
}

impl Index {
    fn add(&mut self, stream: Stream, kept: u64, at_ms: u64) {
        let Ok(len @ 1..) = u32::try_from(kept) else {
            return;
        };
        match &mut self.last {
            Some(last) if last.stream == stream && last.len.checked_add(len).is_some() => {
                last.len += len;
                last.at_ms = at_ms;
            }
            _ => {
                self.flush();
                self.last = Some(IndexRecord { stream, len, at_ms });
            }
        }
    }

    fn flush(&mut self) {
        let Some(record) = self.last.take() else {
            return;
        };
        if self.records < INDEX_RECORDS_MAX && self.file.write_all(&record.encode()).is_ok() {
            self.records += 1;
        }
    }
}
