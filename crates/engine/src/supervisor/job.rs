//! Jobs, instances and launches as the engine holds them, and what follows from them: a job's state.

use super::deps::Waits;
use super::instances::Instances;
use super::io::SessionId;
use super::items::{Items, Size};
use super::losses::Losses;
use super::plan::Demands;
use super::share::Stake;
use super::wide::took::Took;
use super::wrangle;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tessera_model::msg::{LaunchKey, Run};
use tessera_model::{
    HostId, InstanceNo, InstanceStatus, ItemIndex, ItemStatus, JobId, JobKind, JobSpec, LaunchNo,
    Taken, Timestamp, UserName, WorkStatus,
};

/// A job.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What it does.
    pub spec: Arc<JobSpec>,
    /// Whose it is; the account to run as where a host runs jobs as users.
    pub owner: UserName,
    /// How the submitter was proven.
    pub proof: String,
    /// Who submitted it.
    pub submitter: UserName,
    /// Its idempotency key.
    pub key: Option<String>,
    /// When it was submitted.
    pub submitted: Timestamp,
    /// When its first item was assigned.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Its place among jobs of the same priority, smaller first; its id unless moved to top or bottom.
    pub order: i64,
    /// What is kept of its waiting for others.
    pub waits: Waits,
    pub(super) items: Items,
    pub(super) instances: Instances,
    pub(super) status: WorkStatus,
    /// Hosts that it was migrated away from, or keeps off for what failed there, until then (monotonic time).
    pub(super) bars: Vec<(HostId, Duration)>,
    /// Where each host is to run it once: the hosts that its instances had, each with its own.
    pub(super) visited: BTreeMap<HostId, InstanceNo>,
    /// How its items fared on hosts.
    pub(super) wrangle: wrangle::Record,
    /// Items whose shepherd was lost in a row, how often.
    pub(super) losses: BTreeMap<ItemIndex, Losses>,
    pub(super) class: usize,
    /// What its next instance would be, as the planner was told.
    pub(super) stake: Stake,
    /// What its items ask for that ran out of memory, while it has such.
    pub(super) grown: Option<Grown>,
    /// How long its items took.
    pub(super) took: Took,
}

/// What the items of a job ask for that ran out of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grown {
    /// The greatest growth of one of them.
    pub growth: u8,
    /// The memory that all of them ask for now, in MiB; nothing when the job reserves none.
    pub memory: Option<u64>,
    pub(super) class: usize,
}

/// One of a job's parallel executors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its number.
    pub no: InstanceNo,
    /// Its state.
    pub status: InstanceStatus,
    /// The newest of its launches; 0 before the first.
    pub launch_last: LaunchNo,
    /// Retries that failures have used up.
    pub retries_used: u32,
    /// Losses in a row that were no fault of the job.
    pub losses: u32,
    /// Where it ran last.
    pub last_host: Option<HostId>,
    /// Why it failed, while it is failed.
    pub failure: Option<String>,
}

/// A start of an instance on a host, until nothing of it is left there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// Which.
    pub key: LaunchKey,
    /// Where.
    pub host: HostId,
    /// The account that it runs as there.
    pub account: String,
    /// What it has of its host, until nothing of it is left there.
    pub taken: Arc<Taken>,
    /// `proxy`, `user` or `desktop`.
    pub mode: &'static str,
    /// Whether it takes more items.
    pub phase: Phase,
    /// The item that it was given last and that has not ended.
    pub current: Option<Run>,
    /// The items that it runs next without being asked, in order; short frames only.
    pub ahead: VecDeque<Run>,
    /// When the current one was assigned, or took over.
    pub current_since: Timestamp,
    /// When its process was seen, by the host's clock.
    pub current_started: Option<Timestamp>,
    /// Its progress in percent.
    pub progress: Option<u8>,
    /// When it was assigned.
    pub since: Timestamp,
    /// Whether its worker said that it exists.
    pub is_started: bool,
    /// How many items it is given ahead, by how quickly its last one was over.
    pub ahead_max: usize,
    /// Since when those wait behind the current one (monotonic time).
    pub(super) ahead_since: std::time::Duration,
    /// A timer looks at them.
    pub(super) is_watched: bool,
    pub(super) orders: Orders,
}

/// On which connection of its worker a launch was ordered, and what runs in it: what the worker says on the same connection
/// it may have said before it heard of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Orders {
    start: Option<SessionId>,
    runs: Vec<(Run, SessionId)>,
}

impl Orders {
    /// Notes the order to start, with the first item, on this connection.
    pub(super) fn started(session: Option<SessionId>, first: Run) -> Self {
        Self {
            start: session,
            runs: session
                .map(|session| (first, session))
                .into_iter()
                .collect(),
        }
    }

