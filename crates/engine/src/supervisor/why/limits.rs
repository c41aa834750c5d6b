//! Why a job waits because as much of it, of its process group or of its owner runs as may.

use super::{HostReason, Kind, Reason};
use crate::supervisor::pace::Paced;
use crate::supervisor::{Engine, Host, Job};

impl Engine {
    /// Answers what holds the job back wherever it could run.
    pub(super) fn why_limits(&self, job: &Job) -> Vec<Reason> {
        let held = [self.why_held(job), self.why_group(job), self.why_pace(job)];
        held.into_iter().flatten().collect()
    }

    /// Answers that its owner has as many instances as they may.
    fn why_held(&self, job: &Job) -> Option<Reason> {
        let owner = &job.owner;
        let limit = self.reached_by(owner)?;
        let running = self.running_of(owner);
        let key = self.config.user_limits.key_of(owner);
        let text =
            format!("user limit {running}/{limit}: {owner} may have {limit} instances at once");
        let hint = match limit {
            0 => format!("{key} of the supervisor says how many"),
            _ => format!(
                "it starts when one of them ends (tessera jobs --user {owner}); {key} of the supervisor says how many"
            ),
        };
        Some(Reason::plain(Kind::UserLimit, running, text, Some(hint)))
    }

    /// Answers that its process group has as many instances as it may.
    fn why_group(&self, job: &Job) -> Option<Reason> {
        let held = self.group_held(job.id)?;
        let (group, limit, running) = (held.group, held.limit, held.running);
        let mut text = format!(
            "process group limit {running}/{limit}: the jobs of group {group} may have {limit} instances at once"
        );
        if running > 0 {
            text.push_str(&format!(", held by {}", held.held_by()));
        }
        let sayer = match held.said_by {
            Ok(sayer) => format!("tessera modify {sayer} --pgrp-limit N lets it have more"),
            Err(key) => format!("{key} of the supervisor says how many"),
        };
        let hint = match limit {
            0 => sayer,
            _ => format!("it starts when one of them ends; {sayer}"),
        };
        Some(Reason::plain(Kind::GroupLimit, running, text, Some(hint)))
    }

    /// Answers that as many instances have started just now as may.
    fn why_pace(&self, job: &Job) -> Option<Reason> {
        let (whose, rate, left) = self.why_paced(job)?;
        let (whose, says) = match whose {
            Paced::Farm => (
                "the farm".to_owned(),
                "supervisor_start_rate of the supervisor".to_owned(),
            ),
            Paced::Resource(name) => (
                format!("what reserves {name}"),
                "supervisor_resource_start_rates of the supervisor".to_owned(),
            ),
            Paced::Job(id) => (
                format!("job {id}"),
                format!("tessera modify {id} --start-rate"),
            ),
        };
        let seconds = left.as_millis().div_ceil(1_000);
        let text = format!(
            "start rate {rate} of {whose} is used up; the next instance may start in {seconds}s"
        );
        let hint = format!("it starts by itself then; {says} says how quickly");
        let count = u32::try_from(rate.starts()).unwrap_or(u32::MAX);
        Some(Reason::plain(Kind::StartRate, count, text, Some(hint)))
    }
}

/// Answers that a host has as many instances of a job as it may have.
pub(super) fn why_full_of(job: &Job, host: &Host) -> Option<HostReason> {
    let most = job.spec.limits.per_host?;
    let there = host.instances_of(job.id);
    if there < most {
        return None;
    }
    let (id, name) = (job.id, &host.facts.name);
    let text =
        format!("{there} of the {most} instances that one host may have of it are on {name}");
    let hint = format!(
        "it starts there when one of them ends; tessera modify {id} --per-host N lets a host have more"
    );
    Some((Kind::HostLimit, text, Some(hint)))
}
