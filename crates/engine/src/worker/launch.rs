//! One launch on this host: starting, taking items one after another, ending.

use super::{Effect, Found};
use crate::Now;
use std::collections::VecDeque;
use std::time::Duration;
use tessera_model::msg::{GoneCause, LaunchInventory, LaunchKey, Run, RunLimits};
use tessera_model::state::{End, Limit};

/// The most items that may wait in a launch; the supervisor gives fewer.
const AHEAD_MAX: usize = 64;

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
    /// Wait for the shepherd to be there, or for the current item to end; in order, the first may be held ready.
    queued: VecDeque<Queued>,
    current: Option<Current>,
    since: Duration,
    /// Who wants it suspended.
    wanted: Suspends,
    /// Suspended since then.
    suspended: Option<Duration>,
    /// How long it was suspended before.
    was_suspended: Duration,
}

/// Who wants a launch suspended; it goes on when nobody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Suspends {
    by_farm: bool,
    by_owner: bool,
}

/// An item that waits for its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Queued {
    run: Run,
    hold: Hold,
}

impl Queued {
    fn new(run: Run) -> Self {
        let hold = Hold::No;
        Self { run, hold }
    }
}

/// What the shepherd has of an item that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// It knows nothing of it.
    No,
    /// It has it ready, and begins it when the item before is over.
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
            queued: VecDeque::from([Queued::new(run)]),
            current: None,
            since: now.elapsed,
            wanted: Suspends::default(),
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
            was_suspended: found.suspended.saturating_sub(found.current_suspended),
            ended_by: None,
            was_ahead: false,
        });
        Self {
            key: found.key,
            phase: Phase::Open,
            limits: found.limits.clone(),
            queued: VecDeque::new(),
            current,
            since: ago(found.elapsed),
            // Who wanted it is not known any more. The farm, unless it says otherwise, which it does when it hears of it.
            wanted: Suspends {
                by_farm: found.is_suspended,
                by_owner: false,
            },
            suspended: found.is_suspended.then_some(now.elapsed),
            was_suspended: found.suspended,
        }
    }

    pub(super) fn inventory(&self) -> LaunchInventory {
        let current = self.current.iter().map(|current| current.run);
        let mut runs = current.chain(self.queued.iter().map(|queued| queued.run));
        LaunchInventory {
            key: self.key,
            current: runs.next(),
            ahead: runs.collect(),
            is_closing: matches!(self.phase, Phase::Closing(_) | Phase::Proving(_)),
            is_suspended: self.wanted.by_farm,
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
                self.go_on(now, e, false);
            }
            Phase::Closing(cause) => self.shut(e, cause),
            Phase::Open | Phase::Proving(_) => {}
        }
    }

    /// Takes an item: it runs when those before it have ended.
    pub(super) fn run(&mut self, now: Now, e: &mut Vec<Effect>, run: Run) {
        let is_current = self.current.as_ref().is_some_and(|it| it.run == run);
        let is_known = is_current || self.queued.iter().any(|it| it.run == run);
        let takes = matches!(self.phase, Phase::Starting | Phase::Open);
        if takes && !is_known && self.queued.len() < AHEAD_MAX {
            self.queued.push_back(Queued::new(run));
            self.go_on(now, e, false);
        }
    }

    /// Starts the next item if none runs, and has the one after it held ready.
    fn go_on(&mut self, now: Now, e: &mut Vec<Effect>, was_ahead: bool) {
        if self.phase != Phase::Open {
            return;
        }
        let (key, output_limit) = (self.key, self.limits.output_limit);
        let order = |run, next| Effect::RunItem {
            key,
            run,
            output_limit,
            next,
        };
        let is_free = |queued: &&mut Queued| queued.hold != Hold::GivenUp;
        if self.current.is_none()
            && let Some(&mut Queued { run, hold }) = self.queued.front_mut().filter(is_free)
        {
            self.queued.pop_front();
            let mut current = Current::new(now, run, self.was_suspended);
            current.was_ahead = was_ahead;
            self.current = Some(current);
            if hold == Hold::No {
                e.push(order(run, false));
            }
        }
        if self.current.is_some()
            && let Some(next) = self.queued.front_mut()
            && next.hold == Hold::No
        {
            next.hold = Hold::Ready;
            e.push(order(next.run, true));
        }
    }

    /// Ends an item; answers whether it had only been queued and nothing needs to be ended.
    pub(super) fn end_item(
        &mut self,
        now: Now,
        e: &mut Vec<Effect>,
        run: Run,
        grace: Duration,
    ) -> bool {
        if self.queued.iter().any(|queued| queued.run == run) {
            let dropped = self.drop_queued(e, |it| it == run);
            self.go_on(now, e, true);
            return !dropped.is_empty();
        }
        self.end_current(e, Some(run), grace, None);
        false
    }

    /// Takes off items that will not run here; what the shepherd has is given up first, and its end follows. It may just have
    /// begun: then it is ended like any other.
    fn drop_queued(&mut self, e: &mut Vec<Effect>, is_it: impl Fn(Run) -> bool) -> Vec<Run> {
        for queued in &mut self.queued {
            if is_it(queued.run) && queued.hold == Hold::Ready {
                queued.hold = Hold::GivenUp;
                e.push(Effect::EndItem {
                    key: self.key,
                    run: queued.run,
                    grace: self.limits.grace,
                    limit: None,
                });
            }
        }
        self.take_queued(|it| is_it(it.run) && it.hold == Hold::No)
    }

    fn take_queued(&mut self, is_it: impl Fn(&Queued) -> bool) -> Vec<Run> {
        let taken = self.queued.iter().filter(|it| is_it(it));
        let taken = taken.map(|it| it.run).collect();
        self.queued.retain(|it| !is_it(it));
        taken
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

    /// Ends the launch; items that were only queued are left for [`Self::drop_if_over`].
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
        let at = self.queued.iter().position(|queued| queued.run == run)?;
        let queued = self.queued.remove(at)?;
        Some((queued.hold == Hold::GivenUp).then_some(End::Asked))
    }

    /// Takes off all items that wait; nothing of the launch is alive.
    pub(super) fn take_all_queued(&mut self) -> Vec<Run> {
        self.take_queued(|_| true)
    }

    pub(super) fn forget_current(&mut self, run: Run) {
        self.current.take_if(|current| current.run == run);
    }

    /// An item has ended: the next one runs; one that was to be the last closes the shepherd.
    pub(super) fn after_item(&mut self, now: Now, e: &mut Vec<Effect>) {
        match self.phase {
            Phase::Closing(cause) if self.current.is_none() => self.shut(e, cause),
            Phase::Open => self.go_on(now, e, true),
            Phase::Starting | Phase::Closing(_) | Phase::Proving(_) => {}
        }
    }

    /// Says whether this item was given ahead: where items are over quickly their start is not worth a message of its own,
    /// the report of the end has it.
    pub(super) fn was_ahead(&self, run: Run) -> bool {
        let current = self.current.as_ref().filter(|current| current.run == run);
        current.is_some_and(|current| current.was_ahead)
    }

    /// Takes off what will not run here any more because the launch ends.
    pub(super) fn drop_if_over(&mut self, e: &mut Vec<Effect>) -> Vec<Run> {
        match self.phase {
            Phase::Starting | Phase::Open => Vec::new(),
            Phase::Closing(_) => self.drop_queued(e, |_| true),
            // What the shepherd holds ends with it; that is known when the launch is gone.
            Phase::Proving(_) => self.take_queued(|it| it.hold == Hold::No),
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

    /// The farm wants it suspended, or not any more.
    pub(super) fn suspend_for_farm(&mut self, now: Now, e: &mut Vec<Effect>, is: bool) {
        self.wanted.by_farm = is;
        self.suspend_as_wanted(now, e);
    }

    /// Who works at the host wants it suspended, or not any more. What is being ended is left to end.
    pub(super) fn suspend_for_owner(&mut self, now: Now, e: &mut Vec<Effect>, is: bool) {
        if is && !self.goes_on() {
            return;
        }
        self.wanted.by_owner = is;
        self.suspend_as_wanted(now, e);
    }

    fn suspend_as_wanted(&mut self, now: Now, e: &mut Vec<Effect>) {
        if self.wanted.by_farm || self.wanted.by_owner {
            self.suspend(now, e);
        } else {
            self.resume(now, e);
        }
    }

    /// Ends it because who works at the host wants it gone: nothing of it counts.
    pub(super) fn give_back(&mut self, e: &mut Vec<Effect>) {
        if self.goes_on() {
            self.close(e, self.limits.grace);
        }
    }

    /// Says whether nobody ends it yet. A launch that lost its starter takes no more items, but the one that runs goes on for
    /// as long as it likes.
    fn goes_on(&self) -> bool {
        match self.phase {
            Phase::Starting | Phase::Open => true,
            Phase::Closing(_) => {
                let current = self.current.as_ref();
                current.is_some_and(|it| it.ended_by.is_none())
            }
            Phase::Proving(_) => false,
        }
    }

    fn suspend(&mut self, now: Now, e: &mut Vec<Effect>) {
        if self.suspended.is_none() {
            self.suspended = Some(now.elapsed);
            e.push(Effect::SetSuspended {
                key: self.key,
                is_suspended: true,
            });
        }
    }

    fn resume(&mut self, now: Now, e: &mut Vec<Effect>) {
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
        if self.suspended.is_some() || self.phase == Phase::Starting || !self.goes_on() {
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
            let paused = self.was_suspended.saturating_sub(current.was_suspended);
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
