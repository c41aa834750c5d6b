//! What is told of hosts that a job keeps off, and of a job that was blocked for its own fault.

use super::super::why::{Kind, Reason};
use super::super::{Engine, Host, Instance, Job};
use tessera_model::InstanceStatus;

impl Engine {
    /// Answers why the farm blocked a job, while it is so.
    #[must_use]
    pub fn why_blamed<'a>(&self, job: &'a Job) -> Option<&'a str> {
        self.blamed(job).next().and_then(|it| it.failure.as_deref())
    }

    fn blamed<'a>(&self, job: &'a Job) -> impl Iterator<Item = &'a Instance> + use<'a> {
        let wanted = job.instances().iter().take(job.spec.instances() as usize);
        wanted.filter(|it| it.status == InstanceStatus::Blocked && it.failure.is_some())
    }

    pub(in super::super) fn why_job_at_fault(&self, job: &Job) -> Option<Reason> {
        let (id, why) = (job.id, self.why_blamed(job)?);
        let n = u32::try_from(self.blamed(job).count()).unwrap_or(u32::MAX);
        let text = format!("blocked by the farm: {why}");
        let hint = format!(
            "tessera errors {id} shows what they failed of; tessera unblock {id} has it go on, tessera retry {id} then runs what failed again"
        );
        Some(Reason::plain(Kind::Blocked, n, text, Some(hint)))
    }

    /// Answers that a job keeps off a host for what failed there, with what to do.
    pub(in super::super) fn why_wrangled(
        &self,
        job: &Job,
        host: &Host,
    ) -> Option<(Kind, String, Option<String>)> {
        let now = self.now.elapsed;
        let until = job.wrangle.kept_off(host.id, now)?;
        let minutes = until.saturating_sub(now).as_secs().div_ceil(60);
        let n = self.config.wrangling.failures;
        let text = format!("{n} of its frames failed there in a row, so it keeps off it");
        let hint = format!(
            "it may go back there in {minutes} min (supervisor_migrate_timeout), or at once when an administrator says so: tessera unlock {}",
            host.facts.name
        );
        Some((Kind::Wrangled, text, Some(hint)))
    }
}
