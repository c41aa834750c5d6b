//! Taking back what is left of a logon of which nothing runs: its private directory, and its account if it is one of the launcher's own.
//!
//! **Invariant:** a private directory is emptied as the account that it was made for, never as the system: what lies there is a job's.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tessera_keeper::{Record, is_there};
use tessera_windows::logon::{LogonError, Password};

use crate::name::{Authority, Name};
use crate::os::Os;

/// Empties the private directory as its account, and disables the account if it is one of the launcher's own.
///
/// # Errors
/// What could not be taken back, for people.
pub fn take_back<O: Os>(os: &Arc<O>, record: &Record, logons: &Mutex<()>) -> Result<(), String> {
    let _one = logons.lock().unwrap_or_else(PoisonError::into_inner);
    let name = Name::parse(&record.account, &Authority::Local)?;
    let private = &record.private;
    let emptied = if is_there(private) {
        remove_as(os, &name, record.is_made, private)
            .map_err(|error| format!("{}: {error}", private.display()))
    } else {
        Ok(())
    };
    if record.is_made {
        let disabled = os.disable(&name.account);
        disabled.map_err(|error| format!("the account can't be disabled: {error}"))?;
    }
    emptied
}

/// Becomes the account once more, without anybody's password: one that was made here has a new one, all others need none for what
/// lies on this host.
fn remove_as<O: Os>(os: &Arc<O>, name: &Name, is_made: bool, private: &Path) -> io::Result<()> {
    let refused = |error: LogonError| io::Error::other(error);
    let token = if is_made {
        let password = Password::of_chance(os.chance()?);
        os.renew(&name.account, &password)?;
        os.logon_password(name, &password)
    } else {
        os.logon_s4u(name)
    };
    let token = token.map_err(refused)?;
    let expected = os.look_up(name).map_err(refused)?;
    if os.who(&token)?.user != expected {
        return Err(io::Error::other("the logon is another account's"));
    }
    os.remove_private(&token, private)
}
