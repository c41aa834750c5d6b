//! What was seen before: nonces until their tickets expire and the last launch of each instance, on disk, so that a
//! restart of the launcher reopens nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use sha2::{Digest as _, Sha256};
use tessera_ticket::{LaunchKey, Refusal, SKEW_MAX_MS, TICKET_LIFETIME_MAX_MS, Ticket};

use tessera_sys::{Errno, Sys, file};

/// How long a launch number is kept after its ticket expired: as long as an older ticket could be valid.
const LAUNCH_KEPT_MS: u64 = TICKET_LIFETIME_MAX_MS + SKEW_MAX_MS;
/// The file is rewritten without what has expired when it holds more records than this and than twice the live ones.
const COMPACT_AT: usize = 8_192;
/// The most bytes of the file.
const FILE_MAX: usize = 256 << 20;
/// The most bytes that wait for a disk that takes nothing; no ticket counts while there are so many.
const PENDING_MAX: usize = 1 << 20;
/// The most bytes that may be unreadable at the start: what a write cut short by a crash can leave. More is a damaged
/// file, which can't be relied on.
const DAMAGE_MAX: usize = 2 * PENDING_MAX;
/// The most instances whose launches are barred; with more, nothing is vouched for until some are forgotten.
const BARRED_MAX: usize = 262_144;
const RECORD: usize = 48;
const NAME: &CStr = c"nonces";
const NEW_NAME: &CStr = c"nonces.new";

/// The memory of tickets.
#[derive(Debug)]
pub(crate) struct Nonces {
    dir: OwnedFd,
    file: OwnedFd,
    /// Bytes of the file that are known to be whole and durable.
    len: u64,
    /// There may be more in the file than that, which must go before anything is added.
    is_torn: bool,
    records: usize,
    pending: Vec<u8>,
    seen: BTreeMap<[u8; 16], u64>,
    by_expiry: BTreeSet<(u64, [u8; 16])>,
    launches: BTreeMap<(u64, u32), (u32, u64)>,
    /// Tickets that expire no later than this were forgotten, so none of them counts again, whatever the clock says.
    forgotten_until: u64,
}

impl Nonces {
    /// Opens and reads the file in the launcher's directory; what a write that was cut short has left is passed over.
    ///
    /// # Errors
    /// `EBADMSG` when more of the file is unreadable than that can be.
    pub(crate) fn open(dir: BorrowedFd<'_>) -> Sys<Self> {
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND;
        let file = file::open_at(dir, NAME, flags, 0o600)?;
        let bytes = file::read_at(dir, NAME, FILE_MAX)?;
        let mut nonces = Self {
            dir: file::open_dir(dir, c".")?,
            file,
            len: 0,
            is_torn: false,
            records: 0,
            pending: Vec::new(),
            seen: BTreeMap::new(),
            by_expiry: BTreeSet::new(),
            launches: BTreeMap::new(),
            forgotten_until: 0,
        };
        for record in Record::read_all(&bytes)? {
            nonces.remember(&record);
        }
        nonces.compact()?;
        Ok(nonces)
    }

    /// Says whether a ticket is new.
    ///
    /// # Errors
    /// Replayed, superseded, or from a time that was forgotten.
    pub(crate) fn check(&self, ticket: &Ticket) -> Result<(), Refusal> {
        if self.pending.len() >= PENDING_MAX {
            return Err(Refusal::StateUnwritable {
                errno: libc::ENOSPC,
            });
        }
        if ticket.expires_ms <= self.forgotten_until {
            return Err(Refusal::TicketExpired { late_seconds: 0 });
        }
        if self.seen.contains_key(&ticket.nonce) {
            return Err(Refusal::TicketReplayed);
        }
        match self.launches.get(&(ticket.key.job, ticket.key.instance)) {
            Some(&(last, _)) if ticket.key.launch <= last => {
                Err(Refusal::TicketSuperseded { last })
            }
            _ => Ok(()),
        }
    }

    /// Remembers a ticket; durable after the next [`Nonces::flush`].
    pub(crate) fn add(&mut self, ticket: &Ticket) {
        let record = Record {
            nonce: ticket.nonce,
            job: ticket.key.job,
            instance: ticket.key.instance,
            launch: ticket.key.launch,
            expires_ms: ticket.expires_ms,
        };
        self.pending.extend(record.bytes());
        self.remember(&record);
    }

