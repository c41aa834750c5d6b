//! From the farm's own types to those of the API and back. By hand: what is serialized is a promise.

use crate::types::{EndView, ItemCounts, ModifyRequest, Quantity, SpecView, SubmitRequest};
use std::time::Duration;
use tessera_model::{After, End, ItemStatus, JobKind, JobMail, JobSpec, Outcome, Split};
use tessera_spec::submit::order_word;
use tessera_spec::{ChangeDraft, SubmissionDraft, range, reservation};

/// Answers whole milliseconds.
#[must_use]
pub fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl From<SubmitRequest> for SubmissionDraft {
    fn from(request: SubmitRequest) -> Self {
        let text = |quantity: Option<Quantity>| quantity.map(|quantity| quantity.0);
        Self {
            command: request.command,
            shell: request.shell,
            name: request.name,
            range: request.range,
            chunk: request.chunk,
            partitions: request.partitions,
            padding: request.padding,
            order: request.order,
            priority: request.priority,
            cpus: request.cpus,
            max_cpus: request.max_cpus,
            reservations: request.reservations,
            memory: request.memory,
            hosts: request.hosts,
            omithosts: request.omithosts,
            cluster: request.cluster,
            restrictions: request.restrictions,
            requirements: request.requirements,
            host_order: request.host_order,
            groups: request.groups,
            omitgroups: request.omitgroups,
            env: request.env.map(|variables| variables.into_iter().collect()),
            cwd: request.cwd,
            umask: request.umask,
            flags: request.flags,
            retrywork: request.retrywork,
            retryworkdelay: text(request.retryworkdelay),
            retrysubjob: request.retrysubjob,
            retry_oom: request.retry_oom,
            pgrp_limit: request.pgrp_limit,
            per_host: request.per_host,
            start_rate: request.start_rate,
            timelimit: text(request.timelimit),
            agendatimelimit: text(request.agendatimelimit),
            silence_limit: text(request.silence_limit),
            grace: text(request.grace),
            output_limit: text(request.output_limit),
            progress: request.progress,
            waitfor: request
                .waitfor
                .map(|jobs| jobs.iter().map(u64::to_string).collect()),
            after: request.after,
            label: request.label,
            pgrp: request.pgrp,
            mail: request.mail,
            mail_to: request.mail_to,
            webhooks: request.webhooks,
            max_failures: request.max_failures,
            notes: request.notes,
            status: request.status,
            user: request.user,
            key: request.key,
        }
    }
}

impl From<ModifyRequest> for ChangeDraft {
    fn from(request: ModifyRequest) -> Self {
        let text = |quantity: Option<Quantity>| quantity.map(|quantity| quantity.0);
        Self {
            name: request.name,
            priority: request.priority,
            cpus: request.cpus,
            max_cpus: request.max_cpus,
            reservations: request.reservations,
            hosts: request.hosts,
            omithosts: request.omithosts,
            cluster: request.cluster,
            restrictions: request.restrictions,
            requirements: request.requirements,
            host_order: request.host_order,
            groups: request.groups,
            omitgroups: request.omitgroups,
            retrywork: request.retrywork,
            retryworkdelay: text(request.retryworkdelay),
            retrysubjob: request.retrysubjob,
            retry_oom: request.retry_oom,
            pgrp_limit: request.pgrp_limit,
            per_host: request.per_host,
            start_rate: request.start_rate,
            timelimit: text(request.timelimit),
            agendatimelimit: text(request.agendatimelimit),
            silence_limit: text(request.silence_limit),
            after: request.after,
            mail: request.mail,
            mail_to: request.mail_to,
            webhooks: request.webhooks,
            max_failures: request.max_failures,
            notes: request.notes,
        }
    }
}

/// The draft has a job to wait for that is no number; it is left as text for people to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("waitfor: {0:?} is no job number")]
pub struct BadWaitfor(pub String);

impl TryFrom<SubmissionDraft> for SubmitRequest {
    type Error = BadWaitfor;

