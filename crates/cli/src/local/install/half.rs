//! One of the two ways in which a worker is installed.

use super::system::System;
use super::work::Work;
use crate::error::CliError;

/// Looks, a second apart, during which a daemon must be up without an end before it counts as steady.
pub(super) const STEADY_LOOKS: u32 = 4;
/// Most looks at a daemon that starts.
pub(super) const LOOKS_MAX: u32 = 20;

/// A way in which a worker is installed.
pub(super) trait Half {
    /// Answers its word: `service` or `desktop`.
    fn word(&self) -> &'static str;
    /// Refuses when it can't be installed here.
    fn check(&self, system: &mut dyn System) -> Result<(), CliError>;
    /// Says whether there is a certificate, without which the worker has nothing to do.
    fn is_joined(&self, system: &mut dyn System) -> Result<bool, CliError>;
    /// Answers the command that enrols this host in this way.
    fn join_command(&self) -> String;
    /// Says whether it is installed, running or not.
    fn is_installed(&self, system: &mut dyn System) -> Result<bool, CliError>;
    /// Says whether its daemons run, or are just being started.
    fn is_running(&self, system: &mut dyn System) -> Result<bool, CliError>;
    /// Makes and writes what it needs.
    fn prepare(&self, work: &mut Work) -> Result<(), CliError>;
    /// Starts the daemons, now and from now on.
    fn start(&self, work: &mut Work) -> Result<(), CliError>;
    /// Stops the daemons, now and from now on; what they run goes on.
    fn stop(&self, work: &mut Work) -> Result<(), CliError>;
    /// Removes the files that it is started by.
    fn remove(&self, work: &mut Work) -> Result<(), CliError>;
    /// Waits until the daemons are up and steady; says why not.
    fn diagnose(&self, system: &mut dyn System) -> Result<(), CliError>;
    /// Counts what runs, or is not acknowledged.
    fn launches(&self, system: &mut dyn System) -> Result<usize, CliError>;
    /// Ends what runs; returns at once.
    fn end_launches(&self, system: &mut dyn System) -> Result<(), CliError>;
}
