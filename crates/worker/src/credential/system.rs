//! The system as it is: logons, tokens and DPAPI of Windows.

use std::io;
use std::path::Path;

use tessera_windows::logon::{LogonError, Password};
use tessera_windows::{Found, Sid, Token, logon_batch, look_up, open_sealed, protect, seal};
use zeroize::Zeroizing;

use super::domain::{Domain, Logons};
use super::sealed::{SealedFiles, Sealer};
use super::{Settings, Vault, VaultError};
use crate::os;

/// Where this worker's keys lie, below the vault's directory.
const KEYS: &str = "keys";

/// Windows.
#[derive(Debug, Clone, Copy)]
struct System;

/// Opens the vault of this worker's account.
pub(super) fn open(dir: &Path, settings: Settings) -> Result<Vault, VaultError> {
    let failed = |source| VaultError {
        what: "keep keys from others",
        path: dir.display().to_string(),
        source,
    };
    let secrets = SealedFiles::open(&dir.join(KEYS), System).map_err(failed)?;
    // The name that accounts have before theirs: at most 15 characters, unlike that of the network.
    let host = std::env::var("COMPUTERNAME").ok().or_else(os::host_name);
    let host = host.unwrap_or_default();
    let accounts = Domain::new(System, host);
    Vault::open(dir, settings, Box::new(secrets), Box::new(accounts))
}

impl Logons for System {
    type Token = Token;

    fn look_up(&self, name: &str) -> Result<Found, LogonError> {
        look_up(name)
    }

    fn log_on(&self, domain: &str, name: &str, password: &Password) -> Result<Token, LogonError> {
        logon_batch(domain, name, password)
    }

    fn user(&self, token: &Token) -> io::Result<Sid> {
        token.user()
    }
}

impl Sealer for System {
    fn seal(&self, secret: &[u8], purpose: &[u8]) -> io::Result<Vec<u8>> {
        seal(secret, purpose)
    }

    fn open(&self, sealed: &[u8], purpose: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
        open_sealed(sealed, purpose)
    }

    fn close_to_others(&self, dir: &Path) -> io::Result<()> {
        let own = Token::own()?.user()?;
        let list = format!("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;{own})");
        protect(dir, &list)
    }
}
