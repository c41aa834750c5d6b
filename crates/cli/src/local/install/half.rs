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

/// Waits until units are active and have not been started again for some looks; `systemctl` is the command with its options.
pub(super) fn wait_steady(
    system: &mut dyn System,
    systemctl: &[&str],
    units: &[&str],
) -> Result<(), CliError> {
    let (mut steady, mut last) = (0, Vec::new());
    for _ in 0..LOOKS_MAX {
        let now = look(system, systemctl, units)?;
        let is_up = now
            .iter()
            .all(|it| it.lines().any(|line| line == "ActiveState=active"));
        steady = match (is_up, now == last) {
            (true, true) => steady + 1,
            (true, false) => 1,
            (false, _) => 0,
        };
        if steady >= STEADY_LOOKS {
            return Ok(());
        }
        last = now;
        system.pause();
    }
    let states: Vec<String> = units
        .iter()
        .zip(&last)
        .map(|(unit, it)| format!("{unit}: {}", it.replace('\n', ", ")))
        .collect();
    let mut error = CliError::failed("the daemons do not come up, or do not stay up");
    error.details = states;
    Err(error)
}

fn look(
    system: &mut dyn System,
    systemctl: &[&str],
    units: &[&str],
) -> Result<Vec<String>, CliError> {
    let one = |unit: &&str| {
        let mut words = systemctl.to_vec();
        words.extend([
            "show",
            "--property=ActiveState,SubState,NRestarts,Result",
            unit,
        ]);
        system.ask(&words).map(|it| it.said)
    };
    units
        .iter()
        .map(one)
        .collect::<Result<_, _>>()
        .map_err(CliError::failed)
}

/// Says whether a unit is up or on its way.
pub(super) fn is_up(
    system: &mut dyn System,
    systemctl: &[&str],
    unit: &str,
) -> Result<bool, CliError> {
    let mut words = systemctl.to_vec();
    words.extend(["is-active", unit]);
    let answer = system.ask(&words).map_err(CliError::failed)?;
    Ok(matches!(
        answer.said.as_str(),
        "active" | "activating" | "reloading"
    ))
}
