//! States of agenda items, instances and jobs. The words are the field's; what may follow what is in
//! [`crate::action`] for people's actions and in the engine for what happens by itself.

use crate::host::Refusal;
use crate::ids::{HostId, LaunchNo};
use crate::time::Timestamp;
use std::fmt;

/// The state of an agenda item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ItemStatus {
    /// May be started any time.
    Pending = 0,
    /// Held until somebody unblocks it.
    Blocked = 1,
    /// Pending after a retry delay.
    Waiting = 2,
    /// A current attempt exists.
    Running = 3,
    /// A current attempt exists and is stopped by signal.
    Suspended = 4,
    /// Done.
    Complete = 5,
    /// Over, its last attempt failed.
    Failed = 6,
    /// Ended by somebody.
    Killed = 7,
}

impl ItemStatus {
    /// Every state, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Blocked,
        Self::Waiting,
        Self::Running,
        Self::Suspended,
        Self::Complete,
        Self::Failed,
        Self::Killed,
    ];

    /// Says whether nothing more will happen to it by itself.
    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Complete | Self::Failed | Self::Killed)
    }

    /// Says whether a current attempt exists.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Running | Self::Suspended)
    }

    /// Answers the state with that number, if there is one.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Answers the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Blocked => "blocked",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Suspended => "suspended",
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Killed => "killed",
        }
    }
}

impl fmt::Display for ItemStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The state of an instance, with what that state has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceStatus {
    /// May be placed on a host.
    Pending,
    /// Held until somebody unblocks it.
    Blocked,
    /// Comes back to pending then: after a failure, or while a directory does not answer.
    Waiting {
        /// When.
        until: Timestamp,
        /// Why.
        reason: String,
    },
    /// No host would become its account; released by a change on a host.
    Badlogin(Refusal),
    /// On a host.
    Running {
        /// Where.
        host: HostId,
        /// Which start of it.
        launch: LaunchNo,
    },
    /// On a host, stopped by signal.
    Suspended {
        /// Where.
        host: HostId,
        /// Which start of it.
        launch: LaunchNo,
    },
    /// Nothing left to do.
    Complete,
    /// Failed as often as it may.
    Failed,
    /// Ended by somebody.
    Killed,
}

impl InstanceStatus {
    /// Answers the state without its details.
    #[must_use]
    pub fn kind(&self) -> WorkStatus {
        match self {
            Self::Pending => WorkStatus::Pending,
            Self::Blocked => WorkStatus::Blocked,
            Self::Waiting { .. } => WorkStatus::Waiting,
            Self::Badlogin(_) => WorkStatus::Badlogin,
            Self::Running { .. } => WorkStatus::Running,
            Self::Suspended { .. } => WorkStatus::Suspended,
            Self::Complete => WorkStatus::Complete,
            Self::Failed => WorkStatus::Failed,
            Self::Killed => WorkStatus::Killed,
        }
    }

    /// Answers the launch it has, if it is on a host.
    #[must_use]
    pub fn launch(&self) -> Option<LaunchNo> {
        match self {
            Self::Running { launch, .. } | Self::Suspended { launch, .. } => Some(*launch),
            Self::Pending
            | Self::Blocked
            | Self::Waiting { .. }
            | Self::Badlogin(_)
            | Self::Complete
            | Self::Failed
            | Self::Killed => None,
        }
    }
}

/// The state of a job, or of an instance without its details; what tables and lists show. A job's is derived from its
/// instances and items, never stored as a truth of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the field's words, see docs/glossary.md")]
pub enum WorkStatus {
    Pending,
    Blocked,
    Waiting,
    Badlogin,
    Running,
    Suspended,
    Complete,
    Failed,
    Killed,
}

impl WorkStatus {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Blocked,
        Self::Waiting,
        Self::Badlogin,
        Self::Running,
        Self::Suspended,
        Self::Complete,
        Self::Failed,
        Self::Killed,
    ];

    /// Says whether nothing more will happen to it by itself.
    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Complete | Self::Failed | Self::Killed)
    }

    /// Answers the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Blocked => "blocked",
            Self::Waiting => "waiting",
            Self::Badlogin => "badlogin",
            Self::Running => "running",
            Self::Suspended => "suspended",
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Killed => "killed",
        }
    }
}

impl fmt::Display for WorkStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// How the processes of an attempt ended, as the kernel told its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The process exited by itself with this status.
    Exit(i32),
    /// A signal ended it.
    Signal(i32),
    /// It never started: the step that failed and the system's reason.
    NotStarted(String),
    /// The kernel ended it, or a process of it, for want of memory.
    OutOfMemory {
        /// The most memory that it had, in bytes; 0 when that isn't known.
        peak: u64,
        /// The most that it might have, in bytes; 0 when the host as a whole had none left.
        limit: u64,
    },
    /// The farm ended it, for this reason.
    Limit(Limit),
    /// The farm ended it because somebody or the dispatcher asked.
    Asked,
    /// Its host, launcher or shepherd was lost; how it ended is not known.
    Lost,
    /// Its shepherd was ended while it ran, and before that those of the tries before: the command may do that itself. Decided by
    /// the farm; no worker says it.
    ShepherdEnded {
        /// How many tries in a row ended so.
        times: u32,
    },
}

/// A limit of the job's that ended an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// `agendatimelimit`.
    ItemTime,
    /// `timelimit`.
    InstanceTime,
    /// `silence-limit`.
    Silence,
}