    /// Notes the order to run an item on this connection.
    pub(super) fn sent(&mut self, run: Run, session: Option<SessionId>) {
        self.runs.retain(|(sent, _)| *sent != run);
        self.runs.extend(session.map(|session| (run, session)));
    }

    /// Says whether the order to start may still be on its way to who says something on this connection.
    pub(super) fn may_be_starting(&self, session: Option<SessionId>) -> bool {
        session.is_some() && self.start == session
    }

    /// The same of the order to run an item.
    pub(super) fn may_be_coming(&self, run: Run, session: Option<SessionId>) -> bool {
        session.is_some_and(|session| self.runs.contains(&(run, session)))
    }
}

impl Launch {
    /// Answers the items that it has, the current one first.
    pub fn runs(&self) -> impl Iterator<Item = Run> + use<'_> {
        self.current.into_iter().chain(self.ahead.iter().copied())
    }

    /// Takes an item off, wherever it is; the next one becomes the current one. Says whether it was there.
    pub(super) fn take(&mut self, run: Run) -> bool {
        self.orders.runs.retain(|(sent, _)| *sent != run);
        if self.current == Some(run) {
            self.current = self.ahead.pop_front();
            return true;
        }
        let before = self.ahead.len();
        self.ahead.retain(|it| *it != run);
        self.ahead.len() < before
    }

    /// Takes all items off.
    pub(super) fn take_all(&mut self) -> Vec<Run> {
        let runs = self.runs().collect();
        self.orders.runs.clear();
        self.current = None;
        self.ahead.clear();
        runs
    }
}

/// Whether a launch takes more items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It does.
    Open,
    /// It finishes its item, and its instance then becomes this.
    Finishing(WorkStatus),
    /// It was told to end; its slot is free when it is gone.
    Closing,
}

impl Job {
    /// Answers its state.
    #[must_use]
    pub fn status(&self) -> WorkStatus {
        self.status
    }

    /// Says whether it has more items to give out than it has instances that could take them.
    pub(super) fn has_more_than_it_takes(&self) -> bool {
        self.items.ready() > u64::from(self.spec.instances())
    }

    /// Answers the items that wait because their shepherd was lost again and again.
    pub(super) fn losing_items(&self) -> Vec<ItemIndex> {
        let items = self.losses.keys().copied();
        let waits = |item: &ItemIndex| {
            item.0 < self.items.len() && self.items.get(*item).status == ItemStatus::Waiting
        };
        items.filter(waits).collect()
    }

    /// Answers what it demands of a host.
    #[must_use]
    pub fn demands(&self) -> Demands {
        let mut demands = Demands::of(&self.spec, self.id, &self.owner);
        demands.is_secondary = self.stake != Stake::Primary;
        demands
    }

    /// Answers its items.
    #[must_use]
    pub fn items(&self) -> &Items {
        &self.items
    }

    /// Answers its instances.
    #[must_use]
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// Answers the instance with that number.
    #[must_use]
    pub fn instance(&self, no: InstanceNo) -> Option<&Instance> {
        self.instances.get(no.0 as usize)
    }

    /// Says whether each instance has just its own item.
    #[must_use]
    pub fn is_cmdline(&self) -> bool {
        matches!(self.spec.kind, JobKind::CmdLine)
    }

    /// Answers the item that this instance would take next with what it has of its host: one that ran out of memory before
    /// the others where there is enough for it, since not every instance can take those.
    #[must_use]
    pub fn next_item(&self, instance: InstanceNo, taken: &Taken) -> Option<ItemIndex> {
        let grown = self.suits_grown(taken).then_some(Size::Grown);
        let mut sizes = grown.into_iter().chain([Size::Plain]);
        sizes.find_map(|size| self.next_of(instance, size))
    }

    /// Says whether what an instance has of its host is enough for the items that ran out of memory.
    fn suits_grown(&self, taken: &Taken) -> bool {
        self.grown
            .is_some_and(|grown| grown.memory.is_none() || taken.memory() >= grown.memory)
    }

    fn next_of(&self, instance: InstanceNo, size: Size) -> Option<ItemIndex> {
        if self.is_cmdline() {
            let own = ItemIndex(instance.0);
            (instance.0 < self.items.len() && self.items.is_ready(own, size)).then_some(own)
        } else {
            self.items.next_ready(size)
        }
    }

    /// Answers a pending instance that has something to do.
    #[must_use]
    pub fn next_instance(&self) -> Option<(InstanceNo, ItemIndex)> {
        Size::ALL
            .into_iter()
            .find_map(|size| self.next_instance_of(size))
    }

