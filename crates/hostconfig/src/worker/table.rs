//! The table of keys: what each takes, who may set it, whether it can change while the worker runs, and what it is for.

use std::collections::BTreeMap;

use tessera_ticket::PathMap;
use toml::de::DeValue;

use super::config::{Config, OfferedGpus, ProxyMode};
use super::values as read;
use crate::value::{list, quoted};

/// Who may set a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setter {
    /// Only the host's own file: what it needs before it can ask, whom jobs may become there, what a person at it has said.
    Host,
    /// The host's own file, and the supervisor for it (`workers.toml`).
    Farm,
}

/// When a changed value holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At once, while the worker runs and jobs run.
    Now,
    /// From the worker's next start (which ends no job).
    Restart,
}

/// A key of `worker.toml`.
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it takes, as the end of a sentence.
    pub wanted: &'static str,
    /// Who may set it.
    pub setter: Setter,
    /// When a changed value holds.
    pub when: When,
    /// What it is for, for people.
    pub about: &'static str,
    take: fn(&mut Config, &DeValue<'_>) -> Option<()>,
    show: fn(&Config) -> Option<String>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Key {
    /// Answers the key that has this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|it| it.name == name)
    }

    /// Puts a value into a configuration; nothing when it is none for this key.
    pub(super) fn take(&self, config: &mut Config, value: &DeValue<'_>) -> Option<()> {
        (self.take)(config, value)
    }

    /// Answers its value in a configuration, as TOML; nothing when it has none.
    #[must_use]
    pub fn show(&self, config: &Config) -> Option<String> {
        (self.show)(config)
    }
}

use Setter::{Farm, Host};
use When::{Now, Restart};

/// Words that are said of several keys.
const YES_OR_NO: &str = "true or false";
const WORD: &str = "one word in quotes, of at most 255 bytes";
const PAIRS: &str =
    "a list of at most 256 \"host.name=value\", names of at most 255 bytes, values of at most 4096";

