//! How a command ends: the exit codes, all of them.

use std::process::ExitCode;

/// The exit code of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The action failed.
    Failed = 1,
    /// The command line, or a field of what was sent, is wrong.
    Usage = 2,
    /// The supervisor could not be reached, or answered that it can't serve now: try again.
    Unreachable = 3,
    /// Not allowed.
    Denied = 4,
    /// There is no such job, item, host or token.
    NotFound = 5,
    /// It is not in a state in which that can be done.
    State = 6,
    /// The job that was waited for failed.
    JobFailed = 10,
    /// The job that was waited for was killed.
    JobKilled = 11,
    /// The time given for waiting is over.
    TimedOut = 12,
    /// Ended by Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// Every code, in order.
    pub const ALL: [Self; 11] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Unreachable,
        Self::Denied,
        Self::NotFound,
        Self::State,
        Self::JobFailed,
        Self::JobKilled,
        Self::TimedOut,
        Self::Interrupted,
    ];

    /// Answers the number that the process ends with.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Answers the word for an error that ends so; where the API has one it is the same.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Unreachable => "unreachable",
            Self::Denied => "forbidden",
            Self::NotFound => "not_found",
            Self::State => "wrong_state",
            Self::JobFailed => "job_failed",
            Self::JobKilled => "job_killed",
            Self::TimedOut => "timed_out",
            Self::Interrupted => "interrupted",
        }
    }

    /// Answers what it means, for `--help`.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "the action failed",
            Self::Usage => "wrong usage, or a field that is wrong",
            Self::Unreachable => {
                "the supervisor could not be reached, or can't serve now: try again"
            }
            Self::Denied => "not allowed",
            Self::NotFound => "no such job, item, host or token",
            Self::State => "not possible in this state",
            Self::JobFailed => "waited for: the job failed",
            Self::JobKilled => "waited for: the job was killed",
            Self::TimedOut => "waited for: the time is over",
            Self::Interrupted => "ended by Ctrl-C",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_listed() {
        let mut codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        codes.dedup();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 10, 11, 12, 130]);
    }
}