    /// Bars a launch and those before it from ever starting, whatever ticket comes; durable after the next
    /// [`Nonces::flush`]. Kept for as long as a ticket signed by now could count.
    ///
    /// # Errors
    /// `ENOSPC` when too much is barred or waits for the disk already.
    pub(crate) fn bar(&mut self, key: LaunchKey, wall_ms: u64) -> Sys<()> {
        let instance = (key.job, key.instance);
        let known = self.launches.get(&instance);
        if known.is_some_and(|&(last, expires)| key.launch <= last && expires >= wall_ms) {
            return Ok(());
        }
        let is_full = known.is_none() && self.launches.len() >= BARRED_MAX;
        if is_full || self.pending.len() >= PENDING_MAX {
            return Err(Errno(libc::ENOSPC));
        }
        let record = Record {
            nonce: Record::stand_in(key.job, key.instance, key.launch),
            job: key.job,
            instance: key.instance,
            launch: key.launch,
            expires_ms: wall_ms.saturating_add(LAUNCH_KEPT_MS),
        };
        self.pending.extend(record.bytes());
        self.remember(&record);
        Ok(())
    }

    /// Writes what was added and makes it durable. What a failed write has left is cut off before the next.
    ///
    /// # Errors
    /// When the disk does not take it; then nothing may be started.
    pub(crate) fn flush(&mut self) -> Sys<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if self.is_torn {
            file::truncate(&self.file, self.len)?;
            self.is_torn = false;
        }
        let written = file::write_all(self.file.as_raw_fd(), &self.pending)
            .and_then(|()| file::sync(&self.file));
        if let Err(errno) = written {
            self.is_torn = file::truncate(&self.file, self.len).is_err();
            return Err(errno);
        }
        self.len += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Forgets what has expired; to be called now and then.
    pub(crate) fn prune(&mut self, wall_ms: u64) -> Sys<()> {
        while let Some(&(expires, nonce)) = self.by_expiry.first() {
            if expires >= wall_ms {
                break;
            }
            self.by_expiry.pop_first();
            self.seen.remove(&nonce);
            self.forgotten_until = self.forgotten_until.max(expires);
        }
        self.launches
            .retain(|_, (_, expires)| *expires + LAUNCH_KEPT_MS >= wall_ms);
        if self.records > COMPACT_AT.max(2 * self.seen.len()) {
            self.compact()?;
        }
        Ok(())
    }

    fn remember(&mut self, record: &Record) {
        self.records += 1;
        if record.nonce == [0; 16] && record.job == 0 {
            self.forgotten_until = self.forgotten_until.max(record.expires_ms);
            return;
        }
        if let Some(before) = self.seen.insert(record.nonce, record.expires_ms) {
            self.by_expiry.remove(&(before, record.nonce));
        }
        self.by_expiry.insert((record.expires_ms, record.nonce));
        if record.job == 0 {
            // A nonce alone, as a file that was written anew has it: jobs count from 1.
            return;
        }
        let last = self
            .launches
            .entry((record.job, record.instance))
            .or_insert((0, 0));
        *last = (last.0.max(record.launch), last.1.max(record.expires_ms));
    }

