//! Which tickets a launcher has seen: nonces until their tickets expire, and the last launch of each instance for as long as an
//! older one could still be valid.
//!
//! It owns the rules and the records of the file, which both launchers share; it opens no file. Whoever keeps one appends
//! [`Nonces::pending`] durably and says [`Nonces::on_written`], or puts [`Nonces::whole`] in its place and says
//! [`Nonces::on_rewritten`]: nothing may start before.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::names::LaunchKey;
use crate::refusal::Refusal;
use crate::ticket::{SKEW_MAX_MS, TICKET_LIFETIME_MAX_MS, Ticket};

/// The bytes of one record of the file.
pub const NONCE_RECORD_LEN: usize = 48;
/// The most bytes of the file that are read: more than what is remembered can take, for files of older releases, which grew further.
pub const NONCES_BYTES_MAX: usize = 256 << 20;
/// The most bytes that wait for a disk that takes nothing; no ticket counts while there are so many.
pub const NONCES_PENDING_MAX: usize = 1 << 20;
/// How long a launch number is kept after its ticket expired: as long as an older ticket could be valid.
const LAUNCH_KEPT_MS: u64 = TICKET_LIFETIME_MAX_MS + SKEW_MAX_MS;
/// The most tickets that count at once; with more, none is taken until some expire.
const SEEN_MAX: usize = 262_144;
/// The most instances whose launches are barred; with more, nothing is vouched for until some are forgotten.
const BARRED_MAX: usize = 262_144;
/// The most instances that are remembered; those beyond the barred ones leave room for starts.
const INSTANCES_MAX: usize = 2 * BARRED_MAX;
/// The file is to be written anew when it holds more records than this and than twice what is remembered.
const COMPACT_AT: usize = 8_192;
/// The error number of a full disk, as refusals have it.
const ENOSPC: i32 = 28;

// What is remembered always fits, also when the file is just about to be written anew.
const _: () = assert!(
    NONCE_RECORD_LEN * 2 * (SEEN_MAX + INSTANCES_MAX) + 2 * NONCES_PENDING_MAX <= NONCES_BYTES_MAX
);

/// The file is damaged where no write that was cut short can have been, so it can't be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the list of tickets that were seen is damaged at byte {at}")]
pub struct NoncesDamaged {
    /// Where.
    pub at: usize,
}

/// The memory of tickets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nonces {
    /// Records of the file, with those that wait for the disk.
    records: usize,
    pending: Vec<u8>,
    seen: BTreeMap<[u8; 16], u64>,
    by_expiry: BTreeSet<(u64, [u8; 16])>,
    launches: BTreeMap<(u64, u32), (u32, u64)>,
    /// Tickets that expire no later than this were forgotten, so none of them counts again, whatever the clock says.
    forgotten_until: u64,
}

impl Nonces {
    /// Reads a file. In its last `torn_max` bytes, where a write that was cut short can have left something, what is no record is
    /// passed over.
    ///
    /// # Errors
    /// When anything before that is no record.
    pub fn read(bytes: &[u8], torn_max: usize) -> Result<Self, NoncesDamaged> {
        let mut nonces = Self::default();
        let mut at = 0;
        while let Some(part) = bytes.get(at..).filter(|it| !it.is_empty()) {
            if let Some(record) = part.first_chunk().and_then(Record::read) {
                nonces.remember(&record);
                at += NONCE_RECORD_LEN;
            } else if part.len() > torn_max {
                return Err(NoncesDamaged { at });
            } else {
                at += 1;
            }
        }
        Ok(nonces)
    }

    /// Says whether a ticket is new.
    ///
    /// # Errors
    /// Replayed, superseded, or from a time that was forgotten; or there is no room to remember it.
    pub fn check(&self, ticket: &Ticket) -> Result<(), Refusal> {
        if self.pending.len() >= NONCES_PENDING_MAX {
            return Err(Refusal::StateUnwritable { errno: ENOSPC });
        }
        // What the file writes for "none" of either.
        if ticket.key.job == 0 || ticket.nonce == [0; 16] {
            let reason = "no ticket has job 0 or a nonce of zeros".to_owned();
            return Err(Refusal::TicketMalformed { reason });
        }
        if ticket.expires_ms <= self.forgotten_until {
            return Err(Refusal::TicketExpired { late_seconds: 0 });
        }
        if self.seen.contains_key(&ticket.nonce) {
            return Err(Refusal::TicketReplayed);
        }
        match self.launches.get(&(ticket.key.job, ticket.key.instance)) {
            Some(&(last, _)) if ticket.key.launch <= last => {
                return Err(Refusal::TicketSuperseded { last });
            }
            None if self.launches.len() >= INSTANCES_MAX => return Err(Refusal::Busy),
            _ if self.seen.len() >= SEEN_MAX => return Err(Refusal::Busy),
            _ => {}
        }
        Ok(())
    }

