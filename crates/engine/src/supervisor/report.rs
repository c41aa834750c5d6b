//! What workers report: instances that exist, items that ended, launches that are gone.

use super::io::{AttemptRecord, Change, kind};
use super::job::Phase;
use super::time::Timer;
use super::{About, Config, Engine, Turn};
use std::time::Duration;
use tessera_model::msg::{AttemptEnd, GoneCause, LaunchKey, Report, Run, ToWorker};
use tessera_model::state::{End, WorkStatus};
use tessera_model::{HostId, InstanceStatus, ItemStatus, JobId, Outcome};

/// A launch whose last item took no longer is given its next item ahead.
const QUICK: Duration = Duration::from_millis(250);
/// One whose last item took no longer is given [`AHEAD_MAX`] of them: to hear of each end and to answer it takes as long.
const VERY_QUICK: Duration = Duration::from_millis(10);
/// The most items that a launch is given ahead.
const AHEAD_MAX: usize = 4;
/// How far a launch is whose job has stopped (`failing`).
pub(super) const STOPS: Phase = Phase::Finishing(WorkStatus::Failed);
/// Why an instance failed whose one command did.
pub(super) const COMMAND_FAILED: &str = "its command failed";
/// Why an instance failed that ran for too long.
pub(super) const OVER_TIMELIMIT: &str = "it was over its timelimit";
/// Why an instance failed whose job killed what starts its items.
const STARTER_ENDED: &str = "the job ended its own starter";

impl Engine {
    pub(super) fn launch_on(&mut self, host: HostId, key: LaunchKey) -> Option<&mut super::Launch> {
        self.launches
            .get_mut(&key)
            .filter(|launch| launch.host == host)
    }

    /// A report about a launch that this host has; about another's it changes nothing.
    pub(super) fn report(&mut self, t: &mut Turn<'_>, host: HostId, report: Report) {
        let key = report.key();
        if self.launch_on(host, key).is_none() {
            return self.report_of_stray(t, host, &report);
        }
        match report {
            Report::Started {
                account,
                uid,
                containment,
                ..
            } => {
                let Some(launch) = self
                    .launches
                    .get_mut(&key)
                    .filter(|launch| !launch.is_started)
                else {
                    return;
                };
                launch.is_started = true;
                launch.account.clone_from(&account);
                t.change(Change::Launch(key));
                if let Some(host) = self.hosts.get_mut(&host) {
                    host.refused.remove(&account);
                }
                let instance = self
                    .jobs
                    .get_mut(&key.job)
                    .and_then(|j| j.instances.get_mut(key.instance));
                if let Some(instance) = instance.filter(|instance| instance.losses > 0) {
                    instance.losses = 0;
                    t.change(Change::Instance(key.job, key.instance));
                }
                let text = format!("runs as {account} (uid {uid}), kept together by {containment}");
                t.event(kind::INSTANCE_STARTED, About::launch(key, host), text);
            }
            Report::Refused { refusal, .. } => self.refused(t, key, refusal),
            Report::ItemEnded { run, end, .. } => self.item_ended(t, key, run, &end),
            Report::Gone { cause, .. } => self.gone(t, key, cause),
        }
    }

    /// A report about a launch that the farm gave up. One that lives is ended and keeps what it took until it is gone; what the
    /// worker repeats before it has said what it has is left for that to settle.
    fn report_of_stray(&mut self, t: &mut Turn<'_>, id: HostId, report: &Report) {
        let key = report.key();
        let is_end = matches!(report, Report::Gone { .. } | Report::Refused { .. });
        let taken = self.taken_by_stray(id, key);
        let Some(host) = self.hosts.get_mut(&id) else {
            return;
        };
        let is_known = host.strays.contains_key(&key);
        if is_end && is_known {
            host.strays.remove(&key);
        } else if !is_end && !is_known && host.is_synced {
            host.strays.insert(key, taken);
            let text =
                format!("launch {key} lives there and was given up by the farm; it is ended");
            t.event(kind::INSTANCE_ENDED, About::host(id), text);
            let grace = Duration::ZERO;
            self.send(t, id, ToWorker::Close { key, grace });
        } else {
            return;
        }
        self.note_drained(t, id);
        self.refresh_host(id);
    }

