//! Fields about other jobs: what is waited for, labels, process groups.

use super::lists::entries;
use crate::after;
use crate::field::{Errors, FieldError, shown};
use std::collections::BTreeSet;
use tessera_model::after::{After, BadLabel, Term, Tree, Whom};
use tessera_model::limits::WAITFOR_MAX;
use tessera_model::{JobId, JobSpec, Label};

/// The word for waiting for nothing.
pub(crate) const NONE: &str = "none";

/// Checks what is waited for: the jobs of `waitfor`, and all that `after` says.
pub(crate) fn after(
    waitfor: Option<&[String]>,
    text: Option<&str>,
    errors: &mut Errors,
) -> Option<After> {
    let jobs = jobs(waitfor, errors);
    let said = text.filter(|text| !text.trim().is_empty() && text.trim() != NONE);
    let read = said.map(|text| after::parse(text).map_err(|bad| error(&bad)));
    let read = read.and_then(|read| errors.take(read));
    let parts: Vec<After> = jobs
        .into_iter()
        .map(|job| Tree::One(Term::job(job)))
        .chain(read)
        .collect();
    if parts.is_empty() {
        return None;
    }
    let whole = Tree::all(parts);
    // Both together may be more than either: what the store can't read back must not get there.
    errors.take(after::parse(&whole.to_string()).map_err(|bad| error(&bad)))
}

fn error(bad: &after::AfterError) -> FieldError {
    FieldError::new("after", bad.to_string()).hint(bad.hint())
}

pub(crate) fn label(given: Option<&str>) -> Result<Option<Label>, FieldError> {
    let read = given.filter(|text| !text.is_empty()).map(str::parse);
    read.transpose()
        .map_err(|bad: BadLabel| FieldError::new("label", bad.to_string()))
}

pub(crate) fn pgrp(given: Option<i64>) -> Result<Option<JobId>, FieldError> {
    let Some(given) = given else { return Ok(None) };
    match u64::try_from(given) {
        Ok(id) if id > 0 => Ok(Some(JobId(id))),
        _ => Err(FieldError::new("pgrp", format!("{given} is no job"))
            .hint("write the number of a job of the process group")),
    }
}

/// Answers the process group that a job must be submitted into again so that the labels it waits for mean the same.
pub(crate) fn group_of(spec: &JobSpec) -> Option<i64> {
    let terms = spec.after.as_ref().map(Tree::leaves).unwrap_or_default();
    let is_label = |term: &&Term| matches!(term.whom, Whom::Label(_));
    let group = spec.pgrp.filter(|_| terms.iter().any(is_label))?;
    i64::try_from(group.0).ok()
}

/// Checks the jobs to wait for; each once, in their order.
fn jobs(given: Option<&[String]>, errors: &mut Errors) -> Vec<JobId> {
    let mut jobs = BTreeSet::new();
    for entry in entries(given.unwrap_or_default()) {
        if jobs.len() == WAITFOR_MAX {
            errors.push(FieldError::new(
                "waitfor",
                format!("more than {WAITFOR_MAX} jobs"),
            ));
            break;
        }
        let is_number = entry.bytes().all(|byte| byte.is_ascii_digit());
        let job = entry
            .parse()
            .ok()
            .filter(|job| is_number && *job > 0)
            .map(JobId)
            .ok_or_else(|| {
                FieldError::new("waitfor", format!("{} is no job", shown(entry)))
                    .hint("write job numbers such as 12345")
            });
        jobs.extend(errors.take(job));
    }
    jobs.into_iter().collect()
}
