//! The mail server and the addresses of `notify.toml`.

use super::cause::Kind;
use super::config::{SmtpEntry, read_secret};
use super::digest::Cause;
use super::people::Allowed;
use lettre::Address;
use lettre::message::Mailbox;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tessera_model::MailAddress;

/// Addresses of one channel.
const ADDRESSES_MAX: usize = 50;
/// The word for whoever owns the jobs that a message is about.
const OWNER: &str = "owner";

/// How mail travels to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SmtpTls {
    /// Within TLS, which is begun by the word `STARTTLS`; never without.
    #[default]
    StartTls,
    /// Within TLS from the first byte on.
    Tls,
    /// Without; to this host itself only.
    None,
}

/// A password, which is not shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Password(String);

impl Password {
    /// Answers it, for the server.
    pub(crate) fn reveal(&self) -> String {
        self.0.clone()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// The mail server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Smtp {
    /// Its name.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
    /// How mail travels there.
    pub(crate) tls: SmtpTls,
    /// Certificates that are trusted for it instead of the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// Who the farm is there.
    pub(crate) login: Option<(String, Password)>,
    /// Whom mail is from.
    pub(crate) from: Mailbox,
    /// What this host calls itself there.
    pub(crate) hello: String,
    /// Where owners of jobs have their mail.
    pub(super) owner_domain: Option<String>,
}

impl Smtp {
    /// Checks what was written.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn of(entry: &SmtpEntry, base: &Path) -> Result<Self, String> {
        let is_here = super::config::is_this_host(&entry.host);
        if entry.tls == SmtpTls::None && !is_here {
            return Err("tls = \"none\" is for a server on this host itself only".to_owned());
        }
        let from: Mailbox = entry
            .from
            .parse()
            .map_err(|error| format!("from must be an address: {error}"))?;
        let login = match (&entry.user, &entry.password_file) {
            (None, None) => None,
            (Some(user), Some(file)) => Some((user.clone(), password(&base.join(file))?)),
            _ => return Err("user and password_file belong together".to_owned()),
        };
        if login.is_some() && entry.tls == SmtpTls::None {
            return Err("a password is not sent without TLS".to_owned());
        }
        if let Some(domain) = &entry.owner_domain {
            let tried = Address::new("somebody", domain);
            tried.map_err(|error| format!("owner_domain: {error}"))?;
        }
        let usual = match entry.tls {
            SmtpTls::StartTls => 587,
            SmtpTls::Tls => 465,
            SmtpTls::None => 25,
        };
        Ok(Self {
            host: entry.host.clone(),
            port: entry.port.unwrap_or(usual),
            tls: entry.tls,
            ca_file: entry.ca_file.as_ref().map(|file| base.join(file)),
            login,
            from,
            hello: hello(),
            owner_domain: entry.owner_domain.clone(),
        })
    }
}

fn password(path: &Path) -> Result<Password, String> {
    let text = read_secret(path)?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(format!("password_file {}: it is empty", path.display()));
    }
    Ok(Password(line.to_owned()))
}

fn hello() -> String {
    let name = nix::unistd::gethostname().ok();
    let name = name.and_then(|name| name.into_string().ok());
    let is_good = |name: &String| {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        !name.is_empty() && name.chars().all(good)
    };
    name.filter(is_good)
        .unwrap_or_else(|| "localhost".to_owned())
}

/// Whom a channel writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MailTarget {
    /// Over which server.
    pub(crate) smtp: Arc<Smtp>,
    whom: Whom,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Whom {
    /// These.
    Addresses(Vec<Address>),
    /// Each owner of jobs.
    Owner,
    /// Whoever asks, and whom they name.
    Asked(Allowed),
}

