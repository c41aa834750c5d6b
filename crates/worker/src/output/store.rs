//! All output that is in the spool, and whose turn it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tessera_model::JobId;
use tessera_model::msg::{LaunchKey, Run};
use tessera_wire::convert::{LogAck, LogChunk, LogKey, LogStream};

use super::attempt::{Attempt, News};
use super::spares::Spares;
use crate::chain::{SpoolFile, spool_path};
use crate::launch_file;
use crate::pauses;

const OUTPUT: [SpoolFile; 3] = [SpoolFile::Out, SpoolFile::Err, SpoolFile::Index];
const STREAMS: [LogStream; 3] = [LogStream::Out, LogStream::Err, LogStream::Index];

/// One run of an item, as logs name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TailId {
    job: JobId,
    run: Run,
}

impl TailId {
    pub(super) fn of(key: LaunchKey, run: Run) -> Self {
        Self { job: key.job, run }
    }
}

#[derive(Debug)]
struct LaunchOutput {
    dir: Arc<PathBuf>,
    attempts: BTreeSet<TailId>,
    /// Ended attempts that printed nothing; their files may be had again once their reports are acknowledged.
    silent: BTreeSet<Run>,
    /// Its end is acknowledged.
    is_forgotten: bool,
}

/// What is in the spool.
#[derive(Debug, Default)]
pub(super) struct Store {
    attempts: BTreeMap<TailId, Attempt>,
    launches: BTreeMap<LaunchKey, LaunchOutput>,
    running: BTreeSet<TailId>,
    /// Files with something to send, by attempt and place in [`STREAMS`].
    ready: VecDeque<(TailId, usize)>,
    /// Ended attempts with a file that can't be read now.
    stalled: BTreeSet<TailId>,
    bytes: u64,
    spares: Spares,
}

impl Store {
    pub(super) fn new(spares: Spares) -> Self {
        Self {
            spares,
            ..Self::default()
        }
    }

    /// Answers the bytes of all output.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn has_work(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Says whether there is nothing to look at.
    pub(super) fn is_idle(&self) -> bool {
        self.attempts.is_empty()
    }

    pub(super) fn watch(
        &mut self,
        key: LaunchKey,
        run: Run,
        dir: Arc<PathBuf>,
        pattern: Option<&str>,
        tells_printing: bool,
    ) {
        let id = TailId::of(key, run);
        let attempt = Attempt::new(key, run, &dir, pattern, tells_printing);
        self.attempts.insert(id, attempt);
        self.running.insert(id);
        let launch = self.launches.entry(key).or_insert_with(|| LaunchOutput {
            dir,
            attempts: BTreeSet::new(),
            silent: BTreeSet::new(),
            is_forgotten: false,
        });
        launch.attempts.insert(id);
    }

    pub(super) fn ended(&mut self, id: TailId) {
        self.running.remove(&id);
        let Some(attempt) = self.attempts.get_mut(&id) else {
            return;
        };
        let before = attempt.size();
        let finished = attempt.finish();
        self.bytes += attempt.size() - before;
        if let Err(error) = finished {
            self.stall(id, &error);
        }
        self.queue(id);
        self.drop_if_over(id);
    }

    /// What a launch that is gone has printed is all it will print.
    pub(super) fn gone(&mut self, key: LaunchKey) {
        let Some(launch) = self.launches.get(&key) else {
            return;
        };
        for id in launch.attempts.clone() {
            self.ended(id);
        }
    }

    pub(super) fn forget_item(&mut self, key: LaunchKey, run: Run, dir: &Path) {
        // An attempt whose end was reported prints no more, whatever was heard of it.
        let id = TailId::of(key, run);
        if self.running.contains(&id) {
            self.ended(id);
        }
        let is_silent = self
            .launches
            .get_mut(&key)
            .is_some_and(|it| it.silent.remove(&run));
        if is_silent && self.spares.give(key, run) {
            return;
        }
        let others = if is_silent { &OUTPUT[..] } else { &[] };
        for file in [SpoolFile::Exit].iter().chain(others) {
            remove_if_there(&spool_path(dir, run.item.0, run.attempt.0, *file));
        }
    }

