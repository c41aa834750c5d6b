//! One launch on this host: starting, taking items one after another, ending.

use super::{Effect, Found};
use crate::Now;
use std::time::Duration;
use tessera_model::msg::{GoneCause, LaunchInventory, LaunchKey, Run, RunLimits};
use tessera_model::state::{End, Limit};

/// Where a launch is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The launcher was asked; `queued` runs when it is there.
    Starting,
    /// Its shepherd takes items.
    Open,
    /// It takes no more items; its shepherd is closed when the current one has ended.
    Closing(GoneCause),
    /// Its shepherd was told to close, or was lost; what is left must be proven to be nothing.
    Proving(GoneCause),
}

/// A launch.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    key: LaunchKey,
    pub(super) phase: Phase,
    limits: RunLimits,
    /// Waits for the shepherd to be there, or for the current item to end.
    queued: Option<Queued>,
    current: Option<Current>,
    since: Duration,
    /// Suspended since then.
    suspended: Option<Duration>,
    /// How long it was suspended before.
    was_suspended: Duration,
}

/// An item that waits for its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Queued {
    run: Run,
    hold: Hold,
}

/// What the shepherd has of an item that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// It knows nothing of it.
    No,
    /// It holds it ready.
    Ready,
    /// It was told to give it up; the end of it follows.
    GivenUp,
}

#[derive(Debug, Clone)]
struct Current {
    run: Run,
    since: Duration,
    last_output: Duration,
    /// Time that the launch had spent suspended when this began.
    was_suspended: Duration,
    /// What the farm ended it for.
    ended_by: Option<End>,
    /// It was given ahead.
    was_ahead: bool,
}

impl Current {
    fn new(now: Now, run: Run, was_suspended: Duration) -> Self {
        Self {
            run,
            since: now.elapsed,
            last_output: now.elapsed,
            was_suspended,
            ended_by: None,
            was_ahead: false,
        }
    }
}

impl Launch {
    pub(super) fn new(now: Now, key: LaunchKey, limits: RunLimits, run: Run) -> Self {
        Self {
            key,
            phase: Phase::Starting,
            limits,
            queued: Some(Queued {
                run,
                hold: Hold::No,
            }),
            current: None,
            since: now.elapsed,
            suspended: None,
            was_suspended: Duration::ZERO,
        }
    }

    pub(super) fn adopted(now: Now, found: &Found) -> Self {
        let ago = |elapsed| now.elapsed.saturating_sub(elapsed);
        let current = found.current.map(|run| Current {
            run,
            since: ago(found.current_elapsed),
            last_output: now.elapsed,
            was_suspended: Duration::ZERO,
            ended_by: None,
            was_ahead: false,
        });
        Self {
            key: found.key,
            phase: Phase::Open,
            limits: found.limits.clone(),
            queued: None,
            current,
            since: ago(found.elapsed),
            suspended: found.is_suspended.then_some(now.elapsed),
            was_suspended: Duration::ZERO,
        }
    }

    pub(super) fn inventory(&self) -> LaunchInventory {
        let current = self.current.as_ref().map(|current| current.run);
        let queued = self.queued.map(|queued| queued.run);
        LaunchInventory {
            key: self.key,
            current: current.or(queued),
            queued: queued.filter(|_| current.is_some()),
            is_closing: matches!(self.phase, Phase::Closing(_) | Phase::Proving(_)),
            is_suspended: self.suspended.is_some(),
        }
    }

    pub(super) fn cause(&self) -> GoneCause {
        match self.phase {
            Phase::Closing(cause) | Phase::Proving(cause) => cause,
            Phase::Starting | Phase::Open => GoneCause::ShepherdLost,
        }
    }

    /// The shepherd is there.
    pub(super) fn started(&mut self, now: Now, e: &mut Vec<Effect>) {
        match self.phase {
            Phase::Starting => {
                self.phase = Phase::Open;
                if let Some(queued) = self.queued.take() {
                    self.run(now, e, queued.run);
                }
            }
            Phase::Closing(cause) => self.shut(e, cause),
            Phase::Open | Phase::Proving(_) => {}
        }
    }

