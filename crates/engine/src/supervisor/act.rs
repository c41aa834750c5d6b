//! What people do to jobs, instances and items. The rules stand in [`tessera_model::action`]; here is what follows.

use super::io::{Acted, Answer, Change, Denied, Effect, Target, kind};
use super::job::{Launch, Phase};
use super::submit::may_act;
use super::unblock::{or_waits, starts_freed, waits};
use super::wrangle::HELD;
use super::{About, Algorithm, Engine, Turn, told};
use std::time::Duration;
use tessera_model::action::{Refused, Rule};
use tessera_model::msg::{LaunchKey, Run, ToWorker};
use tessera_model::state::WorkStatus;
use tessera_model::{
    Action, InstanceNo, InstanceStatus, ItemIndex, ItemStatus, JobId, Principal, UserName,
};

/// So many changed items are told one by one; more are told in runs ([`told`]) and written as whole segments.
const ITEM_EVENTS_MAX: usize = 256;

/// What runs in an instance that is acted on: goes with it, or goes back to pending for another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Current<'a> {
    Follows(Action, &'a UserName),
    PutBack,
}

impl Engine {
    pub(super) fn act(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        action: Action,
        targets: Vec<Target>,
    ) -> Answer {
        let outcome = |target: Target| {
            let result = self.act_on(t, by, action, &target);
            (target, result)
        };
        Answer::Acted(targets.into_iter().map(outcome).collect())
    }

    fn act_on(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        action: Action,
        target: &Target,
    ) -> Result<Acted, Denied> {
        let id = target.job();
        let job = self.jobs.get(&id).ok_or(Denied::NoJob(id))?;
        may_act(by, job, action.word())?;
        let is_cmdline = job.is_cmdline();
        let acted = match target {
            Target::Job(_) if action.job_only() => self.act_on_whole(t, by, action, id),
            Target::Job(_) => self.act_on_job(t, by, action, id),
            Target::Instance(_, no) => self.act_on_instance(t, by, action, id, *no),
            Target::Items(_, items) if is_cmdline => {
                let mut sum = Acted::default();
                let mut refused = None;
                for item in items {
                    match self.act_on_instance(t, by, action, id, InstanceNo(item.0)) {
                        Ok(one) => {
                            sum.instances += one.instances;
                            sum.items += one.items;
                        }
                        Err(denied) => refused = refused.or(Some(denied)),
                    }
                }
                refused
                    .filter(|_| sum == Acted::default())
                    .map_or(Ok(sum), Err)
            }
            Target::Items(_, items) => self.act_on_items(t, by, action, id, items),
        }?;
        if action == Action::Retry {
            self.go_on_again(t, id);
        }
        let is_anew = matches!(action, Action::Retry | Action::Requeue | Action::Unblock);
        if is_anew && acted != Acted::default() {
            self.forgive(t, id, action == Action::Unblock);
        }
        if acted != Acted::default() && !action.job_only() {
            let text = format!(
                "{action} {}: {} items, {} instances",
                told::describe(target),
                acted.items,
                acted.instances
            );
            t.event(kind::JOB_ACTION, About::job(id).by(&by.name), text);
        }
        self.settle(t, id);
        Ok(acted)
    }

    /// Remove, top and bottom.
    fn act_on_whole(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        action: Action,
        id: JobId,
    ) -> Result<Acted, Denied> {
        let done = Ok(Acted {
            items: 0,
            instances: 0,
        });
        match action {
            Action::Remove => {
                let Some(job) = self.jobs.get(&id) else {
                    return Err(Denied::NoJob(id));
                };
                let busy = self.launches_of(id).next().is_some();
                if !job.status.is_ended() || busy {
                    let word = if job.status.is_ended() {
                        "its last processes are ending"
                    } else {
                        job.status.word()
                    };
                    return Err(state_denied(
                        action,
                        format!("job {id}"),
                        Refused::NotEnded(word),
                    ));
                }
                self.remove_job(t, id, Some(&by.name));
                done
            }
            Action::Top | Action::Bottom => {
                self.move_job(t, by, action, id);
                done
            }
            _ => Err(state_denied(action, format!("job {id}"), Refused::JobOnly)),
        }
    }

