//! The farm as the store keeps it: plain values out of the engine, and an engine out of them.

use super::credential::{Credential, CredentialRecord};
use super::deps::Waits;
use super::global::GlobalRecord;
use super::host::Host;
use super::instances::Instances;
use super::items::Items;
use super::job::{Instance, Job, Launch, Orders, Phase};
use super::modes::Modes;
use super::plan::Demands;
use super::share::Stake;
use super::{Config, Engine};
use crate::Now;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tessera_model::credential::{CredentialId, KeyId, PoolKeys};
use tessera_model::msg::{LaunchKey, Run};
use tessera_model::{
    HostFacts, HostId, HostState, InstanceNo, InstanceStatus, JobId, JobSpec, Taken, Timestamp,
    UserName, WorkStatus,
};
use tessera_model::{Lock, LockCalendar, WhileActive};

/// All that outlives the supervisor's process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Image {
    /// The number that the next job gets.
    pub next_job: u64,
    /// All jobs.
    pub jobs: Vec<JobImage>,
    /// All launches that are not gone.
    pub launches: Vec<LaunchImage>,
    /// All hosts.
    pub hosts: Vec<HostImage>,
    /// All registered passwords.
    pub credentials: Vec<CredentialImage>,
    /// The keys of hosts that have any.
    pub pool_keys: Vec<(HostId, PoolKeys)>,
    /// What was said of the farm's own resources.
    pub globals: Vec<GlobalRecord>,
    /// The modes of maintenance that are set.
    pub modes: Modes,
}

/// A registered password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialImage {
    /// What is known of it.
    pub record: CredentialRecord,
    /// What is sealed, by key.
    pub sealed: BTreeMap<KeyId, Vec<u8>>,
}

/// A job with all it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobImage {
    /// What its row has.
    pub row: JobRow,
    /// What it does.
    pub spec: Arc<JobSpec>,
    /// Its items, packed ([`super::items::ItemCore::pack`]).
    pub cells: Vec<u64>,
    /// Its instances, by number.
    pub instances: Vec<InstanceImage>,
}

/// The part of a job that changes often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Its id.
    pub id: JobId,
    /// Its owner.
    pub owner: UserName,
    /// Who submitted it.
    pub submitter: UserName,
    /// How they were proven.
    pub proof: String,
    /// Its idempotency key.
    pub key: Option<String>,
    /// When it was submitted.
    pub submitted: Timestamp,
    /// When its first item was assigned.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Its place in its priority.
    pub order: i64,
    /// What is kept of its waiting for others.
    pub waits: Waits,
    /// Its state, for people who read the store; derived again at start.
    pub status: WorkStatus,
    /// Items by state, in the order of [`tessera_model::ItemStatus::ALL`].
    pub counts: [u32; 8],
}

/// An instance.
pub type InstanceImage = Instance;

/// A launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchImage {
    /// Which.
    pub key: LaunchKey,
    /// Where.
    pub host: HostId,
    /// The account.
    pub account: String,
    /// What it has of its host.
    pub taken: Taken,
    /// `proxy`, `user` or `desktop`.
    pub mode: String,
    /// Whether it takes more items.
    pub phase: Phase,
    /// What it runs.
    pub current: Option<Run>,
    /// What it runs next, in order.
    pub ahead: Vec<Run>,
    /// Since when (assigned).
    pub current_since: Timestamp,
    /// Since when it exists.
    pub since: Timestamp,
    /// Whether its worker said that it exists.
    pub is_started: bool,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostImage {
    /// Its id.
    pub id: HostId,
    /// What its worker said of it.
    pub facts: HostFacts,
    /// The lock that an administrator put on it.
    pub lock: Option<Lock>,
    /// The calendar that an administrator gave it.
    pub calendar: Option<LockCalendar>,
    /// Whether it is locked while somebody is active there.
    pub while_active: Option<WhileActive>,
    /// Whether it was given up for lost (else it is away until its worker connects).
    pub is_down: bool,
    /// When it was heard last.
    pub seen: Timestamp,
}

/// Why an image makes no engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadImage {
    /// A launch of a job or host that does not exist.
    #[error("launch {0} belongs to no known job and host")]
    StrayLaunch(LaunchKey),
    /// Two of the same.
    #[error("job {0} is there twice")]
    JobTwice(JobId),
}

impl Engine {
    /// Answers what the store keeps of a job.
    #[must_use]
    pub fn job_image(&self, id: JobId) -> Option<JobImage> {
        let job = self.jobs.get(&id)?;
        Some(JobImage {
            row: job.row(),
            spec: Arc::clone(&job.spec),
            cells: job.items.cells().to_vec(),
            instances: job.instances.to_vec(),
        })
    }

    /// Answers what the store keeps of a launch, `None` when it is gone.
    #[must_use]
    pub fn launch_image(&self, key: LaunchKey) -> Option<LaunchImage> {
        self.launches.get(&key).map(|launch| LaunchImage {
            key,
            host: launch.host,
            account: launch.account.clone(),
            taken: (*launch.taken).clone(),
            mode: launch.mode.to_owned(),
            phase: launch.phase,
            current: launch.current,
            ahead: launch.ahead.iter().copied().collect(),
            current_since: launch.current_since,
            since: launch.since,
            is_started: launch.is_started,
        })
    }

