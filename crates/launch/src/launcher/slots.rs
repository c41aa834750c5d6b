//! Which accounts of slots are taken: two running instances never have the same one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tessera_ticket::{AccountName, LaunchKey, ProxyAccount, SLOT_MAX};

/// How long an account with processes of somebody else's is passed over.
const AVOID_TIME: Duration = Duration::from_secs(10);

/// The accounts, each with the launch that has it until everything of that launch is cleared away.
#[derive(Debug, Default)]
pub(super) struct Slots {
    held: BTreeMap<AccountName, Holder>,
    avoided: BTreeMap<AccountName, Instant>,
}

#[derive(Debug)]
struct Holder {
    key: LaunchKey,
    /// Whether accounts of lesser numbers were not free when this was taken.
    has_passed_others: bool,
}

impl Slots {
    /// Takes the free account with the least number; `None` when this launch has one or all are taken.
    pub(super) fn take(&mut self, of: &ProxyAccount, key: LaunchKey) -> Option<AccountName> {
        if self.of(key).is_some() {
            return None;
        }
        self.avoided.retain(|_, since| since.elapsed() < AVOID_TIME);
        let all = (1..=SLOT_MAX).filter_map(|slot| of.of_slot(slot));
        let (at, free) = all
            .enumerate()
            .find(|(_, it)| !self.held.contains_key(it) && !self.avoided.contains_key(it))?;
        let has_passed_others = at > 0;
        let holder = Holder {
            key,
            has_passed_others,
        };
        self.held.insert(free.clone(), holder);
        Some(free)
    }

    /// Notes what a former launcher gave to a launch.
    pub(super) fn take_up(&mut self, account: AccountName, key: LaunchKey) {
        let holder = Holder {
            key,
            has_passed_others: false,
        };
        self.held.insert(account, holder);
    }

    /// Returns the account that a launch has.
    pub(super) fn of(&self, key: LaunchKey) -> Option<&AccountName> {
        let mut held = self.held.iter();
        held.find(|(_, of)| of.key == key)
            .map(|(account, _)| account)
    }

    /// Gives a launch's account back.
    pub(super) fn give_back(&mut self, key: LaunchKey) {
        self.held.retain(|_, of| of.key != key);
    }

    /// Passes over the account of a launch for a while: somebody else uses it.
    pub(super) fn avoid(&mut self, key: LaunchKey) {
        if let Some(account) = self.of(key).cloned() {
            self.avoided.insert(account, Instant::now());
        }
    }

    /// Says whether a launch has an account of a slot because others were taken, which are free soon or by now.
    pub(super) fn is_any_free_soon(&self, key: LaunchKey) -> bool {
        let mut held = self.held.values();
        held.any(|it| it.key == key && it.has_passed_others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_identity::policy::Policy;

    fn key(instance: u32) -> LaunchKey {
        LaunchKey {
            job: 1,
            instance,
            launch: 1,
        }
    }

    #[test]
    fn no_account_is_taken_twice() {
        let policy = Policy::parse("proxy_account = job{slot}").unwrap();
        let proxy = policy.proxy_account.unwrap();
        let mut slots = Slots::default();
        let mut take = |instance| slots.take(&proxy, key(instance)).map(|it| it.to_string());
        assert_eq!(take(1).as_deref(), Some("job1"));
        assert_eq!(take(2).as_deref(), Some("job2"));
        assert_eq!(take(2), None, "one for each launch");
        slots.give_back(key(1));
        // Although the other is free by now.
        assert!(slots.is_any_free_soon(key(2)));
        assert_eq!(slots.take(&proxy, key(3)).unwrap().as_str(), "job1");
        assert!(!slots.is_any_free_soon(key(3)));
        slots.avoid(key(3));
        slots.give_back(key(3));
        assert_eq!(slots.take(&proxy, key(4)).unwrap().as_str(), "job3");
        slots.take_up("job4".parse().unwrap(), key(9));
        assert_eq!(slots.take(&proxy, key(5)).unwrap().as_str(), "job5");
    }
}
