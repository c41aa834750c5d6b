//! Why a gang waits, in words: what it can never have, what it has not now, and for how many of it there is room.

use super::{Lack, Wanted};
use crate::supervisor::pace::Paced;
use crate::supervisor::plan::Demands;
use crate::supervisor::why::{Kind, Reason};
use crate::supervisor::wide::gangs::times_in;
use crate::supervisor::{Engine, Host, Job};
use tessera_model::reservation::PROCESSORS;
use tessera_model::{HostState, JobId, JobSpec, StartRate, UserName};

/// Why all of a gang can't start at once, and who says so.
struct Bound {
    /// How many can.
    most: u64,
    text: String,
    /// What would raise it.
    way: String,
}

impl Engine {
    /// Answers, for a job that is to be submitted next, why its instances can never start all at once as the farm is.
    #[must_use]
    pub fn gang_too_large(&self, spec: &JobSpec, owner: &UserName) -> Option<String> {
        let demands = self.demands_of(spec, owner);
        let count = spec.instances();
        let limit = spec.limits.pgrp.into_iter();
        let limit = limit.chain(self.config.pgrp_limits.of(owner)).min();
        let bound = spec
            .is_gang()
            .then(|| self.gang_bound(spec, owner, (&demands, count), limit))??;
        let text = bound.text;
        Some(format!(
            "all {count} instances start at once (grid), {text}"
        ))
    }

    /// Answers what keeps so many instances from ever running at once.
    fn gang_bound(
        &self,
        spec: &JobSpec,
        owner: &UserName,
        (demands, count): (&Demands, u32),
        of_group: Option<u32>,
    ) -> Option<Bound> {
        let of_user = self.config.user_limits.of(owner).map(|most| Bound {
            most: most.into(),
            text: format!("and {owner} may have {most} instances at once"),
            way: format!(
                "{} of the supervisor says how many",
                self.config.user_limits.key_of(owner)
            ),
        });
        let of_group = of_group.map(|most| Bound {
            most: most.into(),
            text: format!("and its process group may have {most} at once"),
            way: "--pgrp-limit, or supervisor_pgrp_subjob_limits of the supervisor, says how many"
                .into(),
        });
        let rates = self.rates_for(spec).map(|(whose, rate)| Bound {
            most: rate.starts() as u64,
            text: format!("and no more than {rate} start of {whose}"),
            way: "that rate says how many start within its time".into(),
        });
        let globals = demands.global.iter().filter_map(|(name, amount)| {
            let total = self.globals.total(name)?;
            let each = if name.is_per_host() {
                None
            } else {
                Some(total / amount)
            };
            each.map(|most| Bound {
                most,
                text: format!("and {total} of {name} are enough for {most}"),
                way: format!("it starts when the farm has more of {name}"),
            })
        });
        let all = of_user.into_iter().chain(of_group).chain(rates);
        let mut all = all.chain(globals).chain(self.hosts_bound(demands, count));
        all.find(|bound| bound.most < u64::from(count))
    }

    /// Answers for how many instances the hosts that a gang may use have room if nothing else ran there.
    fn hosts_bound(&self, demands: &Demands, count: u32) -> Option<Bound> {
        let may = |host: &&Host| {
            let owner = demands.owner.as_str();
            host.state != HostState::Down && host.suits(demands) && host.facts.admits(owner)
        };
        let rooms = self.hosts.values().filter(may);
        let mut most = 0_u64;
        for host in rooms {
            let slots = host.total_for(demands, PROCESSORS);
            let slots = u32::try_from(slots).unwrap_or(u32::MAX);
            most += u64::from(times_in(demands, slots, host));
            if most >= u64::from(count) {
                return None;
            }
        }
        (!self.hosts.is_empty()).then(|| Bound {
            most,
            text: format!(
                "and the hosts that it may use have room for {most} if nothing else runs there"
            ),
            way: "it starts when there are more hosts".into(),
        })
    }

    fn rates_for(&self, spec: &JobSpec) -> impl Iterator<Item = (String, StartRate)> {
        let rates = &self.config.start_rates;
        let of_job = spec
            .limits
            .start_rate
            .map(|rate| ("the job".to_owned(), rate));
        let of_farm = rates.farm.map(|rate| ("the farm".to_owned(), rate));
        let names = spec.reservation.global.keys();
        let of_resources = names.filter_map(|name| {
            let rate = rates.resources.get(name)?;
            Some((format!("what reserves {name}"), *rate))
        });
        of_job.into_iter().chain(of_farm).chain(of_resources)
    }

    /// Answers why the instances of a gang don't start all at once now.
    pub(in super::super) fn why_gang(&self, job: &Job) -> Option<Reason> {
        let count = job.gang();
        if !job.is_gathering() || count < 2 {
            return None;
        }
        let demands = self.planner.demands(job.class);
        let (_, limit) = self.group_of_job(job.id).unwrap_or_default();
        let told = |text: String, hint: String| {
            let text = format!("all {count} instances start at once (grid), {text}");
            Some(Reason::plain(Kind::Grid, count, text, Some(hint)))
        };
        if let Some(bound) = self.gang_bound(&job.spec, &job.owner, (demands, count), limit) {
            let (most, way) = (bound.most, bound.way);
            let fewer = fewer(job, most);
            return told(bound.text, format!("{way}{fewer}"));
        }
        let ready = job.gang_ready();
        if ready < count {
            let text = format!("and {ready} of them can now: the others wait for something else");
            return told(text, self.why_not_ready(job));
        }
        let left = self.instances_left(job.id);
        if left < count {
            let text = format!(
                "and {left} may now by the limits of {} and its process group",
                job.owner
            );
            return told(
                text,
                "it starts when enough of their other instances end".into(),
            );
        }
        if let Some((left, whose)) = self.paced_for(job, count) {
            let text = format!("and {left} may now by the start rate of {whose}");
            return told(text, "it starts by itself when all may".into());
        }
        let room = self.look_for_room(job.id, &Wanted::default(), &mut 0);
        let room = room.map_or_else(|Lack { room, .. }| room, |_| count);
        let wide = &self.config.wide_jobs;
        let hint = match wide.hosts_percent {
            0 => "it starts when there is room for all of it at once (no hosts are emptied for it: supervisor_wide_hosts)".to_owned(),
            _ => format!(
                "it starts when there is room for all of it at once; when it has waited for {}s hosts are emptied for it",
                wide.after.as_secs()
            ),
        };
        told(format!("and there is room for {room} now"), hint)
    }

    /// Answers what lets the instances start that keep a gang waiting.
    fn why_not_ready(&self, job: &Job) -> String {
        let id = job.id;
        format!(
            "it starts when they can; tessera unblock {id} lets blocked ones, tessera kill {id}.N does without one"
        )
    }

    fn paced_for(&self, job: &Job, count: u32) -> Option<(u64, String)> {
        super::paces_of(job).into_iter().find_map(|whose| {
            let (left, _) = self.starts_left(&whose)?;
            let name = match &whose {
                Paced::Farm => "the farm".to_owned(),
                Paced::Job(_) => "the job".to_owned(),
                Paced::Resource(name) => format!("what reserves {name}"),
            };
            (left < u64::from(count)).then_some((left, name))
        })
    }
}

/// Answers the command by which a job does with so few instances, where that is a way.
fn fewer(job: &Job, most: u64) -> String {
    let id: JobId = job.id;
    match job.is_cmdline() || most == 0 {
        true => String::new(),
        false => format!("; tessera modify {id} --cpus {most} does with fewer"),
    }
}