    fn item_ended(&mut self, t: &mut Turn<'_>, key: LaunchKey, run: Run, end: &AttemptEnd) {
        let end = &self.explained(key.job, end);
        let Some(launch) = self.launches.get_mut(&key) else {
            return;
        };
        let host = launch.host;
        let was_current = launch.current == Some(run);
        if !launch.take(run) {
            return;
        }
        if was_current {
            launch.ahead_max = ahead_after(end.elapsed);
            launch.ahead_since = t.now.elapsed;
            launch.progress = None;
        }
        t.change(Change::Launch(key));
        let counted = self.is_current(key.job, run) || self.ran_all_the_same(key.job, run, end);
        self.keep_attempt(t, key, run, Ok(end.clone()), counted);
        if let Some(launch) = self.launches.get_mut(&key).filter(|_| was_current) {
            launch.current_since = t.now.wall;
            launch.current_started = None;
        }
        if counted {
            self.note_took(key.job, end);
            self.end_current(t, key, host, run, end);
        }
        self.let_go(key.job, run);
        if matches!(end.end, End::OutOfMemory { .. }) {
            // What it asks for now decides who takes it next.
            self.index_job(key.job);
        }
        self.advance(t, key);
        self.settle(t, key.job);
    }

    /// Names in the end of an item that could not be started what it was about: the program or the folder.
    fn explained(&self, job: JobId, end: &AttemptEnd) -> AttemptEnd {
        let mut end = end.clone();
        if let (End::NotStarted(why), Some(job)) = (&end.end, self.jobs.get(&job)) {
            let program = job.spec.command.first().map_or("", String::as_str);
            let folder = job.spec.cwd.as_deref().unwrap_or("the account's home");
            let text = match why.split_once(": ") {
                Some(("exec", reason)) => format!("can't run {program}: {reason}"),
                Some(("chdir", reason)) => format!("can't enter {folder}: {reason}"),
                Some(_) | None => why.clone(),
            };
            end.end = End::NotStarted(text);
        }
        end
    }

    /// Says whether this attempt is its item's current one.
    pub(super) fn is_current(&self, job: JobId, run: Run) -> bool {
        self.jobs.get(&job).is_some_and(|job| {
            let in_range = run.item.0 < job.items.len();
            let core = if in_range {
                job.items.get(run.item)
            } else {
                return false;
            };
            core.status.is_active() && core.attempt == run.attempt
        })
    }

    /// Says whether an item that was taken back ended by itself before its worker heard of that, and is what it was then: what it
    /// did is done, and nobody has begun it since.
    fn ran_all_the_same(&self, job: JobId, run: Run, end: &AttemptEnd) -> bool {
        let items = self.jobs.get(&job).map(|job| &job.items);
        items.is_some_and(|items| {
            let is_as_it_was = run.item.0 < items.len() && {
                let core = items.get(run.item);
                items.is_taken_back(run.item) && core.attempt == run.attempt
            };
            is_as_it_was && end.end.outcome() != Outcome::Interrupted && !items.is_shut(run.item)
        })
    }

    /// The older attempt of this item is proven gone: it may start again.
    pub(super) fn let_go(&mut self, job: JobId, run: Run) {
        let Some(before) = self.seen(job, run.item) else {
            return;
        };
        if let Some(job) = self.jobs.get_mut(&job) {
            job.items.release(run.item);
        }
        self.item_moved(job, run.item, before);
    }

