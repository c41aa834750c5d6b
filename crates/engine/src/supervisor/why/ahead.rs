//! Which jobs come before one on a host that is full.

use super::host::lacks;
use super::{Kind, Reason};
use crate::supervisor::credential::Gate;
use crate::supervisor::dispatch::place_of;
use crate::supervisor::plan::Demands;
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
        let (nearer, _) = *ahead.first()?;
        let names: Vec<String> = ahead.iter().map(|(_, id)| format!("job {id}")).collect();
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
