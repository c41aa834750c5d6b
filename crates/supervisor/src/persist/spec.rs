//! A job's description as JSON in the store. What is serialized is a promise: the format number moves first.

use super::rows;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tessera_engine::supervisor::{JobImage, Waits};
use tessera_model::after::{BadLabel, Term, Tree};
use tessera_model::mail::{BadAddress, BadChannelName};
use tessera_model::rate::BadRate;
use tessera_model::{
    After, Agenda, ClusterChoice, ClusterError, FrameRun, JobFlag, JobId, JobKind, JobLimits,
    JobMail, JobSpec, JobWebhooks, MailAddress, MailWhen, More, Order, OrderError, Requirement,
    Reservation, RestrictionError, Split,
};
use tessera_spec::range;

/// The format of a job without flags, which older programs read as well.
const FORMAT_PLAIN: i64 = 1;
/// The format of one with flags: a program that would forget them must not read it.
const FORMAT_FLAGS: i64 = 2;
/// The format of one that reserves something: a program that can't keep it to that must not start it.
const FORMAT_RESERVES: i64 = 3;
/// The format of one that names groups of hosts: a program that knows none must not run it anywhere.
const FORMAT_GROUPS: i64 = 4;
/// The format of one that names clusters or restrictions, likewise.
const FORMAT_CLUSTERS: i64 = 5;
/// The format of one that asks something of a host in an expression, or prefers hosts, likewise.
const FORMAT_REQUIRES: i64 = 6;
/// The format of one that waits for others by more than their numbers, or has a label: older programs would not wait.
const FORMAT_AFTER: i64 = 7;
/// The format of one that reserves something of the farm itself: a program that does not count it must not start it.
const FORMAT_GLOBAL: i64 = 8;
/// The format of one that asks for mail: older programs would forget that.
const FORMAT_MAIL: i64 = 9;
/// The format of one that says what preemption may do with it: a program that knows nothing of it must not start it.
const FORMAT_PREEMPT: i64 = 10;
/// The format of one that limits how much runs at once, or reserves what is for a host or scoped: a program that would start more must not read it. (11 is taken.)
const FORMAT_LIMITS: i64 = 12;
/// The format of one that asks for mail when it is stranded: older programs know no such word. (10 and 11 are taken.)
const FORMAT_STRANDED: i64 = 13;
/// The format of one that stops when so many of its items failed: older programs would go on.
const FORMAT_STOPS: i64 = 14;
/// The format of one that asks for webhooks: older programs would forget that.
const FORMAT_WEBHOOKS: i64 = 15;
/// The format of one that takes so many slots of a host at most, or has it to itself: older programs would start it beside others.
const FORMAT_SLOTS: i64 = 16;
/// The format of one that each host runs once: older programs would run it twice on one.
const FORMAT_ONCE: i64 = 17;
/// With `max_cpus`: secondary instances.
const FORMAT_SHARE: i64 = 18;
/// The format of one whose instances start all at once: older programs would start them one by one.
const FORMAT_GRID: i64 = 19;
/// The newest format that this program reads.
const FORMAT_NEWEST: i64 = FORMAT_GRID;

/// What the row of a job has in its `spec` column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Document {
    submitter: String,
    proof: String,
    /// Before [`FORMAT_AFTER`]: the jobs of `waitfor` that had not completed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    waiting_for: BTreeSet<u64>,
    #[serde(default, skip_serializing_if = "WaitsDoc::is_default")]
    waits: WaitsDoc,
    spec: Spec,
}

/// What is kept of waiting for others.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct WaitsDoc {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_released: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, u64>,
    /// What was waited for, and the places that were not met when its job was removed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    settled: BTreeMap<String, String>,
}