    /// Answers what the store keeps of a host, `None` when it is gone.
    #[must_use]
    pub fn host_image(&self, id: HostId) -> Option<HostImage> {
        self.hosts.get(&id).map(|host| HostImage {
            id,
            facts: host.facts.clone(),
            lock: host.lock.clone(),
            calendar: host.calendar.clone(),
            while_active: host.while_active,
            is_down: host.state == HostState::Down,
            seen: host.seen,
        })
    }

    /// Answers what the store keeps of a registered password.
    #[must_use]
    pub fn credential_image(&self, id: &CredentialId) -> Option<CredentialImage> {
        self.credentials.get(id).map(|it| CredentialImage {
            record: it.record.clone(),
            sealed: it.sealed.clone(),
        })
    }

    /// Answers all that the store would keep now.
    #[must_use]
    pub fn image(&self) -> Image {
        Image {
            next_job: self.next_job,
            jobs: self
                .jobs
                .keys()
                .filter_map(|id| self.job_image(*id))
                .collect(),
            launches: self
                .launches
                .keys()
                .filter_map(|key| self.launch_image(*key))
                .collect(),
            hosts: self
                .hosts
                .keys()
                .filter_map(|id| self.host_image(*id))
                .collect(),
            credentials: self
                .credentials
                .all
                .keys()
                .filter_map(|id| self.credential_image(id))
                .collect(),
            pool_keys: self
                .credentials
                .keys()
                .iter()
                .map(|(host, keys)| (*host, keys.clone()))
                .collect(),
            globals: self.globals.records().cloned().collect(),
            modes: self.modes.clone(),
        }
    }

    /// Rebuilds the engine from what was durable. Every host is away until its worker connects and has the whole
    /// `worker_lost_timeout` from now for it; retry delays start again.
    ///
    /// # Errors
    /// When the parts do not fit together.
    pub fn restore(config: Config, now: Now, image: Image) -> Result<Self, BadImage> {
        let mut engine = Self::new(config);
        engine.next_job = image.next_job.max(1);
        engine.now = now;
        for host in image.hosts {
            engine.restore_host(now, host);
        }
        for job in image.jobs {
            engine.restore_job(now, job)?;
        }
        for launch in image.launches {
            engine.restore_launch(launch)?;
        }
        engine.restore_items();
        engine.restore_globals(now, image.globals);
        engine.modes = image.modes;
        for CredentialImage { record, sealed } in image.credentials {
            let id = record.id.clone();
            let credential = Credential::new(record, sealed);
            engine.credentials.all.insert(id.clone(), credential);
            engine.watch_credential(now, &id);
        }
        engine.credentials.keys = image.pool_keys.into_iter().collect();
        engine.restore_starts();
        engine.restore_waits();
        let jobs: Vec<_> = engine.jobs.keys().copied().collect();
        for id in jobs {
            engine.rederive(id);
        }
        engine.end_restore_of_waits();
        Ok(engine)
    }

    fn restore_host(&mut self, now: Now, image: HostImage) {
        let state = if image.is_down {
            HostState::Down
        } else {
            HostState::Away
        };
        let mut host = Host::new(image.id, image.facts, state, image.seen);
        host.lock = image.lock;
        host.calendar = image.calendar;
        let until = host.lock.as_ref().and_then(|lock| lock.until);
        if let Some(until) = until {
            let left = Duration::from_millis(until.since_ms(now.wall));
            let timer = super::time::Timer::LockOver(image.id);
            self.timers.set(now.elapsed + left, timer);
        }
        // What its calendar says is looked up with the first input, before anything is placed.
        if host.own_calendar().is_some() || host.calendar.is_some() {
            let timer = super::time::Timer::Calendar(image.id);
            self.timers.set(now.elapsed, timer);
        }
        host.while_active = image.while_active;
        host.away_since = now.elapsed;
        self.timers.set(
            now.elapsed + self.config.worker_lost_timeout,
            super::time::Timer::Lost(image.id),
        );
        self.hosts.insert(image.id, host);
        self.note_resources(image.id, &BTreeMap::new());
    }

