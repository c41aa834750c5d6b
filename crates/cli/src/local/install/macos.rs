//! What the commands do on macOS, where launchd starts a desktop worker.

use super::agent::Agent;
use super::half::Half;
use super::real::Real;
use super::{finish, print_standing, running, standing, switch};
use crate::Exit;
use crate::args::{InstallMode, WorkerCommand, WorkerPlace};
use crate::error::CliError;
use crate::local::{programs, user_state};
use crate::run::Context;
use std::cell::Cell;
use std::path::{Path, PathBuf};

/// Carries out a command about the worker of this host.
pub(crate) fn worker(command: WorkerCommand, context: &Context) -> Result<Exit, CliError> {
    match command {
        WorkerCommand::Install(args) => {
            let half = half(args.mode, &args.place)?;
            finish(context, args.dry_run, |system| {
                if switch::install(&half, system, args.dry_run)? {
                    system.say("it runs, and will whenever you log in");
                }
                Ok(Exit::Done)
            })
        }
        WorkerCommand::SetMode(args) => {
            let half = half(args.mode, &args.place)?;
            finish(context, args.dry_run, |system| {
                if !half.is_installed(system)? {
                    let said = "no worker is installed here, so there is no mode to change";
                    let error = CliError::new(Exit::State, said);
                    return Err(error.hint("tessera worker install --mode desktop"));
                }
                system.say("the worker is in mode desktop already");
                Ok(Exit::Done)
            })
        }
        WorkerCommand::Uninstall(args) => {
            let half = half(args.mode, &args.place)?;
            finish(context, args.dry_run, |system| {
                let running = running(args.wait, args.now);
                switch::uninstall(&half, running, system, args.dry_run)?;
                system.say("the farm's folder and the enrolment stay");
                Ok(Exit::Done)
            })
        }
        WorkerCommand::Status(args) => {
            let half = half(InstallMode::Desktop, &args.place)?;
            let rows = [standing(&half, &mut Real::new(context))?];
            context.show(&rows, |_, rows| rows.iter().map(print_standing).collect())?;
            let is_up = rows.iter().any(|row| row.running);
            Ok(if is_up { Exit::Done } else { Exit::State })
        }
    }
}

/// Says whether the caller's worker is installed, and whether launchd or a hand runs it.
pub(crate) fn look_at_agent(context: &Context) -> Result<(bool, bool), CliError> {
    let (half, mut system) = (agent(None)?, Real::new(context));
    Ok((
        half.is_installed(&mut system)?,
        half.is_running(&mut system)?,
    ))
}

fn half(mode: InstallMode, place: &WorkerPlace) -> Result<Agent, CliError> {
    if mode == InstallMode::Service {
        return Err(CliError::usage("there is no service mode on macOS yet")
            .hint("--mode desktop: jobs run as you, while you are logged in"));
    }
    agent(place.desktop_state.as_deref())
}

fn agent(state: Option<&Path>) -> Result<Agent, CliError> {
    let no_home = || CliError::usage("there is no home folder").hint("set HOME");
    let usual_state = user_state().ok_or_else(no_home)?;
    let home = std::env::var_os("HOME").map(PathBuf::from);
    Ok(Agent {
        tessera: programs::own()?,
        home: home.ok_or_else(no_home)?,
        state: state.map_or_else(|| usual_state.clone(), Path::to_owned),
        usual_state,
        uid: nix::unistd::getuid().as_raw(),
        ends: Cell::new(0),
    })
}
