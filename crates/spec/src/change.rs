//! Changes to a job that exists, checked like a submission.

use crate::field::FieldError;
use crate::submit::SubmissionDraft;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tessera_model::{
    After, ClusterChoice, HostOrder, JobMail, JobWebhooks, Requirement, Reservation, Restriction,
    StartRate,
};

/// What somebody wants to change, in the words they used; `None` leaves a field as it is. The fields are those of
/// [`SubmissionDraft`]; an empty list of hosts means any host, `none` takes a time limit away.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the fields of SubmissionDraft")]
pub struct ChangeDraft {
    pub name: Option<String>,
    pub priority: Option<i64>,
    pub cpus: Option<i64>,
    pub max_cpus: Option<i64>,
    pub reservations: Option<String>,
    pub hosts: Option<Vec<String>>,
    pub omithosts: Option<Vec<String>>,
    pub cluster: Option<String>,
    pub restrictions: Option<String>,
    pub requirements: Option<String>,
    pub host_order: Option<String>,
    pub groups: Option<Vec<String>>,
    pub omitgroups: Option<Vec<String>>,
    pub retrywork: Option<i64>,
    pub retryworkdelay: Option<String>,
    pub retrysubjob: Option<i64>,
    pub retry_oom: Option<i64>,
    pub pgrp_limit: Option<i64>,
    pub per_host: Option<i64>,
    pub start_rate: Option<String>,
    pub timelimit: Option<String>,
    pub agendatimelimit: Option<String>,
    pub silence_limit: Option<String>,
    pub after: Option<String>,
    pub mail: Option<Vec<String>>,
    pub mail_to: Option<String>,
    pub webhooks: Option<Vec<String>>,
    pub max_failures: Option<i64>,
    pub notes: Option<String>,
}

/// A change without errors; `None` leaves a field as it is, `Some(None)` takes a limit away.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the fields of JobSpec")]
pub struct Change {
    pub name: Option<String>,
    pub priority: Option<u32>,
    pub cpus: Option<u32>,
    pub max_cpus: Option<u32>,
    pub reservation: Option<Reservation>,
    pub hosts: Option<BTreeSet<String>>,
    pub omithosts: Option<BTreeSet<String>>,
    pub cluster: Option<ClusterChoice>,
    pub restrictions: Option<Option<Restriction>>,
    pub requirements: Option<Option<Arc<Requirement>>>,
    pub host_order: Option<Option<Arc<HostOrder>>>,
    pub groups: Option<BTreeSet<String>>,
    pub omitgroups: Option<BTreeSet<String>>,
    pub retrywork: Option<u32>,
    pub retrywork_delay: Option<Duration>,
    pub retrysubjob: Option<u32>,
    pub retry_oom: Option<u32>,
    pub pgrp_limit: Option<Option<u32>>,
    pub per_host: Option<Option<u32>>,
    pub start_rate: Option<Option<StartRate>>,
    pub timelimit: Option<Option<Duration>>,
    pub agendatimelimit: Option<Option<Duration>>,
    pub silence_limit: Option<Option<Duration>>,
    pub after: Option<Option<After>>,
    pub mail: Option<Option<JobMail>>,
    pub webhooks: Option<JobWebhooks>,
    pub max_failures: Option<u32>,
    pub notes: Option<String>,
}

impl ChangeDraft {
    /// Checks everything.
    ///
    /// # Errors
    /// All errors that were found, and one when nothing is to be changed.
    pub fn validate(&self) -> Result<Change, Vec<FieldError>> {
        if *self == Self::default() {
            return Err(vec![
                FieldError::new("", "nothing to change was given")
                    .hint("name at least one field, such as priority"),
            ]);
        }
        let checked = self.as_submission().validate().map(|valid| valid.spec);
        let spec = checked?;
        let said = |is_said: bool| is_said.then_some(());
        Ok(Change {
            name: said(self.name.is_some()).map(|()| spec.name),
            priority: said(self.priority.is_some()).map(|()| spec.priority),
            cpus: said(self.cpus.is_some()).map(|()| spec.cpus),
            max_cpus: spec.max_cpus,
            reservation: said(self.reservations.is_some()).map(|()| spec.reservation),
            hosts: said(self.hosts.is_some()).map(|()| spec.hosts),
            omithosts: said(self.omithosts.is_some()).map(|()| spec.omithosts),
            cluster: said(self.cluster.is_some()).map(|()| spec.cluster),
            restrictions: said(self.restrictions.is_some()).map(|()| spec.restrictions),
            requirements: said(self.requirements.is_some()).map(|()| spec.requirements),
            host_order: said(self.host_order.is_some()).map(|()| spec.host_order),
            groups: said(self.groups.is_some()).map(|()| spec.groups),
            omitgroups: said(self.omitgroups.is_some()).map(|()| spec.omitgroups),
            retrywork: said(self.retrywork.is_some()).map(|()| spec.retrywork),
            retrywork_delay: said(self.retryworkdelay.is_some()).map(|()| spec.retrywork_delay),
            retrysubjob: said(self.retrysubjob.is_some()).map(|()| spec.retrysubjob),
            retry_oom: said(self.retry_oom.is_some()).map(|()| spec.retry_oom),
            pgrp_limit: said(self.pgrp_limit.is_some()).map(|()| spec.limits.pgrp),
            per_host: said(self.per_host.is_some()).map(|()| spec.limits.per_host),
            start_rate: said(self.start_rate.is_some()).map(|()| spec.limits.start_rate),
            timelimit: said(self.timelimit.is_some()).map(|()| spec.timelimit),
            agendatimelimit: said(self.agendatimelimit.is_some()).map(|()| spec.agendatimelimit),
            silence_limit: said(self.silence_limit.is_some()).map(|()| spec.silence_limit),
            after: said(self.after.is_some()).map(|()| spec.after),
            mail: said(self.mail.is_some()).map(|()| spec.mail),
            webhooks: said(self.webhooks.is_some()).map(|()| spec.webhooks),
            max_failures: said(self.max_failures.is_some()).map(|()| spec.max_failures),
            notes: said(self.notes.is_some()).map(|()| spec.notes),
        })
    }

