//! Making room: who is found leaves, the room is kept for whom it was made, and given up when it is wanted no more.

use super::claims::{Claim, ClaimId};
use super::search::{Wanted, Way, kept_beside, names_of, sum_of};
use super::{Manner, PreemptPolicy, Standing, is_elite};
use crate::supervisor::deps::group_of;
use crate::supervisor::dispatch::place_of;
use crate::supervisor::io::{Change, kind};
use crate::supervisor::items::Size;
use crate::supervisor::job::Phase;
use crate::supervisor::plan::Placement;
use crate::supervisor::{About, Engine, Host, Job, Turn};
use std::collections::BTreeSet;
use tessera_model::msg::LaunchKey;
use tessera_model::{HostId, JobId, Taken, WorkStatus};

/// Claims that are looked at when an item ends whose instance might leave for one of them, at most.
const SWAPS_LOOKED_AT_MAX: usize = 16;

impl Engine {
    /// Makes room for one more instance of a job, there or wherever it costs least. Says whether it did.
    pub(super) fn make_room(
        &mut self,
        t: &mut Turn<'_>,
        id: JobId,
        host: Option<HostId>,
        wanted: &Wanted,
        left: &mut usize,
    ) -> bool {
        let mut looked_at = 0;
        let found = self.find_room(id, host, wanted, &mut looked_at);
        self.preempts.looked_at += looked_at;
        let Some((size, class, way)) = found else {
            return false;
        };
        *left = left.saturating_sub(way.victims.len().max(1));
        self.claim(t, (id, size, class), &way);
        true
    }

    fn find_room(
        &self,
        id: JobId,
        host: Option<HostId>,
        wanted: &Wanted,
        looked_at: &mut u64,
    ) -> Option<(Size, usize, Way)> {
        let job = self.jobs.get(&id)?;
        let mut sizes = Size::ALL.into_iter();
        sizes.find_map(|size| {
            let class = job.class_of(size)?;
            *looked_at += 1;
            if !self.wants_more(job, size) {
                return None;
            }
            // Who may have no more, or waits for something of the farm's, gets nothing by it.
            self.planner.waiting_for_hosts(class).next()?;
            let way = match host {
                Some(host) => {
                    let manner = self.manner_for(job);
                    self.way_on(job, class, host, manner, wanted)
                }
                None => self.way_for(job, class, wanted, looked_at),
            };
            Some((size, class, way?))
        })
    }

    /// Has those leave who were found, and keeps the room for a job.
    fn claim(&mut self, t: &mut Turn<'_>, (id, size, class): (JobId, Size, usize), way: &Way) {
        let pair = self.jobs.get(&id).zip(self.hosts.get(&way.host));
        let Some((job, host)) = pair else {
            return;
        };
        let standing = self.standing_of(job, class, &host.traits().cluster);
        let manner = self.manner_for(job);
        let claim = Claim {
            host: way.host,
            job: id,
            owner: job.owner.clone(),
            group: group_of(job),
            size,
            class,
            standing,
            need: self.need_of(class),
            victims: way.victims.len(),
            leaving: BTreeSet::new(),
        };
        let need = claim.need.clone();
        let claim = self.preempts.claims.insert(claim);
        self.note_kept(way.host);
        for key in &way.victims {
            self.have_leave(t, claim, *key, manner);
        }
        // Who stood lower and was to have that room looks for another.
        while let Some(lowest) = self.lowest_claim(way.host, &standing)
            && self.is_overclaimed(way.host, &need)
        {
            self.give_up(t, lowest, &format!("job {id} comes before it"));
        }
        self.preempts.claimed.insert(way.host);
        self.refresh_host(way.host);
    }

    /// Answers the lowest claim on a host that makes room for who stands so.
    fn lowest_claim(&self, host: HostId, standing: &Standing) -> Option<ClaimId> {
        let mut claims = self.claims_on(host).into_iter().rev();
        claims.find(|id| {
            let claim = self.preempts.claims.get(*id);
            claim.is_some_and(|claim| claim.standing.gives_way_to(standing))
        })
    }

    /// Says whether what stays on a host and all claims there are more than it has of something that one needs, and may have.
    fn is_overclaimed(&self, id: HostId, need: &Taken) -> bool {
        let Some(host) = self.hosts.get(&id) else {
            return true;
        };
        names_of(need).iter().any(|name| {
            let staying = self
                .staying_on(host)
                .map(|launch| host.part_of(&launch.taken, name));
            let stays = staying.fold(0, u64::saturating_add);
            let claimed = self.preempts.claims.wanted_on(host, name);
            let there = self.staying_on(host).map(|launch| launch.taken.as_ref());
            let kept = kept_beside(host, need, name, there);
            stays.saturating_add(claimed).saturating_add(kept) > host.open_of_any(name)
        })
    }

