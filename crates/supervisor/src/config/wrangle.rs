//! When hosts and jobs are at fault, as it is written: `supervisor_wrangle_failures`, `supervisor_wrangle_hosts`, `supervisor_wrangle_jobs`.

use super::whole;
use tessera_engine::supervisor::wrangle::WRANGLING_MAX;
use toml::de::DeValue;

/// One host or job alone proves nothing.
const ALONE: u64 = 1;

fn number(value: &DeValue<'_>, least: u64) -> Result<u32, String> {
    let number = whole(value, least, u64::from(WRANGLING_MAX));
    number.map(|it| u32::try_from(it).unwrap_or(WRANGLING_MAX))
}

/// Reads how many failures in a row it takes; 0: nobody is ever at fault.
pub(super) fn failures(value: &DeValue<'_>) -> Result<u32, String> {
    number(value, 0)
}

/// Reads on how many hosts a job has to fail.
pub(super) fn hosts(value: &DeValue<'_>) -> Result<u32, String> {
    number(value, ALONE + 1)
}

/// Reads how many jobs have to fail on a host; 0: no host is ever locked.
pub(super) fn jobs(value: &DeValue<'_>) -> Result<u32, String> {
    match number(value, 0)? {
        one if u64::from(one) == ALONE => Err(format!(
            "0 (never), or a whole number from 2 to {WRANGLING_MAX}: one job alone proves nothing"
        )),
        number => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use tessera_engine::supervisor::Wrangling;

    #[test]
    fn it_is_read_and_what_is_wrong_is_said() {
        let read = |text: &str| Config::parse(text).map(|config| config.engine.wrangling);
        let [failures, hosts, jobs] = [5, 3, 3];
        let usual = Wrangling {
            failures,
            hosts,
            jobs,
        };
        assert_eq!(read(""), Ok(usual));
        assert_eq!(
            read(
                "supervisor_wrangle_failures = 10\nsupervisor_wrangle_hosts = 2\nsupervisor_wrangle_jobs = 100"
            ),
            Ok(Wrangling {
                failures: 10,
                hosts: 2,
                jobs: 100,
            })
        );
        let off = read("supervisor_wrangle_failures = 0\nsupervisor_wrangle_jobs = 0");
        assert_eq!(off.map(|it| (it.failures, it.jobs)), Ok((0, 0)));
        for (text, wants) in [
            (
                "supervisor_wrangle_failures = 101",
                "supervisor_wrangle_failures must be a whole number from 0 to 100",
            ),
            (
                "supervisor_wrangle_hosts = 1",
                "supervisor_wrangle_hosts must be a whole number from 2 to 100",
            ),
            (
                "supervisor_wrangle_jobs = 1",
                "supervisor_wrangle_jobs must be 0 (never), or a whole number from 2 to 100: one job alone proves nothing",
            ),
            (
                "supervisor_wrangle_jobs = \"3\"",
                "supervisor_wrangle_jobs must be a whole number from 0 to 100",
            ),
        ] {
            let (_, problem) = read(text).expect_err(text);
            assert_eq!(problem.to_string(), wants);
        }
    }
}
