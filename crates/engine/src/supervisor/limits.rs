//! How many instances one person may have at once. What is over a limit when it is lowered goes on; nothing more starts until it is below.

use super::Engine;
use std::collections::BTreeMap;
use tessera_model::UserName;

/// What people may have (`supervisor_default_user_subjob_limit`, `supervisor_user_subjob_limits`), or each process group of theirs
/// (`supervisor_default_pgrp_subjob_limit`, `supervisor_pgrp_subjob_limits`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserLimits {
    /// Of those that are not named; nothing: as many as they like.
    pub default: Option<u32>,
    /// Of those that are.
    pub named: BTreeMap<UserName, Option<u32>>,
}

impl UserLimits {
    /// Answers how many instances somebody may have at once; nothing: as many as they like.
    #[must_use]
    pub fn of(&self, user: &UserName) -> Option<u32> {
        self.named.get(user).copied().unwrap_or(self.default)
    }

    /// Answers the key of the configuration that says it.
    pub(super) fn key_of(&self, user: &UserName) -> &'static str {
        if self.named.contains_key(user) {
            "supervisor_user_subjob_limits"
        } else {
            "supervisor_default_user_subjob_limit"
        }
    }
}

impl Engine {
    /// Counts the instances that somebody has, those that are ending, too.
    #[must_use]
    pub fn running_of(&self, user: &UserName) -> u32 {
        self.running.get(user).copied().unwrap_or(0)
    }

    /// Answers how many instances somebody may have, when they have no fewer.
    pub(super) fn reached_by(&self, user: &UserName) -> Option<u32> {
        let limit = self.config.user_limits.of(user);
        limit.filter(|limit| self.running_of(user) >= *limit)
    }

    /// An instance of somebody was placed.
    pub(super) fn count_in(&mut self, user: &UserName) {
        *self.running.entry(user.clone()).or_insert(0) += 1;
        self.hold_at_limit(user);
    }

    /// Nothing is left of an instance of somebody.
    pub(super) fn count_out(&mut self, user: &UserName) {
        if let Some(count) = self.running.get_mut(user) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.running.remove(user);
            }
        }
        self.hold_at_limit(user);
    }

    /// Holds somebody's jobs back who has as many instances as they may, or lets them go. A limit of 0 holds from the first job.
    pub(super) fn hold_at_limit(&mut self, user: &UserName) {
        let is_held = self.reached_by(user).is_some();
        let is_limited = self.config.user_limits.of(user).is_some();
        self.planner.set_limited(user, is_limited);
        self.planner.set_held(user, is_held);
    }
}
