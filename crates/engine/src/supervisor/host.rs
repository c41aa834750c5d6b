//! Hosts as the engine holds them.

use super::io::SessionId;
use super::locks::ByWeek;
use super::plan::asks::{Said, said_by_host};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tessera_model::gpu::{GPU_DEVICES, GPUS, GPUS_UNCLEAR, Gpus, free_gpus};
use tessera_model::host::Takes;
use tessera_model::msg::LaunchKey;
use tessera_model::requirements::Operand;
use tessera_model::reservation::PROCESSORS;
use tessera_model::{
    ClusterPath, HostFacts, HostId, HostState, JobId, Lock, LockCalendar, Refusal, SlotSet, Taken,
    Timestamp, WhileActive,
};

/// What a job's match with a host depends on besides its name and its amounts; many hosts have the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Traits {
    /// The groups that it is in.
    pub groups: BTreeSet<String>,
    /// The cluster that it is in.
    pub cluster: ClusterPath,
    /// Of which clusters it takes jobs.
    pub takes: Takes,
    /// What else it says of itself, of what the requirements of jobs read.
    pub said: BTreeMap<Operand, Said>,
}

impl Traits {
    /// Reads them off what a host's worker says of it.
    #[must_use]
    pub fn of<'a>(facts: &HostFacts, read: impl Iterator<Item = &'a Operand>) -> Self {
        let said = read.filter_map(|operand| match operand {
            Operand::Host(of_host) => Some((operand.clone(), said_by_host(of_host, facts)?)),
            Operand::Job(_) => None,
        });
        Self {
            groups: facts.groups(),
            cluster: facts.cluster(),
            takes: facts.takes(),
            said: said.collect(),
        }
    }
}

/// What the property [`GPUS_UNCLEAR`] says, until the worker says anew what the host has.
const UNCLEAR: &str =
    "instances had some when the list changed; others get none until those are gone";

/// A host of the farm.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its id.
    pub id: HostId,
    /// What its worker said of it last.
    pub facts: HostFacts,
    /// Whether it can be given work.
    pub state: HostState,
    /// Locked by an administrator, all of it or some slots: finishes what it has there.
    pub lock: Option<Lock>,
    /// The calendar that an administrator gave it.
    pub calendar: Option<LockCalendar>,
    pub(super) by_week: ByWeek,
    /// The slots that somebody had purged and that are locked since, as far as this supervisor has heard itself.
    pub(super) purged: SlotSet,
    /// That it is empty was told.
    pub(super) is_drained_told: bool,
    /// Locked by an administrator for as long as somebody is active there.
    pub while_active: Option<WhileActive>,
    /// For how long nobody had touched it, as its worker said last.
    pub idle: Option<Duration>,
    /// When it was heard last.
    pub seen: Timestamp,
    pub(super) traits: Arc<Traits>,
    pub(super) session: Option<SessionId>,
    /// Whether its worker has said what it has on this connection.
    pub(super) is_synced: bool,
    /// Its launches with what each has of it.
    pub(super) launches: BTreeMap<LaunchKey, Arc<Taken>>,
    /// Launches that its worker has and the farm gave up; they keep what they took, and their jobs off the host, until gone.
    pub(super) strays: BTreeMap<LaunchKey, Arc<Taken>>,
    /// What launches had that the farm gave up while its worker was away, until it says what is left of them.
    pub(super) given_up: BTreeMap<LaunchKey, Arc<Taken>>,
    /// Launches with GPUs of a list that has changed since: what their numbers mean now isn't known. Those that are gone needn't be taken out.
    pub(super) unclear: BTreeSet<LaunchKey>,
    pub(super) refused: BTreeMap<String, RefusedAccount>,
    /// What of it is kept for whom room was made there ([`super::preempt`]).
    pub(super) kept: Kept,
    /// What lost its shepherd there last, if that was counted.
    pub(super) last_loss: Option<super::losses::LastLoss>,
    /// Jobs that keep off it for what failed there and succeed elsewhere, since when, as long as nothing succeeds there.
    pub(super) blamed: BTreeMap<JobId, Duration>,
    pub(super) last_heard: Duration,
    pub(super) away_since: Duration,
}