    /// Puts an attempt on record with its end, or with why it is over when its end is not known.
    pub(super) fn keep_attempt(
        &mut self,
        t: &mut Turn<'_>,
        key: LaunchKey,
        run: Run,
        end: Result<AttemptEnd, &str>,
        counted: bool,
    ) {
        let Some(launch) = self.launches.get(&key) else {
            return;
        };
        let host_name = self
            .hosts
            .get(&launch.host)
            .map(|host| host.facts.name.clone())
            .unwrap_or_default();
        t.change(Change::Attempt(Box::new(AttemptRecord {
            key,
            run,
            host: launch.host,
            host_name,
            account: launch.account.clone(),
            assigned: launch.current_since,
            ended: t.now.wall,
            why: end
                .as_ref()
                .err()
                .map_or_else(String::new, |why| (*why).to_owned()),
            end: end.ok(),
            counted,
        })));
    }

    /// Decides what the end of the current attempt makes of its item.
    fn end_current(
        &mut self,
        t: &mut Turn<'_>,
        key: LaunchKey,
        host: HostId,
        run: Run,
        end: &AttemptEnd,
    ) {
        let Some(job) = self.jobs.get(&key.job) else {
            return;
        };
        let mut core = job.items.get(run.item);
        let (limit, delay) = (job.spec.retrywork, job.spec.retrywork_delay);
        let name = job.spec.item_name(run.item);
        // The item of a `cmdline` instance that was retired has nobody to try it again.
        let is_retired = job.is_cmdline()
            && self
                .launches
                .get(&key)
                .is_some_and(|l| l.phase == Phase::Finishing(WorkStatus::Complete));
        let mut text = format!(
            "{name}: {} after {:.1}s",
            end.end,
            end.elapsed.as_secs_f64()
        );
        if end.end.outcome() != Outcome::Interrupted {
            self.forget_losses(key.job, run.item);
        }
        let verdict = self.judge_end(t, key, run, end.end.outcome());
        let is_put_back = self.takes_back(verdict, key, run.item);
        match end.end.outcome() {
            Outcome::Failed if is_put_back => {
                core.status = ItemStatus::Pending;
                core.retries_used = 0;
                text += &format!(", {}", self.why_put_back(key));
            }
            Outcome::Done => core.status = ItemStatus::Complete,
            Outcome::Interrupted => core.status = ItemStatus::Pending,
            Outcome::Failed if u32::from(core.retries_used) < limit && !is_retired => {
                core.retries_used += 1;
                core.status = if delay.is_zero() {
                    ItemStatus::Pending
                } else {
                    ItemStatus::Waiting
                };
                text += &format!(", retry {} of {limit}", core.retries_used);
            }
            Outcome::Failed => core.status = ItemStatus::Failed,
            Outcome::OutOfMemory => {
                // Without a limit of its own it fell to its host's want of memory: more of it for the item is no answer.
                let is_own = matches!(end.end, End::OutOfMemory { limit, .. } if limit > 0);
                let had = self
                    .launches
                    .get(&key)
                    .and_then(|launch| launch.taken.memory())
                    .filter(|_| is_own);
                let (tries, more) = self.after_oom(key.job, core, had);
                text += &more;
                core.status = match tries.filter(|_| !is_retired) {
                    Some((tries, growth)) => {
                        (core.ooms, core.growth) = (tries, growth);
                        ItemStatus::Pending
                    }
                    None => ItemStatus::Failed,
                };
            }
        }
        if core.status == ItemStatus::Waiting {
            self.timers
                .set(t.now.elapsed + delay, Timer::Item(key.job, run.item));
        }
        let is_failed = core.status == ItemStatus::Failed;
        self.set_item(
            t,
            key.job,
            run.item,
            core,
            About::run(key, host, run),
            kind::ITEM_ENDED,
            text,
        );
        let is_cmdline = self.jobs.get(&key.job).is_some_and(super::Job::is_cmdline);
        if is_cmdline && is_failed && !is_retired {
            self.fail_instance(t, key, COMMAND_FAILED);
        } else if is_cmdline && core.status == ItemStatus::Complete {
            self.close(t, key, WorkStatus::Complete, Duration::ZERO);
        }
        self.carry_out(t, key, verdict);
        let job = self.jobs.get(&key.job);
        if job.is_some_and(|job| is_failed && job.items.get(run.item).status == ItemStatus::Failed)
        {
            self.stop_failing(t, key.job);
        }
    }

