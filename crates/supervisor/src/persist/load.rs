//! Rows as the engine's picture.

use super::rows::{self, Enrolment, HOST_ENROLLED, LaunchDetail};
use super::{credential, global, mode, spec, words};
use std::collections::{BTreeMap, BTreeSet};
use tessera_engine::supervisor::items::ItemCore;
use tessera_engine::supervisor::{HostImage, Image, InstanceImage, JobImage, JobRow, LaunchImage};
use tessera_model::msg::{LaunchKey, Run};
use tessera_model::{
    Attempt, HostId, InstanceNo, InstanceStatus, ItemIndex, ItemStatus, JobId, LaunchNo, Lock,
    SlotSet, Taken, Timestamp, UserName,
};
use tessera_store::{self as store, JoinTokenRow, Loaded, TokenRow};

/// The name of the row with the number that the next job gets.
pub(crate) const META_NEXT_JOB: &str = "next_job";
/// The name of the row with the farm's id.
pub(crate) const META_FARM: &str = "farm_id";

/// What the store held, in our words.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    /// For the engine.
    pub(crate) image: Image,
    /// Hosts that may connect.
    pub(crate) enrolled: BTreeMap<HostId, Enrolment>,
    /// Tokens of clients.
    pub(crate) tokens: Vec<TokenRow>,
    /// Tokens of hosts that want to join.
    pub(crate) join_tokens: Vec<JoinTokenRow>,
    /// The farm's id, if it was ever written.
    pub(crate) farm: Option<String>,
    /// The newest journal row.
    pub(crate) last_seq: u64,
    /// Jobs that an older program wrote as blocked because they wait: written anew as soon as anything is.
    pub(crate) converted: BTreeSet<JobId>,
    /// What channels kept, by the names of the facts.
    pub(crate) notify: BTreeMap<String, String>,
    /// How the last days went, by the names of the facts.
    pub(crate) trends: BTreeMap<String, String>,
}

/// Reads what the store gave.
///
/// # Errors
/// What can't be understood, in words.
pub(crate) fn picture(loaded: Loaded) -> Result<Picture, String> {
    let mut instances: BTreeMap<u64, Vec<InstanceImage>> = BTreeMap::new();
    for row in &loaded.instances {
        instances
            .entry(row.job)
            .or_default()
            .push(words::instance_image(row)?);
    }
    let mut cells: BTreeMap<u64, Vec<u64>> = loaded
        .items
        .into_iter()
        .map(|row| (row.job, row.cells))
        .collect();
    let mut converted = BTreeSet::new();
    let jobs = loaded
        .jobs
        .into_iter()
        .map(|row| {
            let cells = cells.remove(&row.id).unwrap_or_default();
            let instances = instances.remove(&row.id).unwrap_or_default();
            let id = row.id;
            let (image, was_blocked) =
                job(row, cells, instances).map_err(|why| format!("job {id}: {why}"))?;
            converted.extend(was_blocked.then_some(image.row.id));
            Ok(image)
        })
        .collect::<Result<Vec<_>, String>>()?;
    let launches = loaded
        .launches
        .iter()
        .map(launch)
        .collect::<Result<Vec<_>, _>>()?;
    let enrolled = loaded
        .hosts
        .iter()
        .map(|row| (HostId(row.id), enrolment(row)))
        .collect();
    let met = loaded.hosts.iter().filter(|row| row.state != HOST_ENROLLED);
    let hosts = met.map(host).collect::<Result<Vec<_>, _>>()?;
    let newest = jobs.last().map_or(0, |job| job.row.id.0);
    let kept = loaded
        .meta
        .get(META_NEXT_JOB)
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    let image = Image {
        next_job: kept.max(newest + 1),
        jobs,
        launches,
        hosts,
        credentials: credential::images(loaded.credentials, loaded.credential_seals)?,
        pool_keys: credential::keys_of(loaded.pool_keys)?,
        globals: global::read(loaded.meta.get(global::META).map(String::as_str))?,
        modes: mode::read(loaded.meta.get(mode::META).map(String::as_str))?,
    };
    Ok(Picture {
        image,
        enrolled,
        tokens: loaded.tokens,
        join_tokens: loaded.join_tokens,
        farm: loaded.meta.get(META_FARM).cloned(),
        last_seq: loaded.last_seq,
        converted,
        notify: facts_of(&loaded.meta, crate::notify::META_PREFIX),
        trends: facts_of(&loaded.meta, crate::metrics::META_PREFIX),
    })
}

