//! What several messages are made of.

use super::{ConvertError, NAME_BYTES_MAX, TEXT_BYTES_MAX};
use crate::proto;
use std::time::Duration;
use tessera_model::msg::{LaunchKey, Run};
use tessera_model::state::Limit;
use tessera_model::{Attempt, InstanceNo, ItemIndex, JobId, LaunchNo};

/// What a cut text ends with.
const CUT_MARK: &str = " …(cut)";

pub(super) fn key(key: LaunchKey) -> Option<proto::LaunchKey> {
    let LaunchKey {
        job: JobId(job),
        instance: InstanceNo(instance),
        launch: LaunchNo(launch),
    } = key;
    Some(proto::LaunchKey {
        job,
        instance,
        launch,
    })
}

pub(super) fn read_key(
    key: Option<proto::LaunchKey>,
    field: &'static str,
) -> Result<LaunchKey, ConvertError> {
    let proto::LaunchKey {
        job,
        instance,
        launch,
    } = key.ok_or(ConvertError::Missing { field })?;
    Ok(LaunchKey {
        job: JobId(job),
        instance: InstanceNo(instance),
        launch: LaunchNo(launch),
    })
}

pub(super) fn run(run: Run) -> Option<proto::ItemRun> {
    let Run {
        item: ItemIndex(item),
        attempt: Attempt(attempt),
    } = run;
    Some(proto::ItemRun { item, attempt })
}

pub(super) fn read_run(
    run: Option<proto::ItemRun>,
    field: &'static str,
) -> Result<Run, ConvertError> {
    let proto::ItemRun { item, attempt } = run.ok_or(ConvertError::Missing { field })?;
    Ok(Run {
        item: ItemIndex(item),
        attempt: Attempt(attempt),
    })
}

/// Answers a duration in nanoseconds, at most 584 years.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn limit(limit: Limit) -> i32 {
    let limit = match limit {
        Limit::ItemTime => proto::Limit::ItemTime,
        Limit::InstanceTime => proto::Limit::InstanceTime,
        Limit::Silence => proto::Limit::Silence,
    };
    limit.into()
}

/// Answers the limit of that number, if this program knows it.
pub(super) fn read_limit(number: i32) -> Option<Limit> {
    match proto::Limit::try_from(number) {
        Ok(proto::Limit::ItemTime) => Some(Limit::ItemTime),
        Ok(proto::Limit::InstanceTime) => Some(Limit::InstanceTime),
        Ok(proto::Limit::Silence) => Some(Limit::Silence),
        Ok(proto::Limit::Unspecified) | Err(_) => None,
    }
}

/// Cuts a text for people to what the other side reads.
pub(super) fn text(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX - CUT_MARK.len()));
        text.push_str(CUT_MARK);
    }
    text
}

pub(super) fn read_text(text: String, field: &'static str) -> Result<String, ConvertError> {
    at_most(text.len(), TEXT_BYTES_MAX, field)?;
    Ok(text)
}

pub(super) fn read_name(name: String, field: &'static str) -> Result<String, ConvertError> {
    at_most(name.len(), NAME_BYTES_MAX, field)?;
    Ok(name)
}

/// Refuses what is longer than `max`.
pub(super) fn at_most(got: usize, max: usize, field: &'static str) -> Result<(), ConvertError> {
    if got <= max {
        Ok(())
    } else {
        Err(ConvertError::TooLong { field, got, max })
    }
}
