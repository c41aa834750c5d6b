//! What a launcher leaves when it ends in the middle: accounts of slots that are enabled, private directories. Each logon is on record
//! before it begins and until all of it is taken back; what could not be taken back stays there, and is tried again.
//!
//! **Invariant:** a private directory is emptied as the account that it was made for, never as the system: what lies there is a job's.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tessera_windows::logon::Password;

use crate::name::{Authority, Name};
use crate::os::Os;

/// Where logons are on record, below the launcher's directory.
const LOGONS: &str = "logons";
/// The most bytes of a record: a path of Windows has 32 thousand units at most.
const RECORD_MAX: u64 = 128 * 1024;
/// What a record begins with: how many bytes are behind this line.
const LENGTH: &str = "length = ";

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

/// What a record turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Was {
    /// It is whole.
    Whole(Record),
    /// The launcher ended while it was written: nothing of the logon had begun.
    CutOff,
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
    pub fn add(&self, key: &str, record: &Record) -> io::Result<()> {
        let text = record.text().ok_or(io::ErrorKind::InvalidInput)?;
        let mut file = std::fs::File::create(self.0.join(key))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    /// Strikes one out of which everything was taken back.
    pub fn strike(&self, key: &str) {
        // What stays is looked at again at the next start, and found to be gone.
        let _ = std::fs::remove_file(self.0.join(key));
    }

    /// Answers all that is on record.
    ///
    /// # Errors
    /// A sentence that names what can't be read: nobody could say which accounts are taken.
    pub fn all(&self) -> Result<Vec<(String, Was)>, String> {
        let failed = |path: &Path| {
            let path = path.display().to_string();
            move |error: io::Error| format!("{path}: {error}")
        };
        let mut all = Vec::new();
        for entry in std::fs::read_dir(&self.0).map_err(failed(&self.0))? {
            let entry = entry.map_err(failed(&self.0))?;
            let path = entry.path();
            let key = entry.file_name().to_string_lossy().into_owned();
            let file = std::fs::File::open(&path).map_err(failed(&path))?;
            let mut bytes = Vec::new();
            let read = file.take(RECORD_MAX).read_to_end(&mut bytes);
            read.map_err(failed(&path))?;
            let record = std::str::from_utf8(&bytes).ok().and_then(Record::parse);
            all.push((key, record.map_or(Was::CutOff, Was::Whole)));
        }
        Ok(all)
    }
}

impl Record {
    /// Writes it, behind its length; nothing where the directory can't be written.
    fn text(&self) -> Option<String> {
        let private = self.private.to_str().filter(|it| !it.contains('\n'))?;
        let (name, made) = (&self.name, if self.is_made { "yes" } else { "no" });
        let body = format!("name = {name}\nmade = {made}\nprivate = {private}\n");
        Some(format!("{LENGTH}{}\n{body}", body.len()))
    }

    /// Reads one that is whole. Those of earlier launchers say no length; they are whole when their last line is.
    fn parse(text: &str) -> Option<Self> {
        let body = match text.strip_prefix(LENGTH) {
            Some(rest) => {
                let (length, body) = rest.split_once('\n')?;
                (length.parse() == Ok(body.len())).then_some(body)?
            }
            None => text,
        };
        let lines: Vec<&str> = body.strip_suffix('\n')?.split('\n').collect();
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

/// Takes back what is left of a logon of which nothing runs: empties the private directory as its account, and disables the account if it is
/// one of the launcher's own.
///
/// # Errors
/// What could not be taken back, for people.
pub fn take_back<O: Os>(os: &Arc<O>, record: &Record) -> Result<(), String> {
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
