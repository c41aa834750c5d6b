//! The configuration of all workers in one file, `workers.toml`: sections, templates, platforms, host ranges, and who wins.
//!
//! Owns the keys of workers and their values ([`worker`], the form of a host's own `worker.toml`), the form of `workers.toml`, its mistakes
//! with line and column, what holds for a host and where each value is from, and the import of Qube!'s `qb.conf` and `qbwrk.conf`. Leaves to
//! others: how the values reach a host, and what a worker does with them. Text in, plain data out. How it is served:
//!
//! - the supervisor reads the file once ([`Workers::read`]) and refuses it when there is an error among the findings; the old one holds on;
//! - [`Workers::of_host`] answers the values for a host, which travel by key;
//! - the worker puts them together with its own file ([`worker::Own::with`]). What is [`is_local_only`] is never taken from the supervisor.
#![forbid(unsafe_code)]

mod check;
mod findings;
mod hosts;
mod keys;
pub mod limits;
mod lookup;
mod place;
pub mod qube;
mod read;
mod resolve;
#[cfg(test)]
mod tests;
mod value;
pub mod worker;

pub use findings::Finding;
pub use hosts::{HostPattern, HostPatternError};
pub use keys::is_local_only;
pub use lookup::{Layer, Merged, merge};
pub use place::Place;
pub use read::{Kind, Platform, Section, Setting, Workers};
pub use resolve::{From, Settings, Source};
pub use tessera_requirements::nearest;