/// What of a host is kept and given to nobody else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Kept {
    pub(super) slots: u32,
    /// Whether it is for who has the host to itself: then nothing of it is given to anybody else.
    pub(super) is_whole: bool,
    pub(super) amounts: BTreeMap<String, u64>,
}

/// An account that a host would not become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedAccount {
    /// Why.
    pub refusal: Refusal,
    /// When to ask again (monotonic time).
    pub until: Duration,
    /// The pause before that.
    pub pause: Duration,
    /// The pause is over: the next try tells.
    pub is_probing: bool,
}

/// Answers the GPUs that a host lists; a list that can't be read is none.
fn listed(facts: &HostFacts) -> Gpus {
    let listed = facts.properties.get(GPU_DEVICES);
    let listed = listed.and_then(|text| Gpus::read(text));
    listed.unwrap_or_default()
}

impl Host {
    pub(super) fn new(id: HostId, facts: HostFacts, state: HostState, seen: Timestamp) -> Self {
        Self {
            id,
            traits: Arc::default(),
            facts,
            state,
            lock: None,
            calendar: None,
            by_week: ByWeek::default(),
            purged: SlotSet::default(),
            is_drained_told: false,
            while_active: None,
            idle: None,
            seen,
            session: None,
            is_synced: false,
            launches: BTreeMap::new(),
            strays: BTreeMap::new(),
            given_up: BTreeMap::new(),
            unclear: BTreeSet::new(),
            refused: BTreeMap::new(),
            kept: Kept::default(),
            last_loss: None,
            blamed: BTreeMap::new(),
            last_heard: Duration::ZERO,
            away_since: Duration::ZERO,
        }
    }

    /// Takes what its worker says of it now and answers what it had of resources. [`Self::set_traits`] comes next.
    pub(super) fn set_facts(&mut self, facts: HostFacts) -> BTreeMap<String, u64> {
        let before = std::mem::replace(&mut self.facts, facts);
        self.note_devices(&before);
        before.resources
    }

    /// Notes whose GPUs may be others than their numbers say, now that the list is this one. The facts say so, too: they are stored.
    fn note_devices(&mut self, before: &HostFacts) {
        let all = [&self.launches, &self.strays, &self.given_up].into_iter();
        let with_gpus = all.flatten().filter(|(_, taken)| !taken.gpus.is_empty());
        let with_gpus: BTreeSet<LaunchKey> = with_gpus.map(|(key, _)| *key).collect();
        self.unclear.retain(|key| with_gpus.contains(key));
        if !listed(before).is_continued_by(&listed(&self.facts)) {
            self.unclear.extend(with_gpus);
        }
        self.facts.properties.remove(GPUS_UNCLEAR);
        if !self.unclear.is_empty() {
            let (name, text) = (GPUS_UNCLEAR.to_owned(), UNCLEAR.to_owned());
            self.facts.properties.insert(name, text);
        }
    }

    /// Takes a launch that the store has. Whether it was there before the list changed is not stored: it counts as such.
    pub(super) fn restore_launch(&mut self, key: LaunchKey, taken: Arc<Taken>) {
        if !taken.gpus.is_empty() && self.facts.properties.contains_key(GPUS_UNCLEAR) {
            self.unclear.insert(key);
        }
        self.launches.insert(key, taken);
    }

    /// Says whether it can't be known which of its GPUs are free.
    pub(super) fn has_unclear_gpus(&self) -> bool {
        let all = [&self.launches, &self.strays, &self.given_up];
        let is_there = |key: &LaunchKey| all.iter().any(|it| it.contains_key(key));
        self.unclear.iter().any(is_there)
    }

