//! Who may stay connected: places are bounded, and who has proven nothing gives way to who comes next.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Of all together.
    pub(super) all: usize,
    /// From one place.
    pub(super) each: usize,
}

/// A connection's stay, shared by all who look at it.
#[derive(Debug, Clone)]
pub(crate) struct Visit(Arc<Stay>);

#[derive(Debug)]
struct Stay {
    known: Mutex<Known>,
    leave: CancellationToken,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    has_proven: bool,
    /// When it came, or its last request was answered.
    last: Instant,
}

impl Visit {
    pub(super) fn new() -> Self {
        let known = Known {
            has_proven: false,
            last: Instant::now(),
        };
        Self(Arc::new(Stay {
            known: Mutex::new(known),
            leave: CancellationToken::new(),
        }))
    }

    /// Notes that a request over it has proven who is there.
    pub(crate) fn prove(&self) {
        self.known().has_proven = true;
    }

    /// Notes that a request was answered.
    pub(super) fn answered(&self) {
        self.known().last = Instant::now();
    }

    /// Waits until it must end: sent away for another's sake, or silent for too long without having proven anything.
    pub(super) async fn over(&self, silence: Duration) {
        tokio::select! {
            () = self.0.leave.cancelled() => {}
            () = self.silent(silence) => {}
        }
    }

    async fn silent(&self, silence: Duration) {
        loop {
            let known = *self.known();
            if known.has_proven {
                return std::future::pending().await;
            }
            let until = known.last + silence;
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts connections by where they come from.
#[derive(Debug)]
pub(super) struct Doorman<K> {
    limits: Limits,
    inside: Mutex<Inside<K>>,
}

#[derive(Debug)]
struct Inside<K> {
    visits: BTreeMap<u64, (K, Visit)>,
    last: u64,
}

/// A connection's place; given back when it is dropped.
pub(super) struct Place<K> {
    doorman: Arc<Doorman<K>>,
    number: u64,
    /// Its stay.
    pub(super) visit: Visit,
}

impl<K: Eq + Clone> Doorman<K> {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        let inside = Inside {
            visits: BTreeMap::new(),
            last: 0,
        };
        Arc::new(Self {
            limits,
            inside: Mutex::new(inside),
        })
    }

    /// Gives a place. When there is none, who has been silent longest of those that never proved anything is sent away;
    /// nothing when all have.
    pub(super) fn enter(self: &Arc<Self>, key: K) -> Option<Place<K>> {
        let mut inside = self.lock();
        let same = |from: &K| *from == key;
        if inside.count(same) >= self.limits.each && !inside.send_away(same) {
            return None;
        }
        if inside.visits.len() >= self.limits.all && !inside.send_away(|_| true) {
            return None;
        }
        inside.last += 1;
        let (number, visit) = (inside.last, Visit::new());
        inside.visits.insert(number, (key, visit.clone()));
        Some(Place {
            doorman: Arc::clone(self),
            number,
            visit,
        })
    }
}

impl<K> Doorman<K> {
    fn lock(&self) -> MutexGuard<'_, Inside<K>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Inside<K> {
    fn count(&self, which: impl Fn(&K) -> bool) -> usize {
        let found = self.visits.values().filter(|(from, _)| which(from));
        found.count()
    }

    fn send_away(&mut self, which: impl Fn(&K) -> bool) -> bool {
        let unproven = self.visits.iter().filter_map(|(number, (from, visit))| {
            let known = *visit.known();
            (which(from) && !known.has_proven).then_some((known.last, *number))
        });
        let Some((_, number)) = unproven.min() else {
            return false;
        };
        if let Some((_, visit)) = self.visits.remove(&number) {
            visit.0.leave.cancel();
        }
        true
    }
}

impl<K> Drop for Place<K> {
    fn drop(&mut self) {
        self.doorman.lock().visits.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_by_source_and_given_back() {
        let doorman = Doorman::new(Limits { all: 3, each: 2 });
        let proven = |key| {
            let place = doorman.enter(key)?;
            place.visit.prove();
            Some(place)
        };
        let (first, second) = (proven(1), proven(1));
        assert!(first.is_some() && second.is_some());
        assert!(doorman.enter(1).is_none(), "one source has enough");
        let other = proven(2);
        assert!(other.is_some());
        assert!(doorman.enter(3).is_none(), "all places are taken");
        drop(first);
        assert!(doorman.enter(3).is_some());
    }

    #[test]
    fn who_was_silent_longest_gives_way_unless_it_has_proven_itself() {
        let doorman = Doorman::new(Limits { all: 3, each: 2 });
        let proven = doorman.enter(1).expect("a place");
        proven.visit.prove();
        let silent = doorman.enter(1).expect("a place");
        let other = doorman.enter(2).expect("a place");
        let newer = doorman
            .enter(1)
            .expect("its own source's silent one gives way");
        let left = |place: &Place<i32>| place.visit.0.leave.is_cancelled();
        assert!(left(&silent) && !left(&proven) && !left(&other));
        drop(silent);
        let third = doorman.enter(3).expect("another's, for there are three");
        assert!(left(&other) && !left(&newer) && !left(&proven));
        drop((third, newer));
        assert_eq!(doorman.lock().visits.len(), 1);
    }

    #[tokio::test]
    async fn silence_ends_a_visit_that_has_proven_nothing() {
        const SILENCE: Duration = Duration::from_millis(100);
        let (visit, began) = (Visit::new(), Instant::now());
        tokio::time::sleep(SILENCE / 2).await;
        visit.answered();
        visit.over(SILENCE).await;
        assert!(began.elapsed() >= SILENCE / 2 + SILENCE);
        let proven = Visit::new();
        proven.prove();
        let stays = tokio::time::timeout(SILENCE * 4, proven.over(SILENCE)).await;
        assert!(stays.is_err());
    }
}
