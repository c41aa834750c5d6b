//! After a new connection: what the worker has against what the engine believes.

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
        let believed = self
            .hosts
            .get(&id)
            .map(|host| host.launches.clone())
            .unwrap_or_default();
        for key in &believed {
            match has.get(key) {
                Some(launch) => self.reconcile(t, id, launch),
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
        if let Some(host) = self.hosts.get_mut(&id) {
            host.strays = strays;
            host.is_synced = true;
        }
        self.refresh_host(id);
        let idle: Vec<LaunchKey> = believed
            .into_iter()
            .filter(|key| self.launches.get(key).is_some_and(|l| l.current.is_none()))
            .collect();
        for key in idle {
            self.advance(t, key);
            self.settle(t, key.job);
        }
    }

    fn reconcile(&mut self, t: &mut Turn<'_>, id: HostId, has: &LaunchInventory) {
        let key = has.key;
        let Some(launch) = self.launches.get(&key) else {
            return;
        };
        if launch.phase == Phase::Closing {
            let current = launch.current;
            if !has.is_closing {
                self.send(
                    t,
                    id,
                    ToWorker::Close {
                        key,
                        grace: self.grace(key.job),
                    },
                );
            }
            if let Some(run) = current.filter(|run| has.current != Some(*run)) {
                self.forget_run(t, key, run);
            }
            return;
        }
        let wanted = launch.current;
        match (wanted, has.current) {
            (Some(run), Some(runs)) if run == runs => self.remind(t, id, has, run),
            (Some(run), None) if has.is_closing => {
                // It ends without having taken the item; `Gone` follows and puts it back.
                debug_assert!(run.attempt.0 > 0);
            }
            (Some(run), None) if self.is_current(key.job, run) => {
                self.send(t, id, ToWorker::Run { key, run });
            }
            (Some(run), None) => self.forget_run(t, key, run),
            (_, Some(stale)) => self.send(
                t,
                id,
                ToWorker::EndItem {
                    key,
                    run: stale,
                    grace: Duration::ZERO,
                },
            ),
            (None, None) => {}
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
        match (status == Some(ItemStatus::Suspended), has.is_suspended) {
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
        launch.current = None;
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
