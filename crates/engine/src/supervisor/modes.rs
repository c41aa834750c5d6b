//! Maintenance of the whole farm: it takes no submissions, or starts nothing. What runs goes on to the end of its item.

use super::connection::admin_only;
use super::io::{Answer, Change, Denied, kind};
use super::{About, Engine, Turn};
use std::collections::BTreeMap;
use tessera_model::lock::fit_note;
use tessera_model::msg::LaunchKey;
use tessera_model::{Principal, Timestamp, UserName};

/// A mode of maintenance, by Qube!'s word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Submissions are refused.
    RejectSubmit,
    /// Nothing is started on any host.
    StopActivity,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::RejectSubmit, Self::StopActivity];

    /// Answers the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::RejectSubmit => "reject_submit",
            Self::StopActivity => "stop_activity",
        }
    }

    /// Reads the word for it.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::RejectSubmit => "the farm takes no submissions",
            Self::StopActivity => "the farm starts nothing",
        }
    }
}

/// Who set a mode, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeRecord {
    /// Who.
    pub by: UserName,
    /// When.
    pub at: Timestamp,
    /// Why, in their words.
    pub note: String,
}

impl ModeRecord {
    /// Says what it means, who said so, since when and why.
    #[must_use]
    pub fn reason(&self, mode: Mode) -> String {
        let (meaning, word) = (mode.meaning(), mode.word());
        let since = self.at.in_words(0);
        let mut text = format!("{meaning} ({word}, set by {} at {since})", self.by);
        if !self.note.is_empty() {
            text += &format!(": {}", self.note);
        }
        text
    }
}

/// The modes that are set.
pub type Modes = BTreeMap<Mode, ModeRecord>;

impl Engine {
    /// Answers the modes that are set.
    #[must_use]
    pub fn modes(&self) -> &Modes {
        &self.modes
    }

    /// Answers what the modes that are set mean, in words.
    #[must_use]
    pub fn notices(&self) -> Vec<String> {
        let all = self.modes.iter();
        all.map(|(mode, record)| record.reason(*mode)).collect()
    }

    /// Sets a mode with why, or unsets it.
    pub(super) fn set_mode(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        mode: Mode,
        note: Option<&str>,
    ) -> Result<Answer, Denied> {
        admin_only(by, &format!("set or unset {}", mode.word()))?;
        let text = match note {
            Some(note) => {
                let note = fit_note(note);
                if self.modes.get(&mode).is_some_and(|it| it.note == note) {
                    return Ok(Answer::Done);
                }
                let record = ModeRecord {
                    by: by.name.clone(),
                    at: t.now.wall,
                    note,
                };
                let text = record.reason(mode);
                self.modes.insert(mode, record);
                text
            }
            None => {
                if self.modes.remove(&mode).is_none() {
                    return Ok(Answer::Done);
                }
                format!("{} is unset", mode.word())
            }
        };
        t.change(Change::Modes);
        let about = About::default().by(&by.name);
        t.event(kind::FARM_MODE, about, text);
        if self.is_stopped() {
            self.recall_everywhere(t);
        }
        Ok(Answer::Done)
    }

    /// Says whether nothing is started now.
    pub(super) fn is_stopped(&self) -> bool {
        self.modes.contains_key(&Mode::StopActivity)
    }

    /// Refuses a submission while the farm takes none.
    pub(super) fn check_mode(&self) -> Result<(), Denied> {
        match self.modes.get(&Mode::RejectSubmit) {
            Some(record) => Err(Denied::Rejected {
                why: record.reason(Mode::RejectSubmit),
            }),
            None => Ok(()),
        }
    }

    /// What was given ahead has not begun: it does not, either.
    fn recall_everywhere(&mut self, t: &mut Turn<'_>) {
        let ahead = self.launches.values().filter(|it| !it.ahead.is_empty());
        let keys: Vec<LaunchKey> = ahead.map(|launch| launch.key).collect();
        for key in keys {
            self.recall(t, key);
            self.settle(t, key.job);
        }
    }
}
