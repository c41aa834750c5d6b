//! `supervisor.toml`: its keys, their defaults and what is said when one is wrong.

mod limits;
mod rates;
mod share;
mod weights;
mod wide;
mod wrangle;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tessera_engine::supervisor::{
    Algorithm, Config as EngineConfig, OnHostLost, PreemptPolicy, SmartShare, Wrangling,
};
use tessera_model::GlobalName;
use tessera_model::credential::CREDENTIAL_DAYS_MAX;
use tessera_model::limits::{GLOBAL_AMOUNT_MAX, GLOBALS_MAX};
use tessera_spec::quantity;
use toml::de::{DeTable, DeValue};

/// Largest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Longest retention, in days (ten years).
const DAYS_MAX: u64 = 3_660;
/// Characters of an unknown key that are shown and compared.
const KEY_SHOWN_CHARS: usize = 64;
/// Two keys are much alike when at most one letter in so many differs.
const NEAR_PART: usize = 3;

/// The supervisor's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `supervisor_port`: the TCP port for clients and workers.
    pub port: u16,
    /// `supervisor_names`: host names and addresses by which people reach the supervisor, beside the host's own.
    pub names: Vec<String>,
    /// `supervisor_address`: `HOST:PORT` that join strings name; the host's name and the port by default.
    pub address: Option<String>,
    /// `site_certificate`: a certificate of the site's own that people's browsers know, with its chain (PEM).
    pub site_certificate: Option<PathBuf>,
    /// `site_key`: its key (PEM).
    pub site_key: Option<PathBuf>,
    /// `farm_name`: what people call the farm.
    pub farm_name: String,
    /// `supervisor_admin_group`: members of this group of the supervisor's host are administrators.
    pub admin_group: String,
    /// `supervisor_worker_configfile`: the configuration of all workers; `workers.toml` beside this file by default.
    pub worker_configfile: Option<PathBuf>,
    /// `worker_heartbeat`: how often a worker says that it is there.
    pub heartbeat: Duration,
    /// `log_limit`: bytes of one stream of one attempt that are kept, whatever the job asks for.
    pub log_limit: u64,
    /// `cleanup_jobs_days`: days that an ended job is kept.
    pub cleanup_jobs_days: u64,
    /// `cleanup_logs_quota`: bytes of output that are kept; the longest ended jobs lose theirs first.
    pub cleanup_logs_quota: u64,
    /// `cleanup_journal_days`: days that history is kept.
    pub cleanup_journal_days: u64,
    /// What the engine is told: `worker_lost_timeout`, `on_host_lost`, `supervisor_migrate_timeout`, `supervisor_preempt_policy`,
    /// `enforce_password`, `credential_days`.
    pub engine: EngineConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            port: tessera_wire::PORT_DEFAULT,
            names: Vec::new(),
            address: None,
            site_certificate: None,
            site_key: None,
            farm_name: "tessera".into(),
            admin_group: "tessera-admin".into(),
            worker_configfile: None,
            heartbeat: Duration::from_secs(10),
            log_limit: 1 << 30,
            cleanup_jobs_days: 30,
            cleanup_logs_quota: 20 << 30,
            cleanup_journal_days: 90,
            engine: EngineConfig {
                // As in Qube!; the engine by itself preempts nobody.
                preempt_policy: PreemptPolicy::Passive,
                // Jobs have secondary instances when they ask for some.
                smart_share: SmartShare::ASKED,
                // Nor does it blame hosts or jobs for what fails.
                wrangling: Wrangling::default(),
                ..EngineConfig::default()
            },
        }
    }
}

