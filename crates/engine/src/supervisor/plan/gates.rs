//! Classes that want something of the farm's own resources wait behind a gate, one for all that want the same of them. While there
//! is not enough the gate is shut, and none of what waits behind it is looked at, whatever happens elsewhere; when there is, what
//! waits is asked in its order until one is placed or all were asked.
//!
//! **Invariant:** what a change of an amount costs is the gates that open or shut by it, and what is placed.

use super::Place;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use tessera_model::{ClusterChoice, GlobalName};

/// The gate of classes that want nothing of it; always open.
pub(super) const OPEN: usize = 0;

/// Classes with a ready job, by the first of them; by cluster, where that matters.
pub(super) type Heads = BTreeMap<ClusterChoice, BTreeSet<(Place, usize)>>;

/// What the classes of one gate want.
#[derive(Debug, Clone, Default)]
struct Gate {
    wants: BTreeMap<GlobalName, u64>,
    /// How many classes have it.
    users: usize,
    /// Of how many resources there is too little.
    lacking: usize,
}

/// All gates, with what waits before and behind them.
#[derive(Debug, Clone)]
pub(super) struct Gates {
    /// By number; a number that no class has is in `vacant`.
    gates: Vec<Gate>,
    vacant: Vec<usize>,
    by_wants: BTreeMap<BTreeMap<GlobalName, u64>, usize>,
    /// By how much of it they want.
    by_name: BTreeMap<GlobalName, BTreeSet<(u64, usize)>>,
    free: BTreeMap<GlobalName, u64>,
    /// Of open gates.
    active: BTreeMap<usize, Heads>,
    /// Of shut ones.
    waiting: BTreeMap<usize, Heads>,
    /// Gates that opened, with the last class behind each that was asked since.
    opened: BTreeMap<usize, Option<(Place, usize)>>,
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            gates: vec![Gate::default()],
            vacant: Vec::new(),
            by_wants: BTreeMap::new(),
            by_name: BTreeMap::new(),
            free: BTreeMap::new(),
            active: BTreeMap::new(),
            waiting: BTreeMap::new(),
            opened: BTreeMap::new(),
        }
    }
}

impl Gates {
    /// Gives a class the gate of these wants, new if need be.
    pub(super) fn take(&mut self, wants: &BTreeMap<GlobalName, u64>) -> usize {
        if wants.is_empty() {
            return OPEN;
        }
        if let Some(number) = self.by_wants.get(wants) {
            self.gates[*number].users += 1;
            return *number;
        }
        let lacks = |(name, amount): &(&GlobalName, &u64)| self.free_of(name) < **amount;
        let gate = Gate {
            wants: wants.clone(),
            users: 1,
            lacking: wants.iter().filter(lacks).count(),
        };
        let number = match self.vacant.pop() {
            Some(number) => {
                self.gates[number] = gate;
                number
            }
            None => {
                self.gates.push(gate);
                self.gates.len() - 1
            }
        };
        for (name, amount) in wants {
            let of_name = self.by_name.entry(name.clone()).or_default();
            of_name.insert((*amount, number));
        }
        self.by_wants.insert(wants.clone(), number);
        number
    }

    /// A class has this gate no more; it has no ready job. With its last class the gate goes.
    pub(super) fn drop(&mut self, number: usize) {
        let gate = &mut self.gates[number];
        if number == OPEN {
            return;
        }
        gate.users -= 1;
        if gate.users > 0 {
            return;
        }
        let gate = std::mem::take(gate);
        for (name, amount) in &gate.wants {
            if let Some(of_name) = self.by_name.get_mut(name) {
                of_name.remove(&(*amount, number));
                if of_name.is_empty() {
                    self.by_name.remove(name);
                }
            }
        }
        self.by_wants.remove(&gate.wants);
        self.opened.remove(&number);
        self.vacant.push(number);
    }

    fn free_of(&self, name: &GlobalName) -> u64 {
        self.free.get(name).copied().unwrap_or(0)
    }