impl WaitsDoc {
    fn of(waits: &Waits) -> Self {
        let labels = waits
            .labels
            .iter()
            .map(|(label, job)| (label.to_string(), job.0));
        let settled = waits.settled.iter();
        Self {
            is_released: waits.is_released,
            labels: labels.collect(),
            settled: settled
                .map(|(term, never)| (term.to_string(), range::print(never)))
                .collect(),
        }
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    fn into_engine(self) -> Result<Waits, String> {
        let mut waits = Waits {
            is_released: self.is_released,
            ..Waits::default()
        };
        for (label, job) in self.labels {
            let label = label.parse().map_err(|bad: BadLabel| bad.to_string())?;
            waits.labels.insert(label, JobId(job));
        }
        for (text, never) in self.settled {
            let Tree::One(term) = after_of(&text)? else {
                return Err(format!("{text:?} is more than one thing to wait for"));
            };
            let never = match never.as_str() {
                "" => Vec::new(),
                text => range::parse(text).map_err(|bad| bad.to_string())?,
            };
            waits.settled.insert(term, never);
        }
        Ok(waits)
    }
}

fn after_of(text: &str) -> Result<After, String> {
    tessera_spec::after::parse(text).map_err(|bad| bad.to_string())
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Spec {
    name: String,
    command: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agenda: Option<AgendaDoc>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    env: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cwd: Option<String>,
    umask: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    flags: Vec<String>,
    priority: u32,
    cpus: u32,
    /// Since [`FORMAT_SHARE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_cpus: Option<u32>,
    #[serde(default, skip_serializing_if = "ReservationDoc::is_default")]
    reservation: ReservationDoc,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    hosts: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    omithosts: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restrictions: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requirements: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host_order: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    groups: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    omitgroups: BTreeSet<String>,
    retrywork: u32,
    retrywork_delay_ms: u64,
    retrysubjob: u32,
    #[serde(default = "retry_oom_default")]
    retry_oom: u32,
    /// Since [`FORMAT_LIMITS`].
    #[serde(default, skip_serializing_if = "LimitsDoc::is_default")]
    limits: LimitsDoc,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timelimit_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agendatimelimit_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    silence_limit_ms: Option<u64>,
    grace_ms: u64,
    output_limit: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    progress: Option<String>,
    /// Before [`FORMAT_AFTER`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    waitfor: Vec<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pgrp: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mail: Option<MailDoc>,
    /// Since [`FORMAT_WEBHOOKS`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    webhooks: BTreeMap<String, Vec<String>>,
    /// Since [`FORMAT_STOPS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_failures: Option<u32>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    notes: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct MailDoc {
    on: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<String>,
}

impl MailDoc {
    fn of(mail: &JobMail) -> Self {
        Self {
            on: words(&mail.on),
            to: mail.to.as_ref().map(ToString::to_string),
        }
    }

    fn into_model(self) -> Result<JobMail, String> {
        let to = self.to.as_deref().map(MailAddress::kept).transpose();
        Ok(JobMail {
            on: whens(&self.on)?,
            to: to.map_err(|bad: BadAddress| bad.to_string())?,
        })
    }
}

/// How much of a job may run at once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct LimitsDoc {
    #[serde(skip_serializing_if = "Option::is_none")]
    pgrp: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_host: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_rate: Option<String>,
}

impl LimitsDoc {
    fn of(limits: &JobLimits) -> Self {
        Self {
            pgrp: limits.pgrp,
            per_host: limits.per_host,
            start_rate: limits.start_rate.map(|rate| rate.to_string()),
        }
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    fn into_model(self) -> Result<JobLimits, String> {
        let rate = self.start_rate.as_deref().map(str::parse).transpose();
        Ok(JobLimits {
            pgrp: self.pgrp,
            per_host: self.per_host,
            start_rate: rate.map_err(|bad: BadRate| bad.to_string())?,
        })
    }
}

fn words(on: &BTreeSet<MailWhen>) -> Vec<String> {
    on.iter().map(|it| it.word().to_owned()).collect()
}

fn whens(words: &[String]) -> Result<BTreeSet<MailWhen>, String> {
    let when = |word: &String| MailWhen::of_word(word).ok_or(format!("unknown {word:?}"));
    words.iter().map(when).collect()
}

fn webhooks(kept: &BTreeMap<String, Vec<String>>) -> Result<JobWebhooks, String> {
    let read = |(name, on): (&String, &Vec<String>)| {
        let name = name
            .parse()
            .map_err(|bad: BadChannelName| bad.to_string())?;
        Ok((name, whens(on)?))
    };
    kept.iter().map(read).collect()
}

/// What each instance takes of its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ReservationDoc {
    slots: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    takes_free: bool,
    /// So many slots at most; since [`FORMAT_SLOTS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    up_to: Option<u32>,
    /// Since [`FORMAT_SLOTS`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    whole_host: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    amounts: BTreeMap<String, u64>,
    /// Of the farm itself; since [`FORMAT_GLOBAL`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    global: BTreeMap<String, u64>,
}

impl Default for ReservationDoc {
    fn default() -> Self {
        Self::of(&Reservation::default())
    }
}

impl ReservationDoc {
    fn of(reservation: &Reservation) -> Self {
        Self {
            slots: reservation.slots,
            takes_free: reservation.more == More::Free,
            up_to: match reservation.more {
                More::UpTo(most) => Some(most),
                More::Nothing | More::Free | More::WholeHost => None,
            },
            whole_host: reservation.more == More::WholeHost,
            amounts: reservation.amounts.clone(),
            global: rows::by_text(&reservation.global),
        }
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    fn more(&self) -> More {
        match self.up_to {
            _ if self.whole_host => More::WholeHost,
            Some(most) => More::UpTo(most.max(self.slots)),
            None if self.takes_free => More::Free,
            None => More::Nothing,
        }
    }

    fn into_model(self) -> Result<Reservation, String> {
        Ok(Reservation {
            slots: self.slots.max(1),
            more: self.more(),
            amounts: self.amounts,
            global: rows::by_name(self.global)?,
        })
    }
}

fn retry_oom_default() -> u32 {
    tessera_model::limits::RETRY_OOM_DEFAULT
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct AgendaDoc {
    /// Start, step and count of each run.
    runs: Vec<(i64, i64, u32)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chunk: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partitions: Option<u32>,
    order: String,
    padding: u8,
}

/// What a document says, apart from the row's own columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Described {
    /// Who submitted the job.
    pub(crate) submitter: String,
    /// How they were proven.
    pub(crate) proof: String,
    /// What is kept of its waiting for others.
    pub(crate) waits: Waits,
    /// Whether it was written by a program that blocked all of a job that waits: those are pending.
    pub(crate) was_blocked: bool,
    /// The description.
    pub(crate) spec: Arc<JobSpec>,
}

/// Answers the format that a job's document has.
pub(crate) fn format(spec: &JobSpec) -> i64 {
    let mut farms = spec.reservation.global.keys();
    let has_kinds = farms.any(|name| name.is_per_host() || name.is_scoped());
    let is_of_preempt = |flag: &JobFlag| matches!(flag, JobFlag::Uninterruptible | JobFlag::Elite);
    let mail = spec.mail.as_ref();
    if spec.is_gang() {
        FORMAT_GRID
    } else if spec.max_cpus.is_some_and(|most| most > 0) {
        FORMAT_SHARE
    } else if spec.is_once_a_host() {
        FORMAT_ONCE
    } else if matches!(spec.reservation.more, More::UpTo(_) | More::WholeHost) {
        FORMAT_SLOTS
    } else if !spec.webhooks.is_empty() {
        FORMAT_WEBHOOKS
    } else if spec.max_failures > 0 {
        FORMAT_STOPS
    } else if mail.is_some_and(|mail| mail.on.contains(&MailWhen::Stranded)) {
        FORMAT_STRANDED
    } else if has_kinds || spec.limits != JobLimits::default() {
        FORMAT_LIMITS
    } else if spec.flags.iter().any(is_of_preempt) {
        FORMAT_PREEMPT
    } else if mail.is_some() {
        FORMAT_MAIL
    } else if !spec.reservation.global.is_empty() {
        FORMAT_GLOBAL
    } else if spec.after.is_some() || spec.label.is_some() || spec.pgrp.is_some() {
        FORMAT_AFTER
    } else if spec.requirements.is_some() || spec.host_order.is_some() {
        FORMAT_REQUIRES
    } else if spec.restrictions.is_some() || spec.cluster != ClusterChoice::default() {
        FORMAT_CLUSTERS
    } else if !spec.groups.is_empty() || !spec.omitgroups.is_empty() {
        FORMAT_GROUPS
    } else if spec.reservation != Reservation::default() {
        FORMAT_RESERVES
    } else if spec.flags.is_empty() {
        FORMAT_PLAIN
    } else {
        FORMAT_FLAGS
    }
}

/// Prints a job's document.
pub(crate) fn print(job: &JobImage) -> String {
    let document = Document {
        submitter: job.row.submitter.to_string(),
        proof: job.row.proof.clone(),
        waiting_for: BTreeSet::new(),
        waits: WaitsDoc::of(&job.row.waits),
        spec: Spec::of(&job.spec),
    };
    // Strings, numbers and lists only: there is nothing in it that JSON could refuse.
    serde_json::to_string(&document).unwrap_or_default()
}

/// Reads a job's document.
///
/// # Errors
/// What can't be understood, in words.
pub(crate) fn read(text: &str, format: i64) -> Result<Described, String> {
    if !(FORMAT_PLAIN..=FORMAT_NEWEST).contains(&format) {
        return Err(format!(
            "its description has format {format}, this program reads {FORMAT_PLAIN} to {FORMAT_NEWEST}"
        ));
    }
    let document: Document = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut waits = document.waits.into_engine()?;
    if !document.spec.waitfor.is_empty() {
        waits.is_released = document.waiting_for.is_empty();
        let done = document.spec.waitfor.iter();
        let done = done.filter(|id| !document.waiting_for.contains(id));
        waits.settled = done.map(|id| (Term::job(JobId(*id)), Vec::new())).collect();
    }
    Ok(Described {
        submitter: document.submitter,
        proof: document.proof,
        waits,
        was_blocked: !document.waiting_for.is_empty(),
        spec: Arc::new(document.spec.into_model()?),
    })
}

impl Spec {
    fn of(spec: &JobSpec) -> Self {
        Self {
            name: spec.name.clone(),
            command: spec.command.clone(),
            agenda: match &spec.kind {
                JobKind::CmdLine => None,
                JobKind::CmdRange(agenda) => Some(AgendaDoc::of(agenda)),
            },
            env: spec.env.clone(),
            cwd: spec.cwd.clone(),
            umask: spec.umask,
            flags: spec.flags.iter().map(|it| it.word().to_owned()).collect(),
            priority: spec.priority,
            cpus: spec.cpus,
            max_cpus: spec.max_cpus.filter(|most| *most > 0),
            reservation: ReservationDoc::of(&spec.reservation),
            hosts: spec.hosts.clone(),
            omithosts: spec.omithosts.clone(),
            cluster: (spec.cluster != ClusterChoice::default()).then(|| spec.cluster.to_string()),
            restrictions: spec.restrictions.as_ref().map(ToString::to_string),
            requirements: spec.requirements.as_ref().map(ToString::to_string),
            host_order: spec.host_order.as_ref().map(ToString::to_string),
            groups: spec.groups.clone(),
            omitgroups: spec.omitgroups.clone(),
            retrywork: spec.retrywork,
            retrywork_delay_ms: ms(spec.retrywork_delay),
            retrysubjob: spec.retrysubjob,
            retry_oom: spec.retry_oom,
            limits: LimitsDoc::of(&spec.limits),
            timelimit_ms: spec.timelimit.map(ms),
            agendatimelimit_ms: spec.agendatimelimit.map(ms),
            silence_limit_ms: spec.silence_limit.map(ms),
            grace_ms: ms(spec.grace),
            output_limit: spec.output_limit,
            progress: spec.progress.clone(),
            waitfor: Vec::new(),
            after: spec.after.as_ref().map(ToString::to_string),
            label: spec.label.as_ref().map(ToString::to_string),
            pgrp: spec.pgrp.map(|id| id.0),
            mail: spec.mail.as_ref().map(MailDoc::of),
            webhooks: (spec.webhooks.iter())
                .map(|(name, on)| (name.to_string(), words(on)))
                .collect(),
            max_failures: Some(spec.max_failures).filter(|most| *most > 0),
            notes: spec.notes.clone(),
        }
    }