/// What is wrong with a configuration, with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {problem}", path.display())]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1; 0 when it is about the whole file.
    pub line: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The file can't be read.
    Unreadable(String),
    /// It is no TOML.
    Syntax(String),
    /// There is no such key.
    UnknownKey {
        /// The key.
        key: String,
        /// The key that is spelt much like it, if there is one.
        nearest: Option<&'static str>,
    },
    /// The value is not of the right kind or out of range.
    Value {
        /// The key.
        key: &'static str,
        /// What it wants.
        wants: String,
    },
    /// Something in `notify.toml`.
    Notify(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "can't be read: {why}"),
            Self::Syntax(why) => write!(f, "no valid TOML: {why}"),
            Self::UnknownKey { key, nearest } => {
                write!(f, "unknown key \"{}\"", key.escape_debug())?;
                match nearest {
                    Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
                    None => Ok(()),
                }
            }
            Self::Value { key, wants } => write!(f, "{key} must be {wants}"),
            Self::Notify(why) => f.write_str(why),
        }
    }
}

type Set = fn(&mut Config, &DeValue<'_>) -> Result<(), String>;
type Show = fn(&Config) -> String;
type Key = (&'static str, Set, Show);

/// Every key with how it is read and shown; also the list that a misspelt one is compared with.
const KEYS: &[Key] = &[
    (
        "supervisor_port",
        |c, v| put(&mut c.port, port(v)),
        |c| c.port.to_string(),
    ),
    (
        "supervisor_names",
        |c, v| put(&mut c.names, texts(v)),
        |c| format!("{:?}", c.names),
    ),
    (
        "supervisor_address",
        |c, v| put(&mut c.address, text(v).map(Some)),
        |c| c.address.as_ref().map_or_else(String::new, |it| quoted(it)),
    ),
    (
        "supervisor_admin_group",
        |c, v| put(&mut c.admin_group, text(v)),
        |c| quoted(&c.admin_group),
    ),
    (
        "site_certificate",
        |c, v| put(&mut c.site_certificate, path(v).map(Some)),
        |c| path_shown(c.site_certificate.as_deref()),
    ),
    (
        "site_key",
        |c, v| put(&mut c.site_key, path(v).map(Some)),
        |c| path_shown(c.site_key.as_deref()),
    ),
    (
        "supervisor_migrate_timeout",
        |c, v| put(&mut c.engine.migrate_timeout, time(v)),
        |c| seconds(c.engine.migrate_timeout),
    ),
    (
        "farm_name",
        |c, v| put(&mut c.farm_name, text(v)),
        |c| quoted(&c.farm_name),
    ),
    (
        "supervisor_worker_configfile",
        |c, v| put(&mut c.worker_configfile, path(v).map(Some)),
        |c| path_shown(c.worker_configfile.as_deref()),
    ),
    (
        "worker_lost_timeout",
        |c, v| put(&mut c.engine.worker_lost_timeout, time(v)),
        |c| seconds(c.engine.worker_lost_timeout),
    ),
    (
        "worker_heartbeat",
        |c, v| set_heartbeat(c, time(v)?),
        |c| seconds(c.heartbeat),
    ),
    (
        "on_host_lost",
        |c, v| put(&mut c.engine.on_host_lost, on_host_lost(v)),
        |c| match c.engine.on_host_lost {
            OnHostLost::Requeue => quoted("requeue"),
            OnHostLost::Hold => quoted("hold"),
        },
    ),
    (
        "supervisor_queue_algorithm",
        |c, v| put(&mut c.engine.queue_algorithm, algorithm(v)),
        |c| quoted(c.engine.queue_algorithm.word()),
    ),
    (
        "supervisor_cluster_weights",
        |c, v| put(&mut c.engine.cluster_weights, weights::read(v)),
        |c| weights::shown(&c.engine.cluster_weights),
    ),
    (
        "supervisor_preempt_policy",
        |c, v| put(&mut c.engine.preempt_policy, preempt_policy(v)),
        |c| quoted(c.engine.preempt_policy.word()),
    ),
    (
        "supervisor_smart_share_mode",
        |c, v| put(&mut c.engine.smart_share.is_on, share::mode(v)),
        |c| quoted(share::mode_shown(c.engine.smart_share.is_on)),
    ),
    (
        "supervisor_default_max_cpus",
        |c, v| put(&mut c.engine.smart_share.default, share::default(v)),
        |c| share::default_shown(c.engine.smart_share.default),
    ),
    (
        "supervisor_max_cpus_limit",
        |c, v| put(&mut c.engine.smart_share.limit, share::limit(v)),
        |c| c.engine.smart_share.limit.to_string(),
    ),
    (
        "supervisor_default_user_subjob_limit",
        |c, v| put(&mut c.engine.user_limits.default, limits::one(v)),
        |c| limits::shown(c.engine.user_limits.default),
    ),
    (
        "supervisor_user_subjob_limits",
        |c, v| put(&mut c.engine.user_limits.named, limits::of_people(v)),
        |c| quoted(&limits::of_people_shown(&c.engine.user_limits.named)),
    ),
    (
        "supervisor_default_pgrp_subjob_limit",
        |c, v| put(&mut c.engine.pgrp_limits.default, limits::one(v)),
        |c| limits::shown(c.engine.pgrp_limits.default),
    ),
    (
        "supervisor_pgrp_subjob_limits",
        |c, v| put(&mut c.engine.pgrp_limits.named, limits::of_people(v)),
        |c| quoted(&limits::of_people_shown(&c.engine.pgrp_limits.named)),
    ),
    (
        "supervisor_start_rate",
        |c, v| put(&mut c.engine.start_rates.farm, rates::one(v)),
        |c| quoted(&rates::shown(c.engine.start_rates.farm)),
    ),
    (
        "supervisor_resource_start_rates",
        |c, v| put(&mut c.engine.start_rates.resources, rates::of_resources(v)),
        |c| rates::of_resources_shown(&c.engine.start_rates.resources),
    ),
    (
        "supervisor_wide_after",
        |c, v| put(&mut c.engine.wide_jobs.after, wide::after(v)),
        |c| seconds(c.engine.wide_jobs.after),
    ),
    (
        "supervisor_wide_hosts",
        |c, v| put(&mut c.engine.wide_jobs.hosts_percent, wide::hosts(v)),
        |c| c.engine.wide_jobs.hosts_percent.to_string(),
    ),
    (
        "supervisor_wide_from",
        |c, v| put(&mut c.engine.wide_jobs.from_percent, wide::from(v)),
        |c| c.engine.wide_jobs.from_percent.to_string(),
    ),
    (
        "supervisor_wrangle_failures",
        |c, v| put(&mut c.engine.wrangling.failures, wrangle::failures(v)),
        |c| c.engine.wrangling.failures.to_string(),
    ),
    (
        "supervisor_wrangle_hosts",
        |c, v| put(&mut c.engine.wrangling.hosts, wrangle::hosts(v)),
        |c| c.engine.wrangling.hosts.to_string(),
    ),
    (
        "supervisor_wrangle_jobs",
        |c, v| put(&mut c.engine.wrangling.jobs, wrangle::jobs(v)),
        |c| c.engine.wrangling.jobs.to_string(),
    ),
    (
        "supervisor_global_resources",
        |c, v| put(&mut c.engine.global_resources, global_resources(v)),
        |c| {
            let all = c.engine.global_resources.iter();
            let all: Vec<String> = all
                .map(|(name, amount)| format!("{name}={amount}"))
                .collect();
            format!("{all:?}")
        },
    ),
    (
        "enforce_password",
        |c, v| put(&mut c.engine.enforce_password, yes_or_no(v)),
        |c| c.engine.enforce_password.to_string(),
    ),
    (
        "credential_days",
        |c, v| put(&mut c.engine.credential_days, credential_days(v)),
        |c| c.engine.credential_days.to_string(),
    ),
    (
        "log_limit",
        |c, v| put(&mut c.log_limit, size(v)),
        |c| c.log_limit.to_string(),
    ),
    (
        "cleanup_jobs_days",
        |c, v| put(&mut c.cleanup_jobs_days, whole(v, 0, DAYS_MAX)),
        |c| c.cleanup_jobs_days.to_string(),
    ),
    (
        "cleanup_logs_quota",
        |c, v| put(&mut c.cleanup_logs_quota, size(v)),
        |c| c.cleanup_logs_quota.to_string(),
    ),
    (
        "cleanup_journal_days",
        |c, v| put(&mut c.cleanup_journal_days, whole(v, 0, DAYS_MAX)),
        |c| c.cleanup_journal_days.to_string(),
    ),
];

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn path_shown(path: Option<&Path>) -> String {
    path.map_or_else(String::new, |it| quoted(&it.to_string_lossy()))
}

fn seconds(length: Duration) -> String {
    quoted(&format!("{}s", length.as_secs()))
}

impl Config {
    /// Reads a file, or answers the defaults when there is none.
    ///
    /// # Errors
    /// With file, line and reason; an unknown key with the nearest known one.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let unreadable = |why: String| ConfigError {
            path: path.to_owned(),
            line: 0,
            problem: Problem::Unreadable(why),
        };
        let size = std::fs::metadata(path)
            .map_err(|error| unreadable(error.to_string()))?
            .len();
        if size > FILE_BYTES_MAX {
            return Err(unreadable(format!(
                "it is larger than {FILE_BYTES_MAX} bytes"
            )));
        }
        let content =
            std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        Self::parse(&content).map_err(|(line, problem)| ConfigError {
            path: path.to_owned(),
            line,
            problem,
        })
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// The line, from 1, and what is wrong there.
    pub fn parse(content: &str) -> Result<Self, (usize, Problem)> {
        let line_at = |at: usize| {
            content
                .as_bytes()
                .iter()
                .take(at)
                .filter(|b| **b == b'\n')
                .count()
                + 1
        };
        let table = DeTable::parse(content).map_err(|error| {
            let line = error.span().map_or(0, |span| line_at(span.start));
            (line, Problem::Syntax(error.message().to_owned()))
        })?;
        let mut config = Self::default();
        for (key, value) in table.get_ref() {
            let name: &str = key.get_ref();
            let Some((known, set, _)) = KEYS.iter().find(|(known, ..)| *known == name) else {
                let nearest = nearest(name);
                let unknown = Problem::UnknownKey {
                    key: name.chars().take(KEY_SHOWN_CHARS).collect(),
                    nearest,
                };
                return Err((line_at(key.span().start), unknown));
            };
            set(&mut config, value.get_ref()).map_err(|wants| {
                (
                    line_at(value.span().start),
                    Problem::Value { key: known, wants },
                )
            })?;
        }
        let alone = match (&config.site_certificate, &config.site_key) {
            (Some(_), None) => Some(("site_certificate", "given together with site_key")),
            (None, Some(_)) => Some(("site_key", "given together with site_certificate")),
            (Some(_), Some(_)) | (None, None) => None,
        };
        if let Some((key, wants)) = alone {
            let place = table.get_ref().iter().find(|(it, _)| it.get_ref() == key);
            let line = place.map_or(0, |(it, _)| line_at(it.span().start));
            let wants = wants.to_owned();
            return Err((line, Problem::Value { key, wants }));
        }
        Ok(config)
    }
}

impl Config {
    /// Answers every key with its value as it would be written in the file; nothing for one that has none.
    #[must_use]
    pub fn values(&self) -> Vec<(&'static str, String)> {
        KEYS.iter()
            .map(|(key, _, show)| (*key, show(self)))
            .collect()
    }
}

fn put<T>(slot: &mut T, value: Result<T, String>) -> Result<(), String> {
    *slot = value?;
    Ok(())
}

fn port(value: &DeValue<'_>) -> Result<u16, String> {
    whole(value, 1, u64::from(u16::MAX)).map(|port| u16::try_from(port).unwrap_or(u16::MAX))
}

/// A worker that misses four heartbeats is not there.
fn set_heartbeat(config: &mut Config, every: Duration) -> Result<(), String> {
    if every < Duration::from_secs(1) || every > Duration::from_secs(300) {
        return Err("from 1s to 5m".into());
    }
    config.heartbeat = every;
    config.engine.heartbeat_timeout = every * 4;
    Ok(())
}

fn text(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) if !text.is_empty() && text.len() <= 255 => Ok(text.to_string()),
        _ => Err("a text of 1 to 255 bytes".into()),
    }
}

