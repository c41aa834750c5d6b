//! Classes that want something of the farm's own resources wait behind a gate, one for all that want the same of them. While there
//! is not enough the gate is shut, and none of what waits behind it is looked at, whatever happens elsewhere; when there is, what
//! waits is asked in its order until one is placed or all were asked. Of a resource of which one is for all that runs on a host there may be
//! none free and still one on some hosts: a gate that lacks nothing else is half open, for those hosts.
//!
//! **Invariant:** what a change of an amount costs is the gates that open or shut by it, and what is placed.

use super::Place;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use tessera_model::{ClusterChoice, GlobalName, HostId};

/// The gate of classes that want nothing of it; always open.
pub(super) const OPEN: usize = 0;

/// What classes are kept under: their clusters, where these matter, and their share.
pub(super) type Kind = (ClusterChoice, usize);

/// Classes with a ready job, by the first of them.
pub(super) type Heads = BTreeMap<Kind, BTreeSet<(Place, usize)>>;

/// What the classes of one gate want.
#[derive(Debug, Clone, Default)]
struct Gate {
    wants: BTreeMap<GlobalName, u64>,
    /// How many classes have it.
    users: usize,
    /// Of how many resources there is too little.
    lacking: usize,
    /// Of how many of those that are for a host; too little is none.
    lacking_on_hosts: usize,
}

/// For which hosts there is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// All.
    Open,
    /// Those that have one of each resource that is lacking.
    HalfOpen,
    /// None.
    Shut,
}

impl Gate {
    fn state(&self) -> State {
        match (self.lacking, self.lacking - self.lacking_on_hosts) {
            (0, _) => State::Open,
            (_, 0) => State::HalfOpen,
            _ => State::Shut,
        }
    }

    /// There is enough of one more of its resources, or of one less. Answers what it is now.
    fn moved(&mut self, name: &GlobalName, is_enough: bool) -> State {
        let on_hosts = usize::from(name.is_per_host());
        if is_enough {
            self.lacking -= 1;
            self.lacking_on_hosts -= on_hosts;
        } else {
            self.lacking += 1;
            self.lacking_on_hosts += on_hosts;
        }
        self.state()
    }
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
    /// Of half open ones.
    half_open: BTreeMap<usize, Heads>,
    /// Of shut ones.
    waiting: BTreeMap<usize, Heads>,
    /// Hosts that have one of a resource that is for a host, and what each has.
    units: BTreeMap<GlobalName, BTreeSet<HostId>>,
    by_host: BTreeMap<HostId, BTreeSet<GlobalName>>,
    /// Those of which more hosts have one than may.
    over: BTreeSet<GlobalName>,
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
            half_open: BTreeMap::new(),
            waiting: BTreeMap::new(),
            units: BTreeMap::new(),
            by_host: BTreeMap::new(),
            over: BTreeSet::new(),
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
            lacking_on_hosts: wants
                .iter()
                .filter(|(name, _)| name.is_per_host())
                .filter(lacks)
                .count(),
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

    /// Says whether there is enough for what is behind a gate, on every host.
    pub(super) fn is_open(&self, number: usize) -> bool {
        self.gates[number].state() == State::Open
    }

    /// Says whether there is too little for what is behind a gate, whatever host it is for.
    pub(super) fn is_shut(&self, number: usize) -> bool {
        self.gates[number].state() == State::Shut
    }

    /// Says whether there is enough for what is behind a gate on some hosts only.
    pub(super) fn is_half_open(&self, number: usize) -> bool {
        self.gates[number].state() == State::HalfOpen
    }

    fn side(&mut self, state: State) -> &mut BTreeMap<usize, Heads> {
        match state {
            State::Open => &mut self.active,
            State::HalfOpen => &mut self.half_open,
            State::Shut => &mut self.waiting,
        }
    }

