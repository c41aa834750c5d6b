//! The launcher of a Mac in service mode: checks tickets, becomes accounts, starts programs as them.
//!
//! It is the one part of the farm that is root there, and it has no network, no async runtime and no parser but those of
//! `ticket` and `rules`. What calls the system is behind [`os::Os`] and [`user::Ids`], so that the order of steps, every
//! refusal and every way back are tested on Linux. What it has in common with that of Windows is in `keeper`; see `docs/adr/0031-macos-service.md`. On a Mac nobody has run it.
#![forbid(unsafe_code)]

pub mod config;
pub mod host;
pub mod look_up;
pub mod order;
pub mod os;
#[cfg(target_os = "macos")]
pub mod real;
#[cfg(target_os = "macos")]
pub mod serve;
#[cfg(test)]
mod tests;
pub mod user;

/// The launcher of a Mac.
pub type Launcher<O> = tessera_keeper::Launcher<host::Host<O>>;
