//! What people may do to a job, an instance or an item, and in which state.
//!
//! One table: [`Action::on_item`], [`Action::on_instance`]; an action on a job is the action on all its instances and
//! items, except for those that only a job has ([`Action::job_only`]). Every pair is defined: allowed with what it
//! leads to, or refused with the reason. `docs/states.md` is printed from it.

use crate::ids::JobId;
use crate::state::{ItemStatus, WorkStatus};
use std::fmt;
use std::str::FromStr;

/// A verb of user or dispatcher; each is defined in `docs/glossary.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the field's words, see docs/glossary.md")]
pub enum Action {
    Kill,
    Block,
    Unblock,
    Interrupt,
    Preempt,
    Migrate,
    Suspend,
    Resume,
    Retry,
    Requeue,
    Retire,
    Complete,
    Fail,
    Remove,
    Modify,
    Top,
    Bottom,
}

/// What an allowed action does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule<S> {
    /// Nothing runs for it; it becomes this.
    Become(S),
    /// What runs for it is ended (signal, grace, kill); it becomes this at once.
    EndAndBecome(S),
    /// The current item is finished first, then it becomes this.
    FinishThen(S),
    /// Its processes are stopped by signal.
    Stop,
    /// Its processes go on.
    Continue,
}

/// Why an action is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refused {
    /// It is in that state already.
    #[error("it is {0} already")]
    Already(&'static str),
    /// It has ended.
    #[error("it has ended ({0}); retry or requeue it first")]
    Ended(&'static str),
    /// It has not ended.
    #[error("it has not ended ({0})")]
    NotEnded(&'static str),
    /// Nothing of it runs.
    #[error("it is not running ({0})")]
    NotRunning(&'static str),
    /// It is not suspended.
    #[error("it is not suspended ({0})")]
    NotSuspended(&'static str),
    /// It is not blocked.
    #[error("it is not blocked ({0})")]
    NotBlocked(&'static str),
    /// Nobody blocked it; its job waits for others.
    #[error(
        "nobody blocked it: job {0} waits for others (tessera why {0}); tessera unblock {0} lets all of it start"
    )]
    Waits(JobId),
    /// Suspended work must be resumed, interrupted or killed.
    #[error("it is suspended; resume it first")]
    IsSuspended,
    /// The action is for jobs.
    #[error("that can be done to a whole job only")]
    JobOnly,
    /// The action is for jobs and instances.
    #[error("that can be done to a job or an instance only")]
    NotForItems,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 17] = [
        Self::Kill,
        Self::Block,
        Self::Unblock,
        Self::Interrupt,
        Self::Preempt,
        Self::Migrate,
        Self::Suspend,
        Self::Resume,
        Self::Retry,
        Self::Requeue,
        Self::Retire,
        Self::Complete,
        Self::Fail,
        Self::Remove,
        Self::Modify,
        Self::Top,
        Self::Bottom,
    ];

    /// Answers the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Block => "block",
            Self::Unblock => "unblock",
            Self::Interrupt => "interrupt",
            Self::Preempt => "preempt",
            Self::Migrate => "migrate",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Retry => "retry",
            Self::Requeue => "requeue",
            Self::Retire => "retire",
            Self::Complete => "complete",
            Self::Fail => "fail",
            Self::Remove => "remove",
            Self::Modify => "modify",
            Self::Top => "top",
            Self::Bottom => "bottom",
        }
    }

    /// Says whether it can be done to a whole job only.
    #[must_use]
    pub fn job_only(self) -> bool {
        matches!(self, Self::Remove | Self::Modify | Self::Top | Self::Bottom)
    }

    /// Answers what it does to an item in that state.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn on_item(self, state: ItemStatus) -> Result<Rule<ItemStatus>, Refused> {
        use ItemStatus as S;
        let word = state.word();
        let active = state.is_active();
        let become_or_end = |next| {
            if active {
                Rule::EndAndBecome(next)
            } else {
                Rule::Become(next)
            }
        };
        match self {
            Self::Kill if state.is_ended() => Err(Refused::Ended(word)),
            Self::Kill => Ok(become_or_end(S::Killed)),
            Self::Block => match state {
                S::Blocked => Err(Refused::Already(word)),
                S::Complete | S::Failed | S::Killed => Err(Refused::Ended(word)),
                S::Pending | S::Waiting | S::Running | S::Suspended => {
                    Ok(become_or_end(S::Blocked))
                }
            },
            Self::Unblock if state == S::Blocked => Ok(Rule::Become(S::Pending)),
            Self::Unblock => Err(Refused::NotBlocked(word)),
            Self::Interrupt | Self::Migrate if active => Ok(Rule::EndAndBecome(S::Pending)),
            Self::Interrupt | Self::Migrate => Err(Refused::NotRunning(word)),
            Self::Suspend => match state {
                S::Running => Ok(Rule::Stop),
                S::Suspended => Err(Refused::Already(word)),
                S::Pending | S::Blocked | S::Waiting | S::Complete | S::Failed | S::Killed => {
                    Err(Refused::NotRunning(word))
                }
            },
            Self::Resume if state == S::Suspended => Ok(Rule::Continue),
            Self::Resume => Err(Refused::NotSuspended(word)),
            Self::Retry if state.is_ended() => Ok(Rule::Become(S::Pending)),
            Self::Requeue if state.is_ended() => Ok(Rule::Become(S::Blocked)),
            Self::Retry | Self::Requeue => Err(Refused::NotEnded(word)),
            Self::Complete if state == S::Complete => Err(Refused::Already(word)),
            Self::Complete => Ok(become_or_end(S::Complete)),
            Self::Fail if state == S::Failed => Err(Refused::Already(word)),
            Self::Fail => Ok(become_or_end(S::Failed)),
            Self::Preempt | Self::Retire => Err(Refused::NotForItems),
            Self::Remove | Self::Modify | Self::Top | Self::Bottom => Err(Refused::JobOnly),
        }
    }

    /// Answers what it does to an instance in that state; what runs in it when it is ended goes back to pending, except
    /// as the same action says for the item.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn on_instance(self, state: WorkStatus) -> Result<Rule<WorkStatus>, Refused> {
        use WorkStatus as S;
        let word = state.word();
        let active = matches!(state, S::Running | S::Suspended);
        let become_or_end = |next| {
            if active {
                Rule::EndAndBecome(next)
            } else {
                Rule::Become(next)
            }
        };
        match self {
            Self::Kill if state.is_ended() => Err(Refused::Ended(word)),
            Self::Kill => Ok(become_or_end(S::Killed)),
            Self::Block => match state {
                S::Blocked => Err(Refused::Already(word)),
                S::Complete | S::Failed | S::Killed => Err(Refused::Ended(word)),
                S::Pending | S::Waiting | S::Badlogin | S::Running | S::Suspended => {
                    Ok(become_or_end(S::Blocked))
                }
            },
            Self::Unblock if state == S::Blocked => Ok(Rule::Become(S::Pending)),
            Self::Unblock => Err(Refused::NotBlocked(word)),
            Self::Interrupt | Self::Migrate if active => Ok(Rule::EndAndBecome(S::Pending)),
            Self::Interrupt | Self::Migrate => Err(Refused::NotRunning(word)),
            Self::Preempt | Self::Retire => match state {
                S::Running if self == Self::Preempt => Ok(Rule::FinishThen(S::Pending)),
                S::Running => Ok(Rule::FinishThen(S::Complete)),
                S::Suspended => Err(Refused::IsSuspended),
                S::Pending
                | S::Blocked
                | S::Waiting
                | S::Badlogin
                | S::Complete
                | S::Failed
                | S::Killed => Err(Refused::NotRunning(word)),
            },
            Self::Suspend => match state {
                S::Running => Ok(Rule::Stop),
                S::Suspended => Err(Refused::Already(word)),
                S::Pending
                | S::Blocked
                | S::Waiting
                | S::Badlogin
                | S::Complete
                | S::Failed
                | S::Killed => Err(Refused::NotRunning(word)),
            },
            Self::Resume if state == S::Suspended => Ok(Rule::Continue),
            Self::Resume => Err(Refused::NotSuspended(word)),
            Self::Retry if state.is_ended() || state == S::Badlogin => Ok(Rule::Become(S::Pending)),
            Self::Requeue if state.is_ended() => Ok(Rule::Become(S::Blocked)),
            Self::Retry | Self::Requeue => Err(Refused::NotEnded(word)),
            Self::Complete if state == S::Complete => Err(Refused::Already(word)),
            Self::Complete => Ok(become_or_end(S::Complete)),
            Self::Fail if state == S::Failed => Err(Refused::Already(word)),
            Self::Fail => Ok(become_or_end(S::Failed)),
            Self::Remove | Self::Modify | Self::Top | Self::Bottom => Err(Refused::JobOnly),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The text names no action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" is no action", .0.escape_debug())]
