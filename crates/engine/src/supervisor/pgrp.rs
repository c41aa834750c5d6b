//! How many instances the jobs of one process group may have at once: the least that one of its jobs says, and the supervisor of the
//! owner of one. What is over a limit when it is lowered goes on; nothing more starts until it is below.

use super::Engine;
use super::deps::group_of;
use std::collections::{BTreeMap, BTreeSet};
use tessera_model::{JobId, UserName};

/// Jobs that are named as having instances, at most.
const HOLDERS_MAX: usize = 3;

/// A process group, as long as one of its jobs is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Group {
    /// Its jobs, with what each lets the group have; nothing: as many as it likes.
    jobs: BTreeMap<JobId, Option<u32>>,
    /// How many of them say which limit.
    said: BTreeMap<u32, u32>,
    /// Launches of its jobs that are not gone.
    running: u32,
}

impl Group {
    fn limit(&self) -> Option<u32> {
        self.said.first_key_value().map(|(limit, _)| *limit)
    }

    fn say(&mut self, job: JobId, limit: Option<u32>) {
        self.unsay(job);
        self.jobs.insert(job, limit);
        if let Some(limit) = limit {
            *self.said.entry(limit).or_insert(0) += 1;
        }
    }

    fn unsay(&mut self, job: JobId) {
        let Some(limit) = self.jobs.remove(&job).flatten() else {
            return;
        };
        if let Some(times) = self.said.get_mut(&limit) {
            *times -= 1;
            if *times == 0 {
                self.said.remove(&limit);
            }
        }
    }
}

/// All process groups, by the job that leads each.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups(BTreeMap<JobId, Group>);

/// What holds a process group back.
pub(super) struct GroupHeld {
    pub(super) group: JobId,
    pub(super) limit: u32,
    pub(super) running: u32,
    /// Who says so: a job, or a key of the configuration.
    pub(super) said_by: Result<JobId, &'static str>,
    /// Jobs with instances and how many, most first.
    pub(super) holders: Vec<(JobId, u32)>,
}

impl GroupHeld {
    /// Tells which jobs have the instances: `job 12 (3), job 15 (1)`.
    pub(super) fn held_by(&self) -> String {
        let named = self.holders.iter().take(HOLDERS_MAX);
        let mut names: Vec<String> = named.map(|(job, n)| format!("job {job} ({n})")).collect();
        let more = self.holders.len().saturating_sub(HOLDERS_MAX);
        if more > 0 {
            names.push(format!("{more} more jobs"));
        }
        names.join(", ")
    }
}

impl Engine {
    /// A job is there: it is counted in its process group, and says how much that may have.
    pub(super) fn join_group(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let (leader, limit) = (group_of(job), self.group_limit_of(id));
        let group = self.groups.0.entry(leader).or_default();
        let before = group.limit();
        group.say(id, limit);
        self.group_changed(leader, before, id);
    }

    /// A job is about to go; it has no launch and is not among the ready ones.
    pub(super) fn leave_group(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let leader = group_of(job);
        let Some(group) = self.groups.0.get_mut(&leader) else {
            return;
        };
        let before = group.limit();
        group.unsay(id);
        self.planner.set_lane(id, None);
        if group.jobs.is_empty() {
            self.groups.0.remove(&leader);
            self.planner.set_shut(leader, false);
        } else {
            self.group_changed(leader, before, id);
        }
    }

    /// Answers what a job lets its process group have.
    fn group_limit_of(&self, id: JobId) -> Option<u32> {
        let job = self.jobs.get(&id)?;
        let of_owner = self.config.pgrp_limits.of(&job.owner);
        job.spec.limits.pgrp.into_iter().chain(of_owner).min()
    }

    /// Brings the planner in line with the limit of a group: one that has one has a lane for its jobs.
    fn group_changed(&mut self, leader: JobId, before: Option<u32>, joined: JobId) {
        let Some(group) = self.groups.0.get(&leader) else {
            return;
        };
        let has_lane = group.limit().is_some();
        let lane = has_lane.then_some(leader);
        let moved: Vec<JobId> = if before.is_some() == has_lane {
            group
                .jobs
                .contains_key(&joined)
                .then_some(joined)
                .into_iter()
                .collect()
        } else {
            group.jobs.keys().copied().collect()
        };
        for job in moved {
            if self.planner.lane_of(job) != lane {
                self.unready(job);
                self.planner.set_lane(job, lane);
                self.index_job(job);
            }
        }
        self.hold_group(leader);
    }

