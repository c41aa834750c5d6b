//! Claims: room on a host that was made for a job, and is kept for it until it is there.

use super::Standing;
use crate::supervisor::Host;
use crate::supervisor::items::Size;
use std::collections::{BTreeMap, BTreeSet};
use tessera_model::msg::LaunchKey;
use tessera_model::{GlobalName, HostId, JobId, Taken, UserName};

/// The number of a claim; only grows.
pub(super) type ClaimId = u64;

/// Room for one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    /// Where.
    pub(super) host: HostId,
    /// For whom.
    pub(super) job: JobId,
    /// Whose that is.
    pub(super) owner: UserName,
    /// Who leads its process group.
    pub(super) group: JobId,
    /// For which of its items.
    pub(super) size: Size,
    /// With which demands.
    pub(super) class: usize,
    /// Where the job stands on that host.
    pub(super) standing: Standing,
    /// How much.
    pub(super) need: Taken,
    /// How many have left for it or leave.
    pub(super) victims: usize,
    /// Who leaves for it at the end of their item; they stay when it is given up before.
    pub(super) leaving: BTreeSet<LaunchKey>,
}

/// All claims.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims {
    next: ClaimId,
    all: BTreeMap<ClaimId, Claim>,
    by_host: BTreeMap<HostId, BTreeSet<ClaimId>>,
    by_job: BTreeMap<JobId, BTreeSet<ClaimId>>,
    /// How many somebody has.
    by_owner: BTreeMap<UserName, u32>,
    /// How many a process group has.
    by_group: BTreeMap<JobId, u32>,
    /// What all of them want of the farm's own resources, and how many want it.
    global: BTreeMap<GlobalName, (u64, u32)>,
}

impl Claims {
    pub(super) fn insert(&mut self, claim: Claim) -> ClaimId {
        let id = self.next;
        self.next += 1;
        self.by_host.entry(claim.host).or_default().insert(id);
        self.by_job.entry(claim.job).or_default().insert(id);
        *self.by_owner.entry(claim.owner.clone()).or_insert(0) += 1;
        *self.by_group.entry(claim.group).or_insert(0) += 1;
        for (name, amount) in &claim.need.global {
            let (sum, count) = self.global.entry(name.clone()).or_default();
            *sum = sum.saturating_add(*amount);
            *count += 1;
        }
        self.all.insert(id, claim);
        id
    }

    pub(super) fn remove(&mut self, id: ClaimId) -> Option<Claim> {
        let claim = self.all.remove(&id)?;
        take_out(&mut self.by_host, &claim.host, id);
        take_out(&mut self.by_job, &claim.job, id);
        count_out(&mut self.by_owner, &claim.owner);
        count_out(&mut self.by_group, &claim.group);
        for (name, amount) in &claim.need.global {
            if let Some((sum, count)) = self.global.get_mut(name) {
                *sum = sum.saturating_sub(*amount);
                *count -= 1;
                if *count == 0 {
                    self.global.remove(name);
                }
            }
        }
        Some(claim)
    }

    pub(super) fn get(&self, id: ClaimId) -> Option<&Claim> {
        self.all.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: ClaimId) -> Option<&mut Claim> {
        self.all.get_mut(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Claim> {
        self.all.values()
    }

    /// Answers those for which somebody leaves at the end of an item, the oldest first.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (ClaimId, &Claim)> {
        let all = self
            .all
            .iter()
            .filter(|(_, claim)| !claim.leaving.is_empty());
        all.map(|(id, claim)| (*id, claim))
    }

    /// Answers those on a host.
    pub(super) fn on(&self, host: HostId) -> impl Iterator<Item = (ClaimId, &Claim)> {
        self.of_set(self.by_host.get(&host))
    }

    /// Answers those of a job, the oldest first.
    pub(super) fn of(&self, job: JobId) -> impl Iterator<Item = (ClaimId, &Claim)> {
        self.of_set(self.by_job.get(&job))
    }

    fn of_set<'a>(
        &'a self,
        set: Option<&'a BTreeSet<ClaimId>>,
    ) -> impl Iterator<Item = (ClaimId, &'a Claim)> {
        let ids = set.into_iter().flatten();
        ids.filter_map(|id| Some((*id, self.all.get(id)?)))
    }

