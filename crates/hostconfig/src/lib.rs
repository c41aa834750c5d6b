//! The configuration of all workers in one file, `workers.toml`: sections, templates, platforms, host ranges, and who wins.
//!
//! Owns the file's form, its mistakes with line and column, what holds for a host and where each value is from, and the import of Qube!'s
//! `qb.conf` and `qbwrk.conf`. Leaves to others: which keys there are and what values they take (the worker's own reader, through
//! [`Keys`]), files, and how the values reach a host. Pure: text in, plain data out. How it will be served:
//!
//! - the supervisor reads the file once ([`Workers::read`]) and refuses it when there is an error among the findings; the old one holds on;
//! - [`Workers::of_host`] answers the values for a host, [`Settings::to_toml`] the text that its worker's reader takes;
//! - the worker puts them together with its own file by [`Lookup::merge`]. What is [`is_local_only`] is never taken from the supervisor.
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

pub use findings::Finding;
pub use hosts::{HostPattern, HostPatternError};
pub use keys::{Keys, is_local_only};
pub use lookup::{BadLookup, Layer, Lookup, Merged};
pub use place::Place;
pub use read::{Kind, Platform, Section, Setting, Workers};
pub use resolve::{From, Settings, Source};
