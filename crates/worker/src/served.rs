//! What the supervisor serves of this worker's configuration: the last of it is kept in the state, so that a worker starts with it
//! while the supervisor is away. Nothing of it is believed (`tessera_hostconfig::worker::Own::with`), whether it comes from the
//! network or from the disk.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tessera_model::limits::{SETTINGS_BYTES_MAX, SETTINGS_MAX};
use tessera_model::{Lookup, ServedSettings, SettingsInUse};
use tessera_wire::pki::WorkerIdentity;

use crate::config::{Config, Own};
use crate::os;

/// The file, in the worker's part of the state.
const NAME: &str = "served.toml";
/// Bytes of it: what may be served, and what TOML adds.
const FILE_BYTES_MAX: u64 = 4 * SETTINGS_BYTES_MAX as u64;

/// The file's text.
#[derive(Debug, Serialize, Deserialize)]
struct Text {
    /// The farm that it is from; another's says nothing here.
    farm: String,
    hash: String,
    values: BTreeMap<String, String>,
}

fn path(worker: &Path) -> PathBuf {
    worker.join(NAME)
}

/// Keeps what was served, whole or not at all, and durably.
pub(crate) fn keep(worker: &Path, farm: &str, served: &ServedSettings) -> io::Result<()> {
    let text = Text {
        farm: farm.to_owned(),
        hash: served.hash.to_string(),
        values: served.values.clone(),
    };
    let text = toml::to_string(&text).map_err(io::Error::other)?;
    let new = worker.join(format!("{NAME}.new"));
    let mut file = os::to_write().create(true).truncate(true).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(new, path(worker))
}

/// Reads what was kept, if this host is of the farm that served it. What can't be understood is nothing: it is served again.
fn read(worker: &Path, farm: &str) -> Option<ServedSettings> {
    let file = os::to_read().open(path(worker)).ok()?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    let text: Text = toml::from_str(&text).ok()?;
    let is_ours = text.farm == farm && text.values.len() <= SETTINGS_MAX;
    let hash = text.hash.parse().ok().filter(|_| is_ours)?;
    Some(ServedSettings {
        hash,
        values: text.values,
    })
}

/// Answers what a worker starts with of what was served, if it takes any.
pub(crate) fn kept(state: &Path, lookup: Lookup) -> Option<ServedSettings> {
    let worker = state.join("worker");
    // A host that has not joined, or whose certificate can't be used, says so elsewhere.
    let identity = WorkerIdentity::load(&worker).ok().flatten();
    let identity = identity.filter(|_| lookup.asks_supervisor())?;
    read(&worker, &identity.farm_id().to_string())
}

/// Puts a host's own file together with what is served; `began` is what a running worker began with, `slots` what it was told at
/// its start.
pub(crate) fn together(
    own: &Own,
    served: Option<&ServedSettings>,
    began: Option<&Config>,
    slots: Option<u32>,
) -> (Config, SettingsInUse) {
    let nothing = BTreeMap::new();
    let served = served.filter(|_| own.lookup().asks_supervisor());
    let together = own.with(served.map_or(&nothing, |it| &it.values));
    let mut in_use = SettingsInUse {
        lookup: own.lookup(),
        taken: served.map(|it| it.hash),
        restart: began.map(|it| together.restart(it)).unwrap_or_default(),
        refused: together.refused,
    };
    if let Some(slots) = slots.filter(|_| together.central.contains("worker_cpus")) {
        let why = format!("the worker was started with --slots {slots}");
        in_use.refused.insert("worker_cpus".to_owned(), why);
    }
    (together.config, in_use)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_model::SettingsHash;

    fn served(values: &[(&str, &str)]) -> ServedSettings {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        ServedSettings {
            hash: SettingsHash([7; 16]),
            values: values.iter().map(own).collect(),
        }
    }

    #[test]
    fn what_is_kept_reads_back_for_its_farm_only() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(read(dir.path(), "f"), None);
        let all = served(&[
            ("worker_cpus", "2"),
            ("worker_description", "\"a \\\"b\\\"\""),
        ]);
        keep(dir.path(), "f", &all).expect("writes");
        assert_eq!(read(dir.path(), "f"), Some(all.clone()));
        assert_eq!(read(dir.path(), "another"), None);
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            let mode = path(dir.path()).metadata().expect("is there").mode();
            assert_eq!(mode & 0o7777, 0o600);
        }
        let text = std::fs::read_to_string(path(dir.path())).expect("reads");
        std::fs::write(path(dir.path()), &text[..text.len() / 2]).expect("writes");
        assert_eq!(read(dir.path(), "f"), None, "torn");
        keep(dir.path(), "f", &all).expect("writes over it");
        assert_eq!(read(dir.path(), "f"), Some(all));
    }

    #[test]
    fn what_the_worker_was_started_with_is_told() {
        let own = Own::parse(Path::new("w"), "").expect("is right");
        let all = served(&[("worker_cpus", "2"), ("worker_groups", "[\"a\"]")]);
        let (config, in_use) = together(&own, Some(&all), None, Some(4));
        assert_eq!(config.worker_groups, ["a"]);
        assert_eq!(
            in_use.refused["worker_cpus"],
            "the worker was started with --slots 4"
        );
        let (_, in_use) = together(&own, Some(&all), None, None);
        assert!(in_use.refused.is_empty() && in_use.taken == Some(all.hash));
        let local = Own::parse(Path::new("w"), "worker_lookup = \"local\"").expect("is right");
        let (config, in_use) = together(&local, Some(&all), None, None);
        assert_eq!((config.worker_groups.len(), in_use.taken), (0, None));
    }
}
