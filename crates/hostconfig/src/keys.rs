//! Which keys there are, and which of them never come from the supervisor.

use tessera_requirements::nearest;

/// The worker's own reader of keys, as whoever calls this crate knows it.
pub trait Keys {
    /// Answers all keys that a worker knows.
    fn all(&self) -> Vec<&str>;

    /// Judges the value of a known key, written as TOML (`8`, `"a"`, `["a", "b"]`).
    ///
    /// # Errors
    /// What the value must be, as the end of a sentence: `a number from 0 to 4096`.
    fn judge(&self, key: &str, value: &str) -> Result<(), String>;
}

/// Keys that only a host's own file sets: what a worker needs before it can ask, what it lets in, and what a person at it has said.
///
/// Nobody but the host may loosen what it refuses (its desk, its keys); the first three are also needed to ask at all.
const LOCAL_ONLY: &[&str] = &[
    "qb_directory",
    "qb_domain",
    "qb_supervisor",
    "worker_address",
    "worker_boot_delay",
    "worker_journal_location",
    "worker_lookup",
    "worker_max_threads",
    "worker_name",
    "worker_pidfile",
    "worker_port",
];
/// The beginnings of others.
const LOCAL_ONLY_FAMILIES: &[&str] = &["desktop_", "worker_credential_"];

/// Says whether only a host's own file can set a key.
#[must_use]
pub fn is_local_only(key: &str) -> bool {
    LOCAL_ONLY.contains(&key) || LOCAL_ONLY_FAMILIES.iter().any(|it| key.starts_with(it))
}

/// Answers the central key that is nearest to one that isn't known.
pub(crate) fn nearest_key<'a>(keys: &'a impl Keys, key: &str) -> Option<&'a str> {
    let central = keys.all().into_iter().filter(|it| !is_local_only(it));
    nearest(key, central)
}
