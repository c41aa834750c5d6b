//! What the supervisor and a worker decide, as deterministic state machines: state + time + one input → changes and
//! effects.
//!
//! Owns the logic of the farm. Knows nothing of sockets, files, threads, clocks or chance: who calls hands in the time.
//! The same code runs in the daemons, in tests and in the simulator.
//!
//! The shape of a turn (*decide, apply, commit, emit*): the caller feeds any number of inputs and collects the
//! [`supervisor::Output`]s; memory has changed at once; the caller makes the changes durable in one transaction, and only
//! then carries out the effects and gives the answers. When the transaction fails the caller throws the engine away and
//! rebuilds it from the store ([`supervisor::Engine::restore`]).
#![forbid(unsafe_code)]

pub mod supervisor;
pub mod worker;

use std::time::Duration;
use tessera_model::Timestamp;

/// The time, handed in with each input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For people and records.
    pub wall: Timestamp,
    /// For limits and decisions: from a monotonic clock, any origin, never goes back.
    pub elapsed: Duration,
}
