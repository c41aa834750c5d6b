//! States that carry something, as a word and a JSON text.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tessera_engine::supervisor::{InstanceImage, Phase};
use tessera_model::lock::BadSlots;
use tessera_model::name::BadUserName;
use tessera_model::settings::{BadLookup, BadSettingsHash};
use tessera_model::week::BadCalendar;
use tessera_model::{
    Consent, HostFacts, HostId, Identity, InstanceNo, InstanceStatus, LaunchNo, Lock, LockCalendar,
    Presence, Refusal, Running, SettingsInUse, Timestamp, WhileActive, WorkStatus,
};
use tessera_store::InstanceRow;

/// What belongs to an instance's state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct InstanceDetail {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    launch: Option<u32>,
    #[serde(default)]
    losses: u32,
    /// Where it ran last. Added later, as is what follows: who doesn't know them shows less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_host: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

/// Makes the row of an instance.
pub(crate) fn instance_row(job: u64, instance: &InstanceImage) -> InstanceRow {
    let mut detail = InstanceDetail {
        losses: instance.losses,
        last_host: instance.last_host.map(|host| host.to_string()),
        failure: instance.failure.clone(),
        ..InstanceDetail::default()
    };
    match &instance.status {
        InstanceStatus::Waiting { until, reason } => {
            detail.until_ms = Some(until.0);
            detail.reason = Some(reason.clone());
        }
        InstanceStatus::Badlogin(refusal) => {
            detail.code = Some(refusal.code.clone());
            detail.reason = Some(refusal.text.clone());
        }
        InstanceStatus::Running { host, launch } | InstanceStatus::Suspended { host, launch } => {
            detail.host = Some(host.to_string());
            detail.launch = Some(launch.0);
        }
        InstanceStatus::Pending
        | InstanceStatus::Blocked
        | InstanceStatus::Complete
        | InstanceStatus::Failed
        | InstanceStatus::Killed => {}
    }
    InstanceRow {
        job,
        instance: instance.no.0,
        state: instance.status.kind().word().to_owned(),
        detail: serde_json::to_string(&detail).unwrap_or_default(),
        launch_last: instance.launch_last.0,
        retries_used: instance.retries_used,
    }
}

/// Reads the row of an instance.
///
/// # Errors
/// What can't be understood, in words.
pub(crate) fn instance_image(row: &InstanceRow) -> Result<InstanceImage, String> {
    let bad = |what: &str| format!("instance {}.{}: {what}", row.job, row.instance);
    let detail: InstanceDetail =
        serde_json::from_str(&row.detail).map_err(|error| bad(&error.to_string()))?;
    let word = WorkStatus::ALL
        .into_iter()
        .find(|word| word.word() == row.state);
    let word = word.ok_or_else(|| bad(&format!("unknown state {:?}", row.state)))?;
    let place = || -> Result<(HostId, LaunchNo), String> {
        let host = detail.host.as_deref().and_then(|host| host.parse().ok());
        let launch = detail.launch.map(LaunchNo);
        host.zip(launch)
            .ok_or_else(|| bad("its host or launch is missing"))
    };
    let reason = detail.reason.clone().unwrap_or_default();
    let status = match word {
        WorkStatus::Pending => InstanceStatus::Pending,
        WorkStatus::Blocked => InstanceStatus::Blocked,
        WorkStatus::Waiting => InstanceStatus::Waiting {
            until: Timestamp(detail.until_ms.unwrap_or(0)),
            reason,
        },
        WorkStatus::Badlogin => InstanceStatus::Badlogin(Refusal {
            code: detail.code.clone().unwrap_or_default(),
            text: reason,
        }),
        WorkStatus::Running => {
            place().map(|(host, launch)| InstanceStatus::Running { host, launch })?
        }
        WorkStatus::Suspended => {
            place().map(|(host, launch)| InstanceStatus::Suspended { host, launch })?
        }
        WorkStatus::Complete => InstanceStatus::Complete,
        WorkStatus::Failed => InstanceStatus::Failed,
        WorkStatus::Killed => InstanceStatus::Killed,
    };
    Ok(InstanceImage {
        no: InstanceNo(row.instance),
        status,
        launch_last: LaunchNo(row.launch_last),
        retries_used: row.retries_used,
        losses: detail.losses,
        last_host: detail.last_host.and_then(|host| host.parse().ok()),
        failure: detail.failure,
    })
}

/// Answers the word for a phase; one that ends in something says what: `finishing:complete`.
pub(crate) fn phase_word(phase: Phase) -> String {
    match phase {
        Phase::Open => "open".into(),
        Phase::Finishing(next) => format!("finishing:{}", next.word()),
        Phase::Closing => "closing".into(),
    }
}

/// Reads a phase.
pub(crate) fn phase(word: &str) -> Option<Phase> {
    match word.split_once(':') {
        None if word == "open" => Some(Phase::Open),
        None if word == "closing" => Some(Phase::Closing),
        Some(("finishing", next)) => WorkStatus::ALL
            .into_iter()
            .find(|w| w.word() == next)
            .map(Phase::Finishing),
        _ => None,
    }
}

/// Reads a job's state.
pub(crate) fn job_status(word: &str) -> Option<WorkStatus> {
    WorkStatus::ALL
        .into_iter()
        .find(|status| status.word() == word)
}

/// What a worker says of its host, as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FactsDoc {
    name: String,
    slots: u32,
    #[serde(default)]
    properties: BTreeMap<String, String>,
    #[serde(default)]
    resources: BTreeMap<String, u64>,
    /// `proxy`, `user` or `desktop`.
    identity: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    panic: Option<String>,
    #[serde(default)]
    version: String,
    /// Names of owners that a desktop lets in, `*` for everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    allows: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    presence: Option<PresenceDoc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settings: Option<SettingsDoc>,
    /// The rule that an administrator gave the host; not said by its worker, and kept beside what is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    while_active: Option<RuleDoc>,
    /// The lock that somebody put on it; of one that an older release kept there is only the column `is_locked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lock: Option<LockDoc>,
    /// The calendar that an administrator gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    calendar: Option<String>,
}

