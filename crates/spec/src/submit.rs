//! A submission as somebody wrote it, checked all at once.
//!
//! [`SubmissionDraft::validate`] answers a job or every error with its field. Nothing here knows the farm: whether a job
//! to wait for exists and who may name another owner is the supervisor's to say.

mod check;
mod command;
mod demands;
mod limits;
mod lists;
mod mail;
mod waits;

use crate::field::{Errors, FieldError};
use crate::{memory, range, reservation};
use check::{amount, limit, number};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tessera_model::limits::{FRAMES_MAX, GRACE_SECONDS_DEFAULT, INSTANCES_MAX, PRIORITY_RANGE};
use tessera_model::{Agenda, JobKind, JobSpec, Order, Split, UserName};

pub use command::{TOKENS, basename};

/// Digits that frame numbers can be padded to.
pub const PADDING_MAX: u8 = 20;
/// The file mode mask of a job that names none.
pub const UMASK_DEFAULT: u32 = 0o022;
/// The most that an attempt may be allowed to print per stream, in bytes.
pub const OUTPUT_BYTES_MAX: u64 = 1 << 40;
/// Bytes of a working directory.
pub const PATH_BYTES_MAX: usize = 4_096;

/// What somebody wants to submit, in the words they used. `None` and empty mean: not said.
///
/// The numbers are wide and signed so that a wrong one becomes an error with its field, not a refusal to read the rest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubmissionDraft {
    /// The argument vector; with `shell` its parts are joined by spaces.
    pub command: Vec<String>,
    /// A shell to run the command: `/bin/sh` makes it `/bin/sh -c COMMAND`.
    pub shell: Option<String>,
    /// Name for people; the command's file name when none is given.
    pub name: Option<String>,
    /// Frames; makes the job a `cmdrange`.
    pub range: Option<String>,
    /// Frames an item.
    pub chunk: Option<i64>,
    /// Number of items; not together with `chunk`.
    pub partitions: Option<i64>,
    /// Least number of digits of frame numbers.
    pub padding: Option<i64>,
    /// `ascend`, `reverse` or `binary`.
    pub order: Option<String>,
    /// 1 (first) to 9999.
    pub priority: Option<i64>,
    /// Number of instances.
    pub cpus: Option<i64>,
    /// Number of instances where nobody else wants the room; -1: as many as the farm allows, 0: no more than `cpus`.
    pub max_cpus: Option<i64>,
    /// What each instance takes of its host, `host.processors=1,host.memory=8G`.
    pub reservations: Option<String>,
    /// Memory that each instance takes besides: `8G`, or `learnt`.
    pub memory: Option<String>,
    /// Only these hosts; each entry may be a comma list.
    pub hosts: Option<Vec<String>>,
    /// Never these hosts; each entry may be a comma list.
    pub omithosts: Option<Vec<String>>,
    /// The clusters that the job is in, `/show,/other+`.
    pub cluster: Option<String>,
    /// Only hosts in one of these clusters, `/a || /b/*`.
    pub restrictions: Option<String>,
    /// What the job asks of a host, `host.os == linux and host.memory >= 64G`.
    pub requirements: Option<String>,
    /// Which host is picked first, `+host.processors.avail,-host.memory`.
    pub host_order: Option<String>,
    /// Only hosts in one of these groups; each entry may be a comma list.
    pub groups: Option<Vec<String>>,
    /// Never hosts in one of these groups; each entry may be a comma list.
    pub omitgroups: Option<Vec<String>>,
    /// Environment variables; the last of a name wins.
    pub env: Option<Vec<(String, String)>>,
    /// Working directory, absolute.
    pub cwd: Option<String>,
    /// File mode mask in octal.
    pub umask: Option<String>,
    /// Flags by their words; each entry may be a comma list.
    pub flags: Option<Vec<String>>,
    /// Retries of an item.
    pub retrywork: Option<i64>,
    /// Pause before each of them, a duration.
    pub retryworkdelay: Option<String>,
    /// Retries of an instance.
    pub retrysubjob: Option<i64>,
    /// Tries with more memory of an item that ran out of it.
    pub retry_oom: Option<i64>,
    /// Instances of all jobs of its process group at once; -1 for no limit.
    pub pgrp_limit: Option<i64>,
    /// Instances of it on one host; -1 for no limit.
    pub per_host: Option<i64>,
    /// How quickly its instances may start, `5/s`, `10/min`; `none` for no limit.
    pub start_rate: Option<String>,
    /// Longest run of an instance, a duration; `none` for no limit.
    pub timelimit: Option<String>,
    /// Longest run of an item, a duration; `none` for no limit.
    pub agendatimelimit: Option<String>,
    /// Longest silence of an item, a duration; `none` for no limit.
    pub silence_limit: Option<String>,
    /// Time between the polite signal and the kill, a duration.
    pub grace: Option<String>,
    /// Bytes per stream that are kept of an attempt's output, a size.
    pub output_limit: Option<String>,
    /// Pattern whose first group is the progress in percent.
    pub progress: Option<String>,
    /// Jobs that must have completed first; each entry may be a comma list.
    pub waitfor: Option<Vec<String>>,
    /// What must have happened first ([`crate::after`]); `none` for nothing.
    pub after: Option<String>,
    /// Its name within its process group.
    pub label: Option<String>,
    /// A job of the process group that it joins.
    pub pgrp: Option<i64>,
    /// When mail is written; each entry may be a comma list.
    pub mail: Option<Vec<String>>,
    /// To whom, when not to its owner.
    pub mail_to: Option<String>,
    /// Webhooks, each `CHANNEL=WHEN[,WHEN…]`; `none` for none.
    pub webhooks: Option<Vec<String>>,
    /// How many items may fail before nothing more is begun; 0 for any number.
    pub max_failures: Option<i64>,
    /// Free text.
    pub notes: Option<String>,
    /// `blocked` or `pending`.
    pub status: Option<String>,
    /// The account that owns the job, when it is another than the caller's.
    pub user: Option<String>,
    /// Idempotency key: submitted twice with it, the job exists once.
    pub key: Option<String>,
}

