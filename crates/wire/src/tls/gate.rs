//! Bounds the handshakes at a time. A crowd of connections that say nothing must not keep the others out, so the oldest
//! has to go, not the newest.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Those who are in, oldest first, each with what tells it to go.
#[derive(Default)]
struct Crowd {
    next: u64,
    inside: BTreeMap<u64, oneshot::Sender<()>>,
}

/// Lets at most so many in.
#[derive(Clone)]
pub(super) struct Gate {
    max: usize,
    crowd: Arc<Mutex<Crowd>>,
}

/// A place inside; dropping it leaves.
pub(super) struct Place {
    number: u64,
    gate: Gate,
    told_to_go: oneshot::Receiver<()>,
}

impl Gate {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            crowd: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes in, always; the oldest inside goes if there is no room.
    pub(super) fn enter(&self) -> Place {
        let (go, told_to_go) = oneshot::channel();
        let mut crowd = self.lock();
        while crowd.inside.len() >= self.max.max(1) {
            // Dropping its sender is what tells it.
            drop(crowd.inside.pop_first());
        }
        let number = crowd.next;
        crowd.next += 1;
        crowd.inside.insert(number, go);
        Place {
            number,
            gate: self.clone(),
            told_to_go,
        }
    }
}

impl Place {
    /// Runs `work` unless this place has to be given up; then answers `None`.
    pub(super) async fn unless_crowded<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            _ = &mut self.told_to_go => None,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.lock().inside.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_goes_and_places_come_free() {
        let gate = Gate::new(2);
        let (mut a, mut b) = (gate.enter(), gate.enter());
        drop(b);
        b = gate.enter();
        let mut c = gate.enter();
        assert_eq!(a.unless_crowded(std::future::pending::<()>()).await, None);
        assert_eq!(b.unless_crowded(async { 1 }).await, Some(1));
        assert_eq!(c.unless_crowded(async { 2 }).await, Some(2));
        drop((a, b, c));
        assert!(gate.lock().inside.is_empty());
    }
}