fn path(value: &DeValue<'_>) -> Result<PathBuf, String> {
    let path = value.as_str().map(PathBuf::from);
    path.filter(|path| path.is_absolute())
        .ok_or_else(|| "an absolute path".to_owned())
}

fn texts(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let wants = || "a list of texts".to_owned();
    match value {
        DeValue::Array(list) => list
            .iter()
            .map(|item| text(item.get_ref()).map_err(|_| wants()))
            .collect(),
        _ => Err(wants()),
    }
}

fn whole(value: &DeValue<'_>, least: u64, most: u64) -> Result<u64, String> {
    let number = match value {
        DeValue::Integer(number) => number.as_str().replace('_', "").parse::<u64>().ok(),
        _ => None,
    };
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("a whole number from {least} to {most}"))
}

fn yes_or_no(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "true or false".to_owned())
}

fn credential_days(value: &DeValue<'_>) -> Result<u32, String> {
    let most = u64::from(CREDENTIAL_DAYS_MAX);
    whole(value, 1, most).map(|days| u32::try_from(days).unwrap_or(CREDENTIAL_DAYS_MAX))
}

fn size(value: &DeValue<'_>) -> Result<u64, String> {
    let wants = "a number of bytes or a text like \"20G\"";
    match value {
        DeValue::String(text) => quantity::size(text).map_err(|why| format!("{wants} ({why})")),
        other => whole(other, 0, i64::MAX.unsigned_abs()).map_err(|_| wants.into()),
    }
}

