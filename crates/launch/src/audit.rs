//! The launcher's own record of what it started and refused: JSON lines, each carrying the digest of the one before it,
//! made durable before what they tell happens.

use std::ffi::CStr;
use std::fmt::Write as _;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use sha2::{Digest as _, Sha256};

use crate::sys::{Sys, file, wall_ms};

/// At this size the file is put aside as `audit.log.1` and a new one begins, chained to its last line.
const SIZE_MAX: u64 = 64 << 20;
/// The bytes of the old end that are read to find the last line, which is far shorter.
const TAIL: usize = 256 << 10;
const NAME: &CStr = c"audit.log";
const OLD_NAME: &CStr = c"audit.log.1";

/// The open log.
#[derive(Debug)]
pub(crate) struct Audit {
    dir: OwnedFd,
    file: OwnedFd,
    last: String,
    pending: String,
    size: u64,
}

impl Audit {
    /// Opens the log in the launcher's directory and takes up the chain at its last line.
    pub(crate) fn open(dir: BorrowedFd<'_>) -> Sys<Self> {
        let file = open_log(dir)?;
        let size = u64::try_from(file::stat(&file)?.st_size).unwrap_or(0);
        let reader = file::open_at(dir, NAME, libc::O_RDONLY, 0)?;
        let tail = file::read_part(reader.as_fd(), size.saturating_sub(TAIL as u64), TAIL)?;
        let tail = String::from_utf8_lossy(&tail);
        let last = tail.lines().last().map_or_else(|| "-".to_owned(), digest);
        let dir = file::open_dir(dir, c".")?;
        Ok(Self {
            dir,
            file,
            last,
            pending: String::new(),
            size,
        })
    }

    /// Adds a line; it is written by the next [`Audit::flush`].
    pub(crate) fn add(&mut self, event: &str, fields: &[(&str, &str)]) {
        let mut line = format!("{{\"time_ms\":{},\"event\":", wall_ms());
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
        self.last = digest(&line);
        self.pending.push_str(&line);
        self.pending.push('\n');
    }

    /// Writes what was added and makes it durable.
    ///
    /// # Errors
    /// When the disk does not take it; then nothing that the lines tell may happen.
    pub(crate) fn flush(&mut self) -> Sys<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if self.size > SIZE_MAX {
            file::rename(self.dir.as_fd(), NAME, OLD_NAME)?;
            self.file = open_log(self.dir.as_fd())?;
            self.size = 0;
        }
        file::write_all(self.file.as_raw_fd(), self.pending.as_bytes())?;
        file::sync(&self.file)?;
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

fn digest(line: &str) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(line.as_bytes()) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Writes a JSON string; control characters and everything that is not ASCII are escaped, so that no value can draw on a
/// terminal or look like a line of its own.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            ' '..='~' => out.push(c),
            _ => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_break_out() {
        let mut out = String::new();
        quote(&mut out, "a\"b\\c\nd\u{1b}[31mé\u{202e}😀");
        assert_eq!(out, r#""a\"b\\c\u000ad\u001b[31m\u00e9\u202e\ud83d\ude00""#);
    }
}