    /// Has an instance leave for a claim.
    fn have_leave(&mut self, t: &mut Turn<'_>, claim: ClaimId, key: LaunchKey, manner: Manner) {
        let Some(text) = self.told_of(claim, key, manner) else {
            return;
        };
        let Some((host, job)) = self.preempts.claims.get(claim).map(|it| (it.host, it.job)) else {
            return;
        };
        t.event(kind::INSTANCE_PREEMPTED, About::launch(key, host), text.0);
        let mut about = About::job(job);
        about.host = Some(host);
        t.event(kind::JOB_PREEMPTS, about, text.1);
        self.preempts.rests.insert((key.job, key.instance), None);
        self.take_host_from(t, key, manner == Manner::AtOnce);
        let phase = self.launches.get(&key).map(|launch| launch.phase);
        if let (Some(Phase::Finishing(_)), Some(claim)) =
            (phase, self.preempts.claims.get_mut(claim))
        {
            claim.leaving.insert(key);
        }
        self.settle(t, key.job);
    }

    /// Answers what is told of who leaves, to its job and to the other.
    fn told_of(&self, claim: ClaimId, key: LaunchKey, manner: Manner) -> Option<(String, String)> {
        let claim = self.preempts.claims.get(claim)?;
        let host = self.hosts.get(&claim.host)?;
        let (victim, job) = (self.jobs.get(&key.job)?, self.jobs.get(&claim.job)?);
        let (who, name, id) = (instance_name(key), &host.facts.name, claim.job);
        let how = match manner {
            Manner::AtEnd | Manner::ByHand => "leaves at the end of its frame",
            Manner::AtOnce => "is ended and put back",
        };
        let lower = self.standing_of_one(victim, key.instance, &host.traits().cluster);
        let why = if self.level_of(victim, key.instance).is_some() {
            self.why_not_secondary(victim, job)
        } else if is_elite(job) {
            "elite".to_owned()
        } else if lower.distance != claim.standing.distance {
            let cluster = &host.traits().cluster;
            format!("nearer to cluster {cluster}")
        } else {
            let Standing { priority, .. } = claim.standing;
            format!("priority {priority} before {}", lower.priority)
        };
        let of_victim = format!("instance {who} {how} on {name}: preempted by job {id} ({why})");
        let of_job = format!("preempts instance {who}, which {how} on {name} ({why})");
        Some((of_victim, of_job))
    }

    /// Gives up a claim: who was to leave for it and has not stays, unless that is wanted there by others.
    pub(super) fn give_up(&mut self, t: &mut Turn<'_>, id: ClaimId, why: &str) {
        let Some(claim) = self.preempts.claims.remove(id) else {
            return;
        };
        self.note_kept(claim.host);
        if claim.victims > 0 {
            let host = self.hosts.get(&claim.host);
            let name = host.map_or("a host that is gone", |host| &host.facts.name);
            let mut about = About::job(claim.job);
            about.host = Some(claim.host);
            let text = format!("gives up the room that was made for it on {name}: {why}");
            t.event(kind::JOB_PREEMPTS, about, text);
        }
        for key in &claim.leaving {
            self.let_stay(t, &claim, *key, why);
        }
        self.preempts.jobs.insert(claim.job);
        self.refresh_host(claim.host);
    }

    fn let_stay(&mut self, t: &mut Turn<'_>, claim: &Claim, key: LaunchKey, why: &str) {
        let launch = self.launches.get(&key);
        let leaves = |phase| phase == Phase::Finishing(WorkStatus::Pending);
        let Some(launch) = launch.filter(|it| leaves(it.phase) && self.owns_instance(it.key))
        else {
            return;
        };
        let host = self.hosts.get(&launch.host);
        if !host.is_some_and(|host| self.fits_beside_claims(host, &launch.taken)) {
            // It leaves for one of the others.
            if let Some(first) = self.claims_on(claim.host).first().copied()
                && let Some(other) = self.preempts.claims.get_mut(first)
            {
                other.leaving.insert(key);
            }
            return;
        }
        if let Some(launch) = self.launches.get_mut(&key) {
            launch.phase = Phase::Open;
        }
        t.change(Change::Launch(key));
        self.note_levels(key.job);
        self.preempts.rests.remove(&(key.job, key.instance));
        let text = format!(
            "instance {} stays: job {} does not need its room ({why})",
            instance_name(key),
            claim.job
        );
        t.event(kind::INSTANCE_SPARED, About::launch(key, claim.host), text);
        self.advance(t, key);
        self.settle(t, key.job);
    }

