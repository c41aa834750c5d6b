//! One file of an attempt on its way to the supervisor.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use crate::os;

/// Bytes sent in one turn.
pub(super) const CHUNK_MAX: usize = 256 * 1024;
/// Bytes of a file that may be under way unacknowledged; more waits.
const WINDOW: u64 = 4 * CHUNK_MAX as u64;

/// A file that grows until its attempt ends, and how much of it the supervisor has.
#[derive(Debug)]
pub(super) struct Tail {
    path: PathBuf,
    /// Open while it is being sent.
    file: Option<File>,
    size: u64,
    sent: u64,
    acknowledged: u64,
    final_size: Option<u64>,
    has_said_final: bool,
    is_delivered: bool,
    /// In the queue of what has something to send.
    pub(super) is_queued: bool,
    /// When the supervisor last confirmed something, or something was sent after a pause.
    heard: Instant,
}

/// What to send of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) offset: u64,
    pub(super) data: Vec<u8>,
    pub(super) final_size: Option<u64>,
}

impl Tail {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            size: 0,
            sent: 0,
            acknowledged: 0,
            final_size: None,
            has_said_final: false,
            is_delivered: false,
            is_queued: false,
            heard: Instant::now(),
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn is_delivered(&self) -> bool {
        self.is_delivered
    }

    /// Looks how long the file is; answers how many bytes are new.
    pub(super) fn look(&mut self) -> u64 {
        // Missing: not made yet, or removed; neither has anything to send.
        self.try_look().unwrap_or(0)
    }

    fn try_look(&mut self) -> io::Result<u64> {
        let found = match &self.file {
            Some(file) => file.metadata()?,
            None => self.path.symlink_metadata()?,
        };
        let new = found.len().saturating_sub(self.size);
        self.size += new;
        Ok(new)
    }

