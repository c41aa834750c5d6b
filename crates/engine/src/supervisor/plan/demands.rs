//! What jobs demand of hosts: jobs that demand the same are of one class.

use super::super::host::Traits;
use super::asks::Asks;
use super::prefers::Prefers;
use std::collections::{BTreeMap, BTreeSet};
use tessera_model::reservation::MEMORY;
use tessera_model::{ClusterChoice, GlobalName, JobFlag, JobId, JobSpec, Restriction, UserName};

/// What a job's match with a host depends on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Demands {
    /// Whose the jobs are: hosts may refuse them, and so may limits.
    pub owner: UserName,
    /// Only these host names; empty: any.
    pub hosts: BTreeSet<String>,
    /// Never these.
    pub omithosts: BTreeSet<String>,
    /// The clusters of the jobs.
    pub cluster: ClusterChoice,
    /// Only hosts in one of these clusters.
    pub restrictions: Option<Restriction>,
    /// Only hosts in one of these groups; empty: any.
    pub groups: BTreeSet<String>,
    /// Never hosts in one of these.
    pub omitgroups: BTreeSet<String>,
    /// What they ask of a host in an expression.
    pub asks: Option<Asks>,
    /// Which of the hosts is picked first; says nothing of which are possible.
    pub prefers: Option<Prefers>,
    /// Slots, at least.
    pub slots: u32,
    /// Whether they start on an idle host only, and have all of its slots.
    pub wants_whole: bool,
    /// Amounts of other resources.
    pub amounts: BTreeMap<String, u64>,
    /// Amounts of the farm's own resources.
    pub global: BTreeMap<GlobalName, u64>,
    /// Of which job a host may have so many instances at most.
    pub per_host: Option<(JobId, u32)>,
    /// Whether the jobs come before all that are not, on every host.
    pub is_elite: bool,
    /// The one job whose demands these are, when its instances start all at once or not at all.
    pub gang: Option<JobId>,
    /// Whether they are of items that ran out of memory, which their jobs have apart from the others.
    pub is_grown: bool,
    /// Whether they are of secondary instances, which come after all that are not, on every host.
    pub is_secondary: bool,
}

impl Demands {
    /// Answers the demands of a job.
    #[must_use]
    pub fn of(spec: &JobSpec, id: JobId, owner: &UserName) -> Self {
        Self {
            owner: owner.clone(),
            hosts: spec.hosts.clone(),
            omithosts: spec.omithosts.clone(),
            cluster: spec.cluster.clone(),
            restrictions: spec.restrictions.clone(),
            groups: spec.groups.clone(),
            omitgroups: spec.omitgroups.clone(),
            asks: Asks::of(spec, id, owner),
            prefers: Prefers::of(spec),
            slots: spec.reservation.slots,
            wants_whole: spec.reservation.is_whole_host(),
            amounts: spec.reservation.amounts.clone(),
            global: spec.reservation.global.clone(),
            per_host: spec.limits.per_host.map(|most| (id, most)),
            is_elite: spec.flags.contains(&JobFlag::Elite),
            gang: spec.is_gang().then_some(id),
            is_grown: false,
            is_secondary: false,
        }
    }

    /// Answers those of the same job's items that ran out of memory: with so many MiB, when the job reserves memory at all.
    #[must_use]
    pub fn grown(self, memory: Option<u64>) -> Self {
        let mut demands = self;
        demands.is_grown = true;
        if let Some(memory) = memory {
            demands.amounts.insert(MEMORY.to_owned(), memory);
        }
        demands
    }

    /// Says whether they allow a host of that name.
    #[must_use]
    pub fn admit(&self, host: &str) -> bool {
        (self.hosts.is_empty() || self.hosts.contains(host)) && !self.omithosts.contains(host)
    }

    /// Says whether they allow a host of that kind.
    #[must_use]
    pub fn suit(&self, host: &Traits) -> bool {
        let is_among = self.groups.is_empty() || !self.groups.is_disjoint(&host.groups);
        let restrictions = self.restrictions.as_ref();
        is_among
            && self.omitgroups.is_disjoint(&host.groups)
            && restrictions.is_none_or(|it| it.admits(&host.cluster))
            && host.takes.admits(&self.cluster)
    }
}
