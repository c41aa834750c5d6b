//! `tessera worker install | set-mode | status | uninstall` on Windows: two services, or an entry in what starts at a log-on.
//!
//! Owns the order of what is done; the daemons and the enrolment are others' business.

mod host;
#[cfg(windows)]
mod real;
mod steps;
#[cfg(test)]
mod tests;

use host::{Host, State};
use serde::Serialize;
use std::path::Path;
use steps::{LAUNCH, Places, WORKER};

/// How a worker stands in one mode.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Standing {
    mode: &'static str,
    installed: bool,
    /// Not known of a desktop worker.
    running: Option<bool>,
    joined: bool,
}

/// Looks at both.
fn standings(host: &mut dyn Host, places: &Places) -> Result<Vec<Standing>, String> {
    let (launch, worker) = (host.service(LAUNCH)?, host.service(WORKER)?);
    let is_up = |it| it == Some(State::Running);
    let joined =
        |host: &mut dyn Host, state: &Path| host.exists(&state.join("worker").join("cert.pem"));
    Ok(vec![
        Standing {
            mode: "service",
            installed: launch.is_some() && worker.is_some(),
            running: Some(is_up(launch) && is_up(worker)),
            joined: joined(host, &places.service),
        },
        Standing {
            mode: "desktop",
            installed: host.autostart()?.is_some(),
            running: None,
            joined: joined(host, &places.desktop),
        },
    ])
}

#[cfg(windows)]
pub(crate) use commands::worker;
#[cfg(windows)]
pub use real::prepare_state;

#[cfg(windows)]
mod commands {
    use super::real::Real;
    use super::{Places, Standing, standings, steps};
    use crate::Exit;
    use crate::args::{InstallMode, WorkerCommand, WorkerPlace};
    use crate::error::CliError;
    use crate::local::{system_state, user_state};
    use crate::run::Context;
    use serde::Serialize;

    /// What was done, for programs.
    #[derive(Serialize)]
    struct Done<'a> {
        done: bool,
        steps: &'a [String],
    }

    /// Carries out a command about the worker of this host.
    pub(crate) fn worker(command: WorkerCommand, context: &Context) -> Result<Exit, CliError> {
        match command {
            WorkerCommand::Install(args) => finish(
                context,
                &args.place,
                args.dry_run,
                |host, places| match args.mode {
                    InstallMode::Service => {
                        steps::install_service(host, places, args.dry_run).map(|runs| {
                            if runs {
                                host.tell("it runs, and will at every start");
                            }
                        })
                    }
                    InstallMode::Desktop => steps::install_desktop(host, places, args.dry_run),
                },
            ),
            WorkerCommand::SetMode(args) => {
                refuse_wait(args.wait)?;
                finish(context, &args.place, args.dry_run, |host, places| {
                    let to_service = args.mode == InstallMode::Service;
                    steps::set_mode(host, places, to_service, args.now, args.dry_run)
                })
            }
            WorkerCommand::Uninstall(args) => {
                refuse_wait(args.wait)?;
                finish(
                    context,
                    &args.place,
                    args.dry_run,
                    |host, places| match args.mode {
                        InstallMode::Service => {
                            steps::uninstall_service(host, places, args.now, args.dry_run)
                        }
                        InstallMode::Desktop => steps::uninstall_desktop(host, args.dry_run),
                    },
                )
            }
            WorkerCommand::Status(args) => {
                let mut host = Real::new(context);
                let rows = standings(&mut host, &places(&args.place)).map_err(CliError::failed)?;
                context.show(&rows, |_, rows| rows.iter().map(print).collect())?;
                let is_up = rows.iter().any(|row| row.running == Some(true));
                Ok(if is_up { Exit::Done } else { Exit::State })
            }
        }
    }

    /// Nothing here knows yet when what runs has ended.
    fn refuse_wait(wait: bool) -> Result<(), CliError> {
        if !wait {
            return Ok(());
        }
        Err(CliError::usage("--wait is not there on Windows yet").hint(
            "tessera lock HOST, wait until tessera hosts shows nothing on it, and give --now",
        ))
    }

    fn places(place: &WorkerPlace) -> Places {
        let usual = user_state().unwrap_or_else(system_state);
        Places {
            service: place.state.clone().unwrap_or_else(system_state),
            is_usual_desktop: place.desktop_state.is_none(),
            desktop: place.desktop_state.clone().unwrap_or(usual),
        }
    }

    fn finish(
        context: &Context,
        place: &WorkerPlace,
        is_dry: bool,
        steps: impl FnOnce(&mut Real, &Places) -> Result<(), CliError>,
    ) -> Result<Exit, CliError> {
        let mut host = Real::new(context);
        let result = steps(&mut host, &places(place));
        if context.json {
            let done = result.is_ok() && !is_dry;
            context.print_json(&Done {
                done,
                steps: &host.said,
            })?;
        }
        result.map(|()| Exit::Done)
    }

    fn print(row: &Standing) -> String {
        let words = |is: bool, yes, no| if is { yes } else { no };
        let runs = row
            .running
            .map_or("", |is| words(is, ", runs", ", does not run"));
        format!(
            "{:8} {}{runs}, {}\n",
            row.mode,
            words(row.installed, "installed", "not installed"),
            words(row.joined, "has joined", "has joined no farm"),
        )
    }
}