    /// Tells whether a host has one of a resource that is for a host.
    pub(super) fn set_unit(&mut self, name: &GlobalName, host: HostId, has: bool) {
        let hosts = self.units.entry(name.clone()).or_default();
        let names = self.by_host.entry(host).or_default();
        if has {
            hosts.insert(host);
            names.insert(name.clone());
        } else {
            hosts.remove(&host);
            names.remove(name);
        }
        if hosts.is_empty() {
            self.units.remove(name);
        }
        if names.is_empty() {
            self.by_host.remove(&host);
        }
    }

    /// Tells whether more hosts have one of a resource than may: then it is shared on none. Answers the gates that are half open again.
    pub(super) fn set_over(&mut self, name: &GlobalName, is_over: bool) -> Vec<usize> {
        let is_other = if is_over {
            self.over.insert(name.clone())
        } else {
            self.over.remove(name)
        };
        let half_open = self.half_open.keys().copied();
        let wants = |gate: &usize| self.gates[*gate].wants.contains_key(name);
        half_open
            .filter(|gate| is_other && !is_over && wants(gate))
            .collect()
    }

    /// Says whether more hosts have one of a resource than may.
    pub(super) fn is_over(&self, name: &GlobalName) -> bool {
        self.over.contains(name)
    }

    /// Answers the hosts that have one of a resource.
    pub(super) fn units(&self, name: &GlobalName) -> BTreeSet<HostId> {
        self.units.get(name).cloned().unwrap_or_default()
    }

    /// Answers what of a gate is lacking and may be shared on a host.
    fn lacking_of(&self, number: usize) -> impl Iterator<Item = &GlobalName> {
        let wants = self.gates[number].wants.iter();
        let lacking = wants.filter(|(name, amount)| self.free_of(name) < **amount);
        lacking
            .map(|(name, _)| name)
            .filter(|name| name.is_per_host())
    }

    /// Answers the hosts for which a half open gate is open.
    pub(super) fn only_on(&self, number: usize) -> BTreeSet<HostId> {
        let shared = |name: &GlobalName| match self.is_over(name) {
            true => BTreeSet::new(),
            false => self.units(name),
        };
        let mut lacking = self.lacking_of(number).map(shared);
        let first = lacking.next().unwrap_or_default();
        lacking.fold(first, |hosts, more| &hosts & &more)
    }

    /// Answers the classes behind half open gates that are open for a host, by gate and cluster. Counts the gates that were looked at.
    pub(super) fn kinds_on(&self, host: HostId, asked: &mut u64) -> Vec<&BTreeSet<(Place, usize)>> {
        let Some(has) = self.by_host.get(&host) else {
            return Vec::new();
        };
        *asked += self.half_open.len() as u64;
        let open = self.half_open.iter();
        let shares = |name: &GlobalName| has.contains(name) && !self.is_over(name);
        let open = open.filter(|(gate, _)| self.lacking_of(**gate).all(shares));
        open.flat_map(|(_, heads)| heads.values()).collect()
    }

    /// Answers the classes with a ready job behind half open gates.
    pub(super) fn half_open(&self) -> impl Iterator<Item = &BTreeSet<(Place, usize)>> {
        self.half_open.values().flat_map(BTreeMap::values)
    }

