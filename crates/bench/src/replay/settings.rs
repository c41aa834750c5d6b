//! By which settings the farm is run once more: those of its supervisor, as far as they are known, with what is asked for instead.

use super::find::Found;
use super::{KeptJob, ReplayError, ReplayOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tessera_engine::supervisor::{Config, GlobalRecord};
use tessera_model::GlobalName;
use tessera_model::limits::GLOBAL_AMOUNT_MAX;

/// Nobody listens for silence in a replay: when hosts went away is known.
const SILENCE: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// What is said of the settings.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) said: Vec<String>,
    /// What was assumed because nothing says it.
    pub(super) assumed: Vec<String>,
}

/// Reads the configuration and puts in what is asked for.
pub(super) fn read(
    options: &ReplayOptions,
    found: &Found,
    jobs: &[KeptJob],
    globals: &[GlobalRecord],
) -> Result<(Config, Settings), ReplayError> {
    let file = options.config.as_ref().or(found.config.as_ref());
    let mut config = tessera_supervisor::Config::load(file.map(AsRef::as_ref))?.engine;
    let mut settings = Settings::default();
    match file {
        Some(file) => settings
            .said
            .push(format!("configuration: {}", file.display())),
        None => settings.assumed.push(
            "the supervisor was configured as by default (--config FILE names its supervisor.toml)"
                .to_owned(),
        ),
    }
    config.heartbeat_timeout = SILENCE;
    // Everybody who submitted might.
    config.enforce_password = false;
    let (algorithm, preempt) = (config.queue_algorithm, config.preempt_policy);
    config.queue_algorithm = options.algorithm.unwrap_or(algorithm);
    config.preempt_policy = options.preempt.unwrap_or(preempt);
    let word = |name: &str, now: &str, before: &str| match now == before {
        true => format!("{name}: {now}"),
        false => format!("{name}: {now} instead of {before}"),
    };
    let (now, before) = (config.queue_algorithm.word(), algorithm.word());
    settings.said.push(word("algorithm", now, before));
    let (now, before) = (config.preempt_policy.word(), preempt.word());
    settings.said.push(word("preemption", now, before));
    if !config.cluster_weights.is_empty() {
        let all = config.cluster_weights.iter();
        let all = all.map(|(path, weight)| format!("{path}={weight}"));
        let all: Vec<String> = all.collect();
        settings.said.push(format!("shares: {}", all.join(", ")));
    }
    add_globals(&mut config.global_resources, globals, jobs, &mut settings);
    Ok((config, settings))
}

/// Puts in how much there is of what the jobs take of the farm itself.
fn add_globals(
    totals: &mut BTreeMap<GlobalName, u64>,
    globals: &[GlobalRecord],
    jobs: &[KeptJob],
    settings: &mut Settings,
) {
    for record in globals {
        if let Some(total) = record.total {
            totals.insert(record.name.clone(), total);
        }
        if let Some(others) = record.others.filter(|it| it.used > 0) {
            settings.assumed.push(format!(
                "nobody else uses {} ({} were used at last)",
                record.name, others.used
            ));
        }
    }
    let wanted = jobs
        .iter()
        .flat_map(|job| job.spec.reservation.global.keys());
    let wanted: BTreeSet<&GlobalName> = wanted.collect();
    for name in wanted {
        if !totals.contains_key(name) {
            totals.insert(name.clone(), GLOBAL_AMOUNT_MAX);
            settings.assumed.push(format!(
                "there is always enough of {name}: nothing says how much there is"
            ));
        }
    }
}