    /// An item of a launch has ended, and another that was to leave for a claim elsewhere is still at its own: who ends first leaves
    /// first. Says whether it leaves.
    pub(in super::super) fn leaves_instead(&mut self, t: &mut Turn<'_>, key: LaunchKey) -> bool {
        if self.config.preempt_policy == PreemptPolicy::Aggressive
            || self.preempts.claims.len() == 0
        {
            return false;
        }
        let Some((id, way)) = self.claim_for(key) else {
            return false;
        };
        let Some(claim) = self.preempts.claims.get(id).cloned() else {
            return false;
        };
        self.give_up(t, id, "another was done before");
        self.claim(t, (claim.job, claim.size, claim.class), &way);
        true
    }

    /// Answers the best claim elsewhere that still waits for the end of an item, and that this launch alone makes room for.
    fn claim_for(&self, key: LaunchKey) -> Option<(ClaimId, Way)> {
        let launch = self.launches.get(&key)?;
        let host = self.hosts.get(&launch.host)?;
        let lowest = self.may_leave(launch, host, Manner::AtEnd)?;
        let wanted = Wanted::default();
        let cluster = &host.traits().cluster;
        let waiting = self.preempts.claims.waiting().take(SWAPS_LOOKED_AT_MAX);
        let better = waiting.filter_map(|(id, claim)| {
            let job = self.jobs.get(&claim.job)?;
            let standing = self.standing_of(job, claim.class, cluster);
            let is_other = claim.host != launch.host && lowest.gives_way_to(&standing);
            is_other.then_some((standing, id, claim, job))
        });
        let mut better: Vec<_> = better.collect();
        better.sort_by_key(|(standing, id, ..)| (*standing, *id));
        better.into_iter().find_map(|(_, id, claim, job)| {
            let way = self.way_on(job, claim.class, host.id, Manner::AtEnd, &wanted)?;
            (way.victims == [key]).then_some((id, way))
        })
    }

    /// A person's word, or its job's, has a launch leave: it leaves, whatever becomes of a claim.
    pub(in super::super) fn note_leaving(&mut self, key: LaunchKey) {
        if let Some(launch) = self.launches.get(&key) {
            self.preempts.claims.forget_leaving(launch.host, key);
        }
    }

    /// Notes on a host how much of it is kept for claims.
    fn note_kept(&mut self, id: HostId) {
        let claims = self.preempts.claims.on(id);
        let kept = sum_of(claims.map(|(_, claim)| &claim.need));
        if let Some(host) = self.hosts.get_mut(&id) {
            host.kept = kept;
        }
    }

    /// Gives out what was made where it is there, and gives up what is wanted no more. Says whether something changed.
    pub(super) fn settle_claims(&mut self, t: &mut Turn<'_>, wanted: &Wanted) -> bool {
        let mut is_moved = self.give_up_unwanted(t);
        for id in std::mem::take(&mut self.preempts.claimed) {
            is_moved |= self.settle_host(t, id, wanted);
        }
        is_moved
    }

    /// Gives up what is wanted no more, whether something may start now or not. Says whether there was something.
    pub(in super::super) fn give_up_unwanted(&mut self, t: &mut Turn<'_>) -> bool {
        let mut is_moved = false;
        while let Some(id) = self.preempts.claiming.pop_first() {
            is_moved |= self.give_up_surplus(t, id);
        }
        is_moved
    }

    /// Gives up claims of a job that more are than instances wait, the newest first.
    fn give_up_surplus(&mut self, t: &mut Turn<'_>, id: JobId) -> bool {
        let mut is_moved = false;
        while let Some(claim) = self.surplus_of(id) {
            self.give_up(t, claim, "it waits no more");
            is_moved = true;
        }
        is_moved
    }

