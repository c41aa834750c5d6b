//! The items of a job: eight bytes each, with the set of those that may start kept beside them.

use roaring::RoaringBitmap;
use std::collections::BTreeMap;
use tessera_model::{Agenda, Attempt, ItemIndex, ItemStatus, JobKind, JobSpec};

/// The greatest number of half a byte.
pub const NIBBLE_MAX: u8 = 15;

/// State of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemCore {
    /// Its state.
    pub status: ItemStatus,
    /// Retries that failed attempts have used up.
    pub retries_used: u16,
    /// Tries with more memory that attempts which ran out of it have used up; at most [`NIBBLE_MAX`].
    pub ooms: u8,
    /// How often half as much again is added to the memory that its job reserves: more often than it was tried when it ran out
    /// in an instance that had more already. At most [`NIBBLE_MAX`].
    pub growth: u8,
    /// Its newest attempt; 0 before the first.
    pub attempt: Attempt,
}

impl ItemCore {
    /// An item that has never run.
    #[must_use]
    pub fn new(status: ItemStatus) -> Self {
        Self {
            status,
            retries_used: 0,
            ooms: 0,
            growth: 0,
            attempt: Attempt(0),
        }
    }

    /// Packs it: bits 0–7 the state's number, 8–23 retries used, 24–27 tries with more memory,
    /// 28–31 how much more, 32–63 the attempt. Kept in the store: a promise.
    #[must_use]
    pub fn pack(self) -> u64 {
        u64::from(self.status as u8)
            | u64::from(self.retries_used) << 8
            | u64::from(self.ooms.min(NIBBLE_MAX)) << 24
            | u64::from(self.growth.min(NIBBLE_MAX)) << 28
            | u64::from(self.attempt.0) << 32
    }

    /// Unpacks it; `None` when the state's number is unknown.
    #[must_use]
    pub fn unpack(cell: u64) -> Option<Self> {
        let [status, low, high, nibbles, a, b, c, d] = cell.to_le_bytes();
        Some(Self {
            status: ItemStatus::from_number(status)?,
            retries_used: u16::from_le_bytes([low, high]),
            ooms: nibbles & NIBBLE_MAX,
            growth: nibbles >> 4,
            attempt: Attempt(u32::from_le_bytes([a, b, c, d])),
        })
    }
}

/// Whether an instance has what its job reserves, or more memory for items that ran out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Size {
    Plain,
    Grown,
}

impl Size {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Plain, Self::Grown];
}

/// All items of a job.
#[derive(Debug, Clone)]
pub struct Items {
    cells: Vec<u64>,
    counts: [u32; ItemStatus::ALL.len()],
    /// Ranks (places in the order of handing out) of pending items that nothing holds.
    ready: RoaringBitmap,
    /// Those of them that need more memory than their job reserves; the others are in `ready`.
    ready_grown: RoaringBitmap,
    /// How many items that have not ended have which growth.
    grown: BTreeMap<u8, u32>,
    /// Items whose older attempt is not yet proven gone.
    held: RoaringBitmap,
    /// Those of them that were taken back before the farm heard that they began, and that nobody has changed since.
    taken_back: RoaringBitmap,
    gate: Gate,
    /// How many pending items wait for others, where they differ.
    shut: u32,
    ranks: Ranks,
}

/// Which items wait for others (`deps`).
#[derive(Debug, Clone, PartialEq)]
enum Gate {
    Open,
    /// All of them.
    All,
    Some(RoaringBitmap),
}

/// The order of handing out.
#[derive(Debug, Clone)]
enum Ranks {
    Ascend,
    Reverse,
    Table { order: Vec<u32>, rank: Vec<u32> },
}

impl Items {
    /// Makes the items of a new job.
    #[must_use]
    pub fn new(spec: &JobSpec, status: ItemStatus) -> Self {
        let cells = vec![ItemCore::new(status).pack(); spec.items() as usize];
        Self::from_cells(spec, cells)
    }