    /// Answers a submission of a harmless command with these fields, so that one set of rules checks both.
    fn as_submission(&self) -> SubmissionDraft {
        SubmissionDraft {
            command: vec!["true".to_owned()],
            name: self.name.clone(),
            priority: self.priority,
            cpus: self.cpus,
            max_cpus: self.max_cpus,
            reservations: self.reservations.clone(),
            hosts: self.hosts.clone(),
            omithosts: self.omithosts.clone(),
            cluster: self.cluster.clone(),
            restrictions: self.restrictions.clone(),
            requirements: self.requirements.clone(),
            host_order: self.host_order.clone(),
            groups: self.groups.clone(),
            omitgroups: self.omitgroups.clone(),
            retrywork: self.retrywork,
            retryworkdelay: self.retryworkdelay.clone(),
            retrysubjob: self.retrysubjob,
            retry_oom: self.retry_oom,
            pgrp_limit: self.pgrp_limit,
            per_host: self.per_host,
            start_rate: self.start_rate.clone(),
            timelimit: self.timelimit.clone(),
            agendatimelimit: self.agendatimelimit.clone(),
            silence_limit: self.silence_limit.clone(),
            after: self.after.clone(),
            mail: self.mail.clone(),
            mail_to: self.mail_to.clone(),
            webhooks: self.webhooks.clone(),
            max_failures: self.max_failures,
            notes: self.notes.clone(),
            ..SubmissionDraft::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_changes() {
        let draft = ChangeDraft {
            priority: Some(5),
            timelimit: Some("none".into()),
            agendatimelimit: Some("2h".into()),
            hosts: Some(vec![]),
            ..ChangeDraft::default()
        };
        let expected = Change {
            priority: Some(5),
            timelimit: Some(None),
            agendatimelimit: Some(Some(Duration::from_secs(7_200))),
            hosts: Some(BTreeSet::new()),
            ..Change::default()
        };
        assert_eq!(draft.validate(), Ok(expected));
    }

    #[test]
    fn mail_is_asked_for_anew_or_no_more() {
        let draft = |mail: Option<&str>, to: Option<&str>| ChangeDraft {
            mail: mail.map(|words| vec![words.to_owned()]),
            mail_to: to.map(ToOwned::to_owned),
            ..ChangeDraft::default()
        };
        let change = draft(Some("done,failed"), Some("td@x.org"))
            .validate()
            .expect("good");
        let mail = change.mail.flatten().expect("asked for");
        assert_eq!(
            (mail.on.len(), mail.to.map(|it| it.to_string()).as_deref()),
            (2, Some("td@x.org"))
        );
        let none = draft(Some("none"), None).validate().expect("good");
        assert_eq!(none.mail, Some(None));
        let other = ChangeDraft {
            priority: Some(5),
            ..ChangeDraft::default()
        };
        assert_eq!(other.validate().expect("good").mail, None, "left as it is");
        let errors = draft(None, Some("td@x.org")).validate().expect_err("when?");
        assert_eq!(errors[0].field, "mail_to");
        let errors = draft(Some("host_lost"), None)
            .validate()
            .expect_err("no job's");
        assert_eq!(errors[0].field, "mail");
    }

    #[test]
    fn all_errors_come_at_once() {
        let draft = ChangeDraft {
            priority: Some(0),
            cpus: Some(0),
            name: Some(" ".into()),
            ..ChangeDraft::default()
        };
        let errors = draft.validate().expect_err("three errors");
        let mut fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["cpus", "name", "priority"]);
        assert_eq!(
            ChangeDraft::default().validate().map_err(|e| e.len()),
            Err(1)
        );
    }
}
