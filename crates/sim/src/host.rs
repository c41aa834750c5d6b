//! A host: its spool, its launcher, shepherds and processes, and the worker process when there is one.

use crate::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tessera_engine::worker::{Found, Worker};
use tessera_model::gpu::GPUS;
use tessera_model::msg::{AttemptEnd, LaunchKey, Run, RunLimits};
use tessera_model::state::End;
use tessera_model::{HostId, Taken, Timestamp};

/// A host of the simulated farm.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its id.
    pub id: HostId,
    /// Its name.
    pub name: String,
    /// Its slots.
    pub slots: u32,
    /// Its memory in MiB.
    pub memory: u64,
    /// Slots that it keeps for each GPU that nobody has.
    pub gpu_slots: u32,
    /// Whether its configuration was changed: it offers less, and is in other groups. That ends nothing there.
    pub is_changed: bool,
    /// When that was so or not so for the last time (ms).
    pub changed_at: u64,
    /// The worker's process, when it runs.
    pub worker: Option<Worker>,
    /// Counts the worker's processes; what was meant for an older one is lost with it.
    pub incarnation: u64,
    /// The connection: its number, as the supervisor counts.
    pub session: Option<u64>,
    /// No new connection before this time.
    pub cut_until: u64,
    /// No launcher before this time.
    pub launcher_down_until: u64,
    /// Nothing can be written to the spool before this time.
    pub spool_full_until: u64,
    /// Directories in the spool, with the limits kept there. Survives everything.
    pub spool: BTreeMap<LaunchKey, RunLimits>,
    /// What the tickets of those gave them of the host.
    pub taken: BTreeMap<LaunchKey, Promise>,
    /// Records of ended attempts in the spool.
    pub exits: BTreeMap<(LaunchKey, Run), AttemptEnd>,
    /// Attempts that have files in the spool: none of them is begun again.
    pub files: BTreeSet<(LaunchKey, Run)>,
    /// Shepherds that live.
    pub shepherds: BTreeMap<LaunchKey, Shepherd>,
    /// Launches that the launcher will not start any more: it said that nothing of them is left.
    pub barred: BTreeSet<LaunchKey>,
}

/// A shepherd and what it keeps.
#[derive(Debug, Clone, Default)]
pub struct Shepherd {
    /// The process that runs.
    pub process: Option<Process>,
    /// The item that is ready but has not begun.
    pub held: Option<Run>,
    /// Whether it is stopped.
    pub is_suspended: bool,
    /// When it began.
    pub since: u64,
    /// Its starter is gone.
    pub has_lost_starter: bool,
    /// What its ticket gave it of the host.
    pub promise: Promise,
}

/// What a ticket gives an instance of its host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Promise {
    /// Slots.
    pub slots: u32,
    /// Memory in MiB; 0: not limited.
    pub memory: u64,
    /// Licences of the farm.
    pub licences: u64,
    /// Its GPUs, a bit for the number of each.
    pub gpus: u64,
    /// How many GPUs it was to have.
    pub gpus_wanted: u64,
    /// Whether it has the host to itself.
    pub is_alone: bool,
}

impl Promise {
    /// Writes it as the simulated ticket.
    #[must_use]
    pub fn ticket(taken: &Taken) -> Vec<u8> {
        let memory = taken.memory().unwrap_or(0);
        let licences = taken.global.get(&crate::shared::licence());
        let licences = licences.copied().unwrap_or(0);
        let gpus = taken
            .gpus
            .iter()
            .fold(0, |bits, number| bits | 1_u64 << number);
        let wanted = taken.amounts.get(GPUS).copied().unwrap_or(0);
        let amounts = [memory, licences, gpus, wanted, u64::from(taken.is_alone)]
            .map(u64::to_le_bytes)
            .concat();
        [&taken.slots.to_le_bytes()[..], &amounts].concat()
    }

    /// Reads a simulated ticket.
    #[must_use]
    pub fn read(ticket: &[u8]) -> Option<Self> {
        let (slots, amounts) = ticket.split_at_checked(4)?;
        let mut amounts = amounts.chunks_exact(8);
        let mut next = || Some(u64::from_le_bytes(amounts.next()?.try_into().ok()?));
        Some(Self {
            slots: u32::from_le_bytes(slots.try_into().ok()?),
            memory: next()?,
            licences: next()?,
            gpus: next()?,
            gpus_wanted: next()?,
            is_alone: next()? == 1,
        })
    }
}

/// A process of an item.
#[derive(Debug, Clone)]
pub struct Process {
    /// What.
    pub run: Run,
    /// When it began.
    pub since: u64,
    /// How it will end.
    pub end: End,
    /// Counts; an end that was planned for another is void.
    pub generation: u64,
    /// Milliseconds that it still runs.
    pub left: u64,
    /// It ignores the polite signal.
    pub is_stubborn: bool,
    /// A limit ended it.
    pub limit: Option<tessera_model::state::Limit>,
}