    /// Answers a pending instance that has something of that size to do.
    #[must_use]
    pub fn next_instance_of(&self, size: Size) -> Option<(InstanceNo, ItemIndex)> {
        if self.items.ready() == 0 {
            return None;
        }
        let pending = self.instances.pending();
        if self.is_cmdline() {
            let own = self.items.next_ready_of(pending, size)?;
            return Some((InstanceNo(own.0), own));
        }
        let first = pending.min()?;
        Some((InstanceNo(first), self.items.next_ready(size)?))
    }

    /// Answers the one of them that may do it on a host: where each host is to run it once, its own, or one that had none yet.
    pub(super) fn next_instance_on(
        &self,
        size: Size,
        host: HostId,
    ) -> Option<(InstanceNo, ItemIndex)> {
        if !self.spec.is_once_a_host() {
            return self.next_instance_of(size);
        }
        let pending = self.instances.pending();
        let item = |no: InstanceNo| Some((no, self.next_of(no, size)?));
        if let Some(own) = self.visited.get(&host) {
            return pending.contains(own.0).then(|| item(*own)).flatten();
        }
        let mut fresh = pending.iter().map(InstanceNo).filter(|no| {
            let instance = self.instance(*no);
            instance.is_some_and(|it| it.last_host.is_none())
        });
        fresh.find_map(item)
    }

    /// Says whether a host has had its run, where each runs the job once, or has it.
    pub(super) fn has_done_with(&self, host: HostId) -> bool {
        let own = self.visited.get(&host);
        own.is_some_and(|own| !self.instances.pending().contains(own.0))
    }

    /// Counts the pending instances that have something of that size to do; of a job that grows those that it may ask for at a time.
    #[must_use]
    pub fn waiting_of(&self, size: Size) -> u64 {
        let pending = self.instances.pending();
        if self.is_cmdline() {
            self.items.ready_among(pending, size)
        } else {
            let waiting = self.items.ready_in(size).min(pending.len());
            waiting.min(self.asks_at_once())
        }
    }

    /// Answers the class of its items of that size, if it has one.
    #[must_use]
    pub(super) fn class_of(&self, size: Size) -> Option<usize> {
        match size {
            Size::Plain => Some(self.class),
            Size::Grown => self.grown.map(|grown| grown.class),
        }
    }

    /// Answers which of its items a class is for.
    pub(super) fn size_of(&self, class: usize) -> Option<Size> {
        let mut sizes = Size::ALL.into_iter();
        sizes.find(|size| self.class_of(*size) == Some(class))
    }

    /// Answers which of its first so many instances have not ended, with the launch of those that have one.
    pub(super) fn live(&self, first: usize) -> Vec<(InstanceNo, Option<LaunchKey>)> {
        let instances = self.instances.iter().take(first);
        let live = instances.filter(|it| !it.status.kind().is_ended());
        let with_launch = live.map(|it| {
            let launch = it.status.launch();
            let key = launch.map(|launch| LaunchKey {
                job: self.id,
                instance: it.no,
                launch,
            });
            (it.no, key)
        });
        with_launch.collect()
    }

    /// Counts instances in a state, surplus ones left out.
    #[must_use]
    pub fn instances_in(&self, word: WorkStatus) -> usize {
        self.instances.in_state(word)
    }

    /// Derives the state from items and instances.
    #[must_use]
    pub fn derive_status(&self) -> WorkStatus {
        // What waits for others may not start any time.
        let count = |status| self.items.count_shown(status);
        if self.items.ended() == self.items.len() {
            return if count(ItemStatus::Killed) > 0 {
                WorkStatus::Killed
            } else if count(ItemStatus::Failed) > 0 {
                WorkStatus::Failed
            } else {
                WorkStatus::Complete
            };
        }
        if count(ItemStatus::Running) > 0 {
            return WorkStatus::Running;
        }
        if count(ItemStatus::Suspended) > 0 {
            return WorkStatus::Suspended;
        }
        if self.instances.ended() == self.instances.wanted() {
            // With work left and nobody to do it somebody must have ended it, by killing or retiring its instances.
            return if self.instances_in(WorkStatus::Failed) > 0 {
                WorkStatus::Failed
            } else {
                WorkStatus::Killed
            };
        }
        if self.instances_in(WorkStatus::Badlogin) > 0
            && self.instances_in(WorkStatus::Pending) == 0
        {
            return WorkStatus::Badlogin;
        }
        if count(ItemStatus::Pending) > 0 && self.instances_in(WorkStatus::Pending) > 0 {
            return WorkStatus::Pending;
        }
        let waits = count(ItemStatus::Waiting) > 0 || self.instances_in(WorkStatus::Waiting) > 0;
        if waits && self.instances_in(WorkStatus::Blocked) < self.instances.wanted() {
            return WorkStatus::Waiting;
        }
        if count(ItemStatus::Pending) > 0 && self.instances_in(WorkStatus::Running) > 0 {
            return WorkStatus::Running;
        }
        WorkStatus::Blocked
    }
}
