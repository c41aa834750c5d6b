//! Following the output of a run until it is over.

use super::read::{Position, Wanted};
use super::{LogStore, RunKey};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tessera_api::frames::LogPiece;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Bytes that are read at once for a follower.
const READ_BYTES: u64 = 256 * 1024;
/// How often a follower looks by itself: for the end of the run, and in case a wake-up was missed.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a follower waits for bytes that a run, which is over, should still have.
const STRAGGLERS: Duration = Duration::from_secs(60);
/// How often a silent follower is told that we are still there.
const KEEPALIVE: Duration = Duration::from_secs(tessera_api::KEEPALIVE_SECONDS);

/// What is known about the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It may print more.
    Runs,
    /// It is over, with so many bytes kept of stdout and stderr.
    Over {
        /// Bytes of stdout.
        out: u64,
        /// Bytes of stderr.
        err: u64,
    },
}

/// Someone who follows a run.
pub(crate) struct Follower {
    logs: Arc<LogStore>,
    run: RunKey,
    wanted: Wanted,
    at: Position,
    news: watch::Receiver<u64>,
}

impl Follower {
    /// Begins at an offset. Blocks on the disk.
    pub(crate) fn begin(logs: Arc<LogStore>, run: RunKey, wanted: Wanted, offset: u64) -> Self {
        let news = logs.listen(run);
        let at = logs.position(run, wanted, offset);
        Self {
            logs,
            run,
            wanted,
            at,
            news,
        }
    }

    /// Sends pieces until the run is over and all of it was sent, or nobody takes them any more. `ending` is asked now and
    /// then. Dropping the future ends it at once.
    ///
    /// # Errors
    /// When the output can't be read.
    pub(crate) async fn run<F, E>(mut self, to: mpsc::Sender<LogPiece>, ending: F) -> io::Result<()>
    where
        F: Fn() -> E,
        E: Future<Output = Ending>,
    {
        let mut over_since = None;
        let mut spoke = Instant::now();
        loop {
            self.news.mark_unchanged();
            let end = ending().await;
            let pieces = self.read(end != Ending::Runs).await?;
            let is_news = !pieces.is_empty();
            for piece in pieces {
                if to.send(piece).await.is_err() {
                    return Ok(());
                }
            }
            if is_news {
                spoke = Instant::now();
                continue;
            }
            if let Ending::Over { out, err } = end {
                let since = *over_since.get_or_insert_with(Instant::now);
                if self.has_all(out, err) || since.elapsed() > STRAGGLERS {
                    let _reader_left = to.send(LogPiece::End).await;
                    return Ok(());
                }
            }
            if spoke.elapsed() >= KEEPALIVE {
                spoke = Instant::now();
                if to.send(LogPiece::Idle).await.is_err() {
                    return Ok(());
                }
            }
            tokio::select! {
                _ = self.news.changed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = to.closed() => return Ok(()),
            }
        }
    }

    fn has_all(&self, out: u64, err: u64) -> bool {
        let (had_out, had_err) = self.at.by_stream();
        match self.wanted {
            Wanted::Out => had_out >= out,
            Wanted::Err => had_err >= err,
            Wanted::Both => had_out >= out && had_err >= err,
        }
    }

    async fn read(&mut self, is_over: bool) -> io::Result<Vec<LogPiece>> {
        let (logs, run, wanted, mut at) = (Arc::clone(&self.logs), self.run, self.wanted, self.at);
        let read = move || {
            let pieces = logs.read(run, wanted, &mut at, READ_BYTES, is_over)?;
            Ok::<_, io::Error>((pieces, at))
        };
        let (pieces, at) = tokio::task::spawn_blocking(read)
            .await
            .map_err(io::Error::other)??;
        self.at = at;
        Ok(pieces)
    }
}
