//! Open files of output, a bounded number of them.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tessera_model::JobId;
use tessera_wire::convert::LogKey;

/// Files that are kept open.
pub(crate) const FILES_MAX: usize = 256;

/// The files that were written to last.
#[derive(Debug, Default)]
pub(crate) struct Files {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    files: HashMap<LogKey, (Arc<Stream>, u64)>,
    uses: u64,
}

/// A file of output.
#[derive(Debug)]
pub(crate) struct Stream {
    file: File,
    lengths: Mutex<Lengths>,
    /// Makes the next sync fail.
    #[cfg(test)]
    refuses_sync: std::sync::atomic::AtomicBool,
}

#[derive(Debug, Clone, Copy)]
struct Lengths {
    written: u64,
    durable: u64,
    /// Whether its name may not be durable yet.
    is_new: bool,
    /// How often bytes that were written could not be made durable and were taken back.
    losses: u32,
    /// Bytes were taken back and the file is to be opened anew: nothing is written here any more.
    is_broken: bool,
}

/// What became of a chunk, before it is durable.
#[derive(Debug)]
pub(crate) struct Progress {
    stream: Option<Arc<Stream>>,
    /// Up to where a stream that met its limit counts as taken.
    cut_at: Option<u64>,
}

impl Files {
    /// Answers the open file of a stream, making it if need be.
    pub(crate) fn open(
        &self,
        key: LogKey,
        path: impl FnOnce() -> PathBuf,
    ) -> io::Result<Arc<Stream>> {
        let mut open = self.lock();
        open.uses += 1;
        let now = open.uses;
        if let Some((stream, used)) = open.files.get_mut(&key) {
            *used = now;
            return Ok(Arc::clone(stream));
        }
        if open.files.len() >= FILES_MAX {
            open.make_room();
        }
        let stream = Arc::new(Stream::open(&path())?);
        open.files.insert(key, (Arc::clone(&stream), now));
        Ok(stream)
    }

    /// Closes the file of a stream if bytes of it were taken back; the next chunk opens it anew.
    pub(crate) fn close_broken(&self, key: LogKey) {
        let mut open = self.lock();
        let broken = |(stream, _): &(Arc<Stream>, u64)| stream.lengths().is_broken;
        if open.files.get(&key).is_some_and(broken) {
            open.files.remove(&key);
        }
    }

    /// Closes the file of a stream.
    pub(crate) fn close(&self, key: LogKey) {
        self.lock().files.remove(&key);
    }