    fn move_job(&mut self, t: &mut Turn<'_>, by: &Principal, action: Action, id: JobId) {
        let Some(priority) = self.jobs.get(&id).map(|job| job.spec.priority) else {
            return;
        };
        // Where priorities don't count, all jobs stand in one row.
        let is_one_row = self.config.queue_algorithm == Algorithm::Queue;
        let peers = self.jobs.values().filter(|job| {
            let is_peer = is_one_row || job.spec.priority == priority;
            is_peer && job.id != id && !job.status.is_ended()
        });
        let orders = peers.map(|job| job.order);
        let order = if action == Action::Top {
            orders.min().map(|order| order.saturating_sub(1))
        } else {
            orders.max().map(|order| order.saturating_add(1))
        };
        self.unready(id);
        if let (Some(order), Some(job)) = (order, self.jobs.get_mut(&id)) {
            job.order = order;
        }
        t.change(Change::JobRow(id));
        let text = if is_one_row {
            format!("moved to the {action} of the queue")
        } else {
            format!("moved to the {action} of priority {priority}")
        };
        t.event(kind::JOB_ACTION, About::job(id).by(&by.name), text);
    }

    /// Removes an ended job whose processes are gone; others are left alone.
    pub(super) fn clean(&mut self, t: &mut Turn<'_>, id: JobId) {
        let removable = self.jobs.get(&id).is_some_and(|job| job.status.is_ended());
        if removable && self.launches_of(id).next().is_none() {
            self.remove_job(t, id, None);
        }
    }

    fn remove_job(&mut self, t: &mut Turn<'_>, id: JobId, by: Option<&UserName>) {
        self.unready(id);
        self.grown_jobs.remove(&id);
        self.drop_grown(id);
        self.leave_group(id);
        self.forget_starts(id);
        let orphans = self.forget_job(t, id);
        let Some(job) = self.jobs.remove(&id) else {
            return;
        };
        self.planner.drop_class(job.class);
        if let Some(key) = job.key {
            self.by_key.remove(&(job.owner.clone(), key));
        }
        self.watch_orphans(orphans);
        t.change(Change::JobRemoved(id));
        let about = About {
            actor: by.cloned(),
            ..About::job(id)
        };
        t.event(
            kind::JOB_REMOVED,
            about,
            format!("\"{}\" was removed", job.spec.name),
        );
        t.effect(Effect::RemoveLogs(id));
    }

    /// An action on a job is the action on all its instances and items that allow it.
    fn act_on_job(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        action: Action,
        id: JobId,
    ) -> Result<Acted, Denied> {
        let Some(job) = self.jobs.get(&id) else {
            return Err(Denied::NoJob(id));
        };
        // What is complete is done again only when everything is.
        let only_bad = matches!(action, Action::Retry | Action::Requeue)
            && (job.items.count(ItemStatus::Complete) < job.items.len());
        let unended = matches!(action, Action::Fail) && job.items.ended() < job.items.len();
        let takes = |status: ItemStatus| {
            !(only_bad && status == ItemStatus::Complete || unended && status.is_ended())
        };
        let items: Vec<ItemIndex> = job
            .items
            .indices()
            .filter(|item| {
                let status = job.items.get(*item).status;
                takes(status) && action.on_item(status).is_ok()
            })
            .collect();
        let instances: Vec<InstanceNo> = job
            .instances
            .iter()
            .filter(|i| {
                i.no.0 < job.spec.instances() && action.on_instance(i.status.kind()).is_ok()
            })
            .filter(|i| !(unended && i.status.kind().is_ended()))
            .map(|i| i.no)
            .collect();
        if items.is_empty() && instances.is_empty() && action == Action::Unblock {
            // Nobody holds it: who unblocks it all the same wants it not to wait for others.
            let items = self.release(t, id);
            if items > 0 {
                return Ok(Acted {
                    items,
                    instances: 0,
                });
            }
        }
        let Some(job) = self.jobs.get(&id) else {
            return Err(Denied::NoJob(id));
        };
        if items.is_empty() && instances.is_empty() {
            return Err(state_denied(
                action,
                format!("job {id}"),
                why_not(action, job),
            ));
        }
        if action == Action::Migrate {
            let hosts = self.launches_of(id).map(|launch| launch.host).collect();
            self.bar_hosts(t, id, hosts);
        }
        let instances_changed = instances.len();
        for no in instances {
            // Items first see the state that the table is about: their own loop follows.
            self.apply_to_instance(t, id, no, action, Current::Follows(action, &by.name))?;
            self.note_declared(by, action, id, no);
        }
        self.apply_to_items(t, by, id, action, &items);
        Ok(Acted {
            items: count(items.len()),
            instances: count(instances_changed),
        })
    }

