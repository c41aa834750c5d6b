//! What is about time: retry delays, lost hosts, silent workers, accounts to try again.

use super::io::{Change, Effect, kind};
use super::items::Size;
use super::pace::Paced;
use super::{About, Engine, OnHostLost, Turn};
use std::collections::BTreeSet;
use std::time::Duration;
use tessera_model::credential::CredentialId;
use tessera_model::msg::LaunchKey;
use tessera_model::{
    GlobalName, HostId, HostState, InstanceNo, InstanceStatus, ItemIndex, ItemStatus, JobId,
};

/// Something that is due at some time; each checks whether it still is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A pause of an item is over.
    Item(JobId, ItemIndex),
    /// A pause of an instance is over.
    Instance(JobId, InstanceNo),
    /// A host may be lost.
    Lost(HostId),
    /// A connected worker may be silent.
    Silent(HostId),
    /// An account may be tried again on a host.
    Recheck(HostId, String),
    /// A migrated job may come back.
    Bar(JobId),
    /// An item that was given ahead may have waited for long.
    Ahead(LaunchKey),
    /// A registered password may be over, may be checked again, or its check takes too long.
    Credential(CredentialId),
    /// The lock of a host may be over.
    LockOver(HostId),
    /// The calendar of a host may say something else.
    Calendar(HostId),
    /// What was said of the use of a resource by others may be over.
    Others(GlobalName),
    /// The next instance of these may start.
    Paced(Paced),
    /// Room is still to be made for what waits.
    Preempt,
    /// An instance that was preempted may be again.
    Rested(JobId, InstanceNo),
    /// A wide job may have waited for long.
    Wide,
}

/// Timers, by when they are due.
#[derive(Debug, Clone, Default)]
pub(super) struct Timers(BTreeSet<(Duration, Timer)>);

impl Timers {
    pub(super) fn set(&mut self, at: Duration, timer: Timer) {
        self.0.insert((at, timer));
    }

    pub(super) fn cancel(&mut self, at: Duration, timer: Timer) {
        self.0.remove(&(at, timer));
    }

    /// Counts those that are set.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn next(&self) -> Option<Duration> {
        self.0.first().map(|(at, _)| *at)
    }

    fn due(&mut self, now: Duration) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_first().map(|(_, timer)| timer)
    }
}

impl Engine {
    /// Does all that is due.
    pub(super) fn pass_time(&mut self, t: &mut Turn<'_>) {
        while let Some(timer) = self.timers.due(t.now.elapsed) {
            match timer {
                Timer::Item(job, item) => self.item_delay_over(t, job, item),
                Timer::Instance(job, instance) => self.instance_pause_over(t, job, instance),
                Timer::Lost(host) => self.check_lost(t, host),
                Timer::Silent(host) => self.check_silent(t, host),
                Timer::Recheck(host, account) => self.recheck(t, host, &account),
                Timer::Bar(job) => self.bar_over(t, job),
                Timer::Ahead(key) => self.ahead_over(t, key),
                Timer::Credential(id) => self.credential_due(t, &id),
                Timer::LockOver(host) => self.lock_over(t, host),
                Timer::Calendar(host) => self.follow_calendar(t, host),
                Timer::Others(name) => self.others_over(t, &name),
                Timer::Paced(whose) => self.pace_over(&whose),
                Timer::Preempt => self.ask_paced(),
                Timer::Rested(job, instance) => self.rest_over(job, instance),
                Timer::Wide => self.wide_due(),
            }
        }
    }

    fn item_delay_over(&mut self, t: &mut Turn<'_>, id: JobId, item: ItemIndex) {
        let Some(job) = self
            .jobs
            .get_mut(&id)
            .filter(|job| item.0 < job.items.len())
        else {
            return;
        };
        let mut core = job.items.get(item);
        if core.status == ItemStatus::Waiting {
            core.status = ItemStatus::Pending;
            self.set_item(
                t,
                id,
                item,
                core,
                About::job(id),
                kind::ITEM_CHANGED,
                "its pause is over".into(),
            );
            self.settle(t, id);
        }
    }

    fn instance_pause_over(&mut self, t: &mut Turn<'_>, id: JobId, no: InstanceNo) {
        let Some(instance) = self.jobs.get(&id).and_then(|job| job.instance(no)) else {
            return;
        };
        let InstanceStatus::Waiting { until, .. } = instance.status else {
            return;
        };
        if until > t.now.wall.plus_ms(50) {
            // A later pause has replaced this one, or the wall clock was set back: look again when it says.
            let left = Duration::from_millis(until.since_ms(t.now.wall))
                .min(super::Config::LOSS_PAUSE_MAX);
            self.timers
                .set(t.now.elapsed + left, Timer::Instance(id, no));
            return;
        }
        self.set_instance(t, id, no, InstanceStatus::Pending);
        self.settle(t, id);
    }

    fn check_silent(&mut self, t: &mut Turn<'_>, id: HostId) {
        let Some((host, session)) = self
            .hosts
            .get(&id)
            .and_then(|host| Some((host, host.session?)))
        else {
            return;
        };
        let due = host.last_heard + self.config.heartbeat_timeout;
        if due > t.now.elapsed {
            self.timers.set(due, Timer::Silent(id));
            return;
        }
        t.effect(Effect::Disconnect { host: id, session });
        self.disconnected(t, id, session);
    }

    fn check_lost(&mut self, t: &mut Turn<'_>, id: HostId) {
        let timeout = self.config.worker_lost_timeout;
        let Some(host) = self
            .hosts
            .get_mut(&id)
            .filter(|host| host.state == HostState::Away)
        else {
            return;
        };
        let due = host.away_since + timeout;
        if due > t.now.elapsed {
            self.timers.set(due, Timer::Lost(id));
            return;
        }
        host.state = HostState::Down;
        let launches: Vec<_> = host.launches.keys().copied().collect();
        let requeue = self.config.on_host_lost == OnHostLost::Requeue;
        let fate = match (launches.len(), requeue) {
            (0, _) => "it had no work".to_owned(),
            (n, true) => format!("{n} instances are put back"),
            (n, false) => format!("{n} instances are held until it is back (on_host_lost = hold)"),
        };
        let name = host.facts.name.clone();
        t.change(Change::Host(id));
        t.event(
            kind::HOST_DOWN,
            About::host(id),
            format!("{name} was away for {}s: {fate}", timeout.as_secs()),
        );
        // What it was told to end is no more there than what it ran, as far as anybody knows.
        host.given_up.append(&mut host.strays);
        if requeue {
            // They may still be there when the host comes back.
            let given_up = host.launches.clone();
            host.given_up.extend(given_up);
            for key in launches {
                self.lose_launch(t, key, "its host was lost");
            }
        }
        self.refresh_host(id);
        self.regrow_all();
        self.credentials_lost(t, id);
    }

    fn recheck(&mut self, t: &mut Turn<'_>, id: HostId, account: &str) {
        let Some(host) = self.hosts.get_mut(&id) else {
            return;
        };
        match host.refused.get_mut(account) {
            Some(refused) if refused.until <= t.now.elapsed => refused.is_probing = true,
            Some(_) | None => return,
        }
        self.release_badlogins(t, |job_account| job_account == account);
    }

    fn bar_over(&mut self, t: &mut Turn<'_>, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.bars.retain(|(_, until)| *until > t.now.elapsed);
        let classes = Size::ALL.map(|size| job.class_of(size));
        for class in classes.into_iter().flatten() {
            self.planner.touch_class(class);
        }
    }
}