    /// Tells how much of a resource is free now. Answers how many gates were looked at, and those that were shut and are half open.
    pub(super) fn set_free(&mut self, name: &GlobalName, free: u64) -> (u64, Vec<usize>) {
        let before = self.free_of(name);
        match free {
            0 => self.free.remove(name),
            free => self.free.insert(name.clone(), free),
        };
        let Some(of_name) = self.by_name.get(name) else {
            return (0, Vec::new());
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
        let mut half_open = Vec::new();
        for &number in &moved {
            let was = self.gates[number].state();
            let is = self.gates[number].moved(name, free > before);
            self.change_side(number, was, is);
            if (was, is) == (State::Shut, State::HalfOpen) {
                half_open.push(number);
            }
        }
        (moved.len() as u64, half_open)
    }

    fn change_side(&mut self, number: usize, was: State, is: State) {
        if was == is {
            return;
        }
        self.opened.remove(&number);
        if let Some(heads) = self.side(was).remove(&number) {
            self.side(is).insert(number, heads);
            if is == State::Open {
                self.opened.insert(number, None);
            }
        }
    }

    /// Notes that another of a class's jobs is its first, or that it has none.
    pub(super) fn set_head(
        &mut self,
        number: usize,
        kind: &Kind,
        class: usize,
        (before, after): (Option<Place>, Option<Place>),
    ) {
        let side = self.side(self.gates[number].state());
        let kinds = side.entry(number).or_default();
        let heads = kinds.entry(kind.clone()).or_default();
        if let Some(before) = before {
            heads.remove(&(before, class));
        }
        if let Some(after) = after {
            heads.insert((after, class));
        }
        if heads.is_empty() {
            kinds.remove(kind);
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

    /// Says whether somebody waits who wants a resource, behind a shut gate only or whatever gate it is.
    pub(super) fn is_wanted(&self, name: &GlobalName, by_shut_only: bool) -> bool {
        let gates = self.by_name.get(name).into_iter().flatten();
        gates.into_iter().any(|(_, gate)| {
            let is_open = !by_shut_only
                && (self.active.contains_key(gate) || self.half_open.contains_key(gate));
            is_open || self.waiting.contains_key(gate)
        })
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

    /// Nothing that waited can be placed now. Answers the class of the first job behind each gate that opened.
    pub(super) fn forget_opened(&mut self) -> Vec<usize> {
        let opened = std::mem::take(&mut self.opened);
        let gates = opened.keys().filter_map(|gate| self.active.get(gate));
        let heads = gates.filter_map(|kinds| kinds.values().filter_map(|all| all.first()).min());
        heads.map(|(_, class)| *class).collect()
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
            let on_hosts = self.lacking_of(*number).count();
            if on_hosts != gate.lacking_on_hosts {
                faults.push(format!(
                    "gate {number} lacks {on_hosts} of hosts, and thinks otherwise"
                ));
            }
            let sides = [
                (State::Open, &self.active),
                (State::HalfOpen, &self.half_open),
                (State::Shut, &self.waiting),
            ];
            let is_astray = |(state, side): &(State, &BTreeMap<usize, Heads>)| {
                *state != gate.state() && side.contains_key(number)
            };
            if sides.iter().any(is_astray) {
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
        all.set_head(gate, &Kind::default(), class, (None, Some(place)));
    }

    #[test]
    fn a_gate_opens_when_there_is_enough_of_everything() {
        let mut all = Gates::default();
        assert_eq!(all.take(&wants(&[])), OPEN);
        let both = all.take(&wants(&[("global.a", 2), ("license.b", 1)]));
        head(&mut all, both, 7, place(1));
        assert_eq!((all.kinds().count(), all.waiting().count()), (0, 1));
        assert_eq!(all.set_free(&name("global.a"), 1).0, 0, "too little");
        assert_eq!(all.set_free(&name("global.a"), 2).0, 1);
        assert!(all.is_shut(both));
        all.set_free(&name("license.b"), 9);
        assert!(!all.is_shut(both));
        assert_eq!((all.kinds().count(), all.waiting().count()), (1, 0));
        assert_eq!(all.next_opened(&mut 0), Some((place(1), 7)));
        all.set_free(&name("global.a"), 0);
        assert!(all.is_shut(both));
        assert_eq!(all.next_opened(&mut 0), None);
        assert_eq!(all.faults(), Vec::<String>::new());
        all.set_head(both, &Kind::default(), 7, (Some(place(1)), None));
        all.drop(both);
        assert_eq!(
            all.take(&wants(&[("global.a", 1)])),
            both,
            "its number is free again"
        );
        assert_eq!(
            all.set_free(&name("license.b"), 0).0,
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
