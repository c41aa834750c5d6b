//! Who could leave so that a job finds room, and where that costs least.

use super::claims::{Claim, ClaimId};
use super::index::{Kind, Place};
use super::pick::{Candidate, Price, pick};
use super::{Manner, PreemptPolicy, Standing};
use crate::supervisor::dispatch::{place_as_primary, place_of};
use crate::supervisor::gpu_slots::{gpus_of, is_without_gpus};
use crate::supervisor::host::Kept;
use crate::supervisor::job::{Launch, Phase};
use crate::supervisor::judging::Judging;
use crate::supervisor::plan::{AFTER_ALL, OUTSIDE};
use crate::supervisor::share::level_place;
use crate::supervisor::{Engine, Host, Job};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use tessera_model::credential::CredentialId;
use tessera_model::msg::LaunchKey;
use tessera_model::reservation::{MEMORY, PROCESSORS};
use tessera_model::{ClusterPath, HostId, InstanceNo, InstanceStatus, JobFlag, Taken};

/// Registered passwords that must be checked before a host is given work with them.
pub(in super::super) type Wanted = RefCell<BTreeSet<CredentialId>>;

/// A way to make room on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) host: HostId,
    pub(super) victims: Vec<LaunchKey>,
    pub(super) price: Price,
}

impl Engine {
    /// Answers what the planner is told of jobs and hosts.
    pub(in super::super) fn judging<'a>(&'a self, wanted: &'a Wanted) -> Judging<'a> {
        Judging {
            jobs: &self.jobs,
            hosts: &self.hosts,
            credentials: &self.credentials,
            empties: self.empties(),
            now: self.now,
            wanted,
        }
    }

    /// Answers where a job stands on hosts of a cluster.
    pub(super) fn standing_of(&self, job: &Job, class: usize, cluster: &ClusterPath) -> Standing {
        let (priority, ..) = place_of(self.config.queue_algorithm, job);
        Standing {
            distance: self.planner.distance_to(class, cluster),
            priority,
            share: self.planner.share_of(class),
        }
    }

    /// Answers where an instance of a job that runs stands on hosts of a cluster.
    pub(super) fn standing_of_one(
        &self,
        job: &Job,
        no: InstanceNo,
        cluster: &ClusterPath,
    ) -> Standing {
        if let Some(level) = self.level_of(job, no) {
            return Standing {
                distance: AFTER_ALL,
                priority: level_place(level),
                share: OUTSIDE,
            };
        }
        let (priority, ..) = place_as_primary(self.config.queue_algorithm, job);
        Standing {
            distance: self.planner.distance_of_primary(job.class, cluster),
            priority,
            share: self.config.cluster_weights.standing_in(&job.spec),
        }
    }

    /// Answers what one more instance of a class takes of its host and of the farm.
    pub(in crate::supervisor) fn need_of(&self, class: usize) -> Taken {
        let demands = self.planner.demands(class);
        Taken {
            slots: demands.slots,
            is_alone: demands.wants_whole,
            amounts: demands.amounts.clone(),
            global: demands.global.clone(),
            // Which of its GPUs it has is seen when it is placed.
            ..Taken::default()
        }
    }

    /// Answers the cheapest way to make room for one more instance of a job.
    pub(super) fn way_for(
        &self,
        job: &Job,
        class: usize,
        wanted: &Wanted,
        looked_at: &mut u64,
    ) -> Option<Way> {
        let demands = self.planner.demands(class);
        let own = |cluster: &ClusterPath| self.standing_of(job, class, cluster);
        let index = match self.manner_for(job) {
            Manner::AtOnce if self.config.preempt_policy == PreemptPolicy::Passive => {
                &self.preempts.at_once
            }
            Manner::AtOnce | Manner::AtEnd | Manner::ByHand => &self.preempts.usual,
        };
        let hosts = if demands.hosts.is_empty() {
            let memory = bits(demands.amounts.get(MEMORY).copied().unwrap_or(0));
            let suits = |kind: &Kind| {
                kind.slots >= demands.slots && kind.memory >= memory && demands.suit(&kind.traits)
            };
            index.lower(own, suits, looked_at)
        } else {
            index.lower_of(demands.hosts.iter(), own, looked_at)
        };
        let manner = self.manner_for(job);
        let ways = hosts
            .into_iter()
            .filter_map(|host| self.way_on(job, class, host, manner, wanted));
        ways.min_by_key(|way| way.price)
    }

