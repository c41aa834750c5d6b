//! Slots that a host keeps for its GPUs: so many (`worker_gpu_slots`) for each GPU that nobody has. Jobs without GPUs get none of them.
//!
//! Owns how many those are and who does without. Nothing of it is stored: it follows from what the worker says and what runs.
//! **Invariant:** an instance without GPUs starts only where, beside all that is there, as many slots are left as are kept. What runs
//! already is never ended for that.

use super::Host;
use super::plan::Demands;
use tessera_model::Taken;
use tessera_model::gpu::{GPU_SLOTS, GPUS};
use tessera_model::reservation::PROCESSORS;

impl Demands {
    /// Says whether slots that are kept for GPUs are not for it: it has none, nor the host to itself with all that is there.
    #[must_use]
    pub fn is_without_gpus(&self) -> bool {
        !self.wants_whole && !self.amounts.contains_key(GPUS)
    }
}

/// Says the same of what an instance takes.
pub(super) fn is_without_gpus(taken: &Taken) -> bool {
    !taken.is_alone && gpus_of(taken) == 0
}

/// Answers how many GPUs somebody has.
pub(super) fn gpus_of(taken: &Taken) -> u64 {
    taken.amounts.get(GPUS).copied().unwrap_or(0)
}

fn small(slots: u64) -> u32 {
    u32::try_from(slots).unwrap_or(u32::MAX)
}

impl Host {
    /// Answers how many slots are kept for each GPU that nobody has.
    pub(super) fn slots_of_gpu(&self) -> u64 {
        let said = self.facts.properties.get(GPU_SLOTS);
        said.and_then(|it| it.parse().ok()).map_or(0, u32::into)
    }

    /// Answers how many slots are kept while somebody has so many of its GPUs.
    pub(super) fn gpu_slots_beside(&self, gpus: u64) -> u64 {
        let each = self.slots_of_gpu();
        if each == 0 || self.has_unclear_gpus() {
            return 0;
        }
        each.saturating_mul(self.total_of(GPUS).saturating_sub(gpus))
    }

    /// Answers how many of its slots are kept now.
    #[must_use]
    pub fn gpu_slots(&self) -> u32 {
        match self.slots_of_gpu() {
            0 => 0,
            _ => small(self.gpu_slots_beside(self.used_of(GPUS))).min(self.open_slots()),
        }
    }

    /// Answers how many GPUs they are kept for.
    pub(super) fn idle_gpus(&self) -> u64 {
        self.unused_of(GPUS)
    }

    /// Answers the slots that can be given away now to who has so many GPUs, and needs none of what is kept for the others.
    pub(super) fn spare_slots(&self, gpus: u64) -> u32 {
        let gpus = self.used_of(GPUS).saturating_add(gpus);
        let kept = self.gpu_slots_beside(gpus);
        self.free().saturating_sub(small(kept))
    }

    /// Answers how much of a resource is free for these demands, slots among them.
    pub(super) fn free_for(&self, demands: &Demands, resource: &str) -> u64 {
        let free = self.free_of_any(resource);
        if resource == PROCESSORS && demands.is_without_gpus() {
            return free.saturating_sub(self.gpu_slots().into());
        }
        free
    }

    /// Answers how much it has of a resource for these demands, slots among them, while nothing is there and none is locked.
    pub(super) fn total_for(&self, demands: &Demands, resource: &str) -> u64 {
        let total = self.total_of_any(resource);
        if resource == PROCESSORS && demands.is_without_gpus() {
            return total.saturating_sub(self.gpu_slots_max().into());
        }
        total
    }

    /// Answers the slots that these demands can count on when nothing else is there.
    pub(super) fn slots_for(&self, demands: &Demands) -> u32 {
        match demands.is_without_gpus() {
            true => self.slots_beside_gpus(),
            false => self.open_slots(),
        }
    }

    /// Answers the slots that are never kept for GPUs, whoever has some now.
    pub(super) fn slots_beside_gpus(&self) -> u32 {
        self.open_slots().saturating_sub(self.gpu_slots_max())
    }

    /// Answers how many are kept while nobody has a GPU.
    pub(super) fn gpu_slots_max(&self) -> u32 {
        small(self.slots_of_gpu().saturating_mul(self.total_of(GPUS)))
    }

    /// Answers how many of those somebody has: those beside what is kept for the GPUs of theirs.
    pub(super) fn part_beside_gpus(&self, taken: &Taken) -> u64 {
        let own = self.slots_of_gpu().saturating_mul(gpus_of(taken));
        u64::from(self.slots_of(taken)).saturating_sub(own)
    }

    /// Says whether more is kept for the GPUs of somebody when they are gone than they have of slots.
    pub(super) fn keeps_more_without(&self, taken: &Taken) -> bool {
        self.slots_of_gpu().saturating_mul(gpus_of(taken)) > self.slots_of(taken).into()
    }
}
