//! What this worker knows of registrations: the newest number that it heard of, the SID that it found, and what was not
//! good. Kept over its restarts, so that nobody can bring an older registration back or have a wrong password tried twice.

use super::secrets::write_whole;
use crate::os;
use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use tessera_model::credential::{AccountKind, CredentialId, Verdict};

const FILE: &str = "seen";
/// Accounts that are remembered.
const ENTRIES_MAX: usize = 20_000;
/// Bytes of the file.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// What is known of one account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Seen {
    /// The newest registration or revocation.
    pub(super) sequence: u64,
    /// The number of the check that found what follows.
    pub(super) check: u32,
    /// The SID that the name stood for when the registration was first tried.
    pub(super) sid: String,
    /// What was wrong with it.
    pub(super) failed: Option<Verdict>,
}

/// What is known of all accounts.
#[derive(Debug)]
pub(super) struct Memory {
    dir: PathBuf,
    seen: BTreeMap<CredentialId, Seen>,
}

impl Memory {
    /// Reads what an earlier worker knew.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let mut memory = Self {
            dir: dir.to_owned(),
            seen: BTreeMap::new(),
        };
        let mut text = String::new();
        match os::to_read().open(dir.join(FILE)) {
            Ok(file) => _ = file.take(FILE_BYTES_MAX).read_to_string(&mut text)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        for line in text.lines() {
            let (id, seen) = parse(line).ok_or_else(|| {
                let why = format!("{} is damaged at {line:?}", dir.join(FILE).display());
                io::Error::new(io::ErrorKind::InvalidData, why)
            })?;
            memory.seen.insert(id, seen);
        }
        Ok(memory)
    }

    pub(super) fn get(&self, id: &CredentialId) -> Seen {
        self.seen.get(id).cloned().unwrap_or_default()
    }

    /// Remembers; durable when it answers, and then only if that changes something.
    pub(super) fn set(&mut self, id: &CredentialId, seen: Seen) -> io::Result<()> {
        if self.seen.get(id) == Some(&seen) {
            return Ok(());
        }
        if self.seen.len() >= ENTRIES_MAX && !self.seen.contains_key(id) {
            let why = format!(
                "{ENTRIES_MAX} accounts have registered passwords for this worker; no more are taken"
            );
            return Err(io::Error::other(why));
        }
        self.seen.insert(id.clone(), seen);
        let text: String = self.seen.iter().map(|(id, seen)| print(id, seen)).collect();
        write_whole(&self.dir, FILE, text.as_bytes())
    }
}

fn print(id: &CredentialId, seen: &Seen) -> String {
    let failed = seen.failed.map_or("-", Verdict::word);
    let sid = if seen.sid.is_empty() { "-" } else { &seen.sid };
    let (kind, account, pool) = (id.kind.word(), &id.account, &id.pool);
    format!(
        "{kind} {account} {pool} {} {} {sid} {failed}\n",
        seen.sequence, seen.check
    )
}

fn parse(line: &str) -> Option<(CredentialId, Seen)> {
    let words: Vec<&str> = line.split(' ').collect();
    let [kind, account, pool, sequence, check, sid, failed] = words.try_into().ok()?;
    let id = CredentialId {
        kind: AccountKind::of_word(kind)?,
        account: account.parse().ok()?,
        pool: pool.parse().ok()?,
    };
    let failed = match failed {
        "-" => None,
        word => Some(Verdict::of_word(word)?),
    };
    let seen = Seen {
        sequence: sequence.parse().ok()?,
        check: check.parse().ok()?,
        sid: if sid == "-" {
            String::new()
        } else {
            sid.to_owned()
        },
        failed,
    };
    Some((id, seen))
}
