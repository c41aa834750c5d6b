//! Classes that something happened to since they were asked.

use super::{Place, Planner};
use std::collections::{BTreeMap, BTreeSet};

/// Classes to be asked about, the one with the best job first.
#[derive(Debug, Clone, Default)]
pub(super) struct Dirty {
    by_class: BTreeMap<usize, Place>,
    in_order: BTreeSet<(Place, usize)>,
}

impl Dirty {
    pub(super) fn add(&mut self, class: usize, head: Place) {
        self.remove(class);
        self.by_class.insert(class, head);
        self.in_order.insert((head, class));
    }

    pub(super) fn remove(&mut self, class: usize) {
        if let Some(head) = self.by_class.remove(&class) {
            self.in_order.remove(&(head, class));
        }
    }

    pub(super) fn first(&self) -> Option<(Place, usize)> {
        self.in_order.first().copied()
    }
}

impl Planner {
    /// Asks again about a class whose other conditions changed.
    pub fn touch_class(&mut self, class: usize) {
        let is_shut = self.gates.is_shut(self.classes[class].gate);
        if let Some(head) = self.head(class).filter(|_| !is_shut) {
            let is_secondary = self.classes[class].demands.is_secondary;
            let dirty = match is_secondary {
                true => &mut self.second.dirty,
                false => &mut self.dirty_classes,
            };
            dirty.add(class, head);
        }
    }

    /// Asks again about everything: a condition changed that many jobs may have waited for.
    pub fn touch_all(&mut self) {
        let all = self.active().chain(self.second.classes());
        for class in all.collect::<Vec<_>>() {
            self.touch_class(class);
        }
    }
}
