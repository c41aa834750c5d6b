//! Which of several hosts the jobs of a class would rather have.

use super::super::host::Traits;
use super::super::{Host, Job};
use super::asks::said_now;
use super::class::Shape;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use tessera_model::requirements::{Fact, Facts, HostOperand, HostOrder, Operand, Part, Rank};
use tessera_model::{JobId, JobSpec};

/// A host order, by its text.
#[derive(Debug, Clone)]
pub struct Prefers {
    text: String,
    order: Arc<HostOrder>,
}

impl PartialEq for Prefers {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Prefers {}

impl PartialOrd for Prefers {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Prefers {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Prefers {
    /// Answers that of a job, if it has one.
    #[must_use]
    pub fn of(spec: &JobSpec) -> Option<Self> {
        spec.host_order.as_ref().map(|order| Self {
            text: order.to_string(),
            order: Arc::clone(order),
        })
    }

    /// Answers what it reads of hosts that stays; nothing when it reads what differs between hosts that are alike.
    pub(super) fn lasting(&self) -> Option<Vec<&Operand>> {
        let mut lasting = Vec::new();
        for operand in self.order.operands() {
            if is_free_slots(operand) {
                continue;
            }
            if operand.depends().host_now || super::asks::is_own(operand) {
                return None;
            }
            lasting.push(operand);
        }
        Some(lasting)
    }

    /// Ranks hosts of that shape.
    pub(super) fn rank(&self, shape: &Shape) -> Rank {
        let (slots, traits) = (shape.0.0, &*shape.2);
        self.order.rank(&Alike { slots, traits })
    }

    /// Ranks a host as it is now.
    #[must_use]
    pub fn rank_now(&self, host: &Host, jobs: &BTreeMap<JobId, Job>) -> Rank {
        self.order.rank(&Now { host, jobs })
    }
}

fn is_free_slots(operand: &Operand) -> bool {
    matches!(operand, Operand::Host(HostOperand::Amount(name, Part::Avail)) if name == "processors")
}

/// A host of a shape.
struct Alike<'a> {
    slots: u32,
    traits: &'a Traits,
}

impl Facts for Alike<'_> {
    fn value(&self, operand: &Operand) -> Option<Fact<'_>> {
        if is_free_slots(operand) {
            return Some(u64::from(self.slots).into());
        }
        self.traits.said.get(operand).map(super::asks::Said::fact)
    }
}

/// A host as it is now.
struct Now<'a> {
    host: &'a Host,
    jobs: &'a BTreeMap<JobId, Job>,
}

impl Facts for Now<'_> {
    fn value(&self, operand: &Operand) -> Option<Fact<'_>> {
        match operand {
            Operand::Host(of_host) => said_now(of_host, self.host, self.jobs),
            Operand::Job(_) => None,
        }
    }
}
