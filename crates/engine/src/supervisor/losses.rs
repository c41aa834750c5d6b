//! Items whose shepherd is lost again and again while they run.
//!
//! On a desktop a job and its shepherds are the same user's, so that a command can end its own parent (`kill -9 $PPID`). Started again
//! at once each time it would never come to an end. Losses in a row are therefore counted per item: it pauses longer each time, and
//! fails after some. On hosts with a launcher no job can reach a shepherd; what is lost there is nobody's fault and is not counted, nor
//! is what was lost while its worker or the connection was away.
//!
//! The count is in memory alone: it is a suspicion, and a supervisor that starts anew begins it anew.

use super::io::kind;
use super::job::Phase;
use super::time::Timer;
use super::{About, Engine, Now, Turn};
use std::collections::BTreeSet;
use std::time::Duration;
use tessera_model::msg::{AttemptEnd, LaunchKey, Run};
use tessera_model::state::End;
use tessera_model::{Identity, ItemIndex, ItemStatus, JobId};

/// Losses in a row after which an item fails, when nothing else of its host was lost with it.
const ALONE_MAX: u8 = 5;
/// Losses in a row after which it fails, whatever was lost with it: several bad jobs on one host excuse each other for so long.
const LOSSES_MAX: u8 = 10;
/// How close to each other instances of a host are lost together: somebody ended them all, or the session that they were in.
const TOGETHER: Duration = Duration::from_secs(1);
/// The longest pause before the item is tried again.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What an item lost in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Losses {
    in_all: u8,
    /// Those of them when nothing else of the host was lost at that moment.
    alone: u8,
}

impl Losses {
    fn are_too_many(self) -> bool {
        self.alone >= ALONE_MAX || self.in_all >= LOSSES_MAX
    }

    /// Answers the pause before the next try: none after the first loss, then 1, 2, 4 … seconds.
    fn pause(self) -> Duration {
        match self.in_all {
            0 | 1 => Duration::ZERO,
            n => Duration::from_secs(1 << (n - 2).min(5)).min(PAUSE_MAX),
        }
    }
}

/// The newest loss on a host that was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LastLoss {
    at: Duration,
    job: JobId,
    item: ItemIndex,
    was_alone: bool,
    /// What was on the host beside it.
    beside: BTreeSet<LaunchKey>,
}

impl Engine {
    /// A shepherd was lost while its worker was there.
    pub(super) fn shepherd_lost(&mut self, t: &mut Turn<'_>, key: LaunchKey) {
        if let Some((run, losses)) = self.count_shepherd_loss(t.now, key) {
            if losses.are_too_many() {
                self.fail_of_losses(t, key, run, losses);
            } else if !losses.pause().is_zero() {
                self.put_back_for_a_while(t, key, run, losses);
            }
        }
        self.lose_launch(t, key, "its shepherd was lost");
    }

    /// Counts the loss of what a launch ran, if the item itself may be to blame for it.
    fn count_shepherd_loss(&mut self, now: Now, key: LaunchKey) -> Option<(Run, Losses)> {
        let launch = self.launches.get(&key)?;
        let run = launch.current.filter(|_| launch.phase == Phase::Open)?;
        if !self.owns_instance(key) || !self.is_current(key.job, run) {
            return None;
        }
        let host = self.hosts.get_mut(&launch.host)?;
        let is_desktop = matches!(host.facts.identity, Identity::Desktop(_));
        if !is_desktop || !launch.orders.may_be_starting(host.session) {
            return None;
        }
        let is_with = |last: &LastLoss| {
            last.beside.contains(&key) && now.elapsed.saturating_sub(last.at) <= TOGETHER
        };
        let with = host.last_loss.take().filter(is_with);
        let is_alone = with.is_none();
        let beside = host.launches.keys().filter(|it| **it != key);
        host.last_loss = Some(LastLoss {
            at: now.elapsed,
            job: key.job,
            item: run.item,
            was_alone: is_alone,
            beside: beside.copied().collect(),
        });
        // The first of several is known to be one of them only now.
        if let Some(first) = with.filter(|with| with.was_alone)
            && let Some(job) = self.jobs.get_mut(&first.job)
            && let Some(losses) = job.losses.get_mut(&first.item)
        {
            losses.alone = losses.alone.saturating_sub(1);
        }
        let job = self.jobs.get_mut(&key.job)?;
        let losses = job.losses.entry(run.item).or_default();
        losses.in_all = losses.in_all.saturating_add(1);
        losses.alone = losses.alone.saturating_add(u8::from(is_alone));
        Some((run, *losses))
    }

