//! What must hold, seen from outside the engines: from what processes really ran and what was really committed.

use crate::client::{ALONE, FAST, NOT_SECOND};
use crate::durable::Durable;
use crate::host::{Host, Shepherd};
use crate::tally::Tally;
use std::collections::{BTreeMap, BTreeSet};
use tessera_engine::supervisor::{Change, Effect, Engine, kind};
use tessera_model::msg::{FromWorker, LaunchKey, Report, Run};
use tessera_model::{Attempt, ClusterPath, End, HostId, ItemIndex, JobId, Outcome, Restriction};

type Item = (JobId, ItemIndex);

/// Watches the world.
#[derive(Debug, Default)]
pub struct Checker {
    /// Which attempts ever had a process.
    ran: BTreeSet<(Item, Attempt)>,
    /// Jobs whose submission was acknowledged, with its key.
    acknowledged: BTreeMap<JobId, Option<String>>,
    /// Two submissions that were told the same id.
    confused: Option<JobId>,
    removed: BTreeSet<JobId>,
    /// Attempts that counted.
    counted: BTreeSet<(Item, Attempt)>,
    /// Hosts that were given up, and when that was committed last.
    lost_hosts: BTreeSet<HostId>,
    last_delivery: BTreeMap<(usize, usize), u64>,
    ticks: BTreeSet<u64>,
    worker_ticks: BTreeSet<(usize, u64)>,
    /// Processes that nobody looks after (of a planted bug).
    strays: Vec<(usize, LaunchKey, Run)>,
}

/// How long the word that a host is changed may be on its way.
const CHANGE_ON_ITS_WAY_MS: u64 = 100;

/// An instance goes to a host.
///
/// # Errors
/// When its job does not allow that one.
pub fn placed(hosts: &[Host], now: u64, effect: &Effect) -> Result<(), String> {
    let Effect::Start { host, order, .. } = effect else {
        return Ok(());
    };
    let Some(host) = hosts.iter().find(|it| it.id == *host) else {
        return Err(format!("{} goes to {host}, which nobody knows", order.key));
    };
    if now < host.changed_at + CHANGE_ON_ITS_WAY_MS {
        // It may have been chosen for what it was.
        return Ok(());
    }
    let (spec, name) = (&order.spec, &host.name);
    let is_in = |names: &BTreeSet<String>| host.groups().split(',').any(|it| names.contains(it));
    let is_named = spec.hosts.is_empty() || spec.hosts.contains(name);
    let is_grouped = spec.groups.is_empty() || is_in(&spec.groups);
    let cluster: ClusterPath = host.cluster().parse().unwrap_or_default();
    let is_inside = spec
        .restrictions
        .as_ref()
        .is_none_or(|it| it.admits(&cluster));
    let takes = host.restrictions().parse::<Restriction>();
    let is_taken = takes.map_or(true, |it| it.admits_choice(&spec.cluster));
    let asked = spec.requirements.as_ref().map(ToString::to_string);
    let is_met = match asked.as_deref() {
        Some(FAST) => is_in(&["fast".to_owned()].into()),
        Some(NOT_SECOND) => name != "rnd002",
        Some(ALONE) => host.shepherds.keys().all(|key| key.job != order.key.job),
        Some(_) | None => true,
    };
    if !is_met {
        let asked = asked.unwrap_or_default();
        return Err(format!(
            "{} goes to {name}, which does not meet {asked}",
            order.key
        ));
    }
    if !is_inside || !is_taken {
        return Err(format!(
            "{} goes to {name}, which restrictions rule out",
            order.key
        ));
    }
    if !is_named || !is_grouped || spec.omithosts.contains(name) || is_in(&spec.omitgroups) {
        return Err(format!(
            "{} goes to {name}, which its job rules out",
            order.key
        ));
    }
    Ok(())
}

/// The client, whose all jobs are, has no more instances than it may, those that are ending among them.
///
/// # Errors
/// When it has.
pub fn limited(tally: &mut Tally, engine: &Engine, limit: u32) -> Result<(), String> {
    let has = engine.launches().count();
    if has > limit as usize {
        return Err(format!("{has} instances are placed, {limit} may be"));
    }
    if has == limit as usize {
        tally.add("seen: a user at the limit");
    }
    Ok(())
}

impl Checker {
    /// Keeps the messages of one connection and direction in order: answers the delay that does.
    pub fn in_order(&mut self, host: usize, direction: usize, now: u64, delay: u64) -> u64 {
        let last = self.last_delivery.entry((host, direction)).or_insert(0);
        *last = (*last).max(now + delay);
        *last - now
    }

