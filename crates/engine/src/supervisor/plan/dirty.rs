//! Classes that something happened to since they were asked.

use super::Place;
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
