//! The worker's local configuration, `worker.toml`; its keys have the field's names.
//!
//! Every mistake is an error that names file and line; an unknown key also the nearest that is known.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tessera_model::credential::{KEYS_OF_POOL_MAX, KeyId, PoolName};
use tessera_model::desk::{ALLOWED_MAX, IDLE_AFTER_DEFAULT};
use tessera_model::limits::{GROUPS_MAX, SLOTS_MAX};
use tessera_model::{ClusterPath, Consent, GroupName, Restriction, Running, WhileActive};
use tessera_requirements::distance;
use tessera_ticket::PathMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::credential;

/// Bytes of spool that a worker fills by default: 4 GiB.
pub const SPOOL_MAX_DEFAULT: u64 = 4 << 30;
/// The least spool, in bytes: less would cut the output of ordinary frames.
pub const SPOOL_MAX_LEAST: u64 = 1 << 20;
/// Bytes of a configuration file.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Properties, or resources, that one worker may add.
const PAIRS_MAX: usize = 256;
/// Two keys are near when so many letters make one into the other.
const NEAR: usize = 4;
/// Longest life of a key in days.
const KEY_DAYS_MAX: u32 = 3_660;
/// Keys of other workers that one may be told to admit.
const ADMITTED_MAX: usize = KEYS_OF_POOL_MAX;
/// The greatest niceness.
const NICE_MAX: u8 = 19;

/// Variables of a desktop's own session that jobs may be given.
const VARIABLES_MAX: usize = 64;
/// Bytes of a name.
const NAME_BYTES_MAX: usize = 256;

const KEYS: &[&str] = &[
    "desktop_allowed_submitters",
    "desktop_environment",
    "desktop_idle_running",
    "desktop_idle_seconds",
    "desktop_idle_unknown",
    "desktop_lock_while_active",
    "proxy_account",
    "proxy_execution_mode",
    "proxy_nice_value",
    "qb_supervisor",
    "worker_cluster",
    "worker_cpus",
    "worker_credential_admit",
    "worker_credential_key_days",
    "worker_credential_pool",
    "worker_description",
    "worker_groups",
    "worker_name",
    "worker_path_map",
    "worker_properties",
    "worker_resources",
    "worker_restrictions",
    "worker_spool_durable",
    "worker_spool_max",
];

/// What `worker.toml` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `HOST[:PORT]` of the supervisor.
    pub qb_supervisor: Option<String>,
    /// Slots to offer; 0 for one per core.
    pub worker_cpus: u32,
    /// The name that the host goes by.
    pub worker_name: Option<String>,
    /// For people; shown as `host.description`.
    pub worker_description: String,
    /// Groups of hosts that it is in, which jobs choose by (`--groups`); told as `host.groups`.
    pub worker_groups: Vec<String>,
    /// The cluster that it is in; told as `host.cluster`.
    pub worker_cluster: ClusterPath,
    /// Of which clusters it takes jobs, when not of all; told as `host.restrictions`.
    pub worker_restrictions: Option<Restriction>,
    /// More `host.*` properties.
    pub worker_properties: BTreeMap<String, String>,
    /// More `host.*` amounts.
    pub worker_resources: BTreeMap<String, u64>,
    /// Narrows what the launcher's policy allows.
    pub proxy_execution_mode: Option<ProxyMode>,
    /// Must be the launcher's proxy account when it is given.
    pub proxy_account: Option<String>,
    /// Added to the niceness of what runs, 0 to 19.
    pub proxy_nice_value: u8,
    /// Bytes of output that wait in the spool at most.
    pub worker_spool_max: u64,
    /// What registered passwords need (Windows).
    pub credentials: credential::Settings,
    /// Whether the record of an ended attempt is synchronised to the disk before it is reported. Without it only a host
    /// that loses power can forget one, and then runs the frame again.
    pub worker_spool_durable: bool,
    /// How paths of other systems are called here, in order (desktop mode; in service mode the launcher's policy says it).
    pub worker_path_map: PathMap,
    /// Whose jobs a desktop runs beside its own person's; nobody's when it was never said.
    pub desktop_allowed_submitters: Option<Consent>,
    /// Variables of the desktop's session that its jobs see, too.
    pub desktop_environment: Vec<String>,
    /// Whether the host takes no new work while somebody is active there.
    pub desktop_lock_while_active: bool,
    /// For how long nobody must have touched it before it takes work.
    pub desktop_idle_after: Duration,
    /// What becomes of what runs when somebody comes.
    pub desktop_idle_running: Running,
    /// Whether somebody counts as active where that can't be known.
    pub desktop_idle_unknown: Unknown,
}