/// What administrators have ordered for a host, kept beside what its worker says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ordered {
    pub(crate) while_active: Option<WhileActive>,
    pub(crate) lock: Option<Lock>,
    pub(crate) calendar: Option<LockCalendar>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LockDoc {
    slots: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    at_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    note: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    drains: bool,
}

impl LockDoc {
    fn print(lock: &Lock) -> Self {
        Self {
            slots: lock.slots.to_string(),
            by: lock.by.as_ref().map(ToString::to_string),
            at_ms: lock.at.0,
            until_ms: lock.until.map(|until| until.0),
            note: lock.note.clone(),
            drains: lock.drains,
        }
    }

    fn read(self) -> Result<Lock, String> {
        let by = self.by.map(|by| by.parse());
        let slots = self.slots.parse();
        Ok(Lock {
            slots: slots.map_err(|bad: BadSlots| bad.to_string())?,
            by: by.transpose().map_err(|bad: BadUserName| bad.to_string())?,
            at: Timestamp(self.at_ms),
            until: self.until_ms.map(Timestamp),
            note: self.note,
            drains: self.drains,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PresenceDoc {
    rule: RuleDoc,
    is_closed: bool,
    #[serde(default)]
    who: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
}

/// What a worker took of what is set for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SettingsDoc {
    lookup: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    taken: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    refused: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    restart: BTreeSet<String>,
}

impl SettingsDoc {
    fn print(it: &SettingsInUse) -> Self {
        Self {
            lookup: it.lookup.to_string(),
            taken: it.taken.map(|hash| hash.to_string()),
            refused: it.refused.clone(),
            restart: it.restart.clone(),
        }
    }

    fn read(self) -> Result<SettingsInUse, String> {
        let taken = self.taken.map(|hash| hash.parse());
        Ok(SettingsInUse {
            lookup: self
                .lookup
                .parse()
                .map_err(|bad: BadLookup| bad.to_string())?,
            taken: taken
                .transpose()
                .map_err(|bad: BadSettingsHash| bad.to_string())?,
            refused: self.refused,
            restart: self.restart,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RuleDoc {
    idle_after_ms: u64,
    running: String,
}

impl RuleDoc {
    fn print(rule: WhileActive) -> Self {
        Self {
            idle_after_ms: u64::try_from(rule.idle_after.as_millis()).unwrap_or(u64::MAX),
            running: rule.running.word().to_owned(),
        }
    }

    fn read(self) -> Result<WhileActive, String> {
        let running = Running::of_word(&self.running);
        Ok(WhileActive {
            idle_after: Duration::from_millis(self.idle_after_ms),
            running: running.ok_or_else(|| format!("unknown word {:?}", self.running))?,
        })
    }
}

/// Prints facts, and what was ordered for the host.
pub(crate) fn print_facts(facts: &HostFacts, ordered: &Ordered) -> String {
    let account = match &facts.identity {
        Identity::Proxy(account) | Identity::Desktop(account) => Some(account.clone()),
        Identity::User => None,
    };
    let document = FactsDoc {
        name: facts.name.clone(),
        slots: facts.slots,
        properties: facts.properties.clone(),
        resources: facts.resources.clone(),
        identity: facts.identity.word().to_owned(),
        account,
        panic: facts.panic.clone(),
        version: facts.version.clone(),
        allows: facts.allows.names(),
        presence: facts.presence.clone().map(|it| PresenceDoc {
            rule: RuleDoc::print(it.rule),
            is_closed: it.is_closed,
            who: it.who,
            unknown: it.unknown,
        }),
        settings: facts.settings.as_ref().map(SettingsDoc::print),
        while_active: ordered.while_active.map(RuleDoc::print),
        lock: ordered.lock.as_ref().map(LockDoc::print),
        calendar: ordered.calendar.as_ref().map(ToString::to_string),
    };
    serde_json::to_string(&document).unwrap_or_default()
}

/// Reads facts, and what was ordered for the host.
///
/// # Errors
/// What can't be understood, in words.
pub(crate) fn read_facts(text: &str) -> Result<(HostFacts, Ordered), String> {
    let document: FactsDoc = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let account = document.account.unwrap_or_default();
    let identity = match document.identity.as_str() {
        "proxy" => Identity::Proxy(account),
        "desktop" => Identity::Desktop(account),
        "user" => Identity::User,
        other => return Err(format!("unknown identity {other:?}")),
    };
    let presence = document.presence.map(|it| {
        Ok::<_, String>(Presence {
            rule: it.rule.read()?,
            is_closed: it.is_closed,
            who: it.who,
            unknown: it.unknown,
        })
    });
    let facts = HostFacts {
        name: document.name,
        slots: document.slots,
        properties: document.properties,
        resources: document.resources,
        identity,
        allows: Consent::of(document.allows),
        presence: presence.transpose()?,
        panic: document.panic,
        version: document.version,
        settings: document.settings.map(SettingsDoc::read).transpose()?,
    };
    let calendar = document.calendar.map(|text| text.parse());
    let ordered = Ordered {
        while_active: document.while_active.map(RuleDoc::read).transpose()?,
        lock: document.lock.map(LockDoc::read).transpose()?,
        calendar: calendar
            .transpose()
            .map_err(|bad: BadCalendar| bad.to_string())?,
    };
    Ok((facts, ordered))
}