impl Host {
    /// Makes a host whose worker does not run yet.
    #[must_use]
    pub fn new(number: u8, slots: u32) -> Self {
        Self {
            id: HostId([number; 16]),
            name: format!("rnd{number:03}"),
            slots,
            memory: 0,
            gpu_slots: 0,
            is_changed: false,
            changed_at: 0,
            worker: None,
            incarnation: 0,
            session: None,
            cut_until: 0,
            launcher_down_until: 0,
            spool_full_until: 0,
            spool: BTreeMap::new(),
            taken: BTreeMap::new(),
            exits: BTreeMap::new(),
            files: BTreeSet::new(),
            shepherds: BTreeMap::new(),
            barred: BTreeSet::new(),
        }
    }

    /// Answers the slots that it offers now; what runs may be more.
    #[must_use]
    pub fn offers(&self) -> u32 {
        if self.is_changed {
            (self.slots - 1).max(1)
        } else {
            self.slots
        }
    }

    /// Answers the groups that it is in. The first is in those only that jobs ask for, so that each job has a host.
    #[must_use]
    pub fn groups(&self) -> &'static str {
        match (self.id.0[0], self.is_changed) {
            (1, _) | (2, true) => "fast",
            (2, false) => "fast,slow",
            (_, false) => "slow",
            (_, true) => "",
        }
    }

    /// Answers the cluster that it is in.
    #[must_use]
    pub fn cluster(&self) -> &'static str {
        match self.id.0[0] {
            1 => "/a/b",
            2 => "/a",
            _ => "/",
        }
    }

    /// Answers of which clusters it takes jobs: the first of all, so that each job has a host.
    #[must_use]
    pub fn restrictions(&self) -> &'static str {
        match self.id.0[0] {
            2 => "/a || /a/+",
            _ => "",
        }
    }

    /// Answers what a new worker finds in the spool.
    #[must_use]
    pub fn found(&self, now: u64) -> Vec<Found> {
        let found = |(key, limits): (&LaunchKey, &RunLimits)| {
            let shepherd = self.shepherds.get(key);
            let process = shepherd.and_then(|s| s.process.as_ref());
            Found {
                key: *key,
                limits: limits.clone(),
                is_alive: shepherd.is_some(),
                current: process.map(|p| p.run),
                current_elapsed: Duration::from_millis(process.map_or(0, |p| now - p.since)),
                elapsed: Duration::from_millis(shepherd.map_or(0, |s| now - s.since)),
                is_suspended: shepherd.is_some_and(|s| s.is_suspended),
                // The simulated shepherd counts none of its pauses.
                suspended: Duration::ZERO,
                current_suspended: Duration::ZERO,
                is_starter_lost: shepherd.is_some_and(|s| s.has_lost_starter),
                ended: self.exits_of(*key),
            }
        };
        self.spool.iter().map(found).collect()
    }

    /// Answers the records of a launch.
    #[must_use]
    pub fn exits_of(&self, key: LaunchKey) -> Vec<(Run, AttemptEnd)> {
        self.exits
            .iter()
            .filter(|((k, _), _)| *k == key)
            .map(|((_, run), end)| (*run, end.clone()))
            .collect()
    }
}

/// Makes the process of an attempt: mostly short, mostly good. It needs memory that its item alone decides.
pub fn process(rng: &mut Rng, run: Run, memory: u64, now: u64, generation: u64) -> Process {
    let needs = 1 + u64::from(run.item.0) * 7 % (2 * crate::client::MEMORY_MAX);
    let end = match rng.below(20) {
        _ if memory > 0 && memory < needs => End::OutOfMemory {
            peak: memory << 20,
            limit: memory << 20,
        },
        2 if memory == 0 => End::OutOfMemory { peak: 0, limit: 0 },
        0 => End::Exit(1),
        1 => End::Signal(11),
        _ => End::Exit(0),
    };
    let left = if rng.chance(5) {
        rng.between(60_000, 400_000)
    } else {
        let most = if rng.chance(60) { 600 } else { 8_000 };
        rng.between(5, most)
    };
    Process {
        run,
        since: now,
        end,
        generation,
        left,
        is_stubborn: rng.chance(10),
        limit: None,
    }
}

/// Answers the record of a process that ended now.
#[must_use]
pub fn record(process: &Process, end: End, wall: Timestamp, now: u64) -> AttemptEnd {
    let started = wall.plus_ms(-i64::try_from(now - process.since).unwrap_or(0));
    AttemptEnd {
        elapsed: Duration::from_millis(now - process.since),
        ..AttemptEnd::nothing_ran(end, started)
    }
}