    /// Reads off anew what its match with a job depends on, of that what somebody reads; says whether that changed.
    pub(super) fn set_traits<'a>(&mut self, read: impl Iterator<Item = &'a Operand>) -> bool {
        let traits = Traits::of(&self.facts, read);
        let is_other = *self.traits != traits;
        if is_other {
            self.traits = Arc::new(traits);
        }
        is_other
    }

    /// Answers the jobs that have an instance there, those that are ending, too.
    pub(super) fn on_duty(&self) -> impl Iterator<Item = JobId> {
        let all: BTreeSet<JobId> = self
            .launches
            .keys()
            .chain(self.strays.keys())
            .map(|key| key.job)
            .collect();
        all.into_iter()
    }

    /// Counts the instances of a job that are there, those that are ending, too.
    #[must_use]
    pub fn instances_of(&self, job: JobId) -> u32 {
        let key = |job| LaunchKey {
            job,
            instance: Default::default(),
            launch: Default::default(),
        };
        let range = key(job)..key(JobId(job.0 + 1));
        let there = [&self.launches, &self.strays].map(|all| all.range(range.clone()).count());
        u32::try_from(there[0] + there[1]).unwrap_or(u32::MAX)
    }

    /// Answers what a job's match with it depends on besides its name and its amounts.
    #[must_use]
    pub fn traits(&self) -> &Traits {
        &self.traits
    }

    /// Answers the groups that it is in.
    #[must_use]
    pub fn groups(&self) -> &BTreeSet<String> {
        &self.traits.groups
    }

    /// Says whether it suits the demands of a job, whatever it has to give away.
    #[must_use]
    pub fn suits(&self, demands: &super::plan::Demands) -> bool {
        let asks = demands.asks.as_ref();
        demands.admit(&self.facts.name)
            && demands.suit(&self.traits)
            && asks.is_none_or(|asks| asks.suits(&self.facts, demands))
    }

    /// Says whether it may have one more instance of a job with these demands, as far as they say how many one host may have.
    pub(super) fn has_place_for(&self, demands: &super::plan::Demands) -> bool {
        let per_host = demands.per_host;
        per_host.is_none_or(|(job, most)| self.instances_of(job) < most)
    }

    /// Says whether something of a job that the farm gave up may still run there.
    #[must_use]
    pub fn has_stray_of(&self, job: tessera_model::JobId) -> bool {
        self.strays.keys().any(|key| key.job == job)
    }

    /// Answers the slots in use, those of launches that are ending included.
    #[must_use]
    pub fn used(&self) -> u32 {
        self.takers().fold(0, |sum: u32, taken| {
            sum.saturating_add(self.slots_of(taken))
        })
    }

    /// Answers how many slots somebody has of it: who has it to itself all that it offers now, whatever it offered before.
    pub(super) fn slots_of(&self, taken: &Taken) -> u32 {
        match taken.is_alone {
            true => taken.slots.max(self.open_slots()),
            false => taken.slots,
        }
    }

    /// Answers how much of a resource somebody has of it, slots among them.
    pub(super) fn part_of(&self, taken: &Taken, resource: &str) -> u64 {
        match resource {
            PROCESSORS => u64::from(self.slots_of(taken)),
            other => taken.amounts.get(other).copied().unwrap_or(0),
        }
    }

    /// Says whether nothing is there, and nothing of it is kept for anybody.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.launches.is_empty() && self.strays.is_empty() && self.kept == Kept::default()
    }

    /// Answers it as it would be without what runs there.
    pub(super) fn emptied(&self) -> Self {
        let mut emptied = self.clone();
        emptied.launches.clear();
        emptied.strays.clear();
        emptied
    }

    /// What is taken of it, launch by launch: the truth that all sums are made from, so that nothing is given back twice.
    fn takers(&self) -> impl Iterator<Item = &Taken> {
        let all = self.launches.values().chain(self.strays.values());
        all.map(Arc::as_ref)
    }

    /// Says whether it can be given work now at all.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let is_up = self.state == HostState::Up && self.is_synced;
        is_up && !self.is_locked() && self.why_kept().is_none()
    }

    /// Answers how much it has of a resource beside its slots.
    #[must_use]
    pub fn total_of(&self, resource: &str) -> u64 {
        self.facts.resources.get(resource).copied().unwrap_or(0)
    }

    /// Answers how much of it is taken, by launches that are ending, too.
    #[must_use]
    pub fn used_of(&self, resource: &str) -> u64 {
        self.takers()
            .filter_map(|taken| taken.amounts.get(resource))
            .fold(0, |sum: u64, amount| sum.saturating_add(*amount))
    }

    /// Answers the numbers of so many GPUs of it that nothing there has, launches that are ending included.
    pub(super) fn gpus_for(&self, wanted: u64) -> BTreeSet<u8> {
        if wanted == 0 || self.has_unclear_gpus() {
            return BTreeSet::new();
        }
        let taken = self.takers().flat_map(|taken| taken.gpus.iter().copied());
        free_gpus(self.total_of(GPUS), &taken.collect(), wanted)
    }

    /// Answers the variables that keep programs to what an instance took there.
    pub(super) fn variables_for(&self, taken: &Taken) -> Vec<(&'static str, String)> {
        if taken.gpus.is_empty() {
            return Vec::new();
        }
        listed(&self.facts).variables(&taken.gpus)
    }

    /// Answers how much of a resource beside its slots is free and not kept for somebody, whether the host is open or not.
    #[must_use]
    pub fn free_of(&self, resource: &str) -> u64 {
        let kept = self.kept.amounts.get(resource).copied().unwrap_or(0);
        self.unused_of(resource).saturating_sub(kept)
    }

    /// Answers the slots that can be given away now.
    #[must_use]
    pub fn free(&self) -> u32 {
        if self.is_open() { self.free_slots() } else { 0 }
    }

    fn free_slots(&self) -> u32 {
        if self.kept.is_whole {
            return 0;
        }
        let unused = self.open_slots().saturating_sub(self.used());
        unused.saturating_sub(self.kept.slots)
    }

    /// Answers how much it has of a resource, slots among them as far as they are not locked.
    pub(super) fn open_of_any(&self, resource: &str) -> u64 {
        match resource {
            PROCESSORS => u64::from(self.open_slots()),
            other => self.total_of(other),
        }
    }

    /// Answers how much of a resource nobody has, slots among them, whether it is kept or not.
    pub(super) fn unused_of(&self, resource: &str) -> u64 {
        match resource {
            PROCESSORS => u64::from(self.open_slots().saturating_sub(self.used())),
            GPUS if self.has_unclear_gpus() => 0,
            other => self.total_of(other).saturating_sub(self.used_of(other)),
        }
    }

    /// Answers how much it has of a resource, slots among them.
    #[must_use]
    pub fn total_of_any(&self, resource: &str) -> u64 {
        match resource {
            PROCESSORS => u64::from(self.facts.slots),
            other => self.total_of(other),
        }
    }

    /// Answers how much of a resource is free, slots among them.
    #[must_use]
    pub fn free_of_any(&self, resource: &str) -> u64 {
        match resource {
            PROCESSORS => u64::from(self.free_slots()),
            other => self.free_of(other),
        }
    }

    /// Says why it is kept for who works at it, if it is. A worker that was told to look and has not said what it sees
    /// keeps it, too.
    #[must_use]
    pub fn why_kept(&self) -> Option<String> {
        match (&self.facts.presence, self.while_active) {
            (Some(presence), _) => presence.is_closed.then(|| presence.reason(self.idle)),
            (None, Some(_)) => Some(
                "locked while somebody is active, and its worker has not said whether somebody is (is it of an older release?)"
                    .into(),
            ),
            (None, None) => None,
        }
    }

    /// Says whether an instance of this owner may stay there for another item.
    pub(super) fn may_keep(&self, owner: &str) -> bool {
        !self.is_locked()
            && self.why_kept().is_none()
            && self.facts.admits(owner)
            && !matches!(self.state, HostState::Panic(_) | HostState::Down)
    }

    /// Answers its launches.
    #[must_use]
    pub fn launches(&self) -> &BTreeMap<LaunchKey, Arc<Taken>> {
        &self.launches
    }

    /// Answers the accounts that it would not become, with why.
    pub fn refusals(&self) -> impl Iterator<Item = (&str, &Refusal)> {
        self.refused
            .iter()
            .map(|(account, refused)| (account.as_str(), &refused.refusal))
    }

    /// Says whether it refused the account, so that nothing is sent there for it now.
    #[must_use]
    pub fn refuses(&self, account: &str) -> bool {
        self.refused
            .get(account)
            .is_some_and(|refused| !refused.is_probing)
    }

    /// Says whether its worker is connected.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.session.is_some()
    }
}