    fn act_on_instance(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        action: Action,
        id: JobId,
        no: InstanceNo,
    ) -> Result<Acted, Denied> {
        let job = self.jobs.get(&id).ok_or(Denied::NoJob(id))?;
        let instance = job.instance(no).ok_or(Denied::NoInstance(id, no))?;
        let is_surplus = no.0 >= job.spec.instances();
        if is_surplus && matches!(action, Action::Retry | Action::Requeue | Action::Unblock) {
            return Err(Denied::NoInstance(id, no));
        }
        let what = format!("instance {id}.{no}");
        let is_waiting = match job.is_cmdline() {
            true => waits(job, ItemIndex(no.0)),
            false => job.items.ready() == 0 && job.items.shut() > 0,
        };
        action
            .on_instance(instance.status.kind())
            .map_err(|why| state_denied(action, what, or_waits(why, job, is_waiting)))?;
        let is_cmdline = job.is_cmdline();
        if action == Action::Migrate {
            let of_instance = |launch: &&Launch| launch.key.instance == no;
            let left = self.launches_of(id).filter(of_instance);
            let hosts = left.map(|launch| launch.host).collect();
            self.bar_hosts(t, id, hosts);
        }
        let current = if is_cmdline {
            Current::Follows(action, &by.name)
        } else {
            Current::PutBack
        };
        self.apply_to_instance(t, id, no, action, current)?;
        self.note_declared(by, action, id, no);
        let own = ItemIndex(no.0);
        let mut items = 0;
        if is_cmdline
            && self
                .jobs
                .get(&id)
                .is_some_and(|job| action.on_item(job.items.get(own).status).is_ok())
        {
            items = self.apply_to_items(t, by, id, action, &[own]);
        }
        Ok(Acted {
            items,
            instances: 1,
        })
    }

    fn act_on_items(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        action: Action,
        id: JobId,
        items: &[ItemIndex],
    ) -> Result<Acted, Denied> {
        let job = self.jobs.get(&id).ok_or(Denied::NoJob(id))?;
        if let Some(item) = items.iter().find(|item| item.0 >= job.items.len()) {
            return Err(Denied::NoItem(id, *item));
        }
        let rules = items
            .iter()
            .map(|item| (*item, action.on_item(job.items.get(*item).status)));
        let (allowed, refused): (Vec<_>, Vec<_>) = rules.partition(|(_, rule)| rule.is_ok());
        if let (true, Some((item, Err(why)))) = (allowed.is_empty(), refused.first()) {
            if action == Action::Unblock && items.iter().any(|item| starts_freed(job, *item)) {
                let instances = self.free_instances(t, id);
                return Ok(Acted {
                    items: 0,
                    instances,
                });
            }
            let what = format!("{id}:{}", job.spec.item_name(*item));
            return Err(state_denied(
                action,
                what,
                or_waits(*why, job, waits(job, *item)),
            ));
        }
        let allowed: Vec<ItemIndex> = allowed.into_iter().map(|(item, _)| item).collect();
        if action == Action::Migrate {
            let launches = allowed
                .iter()
                .filter_map(|item| self.launch_of_item(id, *item));
            let launches = launches.filter_map(|key| self.launches.get(&key));
            let hosts = launches.map(|launch| launch.host).collect();
            self.bar_hosts(t, id, hosts);
        }
        let changed = self.apply_to_items(t, by, id, action, &allowed);
        let instances = match action {
            Action::Retry => self.revive(t, id),
            Action::Unblock => self.free_instances(t, id),
            _ => 0,
        };
        Ok(Acted {
            items: changed,
            instances,
        })
    }