    /// An instance failed: it is retried as often as `retrysubjob` says, its own item of a `cmdline` job with it.
    pub(super) fn fail_instance(&mut self, t: &mut Turn<'_>, key: LaunchKey, why: &str) {
        let Some(job) = self.jobs.get_mut(&key.job) else {
            return;
        };
        let (limit, is_cmdline) = (job.spec.retrysubjob, job.is_cmdline());
        let Some(instance) = job.instances.get_mut(key.instance) else {
            return;
        };
        // Of a job that stopped nothing is begun again.
        let stops = self.launches.get(&key).is_some_and(|it| it.phase == STOPS);
        let again = !stops && instance.retries_used < limit;
        let host = self
            .launches
            .get(&key)
            .map(|launch| launch.host)
            .unwrap_or_default();
        let about = About::launch(key, host);
        let next = if again {
            instance.retries_used += 1;
            let text = format!(
                "instance failed ({why}), retry {} of {limit}",
                instance.retries_used
            );
            t.event(kind::INSTANCE_ENDED, about.clone(), text);
            WorkStatus::Pending
        } else {
            t.event(
                kind::INSTANCE_ENDED,
                about.clone(),
                format!("instance failed ({why})"),
            );
            instance.failure = Some(why.to_owned());
            WorkStatus::Failed
        };
        let own = tessera_model::ItemIndex(key.instance.0);
        if again && is_cmdline && own.0 < job.items.len() {
            let mut core = job.items.get(own);
            if core.status == ItemStatus::Failed {
                core.status = ItemStatus::Pending;
                core.retries_used = 0;
                (core.ooms, core.growth) = (0, 0);
                self.set_item(
                    t,
                    key.job,
                    own,
                    core,
                    about,
                    kind::ITEM_CHANGED,
                    "retried with its instance".into(),
                );
            }
        }
        self.close(t, key, next, Duration::ZERO);
    }

    /// Nothing of the launch is left on its host.
    pub(super) fn gone(&mut self, t: &mut Turn<'_>, key: LaunchKey, cause: GoneCause) {
        match cause {
            GoneCause::Closed => self.end_launch(t, key, "it ended without its worker's word"),
            GoneCause::Limit(limit) => {
                if self.owns_instance(key) {
                    self.fail_instance(t, key, OVER_TIMELIMIT);
                }
                self.end_launch(t, key, &End::Limit(limit).to_string());
            }
            GoneCause::StarterLost => {
                if self.owns_instance(key) {
                    self.fail_instance(t, key, STARTER_ENDED);
                }
                self.end_launch(t, key, STARTER_ENDED);
            }
            GoneCause::ShepherdLost => self.shepherd_lost(t, key),
            GoneCause::Unknown => self.end_launch(t, key, "its worker does not have it"),
        }
    }

    pub(super) fn owns_instance(&self, key: LaunchKey) -> bool {
        let instance = self
            .jobs
            .get(&key.job)
            .and_then(|job| job.instance(key.instance));
        instance.is_some_and(|instance| instance.status.launch() == Some(key.launch))
    }

    /// Ends a launch that was lost through no fault of its job: no retry is used; a pause that grows with the losses in a
    /// row keeps a broken host from being asked without end.
    pub(super) fn lose_launch(&mut self, t: &mut Turn<'_>, key: LaunchKey, why: &str) {
        let stops = self.launches.get(&key).is_some_and(|it| it.phase == STOPS);
        if self.owns_instance(key) && !stops {
            let pause = loss_pause(self.count_loss(key));
            self.pause_instance(t, key, pause, why);
        }
        self.end_launch(t, key, why);
    }

