//! What a launcher leaves when it ends in the middle: accounts of slots that are enabled, private directories. Each logon is on record
//! before it begins and until all of it is taken back; the next launcher takes back what is still on record.
//!
//! **Invariant:** a private directory is emptied as the account that it was made for, never as the system: what lies there is a job's.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tessera_ticket::LaunchKey;
use tessera_windows::logon::Password;

use crate::name::{Authority, Name};
use crate::os::Os;

/// Where logons are on record, below the launcher's directory.
const LOGONS: &str = "logons";
/// The most bytes of a record.
const RECORD_MAX: u64 = 4 * 1024;

/// One logon as it is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who was to be become.
    pub name: Name,
    /// Whether it is an account that the launcher makes.
    pub is_made: bool,
    /// The directory that is made for it.
    pub private: PathBuf,
}

/// The records of a launcher.
#[derive(Debug)]
pub struct Records(PathBuf);

impl Records {
    /// Opens them in the launcher's directory.
    ///
    /// # Errors
    /// When there can be none.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let dir = dir.join(LOGONS);
        std::fs::create_dir_all(&dir)?;
        Ok(Self(dir))
    }

    /// Puts a logon on record, durably: nothing of it has been done yet.
    ///
    /// # Errors
    /// When that can't be.
    pub fn add(&self, key: LaunchKey, record: &Record) -> io::Result<()> {
        let mut file = std::fs::File::create(self.0.join(key.to_string()))?;
        let private = record.private.to_str().ok_or(io::ErrorKind::InvalidInput)?;
        let (name, made) = (&record.name, if record.is_made { "yes" } else { "no" });
        write!(file, "name = {name}\nmade = {made}\nprivate = {private}\n")?;
        file.sync_all()
    }

    /// Strikes one out of which everything was taken back.
    pub fn strike(&self, key: LaunchKey) {
        // What stays is looked at again at the next start, and found to be gone.
        let _ = std::fs::remove_file(self.0.join(key.to_string()));
    }

    /// Answers all that is on record; what can't be read is named.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub fn all(&self) -> io::Result<Vec<(String, Option<Record>)>> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let mut text = String::new();
            let file = std::fs::File::open(entry.path())?;
            let read = file.take(RECORD_MAX).read_to_string(&mut text);
            all.push((name, read.ok().and_then(|_| Record::parse(&text))));
        }
        Ok(all)
    }
}

impl Record {
    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().collect();
        let [name, made, private] = lines.as_slice() else {
            return None;
        };
        Some(Self {
            name: Name::parse(name.strip_prefix("name = ")?, &Authority::Local).ok()?,
            is_made: match made.strip_prefix("made = ")? {
                "yes" => true,
                "no" => false,
                _ => return None,
            },
            private: PathBuf::from(private.strip_prefix("private = ")?),
        })
    }
}

/// Takes back what is left of logons; answers what could not be, for people. Nothing of these launches runs any more: `is_over` says so
/// of each by its name, and the others stay on record.
///
/// # Errors
/// When it can't be read what there is.
pub fn clear<O: Os>(
    os: &Arc<O>,
    records: &Records,
    is_over: impl Fn(&str) -> bool,
) -> io::Result<Vec<String>> {
    let mut problems = Vec::new();
    for (key, record) in records.all()? {
        let Some(record) = record else {
            // Cut off in the middle of being written: nothing had begun.
            let _ = std::fs::remove_file(records.0.join(&key));
            continue;
        };
        if !is_over(&key) {
            problems.push(format!("launch {key} still runs"));
            continue;
        }
        match clear_one(os, &record) {
            Ok(()) => {
                let _ = std::fs::remove_file(records.0.join(&key));
            }
            Err(what) => problems.push(format!("launch {key} as {}: {what}", record.name)),
        }
    }
    Ok(problems)
}

/// Empties the private directory as its account, and disables the account if it is one of the launcher's own.
fn clear_one<O: Os>(os: &Arc<O>, record: &Record) -> Result<(), String> {
    let emptied = if os.is_there(&record.private) {
        remove_as(os, record).map_err(|error| format!("{}: {error}", record.private.display()))
    } else {
        Ok(())
    };
    if record.is_made {
        let disabled = os.disable(&record.name.account);
        disabled.map_err(|error| format!("the account can't be disabled: {error}"))?;
    }
    emptied
}

/// Becomes the account once more, without anybody's password: one that was made here has a new one, all others need none for what
/// lies on this host.
fn remove_as<O: Os>(os: &Arc<O>, record: &Record) -> io::Result<()> {
    let refused = |error: tessera_windows::logon::LogonError| io::Error::other(error);
    let token = if record.is_made {
        let password = Password::of_chance(os.chance()?);
        os.renew(&record.name.account, &password)?;
        os.logon_password(&record.name, &password)
    } else {
        os.logon_s4u(&record.name)
    };
    let token = token.map_err(refused)?;
    let expected = os.look_up(&record.name).map_err(refused)?;
    if os.who(&token)?.user != expected {
        return Err(io::Error::other("the logon is another account's"));
    }
    os.remove_private(&token, &record.private)
}
