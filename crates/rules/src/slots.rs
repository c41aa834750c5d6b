//! Which accounts of slots are taken: two running instances never have the same one; and whose one is that an earlier launcher gave away.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tessera_ticket::{AccountName, LaunchKey, ProxyAccount, Refusal, SLOT_MAX};

use crate::account::Found;

/// How long an account with processes of somebody else's is passed over.
const AVOID_TIME: Duration = Duration::from_secs(10);

/// The accounts, each with the launch that has it until everything of that launch is cleared away.
#[derive(Debug, Default)]
pub struct Slots {
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
    pub fn take(&mut self, of: &ProxyAccount, key: LaunchKey, now: Instant) -> Option<AccountName> {
        if self.of(key).is_some() {
            return None;
        }
        self.avoided.retain(|_, until| now < *until);
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
    pub fn take_up(&mut self, account: AccountName, key: LaunchKey) {
        let holder = Holder {
            key,
            has_passed_others: false,
        };
        self.held.insert(account, holder);
    }

    /// Returns the account that a launch has.
    pub fn of(&self, key: LaunchKey) -> Option<&AccountName> {
        let mut held = self.held.iter();
        held.find(|(_, of)| of.key == key)
            .map(|(account, _)| account)
    }

    /// Gives a launch's account back.
    pub fn give_back(&mut self, key: LaunchKey) {
        self.held.retain(|_, of| of.key != key);
    }

    /// Passes over the account of a launch for a while: somebody else uses it.
    pub fn avoid(&mut self, key: LaunchKey, now: Instant) {
        if let Some(account) = self.of(key).cloned() {
            self.avoided.insert(account, now + AVOID_TIME);
        }
    }

    /// Says whether a launch has an account of a slot because others were taken, which are free soon or by now.
    pub fn is_any_free_soon(&self, key: LaunchKey) -> bool {
        let mut held = self.held.values();
        held.any(|it| it.key == key && it.has_passed_others)
    }
}

/// What the user directory says of an account that an earlier launcher gave to a launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// It is the same.
    Launchs,
    /// The name is another's now, and the number may be anybody's.
    Others,
    /// It can't be asked now.
    Unknown,
}

impl Whose {
    /// Judges about an account that had this uid and gid.
    pub fn of(user: (u32, u32), found: &Result<Found, Refusal>) -> Self {
        match found {
            Ok(it) if (it.uid, it.gid) == user => Self::Launchs,
            Ok(_) | Err(Refusal::NoSuchAccount) => Self::Others,
            Err(_) => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    fn key(instance: u32) -> LaunchKey {
        LaunchKey {
            job: 1,
            instance,
            launch: 1,
        }
    }

    #[test]
    fn no_account_is_taken_twice() {
        let policy = Policy::parse("proxy_account = job{slot}").expect("is one");
        let proxy = policy.proxy_account.expect("is one");
        let mut slots = Slots::default();
        let now = Instant::now();
        let mut take = |instance| {
            let taken = slots.take(&proxy, key(instance), now);
            taken.map(|it| it.to_string())
        };
        assert_eq!(take(1).as_deref(), Some("job1"));
        assert_eq!(take(2).as_deref(), Some("job2"));
        assert_eq!(take(2), None, "one for each launch");
        slots.give_back(key(1));
        // Although the other is free by now.
        assert!(slots.is_any_free_soon(key(2)));
        assert_eq!(
            slots.take(&proxy, key(3), now).expect("is one").as_str(),
            "job1"
        );
        assert!(!slots.is_any_free_soon(key(3)));
        slots.avoid(key(3), now);
        slots.give_back(key(3));
        assert_eq!(
            slots.take(&proxy, key(4), now).expect("is one").as_str(),
            "job3"
        );
        slots.take_up("job4".parse().expect("is one"), key(9));
        assert_eq!(
            slots.take(&proxy, key(5), now).expect("is one").as_str(),
            "job5"
        );
        let later = now + AVOID_TIME;
        assert_eq!(
            slots.take(&proxy, key(6), later).expect("is one").as_str(),
            "job1"
        );
    }

    #[test]
    fn a_name_with_another_number_is_anothers() {
        let found = |uid, gid| {
            Ok(Found {
                uid,
                gid,
                ..Found::default()
            })
        };
        let errno = 5;
        for (said, whose) in [
            (found(901, 902), Whose::Launchs),
            (found(901, 903), Whose::Others),
            (found(902, 902), Whose::Others),
            (Err(Refusal::NoSuchAccount), Whose::Others),
            (Err(Refusal::DirectoryUnavailable { errno }), Whose::Unknown),
        ] {
            assert_eq!(Whose::of((901, 902), &said), whose);
        }
    }
}
