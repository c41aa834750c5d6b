//! Which launches need a registered password: as the launcher's policy says, which the launcher tells.

use tessera_model::UserName;
use tessera_model::credential::{AccountKind, Verdict};
use tessera_ticket::launcher::Capabilities;
use tessera_ticket::{Mode, Ticket};

use super::{LogonFailed, Token, Vault};

/// Whether a registered password is what a launcher logs accounts of a mode on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// It never is.
    None,
    /// It is where there is one; else there is another way.
    Optional,
    /// There is no other way.
    Always,
}

/// The word of the way with a registered password, as in the launcher's policy.
const PASSWORD: &str = "password";

/// Answers how a launcher logs accounts of a mode on, the first way for which there is something; nothing where it does not say.
pub(crate) fn ways_of<'a>(launcher: &'a Capabilities, mode: &str) -> Option<Vec<&'a str>> {
    let mut all = launcher.logons.iter().filter_map(|it| it.split_once('='));
    let (_, ways) = all.find(|(of, _)| *of == mode)?;
    Some(ways.split(',').map(str::trim).collect())
}

/// Answers what a launcher with these capabilities needs for a mode.
pub(crate) fn need_of(launcher: &Capabilities, mode: &str) -> Need {
    match ways_of(launcher, mode).unwrap_or_default().as_slice() {
        [PASSWORD] => Need::Always,
        [PASSWORD, _, ..] => Need::Optional,
        // What comes first is always there: what follows is never used.
        _ => Need::None,
    }
}

impl Vault {
    /// Logs the account of a ticket on, if the launcher wants it logged on: with the token of an earlier logon, or by one try.
    ///
    /// # Errors
    /// What the vault found. No other way is gone then.
    pub fn token_for(
        &self,
        launcher: &Capabilities,
        ticket: &Ticket,
    ) -> Result<Option<Token>, LogonFailed> {
        let kind = match ticket.mode {
            Mode::User => AccountKind::User,
            Mode::Proxy => AccountKind::Proxy,
            Mode::Desktop => return Ok(None),
        };
        let need = need_of(launcher, ticket.mode.name());
        if need == Need::None {
            return Ok(None);
        }
        let account: UserName = ticket.account.parse().map_err(|_| {
            let detail = format!("{} can't be the name of an account", ticket.account);
            LogonFailed::new(Verdict::NoAccount, detail)
        })?;
        if need == Need::Optional && !self.holds(kind, &account) {
            return Ok(None);
        }
        self.token(kind, &account).map(Some)
    }
}