    /// Makes the request that carries a draft, for clients that read one from a command line or file.
    fn try_from(draft: SubmissionDraft) -> Result<Self, BadWaitfor> {
        let quantity = |text: Option<String>| text.map(Quantity);
        Ok(Self {
            command: draft.command,
            shell: draft.shell,
            name: draft.name,
            range: draft.range,
            chunk: draft.chunk,
            partitions: draft.partitions,
            padding: draft.padding,
            order: draft.order,
            priority: draft.priority,
            cpus: draft.cpus,
            max_cpus: draft.max_cpus,
            reservations: draft.reservations,
            memory: draft.memory,
            hosts: draft.hosts,
            omithosts: draft.omithosts,
            cluster: draft.cluster,
            restrictions: draft.restrictions,
            requirements: draft.requirements,
            host_order: draft.host_order,
            groups: draft.groups,
            omitgroups: draft.omitgroups,
            env: draft.env.map(|variables| variables.into_iter().collect()),
            cwd: draft.cwd,
            umask: draft.umask,
            flags: draft.flags,
            retrywork: draft.retrywork,
            retryworkdelay: quantity(draft.retryworkdelay),
            retrysubjob: draft.retrysubjob,
            retry_oom: draft.retry_oom,
            pgrp_limit: draft.pgrp_limit,
            per_host: draft.per_host,
            start_rate: draft.start_rate,
            timelimit: quantity(draft.timelimit),
            agendatimelimit: quantity(draft.agendatimelimit),
            silence_limit: quantity(draft.silence_limit),
            grace: quantity(draft.grace),
            output_limit: quantity(draft.output_limit),
            progress: draft.progress,
            waitfor: draft.waitfor.as_deref().map(job_numbers).transpose()?,
            after: draft.after,
            label: draft.label,
            pgrp: draft.pgrp,
            mail: draft.mail,
            mail_to: draft.mail_to,
            webhooks: draft.webhooks,
            max_failures: draft.max_failures,
            notes: draft.notes,
            status: draft.status,
            user: draft.user,
            key: draft.key,
        })
    }
}

fn job_numbers(entries: &[String]) -> Result<Vec<u64>, BadWaitfor> {
    let numbers = entries
        .iter()
        .flat_map(|entry| entry.split(','))
        .map(str::trim)
        .filter(|entry| !entry.is_empty());
    numbers
        .map(|entry| entry.parse().map_err(|_| BadWaitfor(entry.to_owned())))
        .collect()
}

fn words(mail: &JobMail) -> Vec<String> {
    mail.on.iter().map(|it| it.word().to_owned()).collect()
}

impl From<&JobSpec> for SpecView {
    fn from(spec: &JobSpec) -> Self {
        let mut view = Self {
            name: spec.name.clone(),
            kind: spec.kind.word().to_owned(),
            command: spec.command.clone(),
            env: spec.env.clone(),
            cwd: spec.cwd.clone(),
            umask: format!("{:03o}", spec.umask),
            flags: spec.flags.iter().map(|it| it.word().to_owned()).collect(),
            priority: spec.priority,
            cpus: spec.cpus,
            max_cpus: spec.max_cpus.unwrap_or(0),
            reservations: reservation::print_reservation(&spec.reservation),
            hosts: spec.hosts.iter().cloned().collect(),
            omithosts: spec.omithosts.iter().cloned().collect(),
            cluster: spec.cluster.to_string(),
            restrictions: spec
                .restrictions
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
            requirements: spec
                .requirements
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
            host_order: spec
                .host_order
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
            groups: spec.groups.iter().cloned().collect(),
            omitgroups: spec.omitgroups.iter().cloned().collect(),
            retrywork: spec.retrywork,
            retryworkdelay_ms: milliseconds(spec.retrywork_delay),
            retrysubjob: spec.retrysubjob,
            retry_oom: spec.retry_oom,
            pgrp_limit: spec.limits.pgrp,
            per_host: spec.limits.per_host,
            start_rate: spec.limits.start_rate.map(|rate| rate.to_string()),
            timelimit_ms: spec.timelimit.map(milliseconds),
            agendatimelimit_ms: spec.agendatimelimit.map(milliseconds),
            silence_limit_ms: spec.silence_limit.map(milliseconds),
            grace_ms: milliseconds(spec.grace),
            output_limit: spec.output_limit,
            progress: spec.progress.clone(),
            waitfor: spec
                .after
                .as_ref()
                .and_then(After::plain_jobs)
                .unwrap_or_default()
                .iter()
                .map(|job| job.0)
                .collect(),
            after: spec.after.as_ref().map(ToString::to_string),
            label: spec.label.as_ref().map(ToString::to_string),
            pgrp: spec.pgrp.map(|job| job.0),
            mail: spec.mail.as_ref().map(words).unwrap_or_default(),
            mail_to: spec
                .mail
                .as_ref()
                .and_then(|it| it.to.as_ref())
                .map(ToString::to_string),
            webhooks: SubmissionDraft::like(spec).webhooks.unwrap_or_default(),
            max_failures: spec.max_failures,
            notes: spec.notes.clone(),
            ..Self::default()
        };
        if let JobKind::CmdRange(agenda) = &spec.kind {
            view.range = Some(range::print(agenda.runs()));
            view.padding = Some(agenda.padding());
            view.order = Some(order_word(agenda.order()).to_owned());
            match agenda.split() {
                Split::Chunk(n) => view.chunk = Some(n),
                Split::Partitions(n) => view.partitions = Some(n),
            }
        }
        view
    }
}

