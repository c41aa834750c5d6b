//! The items of a job: eight bytes each, with the set of those that may start kept beside them.

use roaring::RoaringBitmap;
use tessera_model::{Agenda, Attempt, ItemIndex, ItemStatus, JobKind, JobSpec};

/// State of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemCore {
    /// Its state.
    pub status: ItemStatus,
    /// Retries that failed attempts have used up.
    pub retries_used: u16,
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
            attempt: Attempt(0),
        }
    }

    /// Packs it: bits 0–7 the state's number, 8–23 retries used, 32–63 the attempt. Kept in the store: a promise.
    #[must_use]
    pub fn pack(self) -> u64 {
        u64::from(self.status as u8)
            | u64::from(self.retries_used) << 8
            | u64::from(self.attempt.0) << 32
    }

    /// Unpacks it; `None` when the state's number is unknown.
    #[must_use]
    pub fn unpack(cell: u64) -> Option<Self> {
        let [status, low, high, _, a, b, c, d] = cell.to_le_bytes();
        Some(Self {
            status: ItemStatus::from_number(status)?,
            retries_used: u16::from_le_bytes([low, high]),
            attempt: Attempt(u32::from_le_bytes([a, b, c, d])),
        })
    }
}

/// All items of a job.
#[derive(Debug, Clone)]
pub struct Items {
    cells: Vec<u64>,
    counts: [u32; ItemStatus::ALL.len()],
    /// Ranks (places in the order of handing out) of pending items that nothing holds.
    ready: RoaringBitmap,
    /// Items whose older attempt is not yet proven gone.
    held: RoaringBitmap,
    ranks: Ranks,
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
            held: RoaringBitmap::new(),
            ranks,
        };
        items.recount();
        items
    }

    fn recount(&mut self) {
        self.counts = [0; 8];
        let mut ready: Vec<u32> = Vec::new();
        for index in 0..self.len() {
            let core = self.get(ItemIndex(index));
            self.counts[core.status as usize] += 1;
            if core.status == ItemStatus::Pending && !self.held.contains(index) {
                ready.push(self.rank(index));
            }
        }
        ready.sort_unstable();
        self.ready = RoaringBitmap::from_sorted_iter(ready).unwrap_or_default();
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
        let before = self.get(item).status;
        self.counts[before as usize] -= 1;
        self.counts[core.status as usize] += 1;
        self.cells[item.0 as usize] = core.pack();
        self.index(item, core.status);
    }

    fn index(&mut self, item: ItemIndex, status: ItemStatus) {
        let rank = self.rank(item.0);
        if status == ItemStatus::Pending && !self.held.contains(item.0) {
            self.ready.insert(rank);
        } else {
            self.ready.remove(rank);
        }
    }

    /// Keeps an item from starting until its older attempt is proven gone.
    pub fn hold(&mut self, item: ItemIndex) {
        self.held.insert(item.0);
        self.index(item, self.get(item).status);
    }

    /// Lets a held item go.
    pub fn release(&mut self, item: ItemIndex) {
        self.held.remove(item.0);
        self.index(item, self.get(item).status);
    }

    /// Says whether an item is held.
    #[must_use]
    pub fn is_held(&self, item: ItemIndex) -> bool {
        self.held.contains(item.0)
    }

    /// Answers how many items may start now.
    #[must_use]
    pub fn ready(&self) -> u64 {
        self.ready.len()
    }

    /// Says whether this item may start now.
    #[must_use]
    pub fn is_ready(&self, item: ItemIndex) -> bool {
        self.ready.contains(self.rank(item.0))
    }

    /// Answers the item to hand out next.
    #[must_use]
    pub fn next_ready(&self) -> Option<ItemIndex> {
        self.ready.min().map(|rank| ItemIndex(self.at_rank(rank)))
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
        (fresh.ready != self.ready)
            .then(|| format!("ready {:?}, should be {:?}", self.ready, fresh.ready))
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
                attempt: Attempt(u32::MAX),
            };
            assert_eq!(ItemCore::unpack(core.pack()), Some(core));
        }
        assert_eq!(ItemCore::unpack(200), None);
    }
}