    /// Counts a launch that came to nothing through no fault of its job and answers how many were before it in a row. For
    /// the launch that its instance has; the change of the instance's state that must follow names the count, too.
    pub(super) fn count_loss(&mut self, key: LaunchKey) -> u32 {
        let job = self.jobs.get_mut(&key.job);
        let instance = job.and_then(|job| job.instances.get_mut(key.instance));
        instance.map_or(0, |instance| {
            let before = instance.losses;
            instance.losses = before.saturating_add(1);
            before
        })
    }

    pub(super) fn pause_instance(
        &mut self,
        t: &mut Turn<'_>,
        key: LaunchKey,
        pause: Duration,
        why: &str,
    ) {
        if pause.is_zero() {
            self.leave_launch(t, key, InstanceStatus::Pending);
            return;
        }
        let until = t
            .now
            .wall
            .plus_ms(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
        self.timers.set(
            t.now.elapsed + pause,
            Timer::Instance(key.job, key.instance),
        );
        self.leave_launch(
            t,
            key,
            InstanceStatus::Waiting {
                until,
                reason: why.to_owned(),
            },
        );
    }

    /// Removes a launch that is gone: its slot is free, its item, if it still had one, is put back and counts nothing.
    pub(super) fn end_launch(&mut self, t: &mut Turn<'_>, key: LaunchKey, why: &str) {
        let Some(launch) = self.launches.get(&key).cloned() else {
            return;
        };
        for run in launch.runs() {
            let counted = self.is_current(key.job, run);
            self.keep_attempt(t, key, run, Err(why), counted);
            if counted {
                self.put_back(t, key, launch.host, run, why);
            }
            self.let_go(key.job, run);
        }
        self.launches.remove(&key);
        let owner = self.jobs.get(&key.job).map(|job| job.owner.clone());
        if let Some(owner) = owner {
            self.count_out(&owner);
        }
        self.count_group_out(key.job);
        self.count_share_out(key.job, launch.taken.slots);
        self.leaving.forget(key);
        t.change(Change::Launch(key));
        self.instance_moved(key.job, key.instance);
        // Of a job that stopped nothing more is begun.
        let next = match launch.phase {
            STOPS => InstanceStatus::Failed,
            _ => InstanceStatus::Pending,
        };
        self.leave_launch(t, key, next);
        if let Some(host) = self.hosts.get_mut(&launch.host) {
            host.launches.remove(&key);
        }
        self.note_drained(t, launch.host);
        self.refresh_host(launch.host);
        self.settle(t, key.job);
    }

    pub(super) fn put_back(
        &mut self,
        t: &mut Turn<'_>,
        key: LaunchKey,
        host: HostId,
        run: Run,
        why: &str,
    ) {
        let Some(job) = self.jobs.get(&key.job) else {
            return;
        };
        let mut core = job.items.get(run.item);
        // The item of a `cmdline` instance has no other to go to.
        let own = job
            .instance(key.instance)
            .filter(|_| job.is_cmdline())
            .map(|instance| instance.status.kind());
        core.status = match own {
            Some(WorkStatus::Failed | WorkStatus::Complete) => ItemStatus::Failed,
            Some(WorkStatus::Killed) => ItemStatus::Killed,
            _ => ItemStatus::Pending,
        };
        let text = format!(
            "{}: {}, {why}",
            job.spec.item_name(run.item),
            if core.status == ItemStatus::Pending {
                "put back"
            } else {
                "over"
            }
        );
        self.set_item(
            t,
            key.job,
            run.item,
            core,
            About::run(key, host, run),
            kind::ITEM_CHANGED,
            text,
        );
    }
}

/// Answers how many items a launch is given ahead whose last one took so long.
fn ahead_after(elapsed: Duration) -> usize {
    match elapsed {
        it if it <= VERY_QUICK => AHEAD_MAX,
        it if it <= QUICK => 1,
        _ => 0,
    }
}

/// Answers the pause after so many losses in a row before this one: none, then 1, 2, 4 … seconds.
pub(super) fn loss_pause(losses: u32) -> Duration {
    match losses {
        0 => Duration::ZERO,
        n => Duration::from_secs(1 << (n - 1).min(9)).min(Config::LOSS_PAUSE_MAX),
    }
}