    /// Takes what was lost off its launch and makes its item wait before it is tried again.
    fn put_back_for_a_while(&mut self, t: &mut Turn<'_>, key: LaunchKey, run: Run, losses: Losses) {
        let pause = losses.pause();
        let text = format!(
            "its shepherd was lost while it ran, {} times in a row; tried again in {} s",
            losses.in_all,
            pause.as_secs()
        );
        let due = t.now.elapsed + pause;
        self.timers.set(due, Timer::Item(key.job, run.item));
        self.take_lost_item(t, key, run, None, &text);
    }

    /// The item has failed; nobody tries it again but a person.
    fn fail_of_losses(&mut self, t: &mut Turn<'_>, key: LaunchKey, run: Run, losses: Losses) {
        let end = End::ShepherdEnded {
            times: losses.in_all.into(),
        };
        let text = end.to_string();
        self.take_lost_item(t, key, run, Some(end), &text);
        self.forget_losses(key.job, run.item);
        let is_cmdline = self.jobs.get(&key.job).is_some_and(super::Job::is_cmdline);
        if is_cmdline {
            self.fail_instance(t, key, "its shepherd was ended again and again");
        }
        self.stop_failing(t, key.job);
    }

    /// The item has come to another end, or a person wants it tried anew: what it lost before is no row any more.
    pub(super) fn forget_losses(&mut self, job: JobId, item: ItemIndex) {
        if let Some(job) = self.jobs.get_mut(&job) {
            job.losses.remove(&item);
        }
    }

    /// Takes it off its launch: it has failed with that end, or waits.
    fn take_lost_item(
        &mut self,
        t: &mut Turn<'_>,
        key: LaunchKey,
        run: Run,
        end: Option<End>,
        text: &str,
    ) {
        let Some(launch) = self.launches.get(&key) else {
            return;
        };
        let (host, since) = (launch.host, launch.current_since);
        let started = launch.current_started.unwrap_or(since);
        let (status, kind) = match end {
            Some(_) => (ItemStatus::Failed, kind::ITEM_ENDED),
            None => (ItemStatus::Waiting, kind::ITEM_CHANGED),
        };
        let end = end.map(|end| AttemptEnd {
            elapsed: Duration::from_millis(t.now.wall.since_ms(since)),
            ..AttemptEnd::nothing_ran(end, started)
        });
        let end = end.ok_or("its shepherd was lost");
        self.keep_attempt(t, key, run, end, true);
        if let Some(launch) = self.launches.get_mut(&key) {
            launch.take(run);
        }
        let Some(job) = self.jobs.get(&key.job) else {
            return;
        };
        let mut core = job.items.get(run.item);
        core.status = status;
        let text = format!("{}: {text}", job.spec.item_name(run.item));
        let about = About::run(key, host, run);
        self.set_item(t, key.job, run.item, core, about, kind, text);
        self.let_go(key.job, run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let pauses = (1..LOSSES_MAX).map(|in_all| Losses { in_all, alone: 0 }.pause().as_secs());
        assert_eq!(pauses.collect::<Vec<_>>(), [0, 1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(
            Losses {
                in_all: 255,
                alone: 0
            }
            .pause(),
            PAUSE_MAX
        );
    }
}