    fn surplus_of(&self, id: JobId) -> Option<ClaimId> {
        let claims: Vec<(ClaimId, &Claim)> = self.preempts.claims.of(id).collect();
        let (last, _) = claims.last()?;
        let Some(job) = self.jobs.get(&id) else {
            return Some(*last);
        };
        if claims.len() as u64 > job.instances.pending().len() {
            return Some(*last);
        }
        let of = |size: Size| claims.iter().filter(move |(_, it)| it.size == size);
        let mut sizes = Size::ALL.into_iter();
        let changed = claims.iter().find(|(_, it)| !self.is_as_asked(job, it));
        changed.map(|(id, _)| *id).or_else(|| {
            let over = sizes.find(|size| of(*size).count() as u64 > job.waiting_of(*size))?;
            of(over).next_back().map(|(id, _)| *id)
        })
    }

    fn settle_host(&mut self, t: &mut Turn<'_>, id: HostId, wanted: &Wanted) -> bool {
        let mut is_moved = false;
        let mut before = Vec::new();
        for claim_id in self.claims_on(id) {
            if self.is_farm_paced() {
                // What is made stays made until the farm may start something again.
                self.preempts.claimed.insert(id);
                break;
            }
            let Some(claim) = self.preempts.claims.get(claim_id) else {
                continue;
            };
            let host = self.hosts.get(&id).filter(|host| host.is_open());
            if host.is_some() && self.is_paced(claim) {
                // So does what is made for a job that, or whose resource, may start nothing before a while.
                before.push(claim.clone());
                self.preempts.claimed.insert(id);
                continue;
            }
            let can = host.is_some_and(|host| {
                self.may_have(claim, host, wanted) && !self.is_overclaimed(id, &claim.need)
            });
            if !can {
                let why = "it can't start there now";
                self.give_up(t, claim_id, why);
                is_moved = true;
            } else if host.is_some_and(|host| is_there(host, claim, &before)) {
                let (job, class) = (claim.job, claim.class);
                self.preempts.claims.remove(claim_id);
                self.note_kept(id);
                let host = id;
                self.place(t, Placement { job, host, class });
                is_moved = true;
            } else {
                before.push(claim.clone());
            }
        }
        is_moved
    }

    /// Says whether only a rate keeps a claim's job from starting now: its own, or that of what it reserves.
    fn is_paced(&self, claim: &Claim) -> bool {
        let job = self.jobs.get(&claim.job);
        let mut resources = claim.need.global.keys();
        job.is_some_and(|job| self.is_as_asked(job, claim) && self.is_job_paced(job))
            || resources.any(|name| self.is_resource_paced(name))
    }

    /// Says whether a job still asks for what was claimed for it. The number of a class says little: another may have it by now.
    fn is_as_asked(&self, job: &Job, claim: &Claim) -> bool {
        let class = job.class_of(claim.size);
        class.is_some_and(|class| class == claim.class && self.need_of(class) == claim.need)
    }

    /// Says whether a claim's job would start on its host if the room were there.
    fn may_have(&self, claim: &Claim, host: &Host, wanted: &Wanted) -> bool {
        self.jobs.get(&claim.job).is_some_and(|job| {
            let place = place_of(self.config.queue_algorithm, job);
            let judge = self.judging(wanted);
            self.is_as_asked(job, claim)
                && self.planner.would_start(claim.class, place, host, &judge)
        })
    }

    /// Answers the policy's word with what it does, for people.
    pub(super) fn policy_in_words(&self, manner: Manner) -> &'static str {
        match (self.config.preempt_policy, manner) {
            (_, Manner::AtEnd | Manner::ByHand) => "passive, at the end of its frame",
            (PreemptPolicy::Passive, Manner::AtOnce) => "elite, at once",
            (PreemptPolicy::Aggressive | PreemptPolicy::Disabled, Manner::AtOnce) => {
                "aggressive, at once"
            }
        }
    }
}

/// Says whether a host has what a claim wants, beside what those before it want.
fn is_there(host: &Host, claim: &Claim, before: &[Claim]) -> bool {
    names_of(&claim.need).into_iter().all(|name| {
        let first = before.iter().map(|it| host.part_of(&it.need, name));
        let first = first.fold(0, u64::saturating_add);
        let there = host.launches.values().chain(host.strays.values());
        let kept = kept_beside(host, &claim.need, name, there.map(AsRef::as_ref));
        let free = host.unused_of(name).saturating_sub(first);
        free.saturating_sub(kept) >= host.part_of(&claim.need, name)
    })
}

/// Prints an instance as people write it.
pub(in crate::supervisor) fn instance_name(key: LaunchKey) -> String {
    format!("{}.{}", key.job, key.instance)
}