/// A submission without errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validated {
    /// The job.
    pub spec: JobSpec,
    /// Its owner, when named.
    pub owner: Option<UserName>,
    /// Whether it begins blocked.
    pub is_blocked: bool,
    /// Its idempotency key.
    pub key: Option<String>,
    /// Whether it is to reserve the memory that earlier jobs with its command took.
    pub learns_memory: bool,
}

impl SubmissionDraft {
    /// Checks everything.
    ///
    /// # Errors
    /// All errors that were found (at most [`crate::field::ERRORS_MAX`]), in the order of the fields.
    pub fn validate(&self) -> Result<Validated, Vec<FieldError>> {
        let mut errors = Errors::default();
        let command = command::check(self, &mut errors);
        let kind = self.kind(&mut errors);
        let mut take = |result: Result<u32, FieldError>| errors.take(result).unwrap_or_default();
        let priority = take(number(
            "priority",
            self.priority,
            PRIORITY_RANGE,
            *PRIORITY_RANGE.end(),
        ));
        let cpus = take(number("cpus", self.cpus, 1..=INSTANCES_MAX, 1));
        let max_cpus = errors.take(check::max_cpus(self.max_cpus)).flatten();
        let mut take = |result: Result<u32, FieldError>| errors.take(result).unwrap_or_default();
        let most = u32::try_from(FRAMES_MAX).unwrap_or(u32::MAX);
        let max_failures = take(number("max_failures", self.max_failures, 0..=most, 0));
        let retrywork = take(check::retries("retrywork", self.retrywork));
        let retrysubjob = take(check::retries("retrysubjob", self.retrysubjob));
        let retry_oom = take(reservation::retry_oom(self.retry_oom));
        let umask = take(check::umask(self.umask.as_deref()));
        let times = self.times(&mut errors);
        let name = errors.take(self.checked_name());
        let reservation = errors.take(reservation::field(self.reservations.as_deref()));
        let mut reservation = reservation.unwrap_or_default();
        let learns_memory = errors.take(memory::field(self.memory.as_deref(), &mut reservation));
        let spec = JobSpec {
            name: name.unwrap_or_default(),
            kind,
            command,
            env: lists::env(self.env.as_deref(), &mut errors),
            flags: lists::flags(self.flags.as_deref(), &mut errors),
            cwd: errors.take(check::cwd(self.cwd.as_deref())).flatten(),
            umask,
            priority,
            cpus,
            max_cpus,
            reservation,
            hosts: lists::hosts("hosts", self.hosts.as_deref(), &mut errors),
            omithosts: lists::hosts("omithosts", self.omithosts.as_deref(), &mut errors),
            cluster: errors
                .take(check::cluster(self.cluster.as_deref()))
                .unwrap_or_default(),
            restrictions: errors
                .take(check::restrictions(self.restrictions.as_deref()))
                .flatten(),
            requirements: errors
                .take(demands::requirements(self.requirements.as_deref()))
                .flatten(),
            host_order: errors
                .take(demands::host_order(self.host_order.as_deref()))
                .flatten(),
            groups: lists::groups("groups", self.groups.as_deref(), &mut errors),
            omitgroups: lists::groups("omitgroups", self.omitgroups.as_deref(), &mut errors),
            retrywork,
            retrywork_delay: times.retry_delay,
            retrysubjob,
            retry_oom,
            limits: limits::check(self, &mut errors),
            timelimit: times.timelimit,
            agendatimelimit: times.agendatimelimit,
            silence_limit: times.silence_limit,
            grace: times.grace,
            output_limit: errors
                .take(check::output_limit(self.output_limit.as_deref()))
                .unwrap_or_default(),
            progress: errors
                .take(check::progress(self.progress.as_deref()))
                .flatten(),
            after: waits::after(self.waitfor.as_deref(), self.after.as_deref(), &mut errors),
            label: errors.take(waits::label(self.label.as_deref())).flatten(),
            pgrp: errors.take(waits::pgrp(self.pgrp)).flatten(),
            mail: mail::check(self.mail.as_deref(), self.mail_to.as_deref(), &mut errors),
            webhooks: mail::webhooks(self.webhooks.as_deref(), &mut errors),
            max_failures,
            notes: errors
                .take(check::notes(self.notes.as_deref()))
                .unwrap_or_default(),
        };
        check::host_sets(
            ["hosts", "omithosts"],
            &spec.hosts,
            &spec.omithosts,
            &mut errors,
        );
        check::once_a_host(&spec, self.cpus, &mut errors);
        check::all_at_once(&spec, &mut errors);
        let groups = ["groups", "omitgroups"];
        check::host_sets(groups, &spec.groups, &spec.omitgroups, &mut errors);
        let is_blocked = errors
            .take(check::status(self.status.as_deref()))
            .unwrap_or_default();
        let owner = errors.take(check::owner(self.user.as_deref())).flatten();
        let key = errors.take(check::key(self.key.as_deref())).flatten();
        errors.into_result()?;
        Ok(Validated {
            spec,
            owner,
            is_blocked,
            key,
            learns_memory: learns_memory.unwrap_or_default(),
        })
    }