    /// The file that says that there is a launch goes first: without it the directory holds only output.
    pub(super) fn forget_launch(&mut self, key: LaunchKey, dir: Arc<PathBuf>) {
        remove_if_there(&launch_file::path(&dir));
        pauses::paths(&dir)
            .iter()
            .for_each(|it| remove_if_there(it));
        self.gone(key);
        self.spares.forget(key);
        let launch = self.launches.entry(key).or_insert_with(|| LaunchOutput {
            dir,
            attempts: BTreeSet::new(),
            silent: BTreeSet::new(),
            is_forgotten: true,
        });
        launch.is_forgotten = true;
        self.remove_if_empty(key);
    }

    /// Looks at what runs.
    pub(super) fn look(&mut self, mut tell: impl FnMut(LaunchKey, Run, News)) {
        for id in self.running.iter().copied().collect::<Vec<_>>() {
            let Some(attempt) = self.attempts.get_mut(&id) else {
                continue;
            };
            let before = attempt.size();
            let news = attempt.look();
            let has_grown = attempt.size() > before;
            self.bytes += attempt.size() - before;
            if news != News::default() {
                tell(attempt.key, id.run, news);
            }
            if has_grown {
                self.queue(id);
            }
        }
    }

    /// Answers the next piece to send: the next of the file whose turn it is.
    pub(super) fn next_chunk(&mut self) -> Option<LogChunk> {
        while let Some((id, stream)) = self.ready.pop_front() {
            let Some(attempt) = self.attempts.get_mut(&id) else {
                continue;
            };
            let tail = &mut attempt.tails[stream];
            tail.is_queued = false;
            match tail.next_piece() {
                Ok(Some(piece)) => {
                    self.queue(id);
                    return Some(chunk(id, stream, piece));
                }
                Ok(None) => {}
                Err(error) => self.on_unreadable(id, stream, &error),
            }
        }
        None
    }

    /// Files may be unreadable for a moment only: for want of descriptors, say, or while a disk fails over. Only of one
    /// that is gone there is no more to hope for once its attempt has ended.
    fn on_unreadable(&mut self, id: TailId, stream: usize, error: &io::Error) {
        let Some(attempt) = self.attempts.get_mut(&id) else {
            return;
        };
        if attempt.is_running {
            return;
        }
        if error.kind() == io::ErrorKind::NotFound {
            attempt.tails[stream].give_up(error);
            self.queue(id);
            self.drop_if_over(id);
        } else {
            self.stall(id, error);
        }
    }

    fn stall(&mut self, id: TailId, error: &io::Error) {
        if self.stalled.insert(id) {
            let TailId { job, run } = id;
            tracing::warn!(%job, item = run.item.0, attempt = run.attempt.0, %error,
                "output in the spool can't be read now; it is tried again");
        }
    }

    /// Tries again what could not be read.
    pub(super) fn retry_stalled(&mut self) {
        for id in std::mem::take(&mut self.stalled) {
            self.ended(id);
        }
    }

    pub(super) fn acknowledge(&mut self, ack: &LogAck) {
        let LogKey {
            job,
            item,
            attempt,
            stream,
        } = ack.key;
        let id = TailId {
            job,
            run: Run { item, attempt },
        };
        let Some(attempt) = self.attempts.get_mut(&id) else {
            return;
        };
        let index = STREAMS.iter().position(|it| *it == stream).unwrap_or(0);
        let completed = attempt.tails[index].acknowledge(ack.durable_to, ack.is_complete);
        if completed {
            self.drop_if_over(id);
        } else {
            self.queue(id);
        }
    }

