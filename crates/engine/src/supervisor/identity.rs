//! Hosts that would not become an account: the work waits, the host is avoided, a change or some time lets it go.

use super::host::RefusedAccount;
use super::io::kind;
use super::report::loss_pause;
use super::time::Timer;
use super::{About, Config, Engine, Turn};
use std::time::Duration;
use tessera_model::msg::LaunchKey;
use tessera_model::state::WorkStatus;
use tessera_model::{HostId, HostState, InstanceStatus, JobId, Refusal};

impl Engine {
    /// The host would not become the account: the work waits, no retry is used, and the host is avoided for the account.
    pub(super) fn refused(&mut self, t: &mut Turn<'_>, key: LaunchKey, refusal: Refusal) {
        let Some(launch) = self.launches.get(&key) else {
            return;
        };
        let (host_id, account) = (launch.host, launch.account.clone());
        t.event(
            kind::INSTANCE_REFUSED,
            About::launch(key, host_id),
            refusal.to_string(),
        );
        let owned = self.owns_instance(key);
        let losses = if owned { self.count_loss(key) } else { 0 };
        if super::credential::is_about_password(&refusal.code) {
            if owned {
                self.credential_refused(t, key, &refusal, losses);
            }
        } else if refusal.is_passing() {
            if owned {
                let pause = loss_pause(losses).max(Duration::from_secs(1));
                self.pause_instance(t, key, pause, &refusal.text);
            }
        } else {
            self.avoid(t, host_id, &account, refusal.clone());
            let elsewhere = self
                .jobs
                .get(&key.job)
                .is_some_and(|job| self.some_host_for(job));
            let status = if elsewhere {
                InstanceStatus::Pending
            } else {
                InstanceStatus::Badlogin(refusal)
            };
            if owned {
                self.leave_launch(t, key, status);
            }
        }
        // Nothing ran: the attempt leaves no row of history and uses up nothing.
        let launch = self.launches.get_mut(&key);
        let runs = launch.map(super::job::Launch::take_all);
        for run in runs.into_iter().flatten() {
            if self.is_current(key.job, run) {
                self.put_back(t, key, host_id, run, "its host refused the account");
            }
            self.let_go(key.job, run);
        }
        self.end_launch(t, key, "its host refused the account");
    }

    pub(super) fn avoid(&mut self, t: &mut Turn<'_>, id: HostId, account: &str, refusal: Refusal) {
        let recheck = self.config.identity_recheck;
        let Some(host) = self.hosts.get_mut(&id) else {
            return;
        };
        let pause = match host.refused.get(account) {
            Some(before) if before.is_probing => (before.pause * 2).min(Config::RECHECK_MAX),
            Some(_) => return,
            None => recheck,
        };
        let until = t.now.elapsed + pause;
        let refused = RefusedAccount {
            refusal,
            until,
            pause,
            is_probing: false,
        };
        host.refused.insert(account.to_owned(), refused);
        self.timers
            .set(until, Timer::Recheck(id, account.to_owned()));
    }

    /// Says whether a host that the job may use has not refused its account (it may be full or away now).
    pub(super) fn some_host_for(&self, job: &super::Job) -> bool {
        self.hosts.values().any(|host| self.may_use(job, host))
    }

    /// Says whether a job may use a host that has not refused its account (it may be full or away now).
    pub(super) fn may_use(&self, job: &super::Job, host: &super::Host) -> bool {
        let account = host.facts.identity.account_for(job.owner.as_str());
        matches!(host.state, HostState::Up | HostState::Away)
            && host.suits(self.planner.demands(job.class))
            && host.facts.admits(job.owner.as_str())
            && !host.refuses(account)
    }

    /// Lets work in `badlogin` go whose account a host may become now.
    pub(super) fn release_badlogins(
        &mut self,
        t: &mut Turn<'_>,
        is_account: impl Fn(&str) -> bool,
    ) {
        let may_run = |id: &JobId| {
            let Some(job) = self.jobs.get(id) else {
                return false;
            };
            self.hosts
                .values()
                .any(|host| is_account(host.facts.identity.account_for(job.owner.as_str())))
        };
        let waiting: Vec<JobId> = self.badlogins.iter().copied().filter(may_run).collect();
        for id in waiting {
            self.release_badlogin(t, id);
        }
        self.planner.touch_all();
    }

    /// Lets the instances of a job go that wait for an account, if some host would run it now.
    pub(super) fn release_badlogin(&mut self, t: &mut Turn<'_>, id: JobId) {
        let may_start = |job: &&super::Job| {
            self.some_host_for(job) && self.credential_bar(job, t.now).is_none()
        };
        let Some(job) = self.jobs.get(&id).filter(may_start) else {
            return;
        };
        let waiting: Vec<_> = job
            .instances
            .iter()
            .filter(|i| i.status.kind() == WorkStatus::Badlogin)
            .map(|i| i.no)
            .collect();
        self.badlogins.remove(&id);
        for no in waiting {
            self.set_instance(t, id, no, InstanceStatus::Pending);
        }
        self.settle(t, id);
    }
}
