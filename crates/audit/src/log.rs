//! One log: the file that is written, and those that were put aside. It knows which of its bytes are whole, and begins behind them
//! again after a write that failed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use tessera_ticket::{AUDIT_TAIL_MAX, AuditChain};

/// The most bytes that wait for a disk that takes nothing; further lines are counted only.
pub(crate) const PENDING_MAX: usize = 1 << 20;
/// The most bytes that are written and not yet durable: what a power cut may spoil must be found again by its end.
const UNSETTLED_MAX: usize = AUDIT_TAIL_MAX / 4;

/// The open log.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    old_max: u32,
    size_max: u64,
    /// Not there after a write that failed: there may be more in the file than is known of.
    pub(crate) file: Option<File>,
    chain: AuditChain,
    /// The chain behind what is written.
    written: AuditChain,
    pub(crate) pending: String,
    /// Lines that were not even kept since the last that was written.
    lost: u64,
    /// Bytes of the file that are known to be whole.
    size: u64,
    /// What of these may not be durable.
    unsettled: String,
    /// The chain behind what is durable.
    settled: AuditChain,
}

/// Returns the path of the file that was put aside as the `number`th before the one that is written.
pub(crate) fn old(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

impl Log {
    /// Opens a log and takes up its chain.
    ///
    /// # Errors
    /// `InvalidData` when the end of the file holds no line.
    pub(crate) fn open(dir: &Path, name: &str, old_max: u32, size_max: u64) -> io::Result<Self> {
        let path = dir.join(name);
        let (mut chain, size) = read_end(open_file(&path)?)?;
        let mut olds = (1..=old_max).map(|number| old(&path, number));
        while size == 0 && chain.is_new() {
            // The file before it was put aside, and nothing of this one was written.
            match olds.next().map(File::open) {
                None => break,
                Some(Ok(file)) => chain = read_end(file)?.0,
                Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => {}
                Some(Err(error)) => return Err(error),
            }
        }
        let mut log = Self {
            path,
            old_max,
            size_max,
            file: None,
            written: chain.clone(),
            settled: chain.clone(),
            chain,
            pending: String::new(),
            lost: 0,
            size,
            unsettled: String::new(),
        };
        log.reopen()?;
        Ok(log)
    }

    /// Adds a line, or counts it where too much waits already.
    pub(crate) fn add(&mut self, wall_ms: u64, event: &str, fields: &[(&str, &str)]) {
        if self.pending.len() >= PENDING_MAX {
            self.lost += 1;
        } else {
            self.add_line(wall_ms, event, fields);
        }
    }

    fn add_line(&mut self, wall_ms: u64, event: &str, fields: &[(&str, &str)]) {
        let (line, chain) = self.chain.next(wall_ms, event, fields);
        self.chain = chain;
        self.pending.push_str(&line);
    }

    /// Writes what was added, and makes it and what was written before durable if `is_durable`.
    ///
    /// # Errors
    /// When the disk does not take it, or lines were lost before.
    pub(crate) fn flush(&mut self, wall_ms: u64, is_durable: bool) -> io::Result<()> {
        if self.pending.is_empty() {
            return if is_durable { self.settle() } else { Ok(()) };
        }
        self.write(is_durable)?;
        let lost = std::mem::take(&mut self.lost);
        if lost == 0 {
            return Ok(());
        }
        self.add_line(wall_ms, "lost", &[("lines", &lost.to_string())]);
        let _ = self.write(is_durable);
        Err(io::ErrorKind::StorageFull.into())
    }

    fn write(&mut self, is_durable: bool) -> io::Result<()> {
        if self.size > self.size_max {
            self.settle()?;
            self.put_aside()?;
        }
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.reopened()?,
        };
        file.write_all(self.pending.as_bytes())?;
        self.file = Some(file);
        self.size += self.pending.len() as u64;
        self.written = self.chain.clone();
        self.unsettled.push_str(&self.pending);
        self.pending.clear();
        if is_durable || self.unsettled.len() > UNSETTLED_MAX {
            return self.settle();
        }
        Ok(())
    }

    /// Makes what was written durable.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        if self.unsettled.is_empty() {
            return Ok(());
        }
        let synced = match &self.file {
            Some(file) => file.sync_data(),
            None => self.reopened().and_then(|file| file.sync_data()),
        };
        if synced.is_ok() {
            self.settled = self.written.clone();
        } else {
            // Whether it is there nobody knows: a second try would not say so. It is written again.
            self.file = None;
            self.size -= self.unsettled.len() as u64;
            self.pending.insert_str(0, &self.unsettled);
            self.written = self.settled.clone();
        }
        self.unsettled.clear();
        synced
    }

    /// Says whether the file is put aside before what waits is written.
    pub(crate) fn is_full_for_more(&self) -> bool {
        self.size > self.size_max && !self.pending.is_empty()
    }

    /// Returns the digest of the last line that is written.
    pub(crate) fn last_written(&self) -> &str {
        self.written.last()
    }

    /// Puts the file aside and those before it further back; the last of them is no more.
    ///
    /// # Errors
    /// When a name can't be changed, or no new file be made.
    pub(crate) fn put_aside(&mut self) -> io::Result<()> {
        // A file that is open can't always be renamed on Windows.
        self.file = None;
        for number in (1..self.old_max).rev() {
            rename(&old(&self.path, number), &old(&self.path, number + 1))?;
        }
        rename(&self.path, &old(&self.path, 1))?;
        self.size = 0;
        self.reopen()
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.file = Some(self.reopened()?);
        Ok(())
    }

    /// Opens the file behind its last whole line.
    fn reopened(&self) -> io::Result<File> {
        let mut file = open_file(&self.path)?;
        if file.metadata()?.len() != self.size {
            file.set_len(self.size)?;
        }
        file.seek(SeekFrom::Start(self.size))?;
        Ok(file)
    }
}

/// Takes up the chain at the end of a file; returns how many bytes of it are whole lines, too.
fn read_end(mut file: File) -> io::Result<(AuditChain, u64)> {
    let size = file.metadata()?.len();
    let from = size.saturating_sub(AUDIT_TAIL_MAX as u64);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(AUDIT_TAIL_MAX as u64).read_to_end(&mut tail)?;
    let (chain, torn) = AuditChain::of_tail(&tail, from > 0).ok_or(io::ErrorKind::InvalidData)?;
    Ok((chain, size - torn as u64))
}

/// Gives a file another name. It may have been put aside before, when no new one could be made then.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
