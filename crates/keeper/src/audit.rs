//! The launcher's own record of what it started and refused: JSON lines, each with the digest of the one before it, durable
//! before what they tell happens.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use tessera_ticket::{AUDIT_TAIL_MAX, AuditChain};

/// At this size the file is put aside as `audit.log.1` and a new one begins, chained to its last line.
const SIZE_MAX: u64 = 64 << 20;
const NAME: &str = "audit.log";
const OLD_NAME: &str = "audit.log.1";

/// The open log.
#[derive(Debug)]
pub struct Audit {
    dir: PathBuf,
    file: Option<File>,
    chain: AuditChain,
    size: u64,
}

impl Audit {
    /// Opens the log in the launcher's directory and takes up the chain at its last line; a line that a crash cut short told of
    /// nothing that happened and is cut off.
    ///
    /// # Errors
    /// When it can't be read or written.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join(NAME);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path)?;
        let size = file.metadata()?.len();
        let from = size.saturating_sub(AUDIT_TAIL_MAX as u64);
        file.seek(SeekFrom::Start(from))?;
        let mut tail = Vec::new();
        (&file).take(AUDIT_TAIL_MAX as u64).read_to_end(&mut tail)?;
        let (chain, torn) =
            AuditChain::of_tail(&tail, from > 0).ok_or(io::ErrorKind::InvalidData)?;
        let size = size - torn as u64;
        file.set_len(size)?;
        file.seek(SeekFrom::Start(size))?;
        Ok(Self {
            dir: dir.to_owned(),
            file: Some(file),
            chain,
            size,
        })
    }

    /// Adds a line and makes it durable.
    ///
    /// # Errors
    /// When the disk does not take it; then nothing that the line tells may happen.
    pub fn add(&mut self, now: u64, event: &str, fields: &[(&str, &str)]) -> io::Result<()> {
        let (line, chain) = self.chain.next(now, event, fields);
        if self.size > SIZE_MAX {
            // A file that is open can't always be renamed on Windows.
            self.file = None;
            std::fs::rename(self.dir.join(NAME), self.dir.join(OLD_NAME))?;
            self.size = 0;
        }
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.reopen()?,
        };
        file.write_all(line.as_bytes())?;
        file.sync_data()?;
        self.file = Some(file);
        self.size += line.len() as u64;
        self.chain = chain;
        Ok(())
    }

    /// Opens the file behind its last whole line, after a write that failed.
    fn reopen(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.dir.join(NAME))?;
        file.set_len(self.size)?;
        file.seek(SeekFrom::End(0))?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_chained_over_restarts_and_cut_ends() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(NAME);
        let mut audit = Audit::open(dir.path()).expect("opens");
        audit
            .add(1, "a", &[("x", "line\n\"break\u{202e}")])
            .expect("adds");
        drop(audit);
        let text = std::fs::read_to_string(&path).expect("reads");
        std::fs::write(&path, format!("{text}{{\"half")).expect("writes");
        let mut audit = Audit::open(dir.path()).expect("opens");
        audit.add(2, "b", &[]).expect("adds");
        audit.add(3, "c", &[]).expect("adds");
        let text = std::fs::read_to_string(&path).expect("reads");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            lines[0],
            r#"{"time_ms":1,"event":"a","x":"line\u000a\"break\u202e","prev":"-"}"#
        );
        for pair in lines.windows(2) {
            let before = format!("{}\n", pair[0]);
            let (chain, _) = AuditChain::of_tail(before.as_bytes(), true).expect("a line");
            let (like_it, _) = chain.next(0, "", &[]);
            let (_, prev) = like_it.rsplit_once("\"prev\"").expect("is there");
            assert!(format!("{}\n", pair[1]).ends_with(prev), "{pair:?}");
        }
    }
}
