//! The launcher's own record of what it started and refused: JSON lines, each with the digest of the one before it, durable
//! before what they tell happens.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// At this size the file is put aside as `audit.log.1` and a new one begins, chained to its last line.
const SIZE_MAX: u64 = 64 << 20;
/// The bytes of the old end that are read to find the last line, which is far shorter.
const TAIL: u64 = 256 << 10;
const NAME: &str = "audit.log";
const OLD_NAME: &str = "audit.log.1";

/// The open log.
#[derive(Debug)]
pub struct Audit {
    dir: PathBuf,
    file: Option<File>,
    last: String,
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
        file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
        let mut tail = Vec::new();
        (&file).take(TAIL).read_to_end(&mut tail)?;
        let torn = tail.iter().rev().take_while(|it| **it != b'\n').count();
        let size = size - torn as u64;
        file.set_len(size)?;
        file.seek(SeekFrom::Start(size))?;
        tail.truncate(tail.len() - torn);
        let tail = String::from_utf8_lossy(&tail);
        let last = tail.lines().last().map_or_else(|| "-".to_owned(), digest);
        Ok(Self {
            dir: dir.to_owned(),
            file: Some(file),
            last,
            size,
        })
    }

    /// Adds a line and makes it durable.
    ///
    /// # Errors
    /// When the disk does not take it; then nothing that the line tells may happen.
    pub fn add(&mut self, now: u64, event: &str, fields: &[(&str, &str)]) -> io::Result<()> {
        let mut line = format!("{{\"time_ms\":{now},\"event\":");
        quote(&mut line, event);
        for (name, value) in fields {
            line.push(',');
            quote(&mut line, name);
            line.push(':');
            quote(&mut line, value);
        }
        line.push_str(",\"prev\":");
        quote(&mut line, &self.last);
        line.push('}');
        let digest = digest(&line);
        line.push('\n');
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
        self.last = digest;
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

fn digest(line: &str) -> String {
    let sum = Sha256::digest(line.as_bytes());
    sum.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Writes a text so that it is one value, whatever is in it: also no line break, and nothing that turns a terminal's text
/// around.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        let is_plain = !c.is_control()
            && !('\u{202a}'..='\u{202e}').contains(&c)
            && !('\u{2066}'..='\u{2069}').contains(&c);
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            _ if is_plain => out.push(c),
            _ => {
                // Writing to a String can't fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
        }
    }
    out.push('"');
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
            assert!(pair[1].ends_with(&format!("\"prev\":\"{}\"}}", digest(pair[0]))));
        }
    }
}
