//! The engine's things as rows.

use super::words;
use std::collections::{BTreeMap, BTreeSet};
use tessera_engine::supervisor::{AttemptRecord, Event, HostImage, JobImage, JobRow, LaunchImage};
use tessera_model::state::End;
use tessera_model::{GlobalName, HostState, Outcome, UserName};
use tessera_store::{self as store, StateCounts};

/// What the supervisor knows of a host beside the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Enrolment {
    /// The name that it joined with.
    pub(crate) name: String,
    /// When it joined.
    pub(crate) at_ms: i64,
    /// SHA-256 of its certificate.
    pub(crate) fingerprint: Option<[u8; 32]>,
}

/// The state word of a host that has joined and was never connected.
pub(crate) const HOST_ENROLLED: &str = "enrolled";

/// Makes the whole row of a job.
pub(crate) fn job_row(job: &JobImage) -> store::JobRow {
    let state = state_row(&job.row, job.spec.priority);
    store::JobRow {
        id: job.row.id.0,
        name: job.spec.name.clone(),
        kind: job.spec.kind.word().to_owned(),
        owner: job.row.owner.to_string(),
        state: state.state,
        priority: state.priority,
        order: state.order,
        submitted_ms: job.row.submitted.0,
        started_ms: state.started_ms,
        ended_ms: state.ended_ms,
        counts: state.counts,
        key: job.row.key.clone(),
        spec: super::spec::print(job),
        spec_format: super::spec::format(&job.spec),
        cpus: job.spec.cpus,
        items: job.spec.items(),
        notes: job.spec.notes.clone(),
    }
}

/// Makes the columns of a job that change often.
pub(crate) fn state_row(row: &JobRow, priority: u32) -> store::JobStateRow {
    store::JobStateRow {
        id: row.id.0,
        state: row.status.word().to_owned(),
        priority,
        order: row.order,
        started_ms: row.started.map(|at| at.0),
        ended_ms: row.ended.map(|at| at.0),
        counts: counts(row.counts),
    }
}

fn counts(by_number: [u32; 8]) -> StateCounts {
    let [
        pending,
        blocked,
        waiting,
        running,
        suspended,
        complete,
        failed,
        killed,
    ] = by_number;
    StateCounts {
        pending,
        blocked,
        waiting,
        running,
        suspended,
        complete,
        failed,
        killed,
    }
}

/// Answers counts in the order of the states' numbers.
pub(crate) fn counts_by_number(counts: StateCounts) -> [u32; 8] {
    let StateCounts {
        pending,
        blocked,
        waiting,
        running,
        suspended,
        complete,
        failed,
        killed,
    } = counts;
    [
        pending, blocked, waiting, running, suspended, complete, failed, killed,
    ]
}

/// What belongs to a launch and has no column.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct LaunchDetail {
    /// When its item was assigned.
    pub(crate) item_since_ms: i64,
    /// The items that it runs next, with their attempts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ahead: Vec<(u32, u32)>,
    /// Whether its worker said that it exists.
    pub(crate) is_started: bool,
    /// Slots that it has of its host.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub(crate) slots: u32,
    /// Whether it has the host to itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_alone: bool,
    /// What else it has of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) amounts: BTreeMap<String, u64>,
    /// The numbers of its GPUs.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) gpus: BTreeSet<u8>,
    /// What it has of the farm itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) global: BTreeMap<String, u64>,
}

/// Makes names of the farm's own resources texts.
pub(crate) fn by_text(global: &BTreeMap<GlobalName, u64>) -> BTreeMap<String, u64> {
    let all = global.iter();
    all.map(|(name, amount)| (name.to_string(), *amount))
        .collect()
}

/// Reads them back.
///
/// # Errors
/// When one is no such name, in words.
pub(crate) fn by_name(global: BTreeMap<String, u64>) -> Result<BTreeMap<GlobalName, u64>, String> {
    let read = |(name, amount): (String, u64)| {
        let name = name.parse::<GlobalName>();
        name.map(|name| (name, amount))
            .map_err(|bad| bad.to_string())
    };
    global.into_iter().map(read).collect()
}

/// The slots of a launch whose row says none.
fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_one(slots: &u32) -> bool {
    *slots == 1
}

/// Makes the row of a launch.
pub(crate) fn launch_row(launch: &LaunchImage) -> store::LaunchRow {
    let detail = LaunchDetail {
        item_since_ms: launch.current_since.0,
        ahead: launch
            .ahead
            .iter()
            .map(|run| (run.item.0, run.attempt.0))
            .collect(),
        is_started: launch.is_started,
        slots: launch.taken.slots,
        is_alone: launch.taken.is_alone,
        amounts: launch.taken.amounts.clone(),
        gpus: launch.taken.gpus.clone(),
        global: by_text(&launch.taken.global),
    };
    store::LaunchRow {
        job: launch.key.job.0,
        instance: launch.key.instance.0,
        launch: launch.key.launch.0,
        host: launch.host.0,
        phase: words::phase_word(launch.phase),
        item: launch.current.map(|run| run.item.0),
        attempt: launch.current.map(|run| run.attempt.0),
        account: launch.account.clone(),
        mode: launch.mode.clone(),
        since_ms: launch.since.0,
        detail: serde_json::to_string(&detail).unwrap_or_default(),
    }
}

