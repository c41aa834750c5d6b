//! Accounts of slots that a former launcher gave to launches, and of which the user directory could not say whose they are now. They are
//! nobody's until it can: it is asked again, ever more seldom, and what it says decides.

use std::time::{Duration, Instant};

use tessera_ticket::{AccountName, LaunchKey, Refusal};

use super::Launcher;
use tessera_identity::account::Found;
use tessera_identity::look_up;
use tessera_identity::slots::Whose;

/// The first and the longest pause before the directory is asked again.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// The most accounts asked about at once: most look-ups stay for starts.
const AT_ONCE: usize = 8;

/// When the directory is asked again.
#[derive(Debug)]
pub(super) struct Unasked {
    at: Instant,
    pause: Duration,
}

impl Unasked {
    pub(super) fn new() -> Self {
        Self {
            at: Instant::now() + PAUSE.0,
            pause: PAUSE.0,
        }
    }
}

impl Launcher {
    /// Returns when the directory is to be asked again, if that is to be.
    pub(super) fn next_asking(&self) -> Option<Instant> {
        (!self.instances.unasked().is_empty()).then_some(self.unasked.at)
    }

    /// Asks the directory again when that is due.
    pub(super) fn ask_again(&mut self, now: Instant) {
        if self.next_asking().is_none_or(|at| now < at) {
            return;
        }
        self.unasked.pause = (self.unasked.pause * 2).min(PAUSE.1);
        self.unasked.at = now + self.unasked.pause;
        let keys = self.instances.unasked();
        let accounts = keys.iter().filter_map(|key| self.slots.of(*key).cloned());
        for account in accounts.take(AT_ONCE).collect::<Vec<_>>() {
            if self.look_ups.is_asking(&account) || self.look_ups.is_full() {
                continue;
            }
            if let Ok(it) = look_up::look_up(&account) {
                self.look_ups.begin(it.pid, it.answer, account, None, now);
            }
        }
    }

    /// Decides about the launch that has this account, if it was not known whose that is.
    pub(super) fn settle_slot(&mut self, account: &AccountName, found: &Result<Found, Refusal>) {
        let unasked = self.instances.unasked();
        let has_it = |key: &LaunchKey| self.slots.of(*key) == Some(account);
        let Some(key) = unasked.into_iter().find(has_it) else {
            return;
        };
        // What is cleared up of it as anybody's comes to its end first.
        if self.tidy.has(key) {
            return;
        }
        if self.instances.on_asked(key, found) == Whose::Others {
            self.slots.give_back(key);
        }
    }
}
