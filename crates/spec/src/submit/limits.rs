//! How much of a job may run at once.

use super::SubmissionDraft;
use super::check::number;
use crate::field::{Errors, FieldError};
use tessera_model::limits::INSTANCES_MAX;
use tessera_model::rate::BadRate;
use tessera_model::{JobLimits, StartRate};

/// Qube!'s number for no limit.
const NO_LIMIT: i64 = -1;

/// Checks what a submission says of it.
pub(crate) fn check(draft: &SubmissionDraft, errors: &mut Errors) -> JobLimits {
    let mut take = |field, given| errors.take(instances(field, given)).flatten();
    JobLimits {
        pgrp: take("pgrp_limit", draft.pgrp_limit),
        per_host: take("per_host", draft.per_host),
        start_rate: errors.take(rate(draft.start_rate.as_deref())).flatten(),
    }
}

/// Checks a number of instances. None at all is refused: such a job would wait for ever.
fn instances(field: &str, given: Option<i64>) -> Result<Option<u32>, FieldError> {
    if matches!(given, None | Some(NO_LIMIT)) {
        return Ok(None);
    }
    let most = number(field, given, 1..=INSTANCES_MAX, 1);
    most.map(Some).map_err(|bad| {
        bad.hint("write -1 for no limit; a job that shall not start yet is submitted blocked")
    })
}

/// Checks how quickly instances may start; `none` and an empty text are no limit.
fn rate(given: Option<&str>) -> Result<Option<StartRate>, FieldError> {
    let said = given.filter(|text| !matches!(text.trim(), "" | "none"));
    let read = said.map(str::parse).transpose();
    read.map_err(|bad: BadRate| {
        FieldError::new("start_rate", bad.to_string()).hint("5/s, 10/min; none for no limit")
    })
}