/// Makes the row of a host.
pub(crate) fn host_row(
    host: &HostImage,
    state: &HostState,
    enrolment: Option<&Enrolment>,
) -> store::HostRow {
    let ordered = words::Ordered {
        while_active: host.while_active,
        lock: host.lock.clone(),
        calendar: host.calendar.clone(),
    };
    store::HostRow {
        id: host.id.0,
        name: host.facts.name.clone(),
        state: state.word().to_owned(),
        is_locked: host.lock.as_ref().is_some_and(|lock| lock.slots.is_all()),
        facts: words::print_facts(&host.facts, &ordered),
        enrolled_ms: enrolment.map_or(host.seen.0, |enrolment| enrolment.at_ms),
        seen_ms: host.seen.0,
        fingerprint: enrolment.and_then(|enrolment| enrolment.fingerprint),
    }
}

/// Makes the row of a host that has joined and was never connected.
pub(crate) fn enrolled_row(id: [u8; 16], enrolment: &Enrolment) -> store::HostRow {
    store::HostRow {
        id,
        name: enrolment.name.clone(),
        state: HOST_ENROLLED.to_owned(),
        is_locked: false,
        facts: "{}".into(),
        enrolled_ms: enrolment.at_ms,
        seen_ms: enrolment.at_ms,
        fingerprint: enrolment.fingerprint,
    }
}

/// Kinds of history that the engine knows nothing of.
pub(crate) mod kind {
    /// A token was made.
    pub(crate) const TOKEN_CREATED: &str = "token.created";
    /// A token was revoked.
    pub(crate) const TOKEN_REVOKED: &str = "token.revoked";
    /// Somebody was refused who presented a token, a link or the like.
    pub(crate) const LOGIN_REFUSED: &str = "login.refused";
    /// Somebody may let a host join.
    pub(crate) const HOST_INVITED: &str = "host.invited";
    /// A host has joined.
    pub(crate) const HOST_JOINED: &str = "host.joined";
    /// The configuration of workers was read anew.
    pub(crate) const WORKERS_READ: &str = "workers.read";
    /// The site's certificate was read anew.
    pub(crate) const SITE_READ: &str = "site.read";
    /// The configuration of workers was changed over the API.
    pub(crate) const WORKERS_SET: &str = "workers.set";
}

/// Makes a line of history about who may come in.
pub(crate) fn access_row(
    at_ms: i64,
    kind: &str,
    actor: Option<&UserName>,
    text: String,
) -> store::Write {
    store::Write::Journal(store::JournalRow {
        at_ms,
        kind: kind.to_owned(),
        actor: actor.map(ToString::to_string),
        text,
        ..store::JournalRow::default()
    })
}

/// Makes a line of history. A cell is kept only while the job is there to have it.
pub(crate) fn journal_row(event: &Event, job_is_there: bool) -> store::JournalRow {
    store::JournalRow {
        at_ms: event.at.0,
        kind: event.kind.to_owned(),
        job: event.job.map(|id| id.0),
        instance: event.instance.map(|no| no.0),
        item: event.item.map(|item| item.0),
        attempt: event.attempt.map(|attempt| attempt.0),
        host: event.host.map(|host| host.0),
        actor: event.actor.as_ref().map(ToString::to_string),
        cell: event.core.filter(|_| job_is_there),
        text: event.text.clone(),
    }
}

/// The outcome of an attempt that ended for want of memory.
pub(crate) const OUT_OF_MEMORY: &str = "out_of_memory";

/// The outcome of one that completed its item.
pub(crate) const DONE: &str = "done";

/// Answers the word for an outcome.
pub(crate) fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => DONE,
        Outcome::Failed => "failed",
        Outcome::OutOfMemory => OUT_OF_MEMORY,
        Outcome::Interrupted => "interrupted",
    }
}

/// Makes the row of an attempt.
pub(crate) fn attempt_row(record: &AttemptRecord) -> store::AttemptRow {
    let how = record.end.as_ref().map_or(&End::Lost, |end| &end.end);
    let mut row = store::AttemptRow {
        job: record.key.job.0,
        item: record.run.item.0,
        attempt: record.run.attempt.0,
        instance: record.key.instance.0,
        launch: record.key.launch.0,
        host: record.host.0,
        host_name: record.host_name.clone(),
        account: record.account.clone(),
        assigned_ms: record.assigned.0,
        ended_ms: record.ended.0,
        outcome: outcome_word(how.outcome()).to_owned(),
        counted: record.counted,
        ..store::AttemptRow::default()
    };
    match how {
        End::Exit(code) => row.exit_code = Some(*code),
        End::Signal(number) => row.signal = Some(*number),
        End::OutOfMemory { limit, .. } => {
            row.memory_limit = Some(*limit);
            row.reason = Some(how.to_string());
        }
        End::NotStarted(_) | End::Limit(_) | End::Asked | End::Lost | End::ShepherdEnded { .. } => {
            row.reason = Some(how.to_string());
        }
    }
    if let Some(end) = &record.end {
        row.started_ms = Some(end.started.0).filter(|at| *at > 0);
        row.elapsed_ms = u64::try_from(end.elapsed.as_millis()).unwrap_or(u64::MAX);
        row.cpu_ms = u64::try_from(end.cpu.as_millis()).unwrap_or(u64::MAX);
        row.peak_memory = end.peak_memory;
        [row.out_printed, row.err_printed] = end.printed;
        [row.out_kept, row.err_kept] = end.kept;
        row.leftovers = end.leftovers;
    } else if !record.why.is_empty() {
        row.reason = Some(record.why.clone());
    }
    row
}
