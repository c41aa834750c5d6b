//! Looking whether both logs are whole: every line names the one before it, over all files, and what was put aside is there.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use tessera_ticket::{AUDIT_TAIL_MAX, sha256_of};

use crate::{ASKED, ASKED_OLD, HAPPENED, HAPPENED_OLD, PUT_ASIDE, log};

/// What was found of one log.
#[derive(Debug, Default)]
struct Whole {
    lines: u64,
    files: u32,
    /// Whether its first line is the first that there ever was.
    is_from_the_start: bool,
    /// Digests of the last lines of its files.
    ends: Vec<String>,
    /// The digest of the last line that another log lost a file with.
    put_aside: Option<String>,
    /// Whether bytes behind the last line are no line: it is being written, or a crash cut it short.
    is_cut: bool,
}

/// Looks at the logs in a launcher's directory; returns what is there, in lines of text.
///
/// # Errors
/// A sentence on the first place where a line is missing or is not what it was.
pub fn verify(dir: &Path) -> Result<String, String> {
    let happened = read(dir, HAPPENED, HAPPENED_OLD)?;
    let asked = read(dir, ASKED, ASKED_OLD)?;
    if let Some(last) = &happened.put_aside
        && !asked.ends.contains(last)
    {
        return Err(format!(
            "{ASKED}: {HAPPENED} says that a file of it was put aside, and the one that ends so is not there ({last})"
        ));
    }
    let mut text = String::new();
    for (name, log) in [(HAPPENED, &happened), (ASKED, &asked)] {
        let (lines, files) = (log.lines, log.files);
        // Writing to a String can't fail.
        let _ = write!(text, "{name}: {lines} lines in {files} files, whole");
        if lines > 0 && !log.is_from_the_start {
            text.push_str("; what was before them is no longer kept");
        }
        if log.is_cut {
            text.push_str("; behind the last is one that is being written, or was cut short");
        }
        text.push('\n');
    }
    Ok(text)
}

/// Reads a log, the oldest file first.
fn read(dir: &Path, name: &str, old_max: u32) -> Result<Whole, String> {
    let path = dir.join(name);
    let olds = (1..=old_max).rev().map(|number| log::old(&path, number));
    let mut whole = Whole::default();
    for path in olds.chain([path.clone()]) {
        match File::open(&path) {
            Ok(file) => read_file(&path, file, &mut whole)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{}: {error}", path.display())),
        }
    }
    Ok(whole)
}

fn read_file(path: &Path, file: File, whole: &mut Whole) -> Result<(), String> {
    let at = |number: u64, what: &str| format!("{}, line {number}: {what}", path.display());
    if whole.is_cut {
        return Err(at(
            1,
            "the file before this one ends in the middle of a line",
        ));
    }
    let mut reader = BufReader::new(file);
    whole.files += 1;
    for number in 1.. {
        let mut line = Vec::new();
        let mut part = (&mut reader).take(AUDIT_TAIL_MAX as u64);
        let read = part.read_until(b'\n', &mut line);
        read.map_err(|error| at(number, &error.to_string()))?;
        if line.is_empty() {
            break;
        }
        if line.pop() != Some(b'\n') {
            whole.is_cut = true;
            break;
        }
        let line = String::from_utf8(line).map_err(|_| at(number, "is not text"))?;
        let before = before(&line).ok_or_else(|| at(number, "names no line before it"))?;
        match whole.ends.last() {
            None => whole.is_from_the_start = before == "-",
            Some(last) if last == before => {}
            Some(_) => {
                return Err(at(
                    number,
                    "the line before it is not the one that it names: one was taken out, put in or changed",
                ));
            }
        }
        let digest = sha256_of(&line);
        if number == 1 {
            whole.ends.push(digest);
        } else if let Some(last) = whole.ends.last_mut() {
            *last = digest;
        }
        whole.lines += 1;
        whole.put_aside = put_aside(&line).or(whole.put_aside.take());
    }
    Ok(())
}

/// Returns the digest that a line names as the one before it.
fn before(line: &str) -> Option<&str> {
    let (_, rest) = line.rsplit_once(",\"prev\":\"")?;
    rest.strip_suffix("\"}")
}

/// Returns the last line of a file that this line says was put aside.
fn put_aside(line: &str) -> Option<String> {
    let event = format!(",\"event\":\"{PUT_ASIDE}\",\"log\":\"{ASKED}\",\"last\":\"");
    let (_, rest) = line.split_once(&event)?;
    rest.split_once('"').map(|(last, _)| last.to_owned())
}