fn time(value: &DeValue<'_>) -> Result<Duration, String> {
    let wants = "a number of seconds or a text like \"5m\"";
    match value {
        DeValue::String(text) => quantity::duration(text).map_err(|why| format!("{wants} ({why})")),
        other => whole(other, 0, tessera_model::limits::SECONDS_MAX)
            .map(Duration::from_secs)
            .map_err(|_| wants.into()),
    }
}

fn algorithm(value: &DeValue<'_>) -> Result<Algorithm, String> {
    let word = value.as_str();
    let mut all = Algorithm::ALL.into_iter();
    let found = all.find(|it| word == Some(it.word()));
    found.ok_or_else(|| "\"queue\", \"priority\" or \"cluster\"".to_owned())
}

fn preempt_policy(value: &DeValue<'_>) -> Result<PreemptPolicy, String> {
    let word = value.as_str();
    let mut all = PreemptPolicy::ALL.into_iter();
    let found = all.find(|it| word == Some(it.word()));
    found.ok_or_else(|| {
        let wants = "\"disabled\", \"passive\" or \"aggressive\"";
        match word {
            // Qube!'s fourth word.
            Some("mixed") => format!("{wants}; mixed is for algorithms of one's own"),
            Some(_) | None => wants.to_owned(),
        }
    })
}

