//! What the commands do on Linux, where systemd starts the daemons.

use super::desktop::OwnDesktop;
use super::half::Half;
use super::person::{DesktopOf, carry_out};
use super::real::Real;
use super::service::{Daemons, Service};
use super::switch::{self, Running};
use super::units::Paths;
use super::work::Work;
use super::{finish, is_root, print_standing, running, standing};
use crate::Exit;
use crate::args::{
    InstallMode, PartArgs, SupervisorCommand, WorkerCommand, WorkerInstallArgs, WorkerPlace,
    WorkerSetModeArgs, WorkerStatusArgs, WorkerUninstallArgs,
};
use crate::error::CliError;
use crate::local::{group, programs, system_state, user_state};
use crate::run::Context;
use std::path::{Path, PathBuf};

/// Carries out a command about the worker of this host.
pub(crate) fn worker(command: WorkerCommand, context: &Context) -> Result<Exit, CliError> {
    match command {
        WorkerCommand::Install(args) => install_worker(&args, context),
        WorkerCommand::SetMode(args) => set_mode(&args, context),
        WorkerCommand::Status(args) => status(&args, context),
        WorkerCommand::Uninstall(args) => uninstall_worker(&args, context),
        WorkerCommand::Part(args) => part(&args, context),
    }
}

/// Carries out a command about the supervisor of this host.
pub(crate) fn supervisor(command: SupervisorCommand, context: &Context) -> Result<Exit, CliError> {
    let (place, dry_run, is_install) = match command {
        SupervisorCommand::Install { place, dry_run } => (place, dry_run, true),
        SupervisorCommand::Uninstall { place, dry_run } => (place, dry_run, false),
    };
    need_root(dry_run)?;
    let half = Service {
        paths: service_paths(place.state.as_deref(), place.launch.as_deref())?,
        daemons: Daemons::Supervisor,
    };
    if is_install {
        return install(&half, context, dry_run);
    }
    finish(context, dry_run, |system| {
        switch::uninstall(&half, Running::Refuse, system, dry_run)?;
        Ok(Exit::Done)
    })
}

/// Makes accounts, folders, the policy and the group of administrators, and starts nothing: what a package does when it
/// is installed, by the same steps as `install`.
pub(crate) fn set_up_host(context: &Context) -> Result<Exit, CliError> {
    need_root(false)?;
    let paths = service_paths(None, None)?;
    finish(context, false, |system| {
        for daemons in [Daemons::Supervisor, Daemons::Worker] {
            let paths = paths.clone();
            let half = Service { paths, daemons };
            half.make_place(&mut Work::new(system, false))?;
        }
        if let Some(said) = group::make_if_missing(paths.state()) {
            said.lines().for_each(|line| system.say(line));
        }
        Ok(Exit::Done)
    })
}

fn install_worker(args: &WorkerInstallArgs, context: &Context) -> Result<Exit, CliError> {
    let half = half(args.mode, &args.place)?;
    if args.mode == InstallMode::Service {
        need_root(args.dry_run)?;
    }
    install(half.as_ref(), context, args.dry_run)
}

/// Installs, and says at the end what could not be started.
fn install(half: &dyn Half, context: &Context, is_dry: bool) -> Result<Exit, CliError> {
    finish(context, is_dry, |system| {
        let runs = switch::install(half, system, is_dry)?;
        if runs {
            system.say("it runs, and will at every start");
        }
        let is_service = half.word() == "service";
        if is_dry || runs || !is_service || system.has_systemd() {
            return Ok(Exit::Done);
        }
        Err(CliError::failed(
            "the files are written, and nothing was started: systemd does not run this system",
        )
        .hint("in a container: sudo tessera up runs the daemons without systemd"))
    })
}

