//! The keys of workers that passwords were sealed for on this machine, by farm: what is not there is new.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use tessera_seal::KeyId;

/// The file beside `farms.toml`.
const FILE: &str = "sealed-for";
/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// The keys that passwords were sealed for.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    path: Option<PathBuf>,
    farms: BTreeMap<String, BTreeSet<KeyId>>,
}

impl Pins {
    /// Reads the file in a folder; one that does not exist has none.
    pub(crate) fn load(folder: Option<&Path>) -> Result<Self, String> {
        let Some(folder) = folder else {
            return Ok(Self::default());
        };
        let path = folder.join(FILE);
        let bad = |why: String| format!("{}: {why}", path.display());
        let mut text = String::new();
        match fs::File::open(&path) {
            Ok(file) => {
                let read = file.take(FILE_BYTES_MAX).read_to_string(&mut text);
                read.map_err(|error| bad(error.to_string()))?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(bad(error.to_string())),
        }
        let mut farms: BTreeMap<String, BTreeSet<KeyId>> = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let parsed = line
                .split_once(' ')
                .and_then(|(farm, key)| Some((farm, key.parse().ok()?)));
            let (farm, key) =
                parsed.ok_or_else(|| bad(format!("line {number} is no farm with a key")))?;
            farms.entry(farm.to_owned()).or_default().insert(key);
        }
        Ok(Self {
            path: Some(path.clone()),
            farms,
        })
    }

    /// Answers the keys of a farm.
    pub(crate) fn of(&self, farm: &str) -> BTreeSet<KeyId> {
        self.farms.get(farm).cloned().unwrap_or_default()
    }

    /// Adds keys of a farm.
    pub(crate) fn add(&mut self, farm: &str, keys: BTreeSet<KeyId>) {
        self.farms.entry(farm.to_owned()).or_default().extend(keys);
    }

    /// Writes the file, whole or not at all.
    pub(crate) fn save(&self) -> Result<(), String> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let bad = |error: std::io::Error| format!("{}: {error}", path.display());
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(bad)?;
        let mut fresh = tempfile::NamedTempFile::new_in(folder).map_err(bad)?;
        for (farm, keys) in &self.farms {
            for key in keys {
                writeln!(fresh, "{farm} {key}").map_err(bad)?;
            }
        }
        fresh.persist(path).map_err(|error| bad(error.error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_for_is_known_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut pins = Pins::load(Some(dir.path())).expect("none yet");
        assert!(pins.of("a").is_empty());
        pins.add("a", [KeyId([1; 16]), KeyId([2; 16])].into());
        pins.add("b", [KeyId([3; 16])].into());
        pins.save().expect("writes");
        let again = Pins::load(Some(dir.path())).expect("reads");
        assert_eq!(again.of("a"), [KeyId([1; 16]), KeyId([2; 16])].into());
        assert_eq!(again.of("b"), [KeyId([3; 16])].into());
        fs::write(dir.path().join(FILE), "a 12").expect("writes");
        let error = Pins::load(Some(dir.path())).expect_err("damaged");
        assert!(error.contains("line 1"), "{error}");
    }
}
