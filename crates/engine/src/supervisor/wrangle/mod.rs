//! Bad hosts and bad jobs are told apart: what fails on a host again and again and nowhere else is that host's fault, what fails on
//! several and succeeds on none is its job's.
//!
//! Failures of a job's frames on a host are counted in a row: one that succeeds there ends the row. After so many of them
//! ([`Wrangling::failures`]) the job keeps off that host as after a migration, and what failed for good there is tried again elsewhere
//! (`bars`); or nothing of the job has succeeded anywhere, and the job is blocked (`blame`); and a host that several jobs keep off so, all
//! of which succeed elsewhere, is locked (`hosts`).
//!
//! **Invariant:** an item is put back at most once for each host that it leaves, and [`Wrangling::hosts`] times in all, until a person
//! retries, requeues or unblocks something of its job.
//!
//! What is counted is in memory alone: it is a suspicion, and a supervisor that starts anew begins it anew. What followed from it is
//! kept: items that were put back, instances that are blocked with the reason, locks of hosts.

mod bars;
mod blame;
mod check;
mod hosts;
mod why;

use super::io::kind;
use super::job::{Job, Phase};
use super::{About, Engine, Turn};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tessera_model::msg::{LaunchKey, Run};
use tessera_model::{HostId, ItemIndex, ItemStatus, JobId, Outcome, WorkStatus};

/// The most that each bound of [`Wrangling`] may be set to.
pub const WRANGLING_MAX: u32 = 100;
/// Items of a job that failed for good on one host and are remembered for being put back, the newest ones.
const FAILED_MAX: usize = 256;
/// Hosts that are remembered of those on which something of a job succeeded: enough to know of each host whether another did.
const GOOD_MAX: usize = 2;
/// How far a launch is whose job is blocked for its own fault: its item is finished, and its instance is blocked then.
pub(super) const HELD: Phase = Phase::Finishing(WorkStatus::Blocked);

/// When hosts and jobs are at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrangling {
    /// Failures of a job in a row on a host after which one of them is at fault (`supervisor_wrangle_failures`); none: nobody ever is.
    pub failures: u32,
    /// Hosts on which a job has to fail so, and on none succeed, to be at fault itself, and how often one item is put back at most
    /// (`supervisor_wrangle_hosts`); at least 2.
    pub hosts: u32,
    /// Jobs that have to fail so on a host within an hour, and succeed elsewhere, for it to be locked (`supervisor_wrangle_jobs`); at
    /// least 2; none: no host ever is.
    pub jobs: u32,
}

impl Wrangling {
    /// Nobody is ever at fault.
    pub const OFF: Self = Self {
        failures: 0,
        hosts: 3,
        jobs: 3,
    };
}

impl Default for Wrangling {
    fn default() -> Self {
        Self {
            failures: 5,
            hosts: 3,
            jobs: 3,
        }
    }
}

/// How the items of a job fared on hosts since somebody looked at it last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Record {
    rows: BTreeMap<HostId, Row>,
    /// Hosts on which something of it succeeded, the first few.
    good: Vec<HostId>,
    /// Items that were put back, with the hosts on which they had failed.
    put_back: BTreeMap<ItemIndex, Vec<HostId>>,
}

/// How they fared on a host since one of them succeeded there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Row {
    /// Failures since that was looked at.
    failures: u32,
    /// What failed for good.
    failed: VecDeque<Run>,
    /// There were once as many failures in a row as it takes.
    is_bad: bool,
    /// Until when the job keeps off for that (monotonic time).
    until: Duration,
}

impl Record {
    /// Says until when a job keeps off a host for its failures there, if it does.
    pub(super) fn kept_off(&self, host: HostId, now: Duration) -> Option<Duration> {
        let until = self.rows.get(&host).map(|row| row.until);
        until.filter(|until| *until > now)
    }

    /// Answers the hosts that a job keeps off, or did, and until when.
    fn bars(&self) -> impl Iterator<Item = (HostId, Duration)> + '_ {
        self.rows.iter().map(|(host, row)| (*host, row.until))
    }

    fn is_good_elsewhere(&self, host: HostId) -> bool {
        self.good.iter().any(|it| *it != host)
    }

    fn may_put_back(&self, item: ItemIndex, host: HostId, most: u32) -> bool {
        let before = self.put_back.get(&item);
        before.is_none_or(|hosts| hosts.len() < most as usize && !hosts.contains(&host))
    }
}

/// What the end of an attempt says of its job and its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing yet.
    Open,
    /// The job keeps off that host already: what still failed there is put back.
    KeptOff,
    /// The job keeps off that host from now on.
    BadHost,
    /// The job is at fault.
    BadJob,
}

impl Engine {
    /// Counts the end of a current attempt and answers what follows. A success is good news at once.
    pub(super) fn judge_end(
        &mut self,
        t: &mut Turn<'_>,
        key: LaunchKey,
        run: Run,
        outcome: Outcome,
    ) -> Verdict {
        let wrangling = self.config.wrangling;
        // Where each host is to run it once, what fails on one can't go elsewhere.
        let once = self.jobs.get(&key.job).map(|job| job.spec.is_once_a_host());
        let is_judged = wrangling.failures > 0 && once == Some(false);
        let Some(launch) = self.launches.get(&key).filter(|_| is_judged) else {
            return Verdict::Open;
        };
        let host = launch.host;
        match outcome {
            Outcome::Done => {
                self.note_success(t, key, host);
                Verdict::Open
            }
            Outcome::Failed if takes_part(launch.phase) => self.note_failure(t, key, host, run),
            // What was asked for, was lost, or fell to its host's want of memory says nothing of either.
            Outcome::Failed | Outcome::Interrupted | Outcome::OutOfMemory => Verdict::Open,
        }
    }