fn set_mode(args: &WorkerSetModeArgs, context: &Context) -> Result<Exit, CliError> {
    need_root(false).map_err(|error| {
        error.hint("the desktop is that of the person behind sudo, or of --user NAME")
    })?;
    let other = match args.mode {
        InstallMode::Service => InstallMode::Desktop,
        InstallMode::Desktop => InstallMode::Service,
    };
    let (from, to) = (half(other, &args.place)?, half(args.mode, &args.place)?);
    finish(context, args.dry_run, |system| {
        let running = running(args.wait, args.now);
        switch::set_mode(from.as_ref(), to.as_ref(), running, system, args.dry_run)?;
        Ok(Exit::Done)
    })
}

fn uninstall_worker(args: &WorkerUninstallArgs, context: &Context) -> Result<Exit, CliError> {
    if args.mode == InstallMode::Service {
        need_root(args.dry_run)?;
    }
    let half = half(args.mode, &args.place)?;
    finish(context, args.dry_run, |system| {
        let running = running(args.wait, args.now);
        switch::uninstall(half.as_ref(), running, system, args.dry_run)?;
        if args.mode == InstallMode::Service {
            system.say("accounts and folders stay: sudo tessera uninstall removes them");
        }
        Ok(Exit::Done)
    })
}

fn status(args: &WorkerStatusArgs, context: &Context) -> Result<Exit, CliError> {
    let mut system = Real::new(context);
    let mut rows = Vec::new();
    for mode in [InstallMode::Service, InstallMode::Desktop] {
        let half = match half(mode, &args.place) {
            Ok(half) => half,
            // Root without a person behind it: there is no desktop to look at.
            Err(_) if mode == InstallMode::Desktop && args.place.user.is_none() => continue,
            Err(error) => return Err(error),
        };
        rows.push(standing(half.as_ref(), &mut system)?);
    }
    context.show(&rows, |_, rows| rows.iter().map(print_standing).collect())?;
    let is_up = rows.iter().any(|row| row.running);
    Ok(if is_up { Exit::Done } else { Exit::State })
}

/// Does a part of a switch as the person whose desktop it is; started by root's half.
fn part(args: &PartArgs, context: &Context) -> Result<Exit, CliError> {
    let half = own_desktop(args.state.as_deref(), args.launch.as_deref())?;
    let system = &mut Real::new(context);
    let said = carry_out(&half, args.part, system)?;
    context.print(&said)?;
    Ok(Exit::Done)
}

fn need_root(is_dry: bool) -> Result<(), CliError> {
    if is_root() || is_dry {
        return Ok(());
    }
    Err(CliError::new(
        Exit::Denied,
        "only root can change the services of this host",
    )
    .hint("run it with sudo"))
}

fn half(mode: InstallMode, place: &WorkerPlace) -> Result<Box<dyn Half>, CliError> {
    match mode {
        InstallMode::Service => Ok(Box::new(Service {
            paths: service_paths(place.state.as_deref(), place.launch.as_deref())?,
            daemons: Daemons::Worker,
        })),
        InstallMode::Desktop if is_root() => Ok(Box::new(DesktopOf::meant(place)?)),
        InstallMode::Desktop => {
            let state = place.desktop_state.as_deref();
            Ok(Box::new(own_desktop(state, place.launch.as_deref())?))
        }
    }
}

fn service_paths(state: Option<&Path>, launch: Option<&Path>) -> Result<Paths, CliError> {
    let state = state.map_or_else(system_state, Path::to_owned);
    Paths::new(&programs::own()?, &programs::launch(launch)?, &state)
}

fn own_desktop(state: Option<&Path>, launch: Option<&Path>) -> Result<OwnDesktop, CliError> {
    let usual =
        user_state().ok_or_else(|| CliError::usage("there is no home folder").hint("set HOME"))?;
    let launch = programs::launch(launch)?;
    let state = state.map_or_else(|| usual.clone(), Path::to_owned);
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let config = folder("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let config = config.or_else(|| folder("HOME").map(|home| home.join(".config")));
    Ok(OwnDesktop {
        paths: Paths::new(&programs::own()?, &launch, &state)?,
        usual_state: usual,
        config: config.unwrap_or_else(|| PathBuf::from("/")),
        is_root: is_root(),
    })
}