    pub(super) fn run(&mut self, now: Now, e: &mut Vec<Effect>, run: Run) {
        let is_known = |current: &Current| current.run == run;
        match self.phase {
            Phase::Open if self.current.is_none() => {
                self.current = Some(Current::new(now, run, self.was_suspended));
                e.push(Effect::RunItem {
                    key: self.key,
                    run,
                    output_limit: self.limits.output_limit,
                });
            }
            Phase::Starting | Phase::Open if self.queued.is_none() => {
                if self.current.as_ref().is_some_and(is_known) {
                    return;
                }
                let mut hold = Hold::No;
                if self.phase == Phase::Open {
                    hold = Hold::Ready;
                    e.push(Effect::HoldItem {
                        key: self.key,
                        run,
                        output_limit: self.limits.output_limit,
                    });
                }
                self.queued = Some(Queued { run, hold });
            }
            Phase::Starting | Phase::Open | Phase::Closing(_) | Phase::Proving(_) => {}
        }
    }

    /// Ends an item; answers whether it had only been queued and nothing needs to be ended.
    pub(super) fn end_item(&mut self, e: &mut Vec<Effect>, run: Run, grace: Duration) -> bool {
        if self.queued.is_some_and(|queued| queued.run == run) {
            return self.drop_queued(e).is_some();
        }
        self.end_current(e, Some(run), grace, None);
        false
    }

    /// Takes off an item that will not run here; what the shepherd holds is given up first, and its end follows.
    fn drop_queued(&mut self, e: &mut Vec<Effect>) -> Option<Run> {
        let queued = self.queued.as_mut()?;
        match queued.hold {
            Hold::No => self.queued.take().map(|queued| queued.run),
            Hold::Ready => {
                queued.hold = Hold::GivenUp;
                e.push(Effect::EndItem {
                    key: self.key,
                    run: queued.run,
                    grace: Duration::ZERO,
                    limit: None,
                });
                None
            }
            Hold::GivenUp => None,
        }
    }

    /// Ends what runs (if it is `only`), once.
    fn end_current(
        &mut self,
        e: &mut Vec<Effect>,
        only: Option<Run>,
        grace: Duration,
        limit: Option<Limit>,
    ) {
        let Some(current) = &mut self.current else {
            return;
        };
        if only.is_some_and(|run| run != current.run) {
            return;
        }
        current
            .ended_by
            .get_or_insert(limit.map_or(End::Asked, End::Limit));
        e.push(Effect::EndItem {
            key: self.key,
            run: current.run,
            grace,
            limit,
        });
    }

    /// Ends the launch; an item that was only queued is left for [`Self::drop_if_over`].
    pub(super) fn close(&mut self, e: &mut Vec<Effect>, grace: Duration) {
        match self.phase {
            Phase::Starting => self.phase = Phase::Closing(GoneCause::Closed),
            Phase::Open => self.end(e, grace, GoneCause::Closed),
            Phase::Closing(_) => self.end_current(e, None, grace, None),
            Phase::Proving(_) => {}
        }
    }

    fn end(&mut self, e: &mut Vec<Effect>, grace: Duration, cause: GoneCause) {
        let limit = match cause {
            GoneCause::Limit(limit) => Some(limit),
            GoneCause::Closed
            | GoneCause::StarterLost
            | GoneCause::ShepherdLost
            | GoneCause::Unknown => None,
        };
        if self.current.is_some() {
            self.phase = Phase::Closing(cause);
            self.end_current(e, None, grace, limit);
        } else {
            self.shut(e, cause);
        }
    }

    fn shut(&mut self, e: &mut Vec<Effect>, cause: GoneCause) {
        self.phase = Phase::Proving(cause);
        e.push(Effect::CloseShepherd { key: self.key });
    }

    /// Takes an item off that has ended: what the farm ended it for, if it did, or `None` when it is not here.
    pub(super) fn take(&mut self, run: Run) -> Option<Option<End>> {
        if let Some(current) = self.current.take_if(|current| current.run == run) {
            return Some(current.ended_by);
        }
        let queued = self.queued.take_if(|queued| queued.run == run)?;
        Some((queued.hold == Hold::GivenUp).then_some(End::Asked))
    }

    /// Takes off the item that waits; nothing of the launch is alive.
    pub(super) fn take_queued(&mut self) -> Option<Run> {
        self.queued.take().map(|queued| queued.run)
    }

    pub(super) fn forget_current(&mut self, run: Run) {
        self.current.take_if(|current| current.run == run);
    }

    /// An item has ended: the queued one runs; one that was to be the last closes the shepherd.
    pub(super) fn after_item(&mut self, now: Now, e: &mut Vec<Effect>) {
        if self.current.is_some() {
            return;
        }
        match self.phase {
            Phase::Closing(cause) => self.shut(e, cause),
            Phase::Open => {
                let ready = |queued: &mut Queued| queued.hold == Hold::Ready;
                if let Some(Queued { run, .. }) = self.queued.take_if(ready) {
                    let current = Current::new(now, run, self.was_suspended);
                    self.current = Some(Current {
                        was_ahead: true,
                        ..current
                    });
                    e.push(Effect::ReleaseItem { key: self.key, run });
                }
            }
            Phase::Starting | Phase::Proving(_) => {}
        }
    }

