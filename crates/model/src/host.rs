//! Hosts: what they are, offer and refuse.

use crate::desk::{Consent, Presence};
use crate::limits::GROUPS_MAX;
use crate::name::GroupName;
use crate::settings::SettingsInUse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use tessera_requirements::{ClusterChoice, ClusterPath, Restriction};

/// The property that says what the kernel keeps instances to on a host: `memory,pids,cpu`; absent where nothing.
pub const LIMITS_PROPERTY: &str = "host.identity.limits";

/// The property that says the host's name, as [`HostFacts::name`] does.
pub const NAME_PROPERTY: &str = "host.name";

/// The property that names the groups that a host is in: `gpu,linux`.
pub const GROUPS_PROPERTY: &str = "host.groups";

/// The property that names the cluster that a host is in.
pub const CLUSTER_PROPERTY: &str = "host.cluster";
/// The property that says of which clusters a host takes jobs.
pub const RESTRICTIONS_PROPERTY: &str = "host.restrictions";

/// Of which clusters a host takes jobs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Takes {
    /// Of all.
    #[default]
    All,
    /// Of these.
    Those(Restriction),
    /// Of none: what its worker says of it can't be read.
    Nothing,
}

impl Takes {
    /// Says whether it takes jobs of these clusters.
    #[must_use]
    pub fn admits(&self, job: &ClusterChoice) -> bool {
        match self {
            Self::All => true,
            Self::Those(restriction) => restriction.admits_choice(job),
            Self::Nothing => false,
        }
    }
}

/// Whether a host can be given work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostState {
    /// Its worker is connected and well.
    Up,
    /// Its worker is not connected; work on it is kept until `worker_lost_timeout`.
    Away,
    /// Away for longer than `worker_lost_timeout`: its work was put back (or is held).
    Down,
    /// Its worker says that it can't do its job, and why.
    Panic(String),
}

impl HostState {
    /// Answers the word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Away => "away",
            Self::Down => "down",
            Self::Panic(_) => "panic",
        }
    }
}

/// What a worker says of its host when it connects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostFacts {
    /// The name it goes by.
    pub name: String,
    /// Slots offered (`worker_cpus`; the number of cores by default).
    pub slots: u32,
    /// `host.*` properties: `host.os`, `host.architecture`, `host.kernel_version`, `host.worker_mode`, `host.proxy_mode` …
    pub properties: BTreeMap<String, String>,
    /// `host.*` amounts: `host.memory` in MiB, `host.cpus`.
    pub resources: BTreeMap<String, u64>,
    /// Who jobs can run as there.
    pub identity: Identity,
    /// Whose jobs a desktop runs beside its own person's; says nothing of other hosts.
    pub allows: Consent,
    /// What is known of the person there, on a host that takes no new work while somebody is active.
    pub presence: Option<Presence>,
    /// Why the worker can't do its job, if it can't.
    pub panic: Option<String>,
    /// The version of the worker program.
    pub version: String,
    /// What it took of what the farm sets for it; nothing from a worker that takes nothing of the kind.
    pub settings: Option<SettingsInUse>,
}

impl HostFacts {
    /// Has it go by another name than it said, wherever its name is looked for.
    pub fn go_by(&mut self, name: &str) {
        name.clone_into(&mut self.name);
        let property = self.properties.entry(NAME_PROPERTY.to_owned());
        name.clone_into(property.or_default());
    }

    /// Answers the cluster that it is in: the top one when it names none, or none that can be read.
    #[must_use]
    pub fn cluster(&self) -> ClusterPath {
        let said = self.properties.get(CLUSTER_PROPERTY);
        said.and_then(|said| said.parse().ok()).unwrap_or_default()
    }

    /// Answers of which clusters it takes jobs.
    #[must_use]
    pub fn takes(&self) -> Takes {
        let said = self.properties.get(RESTRICTIONS_PROPERTY);
        match said.map(|said| said.trim()).filter(|said| !said.is_empty()) {
            None => Takes::All,
            Some(said) => said.parse().map_or(Takes::Nothing, Takes::Those),
        }
    }

    /// Answers the groups that it is in, at most [`GROUPS_MAX`]; what is no name of a group is left out.
    #[must_use]
    pub fn groups(&self) -> BTreeSet<String> {
        let all = self.properties.get(GROUPS_PROPERTY);
        let all = all.into_iter().flat_map(|all| all.split(','));
        let names = all.filter_map(|name| name.trim().parse::<GroupName>().ok());
        names
            .take(GROUPS_MAX)
            .map(|name| name.to_string())
            .collect()
    }

    /// Says whether jobs of this owner run there at all: a desktop runs its own person's, and those of whom that lets in.
    #[must_use]
    pub fn admits(&self, owner: &str) -> bool {
        match &self.identity {
            Identity::Proxy(_) | Identity::User => true,
            Identity::Desktop(person) => self.allows.admits(person, owner),
        }
    }
}

/// Who jobs run as on a host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Identity {
    /// Service mode: all jobs as this account.
    Proxy(String),
    /// Service mode: each job as its user.
    #[default]
    User,
    /// Desktop mode: always this user.
    Desktop(String),
}

impl Identity {
    /// Answers the account that a job for `account` would run as there.
    #[must_use]
    pub fn account_for<'a>(&'a self, account: &'a str) -> &'a str {
        match self {
            Self::Proxy(proxy) | Self::Desktop(proxy) => proxy,
            Self::User => account,
        }
    }

    /// Answers `proxy`, `user` or `desktop`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Proxy(_) => "proxy",
            Self::User => "user",
            Self::Desktop(_) => "desktop",
        }
    }
}

/// Why a host would not become an account. No attempt is counted; see *badlogin* in docs/glossary.md.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Stable word: `no_such_account`, `account_denied`, `directory_unavailable` …
    pub code: String,
    /// A sentence that names host, account, reason and way out.
    pub text: String,
}

impl Refusal {
    /// Says whether it passes by itself: a directory that doesn't answer, a full disk or a busy launcher is no verdict on
    /// the account.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        let passing = [
            "directory_unavailable",
            "launcher_unavailable",
            "ticket_expired",
            "ticket_replayed",
            "ticket_superseded",
            "spool_unwritable",
            "state_unwritable",
            "containment_failed",
            "process_limit",
            "busy",
            "credential_unavailable",
            // The owner of a desktop has just thought better of it: the host says so of itself, and is not asked again.
            "submitter_not_allowed",
            "owner_active",
        ];
        passing.contains(&self.code.as_str())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.code)
    }
}