impl MailTarget {
    /// Checks what was written.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn of(to: &[String], on: &BTreeSet<Kind>, smtp: &Arc<Smtp>) -> Result<Self, String> {
        let is_to_owner = to.iter().any(|it| it == OWNER);
        let others = to.iter().filter(|it| *it != OWNER);
        let addresses = others.map(|it| {
            let parsed = it.parse::<Address>();
            parsed.map_err(|error| format!("to: {:?} is no address: {error}", it.as_str()))
        });
        let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() || to.len() > ADDRESSES_MAX {
            return Err(format!(
                "to must be 1 to {ADDRESSES_MAX} addresses, or \"owner\""
            ));
        }
        if is_to_owner && !addresses.is_empty() {
            // One mail to both would go to neither when its server knows no such owner.
            return Err(
                "\"owner\" stands alone in to: write a second [[mail]] for the other addresses"
                    .to_owned(),
            );
        }
        if is_to_owner && smtp.owner_domain.is_none() {
            return Err(
                "to = [\"owner\"] needs owner_domain in [smtp]: owners are written to there"
                    .to_owned(),
            );
        }
        if is_to_owner && !on.iter().all(|kind| kind.is_of_a_job()) {
            return Err(
                "to = [\"owner\"] is for what happens to jobs: hosts and the farm have no owner"
                    .to_owned(),
            );
        }
        let whom = if is_to_owner {
            Whom::Owner
        } else {
            Whom::Addresses(addresses)
        };
        let smtp = Arc::clone(smtp);
        Ok(Self { smtp, whom })
    }

    /// Makes the one of mail that people ask for.
    pub(super) fn of_asked(allowed: Allowed, smtp: &Arc<Smtp>) -> Self {
        let (smtp, whom) = (Arc::clone(smtp), Whom::Asked(allowed));
        Self { smtp, whom }
    }

    /// Says whether each mail is for one person, so that one who can't be written to must not hold up others.
    pub(crate) fn is_to_one(&self) -> bool {
        match self.whom {
            Whom::Addresses(_) => false,
            Whom::Owner | Whom::Asked(_) => true,
        }
    }

    /// Answers the domains that may be written to, when it is for whoever asks.
    pub(crate) fn asked(&self) -> Option<&Allowed> {
        match &self.whom {
            Whom::Asked(allowed) => Some(allowed),
            Whom::Addresses(_) | Whom::Owner => None,
        }
    }

    /// Answers where somebody has their mail, if owners are known to have some.
    pub(crate) fn owner_address(&self, user: &str) -> Option<String> {
        let domain = self.smtp.owner_domain.as_ref()?;
        Some(format!("{user}@{domain}"))
    }

    /// Answers whom a message goes to.
    ///
    /// # Errors
    /// When nobody can or may be written to, in words.
    pub(crate) fn recipients(&self, cause: &Cause) -> Result<Vec<Address>, String> {
        match (&self.whom, &cause.to) {
            (Whom::Addresses(addresses), _) => Ok(addresses.clone()),
            (Whom::Asked(allowed), Some(to)) => {
                let address: MailAddress = to.parse().map_err(|bad| format!("{to:?} is {bad}"))?;
                // Looked at again, since list and rule may be others than when it was asked for.
                if !allowed.allows(&address) {
                    let domain = address.domain();
                    return Err(format!(
                        "{to}: the farm writes no mail to {domain} ([people] in notify.toml)"
                    ));
                }
                let address = to.parse::<Address>();
                let address = address.map_err(|error| format!("{to:?} is no address: {error}"))?;
                Ok(vec![address])
            }
            (Whom::Owner | Whom::Asked(_), _) => {
                self.owner(cause.user.as_deref()).map(|it| vec![it])
            }
        }
    }

    fn owner(&self, user: Option<&str>) -> Result<Address, String> {
        let Some(user) = user else {
            return Err(
                "it is about nobody in particular, and only owners are written to".to_owned(),
            );
        };
        let Some(domain) = &self.smtp.owner_domain else {
            return Err(format!("owner_domain does not say where {user} has mail"));
        };
        Address::new(user, domain).map_err(|error| format!("{user:?} makes no address: {error}"))
    }

    /// Answers what may be shown.
    pub(crate) fn shown(&self) -> String {
        let owner = || self.owner_address("owner").into_iter();
        let to: Vec<String> = match &self.whom {
            Whom::Addresses(addresses) => addresses.iter().map(ToString::to_string).collect(),
            Whom::Owner => owner().collect(),
            Whom::Asked(allowed) => owner().chain([allowed.shown()]).collect(),
        };
        to.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_written_to_by_way_of_an_allowed_domain() {
        let smtp = Smtp {
            host: "localhost".into(),
            port: 25,
            tls: SmtpTls::None,
            ca_file: None,
            login: None,
            from: "farm@studio.example".parse().expect("an address"),
            hello: "localhost".into(),
            owner_domain: None,
        };
        let allowed = Allowed::of(&["studio.example".into()]).expect("good");
        let target = MailTarget::of_asked(allowed, &Arc::new(smtp));
        // The first is as a job may have asked for it when that was a good address still.
        for (to, expected) in [
            ("victim%gmail.com@studio.example", "no plain mail address"),
            ("gmail.com!victim@studio.example", "no plain mail address"),
            ("victim@gmail.com", "writes no mail to gmail.com"),
        ] {
            let cause = Cause {
                kind: Kind::Done,
                user: Some("mia".into()),
                to: Some(to.into()),
            };
            let said = target.recipients(&cause).expect_err(to);
            assert!(said.contains(expected), "{to}: {said}");
        }
    }
}