    /// Answers the cheapest way to make room for one more instance of a job on a host.
    pub(super) fn way_on(
        &self,
        job: &Job,
        class: usize,
        id: HostId,
        manner: Manner,
        wanted: &Wanted,
    ) -> Option<Way> {
        let host = self.hosts.get(&id).filter(|host| host.is_open())?;
        let place = place_of(self.config.queue_algorithm, job);
        let judge = self.judging(wanted);
        if !self.planner.would_start(class, place, host, &judge) {
            return None;
        }
        if self.has_all_on(class, host) {
            return None;
        }
        let own = self.standing_of(job, class, &host.traits().cluster);
        let need = self.need_of(class);
        let higher = self.preempts.claims.on(id);
        let higher = higher.filter(|(_, claim)| !claim.standing.gives_way_to(&own));
        let higher: Vec<&Claim> = higher.map(|(_, claim)| claim).collect();
        let staying: Vec<&Launch> = self.staying_on(host).collect();
        let names = names_of(&need);
        let short = names.iter().map(|name| {
            let stays = staying
                .iter()
                .map(|launch| host.part_of(&launch.taken, name));
            let claimed = higher.iter().map(|claim| host.part_of(&claim.need, name));
            let taken = stays.chain(claimed).fold(0, u64::saturating_add);
            let asked = taken.saturating_add(host.part_of(&need, name));
            let there = staying.iter().map(|launch| launch.taken.as_ref());
            let kept = kept_beside(host, &need, name, there);
            asked
                .saturating_add(kept)
                .saturating_sub(host.open_of_any(name))
        });
        let short: Vec<u64> = short.collect();
        let is_beside_gpus = is_without_gpus(&need) && host.slots_of_gpu() > 0;
        let gives = |taken: &Taken, name: &str| match name {
            // What is kept for its GPUs when it is gone it gives nobody.
            PROCESSORS if is_beside_gpus => host.part_beside_gpus(taken),
            name => host.part_of(taken, name),
        };
        let candidates = staying.into_iter().filter_map(|launch| {
            let standing = self.may_leave(launch, host, manner)?;
            let is_loss = is_beside_gpus && host.keeps_more_without(&launch.taken);
            (standing.gives_way_to(&own) && !is_loss).then(|| Candidate {
                who: launch.key,
                gives: (names.iter())
                    .map(|name| gives(&launch.taken, name))
                    .collect(),
                standing,
                cost: self.cost_of(launch, manner),
            })
        });
        let (victims, price) = pick(&short, candidates.collect())?;
        let victims = victims.into_iter().map(|it| it.who).collect();
        Some(Way {
            host: id,
            victims,
            price,
        })
    }

    /// Answers the launches of a host that are not leaving.
    pub(super) fn staying_on<'a>(&'a self, host: &'a Host) -> impl Iterator<Item = &'a Launch> {
        let launches = host.launches.keys();
        let launches = launches.filter_map(|key| self.launches.get(key));
        launches.filter(|launch| launch.phase == Phase::Open)
    }

    /// Answers where a launch stands on its host if it may have to leave for others: its instance runs, its job lets it, and it has not
    /// been preempted lately.
    pub(super) fn may_leave(
        &self,
        launch: &Launch,
        host: &Host,
        manner: Manner,
    ) -> Option<Standing> {
        let LaunchKey { job, instance, .. } = launch.key;
        let rests = self.preempts.rests.contains_key(&(job, instance));
        let job = self.jobs.get(&job)?;
        let is_secondary = self.level_of(job, instance).is_some();
        let is_off = self.config.preempt_policy == PreemptPolicy::Disabled;
        if !is_secondary && is_off && manner != Manner::ByHand {
            return None;
        }
        let status = &job.instance(instance)?.status;
        let runs = matches!(status, InstanceStatus::Running { launch: on, .. } if *on == launch.key.launch);
        let flags = &job.spec.flags;
        let is_exempt =
            flags.contains(&JobFlag::Uninterruptible) || flags.contains(&JobFlag::Elite);
        // What is left of a gang is of use to nobody.
        let is_exempt = is_exempt || job.spec.is_gang();
        // One that has nothing but its command leaves at its end anyway.
        let is_vain = manner != Manner::AtOnce && job.is_cmdline();
        // What is secondary may be asked at any time.
        let rests = rests && !is_secondary;
        let may = launch.phase == Phase::Open && runs && !rests && !is_exempt && !is_vain;
        may.then(|| self.standing_of_one(job, instance, &host.traits().cluster))
    }

    /// Answers what it costs to have a launch leave: what is lost when it is ended; else how long its item may still take, of which
    /// nothing is known but that the one which began first is likely to end first.
    fn cost_of(&self, launch: &Launch, manner: Manner) -> u64 {
        let since = launch.current.map(|_| launch.current_since);
        let ran = since.map_or(0, |since| self.now.wall.since_ms(since));
        match (manner, since) {
            (Manner::AtOnce, _) => ran,
            (Manner::AtEnd | Manner::ByHand, Some(_)) => u64::from(u32::MAX).saturating_sub(ran),
            (Manner::AtEnd | Manner::ByHand, None) => 0,
        }
    }

