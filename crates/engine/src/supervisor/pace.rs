//! How quickly instances start: of the whole farm (`supervisor_start_rate`), of what reserves one of the farm's own resources
//! (`supervisor_resource_start_rates`), of a job. Within any time as long as a rate's, no more start than it says. When that many
//! have, a timer says when the next may; until then the farm places nothing, or the job or gate is shut.
//!
//! **Invariant:** no start is forgotten before its time is over: after a restart, of which the last starts are not known, as many as may
//! are taken to have just happened.

use super::time::Timer;
use super::{Engine, Job};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tessera_model::{GlobalName, JobId, StartRate, Taken};

/// Whose instances start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Paced {
    /// All.
    Farm,
    /// Those that reserve it.
    Resource(GlobalName),
    /// A job's.
    Job(JobId),
}

/// How quickly instances may start that are not limited by their own job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FarmRates {
    /// All of the farm (`supervisor_start_rate`).
    pub farm: Option<StartRate>,
    /// Those that reserve one of these (`supervisor_resource_start_rates`).
    pub resources: BTreeMap<GlobalName, StartRate>,
}

/// The last starts of what has a rate (monotonic time), the oldest first; no more than the rate allows within its time.
#[derive(Debug, Clone, Default)]
pub(super) struct Starts(BTreeMap<Paced, VecDeque<Duration>>);

impl Starts {
    fn note(&mut self, whose: Paced, rate: StartRate, at: Duration) {
        let starts = self.0.entry(whose).or_default();
        starts.push_back(at);
        while starts.len() > rate.starts() {
            starts.pop_front();
        }
    }

    /// Takes as many as may to have just happened.
    fn fill(&mut self, whose: Paced, rate: StartRate, at: Duration) {
        let starts = std::iter::repeat_n(at, rate.starts());
        self.0.insert(whose, starts.collect());
    }

    /// Answers when the next may start, if that is later than now.
    fn next(&self, whose: &Paced, rate: StartRate, now: Duration) -> Option<Duration> {
        let starts = self.0.get(whose)?;
        let first = starts.len().checked_sub(rate.starts())?;
        let due = *starts.get(first)? + rate.period();
        (due > now).then_some(due)
    }

    /// Counts how many more may start now, and answers when that is one more.
    fn left(&self, whose: &Paced, rate: StartRate, now: Duration) -> (u64, Option<Duration>) {
        let starts = self.0.get(whose).into_iter().flatten();
        let mut counted = starts.map(|at| *at + rate.period());
        let first = counted.find(|due| *due > now);
        let count = first.map_or(0, |_| 1 + counted.count());
        (rate.starts().saturating_sub(count) as u64, first)
    }
}

impl Engine {
    fn rate_of(&self, whose: &Paced) -> Option<StartRate> {
        match whose {
            Paced::Farm => self.config.start_rates.farm,
            Paced::Resource(name) => self.config.start_rates.resources.get(name).copied(),
            Paced::Job(id) => self.jobs.get(id)?.spec.limits.start_rate,
        }
    }

    /// Answers when the next instance of these may start, if not now, and the rate that says so.
    fn paced_until(&self, whose: &Paced) -> Option<(Duration, StartRate)> {
        let rate = self.rate_of(whose)?;
        let due = self.starts.next(whose, rate, self.now.elapsed)?;
        Some((due, rate))
    }

    /// Counts how many instances of these may start now, and answers when that is one more; nothing when they have no rate.
    pub(super) fn starts_left(&self, whose: &Paced) -> Option<(u64, Option<Duration>)> {
        let rate = self.rate_of(whose)?;
        Some(self.starts.left(whose, rate, self.now.elapsed))
    }

    /// Answers how many instances may start within the time of a job's own rate.
    pub(super) fn own_starts_max(&self, job: &Job) -> usize {
        let rate = self.rate_of(&Paced::Job(job.id));
        rate.map_or(usize::MAX, StartRate::starts)
    }

