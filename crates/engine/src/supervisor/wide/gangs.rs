//! Hosts that are emptied for a gang ([`super::super::gang`]): as many as all of it needs together, or none. One gang at a time has such
//! hosts, the first that can be served so: one that needs many would not find them free of smaller ones else.

use super::{Candidate, Emptied, FARM_HOSTS_MAX, FIRST_MAX};
use crate::supervisor::gang::{has_room, imagined};
use crate::supervisor::plan::{Demands, OUTSIDE, Until};
use crate::supervisor::{Engine, Host, Turn};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tessera_model::{HostId, JobId, Taken};

impl Engine {
    /// Answers the gang that gathers whose class it is, and how many instances it starts together.
    pub(in super::super) fn gathering(&self, class: usize) -> Option<(JobId, u32)> {
        let job = self.planner.demands(class).gang?;
        let job = self.jobs.get(&job).filter(|job| job.is_gathering())?;
        Some((job.id, job.gang()))
    }

    /// Answers of how many instances of a gang there is to be room on a host, if it were empty; 1 of what is no gang that gathers.
    pub(super) fn times_on(&self, class: usize, host: &Host) -> u32 {
        let Some((job, count)) = self.gathering(class) else {
            return 1;
        };
        let demands = self.planner.demands(class);
        let times = times_in(demands, host.slots_for(demands), host).min(count);
        if demands.asks.is_none() {
            return times;
        }
        // What it asks of a host may be met by fewer: it is tried.
        let mut imaged = host.emptied();
        let mut number = 0;
        while number < times && has_room(self, demands, &imaged) {
            let taken = Taken {
                slots: demands.slots,
                amounts: demands.amounts.clone(),
                ..Taken::default()
            };
            imaged
                .launches
                .insert(imagined(job, number), Arc::new(taken));
            number += 1;
        }
        number
    }

    /// Decides which hosts are emptied for a gang, of these classes. Says whether one was let go.
    pub(super) fn look_for_gangs(
        &mut self,
        t: &mut Turn<'_>,
        classes: &[usize],
        looks: &mut usize,
    ) -> bool {
        let after = self.config.wide_jobs.after;
        let mut has_gone = false;
        let mut is_served = false;
        // In their order; those that have hosts and stand too far behind to be looked at come last.
        let has = self.planner.kept().map(|(_, it)| it.class);
        let has: BTreeSet<usize> = has.filter(|it| !classes.contains(it)).collect();
        let mut classes: Vec<usize> = classes.iter().copied().chain(has).collect();
        // Of those of shares first the one that has hosts, as what shares have moves with each start; then those whose share has least.
        classes.sort_by_key(|class| {
            let share = self.planner.share_of(*class);
            let is_later = share != OUTSIDE && !self.has_emptied(*class);
            (share != OUTSIDE, is_later, self.planner.part(share))
        });
        for class in classes {
            let Some((_, count)) = self.gathering(class) else {
                continue;
            };
            let is_due = self.planner.waited(class).net >= after || self.has_emptied(class);
            let chosen = match is_due && !is_served {
                true => self.hosts_for_gang(class, count, looks),
                false => None,
            };
            match chosen {
                None => {
                    let why = "hosts are emptied for all of a gang or for none, one gang at a time";
                    has_gone |= self.let_gang_go(t, class, why);
                }
                Some(chosen) => {
                    is_served = true;
                    chosen.into_iter().for_each(|it| self.empty(t, class, it));
                }
            }
        }
        has_gone
    }

    fn has_emptied(&self, class: usize) -> bool {
        self.planner.kept().any(|(_, it)| it.class == class)
    }

    fn let_gang_go(&mut self, t: &mut Turn<'_>, class: usize, why: &str) -> bool {
        let kept = self.planner.kept().filter(|(_, it)| it.class == class);
        let kept: Vec<(HostId, Emptied)> = kept.collect();
        for (host, emptied) in &kept {
            self.end_emptying(t, *host, *emptied, why);
        }
        !kept.is_empty()
    }

    /// Answers which hosts are to be emptied for a gang besides those that are; nothing when not all of it finds room so.
    fn hosts_for_gang(
        &mut self,
        class: usize,
        count: u32,
        looks: &mut usize,
    ) -> Option<Vec<Candidate>> {
        let own = self.planner.kept().filter(|(_, it)| it.class == class);
        let has = own.fold(0, |sum: u32, (_, it)| sum.saturating_add(it.times));
        let mut left = count.saturating_sub(has);
        let mut chosen: Vec<Candidate> = Vec::new();
        if left == 0 {
            return Some(chosen);
        }
        let all = self.planner.kept().count();
        let most = FARM_HOSTS_MAX.saturating_sub(all);
        let found = self.find_hosts(class, looks);
        let mut misses = FIRST_MAX;
        for candidate in found.candidates {
            if left == 0 || chosen.len() >= most || misses == 0 {
                break;
            }
            let host = self.hosts.get(&candidate.host)?;
            if !self.is_first_on(class, host) || !self.has_its_turn(class, host) {
                misses -= 1;
                continue;
            }
            let times = candidate.times.min(left);
            left -= times;
            chosen.push(Candidate { times, ..candidate });
        }
        (left == 0).then(|| all_until_the_last(chosen))
    }
}

/// Has each host take what is over by the time that the last of them is expected to be empty enough: before that the gang doesn't start.
fn all_until_the_last(mut chosen: Vec<Candidate>) -> Vec<Candidate> {
    let until = chosen.iter().map(|it| it.until);
    let last = until.fold(
        Until {
            at: Duration::ZERO,
            is_known: true,
        },
        |last, it| Until {
            at: last.at.max(it.at),
            is_known: last.is_known && it.is_known,
        },
    );
    for candidate in &mut chosen {
        candidate.until = last;
    }
    chosen
}

/// Answers how many with these demands so many slots and all else of a host are enough for.
pub(in super::super) fn times_in(demands: &Demands, slots: u32, host: &Host) -> u32 {
    if demands.wants_whole {
        return u32::from(slots >= demands.slots);
    }
    let by_slots = u64::from(slots / demands.slots.max(1));
    let amounts = demands.amounts.iter();
    let by_amounts = amounts.map(|(name, amount)| host.total_of(name) / (*amount).max(1));
    let by_job = demands.per_host.map(|(_, most)| u64::from(most));
    let least = by_amounts.chain(by_job).fold(by_slots, u64::min);
    u32::try_from(least).unwrap_or(u32::MAX)
}
