//! What an attempt prints, on its way into the spool: two files and the order in which they grew.

use std::fs::File;
use std::io::{self, Write as _};
use std::time::Instant;

use tessera_ticket::{Amounts, Arrivals, Kept, Stream};

/// Both streams of an attempt.
#[derive(Debug)]
pub(super) struct Output {
    streams: [(File, Kept); 2],
    index: File,
    arrivals: Arrivals,
    limit: u64,
    started: Instant,
    /// Whether the record is written: nothing more counts.
    is_over: bool,
}

impl Output {
    /// `limit` is what is kept of each stream, bytes.
    pub(super) fn new(out: File, err: File, index: File, limit: u64) -> Self {
        Self {
            streams: [out, err].map(|file| (file, Kept::default())),
            index,
            arrivals: Arrivals::default(),
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
        let Some((file, kept)) = self.streams.get_mut(at) else {
            return;
        };
        let grown = kept.take(bytes, self.limit, |bytes| append(file, bytes));
        let at_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let write = |record: &[u8]| self.index.write_all(record).is_ok();
        self.arrivals.add(stream, grown, at_ms, write);
    }

    /// Closes the files: what comes later is nobody's.
    pub(super) fn finish(&mut self) -> Amounts {
        self.is_over = true;
        self.arrivals
            .flush(|record| self.index.write_all(record).is_ok());
        let [(_, out), (_, err)] = &self.streams;
        Amounts::of(out, err)
    }
}

/// Appends some of the bytes and says how many; 0 when none can be.
fn append(to: &mut File, bytes: &[u8]) -> usize {
    loop {
        match to.write(bytes) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other.unwrap_or(0),
        }
    }
}
