//! The exit codes of every command, in one place.

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// Done.
    Done = 0,
    /// The action failed.
    Failed = 1,
    /// The command line or the request is wrong.
    Usage = 2,
    /// The supervisor can't be reached.
    Unreachable = 3,
    /// The caller may not.
    Denied = 4,
    /// What it is about does not exist.
    NotFound = 5,
    /// It can't be done in the state that the thing is in.
    WrongState = 6,
    /// `wait`: the job failed.
    JobFailed = 10,
    /// `wait`: the job was killed.
    JobKilled = 11,
    /// `wait`: the time was over.
    TimedOut = 12,
}

impl ExitCode {
    /// Every exit code, in order.
    pub const ALL: [Self; 10] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Unreachable,
        Self::Denied,
        Self::NotFound,
        Self::WrongState,
        Self::JobFailed,
        Self::JobKilled,
        Self::TimedOut,
    ];

    /// Answers the number that the process ends with.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}
