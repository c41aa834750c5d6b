//! The file in which the launcher keeps what tickets it has seen ([`tessera_ticket::Nonces`]), so that a restart reopens
//! nothing.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use tessera_ticket::{LaunchKey, NONCE_RECORD_LEN, NONCES_BYTES_MAX, Refusal, Ticket};

/// The most bytes at the end of the file that may be unreadable: less than a record, since each is made durable by itself.
const TORN_MAX: usize = NONCE_RECORD_LEN - 1;
const NAME: &str = "nonces";
const NEW_NAME: &str = "nonces.new";

/// The memory of tickets and its file.
#[derive(Debug)]
pub struct Nonces {
    dir: PathBuf,
    file: Option<File>,
    seen: tessera_ticket::Nonces,
}

impl Nonces {
    /// Opens and reads the file in the launcher's directory; a record that a crash cut short is passed over.
    ///
    /// # Errors
    /// `InvalidData` when anything else in it is no record: then it can't be relied on.
    pub fn open(dir: &Path, now: u64) -> io::Result<Self> {
        let mut bytes = Vec::new();
        match File::open(dir.join(NAME)) {
            Ok(file) => {
                let max = NONCES_BYTES_MAX as u64;
                file.take(max + 1).read_to_end(&mut bytes)?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        if bytes.len() > NONCES_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let seen = tessera_ticket::Nonces::read(&bytes, TORN_MAX);
        let mut nonces = Self {
            dir: dir.to_owned(),
            file: None,
            seen: seen.map_err(|damage| io::Error::new(io::ErrorKind::InvalidData, damage))?,
        };
        nonces.seen.prune(now);
        nonces.compact()?;
        Ok(nonces)
    }

    /// Remembers a new ticket, durably.
    ///
    /// # Errors
    /// Replayed, superseded, from a time that was forgotten; or the disk does not take it.
    pub fn take(&mut self, ticket: &Ticket, now: u64) -> Result<(), Refusal> {
        self.check(ticket)?;
        self.seen.add(ticket);
        self.flush(now)
    }

    /// Says whether a ticket is new.
    ///
    /// # Errors
    /// Replayed, superseded, or from a time that was forgotten.
    pub fn check(&self, ticket: &Ticket) -> Result<(), Refusal> {
        self.seen.check(ticket)
    }

    /// Bars a launch and those before it from ever starting, whatever ticket comes; durable when it returns.
    ///
    /// # Errors
    /// When too much is barred, or the disk does not take it.
    pub fn bar(&mut self, key: LaunchKey, now: u64) -> Result<(), Refusal> {
        self.seen.bar(key, now)?;
        self.flush(now)
    }

    fn flush(&mut self, now: u64) -> Result<(), Refusal> {
        self.write(now).map_err(|error| {
            let errno = error.raw_os_error().unwrap_or(0);
            Refusal::StateUnwritable { errno }
        })
    }

    fn write(&mut self, now: u64) -> io::Result<()> {
        if self.seen.pending().is_empty() {
            return Ok(());
        }
        if self.seen.is_grown() {
            self.seen.prune(now);
            return self.compact();
        }
        // After a write that failed the file is made anew: nothing may stand behind half a record.
        let Some(mut file) = self.file.take() else {
            return self.compact();
        };
        file.write_all(self.seen.pending())?;
        file.sync_data()?;
        self.file = Some(file);
        self.seen.on_written();
        Ok(())
    }

    /// Writes the file anew, first whole under another name.
    fn compact(&mut self) -> io::Result<()> {
        let (old, new) = (self.dir.join(NAME), self.dir.join(NEW_NAME));
        let mut file = File::create(&new)?;
        file.write_all(&self.seen.whole())?;
        file.sync_all()?;
        // A file that is open can't always be replaced on Windows.
        drop(file);
        self.file = None;
        std::fs::rename(&new, &old)?;
        self.file = Some(OpenOptions::new().append(true).open(&old)?);
        self.seen.on_rewritten();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_ticket::{Digest, Mode};

    fn ticket(nonce: u8, launch: u32, expires_ms: u64) -> Ticket {
        Ticket {
            farm: [0; 16],
            host: [0; 16],
            key: LaunchKey {
                job: 5,
                instance: 0,
                launch,
            },
            principal: "mia".into(),
            proven: "test".into(),
            mode: Mode::User,
            account: "mia".into(),
            items: Vec::new(),
            template: Digest([0; 32]),
            not_before_ms: 0,
            expires_ms,
            nonce: [nonce; 16],
            limits: tessera_ticket::KernelLimits::default(),
        }
    }

    #[test]
    fn p03_a_ticket_counts_once_also_after_a_restart() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut nonces = Nonces::open(dir.path(), 0).expect("opens");
        let first = ticket(1, 1, 1_000);
        assert_eq!(nonces.take(&first, 10), Ok(()));
        assert_eq!(nonces.take(&first, 10), Err(Refusal::TicketReplayed));
        let older = ticket(2, 1, 1_000);
        let superseded = Err(Refusal::TicketSuperseded { last: 1 });
        assert_eq!(nonces.take(&older, 10), superseded);
        // Windows replaces no file that is open: each launcher is gone before the next.
        drop(nonces);
        for _ in 0..2 {
            let mut again = Nonces::open(dir.path(), 20).expect("opens");
            assert_eq!(again.take(&first, 20), Err(Refusal::TicketReplayed));
            assert_eq!(again.take(&older, 20), superseded);
        }
        let mut again = Nonces::open(dir.path(), 20).expect("opens");
        assert_eq!(again.take(&ticket(3, 2, 1_000), 20), Ok(()));
        drop(again);
        // What was forgotten does not count again when the clock goes back.
        let mut later = Nonces::open(dir.path(), 5_000).expect("opens");
        assert_eq!(
            later.take(&ticket(4, 9, 900), 10),
            Err(Refusal::TicketExpired { late_seconds: 0 })
        );
    }

    #[test]
    fn a_launch_that_is_barred_never_starts() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut nonces = Nonces::open(dir.path(), 0).expect("opens");
        let late = ticket(1, 7, 1_000);
        assert_eq!(nonces.bar(late.key, 10), Ok(()));
        assert_eq!(
            nonces.take(&late, 10),
            Err(Refusal::TicketSuperseded { last: 7 })
        );
        drop(nonces);
        let mut again = Nonces::open(dir.path(), 20).expect("opens");
        assert_eq!(
            again.take(&late, 20),
            Err(Refusal::TicketSuperseded { last: 7 })
        );
        assert_eq!(again.take(&ticket(2, 8, 1_000), 20), Ok(()));
    }

    #[test]
    fn half_a_record_is_passed_over_and_a_damaged_one_is_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = ticket(1, 1, 1_000);
        Nonces::open(dir.path(), 0)
            .expect("opens")
            .take(&first, 1)
            .expect("is new");
        let path = dir.path().join(NAME);
        let whole = std::fs::read(&path).expect("reads");
        std::fs::write(&path, [&whole[..], &[1; 30]].concat()).expect("writes");
        let mut nonces = Nonces::open(dir.path(), 2).expect("opens");
        assert_eq!(nonces.take(&first, 2), Err(Refusal::TicketReplayed));
        drop(nonces);
        let mut damaged = whole;
        damaged[NONCE_RECORD_LEN + 3] ^= 1;
        std::fs::write(&path, damaged).expect("writes");
        let error = Nonces::open(dir.path(), 2).expect_err("damaged");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
