//! What to unblock means where nobody blocked the very thing: its job waits for others, or all its instances are blocked.

use super::items::Size;
use super::{Engine, Job, Turn};
use tessera_model::action::Refused;
use tessera_model::{InstanceNo, InstanceStatus, ItemIndex, ItemStatus, JobId, WorkStatus};

impl Engine {
    /// Unblocks instances for items that were, when all that are left are blocked: who blocked the whole job and unblocks a frame of it
    /// wants that frame to start.
    pub(super) fn free_instances(&mut self, t: &mut Turn<'_>, id: JobId) -> u32 {
        let Some(job) = self.jobs.get(&id).filter(|job| is_held_whole(job)) else {
            return 0;
        };
        let wanted = usize::try_from(job.items.ready()).unwrap_or(usize::MAX);
        let instances = job.instances.iter().take(job.spec.instances() as usize);
        let blocked = instances.filter(|it| it.status == InstanceStatus::Blocked);
        let freed: Vec<InstanceNo> = blocked.map(|it| it.no).take(wanted).collect();
        for no in &freed {
            self.set_instance(t, id, *no, InstanceStatus::Pending);
        }
        u32::try_from(freed.len()).unwrap_or(u32::MAX)
    }
}

/// Says whether nothing but what its job waits for keeps an item.
pub(super) fn waits(job: &Job, item: ItemIndex) -> bool {
    let is_there = item.0 < job.items.len();
    is_there && job.items.is_shut(item) && job.items.get(item).status == ItemStatus::Pending
}

/// Says whether an item starts as soon as an instance is unblocked for it.
pub(super) fn starts_freed(job: &Job, item: ItemIndex) -> bool {
    let is_ready = Size::ALL
        .into_iter()
        .any(|size| job.items.is_ready(item, size));
    is_ready && is_held_whole(job)
}

/// Says whether all instances that have not ended are blocked.
fn is_held_whole(job: &Job) -> bool {
    let left = job.instances.wanted() - job.instances.ended();
    !job.is_cmdline() && left > 0 && left == job.instances_in(WorkStatus::Blocked)
}

/// Answers the better reason for something that is shown as blocked and that nobody blocked.
pub(super) fn or_waits(why: Refused, job: &Job, is_waiting: bool) -> Refused {
    match why {
        Refused::NotBlocked(_) if is_waiting => Refused::Waits(job.id),
        other => other,
    }
}
