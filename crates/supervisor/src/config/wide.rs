//! For which jobs hosts are emptied, as it is written: `supervisor_wide_after`, `supervisor_wide_hosts`, `supervisor_wide_from`.

use super::{time, whole};
use std::time::Duration;
use tessera_engine::supervisor::wide::HOSTS_PERCENT_MAX;
use toml::de::DeValue;

/// The longest that a wide job may be left to wait first: a day.
const AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// Reads how long a wide job waits before a host is emptied for it.
pub(super) fn after(value: &DeValue<'_>) -> Result<Duration, String> {
    let after = time(value)?;
    if after > AFTER_MAX {
        return Err("a number of seconds or a text like \"5m\", a day at most".to_owned());
    }
    Ok(after)
}

/// Reads how many of a hundred hosts may be emptied at once.
pub(super) fn hosts(value: &DeValue<'_>) -> Result<u32, String> {
    let percent = whole(value, 0, u64::from(HOSTS_PERCENT_MAX));
    percent.map(|it| u32::try_from(it).unwrap_or(0))
}

/// Reads from which part of a host on a job is wide.
pub(super) fn from(value: &DeValue<'_>) -> Result<u32, String> {
    whole(value, 1, 100).map(|it| u32::try_from(it).unwrap_or(100))
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;
    use tessera_engine::supervisor::WideJobs;

    #[test]
    fn it_is_read_and_what_is_wrong_is_said() {
        let read = |text: &str| Config::parse(text).map(|config| config.engine.wide_jobs);
        assert_eq!(read(""), Ok(WideJobs::default()));
        assert_eq!(
            read(
                "supervisor_wide_after = \"5m\"\nsupervisor_wide_hosts = 50\nsupervisor_wide_from = 1"
            ),
            Ok(WideJobs {
                after: Duration::from_secs(300),
                hosts_percent: 50,
                from_percent: 1,
            })
        );
        assert_eq!(
            read("supervisor_wide_hosts = 0").map(|it| it.hosts_percent),
            Ok(0)
        );
        for (text, wants) in [
            (
                "supervisor_wide_hosts = 51",
                "supervisor_wide_hosts must be a whole number from 0 to 50",
            ),
            (
                "supervisor_wide_hosts = \"10%\"",
                "supervisor_wide_hosts must be a whole number from 0 to 50",
            ),
            (
                "supervisor_wide_from = 0",
                "supervisor_wide_from must be a whole number from 1 to 100",
            ),
            (
                "supervisor_wide_after = \"2d\"",
                "supervisor_wide_after must be a number of seconds or a text like \"5m\", a day at most",
            ),
        ] {
            let (_, problem) = read(text).expect_err(text);
            assert_eq!(problem.to_string(), wants);
        }
    }
}
