//! The launcher of a Windows host: checks tickets, becomes accounts, starts programs as them.
//!
//! It is the one part of the farm that is LocalSystem, and it has no network, no async runtime and no parser but those of
//! `ticket` and of its `key = value` policy. What calls the system is behind [`os::Os`], so that the order of steps, every
//! refusal and every way back are tested on Linux. What it has in common with that of a Mac is in `keeper`; see `docs/adr/0022-windows-service.md`.
#![forbid(unsafe_code)]

pub mod empty;
pub mod host;
pub mod judge;
pub mod left;
pub mod name;
pub mod os;
pub mod policy;
#[cfg(windows)]
pub mod real;
#[cfg(windows)]
pub mod serve;
pub mod session;
#[cfg(test)]
mod tests;

/// The launcher of a host with Windows.
pub type Launcher<O> = tessera_keeper::Launcher<host::Host<O>>;
