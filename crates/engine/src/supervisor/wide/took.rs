//! How long the items of a job take: by those that were done, or by the limits that it gave itself.

use crate::supervisor::{Engine, Job};
use std::time::Duration;
use tessera_model::msg::AttemptEnd;
use tessera_model::{JobId, Outcome};

/// One that took less than the longest brings that down by this part of the difference.
const FALL_PART: u32 = 8;

/// How long items took. Not kept over a restart of the supervisor: the next ones tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Took {
    longest: Option<Duration>,
}

impl Took {
    /// Notes that one was done and took so long.
    pub(crate) fn note(&mut self, took: Duration) {
        let longest = self.longest.unwrap_or(took);
        let fall = longest.saturating_sub(took) / FALL_PART;
        self.longest = Some(longest.max(took) - fall);
    }

    /// Answers how long the longest took; long ago counts for less.
    #[must_use]
    pub(crate) fn longest(self) -> Option<Duration> {
        self.longest
    }
}

impl Engine {
    /// Notes how long an item took that was done; how long one took that failed says nothing of the others.
    pub(in super::super) fn note_took(&mut self, id: JobId, end: &AttemptEnd) {
        if let Some(job) = self.jobs.get_mut(&id)
            && end.end.outcome() == Outcome::Done
        {
            job.took.note(end.elapsed);
        }
    }
}

/// Answers how long an item of a job takes at most, as far as that is known.
pub(super) fn expected(job: &Job) -> Option<Duration> {
    let spec = &job.spec;
    let limits = [spec.agendatimelimit, spec.timelimit];
    let limit = limits.into_iter().flatten().min();
    let limit = limit.map(|limit| limit.saturating_add(spec.grace));
    job.took.longest().into_iter().chain(limit).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_counts_and_fades() {
        let seconds = Duration::from_secs;
        let mut took = Took::default();
        assert_eq!(took.longest(), None);
        took.note(seconds(10));
        took.note(seconds(90));
        assert_eq!(took.longest(), Some(seconds(90)));
        took.note(seconds(10));
        assert_eq!(took.longest(), Some(seconds(80)));
        (0..60).for_each(|_| took.note(seconds(10)));
        assert!(took.longest().is_some_and(|it| it < seconds(11)));
    }
}
