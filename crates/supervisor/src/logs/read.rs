//! Reading output: one stream, or both in the order of their arrival.

use super::{LogStore, RunKey};
use bytes::Bytes;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use tessera_api::frames::LogPiece;
use tessera_ticket::{INDEX_RECORD_LEN, INDEX_RECORDS_MAX, IndexRecord, Stream};
use tessera_wire::convert::LogStream;

/// Bytes of one piece.
const PIECE_BYTES_MAX: u64 = 256 * 1024;

/// What is wanted of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// stdout.
    Out,
    /// stderr.
    Err,
    /// Both, by arrival.
    Both,
}

/// Where a reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    out: u64,
    err: u64,
}

impl Position {
    /// Answers how many bytes are before it.
    pub(crate) fn offset(self) -> u64 {
        self.out + self.err
    }

    /// Answers how many bytes of stdout and stderr are before it.
    pub(crate) fn by_stream(self) -> (u64, u64) {
        (self.out, self.err)
    }
}

impl LogStore {
    /// Answers the bytes that are kept of stdout and of stderr. Blocks on the disk.
    pub(crate) fn sizes(&self, run: RunKey) -> (u64, u64) {
        let size =
            |stream| std::fs::metadata(self.path(run.stream(stream))).map_or(0, |meta| meta.len());
        (size(LogStream::Out), size(LogStream::Err))
    }

    /// Answers where a reader stands that has had so many bytes. Blocks on the disk.
    pub(crate) fn position(&self, run: RunKey, wanted: Wanted, offset: u64) -> Position {
        match wanted {
            Wanted::Out => Position {
                out: offset,
                err: 0,
            },
            Wanted::Err => Position {
                out: 0,
                err: offset,
            },
            Wanted::Both => {
                let (out, err) = self.sizes(run);
                let mut at = Position { out: 0, err: 0 };
                for record in self.index(run) {
                    let left = offset - at.offset();
                    let step = u64::from(record.len).min(left);
                    match record.stream {
                        Stream::Out => at.out += step,
                        Stream::Err => at.err += step,
                    }
                }
                let left = offset - at.offset();
                at.out += left.min(out.saturating_sub(at.out));
                let left = offset - at.offset();
                at.err += left.min(err.saturating_sub(at.err));
                at
            }
        }
    }

    /// Reads on from a position, at most `limit` bytes, and moves it. While the run may still print, bytes whose order is
    /// not known yet are left for later. Blocks on the disk.
    ///
    /// # Errors
    /// When a file can't be read.
    pub(crate) fn read(
        &self,
        run: RunKey,
        wanted: Wanted,
        at: &mut Position,
        limit: u64,
        is_over: bool,
    ) -> io::Result<Vec<LogPiece>> {
        let mut reading = Reading {
            store: self,
            run,
            at,
            left: limit,
            pieces: Vec::new(),
            files: [None, None],
        };
        match wanted {
            Wanted::Out => reading.take(Stream::Out, u64::MAX)?,
            Wanted::Err => reading.take(Stream::Err, u64::MAX)?,
            Wanted::Both => reading.take_both(is_over)?,
        }
        Ok(reading.pieces)
    }

    /// Reads the order of arrival, as far as it is known.
    fn index(&self, run: RunKey) -> Vec<IndexRecord> {
        let Ok(file) = File::open(self.path(run.stream(LogStream::Index))) else {
            return Vec::new();
        };
        let most = INDEX_RECORD_LEN as u64 * u64::from(INDEX_RECORDS_MAX);
        let mut bytes = Vec::new();
        if io::Read::read_to_end(&mut io::Read::take(file, most), &mut bytes).is_err() {
            return Vec::new();
        }
        bytes
            .chunks_exact(INDEX_RECORD_LEN)
            .map_while(|record| IndexRecord::decode(record).ok())
            .collect()
    }
}

struct Reading<'a> {
    store: &'a LogStore,
    run: RunKey,
    at: &'a mut Position,
    left: u64,
    pieces: Vec<LogPiece>,
    files: [Option<(File, u64)>; 2],
}

impl Reading<'_> {
    /// Follows the index, then takes what it does not tell of.
    fn take_both(&mut self, is_over: bool) -> io::Result<()> {
        let records = self.store.index(self.run);
        let is_full = records.len() >= INDEX_RECORDS_MAX as usize;
        let (mut out, mut err) = (0, 0);
        for record in records {
            let end = match record.stream {
                Stream::Out => {
                    out += u64::from(record.len);
                    out
                }
                Stream::Err => {
                    err += u64::from(record.len);
                    err
                }
            };
            let missing = end.saturating_sub(self.had(record.stream));
            if missing == 0 {
                continue;
            }
            self.take(record.stream, missing)?;
            if self.had(record.stream) < end || self.left == 0 {
                // The bytes are on their way, or it is enough for now.
                return if is_over && self.left > 0 {
                    self.take_rest(true)
                } else {
                    Ok(())
                };
            }
        }
        self.take_rest(is_over || is_full)
    }

    /// What only one stream has more of must be next; of both, only when there is no order to wait for.
    fn take_rest(&mut self, in_any_order: bool) -> io::Result<()> {
        let more = |reading: &mut Self, stream| {
            Ok::<_, io::Error>(reading.size(stream)? > reading.had(stream))
        };
        let (out, err) = (more(self, Stream::Out)?, more(self, Stream::Err)?);
        if out && (in_any_order || !err) {
            self.take(Stream::Out, u64::MAX)?;
        }
        if err && (in_any_order || !out) {
            self.take(Stream::Err, u64::MAX)?;
        }
        Ok(())
    }

    fn had(&self, stream: Stream) -> u64 {
        match stream {
            Stream::Out => self.at.out,
            Stream::Err => self.at.err,
        }
    }

    fn file(&mut self, stream: Stream) -> io::Result<Option<&(File, u64)>> {
        let (slot, kind) = match stream {
            Stream::Out => (&mut self.files[0], LogStream::Out),
            Stream::Err => (&mut self.files[1], LogStream::Err),
        };
        if slot.is_none() {
            match File::open(self.store.path(self.run.stream(kind))) {
                Ok(file) => {
                    let size = file.metadata()?.len();
                    *slot = Some((file, size));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(slot.as_ref())
    }

    fn size(&mut self, stream: Stream) -> io::Result<u64> {
        Ok(self.file(stream)?.map_or(0, |(_, size)| *size))
    }

    /// Takes up to `most` bytes of a stream.
    fn take(&mut self, stream: Stream, most: u64) -> io::Result<()> {
        let mut most = most;
        loop {
            let (had, left) = (self.had(stream), self.left);
            let Some((file, size)) = self.file(stream)? else {
                return Ok(());
            };
            let wanted = size
                .saturating_sub(had)
                .min(most)
                .min(left)
                .min(PIECE_BYTES_MAX);
            if wanted == 0 {
                return Ok(());
            }
            let mut bytes = vec![0; usize::try_from(wanted).unwrap_or(0)];
            file.read_exact_at(&mut bytes, had)?;
            let bytes = Bytes::from(bytes);
            match stream {
                Stream::Out => {
                    self.at.out += wanted;
                    self.pieces.push(LogPiece::Out(bytes));
                }
                Stream::Err => {
                    self.at.err += wanted;
                    self.pieces.push(LogPiece::Err(bytes));
                }
            }
            self.left -= wanted;
            most -= wanted;
        }
    }
}
