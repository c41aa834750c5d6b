//! Which keys there are, which of them never come from the supervisor, and what values they take.

use crate::worker::{Config, KEYS, Key, Setter};
use tessera_requirements::nearest;
use toml::de::DeTable;

/// Qube!'s bootstrap parameters that have no counterpart here: they are for one host, too.
const BOOTSTRAP: &[&str] = &[
    "qb_directory",
    "qb_domain",
    "worker_address",
    "worker_boot_delay",
    "worker_journal_location",
    "worker_max_threads",
    "worker_pidfile",
    "worker_port",
];
/// The beginnings of keys that are a host's own, those of later releases, too: what a person at it has said, whose keys it trusts.
const LOCAL_ONLY_FAMILIES: &[&str] = &["desktop_", "worker_credential_"];

/// Says whether only a host's own file can set a key: what it needs before it can ask, whom jobs may become there, whose keys it
/// trusts, what a person at it has said.
#[must_use]
pub fn is_local_only(key: &str) -> bool {
    BOOTSTRAP.contains(&key)
        || LOCAL_ONLY_FAMILIES.iter().any(|it| key.starts_with(it))
        || Key::of_name(key).is_some_and(|it| it.setter == Setter::Host)
}

/// Judges a value, written as TOML (`8`, `"a"`, `["a", "b"]`).
///
/// # Errors
/// What the value must be, as the end of a sentence: `a number from 0 to 4096`.
pub(crate) fn judge(key: &Key, value: &str) -> Result<(), &'static str> {
    let mut unused = Config::default();
    unused.set(key, value).ok_or(key.wanted)
}

/// Reads a value, written as TOML on one line, and hands it on; nothing when it is no value, or nothing comes of it.
pub(crate) fn with_value<T>(
    value: &str,
    take: impl FnOnce(&toml::de::DeValue<'_>) -> Option<T>,
) -> Option<T> {
    // More than a value would be more keys.
    if value.contains('\n') {
        return None;
    }
    let document = format!("k = {value}");
    let table = DeTable::parse(&document).ok()?;
    take(table.get_ref().get("k")?.get_ref())
}

/// Answers the central key that is nearest to one that isn't known.
pub(crate) fn nearest_key(key: &str) -> Option<&'static str> {
    let central = KEYS.iter().filter(|it| it.setter == Setter::Farm);
    nearest(key, central.map(|it| it.name))
}