impl From<&End> for EndView {
    fn from(end: &End) -> Self {
        let (kind, exit_status, signal) = match end {
            End::Exit(status) => ("exit", Some(*status), None),
            End::Signal(number) => ("signal", None, Some(*number)),
            End::OutOfMemory { .. } => ("out_of_memory", None, None),
            End::NotStarted(_) => ("not_started", None, None),
            End::Limit(_) => ("limit", None, None),
            End::Asked => ("asked", None, None),
            End::Lost => ("lost", None, None),
            End::ShepherdEnded { .. } => ("shepherd_ended", None, None),
        };
        let outcome = match end.outcome() {
            Outcome::Done => "done",
            Outcome::Failed => "failed",
            Outcome::OutOfMemory => "out_of_memory",
            Outcome::Interrupted => "interrupted",
        };
        Self {
            text: end.to_string(),
            outcome: outcome.to_owned(),
            kind: kind.to_owned(),
            exit_status,
            signal,
        }
    }
}

impl ItemCounts {
    /// Counts `items` more items in that state.
    pub fn add(&mut self, status: ItemStatus, items: u32) {
        let field = match status {
            ItemStatus::Pending => &mut self.pending,
            ItemStatus::Blocked => &mut self.blocked,
            ItemStatus::Waiting => &mut self.waiting,
            ItemStatus::Running => &mut self.running,
            ItemStatus::Suspended => &mut self.suspended,
            ItemStatus::Complete => &mut self.complete,
            ItemStatus::Failed => &mut self.failed,
            ItemStatus::Killed => &mut self.killed,
        };
        *field = field.saturating_add(items);
        self.total = self.total.saturating_add(items);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(json: &str) -> SubmitRequest {
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_request_becomes_the_job_that_it_describes() {
        let request = request(
            r#"{"command": ["render", "QB_FRAME_NUMBER"], "range": "1-10", "chunk": 3, "timelimit": "5m", "agendatimelimit": 90,
                "env": {"A": "b"}, "waitfor": [7], "umask": "027", "output_limit": "1M"}"#,
        );
        let valid = SubmissionDraft::from(request)
            .validate()
            .expect("a good request");
        let view = SpecView::from(&valid.spec);
        assert_eq!(
            (view.range.as_deref(), view.chunk, view.kind.as_str()),
            (Some("1-10"), Some(3), "cmdrange")
        );
        assert_eq!(
            (view.timelimit_ms, view.agendatimelimit_ms),
            (Some(300_000), Some(90_000))
        );
        assert_eq!(
            (view.umask.as_str(), view.output_limit, view.waitfor),
            ("027", 1 << 20, vec![7])
        );
    }

    #[test]
    fn a_draft_survives_its_request() {
        let request = request(
            r#"{"command": ["a"], "waitfor": [1, 2], "grace": "10s", "priority": 5, "key": "k"}"#,
        );
        let draft = SubmissionDraft::from(request.clone());
        assert_eq!(SubmitRequest::try_from(draft), Ok(request));
        let bad = SubmissionDraft {
            waitfor: Some(vec!["1,x".into()]),
            ..SubmissionDraft::default()
        };
        assert_eq!(SubmitRequest::try_from(bad), Err(BadWaitfor("x".into())));
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        let error = serde_json::from_str::<SubmitRequest>(r#"{"command": ["a"], "priorty": 5}"#)
            .expect_err("a typo");
        assert!(error.to_string().contains("priorty"), "{error}");
    }

    #[test]
    fn ends_are_told_in_words_and_numbers() {
        let view = EndView::from(&End::Signal(9));
        assert_eq!(
            (view.text.as_str(), view.outcome.as_str(), view.signal),
            ("signal 9 (KILL)", "failed", Some(9))
        );
        assert_eq!(EndView::from(&End::Exit(0)).outcome, "done");
        assert_eq!(EndView::from(&End::Lost).outcome, "interrupted");
    }

    #[test]
    fn counts_add_up() {
        let mut counts = ItemCounts::default();
        for status in ItemStatus::ALL {
            counts.add(status, 2);
        }
        assert_eq!((counts.total, counts.running, counts.killed), (16, 2, 2));
    }
}