    /// On a new connection everything unconfirmed is sent again.
    pub(super) fn rewind_all(&mut self) {
        self.ready.clear();
        for id in self.attempts.keys().copied().collect::<Vec<_>>() {
            if let Some(attempt) = self.attempts.get_mut(&id) {
                attempt.tails.iter_mut().for_each(super::tail::Tail::rewind);
            }
            self.queue(id);
        }
    }

    /// Sends again what was sent before then and never confirmed.
    pub(super) fn rewind_silent(&mut self, before: Instant) {
        let mut silent = Vec::new();
        for (id, attempt) in &mut self.attempts {
            for tail in &mut attempt.tails {
                if tail.waits_since().is_some_and(|since| since < before) {
                    tail.rewind();
                    silent.push(*id);
                }
            }
        }
        for id in silent {
            self.queue(id);
        }
    }

    /// Puts the files of an attempt in the queue that have something to send.
    fn queue(&mut self, id: TailId) {
        let Some(attempt) = self.attempts.get_mut(&id) else {
            return;
        };
        for (stream, tail) in attempt.tails.iter_mut().enumerate() {
            if !tail.is_queued && tail.has_work() {
                tail.is_queued = true;
                self.ready.push_back((id, stream));
            }
        }
    }

    fn drop_if_over(&mut self, id: TailId) {
        let Some(attempt) = self.attempts.get_mut(&id) else {
            return;
        };
        if !attempt.is_over() {
            return;
        }
        let (key, size) = (attempt.key, attempt.size());
        let launch = self.launches.get_mut(&key);
        match launch {
            Some(launch) if size == 0 && !launch.is_forgotten => {
                launch.silent.insert(id.run);
            }
            Some(_) | None => attempt.tails.iter_mut().for_each(super::tail::Tail::remove),
        }
        self.bytes -= size;
        self.attempts.remove(&id);
        self.stalled.remove(&id);
        if let Some(launch) = self.launches.get_mut(&key) {
            launch.attempts.remove(&id);
        }
        self.remove_if_empty(key);
    }

    fn remove_if_empty(&mut self, key: LaunchKey) {
        let is_empty = |it: &LaunchOutput| it.is_forgotten && it.attempts.is_empty();
        if !self.launches.get(&key).is_some_and(is_empty) {
            return;
        }
        let Some(launch) = self.launches.remove(&key) else {
            return;
        };
        match std::fs::remove_dir_all(&*launch.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(dir = %launch.dir.display(), %error, "can't remove a launch's spool");
            }
            Ok(()) | Err(_) => {}
        }
        // The job's directory goes with its last launch; it stays while there is another.
        if let Some(job) = launch.dir.parent() {
            let _stays_if_used = std::fs::remove_dir(job);
        }
    }
}

fn chunk(id: TailId, stream: usize, piece: super::tail::Piece) -> LogChunk {
    let Run { item, attempt } = id.run;
    LogChunk {
        key: LogKey {
            job: id.job,
            item,
            attempt,
            stream: STREAMS[stream],
        },
        offset: piece.offset,
        data: Bytes::from(piece.data),
        final_size: piece.final_size,
    }
}

