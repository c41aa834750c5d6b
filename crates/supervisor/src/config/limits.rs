//! How much people may run, as it is written: `supervisor_default_user_subjob_limit`, `supervisor_user_subjob_limits`, and the same of
//! each of their process groups.

use std::collections::BTreeMap;
use tessera_model::UserName;
use toml::de::DeValue;

/// Most instances that a limit may name.
const SUBJOBS_MAX: u32 = 1_000_000;
/// Most people that have a limit of their own.
const LIMITED_USERS_MAX: usize = 10_000;
/// Qube!'s number for no limit.
const NO_LIMIT: &str = "-1";
/// Characters of a faulty entry that are shown.
const SHOWN_CHARS: usize = 64;

/// Reads how many instances somebody may have at once.
pub(super) fn one(value: &DeValue<'_>) -> Result<Option<u32>, String> {
    let number = match value {
        DeValue::Integer(number) => limit(number.as_str()),
        _ => None,
    };
    number.ok_or_else(|| format!("a whole number up to {SUBJOBS_MAX}, or -1 for no limit"))
}

/// Reads `user=n,…`.
pub(super) fn of_people(value: &DeValue<'_>) -> Result<BTreeMap<UserName, Option<u32>>, String> {
    let wants = "a text like \"mia=20,tom=-1\"";
    let text = value.as_str().ok_or_else(|| wants.to_owned())?;
    let entries = text.split(',').map(str::trim);
    let mut limits = BTreeMap::new();
    for entry in entries.filter(|entry| !entry.is_empty()) {
        let shown: String = entry.chars().take(SHOWN_CHARS).collect();
        let bad = |why: String| format!("{wants} ({shown:?}: {why})");
        let (user, number) = entry
            .split_once('=')
            .ok_or_else(|| bad("no = between a name and a number".to_owned()))?;
        let user: UserName = user
            .trim()
            .parse()
            .map_err(|_| bad("that is no user's name".to_owned()))?;
        let number = limit(number.trim()).ok_or_else(|| {
            bad(format!(
                "the number is a whole one up to {SUBJOBS_MAX}, or -1 for no limit"
            ))
        })?;
        if limits.insert(user, number).is_some() {
            return Err(bad("that user is named twice".to_owned()));
        }
        if limits.len() > LIMITED_USERS_MAX {
            return Err(format!("{wants}, of at most {LIMITED_USERS_MAX} people"));
        }
    }
    Ok(limits)
}

fn limit(text: &str) -> Option<Option<u32>> {
    if text == NO_LIMIT {
        return Some(None);
    }
    let limit = text.replace('_', "").parse().ok();
    limit.filter(|limit| *limit <= SUBJOBS_MAX).map(Some)
}

/// Prints one as it is read.
pub(super) fn shown(limit: Option<u32>) -> String {
    limit.map_or_else(|| NO_LIMIT.to_owned(), |limit| limit.to_string())
}

/// Prints those of people as they are read.
pub(super) fn of_people_shown(limits: &BTreeMap<UserName, Option<u32>>) -> String {
    let pairs = limits
        .iter()
        .map(|(user, limit)| format!("{user}={}", shown(*limit)));
    pairs.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn read(text: &str) -> Result<Config, String> {
        Config::parse(text).map_err(|bad| format!("{bad:?}"))
    }

    #[test]
    fn limits_of_people_are_read_or_the_entry_is_named() {
        let config = read(
            "supervisor_default_user_subjob_limit = 1_000\nsupervisor_user_subjob_limits = \"mia = 20, tom=-1,\"",
        );
        let limits = config.expect("good").engine.user_limits;
        let of = |user: &str| limits.of(&user.parse().expect("a name"));
        assert_eq!(
            [of("mia"), of("tom"), of("eve")],
            [Some(20), None, Some(1_000)]
        );
        let groups = read(
            "supervisor_default_pgrp_subjob_limit = 7\nsupervisor_pgrp_subjob_limits = \"mia=9\"",
        );
        let limits = groups.expect("good").engine.pgrp_limits;
        let of = |user: &str| limits.of(&user.parse().expect("a name"));
        assert_eq!([of("mia"), of("tom")], [Some(9), Some(7)]);
        let none = read("supervisor_default_user_subjob_limit = -1").expect("good");
        assert_eq!(none.engine.user_limits.default, None);
        for (bad, said) in [
            (
                "supervisor_default_user_subjob_limit = -2",
                "or -1 for no limit",
            ),
            (
                "supervisor_default_user_subjob_limit = \"20\"",
                "or -1 for no limit",
            ),
            (
                "supervisor_default_user_subjob_limit = 1_000_001",
                "up to 1000000",
            ),
            ("supervisor_user_subjob_limits = 20", "mia=20,tom=-1"),
            ("supervisor_user_subjob_limits = \"mia\"", "no = between"),
            (
                "supervisor_user_subjob_limits = \"mia=1,tom=many\"",
                "tom=many",
            ),
            (
                "supervisor_user_subjob_limits = \"a b=1\"",
                "no user's name",
            ),
            (
                "supervisor_user_subjob_limits = \"mia=1,mia=2\"",
                "named twice",
            ),
        ] {
            let error = read(bad).expect_err(bad);
            assert!(error.contains(said), "{bad}: {error}");
        }
    }
}
