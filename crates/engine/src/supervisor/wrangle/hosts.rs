//! A host on which several jobs fail that succeed elsewhere is locked, until a person unlocks it.

use super::super::io::{Change, kind};
use super::super::{About, Engine, Host, Turn};
use super::blame::listed;
use std::time::Duration;
use tessera_model::lock::fit_note;
use tessera_model::{HostId, JobId, Lock, SlotSet};

/// Within which time jobs have to fail there.
const TOGETHER: Duration = Duration::from_secs(3600);
/// Of so many hosts the farm locks one at most: when more seem to be bad, what is bad is most likely none of them.
const ONE_OF: usize = 4;
/// How the note of such a lock begins.
const NOTE: &str = "by the farm: ";

impl Host {
    /// Says whether the farm locked it for what failed there.
    #[must_use]
    pub fn is_locked_by_farm(&self) -> bool {
        let lock = self.lock.as_ref().filter(|lock| lock.by.is_none());
        lock.is_some_and(|lock| lock.note.starts_with(NOTE))
    }
}

impl Engine {
    /// Something succeeded on a host: it is not bad altogether.
    pub(super) fn host_does_well(&mut self, host: HostId) {
        if let Some(host) = self.hosts.get_mut(&host) {
            host.blamed.clear();
        }
    }

    /// Something of a job succeeded on one more host: those that it keeps off are at fault.
    pub(super) fn note_hosts_at_fault(&mut self, t: &mut Turn<'_>, id: JobId, good: HostId) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let rows = job.wrangle.rows.iter();
        let bad = rows.filter(|(host, row)| **host != good && row.until > t.now.elapsed);
        for host in bad.map(|(host, _)| *host).collect::<Vec<_>>() {
            self.note_host_at_fault(t, host, id);
        }
    }

    /// A job keeps off a host on which it fails, and succeeds elsewhere: locks the host when there are as many such as it takes.
    pub(super) fn note_host_at_fault(&mut self, t: &mut Turn<'_>, id: HostId, job: JobId) {
        let (most, now) = (self.config.wrangling.jobs as usize, t.now.elapsed);
        let Some(host) = self.hosts.get_mut(&id).filter(|_| most > 0) else {
            return;
        };
        host.blamed
            .retain(|_, at| now.saturating_sub(*at) < TOGETHER);
        host.blamed.insert(job, now);
        while host.blamed.len() > most {
            let oldest = host.blamed.iter().min_by_key(|(_, at)| **at);
            let Some(oldest) = oldest.map(|(job, _)| *job) else {
                break;
            };
            host.blamed.remove(&oldest);
        }
        if host.blamed.len() < most || host.is_locked() {
            return;
        }
        let locked = self.hosts.values().filter(|it| it.is_locked_by_farm());
        if locked.count() < (self.hosts.len() / ONE_OF).max(1) {
            self.lock_by_farm(t, id);
        }
    }

    fn lock_by_farm(&mut self, t: &mut Turn<'_>, id: HostId) {
        let n = self.config.wrangling.failures;
        let Some(host) = self.hosts.get_mut(&id) else {
            return;
        };
        let jobs: Vec<String> = host.blamed.keys().map(ToString::to_string).collect();
        host.blamed.clear();
        let note = format!(
            "{NOTE}frames of jobs {} failed here {n} times in a row and succeed elsewhere",
            listed(&jobs)
        );
        let lock = Lock {
            slots: SlotSet::all(),
            by: None,
            at: t.now.wall,
            until: None,
            note: fit_note(&note),
            drains: false,
        };
        let text = format!("{} is {}", host.facts.name, lock.reason(host.utc_offset()));
        host.lock = Some(lock);
        t.change(Change::Host(id));
        t.event(kind::HOST_WRANGLED, About::host(id), text);
        self.slots_closed(t, id);
        self.note_drained(t, id);
    }

    /// A person unlocked a host: what failed there is forgotten, and jobs that keep off it for that need not any more.
    pub(in super::super) fn forgive_host(&mut self, t: &mut Turn<'_>, id: HostId) {
        if self.config.wrangling.failures == 0 {
            return;
        }
        self.host_does_well(id);
        let jobs = self.jobs.values();
        let jobs = jobs.filter(|job| job.wrangle.rows.contains_key(&id));
        for job in jobs.map(|job| job.id).collect::<Vec<_>>() {
            self.let_back(t, job, id);
        }
    }
}