    /// Says whether there is enough for what is behind a gate.
    pub(super) fn is_open(&self, number: usize) -> bool {
        self.gates[number].lacking == 0
    }

    /// Tells how much of a resource is free now. Answers how many gates were looked at.
    pub(super) fn set_free(&mut self, name: &GlobalName, free: u64) -> u64 {
        let before = self.free_of(name);
        match free {
            0 => self.free.remove(name),
            free => self.free.insert(name.clone(), free),
        };
        let Some(of_name) = self.by_name.get(name) else {
            return 0;
        };
        let (low, high) = (before.min(free), before.max(free));
        let between = (
            Bound::Excluded((low, usize::MAX)),
            Bound::Included((high, usize::MAX)),
        );
        let moved: Vec<usize> = if low == high {
            Vec::new()
        } else {
            of_name.range(between).map(|(_, gate)| *gate).collect()
        };
        for &number in &moved {
            if free > before {
                self.enough(number);
            } else {
                self.too_little(number);
            }
        }
        moved.len() as u64
    }

    fn enough(&mut self, number: usize) {
        let gate = &mut self.gates[number];
        gate.lacking -= 1;
        if gate.lacking == 0
            && let Some(heads) = self.waiting.remove(&number)
        {
            self.active.insert(number, heads);
            self.opened.insert(number, None);
        }
    }

    fn too_little(&mut self, number: usize) {
        let gate = &mut self.gates[number];
        gate.lacking += 1;
        if gate.lacking == 1 {
            self.opened.remove(&number);
            if let Some(heads) = self.active.remove(&number) {
                self.waiting.insert(number, heads);
            }
        }
    }

    /// Notes that another of a class's jobs is its first, or that it has none.
    pub(super) fn set_head(
        &mut self,
        number: usize,
        choice: &ClusterChoice,
        class: usize,
        (before, after): (Option<Place>, Option<Place>),
    ) {
        let side = if self.is_open(number) {
            &mut self.active
        } else {
            &mut self.waiting
        };
        let kinds = side.entry(number).or_default();
        let heads = kinds.entry(choice.clone()).or_default();
        if let Some(before) = before {
            heads.remove(&(before, class));
        }
        if let Some(after) = after {
            heads.insert((after, class));
        }
        if heads.is_empty() {
            kinds.remove(choice);
        }
        if kinds.is_empty() {
            side.remove(&number);
            self.opened.remove(&number);
        }
    }

    /// Answers the classes with a ready job for which there is enough, by gate and cluster.
    pub(super) fn kinds(&self) -> impl Iterator<Item = &BTreeSet<(Place, usize)>> {
        self.active.values().flat_map(BTreeMap::values)
    }

