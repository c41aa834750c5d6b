//! The file in which the launcher keeps what tickets it has seen ([`tessera_ticket::Nonces`]), so that a restart reopens
//! nothing.

use std::ffi::CStr;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use tessera_ticket::{LaunchKey, NONCES_BYTES_MAX, NONCES_PENDING_MAX, Refusal, Ticket};

use tessera_sys::{Errno, Sys, file};

/// The most bytes at the end of the file that may be unreadable: what a write cut short by a crash can leave.
const TORN_MAX: usize = 2 * NONCES_PENDING_MAX;
const NAME: &CStr = c"nonces";
const NEW_NAME: &CStr = c"nonces.new";

/// The memory of tickets and its file.
#[derive(Debug)]
pub(crate) struct Nonces {
    dir: OwnedFd,
    file: OwnedFd,
    /// Bytes of the file that are known to be whole and durable.
    len: u64,
    /// There may be more in the file than that, which must go before anything is added.
    is_torn: bool,
    seen: tessera_ticket::Nonces,
}

impl Nonces {
    /// Opens and reads the file in the launcher's directory; what a write that was cut short has left is passed over.
    ///
    /// # Errors
    /// `EBADMSG` when more of the file is unreadable than that can be.
    pub(crate) fn open(dir: BorrowedFd<'_>) -> Sys<Self> {
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND;
        let file = file::open_at(dir, NAME, flags, 0o600)?;
        let bytes = file::read_at(dir, NAME, NONCES_BYTES_MAX)?;
        let seen = tessera_ticket::Nonces::read(&bytes, TORN_MAX);
        let mut nonces = Self {
            dir: file::open_dir(dir, c".")?,
            file,
            len: 0,
            is_torn: false,
            seen: seen.map_err(|_| Errno(libc::EBADMSG))?,
        };
        nonces.compact()?;
        Ok(nonces)
    }

    /// Says whether a ticket is new.
    ///
    /// # Errors
    /// Replayed, superseded, or from a time that was forgotten; or it can't be remembered.
    pub(crate) fn check(&self, ticket: &Ticket) -> Result<(), Refusal> {
        self.seen.check(ticket)
    }

    /// Remembers a ticket; durable after the next [`Nonces::flush`].
    pub(crate) fn add(&mut self, ticket: &Ticket) {
        self.seen.add(ticket);
    }

    /// Bars a launch and those before it from ever starting; durable after the next [`Nonces::flush`].
    ///
    /// # Errors
    /// When too much is barred or waits for the disk already.
    pub(crate) fn bar(&mut self, key: LaunchKey, wall_ms: u64) -> Result<(), Refusal> {
        self.seen.bar(key, wall_ms)
    }

    /// Writes what was added and makes it durable. What a failed write has left is cut off before the next.
    ///
    /// # Errors
    /// When the disk does not take it; then nothing may be started.
    pub(crate) fn flush(&mut self) -> Sys<()> {
        // Where there is no room for a new file there may be for a line in the old one, as long as that is one that can be read.
        if self.seen.is_grown() && self.compact().is_ok() {
            return Ok(());
        }
        let pending = self.seen.pending();
        if pending.is_empty() {
            return Ok(());
        }
        let len = self.len + pending.len() as u64;
        if len > NONCES_BYTES_MAX as u64 {
            return Err(Errno(libc::ENOSPC));
        }
        if self.is_torn {
            file::truncate(&self.file, self.len)?;
            self.is_torn = false;
        }
        let written =
            file::write_all(self.file.as_raw_fd(), pending).and_then(|()| file::sync(&self.file));
        if let Err(errno) = written {
            self.is_torn = file::truncate(&self.file, self.len).is_err();
            return Err(errno);
        }
        self.len = len;
        self.seen.on_written();
        Ok(())
    }

    /// Forgets what has expired; to be called now and then.
    pub(crate) fn prune(&mut self, wall_ms: u64) {
        self.seen.prune(wall_ms);
    }

    /// Writes the file anew, first whole under another name.
    fn compact(&mut self) -> Sys<()> {
        let bytes = self.seen.whole();
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND;
        let new = file::open_at(self.dir.as_fd(), NEW_NAME, flags, 0o600)?;
        file::write_all(new.as_raw_fd(), &bytes)?;
        file::sync(&new)?;
        file::rename(self.dir.as_fd(), NEW_NAME, NAME)?;
        // From here on the new file is the one, whether or not its name is durable: the old one has none.
        self.file = new;
        self.len = bytes.len() as u64;
        self.is_torn = false;
        self.seen.on_rewritten();
        file::sync(&self.dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_ticket::{Digest, Mode, NONCE_RECORD_LEN};

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
        nonces.prune(200_000);
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

    fn key(launch: u32) -> LaunchKey {
        ticket(0, launch, 0).key
    }

    #[test]
    fn rising_launch_numbers_of_one_instance_keep_the_file_small() {
        let (path, dir) = open();
        let mut nonces = Nonces::open(dir.as_fd()).unwrap();
        for launch in 1..=40_000 {
            nonces.bar(key(launch), 1_000).unwrap();
            if launch % 1_000 == 0 {
                nonces.flush().unwrap();
            }
        }
        let len = std::fs::metadata(path.join("nonces")).unwrap().len();
        assert!(len < 1 << 20, "{len} bytes for one instance");
        let superseded = Err(Refusal::TicketSuperseded { last: 40_000 });
        let nonces = Nonces::open(dir.as_fd()).unwrap();
        assert_eq!(nonces.check(&ticket(1, 40_000, 9_000)), superseded);
        assert_eq!(nonces.check(&ticket(1, 40_001, 9_000)), Ok(()));
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
        let mut next = tessera_ticket::Nonces::default();
        next.add(&ticket(2, 2, 9_000));
        bytes.extend(next.pending());
        std::fs::write(&name, &bytes).unwrap();
        let nonces = Nonces::open(dir.as_fd()).unwrap();
        assert_eq!(
            nonces.check(&ticket(9, 2, 9_000)),
            Err(Refusal::TicketSuperseded { last: 2 })
        );
        drop(nonces);
        std::fs::write(&name, vec![7; TORN_MAX + 1]).unwrap();
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
        file::write_all(nonces.file.as_raw_fd(), &nonces.seen.pending()[..17]).unwrap();
        nonces.flush().unwrap();
        assert_eq!(nonces.len, len + NONCE_RECORD_LEN as u64);
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
        let of = |instance| LaunchKey { instance, ..key(1) };
        let room = NONCES_PENDING_MAX / NONCE_RECORD_LEN + 1;
        let barred =
            (2..).take_while(|it| nonces.bar(of(*it), 1_000).is_ok() && nonces.flush().is_err());
        assert_eq!(barred.count(), room);
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
