//! What an instance takes of its host and of the farm while it is there, and what it took.

use crate::GlobalName;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The resource whose amount is a host's slots.
pub const PROCESSORS: &str = "host.processors";
/// The resource that is the host's memory, in MiB.
pub const MEMORY: &str = "host.memory";
/// Bytes of one unit of [`MEMORY`].
pub const MEMORY_UNIT: u64 = 1 << 20;

/// Which slots an instance takes beside the least that it needs, when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum More {
    /// None (`N`).
    #[default]
    Nothing,
    /// All that are free (`N+`).
    Free,
    /// Those that are free, so many in all at most (`N-M`).
    UpTo(u32),
    /// All of a host on which there is nothing else (`N*`, `all`).
    WholeHost,
}

/// The slots that each instance of a job takes, as they are written: `2`, `2+`, `2-4`, `2*`, `all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotsForm {
    /// The least.
    pub least: u32,
    /// What is taken beside.
    pub more: More,
}

impl fmt::Display for SlotsForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = self.least;
        match self.more {
            More::Nothing => write!(f, "{least}"),
            More::Free => write!(f, "{least}+"),
            More::UpTo(most) => write!(f, "{least}-{most}"),
            // Any host has one.
            More::WholeHost if least <= 1 => f.write_str("all"),
            More::WholeHost => write!(f, "{least}*"),
        }
    }
}

/// What each instance of a job takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reservation {
    /// Slots (`host.processors`), at least 1.
    pub slots: u32,
    /// Which it takes beside those when it starts.
    pub more: More,
    /// Other `host.*` amounts by their names, and what `scoped.*` takes of the host; none is 0. `host.memory` is in MiB.
    pub amounts: BTreeMap<String, u64>,
    /// What it takes of the farm's own resources; none is 0, and of one that is for a host none is more than 1.
    pub global: BTreeMap<GlobalName, u64>,
}

impl Default for Reservation {
    /// Makes that of a job which names none: one slot.
    fn default() -> Self {
        Self {
            slots: 1,
            more: More::Nothing,
            amounts: BTreeMap::new(),
            global: BTreeMap::new(),
        }
    }
}

impl Reservation {
    /// Says whether it is one slot of a host and nothing else of it, as that of a job which names none.
    #[must_use]
    pub fn is_one_slot(&self) -> bool {
        self.slots == 1 && self.more == More::Nothing && self.amounts.is_empty()
    }

    /// Answers the slots that it takes, as they are written.
    #[must_use]
    pub fn slots_form(&self) -> SlotsForm {
        SlotsForm {
            least: self.slots,
            more: self.more,
        }
    }

    /// Says whether it has a host to itself.
    #[must_use]
    pub fn is_whole_host(&self) -> bool {
        self.more == More::WholeHost
    }

    /// Answers the memory that it asks for, in MiB, if it asks for some.
    #[must_use]
    pub fn memory(&self) -> Option<u64> {
        self.amounts.get(MEMORY).copied()
    }
}

/// What an instance has of its host from its start until nothing of it is left there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Slots.
    pub slots: u32,
    /// Whether it has the host to itself: slots that are unlocked or added meanwhile are given to nobody else.
    pub is_alone: bool,
    /// Other amounts, by the names of their resources.
    pub amounts: BTreeMap<String, u64>,
    /// The numbers of its GPUs ([`crate::gpu`]); fewer than its amount of them only where its host doesn't tell so many apart.
    pub gpus: BTreeSet<u8>,
    /// What it has of the farm's own resources.
    pub global: BTreeMap<GlobalName, u64>,
}

impl Default for Taken {
    /// Makes what an instance has of which nothing else is known: one slot.
    fn default() -> Self {
        Self {
            slots: 1,
            is_alone: false,
            amounts: BTreeMap::new(),
            gpus: BTreeSet::new(),
            global: BTreeMap::new(),
        }
    }
}

impl Taken {
    /// Answers its memory in MiB, if it was promised some.
    #[must_use]
    pub fn memory(&self) -> Option<u64> {
        self.amounts.get(MEMORY).copied()
    }
}

/// What the kernel keeps an instance to; absent where nothing was reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KernelLimits {
    /// Memory of all its items together, in bytes.
    pub memory: Option<u64>,
    /// How many processes it may have, in slots: so many a slot.
    pub processes: Option<u32>,
    /// Its part of the processors when they are wanted by more than there are: slots.
    pub weight: Option<u32>,
}