    /// Brings ended instances back when items are ready and fewer instances than that are there to take them.
    fn revive(&mut self, t: &mut Turn<'_>, id: JobId) -> u32 {
        let Some(job) = self.jobs.get(&id) else {
            return 0;
        };
        let live = job
            .instances
            .iter()
            .filter(|i| !i.status.kind().is_ended())
            .count() as u64;
        let wanted = usize::try_from(job.items.ready().saturating_sub(live)).unwrap_or(usize::MAX);
        let ended: Vec<InstanceNo> = job
            .instances
            .iter()
            .take(job.spec.instances() as usize)
            .filter(|i| i.status.kind().is_ended())
            .map(|i| i.no)
            .take(wanted)
            .collect();
        for no in &ended {
            self.reset_instance(id, *no);
            self.set_instance(t, id, *no, InstanceStatus::Pending);
        }
        count(ended.len())
    }

    fn reset_instance(&mut self, id: JobId, no: InstanceNo) {
        if let Some(instance) = self
            .jobs
            .get_mut(&id)
            .and_then(|job| job.instances.get_mut(no))
        {
            instance.retries_used = 0;
            instance.losses = 0;
            instance.failure = None;
        }
    }

    /// Notes who declared an instance failed. Its change names it already.
    fn note_declared(&mut self, by: &Principal, action: Action, id: JobId, no: InstanceNo) {
        let job = self.jobs.get_mut(&id);
        let instance = job.and_then(|job| job.instances.get_mut(no));
        if let Some(instance) = instance.filter(|_| action == Action::Fail) {
            instance.failure = Some(format!("{} declared it failed", by.name));
        }
    }

    fn apply_to_instance(
        &mut self,
        t: &mut Turn<'_>,
        id: JobId,
        no: InstanceNo,
        action: Action,
        current: Current<'_>,
    ) -> Result<(), Denied> {
        let job = self.jobs.get(&id).ok_or(Denied::NoJob(id))?;
        let instance = job.instance(no).ok_or(Denied::NoInstance(id, no))?;
        let key = instance.status.launch().map(|launch| LaunchKey {
            job: id,
            instance: no,
            launch,
        });
        let rule = action
            .on_instance(instance.status.kind())
            .map_err(|why| state_denied(action, format!("instance {id}.{no}"), why))?;
        match (rule, key) {
            (Rule::Become(next), _) => {
                if matches!(action, Action::Retry | Action::Requeue) {
                    self.reset_instance(id, no);
                }
                self.set_instance(t, id, no, bare(next));
            }
            (Rule::EndAndBecome(next), Some(key)) => {
                self.end_current_item(t, key, current);
                let grace = self.grace(id);
                self.close(t, key, next, grace);
            }
            (Rule::FinishThen(next), Some(key)) => {
                self.note_leaving(key);
                self.recall(t, key);
                // An instance that is to be blocked gets there also when it leaves its host for others.
                let stays = |phase| phase == HELD && next == WorkStatus::Pending;
                let launch = self.launches.get_mut(&key);
                if let Some(launch) = launch.filter(|it| !stays(it.phase)) {
                    launch.phase = Phase::Finishing(next);
                    t.change(Change::Launch(key));
                }
                self.advance(t, key);
            }
            (Rule::Stop, Some(key)) => self.stop_or_go_on(t, key, true),
            (Rule::Continue, Some(key)) => self.stop_or_go_on(t, key, false),
            (Rule::EndAndBecome(_) | Rule::FinishThen(_) | Rule::Stop | Rule::Continue, None) => {}
        }
        Ok(())
    }

    /// The instance is ended: its current item follows the action or goes back to pending, held until it is proven gone.
    pub(super) fn end_current_item(
        &mut self,
        t: &mut Turn<'_>,
        key: LaunchKey,
        current: Current<'_>,
    ) {
        let Some(run) = self.launches.get(&key).and_then(|launch| launch.current) else {
            return;
        };
        if !self.is_current(key.job, run) {
            return;
        }
        let Some(job) = self.jobs.get_mut(&key.job) else {
            return;
        };
        let mut core = job.items.get(run.item);
        core.status = match current {
            Current::Follows(action, _) => match action.on_item(core.status) {
                Ok(Rule::EndAndBecome(next) | Rule::Become(next)) => next,
                Ok(Rule::FinishThen(_) | Rule::Stop | Rule::Continue) | Err(_) => {
                    ItemStatus::Pending
                }
            },
            Current::PutBack => ItemStatus::Pending,
        };
        job.items.hold(run.item);
        let (about, text) = match current {
            Current::Follows(action, who) => (About::job(key.job).by(who), action.word()),
            Current::PutBack => (About::job(key.job), "its instance was ended"),
        };
        self.set_item(
            t,
            key.job,
            run.item,
            core,
            about,
            kind::ITEM_CHANGED,
            text.into(),
        );
    }