    fn restore_job(&mut self, now: Now, image: JobImage) -> Result<(), BadImage> {
        let JobImage {
            row,
            spec,
            cells,
            instances,
        } = image;
        let id = row.id;
        self.next_job = self.next_job.max(id.0 + 1);
        if let Some(key) = &row.key {
            self.by_key.insert((row.owner.clone(), key.clone()), id);
        }
        for instance in &instances {
            if matches!(instance.status, InstanceStatus::Badlogin(_)) {
                self.badlogins.insert(id);
            }
            if matches!(instance.status, InstanceStatus::Waiting { .. }) {
                self.timers
                    .set(now.elapsed, super::time::Timer::Instance(id, instance.no));
            }
        }
        self.hold_at_limit(&row.owner);
        let items = Items::from_cells(&spec, cells);
        if items.count(tessera_model::ItemStatus::Waiting) > 0 {
            let waiting = items
                .indices()
                .filter(|i| items.get(*i).status == tessera_model::ItemStatus::Waiting);
            for item in waiting {
                self.timers.set(
                    now.elapsed + spec.retrywork_delay,
                    super::time::Timer::Item(id, item),
                );
            }
        }
        let had = instances.iter();
        let visited = had.filter_map(|it| it.last_host.map(|host| (host, it.no)));
        let job = Job {
            id,
            visited: match spec.is_once_a_host() {
                true => visited.collect(),
                false => BTreeMap::new(),
            },
            class: self.take_class(Demands::of(&spec, id, &row.owner)),
            owner: row.owner,
            proof: row.proof,
            submitter: row.submitter,
            key: row.key,
            submitted: row.submitted,
            started: row.started,
            ended: row.ended,
            order: row.order,
            waits: row.waits,
            items,
            instances: Instances::new(instances, spec.instances()),
            spec,
            status: row.status,
            bars: Vec::new(),
            wrangle: Default::default(),
            losses: Default::default(),
            grown: None,
            stake: Stake::default(),
            took: Default::default(),
        };
        match self.jobs.insert(id, job) {
            None => {
                self.join_group(id);
                Ok(())
            }
            Some(_) => Err(BadImage::JobTwice(id)),
        }
    }

    fn restore_launch(&mut self, image: LaunchImage) -> Result<(), BadImage> {
        let key = image.key;
        let stray = || BadImage::StrayLaunch(key);
        let host = self.hosts.get_mut(&image.host).ok_or_else(stray)?;
        let job = self.jobs.get_mut(&key.job).ok_or_else(stray)?;
        let taken = Arc::new(image.taken);
        host.restore_launch(key, Arc::clone(&taken));
        let items = job.items.len();
        let runs = image.current.iter().chain(&image.ahead);
        for run in runs.filter(|run| run.item.0 < items) {
            let core = job.items.get(run.item);
            if !(core.status.is_active() && core.attempt == run.attempt) {
                job.items.hold(run.item);
            }
        }
        let launch = Launch {
            key,
            host: image.host,
            account: image.account,
            taken,
            mode: mode_word(&image.mode),
            phase: image.phase,
            current: image.current,
            ahead: image.ahead.into(),
            current_since: image.current_since,
            current_started: None,
            progress: None,
            since: image.since,
            is_started: image.is_started,
            ahead_max: 0,
            ahead_since: Duration::ZERO,
            is_watched: false,
            orders: Orders::default(),
        };
        let owner = job.owner.clone();
        let slots = launch.taken.slots;
        self.launches.insert(key, launch);
        self.count_in(&owner);
        self.count_group_in(key.job);
        self.count_share_in(key.job, slots);
        Ok(())
    }

    /// Puts back items and instances that name a launch which is not there. A consistent store has none; a person who
    /// restores half a backup should lose no frame by it.
    fn restore_items(&mut self) {
        use tessera_model::ItemStatus as S;
        let owned: BTreeSet<_> = self
            .launches
            .values()
            .flat_map(|launch| {
                let job = launch.key.job;
                launch.runs().map(move |run| (job, run.item, run.attempt))
            })
            .collect();
        for job in self.jobs.values_mut() {
            if job.items.count(S::Running) + job.items.count(S::Suspended) > 0 {
                for item in job.items.indices() {
                    let mut core = job.items.get(item);
                    if core.status.is_active() && !owned.contains(&(job.id, item, core.attempt)) {
                        core.status = S::Pending;
                        job.items.set(item, core);
                    }
                }
            }
            let is_lost = |instance: &&Instance| {
                let launch = instance.status.launch();
                let key = launch.map(|launch| LaunchKey {
                    job: job.id,
                    instance: instance.no,
                    launch,
                });
                key.is_some_and(|key| !self.launches.contains_key(&key))
            };
            let lost: Vec<InstanceNo> = job
                .instances
                .iter()
                .filter(is_lost)
                .map(|it| it.no)
                .collect();
            for no in lost {
                job.instances.set(no, InstanceStatus::Pending);
            }
        }
    }

    fn rederive(&mut self, id: JobId) {
        if self.jobs.get(&id).is_some_and(|job| !job.status.is_ended()) {
            self.watch(id);
        }
        if let Some(job) = self.jobs.get_mut(&id) {
            job.status = job.derive_status();
        }
        self.index_job(id);
    }
}

impl Job {
    /// Answers the part of it that changes often.
    #[must_use]
    pub fn row(&self) -> JobRow {
        JobRow {
            id: self.id,
            owner: self.owner.clone(),
            submitter: self.submitter.clone(),
            proof: self.proof.clone(),
            key: self.key.clone(),
            submitted: self.submitted,
            started: self.started,
            ended: self.ended,
            order: self.order,
            waits: self.waits.clone(),
            status: self.status,
            counts: self.items.counts(),
        }
    }
}

fn mode_word(mode: &str) -> &'static str {
    match mode {
        "proxy" => "proxy",
        "desktop" => "desktop",
        _ => "user",
    }
}