    /// Says whether nothing is planned for that time yet.
    pub fn plan_tick(&mut self, now: u64, at: u64) -> bool {
        self.ticks.retain(|tick| *tick >= now);
        self.ticks.insert(at)
    }

    /// The same for a worker.
    pub fn plan_worker_tick(&mut self, host: usize, now: u64, at: u64) -> bool {
        self.worker_ticks.retain(|(_, tick)| *tick >= now);
        self.worker_ticks.insert((host, at))
    }

    /// A submission was acknowledged.
    pub fn acknowledged(&mut self, job: JobId, key: Option<&str>) {
        let before = self.acknowledged.insert(job, key.map(str::to_owned));
        if before.is_some_and(|before| before.as_deref() != key) {
            self.confused = Some(job);
        }
    }

    /// A shepherd died and what it looked after goes on.
    pub fn leave_running(&mut self, host: usize, key: LaunchKey, shepherd: Option<&Shepherd>) {
        if let Some(process) = shepherd.and_then(|s| s.process.as_ref()) {
            self.strays.push((host, key, process.run));
        }
    }

    /// A host has started an instance.
    ///
    /// # Errors
    /// When those that are there were promised more than it has.
    pub fn promised(host: &Host) -> Result<(), String> {
        let all = || host.shepherds.values().map(|shepherd| shepherd.promise);
        let slots: u32 = all().map(|promise| promise.slots).sum();
        let memory: u64 = all().map(|promise| promise.memory).sum();
        if slots > host.slots || memory > host.memory {
            return Err(format!(
                "{} has {} slots and {} MiB, its instances were promised {slots} and {memory}: {:?}",
                host.name,
                host.slots,
                host.memory,
                host.shepherds.keys()
            ));
        }
        let alone = host.shepherds.iter().find(|(_, it)| it.promise.is_alone);
        if let Some((key, _)) = alone.filter(|_| host.shepherds.len() > 1) {
            let all = host.shepherds.keys();
            return Err(format!("{key} has {} to itself: {all:?}", host.name));
        }
        let mut taken = 0;
        for (key, shepherd) in &host.shepherds {
            let promise = shepherd.promise;
            let beyond = promise.gpus >> crate::client::GPUS_MAX;
            let has = u64::from(promise.gpus.count_ones());
            if taken & promise.gpus != 0 || beyond != 0 || has != promise.gpus_wanted {
                return Err(format!(
                    "{key} on {} has the GPUs {:b} and was to have {}; others have {taken:b}",
                    host.name, promise.gpus, promise.gpus_wanted
                ));
            }
            taken |= promise.gpus;
        }
        Ok(())
    }

    /// A host has started an instance.
    ///
    /// # Errors
    /// When those that are there have more of the farm's own than there is.
    pub fn licensed(&self, hosts: &[Host]) -> Result<(), String> {
        crate::shared::licensed(hosts, &self.lost_hosts)
    }

    /// A process of an item begins.
    ///
    /// # Errors
    /// When the same attempt ran before, or another attempt runs where its end could have been known.
    pub fn started(
        &mut self,
        now: u64,
        hosts: &[Host],
        index: usize,
        key: LaunchKey,
        run: Run,
    ) -> Result<(), String> {
        let item = (key.job, run.item);
        if !self.ran.insert((item, run.attempt)) {
            return Err(format!(
                "attempt {} of {}#{} was started twice",
                run.attempt, key.job, run.item
            ));
        }
        let strays = self
            .strays
            .iter()
            .filter(|(_, k, r)| k.job == key.job && r.item == run.item);
        if let Some((host, other, _)) = strays.clone().find(|(host, _, _)| *host == index) {
            return Err(format!(
                "{other} still runs {}#{} on host {host}",
                key.job, run.item
            ));
        }
        for (at, host) in hosts.iter().enumerate() {
            let others = host.shepherds.iter().filter(|(k, s)| {
                let same = s
                    .process
                    .as_ref()
                    .is_some_and(|p| p.run.item == run.item && p.run != run);
                k.job == key.job && same
            });
            for (other, _) in others {
                if at == index {
                    return Err(format!(
                        "{key} starts {}#{} while {other} runs it on the same host",
                        key.job, run.item
                    ));
                }
                let is_lost = |host: Option<&Host>| {
                    host.is_some_and(|host| self.lost_hosts.contains(&host.id))
                };
                if !is_lost(Some(host)) && !is_lost(hosts.get(index)) {
                    let name = &host.name;
                    return Err(format!(
                        "{key} starts {}#{} at {now} while {other} runs it on {name}",
                        key.job, run.item
                    ));
                }
            }
        }
        Ok(())
    }