    /// Closes the files of a job.
    pub(crate) fn close_job(&self, job: JobId) {
        self.lock().files.retain(|key, _| key.job != job);
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.lock().files.len()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Closes the quarter that was used least lately; never one that is being written, for it would be opened twice.
    fn make_room(&mut self) {
        let idle = self
            .files
            .iter()
            .filter(|(_, (stream, _))| Arc::strong_count(stream) == 1);
        let mut idle: Vec<(u64, LogKey)> = idle.map(|(key, (_, used))| (*used, *key)).collect();
        idle.sort_unstable_by_key(|(used, _)| *used);
        for (_, key) in idle.into_iter().take(FILES_MAX / 4) {
            self.files.remove(&key);
        }
    }
}

impl Stream {
    fn open(path: &Path) -> io::Result<Self> {
        let open = || {
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(path)
        };
        let file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = path.parent().unwrap_or(path);
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(folder)?;
                // Once a job: its folder's name, and that of the bundle which it is in.
                for above in folder.ancestors().skip(1).take(2) {
                    sync_folder(above)?;
                }
                open()?
            }
            opened => opened?,
        };
        let written = file.metadata()?.len();
        if written > 0 {
            // What an earlier process wrote may not be durable. Known now, it is what a loss falls back to.
            file.sync_data()?;
        }
        Ok(Self {
            file,
            lengths: Mutex::new(Lengths {
                written,
                durable: written,
                is_new: true,
                losses: 0,
                is_broken: false,
            }),
            #[cfg(test)]
            refuses_sync: std::sync::atomic::AtomicBool::new(false),
        })
    }

    /// Writes what is new of a chunk. One that begins past the end is not taken: the answer says where we are.
    pub(crate) fn extend(
        self: &Arc<Self>,
        offset: u64,
        data: &[u8],
        limit: u64,
    ) -> io::Result<Progress> {
        let mut lengths = self.lengths();
        if lengths.is_broken {
            return Err(io::Error::other("the file is being opened anew"));
        }
        let end = offset.saturating_add(data.len() as u64);
        let written = lengths.written;
        if written >= limit {
            return Ok(Progress {
                stream: Some(Arc::clone(self)),
                cut_at: Some(end.max(written)),
            });
        }
        if offset <= written && end > written {
            let known = usize::try_from(written - offset).unwrap_or(usize::MAX);
            let room = usize::try_from(limit - written).unwrap_or(usize::MAX);
            let new = data.get(known..).unwrap_or(&[]);
            let kept = &new[..new.len().min(room)];
            self.file.write_all_at(kept, written)?;
            lengths.written = written + kept.len() as u64;
        }
        let cut_at = (offset <= written && lengths.written >= limit).then_some(end);
        Ok(Progress {
            stream: Some(Arc::clone(self)),
            cut_at,
        })
    }

    /// Makes the bytes that were written durable; answers how many, and whether the file's name may not be.
    ///
    /// # Errors
    /// When they can't be. The system may have thrown them away and says so once only, so they count as never written.
    fn sync(&self) -> io::Result<(u64, bool)> {
        let before = *self.lengths();
        if (before.durable < before.written || before.is_new)
            && let Err(error) = self.sync_data()
        {
            self.take_back();
            return Err(error);
        }
        let mut lengths = self.lengths();
        // What was taken back meanwhile is not there any more.
        if lengths.losses == before.losses {
            lengths.durable = lengths.durable.max(before.written);
        }
        Ok((lengths.durable, lengths.is_new))
    }

    /// Forgets the bytes that are not durable, so that they are written again when they are sent again.
    fn take_back(&self) {
        let mut lengths = self.lengths();
        lengths.written = lengths.durable;
        lengths.losses = lengths.losses.wrapping_add(1);
        // Opened anew, the file begins where its bytes are certain. When it can't be cut this handle stays and writes over
        // what is beyond.
        lengths.is_broken = self.file.set_len(lengths.durable).is_ok();
    }

    fn sync_data(&self) -> io::Result<()> {
        #[cfg(test)]
        if self
            .refuses_sync
            .swap(false, std::sync::atomic::Ordering::Relaxed)
        {
            return Err(io::Error::other("no sync"));
        }
        self.file.sync_data()
    }

    #[cfg(test)]
    pub(crate) fn refuse_sync(&self) {
        self.refuses_sync
            .store(true, std::sync::atomic::Ordering::Relaxed);
    }

    fn lengths(&self) -> MutexGuard<'_, Lengths> {
        self.lengths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

impl Progress {
    /// A stream without a byte has no file.
    pub(crate) fn nothing() -> Self {
        Self {
            stream: None,
            cut_at: None,
        }
    }

    /// Makes the bytes durable; answers up to where the stream is taken once its name is durable, too, and whether that is
    /// still to be done (with [`sync_folder`], then [`Self::is_named`]).
    pub(crate) fn sync(&self) -> io::Result<(u64, bool)> {
        let Some(stream) = &self.stream else {
            return Ok((0, false));
        };
        let (durable, is_new) = stream.sync()?;
        Ok((self.cut_at.map_or(durable, |cut| durable.max(cut)), is_new))
    }

    /// Notes that the file's name is durable.
    pub(crate) fn is_named(&self) {
        if let Some(stream) = &self.stream {
            stream.lengths().is_new = false;
        }
    }
}