/// What counts when it can't be known whether somebody is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unknown {
    /// Somebody is.
    #[default]
    Active,
    /// Nobody is.
    Idle,
}

impl Unknown {
    /// Answers the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Idle => "idle",
        }
    }
}

/// As whom a service worker runs jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyMode {
    /// All as the proxy account.
    Proxy,
    /// Each as its user.
    User,
}

impl ProxyMode {
    /// Answers the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::User => "user",
        }
    }
}

/// What is wrong with a configuration file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It can't be read.
    #[error("can't read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// It is no TOML.
    #[error("{}:{line}: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A key that does not exist.
    #[error("{}:{line}: there is no key `{key}`{}", path.display(), did_you_mean(*nearest))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The key that may be meant.
        nearest: Option<&'static str>,
    },
    /// A value that the key can't have.
    #[error("{}:{line}: `{key}` must be {wanted}", path.display())]
    BadValue {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// What it may be.
        wanted: &'static str,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |it| format!("; did you mean `{it}`?"))
}

impl Default for Config {
    fn default() -> Self {
        Self {
            qb_supervisor: None,
            worker_cpus: 0,
            worker_name: None,
            worker_description: String::new(),
            worker_groups: Vec::new(),
            worker_cluster: ClusterPath::default(),
            worker_restrictions: None,
            worker_properties: BTreeMap::new(),
            worker_resources: BTreeMap::new(),
            proxy_execution_mode: None,
            proxy_account: None,
            proxy_nice_value: 0,
            worker_spool_max: SPOOL_MAX_DEFAULT,
            credentials: credential::Settings::default(),
            worker_spool_durable: false,
            worker_path_map: PathMap::default(),
            desktop_allowed_submitters: None,
            desktop_environment: Vec::new(),
            desktop_lock_while_active: false,
            desktop_idle_after: IDLE_AFTER_DEFAULT,
            desktop_idle_running: Running::default(),
            desktop_idle_unknown: Unknown::default(),
        }
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// When it can't be read or has a mistake.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(path, &read_text(path).map_err(read_error(path))?)
    }

    /// Reads a file that may be missing.
    ///
    /// # Errors
    /// When it is there but can't be read or has a mistake.
    pub fn read_if_there(path: &Path) -> Result<Option<Self>, ConfigError> {
        match read_text(path) {
            Ok(text) => Self::parse(path, &text).map(Some),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(read_error(path)(e)),
        }
    }

    /// Understands the text of a file; `path` is for messages.
    ///
    /// # Errors
    /// The first mistake.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let table = DeTable::parse(text).map_err(|e| ConfigError::Syntax {
            path: path.to_owned(),
            line: line_of(text, e.span().map_or(0, |it| it.start)),
            reason: e.message().to_owned(),
        })?;
        let mut config = Self::default();
        for (key, value) in table.get_ref() {
            let name: &str = key.get_ref();
            let line = line_of(text, key.span().start);
            let path = || path.to_owned();
            config.set(name, value).map_err(|problem| match problem {
                Problem::Unknown => ConfigError::UnknownKey {
                    path: path(),
                    line,
                    key: name.to_owned(),
                    nearest: nearest(name),
                },
                Problem::Wanted(wanted) => ConfigError::BadValue {
                    path: path(),
                    line,
                    key: name.to_owned(),
                    wanted,
                },
            })?;
        }
        Ok(config)
    }

    fn set(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<(), Problem> {
        let value = value.get_ref();
        match key {
            "qb_supervisor" => self.qb_supervisor = Some(word(value)?),
            "worker_path_map" => self.worker_path_map = paths(value)?,
            "worker_cpus" => self.worker_cpus = slots(value)?,
            "worker_name" => self.worker_name = Some(word(value)?),
            "worker_description" => self.worker_description = text(value)?,
            "worker_groups" => self.worker_groups = groups(value)?,
            "worker_cluster" => self.worker_cluster = cluster(value)?,
            "worker_restrictions" => self.worker_restrictions = restrictions(value)?,
            "worker_properties" => self.worker_properties = pairs(value)?,
            "worker_resources" => self.worker_resources = amounts(value)?,
            "proxy_execution_mode" => self.proxy_execution_mode = Some(mode(value)?),
            "proxy_account" => self.proxy_account = Some(word(value)?),
            "proxy_nice_value" => self.proxy_nice_value = nice(value)?,
            "worker_spool_max" => self.worker_spool_max = size(value)?,
            "worker_credential_admit" => self.credentials.admitted = keys(value)?,
            "worker_credential_key_days" => self.credentials.key_days = key_days(value)?,
            "worker_credential_pool" => self.credentials.pool = pool(value)?,
            "worker_spool_durable" => self.worker_spool_durable = yes_or_no(value)?,
            "desktop_allowed_submitters" => {
                self.desktop_allowed_submitters = Some(consent(value)?);
            }
            "desktop_environment" => self.desktop_environment = variables(value)?,
            "desktop_lock_while_active" => self.desktop_lock_while_active = yes_or_no(value)?,
            "desktop_idle_seconds" => self.desktop_idle_after = idle_after(value)?,
            "desktop_idle_running" => self.desktop_idle_running = running(value)?,
            "desktop_idle_unknown" => self.desktop_idle_unknown = unknown(value)?,
            _ => return Err(Problem::Unknown),
        }
        Ok(())
    }

    /// Answers whose jobs a desktop runs beside its own person's.
    #[must_use]
    pub fn consent(&self) -> Consent {
        self.desktop_allowed_submitters.clone().unwrap_or_default()
    }

    /// Answers the rule by which this host locks itself, if it does.
    #[must_use]
    pub fn while_active(&self) -> Option<WhileActive> {
        self.desktop_lock_while_active.then_some(WhileActive {
            idle_after: self.desktop_idle_after,
            running: self.desktop_idle_running,
        })
    }
}