    /// Answers what the instances do. After an error it is a placeholder that never leaves [`Self::validate`].
    fn kind(&self, errors: &mut Errors) -> JobKind {
        let order = errors
            .take(check::order(self.order.as_deref()))
            .unwrap_or_default();
        let padding = errors.take(number(
            "padding",
            self.padding,
            0..=u32::from(PADDING_MAX),
            0,
        ));
        let split = errors.take(self.split());
        let Some(range) = self.range.as_deref() else {
            self.refuse_without_range(errors);
            return JobKind::CmdLine;
        };
        let runs = range::parse(range)
            .map_err(|error| FieldError::new("range", error.to_string()).hint(error.hint()));
        let (Some(runs), Some(padding), Some(split)) = (errors.take(runs), padding, split) else {
            return JobKind::CmdLine;
        };
        let padding = u8::try_from(padding).unwrap_or(PADDING_MAX);
        let agenda = Agenda::new(runs, split, order, padding);
        match errors.take(agenda.map_err(|bad| FieldError::new("range", bad.to_string()))) {
            Some(agenda) => JobKind::CmdRange(agenda),
            None => JobKind::CmdLine,
        }
    }

    fn split(&self) -> Result<Split, FieldError> {
        if self.chunk.is_some() && self.partitions.is_some() {
            return Err(
                FieldError::new("partitions", "chunk and partitions exclude each other")
                    .hint("give chunk for frames an item, or partitions for the number of items"),
            );
        }
        if self.partitions.is_some() {
            return number("partitions", self.partitions, 1..=u32::MAX, 1).map(Split::Partitions);
        }
        number("chunk", self.chunk, 1..=u32::MAX, 1).map(Split::Chunk)
    }