    /// Says whether this item was given ahead: where items are over quickly their start is not worth a message of its own,
    /// the report of the end has it.
    pub(super) fn was_ahead(&self, run: Run) -> bool {
        let current = self.current.as_ref().filter(|current| current.run == run);
        current.is_some_and(|current| current.was_ahead)
    }

    /// Takes off an item that will not run here any more because the launch ends.
    pub(super) fn drop_if_over(&mut self, e: &mut Vec<Effect>) -> Option<Run> {
        match self.phase {
            Phase::Starting | Phase::Open => None,
            Phase::Closing(_) => self.drop_queued(e),
            // What the shepherd holds ends with it; that is known when the launch is gone.
            Phase::Proving(_) => {
                let unheld = |queued: &mut Queued| queued.hold == Hold::No;
                self.queued.take_if(unheld).map(|queued| queued.run)
            }
        }
    }

    pub(super) fn starter_lost(&mut self, e: &mut Vec<Effect>) {
        if self.phase == Phase::Open {
            // What runs is the shepherd's child and goes on; nothing more can be started.
            if self.current.is_some() {
                self.phase = Phase::Closing(GoneCause::StarterLost);
            } else {
                self.shut(e, GoneCause::StarterLost);
            }
        }
    }

    pub(super) fn shepherd_lost(&mut self, e: &mut Vec<Effect>) {
        let cause = match self.phase {
            Phase::Closing(cause) | Phase::Proving(cause) if cause != GoneCause::ShepherdLost => {
                cause
            }
            Phase::Starting | Phase::Open | Phase::Closing(_) | Phase::Proving(_) => {
                GoneCause::ShepherdLost
            }
        };
        self.phase = Phase::Proving(cause);
        e.push(Effect::ProveGone(self.key));
    }

    pub(super) fn suspend(&mut self, now: Now, e: &mut Vec<Effect>) {
        if self.suspended.is_none() {
            self.suspended = Some(now.elapsed);
            e.push(Effect::SetSuspended {
                key: self.key,
                is_suspended: true,
            });
        }
    }

    pub(super) fn resume(&mut self, now: Now, e: &mut Vec<Effect>) {
        if let Some(since) = self.suspended.take() {
            let pause = now.elapsed.saturating_sub(since);
            self.was_suspended += pause;
            if let Some(current) = &mut self.current {
                current.last_output += pause;
            }
            e.push(Effect::SetSuspended {
                key: self.key,
                is_suspended: false,
            });
        }
    }

    pub(super) fn printed(&mut self, now: Now, run: Run) {
        if let Some(current) = self.current.as_mut().filter(|current| current.run == run) {
            current.last_output = now.elapsed;
        }
    }

    /// Ends what is over its limit; nothing counts while suspended.
    pub(super) fn watch(&mut self, now: Now, e: &mut Vec<Effect>) {
        let Some((due, limit)) = self.next_limit() else {
            return;
        };
        if due > now.elapsed {
            return;
        }
        let grace = self.limits.grace;
        match limit {
            Limit::InstanceTime => self.end(e, grace, GoneCause::Limit(limit)),
            Limit::ItemTime | Limit::Silence => self.end_current(e, None, grace, Some(limit)),
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.next_limit().map(|(due, _)| due)
    }

    fn next_limit(&self) -> Option<(Duration, Limit)> {
        if self.suspended.is_some() || self.phase != Phase::Open {
            return None;
        }
        let instance = self
            .limits
            .timelimit
            .map(|l| (self.since + self.was_suspended + l, Limit::InstanceTime));
        let current = self
            .current
            .as_ref()
            .filter(|current| current.ended_by.is_none());
        let item = current.and_then(|current| {
            let paused = self.was_suspended - current.was_suspended;
            self.limits
                .agendatimelimit
                .map(|l| (current.since + paused + l, Limit::ItemTime))
        });
        let silence = current.and_then(|current| {
            self.limits
                .silence_limit
                .map(|l| (current.last_output + l, Limit::Silence))
        });
        [instance, item, silence]
            .into_iter()
            .flatten()
            .min_by_key(|(due, _)| *due)
    }
}