fn remove_if_there(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "can't remove a file of the spool");
        }
        Ok(()) | Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_model::{Attempt as AttemptNo, InstanceNo, ItemIndex, LaunchNo};

    fn key() -> LaunchKey {
        LaunchKey {
            job: JobId(1),
            instance: InstanceNo(0),
            launch: LaunchNo(1),
        }
    }

    fn run(item: u32) -> Run {
        Run {
            item: ItemIndex(item),
            attempt: AttemptNo(1),
        }
    }

    fn full(chunk: &LogChunk) -> LogAck {
        let durable_to = chunk.offset + chunk.data.len() as u64;
        LogAck {
            key: chunk.key,
            durable_to,
            is_complete: chunk.final_size.is_some(),
        }
    }

    struct Bench {
        store: Store,
        dir: Arc<PathBuf>,
        _root: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let root = tempfile::tempdir().expect("a temporary directory");
            let dir = root.path().join("1/0.1");
            std::fs::create_dir_all(&dir).expect("makes");
            std::fs::write(launch_file::path(&dir), b"").expect("writes");
            Self {
                store: Store::default(),
                dir: Arc::new(dir),
                _root: root,
            }
        }

        fn print(&mut self, item: u32, out: &[u8]) {
            for (file, bytes) in [
                (SpoolFile::Out, out),
                (SpoolFile::Err, b"".as_slice()),
                (SpoolFile::Index, &[0; 16]),
                (SpoolFile::Exit, b"record"),
            ] {
                std::fs::write(spool_path(&self.dir, item, 1, file), bytes).expect("writes");
            }
            self.store
                .watch(key(), run(item), Arc::clone(&self.dir), None, false);
        }
    }

    #[test]
    fn turns_go_round_between_attempts() {
        let mut bench = Bench::new();
        bench.print(0, &vec![b'a'; 3 * super::super::tail::CHUNK_MAX]);
        bench.print(1, b"short");
        bench.store.look(|_, _, _| {});
        let items: Vec<u32> = std::iter::from_fn(|| bench.store.next_chunk())
            .map(|it| it.key.item.0)
            .collect();
        assert_eq!(items, [0, 0, 1, 1, 0, 0], "stdout and index, by turns");
        assert_eq!(
            bench.store.bytes(),
            3 * super::super::tail::CHUNK_MAX as u64 + 5 + 32
        );
    }

    #[test]
    fn delivered_output_goes_and_the_directory_after_the_last() {
        let mut bench = Bench::new();
        bench.print(0, b"hello");
        let id = TailId::of(key(), run(0));
        bench.store.ended(id);
        let chunks: Vec<LogChunk> = std::iter::from_fn(|| bench.store.next_chunk()).collect();
        assert_eq!(
            chunks.len(),
            2,
            "stdout and index; an empty file needs no word"
        );
        assert!(chunks.iter().all(|it| it.final_size.is_some()));
        bench.store.forget_launch(key(), Arc::clone(&bench.dir));
        assert!(bench.dir.exists() && !launch_file::path(&bench.dir).exists());
        bench.store.acknowledge(&full(&chunks[0]));
        assert!(bench.dir.exists());
        bench.store.acknowledge(&full(&chunks[1]));
        assert!(!bench.dir.exists() && bench.store.is_idle());
        assert_eq!(bench.store.bytes(), 0);
    }

    #[test]
    fn a_record_outlives_its_output_until_it_is_acknowledged() {
        let mut bench = Bench::new();
        bench.print(0, b"hello");
        bench.store.ended(TailId::of(key(), run(0)));
        while let Some(chunk) = bench.store.next_chunk() {
            bench.store.acknowledge(&full(&chunk));
        }
        let exit = spool_path(&bench.dir, 0, 1, SpoolFile::Exit);
        assert!(!spool_path(&bench.dir, 0, 1, SpoolFile::Out).exists());
        assert!(exit.exists());
        bench.store.forget_item(key(), run(0), &bench.dir);
        assert!(!exit.exists() && bench.dir.exists());
        assert_eq!(bench.store.spares.take(key()), None);
    }

    #[test]
    fn files_of_silent_attempts_can_be_had_again() {
        let mut bench = Bench::new();
        for item in 0..70 {
            bench.print(item, b"");
            std::fs::write(spool_path(&bench.dir, item, 1, SpoolFile::Index), b"").expect("writes");
            bench.store.ended(TailId::of(key(), run(item)));
            assert_eq!(
                bench.store.spares.take(key()),
                None,
                "the report may be needed yet"
            );
        }
        for item in 0..70 {
            bench.store.forget_item(key(), run(item), &bench.dir);
        }
        let spares: Vec<Run> = std::iter::from_fn(|| bench.store.spares.take(key())).collect();
        assert_eq!(spares.len(), 64);
        let files = std::fs::read_dir(&*bench.dir).expect("reads").count();
        assert_eq!(files, 64 * 4 + 1, "those of the others are removed");
        bench.store.forget_launch(key(), Arc::clone(&bench.dir));
        assert!(!bench.dir.exists());
    }

    #[test]
    fn what_was_not_confirmed_is_sent_again() {
        let mut bench = Bench::new();
        bench.print(0, b"hello");
        bench.store.ended(TailId::of(key(), run(0)));
        let first: Vec<LogChunk> = std::iter::from_fn(|| bench.store.next_chunk()).collect();
        assert!(bench.store.next_chunk().is_none());
        bench.store.rewind_all();
        let second: Vec<LogChunk> = std::iter::from_fn(|| bench.store.next_chunk()).collect();
        assert_eq!(first, second);
        bench
            .store
            .rewind_silent(Instant::now() + std::time::Duration::from_secs(1));
        assert_eq!(std::iter::from_fn(|| bench.store.next_chunk()).count(), 2);
    }

    #[test]
    fn output_that_cannot_be_read_now_is_sent_later() {
        let mut bench = Bench::new();
        bench.print(0, b"hello");
        let id = TailId::of(key(), run(0));
        // A link where the file was can't be opened, as when there are no descriptors left.
        let out = spool_path(&bench.dir, 0, 1, SpoolFile::Out);
        let aside = bench.dir.join("aside");
        bench.store.ended(id);
        std::fs::rename(&out, &aside).expect("renames");
        std::os::unix::fs::symlink(&aside, &out).expect("links");
        let index: Vec<LogChunk> = std::iter::from_fn(|| bench.store.next_chunk()).collect();
        assert_eq!(index.len(), 1, "the others go on");
        bench.store.acknowledge(&full(&index[0]));
        bench.store.retry_stalled();
        assert_eq!(bench.store.next_chunk(), None);
        assert!(!bench.store.is_idle() && bench.store.bytes() > 0);
        std::fs::rename(&aside, &out).expect("renames");
        bench.store.retry_stalled();
        let chunk = bench.store.next_chunk().expect("is there again");
        assert_eq!(
            (&chunk.data[..], chunk.final_size),
            (&b"hello"[..], Some(5))
        );
        bench.store.acknowledge(&full(&chunk));
        assert!(bench.store.is_idle() && bench.store.stalled.is_empty());
    }

    #[test]
    fn an_end_that_cannot_be_looked_at_now_is_looked_at_later() {
        let mut bench = Bench::new();
        bench.print(0, b"hello");
        // No directory where the launch's was: what is in it can't be looked at (`ENOTDIR`).
        let aside = bench.dir.with_extension("aside");
        std::fs::rename(&*bench.dir, &aside).expect("renames");
        std::fs::write(&*bench.dir, b"").expect("writes");
        bench.store.ended(TailId::of(key(), run(0)));
        assert_eq!(bench.store.next_chunk(), None);
        assert!(!bench.store.is_idle());
        std::fs::remove_file(&*bench.dir).expect("removes");
        std::fs::rename(&aside, &*bench.dir).expect("renames");
        bench.store.retry_stalled();
        let chunk = bench.store.next_chunk().expect("is there again");
        assert_eq!(
            (&chunk.data[..], chunk.final_size),
            (&b"hello"[..], Some(5))
        );
    }

    #[test]
    fn output_that_is_gone_is_given_up() {
        let mut bench = Bench::new();
        bench.print(0, b"hello");
        bench.store.ended(TailId::of(key(), run(0)));
        for file in OUTPUT {
            std::fs::remove_file(spool_path(&bench.dir, 0, 1, file)).expect("removes");
        }
        assert_eq!(bench.store.next_chunk(), None);
        assert!(bench.store.is_idle());
    }

    #[test]
    fn lost_attempts_end_with_their_launch() {
        let mut bench = Bench::new();
        bench.print(0, b"hello");
        bench.store.look(|_, _, _| {});
        bench.store.gone(key());
        let chunk = bench.store.next_chunk().expect("is there");
        assert_eq!(chunk.final_size, Some(5));
    }
}