    /// Answers where a host is among those where something may leave as the policy says, and where it ends nothing, among those where
    /// something may be ended.
    pub(super) fn places_on(&self, id: HostId) -> (Vec<Place>, Vec<Place>) {
        let at_once = || self.lowest_on(id, Manner::AtOnce);
        match self.config.preempt_policy {
            // Of what is secondary.
            PreemptPolicy::Disabled => (self.lowest_on(id, Manner::AtEnd), Vec::new()),
            PreemptPolicy::Passive => (self.lowest_on(id, Manner::AtEnd), at_once()),
            PreemptPolicy::Aggressive => (at_once(), Vec::new()),
        }
    }

    /// Answers the lowest of each share that may leave a host.
    fn lowest_on(&self, id: HostId, manner: Manner) -> Vec<Place> {
        let Some(host) = self.hosts.get(&id).filter(|host| host.is_open()) else {
            return Vec::new();
        };
        let mut known = None;
        let leaving = host.launches.keys().filter_map(|key| {
            // Of a job that does not grow all others stand where the first does that may leave.
            if known == Some(key.job) {
                return None;
            }
            let launch = self.launches.get(key)?;
            let standing = self.may_leave(launch, host, manner)?;
            let job = self.jobs.get(&key.job)?;
            known = (!job.spec.grows()).then_some(job.id);
            Some(standing)
        });
        // Room that was made for somebody goes to who stands higher.
        let claims = self.preempts.claims.on(id).map(|(_, claim)| claim.standing);
        let mut by_share: BTreeMap<usize, Standing> = BTreeMap::new();
        for standing in leaving.chain(claims) {
            let lowest = by_share.entry(standing.share).or_insert(standing);
            *lowest = standing.max(*lowest);
        }
        let place = |lowest: Standing| Place {
            cluster: self.planner.kept_under(host.traits()),
            kind: Kind {
                traits: std::sync::Arc::clone(&host.traits),
                slots: host.facts.slots,
                memory: bits(host.total_of(MEMORY)),
            },
            name: host.facts.name.clone(),
            lowest,
        };
        by_share.into_values().map(place).collect()
    }

    /// Says whether, beside what stays on a host and all claims there, this can stay, too.
    pub(super) fn fits_beside_claims(&self, host: &Host, taken: &Taken) -> bool {
        names_of(taken).iter().all(|name| {
            let staying = self
                .staying_on(host)
                .map(|launch| host.part_of(&launch.taken, name));
            let stays = staying.fold(0, u64::saturating_add);
            let claimed = self.preempts.claims.wanted_on(host, name);
            let claims = self.preempts.claims.on(host.id);
            let mut needs = claims.map(|(_, claim)| &claim.need);
            let kept = match needs.find(|it| is_without_gpus(it)) {
                Some(need) => {
                    let gpus = self.staying_on(host).map(|launch| launch.taken.as_ref());
                    kept_beside(host, need, name, gpus.chain([taken]))
                }
                None => 0,
            };
            let all = stays.saturating_add(claimed).saturating_add(kept);
            // One that is locked altogether finishes what it has; of locked slots nobody is given one back.
            let has = match host.is_locked() {
                true => host.total_of_any(name),
                false => host.open_of_any(name),
            };
            all.saturating_add(host.part_of(taken, name)) <= has
        })
    }

    /// Answers the claims on a host, the best first.
    pub(super) fn claims_on(&self, host: HostId) -> Vec<ClaimId> {
        let claims = self.preempts.claims.on(host);
        let mut claims: Vec<_> = claims.map(|(id, claim)| (claim.standing, id)).collect();
        claims.sort_unstable();
        claims.into_iter().map(|(_, id)| id).collect()
    }
}

/// Answers the names of what somebody takes of a host, slots first.
pub(in crate::supervisor) fn names_of(taken: &Taken) -> Vec<&str> {
    let amounts = taken.amounts.keys().map(String::as_str);
    std::iter::once(PROCESSORS).chain(amounts).collect()
}

/// Answers how many of its slots a host keeps from a need for the GPUs that none of these has; of nothing else something is kept.
pub(in crate::supervisor) fn kept_beside<'a>(
    host: &Host,
    need: &Taken,
    name: &str,
    there: impl Iterator<Item = &'a Taken>,
) -> u64 {
    if name != PROCESSORS || !is_without_gpus(need) || host.slots_of_gpu() == 0 {
        return 0;
    }
    let gpus = there.map(gpus_of).fold(0, u64::saturating_add);
    host.gpu_slots_beside(gpus)
}

/// Answers what is kept for all of them together.
pub(super) fn sum_of<'a>(all: impl Iterator<Item = &'a Taken>) -> Kept {
    let mut sum = Kept::default();
    for taken in all {
        sum.slots = sum.slots.saturating_add(taken.slots);
        sum.is_whole |= taken.is_alone;
        for (name, amount) in &taken.amounts {
            let of_name = sum.amounts.entry(name.clone()).or_insert(0);
            *of_name = of_name.saturating_add(*amount);
        }
    }
    sum
}

fn bits(number: u64) -> u32 {
    u64::BITS - number.leading_zeros()
}
