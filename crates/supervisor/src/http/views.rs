//! The engine's things in the API's words.

use crate::core::View;
use crate::persist::rows::OUT_OF_MEMORY;
use tessera_api::types::{
    EndView, HostLock, HostReserved, HostRow, HostSettings, InstanceRow, ItemCounts, ItemRow,
    JobDetail, JobSummary, Reason, RunningRow, SpecView, WhileActive,
};
use tessera_engine::supervisor::{Engine, Host, Job, Launch, why};
use tessera_model::msg::LaunchKey;
use tessera_model::state::{End, Limit, WorkStatus};
use tessera_model::{
    HostId, HostState, Identity, InstanceStatus, ItemIndex, ItemStatus, Lock, SettingsInUse,
};
use tessera_store::AttemptRow;

/// Shows a job in a list.
pub(crate) fn summary(engine: &Engine, job: &Job) -> JobSummary {
    let items = job.items();
    let mut counts = ItemCounts {
        total: items.len(),
        ..ItemCounts::default()
    };
    ItemStatus::ALL
        .into_iter()
        .for_each(|status| counts.add_status(status, items.count_shown(status)));
    // What was given ahead does not run yet.
    let ahead = engine.given_ahead(job.id).min(counts.running);
    counts.running -= ahead;
    counts.pending += ahead;
    let status = job.status();
    let is_open = !status.is_ended();
    let on_hosts = job.instances_in(WorkStatus::Running) + job.instances_in(WorkStatus::Suspended);
    JobSummary {
        id: job.id.0,
        name: job.spec.name.clone(),
        user: job.owner.to_string(),
        kind: job.spec.kind.word().to_owned(),
        status: status.word().to_owned(),
        is_failing: is_open && items.count(ItemStatus::Failed) > 0,
        is_stranded: engine.is_stranded(job.id),
        is_retrying: is_open && items.count(ItemStatus::Waiting) > 0,
        priority: job.spec.priority,
        cpus: job.spec.cpus,
        running_instances: u32::try_from(on_hosts).unwrap_or(u32::MAX),
        secondary_instances: job.secondaries(),
        items: counts,
        submitted_ms: job.submitted.0,
        started_ms: job.started.map(|at| at.0),
        ended_ms: job.ended.map(|at| at.0),
    }
}

/// Counts by state.
trait AddStatus {
    fn add_status(&mut self, status: ItemStatus, items: u32);
}

impl AddStatus for ItemCounts {
    fn add_status(&mut self, status: ItemStatus, items: u32) {
        let total = self.total;
        self.add(status, items);
        // Whether `add` counts the whole too or not, it is what it was.
        self.total = total;
    }
}

/// Shows all of a job; what it runs only to who may read that.
pub(crate) fn detail(view: &View<'_>, job: &Job, may_read: bool) -> JobDetail {
    let mut hosts: Vec<String> = view
        .engine
        .launches_of(job.id)
        .map(|launch| host_name(view.engine, launch.host))
        .collect();
    hosts.sort_unstable();
    hosts.dedup();
    let mut spec = SpecView::from(&*job.spec);
    if !may_read {
        spec.command.clear();
        spec.env.clear();
        spec.cwd = None;
    }
    let secondary = view.engine.secondaries_of(job);
    let shown = job.instances().iter().map(|instance| {
        let is_secondary = secondary.contains(&instance.no);
        instance_row(view.engine, job, instance.no, is_secondary)
    });
    JobDetail {
        job: summary(view.engine, job),
        spec,
        instances: shown.collect(),
        hosts,
        proof: job.proof.clone(),
    }
}

fn instance_row(
    engine: &Engine,
    job: &Job,
    no: tessera_model::InstanceNo,
    is_secondary: bool,
) -> InstanceRow {
    let Some(instance) = job.instance(no) else {
        return InstanceRow::default();
    };
    let reason = match &instance.status {
        InstanceStatus::Failed | InstanceStatus::Blocked => instance.failure.clone(),
        InstanceStatus::Waiting { reason, .. } => Some(reason.clone()),
        InstanceStatus::Badlogin(refusal) => Some(refusal.to_string()),
        InstanceStatus::Pending
        | InstanceStatus::Running { .. }
        | InstanceStatus::Suspended { .. }
        | InstanceStatus::Complete
        | InstanceStatus::Killed => None,
    };
    let launch = instance.status.launch().and_then(|launch| {
        engine.launch(LaunchKey {
            job: job.id,
            instance: no,
            launch,
        })
    });
    InstanceRow {
        instance: no.0,
        status: instance.status.kind().word().to_owned(),
        is_secondary,
        reason,
        host: launch
            .map(|launch| launch.host)
            .or(instance
                .last_host
                .filter(|_| instance.status.kind().is_ended()))
            .map(|host| host_name(engine, host)),
        launch: launch.map(|launch| launch.key.launch.0),
        account: launch.map(|launch| launch.account.clone()),
        gpus: launch.map_or_else(Vec::new, |it| it.taken.gpus.iter().copied().collect()),
        item: launch
            .and_then(|launch| launch.current)
            .map(|run| run.item.0),
        since_ms: launch.map(|launch| launch.since.0),
        retries_used: instance.retries_used,
    }
}