/// Reads `["global.maya=10", "license.nuke=5"]`, or the same in one text, as Qube! has it.
fn global_resources(value: &DeValue<'_>) -> Result<BTreeMap<GlobalName, u64>, String> {
    let wants = format!(
        "a list of at most {GLOBALS_MAX} like \"license.nuke=10\": global.NAME, license.NAME, global_host.NAME, license_host.NAME or scoped.NAME, each once, with a number up to {GLOBAL_AMOUNT_MAX}"
    );
    let texts = match value {
        DeValue::String(text) => vec![text.to_string()],
        other => texts(other).map_err(|_| wants.clone())?,
    };
    let mut all = BTreeMap::new();
    let pairs = texts.iter().flat_map(|text| text.split(','));
    for pair in pairs.map(str::trim).filter(|pair| !pair.is_empty()) {
        let read = pair.split_once('=').and_then(|(name, amount)| {
            let amount = amount.trim().parse().ok();
            let amount = amount.filter(|amount| *amount <= GLOBAL_AMOUNT_MAX)?;
            Some((name.trim().parse().ok()?, amount))
        });
        let (name, amount) = read.ok_or_else(|| format!("{wants}; {pair:?} is none"))?;
        if all.insert(name, amount).is_some() || all.len() > GLOBALS_MAX {
            return Err(wants);
        }
    }
    Ok(all)
}

