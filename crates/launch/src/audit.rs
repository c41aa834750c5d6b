//! The launcher's own record of what it started and refused: JSON lines, each carrying the digest of the one before it,
//! made durable before what they tell happens.

use std::ffi::CStr;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use tessera_ticket::{AUDIT_TAIL_MAX, AuditChain};

use tessera_sys::{Errno, Sys, file, wall_ms};

/// At this size the file is put aside as `audit.log.1` and a new one begins, chained to its last line.
const SIZE_MAX: u64 = 64 << 20;
/// The most bytes that wait for a disk that takes nothing; further lines are counted only.
const PENDING_MAX: usize = 1 << 20;
const NAME: &CStr = c"audit.log";
const OLD_NAME: &CStr = c"audit.log.1";

/// The open log.
#[derive(Debug)]
pub(crate) struct Audit {
    dir: OwnedFd,
    file: OwnedFd,
    chain: AuditChain,
    pending: String,
    /// Lines that were not even kept since the last that was written.
    lost: u64,
    /// Bytes of the file that are known to be whole and durable.
    size: u64,
    /// There may be more in the file than that, which must go before anything is added.
    is_torn: bool,
}

impl Audit {
    /// Opens the log in the launcher's directory and takes up the chain at its last line; a line that a crash cut short
    /// told of nothing that happened and is cut off.
    ///
    /// # Errors
    /// `EBADMSG` when the end of the file holds no line.
    pub(crate) fn open(dir: BorrowedFd<'_>) -> Sys<Self> {
        let file = open_log(dir)?;
        let size = u64::try_from(file::stat(&file)?.st_size).unwrap_or(0);
        let reader = file::open_at(dir, NAME, libc::O_RDONLY, 0)?;
        let from = size.saturating_sub(AUDIT_TAIL_MAX as u64);
        let tail = file::read_part(reader.as_fd(), from, AUDIT_TAIL_MAX)?;
        let (chain, torn) = AuditChain::of_tail(&tail, from > 0).ok_or(Errno(libc::EBADMSG))?;
        let size = size - torn as u64;
        if torn > 0 {
            file::truncate(&file, size)?;
        }
        let dir = file::open_dir(dir, c".")?;
        Ok(Self {
            dir,
            file,
            chain,
            pending: String::new(),
            lost: 0,
            size,
            is_torn: false,
        })
    }

    /// Adds a line; it is written by the next [`Audit::flush`].
    pub(crate) fn add(&mut self, event: &str, fields: &[(&str, &str)]) {
        if self.pending.len() >= PENDING_MAX {
            self.lost += 1;
        } else {
            self.add_line(event, fields);
        }
    }

    fn add_line(&mut self, event: &str, fields: &[(&str, &str)]) {
        let (line, chain) = self.chain.next(wall_ms(), event, fields);
        self.chain = chain;
        self.pending.push_str(&line);
    }

    /// Writes what was added and makes it durable.
    ///
    /// # Errors
    /// When the disk does not take it, or lines were lost before; then nothing that the lines tell may happen.
    pub(crate) fn flush(&mut self) -> Sys<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.write()?;
        let lost = std::mem::take(&mut self.lost);
        if lost == 0 {
            return Ok(());
        }
        self.add_line("lost", &[("lines", &lost.to_string())]);
        let _ = self.write();
        Err(Errno(libc::ENOSPC))
    }

    /// Writes what is pending. What a failed write has left is cut off before the next, so that no line is there twice.
    fn write(&mut self) -> Sys<()> {
        if self.is_torn {
            file::truncate(&self.file, self.size)?;
            self.is_torn = false;
        }
        if self.size > SIZE_MAX {
            match file::rename(self.dir.as_fd(), NAME, OLD_NAME) {
                // It was put aside before, and then no new one could be made.
                Ok(()) | Err(Errno(libc::ENOENT)) => {}
                Err(errno) => return Err(errno),
            }
            self.file = open_log(self.dir.as_fd())?;
            self.size = 0;
        }
        let written = file::write_all(self.file.as_raw_fd(), self.pending.as_bytes())
            .and_then(|()| file::sync(&self.file));
        if let Err(errno) = written {
            self.is_torn = file::truncate(&self.file, self.size).is_err();
            return Err(errno);
        }
        self.size += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }
}

fn open_log(dir: BorrowedFd<'_>) -> Sys<OwnedFd> {
    file::open_at(
        dir,
        NAME,
        libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND,
        0o600,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &std::path::Path) -> Vec<String> {
        let text = std::fs::read_to_string(path.join("audit.log")).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(str::to_owned).collect()
    }

    fn check_chain(lines: &[String]) {
        for pair in lines.windows(2) {
            let before = format!("{}\n", pair[0]);
            let (chain, _) = AuditChain::of_tail(before.as_bytes(), true).unwrap();
            let (like_it, _) = chain.next(0, "", &[]);
            let (_, prev) = like_it.rsplit_once("\"prev\"").unwrap();
            assert!(format!("{}\n", pair[1]).ends_with(prev), "{pair:?}");
        }
        assert!(lines[0].ends_with("\"prev\":\"-\"}"), "{}", lines[0]);
    }

    #[test]
    fn a_full_disk_leaves_every_line_once_and_whole() {
        let mut unique = [0; 8];
        let random = file::open(c"/dev/urandom", libc::O_RDONLY).unwrap();
        file::read(&random, &mut unique).unwrap();
        let path = std::env::temp_dir().join(format!("audit-{:x}", u64::from_le_bytes(unique)));
        std::fs::create_dir(&path).unwrap();
        let name = file::c_string(path.to_str().unwrap()).unwrap();
        let dir = file::open(&name, libc::O_RDONLY | libc::O_DIRECTORY).unwrap();
        let mut audit = Audit::open(dir.as_fd()).unwrap();
        audit.add("first", &[]);
        audit.flush().unwrap();
        let full = file::open(c"/dev/full", libc::O_WRONLY).unwrap();
        let good = std::mem::replace(&mut audit.file, full);
        audit.add("second", &[]);
        assert_eq!(audit.flush(), Err(Errno(libc::ENOSPC)));
        // As if the first bytes had been taken.
        let full = std::mem::replace(&mut audit.file, good);
        file::write_all(audit.file.as_raw_fd(), &audit.pending.as_bytes()[..20]).unwrap();
        audit.flush().unwrap();
        assert_eq!(lines(&path).len(), 2);
        // More than is kept: the rest is counted, and told of.
        let good = std::mem::replace(&mut audit.file, full);
        let long = "x".repeat(100_000);
        for _ in 0..20 {
            audit.add("third", &[("long", &long)]);
            assert!(audit.flush().is_err());
        }
        assert!(audit.pending.len() < PENDING_MAX + 2 * long.len());
        audit.file = good;
        assert_eq!(audit.flush(), Err(Errno(libc::ENOSPC)), "lines were lost");
        audit.add("last", &[]);
        audit.flush().unwrap();
        let found = lines(&path);
        check_chain(&found);
        assert!(found[found.len() - 2].contains("\"lost\",\"lines\":\"9\""));
        // A line that a crash cut short goes when the log is opened.
        file::write_all(audit.file.as_raw_fd(), b"{\"time_ms\":1").unwrap();
        let mut audit = Audit::open(dir.as_fd()).unwrap();
        audit.add("next", &[]);
        audit.flush().unwrap();
        let again = lines(&path);
        assert_eq!(again.len(), found.len() + 1);
        check_chain(&again);
        std::fs::remove_dir_all(path).unwrap();
    }
}