enum Problem {
    Unknown,
    Wanted(&'static str),
}

fn read_text(path: &Path) -> io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn read_error(path: &Path) -> impl FnOnce(io::Error) -> ConfigError {
    move |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|it| *it == b'\n').count() + 1
}

fn text(value: &DeValue<'_>) -> Result<String, Problem> {
    value
        .as_str()
        .map(str::to_owned)
        .ok_or(Problem::Wanted("a text in quotes"))
}

fn word(value: &DeValue<'_>) -> Result<String, Problem> {
    let word = text(value)?;
    if word.is_empty() || word.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Problem::Wanted("one word in quotes"));
    }
    Ok(word)
}

fn integer(value: &DeValue<'_>) -> Option<u64> {
    let number = value.as_integer()?;
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn slots(value: &DeValue<'_>) -> Result<u32, Problem> {
    integer(value)
        .and_then(|it| u32::try_from(it).ok())
        .filter(|it| *it <= SLOTS_MAX)
        .ok_or(Problem::Wanted(
            "a number from 0 (one slot per core) to 4096",
        ))
}

fn pool(value: &DeValue<'_>) -> Result<PoolName, Problem> {
    let pool = word(value)?.parse();
    pool.map_err(|_| {
        Problem::Wanted("the name of a pool: a lower-case letter, then up to 31 of a-z 0-9 _ -")
    })
}

fn key_days(value: &DeValue<'_>) -> Result<u32, Problem> {
    integer(value)
        .and_then(|it| u32::try_from(it).ok())
        .filter(|it| *it <= KEY_DAYS_MAX)
        .ok_or(Problem::Wanted("days from 0 (never) to 3660"))
}

fn keys(value: &DeValue<'_>) -> Result<Vec<KeyId>, Problem> {
    let wanted = || {
        Problem::Wanted("a list of fingerprints of keys, each of 32 hexadecimal digits in quotes")
    };
    let words = list(value).map_err(|_| wanted())?;
    if words.len() > ADMITTED_MAX {
        return Err(Problem::Wanted("a list of at most 2048 fingerprints"));
    }
    let parsed = words.iter().map(|word| {
        let id = word.parse::<tessera_seal::KeyId>();
        id.map(|id| KeyId(id.0)).map_err(|_| wanted())
    });
    parsed.collect()
}

fn mode(value: &DeValue<'_>) -> Result<ProxyMode, Problem> {
    match value.as_str() {
        Some("proxy") => Ok(ProxyMode::Proxy),
        Some("user") => Ok(ProxyMode::User),
        _ => Err(Problem::Wanted("\"proxy\" or \"user\"")),
    }
}

fn yes_or_no(value: &DeValue<'_>) -> Result<bool, Problem> {
    value.as_bool().ok_or(Problem::Wanted("true or false"))
}

/// Reads names of owners, or `"*"`.
fn consent(value: &DeValue<'_>) -> Result<Consent, Problem> {
    let names = list(value)?;
    let is_name = |it: &String| {
        it.len() <= NAME_BYTES_MAX && !it.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    if names.len() > ALLOWED_MAX || !names.iter().all(is_name) {
        return Err(Problem::Wanted(
            "a list of at most 256 names of users, or \"*\" for everybody",
        ));
    }
    Ok(Consent::of(names))
}

fn variables(value: &DeValue<'_>) -> Result<Vec<String>, Problem> {
    let names = list(value)?;
    let is_name = |it: &String| {
        let is_word = it.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        is_word && it.len() <= NAME_BYTES_MAX && !it.starts_with(|c: char| c.is_ascii_digit())
    };
    if names.len() > VARIABLES_MAX || !names.iter().all(is_name) {
        return Err(Problem::Wanted(
            "a list of at most 64 names of environment variables",
        ));
    }
    Ok(names)
}

fn idle_after(value: &DeValue<'_>) -> Result<Duration, Problem> {
    let rule = integer(value).map(|seconds| WhileActive {
        idle_after: Duration::from_secs(seconds),
        ..WhileActive::default()
    });
    rule.filter(WhileActive::is_sound)
        .map(|it| it.idle_after)
        .ok_or(Problem::Wanted("seconds from 60 to 86400"))
}

fn running(value: &DeValue<'_>) -> Result<Running, Problem> {
    let word = value.as_str().and_then(Running::of_word);
    word.ok_or(Problem::Wanted("\"keep\", \"suspend\" or \"requeue\""))
}

fn unknown(value: &DeValue<'_>) -> Result<Unknown, Problem> {
    match value.as_str() {
        Some("active") => Ok(Unknown::Active),
        Some("idle") => Ok(Unknown::Idle),
        _ => Err(Problem::Wanted("\"active\" or \"idle\"")),
    }
}

fn nice(value: &DeValue<'_>) -> Result<u8, Problem> {
    integer(value)
        .and_then(|it| u8::try_from(it).ok())
        .filter(|it| *it <= NICE_MAX)
        .ok_or(Problem::Wanted(
            "a number from 0 to 19: jobs may have less priority than others on the host, never more",
        ))
}

/// Reads `["a", "b"]` or `"a,b"`.
fn list(value: &DeValue<'_>) -> Result<Vec<String>, Problem> {
    let wanted = || Problem::Wanted("a list of texts, or one text with commas");
    let parts: Vec<String> = match (value.as_array(), value.as_str()) {
        (Some(array), _) => array
            .iter()
            .map(|it| it.get_ref().as_str().map(str::to_owned).ok_or_else(wanted))
            .collect::<Result<_, _>>()?,
        (None, Some(text)) => text.split(',').map(|it| it.trim().to_owned()).collect(),
        (None, None) => return Err(wanted()),
    };
    Ok(parts.into_iter().filter(|it| !it.is_empty()).collect())
}

fn cluster(value: &DeValue<'_>) -> Result<ClusterPath, Problem> {
    let path = value.as_str().and_then(|text| text.parse().ok());
    path.ok_or(Problem::Wanted("one cluster, such as \"/show/sequence\""))
}

fn restrictions(value: &DeValue<'_>) -> Result<Option<Restriction>, Problem> {
    let wanted = Problem::Wanted("clusters joined by ||, such as \"/a || /b/* || /c/+\"");
    match value.as_str().map(str::trim) {
        Some("") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| wanted),
        None => Err(wanted),
    }
}

/// Reads names of groups, as jobs write them.
fn groups(value: &DeValue<'_>) -> Result<Vec<String>, Problem> {
    let wanted =
        Problem::Wanted("at most 100 names of groups (letters, digits, -, _ and ., at most 63)");
    let all = list(value)?;
    let all: Option<Vec<String>> = all
        .iter()
        .map(|name| Some(name.parse::<GroupName>().ok()?.to_string()))
        .collect();
    all.filter(|all| all.len() <= GROUPS_MAX).ok_or(wanted)
}

/// Reads `"host.a=b,host.c=d"`, a list of `"host.a=b"`, or a table with such keys.
fn pairs(value: &DeValue<'_>) -> Result<BTreeMap<String, String>, Problem> {
    let wanted = || Problem::Wanted("a list of \"host.name=value\"");
    let all = list(value)?;
    if all.len() > PAIRS_MAX {
        return Err(Problem::Wanted("a list of at most 256 \"host.name=value\""));
    }
    all.iter()
        .map(|pair| {
            let (name, value) = pair.split_once('=').ok_or_else(wanted)?;
            let name = name.trim();
            if name.strip_prefix("host.").is_none_or(str::is_empty) {
                return Err(wanted());
            }
            Ok((name.to_owned(), value.trim().to_owned()))
        })
        .collect()
}

fn amounts(value: &DeValue<'_>) -> Result<BTreeMap<String, u64>, Problem> {
    let wanted = Problem::Wanted("a list of \"host.name=NUMBER\"");
    let Ok(pairs) = pairs(value) else {
        return Err(wanted);
    };
    let parsed: Option<_> = pairs
        .into_iter()
        .map(|(name, amount)| Some((name, amount.parse().ok()?)))
        .collect();
    parsed.ok_or(wanted)
}

/// Reads `[["P:\\", "/mnt/p"], …]` or tables with the keys `from` and `to`.
fn paths(value: &DeValue<'_>) -> Result<PathMap, Problem> {
    let wanted = || {
        Problem::Wanted(
            "a list of at most 256 pairs of absolute paths: [['P:\\', '/mnt/p'], …], or tables with `from` and `to`",
        )
    };
    let text = |it: &DeValue<'_>| it.as_str().map(str::to_owned);
    let pair = |it: &Spanned<DeValue<'_>>| match it.get_ref() {
        DeValue::Array(pair) if pair.len() == 2 => {
            Some((text(pair[0].get_ref())?, text(pair[1].get_ref())?))
        }
        DeValue::Table(table) if table.len() == 2 => Some((
            text(table.get("from")?.get_ref())?,
            text(table.get("to")?.get_ref())?,
        )),
        _ => None,
    };
    let pairs: Option<Vec<_>> = value
        .as_array()
        .ok_or_else(wanted)?
        .iter()
        .map(pair)
        .collect();
    PathMap::new(pairs.ok_or_else(wanted)?).map_err(|_| wanted())
}

