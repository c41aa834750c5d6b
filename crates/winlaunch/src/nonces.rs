//! Which tickets were seen: nonces until their tickets expire and the last launch of each instance, on disk, so that a
//! restart of the launcher reopens nothing.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tessera_ticket::{LaunchKey, Refusal, SKEW_MAX_MS, TICKET_LIFETIME_MAX_MS, Ticket};

/// How long a launch number is kept after its ticket expired: as long as an older ticket could be valid.
const LAUNCH_KEPT_MS: u64 = TICKET_LIFETIME_MAX_MS + SKEW_MAX_MS;
/// The file is rewritten without what has expired when it holds more records than this.
const COMPACT_AT: usize = 8_192;
/// The most bytes of the file.
const FILE_MAX: u64 = 64 << 20;
/// The most instances whose launches are barred; with more, nothing is vouched for until some are forgotten.
const BARRED_MAX: usize = 262_144;
const RECORD: usize = 48;
const NAME: &str = "nonces";
const NEW_NAME: &str = "nonces.new";

/// The memory of tickets.
#[derive(Debug)]
pub struct Nonces {
    dir: PathBuf,
    file: Option<File>,
    records: usize,
    seen: BTreeMap<[u8; 16], u64>,
    launches: BTreeMap<(u64, u32), (u32, u64)>,
    /// Tickets that expire no later than this were forgotten, so none of them counts again, whatever the clock says.
    forgotten_until: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Record {
    nonce: [u8; 16],
    key: (u64, u32, u32),
    expires_ms: u64,
}

impl Nonces {
    /// Opens and reads the file in the launcher's directory; a record that a crash cut short is passed over.
    ///
    /// # Errors
    /// `InvalidData` when anything else in it is no record: then it can't be relied on.
    pub fn open(dir: &Path, now: u64) -> io::Result<Self> {
        let mut bytes = Vec::new();
        match File::open(dir.join(NAME)) {
            Ok(file) => file.take(FILE_MAX + 1).read_to_end(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        if bytes.len() as u64 > FILE_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut nonces = Self {
            dir: dir.to_owned(),
            file: None,
            records: 0,
            seen: BTreeMap::new(),
            launches: BTreeMap::new(),
            forgotten_until: 0,
        };
        let (whole, _cut_short) = bytes.as_chunks::<RECORD>();
        for bytes in whole {
            let record = Record::read(bytes).ok_or(io::ErrorKind::InvalidData)?;
            nonces.remember(&record);
        }
        nonces.prune(now);
        nonces.compact()?;
        Ok(nonces)
    }

    /// Remembers a new ticket, durably.
    ///
    /// # Errors
    /// Replayed, superseded, from a time that was forgotten; or the disk does not take it.
    pub fn take(&mut self, ticket: &Ticket, now: u64) -> Result<(), Refusal> {
        self.check(ticket)?;
        let LaunchKey {
            job,
            instance,
            launch,
        } = ticket.key;
        let record = Record {
            nonce: ticket.nonce,
            key: (job, instance, launch),
            expires_ms: ticket.expires_ms,
        };
        self.add(&record, now).map_err(|error| unwritable(&error))
    }

    /// Says whether a ticket is new.
    ///
    /// # Errors
    /// Replayed, superseded, or from a time that was forgotten.
    pub fn check(&self, ticket: &Ticket) -> Result<(), Refusal> {
        if ticket.expires_ms <= self.forgotten_until {
            return Err(Refusal::TicketExpired { late_seconds: 0 });
        }
        if self.seen.contains_key(&ticket.nonce) {
            return Err(Refusal::TicketReplayed);
        }
        let instance = (ticket.key.job, ticket.key.instance);
        match self.launches.get(&instance) {
            Some(&(last, _)) if ticket.key.launch <= last => {
                Err(Refusal::TicketSuperseded { last })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Bars a launch and those before it from ever starting, whatever ticket comes; durable when it returns.
    ///
    /// # Errors
    /// When too much is barred, or the disk does not take it.
    pub fn bar(&mut self, key: LaunchKey, now: u64) -> Result<(), Refusal> {
        let known = self.launches.get(&(key.job, key.instance));
        if known.is_some_and(|&(last, expires)| key.launch <= last && expires >= now) {
            return Ok(());
        }
        if known.is_none() && self.launches.len() >= BARRED_MAX {
            return Err(Refusal::Busy);
        }
        let record = Record {
            nonce: stand_in(key.job, key.instance, key.launch),
            key: (key.job, key.instance, key.launch),
            expires_ms: now.saturating_add(LAUNCH_KEPT_MS),
        };
        self.add(&record, now).map_err(|error| unwritable(&error))
    }

    fn add(&mut self, record: &Record, now: u64) -> io::Result<()> {
        if self.records >= COMPACT_AT {
            self.prune(now);
            self.compact()?;
        }
        // After a write that failed the file is made anew: nothing may stand behind half a record.
        let Some(mut file) = self.file.take() else {
            self.remember(record);
            return self.compact();
        };
        file.write_all(&record.bytes())?;
        file.sync_data()?;
        self.file = Some(file);
        self.remember(record);
        Ok(())
    }

    /// Forgets what has expired.
    fn prune(&mut self, now: u64) {
        let forgotten = self.seen.values().filter(|it| **it < now).max();
        self.forgotten_until = self.forgotten_until.max(forgotten.copied().unwrap_or(0));
        self.seen.retain(|_, expires| *expires >= now);
        self.launches
            .retain(|_, (_, expires)| *expires + LAUNCH_KEPT_MS >= now);
    }

    fn remember(&mut self, record: &Record) {
        self.records += 1;
        let (job, instance, launch) = record.key;
        if record.nonce == [0; 16] && job == 0 {
            self.forgotten_until = self.forgotten_until.max(record.expires_ms);
            return;
        }
        self.seen.insert(record.nonce, record.expires_ms);
        if job == 0 {
            // The record of a nonce alone; no job has this number.
            return;
        }
        let last = self.launches.entry((job, instance)).or_insert((0, 0));
        *last = (last.0.max(launch), last.1.max(record.expires_ms));
    }

    /// Writes the file anew, first whole under another name.
    fn compact(&mut self) -> io::Result<()> {
        let mut bytes = Record {
            expires_ms: self.forgotten_until,
            ..Record::default()
        }
        .bytes()
        .to_vec();
        for (&(job, instance), &(launch, expires_ms)) in &self.launches {
            let record = Record {
                nonce: stand_in(job, instance, launch),
                key: (job, instance, launch),
                expires_ms,
            };
            bytes.extend(record.bytes());
        }
        for (&nonce, &expires_ms) in &self.seen {
            // The launch stands in a record of its own.
            let key = (0, 0, 0);
            bytes.extend(
                Record {
                    nonce,
                    key,
                    expires_ms,
                }
                .bytes(),
            );
        }
        let (old, new) = (self.dir.join(NAME), self.dir.join(NEW_NAME));
        let mut file = File::create(&new)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        // A file that is open can't always be replaced on Windows.
        drop(file);
        self.file = None;
        std::fs::rename(&new, &old)?;
        self.file = Some(OpenOptions::new().append(true).open(&old)?);
        self.records = bytes.len() / RECORD;
        Ok(())
    }
}

fn unwritable(error: &io::Error) -> Refusal {
    let errno = error.raw_os_error().unwrap_or(0);
    Refusal::StateUnwritable { errno }
}

fn stand_in(job: u64, instance: u32, launch: u32) -> [u8; 16] {
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&job.to_le_bytes());
    nonce[8..12].copy_from_slice(&instance.to_le_bytes());
    nonce[12..].copy_from_slice(&launch.to_le_bytes());
    nonce
}

impl Record {
    fn bytes(&self) -> [u8; RECORD] {
        let (job, instance, launch) = self.key;
        let mut out = [0; RECORD];
        out[..16].copy_from_slice(&self.nonce);
        out[16..24].copy_from_slice(&job.to_le_bytes());
        out[24..28].copy_from_slice(&instance.to_le_bytes());
        out[28..32].copy_from_slice(&launch.to_le_bytes());
        out[32..40].copy_from_slice(&self.expires_ms.to_le_bytes());
        let sum = Sha256::digest(&out[..40]);
        out[40..].copy_from_slice(&sum[..8]);
        out
    }

    fn read(bytes: &[u8; RECORD]) -> Option<Self> {
        let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let half = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let record = Self {
            nonce: bytes.get(..16)?.try_into().ok()?,
            key: (word(16)?, half(24)?, half(28)?),
            expires_ms: word(32)?,
        };
        (record.bytes() == *bytes).then_some(record)
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
        damaged[RECORD + 3] ^= 1;
        std::fs::write(&path, damaged).expect("writes");
        let error = Nonces::open(dir.path(), 2).expect_err("damaged");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
