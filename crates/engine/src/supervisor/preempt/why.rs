//! Why work waits beside what stands lower: who leaves for it, or whom a person could have leave.

use super::claims::Claim;
use super::make::instance_name;
use super::search::{Wanted, Way};
use super::{Manner, PreemptPolicy};
use crate::supervisor::why::{Kind, Reason};
use crate::supervisor::{Engine, Job};
use tessera_model::msg::LaunchKey;

/// Instances that are named, at most.
const NAMED_MAX: usize = 3;

impl Engine {
    /// Answers what is done about it that a job waits for what stands lower, or what could be.
    pub(in super::super) fn why_preempts(&self, job: &Job, class: usize) -> Option<Reason> {
        let claims = self.preempts.claims.of(job.id).map(|(_, claim)| claim);
        let claims: Vec<&Claim> = claims.filter(|claim| claim.class == class).collect();
        if !claims.is_empty() {
            return Some(self.why_claims(&claims));
        }
        let wanted = Wanted::default();
        let is_off = self.config.preempt_policy == PreemptPolicy::Disabled;
        let way_so = |manner: Manner| {
            let ways = self.hosts.keys();
            let ways = ways.filter_map(|host| self.way_on(job, class, *host, manner, &wanted));
            let ways = ways.filter(|way| !way.victims.is_empty());
            ways.min_by_key(|way| way.price)
        };
        let manner = self.manner_for(job);
        let is_done = !is_off || self.config.smart_share.is_on;
        if let Some(way) = is_done.then(|| way_so(manner)).flatten() {
            return self.why_way(&way, manner, false);
        }
        let way = is_off.then(|| way_so(Manner::ByHand)).flatten()?;
        self.why_way(&way, Manner::ByHand, true)
    }

    /// Room is being made for it.
    fn why_claims(&self, claims: &[&Claim]) -> Reason {
        let hosts = claims
            .iter()
            .filter_map(|claim| self.hosts.get(&claim.host));
        let mut hosts: Vec<String> = hosts.map(|host| host.facts.name.clone()).collect();
        hosts.dedup();
        let leaving: Vec<LaunchKey> = claims.iter().flat_map(|it| &it.leaving).copied().collect();
        let on = hosts.join(", ");
        let text = if leaving.is_empty() {
            format!("room is made for it on {on}: it starts when what was there is gone")
        } else {
            let who = named(&leaving);
            format!("room is made for it on {on}: {who} leaves at the end of its frame")
        };
        let count = u32::try_from(claims.len()).unwrap_or(u32::MAX);
        Reason {
            hosts,
            ..Reason::plain(Kind::Preempting, count, text, None)
        }
    }

    fn why_way(&self, way: &Way, manner: Manner, is_off: bool) -> Option<Reason> {
        let host = self.hosts.get(&way.host)?;
        let mut jobs: Vec<String> = way
            .victims
            .iter()
            .map(|it| format!("job {}", it.job))
            .collect();
        jobs.dedup();
        let (name, jobs) = (&host.facts.name, jobs.join(", "));
        let count = u32::try_from(way.victims.len()).unwrap_or(u32::MAX);
        let (kind, text, hint) = if is_off {
            let who: Vec<String> = way.victims.iter().map(|it| instance_name(*it)).collect();
            let hint = format!(
                "tessera preempt {} lets it go at the end of its frame; supervisor_preempt_policy is disabled",
                who.join(" ")
            );
            let text = format!("{jobs} comes after it and has what it waits for on {name}");
            (Kind::CouldPreempt, text, Some(hint))
        } else {
            let how = self.policy_in_words(manner);
            (
                Kind::Preempting,
                format!("would preempt {jobs} ({how}) on {name}"),
                None,
            )
        };
        Some(Reason {
            hosts: vec![name.clone()],
            ..Reason::plain(kind, count, text, hint)
        })
    }
}

fn named(all: &[LaunchKey]) -> String {
    let names: Vec<String> = all
        .iter()
        .take(NAMED_MAX)
        .map(|it| instance_name(*it))
        .collect();
    let more = all.len().saturating_sub(NAMED_MAX);
    match more {
        0 => format!("instance {}", names.join(", ")),
        more => format!("instance {} and {more} more", names.join(", ")),
    }
}