    /// Writes the file anew, first whole under another name.
    fn compact(&mut self) -> Sys<()> {
        let mut bytes = Record {
            expires_ms: self.forgotten_until,
            ..Record::default()
        }
        .bytes()
        .to_vec();
        // A launch without its nonce is written with a nonce of its own that no ticket has.
        for (&(job, instance), &(launch, expires_ms)) in &self.launches {
            let nonce = Record::stand_in(job, instance, launch);
            bytes.extend(
                Record {
                    nonce,
                    job,
                    instance,
                    launch,
                    expires_ms,
                }
                .bytes(),
            );
        }
        for (&nonce, &expires_ms) in &self.seen {
            bytes.extend(
                Record {
                    nonce,
                    expires_ms,
                    ..Record::default()
                }
                .bytes(),
            );
        }
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND;
        let new = file::open_at(self.dir.as_fd(), NEW_NAME, flags, 0o600)?;
        file::write_all(new.as_raw_fd(), &bytes)?;
        file::sync(&new)?;
        file::rename(self.dir.as_fd(), NEW_NAME, NAME)?;
        // From here on the new file is the one, whether or not its name is durable: the old one has none.
        self.file = new;
        self.len = bytes.len() as u64;
        self.is_torn = false;
        self.pending.clear();
        self.records = bytes.len() / RECORD;
        file::sync(&self.dir)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Record {
    nonce: [u8; 16],
    job: u64,
    instance: u32,
    launch: u32,
    expires_ms: u64,
}

impl Record {
    fn bytes(&self) -> [u8; RECORD] {
        let mut out = [0; RECORD];
        out[..16].copy_from_slice(&self.nonce);
        out[16..24].copy_from_slice(&self.job.to_le_bytes());
        out[24..28].copy_from_slice(&self.instance.to_le_bytes());
        out[28..32].copy_from_slice(&self.launch.to_le_bytes());
        out[32..40].copy_from_slice(&self.expires_ms.to_le_bytes());
        let sum = Sha256::digest(&out[..40]);
        out[40..].copy_from_slice(&sum[..8]);
        out
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            bytes
                .get(at..at + 8)?
                .try_into()
                .ok()
                .map(u64::from_le_bytes)
        };
        let half = |at: usize| {
            bytes
                .get(at..at + 4)?
                .try_into()
                .ok()
                .map(u32::from_le_bytes)
        };
        let record = Self {
            nonce: bytes.get(..16)?.try_into().ok()?,
            job: word(16)?,
            instance: half(24)?,
            launch: half(28)?,
            expires_ms: word(32)?,
        };
        (record.bytes() == bytes).then_some(record)
    }

    /// Reads all records of a file, also behind bytes that are none.
    fn read_all(bytes: &[u8]) -> Sys<Vec<Self>> {
        let mut records = Vec::with_capacity(bytes.len() / RECORD);
        let (mut at, mut damaged) = (0, 0);
        while let Some(part) = bytes.get(at..at + RECORD) {
            if let Some(record) = Self::read(part) {
                records.push(record);
                at += RECORD;
                continue;
            }
            at += 1;
            damaged += 1;
            if damaged > DAMAGE_MAX {
                return Err(Errno(libc::EBADMSG));
            }
        }
        Ok(records)
    }

    fn stand_in(job: u64, instance: u32, launch: u32) -> [u8; 16] {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&job.to_le_bytes());
        nonce[8..12].copy_from_slice(&instance.to_le_bytes());
        nonce[12..].copy_from_slice(&launch.to_le_bytes());
        nonce
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_ticket::{Digest, LaunchKey, Mode};

    fn ticket(nonce: u8, launch: u32, expires_ms: u64) -> Ticket {
        Ticket {
            farm: [0; 16],
            host: [0; 16],
            key: LaunchKey {
                job: 5,
                instance: 1,
                launch,
            },
            principal: String::new(),
            proven: String::new(),
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

    fn open() -> (std::path::PathBuf, OwnedFd) {
        let mut unique = [0; 8];
        let random = file::open(c"/dev/urandom", libc::O_RDONLY).unwrap();
        file::read(&random, &mut unique).unwrap();
        let path = std::env::temp_dir().join(format!("nonces-{:x}", u64::from_le_bytes(unique)));
        std::fs::create_dir(&path).unwrap();
        let name = file::c_string(path.to_str().unwrap()).unwrap();
        (
            path,
            file::open(&name, libc::O_RDONLY | libc::O_DIRECTORY).unwrap(),
        )
    }

    #[test]
    fn what_was_seen_is_refused_also_after_a_restart_and_after_it_was_forgotten() {
        let (path, dir) = open();
        let mut nonces = Nonces::open(dir.as_fd()).unwrap();
        let (first, second) = (ticket(1, 3, 1_000), ticket(2, 4, 400_000));
        assert_eq!(nonces.check(&first), Ok(()));
        nonces.add(&first);
        nonces.flush().unwrap();
        assert_eq!(nonces.check(&first), Err(Refusal::TicketReplayed));
        let mut nonces = Nonces::open(dir.as_fd()).unwrap();
        assert_eq!(nonces.check(&first), Err(Refusal::TicketReplayed));
        assert_eq!(
            nonces.check(&ticket(9, 3, 2_000)),
            Err(Refusal::TicketSuperseded { last: 3 })
        );
        assert_eq!(nonces.check(&second), Ok(()));
        nonces.add(&second);
        nonces.flush().unwrap();
        nonces.prune(200_000).unwrap();
        let expired = Err(Refusal::TicketExpired { late_seconds: 0 });
        assert_eq!(nonces.check(&first), expired);
        nonces.compact().unwrap();
        let nonces = Nonces::open(dir.as_fd()).unwrap();
        assert_eq!(nonces.check(&first), expired);
        assert_eq!(nonces.check(&second), Err(Refusal::TicketReplayed));
        assert_eq!(
            nonces.check(&ticket(8, 4, 500_000)),
            Err(Refusal::TicketSuperseded { last: 4 })
        );
        assert_eq!(nonces.check(&ticket(8, 5, 500_000)), Ok(()));
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn restarts_forget_nothing_and_refuse_nothing_new() {
        let (path, dir) = open();
        let mut nonces = Nonces::open(dir.as_fd()).unwrap();
        nonces.add(&ticket(1, 1, 9_000));
        nonces.flush().unwrap();
        for _ in 0..4 {
            let nonces = Nonces::open(dir.as_fd()).unwrap();
            assert_eq!(
                nonces.check(&ticket(1, 2, 9_000)),
                Err(Refusal::TicketReplayed)
            );
            // One that ends earlier than what was seen is as good as any.
            assert_eq!(nonces.check(&ticket(2, 2, 8_000)), Ok(()));
            assert_eq!(nonces.launches.len(), 1);
        }
        std::fs::remove_dir_all(path).unwrap();
    }

    fn key(launch: u32) -> LaunchKey {
        ticket(0, launch, 0).key
    }

    #[test]
    fn a_barred_launch_never_starts_also_after_a_restart() {
        let (path, dir) = open();
        let mut nonces = Nonces::open(dir.as_fd()).unwrap();
        nonces.bar(key(3), 1_000).unwrap();
        let superseded = Err(Refusal::TicketSuperseded { last: 3 });
        assert_eq!(nonces.check(&ticket(1, 3, 9_000)), superseded);
        assert_eq!(nonces.check(&ticket(1, 4, 9_000)), Ok(()));
        nonces.flush().unwrap();
        // Again, also for an older one: nothing more is written.
        nonces.bar(key(3), 1_001).unwrap();
        nonces.bar(key(2), 1_001).unwrap();
        assert!(nonces.pending.is_empty());
        let latest = 1_000 + LAUNCH_KEPT_MS;
        nonces.prune(latest).unwrap();
        assert_eq!(nonces.check(&ticket(1, 3, latest)), superseded);
        for _ in 0..2 {
            let nonces = Nonces::open(dir.as_fd()).unwrap();
            assert_eq!(nonces.check(&ticket(1, 3, latest)), superseded);
        }
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn what_a_cut_write_has_left_hides_no_record() {
        let (path, dir) = open();
        let mut nonces = Nonces::open(dir.as_fd()).unwrap();
        nonces.add(&ticket(1, 1, 9_000));
        nonces.flush().unwrap();
        drop(nonces);
        let name = path.join("nonces");
        let mut bytes = std::fs::read(&name).unwrap();
        let torn = bytes[..31].to_vec();
        bytes.extend(torn);
        bytes.extend(
            Record {
                nonce: [2; 16],
                job: 5,
                instance: 1,
                launch: 2,
                expires_ms: 9_000,
            }
            .bytes(),
        );
        std::fs::write(&name, &bytes).unwrap();
        let nonces = Nonces::open(dir.as_fd()).unwrap();
        assert_eq!(
            nonces.check(&ticket(9, 2, 9_000)),
            Err(Refusal::TicketSuperseded { last: 2 })
        );
        drop(nonces);
        std::fs::write(&name, vec![7; DAMAGE_MAX + 2 * RECORD]).unwrap();
        assert_eq!(
            Nonces::open(dir.as_fd()).err(),
            Some(Errno(libc::EBADMSG)),
            "a damaged file is not relied on"
        );
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_full_disk_leaves_whole_records_and_a_bounded_rest() {
        let (path, dir) = open();
        let mut nonces = Nonces::open(dir.as_fd()).unwrap();
        nonces.add(&ticket(1, 1, 9_000));
        nonces.flush().unwrap();
        let len = nonces.len;
        let good = std::mem::replace(&mut nonces.file, full());
        nonces.add(&ticket(2, 2, 9_000));
        assert_eq!(nonces.flush(), Err(Errno(libc::ENOSPC)));
        assert!(nonces.is_torn, "a device can't be cut");
        // As if the first bytes had been taken.
        nonces.file = good;
        file::write_all(nonces.file.as_raw_fd(), &nonces.pending[..17]).unwrap();
        nonces.flush().unwrap();
        assert_eq!(nonces.len, len + RECORD as u64);
        assert_eq!(
            std::fs::metadata(path.join("nonces")).unwrap().len(),
            nonces.len
        );
        let again = Nonces::open(dir.as_fd()).unwrap();
        assert_eq!(
            again.check(&ticket(2, 9, 9_000)),
            Err(Refusal::TicketReplayed)
        );
        nonces.file = full();
        let mut barred = 0;
        while nonces
            .bar(
                LaunchKey {
                    job: 8,
                    instance: barred,
                    launch: 1,
                },
                1_000,
            )
            .is_ok()
        {
            barred += 1;
            let _ = nonces.flush();
            assert!(nonces.pending.len() <= PENDING_MAX + RECORD);
            if barred == 64 {
                nonces.pending.resize(PENDING_MAX, 0);
            }
        }
        assert!(matches!(
            nonces.check(&ticket(3, 3, 9_000)),
            Err(Refusal::StateUnwritable { .. })
        ));
        std::fs::remove_dir_all(path).unwrap();
    }

    fn full() -> OwnedFd {
        file::open(c"/dev/full", libc::O_WRONLY).unwrap()
    }
}