/// Answers the name of a host.
pub(crate) fn host_name(engine: &Engine, host: HostId) -> String {
    engine
        .host(host)
        .map_or_else(|| host.to_string(), |host| host.facts.name.clone())
}

/// Shows an item as far as the engine knows it.
pub(crate) fn item_row(job: &Job, item: ItemIndex) -> ItemRow {
    let core = job.items().get(item);
    ItemRow {
        index: item.0,
        name: job.spec.item_name(item),
        status: job.items().shown(item).word().to_owned(),
        attempt: core.attempt.0,
        retries_used: u32::from(core.retries_used),
        oom_tries_used: u32::from(core.ooms),
        ..ItemRow::default()
    }
}

/// Adds what the launch knows that has the item now.
pub(crate) fn add_launch(view: &View<'_>, row: &mut ItemRow, launch: &Launch) {
    row.instance = Some(launch.key.instance.0);
    let mut ahead = launch.ahead.iter();
    if ahead.any(|run| (run.item.0, run.attempt.0) == (row.index, row.attempt)) {
        // Given ahead: it is the launch's next and does not run yet.
        row.status = ItemStatus::Pending.word().to_owned();
        return;
    }
    let began = launch.current_started.unwrap_or(launch.current_since);
    row.host = Some(host_name(view.engine, launch.host));
    row.account = Some(launch.account.clone());
    row.started_ms = launch.current_started.map(|at| at.0);
    row.elapsed_ms = Some(view.now.wall.since_ms(began));
    row.progress = launch.progress;
}

/// Adds what is recorded of its newest attempt.
pub(crate) fn add_attempt(row: &mut ItemRow, attempt: &AttemptRow) {
    row.instance = Some(attempt.instance);
    row.host = Some(attempt.host_name.clone());
    row.account = Some(attempt.account.clone()).filter(|account| !account.is_empty());
    row.started_ms = attempt.started_ms;
    row.elapsed_ms = Some(attempt.elapsed_ms);
    row.peak_memory = Some(attempt.peak_memory).filter(|bytes| *bytes > 0);
    row.end = Some(end_view(attempt));
}

/// Tells how a recorded attempt ended.
pub(crate) fn end_view(row: &AttemptRow) -> EndView {
    let reason = row.reason.as_deref().unwrap_or_default();
    let limit = [Limit::ItemTime, Limit::InstanceTime, Limit::Silence];
    let end = match (row.exit_code, row.signal) {
        _ if row.outcome == OUT_OF_MEMORY => End::OutOfMemory {
            peak: row.peak_memory,
            limit: row.memory_limit.unwrap_or(0),
        },
        (Some(code), _) => End::Exit(code),
        (None, Some(number)) => End::Signal(number),
        (None, None) => match reason.strip_prefix("not started: ") {
            Some(why) => End::NotStarted(why.to_owned()),
            None => limit
                .into_iter()
                .map(End::Limit)
                .chain([End::Asked])
                .chain(End::shepherd_ended_of(reason))
                .find(|end| end.to_string() == reason)
                .unwrap_or(End::Lost),
        },
    };
    let mut view = EndView::from(&end);
    if end == End::Lost && !reason.is_empty() {
        // What is known of why it is over.
        reason.clone_into(&mut view.text);
    }
    view
}

/// Shows a recorded attempt.
pub(crate) fn attempt_row(row: &AttemptRow) -> tessera_api::types::AttemptRow {
    tessera_api::types::AttemptRow {
        attempt: row.attempt,
        instance: row.instance,
        launch: row.launch,
        host: row.host_name.clone(),
        account: row.account.clone(),
        assigned_ms: row.assigned_ms,
        started_ms: row.started_ms,
        ended_ms: Some(row.ended_ms),
        elapsed_ms: Some(row.elapsed_ms),
        cpu_ms: Some(row.cpu_ms),
        peak_memory: Some(row.peak_memory),
        memory_limit: row.memory_limit.filter(|limit| *limit > 0),
        printed_out: row.out_printed,
        printed_err: row.err_printed,
        kept_out: row.out_kept,
        kept_err: row.err_kept,
        leftovers: row.leftovers,
        end: Some(end_view(row)),
        counted: row.counted,
    }
}

