//! How many hosts a class can use at once.

use super::JOB_HOSTS_MAX;
use crate::supervisor::deps::group_of;
use crate::supervisor::{Engine, Job};
use std::collections::BTreeMap;
use tessera_model::{JobId, WorkStatus};

impl Engine {
    /// Answers the first job of a class, and how many hosts its first jobs can use: no more than instances of them may start by what
    /// their owner and their groups have left, nor than any rate lets start within its time.
    ///
    /// What is left of a rate now is not asked: it is back before a host is empty.
    pub(super) fn wanted_by(&self, class: usize) -> Option<(JobId, usize)> {
        if let Some((job, count)) = self.gathering(class) {
            // As many as all of it needs, as long as all of it may start.
            let may = self.instances_left(job) >= count;
            return Some((job, if may { usize::MAX } else { 0 }));
        }
        let jobs = self.planner.first_of(class, JOB_HOSTS_MAX);
        let jobs: Vec<&Job> = jobs.filter_map(|id| self.jobs.get(&id)).collect();
        let first = jobs.first()?;
        let of_owner = self.config.user_limits.of(&first.owner);
        let of_owner = of_owner.map(|limit| limit.saturating_sub(self.running_of(&first.owner)));
        let mut left_of: BTreeMap<JobId, usize> = BTreeMap::new();
        let mut wanted = 0_usize;
        for job in &jobs {
            let left = left_of
                .entry(group_of(job))
                .or_insert_with(|| self.left_of_group(job.id));
            let ready = usize::try_from(job.items.ready()).unwrap_or(usize::MAX);
            let instances = job.instances_in(WorkStatus::Pending).min(ready).min(*left);
            *left -= instances;
            wanted = wanted.saturating_add(instances.min(self.own_starts_max(job)));
        }
        let most = [of_owner.map(|left| left as usize), self.starts_max(first)];
        let most = most.into_iter().flatten().chain([JOB_HOSTS_MAX]);
        Some((first.id, most.fold(wanted, usize::min)))
    }

    /// Answers how many instances the process group of a job may have besides those that it has.
    fn left_of_group(&self, id: JobId) -> usize {
        let (running, limit) = self.group_of_job(id).unwrap_or_default();
        limit.map_or(usize::MAX, |limit| limit.saturating_sub(running) as usize)
    }
}
