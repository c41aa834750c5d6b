//! Mail that people ask for themselves: for one job (`tessera submit --mail`), and of all their jobs (`tessera notify set`).
//!
//! Owns whom the farm may write to then, and what people wish. **Invariant:** at a user's wish the farm writes to owners at
//! `owner_domain`, and to domains that its administrator named; to nobody else in the world.

use super::channel::Line;
use super::config::Target;
use super::keep::META_PREFIX;
use crate::core::{CoreHandle, Unavailable};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tessera_model::{JobMail, MailAddress, MailWhen};
use tessera_spec::FieldError;
use tessera_store::Write;

/// The channel's name.
pub(crate) const PEOPLE: &str = "people";
/// Domains that may be named.
const DOMAINS_MAX: usize = 50;
/// People whose wishes are kept.
const WISHES_MAX: usize = 10_000;
/// What stands before a person's name in the store. No channel's name has this sign.
const MARK: char = '@';
/// The format number of [`Kept`].
const FORMAT: u32 = 1;

/// The domains that mail goes to at somebody's wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Allowed {
    domains: BTreeSet<String>,
}

impl Allowed {
    /// Checks what was written.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(crate) fn of(domains: &[String]) -> Result<Self, String> {
        if domains.len() > DOMAINS_MAX {
            return Err(format!("domains: at most {DOMAINS_MAX} can be named"));
        }
        let checked = domains.iter().map(|domain| {
            let tried = format!("somebody@{domain}").parse::<MailAddress>();
            tried
                .map(|address| address.domain())
                .map_err(|_| format!("domains: {domain:?} is no domain such as studio.example"))
        });
        let domains = checked.collect::<Result<_, _>>()?;
        Ok(Self { domains })
    }

    /// Says whether an address may be written to. A domain does not allow those below it.
    pub(crate) fn allows(&self, address: &MailAddress) -> bool {
        self.domains.contains(&address.domain())
    }

    /// Answers them for people.
    pub(crate) fn shown(&self) -> String {
        let domains: Vec<&str> = self.domains.iter().map(String::as_str).collect();
        domains.join(", ")
    }
}

/// Says why a job may not ask for this mail, if it may not.
pub(super) fn refusal(lines: &[Arc<Line>], mail: &JobMail) -> Option<FieldError> {
    let config = lines.iter().map(|line| line.config());
    let targets = config.filter_map(|config| match &config.target {
        Target::Mail(target) => Some(target.clone()),
        Target::Webhook(_) => None,
    });
    let found = targets.filter_map(|it| it.asked().cloned().map(|allowed| (it, allowed)));
    let Some((target, allowed)) = found.into_iter().next() else {
        let refused = FieldError::new("mail", "this farm writes no mail for jobs");
        return Some(refused.hint("an administrator allows it by a table [people] in notify.toml"));
    };
    match &mail.to {
        Some(to) if !allowed.allows(to) => {
            let text = format!("this farm writes no mail to {}", to.domain());
            let hint = match allowed.shown() {
                none if none.is_empty() => {
                    "leave mail_to out: mail goes to the job's owner".to_owned()
                }
                domains => format!("it writes to {domains}"),
            };
            Some(FieldError::new("mail_to", text).hint(hint))
        }
        None if target.smtp.owner_domain.is_none() => {
            let text = "this farm does not know where owners of jobs have their mail";
            Some(FieldError::new("mail", text).hint("name an address: mail_to"))
        }
        Some(_) | None => None,
    }
}

/// What people wish to be told of their jobs by mail.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    held: Mutex<BTreeMap<String, BTreeSet<MailWhen>>>,
}

/// A person's wishes as they are kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    format: u32,
    on: Vec<String>,
}

/// Why wishes were not taken.
#[derive(Debug)]
pub(crate) enum NotSet {
    /// Too many people have some.
    TooMany,
    /// The store can't be written.
    Unavailable(Unavailable),
}

impl Wishes {
    /// Takes up what was kept; what can't be read is nobody's wish, and told in the log.
    pub(crate) fn restore(kept: &BTreeMap<String, String>) -> Self {
        let mut held = BTreeMap::new();
        for (key, text) in kept {
            let Some(user) = key
                .strip_prefix(META_PREFIX)
                .and_then(|key| key.strip_prefix(MARK))
            else {
                continue;
            };
            match serde_json::from_str::<Kept>(text) {
                Ok(kept) if kept.format <= FORMAT => {
                    let on = kept.on.iter().filter_map(|word| MailWhen::of_word(word));
                    held.insert(user.to_owned(), on.collect());
                }
                Ok(_) | Err(_) => {
                    tracing::error!(user, "what this person wishes to be mailed can't be read");
                }
            }
        }
        let held = Mutex::new(held);
        Self { held }
    }

    /// Answers somebody's.
    pub(crate) fn of(&self, user: &str) -> BTreeSet<MailWhen> {
        self.lock().get(user).cloned().unwrap_or_default()
    }

    /// Takes somebody's, once they are durable. Dropping the future may leave them kept and not held until the next start.
    ///
    /// # Errors
    /// Why not; then nothing changed.
    pub(crate) async fn set(
        &self,
        core: &CoreHandle,
        user: &str,
        on: BTreeSet<MailWhen>,
    ) -> Result<(), NotSet> {
        {
            let held = self.lock();
            if held.len() >= WISHES_MAX && !held.contains_key(user) {
                return Err(NotSet::TooMany);
            }
        }
        let kept = Kept {
            format: FORMAT,
            on: on.iter().map(|it| it.word().to_owned()).collect(),
        };
        let row = Write::Meta {
            key: format!("{META_PREFIX}{MARK}{user}"),
            value: serde_json::to_string(&kept).unwrap_or_default(),
        };
        core.keep(vec![row]).await.map_err(NotSet::Unavailable)?;
        self.lock().insert(user.to_owned(), on);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<MailWhen>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_domains_are_written_to() {
        let allowed = Allowed::of(&["Studio.example".into(), "x.org".into()]).expect("good");
        for (address, expected) in [
            ("mia@studio.example", true),
            ("mia@STUDIO.example", true),
            ("mia@x.org", true),
            ("mia@mail.studio.example", false),
            ("mia@evilstudio.example", false),
            ("mia@studio.example.org", false),
            ("mia@example", false),
            ("mia@gmail.example", false),
        ] {
            let parsed: MailAddress = address.parse().expect(address);
            assert_eq!(allowed.allows(&parsed), expected, "{address}");
        }
        assert_eq!(allowed.shown(), "studio.example, x.org");
        for bad in ["", "*", "a b", "@x", "x@y", "*.example"] {
            assert!(Allowed::of(&[bad.to_owned()]).is_err(), "{bad}");
        }
        assert!(Allowed::of(&vec!["x.org".to_owned(); DOMAINS_MAX + 1]).is_err());
    }

    #[test]
    fn wishes_are_read_as_they_were_kept() {
        let kept = [
            (
                "notify.@mia",
                r#"{"format":1,"on":["done","failed","later-word"]}"#,
            ),
            ("notify.@tom", r#"{"format":2,"on":["done"]}"#),
            ("notify.@bad", "?"),
            ("notify.chat", "{}"),
        ];
        let kept = kept.map(|(key, text)| (key.to_owned(), text.to_owned()));
        let wishes = Wishes::restore(&kept.into());
        assert_eq!(wishes.of("mia"), [MailWhen::Done, MailWhen::Failed].into());
        for nobody in ["tom", "bad", "chat", ""] {
            assert_eq!(wishes.of(nobody), BTreeSet::new(), "{nobody}");
        }
    }
}