    fn stop_or_go_on(&mut self, t: &mut Turn<'_>, key: LaunchKey, stop: bool) {
        let Some(launch) = self.launches.get(&key) else {
            return;
        };
        let (host, current) = (launch.host, launch.current);
        let status = if stop {
            InstanceStatus::Suspended {
                host,
                launch: key.launch,
            }
        } else {
            InstanceStatus::Running {
                host,
                launch: key.launch,
            }
        };
        if stop {
            self.recall(t, key);
        }
        self.set_instance(t, key.job, key.instance, status);
        if let Some(run) = current.filter(|run| self.is_current(key.job, *run))
            && let Some(job) = self.jobs.get(&key.job)
        {
            let mut core = job.items.get(run.item);
            core.status = if stop {
                ItemStatus::Suspended
            } else {
                ItemStatus::Running
            };
            let text = if stop { "suspended" } else { "resumed" };
            self.set_item(
                t,
                key.job,
                run.item,
                core,
                About::job(key.job),
                kind::ITEM_CHANGED,
                text.into(),
            );
        }
        self.send(
            t,
            host,
            if stop {
                ToWorker::Suspend(key)
            } else {
                ToWorker::Resume(key)
            },
        );
        if !stop {
            self.advance(t, key);
        }
    }

    /// Applies an action to items, those among them that no longer allow it are passed over.
    fn apply_to_items(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        id: JobId,
        action: Action,
        items: &[ItemIndex],
    ) -> u32 {
        let mut changed = 0;
        let in_bulk = items.len() > ITEM_EVENTS_MAX;
        let mut untold = Vec::new();
        for item in items {
            let Some(job) = self.jobs.get(&id) else {
                return changed;
            };
            let core = job.items.get(*item);
            let Ok(rule) = action.on_item(core.status) else {
                continue;
            };
            changed += 1;
            match rule {
                Rule::Become(next) => {
                    let mut new = core;
                    new.status = next;
                    if matches!(action, Action::Retry | Action::Requeue) {
                        new.retries_used = 0;
                        (new.ooms, new.growth) = (0, 0);
                        self.forget_losses(id, *item);
                    }
                    if in_bulk {
                        if let Some(job) = self.jobs.get_mut(&id) {
                            job.items.set(*item, new);
                        }
                        untold.push(*item);
                    } else {
                        let about = About::job(id).by(&by.name);
                        self.set_item(
                            t,
                            id,
                            *item,
                            new,
                            about,
                            kind::ITEM_CHANGED,
                            action.word().into(),
                        );
                    }
                }
                Rule::EndAndBecome(next) => self.end_item(t, by, id, *item, next, action),
                Rule::Stop | Rule::Continue => {
                    // One that was only given ahead does not run yet: there is nothing to stop.
                    let key = self.launch_of_item(id, *item);
                    let runs = key.and_then(|key| self.launches.get(&key)?.current);
                    if let Some(key) = key.filter(|_| runs.is_some_and(|run| run.item == *item)) {
                        self.stop_or_go_on(t, key, rule == Rule::Stop);
                    }
                }
                Rule::FinishThen(_) => {}
            }
        }
        if in_bulk {
            self.items_moved(id);
            self.own_items_moved(id);
            t.change(Change::ItemsRefold(id));
            t.change(Change::JobRow(id));
            for line in told::lines(action, &untold) {
                t.event(kind::JOB_ITEMS, About::job(id).by(&by.name), line);
            }
        }
        changed
    }

