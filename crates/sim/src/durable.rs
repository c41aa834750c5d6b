//! The supervisor's store: what was committed, as plain images.

use std::collections::BTreeMap;
use tessera_engine::supervisor::items::ItemCore;
use tessera_engine::supervisor::{
    AttemptRecord, Change, CredentialImage, Engine, GlobalRecord, HostImage, Image, JobImage,
    LaunchImage, Modes,
};
use tessera_model::credential::{CredentialId, PoolKeys};
use tessera_model::msg::LaunchKey;
use tessera_model::{HostId, JobId};

/// What is on disk.
#[derive(Debug, Clone, Default)]
pub struct Durable {
    next_job: u64,
    jobs: BTreeMap<JobId, JobImage>,
    launches: BTreeMap<LaunchKey, LaunchImage>,
    hosts: BTreeMap<HostId, HostImage>,
    credentials: BTreeMap<CredentialId, CredentialImage>,
    pool_keys: BTreeMap<HostId, PoolKeys>,
    globals: Vec<GlobalRecord>,
    modes: Modes,
    /// Every attempt that was recorded.
    pub attempts: Vec<AttemptRecord>,
}

impl Durable {
    /// Makes these changes durable, as the daemon's `persist` does: what is named is read from the engine, items change
    /// one by one as their events say.
    pub fn commit(&mut self, engine: &Engine, changes: &[Change]) {
        self.next_job = engine.next_job();
        for change in changes {
            self.apply(engine, change);
        }
    }

    fn apply(&mut self, engine: &Engine, change: &Change) {
        match change {
            Change::JobWhole(id) => {
                if let Some(image) = engine.job_image(*id) {
                    self.jobs.insert(*id, image);
                }
            }
            Change::JobRow(id) => {
                if let (Some(job), Some(kept)) = (engine.job(*id), self.jobs.get_mut(id)) {
                    // What is kept of its waiting is in its description.
                    let waits = std::mem::take(&mut kept.row.waits);
                    kept.row = job.row();
                    kept.row.waits = waits;
                }
            }
            Change::JobSpec(id) => {
                if let (Some(job), Some(kept)) = (engine.job(*id), self.jobs.get_mut(id)) {
                    kept.row.waits = job.waits.clone();
                    kept.spec = job.spec.clone();
                }
            }
            Change::JobRemoved(id) => _ = self.jobs.remove(id),
            Change::ItemsRefold(id) => {
                if let (Some(job), Some(kept)) = (engine.job(*id), self.jobs.get_mut(id)) {
                    kept.cells = job.items().cells().to_vec();
                }
            }
            Change::Instance(id, no) => {
                let Some(kept) = self.jobs.get_mut(id) else {
                    return;
                };
                let Some(instance) = engine.job(*id).and_then(|job| job.instance(*no)) else {
                    return;
                };
                match kept.instances.get_mut(no.0 as usize) {
                    Some(slot) => *slot = instance.clone(),
                    None => kept.instances.push(instance.clone()),
                }
            }
            Change::Launch(key) => match engine.launch_image(*key) {
                Some(image) => _ = self.launches.insert(*key, image),
                None => _ = self.launches.remove(key),
            },
            Change::Host(id) => match engine.host_image(*id) {
                Some(image) => _ = self.hosts.insert(*id, image),
                None => _ = self.hosts.remove(id),
            },
            Change::Credential(id) | Change::CredentialSeal(id, _) => {
                match engine.credential_image(id) {
                    Some(image) => _ = self.credentials.insert(id.clone(), image),
                    None => _ = self.credentials.remove(id),
                }
            }
            Change::PoolKeys(host) => match engine.credentials().keys().get(host) {
                Some(keys) => _ = self.pool_keys.insert(*host, keys.clone()),
                None => _ = self.pool_keys.remove(host),
            },
            Change::Globals => self.globals = engine.globals().records().cloned().collect(),
            Change::Modes => self.modes = engine.modes().clone(),
            Change::Attempt(record) => self.attempts.push((**record).clone()),
            Change::Event(event) => {
                let (Some(id), Some(item), Some(cell)) = (event.job, event.item, event.core) else {
                    return;
                };
                if let Some(kept) = self.jobs.get_mut(&id)
                    && let Some(slot) = kept.cells.get_mut(item.0 as usize)
                {
                    *slot = cell;
                }
            }
        }
    }

    /// Answers what a new supervisor reads.
    #[must_use]
    pub fn image(&self) -> Image {
        Image {
            next_job: self.next_job,
            jobs: self.jobs.values().cloned().collect(),
            launches: self.launches.values().cloned().collect(),
            hosts: self.hosts.values().cloned().collect(),
            credentials: self.credentials.values().cloned().collect(),
            pool_keys: self.pool_keys.clone().into_iter().collect(),
            globals: self.globals.clone(),
            modes: self.modes.clone(),
        }
    }

    /// Says whether a job is there.
    #[must_use]
    pub fn has(&self, job: JobId) -> bool {
        self.jobs.contains_key(&job)
    }

    /// Says what is in memory and not on disk after a commit; the engine forgot to name a change.
    #[must_use]
    pub fn difference(&self, engine: &Engine) -> Option<String> {
        let (memory, disk) = (engine.image(), self.image());
        for (a, b) in memory.jobs.iter().zip(&disk.jobs) {
            if a.row != b.row {
                return Some(format!("row in memory {:?}, on disk {:?}", a.row, b.row));
            }
            if let Some((a, b)) = a.instances.iter().zip(&b.instances).find(|(a, b)| a != b) {
                return Some(format!("{a:?} in memory, {b:?} on disk"));
            }
            if a.instances.len() != b.instances.len() {
                return Some(format!("job {}: instances differ in number", a.row.id));
            }
            if let Some(i) = (0..a.cells.len()).find(|i| a.cells.get(*i) != b.cells.get(*i)) {
                let core = |cells: &[u64]| cells.get(i).and_then(|cell| ItemCore::unpack(*cell));
                return Some(format!(
                    "item {}#{i}: {:?} in memory, {:?} on disk",
                    a.row.id,
                    core(&a.cells),
                    core(&b.cells)
                ));
            }
        }
        if memory.launches != disk.launches {
            return Some(format!(
                "launches {:?} in memory, {:?} on disk",
                memory.launches, disk.launches
            ));
        }
        let seen = |hosts: &[HostImage]| -> Vec<HostImage> {
            let mut hosts = hosts.to_vec();
            hosts
                .iter_mut()
                .for_each(|host| host.seen = Default::default());
            hosts
        };
        if seen(&memory.hosts) != seen(&disk.hosts) {
            return Some("hosts differ".to_owned());
        }
        if memory.modes != disk.modes {
            return Some("the farm's modes differ".to_owned());
        }
        if memory.globals != disk.globals {
            return Some("what was said of resources differs".to_owned());
        }
        (memory != disk && memory.jobs.len() != disk.jobs.len())
            .then(|| "jobs differ in number".to_owned())
    }
}