    /// Nothing writes the file any more. An empty one needs no word: the report says that nothing was kept.
    ///
    /// # Errors
    /// When nobody can say now how long it is; to be called again.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if self.final_size.is_some() {
            return Ok(());
        }
        match self.try_look() {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.final_size = Some(self.size);
        self.is_delivered |= self.size == 0;
        Ok(())
    }

    /// Says whether there is something to send now.
    pub(super) fn has_work(&self) -> bool {
        if self.is_delivered || self.sent.saturating_sub(self.acknowledged) >= WINDOW {
            return false;
        }
        let must_say_final = self.final_size.is_some() && !self.has_said_final;
        self.sent < self.limit() || must_say_final
    }

    /// Answers up to where the file can be sent.
    fn limit(&self) -> u64 {
        self.final_size.unwrap_or(self.size)
    }

    /// Reads the next piece; `None` when there is none.
    pub(super) fn next_piece(&mut self) -> io::Result<Option<Piece>> {
        if !self.has_work() {
            return Ok(None);
        }
        let offset = self.sent;
        let left = self.limit().saturating_sub(offset);
        let mut data = self.read_at(
            offset,
            usize::try_from(left).unwrap_or(CHUNK_MAX).min(CHUNK_MAX),
        )?;
        if data.is_empty() && left > 0 {
            // Shorter than it was: somebody cut it. What is there is all there will be.
            tracing::warn!(path = %self.path.display(), "a log in the spool has lost its end");
            self.final_size = Some(offset);
        }
        data.shrink_to_fit();
        if self.sent == self.acknowledged {
            self.heard = Instant::now();
        }
        self.sent = offset + data.len() as u64;
        let final_size = self.final_size.filter(|it| *it == self.sent);
        self.has_said_final = final_size.is_some();
        if self.has_said_final {
            self.file = None;
        }
        Ok(Some(Piece {
            offset,
            data,
            final_size,
        }))
    }

    /// Reads up to `max` bytes from `offset`.
    pub(super) fn read_at(&mut self, offset: u64, max: usize) -> io::Result<Vec<u8>> {
        let file = match self.file.take() {
            Some(file) => file,
            None => os::to_read().open(&self.path)?,
        };
        let mut data = vec![0; max];
        let len = os::read_at(&file, &mut data, offset)?;
        data.truncate(len);
        self.file = Some(file);
        Ok(data)
    }

    /// The supervisor has everything below `durable_to`; answers whether that completed the file.
    pub(super) fn acknowledge(&mut self, durable_to: u64, is_complete: bool) -> bool {
        let known = durable_to.min(self.final_size.unwrap_or(self.size));
        if known > self.acknowledged {
            self.acknowledged = known;
            self.heard = Instant::now();
        }
        // It may have more than we have sent: an earlier connection, or worker, sent that.
        self.sent = self.sent.max(self.acknowledged);
        let has_all = self.has_said_final && Some(self.acknowledged) == self.final_size;
        let completes = !self.is_delivered && (is_complete || has_all);
        self.is_delivered |= completes;
        completes
    }

    /// Starts again behind what is confirmed: on a new connection, or when no answer came.
    pub(super) fn rewind(&mut self) {
        self.sent = self.acknowledged;
        self.has_said_final = false;
        self.is_queued = false;
        self.heard = Instant::now();
    }

    /// Answers since when the supervisor has been silent about what it was sent.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        let waits = self.sent > self.acknowledged || self.has_said_final;
        (waits && !self.is_delivered && !self.is_queued).then_some(self.heard)
    }

    /// The file is gone: what was sent is all there will be.
    pub(super) fn give_up(&mut self, error: &io::Error) {
        tracing::warn!(path = %self.path.display(), %error, "a log in the spool is gone");
        self.final_size = Some(self.sent);
        self.is_delivered |= self.sent == 0;
    }

    /// Removes the file.
    pub(super) fn remove(&mut self) {
        self.file = None;
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.path.display(), %error, "can't remove a delivered log");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_sent_once_and_again_after_a_rewind() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("0.1.out");
        let mut tail = Tail::new(path.clone());
        assert_eq!((tail.look(), tail.has_work()), (0, false));
        std::fs::write(&path, b"hello").expect("writes");
        assert_eq!((tail.look(), tail.has_work()), (5, true));
        let piece = tail.next_piece().expect("reads").expect("is there");
        assert_eq!(
            piece,
            Piece {
                offset: 0,
                data: b"hello".to_vec(),
                final_size: None
            }
        );
        assert!(!tail.has_work());
        assert!(!tail.acknowledge(5, false));
        std::fs::write(&path, b"hello world").expect("writes");
        tail.finish().expect("is there");
        let piece = tail.next_piece().expect("reads").expect("is there");
        assert_eq!(
            piece,
            Piece {
                offset: 5,
                data: b" world".to_vec(),
                final_size: Some(11)
            }
        );
        tail.rewind();
        let again = tail.next_piece().expect("reads").expect("is there");
        assert_eq!(again, piece);
        assert!(tail.acknowledge(11, false));
        assert!(tail.is_delivered() && !tail.has_work());
    }

    #[test]
    fn the_supervisor_may_be_ahead() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("0.1.out");
        std::fs::write(&path, vec![b'x'; CHUNK_MAX * 3]).expect("writes");
        let mut tail = Tail::new(path);
        tail.look();
        tail.next_piece().expect("reads");
        assert!(!tail.acknowledge(CHUNK_MAX as u64 * 2, false));
        let piece = tail.next_piece().expect("reads").expect("is there");
        assert_eq!(piece.offset, CHUNK_MAX as u64 * 2);
    }

    #[test]
    fn little_is_under_way_and_empty_files_need_no_word() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("0.1.out");
        std::fs::write(&path, vec![b'x'; CHUNK_MAX * 9]).expect("writes");
        let mut tail = Tail::new(path);
        tail.look();
        let mut pieces = 0;
        while tail.next_piece().expect("reads").is_some() {
            pieces += 1;
        }
        assert_eq!(pieces, 4);
        std::fs::write(dir.path().join("empty"), b"").expect("writes");
        let mut empty = Tail::new(dir.path().join("empty"));
        empty.finish().expect("is there");
        assert!(empty.is_delivered());
    }
}
