//! A store that refuses commits: what is said, and how the core comes back.

use super::handle::Unavailable;
use super::{Core, PROBE_EVERY};
use crate::clock::wall;
use crate::persist::load::picture;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use tessera_store::{Batch, StoreError, Write};

/// The row that is written to see whether the store takes commits again.
const META_PROBE: &str = "probe";

/// Why nothing is written, and when it is tried again.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(super) why: Unavailable,
    /// The store can't be read either: what memory holds was never committed, so nobody may see it.
    pub(super) is_blind: bool,
    /// When the store is tried again (elapsed time).
    pub(super) probe_at: Duration,
}

impl Trouble {
    pub(super) fn unavailable(&self) -> Unavailable {
        self.why.clone()
    }
}

/// Whether all is well, for whoever asks.
#[derive(Debug, Default)]
pub(crate) struct Health(RwLock<Option<Unavailable>>);

impl Health {
    /// Answers what is wrong, if something is.
    pub(crate) fn problem(&self) -> Option<Unavailable> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, problem: Option<Unavailable>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = problem;
    }
}

impl Core {
    /// Throws memory away after a commit that failed. What the store itself can't take now is tried again each second;
    /// what was a fault of the batch is over with it. Workers are sent away last: who comes again at once, and who looks
    /// whether all is well when a worker has gone, finds it said.
    pub(super) fn discard(&mut self, error: &StoreError) {
        tracing::error!(
            error = error as &dyn std::error::Error,
            "a commit failed; starting over from the store"
        );
        let reloaded = self.reload();
        self.is_deposed = matches!(error, StoreError::StaleEpoch { .. });
        if let Err(again) = reloaded {
            tracing::error!(error = %again, "the store can't be read either");
            self.be_troubled(Unavailable::unreadable(&again), true);
        } else if error.is_passing() || self.is_deposed {
            self.be_troubled(Unavailable::of(error), false);
        }
        self.sessions.close_all();
    }

    fn be_troubled(&mut self, why: Unavailable, is_blind: bool) {
        self.parts.health.set(Some(why.clone()));
        self.trouble = Some(Trouble {
            why,
            is_blind,
            probe_at: self.clock.now().elapsed + PROBE_EVERY,
        });
    }

    fn reload(&mut self) -> Result<(), String> {
        let loaded = self.parts.store.load().map_err(|error| error.to_string())?;
        let mut found = picture(loaded)?;
        // Tokens of clients are held elsewhere, and only ever what was committed.
        found.tokens.clear();
        self.take_up(found).map_err(|error| error.to_string())
    }

    /// Tries whether the store takes commits again, when it is time.
    pub(super) fn probe(&mut self) {
        let due = self
            .trouble
            .as_ref()
            .is_some_and(|trouble| trouble.probe_at <= self.clock.now().elapsed);
        if !due {
            return;
        }
        let write = Write::Meta {
            key: META_PROBE.into(),
            value: wall().0.to_string(),
        };
        let batch = Batch {
            epoch: self.parts.epoch,
            at_ms: wall().0,
            writes: vec![write],
        };
        let tried = self.parts.store.commit(&batch);
        match (tried, self.reload()) {
            (Ok(_), Ok(())) => {
                tracing::info!("the store takes commits again");
                self.trouble = None;
                self.parts.health.set(None);
            }
            (Err(error), Ok(())) => self.be_troubled(Unavailable::of(&error), false),
            (_, Err(why)) => self.be_troubled(Unavailable::unreadable(&why), true),
        }
    }
}