pub struct UnknownAction(pub String);

impl FromStr for Action {
    type Err = UnknownAction;
    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        Self::ALL
            .into_iter()
            .find(|action| action.word() == text)
            .ok_or_else(|| UnknownAction(text.chars().take(32).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prints the whole table, as `docs/states.md` has it.
    fn table() -> String {
        let mut text = String::new();
        for action in Action::ALL {
            for state in ItemStatus::ALL {
                text += &format!("item {action} {state}: {}\n", cell(action.on_item(state)));
            }
            for state in WorkStatus::ALL {
                text += &format!(
                    "instance {action} {}: {}\n",
                    state.word(),
                    cell(action.on_instance(state))
                );
            }
        }
        text
    }

    fn cell<S: fmt::Debug>(rule: Result<Rule<S>, Refused>) -> String {
        match rule {
            Ok(rule) => format!("{rule:?}"),
            Err(refused) => format!("refused: {refused}"),
        }
    }

    #[test]
    fn every_action_in_every_state_is_what_the_table_says() {
        let expected = include_str!("action_table.txt");
        let found = table();
        if std::env::var_os("TESSERA_UPDATE").is_some() {
            std::fs::write("src/action_table.txt", &found).expect("the table can be written");
            return;
        }
        for (line, (is, should)) in found.lines().zip(expected.lines()).enumerate() {
            assert_eq!(is, should, "line {} of action_table.txt", line + 1);
        }
        assert_eq!(
            found.lines().count(),
            Action::ALL.len() * (ItemStatus::ALL.len() + WorkStatus::ALL.len())
        );
        assert_eq!(found.lines().count(), expected.lines().count());
    }

    #[test]
    fn only_what_runs_is_ended_and_what_has_ended_stays_so() {
        for action in Action::ALL {
            for state in ItemStatus::ALL {
                match action.on_item(state) {
                    Ok(Rule::EndAndBecome(next)) => {
                        assert!(state.is_active() && !next.is_active(), "{action} {state}");
                    }
                    Ok(Rule::Become(next)) => {
                        assert!(!state.is_active() && !next.is_active(), "{action} {state}");
                        let revived = state.is_ended() && !next.is_ended();
                        assert!(!revived || matches!(action, Action::Retry | Action::Requeue));
                    }
                    Ok(Rule::Stop) => assert_eq!(state, ItemStatus::Running),
                    Ok(Rule::Continue) => assert_eq!(state, ItemStatus::Suspended),
                    Ok(Rule::FinishThen(_)) | Err(_) => {}
                }
            }
        }
    }

    #[test]
    fn words_parse_back() {
        for action in Action::ALL {
            assert_eq!(action.word().parse(), Ok(action));
        }
        assert!("explode".parse::<Action>().is_err());
    }
}