    /// Answers those for which there is not.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> impl Iterator<Item = usize> + '_ {
        let kinds = self.waiting.values().flat_map(BTreeMap::values);
        kinds.flatten().map(|(_, class)| *class)
    }

    /// Answers the first class behind a gate that opened which was not asked since. Counts what was looked at.
    pub(super) fn next_opened(&mut self, asked: &mut u64) -> Option<(Place, usize)> {
        let mut best: Option<(Place, usize)> = None;
        let active = &self.active;
        self.opened.retain(|number, last| {
            let after = last.map_or(Bound::Unbounded, Bound::Excluded);
            let kinds = active.get(number).into_iter().flat_map(BTreeMap::values);
            let next = kinds.filter_map(|heads| {
                *asked += 1;
                heads.range((after, Bound::Unbounded)).next().copied()
            });
            let first = next.min();
            best = best.into_iter().chain(first).min();
            first.is_some()
        });
        best
    }

    /// Nothing that waited can be placed now.
    pub(super) fn forget_opened(&mut self) {
        self.opened.clear();
    }

    /// Notes that a class behind a gate was asked, and no host takes it.
    pub(super) fn asked(&mut self, number: usize, place: Place, class: usize) {
        if let Some(last) = self.opened.get_mut(&number) {
            *last = Some((place, class));
        }
    }

    /// Answers how much of a resource it believes to be free; for the engine's own check.
    pub(super) fn believes(&self, name: &GlobalName) -> u64 {
        self.free_of(name)
    }

    /// Says what is wrong; for the engine's own check.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (wants, number) in &self.by_wants {
            let gate = &self.gates[*number];
            let lacking = wants
                .iter()
                .filter(|(name, amount)| self.free_of(name) < **amount);
            let (lacking, thinks) = (lacking.count(), gate.lacking);
            if lacking != thinks {
                faults.push(format!(
                    "gate {number} lacks {lacking}, and thinks {thinks}"
                ));
            }
            let wrong = if lacking == 0 {
                &self.waiting
            } else {
                &self.active
            };
            if wrong.contains_key(number) {
                faults.push(format!(
                    "gate {number} lacks {lacking} and is on the other side"
                ));
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_model::JobId;

    fn name(text: &str) -> GlobalName {
        text.parse().expect("a good name")
    }

    fn wants(all: &[(&str, u64)]) -> BTreeMap<GlobalName, u64> {
        all.iter().map(|(it, amount)| (name(it), *amount)).collect()
    }

    fn place(n: u64) -> Place {
        (5, 0, JobId(n))
    }

    fn head(all: &mut Gates, gate: usize, class: usize, place: Place) {
        all.set_head(gate, &ClusterChoice::default(), class, (None, Some(place)));
    }

    #[test]
    fn a_gate_opens_when_there_is_enough_of_everything() {
        let mut all = Gates::default();
        assert_eq!(all.take(&wants(&[])), OPEN);
        let both = all.take(&wants(&[("global.a", 2), ("license.b", 1)]));
        head(&mut all, both, 7, place(1));
        assert_eq!((all.kinds().count(), all.waiting().count()), (0, 1));
        assert_eq!(all.set_free(&name("global.a"), 1), 0, "too little");
        assert_eq!(all.set_free(&name("global.a"), 2), 1);
        assert!(!all.is_open(both));
        all.set_free(&name("license.b"), 9);
        assert!(all.is_open(both));
        assert_eq!((all.kinds().count(), all.waiting().count()), (1, 0));
        assert_eq!(all.next_opened(&mut 0), Some((place(1), 7)));
        all.set_free(&name("global.a"), 0);
        assert!(!all.is_open(both));
        assert_eq!(all.next_opened(&mut 0), None);
        assert_eq!(all.faults(), Vec::<String>::new());
        all.set_head(both, &ClusterChoice::default(), 7, (Some(place(1)), None));
        all.drop(both);
        assert_eq!(
            all.take(&wants(&[("global.a", 1)])),
            both,
            "its number is free again"
        );
        assert_eq!(
            all.set_free(&name("license.b"), 0),
            0,
            "nobody wants it any more"
        );
    }

    #[test]
    fn what_waits_is_asked_in_its_order_whatever_gate_it_is_behind() {
        let mut all = Gates::default();
        let gates = [1, 2].map(|n| all.take(&wants(&[("global.a", n)])));
        for (n, class) in (1..=4).zip(10..) {
            head(&mut all, gates[class % 2], class, place(n));
        }
        all.set_free(&name("global.a"), 2);
        let mut order = Vec::new();
        while let Some((place, class)) = all.next_opened(&mut 0) {
            order.push(class);
            all.asked(gates[class % 2], place, class);
        }
        assert_eq!(order, [10, 11, 12, 13]);
        assert_eq!(all.next_opened(&mut 0), None, "each once");
        // Another unit: one gate opens more, and just what is behind it is asked.
        let more = all.take(&wants(&[("global.a", 3)]));
        head(&mut all, more, 14, place(9));
        all.set_free(&name("global.a"), 3);
        assert_eq!(all.next_opened(&mut 0), Some((place(9), 14)));
    }
}