    /// Makes items from packed cells, which must be valid; what is no state becomes blocked, so that a person looks at it.
    #[must_use]
    pub fn from_cells(spec: &JobSpec, mut cells: Vec<u64>) -> Self {
        cells.resize(
            spec.items() as usize,
            ItemCore::new(ItemStatus::Blocked).pack(),
        );
        let ranks = match &spec.kind {
            JobKind::CmdLine => Ranks::Ascend,
            JobKind::CmdRange(agenda) => ranks_of(agenda),
        };
        let mut items = Self {
            cells,
            counts: [0; 8],
            ready: RoaringBitmap::new(),
            ready_grown: RoaringBitmap::new(),
            grown: BTreeMap::new(),
            held: RoaringBitmap::new(),
            taken_back: RoaringBitmap::new(),
            gate: Gate::Open,
            shut: 0,
            ranks,
        };
        items.recount();
        items
    }

    fn recount(&mut self) {
        self.counts = [0; 8];
        self.shut = 0;
        self.grown.clear();
        let (mut ready, mut grown) = (Vec::new(), Vec::new());
        for index in 0..self.len() {
            let core = self.get(ItemIndex(index));
            self.counts[core.status as usize] += 1;
            self.count_grown(core, true);
            self.shut += u32::from(self.counts_shut(index, core));
            if core.status == ItemStatus::Pending && !self.is_kept(index) {
                let set = if core.growth > 0 {
                    &mut grown
                } else {
                    &mut ready
                };
                set.push(self.rank(index));
            }
        }
        for set in [&mut ready, &mut grown] {
            set.sort_unstable();
        }
        self.ready = RoaringBitmap::from_sorted_iter(ready).unwrap_or_default();
        self.ready_grown = RoaringBitmap::from_sorted_iter(grown).unwrap_or_default();
    }

    fn count_grown(&mut self, core: ItemCore, is_more: bool) {
        if core.growth == 0 || core.status.is_ended() {
            return;
        }
        let count = self.grown.entry(core.growth).or_default();
        *count = if is_more { *count + 1 } else { *count - 1 };
        if *count == 0 {
            self.grown.remove(&core.growth);
        }
    }

    fn rank(&self, index: u32) -> u32 {
        match &self.ranks {
            Ranks::Ascend => index,
            Ranks::Reverse => self.len() - 1 - index,
            Ranks::Table { rank, .. } => rank[index as usize],
        }
    }

    fn at_rank(&self, rank: u32) -> u32 {
        match &self.ranks {
            Ranks::Ascend => rank,
            Ranks::Reverse => self.len() - 1 - rank,
            Ranks::Table { order, .. } => order[rank as usize],
        }
    }

