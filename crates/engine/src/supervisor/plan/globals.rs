//! What the planner is told of the farm's own resources, and asked about them.

use super::Planner;
use std::collections::BTreeSet;
use tessera_model::{GlobalName, HostId};

impl Planner {
    /// Tells how much of one of the farm's own resources is free; of one that is for a host, whether more hosts have one than may.
    pub fn set_global(&mut self, name: &GlobalName, free: u64, is_over: bool) {
        let (looked_at, mut half_open) = self.gates.set_free(name, free);
        half_open.extend(self.gates.set_over(name, is_over));
        self.asked = self.asked.saturating_add(looked_at);
        self.ask_second_for(name);
        // What has a unit and room is asked; there are no more of them than units.
        for host in half_open
            .into_iter()
            .flat_map(|gate| self.gates.only_on(gate))
        {
            if self.free.contains_key(&host) {
                self.dirty_hosts.insert(host);
            }
        }
    }

    /// Tells whether a host has one of a resource of which one is for all that runs there. [`Self::set_free`] comes next.
    pub fn set_unit(&mut self, name: &GlobalName, host: HostId, has: bool) {
        self.gates.set_unit(name, host, has);
    }

    /// Says whether more hosts have one of such a resource than may; for the engine's own check.
    #[must_use]
    pub fn is_over(&self, name: &GlobalName) -> bool {
        self.gates.is_over(name)
    }

    /// Answers the hosts that have one of such a resource; for the engine's own check.
    #[must_use]
    pub fn units(&self, name: &GlobalName) -> BTreeSet<HostId> {
        self.gates.units(name)
    }

    /// Answers how much of one of the farm's own resources it believes to be free; for the engine's own check.
    #[must_use]
    pub fn global_of(&self, name: &GlobalName) -> u64 {
        self.gates.believes(name)
    }

    /// Says what is wrong with what waits for the farm's own resources; for the engine's own check.
    #[must_use]
    pub fn gate_faults(&self) -> Vec<String> {
        self.gates.faults()
    }
}