    /// Refuses what says something about frames in a job that has none.
    fn refuse_without_range(&self, errors: &mut Errors) {
        let said = [
            ("chunk", self.chunk.is_some()),
            ("partitions", self.partitions.is_some()),
            ("padding", self.padding.is_some()),
            ("order", self.order.is_some()),
        ];
        for (field, _) in said.into_iter().filter(|(_, is_said)| *is_said) {
            errors.push(
                FieldError::new(field, "it is about frames, and the job has no range")
                    .hint("add a range such as 1-100"),
            );
        }
    }

    fn times(&self, errors: &mut Errors) -> Times {
        let grace = Duration::from_secs(GRACE_SECONDS_DEFAULT);
        let mut limit =
            |field, text: &Option<String>| errors.take(limit(field, text.as_deref())).flatten();
        let timelimit = limit("timelimit", &self.timelimit);
        let agendatimelimit = limit("agendatimelimit", &self.agendatimelimit);
        let silence_limit = limit("silence_limit", &self.silence_limit);
        let mut amount = |field, text: &Option<String>, default| {
            errors
                .take(amount(field, text.as_deref(), default))
                .unwrap_or_default()
        };
        Times {
            timelimit,
            agendatimelimit,
            silence_limit,
            retry_delay: amount("retryworkdelay", &self.retryworkdelay, Duration::ZERO),
            grace: amount("grace", &self.grace, grace),
        }
    }

    fn checked_name(&self) -> Result<String, FieldError> {
        match self.name.as_deref() {
            Some(name) => check::label("name", name),
            None => Ok(command::default_name(self)),
        }
    }

    /// Answers a draft that validates to the job again (without owner, state and key), to submit it once more.
    #[must_use]
    pub fn of(spec: &JobSpec) -> Self {
        let seconds = |time: Option<Duration>| {
            Some(time.map_or_else(|| "none".to_owned(), crate::quantity::print_duration))
        };
        let list = |names: &BTreeSet<String>| Some(names.iter().cloned().collect());
        let mut draft = Self {
            command: spec.command.clone(),
            name: Some(spec.name.clone()),
            priority: Some(spec.priority.into()),
            // Where each host runs it once, the hosts of that time are counted.
            cpus: (!spec.is_once_a_host()).then_some(spec.cpus.into()),
            max_cpus: spec.max_cpus.map(check::max_cpus_said),
            reservations: Some(reservation::print_reservation(&spec.reservation)),
            hosts: list(&spec.hosts),
            omithosts: list(&spec.omithosts),
            cluster: Some(spec.cluster.to_string()),
            restrictions: spec.restrictions.as_ref().map(ToString::to_string),
            requirements: spec.requirements.as_ref().map(ToString::to_string),
            host_order: spec.host_order.as_ref().map(ToString::to_string),
            groups: list(&spec.groups),
            omitgroups: list(&spec.omitgroups),
            env: Some(spec.env.clone().into_iter().collect()),
            cwd: spec.cwd.clone(),
            umask: Some(format!("{:03o}", spec.umask)),
            flags: Some(spec.flags.iter().map(|it| it.word().to_owned()).collect()),
            retrywork: Some(spec.retrywork.into()),
            retryworkdelay: Some(crate::quantity::print_duration(spec.retrywork_delay)),
            retrysubjob: Some(spec.retrysubjob.into()),
            retry_oom: Some(spec.retry_oom.into()),
            pgrp_limit: spec.limits.pgrp.map(i64::from),
            per_host: spec.limits.per_host.map(i64::from),
            start_rate: spec.limits.start_rate.map(|rate| rate.to_string()),
            timelimit: seconds(spec.timelimit),
            agendatimelimit: seconds(spec.agendatimelimit),
            silence_limit: seconds(spec.silence_limit),
            grace: Some(crate::quantity::print_duration(spec.grace)),
            output_limit: Some(spec.output_limit.to_string()),
            progress: spec.progress.clone(),
            after: Some(
                spec.after
                    .as_ref()
                    .map_or("none".to_owned(), ToString::to_string),
            ),
            label: spec.label.as_ref().map(ToString::to_string),
            pgrp: spec.pgrp.and_then(|job| i64::try_from(job.0).ok()),
            mail: spec.mail.as_ref().map(mail::words),
            mail_to: spec
                .mail
                .as_ref()
                .and_then(|mail| mail.to.as_ref())
                .map(ToString::to_string),
            webhooks: Some(mail::webhook_words(&spec.webhooks)),
            max_failures: Some(spec.max_failures.into()),
            notes: Some(spec.notes.clone()),
            ..Self::default()
        };
        if let JobKind::CmdRange(agenda) = &spec.kind {
            draft.set_agenda(agenda);
        }
        draft
    }

