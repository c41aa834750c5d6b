//! Asking systemd how units are.

use super::half::{LOOKS_MAX, STEADY_LOOKS};
use super::system::System;
use crate::Exit;
use crate::error::CliError;

/// Answers the error of a host that systemd does not run.
pub(super) fn is_missing() -> CliError {
    CliError::new(
        Exit::State,
        "systemd does not run this system, so nothing starts a worker by itself here",
    )
    .hint("run what you want by hand: sudo tessera up, or tessera worker --desktop")
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