    /// Remembers a ticket that [`Nonces::check`] let pass.
    pub fn add(&mut self, ticket: &Ticket) {
        self.push(&Record {
            nonce: ticket.nonce,
            key: ticket.key,
            expires_ms: ticket.expires_ms,
        });
    }

    /// Bars a launch and those before it from ever starting, whatever ticket comes; kept for as long as a ticket signed by now
    /// could count.
    ///
    /// # Errors
    /// When too much is barred or waits for the disk already.
    pub fn bar(&mut self, key: LaunchKey, wall_ms: u64) -> Result<(), Refusal> {
        let known = self.launches.get(&(key.job, key.instance));
        let is_barred =
            known.is_some_and(|&(last, expires)| key.launch <= last && expires >= wall_ms);
        // No ticket of job 0 counts anyway.
        if is_barred || key.job == 0 {
            return Ok(());
        }
        if known.is_none() && self.launches.len() >= BARRED_MAX {
            return Err(Refusal::Busy);
        }
        if self.pending.len() >= NONCES_PENDING_MAX {
            return Err(Refusal::StateUnwritable { errno: ENOSPC });
        }
        self.push(&Record {
            nonce: stand_in(key),
            key,
            expires_ms: wall_ms.saturating_add(LAUNCH_KEPT_MS),
        });
        Ok(())
    }

    /// Forgets what has expired; to be called now and then.
    pub fn prune(&mut self, wall_ms: u64) {
        while let Some(&(expires, nonce)) = self.by_expiry.first() {
            if expires >= wall_ms {
                break;
            }
            self.by_expiry.pop_first();
            self.seen.remove(&nonce);
            self.forgotten_until = self.forgotten_until.max(expires);
        }
        self.launches
            .retain(|_, (_, expires)| expires.saturating_add(LAUNCH_KEPT_MS) >= wall_ms);
    }

    /// Returns what has to be appended to the file.
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// Notes that what was pending is in the file.
    pub fn on_written(&mut self) {
        self.pending.clear();
    }

    /// Says whether most of the file is about what is forgotten, so that it is to be written anew.
    pub fn is_grown(&self) -> bool {
        self.records > COMPACT_AT.max(2 * (self.seen.len() + self.launches.len()))
    }

    /// Returns a file of what is remembered and of nothing else, what is pending included.
    pub fn whole(&self) -> Vec<u8> {
        let forgotten = Record::of_nonce([0; 16], self.forgotten_until);
        let launches = self.launches.iter().map(|(&(job, instance), &last)| {
            let (launch, expires_ms) = last;
            let key = LaunchKey {
                job,
                instance,
                launch,
            };
            let nonce = stand_in(key);
            Record {
                nonce,
                key,
                expires_ms,
            }
        });
        // The launch of each stands in a record of its own.
        let seen = self
            .seen
            .iter()
            .map(|(&nonce, &expires_ms)| Record::of_nonce(nonce, expires_ms));
        let all = [forgotten].into_iter().chain(launches).chain(seen);
        all.flat_map(|it| it.bytes()).collect()
    }

    /// Notes that the file is now [`Nonces::whole`].
    pub fn on_rewritten(&mut self) {
        self.records = 1 + self.launches.len() + self.seen.len();
        self.pending.clear();
    }

    fn push(&mut self, record: &Record) {
        self.pending.extend(record.bytes());
        self.remember(record);
    }

    fn remember(&mut self, record: &Record) {
        self.records += 1;
        let LaunchKey {
            job,
            instance,
            launch,
        } = record.key;
        if job == 0 && record.nonce == [0; 16] {
            self.forgotten_until = self.forgotten_until.max(record.expires_ms);
            return;
        }
        // A launch that is barred has no nonce, and one that looks like it is refused for its number.
        if record.nonce != stand_in(record.key) {
            if let Some(before) = self.seen.insert(record.nonce, record.expires_ms) {
                self.by_expiry.remove(&(before, record.nonce));
            }
            self.by_expiry.insert((record.expires_ms, record.nonce));
        }
        if job == 0 {
            // A nonce alone, as a file that was written anew has it: jobs count from 1.
            return;
        }
        let last = self.launches.entry((job, instance)).or_insert((0, 0));
        *last = (last.0.max(launch), last.1.max(record.expires_ms));
    }
}

