//! A job keeps off a host on which its frames fail, as it does after a migration (`job.bars`), and what failed there is tried elsewhere.

use super::super::io::{Change, kind};
use super::super::items::Size;
use super::super::job::{Job, Phase};
use super::super::report::COMMAND_FAILED;
use super::super::time::Timer;
use super::super::{About, Engine, Gate, Host, Turn};
use super::Row;
use std::collections::BTreeSet;
use std::time::Duration;
use tessera_model::msg::{LaunchKey, Run};
use tessera_model::{HostId, HostState, InstanceNo, InstanceStatus, ItemStatus, JobId, WorkStatus};

/// Other hosts for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Others {
    /// Those that could take it, sooner or later.
    pub(super) all: usize,
    /// Those of them that take work now.
    pub(super) open: usize,
}

impl Engine {
    /// Counts the hosts beside one that could take a job as it is, if they had room.
    pub(super) fn others_for(&self, job: &Job, host: HostId) -> Others {
        let mut others = Others::default();
        let hosts = self.hosts.values().filter(|it| it.id != host);
        for other in hosts.filter(|it| self.could_take(job, it)) {
            others.all += 1;
            others.open += usize::from(other.is_open());
        }
        others
    }

    fn could_take(&self, job: &Job, host: &Host) -> bool {
        // A host that is too small for what ran out of memory is none for it to go to.
        let most = job.class_of(Size::Grown).unwrap_or(job.class);
        let demands = self.planner.demands(most);
        let mut amounts = demands.amounts.iter();
        let account = host.facts.identity.account_for(job.owner.as_str());
        let is_barred =
            |(bar, until): &(HostId, Duration)| *bar == host.id && *until > self.now.elapsed;
        let gate = || self.credentials.gate(host, &job.owner, self.now);
        matches!(host.state, HostState::Up | HostState::Away)
            && !host.is_locked()
            && host.slots_for(demands) >= demands.slots
            && amounts.all(|(name, amount)| host.total_of(name) >= *amount)
            && host.suits(demands)
            && host.facts.admits(job.owner.as_str())
            && !host.refuses(account)
            && !job.bars.iter().any(is_barred)
            && !host.has_stray_of(job.id)
            && !matches!(gate(), Gate::Shut(_))
    }

    /// Keeps a job off hosts: those that what is migrated leaves, and bad ones. Answers until when.
    pub(in super::super) fn bar_hosts(
        &mut self,
        t: &Turn<'_>,
        id: JobId,
        hosts: BTreeSet<HostId>,
    ) -> Duration {
        let until = t.now.elapsed + self.config.migrate_timeout;
        if let Some(job) = self.jobs.get_mut(&id) {
            job.bars.retain(|(host, _)| !hosts.contains(host));
            job.bars.extend(hosts.into_iter().map(|host| (host, until)));
            self.timers.set(until, Timer::Bar(id));
        }
        until
    }

    /// Keeps a job off a host: what runs there is finished, and what failed for good there is put back.
    pub(super) fn keep_off(&mut self, t: &mut Turn<'_>, id: JobId, host: HostId) {
        let until = self.bar_hosts(t, id, [host].into());
        let (name, n) = (self.name_of(host), self.config.wrangling.failures);
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let is_proven = job.wrangle.is_good_elsewhere(host);
        let row = job.wrangle.rows.entry(host).or_default();
        row.until = until;
        let failed = std::mem::take(&mut row.failed);
        let minutes = self.config.migrate_timeout.as_secs().div_ceil(60);
        let elsewhere = match is_proven {
            true => ", and others succeed elsewhere",
            false => "",
        };
        let text = format!(
            "keeps off {name} for {minutes} min: {n} of its frames failed there in a row{elsewhere}"
        );
        self.tell_of_job(t, id, Some(host), text);
        for run in failed {
            self.put_failed_back(t, id, host, run);
        }
        self.leave_host(t, id, host);
        if is_proven {
            self.note_host_at_fault(t, host, id);
        }
    }

    /// Puts back what failed for good on a host, as far as it has not been tried elsewhere since.
    fn put_failed_back(&mut self, t: &mut Turn<'_>, id: JobId, host: HostId, run: Run) {
        let (name, n) = (self.name_of(host), self.config.wrangling.failures);
        let most = self.config.wrangling.hosts;
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        if run.item.0 >= job.items.len() {
            return;
        }
        let mut core = job.items.get(run.item);
        let is_so = core.status == ItemStatus::Failed && core.attempt == run.attempt;
        // The item of a `cmdline` instance goes nowhere without it.
        let own = job.is_cmdline().then_some(InstanceNo(run.item.0));
        let failed_itself = |no: InstanceNo| {
            let instance = job.instance(no);
            instance.is_some_and(|it| {
                it.status == InstanceStatus::Failed && it.failure.as_deref() == Some(COMMAND_FAILED)
            })
        };
        if !is_so
            || own.is_some_and(|no| !failed_itself(no))
            || !job.wrangle.may_put_back(run.item, host, most)
        {
            return;
        }
        job.wrangle.put_back.entry(run.item).or_default().push(host);
        core.status = ItemStatus::Pending;
        core.retries_used = 0;
        let text = format!(
            "{}: put back for another host without using up a retry: {n} of its job's failed on {name} in a row",
            job.spec.item_name(run.item)
        );
        let about = About {
            host: Some(host),
            ..About::job(id)
        };
        self.set_item(t, id, run.item, core, about, kind::ITEM_CHANGED, text);
        if let Some(no) = own {
            if let Some(instance) = self
                .jobs
                .get_mut(&id)
                .and_then(|job| job.instances.get_mut(no))
            {
                instance.failure = None;
                instance.retries_used = 0;
            }
            self.set_instance(t, id, no, InstanceStatus::Pending);
        }
    }

    /// Has what a job runs on a host leave when it is done.
    fn leave_host(&mut self, t: &mut Turn<'_>, id: JobId, host: HostId) {
        let there = self.launches_of(id);
        let there = there.filter(|it| it.host == host && it.phase == Phase::Open);
        let keys: Vec<LaunchKey> = there.map(|it| it.key).collect();
        for key in keys {
            self.recall(t, key);
            self.note_leaving(key);
            if let Some(launch) = self.launches.get_mut(&key) {
                launch.phase = Phase::Finishing(WorkStatus::Pending);
                t.change(Change::Launch(key));
            }
            // The one whose item it was has nothing to finish.
            self.advance(t, key);
        }
    }

    /// A job need not keep off a host any more.
    pub(super) fn let_back(&mut self, t: &mut Turn<'_>, id: JobId, host: HostId) {
        let now = t.now.elapsed;
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let row = job.wrangle.rows.remove(&host);
        let Some(Row { until, .. }) = row.filter(|row| row.until > now) else {
            return;
        };
        // One that a person set since is theirs.
        job.bars.retain(|bar| *bar != (host, until));
        let classes = Size::ALL.map(|size| job.class_of(size));
        for class in classes.into_iter().flatten() {
            self.planner.touch_class(class);
        }
        let name = self.name_of(host);
        self.tell_of_job(t, id, Some(host), format!("keeps off {name} no more"));
    }
}