fn on_host_lost(value: &DeValue<'_>) -> Result<OnHostLost, String> {
    match value {
        DeValue::String(word) if word == "requeue" => Ok(OnHostLost::Requeue),
        DeValue::String(word) if word == "hold" => Ok(OnHostLost::Hold),
        _ => Err("\"requeue\" or \"hold\"".into()),
    }
}

/// Answers the known key that is spelt most like this one, if that is much.
fn nearest(key: &str) -> Option<&'static str> {
    let cut: String = key.chars().take(KEY_SHOWN_CHARS).collect();
    let near = |(known, ..): &Key| (distance(known, &cut), *known);
    let (distance, found) = KEYS.iter().map(near).min()?;
    (distance * NEAR_PART <= found.len()).then_some(found)
}

/// Answers how many letters must be put in, left out or changed to get from one text to the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.chars().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read() {
        let config = Config::parse(
            "supervisor_port = 7_500\nsupervisor_names = [\"farm\", \"10.0.0.1\"]\nworker_lost_timeout = \"2m\"\n\
             on_host_lost = \"hold\"\ncleanup_logs_quota = \"5G\"\ncleanup_jobs_days = 7\nworker_heartbeat = 5\n\
             supervisor_admin_group = \"wranglers\"\nlog_limit = 4096\nfarm_name = \"north\"\n\
             supervisor_migrate_timeout = \"1h\"\ncleanup_journal_days = 0\nsupervisor_address = \"farm:7500\"",
        )
        .expect("valid");
        assert_eq!(config.port, 7500);
        assert_eq!(config.names, ["farm", "10.0.0.1"]);
        assert_eq!(config.engine.worker_lost_timeout, Duration::from_secs(120));
        assert_eq!(config.engine.on_host_lost, OnHostLost::Hold);
        assert_eq!(config.engine.heartbeat_timeout, Duration::from_secs(20));
        assert_eq!(config.engine.migrate_timeout, Duration::from_secs(3600));
        assert_eq!(config.cleanup_logs_quota, 5 << 30);
        assert_eq!(
            (config.cleanup_jobs_days, config.cleanup_journal_days),
            (7, 0)
        );
        assert_eq!(
            (config.log_limit, config.admin_group.as_str()),
            (4096, "wranglers")
        );
        assert_eq!(
            (config.farm_name.as_str(), config.address.as_deref()),
            ("north", Some("farm:7500"))
        );
    }

    #[test]
    fn resources_of_the_farm_are_read_as_a_list_or_as_qube_has_them() {
        let read = |text: &str| Config::parse(&format!("supervisor_global_resources = {text}"));
        let list = read("[\"license.nuke=10\", \"global.rig = 0\"]").expect("valid");
        let all = &list.engine.global_resources;
        let all: Vec<_> = all.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        assert_eq!(all, [("global.rig", 0), ("license.nuke", 10)]);
        assert_eq!(read("\"license.nuke=10,global.rig=0,\""), Ok(list));
        for wrong in [
            "3",
            "[3]",
            "\"nuke=3\"",
            "\"host.memory=3\"",
            "\"global.a=x\"",
            "\"global.a=-1\"",
            "\"global.a=1,global.a=2\"",
            "\"global.a=99999999999999999\"",
        ] {
            let (_, problem) = read(wrong).expect_err(wrong);
            let said = problem.to_string();
            assert!(
                said.starts_with("supervisor_global_resources must be a list of"),
                "{said}"
            );
        }
    }

    #[test]
    fn the_policy_of_preemption_is_qubes_word() {
        assert_eq!(
            Config::default().engine.preempt_policy,
            PreemptPolicy::Passive
        );
        for policy in PreemptPolicy::ALL {
            let text = format!("supervisor_preempt_policy = \"{}\"", policy.word());
            let config = Config::parse(&text).expect("valid");
            assert_eq!(config.engine.preempt_policy, policy);
        }
        let said = |text| Config::parse(text).expect_err("no such").1.to_string();
        let wants = "supervisor_preempt_policy must be \"disabled\", \"passive\" or \"aggressive\"";
        assert_eq!(said("supervisor_preempt_policy = \"active\""), wants);
        assert_eq!(said("supervisor_preempt_policy = 1"), wants);
        let mixed = said("supervisor_preempt_policy = \"mixed\"");
        assert_eq!(
            mixed,
            format!("{wants}; mixed is for algorithms of one's own")
        );
    }

    #[test]
    fn a_certificate_of_the_sites_own_has_its_key() {
        let both = "site_certificate = \"/a.pem\"\nsite_key = \"/b.pem\"";
        let config = Config::parse(both).expect("valid");
        assert_eq!(config.site_key.as_deref(), Some(Path::new("/b.pem")));
        let (line, problem) =
            Config::parse("farm_name = \"x\"\nsite_key = \"/b.pem\"").expect_err("alone");
        assert_eq!(
            (line, problem.to_string().as_str()),
            (2, "site_key must be given together with site_certificate")
        );
        let (_, problem) = Config::parse("site_certificate = \"a.pem\"").expect_err("relative");
        assert_eq!(
            problem.to_string(),
            "site_certificate must be an absolute path"
        );
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_line_and_the_nearest() {
        let (line, problem) =
            Config::parse("# ours\n\nworker_lost_timout = 5\n").expect_err("unknown");
        assert_eq!(line, 3);
        assert_eq!(
            problem.to_string(),
            "unknown key \"worker_lost_timout\"; did you mean `worker_lost_timeout`?"
        );
    }

    #[test]
    fn a_key_like_no_other_gets_no_suggestion() {
        for key in ["lissten", "x", "colour", "port"] {
            let (_, problem) = Config::parse(&format!("{key} = 1")).expect_err("unknown");
            assert_eq!(problem.to_string(), format!("unknown key \"{key}\""));
        }
        assert_eq!(nearest("supervisorport"), Some("supervisor_port"));
        assert_eq!(nearest("farmname"), Some("farm_name"));
    }

    #[test]
    fn values_are_shown_as_they_would_be_written() {
        for config in [
            Config::default(),
            Config::parse("farm_name = \"a \\\"b\\\"\"\nsupervisor_address = \"farm:1\"\non_host_lost = \"hold\"\nsupervisor_global_resources = \"license.a=3,global.b=2\"\nsupervisor_start_rate = \"30/90s\"\nsupervisor_resource_start_rates = \"license.a=1/s\"\nsupervisor_pgrp_subjob_limits = \"mia=3\"\nsupervisor_cluster_weights = \"/a=3\"")
                .expect("valid"),
        ] {
            let lines = config.values().into_iter().filter(|(_, value)| !value.is_empty());
            let text: String = lines.map(|(key, value)| format!("{key} = {value}\n")).collect();
            assert_eq!(Config::parse(&text), Ok(config), "{text}");
        }
    }

    #[test]
    fn a_wrong_value_is_named_with_its_line_and_what_it_wants() {
        let (line, problem) =
            Config::parse("farm_name = \"x\"\nsupervisor_port = 70000").expect_err("range");
        assert_eq!(
            (line, problem.to_string()),
            (
                2,
                "supervisor_port must be a whole number from 1 to 65535".into()
            )
        );
        let (_, problem) = Config::parse("on_host_lost = \"panic\"").expect_err("word");
        assert_eq!(
            problem.to_string(),
            "on_host_lost must be \"requeue\" or \"hold\""
        );
        let (_, problem) = Config::parse("supervisor_queue_algorithm = 1").expect_err("word");
        assert_eq!(
            problem.to_string(),
            "supervisor_queue_algorithm must be \"queue\", \"priority\" or \"cluster\""
        );
        assert!(matches!(
            Config::parse("a = = b"),
            Err((1, Problem::Syntax(_)))
        ));
    }
}
