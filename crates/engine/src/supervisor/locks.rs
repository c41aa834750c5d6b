//! Locks of hosts: of all slots or some, until when, by whom; the weekly calendar; what becomes of what runs.
//!
//! A locked slot is given nothing new. What runs goes on to the end of its item, unless the lock purges: then it is put back at once.
//! Two things lock, and what either locks is locked: somebody's order ([`Lock`]), and the calendars, that of the host's own
//! configuration and one that an administrator gave it.

use super::act::Current;
use super::connection::admin_only;
use super::io::{Answer, Change, Denied, kind};
use super::job::Phase;
use super::time::Timer;
use super::{About, Engine, Host, Turn};
use std::time::Duration;
use tessera_model::lock::{SLOT_RANGES_MAX, fit_note};
use tessera_model::msg::{LaunchKey, ToWorker};
use tessera_model::week::{LOCK_SCHEDULE_PROPERTY, OFFSET_MAX, UTC_OFFSET_PROPERTY};
use tessera_model::{
    HostId, Lock, LockCalendar, Principal, SlotSet, Timestamp, WeekTime, WorkStatus,
};

/// What an administrator wants with the locks of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockWish {
    /// Locks slots, in addition to those that are.
    Lock(LockOrder),
    /// Unlocks these; all: the calendar that it was given and the lock while somebody is active go, too.
    Unlock(SlotSet),
    /// Gives it a calendar, or takes it back.
    Calendar(Option<LockCalendar>),
}

/// How slots are to be locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockOrder {
    /// Which.
    pub slots: SlotSet,
    /// When that ends by itself.
    pub until: Option<Timestamp>,
    /// Why, in words.
    pub note: String,
    /// What runs there is ended and put back at once.
    pub purges: bool,
    /// The host is to become empty, and that it is so is told.
    pub drains: bool,
}

impl Default for LockOrder {
    fn default() -> Self {
        Self {
            slots: SlotSet::all(),
            until: None,
            note: String::new(),
            purges: false,
            drains: false,
        }
    }
}

/// What the calendars of a host say now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ByWeek {
    slots: SlotSet,
    /// Those of them in which nothing may go on to its end.
    purged: SlotSet,
    /// Until when, by the host's clock.
    until: Option<WeekTime>,
}

impl Host {
    /// Answers how many minutes its clock is east of UTC, when its worker says so.
    #[must_use]
    pub fn utc_offset(&self) -> Option<i32> {
        let said = self.facts.properties.get(UTC_OFFSET_PROPERTY)?;
        let offset = said.parse().ok()?;
        (-OFFSET_MAX..=OFFSET_MAX)
            .contains(&offset)
            .then_some(offset)
    }

    /// Answers the calendar of its own configuration.
    #[must_use]
    pub fn own_calendar(&self) -> Option<LockCalendar> {
        let said = self.facts.properties.get(LOCK_SCHEDULE_PROPERTY)?;
        said.parse().ok()
    }

    /// Answers the slots that are given nothing.
    #[must_use]
    pub fn locked_slots(&self) -> SlotSet {
        match &self.lock {
            Some(lock) => lock.slots.with(&self.by_week.slots),
            None => self.by_week.slots.clone(),
        }
    }

    /// Answers the slots that are given work.
    #[must_use]
    pub fn open_slots(&self) -> u32 {
        let offered = self.facts.slots;
        match (&self.lock, self.by_week.slots.is_empty()) {
            (None, true) => offered,
            _ => offered.saturating_sub(self.locked_slots().among(offered)),
        }
    }

    /// Says whether all of it is locked: it finishes what it has and is given nothing.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        let is_all = |slots: &SlotSet| slots.is_all();
        let by_somebody = self.lock.as_ref().is_some_and(|it| is_all(&it.slots));
        by_somebody
            || is_all(&self.by_week.slots)
            || (self.open_slots() == 0 && self.facts.slots > 0)
    }

    /// Says why slots of it are locked, if some are.
    #[must_use]
    pub fn why_locked(&self) -> Option<String> {
        let by_week = self.why_locked_by_week();
        let by_somebody = self.lock.as_ref().map(|it| it.reason(self.utc_offset()));
        match (by_somebody, by_week) {
            (Some(one), Some(other)) => Some(format!("{one}; {other}")),
            (one, other) => one.or(other),
        }
    }

    /// Says what its calendars lock, if they do.
    fn why_locked_by_week(&self) -> Option<String> {
        if self.by_week.slots.is_empty() {
            return None;
        }
        let what = match self.by_week.slots.is_all() {
            true => "locked".to_owned(),
            false => format!("slots {} are locked", self.by_week.slots),
        };
        let until = self.by_week.until.map(|it| it.to_string());
        let clock = match self.utc_offset() {
            Some(_) => "by its own clock",
            None => "UTC, since its worker does not say its time zone",
        };
        Some(format!(
            "{what} by its calendar until {} {clock}",
            until.unwrap_or_default()
        ))
    }
}

