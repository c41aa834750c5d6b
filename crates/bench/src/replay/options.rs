//! What a replay is asked for, and its bounds.

use super::ReplayError;
use crate::StoreKind;
use crate::options::MINUTES_MAX;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use tessera_engine::supervisor::{Algorithm, PreemptPolicy};

/// Jobs of one replay.
pub const REPLAY_JOBS_MAX: usize = 100_000;
/// Frames of one replay.
pub const REPLAY_FRAMES_MAX: u64 = 10_000_000;
/// Days from the first submission of a replay to the last.
pub const REPLAY_DAYS_MAX: i64 = 92;
/// Lines of the journal about hosts and people that a replay reads.
pub const REPLAY_WORDS_MAX: usize = 1_000_000;
/// Hosts that may be added to those of the farm, or taken away.
pub const REPLAY_HOSTS_MAX: u32 = 10_000;

/// Hosts more, or fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostsChange(pub i64);

impl FromStr for HostsChange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "write +N for more hosts like the commonest kind, or -N for fewer of it; N goes from 1 to {REPLAY_HOSTS_MAX}"
            )
        };
        let (sign, number) = match text.split_at_checked(1) {
            Some(("+", number)) => (1, number),
            Some(("-", number)) => (-1, number),
            _ => return Err(wrong()),
        };
        let is_number = number.bytes().all(|it| it.is_ascii_digit());
        let count = number.parse::<u32>().ok().filter(|_| is_number);
        let count = count.filter(|it| (1..=REPLAY_HOSTS_MAX).contains(it));
        Ok(Self(sign * i64::from(count.ok_or_else(wrong)?)))
    }
}

impl fmt::Display for HostsChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:+}", self.0)
    }
}

/// What a replay is asked for.
#[derive(Debug, Clone)]
pub struct ReplayOptions {
    /// A file of a store, or the folder of a farm.
    pub source: PathBuf,
    /// Jobs submitted from then on (milliseconds since 1970); from the first on when not said.
    pub from_ms: Option<i64>,
    /// Jobs submitted before then; all when not said.
    pub to_ms: Option<i64>,
    /// The configuration of the supervisor; that in the folder when the source is one, else the defaults.
    pub config: Option<PathBuf>,
    /// Another algorithm than the configuration's.
    pub algorithm: Option<Algorithm>,
    /// Another policy of preemption than the configuration's.
    pub preempt: Option<PreemptPolicy>,
    /// More hosts, or fewer.
    pub hosts: HostsChange,
    /// Where chance begins.
    pub seed: u64,
    /// Where the supervisor of the replay keeps what it knows.
    pub store: StoreKind,
    /// Where the folder of the replay is made, and removed again.
    pub folder: PathBuf,
    /// Real minutes after which it is cut short.
    pub minutes: u32,
}

impl ReplayOptions {
    /// Checks what can be checked before anything is read.
    ///
    /// # Errors
    /// [`ReplayError::Asked`], which names what is wrong.
    pub fn check(&self) -> Result<(), ReplayError> {
        if !(1..=MINUTES_MAX).contains(&self.minutes) {
            let minutes = self.minutes;
            return Err(ReplayError::Asked(format!(
                "--minutes {minutes} is out of bounds: it goes from 1 to {MINUTES_MAX}"
            )));
        }
        match (self.from_ms, self.to_ms) {
            (Some(from), Some(to)) if from >= to => Err(ReplayError::Asked(format!(
                "--from ({}) is not before --to ({})",
                super::when(from),
                super::when(to)
            ))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_more_or_fewer_are_read_as_written() {
        for text in ["+1", "-10", "+10000"] {
            let read: HostsChange = text.parse().expect(text);
            assert_eq!(read.to_string(), text);
        }
        for text in [
            "", "+", "4", "+0", "-0", "+10001", "+-3", "++3", "+3.5", "é",
        ] {
            assert!(text.parse::<HostsChange>().is_err(), "{text}");
        }
    }
}