/// What a record has for a nonce when it is about a launch alone.
fn stand_in(key: LaunchKey) -> [u8; 16] {
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&key.job.to_le_bytes());
    nonce[8..12].copy_from_slice(&key.instance.to_le_bytes());
    nonce[12..].copy_from_slice(&key.launch.to_le_bytes());
    nonce
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record {
    nonce: [u8; 16],
    key: LaunchKey,
    expires_ms: u64,
}

impl Record {
    fn of_nonce(nonce: [u8; 16], expires_ms: u64) -> Self {
        let key = LaunchKey {
            job: 0,
            instance: 0,
            launch: 0,
        };
        Self {
            nonce,
            key,
            expires_ms,
        }
    }

    fn bytes(&self) -> [u8; NONCE_RECORD_LEN] {
        let mut out = [0; NONCE_RECORD_LEN];
        out[..16].copy_from_slice(&self.nonce);
        out[16..32].copy_from_slice(&stand_in(self.key));
        out[32..40].copy_from_slice(&self.expires_ms.to_le_bytes());
        let sum = Sha256::digest(&out[..40]);
        out[40..].copy_from_slice(&sum[..8]);
        out
    }

    fn read(bytes: &[u8; NONCE_RECORD_LEN]) -> Option<Self> {
        let record = Self {
            nonce: part(bytes, 0)?,
            key: LaunchKey {
                job: u64::from_le_bytes(part(bytes, 16)?),
                instance: u32::from_le_bytes(part(bytes, 24)?),
                launch: u32::from_le_bytes(part(bytes, 28)?),
            },
            expires_ms: u64::from_le_bytes(part(bytes, 32)?),
        };
        (record.bytes() == *bytes).then_some(record)
    }
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticket::{Digest, KernelLimits, Mode};

    fn key(launch: u32) -> LaunchKey {
        LaunchKey {
            job: 5,
            instance: 1,
            launch,
        }
    }

    fn ticket(nonce: u8, launch: u32, expires_ms: u64) -> Ticket {
        Ticket {
            farm: [0; 16],
            host: [0; 16],
            key: key(launch),
            principal: String::new(),
            proven: String::new(),
            mode: Mode::User,
            account: "mia".into(),
            items: Vec::new(),
            template: Digest([0; 32]),
            not_before_ms: 0,
            expires_ms,
            nonce: [nonce; 16],
            limits: KernelLimits::default(),
        }
    }

    fn taken(all: &[Ticket]) -> Nonces {
        let mut nonces = Nonces::default();
        for it in all {
            assert_eq!(nonces.check(it), Ok(()));
            nonces.add(it);
        }
        nonces
    }

    /// The same by its records as they came, and by a file written anew.
    fn read_again(nonces: &Nonces) -> [Nonces; 2] {
        [nonces.pending(), &nonces.whole()].map(|bytes| Nonces::read(bytes, 0).expect("whole"))
    }

    const EXPIRED: Result<(), Refusal> = Err(Refusal::TicketExpired { late_seconds: 0 });

    fn superseded(last: u32) -> Result<(), Refusal> {
        Err(Refusal::TicketSuperseded { last })
    }

    #[test]
    fn a_ticket_counts_once_and_bars_older_launches() {
        let nonces = taken(&[ticket(1, 3, 1_000), ticket(2, 4, 400_000)]);
        for nonces in read_again(&nonces).into_iter().chain([nonces]) {
            assert_eq!(
                nonces.check(&ticket(1, 3, 1_000)),
                Err(Refusal::TicketReplayed)
            );
            assert_eq!(
                nonces.check(&ticket(2, 9, 1_000)),
                Err(Refusal::TicketReplayed)
            );
            assert_eq!(nonces.check(&ticket(9, 4, 2_000)), superseded(4));
            // One that ends earlier than what was seen is as good as any.
            assert_eq!(nonces.check(&ticket(9, 5, 500)), Ok(()));
        }
    }

    #[test]
    fn what_was_forgotten_does_not_count_again_when_the_clock_goes_back() {
        let mut nonces = taken(&[ticket(1, 3, 1_000), ticket(2, 4, 400_000)]);
        nonces.prune(200_000);
        let anew = Nonces::read(&nonces.whole(), 0).expect("whole");
        for nonces in [nonces, anew] {
            assert_eq!(nonces.check(&ticket(7, 9, 1_000)), EXPIRED);
            assert_eq!(
                nonces.check(&ticket(2, 9, 400_000)),
                Err(Refusal::TicketReplayed)
            );
            assert_eq!(nonces.check(&ticket(8, 4, 500_000)), superseded(4));
            assert_eq!(nonces.check(&ticket(8, 5, 500_000)), Ok(()));
        }
    }

