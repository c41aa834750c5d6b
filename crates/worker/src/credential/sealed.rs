//! Keys in files that the system seals besides (DPAPI): who copies the disk's files, or reads them as another account, has nothing.

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{FileSecrets, SecretStore};

/// What the purpose of everything that is sealed here begins with, so that it opens nowhere else.
const PURPOSE: &[u8] = b"tessera worker: registered passwords: ";

/// What seals and opens.
pub(super) trait Sealer: Send + Sync {
    /// Seals for this account on this host and for a purpose.
    fn seal(&self, secret: &[u8], purpose: &[u8]) -> io::Result<Vec<u8>>;
    /// Opens what was sealed so.
    fn open(&self, sealed: &[u8], purpose: &[u8]) -> io::Result<Zeroizing<Vec<u8>>>;
    /// Lets nobody but this account, the system and administrators at a directory.
    fn close_to_others(&self, dir: &Path) -> io::Result<()>;
}

/// Entries are sealed files in a directory of this account's own.
#[derive(Debug)]
pub(super) struct SealedFiles<S> {
    dir: PathBuf,
    files: FileSecrets,
    sealer: S,
}

impl<S: Sealer> SealedFiles<S> {
    /// Takes a directory, and makes it if it is not there. Nothing is written before it is closed to others.
    ///
    /// # Errors
    /// When it can't be made, is another's, or can't be closed.
    pub(super) fn open(dir: &Path, sealer: S) -> io::Result<Self> {
        let files = FileSecrets::open(dir)?;
        sealer.close_to_others(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            files,
            sealer,
        })
    }
}

fn purpose(name: &str) -> Vec<u8> {
    [PURPOSE, name.as_bytes()].concat()
}

impl<S: Sealer> SecretStore for SealedFiles<S> {
    fn read(&self, name: &str) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let Some(sealed) = self.files.read(name)? else {
            return Ok(None);
        };
        let opened = self.sealer.open(&sealed, &purpose(name));
        opened.map(Some).map_err(|error| {
            let path = self.dir.join(name);
            let why = format!(
                "{} does not open for this account ({error}): another account or host has made it, or the account's profile \
                 was lost; remove it, and have people register again",
                path.display()
            );
            io::Error::new(error.kind(), why)
        })
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let sealed = self.sealer.seal(bytes, &purpose(name))?;
        self.files.write(name, &sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seals by turning bits over, for one account.
    struct Fake {
        account: u8,
        is_closable: bool,
    }

    impl Sealer for Fake {
        fn seal(&self, secret: &[u8], purpose: &[u8]) -> io::Result<Vec<u8>> {
            let turned = secret.iter().map(|it| !it);
            let head = [self.account, u8::try_from(purpose.len()).expect("short")];
            Ok(head
                .into_iter()
                .chain(purpose.iter().copied())
                .chain(turned)
                .collect())
        }
        fn open(&self, sealed: &[u8], purpose: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
            let head = self.seal(&[], purpose)?;
            let rest = sealed.strip_prefix(head.as_slice());
            let rest = rest.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
            Ok(Zeroizing::new(rest.iter().map(|it| !it).collect()))
        }
        fn close_to_others(&self, dir: &Path) -> io::Result<()> {
            assert_eq!(
                std::fs::read_dir(dir)?.count(),
                0,
                "nothing lies there open"
            );
            if self.is_closable {
                return Ok(());
            }
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }

    fn of(account: u8) -> Fake {
        Fake {
            account,
            is_closable: true,
        }
    }

    #[test]
    fn what_was_sealed_opens_for_the_same_account_and_the_same_entry_only() {
        let dir = tempfile::tempdir().expect("a folder");
        let keys = dir.path().join("keys");
        let store = SealedFiles::open(&keys, of(1)).expect("opens");
        assert!(store.read("pool-keys").expect("reads").is_none());
        store.write("pool-keys", b"secret").expect("writes");
        let read = store.read("pool-keys").expect("reads").expect("is there");
        assert_eq!(read.as_slice(), b"secret");
        let kept = std::fs::read(keys.join("pool-keys")).expect("reads");
        assert!(!kept.windows(6).any(|it| it == b"secret"), "as it is");
        std::fs::copy(keys.join("pool-keys"), keys.join("other")).expect("copies");
        assert!(
            store.read("other").is_err(),
            "it was sealed as another entry"
        );
        let stranger = SealedFiles {
            sealer: of(2),
            ..store
        };
        let error = stranger.read("pool-keys").expect_err("refused").to_string();
        assert!(error.contains("pool-keys does not open"), "{error}");
        assert!(error.contains("register again"), "{error}");
    }

    #[test]
    fn a_directory_that_stays_open_to_others_is_not_used() {
        let dir = tempfile::tempdir().expect("a folder");
        let sealer = Fake {
            account: 1,
            is_closable: false,
        };
        let refused = SealedFiles::open(&dir.path().join("keys"), sealer).map(|_| ());
        let error = refused.expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }
}
