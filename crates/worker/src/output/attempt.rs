//! The output of one attempt: three files, its progress, and whether it still prints.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use tessera_model::msg::{LaunchKey, Run};

use super::progress::{SCAN_MAX, Scanner};
use super::tail::Tail;
use crate::chain::{SpoolFile, spool_path};

/// Streams of an attempt, in the order of [`Attempt::tails`].
const FILES: [SpoolFile; 3] = [SpoolFile::Out, SpoolFile::Err, SpoolFile::Index];
/// Progress is told at most so often.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// What is known of an attempt's output.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) key: LaunchKey,
    pub(super) tails: [Tail; 3],
    pub(super) is_running: bool,
    tells_printing: bool,
    scanner: Option<Scanner>,
    seen_percent: Option<u8>,
    told_percent: Option<u8>,
    told_at: Option<Instant>,
}

/// What a look at an attempt brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Something was printed, and somebody wants to know.
    pub(super) printed: bool,
    /// Progress to tell.
    pub(super) percent: Option<u8>,
}

impl Attempt {
    pub(super) fn new(
        key: LaunchKey,
        run: Run,
        dir: &Path,
        pattern: Option<&str>,
        tells_printing: bool,
    ) -> Self {
        let tails = FILES.map(|file| Tail::new(spool_path(dir, run.item.0, run.attempt.0, file)));
        Self {
            key,
            tails,
            is_running: true,
            tells_printing,
            scanner: pattern.and_then(Scanner::new),
            seen_percent: None,
            told_percent: None,
            told_at: None,
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.tails.iter().map(Tail::size).sum()
    }

    /// Says whether it has ended and the supervisor has all of it.
    pub(super) fn is_over(&self) -> bool {
        !self.is_running && self.tails.iter().all(Tail::is_delivered)
    }

    /// Looks at what was printed since the last look.
    pub(super) fn look(&mut self) -> News {
        let mut printed = false;
        for stream in 0..2 {
            let new = self.tails[stream].look();
            if new > 0 {
                printed = true;
                self.scan(stream, new);
            }
        }
        if printed {
            self.tails[2].look();
        }
        News {
            printed: printed && self.tells_printing,
            percent: self.percent_to_tell(),
        }
    }

    /// Nothing writes its files any more.
    ///
    /// # Errors
    /// When one of them can't be looked at now; to be called again.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.is_running = false;
        self.scanner = None;
        let mut result = Ok(());
        for tail in &mut self.tails {
            result = tail.finish().and(result);
        }
        result
    }

    fn scan(&mut self, stream: usize, new: u64) {
        let Some(scanner) = &mut self.scanner else {
            return;
        };
        let tail = &mut self.tails[stream];
        let len = usize::try_from(new).unwrap_or(SCAN_MAX).min(SCAN_MAX);
        let from = tail.size() - len as u64;
        if let Ok(bytes) = tail.read_at(from, len) {
            let found = scanner.feed(stream, &bytes, new > len as u64);
            self.seen_percent = found.or(self.seen_percent);
        }
    }

    fn percent_to_tell(&mut self) -> Option<u8> {
        let is_due = self.told_at.is_none_or(|at| at.elapsed() >= PROGRESS_EVERY);
        if self.seen_percent == self.told_percent || !is_due {
            return None;
        }
        self.told_percent = self.seen_percent;
        self.told_at = Some(Instant::now());
        self.told_percent
    }
}
