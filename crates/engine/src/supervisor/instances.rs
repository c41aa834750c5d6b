//! The instances of a job, with what each event asks of them kept beside them: how many are in which state, which are pending and which have
//! a launch.

use super::Instance;
use roaring::RoaringBitmap;
use std::ops::Deref;
use tessera_model::{InstanceNo, InstanceStatus, WorkStatus};

/// All instances of a job, by number.
#[derive(Debug, Clone)]
pub(super) struct Instances {
    all: Vec<Instance>,
    /// Those before it count; what comes after, a smaller `cpus` has made surplus.
    wanted: u32,
    counts: [u32; WorkStatus::ALL.len()],
    /// How many have neither ended nor a host, surplus ones among them.
    idle: usize,
    /// Those that are pending, of them that count.
    pending: RoaringBitmap,
    /// Those that run or are suspended, of them that count.
    placed: RoaringBitmap,
}

impl Deref for Instances {
    type Target = [Instance];

    fn deref(&self) -> &[Instance] {
        &self.all
    }
}

impl Instances {
    /// Takes them; so many of them count.
    pub(super) fn new(all: Vec<Instance>, wanted: u32) -> Self {
        let mut instances = Self {
            all,
            wanted,
            counts: [0; WorkStatus::ALL.len()],
            idle: 0,
            pending: RoaringBitmap::new(),
            placed: RoaringBitmap::new(),
        };
        instances.want(wanted);
        instances
    }

    /// From now on so many of them count.
    pub(super) fn want(&mut self, wanted: u32) {
        self.wanted = wanted;
        self.counts = [0; WorkStatus::ALL.len()];
        self.idle = 0;
        self.pending.clear();
        self.placed.clear();
        for place in 0..self.all.len() {
            self.count(place, true);
        }
    }

    /// Adds one.
    pub(super) fn push(&mut self, instance: Instance) {
        self.all.push(instance);
        self.count(self.all.len() - 1, true);
    }

    /// Answers one to change what is not its state.
    pub(super) fn get_mut(&mut self, no: InstanceNo) -> Option<&mut Instance> {
        self.all.get_mut(no.0 as usize)
    }

    /// Changes the state of one; says whether it is there.
    pub(super) fn set(&mut self, no: InstanceNo, status: InstanceStatus) -> bool {
        let place = no.0 as usize;
        if place >= self.all.len() {
            return false;
        }
        self.count(place, false);
        self.all[place].status = status;
        self.count(place, true);
        true
    }

    fn count(&mut self, place: usize, is_more: bool) {
        let number = u32::try_from(place).unwrap_or(u32::MAX);
        let status = self.all[place].status.kind();
        if is_idle(status) {
            self.idle = if is_more {
                self.idle + 1
            } else {
                self.idle - 1
            };
        }
        if number >= self.wanted {
            return;
        }
        let count = &mut self.counts[status as usize];
        *count = if is_more { *count + 1 } else { *count - 1 };
        if status == WorkStatus::Pending && is_more {
            self.pending.insert(number);
        } else {
            self.pending.remove(number);
        }
        let is_placed = matches!(status, WorkStatus::Running | WorkStatus::Suspended);
        if is_placed && is_more {
            self.placed.insert(number);
        } else {
            self.placed.remove(number);
        }
    }

    /// Answers those that run or are suspended, surplus ones left out.
    pub(super) fn placed(&self) -> &RoaringBitmap {
        &self.placed
    }

    /// Answers those that are pending, surplus ones left out.
    pub(super) fn pending(&self) -> &RoaringBitmap {
        &self.pending
    }

    /// Counts those in a state, surplus ones left out.
    pub(super) fn in_state(&self, status: WorkStatus) -> usize {
        self.counts[status as usize] as usize
    }

    /// Counts those that count.
    pub(super) fn wanted(&self) -> usize {
        self.all.len().min(self.wanted as usize)
    }

    /// Counts those that have ended, surplus ones left out.
    pub(super) fn ended(&self) -> usize {
        let ended = WorkStatus::ALL.into_iter().filter(|it| it.is_ended());
        ended.map(|status| self.in_state(status)).sum()
    }

    /// Answers those that have neither ended nor a host, surplus ones among them. Costs nothing when there are none.
    pub(super) fn idle(&self) -> impl Iterator<Item = InstanceNo> + '_ {
        let all = if self.idle > 0 { &*self.all } else { &[] };
        let idle = all.iter().filter(|it| is_idle(it.status.kind()));
        idle.map(|it| it.no)
    }

    /// Says what is wrong with what is kept beside them; for the engine's own check.
    pub(super) fn fault(&self, wanted: u32) -> Option<String> {
        let fresh = Self::new(self.all.clone(), wanted);
        let is_same = (self.wanted, self.counts, self.idle)
            == (fresh.wanted, fresh.counts, fresh.idle)
            && self.pending == fresh.pending
            && self.placed == fresh.placed;
        (!is_same).then(|| format!("instances {self:?}, should be {fresh:?}"))
    }
}

fn is_idle(status: WorkStatus) -> bool {
    !status.is_ended() && !matches!(status, WorkStatus::Running | WorkStatus::Suspended)
}
