//! What is left of launches that are over: whose accounts are taken for it, and when it is tried again to take it back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::patience::Pauses;
use crate::records::Record;

/// A scanner that has a file open lets go of it soon; what is broken stays so until somebody looks.
const PAUSES: Pauses = Pauses {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(5 * 60),
};

/// Launches that are over and of which something is left, by their keys.
#[derive(Debug, Default)]
pub struct Held(BTreeMap<String, One>);

#[derive(Debug)]
struct One {
    record: Record,
    /// How often it could not be taken back.
    tries: u32,
    due: Instant,
}

impl Held {
    /// Holds what is left of a launch; it is due now.
    pub fn hold(&mut self, key: String, record: Record, now: Instant) {
        let (tries, due) = (0, now);
        self.0.insert(key, One { record, tries, due });
    }

    /// Holds what could just not be taken back; it is due after a pause.
    pub fn hold_back(&mut self, key: &str, record: Record, now: Instant) {
        self.hold(key.to_owned(), record, now);
        self.put_off(key, now);
    }

    /// Puts one off that could not be taken back, each time for longer; answers how often that was so.
    pub fn put_off(&mut self, key: &str, now: Instant) -> u32 {
        let Some(one) = self.0.get_mut(key) else {
            return 0;
        };
        one.tries = one.tries.saturating_add(1);
        one.due = now + PAUSES.after(one.tries);
        one.tries
    }

    /// Forgets one of which nothing is left.
    pub fn free(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// Says whether an account that was made here is taken. To Windows names are the same in any case of letters.
    pub fn has(&self, account: &str) -> bool {
        let is_it = |it: &One| it.record.account.eq_ignore_ascii_case(account);
        self.0.values().any(|it| it.record.is_made && is_it(it))
    }

    /// Answers how many accounts that were made here are taken by what is left: people's own are taken by nothing.
    pub fn made(&self) -> usize {
        self.0.values().filter(|it| it.record.is_made).count()
    }

    /// Answers of how many launches something is left.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Says whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Answers when the next is due.
    pub fn due(&self) -> Option<Instant> {
        self.0.values().map(|it| it.due).min()
    }

    /// Answers those that are due.
    pub fn due_by(&self, now: Instant) -> Vec<(String, Record)> {
        let due = self.0.iter().filter(|(_, it)| it.due <= now);
        due.map(|(key, it)| (key.clone(), it.record.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(account: &str, is_made: bool) -> Record {
        Record {
            account: account.to_owned(),
            is_made,
            private: "tmp".into(),
        }
    }

    #[test]
    fn what_is_left_is_tried_again_after_pauses_that_grow() {
        let mut now = Instant::now();
        let mut held = Held::default();
        held.hold("1".to_owned(), record("tessera-job1", true), now);
        assert_eq!(held.due_by(now).len(), 1);
        let mut pauses = Vec::new();
        for tries in 1..=12 {
            assert_eq!(held.put_off("1", now), tries);
            assert!(held.due_by(now).is_empty());
            let due = held.due().expect("it is held");
            pauses.push((due - now).as_secs());
            now = due;
            assert_eq!(held.due_by(now).len(), 1);
        }
        assert_eq!(pauses[..4], [1, 2, 4, 8]);
        assert_eq!(pauses[9..], [300, 300, 300]);
        held.free("1");
        assert!(held.is_empty() && held.due().is_none());
    }

    #[test]
    fn only_accounts_that_are_made_here_are_taken() {
        let now = Instant::now();
        let mut held = Held::default();
        held.hold_back("1", record("tessera-job1", true), now);
        held.hold_back("2", record("mia", false), now);
        assert!(held.has("Tessera-Job1") && !held.has("mia"));
        assert!(held.due_by(now).is_empty());
        held.free("1");
        assert!(!held.has("tessera-job1"));
        assert_eq!((held.len(), held.made()), (1, 0));
        assert_eq!(held.put_off("1", now), 0, "it is not held any more");
    }
}
