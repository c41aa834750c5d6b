//! Who has what of hosts.

use super::quantity;
use crate::supervisor::dispatch::place_of;
use crate::supervisor::{Engine, Host, Job};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use tessera_model::JobId;
use tessera_model::reservation::PROCESSORS;

/// Jobs that are named as having something of hosts, at most.
const HOLDERS_MAX: usize = 3;

impl Engine {
    /// Tells which jobs have a resource of some hosts, slots among them, most first: `job 12 of mia (8), job 15 of tom (2)`. Nothing
    /// when none has.
    pub(super) fn held_by(&self, hosts: &[&Host], resource: &str) -> Option<String> {
        let all = holders(hosts, resource);
        let named = all.iter().take(HOLDERS_MAX).map(|(job, amount)| {
            let of = self.jobs.get(job);
            let of = of.map_or_else(String::new, |job| format!(" of {}", job.owner));
            format!("job {job}{of} ({})", quantity(resource, *amount))
        });
        let mut named: Vec<String> = named.collect();
        match all.len().saturating_sub(HOLDERS_MAX) {
            0 => {}
            1 => named.push("1 more job".to_owned()),
            more => named.push(format!("{more} more jobs")),
        }
        (!named.is_empty()).then(|| named.join(", "))
    }

    /// Answers the job with the most slots of some hosts of those that come after this one: it would give them to it.
    pub(super) fn to_preempt(&self, job: &Job, hosts: &[&Host]) -> Option<JobId> {
        let place = |job: &Job| place_of(self.config.queue_algorithm, job);
        let mut all = holders(hosts, PROCESSORS).into_iter();
        all.find(|(id, _)| {
            let other = self.jobs.get(id);
            other.is_some_and(|other| {
                other.spec.cluster == job.spec.cluster && place(other) > place(job)
            })
        })
        .map(|(id, _)| id)
    }
}

/// Answers how much each job has of a resource of some hosts, most first.
fn holders(hosts: &[&Host], resource: &str) -> Vec<(JobId, u64)> {
    let mut by_job: BTreeMap<JobId, u64> = BTreeMap::new();
    for host in hosts {
        for (key, taken) in host.launches.iter().chain(&host.strays) {
            let has = by_job.entry(key.job).or_default();
            *has = has.saturating_add(host.part_of(taken, resource));
        }
    }
    let mut all: Vec<(JobId, u64)> = by_job.into_iter().filter(|(_, has)| *has > 0).collect();
    all.sort_by_key(|(job, amount)| (Reverse(*amount), *job));
    all
}