/// Shows an attempt that is not over.
pub(crate) fn running_attempt(
    view: &View<'_>,
    launch: &Launch,
) -> Option<tessera_api::types::AttemptRow> {
    Some(tessera_api::types::AttemptRow {
        attempt: launch.current?.attempt.0,
        instance: launch.key.instance.0,
        launch: launch.key.launch.0,
        host: host_name(view.engine, launch.host),
        account: launch.account.clone(),
        assigned_ms: launch.current_since.0,
        started_ms: launch.current_started.map(|at| at.0),
        ..tessera_api::types::AttemptRow::default()
    })
}

/// Shows a host in a list.
pub(crate) fn host_row(engine: &Engine, host: &Host) -> HostRow {
    HostRow {
        id: host.id.to_string(),
        name: host.facts.name.clone(),
        status: host.state.word().to_owned(),
        reason: match &host.state {
            HostState::Panic(why) => Some(why.clone()),
            HostState::Up | HostState::Away | HostState::Down => None,
        },
        is_locked: host.is_locked(),
        locked: host.why_locked(),
        lock: host.lock.as_ref().map(host_lock),
        open_slots: (host.open_slots() < host.facts.slots).then(|| host.open_slots()),
        lock_calendar: host.calendar.as_ref().map(ToString::to_string),
        lock_schedule: host.own_calendar().map(|it| it.to_string()),
        active: host.why_kept(),
        reserved: engine.emptied_for(host.id).map(|it| HostReserved {
            job: it.job.0,
            until_ms: it.until.0,
            is_known: it.is_known,
        }),
        while_active: host
            .facts
            .presence
            .as_ref()
            .map(|it| it.rule)
            .or(host.while_active)
            .map(|rule| WhileActive {
                idle_seconds: Some(rule.idle_after.as_secs()),
                running: Some(rule.running.word().to_owned()),
            }),
        allows: match &host.facts.identity {
            Identity::Desktop(_) => host.facts.allows.names(),
            Identity::Proxy(_) | Identity::User => Vec::new(),
        },
        slots: host.facts.slots,
        used_slots: host.used(),
        mode: host.facts.identity.word().to_owned(),
        account: match &host.facts.identity {
            Identity::Proxy(account) | Identity::Desktop(account) => Some(account.clone()),
            Identity::User => None,
        },
        properties: host.facts.properties.clone(),
        resources: host.facts.resources.clone(),
        used_resources: host
            .facts
            .resources
            .keys()
            .map(|name| (name.clone(), host.used_of(name)))
            .filter(|(_, used)| *used > 0)
            .collect(),
        version: host.facts.version.clone(),
        settings: host
            .facts
            .settings
            .clone()
            .map(|it| host_settings(it, None)),
        last_seen_ms: Some(host.seen.0),
    }
}

fn host_lock(lock: &Lock) -> HostLock {
    HostLock {
        slots: lock.slots.to_string(),
        by: lock.by.as_ref().map(ToString::to_string),
        at_ms: lock.at.0,
        until_ms: lock.until.map(|until| until.0),
        note: lock.note.clone(),
        drain: lock.drains,
    }
}

/// Shows what a worker took of what is set for it.
pub(crate) fn host_settings(it: SettingsInUse, is_current: Option<bool>) -> HostSettings {
    HostSettings {
        lookup: it.lookup.to_string(),
        taken: it.taken.map(|hash| hash.to_string()),
        is_current,
        refused: it.refused,
        restart: it.restart.into_iter().collect(),
    }
}

/// Shows a host that has joined and was never connected.
pub(crate) fn unmet_host(id: HostId, name: &str) -> HostRow {
    HostRow {
        id: id.to_string(),
        name: name.to_owned(),
        status: HostState::Away.word().to_owned(),
        reason: Some("its worker has never connected".into()),
        ..HostRow::default()
    }
}

/// Shows what runs on a host.
pub(crate) fn running_row(engine: &Engine, launch: &Launch) -> RunningRow {
    let job = engine.job(launch.key.job);
    let item = launch.current.map(|run| run.item);
    RunningRow {
        job: launch.key.job.0,
        name: job.map(|job| job.spec.name.clone()).unwrap_or_default(),
        user: job.map(|job| job.owner.to_string()).unwrap_or_default(),
        instance: launch.key.instance.0,
        launch: launch.key.launch.0,
        account: Some(launch.account.clone()),
        item: item.map(|item| item.0),
        item_name: item.zip(job).map(|(item, job)| job.spec.item_name(item)),
        since_ms: Some(launch.since.0),
    }
}

/// Shows a reason.
pub(crate) fn reason(reason: why::Reason) -> Reason {
    Reason {
        kind: reason.kind.word().to_owned(),
        count: reason.count,
        hosts: reason.hosts,
        text: reason.text,
        hint: reason.hint,
    }
}
