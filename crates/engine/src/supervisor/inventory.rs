//! After a new connection, and when a worker says anew what it is: what it has against what the engine believes.
//!
//! Orders overtake nothing on their connection, but what the worker says meets them on their way: what was ordered on the
//! connection over which it says what it has may be missing there and come to life right after. That something is missing
//! proves therefore only that nothing is left of what was ordered on an older connection.

use super::io::Change;
use super::job::Phase;
use super::{Engine, Turn};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tessera_model::msg::{GoneCause, LaunchInventory, LaunchKey, Run, ToWorker};
use tessera_model::{HostId, ItemStatus, JobId};

impl Engine {
    /// Compares what the worker has with what the engine believes; orders again what was lost on the way.
    pub(super) fn inventory(&mut self, t: &mut Turn<'_>, id: HostId, has: &[LaunchInventory]) {
        let has: BTreeMap<LaunchKey, &LaunchInventory> =
            has.iter().map(|launch| (launch.key, launch)).collect();
        let believed: BTreeSet<LaunchKey> = self
            .hosts
            .get(&id)
            .map(|host| host.launches.keys().copied().collect())
            .unwrap_or_default();
        let session = self.session_of(id);
        for key in &believed {
            let launch = self.launches.get(key);
            let may_come = launch.is_some_and(|launch| launch.orders.may_be_starting(session));
            match has.get(key) {
                Some(launch) => self.reconcile(t, id, launch),
                None if may_come => {}
                None => self.gone(t, *key, GoneCause::Unknown),
            }
        }
        let strays: BTreeSet<LaunchKey> = has
            .keys()
            .copied()
            .filter(|key| !believed.contains(key))
            .collect();
        for key in &strays {
            self.send(
                t,
                id,
                ToWorker::Close {
                    key: *key,
                    grace: Duration::ZERO,
                },
            );
        }
        let strays = strays
            .into_iter()
            .map(|key| (key, self.taken_by_stray(id, key)))
            .collect();
        if let Some(host) = self.hosts.get_mut(&id) {
            host.strays = strays;
            host.given_up.clear();
            host.is_synced = true;
        }
        self.refresh_host(id);
        if self
            .hosts
            .get(&id)
            .is_some_and(|host| host.why_kept().is_some())
        {
            self.recall_all(t, id);
        }
        // It may have come back with less to offer, or in other groups: what has not begun there doesn't begin.
        for &key in believed
            .iter()
            .filter(|key| !self.may_stay(**key))
            .collect::<Vec<_>>()
        {
            self.recall(t, key);
            self.settle(t, key.job);
        }
        let idle: Vec<LaunchKey> = believed
            .into_iter()
            .filter(|key| self.launches.get(key).is_some_and(|l| l.current.is_none()))
            .collect();
        for key in idle {
            self.advance(t, key);
            self.settle(t, key.job);
        }
        self.credentials_synced(t, id);
    }

    fn reconcile(&mut self, t: &mut Turn<'_>, id: HostId, has: &LaunchInventory) {
        let key = has.key;
        let Some(launch) = self.launches.get_mut(&key) else {
            return;
        };
        if !launch.is_started && has.current.is_some() {
            // The report that it exists died with an older worker process.
            launch.is_started = true;
            t.change(Change::Launch(key));
        }
        let (phase, wanted) = (launch.phase, launch.runs().collect::<Vec<_>>());
        let orders = launch.orders.clone();
        let session = self.session_of(id);
        let there: Vec<Run> = has.current.iter().chain(&has.ahead).copied().collect();
        if phase == Phase::Closing && !has.is_closing {
            let grace = self.grace(key.job);
            self.send(t, id, ToWorker::Close { key, grace });
        }
        for &run in there.iter().filter(|run| !wanted.contains(run)) {
            let grace = Duration::ZERO;
            self.send(t, id, ToWorker::EndItem { key, run, grace });
        }
        for run in wanted {
            if there.contains(&run) {
                if phase != Phase::Closing {
                    self.remind(t, id, has, run);
                }
            } else if orders.may_be_coming(run, session) {
                // The worker answers the order, and the one to end it that followed.
            } else if phase == Phase::Closing || !self.is_current(key.job, run) {
                self.forget_run(t, key, run);
            } else if !has.is_closing {
                self.send_run(t, key, id, run);
            }
        }
    }

    /// The order to end or stop an item may have been lost.
    fn remind(&mut self, t: &mut Turn<'_>, id: HostId, has: &LaunchInventory, run: Run) {
        let key = has.key;
        if !self.is_current(key.job, run) {
            self.send(
                t,
                id,
                ToWorker::EndItem {
                    key,
                    run,
                    grace: self.grace(key.job),
                },
            );
            return;
        }
        let status = self
            .jobs
            .get(&key.job)
            .map(|job| job.items.get(run.item).status);
        let is_ahead = has.ahead.contains(&run);
        match (status == Some(ItemStatus::Suspended), has.is_suspended) {
            _ if is_ahead => {}
            (true, false) => self.send(t, id, ToWorker::Suspend(key)),
            (false, true) => self.send(t, id, ToWorker::Resume(key)),
            (true, true) | (false, false) => {}
        }
    }

    /// A run that was ended before its worker ever got it.
    fn forget_run(&mut self, t: &mut Turn<'_>, key: LaunchKey, run: Run) {
        let Some(launch) = self.launches.get_mut(&key) else {
            return;
        };
        launch.take(run);
        t.change(Change::Launch(key));
        self.let_go(key.job, run);
        self.settle(t, key.job);
    }

    pub(super) fn grace(&self, job: JobId) -> Duration {
        self.jobs
            .get(&job)
            .map_or(Duration::ZERO, |job| job.spec.grace)
    }
}