/// All keys, in the order of their names.
pub const KEYS: &[Key] = &[
    Key {
        name: "desktop_allowed_submitters",
        wanted: "a list of at most 256 names of users, or \"*\" for everybody",
        setter: Host,
        when: Now,
        about: "whose jobs a desktop runs beside its own person's",
        take: |it, value| read::consent(value).map(|new| it.desktop_allowed_submitters = Some(new)),
        show: |it| Some(list(&it.desktop_allowed_submitters.as_ref()?.names())),
    },
    Key {
        name: "desktop_environment",
        wanted: "a list of at most 64 names of environment variables",
        setter: Host,
        when: Restart,
        about: "variables of the desktop's session that its jobs see, too",
        take: |it, value| read::variables(value).map(|new| it.desktop_environment = new),
        show: |it| Some(list(&it.desktop_environment)),
    },
    Key {
        name: "desktop_idle_running",
        wanted: "\"keep\", \"suspend\" or \"requeue\"",
        setter: Host,
        when: Now,
        about: "what becomes of what runs when somebody comes",
        take: |it, value| read::running(value).map(|new| it.desktop_idle_running = new),
        show: |it| Some(quoted(it.desktop_idle_running.word())),
    },
    Key {
        name: "desktop_idle_seconds",
        wanted: "seconds from 60 to 86400",
        setter: Host,
        when: Now,
        about: "for how long nobody must have touched the host before it takes work",
        take: |it, value| read::idle_after(value).map(|new| it.desktop_idle_after = new),
        show: |it| Some(it.desktop_idle_after.as_secs().to_string()),
    },
    Key {
        name: "desktop_idle_unknown",
        wanted: "\"active\" or \"idle\"",
        setter: Host,
        when: Now,
        about: "whether somebody counts as active where that can't be known",
        take: |it, value| read::unknown(value).map(|new| it.desktop_idle_unknown = new),
        show: |it| Some(quoted(it.desktop_idle_unknown.word())),
    },
    Key {
        name: "desktop_lock_while_active",
        wanted: YES_OR_NO,
        setter: Host,
        when: Now,
        about: "whether the host takes no new work while somebody is active there",
        take: |it, value| {
            value
                .as_bool()
                .map(|new| it.desktop_lock_while_active = new)
        },
        show: |it| Some(it.desktop_lock_while_active.to_string()),
    },
    Key {
        name: "proxy_account",
        wanted: WORD,
        setter: Host,
        when: Restart,
        about: "must be the proxy account of the launcher's policy when it is given",
        take: |it, value| read::word(value).map(|new| it.proxy_account = Some(new)),
        show: |it| it.proxy_account.as_deref().map(quoted),
    },
    Key {
        name: "proxy_execution_mode",
        wanted: "\"proxy\" or \"user\"",
        setter: Host,
        when: Restart,
        about: "narrows the modes that the launcher's policy allows",
        take: |it, value| read::mode(value).map(|new| it.proxy_execution_mode = Some(new)),
        show: |it| it.proxy_execution_mode.map(ProxyMode::word).map(quoted),
    },
    Key {
        name: "proxy_nice_value",
        wanted: "a number from 0 to 19: jobs may have less priority than others on the host, never more",
        setter: Farm,
        when: Restart,
        about: "added to the niceness of what runs",
        take: |it, value| read::nice(value).map(|new| it.proxy_nice_value = new),
        show: |it| Some(it.proxy_nice_value.to_string()),
    },
    Key {
        name: "qb_supervisor",
        wanted: WORD,
        setter: Host,
        when: Restart,
        about: "HOST or HOST:PORT of the supervisor, unless the host has joined one",
        take: |it, value| read::word(value).map(|new| it.qb_supervisor = Some(new)),
        show: |it| it.qb_supervisor.as_deref().map(quoted),
    },
    Key {
        name: "worker_cluster",
        wanted: "one cluster, such as \"/show/sequence\"",
        setter: Farm,
        when: Now,
        about: "the cluster that the host is in",
        take: |it, value| read::parsed(value).map(|new| it.worker_cluster = new),
        show: |it| Some(quoted(&it.worker_cluster.to_string())),
    },
    Key {
        name: "worker_cpus",
        wanted: "a number from 0 (one slot per core) to 4096",
        setter: Farm,
        when: Now,
        about: "slots to offer; 0 for one per core",
        take: |it, value| read::slots(value).map(|new| it.worker_cpus = new),
        show: |it| Some(it.worker_cpus.to_string()),
    },
    Key {
        name: "worker_credential_admit",
        wanted: "a list of at most 2048 fingerprints of keys, each of 32 hexadecimal digits in quotes",
        setter: Host,
        when: Restart,
        about: "keys of other workers for which this one may seal passwords",
        take: |it, value| read::keys(value).map(|new| it.credentials.admitted = new),
        show: |it| {
            let ids = it.credentials.admitted.iter();
            Some(list(&ids.map(ToString::to_string).collect::<Vec<_>>()))
        },
    },
    Key {
        name: "worker_credential_key_days",
        wanted: "days from 0 (never) to 3660",
        setter: Host,
        when: Restart,
        about: "days after which the worker's key for registered passwords is replaced",
        take: |it, value| read::key_days(value).map(|new| it.credentials.key_days = new),
        show: |it| Some(it.credentials.key_days.to_string()),
    },
    Key {
        name: "worker_credential_pool",
        wanted: "the name of a pool: a lower-case letter, then up to 31 of a-z 0-9 _ -",
        setter: Host,
        when: Restart,
        about: "the pool of hosts that passwords are registered for",
        take: |it, value| read::parsed(value).map(|new| it.credentials.pool = new),
        show: |it| Some(quoted(it.credentials.pool.as_str())),
    },
    Key {
        name: "worker_description",
        wanted: "a text in quotes, of at most 4096 bytes",
        setter: Farm,
        when: Now,
        about: "for people; shown as host.description",
        take: |it, value| read::text(value).map(|new| it.worker_description = new),
        show: |it| Some(quoted(&it.worker_description)),
    },
    Key {
        name: "worker_gpu_slots",
        wanted: "a number from 0 (none) to 4096",
        setter: Farm,
        when: Now,
        about: "slots that only jobs with GPUs get, for each GPU that nobody has",
        take: |it, value| read::slots(value).map(|new| it.worker_gpu_slots = new),
        show: |it| Some(it.worker_gpu_slots.to_string()),
    },
    Key {
        name: "worker_gpus",
        wanted: "\"auto\", \"none\" or a list of at most 64 \"MAKER/MODEL:MiB\" in the order of their places, makers nvidia, amd and intel",
        setter: Farm,
        when: Now,
        about: "the GPUs that jobs can reserve, if not those that are found",
        take: |it, value| read::gpus(value).map(|new| it.worker_gpus = new),
        show: |it| Some(shown_gpus(&it.worker_gpus)),
    },
    Key {
        name: "worker_groups",
        wanted: "at most 100 names of groups (letters, digits, -, _ and ., at most 63), together at most 4096 bytes",
        setter: Farm,
        when: Now,
        about: "groups of hosts that it is in, which jobs choose by",
        take: |it, value| read::groups(value).map(|new| it.worker_groups = new),
        show: |it| Some(list(&it.worker_groups)),
    },
    Key {
        name: "worker_lock_schedule",
        wanted: "times of the week such as \"mon-fri 09:00-18:00; sat 10-14 slots 1-4 purge\", or a list of them, at most 64 and 4096 bytes",
        setter: Farm,
        when: Now,
        about: "when the host, or some of its slots, take no new work, by its own clock",
        take: |it, value| read::schedule(value).map(|new| it.worker_lock_schedule = new),
        show: |it| Some(quoted(&it.worker_lock_schedule.as_ref()?.to_string())),
    },
    Key {
        name: "worker_lookup",
        wanted: "\"local\", \"supervisor\", \"local,supervisor\" (the last one wins) or \"supervisor,local\"",
        setter: Host,
        when: Restart,
        about: "whose values hold: this file's, the supervisor's, or both, and which win",
        take: |it, value| read::parsed(value).map(|new| it.worker_lookup = new),
        show: |it| Some(quoted(&it.worker_lookup.to_string())),
    },
    Key {
        name: "worker_name",
        wanted: WORD,
        setter: Host,
        when: Restart,
        about: "the name that the host goes by, if not the system's",
        take: |it, value| read::word(value).map(|new| it.worker_name = Some(new)),
        show: |it| it.worker_name.as_deref().map(quoted),
    },
    Key {
        name: "worker_path_map",
        wanted: "a list of at most 256 pairs of absolute paths: [['P:\\', '/mnt/p'], …], or tables with `from` and `to`",
        setter: Farm,
        when: Restart,
        about: "how paths of other systems are called there (desktops; a service's are in the launcher's policy)",
        take: |it, value| read::paths(value).map(|new| it.worker_path_map = new),
        show: |it| Some(shown_paths(&it.worker_path_map)),
    },
    Key {
        name: "worker_properties",
        wanted: PAIRS,
        setter: Farm,
        when: Now,
        about: "more host.* properties",
        take: |it, value| read::pairs(value).map(|new| it.worker_properties = new),
        show: |it| Some(shown_pairs(&it.worker_properties)),
    },
    Key {
        name: "worker_resources",
        wanted: "a list of at most 256 \"host.name=NUMBER\" or \"scoped.name=NUMBER\", names of at most 255 bytes",
        setter: Farm,
        when: Now,
        about: "more host.* amounts, which jobs reserve, and its parts of scoped.* ones",
        take: |it, value| read::amounts(value).map(|new| it.worker_resources = new),
        show: |it| Some(shown_pairs(&it.worker_resources)),
    },
    Key {
        name: "worker_restrictions",
        wanted: "clusters joined by ||, such as \"/a || /b/* || /c/+\", at most 64 and 4096 bytes",
        setter: Farm,
        when: Now,
        about: "of which clusters it takes jobs, when not of all",
        take: |it, value| read::restrictions(value).map(|new| it.worker_restrictions = new),
        show: |it| Some(quoted(&it.worker_restrictions.as_ref()?.to_string())),
    },
    Key {
        name: "worker_spool_durable",
        wanted: YES_OR_NO,
        setter: Farm,
        when: Now,
        about: "whether records of ended attempts are synchronised to the disk before they are reported (new launches)",
        take: |it, value| value.as_bool().map(|new| it.worker_spool_durable = new),
        show: |it| Some(it.worker_spool_durable.to_string()),
    },
    Key {
        name: "worker_spool_max",
        wanted: "bytes, 1 MiB or more, such as \"4 GiB\"",
        setter: Farm,
        when: Now,
        about: "bytes of output that wait on the host at most",
        take: |it, value| read::size(value).map(|new| it.worker_spool_max = new),
        show: |it| Some(it.worker_spool_max.to_string()),
    },
];

fn shown_paths(map: &PathMap) -> String {
    let pairs = map.pairs().map(|(from, to)| list(&[from, to]));
    format!("[{}]", pairs.collect::<Vec<_>>().join(", "))
}

fn shown_gpus(offered: &OfferedGpus) -> String {
    match offered {
        OfferedGpus::Found => quoted("auto"),
        OfferedGpus::These(gpus) if gpus.all().is_empty() => quoted("none"),
        OfferedGpus::These(gpus) => {
            let all = gpus.all().iter().map(ToString::to_string);
            list(&all.collect::<Vec<_>>())
        }
    }
}

fn shown_pairs<T: ToString>(all: &BTreeMap<String, T>) -> String {
    let texts = all
        .iter()
        .map(|(name, value)| format!("{name}={}", value.to_string()));
    list(&texts.collect::<Vec<_>>())
}