    /// Ends the processes of an item; its instance stays and takes the next.
    fn end_item(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        id: JobId,
        item: ItemIndex,
        next: ItemStatus,
        action: Action,
    ) {
        let key = self.launch_of_item(id, item);
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let mut core = job.items.get(item);
        let run = Run {
            item,
            attempt: core.attempt,
        };
        let was_suspended = core.status == ItemStatus::Suspended;
        core.status = next;
        if key.is_some() {
            job.items.hold(item);
        }
        let grace = job.spec.grace;
        self.set_item(
            t,
            id,
            item,
            core,
            About::job(id).by(&by.name),
            kind::ITEM_CHANGED,
            action.word().into(),
        );
        let Some(key) = key else { return };
        let Some(host) = self.launches.get(&key).map(|launch| launch.host) else {
            return;
        };
        if was_suspended {
            self.set_instance(
                t,
                id,
                key.instance,
                InstanceStatus::Running {
                    host,
                    launch: key.launch,
                },
            );
            self.send(t, host, ToWorker::Resume(key));
        }
        self.send(t, host, ToWorker::EndItem { key, run, grace });
        if action == Action::Migrate {
            // Else it would take the same item again. Nor does it stay when the claim is given up for which it leaves.
            self.note_leaving(key);
            self.recall(t, key);
            if let Some(launch) = self
                .launches
                .get_mut(&key)
                .filter(|it| it.phase == Phase::Open)
            {
                launch.phase = Phase::Finishing(WorkStatus::Pending);
                t.change(Change::Launch(key));
            }
        }
    }

    /// Answers the launch whose current item this is.
    fn launch_of_item(&self, id: JobId, item: ItemIndex) -> Option<LaunchKey> {
        let attempt = self.jobs.get(&id)?.items.get(item).attempt;
        self.launches_of(id)
            .find(|launch| launch.runs().any(|run| run == Run { item, attempt }))
            .map(|launch| launch.key)
    }

    /// Has an instance leave its host for others: at once, its item put back, or when that is done.
    pub(super) fn take_host_from(&mut self, t: &mut Turn<'_>, key: LaunchKey, at_once: bool) {
        let action = if at_once {
            Action::Interrupt
        } else {
            Action::Preempt
        };
        _ = self.apply_to_instance(t, key.job, key.instance, action, Current::PutBack);
    }

    /// Lets a retired instance finish, or ends an idle one.
    pub(super) fn retire_instance(&mut self, t: &mut Turn<'_>, id: JobId, no: InstanceNo) {
        let Some(instance) = self.jobs.get(&id).and_then(|job| job.instance(no)) else {
            return;
        };
        match instance.status.kind() {
            WorkStatus::Running => {
                _ = self.apply_to_instance(t, id, no, Action::Retire, Current::PutBack);
            }
            WorkStatus::Suspended => {
                if let Some(launch) = instance.status.launch() {
                    let key = LaunchKey {
                        job: id,
                        instance: no,
                        launch,
                    };
                    self.end_current_item(t, key, Current::PutBack);
                    self.close(t, key, WorkStatus::Complete, Duration::ZERO);
                }
            }
            WorkStatus::Pending
            | WorkStatus::Blocked
            | WorkStatus::Waiting
            | WorkStatus::Badlogin => {
                self.set_instance(t, id, no, InstanceStatus::Complete);
            }
            WorkStatus::Complete | WorkStatus::Failed | WorkStatus::Killed => {}
        }
    }
}

/// Answers the state of an instance that is on no host; what needs more to be said is pending.
pub(super) fn bare(word: WorkStatus) -> InstanceStatus {
    match word {
        WorkStatus::Blocked => InstanceStatus::Blocked,
        WorkStatus::Complete => InstanceStatus::Complete,
        WorkStatus::Failed => InstanceStatus::Failed,
        WorkStatus::Killed => InstanceStatus::Killed,
        WorkStatus::Pending
        | WorkStatus::Waiting
        | WorkStatus::Badlogin
        | WorkStatus::Running
        | WorkStatus::Suspended => InstanceStatus::Pending,
    }
}

fn state_denied(action: Action, what: String, why: Refused) -> Denied {
    Denied::State { action, what, why }
}

/// Answers the reason that says most when nothing of a job allows the action.
fn why_not(action: Action, job: &super::Job) -> Refused {
    let first = job.instances.first().map(|instance| instance.status.kind());
    first
        .and_then(|word| action.on_instance(word).err())
        .unwrap_or(Refused::NotRunning(job.status.word()))
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
