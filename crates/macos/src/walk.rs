//! Which processes belong to a program that was started: told from a list of all, without a call of the system.

use std::collections::{BTreeMap, BTreeSet};

/// A process as the system lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// That of its parent.
    pub parent: u32,
    /// Its process group.
    pub group: u32,
    /// Its session, 0 when it is not known.
    pub session: u32,
    /// When it was born, microseconds since 1970.
    pub born: u64,
}

/// Processes by number, each with its birth: a number alone may be another's by now.
pub type Known = BTreeMap<u32, u64>;

/// Answers which of `all` belong to the session that `leader` began, `known` being those that belonged to it before.
///
/// Those are: who is in its session or in its process group, who was known and was born when it was, and the children of all
/// of these. Nobody older than the leader is among them. A process that left the session belongs to it while its parent does,
/// or when it was seen before its parent ended; one that leaves and loses its parent between two walks is lost to this.
#[must_use]
pub fn members(leader: (u32, u64), known: &Known, all: &[Process]) -> Known {
    let (first, born) = leader;
    let is_of = |it: &&Process| it.born >= born && it.pid > 1;
    // The system gives no number away while somebody is in the session or group of that number: one that has it now and was
    // born at another time leads a session that is not ours.
    let is_reused = all.iter().any(|it| it.pid == first && it.born != born);
    let is_root = |it: &Process| {
        let is_leader = it.pid == first && it.born == born;
        let is_inside = !is_reused && (it.session == first || it.group == first);
        is_leader || is_inside || known.get(&it.pid) == Some(&it.born)
    };
    let mut found: Known = all
        .iter()
        .filter(is_of)
        .filter(|it| is_root(it))
        .map(|it| (it.pid, it.born))
        .collect();
    let mut children: BTreeMap<u32, Vec<&Process>> = BTreeMap::new();
    for it in all.iter().filter(is_of) {
        children.entry(it.parent).or_default().push(it);
    }
    let mut unseen: BTreeSet<u32> = found.keys().copied().collect();
    while let Some(parent) = unseen.pop_first() {
        for child in children.get(&parent).into_iter().flatten() {
            if found.insert(child.pid, child.born).is_none() {
                unseen.insert(child.pid);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32, session: u32, born: u64) -> Process {
        Process {
            pid,
            parent,
            group: session,
            session,
            born,
        }
    }

    fn found(known: &[(u32, u64)], all: &[Process]) -> Vec<u32> {
        let known = known.iter().copied().collect();
        members((100, 1_000), &known, all).into_keys().collect()
    }

    #[test]
    fn a_session_and_all_that_came_of_it_belong_together() {
        let all = [
            process(1, 0, 1, 0),
            process(50, 1, 50, 10),
            process(100, 50, 100, 1_000),
            process(101, 100, 100, 1_001),
            // Left the session; its parent is one of ours, and so are its children.
            process(102, 101, 102, 1_002),
            process(103, 102, 102, 1_003),
            // Its parent has ended.
            process(104, 1, 100, 1_004),
            process(200, 50, 200, 1_005),
        ];
        assert_eq!(found(&[], &all), [100, 101, 102, 103, 104]);
    }

    #[test]
    fn who_left_and_lost_the_parent_is_found_when_it_was_seen_before() {
        let all = [process(102, 1, 102, 1_002), process(103, 102, 102, 1_003)];
        assert_eq!(found(&[], &all), []);
        assert_eq!(found(&[(102, 1_002)], &all), [102, 103]);
        // Another with the same number is another.
        assert_eq!(found(&[(102, 1_001)], &all), []);
    }

    #[test]
    fn strangers_are_left_alone() {
        // The number of the leader is a newcomer's, and so is what was a member's.
        let all = [process(100, 1, 90, 5_000), process(300, 100, 90, 5_001)];
        assert_eq!(found(&[], &all), []);
        let all = [process(100, 1, 100, 5_000), process(300, 1, 100, 5_001)];
        assert_eq!(found(&[], &all), []);
        // Who is older than the leader can't be of it, whatever it says; the first of all neither.
        let all = [process(60, 100, 100, 999), process(1, 100, 100, 1_001)];
        assert_eq!(found(&[], &all), []);
    }

    #[test]
    fn a_ring_of_parents_ends() {
        let all = [process(101, 102, 100, 1_001), process(102, 101, 7, 1_002)];
        assert_eq!(found(&[], &all), [101, 102]);
    }
}
