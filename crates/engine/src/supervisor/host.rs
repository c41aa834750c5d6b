//! Hosts as the engine holds them.

use super::io::SessionId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tessera_model::msg::LaunchKey;
use tessera_model::{HostFacts, HostId, HostState, Refusal, Timestamp};

/// A host of the farm.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its id.
    pub id: HostId,
    /// What its worker said of it last.
    pub facts: HostFacts,
    /// Whether it can be given work.
    pub state: HostState,
    /// Locked by an administrator: finishes what it has.
    pub is_locked: bool,
    /// When it was heard last.
    pub seen: Timestamp,
    pub(super) session: Option<SessionId>,
    /// Whether its worker has said what it has on this connection.
    pub(super) is_synced: bool,
    pub(super) launches: BTreeSet<LaunchKey>,
    /// Launches that its worker has and the farm gave up; they keep their slots, and their jobs off the host, until gone.
    pub(super) strays: BTreeSet<LaunchKey>,
    pub(super) refused: BTreeMap<String, RefusedAccount>,
    pub(super) last_heard: Duration,
    pub(super) away_since: Duration,
}

/// An account that a host would not become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedAccount {
    /// Why.
    pub refusal: Refusal,
    /// When to ask again (monotonic time).
    pub until: Duration,
    /// The pause before that.
    pub pause: Duration,
    /// The pause is over: the next try tells.
    pub is_probing: bool,
}

impl Host {
    pub(super) fn new(id: HostId, facts: HostFacts, state: HostState, seen: Timestamp) -> Self {
        Self {
            id,
            facts,
            state,
            is_locked: false,
            seen,
            session: None,
            is_synced: false,
            launches: BTreeSet::new(),
            strays: BTreeSet::new(),
            refused: BTreeMap::new(),
            last_heard: Duration::ZERO,
            away_since: Duration::ZERO,
        }
    }

    /// Says whether something of a job that the farm gave up may still run there.
    #[must_use]
    pub fn has_stray_of(&self, job: tessera_model::JobId) -> bool {
        self.strays.iter().any(|key| key.job == job)
    }

    /// Answers the slots in use, those of launches that are ending included.
    #[must_use]
    pub fn used(&self) -> u32 {
        u32::try_from(self.launches.len() + self.strays.len()).unwrap_or(u32::MAX)
    }

    /// Answers the slots that can be given away now.
    #[must_use]
    pub fn free(&self) -> u32 {
        let open = self.state == HostState::Up && self.is_synced && !self.is_locked;
        if open {
            self.facts.slots.saturating_sub(self.used())
        } else {
            0
        }
    }

    /// Answers its launches.
    #[must_use]
    pub fn launches(&self) -> &BTreeSet<LaunchKey> {
        &self.launches
    }

    /// Answers the accounts that it would not become, with why.
    pub fn refusals(&self) -> impl Iterator<Item = (&str, &Refusal)> {
        self.refused
            .iter()
            .map(|(account, refused)| (account.as_str(), &refused.refusal))
    }

    /// Says whether it refused the account, so that nothing is sent there for it now.
    #[must_use]
    pub fn refuses(&self, account: &str) -> bool {
        self.refused
            .get(account)
            .is_some_and(|refused| !refused.is_probing)
    }

    /// Says whether its worker is connected.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.session.is_some()
    }
}