impl Engine {
    /// Locks or unlocks a host altogether.
    pub(super) fn lock(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        id: HostId,
        is_locked: bool,
    ) -> Result<Answer, Denied> {
        let wish = match is_locked {
            true => LockWish::Lock(LockOrder::default()),
            false => LockWish::Unlock(SlotSet::all()),
        };
        self.lock_wish(t, by, id, wish)
    }

    pub(super) fn lock_wish(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        id: HostId,
        wish: LockWish,
    ) -> Result<Answer, Denied> {
        admin_only(by, "lock or unlock hosts")?;
        if !self.hosts.contains_key(&id) {
            return Err(Denied::NoHost(id));
        }
        match wish {
            LockWish::Lock(order) => self.lock_slots(t, by, id, &order)?,
            LockWish::Unlock(slots) => self.unlock_slots(t, by, id, &slots)?,
            LockWish::Calendar(calendar) => self.set_calendar(t, by, id, calendar),
        }
        Ok(Answer::Done)
    }

    fn lock_slots(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        id: HostId,
        order: &LockOrder,
    ) -> Result<(), Denied> {
        if order.until.is_some_and(|until| until <= t.now.wall) {
            let why = "that time is over".to_owned();
            return Err(Denied::Invalid {
                field: "until",
                why,
            });
        }
        let Some(host) = self.hosts.get_mut(&id) else {
            return Ok(());
        };
        let slots = match &host.lock {
            Some(lock) => lock.slots.with(&order.slots),
            None => order.slots.clone(),
        };
        within_bound(&slots)?;
        if order.purges {
            host.purged = host.purged.with(&order.slots);
        }
        let mut lock = Lock {
            slots,
            by: Some(by.name.clone()),
            at: t.now.wall,
            until: order.until,
            note: fit_note(&order.note),
            drains: order.drains,
        };
        if let Some(before) = &host.lock
            && (&before.slots, before.until, &before.note, before.drains)
                == (&lock.slots, lock.until, &lock.note, lock.drains)
        {
            // Said twice it is the first one's.
            (lock.by, lock.at) = (before.by.clone(), before.at);
        }
        if host.lock.as_ref() != Some(&lock) {
            let text = format!("{} is {}", host.facts.name, lock.reason(host.utc_offset()));
            host.lock = Some(lock);
            t.change(Change::Host(id));
            t.event(kind::HOST_LOCKED, About::host(id).by(&by.name), text);
            self.watch_lock(t, id);
            self.slots_closed(t, id);
        }
        if order.purges {
            self.purge(t, id);
        }
        self.note_drained(t, id);
        Ok(())
    }

    fn unlock_slots(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        id: HostId,
        slots: &SlotSet,
    ) -> Result<(), Denied> {
        let Some(host) = self.hosts.get_mut(&id) else {
            return Ok(());
        };
        if let Some(lock) = &host.lock {
            within_bound(&lock.slots.without(slots))?;
        }
        not_of_a_calendar(host, slots)?;
        let about = || About::host(id).by(&by.name);
        let name = host.facts.name.clone();
        if slots.is_all() && host.while_active.take().is_some() {
            let text = format!("{name} is unlocked, also while somebody is active");
            t.change(Change::Host(id));
            t.event(kind::HOST_UNLOCKED, about(), text);
            self.send(t, id, ToWorker::LockWhileActive(None));
        }
        if slots.is_all() {
            self.set_calendar(t, by, id, None);
        }
        let Some(host) = self.hosts.get_mut(&id) else {
            return Ok(());
        };
        if let Some(lock) = &mut host.lock {
            let left = lock.slots.without(slots);
            if left != lock.slots {
                let text = match slots.is_all() {
                    true => format!("{name} is unlocked"),
                    false => format!("{name}: slots {slots} are unlocked"),
                };
                lock.slots = left;
                host.purged = host.purged.without(slots);
                host.lock.take_if(|lock| lock.slots.is_empty());
                t.change(Change::Host(id));
                t.event(kind::HOST_UNLOCKED, about(), text);
            }
        }
        if slots.is_all() {
            self.forgive_host(t, id);
        }
        self.refresh_host(id);
        self.note_drained(t, id);
        Ok(())
    }

