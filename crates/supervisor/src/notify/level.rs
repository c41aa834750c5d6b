//! Whether the farm has been full or idle for a while.
//!
//! A reconciler: it looks now and then, and what it says is what is, not what changed. Channels remember what they told.

use super::cause::{Fact, Kind};
use crate::clock::Clock;
use crate::core::{CoreHandle, View};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tessera_model::WorkStatus;
use tessera_model::state::ItemStatus;
use tokio::sync::watch;

/// How often the farm is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How the farm is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// Every slot that is open is taken, and work waits for one.
    Full,
    /// Hosts are there, nothing runs and nothing waits.
    Idle,
    /// Neither.
    Between,
}

/// What was seen, with the figures that go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// How it is.
    pub(crate) level: Level,
    /// In words.
    pub(crate) text: String,
    /// When, in milliseconds since 1970.
    pub(crate) at_ms: i64,
}

impl Seen {
    /// Answers what people are told of it, if that is something.
    pub(crate) fn fact(&self) -> Option<Fact> {
        let kind = match self.level {
            Level::Full => Kind::FarmFull,
            Level::Idle => Kind::FarmIdle,
            Level::Between => return None,
        };
        Some(Fact::of_farm(kind, self.at_ms, self.text.clone()))
    }
}

/// What a farm has and does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Figures {
    slots: u64,
    free: u64,
    busy: u64,
    waiting: u64,
}

impl Figures {
    /// Counts. Blocked work waits for a person, not for a slot.
    fn of(view: &View<'_>) -> Self {
        let mut figures = Self::default();
        for host in view.engine.hosts() {
            if host.is_open() {
                figures.slots += u64::from(host.facts.slots);
                figures.free += u64::from(host.free());
            }
            figures.busy += u64::from(host.used());
        }
        let waits = |status| matches!(status, WorkStatus::Pending | WorkStatus::Running);
        let jobs = view.engine.jobs().filter(|job| waits(job.status()));
        figures.waiting = jobs
            .filter(|job| job.items().count(ItemStatus::Pending) > 0)
            .count() as u64;
        figures
    }

    fn level(self) -> Level {
        if self.slots > 0 && self.free == 0 && self.waiting > 0 {
            Level::Full
        } else if self.slots > 0 && self.busy == 0 && self.waiting == 0 {
            Level::Idle
        } else {
            Level::Between
        }
    }

    fn text(self) -> String {
        let Self { slots, waiting, .. } = self;
        match self.level() {
            Level::Full => format!("{slots} slots are taken, {waiting} jobs wait"),
            Level::Idle | Level::Between => format!("{slots} slots"),
        }
    }
}

/// Lets a level pass when it has been the same for long enough.
#[derive(Debug, Default)]
struct Steady {
    since: Option<(Level, Duration)>,
}

impl Steady {
    fn look(&mut self, level: Level, now: Duration, after: Duration) -> bool {
        match self.since {
            Some((same, since)) if same == level => now.saturating_sub(since) >= after,
            _ => {
                self.since = Some((level, now));
                after.is_zero()
            }
        }
    }
}

/// Looks at the farm for ever; tells what has been so for `after`.
pub(crate) async fn watch_farm(
    core: CoreHandle,
    clock: Clock,
    after: Duration,
    tell: watch::Sender<Option<Seen>>,
) {
    let mut steady = Steady::default();
    loop {
        // What can't be read now is looked at again.
        if let Ok(figures) = core.read(Figures::of).await {
            let now = clock.now();
            if steady.look(figures.level(), now.elapsed, after) {
                tell.send_if_modified(|told| {
                    let is_new = told.as_ref().is_none_or(|it| it.level != figures.level());
                    if is_new {
                        *told = Some(Seen {
                            level: figures.level(),
                            text: figures.text(),
                            at_ms: now.wall.0,
                        });
                    }
                    is_new
                });
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_farm_is_full_idle_or_between() {
        let figures = |slots, free, busy, waiting| Figures {
            slots,
            free,
            busy,
            waiting,
        };
        for (it, expected) in [
            (figures(0, 0, 0, 0), Level::Between),
            (figures(0, 0, 0, 3), Level::Between),
            (figures(4, 4, 0, 0), Level::Idle),
            (figures(4, 4, 0, 1), Level::Between),
            (figures(4, 0, 4, 1), Level::Full),
            (figures(4, 0, 4, 0), Level::Between),
            (figures(4, 1, 3, 9), Level::Between),
        ] {
            assert_eq!(it.level(), expected, "{it:?}");
        }
    }

    #[test]
    fn what_lasts_passes_and_what_flickers_does_not() {
        let (mut steady, after) = (Steady::default(), Duration::from_secs(300));
        let mut look = |level, second| steady.look(level, Duration::from_secs(second), after);
        assert!(!look(Level::Full, 0));
        assert!(!look(Level::Full, 299));
        assert!(!look(Level::Between, 300));
        assert!(!look(Level::Full, 301));
        assert!(!look(Level::Full, 600));
        assert!(look(Level::Full, 601));
    }
}
