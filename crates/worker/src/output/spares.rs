//! Files that can be had again: those of attempts that printed nothing and are forgotten.
//!
//! On ext4 making and removing the four files of an attempt costs several times what renaming them does, and short frames
//! that print nothing are the ones that come by the thousand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tessera_model::msg::{LaunchKey, Run};

/// Attempts of one launch whose files are kept.
const SPARES_MAX: usize = 64;

/// The attempts whose files lie ready, by launch; all clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spares(Arc<Mutex<BTreeMap<LaunchKey, Vec<Run>>>>);

impl Spares {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<LaunchKey, Vec<Run>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an attempt's files; false when there are enough.
    pub(super) fn give(&self, key: LaunchKey, run: Run) -> bool {
        let mut all = self.lock();
        let spares = all.entry(key).or_default();
        let has_room = spares.len() < SPARES_MAX;
        if has_room {
            spares.push(run);
        }
        has_room
    }

    /// Takes files for a new attempt of the same launch.
    pub(crate) fn take(&self, key: LaunchKey) -> Option<Run> {
        self.lock().get_mut(&key)?.pop()
    }

    /// The launch is over; its files go with its directory.
    pub(super) fn forget(&self, key: LaunchKey) {
        self.lock().remove(&key);
    }
}
