//! Which jobs have secondary instances, as it is written: `supervisor_smart_share_mode`, `supervisor_default_max_cpus`,
//! `supervisor_max_cpus_limit`.

use super::{quoted, whole};
use tessera_model::job::CPUS_ALL;
use tessera_model::limits::INSTANCES_MAX;
use toml::de::DeValue;

/// Reads whether secondary instances start at all; Qube!'s words.
pub(super) fn mode(value: &DeValue<'_>) -> Result<bool, String> {
    match value.as_str() {
        Some("jobs") => Ok(true),
        Some("none") => Ok(false),
        Some(_) | None => Err("\"jobs\" or \"none\"".to_owned()),
    }
}

/// Prints it.
pub(super) fn mode_shown(is_on: bool) -> &'static str {
    if is_on { "jobs" } else { "none" }
}

/// Reads the `max_cpus` of jobs that say nothing.
pub(super) fn default(value: &DeValue<'_>) -> Result<u32, String> {
    let is_all = match value {
        DeValue::String(text) => text.trim() == "*",
        DeValue::Integer(number) => number.as_str() == "-1",
        _ => false,
    };
    if is_all {
        return Ok(CPUS_ALL);
    }
    limit(value)
        .map_err(|wants| format!("{wants}, or \"*\" (as many as supervisor_max_cpus_limit says)"))
}

/// Prints it.
pub(super) fn default_shown(most: u32) -> String {
    match most {
        CPUS_ALL => quoted("*"),
        most => most.to_string(),
    }
}

/// Reads the largest `max_cpus` of a job.
pub(super) fn limit(value: &DeValue<'_>) -> Result<u32, String> {
    whole(value, 0, u64::from(INSTANCES_MAX)).map(|it| u32::try_from(it).unwrap_or(INSTANCES_MAX))
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;
    use tessera_engine::supervisor::SmartShare;

    #[test]
    fn it_is_read_and_what_is_wrong_is_said() {
        let read = |text: &str| Config::parse(text).map(|config| config.engine.smart_share);
        assert_eq!(read(""), Ok(SmartShare::ASKED));
        let all = "supervisor_smart_share_mode = \"none\"\nsupervisor_default_max_cpus = \"*\"\nsupervisor_max_cpus_limit = 7";
        let said = SmartShare {
            is_on: false,
            default: CPUS_ALL,
            limit: 7,
        };
        assert_eq!(read(all), Ok(said));
        for (text, most) in [("-1", CPUS_ALL), ("0", 0), ("12", 12)] {
            let read = read(&format!("supervisor_default_max_cpus = {text}"));
            assert_eq!(read.map(|it| it.default), Ok(most));
        }
        for (text, wants) in [
            (
                "supervisor_smart_share_mode = \"on\"",
                "supervisor_smart_share_mode must be \"jobs\" or \"none\"",
            ),
            ("supervisor_default_max_cpus = -2", "or \"*\" (as many as"),
            (
                "supervisor_default_max_cpus = \"all\"",
                "or \"*\" (as many as",
            ),
            (
                "supervisor_max_cpus_limit = \"*\"",
                "a whole number from 0 to",
            ),
        ] {
            let (_, problem) = Config::parse(text).expect_err(text);
            let error = problem.to_string();
            assert!(error.contains(wants), "{error}");
        }
    }
}