    /// A message is about to be handled.
    pub fn hear(&mut self, tally: &mut Tally, engine: &Engine, host: HostId, what: &FromWorker) {
        let FromWorker::Report {
            report: Report::ItemEnded { key, run, .. },
            ..
        } = what
        else {
            return;
        };
        let known = engine
            .launch(*key)
            .is_some_and(|l| l.host == host && l.current == Some(*run));
        let current = engine
            .job(key.job)
            .is_some_and(|job| job.items().get(run.item).attempt == run.attempt);
        if !known || !current {
            tally.add("seen: stale report");
        }
    }

    /// Changes are durable.
    ///
    /// # Errors
    /// When an attempt counted twice, or counted as done and never ran.
    pub fn committed<'a>(
        &mut self,
        tally: &mut Tally,
        changes: impl Iterator<Item = &'a Change>,
    ) -> Result<(), String> {
        for change in changes {
            match change {
                Change::Attempt(record) if record.counted => {
                    let item = (record.key.job, record.run.item);
                    if !self.counted.insert((item, record.run.attempt)) {
                        return Err(format!(
                            "attempt {} of {}#{} counted twice",
                            record.run.attempt, item.0, item.1
                        ));
                    }
                    let done = record
                        .end
                        .as_ref()
                        .is_some_and(|end| end.end.outcome() == Outcome::Done);
                    let end = record.end.as_ref().map(|end| &end.end);
                    if matches!(end, Some(End::OutOfMemory { .. })) {
                        tally.add("seen: out of memory");
                    }
                    if done && !self.ran.contains(&(item, record.run.attempt)) {
                        return Err(format!(
                            "attempt {} of {}#{} is done and never ran",
                            record.run.attempt, item.0, item.1
                        ));
                    }
                }
                Change::Event(event) if event.kind == kind::HOST_DOWN => {
                    tally.add("seen: host lost");
                    self.lost_hosts.extend(event.host);
                }
                Change::Event(event) if event.kind == kind::HOST_REMOVED => {
                    self.lost_hosts.extend(event.host);
                }
                Change::Event(event)
                    if event.kind == kind::ITEM_ENDED && event.text.contains("retry") =>
                {
                    tally.add("seen: retry");
                }
                Change::Event(event)
                    if event.kind == kind::ITEM_ENDED && event.text.contains(", try ") =>
                {
                    tally.add("seen: try with more memory");
                }
                Change::JobRemoved(job) => _ = self.removed.insert(*job),
                _ => {}
            }
        }
        Ok(())
    }

    /// Everything has ended.
    ///
    /// # Errors
    /// When something that was acknowledged is not there, or an item is complete without a good attempt that counted.
    pub fn at_end(
        &self,
        disk: &Durable,
        hosts: &[Host],
        engine: Option<&Engine>,
    ) -> Result<(), String> {
        if let Some(job) = self.confused {
            return Err(format!("two submissions were acknowledged as job {job}"));
        }
        if let Some(job) = self
            .acknowledged
            .keys()
            .find(|job| !disk.has(**job) && !self.removed.contains(job))
        {
            return Err(format!("job {job} was acknowledged and is not there"));
        }
        if let Some(host) = hosts.iter().find(|host| !host.exits.is_empty()) {
            return Err(format!(
                "{} keeps {} records that nobody will ask for",
                host.name,
                host.exits.len()
            ));
        }
        let good: BTreeSet<(Item, Attempt)> = disk
            .attempts
            .iter()
            .filter(|a| {
                a.counted
                    && a.end
                        .as_ref()
                        .is_some_and(|end| end.end.outcome() == Outcome::Done)
            })
            .map(|a| ((a.key.job, a.run.item), a.run.attempt))
            .collect();
        let Some(engine) = engine else {
            return Err("no supervisor at the end".into());
        };
        crate::shared::all_given_back(engine)?;
        if engine.claims() > 0 {
            return Err("room is kept for somebody and nobody waits".into());
        }
        crate::wide::all_let_go(engine)?;
        for job in engine.jobs() {
            for item in job.items().indices() {
                let core = job.items().get(item);
                let complete = core.status == tessera_model::ItemStatus::Complete;
                let by_hand = job.spec.notes == crate::client::COMPLETED_BY_HAND;
                if complete && !by_hand && !good.contains(&((job.id, item), core.attempt)) {
                    return Err(format!(
                        "item {}#{item} is complete and its attempt {} is not",
                        job.id, core.attempt
                    ));
                }
            }
        }
        Ok(())
    }
}