/// Answers the facts of the farm whose names begin like this.
fn facts_of(meta: &BTreeMap<String, String>, prefix: &str) -> BTreeMap<String, String> {
    let ours = meta.iter().filter(|(key, _)| key.starts_with(prefix));
    ours.map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn job(
    row: store::JobRow,
    mut cells: Vec<u64>,
    mut instances: Vec<InstanceImage>,
) -> Result<(JobImage, bool), String> {
    let described = spec::read(&row.spec, row.spec_format)?;
    if described.was_blocked {
        unblock(&mut cells, &mut instances);
    }
    let user = |name: &str| name.parse::<UserName>().map_err(|error| error.to_string());
    let image = JobImage {
        row: JobRow {
            id: JobId(row.id),
            owner: user(&row.owner)?,
            submitter: user(&described.submitter)?,
            proof: described.proof,
            key: row.key,
            submitted: Timestamp(row.submitted_ms),
            started: row.started_ms.map(Timestamp),
            ended: row.ended_ms.map(Timestamp),
            order: row.order,
            waits: described.waits,
            status: words::job_status(&row.state)
                .ok_or_else(|| format!("unknown state {:?}", row.state))?,
            counts: rows::counts_by_number(row.counts),
        },
        spec: described.spec,
        cells,
        instances,
    };
    Ok((image, described.was_blocked))
}

/// Makes pending what is blocked: what a job waits for holds it now, whatever its items' states.
fn unblock(cells: &mut [u64], instances: &mut [InstanceImage]) {
    for cell in cells {
        if let Some(mut core) =
            ItemCore::unpack(*cell).filter(|it| it.status == ItemStatus::Blocked)
        {
            core.status = ItemStatus::Pending;
            *cell = core.pack();
        }
    }
    for instance in instances {
        if instance.status == InstanceStatus::Blocked {
            instance.status = InstanceStatus::Pending;
        }
    }
}

fn launch(row: &store::LaunchRow) -> Result<LaunchImage, String> {
    let key = LaunchKey {
        job: JobId(row.job),
        instance: InstanceNo(row.instance),
        launch: LaunchNo(row.launch),
    };
    let bad = |what: &str| format!("launch {key}: {what}");
    let detail: LaunchDetail =
        serde_json::from_str(&row.detail).map_err(|error| bad(&error.to_string()))?;
    let run = |(item, attempt)| Run {
        item: ItemIndex(item),
        attempt: Attempt(attempt),
    };
    Ok(LaunchImage {
        key,
        host: HostId(row.host),
        account: row.account.clone(),
        taken: Taken {
            slots: detail.slots.max(1),
            is_alone: detail.is_alone,
            amounts: detail.amounts,
            gpus: detail.gpus,
            global: rows::by_name(detail.global).map_err(|why| bad(&why))?,
        },
        mode: row.mode.clone(),
        phase: words::phase(&row.phase).ok_or_else(|| bad("unknown phase"))?,
        current: row.item.zip(row.attempt).map(run),
        ahead: detail.ahead.into_iter().map(run).collect(),
        current_since: Timestamp(detail.item_since_ms),
        since: Timestamp(row.since_ms),
        is_started: detail.is_started,
    })
}

fn host(row: &store::HostRow) -> Result<HostImage, String> {
    let id = HostId(row.id);
    let (facts, ordered) =
        words::read_facts(&row.facts).map_err(|why| format!("host {id}: {why}"))?;
    Ok(HostImage {
        id,
        facts,
        lock: ordered
            .lock
            .or_else(|| row.is_locked.then(|| old_lock(row))),
        calendar: ordered.calendar,
        while_active: ordered.while_active,
        is_down: row.state == tessera_model::HostState::Down.word(),
        seen: Timestamp(row.seen_ms),
    })
}

/// Makes the lock that a release before this one kept: nothing but that it is there.
fn old_lock(row: &store::HostRow) -> Lock {
    Lock {
        slots: SlotSet::all(),
        by: None,
        at: Timestamp(row.seen_ms),
        until: None,
        note: String::new(),
        drains: false,
    }
}

fn enrolment(row: &store::HostRow) -> Enrolment {
    Enrolment {
        name: row.name.clone(),
        at_ms: row.enrolled_ms,
        fingerprint: row.fingerprint,
    }
}