    /// Holds a group back that has as many instances as it may, or lets it go. A limit of 0 holds from the first job.
    fn hold_group(&mut self, leader: JobId) {
        let group = self.groups.0.get(&leader);
        let is_held = group.is_some_and(|it| it.limit().is_some_and(|limit| it.running >= limit));
        self.planner.set_shut(leader, is_held);
    }

    /// An instance of a job was placed.
    pub(super) fn count_group_in(&mut self, id: JobId) {
        self.count_group(id, |running| running + 1);
    }

    /// Nothing is left of an instance of a job.
    pub(super) fn count_group_out(&mut self, id: JobId) {
        self.count_group(id, |running| running.saturating_sub(1));
    }

    fn count_group(&mut self, id: JobId, count: impl FnOnce(u32) -> u32) {
        let Some(leader) = self.jobs.get(&id).map(group_of) else {
            return;
        };
        if let Some(group) = self.groups.0.get_mut(&leader) {
            group.running = count(group.running);
        }
        self.hold_group(leader);
    }

    /// Answers what holds back the process group of a job, if something does.
    pub(super) fn group_held(&self, id: JobId) -> Option<GroupHeld> {
        let leader = group_of(self.jobs.get(&id)?);
        let group = self.groups.0.get(&leader)?;
        let limit = group.limit().filter(|limit| group.running >= *limit)?;
        let mut sayers = group.jobs.iter().filter(|(_, said)| **said == Some(limit));
        let sayer = sayers.next().and_then(|(job, _)| self.jobs.get(job))?;
        let said_by = if sayer.spec.limits.pgrp == Some(limit) {
            Ok(sayer.id)
        } else {
            Err(self.pgrp_key_of(&sayer.owner))
        };
        let with = group
            .jobs
            .keys()
            .map(|job| (*job, self.launches_of(*job).count()));
        let with = with.filter(|(_, n)| *n > 0);
        let mut holders: Vec<_> = with
            .map(|(job, n)| (job, u32::try_from(n).unwrap_or(u32::MAX)))
            .collect();
        holders.sort_by_key(|(job, n)| (std::cmp::Reverse(*n), *job));
        Some(GroupHeld {
            group: leader,
            limit,
            running: group.running,
            said_by,
            holders,
        })
    }

    /// Answers how many instances the process group that a job leads or is in has, and how many it may have.
    #[must_use]
    pub fn group_of_job(&self, id: JobId) -> Option<(u32, Option<u32>)> {
        let group = self.groups.0.get(&group_of(self.jobs.get(&id)?))?;
        Some((group.running, group.limit()))
    }

    fn pgrp_key_of(&self, owner: &UserName) -> &'static str {
        if self.config.pgrp_limits.named.contains_key(owner) {
            "supervisor_pgrp_subjob_limits"
        } else {
            "supervisor_default_pgrp_subjob_limit"
        }
    }

    /// Each process group has the jobs and instances that are counted, and one that has all that it may is held back.
    pub(super) fn check_groups(&self, faults: &mut Vec<String>) {
        let mut groups: BTreeMap<JobId, Group> = BTreeMap::new();
        for job in self.jobs.values() {
            let group = groups.entry(group_of(job)).or_default();
            group.say(job.id, self.group_limit_of(job.id));
        }
        let launched = self.launches.keys();
        for job in launched.filter_map(|key| self.jobs.get(&key.job)) {
            groups.entry(group_of(job)).or_default().running += 1;
        }
        if groups != self.groups.0 {
            let counted = &self.groups.0;
            faults.push(format!(
                "process groups are {groups:?}, counted are {counted:?}"
            ));
        }
        for (leader, group) in &groups {
            let is_held = group.limit().is_some_and(|limit| group.running >= limit);
            if is_held != self.planner.is_shut(*leader) {
                faults.push(format!(
                    "process group {leader} held back: {is_held}, the planner thinks otherwise"
                ));
            }
            let lane = group.limit().map(|_| *leader);
            let astray: BTreeSet<_> = group
                .jobs
                .keys()
                .filter(|job| self.planner.lane_of(**job) != lane)
                .collect();
            if !astray.is_empty() {
                faults.push(format!(
                    "{astray:?} of {leader} stand in another lane than {lane:?}"
                ));
            }
        }
    }
}