    /// Answers a draft of another job like this one: without its label, which it keeps, and in its process group only when it
    /// waits for labels there.
    #[must_use]
    pub fn like(spec: &JobSpec) -> Self {
        Self {
            label: None,
            pgrp: waits::group_of(spec),
            ..Self::of(spec)
        }
    }

    fn set_agenda(&mut self, agenda: &Agenda) {
        self.range = Some(range::print(agenda.runs()));
        self.padding = Some(agenda.padding().into());
        self.order = Some(order_word(agenda.order()).to_owned());
        match agenda.split() {
            Split::Chunk(n) => self.chunk = Some(n.into()),
            Split::Partitions(n) => self.partitions = Some(n.into()),
        }
    }

    /// Answers this draft with everything that `over` says put in its place; a chunk there replaces partitions here and
    /// the other way round, a new command without a name takes its own name and shell.
    #[must_use]
    pub fn overlaid(mut self, over: Self) -> Self {
        macro_rules! put {
            ($($field:ident)*) => { $( if over.$field.is_some() { self.$field = over.$field; } )* };
        }
        if !over.command.is_empty() {
            self.command = over.command;
            self.shell = None;
            self.name = None;
        }
        if over.after.is_some() || over.waitfor.is_some() {
            (self.after, self.waitfor) = (None, None);
        }
        if over.mail.as_deref().is_some_and(mail::is_none) {
            self.mail_to = None;
        }
        if over.memory.is_some() && over.reservations.is_none() {
            self.reservations = self.reservations.map(memory::taken_out);
        }
        if over.chunk.is_some() || over.partitions.is_some() {
            (self.chunk, self.partitions) = (over.chunk, over.partitions);
        }
        put!(shell name range padding order priority cpus max_cpus reservations memory hosts omithosts cluster restrictions
             requirements host_order groups omitgroups env cwd umask flags retrywork
             retryworkdelay retrysubjob retry_oom pgrp_limit per_host start_rate timelimit agendatimelimit silence_limit grace
             output_limit progress
             waitfor after label pgrp mail mail_to webhooks max_failures notes status
             user key);
        self
    }
}

/// The times of a job.
struct Times {
    timelimit: Option<Duration>,
    agendatimelimit: Option<Duration>,
    silence_limit: Option<Duration>,
    retry_delay: Duration,
    grace: Duration,
}

/// Answers the word for an order, as `order` takes it.
#[must_use]
pub fn order_word(order: Order) -> &'static str {
    match order {
        Order::Ascend => "ascend",
        Order::Reverse => "reverse",
        Order::Binary => "binary",
    }
}

/// Environment variables by name.
type Variables = BTreeMap<String, String>;

#[cfg(test)]
mod tests;