impl fmt::Display for End {
    /// Prints the end in words: `exit 1`, `signal 9 (KILL)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Only Windows has codes below 0: they are statuses of the system's, known by their hexadecimal form.
            Self::Exit(code) if *code < 0 => match status_name(*code) {
                Some(name) => write!(f, "exit {code:#010X} ({name})"),
                None => write!(f, "exit {code:#010X}"),
            },
            Self::Exit(code) => write!(f, "exit {code}"),
            Self::Signal(number) => match signal_name(*number) {
                Some(name) => write!(f, "signal {number} ({name})"),
                None => write!(f, "signal {number}"),
            },
            Self::NotStarted(why) => write!(f, "not started: {why}"),
            Self::OutOfMemory { limit: 0, .. } => f.write_str("its host ran out of memory"),
            Self::OutOfMemory { limit, .. } => {
                write!(f, "out of memory: over its {} MiB", limit.div_ceil(1 << 20))
            }
            Self::Limit(Limit::ItemTime) => f.write_str("over its agendatimelimit"),
            Self::Limit(Limit::InstanceTime) => f.write_str("over the job's timelimit"),
            Self::Limit(Limit::Silence) => f.write_str("printed nothing for its silence-limit"),
            Self::Asked => f.write_str("ended on request"),
            Self::Lost => f.write_str("lost with its host or worker"),
            Self::ShepherdEnded { times } => write!(
                f,
                "its shepherd was ended {times} times in a row while it ran; the command may end its own parent (kill $PPID)"
            ),
        }
    }
}

/// Answers what a common status of Windows means (`ntstatus.h`).
fn status_name(status: i32) -> Option<&'static str> {
    Some(match status.cast_unsigned() {
        0xC000_0005 => "access violation",
        0xC000_0017 => "out of memory",
        0xC000_001D => "illegal instruction",
        0xC000_007B => "not a program for this system",
        0xC000_0094 => "division by zero",
        0xC000_00FD => "stack overflow",
        0xC000_0135 => "a DLL is missing",
        0xC000_0139 => "a DLL lacks a function",
        0xC000_013A => "Ctrl-C",
        0xC000_0142 => "a DLL failed to start",
        0xC000_0374 => "heap corruption",
        0xC000_0409 => "abort",
        _ => return None,
    })
}

/// Answers the name of a common signal, without `SIG`.
fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        6 => "ABRT",
        7 => "BUS",
        8 => "FPE",
        9 => "KILL",
        11 => "SEGV",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        24 => "XCPU",
        25 => "XFSZ",
        _ => return None,
    })
}

/// What the end of an attempt means for its item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Exit 0.
    Done,
    /// Anything the job itself is answerable for; uses up a retry.
    Failed,
    /// It needed more memory than it had; uses up a try of `retry_oom`, and the next one has more.
    OutOfMemory,
    /// The farm or a person ended it; uses up nothing.
    Interrupted,
}

impl End {
    /// Reads [`Self::ShepherdEnded`] from the words that it prints.
    #[must_use]
    pub fn shepherd_ended_of(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("its shepherd was ended ")?;
        let (times, _) = rest.split_once(' ')?;
        let end = Self::ShepherdEnded {
            times: times.parse().ok()?,
        };
        (end.to_string() == text).then_some(end)
    }

    /// Answers what this end means: only exit 0 is success, and what the farm did never counts against the job.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Exit(0) => Outcome::Done,
            Self::Exit(_)
            | Self::Signal(_)
            | Self::NotStarted(_)
            | Self::Limit(_)
            | Self::ShepherdEnded { .. } => Outcome::Failed,
            Self::OutOfMemory { .. } => Outcome::OutOfMemory,
            Self::Asked | Self::Lost => Outcome::Interrupted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_job_is_answerable_for_is_a_failure() {
        let ends = [
            (End::Exit(0), Outcome::Done),
            (End::Exit(1), Outcome::Failed),
            (End::Exit(-1), Outcome::Failed),
            (End::Signal(9), Outcome::Failed),
            (
                End::NotStarted("exec: no such file".into()),
                Outcome::Failed,
            ),
            (End::Limit(Limit::ItemTime), Outcome::Failed),
            (End::Limit(Limit::InstanceTime), Outcome::Failed),
            (End::Limit(Limit::Silence), Outcome::Failed),
            (
                End::OutOfMemory {
                    peak: 2 << 30,
                    limit: 1 << 30,
                },
                Outcome::OutOfMemory,
            ),
            (End::Asked, Outcome::Interrupted),
            (End::Lost, Outcome::Interrupted),
            (End::ShepherdEnded { times: 5 }, Outcome::Failed),
        ];
        for (end, outcome) in ends {
            assert_eq!(end.outcome(), outcome, "{end}");
        }
    }

    #[test]
    fn ends_read_as_words() {
        assert_eq!(End::Exit(3).to_string(), "exit 3");
        let violation = End::Exit(0xC000_0005_u32.cast_signed());
        assert_eq!(violation.to_string(), "exit 0xC0000005 (access violation)");
        assert_eq!(End::Exit(-1).to_string(), "exit 0xFFFFFFFF");
        assert_eq!(End::Signal(9).to_string(), "signal 9 (KILL)");
        let end = |limit| End::OutOfMemory { peak: 1, limit };
        let text = "out of memory: over its 1024 MiB";
        assert_eq!(end(1 << 30).to_string(), text);
        assert_eq!(end(0).to_string(), "its host ran out of memory");
        assert_eq!(End::Signal(63).to_string(), "signal 63");
        let lost = End::ShepherdEnded { times: 5 };
        let said = lost.to_string();
        assert!(said.contains("5 times in a row") && said.contains("kill $PPID"));
        assert_eq!(End::shepherd_ended_of(&said), Some(lost));
        for other in ["its shepherd was ended x times", &format!("{said}.")] {
            assert_eq!(End::shepherd_ended_of(other), None, "{other}");
        }
    }
}
