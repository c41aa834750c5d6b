//! The scenarios by name.

use std::fmt;
use std::str::FromStr;

/// What happens on the farm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// A full queue, and all hosts come at once.
    ColdStart,
    /// A full queue, frames end and the next begin.
    SteadyState,
    /// Jobs of one frame come all the time.
    SmallJobs,
    /// Some jobs want whole hosts, many want a slot.
    WideJobs,
    /// Jobs reserve memory, hosts have different amounts of it.
    MemoryMix,
    /// Half of the jobs need a licence, of which there are too few.
    Licences,
    /// For a while most frames fail at once.
    FailureStorm,
    /// The supervisor is killed in the middle of it.
    Restart,
    /// Half of the hosts vanish for longer than the farm waits for them.
    HalfLost,
    /// A hundred users want everything at once.
    Users,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::ColdStart,
        Self::SteadyState,
        Self::SmallJobs,
        Self::WideJobs,
        Self::MemoryMix,
        Self::Licences,
        Self::FailureStorm,
        Self::Restart,
        Self::HalfLost,
        Self::Users,
    ];

    /// Answers the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ColdStart => "cold-start",
            Self::SteadyState => "steady-state",
            Self::SmallJobs => "small-jobs",
            Self::WideJobs => "wide-jobs",
            Self::MemoryMix => "memory-mix",
            Self::Licences => "licences",
            Self::FailureStorm => "failure-storm",
            Self::Restart => "restart",
            Self::HalfLost => "half-lost",
            Self::Users => "users",
        }
    }

    /// Says what happens in it.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::ColdStart => "a full queue, and all hosts come at once",
            Self::SteadyState => "a full queue, frames end and the next begin",
            Self::SmallJobs => "jobs of one frame come all the time, for four fifths of the slots",
            Self::WideJobs => "some jobs want whole hosts, many want a slot",
            Self::MemoryMix => "jobs reserve memory, hosts have different amounts of it",
            Self::Licences => {
                "half of the jobs need a licence, and there is one for each eighth slot"
            }
            Self::FailureStorm => "for a while most frames fail at once, and are retried",
            Self::Restart => "the supervisor is killed and reads its store again",
            Self::HalfLost => {
                "half of the hosts vanish for longer than the farm waits, and come back"
            }
            Self::Users => "a hundred users want everything at once, some much more than others",
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|it| it.word() == text);
        known.ok_or_else(|| {
            let words = Self::ALL.map(Self::word).join(", ");
            format!("no scenario \"{text}\"; there are {words}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for scenario in Scenario::ALL {
            assert_eq!(scenario.to_string().parse(), Ok(scenario));
        }
        assert!("licence".parse::<Scenario>().is_err());
    }
}
