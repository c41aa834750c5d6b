//! Job output: files, appended by offset, so that bytes sent twice change nothing.
//!
//! `logs/<job / 1000>/<job>/<item>.<attempt>.{out,err,idx}`. Owns writing ([`LogStore::append`]), reading ([`read`]),
//! following ([`follow`]) and removing. Leaves to the core who may write what.

pub(crate) mod cause;
pub(crate) mod files;
pub(crate) mod follow;
pub(crate) mod read;
#[cfg(test)]
mod tests;

use files::Files;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tessera_model::{Attempt, ItemIndex, JobId};
use tessera_wire::convert::{LogAck, LogChunk, LogKey, LogStream};
use tokio::sync::watch;

/// Jobs in one folder.
const JOBS_A_FOLDER: u64 = 1_000;

/// An attempt of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RunKey {
    /// The job.
    pub(crate) job: JobId,
    /// Its item.
    pub(crate) item: ItemIndex,
    /// Which run of it.
    pub(crate) attempt: Attempt,
}

impl RunKey {
    /// Answers the run that a stream belongs to.
    pub(crate) fn of(key: LogKey) -> Self {
        Self {
            job: key.job,
            item: key.item,
            attempt: key.attempt,
        }
    }

    fn stream(self, stream: LogStream) -> LogKey {
        LogKey {
            job: self.job,
            item: self.item,
            attempt: self.attempt,
            stream,
        }
    }
}

/// The output of all jobs.
#[derive(Debug)]
pub(crate) struct LogStore {
    root: PathBuf,
    files: Files,
    /// Woken when a run that somebody follows has new bytes; runs that nobody follows have none.
    followed: Mutex<BTreeMap<RunKey, watch::Sender<u64>>>,
}

/// A stream that was written to, with its whole length if that is known.
type Written = (LogKey, Option<u64>, files::Progress);

/// A chunk with what is known about it.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// The chunk.
    pub(crate) chunk: LogChunk,
    /// Bytes of this stream that are kept; what is beyond is thrown away, and acknowledged.
    pub(crate) limit: u64,
}

impl LogStore {
    /// Uses a folder.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            files: Files::default(),
            followed: Mutex::default(),
        }
    }

    /// Writes chunks and makes them durable together; answers what is durable now. A chunk that can't be written is not
    /// acknowledged: its worker keeps it.
    ///
    /// Blocks on the disk.
    pub(crate) fn append(&self, arrivals: Vec<Arrival>) -> (Vec<LogAck>, Option<io::Error>) {
        let mut failed = None;
        let mut written = Vec::with_capacity(arrivals.len());
        for arrival in arrivals {
            let (key, final_size) = (arrival.chunk.key, arrival.chunk.final_size);
            match self.write(&arrival) {
                Ok(progress) => written.push((key, final_size, progress)),
                Err(error) => failed = Some(error),
            }
            self.wake(RunKey::of(key));
        }
        let (acks, refused) = self.make_durable(&written);
        for ack in acks.values().filter(|ack| ack.is_complete) {
            self.files.close(ack.key);
        }
        (acks.into_values().collect(), failed.or(refused))
    }

    /// Makes what was written durable, first the bytes, then the names of new files, each folder once.
    fn make_durable(&self, written: &[Written]) -> (BTreeMap<LogKey, LogAck>, Option<io::Error>) {
        let mut acks: BTreeMap<LogKey, LogAck> = BTreeMap::new();
        let mut folders = BTreeSet::new();
        let mut failed = None;
        for (key, final_size, progress) in written {
            let synced = progress.sync();
            if synced.is_err() {
                self.files.close_broken(*key);
            }
            let named = synced.and_then(|(durable_to, is_new)| {
                if is_new && !folders.contains(&key.job) {
                    files::sync_folder(&self.folder(key.job))?;
                    folders.insert(key.job);
                }
                progress.is_named();
                Ok(durable_to)
            });
            match named {
                Err(error) => failed = Some(error),
                Ok(durable_to) => {
                    let is_complete = final_size.is_some_and(|size| durable_to >= size);
                    let none = LogAck {
                        key: *key,
                        durable_to,
                        is_complete,
                    };
                    let ack = acks.entry(*key).or_insert(none);
                    ack.durable_to = ack.durable_to.max(durable_to);
                    ack.is_complete |= is_complete;
                }
            }
        }
        (acks, failed)
    }

    fn write(&self, arrival: &Arrival) -> io::Result<files::Progress> {
        let chunk = &arrival.chunk;
        if chunk.data.is_empty() && chunk.final_size == Some(0) {
            return Ok(files::Progress::nothing());
        }
        let file = self.files.open(chunk.key, || self.path(chunk.key))?;
        file.extend(chunk.offset, &chunk.data, arrival.limit)
    }

    /// Answers the folder of a job's output.
    pub(crate) fn folder(&self, job: JobId) -> PathBuf {
        self.root
            .join((job.0 / JOBS_A_FOLDER).to_string())
            .join(job.to_string())
    }

    /// Answers the file of a stream.
    pub(crate) fn path(&self, key: LogKey) -> PathBuf {
        let ending = match key.stream {
            LogStream::Out => "out",
            LogStream::Err => "err",
            LogStream::Index => "idx",
        };
        self.folder(key.job)
            .join(format!("{}.{}.{ending}", key.item, key.attempt))
    }

    /// Wakes who follows a run.
    pub(crate) fn wake(&self, run: RunKey) {
        let followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = followed.get(&run) {
            sender.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Begins to follow a run.
    fn listen(&self, run: RunKey) -> watch::Receiver<u64> {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.retain(|_, sender| sender.receiver_count() > 0);
        followed
            .entry(run)
            .or_insert_with(|| watch::Sender::new(0))
            .subscribe()
    }

    /// Removes the output of a job; answers how many bytes it was. Blocks on the disk.
    ///
    /// # Errors
    /// When it can't be removed.
    pub(crate) fn remove_job(&self, job: JobId) -> io::Result<u64> {
        self.files.close_job(job);
        let folder = self.folder(job);
        let bytes = bytes_below(&folder);
        match std::fs::remove_dir_all(&folder) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Lists the jobs that have output, with its bytes. Blocks on the disk.
    pub(crate) fn jobs(&self) -> BTreeMap<JobId, u64> {
        let numbered = |path: &Path| path.file_name()?.to_str()?.parse::<u64>().ok();
        let mut found = BTreeMap::new();
        for bundle in entries(&self.root) {
            for folder in entries(&bundle) {
                if let Some(job) = numbered(&folder) {
                    found.insert(JobId(job), bytes_below(&folder));
                }
            }
        }
        found
    }
}

/// Answers the paths in a folder; none when it can't be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(listing) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    listing
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect()
}

/// Adds up the files of a folder.
fn bytes_below(folder: &Path) -> u64 {
    let Ok(listing) = std::fs::read_dir(folder) else {
        return 0;
    };
    let sizes = listing
        .filter_map(|entry| entry.ok()?.metadata().ok())
        .filter(|meta| meta.is_file());
    sizes.map(|meta| meta.len()).sum()
}

/// Shared by all who read and write output.
pub(crate) type SharedLogs = Arc<LogStore>;
