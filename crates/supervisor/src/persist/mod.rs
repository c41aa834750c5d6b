//! What the engine changed, as rows of one transaction; and back again ([`load`]).
//!
//! Owns which rows a turn writes and when the journal's cells of a job are folded into its segments. What is named by key
//! is read from the engine when the transaction is written, so that many changes of a thing in a turn cost one row.
//! **Invariant:** in a batch a job's segments come after the journal rows, so that a fold has the last word.

mod credential;
mod global;
pub(crate) mod load;
mod mode;
pub(crate) mod rows;
mod spec;
#[cfg(test)]
mod tests;
mod words;

use rows::Enrolment;
use std::collections::{BTreeMap, BTreeSet};
use tessera_engine::supervisor::{AttemptRecord, Change, Engine, Event};
use tessera_model::credential::{CredentialId, KeyId};
use tessera_model::msg::LaunchKey;
use tessera_model::{HostId, InstanceNo, JobId};
use tessera_store::{SEGMENT_ITEMS, Write};

/// Cells of all jobs that the journal may hold unfolded, about; it bounds how long a start takes.
pub(crate) const UNFOLDED_MAX: u64 = 100_000;

/// What a turn changed.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    whole: BTreeSet<JobId>,
    states: BTreeSet<JobId>,
    specs: BTreeSet<JobId>,
    removed: BTreeSet<JobId>,
    refold: BTreeSet<JobId>,
    instances: BTreeSet<(JobId, InstanceNo)>,
    launches: BTreeSet<LaunchKey>,
    hosts: BTreeSet<HostId>,
    credentials: BTreeSet<CredentialId>,
    seals: BTreeSet<(CredentialId, KeyId)>,
    pool_keys: BTreeSet<HostId>,
    globals: bool,
    modes: bool,
    /// Attempts that ended.
    pub(crate) attempts: Vec<AttemptRecord>,
    /// Lines of history, in the order in which they get their numbers.
    pub(crate) events: Vec<Event>,
}

impl Changed {
    /// Adds changes.
    pub(crate) fn add(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::JobWhole(id) => _ = self.whole.insert(id),
                Change::JobRow(id) => _ = self.states.insert(id),
                Change::JobSpec(id) => _ = self.specs.insert(id),
                Change::JobRemoved(id) => _ = self.removed.insert(id),
                Change::ItemsRefold(id) => _ = self.refold.insert(id),
                Change::Instance(id, no) => _ = self.instances.insert((id, no)),
                Change::Launch(key) => _ = self.launches.insert(key),
                Change::Host(id) => _ = self.hosts.insert(id),
                Change::Credential(id) => _ = self.credentials.insert(id),
                Change::CredentialSeal(id, key) => _ = self.seals.insert((id, key)),
                Change::PoolKeys(host) => _ = self.pool_keys.insert(host),
                Change::Globals => self.globals = true,
                Change::Modes => self.modes = true,
                Change::Attempt(record) => self.attempts.push(*record),
                Change::Event(event) => self.events.push(*event),
            }
        }
    }

    /// Answers the hosts that were touched.
    pub(crate) fn hosts(&self) -> &BTreeSet<HostId> {
        &self.hosts
    }
}

/// Cells that the journal has of a job and its segments have not.
#[derive(Debug, Default)]
struct Unfolded {
    segments: BTreeSet<u32>,
    cells: u64,
}

/// What is known about the store's rows beside the engine's picture.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Hosts that may connect.
    pub(crate) enrolled: BTreeMap<HostId, Enrolment>,
    /// Jobs that have their segments.
    stored: BTreeSet<JobId>,
    /// Jobs of an earlier process that have not ended: the journal may have cells of any segment.
    inherited: BTreeSet<JobId>,
    unfolded: BTreeMap<JobId, Unfolded>,
    unfolded_cells: u64,
    /// Jobs of an older program that must be written whole.
    converted: BTreeSet<JobId>,
}

impl Ledger {
    /// Starts from what the store gave.
    pub(crate) fn of(picture: &load::Picture) -> Self {
        let jobs = || picture.image.jobs.iter();
        Self {
            enrolled: picture.enrolled.clone(),
            stored: jobs().map(|job| job.row.id).collect(),
            inherited: jobs()
                .filter(|job| job.row.ended.is_none())
                .map(|job| job.row.id)
                .collect(),
            converted: picture.converted.clone(),
            ..Self::default()
        }
    }

