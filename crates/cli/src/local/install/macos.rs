//! What the commands do on macOS, where launchd starts a worker: as an agent of the person, or as daemons of the system.

use super::agent::Agent;
use super::daemons::MacService;
use super::half::Half;
use super::person::{DesktopOf, carry_out};
use super::real::Real;
use super::{finish, print_standing, running, standing, switch};
use crate::Exit;
use crate::args::{InstallMode, PartArgs, WorkerCommand, WorkerPlace, WorkerSetModeArgs};
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
        WorkerCommand::Part(args) => part(&args, context),
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

/// Changes the mode, as root: the daemons are root's, and what is the person's is done under their account.
fn set_mode(args: &WorkerSetModeArgs, context: &Context) -> Result<Exit, CliError> {
    if !is_root() {
        let said = "only root can change the services of this host";
        return Err(CliError::new(Exit::Denied, said).hint(
            "run it with sudo; the desktop is that of the person behind it, or of --user NAME",
        ));
    }
    let daemons = daemons(args.place.state.as_deref())?;
    let desktop = DesktopOf::meant(&args.place)?;
    let (from, to): (&dyn Half, &dyn Half) = match args.mode {
        InstallMode::Service => (&desktop, &daemons),
        InstallMode::Desktop => (&daemons, &desktop),
    };
    finish(context, args.dry_run, |system| {
        let running = running(args.wait, args.now);
        switch::set_mode(from, to, running, system, args.dry_run)?;
        Ok(Exit::Done)
    })
}

/// Does a part of a switch as the person whose desktop it is; started by root's half.
fn part(args: &PartArgs, context: &Context) -> Result<Exit, CliError> {
    let half = agent(args.state.as_deref())?;
    let said = carry_out(&half, args.part, &mut Real::new(context))?;
    context.print(&said)?;
    Ok(Exit::Done)
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
