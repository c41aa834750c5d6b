//! Why a job has more instances than its `cpus`, or no more.

use super::{Kind, Reason};
use crate::supervisor::{Engine, Job, Stake};

impl Engine {
    /// Answers how many secondary instances a job has, and what keeps it from more; nothing of one that lacks some of its own yet, or never
    /// has others.
    pub(super) fn why_grows(&self, job: &Job) -> Option<Reason> {
        let Stake::Secondary(has) = job.stake() else {
            return None;
        };
        let (id, own, share) = (job.id, job.spec.primaries(), &self.config.smart_share);
        let (then, hint) = if !share.is_on {
            let says = "supervisor_smart_share_mode of the supervisor says so";
            ("the farm starts no more of those", Some(says.to_owned()))
        } else if own + has >= share.limit {
            let says = "supervisor_max_cpus_limit of the supervisor says how many";
            ("the farm lets a job have no more", Some(says.to_owned()))
        } else if job.instances().len() <= (own + has) as usize {
            let hint = format!("tessera modify {id} --max-cpus N lets it have more");
            ("that is all it may have", Some(hint))
        } else if self.planner.leaves_to_primaries(job.class, id) {
            (
                "no more start while a primary instance waits beneath the same limit",
                None,
            )
        } else {
            (
                "more start where no primary instance of anybody wants the room",
                None,
            )
        };
        let text = format!("it has its {own} instances and {has} secondary ones; {then}");
        Some(Reason::plain(Kind::Secondary, has, text, hint))
    }
}