    /// Answers how many there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.cells.len()).unwrap_or(u32::MAX)
    }

    /// Says whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Answers the packed cells.
    #[must_use]
    pub fn cells(&self) -> &[u64] {
        &self.cells
    }

    /// Answers an item; the index must be below [`Self::len`].
    #[must_use]
    pub fn get(&self, item: ItemIndex) -> ItemCore {
        ItemCore::unpack(self.cells[item.0 as usize]).unwrap_or(ItemCore::new(ItemStatus::Blocked))
    }

    /// Replaces an item.
    pub fn set(&mut self, item: ItemIndex, core: ItemCore) {
        let before = self.get(item);
        self.counts[before.status as usize] -= 1;
        self.counts[core.status as usize] += 1;
        self.count_grown(before, false);
        self.count_grown(core, true);
        self.shut -= u32::from(self.counts_shut(item.0, before));
        self.shut += u32::from(self.counts_shut(item.0, core));
        self.cells[item.0 as usize] = core.pack();
        self.taken_back.remove(item.0);
        self.index(item, core);
    }

    fn index(&mut self, item: ItemIndex, core: ItemCore) {
        let rank = self.rank(item.0);
        let may_start = core.status == ItemStatus::Pending && !self.is_kept(item.0);
        let (set, other) = match core.growth {
            0 => (&mut self.ready, &mut self.ready_grown),
            _ => (&mut self.ready_grown, &mut self.ready),
        };
        other.remove(rank);
        if may_start {
            set.insert(rank);
        } else {
            set.remove(rank);
        }
    }

    /// Keeps an item from starting until its older attempt is proven gone.
    pub fn hold(&mut self, item: ItemIndex) {
        self.held.insert(item.0);
        self.index(item, self.get(item));
    }

    /// Notes that a held item was taken back.
    pub fn take_back(&mut self, item: ItemIndex) {
        self.taken_back.insert(item.0);
    }

    /// Says whether an item was taken back: nobody has changed it since, nor heard what became of it.
    #[must_use]
    pub fn is_taken_back(&self, item: ItemIndex) -> bool {
        self.taken_back.contains(item.0)
    }

    /// Lets a held item go.
    pub fn release(&mut self, item: ItemIndex) {
        self.held.remove(item.0);
        self.taken_back.remove(item.0);
        self.index(item, self.get(item));
    }

    /// Says whether an item is held.
    #[must_use]
    pub fn is_held(&self, item: ItemIndex) -> bool {
        self.held.contains(item.0)
    }

    /// Says whether an item is held or, where they differ, waits for others.
    fn is_kept(&self, index: u32) -> bool {
        self.held.contains(index) || self.is_shut_alone(index)
    }

    fn is_shut_alone(&self, index: u32) -> bool {
        matches!(&self.gate, Gate::Some(shut) if shut.contains(index))
    }

    fn counts_shut(&self, index: u32, core: ItemCore) -> bool {
        core.status == ItemStatus::Pending && self.is_shut_alone(index)
    }

    /// Says whether some item is held.
    #[must_use]
    pub fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }

    /// Lets all start, or none.
    pub fn shut_all(&mut self, is_shut: bool) {
        self.open_gate();
        if is_shut {
            self.gate = Gate::All;
        }
    }

    /// Lets all start.
    pub fn open_gate(&mut self) {
        let before = std::mem::replace(&mut self.gate, Gate::Open);
        if let Gate::Some(_) = before {
            self.recount();
        }
    }

    /// Lets all start but these.
    pub fn shut_some(&mut self, items: RoaringBitmap) {
        self.gate = Gate::Some(items);
        self.recount();
    }

    /// Lets one start or not, where they differ.
    pub fn shut_one(&mut self, item: ItemIndex, is_shut: bool) {
        let core = self.get(item);
        self.shut -= u32::from(self.counts_shut(item.0, core));
        if let Gate::Some(items) = &mut self.gate {
            if is_shut {
                items.insert(item.0);
            } else {
                items.remove(item.0);
            }
        }
        self.shut += u32::from(self.counts_shut(item.0, core));
        self.index(item, core);
    }

    /// Says whether an item waits for others.
    #[must_use]
    pub fn is_shut(&self, item: ItemIndex) -> bool {
        self.gate == Gate::All || self.is_shut_alone(item.0)
    }

    /// Counts the pending items that wait for others.
    #[must_use]
    pub fn shut(&self) -> u32 {
        match self.gate {
            Gate::All => self.count(ItemStatus::Pending),
            Gate::Open | Gate::Some(_) => self.shut,
        }
    }

    /// Answers an item's state as people are shown it: one that waits for others is blocked.
    #[must_use]
    pub fn shown(&self, item: ItemIndex) -> ItemStatus {
        match self.get(item).status {
            ItemStatus::Pending if self.is_shut(item) => ItemStatus::Blocked,
            status => status,
        }
    }

    /// Counts the items that people are shown in a state.
    #[must_use]
    pub fn count_shown(&self, status: ItemStatus) -> u32 {
        match status {
            ItemStatus::Pending => self.count(status) - self.shut(),
            ItemStatus::Blocked => self.count(status) + self.shut(),
            other => self.count(other),
        }
    }

    /// Answers how many items may start now.
    #[must_use]
    pub fn ready(&self) -> u64 {
        match self.gate {
            Gate::All => 0,
            Gate::Open | Gate::Some(_) => self.ready.len() + self.ready_grown.len(),
        }
    }

    /// Says whether this item may start now in an instance of that size.
    #[must_use]
    pub fn is_ready(&self, item: ItemIndex, size: Size) -> bool {
        self.gate != Gate::All && self.ready_of(size).contains(self.rank(item.0))
    }

    /// Answers the item to hand out next to an instance of that size.
    #[must_use]
    pub fn next_ready(&self, size: Size) -> Option<ItemIndex> {
        let first = self.ready_of(size).min().filter(|_| self.gate != Gate::All);
        first.map(|rank| ItemIndex(self.at_rank(rank)))
    }

    /// Answers the first of some items that may start now in an instance of that size; of a job whose items are handed out as they come.
    #[must_use]
    pub fn next_ready_of(&self, items: &RoaringBitmap, size: Size) -> Option<ItemIndex> {
        let ready = self.ready_of(size);
        let first = (ready & items).min().filter(|_| self.gate != Gate::All);
        first.map(|rank| ItemIndex(self.at_rank(rank)))
    }

    /// Counts the items that may start now in an instance of that size.
    #[must_use]
    pub fn ready_in(&self, size: Size) -> u64 {
        match self.gate {
            Gate::All => 0,
            Gate::Open | Gate::Some(_) => self.ready_of(size).len(),
        }
    }

    /// Counts those of some items; of a job whose items are handed out as they come.
    #[must_use]
    pub fn ready_among(&self, items: &RoaringBitmap, size: Size) -> u64 {
        match self.gate {
            Gate::All => 0,
            Gate::Open | Gate::Some(_) => self.ready_of(size).intersection_len(items),
        }
    }

    fn ready_of(&self, size: Size) -> &RoaringBitmap {
        match size {
            Size::Plain => &self.ready,
            Size::Grown => &self.ready_grown,
        }
    }

    /// Answers how many items that have not ended ran out of the memory that their job reserves.
    #[must_use]
    pub fn grown(&self) -> u32 {
        self.grown.values().sum()
    }

    /// Answers the greatest growth of an item that has not ended.
    #[must_use]
    pub fn growth_max(&self) -> Option<u8> {
        self.grown.last_key_value().map(|(growth, _)| *growth)
    }

    /// Answers how many items are in a state.
    #[must_use]
    pub fn count(&self, status: ItemStatus) -> u32 {
        self.counts[status as usize]
    }

    /// Answers the counts of all states, by their numbers.
    #[must_use]
    pub fn counts(&self) -> [u32; 8] {
        self.counts
    }

    /// Answers how many have ended.
    #[must_use]
    pub fn ended(&self) -> u32 {
        ItemStatus::ALL
            .iter()
            .filter(|s| s.is_ended())
            .map(|s| self.count(*s))
            .sum()
    }

    /// Answers the places of all items.
    pub fn indices(&self) -> impl Iterator<Item = ItemIndex> + use<> {
        (0..self.len()).map(ItemIndex)
    }

    /// Says what is wrong with what is kept beside the cells; for the engine's own check.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let mut fresh = self.clone();
        fresh.recount();
        if fresh.counts != self.counts {
            return Some(format!(
                "counts {:?}, should be {:?}",
                self.counts, fresh.counts
            ));
        }
        for (is, should) in [
            (&self.ready, &fresh.ready),
            (&self.ready_grown, &fresh.ready_grown),
        ] {
            if is != should {
                return Some(format!("ready {is:?}, should be {should:?}"));
            }
        }
        if fresh.shut != self.shut {
            return Some(format!("{} shut, should be {}", self.shut, fresh.shut));
        }
        (fresh.grown != self.grown)
            .then(|| format!("grown {:?}, should be {:?}", self.grown, fresh.grown))
    }
}

fn ranks_of(agenda: &Agenda) -> Ranks {
    match (agenda.order(), agenda.permutation()) {
        (tessera_model::Order::Reverse, _) => Ranks::Reverse,
        (_, None) => Ranks::Ascend,
        (_, Some(order)) => {
            let mut rank = vec![0; order.len()];
            for (place, index) in (0u32..).zip(&order) {
                rank[*index as usize] = place;
            }
            Ranks::Table { order, rank }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_unpacks_to_what_was_packed() {
        for status in ItemStatus::ALL {
            let core = ItemCore {
                status,
                retries_used: 65_535,
                ooms: 15,
                growth: 14,
                attempt: Attempt(u32::MAX),
            };
            assert_eq!(ItemCore::unpack(core.pack()), Some(core));
        }
        assert_eq!(ItemCore::unpack(200), None);
    }
}
