//! Checks of single fields.

use crate::field::{Errors, FieldError, shown};
use crate::quantity::{self, AmountError};
use crate::submit::{OUTPUT_BYTES_MAX, PATH_BYTES_MAX, UMASK_DEFAULT};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;
use tessera_model::job::CPUS_ALL;
use tessera_model::limits::{
    INSTANCES_MAX, KEY_BYTES_MAX, NAME_BYTES_MAX, NOTES_BYTES_MAX, OUTPUT_BYTES_DEFAULT,
    PATTERN_BYTES_MAX, RETRIES_MAX,
};
use tessera_model::{
    ClusterChoice, ClusterError, JobKind, JobSpec, Order, Restriction, RestrictionError, UserName,
};

/// Bytes that a compiled progress pattern may take.
const PATTERN_MEMORY_MAX: usize = 1 << 20;
/// Groups that may lie in each other in a progress pattern.
const PATTERN_NESTING_MAX: u32 = 50;
/// What a time limit is written like.
const DURATION_HINT: &str = "write seconds or a number with s, m, h or d: 90, 90s, 5m, 2h, 1d";

/// Checks a number against its range.
pub(crate) fn number(
    field: &str,
    given: Option<i64>,
    range: RangeInclusive<u32>,
    default: u32,
) -> Result<u32, FieldError> {
    let Some(given) = given else {
        return Ok(default);
    };
    u32::try_from(given)
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            let error = FieldError::new(field, format!("{given} is not from {least} to {most}"));
            if field == "priority" {
                error.hint("1 is served first")
            } else {
                error
            }
        })
}

/// Checks a number of instances of which -1 is as many as the farm allows.
pub(crate) fn max_cpus(given: Option<i64>) -> Result<Option<u32>, FieldError> {
    match given {
        None => Ok(None),
        Some(-1) => Ok(Some(CPUS_ALL)),
        Some(_) => {
            let most = number("max_cpus", given, 0..=INSTANCES_MAX, 0);
            let hint = "-1 is as many as the farm allows, 0 no more than cpus";
            most.map(Some).map_err(|error| error.hint(hint))
        }
    }
}

/// Answers the number that says it.
pub(crate) fn max_cpus_said(most: u32) -> i64 {
    match most {
        CPUS_ALL => -1,
        most => most.into(),
    }
}

/// Checks a number of retries. Qube!'s -1, its default of the farm, is refused: there is none here.
pub(crate) fn retries(field: &str, given: Option<i64>) -> Result<u32, FieldError> {
    let is_below = given.is_some_and(|given| given < 0);
    number(field, given, 0..=RETRIES_MAX, 0).map_err(|bad| {
        if is_below {
            bad.hint("write 0 for none")
        } else {
            bad
        }
    })
}

/// Checks a duration, 0 included.
pub(crate) fn amount(
    field: &str,
    given: Option<&str>,
    default: Duration,
) -> Result<Duration, FieldError> {
    given.map_or(Ok(default), |text| {
        quantity::duration(text).map_err(|bad| amount_error(field, &bad))
    })
}

/// Checks a time limit; `none` and Qube!'s -1 are no limit, 0 would end everything at once and is refused.
pub(crate) fn limit(field: &str, given: Option<&str>) -> Result<Option<Duration>, FieldError> {
    let Some(text) = given.filter(|text| !matches!(text.trim(), "none" | "-1")) else {
        return Ok(None);
    };
    match quantity::duration(text) {
        Ok(Duration::ZERO) => Err(FieldError::new(
            field,
            "a limit of 0 would end everything at once",
        )
        .hint("leave it out, or write none, for no limit")),
        Ok(limit) => Ok(Some(limit)),
        Err(bad) => Err(amount_error(field, &bad)),
    }
}

fn amount_error(field: &str, bad: &AmountError) -> FieldError {
    let hint = match bad {
        AmountError::TooLarge(_) => "a year is the most",
        AmountError::NoNumber(_) | AmountError::Unit(_) | AmountError::Negative(_) => DURATION_HINT,
    };
    FieldError::new(field, bad.to_string()).hint(hint)
}

