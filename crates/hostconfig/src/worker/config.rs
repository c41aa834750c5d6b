//! What `worker.toml` says, and how the file is read: every mistake is an error that names file and line, an unknown key also the
//! nearest that is known.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use tessera_model::credential::{KeyId, PoolName};
use tessera_model::desk::IDLE_AFTER_DEFAULT;
use tessera_model::{
    ClusterPath, Consent, Gpus, LockCalendar, Lookup, Restriction, Running, WhileActive,
};
use tessera_requirements::distance;
use tessera_ticket::PathMap;

use super::error::ConfigError;
use super::own::Own;
use super::table::{KEYS, Key};
use crate::keys::with_value;
use crate::limits::FILE_BYTES_MAX;

/// Bytes of spool that a worker fills by default: 4 GiB.
pub const SPOOL_MAX_DEFAULT: u64 = 4 << 30;
/// Days after which a key is replaced by default.
pub const KEY_DAYS_DEFAULT: u32 = 90;
/// Two keys are near when so many letters make one into the other.
const NEAR: usize = 4;

/// What `worker.toml` says; its keys have the field's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `HOST[:PORT]` of the supervisor.
    pub qb_supervisor: Option<String>,
    /// Whose values hold, this file's or the supervisor's.
    pub worker_lookup: Lookup,
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
    /// When it takes no new work, by its own clock; told as `host.lock_schedule`.
    pub worker_lock_schedule: Option<LockCalendar>,
    /// Which GPUs it offers.
    pub worker_gpus: OfferedGpus,
    /// Slots that are kept for each GPU which nobody has; told as `host.gpu_slots`.
    pub worker_gpu_slots: u32,
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
    pub credentials: Credentials,
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

/// What a host's configuration says about registered passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The pool that this worker is of (`worker_credential_pool`).
    pub pool: PoolName,
    /// Keys of other workers for which this one may seal passwords (`worker_credential_admit`).
    pub admitted: Vec<KeyId>,
    /// Days after which a key is replaced (`worker_credential_key_days`); 0 for never.
    pub key_days: u32,
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            pool: PoolName::default(),
            admitted: Vec::new(),
            key_days: KEY_DAYS_DEFAULT,
        }
    }
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

/// Which GPUs a host offers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OfferedGpus {
    /// Those that are found there.
    #[default]
    Found,
    /// These, in the order of their numbers, whatever is found.
    These(Gpus),
}

impl OfferedGpus {
    /// Answers them, when these were found.
    #[must_use]
    pub fn or<'a>(&'a self, found: &'a Gpus) -> &'a Gpus {
        match self {
            Self::Found => found,
            Self::These(gpus) => gpus,
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

impl Default for Config {
    fn default() -> Self {
        Self {
            qb_supervisor: None,
            worker_lookup: Lookup::default(),
            worker_cpus: 0,
            worker_name: None,
            worker_description: String::new(),
            worker_groups: Vec::new(),
            worker_cluster: ClusterPath::default(),
            worker_restrictions: None,
            worker_lock_schedule: None,
            worker_gpus: OfferedGpus::default(),
            worker_gpu_slots: 0,
            worker_properties: BTreeMap::new(),
            worker_resources: BTreeMap::new(),
            proxy_execution_mode: None,
            proxy_account: None,
            proxy_nice_value: 0,
            worker_spool_max: SPOOL_MAX_DEFAULT,
            credentials: Credentials::default(),
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
        Ok(Own::parse(path, text)?.config().clone())
    }

    /// Takes a value, written as TOML on one line; nothing when it is none for this key.
    pub(crate) fn set(&mut self, key: &Key, value: &str) -> Option<()> {
        with_value(value, |value| key.take(self, value))
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

pub(super) fn read_text(path: &Path) -> io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    // One more than may be: a file that is cut would be another one.
    let length = file
        .take(FILE_BYTES_MAX as u64 + 1)
        .read_to_string(&mut text)?;
    if length > FILE_BYTES_MAX {
        let text = format!("it is longer than {FILE_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(text)
}

pub(super) fn read_error(path: &Path) -> impl FnOnce(io::Error) -> ConfigError {
    move |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    }
}

/// Answers the known key that is nearest to `key`, if one is near.
pub(super) fn nearest(key: &str) -> Option<&'static str> {
    let near = |it: &Key| (distance(key, it.name), it.name);
    let (distance, found) = KEYS.iter().map(near).min()?;
    (distance <= NEAR).then_some(found)
}