    fn into_model(self) -> Result<JobSpec, String> {
        Ok(JobSpec {
            name: self.name,
            kind: match self.agenda {
                None => JobKind::CmdLine,
                Some(agenda) => JobKind::CmdRange(agenda.into_model()?),
            },
            command: self.command,
            env: self.env,
            cwd: self.cwd,
            umask: self.umask,
            flags: flags(&self.flags)?,
            priority: self.priority,
            cpus: self.cpus,
            // What is stored was submitted.
            max_cpus: Some(self.max_cpus.unwrap_or(0)),
            reservation: self.reservation.into_model()?,
            hosts: self.hosts,
            omithosts: self.omithosts,
            cluster: match self.cluster.as_deref().map(str::parse) {
                None => ClusterChoice::default(),
                Some(read) => read.map_err(|bad: ClusterError| bad.to_string())?,
            },
            restrictions: match self.restrictions.as_deref().map(str::parse) {
                None => None,
                Some(read) => Some(read.map_err(|bad: RestrictionError| bad.to_string())?),
            },
            requirements: match self.requirements.as_deref().map(Requirement::parse) {
                None => None,
                Some(read) => Some(Arc::new(read.map_err(|bad| bad.to_string())?)),
            },
            host_order: match self.host_order.as_deref().map(str::parse) {
                None => None,
                Some(read) => Some(Arc::new(read.map_err(|bad: OrderError| bad.to_string())?)),
            },
            groups: self.groups,
            omitgroups: self.omitgroups,
            retrywork: self.retrywork,
            retrywork_delay: Duration::from_millis(self.retrywork_delay_ms),
            retrysubjob: self.retrysubjob,
            retry_oom: self.retry_oom,
            limits: self.limits.into_model()?,
            timelimit: self.timelimit_ms.map(Duration::from_millis),
            agendatimelimit: self.agendatimelimit_ms.map(Duration::from_millis),
            silence_limit: self.silence_limit_ms.map(Duration::from_millis),
            grace: Duration::from_millis(self.grace_ms),
            output_limit: self.output_limit,
            progress: self.progress,
            after: match self.after.as_deref() {
                Some(text) => Some(after_of(text)?),
                None if self.waitfor.is_empty() => None,
                None => {
                    let jobs = self.waitfor.into_iter();
                    Some(Tree::all(jobs.map(|id| Tree::One(Term::job(JobId(id))))))
                }
            },
            label: match self.label.as_deref().map(str::parse) {
                None => None,
                Some(read) => Some(read.map_err(|bad: BadLabel| bad.to_string())?),
            },
            pgrp: self.pgrp.map(JobId),
            mail: self.mail.map(MailDoc::into_model).transpose()?,
            webhooks: webhooks(&self.webhooks)?,
            max_failures: self.max_failures.unwrap_or(0),
            notes: self.notes,
        })
    }
}

fn flags(words: &[String]) -> Result<BTreeSet<JobFlag>, String> {
    let flag = |word: &String| JobFlag::of_word(word).ok_or(format!("unknown flag {word:?}"));
    words.iter().map(flag).collect()
}

impl AgendaDoc {
    fn of(agenda: &Agenda) -> Self {
        let (chunk, partitions) = match agenda.split() {
            Split::Chunk(n) => (Some(n), None),
            Split::Partitions(n) => (None, Some(n)),
        };
        Self {
            runs: agenda
                .runs()
                .iter()
                .map(|run| (run.start, run.step, run.count))
                .collect(),
            chunk,
            partitions,
            order: order_word(agenda.order()).to_owned(),
            padding: agenda.padding(),
        }
    }

    fn into_model(self) -> Result<Agenda, String> {
        let runs = self
            .runs
            .into_iter()
            .map(|(start, step, count)| FrameRun { start, step, count })
            .collect();
        let split = match (self.chunk, self.partitions) {
            (_, Some(n)) => Split::Partitions(n),
            (n, None) => Split::Chunk(n.unwrap_or(1)),
        };
        let order = match self.order.as_str() {
            "ascend" => Order::Ascend,
            "reverse" => Order::Reverse,
            "binary" => Order::Binary,
            other => return Err(format!("unknown order {other:?}")),
        };
        Agenda::new(runs, split, order, self.padding).map_err(|error| error.to_string())
    }
}

fn order_word(order: Order) -> &'static str {
    match order {
        Order::Ascend => "ascend",
        Order::Reverse => "reverse",
        Order::Binary => "binary",
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
