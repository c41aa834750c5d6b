//! A seeded world in which the real engines of supervisor and workers run, on simulated time, network, store, launchers
//! and processes.
//!
//! Everything that happens follows from the seed. Faults are lost, late, doubled and out-of-date messages, crashes of
//! the supervisor before, in and after a commit, full disks, crashes of workers, shepherds and starters, power cuts,
//! partitions longer than the lost-host timeout, steps of the wall clock, and workers that say anew what they have while
//! orders are on their way to them. After every turn the world checks what must
//! always hold ([`check`]); at the end faults stop, and everything that can run must end in bounded time.
#![forbid(unsafe_code)]

pub mod check;
pub mod client;
pub mod durable;
mod faults;
mod gang;
mod gpu_slots;
pub mod host;
pub mod limits;
pub mod preempt;
pub mod rng;
pub mod share;
pub mod shared;
mod supervising;
pub mod tally;
pub mod waits;
mod weights;
mod wide;
mod working;
pub mod world;
mod wrangle;

pub use tally::Tally;
pub use world::{Bug, Plan, World};

/// Runs one seed to its end.
///
/// # Errors
/// What went wrong, with the simulated time.
pub fn run(seed: u64, plan: &Plan) -> Result<Tally, String> {
    let mut world = World::new(seed, plan.clone());
    world
        .run()
        .map_err(|fault| format!("seed {seed}, {} ms: {fault}", world.now_ms()))?;
    Ok(world.tally)
}