    fn set_calendar(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        id: HostId,
        calendar: Option<LockCalendar>,
    ) {
        let Some(host) = self.hosts.get_mut(&id) else {
            return;
        };
        if host.calendar == calendar {
            return;
        }
        let name = &host.facts.name;
        let (kind, text) = match &calendar {
            Some(it) => (
                kind::HOST_LOCKED,
                format!("{name} is locked each week: {it}"),
            ),
            None => (
                kind::HOST_UNLOCKED,
                format!("{name} has no calendar of an administrator's any more"),
            ),
        };
        host.calendar = calendar;
        t.change(Change::Host(id));
        t.event(kind, About::host(id).by(&by.name), text);
        self.follow_calendar(t, id);
    }

    /// Sets the timers of a host that the engine has just got from the store or heard of.
    pub(super) fn watch_lock(&mut self, t: &Turn<'_>, id: HostId) {
        let until = self
            .hosts
            .get(&id)
            .and_then(|host| host.lock.as_ref()?.until);
        if let Some(until) = until {
            let left = Duration::from_millis(until.since_ms(t.now.wall));
            self.timers.set(t.now.elapsed + left, Timer::LockOver(id));
        }
    }

    /// A lock may be over.
    pub(super) fn lock_over(&mut self, t: &mut Turn<'_>, id: HostId) {
        let Some(host) = self.hosts.get_mut(&id) else {
            return;
        };
        let Some(until) = host.lock.as_ref().and_then(|lock| lock.until) else {
            return;
        };
        if until > t.now.wall {
            // It was given a later end, or the wall clock was set back.
            return self.watch_lock(t, id);
        }
        host.lock = None;
        host.purged = SlotSet::default();
        let text = format!(
            "{} is unlocked: the time of its lock is over",
            host.facts.name
        );
        t.change(Change::Host(id));
        t.event(kind::HOST_UNLOCKED, About::host(id), text);
        self.refresh_host(id);
        // What is drained again later is told again.
        self.note_drained(t, id);
    }

    /// Does what the calendars of a host say now, and looks again when they may say something else.
    pub(super) fn follow_calendar(&mut self, t: &mut Turn<'_>, id: HostId) {
        let Some(host) = self.hosts.get_mut(&id) else {
            return;
        };
        let now = WeekTime::of(t.now.wall, host.utc_offset().unwrap_or(0));
        let calendars = [host.own_calendar(), host.calendar.clone()];
        let said: Vec<_> = calendars.iter().flatten().map(|it| it.at(now)).collect();
        let mut by_week = ByWeek::default();
        for it in said.iter().filter(|it| !it.slots.is_empty()) {
            by_week.slots = by_week.slots.with(&it.slots);
            by_week.purged = by_week.purged.with(&it.purged);
            // Of two calendars the own one's end is said.
            by_week.until = by_week.until.or(Some(it.until));
        }
        if let Some(minutes) = said.iter().map(|it| it.changes_in).min() {
            let into = u64::try_from(t.now.wall.0.rem_euclid(60_000)).unwrap_or(0);
            let left = Duration::from_millis(u64::from(minutes) * 60_000 - into);
            self.timers.set(t.now.elapsed + left, Timer::Calendar(id));
        }
        let before = std::mem::replace(&mut host.by_week, by_week);
        let (locks, name) = (&host.by_week.slots, &host.facts.name);
        let is_more = !locks.without(&before.slots).is_empty();
        let purged = host.by_week.purged.without(&before.purged);
        if before.slots != *locks {
            let (kind, text) = match locks.is_empty() {
                true => (
                    kind::HOST_UNLOCKED,
                    format!("{name} is unlocked by its calendar"),
                ),
                false => (
                    kind::HOST_LOCKED,
                    format!("{name}: by its calendar slots {locks} are locked"),
                ),
            };
            t.event(kind, About::host(id), text);
        } else if !purged.is_empty() {
            let text = format!("{name}: by its calendar what runs in slots {purged} is put back");
            t.event(kind::HOST_LOCKED, About::host(id), text);
        } else {
            return;
        }
        if is_more {
            self.slots_closed(t, id);
        }
        if !purged.is_empty() {
            self.purge(t, id);
        }
        self.refresh_host(id);
    }