    /// Answers how many instances that reserve what a job does may start within the time of the farm's rates, if there are such.
    pub(super) fn starts_max(&self, job: &Job) -> Option<usize> {
        let resources = job.spec.reservation.global.keys().cloned();
        let all = std::iter::once(Paced::Farm).chain(resources.map(Paced::Resource));
        let rates = all.filter_map(|whose| self.rate_of(&whose));
        rates.map(StartRate::starts).min()
    }

    /// Says whether the farm starts nothing now.
    pub(super) fn is_farm_paced(&self) -> bool {
        self.paced_until(&Paced::Farm).is_some()
    }

    /// Says whether a job starts nothing now.
    pub(super) fn is_job_paced(&self, job: &Job) -> bool {
        job.spec.limits.start_rate.is_some() && self.paced_until(&Paced::Job(job.id)).is_some()
    }

    /// Says whether nothing starts now that reserves a resource.
    pub(super) fn is_resource_paced(&self, name: &GlobalName) -> bool {
        let rates = &self.config.start_rates.resources;
        rates.contains_key(name) && self.paced_until(&Paced::Resource(name.clone())).is_some()
    }

    /// An instance of a job starts with what it takes.
    pub(super) fn note_start(&mut self, id: JobId, taken: &Taken) {
        let resources = taken.global.keys().cloned().map(Paced::Resource);
        let all = [Paced::Farm, Paced::Job(id)].into_iter().chain(resources);
        for whose in all.collect::<Vec<_>>() {
            if let Some(rate) = self.rate_of(&whose) {
                self.starts.note(whose.clone(), rate, self.now.elapsed);
                self.pace(&whose);
            }
        }
    }

    /// Sets the timer for what may not start now, and shuts the gate of a resource or opens it. A job is indexed by who asks.
    pub(super) fn pace(&mut self, whose: &Paced) {
        if let Some((due, _)) = self.paced_until(whose) {
            self.timers.set(due, Timer::Paced(whose.clone()));
        }
        if let Paced::Resource(name) = whose {
            self.tell_free(name);
        }
    }

    /// The next instance of these may start, or a later start has put that off.
    pub(super) fn pace_over(&mut self, whose: &Paced) {
        match whose {
            // What could be placed is placed after this.
            Paced::Farm => {}
            Paced::Resource(name) => self.tell_free(name),
            Paced::Job(id) => self.index_job(*id),
        }
    }

    /// A job is about to go.
    pub(super) fn forget_starts(&mut self, id: JobId) {
        self.starts.0.remove(&Paced::Job(id));
    }

    /// Takes as many starts as may to have just happened, of the farm, of its resources and of the jobs that ever started something.
    pub(super) fn restore_starts(&mut self) {
        if self.jobs.is_empty() {
            return;
        }
        let resources = self.config.start_rates.resources.keys().cloned();
        let jobs = self.jobs.values();
        let jobs = jobs.filter(|job| job.spec.limits.start_rate.is_some());
        let jobs = jobs.filter(|job| job.started.is_some() && !job.status.is_ended());
        let all = std::iter::once(Paced::Farm)
            .chain(resources.map(Paced::Resource))
            .chain(jobs.map(|job| Paced::Job(job.id)));
        for whose in all.collect::<Vec<_>>() {
            if let Some(rate) = self.rate_of(&whose) {
                self.starts.fill(whose.clone(), rate, self.now.elapsed);
                self.pace(&whose);
            }
        }
    }

    /// Answers what of the rates keeps an instance of a job from starting now: the latest, with its rate and the time left.
    pub(super) fn why_paced(&self, job: &Job) -> Option<(Paced, StartRate, Duration)> {
        let resources = job.spec.reservation.global.keys().cloned();
        let all = [Paced::Job(job.id), Paced::Farm]
            .into_iter()
            .chain(resources.map(Paced::Resource));
        let until = all.filter_map(|whose| {
            let (due, rate) = self.paced_until(&whose)?;
            Some((due, whose, rate))
        });
        let (due, whose, rate) = until.max_by_key(|(due, ..)| *due)?;
        Some((whose, rate, due.saturating_sub(self.now.elapsed)))
    }
}
