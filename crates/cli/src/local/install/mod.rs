//! `tessera worker install | set-mode | status | uninstall` and `tessera supervisor install | uninstall`: who starts the
//! daemons of this host, and when.
//!
//! Owns the files that a service manager reads and the order of what is done with them. Leaves to others: the daemons,
//! enrolment, and the farm's folder, which `tessera uninstall` removes.

#[cfg(any(test, target_os = "macos"))]
mod agent;
#[cfg(any(test, target_os = "macos"))]
mod daemons;
#[cfg(target_os = "linux")]
mod desktop;
mod half;
#[cfg(any(test, target_os = "macos"))]
mod launchd;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
mod person;
mod real;
#[cfg(target_os = "linux")]
mod service;
mod switch;
mod system;
#[cfg(target_os = "linux")]
mod systemd;
#[cfg(all(test, target_os = "linux"))]
use agent::tests as agent_tests;
#[cfg(all(test, target_os = "linux"))]
mod tests;
#[cfg(target_os = "linux")]
mod units;
mod work;

#[cfg(target_os = "linux")]
pub(crate) use linux::{set_up_host, supervisor, worker};
#[cfg(target_os = "macos")]
pub(crate) use macos::{look_at, worker};
#[cfg(target_os = "linux")]
pub(crate) use real::lock_holder;

use super::is_root;
use crate::Exit;
use crate::error::CliError;
use crate::run::Context;
use half::Half;
use real::Real;
use serde::Serialize;
use switch::Running;
use system::System;

/// What was done, for programs.
#[derive(Serialize)]
struct Done<'a> {
    done: bool,
    steps: &'a [String],
}

/// How a worker stands in one mode.
#[derive(Debug, Serialize)]
struct Standing {
    mode: &'static str,
    installed: bool,
    running: bool,
    /// Unknown to who may not look.
    joined: Option<bool>,
    instances: Option<usize>,
}

fn running(wait: bool, now: bool) -> Running {
    match (wait, now) {
        (_, true) => Running::End,
        (true, false) => Running::Wait,
        (false, false) => Running::Refuse,
    }
}

fn standing(half: &dyn Half, system: &mut dyn System) -> Result<Standing, CliError> {
    let may_look = half.word() == "desktop" || is_root();
    Ok(Standing {
        mode: half.word(),
        installed: half.is_installed(system)?,
        running: half.is_running(system)?,
        joined: may_look.then(|| half.is_joined(system)).transpose()?,
        instances: may_look.then(|| half.launches(system)).transpose()?,
    })
}

fn print_standing(row: &Standing) -> String {
    let words = |is: bool, yes, no| if is { yes } else { no };
    let joined = match row.joined {
        Some(is) => words(is, "has joined", "has joined no farm"),
        None => "joined? (sudo tells)",
    };
    let instances = row.instances.map_or(String::new(), |n| match n {
        1 => ", 1 instance of a job".to_owned(),
        n => format!(", {n} instances of jobs"),
    });
    format!(
        "{:8} {}, {}, {joined}{instances}\n",
        row.mode,
        words(row.installed, "installed", "not installed"),
        words(row.running, "runs", "does not run"),
    )
}

/// Carries something out on this host; for programs the steps are printed at the end.
fn finish(
    context: &Context,
    is_dry: bool,
    steps: impl FnOnce(&mut dyn System) -> Result<Exit, CliError>,
) -> Result<Exit, CliError> {
    let mut system = Real::new(context);
    let result = steps(&mut system);
    if context.json {
        context.print_json(&Done {
            done: result.is_ok() && !is_dry,
            steps: &system.said,
        })?;
    }
    result
}