    fn note_failure(&mut self, t: &Turn<'_>, key: LaunchKey, host: HostId, run: Run) -> Verdict {
        let (wrangling, now) = (self.config.wrangling, t.now.elapsed);
        let Some(job) = self.jobs.get_mut(&key.job) else {
            return Verdict::Open;
        };
        if job.wrangle.kept_off(host, now).is_some() {
            return Verdict::KeptOff;
        }
        let row = job.wrangle.rows.entry(host).or_default();
        row.failures += 1;
        row.failed.push_back(run);
        if row.failed.len() > FAILED_MAX {
            row.failed.pop_front();
        }
        if row.failures < wrangling.failures {
            return Verdict::Open;
        }
        // Looked at again after as many more, should nothing follow now: that costs a look at all hosts.
        row.failures = 0;
        row.is_bad = true;
        self.decide(key, host)
    }

    /// Decides who is at fault.
    fn decide(&mut self, key: LaunchKey, host: HostId) -> Verdict {
        let wrangling = self.config.wrangling;
        let (now, hosts) = (self.now.elapsed, &self.hosts);
        if let Some(job) = self.jobs.get_mut(&key.job) {
            job.wrangle.rows.retain(|id, _| hosts.contains_key(id));
        }
        let Some(job) = self.jobs.get(&key.job) else {
            return Verdict::Open;
        };
        let record = &job.wrangle;
        let others = self.others_for(job, host);
        let bad = record.rows.values().filter(|row| row.is_bad).count();
        // What is complete and not remembered was so before a restart.
        let is_good_nowhere = record.good.is_empty() && !has_succeeded(job);
        if is_good_nowhere && bad >= 2 && (bad >= wrangling.hosts as usize || others.all == 0) {
            return Verdict::BadJob;
        }
        let off = record.rows.values().filter(|row| row.until > now).count();
        // Those that could take it or did, this one among them.
        let hosts = others.all + off + 1;
        let most = (wrangling.hosts as usize).max(hosts / 2);
        match others.open > 0 && off < most {
            true => Verdict::BadHost,
            false => Verdict::Open,
        }
    }

    /// Something of a job succeeded on a host: what failed there before is no row any more, and what it keeps off elsewhere is at fault.
    fn note_success(&mut self, t: &mut Turn<'_>, key: LaunchKey, host: HostId) {
        self.host_does_well(host);
        let Some(job) = self.jobs.get_mut(&key.job) else {
            return;
        };
        let record = &mut job.wrangle;
        let is_new = record.good.len() < GOOD_MAX && !record.good.contains(&host);
        if is_new {
            record.good.push(host);
        }
        if record.rows.contains_key(&host) {
            self.let_back(t, key.job, host);
        }
        if is_new {
            self.note_hosts_at_fault(t, key.job, host);
        }
    }

    /// Says whether a verdict has this item put back, and notes it then.
    pub(super) fn takes_back(&mut self, verdict: Verdict, key: LaunchKey, item: ItemIndex) -> bool {
        let most = self.config.wrangling.hosts;
        let host = self.launches.get(&key).map(|launch| launch.host);
        let pair = host.zip(self.jobs.get_mut(&key.job));
        let Some((host, job)) = pair.filter(|_| verdict.puts_back()) else {
            return false;
        };
        let may = job.wrangle.may_put_back(item, host, most);
        if may {
            job.wrangle.put_back.entry(item).or_default().push(host);
        }
        may
    }

    /// Answers why an item is put back that failed on the host of a launch.
    pub(super) fn why_put_back(&self, key: LaunchKey) -> String {
        let host = self.launches.get(&key).map(|launch| launch.host);
        let name = host.map_or_else(String::new, |host| self.name_of(host));
        let n = self.config.wrangling.failures;
        format!(
            "put back for another host without using up a retry: {n} of its job's failed on {name} in a row"
        )
    }

    fn name_of(&self, host: HostId) -> String {
        let known = self.hosts.get(&host);
        known.map_or_else(|| host.to_string(), |host| host.facts.name.clone())
    }

    /// Carries a verdict out. The item whose end it is about has its new state.
    pub(super) fn carry_out(&mut self, t: &mut Turn<'_>, key: LaunchKey, verdict: Verdict) {
        let Some(host) = self.launches.get(&key).map(|launch| launch.host) else {
            return;
        };
        match verdict {
            Verdict::Open | Verdict::KeptOff => {}
            Verdict::BadHost => self.keep_off(t, key.job, host),
            Verdict::BadJob => self.blame_job(t, key.job),
        }
    }

    fn tell_of_job(&self, t: &mut Turn<'_>, id: JobId, host: Option<HostId>, text: String) {
        let about = About {
            host,
            ..About::job(id)
        };
        t.event(kind::JOB_ACTION, about, text);
    }
}

impl Verdict {
    fn puts_back(self) -> bool {
        matches!(self, Self::KeptOff | Self::BadHost)
    }
}

/// Says whether what fails in a launch counts, and may be put back: of a job that stops or is blocked for its fault, and of an instance that
/// is retired, nothing is.
fn takes_part(phase: Phase) -> bool {
    matches!(phase, Phase::Open | Phase::Finishing(WorkStatus::Pending))
}

fn has_succeeded(job: &Job) -> bool {
    job.items.count(ItemStatus::Complete) > 0
}