pub(crate) fn output_limit(given: Option<&str>) -> Result<u64, FieldError> {
    let Some(text) = given else {
        return Ok(OUTPUT_BYTES_DEFAULT);
    };
    let error = |message: String| {
        FieldError::new("output_limit", message)
            .hint("write bytes or a number with K, M, G or T: 256M")
    };
    match quantity::size(text) {
        Ok(bytes) if (1..=OUTPUT_BYTES_MAX).contains(&bytes) => Ok(bytes),
        Ok(_) => Err(error(format!(
            "{} is not from 1 byte to {}",
            shown(text),
            quantity::print_size(OUTPUT_BYTES_MAX)
        ))),
        Err(bad) => Err(error(bad.to_string())),
    }
}

pub(crate) fn umask(given: Option<&str>) -> Result<u32, FieldError> {
    let Some(text) = given else {
        return Ok(UMASK_DEFAULT);
    };
    let is_octal = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mask| is_octal && *mask <= 0o777)
        .ok_or_else(|| {
            FieldError::new("umask", format!("{} is no file mode mask", shown(text)))
                .hint("write it in octal, from 000 to 777, such as 022")
        })
}

/// Checks a line of text for people: not empty, no control characters, bounded.
pub(crate) fn label(field: &str, text: &str) -> Result<String, FieldError> {
    if text.trim().is_empty() {
        return Err(FieldError::new(field, "it is empty"));
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(FieldError::new(
            field,
            format!("it is longer than {NAME_BYTES_MAX} bytes"),
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(FieldError::new(
            field,
            format!("{} has control characters", shown(text)),
        ));
    }
    Ok(text.to_owned())
}

pub(crate) fn notes(given: Option<&str>) -> Result<String, FieldError> {
    let text = given.unwrap_or_default();
    if text.len() > NOTES_BYTES_MAX {
        return Err(FieldError::new(
            "notes",
            format!("they are longer than {NOTES_BYTES_MAX} bytes"),
        ));
    }
    no_nul("notes", text)?;
    Ok(text.to_owned())
}

pub(crate) fn no_nul(field: &str, text: &str) -> Result<(), FieldError> {
    if text.contains('\0') {
        return Err(FieldError::new(
            field,
            "it has a NUL byte, which no program can be given",
        ));
    }
    Ok(())
}

pub(crate) fn cwd(given: Option<&str>) -> Result<Option<String>, FieldError> {
    let Some(text) = given else { return Ok(None) };
    no_nul("cwd", text)?;
    if text.len() > PATH_BYTES_MAX {
        return Err(FieldError::new(
            "cwd",
            format!("it is longer than {PATH_BYTES_MAX} bytes"),
        ));
    }
    if !tessera_model::path::is_absolute(text) {
        return Err(
            FieldError::new("cwd", format!("{} is not absolute", shown(text)))
                .hint("write the whole path as the hosts see it: /shows/x, P:\\shows\\x or \\\\server\\shows\\x"),
        );
    }
    Ok(Some(text.to_owned()))
}

pub(crate) fn order(given: Option<&str>) -> Result<Order, FieldError> {
    match given {
        None | Some("ascend") => Ok(Order::Ascend),
        Some("reverse" | "descend") => Ok(Order::Reverse),
        Some("binary") => Ok(Order::Binary),
        Some(other) => Err(
            FieldError::new("order", format!("{} is no order", shown(other)))
                .hint("write ascend, reverse or binary"),
        ),
    }
}

pub(crate) fn status(given: Option<&str>) -> Result<bool, FieldError> {
    match given {
        None | Some("pending") => Ok(false),
        Some("blocked") => Ok(true),
        Some(other) => Err(FieldError::new(
            "status",
            format!("a job can't begin as {}", shown(other)),
        )
        .hint("write pending or blocked")),
    }
}

pub(crate) fn owner(given: Option<&str>) -> Result<Option<UserName>, FieldError> {
    given
        .map(|text| {
            text.parse()
                .map_err(|bad: tessera_model::name::BadUserName| {
                    FieldError::new("user", bad.to_string())
                })
        })
        .transpose()
}

pub(crate) fn key(given: Option<&str>) -> Result<Option<String>, FieldError> {
    let Some(text) = given else { return Ok(None) };
    if text.is_empty() || text.len() > KEY_BYTES_MAX {
        return Err(FieldError::new(
            "key",
            format!("it is not from 1 to {KEY_BYTES_MAX} bytes long"),
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(FieldError::new("key", "it has control characters"));
    }
    Ok(Some(text.to_owned()))
}

/// Checks that a progress pattern can be searched in bounded time and has a group for the number.
pub(crate) fn progress(given: Option<&str>) -> Result<Option<String>, FieldError> {
    let Some(text) = given else { return Ok(None) };
    let error = |message: String| {
        FieldError::new("progress", message)
            .hint(r"its first group is the percentage, as in Rendered (\d+)%")
    };
    if text.is_empty() || text.len() > PATTERN_BYTES_MAX {
        return Err(error(format!(
            "a pattern is from 1 to {PATTERN_BYTES_MAX} bytes long"
        )));
    }
    let pattern = regex_lite::RegexBuilder::new(text)
        .size_limit(PATTERN_MEMORY_MAX)
        .nest_limit(PATTERN_NESTING_MAX)
        .build()
        .map_err(|bad| error(format!("{} is no pattern: {bad}", shown(text))))?;
    if pattern.captures_len() < 2 {
        return Err(error(format!("{} has no group", shown(text))));
    }
    Ok(Some(text.to_owned()))
}

/// Checks the clusters of a job; an empty text is the top one.
pub(crate) fn cluster(given: Option<&str>) -> Result<ClusterChoice, FieldError> {
    let Some(text) = given.filter(|text| !text.trim().is_empty()) else {
        return Ok(ClusterChoice::default());
    };
    text.parse().map_err(|bad: ClusterError| {
        FieldError::new("cluster", bad.to_string())
            .hint("write /show/sequence, several with commas, /show+ for all below it, too")
    })
}

/// Checks the clusters that a job is restricted to; an empty text is all.
pub(crate) fn restrictions(given: Option<&str>) -> Result<Option<Restriction>, FieldError> {
    let Some(text) = given.filter(|text| !text.trim().is_empty()) else {
        return Ok(None);
    };
    let read = text.parse().map(Some);
    read.map_err(|bad: RestrictionError| {
        FieldError::new("restrictions", bad.to_string()).hint(
            "write /a for that cluster, /a/* for one level below, /a/+ for all below, joined by ||",
        )
    })
}

/// Refuses hosts, or groups of them, that are asked for and ruled out at once, when that leaves none.
pub(crate) fn host_sets(
    [asked, ruled_out]: [&str; 2],
    hosts: &BTreeSet<String>,
    omitted: &BTreeSet<String>,
    errors: &mut Errors,
) {
    if !hosts.is_empty() && hosts.is_subset(omitted) {
        errors.push(
            FieldError::new(ruled_out, format!("it rules out all of {asked}")).hint(format!(
                "leave something in {asked} that is not in {ruled_out}"
            )),
        );
    }
}

/// Refuses what can't be told to start all at once: how many instances there are the hosts say.
pub(crate) fn all_at_once(spec: &JobSpec, errors: &mut Errors) {
    if spec.is_gang() && spec.is_once_a_host() {
        let why =
            "grid and host_list can't be together: a locked host would keep all others waiting";
        errors.push(FieldError::new("flags", why).hint("leave one of them out"));
    }
}

/// Refuses, where each host is to run a job once, what says otherwise.
pub(crate) fn once_a_host(spec: &JobSpec, cpus: Option<i64>, errors: &mut Errors) {
    if !spec.is_once_a_host() {
        return;
    }
    if cpus.is_some() {
        let why = "with the flag host_list there is an instance for each host";
        errors.push(FieldError::new("cpus", why).hint("leave it out"));
    }
    if !matches!(spec.kind, JobKind::CmdLine) {
        let why = "with the flag host_list each host runs the whole command once";
        errors.push(FieldError::new("range", why).hint("leave it out, or the flag"));
    }
}
