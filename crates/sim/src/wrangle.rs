//! A host that is bad and jobs that are: every frame fails there, and every frame of theirs. The judge reads what is told and how attempts
//! ended, and knows nothing of how the engine counts.

use crate::tally::Tally;
use std::collections::{BTreeMap, BTreeSet};
use tessera_engine::supervisor::{AttemptRecord, Change, Engine, Event, Output, Wrangling, kind};
use tessera_model::state::End;
use tessera_model::{HostId, ItemIndex, JobId, Outcome};

/// One of so many jobs is bad.
const BAD_JOBS: u64 = 6;
/// How a frame ends that is bound to fail.
const FAILS: End = End::Exit(9);

/// Answers when hosts and jobs are at fault in the simulated farm: soon, when that is tried at all.
pub(crate) fn configured(is_tried: bool) -> Wrangling {
    match is_tried {
        true => Wrangling {
            failures: 3,
            hosts: 3,
            jobs: 2,
        },
        false => Wrangling::OFF,
    }
}

/// Answers how a frame ends that would end so elsewhere.
pub(crate) fn end(job: JobId, is_bad_host: bool, end: End) -> End {
    let is_bad = is_bad_host || job.0.is_multiple_of(BAD_JOBS);
    match end {
        End::Exit(_) | End::Signal(_) if is_bad => FAILS,
        other => other,
    }
}

/// Watches who is blamed.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    /// Failures of a job in a row on a host.
    failures: BTreeMap<(JobId, HostId), u32>,
    /// Jobs of which something succeeded.
    good: BTreeSet<JobId>,
    /// From which hosts something was put back.
    put_back: BTreeMap<(JobId, ItemIndex), Vec<HostId>>,
    /// Which jobs keep off a host, as long as nothing succeeds there.
    off: BTreeMap<HostId, BTreeSet<JobId>>,
}

impl Judge {
    /// The supervisor's process begins: it remembers nothing.
    pub(crate) fn restarted(&mut self) {
        *self = Self::default();
    }

    /// The supervisor has handled an input.
    ///
    /// # Errors
    /// When somebody is blamed who need not be, or something is put back once too often.
    pub(crate) fn handled(
        &mut self,
        tally: &mut Tally,
        engine: &Engine,
        output: &Output,
    ) -> Result<(), String> {
        let rules = configured(true);
        for change in &output.changes {
            match change {
                Change::Attempt(record) if record.counted => self.ended(record),
                Change::Event(event) => self.told(tally, &rules, event)?,
                _ => {}
            }
        }
        let locked = engine.hosts().filter(|host| host.is_locked_by_farm());
        let (locked, hosts) = (locked.count(), engine.hosts().count());
        if locked > (hosts / 4).max(1) {
            return Err(format!("the farm locked {locked} of {hosts} hosts"));
        }
        Ok(())
    }

    fn ended(&mut self, record: &AttemptRecord) {
        let (job, host) = (record.key.job, record.host);
        match record.end.as_ref().map(|end| end.end.outcome()) {
            Some(Outcome::Done) => {
                self.good.insert(job);
                self.failures.remove(&(job, host));
                self.off.remove(&host);
            }
            Some(Outcome::Failed) => *self.failures.entry((job, host)).or_default() += 1,
            Some(Outcome::Interrupted | Outcome::OutOfMemory) | None => {}
        }
    }

    fn told(&mut self, tally: &mut Tally, rules: &Wrangling, event: &Event) -> Result<(), String> {
        let text = &event.text;
        match (event.kind, event.job, event.host) {
            (kind::JOB_ACTION, Some(job), _) if event.actor.is_some() => {
                let anew = ["retry", "requeue", "unblock"];
                if anew.iter().any(|word| text.starts_with(word)) {
                    self.forget(job);
                }
            }
            (kind::JOB_STATUS, Some(job), _)
                if ["complete", "failed", "killed"].contains(&text.as_str()) =>
            {
                self.forget(job);
            }
            (kind::JOB_ACTION, Some(job), Some(host))
                if text.starts_with("keeps off") && !text.ends_with("no more") =>
            {
                tally.add("seen: a job keeps off a bad host");
                self.fails_there(rules, job, host)?;
                self.off.entry(host).or_default().insert(job);
            }
            (kind::JOB_ACTION, Some(job), _) if text.starts_with("blocked by the farm") => {
                tally.add("seen: a job blocked by the farm");
                self.blocked(rules, job)?;
            }
            (kind::ITEM_ENDED | kind::ITEM_CHANGED, Some(job), Some(host))
                if text.contains("put back for another host") =>
            {
                tally.add("seen: put back for another host");
                self.fails_there(rules, job, host)?;
                let item = event.item.unwrap_or_default();
                let hosts = self.put_back.entry((job, item)).or_default();
                if hosts.contains(&host) || hosts.len() >= rules.hosts as usize {
                    return Err(format!(
                        "{job}#{item} is put back from {host}, as from {hosts:?}"
                    ));
                }
                hosts.push(host);
            }
            (kind::HOST_WRANGLED, _, Some(host)) => {
                tally.add("seen: a host locked by the farm");
                let jobs = self.off.remove(&host).unwrap_or_default();
                if jobs.len() < rules.jobs as usize {
                    return Err(format!("{host} is locked for jobs {jobs:?}"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn fails_there(&self, rules: &Wrangling, job: JobId, host: HostId) -> Result<(), String> {
        let failures = self.failures.get(&(job, host)).copied().unwrap_or(0);
        match failures >= rules.failures {
            true => Ok(()),
            false => Err(format!(
                "job {job} failed {failures} times in a row on {host} only"
            )),
        }
    }

    fn blocked(&self, rules: &Wrangling, job: JobId) -> Result<(), String> {
        let rows = self.failures.iter().filter(|((of, _), _)| *of == job);
        let bad = rows.filter(|(_, failures)| **failures >= rules.failures);
        let bad = bad.count();
        if self.good.contains(&job) || bad < 2 {
            return Err(format!("job {job} is blocked and failed on {bad} hosts"));
        }
        Ok(())
    }

    fn forget(&mut self, job: JobId) {
        self.failures.retain(|(of, _), _| *of != job);
        self.put_back.retain(|(of, _), _| *of != job);
        self.good.remove(&job);
    }
}
