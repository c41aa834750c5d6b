//! What a launcher leaves when it ends in the middle: accounts that are enabled, private directories. Each session is on record before
//! it begins and until all of it is taken back; what could not be taken back stays there, and is tried again.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Where sessions are on record, below the launcher's directory.
const LOGONS: &str = "logons";
/// The most bytes of a record: a path of Windows has 32 thousand units at most.
const RECORD_MAX: u64 = 128 * 1024;
/// What a record begins with: how many bytes are behind this line.
const LENGTH: &str = "length = ";

/// One session as it is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who was to be become.
    pub account: String,
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
    /// The launcher ended while it was written: nothing of the session had begun.
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

    /// Puts a session on record, durably: nothing of it has been done yet.
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
    /// Writes it, behind its length; nothing where that can't be read again.
    fn text(&self) -> Option<String> {
        let (account, private) = (&self.account, self.private.to_str()?);
        let made = if self.is_made { "yes" } else { "no" };
        let body = format!("name = {account}\nmade = {made}\nprivate = {private}\n");
        let text = format!("{LENGTH}{}\n{body}", body.len());
        (Self::parse(&text).as_ref() == Some(self)).then_some(text)
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
            account: name.strip_prefix("name = ")?.to_owned(),
            is_made: match made.strip_prefix("made = ")? {
                "yes" => true,
                "no" => false,
                _ => return None,
            },
            private: PathBuf::from(private.strip_prefix("private = ")?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            account: r".\tessera-job1".to_owned(),
            is_made: true,
            private: PathBuf::from("/state/tmp/12.0.1"),
        }
    }

    #[test]
    fn a_record_that_was_cut_off_is_none() {
        let whole = record().text().expect("can be written");
        assert_eq!(Record::parse(&whole), Some(record()));
        for len in 0..whole.len() {
            assert_eq!(Record::parse(&whole[..len]), None, "{len}");
        }
        // Also one whose middle never reached the disk: what it names is another directory.
        assert_eq!(Record::parse(&whole.replace("12.0.1", "")), None);
        // One of an earlier launcher says no length.
        let (_, old) = whole.split_once('\n').expect("lines");
        assert_eq!(Record::parse(old), Some(record()));
        for len in 0..old.len() {
            assert_eq!(Record::parse(&old[..len]), None, "{len}");
        }
    }

    #[test]
    fn what_could_not_be_read_again_is_not_written() {
        let mut torn = record();
        torn.private = PathBuf::from("/state/a\nb");
        assert_eq!(torn.text(), None);
        let mut two = record();
        two.account = "a\nmade = yes".to_owned();
        assert_eq!(two.text(), None);
    }

    #[test]
    fn what_can_not_be_read_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let records = Records::open(dir.path()).expect("opens");
        records.add("12.0.1", &record()).expect("written");
        let found = vec![("12.0.1".to_owned(), Was::Whole(record()))];
        assert_eq!(records.all(), Ok(found));
        records.strike("12.0.1");
        assert_eq!(records.all(), Ok(Vec::new()));
        std::fs::create_dir(dir.path().join(LOGONS).join("12.0.2")).expect("made");
        let error = records.all().expect_err("a directory is no record");
        assert!(error.contains("12.0.2"), "{error}");
    }
}
