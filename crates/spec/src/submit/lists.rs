//! Fields that are lists: hosts, groups, flags, variables.

use super::Variables;
use crate::field::{Errors, FieldError, shown};
use std::collections::BTreeSet;
use tessera_model::limits::{ENVIRONMENT_BYTES_MAX, GROUPS_MAX, HOST_NAMES_MAX, VARIABLES_MAX};
use tessera_model::{GroupName, HostName, JobFlag};

/// Answers the entries of comma lists, trimmed, without the empty ones.
pub(super) fn entries(given: &[String]) -> impl Iterator<Item = &str> {
    given
        .iter()
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
}

/// Checks host names.
pub(crate) fn hosts(
    field: &str,
    given: Option<&[String]>,
    errors: &mut Errors,
) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in entries(given.unwrap_or_default()) {
        if names.len() == HOST_NAMES_MAX {
            errors.push(FieldError::new(
                field,
                format!("more than {HOST_NAMES_MAX} hosts"),
            ));
            break;
        }
        let name = entry
            .parse::<HostName>()
            .map_err(|bad| FieldError::new(field, bad.to_string()));
        names.extend(errors.take(name).map(|name| name.as_str().to_owned()));
    }
    names
}

/// Checks names of groups of hosts.
pub(crate) fn groups(
    field: &str,
    given: Option<&[String]>,
    errors: &mut Errors,
) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in entries(given.unwrap_or_default()) {
        if names.len() == GROUPS_MAX {
            let why = format!("more than {GROUPS_MAX} groups");
            errors.push(FieldError::new(field, why));
            break;
        }
        let name = entry
            .parse::<GroupName>()
            .map_err(|bad| FieldError::new(field, bad.to_string()));
        names.extend(errors.take(name).map(|name| name.to_string()));
    }
    names
}

/// Checks flags.
pub(crate) fn flags(given: Option<&[String]>, errors: &mut Errors) -> BTreeSet<JobFlag> {
    let mut flags = BTreeSet::new();
    for word in entries(given.unwrap_or_default()) {
        let flag = JobFlag::of_word(word).ok_or_else(|| {
            let known = JobFlag::ALL.map(JobFlag::word).join(", ");
            FieldError::new("flags", format!("there is no flag {}", shown(word)))
                .hint(format!("known: {known}"))
        });
        if let Some(flag) = errors.take(flag) {
            flags.insert(flag);
        }
    }
    flags
}

/// Checks environment variables; the last of a name wins.
pub(crate) fn env(given: Option<&[(String, String)]>, errors: &mut Errors) -> Variables {
    let mut variables = Variables::new();
    for (name, value) in given.unwrap_or_default() {
        if errors.take(variable(name, value)).is_some() {
            variables.insert(name.clone(), value.clone());
        }
        if variables.len() > VARIABLES_MAX {
            errors.push(FieldError::new(
                "env",
                format!("more than {VARIABLES_MAX} variables"),
            ));
            break;
        }
    }
    let bytes: usize = variables
        .iter()
        .map(|(name, value)| name.len() + value.len() + 2)
        .sum();
    if bytes > ENVIRONMENT_BYTES_MAX {
        errors.push(
            FieldError::new(
                "env",
                format!("the variables are {bytes} bytes, more than {ENVIRONMENT_BYTES_MAX}"),
            )
            .hint("leave out what the job does not need"),
        );
    }
    variables
}

fn variable(name: &str, value: &str) -> Result<(), FieldError> {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !begins
        || !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        return Err(
            FieldError::new("env", format!("{} is no name of a variable", shown(name)))
                .hint("letters, digits and _, not beginning with a digit"),
        );
    }
    super::check::no_nul(&format!("env.{name}"), value)
}
