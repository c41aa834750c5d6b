//! What the person at a host lets the farm do there: whose jobs a desktop runs, and whether it takes work while somebody
//! works at it.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// Names that one desktop may let in.
pub const ALLOWED_MAX: usize = 256;
/// How long nobody has touched a host that takes work again, when nothing else is said.
pub const IDLE_AFTER_DEFAULT: Duration = Duration::from_secs(600);
/// The shortest such time: less would take a pause for thought for an absence.
pub const IDLE_AFTER_LEAST: Duration = Duration::from_secs(60);
/// The longest such time, a day.
pub const IDLE_AFTER_MOST: Duration = Duration::from_secs(24 * 3600);
/// The word that stands for everybody in a list of names.
pub const EVERYBODY: &str = "*";

/// Whose jobs a desktop runs beside those of its own person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consent {
    /// Those of these owners; of nobody else when it is empty.
    Only(BTreeSet<String>),
    /// Anybody's.
    Everybody,
}

impl Default for Consent {
    fn default() -> Self {
        Self::Only(BTreeSet::new())
    }
}

impl Consent {
    /// Makes a consent of names; `*` among them lets everybody in.
    #[must_use]
    pub fn of(names: impl IntoIterator<Item = String>) -> Self {
        let names: BTreeSet<String> = names.into_iter().collect();
        if names.contains(EVERYBODY) {
            Self::Everybody
        } else {
            Self::Only(names)
        }
    }

    /// Answers the names, `*` alone for everybody.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Only(names) => names.iter().cloned().collect(),
            Self::Everybody => vec![EVERYBODY.to_owned()],
        }
    }

    /// Says whether jobs of `owner` run on the desktop of `person`.
    #[must_use]
    pub fn admits(&self, person: &str, owner: &str) -> bool {
        let is_named = match self {
            Self::Only(names) => names.contains(owner),
            Self::Everybody => true,
        };
        person == owner || is_named
    }
}

/// Names said in a sentence at most.
const NAMES_SAID: usize = 5;

impl fmt::Display for Consent {
    /// Prints `nobody else`, `everybody` or the names, the first of them when there are many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = match self {
            Self::Everybody => return f.write_str("everybody"),
            Self::Only(names) if names.is_empty() => return f.write_str("nobody else"),
            Self::Only(names) => names,
        };
        let first: Vec<&str> = names.iter().take(NAMES_SAID).map(String::as_str).collect();
        f.write_str(&first.join(", "))?;
        match names.len().saturating_sub(NAMES_SAID) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// What becomes of work that runs when somebody comes back to their host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Running {
    /// The items that run go on to their end; no others follow.
    #[default]
    Keep,
    /// It is stopped where it is, and goes on when nobody is active any more.
    Suspend,
    /// It is ended and put back; no retry is used.
    Requeue,
}

impl Running {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Keep, Self::Suspend, Self::Requeue];

    /// Answers the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Suspend => "suspend",
            Self::Requeue => "requeue",
        }
    }

    /// Reads the word for it.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }
}

/// The rule of a host that takes no new work while somebody is active there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WhileActive {
    /// It takes work when nobody has touched it for so long.
    pub idle_after: Duration,
    /// What becomes of what runs.
    pub running: Running,
}

impl Default for WhileActive {
    fn default() -> Self {
        Self {
            idle_after: IDLE_AFTER_DEFAULT,
            running: Running::default(),
        }
    }
}

impl WhileActive {
    /// Says whether the time is one that a host may be told.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        (IDLE_AFTER_LEAST..=IDLE_AFTER_MOST).contains(&self.idle_after)
    }
}

/// What a worker under such a rule knows of the person at its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// The rule that it goes by.
    pub rule: WhileActive,
    /// Whether the host takes no new work for it.
    pub is_closed: bool,
    /// Who was seen to be there last; empty when it can't be told who.
    pub who: String,
    /// Why it can't be known whether somebody is active, if it can't.
    pub unknown: Option<String>,
}

impl Presence {
    /// Says why the host is closed; `idle` is how long nobody had touched it when that was last told.
    #[must_use]
    pub fn reason(&self, idle: Option<Duration>) -> String {
        if let Some(why) = &self.unknown {
            return format!(
                "locked: whether somebody is active can't be known and counts as yes ({why})"
            );
        }
        let who = if self.who.is_empty() {
            "somebody"
        } else {
            &self.who
        };
        let of = self.rule.idle_after.as_secs();
        match idle {
            Some(idle) => format!(
                "locked: {who} is active (idle {} s of {of} s)",
                idle.as_secs()
            ),
            None => format!("locked: {who} is active (unlocks when idle for {of} s)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_desktop_is_its_own_persons_unless_they_say_otherwise() {
        let nobody = Consent::default();
        assert!(nobody.admits("anna", "anna"));
        assert!(!nobody.admits("anna", "bob") && !nobody.admits("anna", ""));
        let some = Consent::of(["bob".to_owned()]);
        assert!(some.admits("anna", "bob") && some.admits("anna", "anna"));
        assert!(!some.admits("anna", "bobby") && !some.admits("anna", "Bob"));
        let all = Consent::of(["bob".to_owned(), EVERYBODY.to_owned()]);
        assert_eq!(all, Consent::Everybody);
        assert!(all.admits("anna", "eve"));
        for consent in [nobody, some, all] {
            assert_eq!(Consent::of(consent.names()), consent);
        }
    }

    #[test]
    fn consent_is_said_in_few_words() {
        let of = |names: &[&str]| Consent::of(names.iter().map(|it| (*it).to_owned())).to_string();
        assert_eq!(of(&[]), "nobody else");
        assert_eq!(of(&["bob", "anna"]), "anna, bob");
        assert_eq!(
            of(&["a", "b", "c", "d", "e", "f", "g"]),
            "a, b, c, d, e and 2 more"
        );
        assert_eq!(of(&["*"]), "everybody");
    }

    #[test]
    fn a_closed_host_says_why() {
        let mut presence = Presence {
            rule: WhileActive::default(),
            is_closed: true,
            who: "anna".to_owned(),
            unknown: None,
        };
        let said = presence.reason(Some(Duration::from_millis(12_900)));
        assert_eq!(said, "locked: anna is active (idle 12 s of 600 s)");
        presence.who.clear();
        assert!(presence.reason(None).contains("somebody is active"));
        presence.unknown = Some("loginctl is not there".to_owned());
        assert!(presence.reason(None).contains("loginctl is not there"));
    }

    #[test]
    fn words_are_read_as_they_are_printed() {
        for it in Running::ALL {
            assert_eq!(Running::of_word(it.word()), Some(it));
        }
        assert_eq!(Running::of_word("kill"), None);
        let short = WhileActive {
            idle_after: Duration::from_secs(59),
            ..WhileActive::default()
        };
        assert!(WhileActive::default().is_sound() && !short.is_sound());
    }
}
