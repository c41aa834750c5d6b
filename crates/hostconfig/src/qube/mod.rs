//! Reads Qube!'s `qb.conf` and `qbwrk.conf` and makes `workers.toml` of them, with a list of what it could not carry over.
//!
//! No value that may be a password is ever printed: what is left over is named by its key.

mod conf;
mod convert;
mod write;

use crate::findings::Finding;
use crate::limits::{FILE_BYTES_MAX, FINDINGS_MAX};
use crate::read::Workers;
use std::fmt;

/// A file to import.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// How messages call it.
    pub name: &'a str,
    /// What is in it.
    pub text: &'a str,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The text of `workers.toml`.
    pub toml: String,
    /// What is not in it, or not as it was.
    pub left: Vec<Left>,
}

/// Something that was not carried over, or not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// A key or a section.
    pub what: String,
    /// Why, and what to do.
    pub why: String,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}: {}",
            self.file, self.line, self.what, self.why
        )
    }
}

/// Makes `workers.toml` of the files, in their order: a later one overrides an earlier one.
///
/// # Errors
/// The name of a file that is too long.
pub fn import<'a>(files: &[File<'a>]) -> Result<Import, &'a str> {
    if let Some(long) = files.iter().find(|file| file.text.len() > FILE_BYTES_MAX) {
        return Err(long.name);
    }
    let mut made = convert::Made::default();
    for file in files {
        made.add(file, conf::read(file.text));
    }
    let (sections, mut left) = made.finish();
    left.truncate(FINDINGS_MAX);
    let names: Vec<&str> = files.iter().map(|file| file.name).collect();
    let toml = write::print(&names, &sections);
    left.extend(mistakes(&toml));
    Ok(Import { toml, left })
}

/// Finds what is wrong with the result after all, such as templates that inherit each other too deep.
fn mistakes(toml: &str) -> Vec<Left> {
    let (_, findings) = Workers::read(toml);
    let errors = findings.into_iter().filter(|it| it.is_error);
    let left = |finding: Finding| Left {
        file: RESULT.to_owned(),
        line: finding.place.line,
        what: "to be mended by hand".to_owned(),
        why: finding.text,
    };
    errors.map(left).collect()
}

/// How what is left to mend in the result calls it.
const RESULT: &str = "workers.toml";

impl Import {
    /// Says whether the result can be used without mending it.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.left.iter().all(|it| it.file != RESULT)
    }
}