    /// Answers the rows of a turn.
    pub(crate) fn writes(&mut self, engine: &Engine, changed: &Changed) -> Vec<Write> {
        let mut out = Vec::with_capacity(changed.events.len() + changed.attempts.len() + 8);
        self.removals(engine, changed, &mut out);
        let fresh = self.job_rows(engine, changed, &mut out);
        self.small_rows(engine, changed, &mut out);
        passwords(engine, changed, &mut out);
        out.extend(changed.globals.then(|| global::write(engine)));
        out.extend(changed.modes.then(|| mode::write(engine)));
        let is_there = |id: JobId| engine.job(id).is_some();
        let kept = changed
            .attempts
            .iter()
            .filter(|record| is_there(record.key.job));
        out.extend(kept.map(|record| Write::Attempt(rows::attempt_row(record))));
        for event in &changed.events {
            let there = event.job.is_some_and(is_there);
            out.push(Write::Journal(rows::journal_row(event, there)));
            if let (Some(job), Some(item), Some(_), true) =
                (event.job, event.item, event.core, there)
            {
                self.note_cell(job, item.0 / SEGMENT_ITEMS);
            }
        }
        self.folds(engine, changed, &fresh, &mut out);
        out
    }

    fn removals(&mut self, engine: &Engine, changed: &Changed, out: &mut Vec<Write>) {
        for id in &changed.removed {
            out.push(Write::JobRemove(id.0));
            self.forget(*id);
        }
        if !changed.removed.is_empty() {
            // Else the number of the newest job would be given again when that is the one removed.
            let value = engine.next_job().to_string();
            out.push(Write::Meta {
                key: load::META_NEXT_JOB.into(),
                value,
            });
        }
    }

    fn forget(&mut self, id: JobId) {
        self.stored.remove(&id);
        self.inherited.remove(&id);
        self.converted.remove(&id);
        if let Some(unfolded) = self.unfolded.remove(&id) {
            self.unfolded_cells -= unfolded.cells;
        }
    }

    /// Writes jobs; answers those whose segments have never been written.
    fn job_rows(&mut self, engine: &Engine, changed: &Changed, out: &mut Vec<Write>) -> Vec<JobId> {
        let mut fresh = Vec::new();
        let converted = std::mem::take(&mut self.converted);
        let whole: BTreeSet<JobId> = changed.whole.union(&converted).copied().collect();
        for id in &converted {
            self.stored.remove(id);
        }
        let described: BTreeSet<JobId> = whole.union(&changed.specs).copied().collect();
        for id in described.union(&changed.states) {
            let Some(job) = engine.job(*id) else { continue };
            if !described.contains(id) {
                out.push(Write::JobState(rows::state_row(
                    &job.row(),
                    job.spec.priority,
                )));
                continue;
            }
            let Some(image) = engine.job_image(*id) else {
                continue;
            };
            out.push(Write::Job(rows::job_row(&image)));
            if whole.contains(id) {
                let instances = image.instances.iter();
                out.extend(
                    instances.map(|instance| Write::Instance(words::instance_row(id.0, instance))),
                );
            }
            if self.stored.insert(*id) {
                fresh.push(*id);
            }
        }
        fresh
    }

    fn small_rows(&mut self, engine: &Engine, changed: &Changed, out: &mut Vec<Write>) {
        for (id, no) in &changed.instances {
            let instance = engine.job(*id).and_then(|job| job.instance(*no));
            if let Some(instance) = instance.filter(|_| !changed.whole.contains(id)) {
                out.push(Write::Instance(words::instance_row(id.0, instance)));
            }
        }
        for key in &changed.launches {
            out.push(
                match engine
                    .launch_image(*key)
                    .filter(|_| engine.job(key.job).is_some())
                {
                    Some(launch) => Write::Launch(rows::launch_row(&launch)),
                    None => Write::LaunchRemove {
                        job: key.job.0,
                        instance: key.instance.0,
                        launch: key.launch.0,
                    },
                },
            );
        }
        for id in &changed.hosts {
            out.push(match (engine.host_image(*id), engine.host(*id)) {
                (Some(image), Some(host)) => {
                    Write::Host(rows::host_row(&image, &host.state, self.enrolled.get(id)))
                }
                _ => {
                    // Its certificate counts no more.
                    self.enrolled.remove(id);
                    Write::HostRemove(id.0)
                }
            });
        }
    }

