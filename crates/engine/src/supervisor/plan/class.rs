//! Jobs with the same demands, and what hosts can give away.

use super::super::host::Traits;
use super::Judge;
use super::Waited;
use super::asks::Asks;
use super::demands::Demands;
use super::operands::Operands;
use super::prefers::Prefers;
use super::ready::Ready;
use super::resources::Wants;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tessera_model::HostId;
use tessera_model::requirements::Operand;

/// Hosts that can give away the same and are of a kind are alike for every class: the most slots first, then by the amounts of
/// the resources that somebody reserves, by their numbers, then by whether nothing is there, then by the slots that are not for jobs
/// without GPUs.
pub(super) type Shape = (Reverse<u32>, Vec<u64>, Arc<Traits>, bool, u32);

/// What an open host can give away.
#[derive(Debug, Clone)]
pub(super) struct Free {
    pub(super) shape: Shape,
    pub(super) name: String,
}

/// Jobs with the same demands.
#[derive(Debug, Clone)]
pub(super) struct Class {
    pub(super) demands: Demands,
    /// Amounts of resources; nothing when one of them is not to be had anywhere.
    pub(super) wants: Option<Wants>,
    /// How many jobs have it, ready or not.
    pub(super) users: usize,
    pub(super) ready: Ready,
    /// The gate that it is behind, by what it wants of the farm's own resources.
    pub(super) gate: usize,
    /// The share in which its jobs stand.
    pub(super) share: usize,
    /// Slots that are kept for GPUs are not for it.
    is_without_gpus: bool,
    /// What it asks is asked host by host.
    pub(super) asks_each: bool,
    /// The same without what it says of how many of a job a host may have: that is no matter of how much of one it needs.
    pub(super) asks_moving: bool,
    /// What it prefers is asked host by host.
    pub(super) prefers_each: bool,
    /// What it has waited for a host that is empty enough.
    pub(super) waited: Waited,
    /// What all hosts say because it reads it.
    reads: Vec<Operand>,
    /// Where what it asks is asked host by host: those that did not meet it and have not changed since, by shape.
    unmet: BTreeMap<Shape, BTreeSet<HostId>>,
}

impl Class {
    /// Makes one with its first job. What it reads of hosts is wanted from then on; says whether something of it is new.
    pub(super) fn new(
        demands: Demands,
        wants: Option<Wants>,
        operands: &mut Operands,
    ) -> (Self, bool) {
        let mut class = Self {
            is_without_gpus: demands.is_without_gpus(),
            demands,
            wants,
            users: 1,
            ready: Ready::default(),
            gate: super::gates::OPEN,
            share: super::OUTSIDE,
            asks_each: false,
            asks_moving: false,
            prefers_each: false,
            waited: Waited::default(),
            reads: Vec::new(),
            unmet: BTreeMap::new(),
        };
        let mut is_new = false;
        let mut want = |lasting: Option<Vec<&Operand>>| {
            let known = lasting.and_then(|all| Some((operands.want(&all)?, all)));
            let (added, all) = known?;
            is_new |= added;
            Some(all.into_iter().cloned().collect::<Vec<_>>())
        };
        let asks = class.demands.asks.as_ref();
        let asks = asks.map_or(Some(Vec::new()), |it| want(it.lasting()));
        let prefers = class.demands.prefers.as_ref();
        let prefers = prefers.map_or(Some(Vec::new()), |it| want(it.lasting()));
        class.asks_moving = asks.is_none();
        class.asks_each = class.asks_moving || class.demands.per_host.is_some();
        class.prefers_each = prefers.is_none();
        class
            .reads
            .extend([asks, prefers].into_iter().flatten().flatten());
        (class, is_new)
    }

    /// Answers what all hosts say because it reads it.
    pub(super) fn reads(&self) -> impl Iterator<Item = &Operand> {
        self.reads.iter()
    }

    /// Says whether hosts of that shape can serve it.
    pub(super) fn fits(&self, (Reverse(slots), amounts, traits, is_idle, kept): &Shape) -> bool {
        let wants = self.wants.as_ref();
        let asks = self.demands.asks.as_ref();
        let kept = *kept * u32::from(self.is_without_gpus);
        slots.saturating_sub(kept) >= self.demands.slots
            && (*is_idle || !self.demands.wants_whole)
            && wants.is_some_and(|wants| wants.are_in(amounts))
            && self.demands.suit(traits)
            && (self.asks_each || asks.is_none_or(|asks| asks.met_by(traits)))
    }

    /// Says whether a host has room for one of its jobs and is one of those that they may go to, as far as is known without asking
    /// what moves there.
    pub(super) fn suits(&self, host: HostId, free: &Free, judge: &impl Judge) -> bool {
        self.demands.admit(&free.name)
            && self.fits(&free.shape)
            && self.may_go_to(host, judge)
            && !self.is_unmet_at(host, &free.shape)
    }

    /// Says whether a host can serve it that has the shape for it, what it asks host by host left out.
    pub(super) fn may_go_to(&self, host: HostId, judge: &impl Judge) -> bool {
        let each = self.wants.iter().flat_map(|wants| &wants.each);
        let mut each = each.map(|(name, amount)| judge.has(name, *amount, host));
        judge.admits(&self.demands.owner, host) && each.all(|has| has)
    }

    /// Says whether a host meets what it asks host by host.
    pub(super) fn is_met_at(&self, host: HostId, judge: &impl Judge) -> bool {
        let asks: Option<&Asks> = self.demands.asks.as_ref().filter(|_| self.asks_each);
        let per_host = self.demands.per_host;
        asks.is_none_or(|asks| judge.meets(asks, host))
            && per_host.is_none_or(|(job, most)| judge.has_room(job, most, host))
    }

    /// Says whether a host was asked since it changed last, and does not meet it.
    pub(super) fn is_unmet_at(&self, host: HostId, shape: &Shape) -> bool {
        let unmet = self.unmet.get(shape);
        unmet.is_some_and(|hosts| hosts.contains(&host))
    }

    /// Counts the hosts of a shape that were asked since they changed last and don't meet it.
    pub(super) fn unmet_of(&self, shape: &Shape) -> usize {
        self.unmet.get(shape).map_or(0, BTreeSet::len)
    }

    /// Notes that a host of that shape does not meet it.
    pub(super) fn note_unmet(&mut self, host: HostId, shape: Shape) {
        self.unmet.entry(shape).or_default().insert(host);
    }

    /// Forgets what was noted of a host that had that shape: it is another one now.
    pub(super) fn forget_unmet(&mut self, host: HostId, shape: &Shape) {
        super::take_from(&mut self.unmet, shape, host);
    }

    /// Answers how its jobs choose among hosts, where that is the same for all alike.
    pub(super) fn prefers_shape(&self) -> Option<&Prefers> {
        let prefers = self.demands.prefers.as_ref();
        prefers.filter(|_| !self.is_choosing_each())
    }

    /// Says whether its jobs choose host by host.
    pub(super) fn is_choosing_each(&self) -> bool {
        self.prefers_each || !self.demands.hosts.is_empty()
    }
}