    #[test]
    fn a_barred_launch_never_starts_while_a_ticket_for_it_could_count() {
        let mut nonces = Nonces::default();
        nonces.bar(key(3), 1_000).expect("room");
        assert_eq!(nonces.check(&ticket(1, 4, 9_000)), Ok(()));
        // Again, also for an older one: nothing more is written.
        nonces.on_written();
        nonces.bar(key(3), 1_001).expect("room");
        nonces.bar(key(2), 1_001).expect("room");
        assert!(nonces.pending().is_empty());
        let latest = 1_000 + LAUNCH_KEPT_MS;
        nonces.prune(latest);
        let anew = Nonces::read(&nonces.whole(), 0).expect("whole");
        for nonces in [&nonces, &anew] {
            assert_eq!(nonces.check(&ticket(1, 3, latest)), superseded(3));
        }
        nonces.prune(1_001 + 2 * LAUNCH_KEPT_MS);
        assert_eq!(
            nonces.check(&ticket(1, 3, latest)),
            Ok(()),
            "it is forgotten then"
        );
    }

    #[test]
    fn rising_launch_numbers_of_one_instance_are_one_record() {
        let mut nonces = Nonces::default();
        for launch in 1..=100_000 {
            nonces.bar(key(launch), 1_000).expect("room");
            nonces.on_written();
            if nonces.is_grown() {
                nonces.on_rewritten();
            }
            assert!(nonces.records <= COMPACT_AT);
        }
        assert_eq!(nonces.whole().len(), 2 * NONCE_RECORD_LEN);
        assert_eq!(
            nonces.check(&ticket(1, 100_000, 9_000)),
            superseded(100_000)
        );
    }

    #[test]
    fn what_stands_for_none_neither_starts_nor_forgets_anything() {
        let nobody = LaunchKey {
            job: 0,
            instance: 0,
            launch: 0,
        };
        let mut nonces = Nonces::default();
        nonces.bar(nobody, 1_000).expect("nothing to do");
        assert_eq!(nonces, Nonces::default());
        let mut of_nobody = ticket(1, 1, 9_000);
        of_nobody.key = nobody;
        for ticket in [of_nobody, ticket(0, 1, 9_000)] {
            let refusal = nonces.check(&ticket).expect_err("is none");
            assert_eq!(refusal.code(), "ticket_malformed");
        }
    }

    #[test]
    fn what_is_remembered_has_bounds() {
        let mut nonces = Nonces::default();
        let of = |job| LaunchKey { job, ..key(1) };
        for job in 1..=BARRED_MAX as u64 {
            nonces.bar(of(job), 1_000).expect("room");
            nonces.on_written();
        }
        let next = BARRED_MAX as u64 + 1;
        assert_eq!(nonces.bar(of(next), 1_000), Err(Refusal::Busy));
        // Whoever bars all that can be barred keeps nobody from starting.
        let mut start = ticket(1, 1, 9_000);
        start.key = of(next);
        assert_eq!(nonces.check(&start), Ok(()));
        nonces.pending.resize(NONCES_PENDING_MAX, 0);
        assert_eq!(
            nonces.check(&start).expect_err("full").code(),
            "state_unwritable"
        );
        assert_eq!(
            nonces.bar(of(1), u64::MAX).expect_err("full").code(),
            "state_unwritable"
        );
        let mut nonces = Nonces::default();
        for number in 0..SEEN_MAX as u64 {
            let mut nonce = [7; 16];
            nonce[..8].copy_from_slice(&number.to_le_bytes());
            nonces.remember(&Record::of_nonce(nonce, 9_000));
        }
        assert_eq!(nonces.check(&start), Err(Refusal::Busy));
        nonces.prune(9_001);
        start.expires_ms = 9_001;
        assert_eq!(nonces.check(&start), Ok(()));
    }

    #[test]
    fn only_the_end_of_a_file_may_be_torn() {
        let nonces = taken(&[ticket(1, 1, 9_000), ticket(2, 2, 9_000)]);
        let whole = nonces.pending().to_vec();
        let torn = [&whole[..], &whole[..31], &whole[48..]].concat();
        assert_eq!(Nonces::read(&torn, 31), Err(NoncesDamaged { at: 96 }));
        let again = Nonces::read(&torn, 31 + NONCE_RECORD_LEN).expect("torn at the end");
        assert_eq!(again.seen.len(), 2, "nothing behind it is hidden");
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            let first = at / NONCE_RECORD_LEN * NONCE_RECORD_LEN;
            let found = Nonces::read(&damaged, NONCE_RECORD_LEN - 1);
            assert_eq!(found, Err(NoncesDamaged { at: first }));
        }
    }
}
