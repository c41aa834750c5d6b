//! Jobs that stop when so many of their items failed (`max_failures`). Nothing more is begun, what runs is finished, and the job is
//! failed; who retries it lets it go on, what still finishes included.

use super::io::{Change, kind};
use super::job::Phase;
use super::report::STOPS;
use super::{About, Engine, Turn};
use tessera_model::msg::LaunchKey;
use tessera_model::{InstanceStatus, ItemStatus, JobId, WorkStatus};

impl Engine {
    /// An item of a job failed: stops the job when there are as many such as may be.
    pub(super) fn stop_failing(&mut self, t: &mut Turn<'_>, id: JobId) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let (most, failed) = (job.spec.max_failures, job.items.count(ItemStatus::Failed));
        let is_over = job.items.ended() == job.items.len();
        if most == 0 || failed < most || is_over {
            return;
        }
        let why = format!("{failed} of the job's frames failed (max-failures {most})");
        let live = job.live(job.instances.len());
        if live.is_empty() {
            return;
        }
        let text = format!("stopped: {why}; what runs is finished");
        t.event(kind::JOB_ACTION, About::job(id), text);
        for (no, key) in live {
            let job = self.jobs.get_mut(&id);
            if let Some(instance) = job.and_then(|job| job.instances.get_mut(no)) {
                instance.failure = Some(why.clone());
            }
            match key {
                Some(key) => self.finish_failed(t, key),
                None => self.set_instance(t, id, no, InstanceStatus::Failed),
            }
        }
    }

    /// A launch takes nothing more; with its item its instance has failed.
    fn finish_failed(&mut self, t: &mut Turn<'_>, key: LaunchKey) {
        self.recall(t, key);
        t.change(Change::Instance(key.job, key.instance));
        // What leaves its host would go on elsewhere, or stay after all; what is retired begins nothing more anyway.
        let takes_more =
            |phase| matches!(phase, Phase::Open | Phase::Finishing(WorkStatus::Pending));
        let launch = self.launches.get_mut(&key);
        let Some(launch) = launch.filter(|it| takes_more(it.phase)) else {
            return;
        };
        launch.phase = STOPS;
        t.change(Change::Launch(key));
        self.note_leaving(key);
        // The one whose item it was has nothing to finish.
        self.advance(t, key);
    }

    /// Somebody retries what failed: what was to stop after its item goes on, too. The next item that fails decides anew.
    pub(super) fn go_on_again(&mut self, t: &mut Turn<'_>, id: JobId) {
        let stopping = self.launches_of(id).filter(|it| it.phase == STOPS);
        let keys: Vec<LaunchKey> = stopping.map(|it| it.key).collect();
        for key in keys {
            if let Some(launch) = self.launches.get_mut(&key) {
                launch.phase = Phase::Open;
                let host = launch.host;
                t.change(Change::Launch(key));
                self.note_standing(host);
                self.note_levels(id);
            }
            let job = self.jobs.get_mut(&id);
            if let Some(instance) = job.and_then(|job| job.instances.get_mut(key.instance)) {
                instance.failure = None;
                t.change(Change::Instance(id, key.instance));
            }
            self.advance(t, key);
        }
    }
}