    fn note_cell(&mut self, job: JobId, segment: u32) {
        let unfolded = self.unfolded.entry(job).or_default();
        unfolded.segments.insert(segment);
        unfolded.cells += 1;
        self.unfolded_cells += 1;
    }

    /// Writes segments: of new jobs, of those that ended, and of those whose cells in the journal would cost more to
    /// replay than to write.
    fn folds(&mut self, engine: &Engine, changed: &Changed, fresh: &[JobId], out: &mut Vec<Write>) {
        let mut whole: BTreeSet<JobId> = fresh.iter().copied().collect();
        whole.extend(&changed.refold);
        let touched: BTreeSet<JobId> = changed
            .events
            .iter()
            .filter_map(|event| event.job)
            .collect();
        for id in &touched {
            if self.inherited.contains(id) && engine.job(*id).is_some_and(|job| job.ended.is_some())
            {
                self.inherited.remove(id);
                whole.insert(*id);
            }
        }
        for id in whole {
            self.take_unfolded(id);
            let segments = engine
                .job(id)
                .map_or(0, |job| job.items().len().div_ceil(SEGMENT_ITEMS));
            (0..segments).for_each(|segment| fold(engine, id, segment, out));
        }
        for id in touched {
            let Some(unfolded) = self.unfolded.get(&id) else {
                continue;
            };
            let many = unfolded.segments.len() as u64 * u64::from(SEGMENT_ITEMS);
            if unfolded.cells > many || engine.job(id).is_some_and(|job| job.ended.is_some()) {
                self.fold_job(engine, id, out);
            }
        }
        if self.unfolded_cells > UNFOLDED_MAX {
            self.fold_heaviest(engine, out);
        }
    }

    fn take_unfolded(&mut self, id: JobId) -> BTreeSet<u32> {
        let unfolded = self.unfolded.remove(&id).unwrap_or_default();
        self.unfolded_cells -= unfolded.cells;
        unfolded.segments
    }

    fn fold_job(&mut self, engine: &Engine, id: JobId, out: &mut Vec<Write>) {
        for segment in self.take_unfolded(id) {
            fold(engine, id, segment, out);
        }
    }

    /// Folds the jobs that have most cells a segment until half is done.
    fn fold_heaviest(&mut self, engine: &Engine, out: &mut Vec<Write>) {
        let weight = |unfolded: &Unfolded| unfolded.cells / (unfolded.segments.len() as u64).max(1);
        let mut jobs: Vec<(u64, JobId)> = self
            .unfolded
            .iter()
            .map(|(id, u)| (weight(u), *id))
            .collect();
        jobs.sort_unstable_by(|a, b| b.cmp(a));
        for (_, id) in jobs {
            if self.unfolded_cells <= UNFOLDED_MAX / 2 {
                return;
            }
            self.fold_job(engine, id, out);
        }
    }
}

/// Writes registered passwords, what is sealed, and the keys of workers.
fn passwords(engine: &Engine, changed: &Changed, out: &mut Vec<Write>) {
    let known = changed
        .credentials
        .iter()
        .filter_map(|id| engine.credentials().get(id));
    out.extend(known.map(|it| Write::Credential(credential::row(&it.record))));
    let seals = changed.seals.iter();
    out.extend(seals.map(|(id, key)| credential::seal(engine, id, *key)));
    out.extend(
        changed
            .pool_keys
            .iter()
            .map(|host| credential::keys(engine, *host)),
    );
}

fn fold(engine: &Engine, id: JobId, segment: u32, out: &mut Vec<Write>) {
    let Some(job) = engine.job(id) else { return };
    let size = SEGMENT_ITEMS as usize;
    if let Some(cells) = job.items().cells().chunks(size).nth(segment as usize) {
        out.push(Write::Items {
            job: id.0,
            segment,
            cells: cells.to_vec(),
        });
    }
}
