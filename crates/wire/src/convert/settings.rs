//! What the farm sets for a worker, and what the worker took of it.

use super::ConvertError;
use super::parts::{at_most, read_name, read_text, text};
use crate::proto;
use std::collections::{BTreeMap, BTreeSet};
use tessera_model::limits::{SETTINGS_BYTES_MAX, SETTINGS_MAX};
use tessera_model::{Lookup, ServedSettings, SettingsHash, SettingsInUse};

/// Bytes of a hash.
const HASH_BYTES: usize = 16;

pub(super) fn write(served: ServedSettings) -> proto::Settings {
    proto::Settings {
        hash: served.hash.0.to_vec().into(),
        values: served.values.into_iter().collect(),
    }
}

pub(super) fn read(served: proto::Settings) -> Result<ServedSettings, ConvertError> {
    const FIELD: &str = "settings.values";
    at_most(served.values.len(), SETTINGS_MAX, FIELD)?;
    let lengths = served
        .values
        .iter()
        .map(|(key, value)| key.len() + value.len());
    at_most(lengths.sum(), SETTINGS_BYTES_MAX, FIELD)?;
    let values = served.values.into_iter();
    let values: Result<BTreeMap<_, _>, ConvertError> = values
        .map(|(key, value)| Ok((read_name(key, FIELD)?, value)))
        .collect();
    Ok(ServedSettings {
        hash: read_hash(&served.hash, "settings.hash")?,
        values: values?,
    })
}

fn read_hash(bytes: &[u8], field: &'static str) -> Result<SettingsHash, ConvertError> {
    let (got, wanted) = (bytes.len(), HASH_BYTES);
    let hash = bytes
        .try_into()
        .map_err(|_| ConvertError::Length { field, got, wanted })?;
    Ok(SettingsHash(hash))
}

pub(super) fn write_in_use(it: SettingsInUse) -> proto::SettingsInUse {
    let refused = it.refused.into_iter();
    proto::SettingsInUse {
        lookup: it.lookup.to_string(),
        taken: it
            .taken
            .map_or_else(Vec::new, |hash| hash.0.to_vec())
            .into(),
        refused: refused.map(|(key, why)| (key, text(why))).collect(),
        restart: it.restart.into_iter().collect(),
    }
}

pub(super) fn read_in_use(it: proto::SettingsInUse) -> Result<SettingsInUse, ConvertError> {
    const FIELD: &str = "facts.settings";
    at_most(it.refused.len(), SETTINGS_MAX, FIELD)?;
    at_most(it.restart.len(), SETTINGS_MAX, FIELD)?;
    let refused = it.refused.into_iter();
    let refused: Result<BTreeMap<_, _>, ConvertError> = refused
        .map(|(key, why)| Ok((read_name(key, FIELD)?, read_text(why, FIELD)?)))
        .collect();
    let restart = it.restart.into_iter().map(|key| read_name(key, FIELD));
    let taken = Some(it.taken).filter(|bytes| !bytes.is_empty());
    Ok(SettingsInUse {
        // A word of a later release: one that is sent what it may not want ignores it.
        lookup: it.lookup.parse().unwrap_or(Lookup::SupervisorWins),
        taken: taken
            .map(|bytes| read_hash(&bytes, "facts.settings.taken"))
            .transpose()?,
        refused: refused?,
        restart: restart.collect::<Result<BTreeSet<_>, _>>()?,
    })
}