    /// Slots were locked: what was given ahead goes back to where others can take it.
    pub(super) fn slots_closed(&mut self, t: &mut Turn<'_>, id: HostId) {
        self.refresh_host(id);
        self.recall_all(t, id);
    }

    /// Ends what runs in slots that are purged and puts it back; no retry is used. As no instance has a slot of a certain number, what
    /// began last goes first, until the rest fits into the others. What those have goes on, locked or not.
    fn purge(&mut self, t: &mut Turn<'_>, id: HostId) {
        let Some(host) = self.hosts.get(&id) else {
            return;
        };
        let purged = host.purged.with(&host.by_week.purged);
        let offered = host.facts.slots;
        let left = offered.saturating_sub(purged.among(offered));
        let staying = |key: &&LaunchKey| {
            let launch = self.launches.get(key);
            launch.is_some_and(|it| it.phase != Phase::Closing)
        };
        let mut stay: Vec<(Timestamp, LaunchKey, u32)> = host
            .launches
            .iter()
            .filter(|(key, _)| staying(key))
            .filter_map(|(key, taken)| Some((self.launches.get(key)?.since, *key, taken.slots)))
            .collect();
        stay.sort_unstable();
        let mut used: u64 = stay.iter().map(|(.., slots)| u64::from(*slots)).sum();
        while used > u64::from(left)
            && let Some((_, key, slots)) = stay.pop()
        {
            used -= u64::from(slots);
            self.purge_launch(t, key);
        }
    }

    fn purge_launch(&mut self, t: &mut Turn<'_>, key: LaunchKey) {
        let next = match self.launches.get(&key).map(|launch| launch.phase) {
            Some(Phase::Finishing(next)) => next,
            Some(Phase::Open | Phase::Closing) | None => WorkStatus::Pending,
        };
        self.end_current_item(t, key, Current::PutBack);
        let grace = self.grace(key.job);
        self.close(t, key, next, grace);
        self.settle(t, key.job);
    }

    /// Tells once that nothing is left on a host that was to become empty.
    pub(super) fn note_drained(&mut self, t: &mut Turn<'_>, id: HostId) {
        let Some(host) = self.hosts.get_mut(&id) else {
            return;
        };
        let drains = host.lock.as_ref().is_some_and(|lock| lock.drains);
        let left = [&host.launches, &host.strays, &host.given_up];
        let is_drained = drains && left.iter().all(|it| it.is_empty());
        if std::mem::replace(&mut host.is_drained_told, is_drained) || !is_drained {
            return;
        }
        let text = format!(
            "{} is empty: nothing runs there, and nothing new comes",
            host.facts.name
        );
        t.event(kind::HOST_DRAINED, About::host(id), text);
    }
}

/// Says no to who would unlock slots that calendars alone lock, with what does unlock them. Unlocking all takes back what was given.
fn not_of_a_calendar(host: &Host, slots: &SlotSet) -> Result<(), Denied> {
    let are_of = |locks: &SlotSet| locks.without(slots) != *locks;
    let by_order = host.lock.as_ref().is_some_and(|it| are_of(&it.slots));
    if slots.is_all() || by_order || !are_of(&host.by_week.slots) {
        return Ok(());
    }
    let name = &host.facts.name;
    let mut ways = Vec::new();
    if host.calendar.is_some() {
        ways.push(format!(
            "tessera unlock {name} takes the calendar that it was given back, tessera lock {name} --weekly gives it another"
        ));
    }
    if host.own_calendar().is_some() {
        ways.push("what its configuration says is changed there (worker_lock_schedule in workers.toml, or in its worker.toml)".into());
    }
    let why = host.why_locked_by_week().unwrap_or_default();
    Err(Denied::Invalid {
        field: "slots",
        why: format!(
            "no lock of anybody's has slots {slots} of {name} ({why}); {}",
            ways.join("; ")
        ),
    })
}

/// Says no to what could not be read again after a restart.
fn within_bound(slots: &SlotSet) -> Result<(), Denied> {
    if slots.is_within_bound() {
        return Ok(());
    }
    Err(Denied::Invalid {
        field: "slots",
        why: format!(
            "that leaves more than {SLOT_RANGES_MAX} ranges locked; name whole ranges, such as 1-4"
        ),
    })
}
