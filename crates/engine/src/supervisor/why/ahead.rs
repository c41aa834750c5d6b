//! Which jobs come before one on a host that is full.

use super::host::lacks;
use super::{Kind, Reason};
use crate::supervisor::credential::Gate;
use crate::supervisor::dispatch::place_of;
use crate::supervisor::plan::{Ahead, Demands};
use crate::supervisor::weights::CLUSTER_WEIGHT_MAX;
use crate::supervisor::{Algorithm, Engine, Host, Job};
use tessera_model::JobId;

/// Jobs named as being ahead, at most.
const AHEAD_MAX: usize = 3;

impl Engine {
    /// Answers which jobs come before this one on a host that is full. Those that can't run there are before nobody.
    pub(super) fn why_behind(&self, job: &Job, class: usize, host: &Host) -> Option<Reason> {
        let place = place_of(self.config.queue_algorithm, job);
        let can = |demands: &Demands| self.may_ever_serve(host, demands);
        let fits = |id: JobId| self.is_let_on(id, host);
        let ahead = (self.planner).before((class, place), host, AHEAD_MAX, can, fits);
        let Ahead {
            nearer,
            by_share,
            job: first,
        } = *ahead.first()?;
        if let Some(share) = by_share {
            return self.why_of_share(job, (&ahead, share), self.jobs.get(&first)?);
        }
        let names: Vec<String> = ahead.iter().map(|it| format!("job {}", it.job)).collect();
        let (id, names) = (job.id, names.join(", "));
        let cluster = &host.traits().cluster;
        let (text, hint) = if nearer > 0 {
            let name = &host.facts.name;
            (
                format!("before it on {name}, which is in cluster {cluster}: {names}"),
                format!(
                    "tessera modify {id} --cluster {},{cluster}",
                    job.spec.cluster
                ),
            )
        } else {
            (
                format!("before it in the queue: {names}"),
                match self.config.queue_algorithm {
                    Algorithm::Queue => format!("tessera top {id}"),
                    Algorithm::Priority | Algorithm::Cluster => {
                        format!("tessera top {id} or modify --priority")
                    }
                },
            )
        };
        let count = u32::try_from(ahead.len()).unwrap_or(u32::MAX);
        Some(Reason::plain(Kind::BehindJobs, count, text, Some(hint)))
    }

    /// Answers that jobs of a share come first which has less for its weight.
    fn why_of_share(
        &self,
        job: &Job,
        (ahead, other): (&[Ahead], usize),
        first: &Job,
    ) -> Option<Reason> {
        let of_share = ahead.iter().filter(|it| it.by_share == Some(other));
        let of_share: Vec<&Ahead> = of_share.collect();
        let names: Vec<String> = of_share
            .iter()
            .map(|it| format!("job {}", it.job))
            .collect();
        let weights = &self.config.cluster_weights;
        let share = |job: &Job| weights.share_of(&job.spec.cluster);
        let named = |job: &Job| weights.named(share(job));
        let ((own, _), (other, _)) = named(job).zip(named(first))?;
        let told = self.shares_told(share(job), share(first));
        let text = format!("{told}: {other} comes first ({})", names.join(", "));
        let more = self.weight_before(job, first);
        let more = more.map_or_else(String::new, |weight| {
            format!("; or {own}={weight} in supervisor_cluster_weights")
        });
        let hint = format!("{}{more}", self.as_one_of(job, first));
        let count = u32::try_from(of_share.len()).unwrap_or(u32::MAX);
        Some(Reason::plain(Kind::Share, count, text, Some(hint)))
    }

    /// Answers what makes a job one of the share of another one, before that one.
    fn as_one_of(&self, job: &Job, first: &Job) -> String {
        let algorithm = self.config.queue_algorithm;
        let (id, cluster) = (job.id, &first.spec.cluster);
        let modify = format!("tessera modify {id} --cluster {cluster}");
        if place_of(algorithm, job) < place_of(algorithm, first) {
            return modify;
        }
        let better = first.spec.priority.checked_sub(1).filter(|it| *it > 0);
        match better.filter(|_| algorithm != Algorithm::Queue) {
            Some(priority) => format!("{modify} --priority {priority}"),
            None => format!("{modify} and then tessera top {id}"),
        }
    }

    /// Answers the smallest weight with which the share of a job would come before that of another one.
    fn weight_before(&self, job: &Job, first: &Job) -> Option<u32> {
        let (has, others) = (
            self.part_of(&job.spec.cluster),
            self.part_of(&first.spec.cluster),
        );
        let least = has.used.saturating_mul(others.weight.into());
        let weight = least.checked_div(others.used)?.saturating_add(1);
        let weight = u32::try_from(weight).ok()?;
        (weight <= CLUSTER_WEIGHT_MAX).then_some(weight)
    }

    /// Says whether a host that suits these demands has as much as they ask for, and takes their owner's jobs.
    fn may_ever_serve(&self, host: &Host, demands: &Demands) -> bool {
        let owner = demands.owner.as_str();
        let account = host.facts.identity.account_for(owner);
        lacks(host, demands, |host, resource| host.total_of_any(resource)).is_none()
            && host.facts.admits(owner)
            && !host.refuses(account)
            && !matches!(
                self.credentials.gate(host, &demands.owner, self.now),
                Gate::Shut(_)
            )
    }

    /// Says whether nothing of a job's own keeps it off a host.
    fn is_let_on(&self, id: JobId, host: &Host) -> bool {
        let job = self.jobs.get(&id);
        let is_barred = |job: &Job| job.bars.iter().any(|(bar, _)| *bar == host.id);
        job.is_some_and(|job| !is_barred(job) && !job.has_done_with(host.id))
            && !host.has_stray_of(id)
    }
}
