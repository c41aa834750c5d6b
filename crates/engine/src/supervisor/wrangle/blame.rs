//! A job that fails wherever it is tried is blocked, with the reason, until a person has looked at it.

use super::super::io::Change;
use super::super::job::Phase;
use super::super::{Engine, Instance, Turn};
use super::{HELD, Record};
use tessera_model::msg::LaunchKey;
use tessera_model::{HostId, InstanceNo, InstanceStatus, JobId, WorkStatus};

/// Hosts that are named in the reason, at most.
const NAMED_MAX: usize = 4;

impl Engine {
    /// Blocks what has not ended of a job's instances; what runs is finished.
    pub(super) fn blame_job(&mut self, t: &mut Turn<'_>, id: JobId) {
        let n = self.config.wrangling.failures;
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let bad = job.wrangle.rows.iter().filter(|(_, row)| row.is_bad);
        let mut names: Vec<String> = bad.map(|(host, _)| self.name_of(*host)).collect();
        names.sort();
        let why = format!(
            "{n} of its frames failed in a row on each of {}, and none succeeded anywhere",
            listed(&names)
        );
        let live = job.live(job.spec.instances() as usize);
        self.tell_of_job(t, id, None, format!("blocked by the farm: {why}"));
        for (no, key) in live {
            let job = self.jobs.get_mut(&id);
            if let Some(instance) = job.and_then(|job| job.instances.get_mut(no)) {
                instance.failure = Some(why.clone());
                t.change(Change::Instance(id, no));
            }
            match key {
                Some(key) => self.hold_launch(t, key),
                None => self.set_instance(t, id, no, InstanceStatus::Blocked),
            }
        }
    }

    /// A launch takes nothing more; with its item its instance is blocked.
    fn hold_launch(&mut self, t: &mut Turn<'_>, key: LaunchKey) {
        self.recall(t, key);
        let goes_on = |phase| matches!(phase, Phase::Open | Phase::Finishing(WorkStatus::Pending));
        let launch = self.launches.get_mut(&key);
        let Some(launch) = launch.filter(|it| goes_on(it.phase)) else {
            return;
        };
        launch.phase = HELD;
        t.change(Change::Launch(key));
        self.note_leaving(key);
        self.advance(t, key);
    }

    /// A job is over.
    pub(in super::super) fn forget_wrangling(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let record = std::mem::take(&mut job.wrangle);
        let bars: Vec<_> = record.bars().collect();
        job.bars.retain(|bar| !bars.contains(bar));
    }

    /// A person has looked at a job and tries something of it anew: nothing is held against it or its hosts any more. Who unblocks it has
    /// what is finished meanwhile go on, too.
    pub(in super::super) fn forgive(&mut self, t: &mut Turn<'_>, id: JobId, is_unblocked: bool) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let hosts: Vec<HostId> = job.wrangle.rows.keys().copied().collect();
        for host in hosts {
            self.let_back(t, id, host);
        }
        if let Some(job) = self.jobs.get_mut(&id) {
            job.wrangle = Record::default();
        }
        if is_unblocked {
            self.go_on_unblocked(t, id);
        }
    }

    /// Takes the reason off the instances that were blocked for it, and has those go on that were to be.
    fn go_on_unblocked(&mut self, t: &mut Turn<'_>, id: JobId) {
        let held = self.launches_of(id).filter(|it| it.phase == HELD);
        let held: Vec<LaunchKey> = held.map(|it| it.key).collect();
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let is_blamed = |it: &Instance| match it.status.launch() {
            Some(launch) => held
                .iter()
                .any(|key| (key.instance, key.launch) == (it.no, launch)),
            None => !it.status.kind().is_ended(),
        };
        let blamed = job.instances.iter().filter(|it| it.failure.is_some());
        let blamed = blamed.filter(|it| is_blamed(it)).map(|it| it.no);
        for no in blamed.collect::<Vec<InstanceNo>>() {
            if let Some(instance) = job.instances.get_mut(no) {
                instance.failure = None;
                t.change(Change::Instance(id, no));
            }
        }
        for key in held {
            if let Some(launch) = self.launches.get_mut(&key) {
                launch.phase = Phase::Open;
                let host = launch.host;
                t.change(Change::Launch(key));
                self.note_standing(host);
                self.note_levels(id);
            }
            self.advance(t, key);
        }
    }
}

/// Lists the first few names.
pub(super) fn listed(names: &[String]) -> String {
    let first = names.iter().take(NAMED_MAX).map(String::as_str);
    let first: Vec<&str> = first.collect();
    match names.len().checked_sub(NAMED_MAX) {
        None | Some(0) => first.join(", "),
        Some(more) => format!("{} and {more} more", first.join(", ")),
    }
}
