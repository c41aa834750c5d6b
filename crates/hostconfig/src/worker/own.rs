//! A host's own file, and what comes of it together with what the supervisor serves.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use tessera_model::Lookup;
use toml::de::DeTable;

use super::config::{Config, nearest, read_error, read_text};
use super::error::ConfigError;
use super::table::{Key, When};
use crate::keys::is_local_only;
use crate::lookup::{Layer, merge};
use crate::place::Lines;
use crate::value;

/// What a host's own file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Own {
    /// By key, as TOML on one line.
    values: BTreeMap<String, String>,
    config: Config,
}

/// What holds on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Together {
    /// The values.
    pub config: Config,
    /// Keys whose values are the supervisor's.
    pub central: BTreeSet<String>,
    /// What of the supervisor's was not taken, by key, and why.
    pub refused: BTreeMap<String, String>,
}

impl Own {
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

    /// Reads a file.
    ///
    /// # Errors
    /// When it can't be read or has a mistake.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(path, &read_text(path).map_err(read_error(path))?)
    }

    /// Understands the text of a file; `path` is for messages.
    ///
    /// # Errors
    /// The first mistake.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let lines = Lines::new(text);
        let path = || path.to_owned();
        let table = DeTable::parse(text).map_err(|e| ConfigError::Syntax {
            path: path(),
            line: lines.place(e.span().map_or(0, |it| it.start)).line,
            reason: e.message().to_owned(),
        })?;
        let mut own = Self::default();
        for (name, value) in table.get_ref() {
            let line = lines.place(name.span().start).line;
            let name = name.get_ref();
            let key = Key::of_name(name).ok_or_else(|| ConfigError::UnknownKey {
                path: path(),
                line,
                key: name.to_string(),
                nearest: nearest(name),
            })?;
            let taken = key.take(&mut own.config, value.get_ref());
            let text = taken.and_then(|()| value::print(value.get_ref()));
            let text = text.ok_or_else(|| ConfigError::BadValue {
                path: path(),
                line,
                key: name.to_string(),
                wanted: key.wanted,
            })?;
            own.values.insert(name.to_string(), text);
        }
        Ok(own)
    }

    /// Answers what holds without the supervisor.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Answers whose values this host takes.
    #[must_use]
    pub fn lookup(&self) -> Lookup {
        self.config.worker_lookup
    }

    /// Puts the file together with what the supervisor serves. Nothing that is served is believed: what only the host may set,
    /// what is not known here and what is out of range is left out, each with the reason; the rest holds.
    #[must_use]
    pub fn with(&self, served: &BTreeMap<String, String>) -> Together {
        let mut refused = BTreeMap::new();
        let mut good = BTreeMap::new();
        for (key, value) in served {
            match judged(key, value) {
                Ok(()) => _ = good.insert(key.clone(), value.clone()),
                Err(why) => _ = refused.insert(key.clone(), why),
            }
        }
        let mut config = Config::default();
        let mut central = BTreeSet::new();
        for (name, merged) in merge(self.lookup(), &self.values, &good) {
            let key = Key::of_name(&name);
            let taken = key.and_then(|key| config.set(key, &merged.value));
            debug_assert!(taken.is_some(), "both were judged: {name}");
            if merged.layer == Layer::Central {
                central.insert(name);
            }
        }
        Together {
            config,
            central,
            refused,
        }
    }
}

/// Judges a value that was served.
fn judged(key: &str, value: &str) -> Result<(), String> {
    if is_local_only(key) {
        return Err("only the host's own worker.toml sets it".to_owned());
    }
    let key = Key::of_name(key).ok_or("this worker doesn't know it; upgrade the worker")?;
    crate::keys::judge(key, value).map_err(|wanted| format!("it must be {wanted}"))
}

impl Together {
    /// Answers the keys whose values differ from those that a worker began with, and hold only from its next start.
    #[must_use]
    pub fn restart(&self, began: &Config) -> BTreeSet<String> {
        let late = super::KEYS.iter().filter(|it| it.when == When::Restart);
        let differs = late.filter(|key| key.show(&self.config) != key.show(began));
        differs.map(|key| key.name.to_owned()).collect()
    }
}
