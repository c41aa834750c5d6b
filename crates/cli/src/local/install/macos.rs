//! What the commands do on macOS, where launchd starts a worker: as an agent of the person, or as daemons of the system.

use super::agent::Agent;
use super::daemons::MacService;
use super::half::Half;
use super::real::Real;
use super::{finish, print_standing, running, standing, switch};
use crate::Exit;
use crate::args::{InstallMode, WorkerCommand, WorkerPlace, WorkerSetModeArgs};
use crate::error::CliError;
use crate::local::{is_root, programs, system_state, user_state};
use crate::run::Context;
use std::cell::Cell;
use std::path::{Path, PathBuf};

/// The launcher's program.
const LAUNCH_PROGRAM: &str = "tessera-maclaunch";

/// Carries out a command about the worker of this host.
pub(crate) fn worker(command: WorkerCommand, context: &Context) -> Result<Exit, CliError> {
    match command {
        WorkerCommand::Install(args) => {
            need_root(args.mode, args.dry_run)?;
            let half = half(args.mode, &args.place)?;
            finish(context, args.dry_run, |system| {
                if switch::install(half.as_ref(), system, args.dry_run)? {
                    system.say("it runs, and will at every start");
                }
                Ok(Exit::Done)
            })
        }
        WorkerCommand::SetMode(args) => set_mode(&args, context),
        WorkerCommand::Uninstall(args) => {
            need_root(args.mode, args.dry_run)?;
            let half = half(args.mode, &args.place)?;
            finish(context, args.dry_run, |system| {
                let running = running(args.wait, args.now);
                switch::uninstall(half.as_ref(), running, system, args.dry_run)?;
                system.say("accounts, the farm's folder and the enrolment stay");
                Ok(Exit::Done)
            })
        }
        WorkerCommand::Status(args) => {
            let mut rows = Vec::new();
            for mode in [InstallMode::Service, InstallMode::Desktop] {
                // Root has no desktop.
                if mode == InstallMode::Service || !is_root() {
                    let half = half(mode, &args.place)?;
                    rows.push(standing(half.as_ref(), &mut Real::new(context))?);
                }
            }
            context.show(&rows, |_, rows| rows.iter().map(print_standing).collect())?;
            let is_up = rows.iter().any(|row| row.running);
            Ok(if is_up { Exit::Done } else { Exit::State })
        }
    }
}

/// Changing is done in two commands here: one half is root's, and the other a person's who must be logged in.
fn set_mode(args: &WorkerSetModeArgs, context: &Context) -> Result<Exit, CliError> {
    let half = half(args.mode, &args.place)?;
    finish(context, args.dry_run, |system| {
        let word = half.word();
        if half.is_installed(system)? {
            system.say(&format!("the worker is in mode {word} already"));
            return Ok(Exit::Done);
        }
        let (first, second) = match args.mode {
            InstallMode::Service => (
                "tessera worker uninstall --mode desktop --wait",
                "sudo tessera worker install --mode service",
            ),
            InstallMode::Desktop => (
                "sudo tessera worker uninstall --mode service --wait",
                "tessera worker install --mode desktop",
            ),
        };
        Err(
            CliError::new(Exit::State, "on macOS a mode is changed by two commands")
                .hint(first)
                .hint(second),
        )
    })
}

/// Says whether the caller's agent, and the daemons of this Mac, are installed, and whether they run.
pub(crate) fn look_at(context: &Context) -> Result<Vec<(&'static str, bool, bool)>, CliError> {
    let mut halves: Vec<Box<dyn Half>> = vec![Box::new(daemons(None)?)];
    if !is_root() {
        halves.push(Box::new(agent(None)?));
    }
    let system = &mut Real::new(context);
    let look = |half: Box<dyn Half>| {
        let is_installed = half.is_installed(system)?;
        Ok((half.word(), is_installed, half.is_running(system)?))
    };
    halves.into_iter().map(look).collect()
}

fn need_root(mode: InstallMode, is_dry: bool) -> Result<(), CliError> {
    if mode == InstallMode::Desktop || is_root() || is_dry {
        return Ok(());
    }
    let said = "only root can change the services of this host";
    Err(CliError::new(Exit::Denied, said).hint("run it with sudo"))
}

fn half(mode: InstallMode, place: &WorkerPlace) -> Result<Box<dyn Half>, CliError> {
    Ok(match mode {
        InstallMode::Service => Box::new(daemons(place.state.as_deref())?),
        InstallMode::Desktop => Box::new(agent(place.desktop_state.as_deref())?),
    })
}

fn daemons(state: Option<&Path>) -> Result<MacService, CliError> {
    let tessera = programs::own()?;
    Ok(MacService {
        launch: tessera.with_file_name(LAUNCH_PROGRAM),
        tessera,
        state: state.map_or_else(system_state, Path::to_owned),
        ends: Cell::new(0),
    })
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