    pub(super) fn has_some_of(&self, job: JobId) -> bool {
        self.by_job.contains_key(&job)
    }

    pub(super) fn has_some_on(&self, host: HostId) -> bool {
        self.by_host.contains_key(&host)
    }

    /// Counts those of the jobs of somebody.
    pub(super) fn of_owner(&self, owner: &UserName) -> u32 {
        self.by_owner.get(owner).copied().unwrap_or(0)
    }

    /// Counts those of the jobs of a process group.
    pub(super) fn of_group(&self, leader: JobId) -> u32 {
        self.by_group.get(&leader).copied().unwrap_or(0)
    }

    /// Answers how much of one of the farm's own resources they will want.
    pub(super) fn of_global(&self, name: &GlobalName) -> u64 {
        self.global.get(name).map_or(0, |(sum, _)| *sum)
    }

    /// Counts those that want one of the farm's own resources.
    pub(super) fn wanting(&self, name: &GlobalName) -> u32 {
        self.global.get(name).map_or(0, |(_, count)| *count)
    }

    /// Answers how much of a resource of a host they want; slots by their own name.
    pub(super) fn wanted_on(&self, host: &Host, resource: &str) -> u64 {
        let claims = self.on(host.id);
        let wanted = claims.map(|(_, claim)| host.part_of(&claim.need, resource));
        wanted.fold(0, u64::saturating_add)
    }

    /// A launch leaves of somebody else's will from now on.
    pub(super) fn forget_leaving(&mut self, host: HostId, key: LaunchKey) {
        let ids: Vec<ClaimId> = self
            .by_host
            .get(&host)
            .into_iter()
            .flatten()
            .copied()
            .collect();
        for id in ids {
            if let Some(claim) = self.all.get_mut(&id) {
                claim.leaving.remove(&key);
            }
        }
    }
}

fn count_out<K: Ord>(counts: &mut BTreeMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

fn take_out<K: Ord>(sets: &mut BTreeMap<K, BTreeSet<ClaimId>>, key: &K, id: ClaimId) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(&id);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_model::{HostState, Timestamp};

    #[test]
    fn claims_are_counted_and_given_back() {
        let licence: GlobalName = "license.a".parse().expect("a name");
        let owner: UserName = "mia".parse().expect("a name");
        let claim = |job: u64| Claim {
            host: HostId([1; 16]),
            job: JobId(job),
            owner: owner.clone(),
            group: JobId(1),
            size: Size::Plain,
            class: 0,
            standing: Standing::LOWEST,
            need: Taken {
                slots: 2,
                amounts: [("host.memory".to_owned(), 8)].into(),
                global: [(licence.clone(), 3)].into(),
                ..Taken::default()
            },
            victims: 0,
            leaving: BTreeSet::new(),
        };
        let mut claims = Claims::default();
        let (first, second) = (claims.insert(claim(1)), claims.insert(claim(2)));
        let host = HostId([1; 16]);
        let known = Host::new(host, Default::default(), HostState::Up, Timestamp(0));
        assert_eq!(claims.of_owner(&owner), 2);
        assert_eq!(claims.of_group(JobId(1)), 2);
        assert_eq!(
            (claims.of_global(&licence), claims.wanting(&licence)),
            (6, 2)
        );
        let wanted = ["host.processors", "host.memory", "host.swap"];
        assert_eq!(wanted.map(|it| claims.wanted_on(&known, it)), [4, 16, 0]);
        assert!(claims.has_some_of(JobId(1)));
        claims.remove(first);
        assert!(!claims.has_some_of(JobId(1)) && claims.has_some_on(host));
        claims.remove(second);
        assert!(claims.by_host.is_empty() && claims.by_job.is_empty());
        assert!(claims.by_owner.is_empty() && claims.by_group.is_empty());
        assert!(claims.global.is_empty());
    }
}
