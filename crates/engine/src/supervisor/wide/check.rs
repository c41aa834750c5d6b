//! What must always hold of hosts that are being emptied.

use super::{FARM_HOSTS_MAX, JOB_HOSTS_MAX};
use crate::supervisor::Engine;
use std::collections::BTreeMap;

impl Engine {
    /// Hosts are emptied for somebody who waits for nothing but a host, few at once, and never all of several.
    pub(in super::super) fn check_wide(&self, faults: &mut Vec<String>) {
        let mut by_class: BTreeMap<usize, usize> = BTreeMap::new();
        for (id, emptied) in self.planner.kept() {
            *by_class.entry(emptied.class).or_default() += 1;
            let Some(host) = self.hosts.get(&id) else {
                faults.push(format!("host {id} is emptied and not there"));
                continue;
            };
            let (name, class) = (&host.facts.name, emptied.class);
            if !self.planner.waits_for_host(class) {
                faults.push(format!("{name} is emptied for nobody (class {class})"));
            }
            if !host.is_open() || self.config.wide_jobs.hosts_percent == 0 {
                faults.push(format!("{name} is emptied and gives nothing away"));
            }
        }
        let all: usize = by_class.values().sum();
        let gangs: Vec<usize> = by_class.keys().copied().collect();
        let gangs = gangs.into_iter().filter(|it| self.gathering(*it).is_some());
        let of_gangs: Vec<usize> = gangs.filter_map(|it| by_class.remove(&it)).collect();
        if of_gangs.len() > 1 {
            faults.push(format!("hosts are emptied for {} gangs", of_gangs.len()));
        }
        let (hosts, most) = (self.hosts.len(), by_class.values().max());
        let is_many = all > FARM_HOSTS_MAX || most.is_some_and(|most| *most > JOB_HOSTS_MAX);
        if is_many || (all == hosts && hosts > 1 && of_gangs.is_empty()) {
            faults.push(format!("{all} of {hosts} hosts are emptied: {by_class:?}"));
        }
    }
}