/// Reads bytes: a number, or a text such as `"4 GiB"`.
fn size(value: &DeValue<'_>) -> Result<u64, Problem> {
    let bytes = match value.as_str() {
        Some(text) => sized(text),
        None => integer(value),
    };
    bytes
        .filter(|it| *it >= SPOOL_MAX_LEAST)
        .ok_or(Problem::Wanted("bytes, 1 MiB or more, such as \"4 GiB\""))
}

fn sized(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        "T" | "TiB" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Answers the known key that is nearest to `key`, if one is near.
fn nearest(key: &str) -> Option<&'static str> {
    let near = |it: &&'static str| (distance(key, it), *it);
    let (distance, found) = KEYS.iter().map(near).min()?;
    (distance <= NEAR).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("w.toml"), text).map_err(|e| e.to_string())
    }

    #[test]
    fn all_keys_are_read() {
        let config = parse(
            "qb_supervisor = \"farm:7433\"\nworker_cpus = 4\nworker_groups = \"gpu, linux\"\n\
             worker_cluster = \"/show/a\"\nworker_restrictions = \"/show or /show/+\"\n\
             worker_resources = [\"host.gpu=2\"]\nworker_properties = \"host.rack=b7\"\n\
             proxy_execution_mode = \"proxy\"\nproxy_account = \"render\"\n\
             worker_spool_max = \"2 GiB\"\nworker_description = \"by the door\"\n\
             worker_name = \"rnd1\"\nworker_spool_durable = true\nproxy_nice_value = 19\n",
        )
        .expect("is right");
        assert_eq!(config.qb_supervisor.as_deref(), Some("farm:7433"));
        assert_eq!(config.worker_cpus, 4);
        assert_eq!(config.worker_cluster.to_string(), "/show/a");
        let restrictions = config.worker_restrictions.map(|it| it.to_string());
        assert_eq!(restrictions.as_deref(), Some("/show || /show/+"));
        assert_eq!(config.worker_groups, ["gpu", "linux"]);
        assert_eq!(config.worker_resources["host.gpu"], 2);
        assert_eq!(config.worker_properties["host.rack"], "b7");
        assert_eq!(config.proxy_execution_mode, Some(ProxyMode::Proxy));
        assert_eq!(config.proxy_account.as_deref(), Some("render"));
        assert_eq!(config.worker_spool_max, 2 << 30);
        assert!(config.worker_spool_durable);
        assert_eq!(config.proxy_nice_value, 19);
    }

    #[test]
    fn paths_are_pairs_or_tables_in_order() {
        let pairs = "worker_path_map = [['P:\\my show', '/mnt/s'], ['P:', '/mnt/p']]\n";
        let tables = "[[worker_path_map]]\nfrom = 'P:\\my show'\nto = '/mnt/s'\n\
                      [[worker_path_map]]\nfrom = 'P:'\nto = '/mnt/p'\n";
        for text in [pairs, tables] {
            let config = parse(text).expect("is right");
            let found: Vec<_> = config.worker_path_map.pairs().collect();
            assert_eq!(found, [("P:\\my show", "/mnt/s"), ("P:", "/mnt/p")]);
        }
        for wrong in [
            "'P:'",
            "[['P:']]",
            "[['P:', 'p']]",
            "[['P:', '/p', '/q']]",
            "[{from = 'P:', too = '/p'}]",
            "[['P:', 1]]",
        ] {
            let error = parse(&format!("worker_cpus = 1\nworker_path_map = {wrong}\n"));
            let error = error.expect_err("is wrong");
            assert!(
                error.starts_with("w.toml:2: `worker_path_map` must be a list of"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_a_desktop_allows_is_read() {
        let config = parse(
            "desktop_allowed_submitters = [\"anna\", \"bob\"]\ndesktop_environment = \"SSH_AUTH_SOCK\"\n\
             desktop_lock_while_active = true\ndesktop_idle_seconds = 60\ndesktop_idle_running = \"requeue\"\n\
             desktop_idle_unknown = \"idle\"\n",
        )
        .expect("is right");
        assert_eq!(config.consent().names(), ["anna", "bob"]);
        assert_eq!(config.desktop_environment, ["SSH_AUTH_SOCK"]);
        let rule = WhileActive {
            idle_after: Duration::from_secs(60),
            running: Running::Requeue,
        };
        assert_eq!(config.while_active(), Some(rule));
        assert_eq!(config.desktop_idle_unknown, Unknown::Idle);
        let all = parse("desktop_allowed_submitters = \"*\"\n").expect("is right");
        assert_eq!(all.consent(), Consent::Everybody);
        let none = parse("").expect("is right");
        assert_eq!(none.consent(), Consent::default());
        assert_eq!(none.while_active(), None);
        for bad in [
            "desktop_allowed_submitters = [\"a b\"]",
            "desktop_allowed_submitters = true",
            "desktop_environment = [\"A=B\"]",
            "desktop_environment = [\"1A\"]",
            "desktop_idle_seconds = 59",
            "desktop_idle_running = \"kill\"",
            "desktop_idle_unknown = \"maybe\"",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn mistakes_name_file_line_and_the_nearest_key() {
        assert_eq!(
            parse("worker_cpus = 1\n\nworker_cpu = 2\n"),
            Err("w.toml:3: there is no key `worker_cpu`; did you mean `worker_cpus`?".to_owned())
        );
        assert_eq!(
            parse("colour = 1\n"),
            Err("w.toml:1: there is no key `colour`".to_owned())
        );
        assert_eq!(
            parse("\nproxy_execution_mode = \"root\"\n"),
            Err("w.toml:2: `proxy_execution_mode` must be \"proxy\" or \"user\"".to_owned())
        );
        assert_eq!(
            parse("proxy_nice_value = -5\n"),
            Err(
                "w.toml:1: `proxy_nice_value` must be a number from 0 to 19: jobs may have less priority than others on \
                 the host, never more"
                    .to_owned()
            )
        );
        assert!(
            parse("a = \n")
                .expect_err("is wrong")
                .starts_with("w.toml:1: ")
        );
        for bad in [
            "worker_cpus = -1",
            "worker_cpus = 100000",
            "proxy_nice_value = -1",
            "proxy_nice_value = 20",
            "worker_spool_max = \"12\"",
            "worker_spool_max = \"9999999999 TiB\"",
            "worker_resources = [\"gpu=2\"]",
            "worker_groups = \"gpu, a b\"",
            "worker_cluster = \"show\"",
            "worker_cluster = [\"/show\"]",
            "worker_restrictions = \"/a && /b\"",
            "worker_groups = [\"gpu,linux\"]",
            "worker_resources = [\"host.gpu=x\"]",
            "worker_groups = 3",
            "qb_supervisor = \"\"",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_missing_file_is_no_mistake_but_an_asked_for_one_is() {
        let path = Path::new("/nonexistent/w.toml");
        assert!(matches!(Config::read_if_there(path), Ok(None)));
        assert!(matches!(Config::read(path), Err(ConfigError::Read { .. })));
    }
}
