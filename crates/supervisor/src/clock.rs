//! The one place of this crate that asks what time it is.

use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tessera_engine::Now;
use tessera_model::Timestamp;

/// Wall time for people and elapsed time for decisions.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Clock {
    /// The system's, elapsed time from here.
    Real {
        /// Where that is.
        origin: Instant,
    },
    /// What somebody has set.
    Set(Now),
}

impl Clock {
    /// Starts the elapsed time at zero.
    pub(crate) fn start() -> Self {
        Self::Real {
            origin: Instant::now(),
        }
    }

    /// Answers both times.
    pub(crate) fn now(&self) -> Now {
        match self {
            Self::Real { origin } => Now {
                wall: wall(),
                elapsed: origin.elapsed(),
            },
            Self::Set(now) => *now,
        }
    }
}

/// Answers the wall time.
pub(crate) fn wall() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
