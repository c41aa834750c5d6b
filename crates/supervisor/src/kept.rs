//! What a store holds, for who looks into it without being its supervisor: the benchmark that replays a farm.

use crate::persist::load::picture;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tessera_engine::supervisor::Image;
use tessera_model::{HostId, Timestamp};
use tessera_store::Loaded;

/// A farm as it was kept.
#[derive(Debug)]
pub struct Kept {
    /// All that the engine has.
    pub image: Image,
    /// When each host joined.
    pub joined: BTreeMap<HostId, Timestamp>,
}

/// Reads what a store gave.
///
/// # Errors
/// What can't be understood, in words.
pub fn read(loaded: Loaded) -> Result<Kept, String> {
    let picture = picture(loaded)?;
    let joined = picture.enrolled.into_iter();
    Ok(Kept {
        image: picture.image,
        joined: joined
            .map(|(host, it)| (host, Timestamp(it.at_ms)))
            .collect(),
    })
}

/// Answers where a supervisor keeps its store below its farm's folder, and what configures it there.
#[must_use]
pub fn places(state: &Path) -> (PathBuf, PathBuf) {
    let options = crate::Options::new(state.to_owned());
    let store = options.own_dir().join("store").join(crate::run::STORE_FILE);
    (store, state.join("supervisor.toml"))
}
