//! The store with a meter on it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tessera_store::{Batch, Committed, Epoch, Loaded, Reader, Store, StoreError, Write};

/// Rows that were written, by what they are of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Rows {
    /// Whole jobs.
    pub jobs: u64,
    /// States and counts of jobs.
    pub job_states: u64,
    /// Segments of packed items.
    pub segments: u64,
    /// Instances.
    pub instances: u64,
    /// Launches, with those removed.
    pub launches: u64,
    /// Hosts.
    pub hosts: u64,
    /// Attempts that are over.
    pub attempts: u64,
    /// Lines of the journal.
    pub journal: u64,
    /// Others.
    pub others: u64,
}

impl Rows {
    /// Counts all of them.
    #[must_use]
    pub fn all(&self) -> u64 {
        let states = self.jobs + self.job_states + self.segments + self.instances;
        states + self.launches + self.hosts + self.attempts + self.journal + self.others
    }

    fn add(&mut self, write: &Write) {
        let count = match write {
            Write::Job(_) => &mut self.jobs,
            Write::JobState(_) => &mut self.job_states,
            Write::Items { .. } => &mut self.segments,
            Write::Instance(_) => &mut self.instances,
            Write::Launch(_) | Write::LaunchRemove { .. } => &mut self.launches,
            Write::Host(_) | Write::HostRemove(_) => &mut self.hosts,
            Write::Attempt(_) => &mut self.attempts,
            Write::Journal(_) => &mut self.journal,
            _ => &mut self.others,
        };
        *count += 1;
    }

    /// Answers what came since.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            jobs: self.jobs - before.jobs,
            job_states: self.job_states - before.job_states,
            segments: self.segments - before.segments,
            instances: self.instances - before.instances,
            launches: self.launches - before.launches,
            hosts: self.hosts - before.hosts,
            attempts: self.attempts - before.attempts,
            journal: self.journal - before.journal,
            others: self.others - before.others,
        }
    }
}

/// What the meter shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    pub(crate) rows: Rows,
    pub(crate) commits: u64,
    /// How long they took together.
    pub(crate) spent: Duration,
    /// How long each took, in microseconds.
    pub(crate) each_us: Vec<u32>,
}

/// The meter, to be read from outside.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Arc<Mutex<Reading>>);

impl Meter {
    pub(crate) fn read(&self) -> MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A store that counts what it is given.
pub(crate) struct Metered {
    inner: Box<dyn Store>,
    meter: Meter,
}

impl Metered {
    /// Puts a meter on a store.
    pub(crate) fn boxed(inner: Box<dyn Store>, meter: &Meter) -> Box<dyn Store> {
        let meter = meter.clone();
        Box::new(Self { inner, meter })
    }
}

impl Store for Metered {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        self.inner.load()
    }

    fn commit(&mut self, batch: &Batch) -> Result<Committed, StoreError> {
        let began = Instant::now();
        let committed = self.inner.commit(batch)?;
        let took = began.elapsed();
        let mut reading = self.meter.read();
        batch
            .writes
            .iter()
            .for_each(|write| reading.rows.add(write));
        reading.commits += 1;
        reading.spent += took;
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        reading.each_us.push(micros);
        Ok(committed)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        self.inner.reader()
    }

    fn lease(&mut self, holder: &str) -> Result<Epoch, StoreError> {
        self.inner.lease(holder)
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        self.inner.tidy()
    }
}
